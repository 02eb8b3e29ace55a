//! Owns what a persona is told, as typed data. The persona's template turns it into words; the engine renders it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::check::CheckResult;
use crate::guard::Guarded;
use crate::ids::{CommitId, IssueId, PersonaName, ProposalId, RemarkId, TaskId};
use crate::outcome::{Finding, LessonDraft, OutcomeKind, Proposed};
use crate::plan::edit::Origin;
use crate::policy::NewTestsRule;
use crate::task::{Because, Handoff, Park, PlanBecause, Proof, Trial};

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
    /// Add tests to the change, and try to break it.
    Test {
        /// The commit to try.
        commit: CommitId,
        /// What to compare it with.
        base: CommitId,
        /// What the checks showed.
        proof: Proof,
        /// Globs of the paths it may write.
        test_paths: Vec<String>,
        /// What its tests must show.
        rule: NewTestsRule,
    },
    /// Choose the best of several changes for the same task.
    Compare {
        /// The commit they began from.
        base: CommitId,
        /// The candidates. Nobody is told who wrote which.
        candidates: Vec<CandidateBrief>,
    },
    /// Split the issue into tasks.
    Plan {
        /// Why.
        because: PlanBecause,
        /// The commands that will be run on each change.
        checks: Vec<String>,
        /// How many tasks the issue may still get.
        room: u16,
        /// The tasks there are.
        tasks: Vec<TaskLine>,
        /// Proposed tasks to be answered.
        proposals: Vec<ProposalBrief>,
    },
    /// Go through the acceptance list on the integration branch.
    Try {
        /// Its head.
        head: CommitId,
        /// Where it began.
        base: CommitId,
    },
    /// Say what is still missing.
    Accept {
        /// The integration head.
        head: CommitId,
        /// Where it began.
        base: CommitId,
        /// The tasks there are.
        tasks: Vec<TaskLine>,
        /// What a tester found.
        trial: Trial,
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
        /// Paths it changes, and names of what has no path, that need an explicit approval.
        #[serde(default)]
        protected: BTreeSet<String>,
        /// What was found about it that a reviewer or a person must let pass, but for paths that are protected by name.
        #[serde(default)]
        guards: Vec<Guarded>,
    },
}

impl Ask {
    /// The outcome that is asked for.
    pub fn outcome(&self) -> OutcomeKind {
        match self {
            Self::Write { .. } => OutcomeKind::Change,
            Self::Test { .. } | Self::Try { .. } | Self::Review { .. } => OutcomeKind::Verdict,
            Self::Compare { .. } => OutcomeKind::Choice,
            Self::Plan { .. } => OutcomeKind::Plan,
            Self::Accept { .. } => OutcomeKind::Acceptance,
        }
    }
}

/// One of several changes for the same task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateBrief {
    /// Its task.
    pub task: TaskId,
    /// The commit.
    pub commit: CommitId,
    /// What the checks showed.
    pub proof: Proof,
    /// Paths it changes.
    pub paths: BTreeSet<String>,
}

/// How a task stands, for the author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nobody has begun it.
    Waiting,
    /// Somebody is at it.
    AtWork,
    /// It waits for a person.
    Parked {
        /// Why.
        why: Park,
    },
    /// It is on the integration branch.
    Landed {
        /// What it left.
        handoff: Handoff,
    },
    /// It was given up.
    Dropped {
        /// Why.
        why: String,
    },
}

/// A task as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLine {
    /// Its id.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// Path globs it may write.
    pub touches: Vec<String>,
    /// How it stands.
    pub standing: Standing,
    /// Whose it is: what is a person's no author takes back.
    #[serde(default)]
    pub by: Origin,
}

/// A proposed task, for the author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalBrief {
    /// Its id.
    pub id: ProposalId,
    /// The persona that proposed it.
    pub by: PersonaName,
    /// While working on which task.
    pub during: TaskId,
    /// What is proposed.
    pub proposed: Proposed,
}

/// An answer to a question that was asked for this task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerBrief {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// What a landed task left that this one needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffBrief {
    /// Its id.
    pub task: TaskId,
    /// What it left.
    pub handoff: Handoff,
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
    /// What the tasks it needs have left.
    #[serde(default)]
    pub handoffs: Vec<HandoffBrief>,
    /// Who else is at work on the same issue.
    #[serde(default)]
    pub others: Vec<TaskLine>,
    /// Questions that were asked for this task and answered.
    #[serde(default)]
    pub answers: Vec<AnswerBrief>,
    /// Lessons that a person has kept, about the paths it may write.
    #[serde(default)]
    pub lessons: Vec<LessonDraft>,
    /// What people said about the task and it has not been told yet, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<RemarkBrief>,
}

/// What a person said about the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemarkBrief {
    /// Its number within the task.
    pub id: RemarkId,
    /// Where, and the words.
    pub finding: Finding,
    /// The commit that the person looked at; absent where it was said of no state in particular.
    pub commit: Option<CommitId>,
}

/// The results of a proof, for people and prompts.
pub fn proof_results(proof: &Proof) -> &[CheckResult] {
    match proof {
        Proof::Checked(report) => &report.results,
        Proof::NoChecks => &[],
    }
}
