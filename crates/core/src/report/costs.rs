//! Owns what a shift cost and for what: each attempt of an agent counts once in every division, so that each of them
//! adds up to the total.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attempts::Attempt;
use super::outcomes::is_failure;
use crate::ids::{AgentName, IssueId, PersonaName};
use crate::state::State;
use crate::task::Stage;
use crate::units::{CostBasis, MicroUsd, Timestamp, Tokens};
use crate::view::{RunBy, StageName};

/// What money went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bucket {
    /// Writing what landed.
    Landed,
    /// Writing what waits for a person's word.
    Parked,
    /// Writing what did not work.
    Failed,
    /// Writing what was given up.
    Dropped,
    /// Writing what was not brought to an end.
    Unfinished,
    /// Reading, testing and comparing what others wrote.
    Review,
    /// Planning and acceptance.
    Planning,
}

impl Bucket {
    /// For people.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Landed => "written and landed",
            Self::Parked => "written, waits for a person",
            Self::Failed => "written in vain",
            Self::Dropped => "written and given up",
            Self::Unfinished => "written, not finished",
            Self::Review => "review and testing",
            Self::Planning => "planning and acceptance",
        }
    }

    fn of(attempt: &Attempt, state: &State) -> Self {
        match attempt.kind {
            StageName::Planning | StageName::Accepting => return Self::Planning,
            StageName::Reviewing | StageName::Comparing | StageName::Testing | StageName::Trying => {
                return Self::Review;
            }
            StageName::Blocked
            | StageName::Ready
            | StageName::Writing
            | StageName::Checking
            | StageName::Entered
            | StageName::Surveying
            | StageName::Landing
            | StageName::Following
            | StageName::Backoff
            | StageName::Parked
            | StageName::Accepted
            | StageName::Landed
            | StageName::Dropped => {}
        }
        match state.tasks.get(&attempt.task).map(|t| &t.stage) {
            Some(Stage::Landed { .. } | Stage::Accepted { .. }) => Self::Landed,
            Some(Stage::Parked { park, .. }) if is_failure(park) => Self::Failed,
            Some(Stage::Parked { .. }) => Self::Parked,
            Some(Stage::Dropped { .. }) => Self::Dropped,
            Some(
                Stage::Blocked
                | Stage::Ready { .. }
                | Stage::Writing { .. }
                | Stage::Checking { .. }
                | Stage::Reviewing { .. }
                | Stage::Testing { .. }
                | Stage::Entered { .. }
                | Stage::Comparing { .. }
                | Stage::Surveying { .. }
                | Stage::Planning { .. }
                | Stage::Trying { .. }
                | Stage::Accepting { .. }
                | Stage::Landing { .. }
                | Stage::Backoff { .. },
            )
            | None => Self::Unfinished,
        }
    }
}

/// The part of the cost that belongs to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share<K> {
    /// To what.
    pub of: K,
    /// How much.
    pub cost: MicroUsd,
    /// The tokens behind it.
    pub tokens: Tokens,
    /// In how many attempts of agents.
    pub attempts: u32,
    /// For how long they ran, added up.
    pub time_ms: u64,
}

/// What the meter showed while attempts ran, against what they were charged in the end. Only attempts that were
/// metered at least once and have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Meter {
    /// How many there are.
    pub attempts: u32,
    /// The sum of their last meter readings.
    pub metered: MicroUsd,
    /// The sum of what they were charged.
    pub charged: MicroUsd,
}

/// What a shift cost, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// In all: what the shift's ledger says.
    pub total: MicroUsd,
    /// What of it no attempt accounts for; nothing, unless an attempt of an earlier shift was booked on this one.
    pub elsewhere: MicroUsd,
    /// What of it is no knowledge but the reserve of attempts of which nothing is known.
    pub unknown: MicroUsd,
    /// The tokens behind it.
    pub tokens: Tokens,
    /// By what became of it.
    pub by_outcome: Vec<Share<Bucket>>,
    /// By persona.
    pub by_persona: Vec<Share<PersonaName>>,
    /// By agent.
    pub by_agent: Vec<Share<AgentName>>,
    /// By issue.
    pub by_issue: Vec<Share<IssueId>>,
    /// Metered against charged.
    pub meter: Meter,
}

/// What had been spent at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// So much, running attempts included.
    pub spent: MicroUsd,
}

/// What the shift might spend, from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// From when on.
    pub at: Timestamp,
    /// So much in all.
    pub budget: MicroUsd,
}

/// Takes a budget in, where it is not the one before. People set few of them, so none is left out.
pub(super) fn limited(limits: &mut Vec<Limit>, at: Timestamp, budget: MicroUsd) {
    if limits.last().is_none_or(|last| last.budget != budget) {
        limits.push(Limit { at, budget });
    }
}

/// Sums by some key.
#[derive(Debug)]
struct Shares<K>(BTreeMap<K, Share<K>>);

impl<K: Ord + Clone> Shares<K> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, of: K, attempt: &Attempt, until: Timestamp) {
        let share = self.0.entry(of.clone()).or_insert_with(|| Share {
            of,
            cost: MicroUsd::ZERO,
            tokens: Tokens::default(),
            attempts: 0,
            time_ms: 0,
        });
        share.cost += attempt.cost;
        share.tokens += attempt.tokens;
        share.attempts += 1;
        share.time_ms = share.time_ms.saturating_add(attempt.time(until).0);
    }

    /// The dearest first.
    fn dearest(self) -> Vec<Share<K>> {
        let mut all = self.in_order();
        all.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| a.of.cmp(&b.of)));
        all
    }

    fn in_order(self) -> Vec<Share<K>> {
        self.0.into_values().collect()
    }
}

impl Costs {
    pub(super) fn of(attempts: &[Attempt], state: &State, total: MicroUsd, until: Timestamp) -> Self {
        let mut costs = Self {
            total,
            elsewhere: total.less(attempts.iter().map(|a| a.cost).sum()),
            unknown: MicroUsd::ZERO,
            tokens: Tokens::default(),
            by_outcome: Vec::new(),
            by_persona: Vec::new(),
            by_agent: Vec::new(),
            by_issue: Vec::new(),
            meter: Meter::default(),
        };
        let (mut outcome, mut persona) = (Shares::new(), Shares::new());
        let (mut agent, mut issue) = (Shares::new(), Shares::new());
        for attempt in attempts {
            let RunBy::Agent {
                persona: who,
                agent: by,
            } = &attempt.by
            else {
                continue;
            };
            outcome.add(Bucket::of(attempt, state), attempt, until);
            persona.add(who.clone(), attempt, until);
            agent.add(by.clone(), attempt, until);
            issue.add(attempt.task.issue, attempt, until);
            costs.tokens += attempt.tokens;
            if attempt.basis == Some(CostBasis::Unknown) {
                costs.unknown += attempt.cost;
            }
            if let (Some(metered), Some(_)) = (attempt.metered, attempt.to) {
                costs.meter.attempts += 1;
                costs.meter.metered += metered;
                costs.meter.charged += attempt.cost;
            }
        }
        costs.by_outcome = outcome.in_order();
        costs.by_persona = persona.dearest();
        costs.by_agent = agent.dearest();
        costs.by_issue = issue.in_order();
        costs
    }
}

/// More points than these are thinned out.
const POINTS: usize = 2048;

/// Takes a sum in; of very many every second one is left out, and the last one never.
pub(super) fn note(points: &mut Vec<Point>, at: Timestamp, spent: MicroUsd) {
    match points.last_mut() {
        Some(last) if last.spent == spent => return,
        Some(last) if last.at == at => last.spent = spent,
        Some(_) | None => points.push(Point { at, spent }),
    }
    if points.len() > POINTS {
        let last = points.len() - 1;
        let mut place = 0;
        points.retain(|_| {
            let keep = place % 2 == 0 || place == last;
            place += 1;
            keep
        });
    }
}
