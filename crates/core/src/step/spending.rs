//! Owns the ledger's moves: metering, booking, the hard stop at each level, warnings, and what a person sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Turn;
use super::funding::{is_reached, is_short, more};
use crate::command::Command;
use crate::event::AgentEnd;
use crate::failure::Cause;
use crate::ids::{AttemptId, SessionId, TaskId};
use crate::ledger::{
    Account, Allowance, AllowanceChange, Compared, Level, MARKS, Measure, Tariff, Used, Warning,
};
use crate::shift::{ShiftStage, Winding};
use crate::task::{AgentRun, Park, Stage, StopWhy, Stopping, Task, WriterSession};
use crate::units::{CostBasis, Span, Spend};

impl Turn<'_> {
    pub(super) fn session_opened(&mut self, attempt: AttemptId, session: &SessionId) {
        let Some(id) = self.state.task_of(attempt) else {
            return;
        };
        let Some(task) = self.task(id) else { return };
        let Some(run) = task.agent_run_mut() else { return };
        run.session = Some(session.clone());
        let open = WriterSession::Open {
            persona: run.persona.clone(),
            agent: run.agent.clone(),
            session: session.clone(),
        };
        // Those who judge begin afresh each time.
        if matches!(
            task.stage,
            Stage::Writing { .. } | Stage::Planning { .. } | Stage::Accepting { .. }
        ) {
            task.session = open;
        }
    }

    pub(super) fn metered(&mut self, attempt: AttemptId, spend: Spend) {
        let Some(id) = self.state.task_of(attempt) else {
            return;
        };
        let Some(task) = self.task(id) else { return };
        let Some(run) = task.agent_run_mut() else { return };
        run.spend = later(run.spend, spend);
        run.messages.hear(&run.spend);
        let run = run.clone();
        let levels = self.state.levels_of(id, &run);
        self.watch(&levels);
        if run.is_over_cap() {
            return self.stop(id, ran_out_of(&run, Measure::Usd));
        }
        match more(self.state, id, &run) {
            Err(level) => self.stop(id, stop_of(&level)),
            Ok(within) if within == run.within => {}
            Ok(within) => {
                if let Some(run) = self.task(id).and_then(Task::agent_run_mut) {
                    run.within = within;
                }
            }
        }
    }

    /// An attempt may come to the end of its money or time before it is told to stop. Where a level had cut them, that
    /// level has stopped it.
    pub(super) fn found_short(&mut self, attempt: AttemptId, end: &AgentEnd) {
        let measure = match end {
            AgentEnd::Failed(failure) if failure.cause == Cause::AttemptBudget => Measure::Usd,
            AgentEnd::Failed(failure) if failure.cause == Cause::WallClock => Measure::Wall,
            AgentEnd::Failed(_) | AgentEnd::Asked(_) | AgentEnd::Finished(_) => return,
        };
        let at = self.now;
        let Some(id) = self.state.task_of(attempt) else {
            return;
        };
        if let Some(run) = self.task(id).and_then(Task::agent_run_mut)
            && run.run.stopping == Stopping::No
            && let Some(level) = run.cut.get(&measure)
        {
            let why = stop_of(level);
            run.run.stopping = Stopping::Asked { why, at };
        }
    }

    /// Books what an ended attempt used until now, at every level it belongs to.
    pub(super) fn charge(&mut self, id: TaskId, run: &AgentRun, spend: Spend) {
        self.charge_for(id, run, spend, self.now.since(run.run.started));
    }

    /// The same for an attempt that worked for so long, and not until now.
    pub(super) fn charge_for(&mut self, id: TaskId, run: &AgentRun, spend: Spend, worked: Span) {
        let spend = final_spend(run, spend);
        // After its deadline it is on its way out.
        let wall = worked
            .min(self.now.since(run.run.started))
            .min(run.run.deadline.since(run.run.started));
        let used = Used::by(spend, run.tariff, wall);
        for level in self.state.levels_of(id, run) {
            let mut account = self.state.account(&level);
            account.used += used;
            *account.personas.entry(run.persona.clone()).or_default() += used;
            *account.agents.entry(run.agent.clone()).or_default() += used;
            if let (CostBasis::Reported, Some(counted)) = (spend.basis, spend.counted) {
                let Compared {
                    reported,
                    counted: sum,
                } = &mut account.compared;
                *reported += spend.cost;
                *sum += counted;
            }
            self.put_account(account);
            self.booked.insert(level);
        }
        if let Some(task) = self.task(id) {
            task.spent += used.usd;
        }
        let Some(shift) = self.shift() else { return };
        if shift.issues.contains(&id.issue) {
            shift.spent += used.usd;
        }
    }

    /// Looks once more at the levels of attempts that have ended: they may have been booked with more than they had
    /// been metered.
    pub(super) fn watch_booked(&mut self) {
        let levels: Vec<Level> = std::mem::take(&mut self.booked).into_iter().collect();
        self.watch(&levels);
    }

    /// The hard stop and the warnings of these levels, the widest first.
    fn watch(&mut self, levels: &[Level]) {
        for level in levels {
            if is_reached(self.state, level, self.now) {
                self.spent_out(level);
            }
        }
        for level in levels {
            self.warn(level);
        }
    }

    /// Every level of every attempt that runs, e.g. after a limit has changed.
    pub(super) fn watch_all(&mut self) {
        let levels: std::collections::BTreeSet<Level> = self
            .state
            .running()
            .filter_map(|t| t.agent_run().map(|run| self.state.levels_of(t.id, run)))
            .flatten()
            .collect();
        let levels: Vec<Level> = levels.into_iter().collect();
        self.watch(&levels);
    }

    /// Stops what runs on a level that has used what it may. The shift and the day stop everything, any other level
    /// only its own.
    fn spent_out(&mut self, level: &Level) {
        let ids: Vec<TaskId> = self.state.at_work(level).map(|(task, _)| task.id).collect();
        if ids.is_empty() {
            return;
        }
        let why = stop_of(level);
        // What has no price by use has no next message that would go over.
        let spent = self
            .state
            .limit(level)
            .reached(self.state.surely_used(level, self.now));
        let flat = |run: &AgentRun| run.tariff == Tariff::Flat;
        if spent.is_none() && self.state.at_work(level).any(|(_, run)| flat(run)) {
            let metered = self.state.at_work(level).filter(|(_, run)| !flat(run));
            let ids: Vec<TaskId> = metered.map(|(task, _)| task.id).collect();
            for id in ids {
                self.stop(id, why);
            }
            return;
        }
        // What began before midnight uses up its own day, not this one.
        let all = match level {
            Level::Shift(_) => true,
            Level::Day(day) => *day == self.state.desk.today,
            Level::Issue(_) | Level::Task(_) | Level::Agent { .. } => false,
        };
        if all {
            self.wind(Winding::Budget);
            return self.stop_all(why);
        }
        for id in ids {
            self.stop(id, why);
        }
    }

    /// An attempt has run as long as it may: by its own limit, or by one that its time was cut to.
    pub(super) fn out_of_time(&mut self, id: TaskId) {
        let run = self.state.tasks.get(&id).and_then(|t| t.agent_run()).cloned();
        let Some(run) = run else {
            return self.stop(id, StopWhy::WallClock);
        };
        let levels = self.state.levels_of(id, &run);
        self.watch(&levels);
        self.stop(id, ran_out_of(&run, Measure::Wall));
    }

    /// Tells of the highest mark that a limit has passed and that was not told of before.
    fn warn(&mut self, level: &Level) {
        let limit = self.state.limit(level);
        if limit.is_none() {
            return;
        }
        let used = self.state.surely_used(level, self.now);
        for measure in Measure::ALL {
            let Some(mark) = mark(&limit, measure, used) else {
                continue;
            };
            let mut account = self.state.account(level);
            if account.warned.get(&measure).is_some_and(|told| *told >= mark) {
                continue;
            }
            account.warned.insert(measure, mark);
            self.put_account(account);
            if let Some(limit) = limit.of(measure) {
                self.commands.push(Command::WarnOfBudget {
                    warning: Warning {
                        level: level.clone(),
                        percent: mark,
                        used: used.of(measure),
                        limit,
                    },
                });
            }
        }
    }

    /// A person sets a level's limits. What was stopped or parked for them goes on where there is room now.
    pub(super) fn budget_set(&mut self, level: &Level, allowance: AllowanceChange) {
        let mut set = allowance;
        if let (Level::Shift(id), Some(usd)) = (level, allowance.limits().usd) {
            let Some(shift) = self.state.shifts.get_mut(id) else {
                return;
            };
            Arc::make_mut(shift).budget = usd;
            set.usd = None;
        }
        let mut account = self.state.account(level);
        account.set = account.set.then(set);
        self.put_account(account);
        self.limits_changed();
        if let Level::Task(id) = level {
            self.give_another_try(*id);
        }
    }

    /// A task whose attempts have each used up their cap is tried again: a person gave it more.
    fn give_another_try(&mut self, id: TaskId) {
        let since = self.now;
        let Some(task) = self.task(id) else { return };
        if let Stage::Parked {
            work,
            park: Park::OutOfTries { failure },
        } = &task.stage
            && failure.cause == Cause::AttemptBudget
        {
            let work = work.clone();
            task.tries.remove(&Cause::AttemptBudget);
            task.stage = Stage::Ready { work, since };
        }
    }

    /// Looks at everything that hangs on a limit.
    pub(super) fn limits_changed(&mut self) {
        let since = self.now;
        self.watch_all();
        self.warn_anew();
        let today = Level::Day(self.state.desk.today);
        if let Some(shift) = self.state.shift()
            && shift.stage == ShiftStage::Winding(Winding::Budget)
            && !is_short(self.state, &today)
            && !is_short(self.state, &Level::Shift(shift.id))
            && let Some(shift) = self.shift()
        {
            shift.stage = ShiftStage::Running;
        }
        let funded: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| {
                matches!(&t.stage, Stage::Parked { park: Park::Budget { level, .. }, .. }
                    if !is_short(self.state, level))
            })
            .map(|t| t.id)
            .collect();
        for id in funded {
            let Some(task) = self.task(id) else { continue };
            if let Stage::Parked { work, .. } = &task.stage {
                let work = work.clone();
                task.stage = Stage::Ready { work, since };
            }
        }
    }

    /// The marks of every level that may still be used, by the limits as they are now. What was told of an old limit
    /// says nothing about the marks above the new one's.
    fn warn_anew(&mut self) {
        let today = self.state.desk.today;
        let live = self
            .state
            .accounts
            .keys()
            .filter(|l| self.state.is_live(l, today));
        for level in live.cloned().collect::<Vec<_>>() {
            let limit = self.state.limit(&level);
            let used = self.state.surely_used(&level, self.now);
            let mut account = self.state.account(&level);
            let passed = |(measure, told): (&Measure, &u64)| {
                Some((*measure, mark(&limit, *measure, used)?.min(*told)))
            };
            let warned: BTreeMap<Measure, u64> = account.warned.iter().filter_map(passed).collect();
            if warned != account.warned {
                account.warned = warned;
                self.put_account(account);
            }
            self.warn(&level);
        }
    }

    fn put_account(&mut self, account: Account) {
        self.state
            .accounts
            .insert(account.level.clone(), Arc::new(account));
    }
}

/// Why an attempt is stopped that has used all it was given of money or time: a level had no more for it, or it may
/// have no more.
fn ran_out_of(run: &AgentRun, measure: Measure) -> StopWhy {
    match (run.cut.get(&measure), measure) {
        (Some(level), _) => stop_of(level),
        (None, Measure::Wall) => StopWhy::WallClock,
        (None, Measure::Usd | Measure::Tokens | Measure::Turns) => StopWhy::AttemptBudget,
    }
}

/// Why an attempt is stopped for which a level has no more.
fn stop_of(level: &Level) -> StopWhy {
    match level {
        Level::Day(_) => StopWhy::DayBudget,
        Level::Shift(_) => StopWhy::ShiftBudget,
        Level::Issue(_) => StopWhy::IssueBudget,
        Level::Task(_) => StopWhy::TaskBudget,
        Level::Agent { .. } => StopWhy::AgentBudget,
    }
}

/// The highest mark that is passed.
fn mark(limit: &Allowance, measure: Measure, used: Used) -> Option<u64> {
    let percent = limit.percent(measure, used)?;
    MARKS.into_iter().rev().find(|mark| percent >= *mark)
}

/// The sums an attempt tells are such that grow; one that does not is a late word. Each by itself: where the agent
/// corrects its money, its tokens go on being counted.
fn later(before: Spend, now: Spend) -> Spend {
    let money = if now.cost < before.cost { before } else { now };
    let counted = if now.tokens.sum() < before.tokens.sum() {
        before
    } else {
        now
    };
    Spend {
        cost: money.cost,
        basis: money.basis,
        tokens: counted.tokens,
        counted: counted.counted,
        turns: before.turns.max(now.turns),
    }
}

/// A reported sum stands; an estimate is not allowed to shrink; an unknown one counts as the whole cap.
fn final_spend(run: &AgentRun, spend: Spend) -> Spend {
    let cost = match spend.basis {
        CostBasis::Reported => spend.cost,
        CostBasis::Estimated => spend.cost.max(run.spend.cost),
        CostBasis::Unknown => spend.cost.max(run.cap),
    };
    Spend {
        cost,
        basis: spend.basis,
        ..later(run.spend, spend)
    }
}
