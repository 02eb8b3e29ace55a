//! Owns what is the same for every offer of one round: free slots, who is at work, what the wide levels have left.
//! It is looked up once, so that an offer costs no walk over all tasks. It chooses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::order::{all_ready, ready};
use crate::State;
use crate::config::Config;
use crate::ids::{AgentName, IssueId, PersonaName, SlotId, TaskId};
use crate::issue::Priority;
use crate::ledger::{Allowance, Level, Shortage};
use crate::persona::{AtOnce, Persona, Role};
use crate::policy::OverlapRule;
use crate::step::brief::role_of;
use crate::step::funding::{Grant, Starters, grant};
use crate::task::{Task, Work};

/// The slots as they are.
pub(in crate::step) struct Slots {
    pub(super) free: BTreeSet<SlotId>,
    /// Those with the build caches of a task that is not over.
    pub(super) warm: BTreeSet<SlotId>,
    /// So many of the free ones are kept for urgent issues.
    pub(super) kept: usize,
}

impl Slots {
    pub(in crate::step) fn of(state: &State) -> Self {
        let kept = state.config.as_ref().map_or(0, |c| usize::from(c.urgent_slots));
        // What urgent work holds already is no longer kept for it.
        let used = state
            .running()
            .filter(|t| t.slot().is_some() && is_urgent(state, t.id.issue));
        Self {
            free: state.free_slots(),
            warm: state
                .tasks
                .values()
                .filter(|t| !t.is_over())
                .filter_map(|t| t.last_slot)
                .collect(),
            kept: kept.saturating_sub(used.count()),
        }
    }
}

pub(super) fn is_urgent(state: &State, id: IssueId) -> bool {
    let issue = state.issues.get(&id);
    issue.is_some_and(|i| i.draft.priority == Priority::Urgent)
}

/// One round: it holds until something is started.
pub(super) struct Round<'a> {
    pub(super) state: &'a State,
    pub(super) config: &'a Config,
    pub(super) slots: Slots,
    /// What the wide levels have left.
    wide: BTreeMap<Level, Allowance>,
    /// Issues in which an agent is at work; to the others and their tasks nothing is promised.
    busy: BTreeSet<IssueId>,
    /// How many could start now. Each reserves as much as leaves the same for the others, so that the first does not
    /// take a small budget whole.
    starters: Starters,
    personas: BTreeMap<&'a PersonaName, usize>,
    agents: BTreeMap<&'a AgentName, usize>,
    /// Tasks in flight by issue, where they may hold others back.
    flying: BTreeMap<IssueId, Vec<&'a Task>>,
}

impl<'a> Round<'a> {
    /// The round for explaining why one task waits.
    pub(super) fn of(state: &'a State, config: &'a Config) -> Self {
        let waiting = all_ready(state, |w, t| role_of(w, t).is_some()).count();
        Self::with(state, config, Slots::of(state), waiting)
    }

    fn with(state: &'a State, config: &'a Config, slots: Slots, waiting: usize) -> Self {
        let mut personas: BTreeMap<&PersonaName, usize> = BTreeMap::new();
        let mut agents: BTreeMap<&AgentName, usize> = BTreeMap::new();
        let mut busy = BTreeSet::new();
        for (task, run) in state.running().filter_map(|t| Some((t.id, t.agent_run()?))) {
            *personas.entry(&run.persona).or_default() += 1;
            *agents.entry(&run.agent).or_default() += 1;
            busy.insert(task.issue);
        }
        let day = state.desk.today;
        let shift = state.shift().map(|s| Level::Shift(s.id));
        let accounts = config.agents.keys().map(|agent| Level::Agent {
            agent: agent.clone(),
            day,
        });
        let wide = std::iter::once(Level::Day(day)).chain(shift).chain(accounts);
        let mut flying: BTreeMap<IssueId, Vec<&Task>> = BTreeMap::new();
        if config.policy.overlap != OverlapRule::Start {
            for task in state
                .tasks
                .values()
                .filter(|t| !t.id.is_lead() && t.is_in_flight())
            {
                flying.entry(task.id.issue).or_default().push(task);
            }
        }
        let count = |n: usize| u64::try_from(n.max(1)).unwrap_or(1);
        let starters = Starters {
            waiting: count(waiting.min(slots.free.len())),
            slots: count(slots.free.len()),
        };
        Self {
            state,
            config,
            slots,
            wide: wide
                .map(|level| {
                    let left = state.headroom(&level);
                    (level, left)
                })
                .collect(),
            busy,
            starters,
            personas,
            agents,
            flying,
        }
    }

    /// The pieces of an issue that are in flight, in order.
    pub(super) fn flying(&self, issue: IssueId) -> impl Iterator<Item = &'a Task> {
        self.flying.get(&issue).into_iter().flatten().copied()
    }

    /// Whether a persona runs as often as it may.
    pub(super) fn is_busy(&self, persona: &Persona) -> bool {
        let at_work = self.personas.get(&persona.name).copied().unwrap_or(0);
        match persona.at_once {
            AtOnce::Limit(limit) => at_work >= usize::from(limit),
            AtOnce::NoLimit => false,
        }
    }

    /// What an agent may reserve for a task.
    pub(super) fn fund(&self, persona: &Persona, agent: &AgentName, task: TaskId) -> Result<Grant, Shortage> {
        let headroom = |level: &Level| self.headroom(level);
        grant(
            self.state,
            self.config,
            persona,
            agent,
            task,
            headroom,
            self.starters,
        )
    }

    /// What a level has left, as [`State::headroom`] says, without a walk over all tasks where that can be.
    fn headroom(&self, level: &Level) -> Allowance {
        let idle = match level {
            Level::Issue(issue) => !self.busy.contains(issue),
            Level::Task(task) => !self.busy.contains(&task.issue),
            Level::Day(_) | Level::Shift(_) | Level::Agent { .. } => false,
        };
        match self.wide.get(level) {
            Some(left) => *left,
            None if idle => {
                let limit = self.state.limit(level);
                if limit.is_none() {
                    limit
                } else {
                    limit.less(self.state.booked(level))
                }
            }
            None => self.state.headroom(level),
        }
    }

    /// Whether a persona may start anything at all, whatever the task: none of its agents is chosen that runs as often
    /// as it may.
    fn may_start(&self, persona: &Persona) -> bool {
        let has_room = |agent: &AgentName| {
            let limit = self
                .config
                .agents
                .get(agent)
                .map_or(0, |a| usize::from(a.at_once));
            self.agents.get(agent).copied().unwrap_or(0) < limit
        };
        !self.is_busy(persona) && persona.agents.iter().any(has_room)
    }

    /// Whether there is enough for a persona to start a task: what is not funded is not started by any agent.
    fn is_funded(&self, persona: &Persona, task: TaskId) -> bool {
        persona.agents.iter().any(|a| self.fund(persona, a, task).is_ok())
    }
}

/// The offers of a round in the order in which they are made: to each persona in its turn, what its role may do.
pub(super) struct Offers<'a> {
    pub(super) round: Round<'a>,
    by_role: BTreeMap<Role, Vec<(&'a Task, &'a Work)>>,
}

impl<'a> Offers<'a> {
    /// `None` where nothing can be started, whoever is asked.
    pub(super) fn of(state: &'a State, config: &'a Config) -> Option<Self> {
        let slots = Slots::of(state);
        if slots.free.is_empty() {
            return None;
        }
        let ready = ready(state, |w, t| role_of(w, t).is_some());
        if ready.is_empty() {
            return None;
        }
        let round = Round::with(state, config, slots, ready.len());
        let mut by_role: BTreeMap<Role, Vec<_>> = BTreeMap::new();
        for (task, work) in ready {
            if let Some(role) = role_of(work, task) {
                by_role.entry(role).or_default().push((task, work));
            }
        }
        Some(Self { round, by_role })
    }

    /// With the place of the persona in the ring. What would be refused for being short of an agent or of money is left
    /// out before it is looked at closely.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &'a Persona, &'a Task, &'a Work)> {
        let ring = self.round.state.desk.ring.iter().enumerate();
        ring.filter_map(|(place, name)| Some((place, self.round.config.persona(name)?)))
            .filter(|(_, persona)| self.round.may_start(persona))
            .flat_map(|(place, persona)| {
                let ready = self.by_role.get(&persona.role).into_iter().flatten();
                ready.map(move |(task, work)| (place, persona, *task, *work))
            })
            .filter(|(_, persona, task, _)| self.round.is_funded(persona, task.id))
    }
}
