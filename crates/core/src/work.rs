//! Owns pieces of work: what is to be done next for a task, what was done, and the evidence that goes with it. A
//! review exists only of a proven change, a landing only of an approved one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::check::{CheckReport, CheckResult};
use crate::failure::Failure;
use crate::guard::{Guarded, GuardedBy, GuardedChange};
use crate::ids::{AgentName, AttemptId, CommitId, DecisionId, PersonaName, TaskId, TreeId};
use crate::outcome::{Finding, Verdict};
use crate::progress::Essence;

/// Who wrote or judged something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// In which role.
    pub persona: PersonaName,
    /// Played by which agent.
    pub agent: AgentName,
    /// In which attempt.
    pub attempt: AttemptId,
}

/// A commit that a writer left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The tip of the task's branch.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// What it is apart from white space, held against the head that it began from.
    #[serde(default)]
    pub essence: Essence,
    /// The integration head the work began from.
    pub base: CommitId,
    /// Who wrote it.
    pub writer: Actor,
    /// The writer's own account of it.
    pub summary: String,
    /// How the writer saw that it works.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What the writer left open.
    #[serde(default)]
    pub open_questions: Vec<String>,
    /// Paths that it changes.
    #[serde(default)]
    pub paths: BTreeSet<String>,
    /// What it is.
    #[serde(default)]
    pub kind: ChangeKind,
    /// What was found about it, as a whole and in its commits.
    #[serde(default)]
    pub guards: Vec<Guarded>,
}

/// What a change is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A writer's change as it came.
    #[default]
    Written,
    /// A tester went over it; what tests it added are in it.
    Tested {
        /// Who.
        by: Actor,
        /// The tests it added.
        added: BTreeSet<String>,
    },
    /// Tests that were written before what they test; they must fail.
    TestsFirst,
}

/// Tests that nobody but their tester may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// The commit that holds them.
    pub commit: CommitId,
    /// Their paths.
    pub paths: BTreeSet<String>,
}

/// What one persona leaves the next ones, once its work has landed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// What it was for.
    pub goal: String,
    /// What changed, in the writer's words.
    pub summary: String,
    /// Where.
    pub paths: BTreeSet<String>,
    /// How it was seen to work.
    pub evidence: Vec<String>,
    /// What is left open.
    pub open_questions: Vec<String>,
    /// What was noted on the way, by anybody.
    pub notes: Vec<String>,
}

/// How a tree was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Every check passed at this tree.
    Checked(CheckReport),
    /// The project has no checks and the policy lets it go on.
    NoChecks,
}

/// A change whose checks are green.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The change.
    pub change: Change,
    /// Why it counts as proven.
    pub proof: Proof,
}

/// Why a change may land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// A reviewer approved this very commit.
    Approved {
        /// Who.
        by: Actor,
        /// Remarks below the bar.
        notes: Vec<Finding>,
    },
    /// The policy asks for no review.
    Waived,
}

/// A proven change that may land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The change and its proof.
    pub proven: Proven,
    /// Why it may land.
    pub consent: Consent,
}

/// What has landed beside a change since it was begun: the other side of a conflict or of a breakage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its task.
    pub task: TaskId,
    /// What it was for.
    pub goal: String,
    /// What it changed, in its writer's words.
    pub summary: String,
}

/// One file that could not be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictHunk {
    /// Its path.
    pub file: String,
    /// The conflicting part with its markers, shortened.
    pub text: String,
}

/// Why a writer is given a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// It is new.
    New,
    /// An earlier attempt ended early; its work, if any, is in place.
    Interrupted {
        /// How it ended.
        failure: Failure,
    },
    /// Checks failed, on the change or on the integrated tree.
    ChecksFailed {
        /// The checks that were not green.
        failing: Vec<CheckResult>,
        /// What it was integrated with when they failed, where it was.
        #[serde(default)]
        beside: Vec<Neighbour>,
    },
    /// A reviewer sent it back.
    Findings {
        /// By whom.
        by: Actor,
        /// With what to mend.
        findings: Vec<Finding>,
    },
    /// It does not apply to what has landed meanwhile.
    Conflict {
        /// The commit that does not apply.
        commit: CommitId,
        /// Where.
        hunks: Vec<ConflictHunk>,
        /// The other side: what has landed in these files since it was begun.
        #[serde(default)]
        beside: Vec<Neighbour>,
    },
    /// Tests are to be written before what they test.
    TestsFirst,
    /// The tests it was to write first pass without the work: they test nothing.
    TestsPassAlready,
    /// Tests are there and fail; they are to be made to pass, and are not to be changed.
    MakePass {
        /// The tests.
        frozen: BTreeSet<String>,
        /// What fails.
        failing: Vec<CheckResult>,
    },
    /// It changed what it may not change.
    OutOfBounds {
        /// What.
        paths: BTreeSet<String>,
        /// By which rule.
        rule: Bounds,
    },
    /// Something was found about it that does not land.
    Guarded {
        /// What.
        found: Vec<Guarded>,
        /// Who says so.
        by: GuardedBy,
        /// What kind of change it was.
        change: GuardedChange,
    },
    /// It asked, and there is an answer.
    Answered {
        /// The question.
        decision: DecisionId,
    },
    /// A person said something about the change. The words are among the task's remarks.
    Remarked,
}

/// A rule on what a writer may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bounds {
    /// Tests that were written first are not changed.
    FrozenTests,
    /// A tester writes tests alone.
    TestsOnly,
}

/// Why it is the author's turn to plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanBecause {
    /// The issue is new.
    New,
    /// The plan it gave is not valid.
    Invalid {
        /// What is wrong with it.
        errors: Vec<String>,
        /// Why that plan was asked for.
        asked: Box<Self>,
    },
    /// Somebody on the team proposed tasks.
    Proposals,
    /// Tasks wait for a person; perhaps others can replace them.
    Stuck {
        /// Which.
        tasks: BTreeSet<TaskId>,
    },
    /// The issue was not accepted.
    Missing {
        /// What is missing.
        missing: Vec<String>,
    },
}

/// What a tester found on the integration branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// Nobody was asked.
    Untried,
    /// A tester went through the acceptance list.
    Tried {
        /// Who.
        by: Actor,
        /// What was found.
        verdict: Verdict,
    },
}

/// What a writer starts from and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteJob {
    /// The commit to start from.
    pub from: StartFrom,
    /// Why it is the writer's turn.
    pub because: Because,
}

/// Where a writer's slot is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartFrom {
    /// The integration head at the time it starts.
    Head,
    /// An earlier attempt's commit, which was begun from `base`.
    Commit {
        /// The commit.
        commit: CommitId,
        /// The integration head it was begun from.
        base: CommitId,
    },
}

/// What is to be done next for a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A writer's turn.
    Write(WriteJob),
    /// The checks' turn.
    Check(Change),
    /// A tester's turn on a change.
    Test(Proven),
    /// A reviewer's turn.
    Review(Proven),
    /// A reviewer's turn, to choose among candidates.
    Compare(Proven),
    /// The landing queue's turn.
    Land(Approved),
    /// The checks' turn on the integration branch, to see what is to be repaired.
    Survey,
    /// The author's turn to plan.
    Plan(PlanBecause),
    /// A tester's turn on the integration branch.
    Try,
    /// The author's turn to say what is missing.
    Accept(Trial),
}

impl Work {
    /// The change it is about, if there is one yet.
    pub fn change(&self) -> Option<&Change> {
        match self {
            Self::Check(change) => Some(change),
            Self::Test(proven)
            | Self::Review(proven)
            | Self::Compare(proven)
            | Self::Land(Approved { proven, .. }) => Some(&proven.change),
            Self::Write(_) | Self::Survey | Self::Plan(_) | Self::Try | Self::Accept(_) => None,
        }
    }

    /// A verb for people.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Check(_) => "check",
            Self::Test(_) => "test",
            Self::Review(_) => "review",
            Self::Compare(_) => "compare",
            Self::Land(_) => "land",
            Self::Survey => "survey",
            Self::Plan(_) => "plan",
            Self::Try => "try",
            Self::Accept(_) => "accept",
        }
    }
}
