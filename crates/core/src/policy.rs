//! Owns the numbers and switches of a mode. Typed data, no rule language: a new behaviour is code in `step`
//! and one knob here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::Cause;
use crate::ids::PolicyName;
use crate::units::{MicroUsd, Span};

/// Whether a second pair of eyes must approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewRule {
    /// Changes that pass the checks land without a review.
    Off,
    /// Each change needs an approval of its commit.
    Required,
}

/// What to do with a project that has no checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncheckedRule {
    /// Park the task and ask a person. Nothing unproven lands.
    Refuse,
    /// Land on the reviewer's word alone; written down as such.
    LandOnReview,
}

/// How often a cause is tried again, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TryRow {
    /// How many times it may happen to one task before a person is asked. 0 asks at the first.
    pub tries: u8,
    /// Wait before the first retry; doubled for each further one.
    pub wait: Span,
}

/// The numbers and switches of a mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// One line for people.
    pub description: String,
    /// Whether changes are reviewed.
    pub review: ReviewRule,
    /// What happens without checks.
    pub unchecked: UncheckedRule,
    /// How often a failing check is run again at the same tree to see whether it is flaky.
    pub check_reruns: u8,
    /// No output from an agent for this long is a stall.
    pub silence: Span,
    /// An attempt is not started with less money than this.
    pub least_start: MicroUsd,
    /// The longest wait between retries.
    pub longest_wait: Span,
    /// A row for each cause.
    pub rows: BTreeMap<Cause, TryRow>,
}

impl Policy {
    /// The row for a cause. A cause without one is tried once more, at once.
    pub fn row(&self, cause: Cause) -> TryRow {
        self.rows.get(&cause).copied().unwrap_or(TryRow {
            tries: 1,
            wait: Span(0),
        })
    }
}
