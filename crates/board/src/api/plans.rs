//! Owns the plan of an issue: what it is, and what a person changes in it. Whether a change is sound the core says.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turno_core::ids::{IssueId, TaskId};
use turno_core::outcome::{PlannedTask, Size};
use turno_core::persona::Role;
use turno_core::plan::edit::{Dependants, PlanEdit, PlanVersion, Running, TaskChange};
use turno_core::plan::view::plan as plan_view;
use utoipa::ToSchema;

use super::{Body, Id};
use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::plan::PlanPage;
use crate::workspace::Wish;

/// The plan of an issue, with the version that a change of it names.
#[utoipa::path(get, path = "/api/issues/{id}/plan", tag = "views", params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = PlanPage), (status = 404, body = ProblemBody)))]
pub(crate) async fn plan(State(app): State<Shared>, Id(id): Id<IssueId>) -> Result<Json<PlanPage>, Problem> {
    page(&app.seen().state, id)
}

fn page(state: &turno_core::State, id: IssueId) -> Result<Json<PlanPage>, Problem> {
    let plan = plan_view(state, id).ok_or_else(|| Problem::no_such("issue", id))?;
    Ok(Json(plan.into()))
}

/// Changes of a plan: all of them are made, or none.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanEdits {
    /// The version of the plan that was seen. If it is another one by now, nothing is changed.
    #[schema(value_type = u32)]
    version: PlanVersion,
    /// The changes, in this order.
    edits: Vec<PlanChange>,
}

/// One change of a plan.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum PlanChange {
    /// A new task.
    Add(NewTask),
    /// These in place of one.
    Split(PlanSplit),
    /// Other words, paths or needs for one.
    Edit(TaskEdit),
    /// One is given up; its work is kept.
    Drop(PlanDrop),
    /// The order in which tasks are begun.
    #[schema(value_type = Vec<String>)]
    Order(Vec<TaskId>),
}

/// A new task.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTask {
    /// A name for the needs of other tasks of the same request.
    #[serde(default)]
    key: String,
    /// One line.
    title: String,
    /// What is to be done.
    #[serde(default)]
    text: String,
    /// What must be true afterwards.
    #[serde(default)]
    acceptance: Vec<String>,
    /// Tasks that must be landed first: ids, or keys of the same request.
    #[serde(default)]
    needs: Vec<String>,
    /// Path globs it may write; empty means anywhere.
    #[serde(default)]
    paths: Vec<String>,
    /// `engineer` or `tester`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    writer: Role,
    /// `small`, `medium` or `large`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    size: Size,
}

/// Several tasks in place of one.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanSplit {
    /// Which.
    #[schema(value_type = String)]
    task: TaskId,
    /// The tasks that replace it.
    into: Vec<NewTask>,
    /// Whether what runs for it is stopped; if not, it is not split while something runs.
    #[serde(default)]
    stop: bool,
}

/// What of a task changes; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TaskEdit {
    /// Which.
    #[schema(value_type = String)]
    task: TaskId,
    /// One line.
    title: Option<String>,
    /// What is to be done.
    text: Option<String>,
    /// What must be true afterwards.
    acceptance: Option<Vec<String>>,
    /// Tasks that must be landed first.
    needs: Option<Vec<String>>,
    /// Path globs it may write.
    paths: Option<Vec<String>>,
    /// Whether what runs for it is stopped, or comes to its end first.
    #[serde(default)]
    stop: bool,
}

/// A task that is given up.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanDrop {
    /// Which.
    #[schema(value_type = String)]
    task: TaskId,
    /// Whether tasks that need it need what it needed; if not, it is not given up while there are any.
    #[serde(default)]
    rewire: bool,
}

impl NewTask {
    fn planned(self, key: String) -> PlannedTask {
        PlannedTask {
            key: if self.key.is_empty() { key } else { self.key },
            writer: self.writer,
            size: self.size,
            title: self.title,
            brief: self.text,
            acceptance: self.acceptance,
            needs: self.needs,
            touches: self.paths,
        }
    }
}

impl PlanChange {
    fn edit(self, at: usize) -> PlanEdit {
        let running = |stop| if stop { Running::Stop } else { Running::Finish };
        match self {
            Self::Add(new) => PlanEdit::Add(Box::new(new.planned(format!("new-{at}")))),
            Self::Split(split) => PlanEdit::Split {
                task: split.task,
                into: (0..)
                    .zip(split.into)
                    .map(|(n, new): (usize, NewTask)| new.planned(format!("part-{at}-{n}")))
                    .collect(),
                running: running(split.stop),
            },
            Self::Edit(edit) => PlanEdit::Change {
                task: edit.task,
                running: running(edit.stop),
                to: Box::new(TaskChange {
                    title: edit.title,
                    brief: edit.text,
                    acceptance: edit.acceptance,
                    needs: edit.needs,
                    touches: edit.paths,
                }),
            },
            Self::Drop(drop) => PlanEdit::Drop {
                task: drop.task,
                dependants: if drop.rewire {
                    Dependants::Rewire
                } else {
                    Dependants::Keep
                },
            },
            Self::Order(tasks) => PlanEdit::Order(tasks),
        }
    }
}

/// Changes a plan, also while a shift works on it.
#[utoipa::path(patch, path = "/api/issues/{id}/plan", tag = "changes", request_body = PlanEdits,
    params(("id" = String, Path, description = "like 7")),
    responses((status = 200, body = PlanPage), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn edit(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Body(asked): Body<PlanEdits>,
) -> Result<Json<PlanPage>, Problem> {
    let edits = asked.edits.into_iter().enumerate();
    let wish = Wish::Plan {
        issue,
        version: asked.version,
        edits: edits.map(|(at, edit)| edit.edit(at)).collect(),
    };
    page(&app.take(wish).await?, issue)
}
