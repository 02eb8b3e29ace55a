//! Owns the contract by which attempts run, here or on another machine: submit under a key that makes a second
//! submission harmless, hear from a number on, cancel, observe, fence. The coordinator alone decides.

pub mod local;

use std::collections::BTreeSet;
use std::future::Future;

use turno_core::command::{AgentStart, CheckStart, LandStart};
use turno_core::event::Event;
use turno_core::ids::AttemptId;
use turno_core::task::StopWhy;

/// A piece of work for a runner. Its attempt id is the key.
#[derive(Debug, Clone)]
pub enum Submission {
    /// Run an agent.
    Agent(Box<AgentStart>),
    /// Run checks.
    Checks(Box<CheckStart>),
    /// Land a change.
    Landing(Box<LandStart>),
}

impl Submission {
    /// Its key.
    pub fn attempt(&self) -> AttemptId {
        match self {
            Self::Agent(start) => start.attempt,
            Self::Checks(start) => start.attempt,
            Self::Landing(start) => start.attempt,
        }
    }
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
}

/// Runs attempts. Every accepted submission is answered by exactly one ending event, also when it is cancelled,
/// panics or is killed.
pub trait Runner: Send + Sync {
    /// Takes work on, once for each attempt id.
    fn submit(&self, work: Submission) -> Submitted;

    /// Waits for facts after a number. Safe to be dropped and asked again.
    fn events(&self, after: u64) -> impl Future<Output = Vec<Told>> + Send;

    /// Hastens the ending of an attempt.
    fn cancel(&self, attempt: AttemptId, why: StopWhy);

    /// What is known of an attempt.
    fn observe(&self, attempt: AttemptId) -> Observed;

    /// Ends every attempt that is not in `current`: an older coordinator's, or a lost one's.
    fn fence(&self, current: &BTreeSet<AttemptId>);

    /// Ends everything and waits until nothing is left.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}
