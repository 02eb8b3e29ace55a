//! Owns forecasts: many simulated nights of the real core, with agents, checks and people drawn from what is assumed or
//! what the journal shows. It starts no process and touches no repository. Same job, same model, same forecast, on any
//! number of threads.

mod bill;
mod dice;
mod forecast;
mod history;
mod model;
mod odds;
mod world;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use turno_core::admit::{Refused, admit};
use turno_core::config::Config;
use turno_core::event::Event;
use turno_core::ids::{InvalidId, IssueId, PersonaName};
use turno_core::issue::{IssueDraft, IssueStage, Item, Items, Split};
use turno_core::ledger::{Account, Level};
use turno_core::policy::PlanRule;
use turno_core::shift::Scope;
use turno_core::state::Entity;
use turno_core::units::{MicroUsd, Timestamp};
use turno_core::{State, step};

pub use forecast::{Bar, Ending, Forecast, Held, Lack, Lane, Purse, Range, Short, Why};
pub use history::{Evidence, Fit, Learner};
pub use model::{
    Amount, Answer, Chance, CheckHabit, Course, Error as ModelError, Failing, Fault, Habit, Kinship,
    LandingTime, Model, Person, Prone, Split as PlanSplit, Tally, Work,
};

use forecast::Night;
use world::{Kept, World};

/// Why a night has no end. Each is a mistake in the simulator or in the core, never a property of the night.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// No shift began.
    #[error("a simulated shift did not begin")]
    Unbegun,
    /// Nothing runs, nothing is due, and the shift is not over.
    #[error("nothing will ever happen in a simulated shift")]
    Nothing,
    /// It goes on and on.
    #[error("a simulated shift does not end")]
    Endless,
    /// Somebody was started who is not in the configuration.
    #[error("{0} was started, and is not in the configuration")]
    Nobody(PersonaName),
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] InvalidId),
}

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for would be refused for real, too.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A shift is not over.
    #[error(
        "a shift of this workspace is not over; end it with `turno stop`, or give --issues N for issues of no \
             workspace"
    )]
    ShiftRuns,
    /// There is nothing to work on.
    #[error(
        "there is no open issue in this workspace; `turno issue add` files one, --issues N takes made-up ones"
    )]
    NoIssues,
    /// A mistake of Turno's.
    #[error("night {night} of seed {seed}: {stuck}. This is a mistake in turno")]
    Stuck {
        /// Which night.
        night: u64,
        /// Under which seed.
        seed: u64,
        /// What happened.
        stuck: Stuck,
    },
}

/// What is worked on.
#[derive(Debug, Clone)]
pub enum Backlog {
    /// So many issues, each of so many tasks where the policy does not say otherwise.
    MadeUp {
        /// How many.
        issues: u32,
        /// What the day and the accounts have used already, and what was set for them.
        used: Vec<Arc<Account>>,
    },
    /// The open issues of a workspace.
    Of(Box<State>),
}

/// The pages of a workspace's ledger that hold for whatever is done on the same day: of days and of accounts.
pub fn used_by_day(state: &State) -> Vec<Arc<Account>> {
    let by_day = |level: &Level| match level {
        Level::Day(_) | Level::Agent { .. } => true,
        Level::Shift(_) | Level::Issue(_) | Level::Task(_) => false,
    };
    let pages = state.accounts.values();
    pages.filter(|p| by_day(&p.level)).cloned().collect()
}

/// What is to be simulated, the same in each night.
#[derive(Debug, Clone)]
pub struct Job {
    config: Config,
    /// With the configuration and the issues, before the shift.
    state: State,
    open: Vec<IssueId>,
    budget: MicroUsd,
    scope: Scope,
    seed: u64,
    begins: Timestamp,
    /// Whether red checks are the work.
    repairs: bool,
}

/// How it is to be simulated.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// All that the shift may spend.
    pub budget: MicroUsd,
    /// What it takes up.
    pub scope: Scope,
    /// What the nights are drawn from.
    pub seed: u64,
    /// When it begins.
    pub begins: Timestamp,
}

impl Job {
    /// A shift with this configuration on this backlog.
    ///
    /// # Errors
    /// When such a shift would be refused for real, or there is nothing to do.
    pub fn new(config: Config, backlog: Backlog, split: &PlanSplit, terms: Terms) -> Result<Self, Error> {
        let (mut state, drafts) = match backlog {
            Backlog::MadeUp { issues, used } => {
                let mut state = State::default();
                for page in used {
                    state.put(Entity::Account(page));
                }
                (state, made_up(&config, issues, split))
            }
            Backlog::Of(state) => {
                if state.shift().is_some() {
                    return Err(Error::ShiftRuns);
                }
                (without_the_past(*state), Vec::new())
            }
        };
        let configured = Event::ConfigLoaded {
            config: Box::new(config.clone()),
        };
        step(&mut state, terms.begins, &configured);
        for draft in drafts {
            step(&mut state, terms.begins, &Event::IssueAdded { draft });
        }
        let open: Vec<IssueId> = state
            .issues
            .values()
            .filter(|i| matches!(i.stage, IssueStage::Backlog | IssueStage::Working { .. }))
            .map(|i| i.id)
            .collect();
        if open.is_empty() {
            return Err(Error::NoIssues);
        }
        let repairs = config.policy.plan == PlanRule::Checks;
        let begin = Event::ShiftStarted {
            mode: config.policy.name.clone(),
            issues: Vec::new(),
            budget: terms.budget,
            scope: terms.scope,
        };
        admit(&state, &begin)?;
        Ok(Self {
            config,
            state,
            open,
            budget: terms.budget,
            scope: terms.scope,
            seed: terms.seed,
            begins: terms.begins,
            repairs,
        })
    }

    /// The same on another number of slots.
    #[must_use]
    pub fn on_slots(&self, slots: u16) -> Self {
        let mut job = self.clone();
        job.config.slots = slots;
        job.config.urgent_slots = job.config.urgent_slots.min(slots.saturating_sub(1));
        job.state.config = Some(Arc::new(job.config.clone()));
        job
    }

    /// How many issues are open.
    pub fn issues(&self) -> usize {
        self.open.len()
    }
}

/// Issues that nobody has written.
fn made_up(config: &Config, many: u32, split: &PlanSplit) -> Vec<IssueDraft> {
    let batch = config.policy.name.as_str() == "batch";
    let pieces = match split {
        PlanSplit::Between(_, most) => *most,
        PlanSplit::Seen(seen) => seen.iter().copied().max().unwrap_or(1),
    };
    let items = |issue: u32| {
        let item = |n: u16| Item {
            title: format!("item {n}"),
            brief: String::new(),
            acceptance: Vec::new(),
            touches: vec![format!("items/{issue}/{n}/**")],
        };
        Items {
            items: (1..=pieces.max(1)).map(item).collect(),
            group: 5,
            trial: 0,
        }
    };
    (1..=many)
        .map(|n| IssueDraft {
            title: format!("made-up issue {n}"),
            split: if config.policy.plan == PlanRule::Checks {
                Split::Checks(BTreeSet::new())
            } else if batch {
                Split::Items(items(n))
            } else {
                Split::ByPolicy
            },
            ..IssueDraft::default()
        })
        .collect()
}

/// What has landed or is closed needs no tasks any more: it is only there for those who need it.
fn without_the_past(mut state: State) -> State {
    let over: BTreeSet<IssueId> = state
        .issues
        .values()
        .filter(|i| match i.stage {
            IssueStage::Review { .. } | IssueStage::Done { .. } | IssueStage::Closed { .. } => true,
            IssueStage::Backlog | IssueStage::Opening { .. } | IssueStage::Working { .. } => false,
        })
        .map(|i| i.id)
        .collect();
    state.tasks.retain(|id, _| !over.contains(&id.issue));
    state.decisions.retain(|_, d| !over.contains(&d.task.issue));
    // What is free tonight says nothing of other nights.
    state.desk.room = turno_core::room::Room::Enough;
    state
}

/// Simulates so many nights.
///
/// # Errors
/// When a night has no end, which is a mistake of Turno's.
pub fn simulate(job: &Job, model: &Model, nights: NonZeroUsize) -> Result<Forecast, Error> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    simulate_on(threads, job, model, nights)
}

/// The same on so many threads.
fn simulate_on(threads: usize, job: &Job, model: &Model, nights: NonZeroUsize) -> Result<Forecast, Error> {
    let threads = threads.clamp(1, nights.get());
    let run = |first: usize| -> Result<Vec<Night>, Error> {
        (first..nights.get())
            .step_by(threads)
            .map(|n| night(job, model, n as u64))
            .collect()
    };
    let shares: Vec<Result<Vec<Night>, Error>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|t| scope.spawn(move || run(t))).collect();
        let mine = run(0);
        let joined = others.into_iter().map(|other| match other.join() {
            Ok(share) => share,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(mine).chain(joined).collect()
    });
    let mut by_share = Vec::with_capacity(threads);
    for share in shares {
        by_share.push(share?.into_iter());
    }
    // Night n is the next one of share n modulo the number of threads, so the order is that of one thread.
    let all: Vec<Night> = (0..nights.get())
        .filter_map(|n| by_share.get_mut(n % threads).and_then(Iterator::next))
        .collect();
    let mut forecast = Forecast::of(job, &all);
    let middle = forecast.middle_of(&all);
    let drawn = world(job, model, middle, Kept::Bars(Vec::new()))?;
    if let Kept::Bars(bars) = drawn.kept {
        forecast.middle = bars;
    }
    Ok(forecast)
}

fn night(job: &Job, model: &Model, night: u64) -> Result<Night, Error> {
    Ok(Night::of(job, &world(job, model, night, Kept::Nothing)?))
}

fn world(job: &Job, model: &Model, night: u64, kept: Kept) -> Result<world::Over, Error> {
    World::new(job, model, night, kept)
        .run()
        .map_err(|stuck| Error::Stuck {
            night,
            seed: job.seed,
            stuck,
        })
}

#[cfg(test)]
mod tests;
