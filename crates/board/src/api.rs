//! Owns the handlers of all routes, and how they read what is asked of them. Each is thin: it picks from the state or
//! the journal, a view makes the answer; a change is handed to the workspace.

pub(crate) mod attempts;
pub(crate) mod board;
pub(crate) mod changes;
pub(crate) mod issues;
pub(crate) mod plans;
pub(crate) mod promotions;
pub(crate) mod pulls;
pub(crate) mod remarks;
pub(crate) mod service;
pub(crate) mod shifts;
pub(crate) mod things;

use std::str::FromStr;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;
use turno_core::ids::InvalidId;

use crate::error::Problem;
use crate::pages::trouble;
use crate::routes::Shared;

/// The id in a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr<Err = InvalidId> + Send> FromRequestParts<Shared> for Id<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let id = path.map_err(|e| Problem::BadRequest(e.body_text()));
        let id = id.and_then(|Path(text)| Ok(text.parse()?));
        // A person who follows a wrong link is told so on a page.
        id.map(Self).map_err(|problem| trouble(problem, &parts.headers))
    }
}

/// What stands after the question mark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        let query = query.map_err(|e: QueryRejection| Problem::BadRequest(e.body_text()));
        query
            .map(|Query(asked)| Self(asked))
            .map_err(|problem| trouble(problem, &parts.headers))
    }
}

/// A body of JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let body = axum::Json::<T>::from_request(request, app).await;
        let axum::Json(body) = body.map_err(|e: JsonRejection| Problem::BadRequest(e.body_text()))?;
        Ok(Self(body))
    }
}
