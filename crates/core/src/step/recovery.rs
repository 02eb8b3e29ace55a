//! Owns what follows when an effect could not be carried out, or the coordinator began again.

use std::collections::BTreeSet;

use super::Turn;
use super::writing::{go_on_from, stop_asked};
use crate::command::{AskedBefore, AskedThen, Command};
use crate::decision::{DecisionStage, Reply, Told};
use crate::event::{LeftBehind, LostAttempt};
use crate::failure::{Cause, Failure};
use crate::ids::{AttemptId, TaskId};
use crate::task::{Run, Stage, StopWhy, Stopping, Work};
use crate::units::{Span, Spend};

/// Whether a failure counts as one of the tries that its cause has.
#[derive(Clone, Copy)]
enum Blame {
    /// It does.
    Cause,
    /// The coordinator died: that is no fault of the task's.
    Nobody,
}

/// How long a dead attempt had worked.
#[derive(Clone, Copy)]
enum Worked {
    /// Nothing says that it ended earlier.
    UntilNow,
    /// So long, by the last that it said.
    For(Span),
}

impl Worked {
    /// Whether it was told to stop for its time though it had died before that was over: nobody was there to see it.
    fn ended_in_time(self, run: &Run) -> bool {
        match (self, &run.stopping) {
            (
                Self::For(span),
                Stopping::Asked {
                    why: StopWhy::WallClock,
                    ..
                },
            ) => span < run.deadline.since(run.started),
            (Self::For(_) | Self::UntilNow, Stopping::Asked { .. } | Stopping::No) => false,
        }
    }
}

impl Turn<'_> {
    pub(super) fn attempt_failed(&mut self, attempt: AttemptId, failure: &Failure) {
        self.failed(
            attempt,
            failure,
            Spend::NOTHING,
            Worked::UntilNow,
            &LeftBehind::Nothing,
            Blame::Cause,
        );
    }

    /// Every attempt that the state knows as running goes on where somebody vouches for it, and is lost otherwise.
    pub(super) fn restarted(&mut self, lost: &[LostAttempt], adopted: &BTreeSet<AttemptId>) {
        self.starts_lost(adopted);
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
                Some(l) => {
                    let worked = l.worked.map_or(Worked::UntilNow, Worked::For);
                    self.failed(attempt, &failure, l.spend, worked, &l.left, blame);
                }
                None => {
                    let (spend, left) = (Spend::NOTHING, LeftBehind::Nothing);
                    self.failed(attempt, &failure, spend, Worked::UntilNow, &left, blame);
                }
            }
        }
        // Nobody knew until now how long the lost ones had worked: what was thought to be used up may not be.
        self.limits_changed();
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
        self.tell_again(id, attempt);
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
        worked: Worked,
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
        let asked = match task.run() {
            Some(run) if worked.ended_in_time(run) => Stopping::No,
            Some(run) => run.stopping.clone(),
            None => Stopping::No,
        };
        if let Some(run) = task.agent_run() {
            let spend = if spend.cost < run.spend.cost {
                run.spend
            } else {
                spend
            };
            match worked {
                Worked::UntilNow => self.charge(task.id, run, spend),
                Worked::For(span) => self.charge_for(task.id, run, spend, span),
            }
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
