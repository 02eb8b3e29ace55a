//! Owns promoting through the board: what it would do, and doing it. Both are the verb's own code.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turno_core::ids::IssueId;
use utoipa::ToSchema;

use super::changes::{Done, done, text};
use super::{Asked, Body, Id};
use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::things::PromotionView;
use crate::workspace::{Unproven, Wish};

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Onto {
    /// Onto which branch; absent: the one that is checked out.
    pub(crate) onto: Option<String>,
}

impl Onto {
    fn named(self) -> Option<String> {
        self.onto.filter(|branch| !branch.trim().is_empty())
    }
}

/// What promoting an issue would do. It moves nothing.
#[utoipa::path(get, path = "/api/issues/{id}/promotion", tag = "views",
    params(("id" = String, Path, description = "like 7"),
        ("onto" = Option<String>, Query, description = "onto which branch; absent: the one that is checked out")),
    responses((status = 200, body = PromotionView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn plan(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Asked(onto): Asked<Onto>,
) -> Result<Json<PromotionView>, Problem> {
    text(&onto.onto)?;
    let planned = app.workspace.promotion(issue, onto.named()).await?;
    Ok(Json(planned.into()))
}

/// Which promotion is wanted.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promote {
    /// Onto which branch; absent: the one that is checked out.
    onto: Option<String>,
    /// Whether also when the branch has moved, so that the checks never saw the outcome.
    #[serde(default)]
    unproven: bool,
}

/// Puts what an issue has landed on a branch of the user's.
#[utoipa::path(post, path = "/api/issues/{id}/promote", tag = "changes", request_body = Promote,
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = Done), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn promote(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Body(Promote { onto, unproven }): Body<Promote>,
) -> Result<Json<Done>, Problem> {
    text(&onto)?;
    let onto = Onto { onto }.named();
    let unproven = if unproven {
        Unproven::Accepted
    } else {
        Unproven::Refused
    };
    app.take(Wish::Promote {
        issue,
        onto,
        unproven,
    })
    .await?;
    Ok(done(format!("issue {issue} is promoted")))
}
