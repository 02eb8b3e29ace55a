//! Owns pull requests through the board: what one would be, and opening it. Both are the verb's own code.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turno_core::ids::IssueId;
use utoipa::ToSchema;

use super::changes::{Done, done};
use super::{Body, Id};
use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::things::PullPlanView;
use crate::workspace::{Unproven, Wish};

/// What a pull request for an issue would be. The remote is looked at; nothing is pushed.
#[utoipa::path(get, path = "/api/issues/{id}/pull-request", tag = "views",
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = PullPlanView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn plan(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
) -> Result<Json<PullPlanView>, Problem> {
    Ok(Json(app.workspace.pull_request(issue).await?.into()))
}

/// Which pull request is wanted.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PullRequest {
    /// Whether also when the branch there has moved, so that the checks never saw the two together.
    #[serde(default)]
    unproven: bool,
}

/// Pushes what an issue has landed, and opens or updates its pull request.
#[utoipa::path(post, path = "/api/issues/{id}/pull-request", tag = "changes", request_body = PullRequest,
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = Done), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn open(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Body(PullRequest { unproven }): Body<PullRequest>,
) -> Result<Json<Done>, Problem> {
    let unproven = if unproven {
        Unproven::Accepted
    } else {
        Unproven::Refused
    };
    let state = app.take(Wish::PullRequest { issue, unproven }).await?;
    let pull = state.issues.get(&issue).and_then(|i| i.pull.phrase());
    Ok(done(pull.unwrap_or_else(|| format!("issue {issue} is pushed"))))
}
