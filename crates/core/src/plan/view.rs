//! Owns a plan as it is shown and edited: every task with what it is to do and what may still be changed of it.
//! Derived from the state, never stored.

use serde::{Deserialize, Serialize};

use super::edit::{Origin, PlanVersion, closed};
use super::is_unbegun;
use crate::State;
use crate::board::critical_path;
use crate::ids::{IssueId, TaskId};
use crate::outcome::Size;
use crate::persona::Role;
use crate::task::Task;
use crate::view::{self, StageName, waiting_phrase};

/// The plan of an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Whose.
    pub issue: IssueId,
    /// One line.
    pub title: String,
    /// Which plan this is; whoever changes it says so.
    pub version: PlanVersion,
    /// Why it cannot be changed, if it cannot.
    pub closed: Option<String>,
    /// The tasks, without the issue's own.
    pub tasks: Vec<PlanTask>,
    /// The longest chain of tasks that are not over, the first to be done first.
    pub critical_path: Vec<TaskId>,
}

/// A task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTask {
    /// Its id.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// What is to be done.
    pub text: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// Tasks that must be landed first.
    pub needs: Vec<TaskId>,
    /// Path globs it may write; empty means anywhere.
    pub paths: Vec<String>,
    /// Who writes it.
    pub writer: Role,
    /// How much work it is.
    pub size: Size,
    /// Whose it is.
    pub by: Origin,
    /// Where it is.
    pub stage: StageName,
    /// What is next or under way, in words.
    pub detail: String,
    /// Why it does not run, if it does not and is not over.
    pub waiting: Option<String>,
    /// What may still be changed of it.
    pub open: Open,
    /// Whether it is on the critical path.
    pub critical: bool,
}

/// What may still be changed of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Open {
    /// Everything.
    Everything,
    /// All but what it needs: it has begun.
    Words,
    /// The same, and an attempt runs for it.
    Running,
    /// Nothing: it has landed, or is given up.
    Nothing,
}

impl Open {
    /// What may be changed of a task.
    pub fn of(task: &Task) -> Self {
        if task.is_over() || task.id.is_lead() {
            Self::Nothing
        } else if task.run().is_some() {
            Self::Running
        } else if is_unbegun(task) {
            Self::Everything
        } else {
            Self::Words
        }
    }
}

/// The plan of an issue, in the order of its tasks' ranks and numbers.
pub fn plan(state: &State, id: IssueId) -> Option<PlanView> {
    let issue = state.issues.get(&id)?;
    let seen = view::issue(state, id)?;
    let path = critical_path(state, id);
    let mut tasks: Vec<(u16, PlanTask)> = state
        .pieces_of(id)
        .filter_map(|task| {
            let view = seen.tasks.iter().find(|t| t.id == task.id)?;
            let shown = PlanTask {
                id: task.id,
                title: task.spec.title.clone(),
                text: task.spec.brief.clone(),
                acceptance: task.spec.acceptance.clone(),
                needs: task.spec.needs.iter().copied().collect(),
                paths: task.spec.touches.clone(),
                writer: task.spec.writer,
                size: task.spec.size,
                by: task.spec.by,
                stage: view.stage,
                detail: view.detail.clone(),
                waiting: view.waiting.as_ref().map(waiting_phrase),
                open: Open::of(task),
                critical: path.contains(&task.id),
            };
            Some((task.spec.rank.unwrap_or(u16::MAX), shown))
        })
        .collect();
    tasks.sort_by_key(|(rank, task)| (*rank, task.id));
    Some(PlanView {
        issue: id,
        title: issue.draft.title.clone(),
        version: issue.plan.version,
        closed: closed(issue),
        tasks: tasks.into_iter().map(|(_, task)| task).collect(),
        critical_path: path,
    })
}
