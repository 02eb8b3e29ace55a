//! Owns what the world itself knows of accounts, kept apart from the state under test: which are closed and until when,
//! which starts failed, and which failures may cost a task a try.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::State;
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Event};
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::gate::SETTLED;
use turno_core::ids::{AgentName, AttemptId, TaskId};
use turno_core::quota::QuotaFill;
use turno_core::task::Stopping;
use turno_core::units::{Spend, Timestamp};

use super::cast::WITHIN;

#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Told by a provider: nothing is served before that. One start may try it in each shift.
    closed: BTreeMap<AgentName, (Timestamp, Told)>,
    /// Not signed in: nothing helps in this shift but that another attempt finishes.
    shut: BTreeSet<AgentName>,
    /// Starts that failed since one was answered.
    failed: BTreeMap<AgentName, Vec<Timestamp>>,
    answered: BTreeSet<AttemptId>,
    /// Agents that were answered since their last failing start.
    proven: BTreeSet<AgentName>,
    running: BTreeMap<AttemptId, (AgentName, Timestamp)>,
    /// What a task had lost for a cause before an end that may cost it nothing.
    before: Option<(TaskId, Cause, u8)>,
    closings: u64,
    trials: u64,
    failing: u64,
    spared: u64,
}

/// Who said it: only a window takes its word back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Window(String),
    Failure,
}

impl Accounts {
    pub(crate) fn tally(&self) -> [(&'static str, u64); 4] {
        [
            ("accounts closed", self.closings),
            ("trials of accounts", self.trials),
            ("failing starts", self.failing),
            ("tasks spared", self.spared),
        ]
    }

    /// Takes note of a fact, as the state was before it.
    pub(crate) fn saw(&mut self, state: &State, now: Timestamp, event: &Event) -> Result<(), String> {
        self.spares(state)?;
        if let Event::ClockJumped { by, .. } = event {
            let failed = self.failed.values_mut().flatten();
            for at in failed.chain(self.running.values_mut().map(|(_, since)| since)) {
                *at = at.moved(*by);
            }
        }
        // What has opened stays open, whatever the clock says later.
        self.closed.retain(|_, (until, _)| *until > now);
        if let Event::ShiftStarted { .. } = event {
            // Each account may be tried anew.
            self.trials += u64::try_from(self.closed.len()).unwrap();
            self.closed.clear();
            self.shut.clear();
            for failed in self.failed.values_mut() {
                failed.truncate(2);
            }
        }
        if let Event::Restarted { adopted, .. } = event {
            self.running.retain(|a, _| adopted.contains(a));
        }
        let Some(attempt) = event.attempt() else {
            return Ok(());
        };
        let Some(task) = state.task_of(attempt).map(|id| &state.tasks[&id]) else {
            return Ok(());
        };
        let Some(run) = task.agent_run() else {
            return Ok(());
        };
        let agent = run.agent.clone();
        // A time from outside is believed up to a bound; after a jump of the clock one may be beyond that.
        let longest = state
            .config
            .as_ref()
            .map(|c| c.policy.accounts.longest_quota_wait);
        let believed = now + longest.unwrap_or_default();
        match event {
            Event::Metered { spend, .. } if *spend != Spend::NOTHING && spend.cost.0 > 0 => {
                self.answers(&agent, attempt);
            }
            Event::DecisionAsked { .. } | Event::Noted { .. } | Event::TaskProposed { .. } => {
                self.answers(&agent, attempt);
            }
            Event::QuotaSeen { quota, .. } => match (quota.fill, quota.resets) {
                (QuotaFill::Full, Some(at)) if at > now => {
                    self.close(&agent, at.min(believed), Told::Window(quota.window.clone()));
                }
                (QuotaFill::Full, _) => {}
                (QuotaFill::Open | QuotaFill::Near | QuotaFill::Percent(_), _) => {
                    let told = Told::Window(quota.window.clone());
                    if self.closed.get(&agent).is_some_and(|(_, by)| *by == told) {
                        self.closed.remove(&agent);
                    }
                }
            },
            Event::AgentEnded { end, spend, .. } => {
                self.running.remove(&attempt);
                if spend.cost.0 > 0 {
                    self.answers(&agent, attempt);
                }
                match end {
                    // Who finishes is signed in, whatever another was told.
                    AgentEnd::Finished(_) | AgentEnd::Asked(_) => {
                        self.answers(&agent, attempt);
                        self.shut.remove(&agent);
                    }
                    AgentEnd::Failed(failure) => {
                        let stopped = run.run.stopping != Stopping::No;
                        self.ended((now, believed), &agent, attempt, failure, stopped)?;
                        if is_accounts(failure.cause) && !stopped {
                            let tries = task.tries.get(&failure.cause).copied().unwrap_or(0);
                            self.before = Some((task.id, failure.cause, tries));
                        }
                    }
                }
            }
            Event::AttemptFailed { .. } => {
                self.running.remove(&attempt);
            }
            _ => {}
        }
        Ok(())
    }

    /// A failure that is the account's has cost the task nothing.
    fn spares(&mut self, state: &State) -> Result<(), String> {
        if let Some((id, cause, before)) = self.before.take() {
            self.spared += 1;
            let after = state.tasks[&id].tries.get(&cause).copied();
            if after.is_some_and(|after| after > before) {
                return Err(format!("{id} lost a try for its account: {cause:?}"));
            }
        }
        Ok(())
    }

    fn answers(&mut self, agent: &AgentName, attempt: AttemptId) {
        if self.answered.insert(attempt) {
            self.failed.remove(agent);
            self.proven.insert(agent.clone());
        }
    }

    fn close(&mut self, agent: &AgentName, at: Timestamp, told: Told) {
        self.closings += 1;
        let longer = self.closed.get(agent).is_some_and(|(before, _)| *before >= at);
        if !longer {
            self.closed.insert(agent.clone(), (at, told));
        }
    }

    fn ended(
        &mut self,
        (now, believed): (Timestamp, Timestamp),
        agent: &AgentName,
        attempt: AttemptId,
        failure: &Failure,
        stopped: bool,
    ) -> Result<(), String> {
        match failure.cause {
            Cause::Quota | Cause::RateLimited => {
                if let RetryAfter::At(at) = failure.retry_after {
                    self.close(agent, at.min(believed), Told::Failure);
                }
            }
            Cause::SignIn => drop(self.shut.insert(agent.clone())),
            Cause::Spawn | Cause::Agent | Cause::Provider | Cause::NoOutcome
                if !stopped && !self.answered.contains(&attempt) =>
            {
                self.failing += 1;
                self.proven.remove(agent);
                let failed = self.failed.entry(agent.clone()).or_default();
                failed.push(now);
                let many = failed.iter().filter(|at| now.since(**at) < WITHIN).count();
                // An account that was known to work may have as many at once as it has places.
                if many > 4 {
                    return Err(format!(
                        "{many} starts of {agent} failed in a row within {WITHIN}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// No closed account is started, and no more starts of one may fail in a row than may fail.
    pub(crate) fn allows(&mut self, now: Timestamp, command: &Command) -> Result<(), String> {
        let Command::StartAgent(start) = command else {
            return Ok(());
        };
        let agent = &start.agent;
        if let Some((until, told)) = self.closed.get(agent)
            && now < *until
        {
            return Err(format!(
                "{agent} is started at {now:?} and closed until {until:?} by {told:?}"
            ));
        }
        if self.shut.contains(agent) {
            return Err(format!("{agent} is started and is not signed in"));
        }
        let recent = self.failed.get(agent).into_iter().flatten();
        let failed = recent.filter(|at| now.since(**at) < WITHIN).count();
        if failed >= 3 {
            return Err(format!(
                "{agent} is started after {failed} starts that failed just now"
            ));
        }
        let pending = self.running.iter().filter(|(attempt, (of, since))| {
            of == agent && !self.answered.contains(attempt) && now.since(*since) < SETTLED
        });
        let pending = pending.count();
        if !self.proven.contains(agent) && pending > 0 && pending + failed >= 3 {
            return Err(format!(
                "{agent} is started after {failed} failing starts while {pending} have to show"
            ));
        }
        self.running.insert(start.attempt, (agent.clone(), now));
        Ok(())
    }
}

/// Whether the worlds' policy charges the account with it.
fn is_accounts(cause: Cause) -> bool {
    matches!(cause, Cause::Quota | Cause::RateLimited | Cause::SignIn)
}
