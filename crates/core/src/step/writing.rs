//! Owns the end of an agent's run, and of a writer's in particular.

use std::collections::BTreeSet;

use super::Turn;
use super::liveness::why_stalled;
use super::retry::go_on;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::globs;
use crate::guard::{GuardedBy, GuardedChange};
use crate::ids::{AttemptId, TaskId};
use crate::outcome::Outcome;
use crate::persona::Role;
use crate::policy::{Then, UncheckedRule};
use crate::task::{
    AgentRun, Because, Bounds, Change, ChangeKind, Park, Proof, Proven, Stage, StartFrom, StopWhy, Stopping,
    Task, Work, WriteJob, WriterSession,
};
use crate::units::Spend;

impl Turn<'_> {
    pub(super) fn agent_ended(
        &mut self,
        attempt: AttemptId,
        end: &AgentEnd,
        spend: Spend,
        left: &LeftBehind,
    ) {
        self.found_short(attempt, end);
        self.remarks_after(attempt, end, left);
        let Some(task) = self.task_of(attempt) else { return };
        if self.with_question(&task, end, left) {
            if let Some(run) = task.agent_run() {
                self.charge(task.id, run, spend);
            }
            return;
        }
        match task.stage {
            Stage::Writing { job, run } => {
                self.charge(task.id, &run, spend);
                self.writer_ended(task.id, &job, &run, end, left);
            }
            Stage::Testing { proven, run } => {
                self.charge(task.id, &run, spend);
                self.tester_ended(task.id, proven, &run, end, left);
            }
            Stage::Reviewing { proven, run } => {
                self.charge(task.id, &run, spend);
                self.reviewer_ended(task.id, proven, &run, end, left);
            }
            Stage::Comparing { proven, run } => {
                self.charge(task.id, &run, spend);
                self.compared(task.id, proven, &run, end, left);
            }
            Stage::Planning { because, run } => {
                self.charge(task.id, &run, spend);
                self.planner_ended(task.id, because, &run, end, left);
            }
            Stage::Trying { run } => {
                self.charge(task.id, &run, spend);
                self.trier_ended(task.id, &run, end);
            }
            Stage::Accepting { trial, run } => {
                self.charge(task.id, &run, spend);
                self.acceptor_ended(task.id, trial, &run, end, left);
            }
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Checking { .. }
            | Stage::Surveying { .. }
            | Stage::Entered { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => {}
        }
    }

    /// What an agent's end means for its questions: a finished one needs no answer, any other waits for it.
    fn with_question(&mut self, task: &Task, end: &AgentEnd, left: &LeftBehind) -> bool {
        let (Some(run), Some(work)) = (task.agent_run(), task.work()) else {
            return false;
        };
        let id = task.id;
        match end {
            AgentEnd::Finished(outcome) => {
                self.withdraw(id, run.run.attempt);
                self.hear_out(id, run, outcome);
                false
            }
            AgentEnd::Asked(_) => false,
            AgentEnd::Failed(failure) => {
                let discarded = stop_asked(run) == Some(StopWhy::Discarded);
                if discarded || !self.left_with_question(id, run.run.attempt) {
                    return false;
                }
                let work = if let Work::Write(job) = &work {
                    Work::Write(go_on_from(job, run, left, failure))
                } else {
                    work
                };
                self.wait_for_answer(id, run.run.attempt, work);
                true
            }
        }
    }

    fn writer_ended(
        &mut self,
        id: TaskId,
        job: &WriteJob,
        run: &AgentRun,
        end: &AgentEnd,
        left: &LeftBehind,
    ) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Write(job.clone()));
        }
        match (end, left) {
            (
                AgentEnd::Finished(Outcome::Change {
                    summary,
                    evidence,
                    open_questions,
                    ..
                }),
                LeftBehind::Commit {
                    commit,
                    tree,
                    paths,
                    guards,
                    essence,
                },
            ) => {
                let change = Change {
                    commit: commit.clone(),
                    tree: tree.clone(),
                    essence: essence.clone(),
                    base: run.base.clone(),
                    writer: run.actor(),
                    summary: summary.clone(),
                    evidence: evidence.clone(),
                    open_questions: open_questions.clone(),
                    paths: paths.clone(),
                    kind: self.kind_of(id, job),
                    guards: guards.clone(),
                };
                self.written(id, run, change);
            }
            (
                AgentEnd::Finished(Outcome::Change {
                    summary,
                    evidence,
                    open_questions,
                    ..
                }),
                LeftBehind::Nothing,
            ) if let Some(change) = self.sent_back(id, job) => {
                let change = Change {
                    summary: summary.clone(),
                    evidence: evidence.clone(),
                    open_questions: open_questions.clone(),
                    ..change
                };
                self.written(id, run, change);
            }
            (AgentEnd::Finished(Outcome::Change { summary, .. }), LeftBehind::Nothing) => {
                let detail = format!("it changed no file and said: {}", clip(summary, 400));
                self.again(id, job, run, left, &Failure::new(Cause::NoChange, detail));
            }
            (AgentEnd::Finished(other), _) => {
                let detail = format!("a change was asked for, it returned {:?}", other.kind());
                self.again(id, job, run, left, &Failure::new(Cause::NoOutcome, detail));
            }
            (AgentEnd::Asked(question), _) => {
                let cause = Failure::new(Cause::Stopped, "it asked a question");
                let work = Work::Write(go_on_from(job, run, left, &cause));
                self.asked(id, run, question, work);
            }
            (AgentEnd::Failed(failure), _) => match asked {
                Some(StopWhy::Stalled) => {
                    let stalled = Failure::new(Cause::Stalled, why_stalled(run, self.now));
                    self.again(id, job, run, left, &stalled);
                }
                Some(why) => {
                    let cause = Failure::new(Cause::Stopped, failure.detail.clone());
                    let next = go_on_from(job, run, left, &cause);
                    self.stopped(id, why, Work::Write(next));
                }
                None => self.again(id, job, run, left, failure),
            },
        }
    }

    /// What a person sent back and its writer found to be right as it is.
    fn sent_back(&self, id: TaskId, job: &WriteJob) -> Option<Change> {
        self.state.tasks.get(&id)?.left_as_it_is(job).cloned()
    }

    /// What the writer left becomes a change, and its checks begin in the same slot.
    fn written(&mut self, id: TaskId, run: &AgentRun, change: Change) {
        if let Some((paths, rule)) = self.out_of_bounds(id, run, &change) {
            let names: Vec<&str> = paths.iter().take(5).map(String::as_str).collect();
            let failure = Failure::new(Cause::OutOfBounds, names.join(", "));
            let job = go_on(&change, Because::OutOfBounds { paths, rule });
            return self.retry(id, Work::Write(job), &failure);
        }
        let refused = self.refused(&change);
        if !refused.is_empty() {
            return self.guarded(id, &change, refused, GuardedBy::Policy);
        }
        // A person has said more meanwhile: nobody else looks at what is to be changed again.
        if change.kind != ChangeKind::TestsFirst && self.has_remarks_for_writer(id) {
            let work = Work::Write(go_on(&change, Because::Remarked));
            let since = self.now;
            return self.set_stage(id, Stage::Ready { work, since });
        }
        self.delivered(id);
        if !self.checks_for(id).is_empty() {
            return self.check_in(id, change, run.slot);
        }
        self.unchecked(id, change);
    }

    /// It has delivered: what failed before says nothing about who should do the next turn.
    pub(super) fn delivered(&mut self, id: TaskId) {
        let Some(config) = self.state.config.clone() else {
            return;
        };
        if let Some(task) = self.task(id) {
            task.tries
                .retain(|cause, _| config.policy.row(*cause).then == Then::Retry);
        }
    }

    /// What becomes of a change where nothing can be proven.
    pub(super) fn unchecked(&mut self, id: TaskId, change: Change) {
        let rule = self.state.config.as_ref().map(|c| c.policy.unchecked);
        match rule {
            None => {}
            Some(UncheckedRule::Refuse) => {
                self.set_stage(
                    id,
                    Stage::Parked {
                        work: Work::Check(change),
                        park: Park::NoChecks,
                    },
                );
            }
            Some(UncheckedRule::LandOnReview) => self.proven(
                id,
                Proven {
                    change,
                    proof: Proof::NoChecks,
                },
            ),
        }
    }

    /// What a finished job's change is.
    fn kind_of(&self, id: TaskId, job: &WriteJob) -> ChangeKind {
        match job.because {
            Because::TestsFirst
            | Because::TestsPassAlready
            | Because::Guarded {
                change: GuardedChange::TestsFirst,
                ..
            } => ChangeKind::TestsFirst,
            // A tester that writes a task of its own is held to test paths too, but nothing follows its tests.
            Because::OutOfBounds {
                rule: Bounds::TestsOnly,
                ..
            } => match self.state.tasks.get(&id).map(|t| t.spec.writer) {
                Some(Role::Tester) => ChangeKind::Written,
                Some(Role::Author | Role::Engineer | Role::Reviewer) | None => ChangeKind::TestsFirst,
            },
            Because::New
            | Because::Interrupted { .. }
            | Because::ChecksFailed { .. }
            | Because::Findings { .. }
            | Because::Conflict { .. }
            | Because::MakePass { .. }
            | Because::OutOfBounds {
                rule: Bounds::FrozenTests,
                ..
            }
            | Because::Guarded {
                change: GuardedChange::Written,
                ..
            }
            | Because::Answered { .. }
            | Because::Remarked => ChangeKind::Written,
        }
    }

    /// What a change touches that it may not.
    fn out_of_bounds(
        &self,
        id: TaskId,
        run: &AgentRun,
        change: &Change,
    ) -> Option<(BTreeSet<String>, Bounds)> {
        let task = self.state.tasks.get(&id)?;
        let config = self.state.config.as_ref()?;
        let role = config.persona(&run.persona).map(|p| p.role)?;
        if role == Role::Tester {
            let outside: BTreeSet<String> = change
                .paths
                .iter()
                .filter(|p| !globs::matches(&config.policy.test_paths, p))
                .cloned()
                .collect();
            return (!outside.is_empty()).then_some((outside, Bounds::TestsOnly));
        }
        let frozen = task.frozen.as_ref()?;
        let touched: BTreeSet<String> = change.paths.intersection(&frozen.paths).cloned().collect();
        (!touched.is_empty()).then_some((touched, Bounds::FrozenTests))
    }

    /// The same writer's turn again; what it left is kept and gone on from.
    fn again(&mut self, id: TaskId, job: &WriteJob, run: &AgentRun, left: &LeftBehind, failure: &Failure) {
        if self.row(failure.cause).then == Then::FreshSession
            && let Some(task) = self.task(id)
            && task.tries.contains_key(&failure.cause)
        {
            task.session = WriterSession::Fresh;
        }
        let next = go_on_from(job, run, left, failure);
        self.retry(id, Work::Write(next), failure);
    }
}

/// Why the core had asked the run to stop, if it had.
pub(super) fn stop_asked(run: &AgentRun) -> Option<StopWhy> {
    match run.run.stopping {
        Stopping::No => None,
        Stopping::Asked { why, .. } => Some(why),
    }
}

/// The job for next time: what was left is the start, and evidence that was not answered yet is not forgotten.
pub(super) fn go_on_from(job: &WriteJob, run: &AgentRun, left: &LeftBehind, failure: &Failure) -> WriteJob {
    let from = match left {
        LeftBehind::Nothing => job.from.clone(),
        LeftBehind::Commit { commit, .. } => StartFrom::Commit {
            commit: commit.clone(),
            base: run.base.clone(),
        },
    };
    let because = match &job.because {
        Because::New | Because::Interrupted { .. } => Because::Interrupted {
            failure: failure.clone(),
        },
        Because::Answered { .. } => Because::Interrupted {
            failure: failure.clone(),
        },
        Because::ChecksFailed { .. }
        | Because::Findings { .. }
        | Because::Conflict { .. }
        | Because::TestsFirst
        | Because::TestsPassAlready
        | Because::MakePass { .. }
        | Because::OutOfBounds { .. }
        | Because::Guarded { .. }
        | Because::Remarked => job.because.clone(),
    };
    WriteJob { from, because }
}

/// At most `limit` characters of a text from outside.
pub(super) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
