//! Owns the end of an agent's run, and of a writer's in particular.

use super::Turn;
use super::fill::PERSONAL;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::ids::{AttemptId, CommitId, TaskId, TreeId};
use crate::outcome::Outcome;
use crate::policy::UncheckedRule;
use crate::task::{
    AgentRun, Because, Change, Park, Proof, Proven, Stage, StartFrom, StopWhy, Stopping, Work, WriteJob,
    WriterSession,
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
        let Some(task) = self.task_of(attempt) else { return };
        match task.stage {
            Stage::Writing { job, run } => {
                self.charge(task.id, &run, spend);
                self.writer_ended(task.id, &job, &run, end, left);
            }
            Stage::Reviewing { proven, run } => {
                self.charge(task.id, &run, spend);
                self.reviewer_ended(task.id, proven, &run, end, left);
            }
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Checking { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => return,
        }
        self.hold_budget();
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
            (AgentEnd::Finished(Outcome::Change { summary, .. }), LeftBehind::Commit { commit, tree }) => {
                self.written(id, run, commit, tree, summary);
            }
            (AgentEnd::Finished(Outcome::Change { summary, .. }), LeftBehind::Nothing) => {
                let detail = format!("it changed no file and said: {}", clip(summary, 400));
                self.again(id, job, run, left, &Failure::new(Cause::NoChange, detail));
            }
            (AgentEnd::Finished(other), _) => {
                let detail = format!("a change was asked for, it returned {:?}", other.kind());
                self.again(id, job, run, left, &Failure::new(Cause::NoOutcome, detail));
            }
            (AgentEnd::Failed(failure), _) => match asked {
                Some(why) => {
                    let cause = Failure::new(Cause::Stopped, failure.detail.clone());
                    let next = go_on_from(job, run, left, &cause);
                    self.stopped(id, why, Work::Write(next));
                }
                None => self.again(id, job, run, left, failure),
            },
        }
    }

    /// What the writer left becomes a change, and its checks begin in the same slot.
    fn written(&mut self, id: TaskId, run: &AgentRun, commit: &CommitId, tree: &TreeId, summary: &str) {
        let change = Change {
            commit: commit.clone(),
            tree: tree.clone(),
            base: run.base.clone(),
            writer: run.actor(),
            summary: summary.to_owned(),
        };
        if let Some(task) = self.task(id) {
            // It has delivered: what failed before says nothing about who should do the next turn.
            task.tries.retain(|cause, _| !PERSONAL.contains(cause));
        }
        let Some(config) = self.state.config.clone() else {
            return;
        };
        if !config.checks.is_empty() {
            return self.check_in(id, change, run.slot);
        }
        match config.policy.unchecked {
            UncheckedRule::Refuse => {
                self.set_stage(
                    id,
                    Stage::Parked {
                        work: Work::Check(change),
                        park: Park::NoChecks,
                    },
                );
            }
            UncheckedRule::LandOnReview => self.proven(
                id,
                Proven {
                    change,
                    proof: Proof::NoChecks,
                },
            ),
        }
    }

    /// The same writer's turn again; what it left is kept and gone on from.
    fn again(&mut self, id: TaskId, job: &WriteJob, run: &AgentRun, left: &LeftBehind, failure: &Failure) {
        if matches!(
            failure.cause,
            Cause::Agent | Cause::NoOutcome | Cause::NoChange | Cause::Stalled
        ) && let Some(task) = self.task(id)
            && task.tries.contains_key(&failure.cause)
        {
            task.session = WriterSession::Fresh;
        }
        let next = go_on_from(job, run, left, failure);
        if failure.cause == Cause::Quota && self.others_than(run) {
            // Another account may go on at once; this conversation cannot.
            if let Some(task) = self.task(id) {
                task.session = WriterSession::Fresh;
            }
            let sooner = Failure::new(failure.cause, failure.detail.clone());
            return self.retry(id, Work::Write(next), &sooner);
        }
        self.retry(id, Work::Write(next), failure);
    }

    /// Whether another agent may play the same persona.
    fn others_than(&self, run: &AgentRun) -> bool {
        let persona = self.state.config.as_ref().and_then(|c| c.persona(&run.persona));
        persona.is_some_and(|p| p.agents.iter().any(|a| *a != run.agent))
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
        Because::ChecksFailed { .. } | Because::Findings { .. } | Because::Conflict { .. } => {
            job.because.clone()
        }
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
