//! Owns what follows when an effect could not be carried out, or the coordinator began again.

use super::Turn;
use super::writing::{go_on_from, stop_asked};
use crate::event::{LeftBehind, LostAttempt};
use crate::failure::{Cause, Failure};
use crate::ids::AttemptId;
use crate::task::{Stage, StopWhy, Stopping, Work};
use crate::units::Spend;

impl Turn<'_> {
    pub(super) fn attempt_failed(&mut self, attempt: AttemptId, failure: &Failure) {
        self.failed(attempt, failure, Spend::NOTHING, &LeftBehind::Nothing);
    }

    /// Every attempt that the state knows as running and that nobody can vouch for is lost.
    pub(super) fn restarted(&mut self, lost: &[LostAttempt]) {
        let running: Vec<AttemptId> = self
            .state
            .running()
            .filter_map(|t| t.run())
            .map(|r| r.attempt)
            .collect();
        for attempt in running {
            let failure = Failure::new(Cause::Lost, "the coordinator stopped while it ran");
            match lost.iter().find(|l| l.attempt == attempt) {
                Some(l) => self.failed(attempt, &failure, l.spend, &l.left),
                None => self.failed(attempt, &failure, Spend::NOTHING, &LeftBehind::Nothing),
            }
        }
        self.begin_again();
    }

    fn failed(&mut self, attempt: AttemptId, failure: &Failure, spend: Spend, left: &LeftBehind) {
        let Some(task) = self.task_of(attempt) else { return };
        if let Stage::Landing { .. } = &task.stage {
            return self.landing_failed(attempt, failure);
        }
        let asked = task.run().map_or(&Stopping::No, |r| &r.stopping).clone();
        if let Some(run) = task.agent_run() {
            let spend = if spend.cost < run.spend.cost {
                run.spend
            } else {
                spend
            };
            self.charge(task.id, run, spend);
        }
        let work = match (&task.stage, task.work()) {
            (Stage::Writing { job, run }, _) => {
                let stopped = Failure::new(Cause::Stopped, failure.detail.clone());
                let why = if stop_asked(run).is_some() {
                    &stopped
                } else {
                    failure
                };
                Work::Write(go_on_from(job, run, left, why))
            }
            (_, Some(work)) => work,
            (_, None) => return,
        };
        let discarded = matches!(
            asked,
            Stopping::Asked {
                why: StopWhy::Discarded,
                ..
            }
        );
        if !discarded && self.left_with_question(task.id, attempt) {
            return self.wait_for_answer(task.id, attempt, work);
        }
        match asked {
            Stopping::Asked { why, .. } => self.stopped(task.id, why, work),
            Stopping::No => self.retry(task.id, work, failure),
        }
    }
}
