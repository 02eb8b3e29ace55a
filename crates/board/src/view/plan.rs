//! Owns a plan as programs and the forms of a page have it: what each task is to do in full, and what may be changed.

use serde::Serialize;
use turno_core::ids::{IssueId, TaskId};
use turno_core::outcome::Size;
use turno_core::persona::Role;
use turno_core::plan::edit::{Origin, PlanVersion};
use turno_core::plan::view::{Open, PlanTask, PlanView};
use turno_core::view::StageName;
use utoipa::ToSchema;

/// The plan of an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanPage {
    /// Whose.
    #[schema(value_type = u32)]
    pub issue: IssueId,
    /// Which plan this is; whoever changes it says so.
    #[schema(value_type = u32)]
    pub version: PlanVersion,
    /// Why it cannot be changed, if it cannot.
    pub closed: Option<String>,
    /// The tasks, without the issue's own, in the order that a person gave them.
    pub tasks: Vec<PlanTaskView>,
    /// The longest chain of tasks that are not over, the first to be done first.
    #[schema(value_type = Vec<String>)]
    pub critical_path: Vec<TaskId>,
}

/// A task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanTaskView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// What is to be done. It is text from outside.
    pub text: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// Tasks that must be landed first.
    #[schema(value_type = Vec<String>)]
    pub needs: Vec<TaskId>,
    /// Path globs it may write; empty means anywhere.
    pub paths: Vec<String>,
    /// Who writes it.
    #[schema(value_type = String)]
    pub writer: Role,
    /// How much work it is: `small`, `medium` or `large`.
    #[schema(value_type = String)]
    pub size: Size,
    /// Whose it is: `team` or `person`. What is a person's no author takes back.
    #[schema(value_type = String)]
    pub by: Origin,
    /// Where it is.
    #[schema(value_type = String)]
    pub stage: StageName,
    /// What is next or under way, in words.
    pub detail: String,
    /// Why it does not run, if it does not and is not over.
    pub waiting: Option<String>,
    /// What may still be changed: `everything`, `words` (not what it needs), `running` (the same, and something runs for
    /// it) or `nothing`.
    #[schema(value_type = String)]
    pub open: Open,
    /// Whether it is on the critical path.
    pub critical: bool,
}

impl From<PlanView> for PlanPage {
    fn from(plan: PlanView) -> Self {
        Self {
            issue: plan.issue,
            version: plan.version,
            closed: plan.closed,
            tasks: plan.tasks.into_iter().map(Into::into).collect(),
            critical_path: plan.critical_path,
        }
    }
}

impl From<PlanTask> for PlanTaskView {
    fn from(task: PlanTask) -> Self {
        Self {
            id: task.id,
            title: task.title,
            text: task.text,
            acceptance: task.acceptance,
            needs: task.needs,
            paths: task.paths,
            writer: task.writer,
            size: task.size,
            by: task.by,
            stage: task.stage,
            detail: task.detail,
            waiting: task.waiting,
            open: task.open,
            critical: task.critical,
        }
    }
}
