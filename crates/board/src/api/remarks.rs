//! Owns the routes by which a person speaks: about a change, and to an agent that runs. What follows is the core's to
//! say, and is told in the answer.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turno_core::ids::{AttemptId, CommitId, IssueId, TaskId};
use turno_core::remark::{Subject, comment_phrase, finding, told_phrase};
use utoipa::ToSchema;

use super::changes::{Done, done, text};
use super::{Body, Id};
use crate::error::{Problem, ProblemBody};
use crate::routes::{App, Shared};
use crate::workspace::Wish;

/// No comment and no message is longer, in bytes.
const LONGEST: usize = 16 << 10;

/// Something that a person says about a change.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewComment {
    /// The words.
    text: String,
    /// The path within the repository that it is about; absent: the change as a whole.
    #[serde(default)]
    file: String,
    /// The line in that file as it is after the change, counted from 1; absent or 0: the file as a whole.
    #[serde(default)]
    line: u32,
    /// The commit that was looked at; absent: the one that is there now.
    #[schema(value_type = Option<String>)]
    commit: Option<CommitId>,
}

/// Something that a person says to a running agent.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// The words.
    text: String,
}

fn sound(words: &String, file: &String) -> Result<(), Problem> {
    text([words, file])?;
    if words.len() > LONGEST || file.len() > LONGEST {
        let why = format!("at most {LONGEST} bytes are taken at once; say what matters most");
        return Err(Problem::BadRequest(why));
    }
    Ok(())
}

async fn comment(app: &App, on: Subject, new: NewComment) -> Result<Json<Done>, Problem> {
    sound(&new.text, &new.file)?;
    let wish = Wish::Comment {
        on,
        finding: finding(&new.file, new.line, &new.text),
        commit: new.commit,
    };
    let state = app.take(wish).await?;
    Ok(done(comment_phrase(&state, on)))
}

/// Says something about a task: its writer is given it, and the change does not land before. On a task that has landed
/// it becomes a task of the issue.
#[utoipa::path(post, path = "/api/tasks/{id}/comments", tag = "changes", request_body = NewComment,
    params(("id" = String, Path, description = "like 7.2")),
    responses((status = 200, body = Done), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn on_task(
    State(app): State<Shared>,
    Id(task): Id<TaskId>,
    Body(new): Body<NewComment>,
) -> Result<Json<Done>, Problem> {
    comment(&app, Subject::Task(task), new).await
}

/// Says something about what an issue has landed: it becomes a task of the issue.
#[utoipa::path(post, path = "/api/issues/{id}/comments", tag = "changes", request_body = NewComment,
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = Done), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn on_issue(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Body(new): Body<NewComment>,
) -> Result<Json<Done>, Problem> {
    comment(&app, Subject::Issue(issue), new).await
}

/// Says something to a running agent: now where it can hear that, else with its next turn. The answer says which.
#[utoipa::path(post, path = "/api/attempts/{id}/messages", tag = "changes", request_body = Message,
    params(("id" = String, Path, description = "like a3 or 3")),
    responses((status = 200, body = Done), (status = 409, body = ProblemBody)))]
pub(crate) async fn to_attempt(
    State(app): State<Shared>,
    Id(attempt): Id<AttemptId>,
    Body(Message { text: words }): Body<Message>,
) -> Result<Json<Done>, Problem> {
    sound(&words, &String::new())?;
    let state = app.take(Wish::Tell { attempt, words }).await?;
    Ok(done(told_phrase(&state, attempt)))
}
