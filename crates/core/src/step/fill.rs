//! Owns who gets a free slot. Personas sit in a ring; a free slot is offered to the next one that has work it
//! may do, and its turn then moves past it. The reason why a task is not started is derived by the very
//! function that starts it, so what `explain` shows cannot differ from what was decided.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Turn;
use crate::State;
use crate::brief::{Ask, Brief, IssueBrief, TaskBrief};
use crate::command::{AgentStart, Command, Limits, Session};
use crate::config::Config;
use crate::failure::Cause;
use crate::ids::{AgentName, IssueId, SlotId, TaskId};
use crate::issue::{Issue, Priority};
use crate::persona::{Persona, Role};
use crate::shift::{Shift, ShiftStage, Winding};
use crate::task::{AgentRun, Because, Park, Proven, Stage, StartFrom, Task, Work, WriteJob, WriterSession};
use crate::units::{MicroUsd, Spend, Timestamp};

/// Why a task does not run at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// No shift works on its issue.
    NoShift,
    /// The shift starts nothing more.
    WindingDown(Winding),
    /// Tasks that must be landed first.
    Needs(BTreeSet<TaskId>),
    /// It is tried again at that time.
    Until {
        /// When.
        at: Timestamp,
        /// After what.
        cause: Cause,
    },
    /// A person must look.
    Person(Park),
    /// Every slot is held.
    NoFreeSlot,
    /// Another task is being landed.
    LandingBusy(TaskId),
    /// No persona has this role.
    NobodyFor(Role),
    /// All agents that may play the role are at their limit.
    AgentsBusy(Role),
    /// What is left of the budget starts nothing.
    Budget {
        /// The least an attempt is started with.
        least: MicroUsd,
        /// What is neither spent nor promised.
        left: MicroUsd,
    },
}

/// Why a task does not run. `None` when it runs or is over.
pub fn waiting(state: &State, task: &Task) -> Option<Waiting> {
    match &task.stage {
        Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Reviewing { .. }
        | Stage::Landing { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => None,
        Stage::Blocked => Some(Waiting::Needs(
            task.spec
                .needs
                .iter()
                .filter(|n| {
                    !state
                        .tasks
                        .get(n)
                        .is_some_and(|t| matches!(t.stage, Stage::Landed { .. }))
                })
                .copied()
                .collect(),
        )),
        Stage::Backoff { until, failure, .. } => Some(Waiting::Until {
            at: *until,
            cause: failure.cause,
        }),
        Stage::Parked { park, .. } => Some(Waiting::Person(park.clone())),
        Stage::Ready { work, .. } => match shift_for(state, task.id.issue) {
            Err(why) => Some(why),
            Ok((shift, config)) => match work {
                Work::Land(_) => state.landing().map(|t| Waiting::LandingBusy(t.id)),
                Work::Check(_) => pick_slot(state, task).err(),
                Work::Write(_) | Work::Review(_) => {
                    let work = PersonaWork::of(work)?;
                    let role = work.role();
                    let mut why = Waiting::NobodyFor(role);
                    for persona in config.personas.iter().filter(|p| p.role == role) {
                        match offer(state, shift, config, persona, task, &work) {
                            Ok(_) => return None,
                            Err(refused) => why = refused,
                        }
                    }
                    Some(why)
                }
            },
        },
    }
}

/// The part of [`Work`] that a persona does.
#[derive(Clone)]
enum PersonaWork {
    Write(WriteJob),
    Review(Proven),
}

impl PersonaWork {
    fn of(work: &Work) -> Option<Self> {
        match work {
            Work::Write(job) => Some(Self::Write(job.clone())),
            Work::Review(proven) => Some(Self::Review(proven.clone())),
            Work::Check(_) | Work::Land(_) => None,
        }
    }

    fn role(&self) -> Role {
        match self {
            Self::Write(_) => Role::Engineer,
            Self::Review(_) => Role::Reviewer,
        }
    }
}

/// What a persona would be given.
struct Offer {
    slot: SlotId,
    agent: AgentName,
    cap: MicroUsd,
}

/// The shift that may start work on an issue.
fn shift_for(state: &State, issue: IssueId) -> Result<(&Shift, &Config), Waiting> {
    let shift = state
        .shift()
        .filter(|s| s.issues.contains(&issue))
        .ok_or(Waiting::NoShift)?;
    let config = state.config.as_ref().ok_or(Waiting::NoShift)?;
    // A closed issue has no branch that anything could land on.
    state
        .issues
        .get(&issue)
        .and_then(|i| i.integration())
        .ok_or(Waiting::NoShift)?;
    match shift.stage {
        ShiftStage::Running => Ok((shift, config)),
        ShiftStage::Winding(winding) => Err(Waiting::WindingDown(winding)),
        ShiftStage::Ended { .. } => Err(Waiting::NoShift),
    }
}

/// A free slot, best the one with the task's build caches, else one that is nobody else's.
fn pick_slot(state: &State, task: &Task) -> Result<SlotId, Waiting> {
    let free = state.free_slots();
    if let Some(last) = task.last_slot
        && free.contains(&last)
    {
        return Ok(last);
    }
    let warm_for_others: BTreeSet<SlotId> = state
        .tasks
        .values()
        .filter(|t| !t.is_over() && t.id != task.id)
        .filter_map(|t| t.last_slot)
        .collect();
    free.difference(&warm_for_others)
        .next()
        .or(free.first())
        .copied()
        .ok_or(Waiting::NoFreeSlot)
}

/// Whether a persona may do a piece of work now, and with what.
fn offer(
    state: &State,
    shift: &Shift,
    config: &Config,
    persona: &Persona,
    task: &Task,
    work: &PersonaWork,
) -> Result<Offer, Waiting> {
    let slot = pick_slot(state, task)?;
    let agent = pick_agent(state, config, persona, task, work).ok_or(Waiting::AgentsBusy(persona.role))?;
    let left = shift.budget.less(state.committed(shift));
    let least = config.policy.least_start.min(persona.budget);
    if left < least || left == MicroUsd::ZERO {
        return Err(Waiting::Budget { least, left });
    }
    Ok(Offer {
        slot,
        agent,
        cap: share(state, left).max(least).min(persona.budget),
    })
}

/// What one attempt may reserve of what is left: as much as leaves the same for the others that could start now,
/// so that the first does not take a small budget whole.
fn share(state: &State, left: MicroUsd) -> MicroUsd {
    let waiting = ready(state, |w| PersonaWork::of(w).is_some()).len();
    let starters = waiting.min(state.free_slots().len()).max(1);
    MicroUsd(left.0 / u64::try_from(starters).unwrap_or(1))
}

/// The agent to play a persona: the one that holds the writer's conversation; for a reviewer one that is not
/// the writer's, where there is one, also if that means to wait; after failures the next in the list.
fn pick_agent(
    state: &State,
    config: &Config,
    persona: &Persona,
    task: &Task,
    work: &PersonaWork,
) -> Option<AgentName> {
    let has_room = |agent: &&AgentName| {
        let limit = config.agents.get(*agent).map_or(0, |a| usize::from(a.at_once));
        state.running_of(agent) < limit
    };
    let failures: usize = PERSONAL
        .iter()
        .filter_map(|c| task.tries.get(c))
        .map(|n| usize::from(*n))
        .sum();
    let order: Vec<&AgentName> = match work {
        PersonaWork::Write(_) => {
            if let WriterSession::Open {
                persona: holder,
                agent,
                ..
            } = &task.session
                && config.persona(holder).is_some_and(|p| p.agents.contains(agent))
            {
                return Some(agent)
                    .filter(|a| *holder == persona.name && has_room(a))
                    .cloned();
            }
            persona.agents.iter().collect()
        }
        PersonaWork::Review(proven) => {
            let writer = &proven.change.writer.agent;
            let (others, same): (Vec<_>, Vec<_>) = persona.agents.iter().partition(|a| *a != writer);
            if failures == 0 && !others.is_empty() {
                others
            } else {
                others.into_iter().chain(same).collect()
            }
        }
    };
    let count = order.len();
    (0..count)
        .filter_map(|i| order.get((i + failures) % count).copied())
        .find(has_room)
        .cloned()
}

/// Failures after which another agent may do better.
pub(super) const PERSONAL: [Cause; 7] = [
    Cause::Quota,
    Cause::Agent,
    Cause::NoOutcome,
    Cause::NoChange,
    Cause::Stalled,
    Cause::Spawn,
    Cause::SignIn,
];

/// Ready tasks of the running shift, most wanted first: urgent, then with the longest chain of dependants,
/// then the oldest.
fn ready(state: &State, wanted: impl Fn(&Work) -> bool) -> Vec<(TaskId, Work)> {
    let mut found: Vec<_> = state
        .tasks
        .values()
        .filter_map(|task| {
            let Stage::Ready { work, since } = &task.stage else {
                return None;
            };
            if !wanted(work) || shift_for(state, task.id.issue).is_err() {
                return None;
            }
            let priority = state
                .issues
                .get(&task.id.issue)
                .map_or(Priority::Normal, |i| i.draft.priority);
            Some((
                (priority, Reverse(dependants(state, task.id, 0)), *since, task.id),
                work.clone(),
            ))
        })
        .collect();
    found.sort_by_key(|(key, _)| *key);
    found.into_iter().map(|(key, work)| (key.3, work)).collect()
}

/// The length of the longest chain of tasks that wait for this one. Depth is bounded by the number of tasks.
fn dependants(state: &State, id: TaskId, depth: usize) -> usize {
    if depth > state.tasks.len() {
        return depth;
    }
    state
        .tasks_of(id.issue)
        .filter(|t| t.spec.needs.contains(&id))
        .map(|t| 1 + dependants(state, t.id, depth + 1))
        .max()
        .unwrap_or(0)
}

impl Turn<'_> {
    /// Starts whatever can be started. Each start changes what else can be, so it looks again after each.
    pub(super) fn fill(&mut self) {
        while self.start_landing() || self.start_check() || self.start_persona() {}
    }

    fn start_landing(&mut self) -> bool {
        if self.state.landing().is_some() {
            return false;
        }
        let next = ready(self.state, |w| matches!(w, Work::Land(_)))
            .into_iter()
            .next();
        let Some((id, Work::Land(approved))) = next else {
            return false;
        };
        self.land(id, approved);
        self.state.landing().is_some()
    }

    fn start_check(&mut self) -> bool {
        for (id, work) in ready(self.state, |w| matches!(w, Work::Check(_))) {
            let (Some(task), Work::Check(change)) = (self.state.tasks.get(&id), work) else {
                continue;
            };
            if self.state.config.as_ref().is_none_or(|c| c.checks.is_empty()) {
                self.set_stage(
                    id,
                    Stage::Parked {
                        work: Work::Check(change),
                        park: Park::NoChecks,
                    },
                );
                return true;
            }
            if let Ok(slot) = pick_slot(self.state, task) {
                self.check_in(id, change, slot);
                return true;
            }
        }
        false
    }

    fn start_persona(&mut self) -> bool {
        let Some(config) = self.state.config.clone() else {
            return false;
        };
        for (place, name) in self.state.desk.ring.clone().into_iter().enumerate() {
            let Some(persona) = config.persona(&name) else {
                continue;
            };
            let wanted = |w: &Work| PersonaWork::of(w).is_some_and(|w| w.role() == persona.role);
            for (id, work) in ready(self.state, wanted) {
                let Some(work) = PersonaWork::of(&work) else {
                    continue;
                };
                let Some(task) = self.state.tasks.get(&id) else {
                    continue;
                };
                let Ok((shift, _)) = shift_for(self.state, id.issue) else {
                    continue;
                };
                if let Ok(offer) = offer(self.state, shift, &config, persona, task, &work) {
                    if self.start_agent(id, work, persona, offer, &config).is_none() {
                        continue;
                    }
                    let turn = self.state.desk.ring.remove(place);
                    self.state.desk.ring.push(turn);
                    return true;
                }
            }
        }
        false
    }

    /// `None` when nothing was started.
    fn start_agent(
        &mut self,
        id: TaskId,
        work: PersonaWork,
        persona: &Persona,
        offer: Offer,
        config: &Config,
    ) -> Option<()> {
        let issue = self.state.issues.get(&id.issue).cloned()?;
        let (_, head) = issue.integration()?;
        let run = self.new_run(persona.wall_clock);
        let task = self.task(id)?;
        let round = task.attempts.entry(persona.name.clone()).or_default();
        *round += 1;
        let round = *round;
        task.last_slot = Some(offer.slot);
        let (from, base) = match &work {
            PersonaWork::Write(WriteJob {
                from: StartFrom::Head,
                ..
            }) => (head.clone(), head.clone()),
            PersonaWork::Write(WriteJob {
                from: StartFrom::Commit { commit, base },
                ..
            }) => (commit.clone(), base.clone()),
            PersonaWork::Review(Proven { change, .. }) => (change.commit.clone(), change.base.clone()),
        };
        let session = match (&work, &task.session) {
            (PersonaWork::Write(job), WriterSession::Open { agent, session, .. })
                if *agent == offer.agent && job.because != Because::New =>
            {
                Session::Resume(session.clone())
            }
            (
                PersonaWork::Write(_) | PersonaWork::Review(_),
                WriterSession::Open { .. } | WriterSession::Fresh,
            ) => Session::Fresh,
        };
        let brief = brief(&issue, task, &work, config, round);
        let agent_run = AgentRun {
            run: run.clone(),
            persona: persona.name.clone(),
            agent: offer.agent.clone(),
            slot: offer.slot,
            from: from.clone(),
            base,
            cap: offer.cap,
            spend: Spend::NOTHING,
        };
        task.stage = match work {
            PersonaWork::Write(job) => Stage::Writing { job, run: agent_run },
            PersonaWork::Review(proven) => Stage::Reviewing {
                proven,
                run: agent_run,
            },
        };
        self.commands.push(Command::StartAgent(Box::new(AgentStart {
            attempt: run.attempt,
            task: id,
            slot: offer.slot,
            persona: persona.name.clone(),
            agent: offer.agent,
            access: persona.access,
            from,
            session,
            brief,
            limits: Limits {
                cap: offer.cap,
                wall_clock: persona.wall_clock,
                silence: config.policy.silence,
            },
        })));
        Some(())
    }
}

/// What the persona is told. The reviewer is not told the writer's opinion of itself.
fn brief(issue: &Issue, task: &Task, work: &PersonaWork, config: &Config, round: u32) -> Brief {
    let ask = match work {
        PersonaWork::Write(job) => Ask::Write {
            because: job.because.clone(),
            checks: config.checks.iter().map(|c| c.command.clone()).collect(),
        },
        PersonaWork::Review(proven) => Ask::Review {
            commit: proven.change.commit.clone(),
            base: proven.change.base.clone(),
            proof: proven.proof.clone(),
            earlier: task.earlier_findings.clone(),
        },
    };
    Brief {
        issue: IssueBrief {
            id: issue.id,
            title: issue.draft.title.clone(),
            body: issue.draft.body.clone(),
        },
        task: TaskBrief {
            id: task.id,
            title: task.spec.title.clone(),
            brief: task.spec.brief.clone(),
            acceptance: task.spec.acceptance.clone(),
            touches: task.spec.touches.clone(),
        },
        round,
        ask,
    }
}
