//! Owns the handlers of all routes, and how they read what is asked of them. Each is thin: it picks from the state or
//! the journal, a view makes the answer; a change is handed to the workspace.

pub(crate) mod attempts;
pub(crate) mod board;
pub(crate) mod changes;
pub(crate) mod issues;
pub(crate) mod promotions;
pub(crate) mod pulls;
pub(crate) mod service;
pub(crate) mod shifts;
pub(crate) mod things;

use std::str::FromStr;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use turno_core::ids::InvalidId;

use crate::error::Problem;
use crate::routes::Shared;

/// The id in a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr<Err = InvalidId> + Send> FromRequestParts<Shared> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let Path(text) = path.map_err(|e| Problem::BadRequest(e.body_text()))?;
        Ok(Self(text.parse()?))
    }
}

/// What stands after the question mark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        let Query(asked) = query.map_err(|e: QueryRejection| Problem::BadRequest(e.body_text()))?;
        Ok(Self(asked))
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
