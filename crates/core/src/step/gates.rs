//! Owns what opens and closes the gates of agents' accounts: told quotas, limits by the minute, starts that fail in a
//! row. The account bears these, not the task that happened to meet them.
//!
//! A failing start is an attempt that could not be launched, whose provider did not answer, or that ended in failure
//! within seconds without having been answered by a model.

mod opening;

use std::sync::Arc;

use super::Turn;
use crate::State;
use crate::config::Config;
use crate::event::AgentEnd;
use crate::failure::{Cause, Failure, RetryAfter};
use crate::gate::{Closing, Entry, Gate, NextStart, Opens, SETTLED, Standing, Trial, Trust};
use crate::ids::{AgentName, AttemptId};
use crate::policy::{AccountRule, Charge, part};
use crate::quota::{Quota, QuotaFill};
use crate::step::Waiting;
use crate::task::{AgentRun, Stopping};
use crate::units::{CostBasis, Span, Spend, Timestamp};

/// An account that is closed is so for at least this long, whatever is told.
const LEAST: Span = Span::seconds(1);

/// When a gate next changes by itself.
pub(super) fn deadline(state: &State) -> Option<Timestamp> {
    let config = state.config.as_ref()?;
    let most = config.policy.accounts.failing_starts;
    state.gates.values().filter_map(|gate| gate.deadline(most)).min()
}

/// Whether the account of an agent lets a start through.
pub(super) fn entry(state: &State, config: &Config, agent: &AgentName) -> Entry {
    let most = config.policy.accounts.failing_starts;
    state
        .gates
        .get(agent)
        .map_or(Entry::Free, |gate| gate.entry(most))
}

/// Whether no conversation waits for the agent's account.
pub(super) fn is_away(state: &State, agent: &AgentName) -> bool {
    state.gates.get(agent).is_some_and(|gate| gate.is_away())
}

/// The account that those wait for who may be served by any of these agents: the one that opens first.
pub(super) fn closed<'a>(
    state: &State,
    config: &Config,
    agents: impl Iterator<Item = &'a AgentName>,
) -> Option<Waiting> {
    let closed = agents.filter_map(|agent| match entry(state, config, agent) {
        Entry::Closed { opens, cause } => Some((opens, agent, cause)),
        Entry::Free | Entry::Full => None,
    });
    let (opens, agent, cause) = closed.min()?;
    Some(Waiting::Account {
        agent: agent.clone(),
        opens,
        cause,
    })
}

/// Whether a model has answered for it.
fn is_answered(spend: Spend) -> bool {
    let paid = spend.cost.0 > 0 && spend.basis != CostBasis::Unknown;
    paid || spend.turns > 0 || spend.tokens.sum() > 0
}

impl Turn<'_> {
    fn account_rule(&self) -> AccountRule {
        let config = self.state.config.as_ref();
        config.map_or_else(AccountRule::default, |c| c.policy.accounts)
    }

    fn gate(&mut self, agent: &AgentName) -> &mut Gate {
        let gates = &mut self.state.gates;
        let gate = gates
            .entry(agent.clone())
            .or_insert_with(|| Arc::new(Gate::new(agent.clone())));
        Arc::make_mut(gate)
    }

    fn run_of(&self, attempt: AttemptId) -> Option<AgentRun> {
        let task = self.state.task_of(attempt)?;
        self.state.tasks.get(&task)?.agent_run().cloned()
    }

    /// An attempt of it begins.
    pub(super) fn account_started(&mut self, agent: &AgentName, attempt: AttemptId) {
        let now = self.now;
        let gate = self.gate(agent);
        gate.starting.insert(attempt, now + SETTLED);
        match &mut gate.standing {
            Standing::Slowed(pace) => pace.next = NextStart::At(now + pace.every),
            Standing::Trying { trial, .. } => *trial = Trial::Runs(attempt),
            Standing::Open | Standing::Closed { .. } | Standing::Shut { .. } => {}
        }
    }

    /// A model has answered an attempt, as is seen by what it costs.
    pub(super) fn account_metered(&mut self, attempt: AttemptId, spend: Spend) {
        if is_answered(spend) {
            self.account_heard(attempt);
        }
    }

    /// A model has answered an attempt, as is seen by what it says.
    pub(super) fn account_heard(&mut self, attempt: AttemptId) {
        if let Some(run) = self.run_of(attempt) {
            self.answers(&run.agent, attempt);
        }
    }

    /// An attempt has shown that its account works. One that was known to work says nothing of starts.
    fn answers(&mut self, agent: &AgentName, attempt: AttemptId) {
        if !self
            .state
            .gates
            .get(agent)
            .is_some_and(|g| g.starting.contains_key(&attempt))
        {
            return;
        }
        let gate = self.gate(agent);
        gate.starting.remove(&attempt);
        gate.failed.clear();
        gate.trust = Trust::Answers;
        gate.rounds = 0;
        if let Standing::Trying {
            trial: Trial::Runs(of),
            ..
        } = gate.standing
            && of == attempt
        {
            gate.standing = Standing::Open;
        }
    }

    pub(super) fn account_ended(&mut self, attempt: AttemptId, end: &AgentEnd, spend: Spend) {
        match end {
            AgentEnd::Finished(_) | AgentEnd::Asked(_) => {
                let Some(run) = self.run_of(attempt) else { return };
                self.answers(&run.agent, attempt);
                if self
                    .state
                    .gates
                    .get(&run.agent)
                    .is_some_and(|g| !g.strikes.is_empty())
                {
                    self.gate(&run.agent).strikes.clear();
                }
                // It is signed in after all: one refusal among several that run may be a login that was just renewed.
                if let Some(Standing::Shut { failure }) =
                    self.state.gates.get(&run.agent).map(|g| &g.standing)
                    && failure.cause == Cause::SignIn
                {
                    let failure = failure.clone();
                    self.gate(&run.agent).standing = Standing::Trying {
                        trial: Trial::Due,
                        failure,
                    };
                }
            }
            AgentEnd::Failed(failure) => self.account_failed(attempt, failure, spend),
        }
    }

    /// What a failure of an attempt says of its account.
    pub(super) fn account_failed(&mut self, attempt: AttemptId, failure: &Failure, spend: Spend) {
        let Some(run) = self.run_of(attempt) else { return };
        if is_answered(spend) {
            self.answers(&run.agent, attempt);
        }
        // What was stopped says nothing, except where the provider's word came first.
        let stopped = run.run.stopping != Stopping::No;
        if self.row(failure.cause).charge == Charge::Account {
            return self.strike(&run.agent, failure);
        }
        let fails = match failure.cause {
            Cause::Spawn | Cause::Provider | Cause::SignIn | Cause::Model => true,
            Cause::Agent | Cause::NoOutcome => {
                let gate = self.state.gates.get(&run.agent);
                let until = gate.and_then(|g| g.starting.get(&attempt));
                until.is_some_and(|until| self.now < *until)
            }
            Cause::Quota
            | Cause::RateLimited
            | Cause::Workspace
            | Cause::NoChange
            | Cause::WroteWhileReading
            | Cause::Stalled
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::Lost
            | Cause::Stopped
            | Cause::OutOfBounds
            | Cause::TestsProveNothing
            | Cause::Resources => false,
        };
        if fails && !stopped {
            self.start_failed(&run.agent, attempt, failure);
        }
    }

    /// Closes an account for a failure that it bears itself. What ends while it is closed already was begun before, and
    /// only makes it longer.
    fn strike(&mut self, agent: &AgentName, failure: &Failure) {
        let (row, rule, now) = (self.row(failure.cause), self.account_rule(), self.now);
        let config = self.state.config.as_ref();
        let longest = config.map_or(Span(0), |c| c.policy.longest_wait);
        let gate = self.gate(agent);
        let again = matches!(gate.standing, Standing::Closed { .. });
        let count = gate.strikes.entry(failure.cause).or_default();
        if !again {
            *count = count.saturating_add(1);
        }
        let count = *count;
        if count > row.tries {
            gate.standing = Standing::Shut {
                failure: failure.clone(),
            };
            return;
        }
        let wait = match failure.retry_after {
            // A time from outside may be nonsense.
            RetryAfter::At(at) if at > now => {
                at.min(now + rule.longest_quota_wait) + row.spread(failure.luck)
            }
            RetryAfter::At(_) | RetryAfter::Policy => now + row.backoff(count, longest, failure.luck),
        };
        let why = if failure.cause == Cause::RateLimited {
            let every = match &gate.standing {
                Standing::Slowed(pace) => pace.every.doubled(1).min(longest).max(rule.pace),
                Standing::Closed {
                    why: Closing::Pace { every, .. },
                    ..
                } => *every,
                Standing::Open
                | Standing::Closed { .. }
                | Standing::Trying { .. }
                | Standing::Shut { .. } => rule.pace,
            };
            Closing::Pace {
                failure: failure.clone(),
                every,
            }
        } else {
            Closing::Failure(failure.clone())
        };
        close(gate, wait.max(now + LEAST), why);
    }

    /// Counts a failing start, and closes the account where there were too many in a row.
    fn start_failed(&mut self, agent: &AgentName, attempt: AttemptId, failure: &Failure) {
        let (rule, now) = (self.account_rule(), self.now);
        let config = self.state.config.as_ref();
        let longest = config.map_or(Span(0), |c| c.policy.longest_wait);
        let gate = self.gate(agent);
        gate.starting.remove(&attempt);
        gate.trust = Trust::Untried;
        gate.failed.retain(|at| now.since(*at) < rule.within);
        gate.failed.push(now);
        let many = gate.failed.len() >= usize::from(rule.failing_starts);
        let excess = gate.failed.len().saturating_sub(usize::from(rule.failing_starts));
        gate.failed.drain(..excess);
        let trips = match &gate.standing {
            Standing::Trying {
                trial: Trial::Runs(of),
                ..
            } => *of == attempt,
            Standing::Open | Standing::Slowed(_) => many,
            Standing::Trying {
                trial: Trial::Due, ..
            }
            | Standing::Closed { .. }
            | Standing::Shut { .. } => false,
        };
        if !trips {
            return;
        }
        gate.rounds = gate.rounds.saturating_add(1);
        if gate.rounds > rule.rounds {
            gate.standing = Standing::Shut {
                failure: failure.clone(),
            };
            return;
        }
        // The next start comes when the failing ones are out of sight, so there are never more of them in that time.
        let wait = rule.wait.doubled(u32::from(gate.rounds) - 1);
        let wait = wait.min(longest).max(rule.within);
        let until = now + wait + part(rule.wait.min(wait), failure.luck);
        close(gate, until, Closing::Starts(failure.clone()));
    }

    pub(super) fn quota_seen(&mut self, attempt: AttemptId, quota: &Quota) {
        let Some(run) = self.run_of(attempt) else { return };
        let (now, rule) = (self.now, self.account_rule());
        let gate = self.gate(&run.agent);
        let name = gate.saw(quota, now, attempt);
        match quota.fill {
            QuotaFill::Full => {
                let resets = quota.resets.map(|at| at.min(now + rule.longest_quota_wait));
                if let Some(until) = resets.filter(|at| *at > now) {
                    close(gate, until, Closing::Window(name));
                }
            }
            QuotaFill::Open | QuotaFill::Percent(_) | QuotaFill::Near => {
                if let Standing::Closed {
                    why: Closing::Window(full),
                    ..
                } = &gate.standing
                    && *full == name
                {
                    gate.standing = Standing::Open;
                }
            }
        }
    }
}

/// Closes it, unless it is closed for longer.
fn close(gate: &mut Gate, until: Timestamp, why: Closing) {
    let longer = match &gate.standing {
        Standing::Shut { .. } => true,
        Standing::Closed { until: before, .. } => *before >= until,
        Standing::Open | Standing::Slowed(_) | Standing::Trying { .. } => false,
    };
    if !longer {
        gate.standing = Standing::Closed { until, why };
    }
}

/// Whether a wait for an account is worth a shift's while: it opens by itself while the shift may still start work.
pub(super) fn opens_before(opens: Opens, until: Option<Timestamp>) -> bool {
    match opens {
        Opens::AfterTrial => true,
        Opens::At(at) => until.is_none_or(|until| at < until),
        Opens::NotInThisShift => false,
    }
}
