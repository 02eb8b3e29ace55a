//! Owns what the world was told of how agents go on, kept apart from the state under test: nobody is stopped for
//! silence who was not silent, and nobody who was is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::State;
use turno_core::command::Command;
use turno_core::config::Config;
use turno_core::event::Event;
use turno_core::ids::AttemptId;
use turno_core::liveness::{Activity, Hears};
use turno_core::policy::Nobody;
use turno_core::task::{StopWhy, Stopping};
use turno_core::units::{Span, Timestamp};

/// What was last told of each agent that runs, and since when.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    told: BTreeMap<AttemptId, (Activity, Timestamp)>,
    nudged: BTreeMap<AttemptId, u32>,
    /// Those that were stopped with reason: a new coordinator is told so again.
    stopped: BTreeSet<AttemptId>,
}

/// How long an agent may go on like that.
fn limit(config: &Config, activity: &Activity) -> Option<Span> {
    let policy = &config.policy;
    match activity {
        Activity::Working | Activity::AwaitingPerson => None,
        Activity::Silent | Activity::AwaitingProvider => Some(policy.silence_hard),
        Activity::LongCommand { .. } | Activity::Computing => Some(policy.longest_command),
        Activity::OnlyTalking => Some(policy.no_progress),
        Activity::Gone => Some(Span(0)),
    }
}

impl Quiet {
    /// Takes note of a fact, with the state as it is after it.
    pub(crate) fn saw(&mut self, state: &State, now: Timestamp, event: &Event) {
        let nobody = state.config.as_ref().map(|c| c.policy.decisions.nobody);
        match event {
            Event::Seen {
                attempt,
                activity,
                lasts,
            } => {
                let task = state.task_of(*attempt).map(|id| &state.tasks[&id]);
                if let Some(run) = task.and_then(|t| t.agent_run()) {
                    let lasts = i64::try_from(lasts.0).unwrap();
                    let since = now.moved(-lasts).max(run.run.started);
                    self.told.insert(*attempt, (activity.clone(), since));
                }
            }
            Event::DecisionAsked { attempt, .. } if nobody != Some(Nobody::Park) => {
                self.told.remove(attempt);
            }
            Event::ClockJumped { by, .. } => {
                for (_, since) in self.told.values_mut() {
                    *since = since.moved(*by);
                }
            }
            Event::Restarted { .. } => self.told.clear(),
            _ => {}
        }
    }

    /// Holds a command against what was told.
    pub(crate) fn allows(&mut self, state: &State, now: Timestamp, command: &Command) -> Result<(), String> {
        let config = state.config.as_ref().unwrap();
        match command {
            Command::StopAttempt {
                attempt,
                why: StopWhy::Stalled,
            } => {
                if self.stopped.contains(attempt) {
                    return Ok(());
                }
                let Some((activity, since)) = self.told.get(attempt) else {
                    return Err(format!(
                        "{attempt} is stopped as stalled and nothing was told of it"
                    ));
                };
                match limit(config, activity) {
                    Some(limit) if now.since(*since) >= limit => {
                        self.stopped.insert(*attempt);
                        Ok(())
                    }
                    _ => Err(format!(
                        "{attempt} is stopped as stalled, {activity:?} since {since:?}"
                    )),
                }
            }
            Command::Nudge { attempt } => {
                let nudged = self.nudged.entry(*attempt).or_default();
                *nudged += 1;
                let task = state.task_of(*attempt).map(|id| &state.tasks[&id]);
                let run = task.and_then(|t| t.agent_run()).ok_or("nobody is reminded")?;
                let silent = matches!(self.told.get(attempt), Some((Activity::Silent, since))
                    if now.since(*since) >= config.policy.silence);
                if !silent || *nudged > 2 || config.agents[&run.agent].hears != Hears::Nudges {
                    return Err(format!(
                        "{attempt} is reminded for the {nudged}. time without need"
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Nobody goes on for longer than it may.
    pub(crate) fn forgets_nobody(&self, state: &State, now: Timestamp) -> Result<(), String> {
        let config = state.config.as_ref().unwrap();
        for task in state.running() {
            let Some(run) = task.agent_run().map(|r| &r.run) else {
                continue;
            };
            if let (Some((activity, since)), Stopping::No) = (self.told.get(&run.attempt), &run.stopping)
                && limit(config, activity).is_some_and(|limit| now.since(*since) >= limit)
            {
                return Err(format!(
                    "{} is let alone, {activity:?} since {since:?}",
                    run.attempt
                ));
            }
        }
        Ok(())
    }
}
