//! Owns whether there is enough for a start: what an attempt may reserve at every level it belongs to, which level has
//! too little, and what a running attempt may have beyond what it reserved. Looks only.

use std::collections::BTreeMap;

use crate::State;
use crate::config::Config;
use crate::ids::{AgentName, TaskId};
use crate::ledger::{Allowance, Amount, Level, Measure, Shortage, Tariff, Used};
use crate::persona::Persona;
use crate::task::{AgentRun, Park};
use crate::units::{MicroUsd, Span, Timestamp};

/// An attempt is started with so much of a limit in tokens, turns or time, or with `LEAST_PART` of the limit where
/// that is less. What is less than that is used up before anything is done with it.
const LEAST: Used = Used {
    usd: MicroUsd::ZERO,
    unknown: MicroUsd::ZERO,
    tokens: 20_000,
    wall: Span::seconds(60),
    turns: 3,
};
/// One part in so many.
const LEAST_PART: u64 = 20;
/// An attempt is not started for less time than this, whatever the limit.
const LEAST_WALL: Span = Span::seconds(1);

/// What an attempt may use.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// Money.
    pub(super) cap: MicroUsd,
    /// Time.
    pub(super) wall: Span,
    /// Tokens and turns.
    pub(super) within: Allowance,
    /// How it is paid for.
    pub(super) tariff: Tariff,
    /// Which of money and time are less than its persona may use, and by which level.
    pub(super) cut: BTreeMap<Measure, Level>,
}

/// How many could start now, the one that is about to among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Starters {
    /// By what waits: money and time are shared among so many, because what an attempt reserved of them it keeps.
    pub(super) waiting: u64,
    /// By what is free: tokens and turns are shared among so many, because an attempt gets more of them while it runs.
    pub(super) slots: u64,
}

/// What an attempt may reserve: the least that any level has left, shared with the others that could start now. `headroom`
/// is [`State::headroom`], or knows the same.
pub(super) fn grant(
    state: &State,
    config: &Config,
    persona: &Persona,
    agent: &AgentName,
    task: TaskId,
    headroom: impl Fn(&Level) -> Allowance,
    starters: Starters,
) -> Result<Grant, Shortage> {
    let tariff = config.agents.get(agent).map_or(Tariff::Metered, |a| a.tariff);
    let mut all = Allowance {
        usd: match tariff {
            Tariff::Metered => Some(persona.budget),
            Tariff::Flat => None,
        },
        wall: Some(persona.wall_clock),
        ..Allowance::NONE
    };
    let mut cut = BTreeMap::new();
    for level in state.levels(task, agent, state.desk.today) {
        let least = least(
            state,
            config,
            &level,
            (persona.budget, persona.wall_clock),
            tariff,
        );
        let left = headroom(&level);
        if let Some(shortage) = shortage(level.clone(), left, least) {
            return Err(shortage);
        }
        let share = share(&level, left, least, starters);
        if share.usd.is_some_and(|n| all.usd.is_some_and(|all| n < all)) {
            cut.insert(Measure::Usd, level.clone());
        }
        if share.wall.is_some_and(|n| all.wall.is_some_and(|all| n < all)) {
            cut.insert(Measure::Wall, level);
        }
        // An account without a price by use has no cap to be cut.
        let share = Allowance {
            usd: share.usd.filter(|_| tariff == Tariff::Metered),
            ..share
        };
        all = all.and(share);
    }
    Ok(Grant {
        cap: all.usd.unwrap_or(persona.budget),
        wall: all.wall.unwrap_or(persona.wall_clock),
        within: Allowance {
            tokens: all.tokens,
            turns: all.turns,
            ..Allowance::NONE
        },
        tariff,
        cut,
    })
}

/// One starter's part of what a level has left, and never less than the least while that is there.
fn share(level: &Level, left: Allowance, least: Allowance, starters: Starters) -> Allowance {
    let Starters { waiting, slots } = match level {
        // What is a task's own is no other's.
        Level::Task(_) => Starters { waiting: 1, slots: 1 },
        Level::Day(_) | Level::Shift(_) | Level::Issue(_) | Level::Agent { .. } => starters,
    };
    let (kept, lent) = (left.share(waiting), left.share(slots));
    let shared = Allowance {
        usd: kept.usd,
        tokens: lent.tokens,
        wall: kept.wall,
        turns: lent.turns,
    };
    shared.at_least(least).and(left)
}

/// What a running attempt may have of tokens and turns once it has used what it had: a share of what nobody else has
/// been promised. `Err` names the level that has nothing more.
pub(super) fn more(state: &State, task: TaskId, run: &AgentRun) -> Result<Allowance, Level> {
    let Some(config) = &state.config else {
        return Ok(run.within);
    };
    let (has, told) = (run.promised(), run.spend);
    let tokens = run.within.tokens.is_some_and(|n| told.tokens.sum() >= n);
    let turns = run.within.turns.is_some_and(|n| told.turns >= n);
    let slots = u64::try_from(state.free_slots().len()).unwrap_or(1);
    let starters = Starters {
        waiting: 1,
        slots: slots.saturating_add(1),
    };
    let mut all = Allowance::NONE;
    for level in state.levels_of(task, run) {
        let left = state.headroom(&level);
        let least = least(state, config, &level, (run.cap, LEAST.wall), run.tariff);
        let share = share(&level, left, least, starters);
        if tokens && share.tokens == Some(0) || turns && share.turns == Some(0) {
            return Err(level);
        }
        all = all.and(Allowance {
            tokens: share.tokens.map(|n| n.saturating_add(has.tokens)),
            turns: share.turns.map(|n| n.saturating_add(has.turns)),
            ..Allowance::NONE
        });
    }
    Ok(Allowance {
        tokens: if tokens { all.tokens } else { run.within.tokens },
        turns: if turns { all.turns } else { run.within.turns },
        ..run.within
    })
}

/// What an attempt that may use so much money and time needs of a level at the least. One on a flat plan needs no money.
fn least(
    state: &State,
    config: &Config,
    level: &Level,
    (money, time): (MicroUsd, Span),
    tariff: Tariff,
) -> Allowance {
    let limit = state.limit(level).share(LEAST_PART);
    Allowance {
        usd: match tariff {
            Tariff::Metered => Some(config.policy.least_start.min(money).max(MicroUsd(1))),
            Tariff::Flat => None,
        },
        tokens: limit.tokens.map(|part| part.clamp(1, LEAST.tokens)),
        wall: limit
            .wall
            .map(|part| part.min(LEAST.wall).min(time).max(LEAST_WALL)),
        turns: limit.turns.map(|part| part.clamp(1, LEAST.turns)),
    }
}

fn shortage(level: Level, left: Allowance, least: Allowance) -> Option<Shortage> {
    let short = |measure: &Measure| match (left.of(*measure)?, least.of(*measure)?) {
        (Amount::Usd(left), Amount::Usd(least)) => (left < least).then_some(()),
        (Amount::Tokens(left), Amount::Tokens(least)) => (left < least).then_some(()),
        (Amount::Wall(left), Amount::Wall(least)) => (left < least).then_some(()),
        (Amount::Turns(left), Amount::Turns(least)) => (left < least).then_some(()),
        (Amount::Usd(_) | Amount::Tokens(_) | Amount::Wall(_) | Amount::Turns(_), _) => None,
    };
    let measure = Measure::ALL.into_iter().find(|m| short(m).is_some())?;
    Some(Shortage {
        level,
        left: left.of(measure)?,
        least: least.of(measure)?,
    })
}

/// What a level lacks for any start, whatever still runs may give back; none where it lacks nothing.
pub fn lacking(state: &State, level: &Level) -> Option<Shortage> {
    let limit = state.limit(level);
    if limit.is_none() {
        return None;
    }
    let config = state.config.as_ref()?;
    let left = limit.less(state.booked(level));
    // Whoever starts with the least decides; money is no matter where every agent has a flat plan.
    let flat = config.agents.values().all(|a| a.tariff == Tariff::Flat);
    let money = config.personas.iter().map(|p| p.budget).min();
    let time = config.personas.iter().map(|p| p.wall_clock).min();
    let tariff = if flat { Tariff::Flat } else { Tariff::Metered };
    let most = (money.unwrap_or_default(), time.unwrap_or_default());
    let least = least(state, config, level, most, tariff);
    shortage(level.clone(), left, least)
}

/// Whether a level has too little for any start.
pub(super) fn is_short(state: &State, level: &Level) -> bool {
    lacking(state, level).is_some()
}

/// Why a task is parked: its own budget, or that of its issue, starts nothing more.
pub(super) fn unfunded(state: &State, id: TaskId) -> Option<Park> {
    let levels = [Level::Issue(id.issue), Level::Task(id)];
    let Shortage { level, left, least } = levels.iter().find_map(|level| lacking(state, level))?;
    Some(Park::Budget { level, left, least })
}

/// Whether a level has used what it may, or has less left than what is under way on it costs at the least: each of those
/// at work may be in a message that nobody has told of, and all of these are billed. A guess at what nobody has priced
/// is held back before the start instead.
pub(super) fn is_reached(state: &State, level: &Level, now: Timestamp) -> bool {
    let limit = state.limit(level);
    if limit.is_none() {
        return false;
    }
    let used = state.surely_used(level, now);
    let metered = state
        .at_work(level)
        .filter(|(_, run)| run.tariff == Tariff::Metered);
    let under_way: MicroUsd = metered.map(|(_, run)| run.messages.next()).sum();
    let short = |usd: MicroUsd| under_way > usd.less(used.usd);
    limit.reached(used).is_some() || limit.usd.is_some_and(short)
}
