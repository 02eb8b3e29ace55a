//! Owns the routes that change something. Each makes a wish of what is asked and hands it to the workspace, which says
//! no where it makes no sense. None starts a shift or any program.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use turno_core::event::{Discard, StopHow};
use turno_core::ids::{DecisionId, IssueId, RepoName, TaskId};
use turno_core::issue::{IssueDraft, Priority};
use turno_core::ledger::{Allowance, Level};
use turno_core::shift::joined_phrase;
use turno_core::units::{MicroUsd, Span};
use utoipa::ToSchema;

use super::{Body, Id};
use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::decision::DecisionView;
use crate::view::issue::IssueText;
use crate::workspace::{Edit, Wish};

/// A new issue.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIssue {
    /// One line.
    title: String,
    /// What is wanted, in Markdown.
    #[serde(default)]
    body: String,
    /// What must be true afterwards.
    #[serde(default)]
    acceptance: Vec<String>,
    /// `urgent`, `high`, `normal` or `low`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    priority: Priority,
    /// Free words.
    #[serde(default)]
    labels: Vec<String>,
    /// The repository it is about; absent: the one that holds `turno.toml`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    repo: RepoName,
    /// Issues that must be done first.
    #[serde(default)]
    #[schema(value_type = Option<Vec<u32>>)]
    needs: Vec<IssueId>,
}

/// Text goes on to programs, and none of them can be given a NUL.
pub(super) fn text<'t>(texts: impl IntoIterator<Item = &'t String>) -> Result<(), Problem> {
    if texts.into_iter().any(|t| t.contains('\0')) {
        return Err(Problem::BadRequest(
            "a text must not hold a NUL character".to_owned(),
        ));
    }
    Ok(())
}

/// Files an issue.
#[utoipa::path(post, path = "/api/issues", tag = "changes", request_body = NewIssue,
    responses((status = 201, body = IssueText), (status = 409, body = ProblemBody)))]
pub(crate) async fn file(
    State(app): State<Shared>,
    Body(new): Body<NewIssue>,
) -> Result<(StatusCode, Json<IssueText>), Problem> {
    text(
        [&new.title, &new.body]
            .into_iter()
            .chain(&new.acceptance)
            .chain(&new.labels),
    )?;
    let draft = IssueDraft {
        title: new.title,
        body: new.body,
        acceptance: new.acceptance,
        priority: new.priority,
        labels: new.labels,
        repo: new.repo,
        needs: new.needs.into_iter().collect(),
        ..IssueDraft::default()
    };
    let state = app.take(Wish::File(Box::new(draft.clone()))).await?;
    // The last one with that very text: somebody else may have filed one at the same moment.
    let filed = state.issues.values().rev().find(|i| i.draft == draft);
    let filed = filed.ok_or_else(|| Problem::Bug("the issue was filed and is not there".to_owned()))?;
    Ok((StatusCode::CREATED, Json(filed.as_ref().into())))
}

/// What of an issue changes; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueEdit {
    /// One line.
    title: Option<String>,
    /// What is wanted, in Markdown.
    body: Option<String>,
    /// What must be true afterwards.
    acceptance: Option<Vec<String>>,
    /// `urgent`, `high`, `normal` or `low`.
    #[schema(value_type = Option<String>)]
    priority: Option<Priority>,
    /// Free words.
    labels: Option<Vec<String>>,
}

/// Edits an issue that is not being worked on.
#[utoipa::path(patch, path = "/api/issues/{id}", tag = "changes", request_body = IssueEdit,
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = IssueText), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn edit(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Body(edit): Body<IssueEdit>,
) -> Result<Json<IssueText>, Problem> {
    let lists = edit.acceptance.iter().chain(&edit.labels).flatten();
    text(edit.title.iter().chain(&edit.body).chain(lists))?;
    let edit = Edit {
        title: edit.title,
        body: edit.body,
        acceptance: edit.acceptance,
        priority: edit.priority,
        labels: edit.labels,
    };
    let state = app.take(Wish::Edit { issue, edit }).await?;
    let edited = state.issues.get(&issue);
    let edited = edited.ok_or_else(|| Problem::no_such("issue", issue))?;
    Ok(Json(edited.as_ref().into()))
}

/// Why something is not wanted any more.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    /// In a line.
    why: String,
}

/// What was asked for is done and committed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Done {
    /// In words.
    done: String,
}

pub(super) fn done(done: String) -> Json<Done> {
    Json(Done { done })
}

/// Closes an issue that is not wanted any more.
#[utoipa::path(post, path = "/api/issues/{id}/close", tag = "changes", request_body = Why,
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = Done), (status = 409, body = ProblemBody)))]
pub(crate) async fn close(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Body(Why { why }): Body<Why>,
) -> Result<Json<Done>, Problem> {
    text([&why])?;
    app.take(Wish::Close { issue, why }).await?;
    Ok(done(format!("issue {issue} is closed")))
}

/// Puts an issue of the backlog into the shift that runs. It starts no shift: that is typed in a terminal.
#[utoipa::path(post, path = "/api/issues/{id}/start", tag = "changes",
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = Done), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn start(State(app): State<Shared>, Id(issue): Id<IssueId>) -> Result<Json<Done>, Problem> {
    let state = app.take(Wish::Join { issue }).await?;
    Ok(done(joined_phrase(&state, issue)))
}

/// Gives up an issue. Its commits are kept.
#[utoipa::path(post, path = "/api/issues/{id}/discard", tag = "changes",
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = Done), (status = 409, body = ProblemBody)))]
pub(crate) async fn discard_issue(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
) -> Result<Json<Done>, Problem> {
    app.take(Wish::Discard(Discard::Issue(issue))).await?;
    Ok(done(format!("issue {issue} is given up")))
}

/// Gives up a task. Its commits are kept.
#[utoipa::path(post, path = "/api/tasks/{id}/discard", tag = "changes",
    params(("id" = String, Path, description = "like 7.2")),
    responses((status = 200, body = Done), (status = 409, body = ProblemBody)))]
pub(crate) async fn discard_task(
    State(app): State<Shared>,
    Id(task): Id<TaskId>,
) -> Result<Json<Done>, Problem> {
    app.take(Wish::Discard(Discard::Task(task))).await?;
    Ok(done(format!("task {task} is given up")))
}

/// An answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// An option's label, or other words.
    answer: String,
}

/// Answers a question.
#[utoipa::path(post, path = "/api/decisions/{id}/answer", tag = "changes", request_body = Answer,
    params(("id" = String, Path, description = "like d1 or 1")),
    responses((status = 200, body = DecisionView), (status = 409, body = ProblemBody)))]
pub(crate) async fn answer(
    State(app): State<Shared>,
    Id(decision): Id<DecisionId>,
    Body(Answer { answer }): Body<Answer>,
) -> Result<Json<DecisionView>, Problem> {
    text([&answer])?;
    let state = app.take(Wish::Answer { decision, answer }).await?;
    let answered = state.decisions.get(&decision);
    let answered = answered.ok_or_else(|| Problem::no_such("question", decision))?;
    Ok(Json(DecisionView::of(answered)))
}

/// How a shift is stopped.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// Nothing new is started, what runs may finish.
    Drain,
    /// What runs is stopped and its work kept.
    Now,
}

/// The end of a shift.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    /// How.
    how: How,
}

/// Stops the running shift.
#[utoipa::path(post, path = "/api/shifts/current/stop", tag = "changes", request_body = Stop,
    responses((status = 200, body = Done), (status = 409, body = ProblemBody)))]
pub(crate) async fn stop(
    State(app): State<Shared>,
    Body(Stop { how }): Body<Stop>,
) -> Result<Json<Done>, Problem> {
    let (how, words) = match how {
        How::Drain => (StopHow::Drain, "nothing new is started, what runs may finish"),
        How::Now => (StopHow::Now, "what runs is stopped and its work kept"),
    };
    app.take(Wish::Stop(how)).await?;
    Ok(done(words.to_owned()))
}

/// Another limit for a level of the ledger. What is absent is as it was.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBudget {
    /// Which, like `day/2026-03-31`, `shift/S1`, `issue/1`, `task/1.2`.
    #[schema(value_type = String)]
    level: Level,
    /// US dollars, like `2.50`.
    usd: Option<String>,
    /// Tokens of every kind.
    tokens: Option<u64>,
    /// The time that agents work, added up, in milliseconds.
    wall_ms: Option<u64>,
    /// Answers of a model.
    turns: Option<u32>,
}

/// Sets another limit for a level of the ledger.
#[utoipa::path(post, path = "/api/budget", tag = "changes", request_body = NewBudget,
    responses((status = 200, body = Done), (status = 409, body = ProblemBody)))]
pub(crate) async fn budget(
    State(app): State<Shared>,
    Body(new): Body<NewBudget>,
) -> Result<Json<Done>, Problem> {
    let allowance = Allowance {
        usd: new.usd.as_deref().map(str::parse::<MicroUsd>).transpose()?,
        tokens: new.tokens,
        wall: new.wall_ms.map(Span),
        turns: new.turns,
    };
    let level = new.level;
    let words = level.phrase();
    app.take(Wish::Budget { level, allowance }).await?;
    Ok(done(format!("{words} has another budget")))
}
