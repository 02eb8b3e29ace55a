//! Owns the contract by which attempts run, here or on another machine: submit under a key that makes a second
//! submission harmless, hear from a number on, cancel, observe, fence. The coordinator alone decides.

pub mod local;
pub(crate) mod mouth;

use std::collections::BTreeSet;
use std::future::Future;

use turno_core::State;
use turno_core::command::{AgentStart, AskedBefore, CheckStart, FollowStart, LandStart};
use turno_core::decision::Reply;
use turno_core::event::Event;
use turno_core::foresight::Rival;
use turno_core::ids::{AttemptId, CommitId, IssueId, RemarkId, RepoName, TaskId};
use turno_core::task::StopWhy;

/// A piece of work for a runner. Its attempt id is the key.
#[derive(Debug, Clone)]
pub enum Submission {
    /// Run an agent.
    Agent(Box<AgentStart>),
    /// Listen again to an agent that an earlier coordinator started, and that had asked this.
    Adopted(AttemptId, Vec<AskedBefore>),
    /// Run checks.
    Checks(Box<CheckStart>),
    /// Land a change.
    Landing(Box<LandStart>),
    /// Bring an issue's branch along.
    Following(Box<FollowStart>),
}

impl Submission {
    /// Its key.
    pub fn attempt(&self) -> AttemptId {
        match self {
            Self::Agent(start) => start.attempt,
            Self::Adopted(attempt, _) => *attempt,
            Self::Checks(start) => start.attempt,
            Self::Landing(start) => start.attempt,
            Self::Following(start) => start.attempt,
        }
    }
}

/// An issue whose integration branch is to be begun. It is no attempt: it has no slot, costs nothing and may be
/// asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Which issue.
    pub issue: IssueId,
    /// In which repository.
    pub repo: RepoName,
    /// On which heads; none for the user's branch.
    pub on: Vec<CommitId>,
}

/// A change that is to be held against others, to see whether they would merge. It is no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looking {
    /// Whose change.
    pub of: TaskId,
    /// In which repository.
    pub repo: RepoName,
    /// The change.
    pub commit: CommitId,
    /// The others.
    pub with: Vec<Rival>,
}

/// What a submission came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// It begins now.
    Accepted,
    /// That key was submitted before; nothing was started.
    Known,
}

/// What a runner knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// Nothing.
    Unknown,
    /// It runs.
    Running,
    /// It has ended, and its ending was told.
    Ended,
}

/// A fact from a runner, with its number. Numbers have no gaps.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its number, counted from 1.
    pub number: u64,
    /// The fact.
    pub event: Event,
    /// When it came, by the clock that never jumps.
    pub at: std::time::Instant,
}

/// Runs attempts. Every accepted submission is answered by exactly one ending event, also when it is cancelled,
/// panics or is killed.
pub trait Runner: Send + Sync {
    /// Takes work on, once for each attempt id.
    fn submit(&self, work: Submission) -> Submitted;

    /// Begins an issue's integration branch. Answered by exactly one `IssueOpened` or `IssueNotOpened`.
    fn open(&self, opening: Opening);

    /// Looks where the branches are that issues began on, and whether disks have room: the facts that the state does not
    /// know yet. Quick: it reads refs and history, and starts no process.
    fn look(&self, state: &State) -> Vec<Event>;
    /// Looks whether changes would merge. Answered by exactly one `Foreseen` with a sight of each, unless the runner is
    /// shut down before.
    fn foresee(&self, looking: Looking);

    /// Waits for facts after a number. Safe to be dropped and asked again. To ask is to say that every fact up to
    /// the number is committed.
    fn events(&self, after: u64) -> impl Future<Output = Vec<Told>> + Send;

    /// Hastens the ending of an attempt.
    fn cancel(&self, attempt: AttemptId, why: StopWhy);

    /// Reminds an agent that nothing is seen of it. Harmless when it is gone or cannot be told.
    fn nudge(&self, attempt: AttemptId);

    /// Says a person's words to an agent. Harmless when it is gone or cannot be told; then nothing says that it heard.
    fn tell(&self, attempt: AttemptId, remark: RemarkId, words: String);

    /// Gives an agent that waits in a call what became of its question. Harmless when it is gone.
    fn reply(&self, attempt: AttemptId, key: &str, reply: &Reply);

    /// What is known of an attempt.
    fn observe(&self, attempt: AttemptId) -> Observed;

    /// Ends every attempt that is not in `current`: an older coordinator's, or a lost one's.
    fn fence(&self, current: &BTreeSet<AttemptId>);

    /// Ends everything and waits until nothing is left.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}
