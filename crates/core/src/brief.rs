//! Owns what a persona is told, as typed data. The persona's template turns it into words; the engine renders it.

use serde::{Deserialize, Serialize};

use crate::check::CheckResult;
use crate::ids::{CommitId, IssueId, TaskId};
use crate::outcome::Finding;
use crate::task::{Because, Proof};

/// The issue, as the person wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueBrief {
    /// Its id.
    pub id: IssueId,
    /// One line.
    pub title: String,
    /// What is wanted.
    pub body: String,
}

/// The task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskBrief {
    /// Its id.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// What is to be done.
    pub brief: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// Path globs it may write; empty means anywhere.
    pub touches: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Write the change.
    Write {
        /// Why it is the writer's turn.
        because: Because,
        /// The commands that will be run on it.
        checks: Vec<String>,
    },
    /// Judge the change. The writer's opinion of itself is not part of it.
    Review {
        /// The commit to judge.
        commit: CommitId,
        /// What to compare it with.
        base: CommitId,
        /// What the checks showed.
        proof: Proof,
        /// Findings of earlier rounds: each must be answered.
        earlier: Vec<Finding>,
    },
}

/// Everything a persona is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The issue.
    pub issue: IssueBrief,
    /// The task.
    pub task: TaskBrief,
    /// Which attempt of this persona on this task it is, counted from 1.
    pub round: u32,
    /// What is asked for.
    pub ask: Ask,
}

/// The results of a proof, for people and prompts.
pub fn proof_results(proof: &Proof) -> &[CheckResult] {
    match proof {
        Proof::Checked(report) => &report.results,
        Proof::NoChecks => &[],
    }
}
