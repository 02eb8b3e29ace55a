//! Owns what follows from what is seen of a running agent: it is let alone, reminded, or stopped. And what a jump of
//! the machine's clock means for every limit of time: nothing.

use std::sync::Arc;

use super::Turn;
use crate::State;
use crate::command::Command;
use crate::decision::DecisionStage;
use crate::failure::RetryAfter;
use crate::following::{Following, Keeping};
use crate::ids::{AttemptId, TaskId};
use crate::liveness::{Activity, Due, Hears, Watch};
use crate::room::Room;
use crate::task::{AgentRun, Run, Stage, StopWhy, Stopping, Task};
use crate::units::{Span, Timestamp};

/// What is next to be done about a running agent, and when.
fn due(state: &State, task: &Task) -> Option<(Timestamp, Due)> {
    let run = task.agent_run().filter(|r| r.run.stopping == Stopping::No)?;
    let config = state.config.as_ref()?;
    let hears = config.agents.get(&run.agent).map_or(Hears::Nothing, |a| a.hears);
    run.watch.due(&config.policy.patience(), hears)
}

/// When the patience with any agent has its next end.
pub(super) fn deadline(state: &State) -> Option<Timestamp> {
    let due = state.running().filter_map(|task| due(state, task));
    due.map(|(at, _)| at).min()
}

/// Why a run that was stopped for lack of life or progress was, in words.
pub(super) fn why_stalled(run: &AgentRun, now: Timestamp) -> String {
    let at = match run.run.stopping {
        Stopping::No => now,
        Stopping::Asked { at, .. } => at,
    };
    run.watch.why_stalled(at)
}

impl Turn<'_> {
    pub(super) fn seen(&mut self, attempt: AttemptId, activity: &Activity, lasts: Span) {
        let now = self.now;
        let Some(id) = self.state.task_of(attempt) else {
            return;
        };
        let Some(run) = self.task(id).and_then(Task::agent_run_mut) else {
            return;
        };
        run.watch.activity = activity.clone();
        // Nothing lasts longer than the run.
        run.watch.since = now.before(lasts).max(run.run.started);
    }

    /// What was seen of an agent by an earlier coordinator says nothing of what it did since.
    pub(super) fn watch_anew(&mut self, id: TaskId) {
        let now = self.now;
        if let Some(run) = self.task(id).and_then(Task::agent_run_mut) {
            let nudges = std::mem::take(&mut run.watch.nudges);
            run.watch = Watch {
                nudges,
                ..Watch::from(now)
            };
        }
    }

    /// Whoever waits for a person is not held to anything.
    pub(super) fn watch_waits(&mut self, id: TaskId) {
        let now = self.now;
        if let Some(run) = self.task(id).and_then(Task::agent_run_mut) {
            run.watch.activity = Activity::AwaitingPerson;
            run.watch.since = now;
        }
    }

    /// Reminds and stops those with whom the policy's patience is at its end.
    pub(super) fn expire_patience(&mut self) {
        let now = self.now;
        let over: Vec<(TaskId, Due)> = self
            .state
            .running()
            .filter_map(|task| due(self.state, task).map(|(at, due)| (task.id, at, due)))
            .filter(|(_, at, _)| *at <= now)
            .map(|(id, _, due)| (id, due))
            .collect();
        for (id, what) in over {
            match what {
                Due::Nudge => self.nudge(id),
                Due::Stop => self.stop(id, StopWhy::Stalled),
            }
        }
    }

    fn nudge(&mut self, id: TaskId) {
        let now = self.now;
        if let Some(run) = self.task(id).and_then(Task::agent_run_mut) {
            run.watch.nudges.push(now);
            let attempt = run.run.attempt;
            self.commands.push(Command::Nudge { attempt });
        }
    }

    /// The clock has jumped, and no time went by that anybody could have used. What was to come after so long still
    /// does; what was to come at an hour of the day, or when a provider said, stays there.
    pub(super) fn clock_jumped(&mut self, by: i64) {
        let tasks: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| t.run().is_some() || matches!(t.stage, Stage::Backoff { .. }))
            .map(|t| t.id)
            .collect();
        for id in tasks {
            let Some(task) = self.task(id) else { continue };
            if let Stage::Backoff { until, failure, .. } = &mut task.stage {
                match failure.retry_after {
                    RetryAfter::Policy => *until = until.moved(by),
                    RetryAfter::At(_) => {}
                }
            }
            if let Some(run) = task.agent_run_mut() {
                run.watch.jumped(by);
            }
            if let Some(run) = task.run_mut() {
                jump(run, by);
            }
        }
        self.gates_jumped(by);
        if let Room::Short { since, .. } = &mut self.state.desk.room {
            *since = since.moved(by);
        }
        for decision in self.state.decisions.values_mut() {
            if let DecisionStage::Waiting { .. } = decision.stage
                && let DecisionStage::Waiting { until, .. } = &mut Arc::make_mut(decision).stage
            {
                *until = until.moved(by);
            }
        }
        if let Some(id) = self.state.following().map(|i| i.id)
            && let Some(issue) = self.issue(id)
            && let Following::Branch {
                keeping: Keeping::Running { run, .. },
                ..
            } = &mut issue.following
        {
            jump(run, by);
        }
    }
}

fn jump(run: &mut Run, by: i64) {
    run.started = run.started.moved(by);
    run.deadline = run.deadline.moved(by);
    if let Stopping::Asked { at, .. } = &mut run.stopping {
        *at = at.moved(by);
    }
}
