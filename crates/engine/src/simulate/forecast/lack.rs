//! Owns which budget ended a simulated night. It asks the core why the ready tasks were not started, and believes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use turno_core::State;
use turno_core::ids::{AgentName, ShiftId};
use turno_core::ledger::{Amount, Level, Measure};
use turno_core::shift::{ShiftEnd, ShiftStage};
use turno_core::step::{Reasons, Waiting};
use turno_core::task::Task;
use turno_core::units::Span;

use super::{Night, Over, end_of};

/// A budget without its day or number: all nights have their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purse {
    /// What all shifts of a day may use.
    Day,
    /// The shift's.
    Shift,
    /// What an agent's account may use in a day.
    Agent(AgentName),
    /// An issue's.
    Issue,
    /// A task's.
    Task,
}

impl Purse {
    fn of(level: &Level) -> Self {
        match level {
            Level::Day(_) => Self::Day,
            Level::Shift(_) => Self::Shift,
            Level::Issue(_) => Self::Issue,
            Level::Task(_) => Self::Task,
            Level::Agent { agent, .. } => Self::Agent(agent.clone()),
        }
    }
}

/// What a night lacked in the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lack {
    /// Whose budget.
    pub of: Purse,
    /// Of what.
    pub measure: Measure,
}

impl Lack {
    /// What keeps the ready tasks of a shift that its budgets have ended from being started; the first of several. The
    /// very function is asked that explains a real one, with the shift as it was before it ended.
    pub(super) fn at_the_end(over: &Over) -> Option<Self> {
        if end_of(&over.shift) != Some(ShiftEnd::Budget) {
            return None;
        }
        let mut state = over.state.clone();
        let shift = state.shifts.get_mut(&over.shift.id)?;
        Arc::make_mut(shift).stage = ShiftStage::Running;
        let issues = shift.issues.clone();
        let reasons = Reasons::of(&state);
        let lacks = |task: &Arc<Task>| {
            let Some(Waiting::Budget(shortage)) = reasons.why(task) else {
                return None;
            };
            let measure = match shortage.left {
                Amount::Usd(_) => Measure::Usd,
                Amount::Tokens(_) => Measure::Tokens,
                Amount::Wall(_) => Measure::Wall,
                Amount::Turns(_) => Measure::Turns,
            };
            Some(Self {
                of: Purse::of(&shortage.level),
                measure,
            })
        };
        let of_tasks = issues.iter().flat_map(|id| state.tasks_of(*id)).find_map(lacks);
        // With no task ready it was what was left for the issues that were not taken up.
        of_tasks.or_else(|| Self::of_all(&state, over.shift.id))
    }

    /// What is used up for everybody, if anything is.
    fn of_all(state: &State, shift: ShiftId) -> Option<Self> {
        let config = state.config.as_ref()?;
        let day = state.desk.today;
        let accounts = config.agents.keys().map(|agent| Level::Agent {
            agent: agent.clone(),
            day,
        });
        [Level::Shift(shift), Level::Day(day)]
            .into_iter()
            .chain(accounts)
            .find_map(|level| {
                let left = state.limit(&level).less(state.booked(&level));
                let measure = Measure::ALL.into_iter().find(|m| match left.of(*m) {
                    Some(Amount::Usd(usd)) => usd < config.policy.least_start,
                    Some(Amount::Tokens(tokens)) => tokens == 0,
                    Some(Amount::Wall(wall)) => wall < Span::seconds(1),
                    Some(Amount::Turns(turns)) => turns == 0,
                    None => false,
                })?;
                Some(Self {
                    of: Purse::of(&level),
                    measure,
                })
            })
    }
}

/// How often a budget ended the shift.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Short {
    /// Which, and of what.
    #[serde(flatten)]
    pub lack: Lack,
    /// In which part of the nights.
    pub share: f64,
}

impl Short {
    /// Most frequent first.
    pub(super) fn of(nights: &[Night]) -> Vec<Self> {
        let mut lacks: BTreeMap<&Lack, usize> = BTreeMap::new();
        for lack in nights.iter().filter_map(|n| n.lack.as_ref()) {
            *lacks.entry(lack).or_default() += 1;
        }
        let mut short: Vec<Self> = lacks
            .into_iter()
            .map(|(lack, count)| Self {
                lack: lack.clone(),
                share: count as f64 / nights.len().max(1) as f64,
            })
            .collect();
        short.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.lack.cmp(&b.lack)));
        short
    }
}
