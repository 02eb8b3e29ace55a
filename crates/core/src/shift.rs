//! Owns shifts: one autopilot session with a mode, a budget and an end.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::following::Target;
use crate::ids::{CommitId, IssueId, PolicyName, ShiftId};
use crate::state::State;
use crate::step::unmet_needs;
use crate::units::{MicroUsd, Timestamp};

/// How a shift ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShiftEnd {
    /// All that was asked for has landed, or there was nothing to do.
    Done,
    /// What is left waits for a person.
    NeedsPerson,
    /// The budget is spent, or what is left of it starts nothing.
    Budget,
    /// The time it was given is over.
    TimeUp,
    /// A person stopped it.
    Interrupted,
}

/// Why a shift starts nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Winding {
    /// A person asked; what runs may finish.
    Drain,
    /// A person asked; what runs is stopped.
    Stop,
    /// The budget is spent; what runs is stopped.
    Budget,
    /// The time it was given is over; what runs may finish.
    TimeUp,
}

/// How far a shift is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShiftStage {
    /// Starts work.
    Running,
    /// Starts nothing more and waits for what runs to end.
    Winding(Winding),
    /// Over.
    Ended {
        /// How.
        end: ShiftEnd,
        /// When.
        at: Timestamp,
    },
}

/// An issue as a shift takes it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueAtStart {
    /// Which.
    pub issue: IssueId,
    /// The commit a new integration branch begins at: the user's branch at that moment.
    pub base: CommitId,
    /// The branch that was checked out there.
    #[serde(default)]
    pub target: Target,
}

/// What a shift works on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The issues it was started with.
    #[default]
    Listed,
    /// Whatever is in the backlog, also what arrives meanwhile.
    Backlog {
        /// It takes up so many at most; absent: no limit.
        at_most: Option<u16>,
        /// It starts nothing after this time; absent: no limit.
        until: Option<Timestamp>,
    },
}

/// One autopilot session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// Its id.
    pub id: ShiftId,
    /// Its mode.
    pub mode: PolicyName,
    /// The issues it works on.
    pub issues: BTreeSet<IssueId>,
    /// All it may spend.
    pub budget: MicroUsd,
    /// Spent by attempts that have ended.
    pub spent: MicroUsd,
    /// When it began.
    pub started: Timestamp,
    /// How far it is.
    pub stage: ShiftStage,
    /// What it works on.
    #[serde(default)]
    pub scope: Scope,
    /// Issues that could not be begun in it, and why.
    #[serde(default)]
    pub refused: BTreeMap<IssueId, String>,
}

/// What a person is told who has put an issue into the shift that runs.
pub fn joined_phrase(state: &State, issue: IssueId) -> String {
    let shift = state
        .shift()
        .map_or_else(|| "the shift".to_owned(), |s| format!("shift {}", s.id));
    let needs = unmet_needs(state, issue);
    if needs.is_empty() {
        return format!("issue {issue} is begun in {shift}");
    }
    let needs: Vec<_> = needs.iter().map(ToString::to_string).collect();
    format!(
        "issue {issue} is begun in {shift} when {} is done",
        needs.join(", ")
    )
}
