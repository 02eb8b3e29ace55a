//! Owns the ledger's moves: metering, booking, the hard stop at each level, warnings, and what a person sets.

use std::sync::Arc;

use super::Turn;
use super::funding::{is_reached, is_short};
use crate::command::Command;
use crate::failure::Cause;
use crate::ids::{AttemptId, SessionId, TaskId};
use crate::ledger::{Account, Allowance, Compared, Level, MARKS, Measure, Used, Warning};
use crate::shift::{ShiftStage, Winding};
use crate::task::{AgentRun, Park, Stage, StopWhy, WriterSession};
use crate::units::{CostBasis, Spend};

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
        let now = self.now;
        let Some(task) = self.task(id) else { return };
        let Some(run) = task.agent_run_mut() else { return };
        run.spend = later(run.spend, spend);
        let used = run.used(now);
        // A guess at the whole cap is a reserve, not a reason to kill.
        let sure = Used {
            usd: used.usd.less(used.unknown),
            ..used
        };
        let over_cap = run.allowance().reached(sure).is_some();
        let run = run.clone();
        let levels = self.state.levels_of(id, &run);
        self.watch(&levels);
        if over_cap {
            self.stop(id, StopWhy::AttemptBudget);
        }
    }

    /// Books what an ended attempt used, at every level it belongs to.
    pub(super) fn charge(&mut self, id: TaskId, run: &AgentRun, spend: Spend) {
        let spend = final_spend(run, spend);
        let wall = self.now.min(run.run.deadline).since(run.run.started);
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
        let why = match level {
            Level::Shift(_) => {
                self.wind(Winding::Budget);
                return self.stop_all(StopWhy::ShiftBudget);
            }
            Level::Day(day) if *day == self.state.desk.today => {
                self.wind(Winding::Budget);
                return self.stop_all(StopWhy::DayBudget);
            }
            // What began before midnight uses up its own day, not this one.
            Level::Day(_) => StopWhy::DayBudget,
            Level::Issue(_) => StopWhy::IssueBudget,
            Level::Task(_) => StopWhy::TaskBudget,
            Level::Agent { .. } => StopWhy::AgentBudget,
        };
        for id in ids {
            self.stop(id, why);
        }
    }

    /// An attempt has run as long as it may: by its own limit, or by one that its time was cut to.
    pub(super) fn out_of_time(&mut self, id: TaskId) {
        let run = self.state.tasks.get(&id).and_then(|t| t.agent_run()).cloned();
        if let Some(run) = run {
            let levels = self.state.levels_of(id, &run);
            self.watch(&levels);
        }
        self.stop(id, StopWhy::WallClock);
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
    pub(super) fn budget_set(&mut self, level: &Level, allowance: Allowance) {
        let mut set = allowance;
        if let (Level::Shift(id), Some(usd)) = (level, allowance.usd) {
            let Some(shift) = self.state.shifts.get_mut(id) else {
                return;
            };
            Arc::make_mut(shift).budget = usd;
            set.usd = None;
        }
        let mut account = self.state.account(level);
        account.set = account.set.overlaid(set);
        self.put_account(account);
        let limit = self.state.limit(level);
        let used = self.state.surely_used(level, self.now);
        let mut account = self.state.account(level);
        // What was told of the old limit says nothing about the marks above this one's.
        account.warned = std::mem::take(&mut account.warned)
            .into_iter()
            .filter_map(|(measure, told)| Some((measure, told.min(mark(&limit, measure, used)?))))
            .collect();
        self.put_account(account);
        self.limits_changed();
        self.warn(level);
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
                matches!(&t.stage, Stage::Parked { park: Park::Budget { level }, .. }
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

    fn put_account(&mut self, account: Account) {
        self.state
            .accounts
            .insert(account.level.clone(), Arc::new(account));
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
