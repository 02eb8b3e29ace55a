//! Owns what people ask for: configuration, issues, shifts, stops, discards.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Turn, joining};
use crate::config::Config;
use crate::event::{Discard, StopHow};
use crate::following::Following;
use crate::ids::{IssueId, PolicyName, ShiftId, TaskId};
use crate::issue::{Issue, IssueDraft, IssueStage, PlanLog, Split};
use crate::persona::Role;
use crate::policy::{AcceptRule, PlanRule, TestRule};
use crate::promotion::Fork;
use crate::shift::{IssueAtStart, Scope, Shift, ShiftStage, Winding};
use crate::task::{Because, Park, PlanBecause, Stage, StartFrom, StopWhy, Task, TaskSpec, Work, WriteJob};
use crate::train::Train;
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
        self.limits_changed();
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
            plan: PlanLog::default(),
            fork: Fork::default(),
            train: Train::Open,
            promotion: None,
            following: Following::Nothing,
            pull: crate::pull::Pull::Nothing,
        };
        self.state.issues.insert(id, Arc::new(issue));
    }

    pub(super) fn issue_edited(&mut self, id: IssueId, draft: &IssueDraft) {
        let Some(issue) = self.issue(id) else { return };
        let before = std::mem::replace(&mut issue.draft, draft.clone());
        if issue.stage != IssueStage::Backlog {
            // It has a branch in that repository, and tasks that came of that split.
            issue.draft.repo = before.repo;
            issue.draft.split = before.split;
        }
    }

    pub(super) fn issue_closed(&mut self, id: IssueId, why: &str) {
        let Some(issue) = self.issue(id) else { return };
        if !matches!(issue.stage, IssueStage::Done { .. }) {
            issue.stage = IssueStage::Closed { why: why.to_owned() };
            self.forget_alarm(id);
            self.drop_tasks(id, why);
            self.stop_following(id, StopWhy::Discarded);
        }
    }

    pub(super) fn shift_started(
        &mut self,
        mode: &PolicyName,
        issues: &[IssueAtStart],
        budget: MicroUsd,
        scope: Scope,
    ) {
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
            scope,
            refused: BTreeMap::new(),
        };
        self.state.shifts.insert(id, Arc::new(shift));
        for at_start in known {
            // One that needs others first is begun when they are done, on top of what they have landed.
            if joining::begins_on_the_users_branch(self.state, at_start.issue) {
                self.take_up(&at_start);
            }
        }
    }

    /// An issue as the shift finds it: new ones are split; what waited for a person is tried again.
    pub(super) fn take_up(&mut self, at_start: &IssueAtStart) {
        let now = self.now;
        let id = at_start.issue;
        let Some(issue) = self.issue(id) else { return };
        if matches!(issue.stage, IssueStage::Backlog | IssueStage::Opening { .. }) {
            issue.stage = IssueStage::Working {
                base: at_start.base.clone(),
                head: at_start.base.clone(),
            };
            issue.following = Following::of(&at_start.target, &at_start.base);
            self.split(id);
        }
        self.follow_again(id);
        if let Some(issue) = self.issue(id) {
            issue.plan.rounds = 0;
            issue.plan.repairs = 0;
            issue.plan.failures = 0;
        }
        let again: Vec<TaskId> = self.state.tasks_of(id).map(|t| t.id).collect();
        for id in again {
            let Some(task) = self.state.tasks.get(&id) else {
                continue;
            };
            let (work, waited) = match &task.stage {
                Stage::Parked {
                    park: Park::Decision(decision),
                    ..
                } if self.is_open(*decision) => continue,
                Stage::Parked { work, .. } | Stage::Backoff { work, .. } => (work.clone(), true),
                Stage::Ready { work, .. } => (work.clone(), false),
                Stage::Blocked
                | Stage::Writing { .. }
                | Stage::Checking { .. }
                | Stage::Testing { .. }
                | Stage::Reviewing { .. }
                | Stage::Entered { .. }
                | Stage::Comparing { .. }
                | Stage::Surveying { .. }
                | Stage::Planning { .. }
                | Stage::Trying { .. }
                | Stage::Accepting { .. }
                | Stage::Landing { .. }
                | Stage::Accepted { .. }
                | Stage::Landed { .. }
                | Stage::Dropped { .. } => continue,
            };
            let work = self.held_to_now(id, work);
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

    /// A new issue becomes tasks, in the way it or the policy says.
    fn split(&mut self, id: IssueId) {
        let Some(config) = self.state.config.clone() else {
            return;
        };
        let policy = &config.policy;
        let Some(draft) = self.state.issues.get(&id).map(|i| i.draft.clone()) else {
            return;
        };
        let whole = TaskSpec {
            title: draft.title.clone(),
            brief: draft.body.clone(),
            acceptance: draft.acceptance.clone(),
            ..TaskSpec::default()
        };
        let planned = match (&draft.split, policy.plan) {
            (Split::Items(items), _) => {
                let mut wave = 0_u16;
                let mut left = if items.trial > 0 { items.trial } else { items.group };
                for item in &items.items {
                    if left == 0 {
                        wave += 1;
                        left = items.group;
                    }
                    left = left.saturating_sub(1);
                    let spec = TaskSpec {
                        title: item.title.clone(),
                        brief: item.brief.clone(),
                        acceptance: item.acceptance.clone(),
                        touches: item.touches.clone(),
                        wave,
                        ..TaskSpec::default()
                    };
                    self.add_task(id, spec, Stage::Blocked);
                }
                return;
            }
            (Split::Candidates(many), _) => {
                let first = self.state.issues.get(&id).map_or(1, |i| i.next_task);
                for _ in 0..*many {
                    let spec = TaskSpec {
                        contest: Some(TaskId {
                            issue: id,
                            number: first,
                        }),
                        ..whole.clone()
                    };
                    self.add_task(id, spec, Stage::Blocked);
                }
                None
            }
            (Split::ByPolicy, PlanRule::Single) => {
                self.add_task(id, whole.clone(), Stage::Blocked);
                None
            }
            (Split::ByPolicy, PlanRule::Author) => Some(Work::Plan(PlanBecause::New)),
            (Split::Checks(_), _) | (Split::ByPolicy, PlanRule::Checks) => Some(Work::Survey),
        };
        let stage = match planned {
            Some(work) => Stage::Ready {
                work,
                since: self.now,
            },
            None if policy.accept == AcceptRule::Off => return,
            None => Stage::Blocked,
        };
        let lead = Task::new(TaskId::lead(id), whole, stage);
        self.state.tasks.insert(lead.id, Arc::new(lead));
    }

    /// A new task of an issue, with the next number.
    pub(super) fn add_task(&mut self, id: IssueId, spec: TaskSpec, stage: Stage) {
        let Some(issue) = self.issue(id) else { return };
        let number = issue.next_task;
        issue.next_task = number.saturating_add(1);
        issue.plan.version = issue.plan.version.next();
        let task = Task::new(TaskId { issue: id, number }, spec, stage);
        self.state.tasks.insert(task.id, Arc::new(task));
    }

    /// Winds the shift down; a stop outranks a drain, a budget stop is kept as what it is.
    pub(super) fn wind(&mut self, winding: Winding) {
        let Some(shift) = self.shift() else { return };
        match (&shift.stage, winding) {
            (ShiftStage::Running, _)
            | (ShiftStage::Winding(Winding::Drain | Winding::TimeUp), Winding::Stop | Winding::Budget) => {
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
        // It costs nothing, so only a person makes it break off.
        if let (StopWhy::Asked, Some(id)) = (why, self.state.following().map(|i| i.id)) {
            self.stop_following(id, why);
        }
    }

    pub(super) fn discarded(&mut self, what: Discard) {
        const WHY: &str = "discarded by a person";
        match what {
            Discard::Issue(id) => self.issue_closed(id, WHY),
            Discard::Task(id) => {
                self.plan_changes(id.issue);
                self.drop_task(id, WHY);
            }
        }
    }

    pub(super) fn drop_tasks(&mut self, issue: IssueId, why: &str) {
        let ids: Vec<TaskId> = self.state.tasks_of(issue).map(|t| t.id).collect();
        for id in ids {
            self.drop_task(id, why);
        }
    }

    /// A running attempt is stopped first; its end drops the task.
    pub(super) fn drop_task(&mut self, id: TaskId, why: &str) {
        let Some(task) = self.task(id) else { return };
        if task.run().is_some() {
            self.stop(id, StopWhy::Discarded);
        } else if !task.is_over() {
            task.stage = Stage::Dropped { why: why.to_owned() };
        }
    }

    /// Tasks whose needs have all landed, and whose group has come, may be written.
    pub(super) fn unblock(&mut self) {
        let now = self.now;
        let first = self
            .state
            .config
            .as_ref()
            .map_or(TestRule::Off, |c| c.policy.tests);
        let free: Vec<(TaskId, Because)> = self
            .state
            .tasks
            .values()
            .filter(|t| t.stage == Stage::Blocked && !t.id.is_lead())
            .filter(|t| t.spec.needs.iter().all(|n| self.state.has_landed(*n)))
            .filter(|t| {
                let wave = self.state.issues.get(&t.id.issue).map_or(0, |i| i.plan.wave);
                t.spec.wave <= wave
            })
            .map(|t| {
                let tests = first == TestRule::First && t.spec.writer == Role::Engineer;
                (t.id, if tests { Because::TestsFirst } else { Because::New })
            })
            .collect();
        for (id, because) in free {
            let job = WriteJob {
                from: StartFrom::Head,
                because,
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
