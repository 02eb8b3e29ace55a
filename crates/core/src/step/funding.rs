//! Owns whether there is enough for a start: what an attempt may reserve at every level it belongs to, and which level
//! has too little. Looks only.

use crate::State;
use crate::config::Config;
use crate::ids::{AgentName, TaskId};
use crate::ledger::{Allowance, Amount, Level, Measure, Shortage, Tariff};
use crate::persona::Persona;
use crate::units::{MicroUsd, Span, Timestamp};

/// An attempt is not started for less time than this.
const LEAST_WALL: Span = Span::seconds(1);

/// What an attempt may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    /// Money.
    pub(super) cap: MicroUsd,
    /// Time.
    pub(super) wall: Span,
    /// Tokens and turns.
    pub(super) within: Allowance,
    /// How it is paid for.
    pub(super) tariff: Tariff,
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
    starters: u64,
) -> Result<Grant, Shortage> {
    let tariff = config.agents.get(agent).map_or(Tariff::Metered, |a| a.tariff);
    let least = least(config, persona.budget, tariff);
    let (mut head, mut share) = (Allowance::NONE, Allowance::NONE);
    for level in state.levels(task, agent, state.desk.today) {
        let left = headroom(&level);
        // What is a task's own is no other's.
        share = share.and(match level {
            Level::Task(_) => left,
            Level::Day(_) | Level::Shift(_) | Level::Issue(_) | Level::Agent { .. } => left.share(starters),
        });
        if let Some(shortage) = shortage(level, left, least) {
            return Err(shortage);
        }
        head = head.and(left);
    }
    let least_usd = least.usd.unwrap_or(MicroUsd::ZERO);
    Ok(Grant {
        cap: match (tariff, share.usd) {
            (Tariff::Metered, Some(usd)) => usd.max(least_usd).min(persona.budget),
            (Tariff::Metered, None) | (Tariff::Flat, _) => persona.budget,
        },
        wall: head
            .wall
            .map_or(persona.wall_clock, |left| left.min(persona.wall_clock)),
        within: Allowance {
            tokens: share.tokens,
            turns: share.turns,
            ..Allowance::NONE
        },
        tariff,
    })
}

/// What an attempt needs at the least. One on a flat plan needs no money.
fn least(config: &Config, most: MicroUsd, tariff: Tariff) -> Allowance {
    Allowance {
        usd: match tariff {
            Tariff::Metered => Some(config.policy.least_start.min(most).max(MicroUsd(1))),
            Tariff::Flat => None,
        },
        tokens: Some(1),
        wall: Some(LEAST_WALL),
        turns: Some(1),
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

/// Whether a level has too little for any start, whatever still runs may give back.
pub(super) fn is_short(state: &State, level: &Level) -> bool {
    let limit = state.limit(level);
    if limit.is_none() {
        return false;
    }
    let Some(config) = &state.config else { return false };
    let left = limit.less(state.booked(level));
    // Whoever starts with the least decides; money is no matter where every agent has a flat plan.
    let flat = config.agents.values().all(|a| a.tariff == Tariff::Flat);
    let most = config.personas.iter().map(|p| p.budget).min();
    let tariff = if flat { Tariff::Flat } else { Tariff::Metered };
    let least = least(config, most.unwrap_or(MicroUsd::ZERO), tariff);
    shortage(level.clone(), left, least).is_some()
}

/// Whether a level has used what it may. A guess at what nobody has priced is held back before the start instead.
pub(super) fn is_reached(state: &State, level: &Level, now: Timestamp) -> bool {
    let limit = state.limit(level);
    !limit.is_none() && limit.reached(state.surely_used(level, now)).is_some()
}
