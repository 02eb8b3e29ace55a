//! Owns what one night believes: of each thing that is not known well, one value is drawn at its beginning. So the
//! nights differ by what is not known of the agents as well as by luck.

use std::rc::Rc;

use turno_core::config::Config;
use turno_core::failure::Cause;
use turno_core::ids::{AgentName, CheckName, PersonaName};
use turno_core::units::Span;

use super::bill::Bill;
use super::dice::{Dice, exp};
use super::model::{Amount, Course, Failing, Habit, LandingTime, Model, Prone, Work};

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

/// A chance that differs between tasks, this night.
#[derive(Debug, Clone, Copy)]
pub(super) struct NightProne {
    mean: f64,
    again: f64,
}

impl NightProne {
    fn of(prone: &Prone, dice: &mut Dice) -> Self {
        let answers = prone.answers();
        let Some(last) = answers.last() else {
            return Self {
                mean: 0.0,
                again: 0.0,
            };
        };
        let mut left = if answers.len() > 1 { dice.even() } else { 0.0 };
        let chosen = answers.iter().find(|answer| {
            left -= answer.weight;
            left < 0.0
        });
        let answer = chosen.unwrap_or(last);
        Self {
            mean: dice.chance(answer.chance.mean, answer.chance.worth),
            again: answer.again,
        }
    }

    /// Of one task.
    pub(super) fn at_task(self, dice: &mut Dice) -> f64 {
        if self.again <= 0.0 {
            return self.mean;
        }
        dice.chance(self.mean, (1.0 - self.again) / self.again)
    }
}

/// What attempts take and use, this night.
#[derive(Debug, Clone, Copy)]
struct NightWork {
    takes: Settled,
    costs: Settled,
    tokens: Settled,
    turns: Settled,
}

impl NightWork {
    fn of(work: &Work, dice: &mut Dice) -> Self {
        let takes = Settled::of(work.takes, dice);
        // A night in which attempts are dearer than believed is one in which they use more.
        let dear = dice.normal();
        Self {
            takes,
            costs: Settled::by(work.costs, dear),
            tokens: Settled::by(work.tokens, dear),
            turns: Settled::by(work.turns, dear),
        }
    }

    fn drawn(&self, size: Size) -> (Span, Bill) {
        let dear = TOGETHER * size.long + (1.0 - TOGETHER * TOGETHER).sqrt() * size.dear;
        let bill = Bill {
            micros: self.costs.at(dear),
            tokens: self.tokens.at(dear),
            turns: self.turns.at(dear).max(1),
        };
        (Span(self.takes.at(size.long).max(1)), bill)
    }
}

/// How far from the typical: of the standard normal distribution each.
#[derive(Debug, Clone, Copy)]
struct Size {
    long: f64,
    dear: f64,
}

impl Size {
    fn of(dice: &mut Dice) -> Self {
        let long = dice.normal();
        let dear = dice.normal();
        Self { long, dear }
    }

    /// One that has this part of its variance from another.
    fn like(self, other: Self, part: f64) -> Self {
        let both = |other: f64, own: f64| part.sqrt() * other + (1.0 - part).sqrt() * own;
        Self {
            long: both(other.long, self.long),
            dear: both(other.dear, self.dear),
        }
    }
}

#[derive(Debug)]
struct NightFailing {
    cause: Cause,
    chance: NightProne,
    /// Absent: nobody has seen one.
    work: Option<NightWork>,
}

/// One agent in one role, this night.
#[derive(Debug)]
pub(super) struct NightHabit {
    work: NightWork,
    fails: Vec<NightFailing>,
    asks: NightProne,
    sends_back: NightProne,
    as_before: f64,
}

impl NightHabit {
    fn of(habit: &Habit, as_before: f64, dice: &mut Dice) -> Self {
        let failing = |(cause, failing): (&Cause, &Failing), dice: &mut Dice| NightFailing {
            cause: *cause,
            chance: NightProne::of(&failing.chance, dice),
            work: match &failing.course {
                Course::Unseen => None,
                Course::Seen(work) => Some(NightWork::of(work, dice)),
            },
        };
        Self {
            work: NightWork::of(&habit.work, dice),
            fails: habit.fails.iter().map(|f| failing(f, dice)).collect(),
            asks: NightProne::of(&habit.asks, dice),
            sends_back: NightProne::of(&habit.sends_back, dice),
            as_before,
        }
    }
}

/// What one agent in one role does at one task, this night.
#[derive(Debug)]
pub(super) struct AtTask {
    habit: Rc<NightHabit>,
    fails: Vec<f64>,
    pub(super) asks: f64,
    pub(super) sends_back: f64,
    size: Size,
}

/// How an attempt fails.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fails {
    /// As those that were seen: it takes and uses so much.
    As(Cause, Span, Bill),
    /// As nobody has seen: some part of an attempt.
    Partly(Cause),
}

impl AtTask {
    pub(super) fn of(habit: &Rc<NightHabit>, dice: &mut Dice) -> Self {
        Self {
            habit: Rc::clone(habit),
            fails: habit.fails.iter().map(|f| f.chance.at_task(dice)).collect(),
            asks: habit.asks.at_task(dice),
            sends_back: habit.sends_back.at_task(dice),
            size: Size::of(dice),
        }
    }

    fn size(&self, dice: &mut Dice) -> Size {
        Size::of(dice).like(self.size, self.habit.as_before)
    }

    /// How long an attempt takes that comes to its end, and what it uses.
    pub(super) fn attempt(&self, dice: &mut Dice) -> (Span, Bill) {
        self.habit.work.drawn(self.size(dice))
    }

    /// Whether an attempt fails, and how.
    pub(super) fn fails(&self, dice: &mut Dice) -> Option<Fails> {
        let mut left = dice.even();
        let mut ways = self.habit.fails.iter().zip(&self.fails);
        let (failing, _) = ways.find(|(_, chance)| {
            left -= *chance;
            left < 0.0
        })?;
        Some(match &failing.work {
            Some(work) => {
                let (takes, bill) = work.drawn(self.size(dice));
                Fails::As(failing.cause, takes, bill)
            }
            None => Fails::Partly(failing.cause),
        })
    }
}

/// A check, this night.
#[derive(Debug)]
pub(super) struct NightCheck {
    pub(super) takes: Settled,
    /// That it is red by itself; absent: it is one of those that are red or green together.
    pub(super) red: Option<NightProne>,
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
    habits: Vec<(PersonaName, AgentName, Rc<NightHabit>)>,
    checks: Vec<(CheckName, NightCheck)>,
    /// That a change is red in one of the checks of which nothing is known.
    pub(super) red: NightProne,
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
                let night = NightHabit::of(habit, model.kinship.as_before, dice);
                habits.push((persona.name.clone(), agent.clone(), Rc::new(night)));
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
                    red: Some(NightProne::of(&known.red, dice)),
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
            red: NightProne::of(&model.checks.red, dice),
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

    /// An agent in a role, and at which place it stands.
    pub(super) fn habit(&self, persona: &PersonaName, agent: &AgentName) -> Option<(usize, &Rc<NightHabit>)> {
        let mut habits = self.habits.iter().enumerate();
        habits
            .find(|(_, (p, a, _))| p == persona && a == agent)
            .map(|(at, (_, _, habit))| (at, habit))
    }

    /// A check, and at which place it stands.
    pub(super) fn check(&self, name: &CheckName) -> Option<(usize, &NightCheck)> {
        let mut checks = self.checks.iter().enumerate();
        checks
            .find(|(_, (n, _))| n == name)
            .map(|(at, (_, check))| (at, check))
    }
}
