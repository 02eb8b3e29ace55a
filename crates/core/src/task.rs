//! Owns the life of one task: its stage as an enum that carries the data each stage needs, so that a state
//! that makes no sense cannot be written down. A slot exists only in the stages that hold one, a review only
//! of a change that passed its checks, a landing only of a change that was approved.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::check::{CheckReport, CheckResult};
use crate::failure::{Cause, Failure};
use crate::ids::{AgentName, AttemptId, CheckName, CommitId, PersonaName, SessionId, SlotId, TaskId, TreeId};
use crate::outcome::Finding;
use crate::units::{MicroUsd, Span, Spend, Timestamp};

/// What a task is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// One line.
    pub title: String,
    /// What is to be done.
    pub brief: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// Tasks that must be landed first.
    pub needs: BTreeSet<TaskId>,
    /// Path globs it may write; empty means anywhere.
    pub touches: Vec<String>,
}

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
    /// The integration head the work began from.
    pub base: CommitId,
    /// Who wrote it.
    pub writer: Actor,
    /// The writer's own account of it.
    pub summary: String,
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
    /// A reviewer's turn.
    Review(Proven),
    /// The landing queue's turn.
    Land(Approved),
}

impl Work {
    /// A verb for people.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Check(_) => "check",
            Self::Review(_) => "review",
            Self::Land(_) => "land",
        }
    }
}

/// Whether a running attempt has been told to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopping {
    /// It works.
    No,
    /// It was told to stop at that time; its end has not been reported yet.
    Asked {
        /// Why.
        why: StopWhy,
        /// When.
        at: Timestamp,
    },
}

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopWhy {
    /// It ran longer than its wall-clock limit.
    WallClock,
    /// It reached its own money cap.
    AttemptBudget,
    /// The shift's budget is spent.
    ShiftBudget,
    /// A person stopped the shift.
    Asked,
    /// A person discarded the task.
    Discarded,
}

impl StopWhy {
    /// Whether it is stopped because of what it costs.
    pub fn is_about_money(self) -> bool {
        matches!(self, Self::AttemptBudget | Self::ShiftBudget)
    }

    /// A short phrase for people.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::WallClock => "its time limit was reached",
            Self::AttemptBudget => "its money cap was reached",
            Self::ShiftBudget => "the budget of the shift was spent",
            Self::Asked => "a person asked for it",
            Self::Discarded => "its task was discarded",
        }
    }
}

/// A running attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, the fencing token.
    pub attempt: AttemptId,
    /// When it began.
    pub started: Timestamp,
    /// When it is stopped.
    pub deadline: Timestamp,
    /// Whether it has been told to stop.
    pub stopping: Stopping,
}

/// A running attempt of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRun {
    /// The attempt.
    pub run: Run,
    /// In which role.
    pub persona: PersonaName,
    /// Played by which agent.
    pub agent: AgentName,
    /// Where.
    pub slot: SlotId,
    /// The commit its slot was put on.
    pub from: CommitId,
    /// The integration head that commit was begun from.
    pub base: CommitId,
    /// Reserved for it.
    pub cap: MicroUsd,
    /// Spent of that.
    pub spend: Spend,
}

impl AgentRun {
    /// Who that is.
    pub fn actor(&self) -> Actor {
        Actor {
            persona: self.persona.clone(),
            agent: self.agent.clone(),
            attempt: self.run.attempt,
        }
    }
}

/// Why a task waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Park {
    /// A cause happened more often than the policy allows.
    OutOfTries {
        /// The last one.
        failure: Failure,
    },
    /// The same tree with the same failures, three times.
    NoProgress {
        /// What did not change.
        same: Progress,
    },
    /// The project has no checks, so nothing can be proven.
    NoChecks,
}

/// What a returned change looked like. The same one twice is no progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The tree.
    pub tree: TreeId,
    /// Checks that were not green.
    pub failing: BTreeSet<CheckName>,
    /// Findings that were open, as file and text.
    pub findings: BTreeSet<String>,
}

/// Where a task is. See the module's words on what this makes unwritable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Waits for the tasks it needs.
    Blocked,
    /// Waits for its turn.
    Ready {
        /// What is next.
        work: Work,
        /// Since when.
        since: Timestamp,
    },
    /// A writer is at work.
    Writing {
        /// On what, and why.
        job: WriteJob,
        /// Who and where.
        run: AgentRun,
    },
    /// The checks run.
    Checking {
        /// On this change.
        change: Change,
        /// Where.
        slot: SlotId,
        /// The attempt.
        run: Run,
    },
    /// A reviewer reads.
    Reviewing {
        /// This change.
        proven: Proven,
        /// Who and where.
        run: AgentRun,
    },
    /// It is being put on the integration branch.
    Landing {
        /// This change.
        approved: Approved,
        /// The attempt.
        run: Run,
    },
    /// Waits before it is tried again.
    Backoff {
        /// What is tried again.
        work: Work,
        /// When.
        until: Timestamp,
        /// What went wrong.
        failure: Failure,
    },
    /// Waits for a person.
    Parked {
        /// What would be next.
        work: Work,
        /// Why.
        park: Park,
    },
    /// On the integration branch, proven.
    Landed {
        /// As this commit.
        commit: CommitId,
        /// When.
        at: Timestamp,
    },
    /// Given up by a person.
    Dropped {
        /// Why.
        why: String,
    },
}

/// A writer's conversation that can be gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriterSession {
    /// None, or a fresh one is wanted.
    Fresh,
    /// This one, by that persona and agent.
    Open {
        /// In which role.
        persona: PersonaName,
        /// With which agent: a session belongs to one.
        agent: AgentName,
        /// Its name.
        session: SessionId,
    },
}

/// One piece of an issue that one writer can do in one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it is to do.
    pub spec: TaskSpec,
    /// Where it is.
    pub stage: Stage,
    /// How often each cause has happened.
    pub tries: BTreeMap<Cause, u8>,
    /// Attempts of each persona so far.
    pub attempts: BTreeMap<PersonaName, u32>,
    /// Spent by attempts that have ended.
    pub spent: MicroUsd,
    /// The writer's conversation.
    pub session: WriterSession,
    /// Findings of earlier rounds, for the next reviewer to hold the change against.
    pub earlier_findings: Vec<Finding>,
    /// What was returned before, to see standstill.
    pub progress: Vec<Progress>,
    /// The slot it was last in, which has its build caches.
    pub last_slot: Option<SlotId>,
}

impl Task {
    /// The attempt that runs for it, if one does.
    pub fn run(&self) -> Option<&Run> {
        match &self.stage {
            Stage::Writing { run, .. } | Stage::Reviewing { run, .. } => Some(&run.run),
            Stage::Checking { run, .. } | Stage::Landing { run, .. } => Some(run),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        }
    }

    /// The same, to change it.
    pub fn run_mut(&mut self) -> Option<&mut Run> {
        match &mut self.stage {
            Stage::Writing { run, .. } | Stage::Reviewing { run, .. } => Some(&mut run.run),
            Stage::Checking { run, .. } | Stage::Landing { run, .. } => Some(run),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        }
    }

    /// The agent that runs for it, if one does.
    pub fn agent_run(&self) -> Option<&AgentRun> {
        match &self.stage {
            Stage::Writing { run, .. } | Stage::Reviewing { run, .. } => Some(run),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Checking { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        }
    }

    /// The slot it holds, if it holds one.
    pub fn slot(&self) -> Option<SlotId> {
        if let Stage::Checking { slot, .. } = &self.stage {
            return Some(*slot);
        }
        self.agent_run().map(|r| r.slot)
    }

    /// What would be next if it ran no attempt.
    pub fn work(&self) -> Option<Work> {
        match &self.stage {
            Stage::Ready { work, .. } | Stage::Backoff { work, .. } | Stage::Parked { work, .. } => {
                Some(work.clone())
            }
            Stage::Writing { job, .. } => Some(Work::Write(job.clone())),
            Stage::Checking { change, .. } => Some(Work::Check(change.clone())),
            Stage::Reviewing { proven, .. } => Some(Work::Review(proven.clone())),
            Stage::Landing { approved, .. } => Some(Work::Land(approved.clone())),
            Stage::Blocked | Stage::Landed { .. } | Stage::Dropped { .. } => None,
        }
    }

    /// Whether nothing more will ever happen to it.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Landed { .. } | Stage::Dropped { .. })
    }

    /// Spent so far, with what the running attempt has spent.
    pub fn cost(&self) -> MicroUsd {
        self.spent + self.agent_run().map_or(MicroUsd::ZERO, |r| r.spend.cost)
    }
}

/// The time limit of a check run or a landing: the sum of what its parts may take, and a reserve.
pub fn checks_deadline(timeouts: impl Iterator<Item = Span>, reruns: u8) -> Span {
    let once: u64 = timeouts.map(|t| t.0).fold(0, u64::saturating_add);
    Span(once.saturating_mul(u64::from(reruns) + 1).saturating_add(600_000))
}
