//! Owns what a person may change in a plan, as typed edits. Whether they are sound is `edit/check.rs`'s.

mod check;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::TaskId;
use crate::issue::{Issue, IssueStage};
use crate::outcome::PlannedTask;
use crate::task::TaskSpec;

pub use check::check;

/// How often the plan of an issue has changed. Whoever changes it says which one they saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanVersion(pub u32);

impl fmt::Display for PlanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PlanVersion {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One thing that a person changes in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanEdit {
    /// A new task. Its key is a name for the needs of other tasks of the same request.
    Add(Box<PlannedTask>),
    /// These in place of one; what needs that one needs all of these.
    Split {
        /// Which.
        task: TaskId,
        /// Into what.
        into: Vec<PlannedTask>,
        /// What becomes of an attempt that runs for it.
        running: Running,
    },
    /// Other words, paths or needs for one.
    Change {
        /// Which.
        task: TaskId,
        /// What of it changes.
        to: Box<TaskChange>,
        /// What becomes of an attempt that runs for it.
        running: Running,
    },
    /// One is given up. Its work is kept.
    Drop {
        /// Which.
        task: TaskId,
        /// What becomes of those that need it.
        dependants: Dependants,
    },
    /// These are begun in this order, before others of issues of the same priority.
    Order(Vec<TaskId>),
}

/// What of a task changes; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskChange {
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brief: Option<String>,
    /// What must be true afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Vec<String>>,
    /// Tasks that must be landed first: ids, or keys of the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// Path globs it may write; empty means anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touches: Option<Vec<String>>,
}

/// What becomes of an attempt that runs for a task that is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Running {
    /// It comes to its end; a writer's turn with the new words follows.
    #[default]
    Finish,
    /// It is stopped and its work kept; a writer's turn with the new words follows at once.
    Stop,
}

/// What becomes of tasks that need one that is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependants {
    /// It is not dropped while there are any.
    #[default]
    Keep,
    /// They need what it needed.
    Rewire,
}

/// Who put a task into its plan, or had the last word on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An author, a check, or the way its issue is split.
    #[default]
    Team,
    /// A person. No author takes it back.
    Person,
}

/// What is wrong with a request, and with which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Which edit, counted from 0.
    pub edit: usize,
    /// A sentence for the person.
    pub why: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What a sound request comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    /// New tasks, with their ids, in their order.
    pub added: Vec<(TaskId, TaskSpec)>,
    /// Tasks there are, as they are to be from now on.
    pub specs: BTreeMap<TaskId, TaskSpec>,
    /// Those whose words change, so that no work on the old ones lands.
    pub reworded: Vec<(TaskId, Running)>,
    /// Tasks that are given up, and why.
    pub dropped: Vec<(TaskId, String)>,
}

impl PlanEdit {
    fn splits(&self) -> Option<TaskId> {
        match self {
            Self::Split { task, .. } => Some(*task),
            Self::Add(_) | Self::Change { .. } | Self::Order(_) | Self::Drop { .. } => None,
        }
    }

    fn drops(&self) -> Option<TaskId> {
        match self {
            Self::Drop { task, .. } => Some(*task),
            Self::Add(_) | Self::Change { .. } | Self::Order(_) | Self::Split { .. } => None,
        }
    }

    /// What it does, for people: `split 7.1`.
    pub fn phrase(&self) -> String {
        match self {
            Self::Add(task) => format!("add \"{}\"", task.title.trim()),
            Self::Split { task, into, .. } => format!("split {task} into {} tasks", into.len()),
            Self::Change { task, .. } => format!("edit {task}"),
            Self::Drop { task, .. } => format!("drop {task}"),
            Self::Order(tasks) => {
                let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
                format!("begin {} in this order", tasks.join(", "))
            }
        }
    }
}

/// Why the plan of an issue cannot be changed, if it cannot.
pub fn closed(issue: &Issue) -> Option<String> {
    let id = issue.id;
    match &issue.stage {
        IssueStage::Backlog | IssueStage::Opening { .. } => Some(format!(
            "issue {id} has no plan yet: it gets one when a shift takes it up (`turno run {id}`); until then say what \
             is wanted with `turno issue edit {id}`"
        )),
        _ if issue.promotion.is_some() => Some(format!("issue {id} is being promoted at this moment")),
        IssueStage::Working { .. } | IssueStage::Review { .. } => None,
        IssueStage::Done { .. } | IssueStage::Closed { .. } => Some(format!(
            "issue {id} is over; file a new one with `turno issue add`"
        )),
    }
}
