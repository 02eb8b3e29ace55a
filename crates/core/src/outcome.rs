//! Owns what an agent returns: the typed outcome of each role. Text from agents is data and stays data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ProposalId, TaskId};
use crate::persona::Role;

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

/// How much work a task is, as its author sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// Minutes.
    Small,
    /// Up to about half an hour.
    #[default]
    Medium,
    /// About an hour; more should be split.
    Large,
}

/// A task that somebody on the team thinks is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// One line.
    pub title: String,
    /// What is to be done.
    pub brief: String,
    /// Why it is needed.
    pub why: String,
    /// Path globs it would write, as far as that is known.
    #[serde(default)]
    pub touches: Vec<String>,
}

/// What an author makes of a proposed task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalAnswer {
    /// Which proposal.
    pub proposal: ProposalId,
    /// What becomes of it.
    pub verdict: ProposalVerdict,
    /// Why.
    pub reason: String,
}

/// What becomes of a proposed task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalVerdict {
    /// It becomes the task of that key in the same plan.
    Accept {
        /// The key.
        key: String,
    },
    /// It becomes part of a task that has not begun.
    Merge {
        /// Which.
        into: TaskId,
    },
    /// Nothing.
    Decline,
}

/// A task that an author gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDrop {
    /// Which; it must be parked.
    pub task: TaskId,
    /// Keys of the tasks of the same plan that do its work; what needed it needs them.
    #[serde(default)]
    pub replaced_by: Vec<String>,
    /// Why, and what replaces it.
    pub reason: String,
}

/// Something that a piece of work taught, for later work on the same paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonDraft {
    /// The lesson, in one or two sentences.
    pub text: String,
    /// Globs of the paths it concerns; never empty in a valid lesson.
    pub paths: Vec<String>,
    /// What showed it.
    pub evidence: String,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Name within the plan, used by `needs`.
    pub key: String,
    /// Who writes it: an engineer, or a tester where it is tests alone.
    #[serde(default)]
    pub writer: Role,
    /// How much work it is.
    #[serde(default)]
    pub size: Size,
    /// One line.
    pub title: String,
    /// What is to be done.
    pub brief: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// Keys of tasks of this plan, or ids of earlier tasks, that must be landed first.
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
        /// What becomes of proposed tasks.
        #[serde(default)]
        answers: Vec<ProposalAnswer>,
        /// Parked tasks that are given up.
        #[serde(default)]
        drops: Vec<PlannedDrop>,
    },
    /// An engineer's account of what was changed.
    Change {
        /// What was done, for the commit message and the reviewer's context.
        summary: String,
        /// How the writer saw that it works.
        evidence: Vec<String>,
        /// What is left open.
        open_questions: Vec<String>,
        /// Tasks that turned out to be needed.
        #[serde(default)]
        proposals: Vec<Proposed>,
        /// What the work taught.
        #[serde(default)]
        lessons: Vec<LessonDraft>,
    },
    /// A reviewer's or tester's verdict.
    Verdict {
        /// The verdict.
        verdict: Verdict,
        /// What was read to reach it.
        read: Vec<String>,
        /// Protected paths whose change the reviewer has looked at and approves.
        #[serde(default)]
        protected: Vec<String>,
        /// Tasks that turned out to be needed.
        #[serde(default)]
        proposals: Vec<Proposed>,
        /// What the work taught.
        #[serde(default)]
        lessons: Vec<LessonDraft>,
    },
    /// A reviewer's choice among candidates.
    Choice {
        /// Which; absent when none is good enough.
        winner: Option<TaskId>,
        /// Why this one, or why none.
        why: String,
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
    /// [`Outcome::Choice`]
    Choice,
}

impl Outcome {
    /// A change, described by its summary alone.
    pub fn change(summary: impl Into<String>) -> Self {
        Self::Change {
            summary: summary.into(),
            evidence: Vec::new(),
            open_questions: Vec::new(),
            proposals: Vec::new(),
            lessons: Vec::new(),
        }
    }

    /// A verdict and nothing else.
    pub fn verdict(verdict: Verdict) -> Self {
        Self::Verdict {
            verdict,
            read: Vec::new(),
            protected: Vec::new(),
            proposals: Vec::new(),
            lessons: Vec::new(),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Plan { .. } => OutcomeKind::Plan,
            Self::Change { .. } => OutcomeKind::Change,
            Self::Verdict { .. } => OutcomeKind::Verdict,
            Self::Acceptance { .. } => OutcomeKind::Acceptance,
            Self::Choice { .. } => OutcomeKind::Choice,
        }
    }
}
