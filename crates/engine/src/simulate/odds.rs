//! Owns what one night believes: of each thing that is not known well, one value is drawn at its beginning. So the
//! nights differ by what is not known of the agents as well as by luck.

use turno_core::config::Config;
use turno_core::failure::Cause;
use turno_core::ids::{AgentName, CheckName, PersonaName};
use turno_core::units::Span;

use super::bill::Bill;
use super::dice::{Dice, exp};
use super::model::{Amount, Habit, LandingTime, Model};

/// How far money and time of one attempt go together. Long attempts cost more; assumed, not fitted.
const TOGETHER: f64 = 0.7;

/// An amount whose middle is settled for this night.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    mu: f64,
    sigma: f64,
}

impl Settled {
    fn of(amount: Amount, dice: &mut Dice) -> Self {
        Self::by(amount, dice.normal())
    }

    /// So far from what is believed.
    fn by(amount: Amount, normal: f64) -> Self {
        Self {
            mu: amount.mu + amount.doubt * normal,
            sigma: amount.sigma,
        }
    }

    fn at(self, normal: f64) -> u64 {
        // Above zero and far below the largest integer, as `exp` is bounded.
        exp((self.mu + self.sigma * normal).min(40.0)) as u64
    }

    /// A length of time.
    pub(super) fn span(self, dice: &mut Dice) -> Span {
        Span(self.at(dice.normal()).max(1))
    }
}

/// One agent in one role, this night.
#[derive(Debug, Clone)]
pub(super) struct NightHabit {
    takes: Settled,
    costs: Settled,
    tokens: Settled,
    turns: Settled,
    pub(super) fails: f64,
    pub(super) asks: f64,
    pub(super) sends_back: f64,
    causes: Vec<(Cause, f64)>,
}

impl NightHabit {
    fn of(habit: &Habit, dice: &mut Dice) -> Self {
        let takes = Settled::of(habit.takes, dice);
        // A night in which attempts are dearer than believed is one in which they use more.
        let dear = dice.normal();
        Self {
            takes,
            costs: Settled::by(habit.costs, dear),
            tokens: Settled::by(habit.tokens, dear),
            turns: Settled::by(habit.turns, dear),
            fails: dice.chance(habit.fails.mean, habit.fails.worth),
            asks: dice.chance(habit.asks.mean, habit.asks.worth),
            sends_back: dice.chance(habit.sends_back.mean, habit.sends_back.worth),
            causes: habit.causes.iter().map(|(c, w)| (*c, *w)).collect(),
        }
    }

    /// How long an attempt takes that comes to its end, and what it uses.
    pub(super) fn attempt(&self, dice: &mut Dice) -> (Span, Bill) {
        let (first, second) = (dice.normal(), dice.normal());
        let dear = TOGETHER * first + (1.0 - TOGETHER * TOGETHER).sqrt() * second;
        let bill = Bill {
            micros: self.costs.at(dear),
            tokens: self.tokens.at(dear),
            turns: self.turns.at(dear).max(1),
        };
        (Span(self.takes.at(first).max(1)), bill)
    }

    /// Why one fails that does.
    pub(super) fn cause(&self, dice: &mut Dice) -> Cause {
        let all: f64 = self.causes.iter().map(|(_, w)| w).sum();
        let mut left = dice.even() * all;
        for (cause, weight) in &self.causes {
            left -= weight;
            if left < 0.0 {
                return *cause;
            }
        }
        self.causes.last().map_or(Cause::Agent, |(cause, _)| *cause)
    }
}

/// A check, this night.
#[derive(Debug)]
pub(super) struct NightCheck {
    pub(super) takes: Settled,
    /// That it is red by itself; absent: it is one of those that are red or green together.
    pub(super) red: Option<f64>,
}

/// How long a landing takes, this night.
#[derive(Debug, Clone, Copy)]
pub(super) enum NightLanding {
    AndChecks(Settled),
    Whole(Settled),
}

/// All that one night believes.
#[derive(Debug)]
pub(super) struct Odds {
    habits: Vec<(PersonaName, AgentName, NightHabit)>,
    checks: Vec<(CheckName, NightCheck)>,
    /// That a change is red in one of the checks of which nothing is known.
    pub(super) red: f64,
    pub(super) landing: NightLanding,
    pub(super) conflict: f64,
    pub(super) red_together: f64,
    pub(super) opens: Settled,
    pub(super) quota: Settled,
}

impl Odds {
    pub(super) fn of(model: &Model, config: &Config, dice: &mut Dice) -> Self {
        let mut habits = Vec::new();
        for persona in &config.personas {
            for agent in &persona.agents {
                let habit = model.habit(&persona.name, agent, persona.role);
                habits.push((persona.name.clone(), agent.clone(), NightHabit::of(habit, dice)));
            }
        }
        let all = config
            .checks
            .iter()
            .chain(config.repos.values().flat_map(|r| &r.checks));
        let mut checks = Vec::new();
        for check in all {
            let night = match model.known_checks.get(&check.name) {
                Some(known) => NightCheck {
                    takes: Settled::of(known.takes, dice),
                    red: Some(dice.chance(known.red.mean, known.red.worth)),
                },
                None => NightCheck {
                    takes: Settled::of(model.checks.takes, dice),
                    red: None,
                },
            };
            checks.push((check.name.clone(), night));
        }
        Self {
            habits,
            checks,
            red: dice.chance(model.checks.red.mean, model.checks.red.worth),
            landing: match model.landing {
                LandingTime::AndChecks(amount) => NightLanding::AndChecks(Settled::of(amount, dice)),
                LandingTime::Whole(amount) => NightLanding::Whole(Settled::of(amount, dice)),
            },
            conflict: dice.chance(model.conflict.mean, model.conflict.worth),
            red_together: dice.chance(model.red_together.mean, model.red_together.worth),
            opens: Settled::of(model.opens, dice),
            quota: Settled::of(model.quota, dice),
        }
    }

    pub(super) fn habit(&self, persona: &PersonaName, agent: &AgentName) -> Option<&NightHabit> {
        let mut habits = self.habits.iter();
        habits
            .find(|(p, a, _)| p == persona && a == agent)
            .map(|(_, _, h)| h)
    }

    pub(super) fn check(&self, name: &CheckName) -> Option<&NightCheck> {
        self.checks.iter().find(|(n, _)| n == name).map(|(_, c)| c)
    }
}
