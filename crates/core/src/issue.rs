//! Owns issues: what a person asks for, and how far it is.

use serde::{Deserialize, Serialize};

use crate::ids::{CommitId, IssueId};
use crate::units::Timestamp;

/// What a person writes when filing an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueDraft {
    /// One line.
    pub title: String,
    /// What is wanted, in Markdown.
    pub body: String,
    /// What must be true afterwards.
    #[serde(default)]
    pub acceptance: Vec<String>,
    /// Which issues come first.
    #[serde(default)]
    pub priority: Priority,
    /// Free words for people.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// Which work is offered a slot first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Before everything else.
    Urgent,
    /// Before normal work.
    High,
    /// As it comes.
    #[default]
    Normal,
    /// After normal work.
    Low,
}

/// How far an issue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueStage {
    /// Filed, not begun.
    Backlog,
    /// Its tasks are being worked on.
    Working {
        /// Where the integration branch began.
        base: CommitId,
        /// Where it is: `base` until something has landed.
        head: CommitId,
    },
    /// All that was asked for has landed; ready to promote.
    Review {
        /// Where the integration branch began.
        base: CommitId,
        /// Where it is.
        head: CommitId,
    },
    /// Promoted to a branch of the user's.
    Done {
        /// Which branch.
        onto: String,
        /// What that branch then pointed at.
        commit: CommitId,
        /// When.
        at: Timestamp,
    },
    /// Closed or discarded by a person.
    Closed {
        /// Why.
        why: String,
    },
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its id.
    pub id: IssueId,
    /// The person's own words.
    pub draft: IssueDraft,
    /// How far it is.
    pub stage: IssueStage,
    /// When it was filed.
    pub filed: Timestamp,
    /// Number for its next task.
    pub next_task: u16,
}

impl Issue {
    /// Base and head of the integration branch, while there is one that Turno may land on.
    pub fn integration(&self) -> Option<(&CommitId, &CommitId)> {
        match &self.stage {
            IssueStage::Working { base, head } | IssueStage::Review { base, head } => Some((base, head)),
            IssueStage::Backlog | IssueStage::Done { .. } | IssueStage::Closed { .. } => None,
        }
    }
}
