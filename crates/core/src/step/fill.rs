//! Owns who gets a free slot. Personas sit in a ring; a free slot is offered to the next one that has work it
//! may do, and its turn then moves past it. The reason why a task is not started is derived by the very
//! function that starts it, so what `explain` shows cannot differ from what was decided.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Turn;
use super::brief::{brief, role_of};
use super::casting::{pick_agent, session};
use super::following::holds_back;
use super::funding::{Grant, Starters, grant, unfunded};
use crate::State;
use crate::command::{AgentStart, Command, Limits};
use crate::config::Config;
use crate::failure::Cause;
use crate::foresight::{self, Weather};
use crate::globs;
use crate::guard::{History, Survey};
use crate::ids::{AgentName, IssueId, PersonaName, SlotId, TaskId};
use crate::issue::{IssueStage, Priority};
use crate::ledger::Shortage;
use crate::persona::{Access, AtOnce, Persona, Role};
use crate::policy::{ClashRule, OverlapRule};
use crate::shift::{ShiftStage, Winding};
use crate::task::{AgentRun, Because, Park, Stage, StartFrom, Task, Work, WriteJob};
use crate::units::{Spend, Timestamp};

/// Why a task does not run at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// No shift works on its issue.
    NoShift,
    /// The shift starts nothing more.
    WindingDown(Winding),
    /// Its issue's branch is being begun.
    Opening,
    /// Tasks that must be landed first; for an issue's own task, those that must be over.
    Needs(BTreeSet<TaskId>),
    /// The group of the batch before it.
    Group(u16),
    /// The other candidates.
    Candidates(BTreeSet<TaskId>),
    /// A task in flight that writes the same paths.
    Overlaps(TaskId),
    /// The persona runs as often as it may.
    PersonaBusy(PersonaName),
    /// The free slots are kept for urgent issues.
    Reserved,
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
    /// Its issue's branch, or in the case of a landing any, is being brought along with the user's.
    Following(IssueId),
    /// Another task is being landed.
    LandingBusy(TaskId),
    /// No persona has this role.
    NobodyFor(Role),
    /// All agents that may play the role are at their limit.
    AgentsBusy(Role),
    /// What is left of a budget starts nothing.
    Budget(Shortage),
}

/// Why a task does not run. `None` when it runs or is over.
pub fn waiting(state: &State, task: &Task) -> Option<Waiting> {
    match &task.stage {
        Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Comparing { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Landing { .. }
        | Stage::Accepted { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => None,
        Stage::Blocked => Some(blocked(state, task)),
        Stage::Entered { .. } => Some(Waiting::Candidates(
            state
                .tasks_of(task.id.issue)
                .filter(|t| t.spec.contest == task.spec.contest && t.id != task.id && !t.is_over())
                .map(|t| t.id)
                .collect(),
        )),
        Stage::Backoff { until, failure, .. } => Some(Waiting::Until {
            at: *until,
            cause: failure.cause,
        }),
        Stage::Parked { park, .. } => Some(Waiting::Person(park.clone())),
        Stage::Ready { work, .. } => match shift_for(state, task.id.issue) {
            Err(why) => Some(why),
            Ok(config) => match role_of(work, task) {
                Some(role) => refusal(state, config, role, task, work),
                None => match work {
                    Work::Land(_) => landing_busy(state),
                    Work::Check(_)
                    | Work::Survey
                    | Work::Write(_)
                    | Work::Test(_)
                    | Work::Review(_)
                    | Work::Compare(_)
                    | Work::Plan(_)
                    | Work::Try
                    | Work::Accept(_) => pick_slot(state, task).err(),
                },
            },
        },
    }
}

/// Why nothing can be landed at this moment, if nothing can.
fn landing_busy(state: &State) -> Option<Waiting> {
    let landing = state.landing().map(|t| Waiting::LandingBusy(t.id));
    landing.or_else(|| state.following().map(|i| Waiting::Following(i.id)))
}

fn blocked(state: &State, task: &Task) -> Waiting {
    if task.id.is_lead() {
        let open = state.pieces_of(task.id.issue).filter(|t| !t.is_over());
        return Waiting::Needs(open.map(|t| t.id).collect());
    }
    let wave = state.issues.get(&task.id.issue).map_or(0, |i| i.plan.wave);
    if task.spec.wave > wave {
        return Waiting::Group(wave);
    }
    let needs = task.spec.needs.iter().filter(|n| !state.has_landed(**n));
    Waiting::Needs(needs.copied().collect())
}

/// Why no persona of a role takes a task, if none does.
fn refusal(state: &State, config: &Config, role: Role, task: &Task, work: &Work) -> Option<Waiting> {
    let mut why = Waiting::NobodyFor(role);
    for persona in config.personas.iter().filter(|p| p.role == role) {
        match offer(state, config, persona, task, work) {
            Ok(_) => return None,
            // Money is looked at last: this one would have taken it. Another one's reason, e.g. that the conversation
            // is not its own, is not why the task waits.
            Err(refused) if !matches!(why, Waiting::Budget(_)) => why = refused,
            Err(_) => {}
        }
    }
    Some(why)
}

/// What a persona would be given.
struct Offer {
    slot: SlotId,
    agent: AgentName,
    grant: Grant,
}

/// Whether the shift may start work on an issue, and by which configuration.
fn shift_for(state: &State, issue: IssueId) -> Result<&Config, Waiting> {
    let shift = state
        .shift()
        .filter(|s| s.issues.contains(&issue))
        .ok_or(Waiting::NoShift)?;
    let config = state.config.as_ref().ok_or(Waiting::NoShift)?;
    let issue = state.issues.get(&issue).ok_or(Waiting::NoShift)?;
    if matches!(issue.stage, IssueStage::Opening { .. }) {
        return Err(Waiting::Opening);
    }
    // A closed issue has no branch that anything could land on.
    issue.integration().ok_or(Waiting::NoShift)?;
    match shift.stage {
        ShiftStage::Running => Ok(config),
        ShiftStage::Winding(winding) => Err(Waiting::WindingDown(winding)),
        ShiftStage::Ended { .. } => Err(Waiting::NoShift),
    }
}

/// A free slot, best the one with the task's build caches, else one that is nobody else's.
pub(super) fn pick_slot(state: &State, task: &Task) -> Result<SlotId, Waiting> {
    if let Some(issue) = holds_back(state, task) {
        return Err(Waiting::Following(issue));
    }
    let free = state.free_slots();
    let is_urgent = |id: IssueId| {
        let issue = state.issues.get(&id);
        issue.is_some_and(|i| i.draft.priority == Priority::Urgent)
    };
    let kept = state.config.as_ref().map_or(0, |c| usize::from(c.urgent_slots));
    // What urgent work holds already is no longer kept for it.
    let used = state
        .running()
        .filter(|t| t.slot().is_some() && is_urgent(t.id.issue));
    let kept = kept.saturating_sub(used.count());
    if !is_urgent(task.id.issue) && !free.is_empty() && free.len() <= kept {
        return Err(Waiting::Reserved);
    }
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
    config: &Config,
    persona: &Persona,
    task: &Task,
    work: &Work,
) -> Result<Offer, Waiting> {
    if let Some(other) = overlapping(state, config, task, work) {
        return Err(Waiting::Overlaps(other));
    }
    let at_work = state
        .running()
        .filter_map(|t| t.agent_run())
        .filter(|r| r.persona == persona.name)
        .count();
    if let AtOnce::Limit(limit) = persona.at_once
        && at_work >= usize::from(limit)
    {
        return Err(Waiting::PersonaBusy(persona.name.clone()));
    }
    let slot = pick_slot(state, task)?;
    let starters = starters(state);
    let fund = |agent: &AgentName| grant(state, config, persona, agent, task.id, starters);
    // Another agent may do it where the account of the first has used what it may in a day.
    let agent = pick_agent(state, config, persona, task, work, |a| fund(a).is_ok())
        .or_else(|| pick_agent(state, config, persona, task, work, |_| true))
        .ok_or(Waiting::AgentsBusy(persona.role))?;
    let grant = fund(&agent).map_err(Waiting::Budget)?;
    Ok(Offer { slot, agent, grant })
}

/// A task of the same issue in flight that may write the same paths, where a task is about to be begun.
fn overlapping(state: &State, config: &Config, task: &Task, work: &Work) -> Option<TaskId> {
    let begins = matches!(
        work,
        Work::Write(WriteJob {
            from: StartFrom::Head,
            ..
        })
    );
    if config.policy.overlap == OverlapRule::Start || !begins {
        return None;
    }
    state
        .pieces_of(task.id.issue)
        .filter(|t| t.id != task.id && t.is_in_flight())
        .filter(|t| t.spec.contest.is_none() || t.spec.contest != task.spec.contest)
        .find(|t| globs::overlap(&t.spec.touches, &task.spec.touches))
        .map(|t| t.id)
}

/// How many could start now. Each reserves as much as leaves the same for the others, so that the first does not take a
/// small budget whole.
fn starters(state: &State) -> Starters {
    let count = |n: usize| u64::try_from(n.max(1)).unwrap_or(1);
    let waiting = ready(state, |w, t| role_of(w, t).is_some()).len();
    let slots = state.free_slots().len();
    Starters {
        waiting: count(waiting.min(slots)),
        slots: count(slots),
    }
}

/// Ready tasks of the running shift, most wanted first: urgent, then with the longest chain of dependants, then those
/// to be landed that conflict with nothing, then the oldest.
fn ready(state: &State, wanted: impl Fn(&Work, &Task) -> bool) -> Vec<(TaskId, Work)> {
    let mut chains: BTreeMap<IssueId, BTreeMap<TaskId, usize>> = BTreeMap::new();
    let mut found: Vec<_> = state
        .tasks
        .values()
        .filter_map(|task| {
            let Stage::Ready { work, since } = &task.stage else {
                return None;
            };
            if !wanted(work, task) || shift_for(state, task.id.issue).is_err() {
                return None;
            }
            let priority = state
                .issues
                .get(&task.id.issue)
                .map_or(Priority::Normal, |i| i.draft.priority);
            let issue = task.id.issue;
            let chains = chains.entry(issue).or_insert_with(|| dependants(state, issue));
            let chain = chains.get(&task.id).copied().unwrap_or(0);
            let weather = landing_weather(state, task, work);
            Some(((priority, Reverse(chain), weather, *since, task.id), work.clone()))
        })
        .collect();
    found.sort_by_key(|(key, _)| *key);
    found.into_iter().map(|(key, work)| (key.4, work)).collect()
}

/// What is coming for a change that waits to be landed, where the policy lets that order landings.
fn landing_weather(state: &State, task: &Task, work: &Work) -> Weather {
    let rule = state.config.as_ref().map(|c| c.policy.landing.clashes);
    match (rule, work) {
        (Some(ClashRule::Order | ClashRule::Return), Work::Land(_)) => foresight::weather(state, task),
        (Some(_) | None, _) => Weather::Clear,
    }
}

/// For each task of an issue the length of the longest chain of tasks that wait for it. Every round makes at least
/// one chain longer, and none is longer than there are tasks, so it ends also where needs go round in a circle.
fn dependants(state: &State, issue: IssueId) -> BTreeMap<TaskId, usize> {
    let mut chains: BTreeMap<TaskId, usize> = BTreeMap::new();
    for _ in 0..state.tasks_of(issue).count() {
        let mut longer = false;
        for task in state.tasks_of(issue) {
            let own = chains.get(&task.id).copied().unwrap_or(0);
            for need in &task.spec.needs {
                let chain = chains.entry(*need).or_default();
                if *chain <= own {
                    *chain = own + 1;
                    longer = true;
                }
            }
        }
        if !longer {
            break;
        }
    }
    chains
}

impl Turn<'_> {
    /// Starts whatever can be started. Each start changes what else can be, so it looks again after each.
    pub(super) fn fill(&mut self) {
        while self.start_landing() || self.start_following() || self.start_check() || self.start_persona() {}
    }

    /// Holds back what waits to be landed and may not yet.
    pub(super) fn guard_landings(&mut self) {
        for (id, work) in ready(self.state, |w, _| matches!(w, Work::Land(_))) {
            if let Work::Land(approved) = work {
                self.guard_landing(id, &approved);
            }
        }
    }

    fn start_landing(&mut self) -> bool {
        if landing_busy(self.state).is_some() {
            return false;
        }
        let waiting: Vec<_> = ready(self.state, |w, _| matches!(w, Work::Land(_)))
            .into_iter()
            .filter_map(|(id, work)| match work {
                Work::Land(approved) => Some((id, approved)),
                Work::Write(_)
                | Work::Check(_)
                | Work::Test(_)
                | Work::Review(_)
                | Work::Compare(_)
                | Work::Survey
                | Work::Plan(_)
                | Work::Try
                | Work::Accept(_) => None,
            })
            .collect();
        let Some(issue) = waiting.first().map(|(id, _)| id.issue) else {
            return false;
        };
        self.land(
            issue,
            waiting.into_iter().filter(|(id, _)| id.issue == issue).collect(),
        );
        self.state.landing().is_some()
    }

    /// Parks what its own budget, or that of its issue, starts no more. A wider budget ends the shift, and what an
    /// agent's account may use in a day comes back by itself.
    /// True when anything was.
    pub(super) fn park_unfunded(&mut self) -> bool {
        let limited = self
            .state
            .config
            .as_ref()
            .is_some_and(|c| !c.budgets.task.is_none() || !c.budgets.issue.is_none())
            || self.state.accounts.values().any(|a| !a.set.is_nothing());
        if !limited {
            return false;
        }
        let short: Vec<(TaskId, Work, Park)> = ready(self.state, |w, t| role_of(w, t).is_some())
            .into_iter()
            .filter_map(|(id, work)| Some((id, work, unfunded(self.state, id)?)))
            .collect();
        let any = !short.is_empty();
        for (id, work, park) in short {
            self.set_stage(id, Stage::Parked { work, park });
        }
        any
    }

    fn start_check(&mut self) -> bool {
        for (id, work) in ready(self.state, |w, _| matches!(w, Work::Check(_) | Work::Survey)) {
            if work == Work::Survey {
                if self.start_survey(id) {
                    return true;
                }
                continue;
            }
            let (Some(task), Work::Check(change)) = (self.state.tasks.get(&id), work) else {
                continue;
            };
            if self.checks_for(id).is_empty() {
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
            let wanted = |w: &Work, t: &Task| role_of(w, t) == Some(persona.role);
            for (id, work) in ready(self.state, wanted) {
                let Some(task) = self.state.tasks.get(&id) else {
                    continue;
                };
                if shift_for(self.state, id.issue).is_err() {
                    continue;
                }
                if let Ok(offer) = offer(self.state, &config, persona, task, &work) {
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
        work: Work,
        persona: &Persona,
        offer: Offer,
        config: &Config,
    ) -> Option<()> {
        let issue = self.state.issues.get(&id.issue).cloned()?;
        let (_, head) = issue.integration()?;
        let task = self.state.tasks.get(&id)?;
        let round = task.attempts.get(&persona.name).copied().unwrap_or(0) + 1;
        let brief = brief(self.state, config, &issue, task, &work, round)?;
        let run = self.new_run(offer.grant.wall);
        let task = self.task(id)?;
        task.attempts.insert(persona.name.clone(), round);
        task.last_slot = Some(offer.slot);
        let (from, base, since) = match &work {
            Work::Write(WriteJob { from, .. }) => {
                let (from, base) = match from {
                    StartFrom::Head => (head.clone(), head.clone()),
                    StartFrom::Commit { commit, base } => (commit.clone(), base.clone()),
                };
                let since = task
                    .frozen
                    .as_ref()
                    .map_or_else(|| base.clone(), |f| f.commit.clone());
                (from, base, since)
            }
            Work::Plan(_) | Work::Try | Work::Accept(_) => (head.clone(), head.clone(), head.clone()),
            Work::Test(_)
            | Work::Review(_)
            | Work::Compare(_)
            | Work::Check(_)
            | Work::Land(_)
            | Work::Survey => {
                let change = work.change()?;
                (change.commit.clone(), change.base.clone(), change.commit.clone())
            }
        };
        let session = session(task, &work, persona, &offer.agent);
        task.resume = None;
        let survey = (persona.access != Access::Read).then(|| Survey {
            base: base.clone(),
            history: history(&work),
            big_file: config.policy.big_file,
            tests: config.policy.test_paths.clone(),
        });
        let agent_run = AgentRun {
            run: run.clone(),
            persona: persona.name.clone(),
            agent: offer.agent.clone(),
            slot: offer.slot,
            from: from.clone(),
            base,
            cap: offer.grant.cap,
            spend: Spend::NOTHING,
            session: None,
            tariff: offer.grant.tariff,
            within: offer.grant.within,
            cut: offer.grant.cut,
        };
        let stage = running(work, agent_run)?;
        self.set_stage(id, stage);
        self.commands.push(Command::StartAgent(Box::new(AgentStart {
            attempt: run.attempt,
            task: id,
            repo: issue.draft.repo.clone(),
            slot: offer.slot,
            persona: persona.name.clone(),
            agent: offer.agent,
            access: persona.access,
            from,
            since: Some(since),
            survey,
            session,
            brief,
            limits: Limits {
                cap: offer.grant.cap,
                wall_clock: offer.grant.wall,
                silence: config.policy.silence,
                tariff: offer.grant.tariff,
            },
        })));
        Some(())
    }
}

/// What becomes of the commits that a piece of work goes on from. Where something in them may not land it is not
/// enough that a later one takes it out.
fn history(work: &Work) -> History {
    match work {
        Work::Write(WriteJob {
            because: Because::Guarded { .. },
            ..
        }) => History::Afresh,
        Work::Write(_)
        | Work::Test(_)
        | Work::Review(_)
        | Work::Compare(_)
        | Work::Check(_)
        | Work::Land(_)
        | Work::Survey
        | Work::Plan(_)
        | Work::Try
        | Work::Accept(_) => History::Kept,
    }
}

/// The stage in which an agent does a piece of work; none for work that no agent does.
fn running(work: Work, run: AgentRun) -> Option<Stage> {
    Some(match work {
        Work::Write(job) => Stage::Writing { job, run },
        Work::Test(proven) => Stage::Testing { proven, run },
        Work::Review(proven) => Stage::Reviewing { proven, run },
        Work::Compare(proven) => Stage::Comparing { proven, run },
        Work::Plan(because) => Stage::Planning { because, run },
        Work::Try => Stage::Trying { run },
        Work::Accept(trial) => Stage::Accepting { trial, run },
        Work::Check(_) | Work::Land(_) | Work::Survey => return None,
    })
}
