//! Owns the routes by which dashboards of other orchestrators read a service.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use turno_engine::run::now;
use utoipa::ToSchema;

use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::rfc3339;
use crate::view::symphony::{Named, ServiceView, TrackedView, service, tracked as tracked_view};

/// What runs, what is tried again and when, and totals.
#[utoipa::path(get, path = "/api/v1/state", tag = "service", responses((status = 200, body = ServiceView)))]
pub(crate) async fn state(State(app): State<Shared>) -> Json<ServiceView> {
    Json(service(&app.seen().state, &app.mirror.doing(), now()))
}

/// One issue, like `7`, or task, like `7.2`.
#[utoipa::path(get, path = "/api/v1/{identifier}", tag = "service",
    params(("identifier" = String, Path, description = "like 7 or 7.2")),
    responses((status = 200, body = TrackedView), (status = 404, body = ProblemBody)))]
pub(crate) async fn tracked(State(app): State<Shared>, Path(asked): Path<String>) -> Response {
    let named = asked
        .parse()
        .map(Named::Task)
        .or_else(|_| asked.parse().map(Named::Issue));
    let seen = app.seen();
    let found = named
        .ok()
        .and_then(|named| tracked_view(&seen.state, named, asked, &app.mirror.doing()));
    match found {
        Some(view) => Json(view).into_response(),
        None => {
            Problem::NotFound("there is no issue or task of that name".to_owned()).coded("issue_not_found")
        }
    }
}

/// What was asked to be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refreshed {
    /// It will be.
    queued: bool,
    /// Whether it is done together with others.
    coalesced: bool,
    /// When it was asked for.
    requested_at: String,
    /// What.
    operations: Vec<&'static str>,
}

/// Looks at the journal at once. What is shown is kept up to date without it.
#[utoipa::path(post, path = "/api/v1/refresh", tag = "service", responses((status = 202, body = Refreshed)))]
pub(crate) async fn refresh(State(app): State<Shared>) -> (StatusCode, Json<Refreshed>) {
    app.mirror.look();
    let refreshed = Refreshed {
        queued: true,
        coalesced: true,
        requested_at: rfc3339(now()),
        operations: vec!["look"],
    };
    (StatusCode::ACCEPTED, Json(refreshed))
}
