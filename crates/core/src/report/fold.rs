//! Owns the fold: takes the journal's records one by one and keeps what the report of one shift needs, so that no
//! journal has to be in memory as a whole. The rules of what counts as what are in the files beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::attempts::Attempts;
use super::costs::{self, Costs, Limit, Point};
use super::figures::{Asked, Learnt, Since, Tally};
use super::outcomes::{
    Dropped, Effort, Failed, Grounds, Landed, OfIssue, Parked, Unfinished, Untried, UntriedWhat,
};
use super::visits::Visits;
use super::waits::Tracker;
use super::{End, FORMAT, Head, Report, line};
use crate::check::Reach;
use crate::event::Event;
use crate::ids::{IssueId, Seq, ShiftId, TaskId};
use crate::issue::IssueStage;
use crate::record::Record;
use crate::shift::{Scope, Shift, ShiftStage};
use crate::state::{Entity, State};
use crate::task::{Stage, Task, Work};
use crate::units::{MicroUsd, Timestamp};

/// Folds records into the report of one shift.
#[derive(Debug)]
pub struct Fold {
    shift: ShiftId,
    state: State,
    phase: Phase,
}

/// Tasks as they were before a record.
type Before = BTreeMap<TaskId, Arc<Task>>;

/// Where in the journal the fold is.
#[derive(Debug)]
enum Phase {
    /// Before the shift.
    Before,
    /// In it.
    During(Box<Notes>),
    /// After it, and no other has begun.
    After(Box<Report>),
    /// Another has begun.
    Over(Box<Report>),
}

/// What is kept while the shift goes on.
#[derive(Debug)]
struct Notes {
    first: Seq,
    last: Seq,
    at: Timestamp,
    restarts: u32,
    attempts: Attempts,
    waits: Tracker,
    tally: Tally,
    visits: Visits,
    spending: Vec<Point>,
    budgets: Vec<Limit>,
    grounds: BTreeMap<TaskId, Grounds>,
    /// Tasks that changed.
    touched: BTreeSet<TaskId>,
}

impl Fold {
    /// A fold that has seen nothing yet.
    pub fn new(shift: ShiftId) -> Self {
        Self {
            shift,
            state: State::default(),
            phase: Phase::Before,
        }
    }

    /// Takes the next record in.
    pub fn take(&mut self, record: &Record) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        // The tasks that change, as they were.
        let before: Before = record
            .changes
            .iter()
            .filter_map(|entity| match entity {
                Entity::Task(task) => self.state.tasks.get(&task.id).cloned(),
                Entity::Config(_)
                | Entity::Issue(_)
                | Entity::Shift(_)
                | Entity::Decision(_)
                | Entity::Lesson(_)
                | Entity::Outlook(_)
                | Entity::Account(_)
                | Entity::Gate(_)
                | Entity::Desk(_) => None,
            })
            .map(|task| (task.id, task))
            .collect();
        record.redo(&mut self.state);
        let Some(shift) = self.state.shifts.get(&self.shift) else {
            return;
        };
        let another = self
            .state
            .shifts
            .keys()
            .next_back()
            .is_some_and(|s| *s > self.shift);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Before) {
            Phase::Before => {
                let mut notes = Notes::new(record);
                notes.attempts.seed(&self.state, record.at);
                notes.visits.seed(&self.state);
                notes.take(&before, &self.state, shift, record)
            }
            Phase::During(notes) => notes.take(&before, &self.state, shift, record),
            Phase::After(report) | Phase::Over(report) if another => Phase::Over(report),
            Phase::After(mut report) | Phase::Over(mut report) => {
                report.since.extend(Since::of(record, shift, &report.decisions));
                Phase::After(report)
            }
        };
    }

    /// The report; `None` when the shift was in no record.
    pub fn finish(self) -> Option<Report> {
        match self.phase {
            Phase::Before => None,
            Phase::During(notes) => {
                let shift = self.state.shifts.get(&self.shift)?;
                Some(notes.report(&self.state, shift))
            }
            Phase::After(report) | Phase::Over(report) => Some(*report),
        }
    }
}

impl Notes {
    fn new(record: &Record) -> Box<Self> {
        Box::new(Self {
            first: record.seq,
            last: record.seq,
            at: record.at,
            restarts: 0,
            attempts: Attempts::default(),
            waits: Tracker::default(),
            tally: Tally::default(),
            visits: Visits::default(),
            spending: Vec::new(),
            budgets: Vec::new(),
            grounds: BTreeMap::new(),
            touched: BTreeSet::new(),
        })
    }

    fn take(mut self: Box<Self>, before: &Before, state: &State, shift: &Shift, record: &Record) -> Phase {
        self.last = record.seq;
        self.at = record.at;
        let about = record.event.attempt().and_then(|a| self.attempts.task_of(a));
        self.tally.event(record, about);
        self.attempts.decisions(record);
        for entity in &record.changes {
            if let Entity::Task(task) = entity {
                self.task(before.get(&task.id).map(|t| &**t), task, record);
            } else if let Entity::Issue(issue) = entity {
                self.attempts.issue(issue, record);
            }
        }
        if let Event::Restarted { .. } = record.event {
            self.restarts += 1;
        }
        costs::note(&mut self.spending, record.at, state.spent(shift));
        costs::limited(&mut self.budgets, record.at, shift.budget);
        // Meter readings are many and free nothing.
        if !matches!(record.event, Event::Metered { .. } | Event::SessionOpened { .. }) {
            self.waits.look(state, record.at);
        }
        match shift.stage {
            ShiftStage::Ended { .. } => Phase::After(Box::new(self.report(state, shift))),
            ShiftStage::Running | ShiftStage::Winding(_) => Phase::During(self),
        }
    }

    fn task(&mut self, was: Option<&Task>, now: &Task, record: &Record) {
        self.attempts.task(was, now, record);
        self.tally.task(now, record.at);
        self.visits.task(was, now, record);
        self.touched.insert(now.id);
        if let Stage::Landing { approved, .. } = &now.stage {
            self.grounds.insert(now.id, Grounds::of(approved));
        }
    }

    fn report(mut self, state: &State, shift: &Shift) -> Report {
        let end = match shift.stage {
            ShiftStage::Running => End::Runs { until: self.at },
            ShiftStage::Winding(why) => End::Winding { why, until: self.at },
            ShiftStage::Ended { end, at } => End::Ended { how: end, at },
        };
        let spent = state.spent(shift);
        if self.spending.last().is_some_and(|p| p.at != end.at()) {
            self.spending.push(Point { at: end.at(), spent });
        }
        let ours = |task: TaskId| shift.issues.contains(&task.issue);
        let attempts = std::mem::take(&mut self.attempts).finish(end.at(), ours);
        let costs = Costs::of(&attempts, state, spent, end.at());
        let waits = std::mem::take(&mut self.waits);
        let efforts = Effort::by_task(&attempts);
        let cost_of = |id: IssueId| {
            let share = costs.by_issue.iter().find(|s| s.of == id);
            share.map_or(MicroUsd::ZERO, |s| s.cost)
        };
        let issues = shift.issues.iter().filter_map(|id| state.issues.get(id));
        let decisions = state
            .decisions
            .values()
            .filter(|d| ours(d.task) && (d.asked >= shift.started || d.is_open()));
        let lessons = state.lessons.values().filter(|l| l.since >= shift.started);
        let mut report = Report {
            format: FORMAT,
            shift: self.head(state, shift, end),
            issues: issues.map(|i| OfIssue::of(state, i, cost_of(i.id))).collect(),
            landed: Vec::new(),
            parked: Vec::new(),
            failed: Vec::new(),
            dropped: Vec::new(),
            unfinished: Vec::new(),
            untried: not_begun(state, shift),
            decisions: decisions.map(|d| Asked::of(d)).collect(),
            lessons: lessons.map(|l| Learnt::of(l)).collect(),
            landings: self.tally.landings,
            checks: self.tally.checks(),
            tampering: std::mem::take(&mut self.tally.tampering),
            guards: std::mem::take(&mut self.tally.guards),
            network: std::mem::take(&mut self.tally.network),
            spending: std::mem::take(&mut self.spending),
            budgets: std::mem::take(&mut self.budgets),
            since: Vec::new(),
            visits: std::mem::take(&mut self.visits).finish(shift),
            costs,
            attempts,
            waits: Tracker::default().finish(end.at()),
        };
        report
            .network
            .refused
            .sort_by_key(|r| std::cmp::Reverse(r.contact.times));
        let tasks = shift.issues.iter().flat_map(|i| state.tasks_of(*i));
        for task in tasks {
            let effort = efforts.get(&task.id).cloned().unwrap_or_default();
            self.outcome(&mut report, state, task, &effort, waits.why(task.id));
        }
        report.landed.sort_by_key(|l| (l.at, l.task));
        report.waits = waits.finish(end.at());
        report
    }

    /// Puts a task under what became of it.
    fn outcome(&self, report: &mut Report, state: &State, task: &Task, effort: &Effort, why: Option<&str>) {
        match &task.stage {
            Stage::Accepted { .. } => {}
            Stage::Landed { .. } if !self.touched.contains(&task.id) => {}
            Stage::Dropped { .. } if !self.touched.contains(&task.id) => {}
            Stage::Landed { .. } => {
                let grounds = self.grounds.get(&task.id);
                report.landed.extend(Landed::of(task, effort, grounds));
            }
            Stage::Dropped { .. } => report.dropped.extend(Dropped::of(task)),
            Stage::Parked { .. } => {
                report.parked.extend(Parked::of(state, task, effort));
                report.failed.extend(Failed::of(task, effort));
            }
            // It waits for all the others, which are told themselves.
            Stage::Blocked if task.id.is_lead() => {}
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Writing { .. }
            | Stage::Checking { .. }
            | Stage::Reviewing { .. }
            | Stage::Testing { .. }
            | Stage::Entered { .. }
            | Stage::Comparing { .. }
            | Stage::Surveying { .. }
            | Stage::Planning { .. }
            | Stage::Trying { .. }
            | Stage::Accepting { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. } => {
                if effort.tries > 0 || task.attempts.values().any(|n| *n > 0) {
                    report.unfinished.push(Unfinished::of(task, effort, why));
                } else if !is_in_backlog(state, task.id.issue) {
                    report.untried.push(Untried {
                        what: UntriedWhat::Task(task.id),
                        title: line(&task.spec.title),
                        why: why.map_or_else(|| waits_for(task), str::to_owned),
                    });
                }
            }
        }
    }

    fn head(&self, state: &State, shift: &Shift, end: End) -> Head {
        let config = state.config.as_ref();
        let checks = config.into_iter().flat_map(|c| {
            let others = c.repos.values().flat_map(|r| &r.checks);
            c.checks.iter().chain(others)
        });
        let open: BTreeSet<_> = checks
            .filter(|c| c.network == Reach::Open)
            .map(|c| c.name.clone())
            .collect();
        Head {
            id: shift.id,
            mode: shift.mode.clone(),
            scope: shift.scope,
            started: shift.started,
            end,
            budget: shift.budget,
            spent: state.spent(shift),
            slots: config.map_or(0, |c| c.slots),
            confinement: config.map(|c| c.confinement).unwrap_or_default(),
            open_checks: open.into_iter().collect(),
            restarts: self.restarts,
            first: self.first,
            last: self.last,
        }
    }
}

fn is_in_backlog(state: &State, issue: IssueId) -> bool {
    let issue = state.issues.get(&issue);
    issue.is_some_and(|i| matches!(i.stage, IssueStage::Backlog))
}

/// Why a task that nobody said anything about did not begin.
fn waits_for(task: &Task) -> String {
    match &task.stage {
        Stage::Ready {
            work: Work::Plan(_), ..
        } => "its issue was not planned before the shift ended".to_owned(),
        Stage::Blocked => {
            let needs: Vec<String> = task.spec.needs.iter().map(ToString::to_string).collect();
            format!("it needs {}", needs.join(", "))
        }
        Stage::Ready { .. }
        | Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Reviewing { .. }
        | Stage::Testing { .. }
        | Stage::Entered { .. }
        | Stage::Comparing { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Landing { .. }
        | Stage::Backoff { .. }
        | Stage::Parked { .. }
        | Stage::Accepted { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => "the shift ended before its turn came".to_owned(),
    }
}

/// Issues that the shift was to work on, or could have, and has not begun.
fn not_begun(state: &State, shift: &Shift) -> Vec<Untried> {
    let waits = state.issues.values().filter(|i| match shift.scope {
        Scope::Listed => shift.issues.contains(&i.id),
        Scope::Backlog { .. } => true,
    });
    let waits = waits.filter(|i| matches!(i.stage, IssueStage::Backlog | IssueStage::Opening { .. }));
    waits
        .map(|issue| {
            let needs = issue.draft.needs.iter();
            let open = needs.filter(|n| {
                let needed = state.issues.get(n);
                !needed
                    .is_some_and(|i| matches!(i.stage, IssueStage::Review { .. } | IssueStage::Done { .. }))
            });
            let open: Vec<String> = open.map(ToString::to_string).collect();
            let why = match shift.refused.get(&issue.id) {
                Some(why) => line(why),
                None if !open.is_empty() => format!("it needs issue {} first", open.join(", ")),
                None => "the shift ended before its turn came".to_owned(),
            };
            Untried {
                what: UntriedWhat::Issue(issue.id),
                title: line(&issue.draft.title),
                why,
            }
        })
        .collect()
}
