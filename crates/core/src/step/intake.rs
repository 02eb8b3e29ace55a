//! Owns what people ask for: configuration, issues, shifts, stops, discards, promotions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Turn;
use crate::config::Config;
use crate::event::{Discard, StopHow};
use crate::ids::{CommitId, IssueId, PolicyName, ShiftId, TaskId};
use crate::issue::{Issue, IssueDraft, IssueStage};
use crate::shift::{IssueAtStart, Shift, ShiftStage, Winding};
use crate::task::{Because, Stage, StartFrom, StopWhy, Task, TaskSpec, Work, WriteJob, WriterSession};
use crate::units::MicroUsd;

impl Turn<'_> {
    pub(super) fn config_loaded(&mut self, config: &Config) {
        let names: Vec<_> = config.personas.iter().map(|p| p.name.clone()).collect();
        let ring = &mut self.state.desk.ring;
        ring.retain(|n| names.contains(n));
        for name in names {
            if !ring.contains(&name) {
                ring.push(name);
            }
        }
        self.state.config = Some(Arc::new(config.clone()));
    }

    pub(super) fn issue_added(&mut self, draft: &IssueDraft) {
        let id = self.state.desk.next_issue;
        self.state.desk.next_issue = IssueId(id.0 + 1);
        let issue = Issue {
            id,
            draft: draft.clone(),
            stage: IssueStage::Backlog,
            filed: self.now,
            next_task: 1,
        };
        self.state.issues.insert(id, Arc::new(issue));
    }

    pub(super) fn issue_edited(&mut self, id: IssueId, draft: &IssueDraft) {
        if let Some(issue) = self.issue(id) {
            issue.draft = draft.clone();
        }
    }

    pub(super) fn issue_closed(&mut self, id: IssueId, why: &str) {
        let Some(issue) = self.issue(id) else { return };
        if !matches!(issue.stage, IssueStage::Done { .. }) {
            issue.stage = IssueStage::Closed { why: why.to_owned() };
            self.drop_tasks(id, why);
        }
    }

    pub(super) fn shift_started(&mut self, mode: &PolicyName, issues: &[IssueAtStart], budget: MicroUsd) {
        if self.state.shift().is_some() {
            return;
        }
        let known: Vec<_> = issues
            .iter()
            .filter(|i| self.state.issues.contains_key(&i.issue))
            .cloned()
            .collect();
        let id = self.state.desk.next_shift;
        self.state.desk.next_shift = ShiftId(id.0 + 1);
        let shift = Shift {
            id,
            mode: mode.clone(),
            issues: known.iter().map(|i| i.issue).collect(),
            budget,
            spent: MicroUsd::ZERO,
            started: self.now,
            stage: ShiftStage::Running,
        };
        self.state.shifts.insert(id, Arc::new(shift));
        for at_start in known {
            self.take_up(&at_start);
        }
    }

    /// An issue as the shift finds it: new ones become one task; what waited for a person is tried again.
    fn take_up(&mut self, at_start: &IssueAtStart) {
        let now = self.now;
        let id = at_start.issue;
        let Some(issue) = self.issue(id) else { return };
        if issue.stage == IssueStage::Backlog {
            issue.stage = IssueStage::Working {
                base: at_start.base.clone(),
                head: at_start.base.clone(),
            };
            let number = issue.next_task;
            issue.next_task += 1;
            let draft = issue.draft.clone();
            let spec = TaskSpec {
                title: draft.title,
                brief: draft.body,
                acceptance: draft.acceptance,
                needs: BTreeSet::new(),
                touches: Vec::new(),
            };
            let task = Task {
                id: TaskId { issue: id, number },
                spec,
                stage: Stage::Blocked,
                tries: BTreeMap::new(),
                attempts: BTreeMap::new(),
                spent: MicroUsd::ZERO,
                session: WriterSession::Fresh,
                earlier_findings: Vec::new(),
                progress: Vec::new(),
                last_slot: None,
            };
            self.state.tasks.insert(task.id, Arc::new(task));
        }
        let again: Vec<TaskId> = self.state.tasks_of(id).map(|t| t.id).collect();
        for id in again {
            let Some(task) = self.state.tasks.get(&id) else {
                continue;
            };
            let (work, waited) = match &task.stage {
                Stage::Parked { work, .. } | Stage::Backoff { work, .. } => (work.clone(), true),
                Stage::Ready { work, .. } => (work.clone(), false),
                Stage::Blocked
                | Stage::Writing { .. }
                | Stage::Checking { .. }
                | Stage::Reviewing { .. }
                | Stage::Landing { .. }
                | Stage::Landed { .. }
                | Stage::Dropped { .. } => continue,
            };
            let work = self.held_to_now(work);
            let Some(task) = self.task(id) else { continue };
            task.stage = Stage::Ready { work, since: now };
            if waited {
                task.tries.clear();
                task.progress.clear();
            }
        }
    }

    pub(super) fn stop_asked(&mut self, how: StopHow) {
        match how {
            StopHow::Drain => self.wind(Winding::Drain),
            StopHow::Now => {
                self.wind(Winding::Stop);
                self.stop_all(StopWhy::Asked);
            }
        }
    }

    /// Winds the shift down; a stop outranks a drain, a budget stop is kept as what it is.
    pub(super) fn wind(&mut self, winding: Winding) {
        let Some(shift) = self.shift() else { return };
        match (&shift.stage, winding) {
            (ShiftStage::Running, _)
            | (ShiftStage::Winding(Winding::Drain), Winding::Stop | Winding::Budget) => {
                shift.stage = ShiftStage::Winding(winding);
            }
            (ShiftStage::Winding(_) | ShiftStage::Ended { .. }, _) => {}
        }
    }

    /// Stops every attempt of the shift.
    pub(super) fn stop_all(&mut self, why: StopWhy) {
        let Some(shift) = self.state.shift() else { return };
        let issues = shift.issues.clone();
        let ids: Vec<TaskId> = self
            .state
            .running()
            .map(|t| t.id)
            .filter(|t| issues.contains(&t.issue))
            .collect();
        for id in ids {
            self.stop(id, why);
        }
    }

    pub(super) fn discarded(&mut self, what: Discard) {
        const WHY: &str = "discarded by a person";
        match what {
            Discard::Issue(id) => self.issue_closed(id, WHY),
            Discard::Task(id) => self.drop_task(id, WHY),
        }
    }

    fn drop_tasks(&mut self, issue: IssueId, why: &str) {
        let ids: Vec<TaskId> = self.state.tasks_of(issue).map(|t| t.id).collect();
        for id in ids {
            self.drop_task(id, why);
        }
    }

    /// A running attempt is stopped first; its end drops the task.
    fn drop_task(&mut self, id: TaskId, why: &str) {
        let Some(task) = self.task(id) else { return };
        if task.run().is_some() {
            self.stop(id, StopWhy::Discarded);
        } else if !task.is_over() {
            task.stage = Stage::Dropped { why: why.to_owned() };
        }
    }

    pub(super) fn promoted(&mut self, id: IssueId, onto: &str, commit: &CommitId) {
        let at = self.now;
        let Some(issue) = self.issue(id) else { return };
        if issue.integration().is_some() {
            issue.stage = IssueStage::Done {
                onto: onto.to_owned(),
                commit: commit.clone(),
                at,
            };
            self.drop_tasks(id, "its issue was promoted without it");
        }
    }

    /// Tasks whose needs have all landed may be written.
    pub(super) fn unblock(&mut self) {
        let now = self.now;
        let free: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| t.stage == Stage::Blocked)
            .filter(|t| {
                t.spec.needs.iter().all(|n| {
                    self.state
                        .tasks
                        .get(n)
                        .is_some_and(|need| matches!(need.stage, Stage::Landed { .. }))
                })
            })
            .map(|t| t.id)
            .collect();
        for id in free {
            let job = WriteJob {
                from: StartFrom::Head,
                because: Because::New,
            };
            self.set_stage(
                id,
                Stage::Ready {
                    work: Work::Write(job),
                    since: now,
                },
            );
        }
    }
}
