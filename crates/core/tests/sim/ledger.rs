//! Owns a ledger of its own, kept from the journal alone: what each level must have been booked with, and how far over
//! a limit it may be.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::State;
use turno_core::command::{AgentStart, Command};
use turno_core::event::Event;
use turno_core::ids::AttemptId;
use turno_core::ledger::{Day, Level, MARKS, Measure, Tariff, Used};
use turno_core::record::Record;
use turno_core::units::{MicroUsd, Spend};

/// An attempt that was started and has not ended.
#[derive(Debug)]
struct Open {
    levels: Vec<Level>,
    tariff: Tariff,
    told: Used,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: BTreeMap<AttemptId, Open>,
    booked: BTreeMap<Level, Used>,
    /// Marks that were warned of, since the limit was set.
    warned: BTreeSet<(Level, Measure, u64)>,
}

impl Ledger {
    /// Takes a record in as an accountant would who is not told what the state holds.
    pub(crate) fn take(&mut self, state: &State, record: &Record) -> Result<(), String> {
        match &record.event {
            Event::Metered { attempt, spend } => self.tell(*attempt, *spend),
            Event::AgentEnded { attempt, spend, .. } => self.end(*attempt, *spend),
            Event::AttemptFailed { attempt, .. } => self.end(*attempt, Spend::NOTHING),
            Event::Restarted { lost, adopted } => {
                for attempt in self.open.keys().copied().collect::<Vec<_>>() {
                    if !adopted.contains(&attempt) {
                        let lost = lost.iter().find(|l| l.attempt == attempt);
                        self.end(attempt, lost.map_or(Spend::NOTHING, |l| l.spend));
                    }
                }
            }
            Event::ConfigLoaded { .. } => self.warned.clear(),
            Event::BudgetSet { level, .. } => self.warned.retain(|(l, _, _)| l != level),
            _ => {}
        }
        for command in &record.commands {
            match command {
                Command::StartAgent(start) => self.start(state, record, start),
                Command::WarnOfBudget { warning } => {
                    let measure = Measure::ALL
                        .into_iter()
                        .find(|m| Used::default().of(*m).to_string() == zero(warning.limit));
                    let told = (warning.level.clone(), measure.unwrap(), warning.percent);
                    if !MARKS.contains(&warning.percent) || !self.warned.insert(told) {
                        return Err(format!("warned twice, or of no mark: {warning}"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn start(&mut self, state: &State, record: &Record, start: &AgentStart) {
        let day = Day::of(record.at);
        let shift = state.shift().unwrap().id;
        let levels = vec![
            Level::Day(day),
            Level::Shift(shift),
            Level::Issue(start.task.issue),
            Level::Task(start.task),
            Level::Agent {
                agent: start.agent.clone(),
                day,
            },
        ];
        let open = Open {
            levels,
            tariff: start.limits.tariff,
            told: Used::default(),
        };
        self.open.insert(start.attempt, open);
    }

    fn tell(&mut self, attempt: AttemptId, spend: Spend) {
        if let Some(open) = self.open.get_mut(&attempt) {
            open.told = open
                .told
                .most(Used::by(spend, open.tariff, turno_core::units::Span(0)));
        }
    }

    fn end(&mut self, attempt: AttemptId, spend: Spend) {
        self.tell(attempt, spend);
        if let Some(open) = self.open.remove(&attempt) {
            for level in open.levels {
                *self.booked.entry(level).or_default() += open.told;
            }
        }
    }

    /// Every page is what the journal says, and every sum of pages is the same sum.
    pub(crate) fn agrees(&self, state: &State) -> Result<(), String> {
        let same = |a: Used, b: Used| (a.usd, a.tokens, a.turns) == (b.usd, b.tokens, b.turns);
        for (level, booked) in &self.booked {
            let page = state.booked(level);
            if !same(*booked, page) {
                return Err(format!("{level}: the journal says {booked:?}, its page {page:?}"));
            }
        }
        let mut sums: BTreeMap<&str, Used> = BTreeMap::new();
        for account in state.accounts.values() {
            let kind = match &account.level {
                Level::Day(_) => "days",
                Level::Shift(_) => "shifts",
                Level::Issue(_) => "issues",
                Level::Task(_) => "tasks",
                Level::Agent { .. } => "agents",
            };
            *sums.entry(kind).or_default() += account.used;
            let personas: Used = account.personas.values().copied().sum();
            let agents: Used = account.agents.values().copied().sum();
            if personas != account.used || agents != account.used {
                return Err(format!("{} does not add up", account.level));
            }
        }
        let mut values = sums.values();
        let first = values.next().copied().unwrap_or_default();
        if values.any(|sum| *sum != first) {
            return Err(format!("the levels do not add up to the same: {sums:?}"));
        }
        for task in state.tasks.values() {
            if state.booked(&Level::Task(task.id)).usd != task.spent {
                return Err(format!("{} has spent {}", task.id, task.spent));
            }
        }
        for shift in state.shifts.values() {
            if state.booked(&Level::Shift(shift.id)).usd != shift.spent {
                return Err(format!("{} has spent {}", shift.id, shift.spent));
            }
        }
        Ok(())
    }

    /// No level is over a limit by more than one message of each attempt that may run.
    pub(crate) fn within_limits(
        state: &State,
        record: &Record,
        slots: u16,
        message: Spend,
    ) -> Result<(), String> {
        let slots = u64::from(slots);
        for level in state.accounts.keys() {
            let limit = state.limit(level);
            let used = state.used(level, record.at);
            let promised = state.promised(level);
            let starts = record
                .commands
                .iter()
                .any(|c| matches!(c, Command::StartAgent(_)));
            let sums = [Some(used), starts.then_some(promised)];
            for sum in sums.into_iter().flatten() {
                let over = limit
                    .usd
                    .is_some_and(|l| sum.usd.less(MicroUsd(message.cost.0 * slots)) > l)
                    || limit
                        .tokens
                        .is_some_and(|l| sum.tokens.saturating_sub(message.tokens.sum() * slots) > l)
                    || limit.turns.is_some_and(|l| {
                        u64::from(sum.turns).saturating_sub(u64::from(message.turns) * slots) > u64::from(l)
                    })
                    || limit.wall.is_some_and(|l| sum.wall > l);
                if over {
                    return Err(format!("{level} is over its limit of {limit}: {sum:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Nothing, in the measure of a limit.
fn zero(limit: turno_core::ledger::Amount) -> String {
    use turno_core::ledger::Amount;
    match limit {
        Amount::Usd(_) => Amount::Usd(MicroUsd::ZERO),
        Amount::Tokens(_) => Amount::Tokens(0),
        Amount::Wall(_) => Amount::Wall(turno_core::units::Span(0)),
        Amount::Turns(_) => Amount::Turns(0),
    }
    .to_string()
}
