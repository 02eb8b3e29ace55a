//! Owns issues and tasks, and what they have changed.

use axum::Json;
use axum::extract::State;
use std::collections::BTreeSet;

use turno_core::conversation::conversation;
use turno_core::explain::explain;
use turno_core::ids::{AttemptId, IssueId, TaskId};
use turno_core::record::Record;
use turno_core::state::Entity;
use turno_engine::run::now;

use super::Id;
use crate::error::{Problem, ProblemBody};
use crate::routes::{App, Shared};
use crate::view::issue::{IssuePage, issue as issue_view};
use crate::view::task::{TaskPage, Told, task as task_view};
use crate::view::things::DiffView;
use crate::workspace::Subject;

/// No diff is shown in more bytes.
const DIFF: usize = 4 << 20;

/// An issue with its graph of tasks, handoffs, findings, landings, questions and attempts.
#[utoipa::path(get, path = "/api/issues/{id}", tag = "views", params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = IssuePage), (status = 404, body = ProblemBody)))]
pub(crate) async fn issue(
    State(app): State<Shared>,
    Id(id): Id<IssueId>,
) -> Result<Json<IssuePage>, Problem> {
    let page = app.heavy(move |app| {
        let seen = app.seen();
        if !seen.state.issues.contains_key(&id) {
            return Err(Problem::no_such("issue", id));
        }
        let attempts = app.attempts(&seen)?;
        issue_view(&seen.state, seen.head, id, attempts, now()).ok_or_else(|| Problem::no_such("issue", id))
    });
    page.await.map(Json)
}

/// A task with its findings, questions, attempts, conversation and history.
#[utoipa::path(get, path = "/api/tasks/{id}", tag = "views", params(("id" = String, Path, description = "like 7.2")),
    responses((status = 200, body = TaskPage), (status = 404, body = ProblemBody)))]
pub(crate) async fn task(State(app): State<Shared>, Id(id): Id<TaskId>) -> Result<Json<TaskPage>, Problem> {
    let page = app.heavy(move |app| {
        let seen = app.seen();
        if !seen.state.tasks.contains_key(&id) {
            return Err(Problem::no_such("task", id));
        }
        let mut about = About::of(id);
        let mut records = Vec::new();
        app.mirror.each_record(|record| {
            if about.is(record) {
                records.push(record.clone());
            }
        })?;
        let told = Told {
            attempts: app.attempts(&seen)?,
            conversation: conversation(&records, id),
            history: explain(&records, id),
        };
        task_view(&seen.state, seen.head, id, told, &app.mirror.doing())
            .ok_or_else(|| Problem::no_such("task", id))
    });
    page.await.map(Json)
}

/// Which records are about a task, so that no more than those are held at once.
struct About {
    task: TaskId,
    attempts: BTreeSet<AttemptId>,
}

impl About {
    fn of(task: TaskId) -> Self {
        Self {
            task,
            attempts: BTreeSet::new(),
        }
    }

    fn is(&mut self, record: &Record) -> bool {
        let mut touched = false;
        for change in &record.changes {
            if let Entity::Task(task) = change
                && task.id == self.task
            {
                touched = true;
                self.attempts.extend(task.run().map(|r| r.attempt));
            }
            if let Entity::Decision(decision) = change {
                touched |= decision.task == self.task;
            }
        }
        touched || record.event.attempt().is_some_and(|a| self.attempts.contains(&a))
    }
}

async fn diff(app: &Shared, of: Subject) -> Result<Json<DiffView>, Problem> {
    let diff = app.heavy(move |app| app.workspace.diff(&app.seen().state, of, DIFF));
    Ok(Json(diff.await?.into()))
}

/// What an issue has landed.
#[utoipa::path(get, path = "/api/issues/{id}/diff", tag = "views", params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = DiffView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn issue_diff(
    State(app): State<Shared>,
    Id(id): Id<IssueId>,
) -> Result<Json<DiffView>, Problem> {
    exists(&app, id)?;
    diff(&app, Subject::Issue(id)).await
}

fn exists(app: &App, id: IssueId) -> Result<(), Problem> {
    let known = app.seen().state.issues.contains_key(&id);
    known.then_some(()).ok_or_else(|| Problem::no_such("issue", id))
}

/// What a task has written so far.
#[utoipa::path(get, path = "/api/tasks/{id}/diff", tag = "views", params(("id" = String, Path, description = "like 7.2")),
    responses((status = 200, body = DiffView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn task_diff(
    State(app): State<Shared>,
    Id(id): Id<TaskId>,
) -> Result<Json<DiffView>, Problem> {
    if !app.seen().state.tasks.contains_key(&id) {
        return Err(Problem::no_such("task", id));
    }
    diff(&app, Subject::Task(id)).await
}
