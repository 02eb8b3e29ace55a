//! Owns why a task waits for a person.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::{AgentName, CheckName, CommitId, DecisionId};
use crate::ledger::{Amount, Level};
use crate::progress::{Likeness, Progress};

/// Why a task waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Park {
    /// A cause happened more often than the policy allows.
    OutOfTries {
        /// The last one.
        failure: Failure,
    },
    /// The same change with the same failures, three times.
    NoProgress {
        /// What did not change.
        same: Progress,
        /// How much of it did not.
        #[serde(default)]
        alike: Likeness,
    },
    /// The project has no checks, so nothing can be proven.
    NoChecks,
    /// It asked a question.
    Decision(DecisionId),
    /// The author could not give a valid plan.
    NoPlan {
        /// What was wrong with the last one.
        errors: Vec<String>,
    },
    /// The issue was planned as often as the policy allows, and is still not accepted.
    NotAccepted {
        /// What is missing.
        missing: Vec<String>,
    },
    /// Checks are red on the integration branch without the change, and the policy makes it nobody's task.
    RedBase {
        /// Which.
        checks: BTreeSet<CheckName>,
        /// At this commit.
        base: CommitId,
    },
    /// A budget is spent.
    Budget {
        /// Whose.
        level: Level,
        /// What is left of the measure that is short.
        #[serde(default)]
        left: Amount,
        /// The least of it that an attempt is started with.
        #[serde(default)]
        least: Amount,
    },
    /// No candidate was good enough.
    NoCandidate {
        /// Why.
        why: String,
    },
    /// Its issue has failed as often as it may, whatever the causes.
    Ceiling {
        /// So often, with this one.
        failures: u16,
        /// The last one.
        failure: Failure,
    },
    /// No agent that may do it can be started in this shift.
    Account {
        /// One of them.
        agent: AgentName,
        /// Why.
        failure: Failure,
    },
}
