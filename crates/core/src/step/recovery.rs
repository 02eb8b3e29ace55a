//! Owns what follows when an effect could not be carried out, or the coordinator began again.

use std::collections::BTreeSet;

use super::Turn;
use super::writing::{go_on_from, stop_asked};
use crate::command::{AskedBefore, AskedThen, Command};
use crate::decision::{DecisionStage, Reply, Told};
use crate::event::{LeftBehind, LostAttempt};
use crate::failure::{Cause, Failure};
use crate::ids::{AttemptId, TaskId};
use crate::task::{Stage, StopWhy, Stopping, Work};
use crate::units::Spend;

/// Whether a failure counts as one of the tries that its cause has.
#[derive(Clone, Copy)]
enum Blame {
    /// It does.
    Cause,
    /// The coordinator died: that is no fault of the task's.
    Nobody,
}

impl Turn<'_> {
    pub(super) fn attempt_failed(&mut self, attempt: AttemptId, failure: &Failure) {
        self.failed(
            attempt,
            failure,
            Spend::NOTHING,
            &LeftBehind::Nothing,
            Blame::Cause,
        );
    }

    /// Every attempt that the state knows as running goes on where somebody vouches for it, and is lost otherwise.
    pub(super) fn restarted(&mut self, lost: &[LostAttempt], adopted: &BTreeSet<AttemptId>) {
        let running: Vec<(TaskId, AttemptId)> = self
            .state
            .running()
            .filter_map(|t| t.run().map(|r| (t.id, r.attempt)))
            .collect();
        for (task, attempt) in running {
            // Checks and landings are begun anew: only what an agent says costs something to hear again.
            let is_agents = self
                .state
                .tasks
                .get(&task)
                .is_some_and(|t| t.agent_run().is_some());
            if is_agents && adopted.contains(&attempt) {
                self.hear_again(task, attempt);
                continue;
            }
            let failure = Failure::new(Cause::Lost, "the coordinator stopped while it ran");
            let blame = Blame::Nobody;
            match lost.iter().find(|l| l.attempt == attempt) {
                Some(l) => self.failed(attempt, &failure, l.spend, &l.left, blame),
                None => self.failed(attempt, &failure, Spend::NOTHING, &LeftBehind::Nothing, blame),
            }
        }
        self.follow_lost();
        self.begin_again();
    }

    /// An agent has worked on. What it was to be told, and perhaps was not, is told again.
    fn hear_again(&mut self, id: TaskId, attempt: AttemptId) {
        self.watch_anew(id);
        let asked = self.questions(id, attempt).map(|d| AskedBefore {
            question: d.question.clone(),
            then: match &d.stage {
                DecisionStage::Waiting { key, .. } => AskedThen::Waits { key: key.clone() },
                DecisionStage::Answered {
                    answer,
                    told: Told::InTheCall,
                    ..
                } => AskedThen::Told(Reply::Answer(answer.clone())),
                DecisionStage::Answered {
                    told: Told::Afterwards,
                    ..
                }
                | DecisionStage::Open
                | DecisionStage::Withdrawn => AskedThen::Told(Reply::Parked),
            },
        });
        let asked = asked.collect();
        self.commands.push(Command::Adopt { attempt, asked });
        let stopping = self.state.tasks.get(&id).and_then(|t| t.run());
        if let Some(Stopping::Asked { why, .. }) = stopping.map(|r| &r.stopping) {
            let why = *why;
            self.commands.push(Command::StopAttempt { attempt, why });
        }
    }

    fn failed(
        &mut self,
        attempt: AttemptId,
        failure: &Failure,
        spend: Spend,
        left: &LeftBehind,
        blame: Blame,
    ) {
        let Some(task) = self.task_of(attempt) else {
            return self.follow_failed(attempt, failure);
        };
        if let Stage::Landing { .. } = &task.stage {
            return match blame {
                Blame::Cause => self.landing_failed(attempt, failure),
                Blame::Nobody => self.land_again(attempt),
            };
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
                let why = match stop_asked(run) {
                    Some(StopWhy::Stalled) => {
                        &Failure::new(Cause::Stalled, super::liveness::why_stalled(run, self.now))
                    }
                    Some(_) => &stopped,
                    None => failure,
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
            Stopping::No => match blame {
                Blame::Cause => self.retry(task.id, work, failure),
                Blame::Nobody => {
                    let since = self.now;
                    self.set_stage(task.id, Stage::Ready { work, since });
                }
            },
        }
    }
}
