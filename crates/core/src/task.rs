//! Owns the life of one task: its stage as an enum that carries the data each stage needs, so that a state
//! that makes no sense cannot be written down. A slot exists only in the stages that hold one, a review only
//! of a change that passed its checks, a landing only of a change that was approved.

mod park;
mod stop;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::failure::{Cause, Failure};
use crate::holding::Hold;
use crate::ids::{AgentName, AttemptId, CheckName, CommitId, PersonaName, SessionId, SlotId, TaskId};
use crate::ledger::{Allowance, Level, Measure, Messages, Tariff};
use crate::liveness::Watch;
use crate::outcome::{Finding, Size};
use crate::persona::Role;
use crate::plan::edit::Origin;
use crate::remark::Remark;
use crate::units::{MicroUsd, Span, Spend, Timestamp};

pub use park::Park;
pub use stop::{StopWhy, Stopping};

pub use crate::progress::{Essence, Likeness, Progress};
pub use crate::work::{
    Actor, Approved, Because, Bounds, Change, ChangeKind, ConflictHunk, Consent, Frozen, Handoff, Neighbour,
    PlanBecause, Proof, Proven, StartFrom, Trial, Work, WriteJob,
};

/// What a task is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Who writes it.
    #[serde(default)]
    pub writer: Role,
    /// How much work it is, as its author sees it.
    #[serde(default)]
    pub size: Size,
    /// How far it is from the plan: a task that was proposed during another is one deeper than that.
    #[serde(default)]
    pub depth: u8,
    /// Checks that are red without it, and that it is to make green.
    #[serde(default)]
    pub repairs: BTreeSet<CheckName>,
    /// The group of a batch it belongs to, counted from 0.
    #[serde(default)]
    pub wave: u16,
    /// What it competes with, if it does: the first task of the contest.
    #[serde(default)]
    pub contest: Option<TaskId>,
    /// Whose it is.
    #[serde(default)]
    pub by: Origin,
    /// Its place in the order that a person has given; those without one come after those with one.
    #[serde(default)]
    pub rank: Option<u16>,
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
    /// Its conversation, once it has named one.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// How its agent's account is paid for.
    #[serde(default)]
    pub tariff: Tariff,
    /// Reserved for it besides money. Its time is in its deadline.
    #[serde(default)]
    pub within: Allowance,
    /// What was last told of what it does.
    #[serde(default)]
    pub watch: Watch,
    /// Of which measures it got less than its persona may use, and the level that had no more. It is not to blame where
    /// that runs out.
    #[serde(default)]
    pub cut: BTreeMap<Measure, Level>,
    /// What its messages cost.
    #[serde(default)]
    pub messages: Messages,
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
    /// A tester tries it.
    Testing {
        /// This change.
        proven: Proven,
        /// Who and where.
        run: AgentRun,
    },
    /// It is proven and waits for the candidates it competes with.
    Entered {
        /// This change.
        proven: Proven,
    },
    /// A reviewer compares it with the other candidates.
    Comparing {
        /// This change; the others are in the tasks of the contest.
        proven: Proven,
        /// Who and where.
        run: AgentRun,
    },
    /// The checks run on the integration branch.
    Surveying {
        /// At this commit.
        commit: CommitId,
        /// Where.
        slot: SlotId,
        /// The attempt.
        run: Run,
    },
    /// An author plans.
    Planning {
        /// Why.
        because: PlanBecause,
        /// Who and where.
        run: AgentRun,
    },
    /// A tester goes through the acceptance list on the integration branch.
    Trying {
        /// Who and where.
        run: AgentRun,
    },
    /// An author says what is missing.
    Accepting {
        /// What a tester found.
        trial: Trial,
        /// Who and where.
        run: AgentRun,
    },
    /// The issue's own task: nothing is missing at this commit.
    Accepted {
        /// The integration head that was accepted.
        commit: CommitId,
        /// When.
        at: Timestamp,
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
        /// What it leaves the next ones.
        #[serde(default)]
        handoff: Handoff,
    },
    /// Given up: by a person, by the author, or for a better candidate.
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
    /// Tests that were written first.
    #[serde(default)]
    pub frozen: Option<Frozen>,
    /// A conversation that is to be gone on with, because its question was answered.
    #[serde(default)]
    pub resume: Option<Resume>,
    /// What was noted or found while it was worked on, by whom.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// Whether a person has changed its words since the work on it began.
    #[serde(default)]
    pub words: Words,
    /// Whether a person holds it.
    #[serde(default, skip_serializing_if = "Hold::is_free")]
    pub hold: Hold,
    /// What people said about it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// The change that a person sent back to its writer. Where nothing is to be done about what they said, it stays as it
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_back: Option<Box<Change>>,
}

/// Whether the work on a task is held to the words that the task has now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Words {
    /// It is.
    #[default]
    Held,
    /// A person has changed them while an attempt ran or a question was open: what comes of that is not landed, a
    /// writer's turn with the new words follows.
    Changed,
}

/// A conversation to be gone on with, by the same persona and agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// In which role.
    pub persona: PersonaName,
    /// With which agent.
    pub agent: AgentName,
    /// Its name.
    pub session: SessionId,
}

/// Something an agent said while it worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who.
    pub by: Actor,
    /// What.
    pub said: Said,
}

/// What an agent said while it worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// A remark for those who come after.
    Remark(String),
    /// Something that is wrong.
    Finding(Finding),
}

impl Task {
    /// A task at its beginning.
    pub fn new(id: TaskId, spec: TaskSpec, stage: Stage) -> Self {
        Self {
            id,
            spec,
            stage,
            tries: BTreeMap::new(),
            attempts: BTreeMap::new(),
            spent: MicroUsd::ZERO,
            session: WriterSession::Fresh,
            earlier_findings: Vec::new(),
            progress: Vec::new(),
            last_slot: None,
            frozen: None,
            resume: None,
            notes: Vec::new(),
            words: Words::Held,
            hold: Hold::Free,
            remarks: Vec::new(),
            sent_back: None,
        }
    }

    /// The attempt that runs for it, if one does.
    pub fn run(&self) -> Option<&Run> {
        match &self.stage {
            Stage::Checking { run, .. } | Stage::Surveying { run, .. } | Stage::Landing { run, .. } => {
                Some(run)
            }
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Writing { .. }
            | Stage::Testing { .. }
            | Stage::Reviewing { .. }
            | Stage::Entered { .. }
            | Stage::Comparing { .. }
            | Stage::Planning { .. }
            | Stage::Trying { .. }
            | Stage::Accepting { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => self.agent_run().map(|r| &r.run),
        }
    }

    /// The same, to change it.
    pub fn run_mut(&mut self) -> Option<&mut Run> {
        if self.agent_run().is_some() {
            return self.agent_run_mut().map(|r| &mut r.run);
        }
        if let Stage::Checking { run, .. } | Stage::Surveying { run, .. } | Stage::Landing { run, .. } =
            &mut self.stage
        {
            return Some(run);
        }
        None
    }

    /// The agent that runs for it, if one does.
    pub fn agent_run(&self) -> Option<&AgentRun> {
        match &self.stage {
            Stage::Writing { run, .. }
            | Stage::Testing { run, .. }
            | Stage::Reviewing { run, .. }
            | Stage::Comparing { run, .. }
            | Stage::Planning { run, .. }
            | Stage::Trying { run }
            | Stage::Accepting { run, .. } => Some(run),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Checking { .. }
            | Stage::Surveying { .. }
            | Stage::Entered { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        }
    }

    /// The same, to change it.
    pub fn agent_run_mut(&mut self) -> Option<&mut AgentRun> {
        match &mut self.stage {
            Stage::Writing { run, .. }
            | Stage::Testing { run, .. }
            | Stage::Reviewing { run, .. }
            | Stage::Comparing { run, .. }
            | Stage::Planning { run, .. }
            | Stage::Trying { run }
            | Stage::Accepting { run, .. } => Some(run),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Checking { .. }
            | Stage::Surveying { .. }
            | Stage::Entered { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        }
    }

    /// The slot it holds, if it holds one.
    pub fn slot(&self) -> Option<SlotId> {
        if let Stage::Checking { slot, .. } | Stage::Surveying { slot, .. } = &self.stage {
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
            Stage::Testing { proven, .. } => Some(Work::Test(proven.clone())),
            Stage::Reviewing { proven, .. } => Some(Work::Review(proven.clone())),
            Stage::Comparing { proven, .. } => Some(Work::Compare(proven.clone())),
            Stage::Landing { approved, .. } => Some(Work::Land(approved.clone())),
            Stage::Surveying { .. } => Some(Work::Survey),
            Stage::Planning { because, .. } => Some(Work::Plan(because.clone())),
            Stage::Trying { .. } => Some(Work::Try),
            Stage::Accepting { trial, .. } => Some(Work::Accept(trial.clone())),
            Stage::Blocked
            | Stage::Entered { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        }
    }

    /// The change that it has come to, unless a writer is at it.
    pub fn change(&self) -> Option<Change> {
        match &self.stage {
            Stage::Entered { proven } => Some(proven.change.clone()),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Writing { .. }
            | Stage::Checking { .. }
            | Stage::Testing { .. }
            | Stage::Reviewing { .. }
            | Stage::Comparing { .. }
            | Stage::Surveying { .. }
            | Stage::Planning { .. }
            | Stage::Trying { .. }
            | Stage::Accepting { .. }
            | Stage::Accepted { .. }
            | Stage::Landing { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. } => self.work().as_ref().and_then(Work::change).cloned(),
        }
    }

    /// The change that a person sent back, if this job is to look at it again and it was not changed since.
    pub fn left_as_it_is(&self, job: &WriteJob) -> Option<&Change> {
        let again = matches!(job.because, Because::Remarked | Because::Interrupted { .. });
        let change = self.sent_back.as_deref().filter(|_| again)?;
        match &job.from {
            StartFrom::Commit { commit, .. } => (*commit == change.commit).then_some(change),
            StartFrom::Head => None,
        }
    }

    /// Whether nothing more will ever happen to it.
    pub fn is_over(&self) -> bool {
        matches!(
            self.stage,
            Stage::Landed { .. } | Stage::Dropped { .. } | Stage::Accepted { .. }
        )
    }

    /// Whether somebody has begun to change files for it, and it is neither over nor parked.
    pub fn is_in_flight(&self) -> bool {
        match &self.stage {
            Stage::Writing { .. }
            | Stage::Checking { .. }
            | Stage::Testing { .. }
            | Stage::Reviewing { .. }
            | Stage::Entered { .. }
            | Stage::Comparing { .. }
            | Stage::Landing { .. } => true,
            Stage::Ready { work, .. } | Stage::Backoff { work, .. } => match work {
                Work::Write(job) => job.from != StartFrom::Head,
                Work::Check(_) | Work::Test(_) | Work::Review(_) | Work::Compare(_) | Work::Land(_) => true,
                Work::Survey | Work::Plan(_) | Work::Try | Work::Accept(_) => false,
            },
            Stage::Blocked
            | Stage::Surveying { .. }
            | Stage::Planning { .. }
            | Stage::Trying { .. }
            | Stage::Accepting { .. }
            | Stage::Parked { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => false,
        }
    }

    /// Spent so far, with what the running attempt has spent.
    pub fn cost(&self) -> MicroUsd {
        self.spent + self.agent_run().map_or(MicroUsd::ZERO, AgentRun::cost)
    }
}

/// The time limit of a check run or a landing: the sum of what its parts may take, and a reserve.
pub fn checks_deadline(timeouts: impl Iterator<Item = Span>, reruns: u8) -> Span {
    let once: u64 = timeouts.map(|t| t.0).fold(0, u64::saturating_add);
    Span(once.saturating_mul(u64::from(reruns) + 1).saturating_add(600_000))
}
