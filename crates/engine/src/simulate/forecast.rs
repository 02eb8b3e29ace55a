//! Owns what many nights come to: ranges, why issues did not land, and a picture of the night in the middle. It
//! simulates nothing.

mod lack;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use turno_core::State;
use turno_core::failure::Cause;
use turno_core::ids::{IssueId, SlotId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::ledger::Level;
use turno_core::shift::{Shift, ShiftEnd, ShiftStage};
use turno_core::task::{Park, Stage};
use turno_core::units::{MicroUsd, Span};
use turno_core::view::StageName;

pub use lack::{Lack, Purse, Short};

use super::Job;
use super::world::Over;

/// Where something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// In a slot.
    Slot(SlotId),
    /// In the slot that is kept for landing.
    Landing,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(slot) => f.pad(&slot.to_string()),
            Self::Landing => f.pad("land"),
        }
    }
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One attempt in a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// Where it ran.
    pub slot: Lane,
    /// From when; from the beginning of the shift.
    #[serde(rename = "from_ms", serialize_with = "millis")]
    pub from: Span,
    /// Until when.
    #[serde(rename = "to_ms", serialize_with = "millis")]
    pub to: Span,
    /// What it was.
    pub kind: StageName,
    /// For which task.
    pub task: TaskId,
}

fn millis<S: Serializer>(span: &Span, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(span.0)
}

/// Why an issue did not land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The money was spent, or what was left of it started nothing.
    Budget,
    /// The time was over.
    TimeUp,
    /// Something happened to one of its tasks too often.
    OutOfTries(Cause),
    /// A question waits for a person.
    Question,
    /// The same came back three times.
    NoProgress,
    /// The project has no checks.
    NoChecks,
    /// No valid plan was found.
    NoPlan,
    /// It was planned again as often as may be, and something is missing.
    NotAccepted,
    /// Checks are red without it.
    RedBase,
    /// No candidate was good enough.
    NoCandidate,
    /// It waits for an issue that did not land.
    NeedsAnother,
    /// It could not be begun.
    Refused,
    /// Its shift ended before its turn.
    Unfinished,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Budget => "the budget was spent, or the rest of it starts nothing",
            Self::TimeUp => "the time was up",
            Self::OutOfTries(cause) => return write!(f, "too often: {}", cause.phrase()),
            Self::Question => "a question waits for a person",
            Self::NoProgress => "the same came back three times",
            Self::NoChecks => "the project has no checks, so nothing can be proven",
            Self::NoPlan => "no valid plan was found",
            Self::NotAccepted => "something was still missing after the last round",
            Self::RedBase => "checks are red without it",
            Self::NoCandidate => "no candidate was good enough",
            Self::NeedsAnother => "it needs an issue that did not land",
            Self::Refused => "it could not be begun",
            Self::Unfinished => "the shift ended before its turn",
        })
    }
}

impl Why {
    /// What holds an issue back at the end of a shift; `None` when it landed.
    fn of(state: &State, shift: &Shift, id: IssueId) -> Option<Self> {
        let issue = state.issues.get(&id)?;
        match issue.stage {
            IssueStage::Review { .. } | IssueStage::Done { .. } => return None,
            IssueStage::Backlog
            | IssueStage::Opening { .. }
            | IssueStage::Working { .. }
            | IssueStage::Closed { .. } => {}
        }
        let parked = state.tasks_of(id).find_map(|t| match &t.stage {
            Stage::Parked { park, .. } => Some(park),
            _ => None,
        });
        if let Some(park) = parked {
            return Some(match park {
                Park::OutOfTries { failure } => Self::OutOfTries(failure.cause),
                Park::NoProgress { .. } => Self::NoProgress,
                Park::NoChecks => Self::NoChecks,
                Park::Decision(_) => Self::Question,
                Park::NoPlan { .. } => Self::NoPlan,
                Park::NotAccepted { .. } => Self::NotAccepted,
                Park::RedBase { .. } => Self::RedBase,
                Park::Budget { .. } => Self::Budget,
                Park::NoCandidate { .. } => Self::NoCandidate,
                // Told by its cause, as what is out of tries is.
                Park::Ceiling { failure, .. } | Park::Account { failure, .. } => {
                    Self::OutOfTries(failure.cause)
                }
            });
        }
        if shift.refused.contains_key(&id) {
            return Some(Self::Refused);
        }
        let lands = |need: &IssueId| {
            let stage = state.issues.get(need).map(|i| &i.stage);
            matches!(stage, Some(IssueStage::Review { .. } | IssueStage::Done { .. }))
        };
        Some(match end_of(shift) {
            Some(ShiftEnd::Budget) => Self::Budget,
            Some(ShiftEnd::TimeUp) => Self::TimeUp,
            Some(ShiftEnd::Done | ShiftEnd::NeedsPerson | ShiftEnd::Interrupted) | None => {
                if issue.draft.needs.iter().all(lands) {
                    Self::Unfinished
                } else {
                    Self::NeedsAnother
                }
            }
        })
    }
}

fn end_of(shift: &Shift) -> Option<ShiftEnd> {
    match shift.stage {
        ShiftStage::Ended { end, .. } => Some(end),
        ShiftStage::Running | ShiftStage::Winding(_) => None,
    }
}

/// What one night came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Night {
    pub(super) landed: u64,
    pub(super) tasks: u64,
    pub(super) cost: MicroUsd,
    pub(super) tokens: u64,
    pub(super) turns: u64,
    pub(super) lack: Option<Lack>,
    pub(super) took: Span,
    pub(super) end: ShiftEnd,
    pub(super) started: u32,
    pub(super) over_by: MicroUsd,
    pub(super) message: MicroUsd,
    pub(super) why: Vec<Why>,
}

impl Night {
    pub(super) fn of(job: &Job, over: &Over) -> Self {
        let why: Vec<Why> = job
            .open
            .iter()
            .filter_map(|id| Why::of(&over.state, &over.shift, *id))
            .collect();
        let pieces = job.open.iter().flat_map(|id| over.state.pieces_of(*id));
        let took = match over.shift.stage {
            ShiftStage::Ended { at, .. } => at.since(over.shift.started),
            ShiftStage::Running | ShiftStage::Winding(_) => Span(0),
        };
        let used = over.state.booked(&Level::Shift(over.shift.id));
        Self {
            tokens: used.tokens,
            turns: u64::from(used.turns),
            lack: Lack::at_the_end(over),
            landed: (job.open.len() - why.len()) as u64,
            tasks: pieces.filter(|t| matches!(t.stage, Stage::Landed { .. })).count() as u64,
            cost: over.shift.spent,
            took,
            end: end_of(&over.shift).unwrap_or(ShiftEnd::Interrupted),
            started: over.started,
            over_by: over.shift.spent.less(job.budget),
            message: over.message,
            why,
        }
    }
}

/// Where a quantity lies. `p10` is the value that one night in ten stays at or below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// One in twenty.
    pub p5: u64,
    /// One in ten.
    pub p10: u64,
    /// Half.
    pub p50: u64,
    /// Nine in ten.
    pub p90: u64,
    /// Nineteen in twenty.
    pub p95: u64,
}

impl Range {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            // The nearest rank, counted from one.
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or(0)
        };
        Self {
            p5: at(5),
            p10: at(10),
            p50: at(50),
            p90: at(90),
            p95: at(95),
        }
    }
}

/// How often a shift ended in a way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ending {
    /// How.
    pub end: ShiftEnd,
    /// In which part of the nights.
    pub share: f64,
}

/// How often something held issues back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held {
    /// What.
    #[serde(serialize_with = "words")]
    pub why: Why,
    /// So many issues each night, in the mean.
    pub issues: f64,
}

fn words<S: Serializer>(why: &Why, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(why)
}

/// What is to be expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// So many nights were simulated.
    pub nights: u64,
    /// With this seed.
    pub seed: u64,
    /// On so many slots.
    pub slots: u16,
    /// With this budget, in millionths of a dollar.
    pub budget_micros: u64,
    /// On so many issues.
    pub issues: u64,
    /// Issues that land.
    pub landed: Range,
    /// Tasks that land.
    pub tasks_landed: Range,
    /// Money, in millionths of a dollar.
    pub cost_micros: Range,
    /// Tokens of every kind.
    pub tokens: Range,
    /// Answers of models.
    pub turns: Range,
    /// Time until the shift ends, in milliseconds.
    pub took_ms: Range,
    /// How the shift ends.
    pub ends: Vec<Ending>,
    /// Where budgets ended it: which ones, most frequent first.
    pub short: Vec<Short>,
    /// Why issues do not land, most frequent first.
    pub held: Vec<Held>,
    /// The part of the nights in which nothing at all starts.
    pub nothing_starts: f64,
    /// The most that a night spent over its budget, in millionths of a dollar.
    pub over_budget_micros: u64,
    /// The largest message of any night, in millionths of a dollar.
    pub largest_message_micros: u64,
    /// The night in the middle.
    pub middle: Vec<Bar>,
}

impl Forecast {
    /// Sums nights up; the picture is added later.
    pub(super) fn of(job: &Job, nights: &[Night]) -> Self {
        let all = |of: fn(&Night) -> u64| Range::of(nights.iter().map(of).collect());
        let share = |count: usize| count as f64 / nights.len().max(1) as f64;
        let mut held: BTreeMap<Why, usize> = BTreeMap::new();
        for why in nights.iter().flat_map(|n| &n.why) {
            *held.entry(*why).or_default() += 1;
        }
        let mut held: Vec<Held> = held
            .into_iter()
            .map(|(why, count)| Held {
                why,
                issues: share(count),
            })
            .collect();
        held.sort_by(|a, b| b.issues.total_cmp(&a.issues).then(a.why.cmp(&b.why)));
        let ways = [
            ShiftEnd::Done,
            ShiftEnd::NeedsPerson,
            ShiftEnd::Budget,
            ShiftEnd::TimeUp,
            ShiftEnd::Interrupted,
        ];
        let ends = ways.into_iter().filter_map(|end| {
            let count = nights.iter().filter(|n| n.end == end).count();
            (count > 0).then(|| Ending {
                end,
                share: share(count),
            })
        });
        let most = |of: fn(&Night) -> MicroUsd| nights.iter().map(of).max().unwrap_or_default().0;
        Self {
            nights: nights.len() as u64,
            seed: job.seed,
            slots: job.config.slots,
            budget_micros: job.budget.0,
            issues: job.open.len() as u64,
            landed: all(|n| n.landed),
            tasks_landed: all(|n| n.tasks),
            cost_micros: all(|n| n.cost.0),
            tokens: all(|n| n.tokens),
            turns: all(|n| n.turns),
            took_ms: all(|n| n.took.0),
            ends: ends.collect(),
            short: Short::of(nights),
            held,
            nothing_starts: share(nights.iter().filter(|n| n.started == 0).count()),
            over_budget_micros: most(|n| n.over_by),
            largest_message_micros: most(|n| n.message),
            middle: Vec::new(),
        }
    }

    /// The night that is nearest to the middle in every respect; the first of several.
    pub(super) fn middle_of(&self, nights: &[Night]) -> u64 {
        let far = |value: u64, range: &Range| {
            let width = range.p90.saturating_sub(range.p10).max(1);
            // In thousandths of the range, so that the three can be added.
            u128::from(value.abs_diff(range.p50)) * 1000 / u128::from(width)
        };
        let distance = |n: &Night| {
            far(n.landed, &self.landed) + far(n.cost.0, &self.cost_micros) + far(n.took.0, &self.took_ms)
        };
        let nearest = (0_u64..).zip(nights).min_by_key(|(_, n)| distance(n));
        nearest.map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_by_nearest_rank() {
        let range = Range::of((1..=100).rev().collect());
        assert_eq!(
            (range.p5, range.p10, range.p50, range.p90, range.p95),
            (5, 10, 50, 90, 95)
        );
        let one = Range::of(vec![7]);
        assert_eq!((one.p5, one.p95), (7, 7));
        assert_eq!(Range::of(Vec::new()).p50, 0);
    }
}
