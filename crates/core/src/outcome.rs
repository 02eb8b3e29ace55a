//! Owns what an agent returns: the typed outcome of each role. Text from agents is data and stays data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth a word; does not hold the change back.
    Note,
    /// Must be mended before landing.
    Major,
    /// Wrong, unsafe or loses data.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Major => "major",
            Self::Critical => "critical",
        })
    }
}

/// One thing that is wrong, and how to see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Path within the repository.
    pub file: String,
    /// Line in that file, counted from 1; 0 means the file as a whole.
    #[serde(default)]
    pub line: u32,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// How to see it: a command, an input, a line of reasoning.
    #[serde(default)]
    pub how_to_see: String,
}

/// A reviewer's or tester's answer on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing that holds the change back; `notes` are kept, not sent back.
    Approve {
        /// Remarks below the bar.
        notes: Vec<Finding>,
    },
    /// At least one thing to mend.
    Findings {
        /// What to mend; never empty in a valid verdict.
        findings: Vec<Finding>,
    },
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Name within the plan, used by `needs`.
    pub key: String,
    /// One line.
    pub title: String,
    /// What is to be done.
    pub brief: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// Keys of tasks that must be landed first.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Path globs it may write.
    #[serde(default)]
    pub touches: Vec<String>,
}

/// The typed end of an agent's run. Each role has one kind; another kind is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An author's split of an issue.
    Plan {
        /// The tasks.
        tasks: Vec<PlannedTask>,
    },
    /// An engineer's account of what was changed.
    Change {
        /// What was done, for the commit message and the reviewer's context.
        summary: String,
        /// How the writer saw that it works.
        evidence: Vec<String>,
        /// What is left open.
        open_questions: Vec<String>,
    },
    /// A reviewer's or tester's verdict.
    Verdict {
        /// The verdict.
        verdict: Verdict,
        /// What was read to reach it.
        read: Vec<String>,
    },
    /// An author's word on whether an issue is done.
    Acceptance {
        /// What is still missing; empty when it is done.
        missing: Vec<String>,
    },
}

/// Which outcome is asked for. It picks the schema that the agent is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeKind {
    /// [`Outcome::Plan`]
    Plan,
    /// [`Outcome::Change`]
    Change,
    /// [`Outcome::Verdict`]
    Verdict,
    /// [`Outcome::Acceptance`]
    Acceptance,
}

impl Outcome {
    /// Which kind it is.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Plan { .. } => OutcomeKind::Plan,
            Self::Change { .. } => OutcomeKind::Change,
            Self::Verdict { .. } => OutcomeKind::Verdict,
            Self::Acceptance { .. } => OutcomeKind::Acceptance,
        }
    }
}
