//! Owns what time and a new shift open again, and what is parked because nothing will.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::failure::{Cause, Failure, RetryAfter};
use crate::gate::{Closing, Gate, NextStart, Pace, Standing, Trial, Trust};
use crate::ids::{AgentName, AttemptId, TaskId};
use crate::policy::AccountRule;
use crate::step::Turn;
use crate::step::brief::role_of;
use crate::step::fill::ready;
use crate::task::{Park, Stage, Work};
use crate::units::{Span, Timestamp};

impl Turn<'_> {
    /// Gates whose time has come, and attempts that have ended in a way that says nothing of their account.
    pub(in crate::step) fn tend_gates(&mut self) {
        if self.state.gates.is_empty() {
            return;
        }
        let running = self.state.attempts();
        let (now, rule) = (self.now, self.account_rule());
        for gate in self.state.gates.values_mut() {
            let mut next = Gate::clone(gate);
            next.starting.retain(|attempt, _| running.contains(attempt));
            next.ease(now, rule, &running);
            if next != **gate {
                *gate = Arc::new(next);
            }
        }
    }

    /// The coordinator began again: an attempt that nobody vouches for has shown nothing, however long ago it began.
    pub(in crate::step) fn starts_lost(&mut self, adopted: &BTreeSet<AttemptId>) {
        for gate in self.state.gates.values_mut() {
            if !gate.starting.keys().all(|a| adopted.contains(a)) {
                Arc::make_mut(gate).starting.retain(|a, _| adopted.contains(a));
            }
        }
    }

    /// The clock has jumped. What was to last so long still does; what a provider named stays there.
    pub(in crate::step) fn gates_jumped(&mut self, by: i64) {
        for gate in self.state.gates.values_mut() {
            let gate = Arc::make_mut(gate);
            for at in gate.starting.values_mut().chain(&mut gate.failed) {
                *at = at.moved(by);
            }
            match &mut gate.standing {
                Standing::Closed { until, why } => match why {
                    Closing::Failure(failure) | Closing::Starts(failure) | Closing::Pace { failure, .. } => {
                        match failure.retry_after {
                            RetryAfter::Policy => *until = until.moved(by),
                            RetryAfter::At(_) => {}
                        }
                    }
                    Closing::Window(_) => {}
                },
                Standing::Slowed(pace) => {
                    pace.eases = pace.eases.moved(by);
                    if let NextStart::At(at) = &mut pace.next {
                        *at = at.moved(by);
                    }
                }
                Standing::Open | Standing::Trying { .. } | Standing::Shut { .. } => {}
            }
        }
    }

    /// A person has begun a shift: each closed account is given one trial, because what it was closed for may be mended.
    pub(in crate::step) fn gates_for_a_shift(&mut self) {
        if self.state.shift().is_some() {
            return;
        }
        for gate in self.state.gates.values_mut() {
            let failure = match &gate.standing {
                Standing::Shut { failure } => failure.clone(),
                Standing::Closed { why, .. } => match why {
                    Closing::Failure(failure) | Closing::Starts(failure) | Closing::Pace { failure, .. } => {
                        failure.clone()
                    }
                    Closing::Window(name) => Failure::new(Cause::Quota, format!("its {name} window is full")),
                },
                Standing::Open | Standing::Slowed(_) | Standing::Trying { .. } => continue,
            };
            let gate = Arc::make_mut(gate);
            gate.strikes.clear();
            gate.rounds = 0;
            gate.standing = Standing::Trying {
                trial: Trial::Due,
                failure,
            };
        }
    }

    /// Parks what no agent can do in this shift. One reason for all, and none of them loses a try.
    /// True when anything was.
    pub(in crate::step) fn park_unserved(&mut self) -> bool {
        let Some(config) = self.state.config.clone() else {
            return false;
        };
        let shut = |agent: &AgentName| match self.state.gates.get(agent).map(|g| &g.standing) {
            Some(Standing::Shut { failure }) => Some(failure.clone()),
            Some(
                Standing::Open | Standing::Slowed(_) | Standing::Closed { .. } | Standing::Trying { .. },
            )
            | None => None,
        };
        if !self.state.gates.keys().any(|agent| shut(agent).is_some()) {
            return false;
        }
        let mut unserved: Vec<(TaskId, Work, Park)> = Vec::new();
        for (task, work) in ready(self.state, |w, t| role_of(w, t).is_some()) {
            let role = role_of(work, task);
            let mut agents = config
                .personas
                .iter()
                .filter(|p| Some(p.role) == role)
                .flat_map(|p| &p.agents);
            let Some(agent) = agents.clone().next() else {
                continue;
            };
            if agents.all(|a| shut(a).is_some())
                && let Some(failure) = shut(agent)
            {
                let agent = agent.clone();
                unserved.push((task.id, work.clone(), Park::Account { agent, failure }));
            }
        }
        let any = !unserved.is_empty();
        for (id, work, park) in unserved {
            self.set_stage(id, Stage::Parked { work, park });
        }
        any
    }
}

impl Gate {
    /// What time alone changes.
    fn ease(&mut self, now: Timestamp, rule: AccountRule, running: &BTreeSet<AttemptId>) {
        let settled: Vec<AttemptId> = self
            .starting
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in &settled {
            self.starting.remove(attempt);
        }
        if !settled.is_empty() {
            self.failed.clear();
            self.trust = Trust::Answers;
            self.rounds = 0;
        }
        self.failed.retain(|at| now.since(*at) < rule.within);
        self.standing = match self.standing.clone() {
            Standing::Trying {
                trial: Trial::Runs(attempt),
                failure,
            } => {
                if settled.contains(&attempt) {
                    Standing::Open
                } else if running.contains(&attempt) {
                    return;
                } else {
                    Standing::Trying {
                        trial: Trial::Due,
                        failure,
                    }
                }
            }
            Standing::Closed { until, why } if until <= now => match why {
                Closing::Window(_) | Closing::Failure(_) => Standing::Open,
                Closing::Pace { every, .. } => Standing::Slowed(Pace {
                    every,
                    next: NextStart::Now,
                    eases: now + rule.ease,
                }),
                Closing::Starts(failure) => Standing::Trying {
                    trial: Trial::Due,
                    failure,
                },
            },
            Standing::Slowed(pace) => eased(pace, now, rule),
            same @ (Standing::Open
            | Standing::Closed { .. }
            | Standing::Trying {
                trial: Trial::Due, ..
            }
            | Standing::Shut { .. }) => same,
        };
    }
}

fn eased(pace: Pace, now: Timestamp, rule: AccountRule) -> Standing {
    let next = match pace.next {
        NextStart::At(at) if at > now => pace.next,
        NextStart::At(_) | NextStart::Now => NextStart::Now,
    };
    if pace.eases > now {
        return Standing::Slowed(Pace { next, ..pace });
    }
    if pace.every <= rule.pace {
        return Standing::Open;
    }
    Standing::Slowed(Pace {
        every: Span(pace.every.0 / 2),
        next,
        eases: now + rule.ease,
    })
}
