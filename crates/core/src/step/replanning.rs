//! Owns what follows when a person changes a plan. Whether the change is sound is `plan/edit.rs`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Turn;
use super::brief::role_of;
use super::planning::is_stuck;
use super::retry::go_on;
use crate::failure::{Cause, Failure};
use crate::ids::{IssueId, TaskId};
use crate::issue::{Issue, IssueStage};
use crate::persona::Role;
use crate::plan::edit::{self, PlanEdit, PlanVersion, Running};
use crate::task::{
    Because, ChangeKind, Park, Stage, StartFrom, StopWhy, Task, Words, Work, WriteJob, WriterSession,
};

/// What a writer is told whose work was begun with other words.
const OTHER_WORDS: &str =
    "a person has changed what the task is to do; hold what is there to the task as it is now";

impl Turn<'_> {
    pub(super) fn plan_edited(&mut self, id: IssueId, seen: PlanVersion, edits: &[PlanEdit]) {
        let (Some(config), Some(issue)) = (self.state.config.clone(), self.state.issues.get(&id)) else {
            return;
        };
        if issue.plan.version != seen {
            return;
        }
        let Ok(edited) = edit::check(self.state, issue, config.policy.caps, edits) else {
            return;
        };
        for (task, spec) in edited.specs {
            if let Some(task) = self.task(task) {
                task.spec = spec;
            }
            self.wait_for_needs(task);
        }
        for (task, running) in edited.reworded {
            self.reword(task, running);
        }
        for (task, why) in edited.dropped {
            self.drop_task(task, &why);
        }
        let adds = !edited.added.is_empty();
        for (_, spec) in edited.added {
            self.add_task(id, spec, Stage::Blocked);
        }
        self.plan_changes(id);
        if adds {
            self.goes_on(id);
        }
    }

    /// The plan of an issue is another one now.
    pub(super) fn plan_changes(&mut self, id: IssueId) {
        if let Some(issue) = self.issue(id) {
            issue.plan.version = issue.plan.version.next();
        }
    }

    /// A task that nobody has begun waits again for what it needs now.
    fn wait_for_needs(&mut self, id: TaskId) {
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let waits = !task.spec.needs.iter().all(|n| self.state.has_landed(*n));
        if waits && crate::plan::is_unbegun(task) {
            self.set_stage(id, Stage::Blocked);
        }
    }

    /// What was begun with other words does not land as it is. One that is stuck is tried again with the new ones.
    fn reword(&mut self, id: TaskId, running: Running) {
        let now = self.now;
        let Some(task) = self.task(id) else { return };
        if crate::plan::is_unbegun(task) {
            return;
        }
        task.words = Words::Changed;
        if is_stuck(task)
            && let Some(work) = task.work()
        {
            task.stage = Stage::Ready { work, since: now };
            task.tries.clear();
            task.progress.clear();
        }
        match running {
            Running::Stop => self.stop(id, StopWhy::Asked),
            Running::Finish => {}
        }
        self.hold_to_words();
    }

    /// Tasks whose words have changed get a writer's turn as soon as nothing runs for them, and no question is open.
    pub(super) fn hold_to_words(&mut self) {
        let changed: Vec<Arc<Task>> = self
            .state
            .tasks
            .values()
            .filter(|t| t.words == Words::Changed && t.run().is_none())
            .cloned()
            .collect();
        for before in changed {
            let Some(stage) = held(&before) else { continue };
            let Some(task) = self.task(before.id) else {
                continue;
            };
            task.stage = stage;
            task.sent_back = before.change().map(Box::new);
            task.words = Words::Held;
            task.session = WriterSession::Fresh;
            task.resume = None;
            task.frozen = None;
        }
    }

    /// An issue with a new task is worked on again, and judged again when that is over.
    fn goes_on(&mut self, id: IssueId) {
        if let Some(issue) = self.issue(id)
            && let IssueStage::Review { base, head } = &issue.stage
        {
            let (base, head) = (base.clone(), head.clone());
            issue.stage = IssueStage::Working { base, head };
        }
        let lead = TaskId::lead(id);
        if self
            .state
            .tasks
            .get(&lead)
            .is_some_and(|t| waits_for_pieces(&t.stage))
        {
            self.set_stage(lead, Stage::Blocked);
        }
    }

    /// An issue that was accepted, and has got a task since, is accepted again when that is over.
    pub(super) fn accept_again(&mut self) {
        let open: BTreeSet<IssueId> = self
            .state
            .issues
            .values()
            .filter(|i| matches!(i.stage, IssueStage::Working { .. }))
            .map(|i: &Arc<Issue>| i.id)
            .filter(|id| self.state.pieces_of(*id).any(|t| !t.is_over()))
            .collect();
        for id in open {
            let lead = TaskId::lead(id);
            let accepted = |t: &Arc<Task>| matches!(t.stage, Stage::Accepted { .. });
            if self.state.tasks.get(&lead).is_some_and(accepted) {
                self.set_stage(lead, Stage::Blocked);
            }
        }
    }
}

/// Where a task stands whose work is held to other words. `None`: nothing is decided yet.
fn held(task: &Task) -> Option<Stage> {
    Some(match &task.stage {
        Stage::Ready { work, since } => Stage::Ready {
            work: rewritten(task, work),
            since: *since,
        },
        Stage::Backoff { work, until, failure } => Stage::Backoff {
            work: rewritten(task, work),
            until: *until,
            failure: failure.clone(),
        },
        Stage::Parked {
            park: Park::Decision(_),
            ..
        } => return None,
        Stage::Parked { work, park } => Stage::Parked {
            work: rewritten(task, work),
            park: park.clone(),
        },
        stage @ (Stage::Blocked | Stage::Landed { .. } | Stage::Dropped { .. } | Stage::Accepted { .. }) => {
            stage.clone()
        }
        Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Entered { .. }
        | Stage::Comparing { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Landing { .. } => return None,
    })
}

fn writes(work: &Work) -> bool {
    matches!(work, Work::Write(_))
}

/// A writer's turn in place of whatever was next. Tests that were written first for other words are written anew.
fn rewritten(task: &Task, work: &Work) -> Work {
    let tests = task.frozen.is_some()
        || work.change().is_some_and(|c| c.kind == ChangeKind::TestsFirst)
        || role_of(work, task) == Some(Role::Tester) && task.spec.writer != Role::Tester && writes(work);
    if tests {
        return Work::Write(WriteJob {
            from: StartFrom::Head,
            because: Because::TestsFirst,
        });
    }
    let because = Because::Interrupted {
        failure: Failure::new(Cause::Stopped, OTHER_WORDS),
    };
    match (work, work.change()) {
        (_, Some(change)) => Work::Write(go_on(change, because)),
        (Work::Write(job), None) => Work::Write(WriteJob {
            from: job.from.clone(),
            because: match &job.because {
                Because::New | Because::TestsFirst | Because::TestsPassAlready => job.because.clone(),
                Because::Interrupted { .. }
                | Because::ChecksFailed { .. }
                | Because::Findings { .. }
                | Because::Conflict { .. }
                | Because::MakePass { .. }
                | Because::OutOfBounds { .. }
                | Because::Guarded { .. }
                | Because::Answered { .. }
                | Because::Remarked => because,
            },
        }),
        (other, None) => other.clone(),
    }
}

/// Whether an issue's own task has judged, or was about to judge, what is not all of the work any more.
fn waits_for_pieces(stage: &Stage) -> bool {
    match stage {
        Stage::Accepted { .. } => true,
        Stage::Ready { work, .. } | Stage::Backoff { work, .. } => {
            matches!(work, Work::Try | Work::Accept(_))
        }
        Stage::Parked { work, park } => {
            !matches!(park, Park::Decision(_)) && matches!(work, Work::Try | Work::Accept(_) | Work::Plan(_))
        }
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
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => false,
    }
}
