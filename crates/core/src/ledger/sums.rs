//! Owns the sums of the ledger: what each level has used, promised and left. Derived from the pages of ended attempts
//! and from the attempts that run. The money of ended attempts stands in a task and in a shift too, as it did before
//! there were pages; both are written by the one function that books, and the worlds of the tests hold them together.

use std::collections::BTreeMap;

use crate::State;
use crate::ids::{AgentName, IssueId, TaskId};
use crate::issue::IssueStage;
use crate::ledger::{Account, Allowance, AllowanceChange, Compared, Day, Level, Measure, Tariff, Used};
use crate::task::{AgentRun, Task};
use crate::units::{CostBasis, MicroUsd, Span, Timestamp};

impl State {
    /// Every level that an attempt of a task belongs to, the widest first.
    pub fn levels(&self, task: TaskId, agent: &AgentName, day: Day) -> Vec<Level> {
        let shift = self.shift().filter(|s| s.issues.contains(&task.issue));
        std::iter::once(Level::Day(day))
            .chain(shift.map(|s| Level::Shift(s.id)))
            .chain([
                Level::Issue(task.issue),
                Level::Task(task),
                Level::Agent {
                    agent: agent.clone(),
                    day,
                },
            ])
            .collect()
    }

    /// The levels that a running attempt belongs to, the widest first.
    pub fn levels_of(&self, task: TaskId, run: &AgentRun) -> Vec<Level> {
        self.levels(task, &run.agent, Day::of(run.run.started))
    }

    /// What attempts that have ended used of a level.
    pub fn booked(&self, level: &Level) -> Used {
        if let Some(account) = self.accounts.get(level) {
            return account.used;
        }
        // Journals from before the ledger had pages knew the money of tasks and shifts.
        match level {
            Level::Task(id) => Used::only(self.tasks.get(id).map_or(MicroUsd::ZERO, |t| t.spent)),
            Level::Issue(id) => Used::only(self.tasks_of(*id).map(|t| t.spent).sum()),
            Level::Shift(id) => Used::only(self.shifts.get(id).map_or(MicroUsd::ZERO, |s| s.spent)),
            Level::Day(_) | Level::Agent { .. } => Used::default(),
        }
    }

    /// The agents at work that belong to a level.
    pub fn at_work<'a>(&'a self, level: &'a Level) -> impl Iterator<Item = (&'a Task, &'a AgentRun)> {
        self.running()
            .filter_map(|task| task.agent_run().map(|run| (&**task, run)))
            .filter(move |(task, run)| match level {
                Level::Task(id) => task.id == *id,
                Level::Issue(id) => task.id.issue == *id,
                Level::Shift(id) => self
                    .shift()
                    .is_some_and(|s| s.id == *id && s.issues.contains(&task.id.issue)),
                Level::Day(day) => Day::of(run.run.started) == *day,
                Level::Agent { agent, day } => run.agent == *agent && Day::of(run.run.started) == *day,
            })
    }

    /// What a level has used until now, with the attempts that run. A guess at what nobody has priced is in it.
    pub fn used(&self, level: &Level, now: Timestamp) -> Used {
        self.booked(level) + self.at_work(level).map(|(_, run)| run.used(now)).sum()
    }

    /// The same, without guesses at what running attempts cost: a guess is held back before the start and is no reason
    /// to stop.
    pub fn surely_used(&self, level: &Level, now: Timestamp) -> Used {
        let sure = |run: &AgentRun| {
            let used = run.used(now);
            Used {
                usd: used.usd.less(used.unknown),
                ..used
            }
        };
        self.booked(level) + self.at_work(level).map(|(_, run)| sure(run)).sum()
    }

    /// Whether anything may still be used of a level.
    pub fn is_live(&self, level: &Level, today: Day) -> bool {
        let works = |issue: &IssueId| {
            self.issues.get(issue).is_some_and(|i| match i.stage {
                IssueStage::Backlog | IssueStage::Opening { .. } | IssueStage::Working { .. } => true,
                IssueStage::Review { .. } | IssueStage::Done { .. } | IssueStage::Closed { .. } => false,
            })
        };
        match level {
            Level::Task(id) => works(&id.issue) && self.tasks.get(id).is_some_and(|t| !t.is_over()),
            Level::Issue(id) => works(id),
            Level::Shift(id) => self.shift().is_some_and(|s| s.id == *id),
            Level::Day(day) | Level::Agent { day, .. } => *day == today,
        }
    }

    /// What a level has used or has promised to attempts that run.
    pub fn promised(&self, level: &Level) -> Used {
        self.booked(level) + self.at_work(level).map(|(_, run)| run.promised()).sum()
    }

    /// What a level may use: what a person set for it, else what is configured.
    pub fn limit(&self, level: &Level) -> Allowance {
        let config = self.config.as_ref();
        let budgets = config.map(|c| c.budgets).unwrap_or_default();
        let configured = match level {
            Level::Task(_) => budgets.task,
            Level::Issue(_) => budgets.issue,
            Level::Shift(id) => Allowance {
                usd: self.shifts.get(id).map(|s| s.budget),
                ..budgets.shift
            },
            Level::Day(_) => budgets.day,
            Level::Agent { agent, .. } => config
                .and_then(|c| c.agents.get(agent))
                .map_or(Allowance::NONE, |a| a.allowance),
        };
        match self.accounts.get(level) {
            Some(account) => account.set.over(configured),
            None => configured,
        }
    }

    /// What a level has neither used nor promised.
    pub fn headroom(&self, level: &Level) -> Allowance {
        let limit = self.limit(level);
        if limit.is_none() {
            return limit;
        }
        limit.less(self.promised(level))
    }

    /// A level's page as it is, or as it begins.
    pub fn account(&self, level: &Level) -> Account {
        let begins = || Account {
            level: level.clone(),
            used: self.booked(level),
            personas: BTreeMap::new(),
            agents: BTreeMap::new(),
            compared: Compared::default(),
            set: AllowanceChange::NOTHING,
            warned: BTreeMap::new(),
        };
        self.accounts
            .get(level)
            .map_or_else(begins, |a| Account::clone(a))
    }
}

impl AgentRun {
    /// The money it has spent that counts against a budget.
    pub fn cost(&self) -> MicroUsd {
        match self.tariff {
            Tariff::Metered => self.spend.cost,
            Tariff::Flat => MicroUsd::ZERO,
        }
    }

    /// The money that is held for it: its cap, or what it has spent beyond that.
    pub fn held(&self) -> MicroUsd {
        match self.tariff {
            Tariff::Metered => self.cap.max(self.spend.cost),
            Tariff::Flat => MicroUsd::ZERO,
        }
    }

    /// What it has used until now. After its deadline it is on its way out, and nobody was there to stop it earlier if
    /// that took long.
    pub fn used(&self, now: Timestamp) -> Used {
        let wall = now.min(self.run.deadline).since(self.run.started);
        Used::by(self.spend, self.tariff, wall)
    }

    /// What is held for it: what it may use, or what it has used beyond that.
    pub fn promised(&self) -> Used {
        let cap = Used {
            usd: self.held(),
            unknown: MicroUsd::ZERO,
            tokens: self.within.tokens.unwrap_or(0),
            wall: Span(0),
            turns: self.within.turns.unwrap_or(0),
        };
        self.used(self.run.deadline).most(cap)
    }

    /// Whether it has used its cap, or, where that is all that a level had left, has less than a message costs. A guess
    /// at the whole cap is a reserve, not a reason to kill; a guess beyond it is.
    pub fn is_over_cap(&self) -> bool {
        let left = self.cap.less(self.spend.cost);
        let next = match self.cut.get(&Measure::Usd) {
            Some(_) => self.messages.next(),
            None => MicroUsd::ZERO,
        };
        match (self.tariff, self.spend.basis) {
            (Tariff::Flat, _) => false,
            (Tariff::Metered, CostBasis::Unknown) => self.spend.cost > self.cap,
            (Tariff::Metered, CostBasis::Reported | CostBasis::Estimated) => {
                left == MicroUsd::ZERO || left < next
            }
        }
    }
}
