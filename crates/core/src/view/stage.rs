//! Owns the names of stages, as programs and people are shown them.

use serde::{Deserialize, Serialize};

use crate::task::Stage;

/// The name of a stage, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is named as the stage it stands for")]
pub enum StageName {
    Blocked,
    Ready,
    Writing,
    Checking,
    Testing,
    Reviewing,
    Entered,
    Comparing,
    Surveying,
    Planning,
    Trying,
    Accepting,
    Landing,
    Backoff,
    Parked,
    Accepted,
    Landed,
    Dropped,
    /// No stage of a task's: its issue's branch is brought along with the user's.
    Following,
}

impl StageName {
    /// The name of a task's stage.
    pub fn of(stage: &Stage) -> Self {
        match stage {
            Stage::Blocked => Self::Blocked,
            Stage::Ready { .. } => Self::Ready,
            Stage::Writing { .. } => Self::Writing,
            Stage::Checking { .. } => Self::Checking,
            Stage::Testing { .. } => Self::Testing,
            Stage::Reviewing { .. } => Self::Reviewing,
            Stage::Entered { .. } => Self::Entered,
            Stage::Comparing { .. } => Self::Comparing,
            Stage::Surveying { .. } => Self::Surveying,
            Stage::Planning { .. } => Self::Planning,
            Stage::Trying { .. } => Self::Trying,
            Stage::Accepting { .. } => Self::Accepting,
            Stage::Accepted { .. } => Self::Accepted,
            Stage::Landing { .. } => Self::Landing,
            Stage::Backoff { .. } => Self::Backoff,
            Stage::Parked { .. } => Self::Parked,
            Stage::Landed { .. } => Self::Landed,
            Stage::Dropped { .. } => Self::Dropped,
        }
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Writing => "writing",
            Self::Checking => "checking",
            Self::Testing => "testing",
            Self::Reviewing => "reviewing",
            Self::Entered => "entered",
            Self::Comparing => "comparing",
            Self::Surveying => "surveying",
            Self::Planning => "planning",
            Self::Trying => "trying",
            Self::Accepting => "accepting",
            Self::Accepted => "accepted",
            Self::Landing => "landing",
            Self::Backoff => "backoff",
            Self::Parked => "parked",
            Self::Landed => "landed",
            Self::Dropped => "dropped",
            Self::Following => "following",
        }
    }
}
