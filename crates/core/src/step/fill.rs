//! Owns who gets a free slot. Personas sit in a ring; a free slot is offered to the next one that has work it
//! may do, and its turn then moves past it. The reason why a task is not started is derived by the very
//! function that starts it, so what `explain` shows cannot differ from what was decided.

mod order;
mod round;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Turn;
use super::brief::{brief, role_of};
use super::casting::{pick_agent, session};
use super::following::holds_back;
use super::funding::{Grant, unfunded};
use super::gates;
use super::rooms::no_room;
use crate::State;
use crate::command::{AgentStart, Command, Limits};
use crate::config::Config;
use crate::failure::Cause;
use crate::gate::Opens;
use crate::globs;
use crate::guard::{History, Survey};
use crate::holding::Hold;
use crate::ids::{AgentName, IssueId, PersonaName, SlotId, TaskId};
use crate::issue::IssueStage;
use crate::ledger::{Messages, Shortage};
use crate::liveness::Watch;
use crate::persona::{Access, Persona, Role};
use crate::policy::OverlapRule;
use crate::room::Tight;
use crate::shift::{ShiftStage, Winding};
use crate::task::{AgentRun, Because, Park, Stage, StartFrom, Task, Work, WriteJob};
use crate::units::{Spend, Timestamp};
pub(super) use order::ready;
use order::to_land;
pub(super) use round::Slots;
use round::{Offers, Round, is_urgent};

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
    /// The account of the agent that may do it is closed; of several, the one that opens first.
    Account {
        /// Whose.
        agent: AgentName,
        /// When it opens.
        opens: Opens,
        /// What it is closed for.
        cause: Cause,
    },
    /// A disk has too little room for anything to be started.
    Disk(Tight),
    /// A person holds it.
    Held(Hold),
}

/// Why a task does not run. `None` when it runs or is over.
pub fn waiting(state: &State, task: &Task) -> Option<Waiting> {
    Reasons::of(state).why(task)
}

/// Why the tasks of a state do not run. For many of them this is much cheaper than to ask for each by itself.
pub struct Reasons<'a> {
    state: &'a State,
    /// `None` without a configuration, by which nothing is started.
    round: Option<Round<'a>>,
}

impl<'a> Reasons<'a> {
    /// As the state is.
    pub fn of(state: &'a State) -> Self {
        let round = state.config.as_ref().map(|config| Round::of(state, config));
        Self { state, round }
    }

    /// Why one does not run. `None` when it runs or is over.
    pub fn why(&self, task: &Task) -> Option<Waiting> {
        why(self.state, self.round.as_ref(), task)
    }
}

fn why(state: &State, round: Option<&Round<'_>>, task: &Task) -> Option<Waiting> {
    if task.hold.is_held() && task.run().is_none() && !task.is_over() {
        return Some(Waiting::Held(task.hold.clone()));
    }
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
        Stage::Ready { work, .. } => match (shift_for(state, task.id.issue), round) {
            (Err(why), _) => Some(why),
            (Ok(_), None) => Some(Waiting::NoShift),
            (Ok(_), Some(round)) => match role_of(work, task) {
                Some(role) => refusal(round, role, task, work),
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
                    | Work::Accept(_) => pick_slot(state, &round.slots, task).err(),
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
fn refusal(round: &Round<'_>, role: Role, task: &Task, work: &Work) -> Option<Waiting> {
    let mut why = Waiting::NobodyFor(role);
    for persona in round.config.personas.iter().filter(|p| p.role == role) {
        match offer(round, persona, task, work) {
            Ok(_) => return None,
            // Money is looked at last: this one would have taken it. Another one's reason, e.g. that the conversation
            // is not its own, is not why the task waits.
            Err(refused) if outranks(&refused, &why) => why = refused,
            Err(_) => {}
        }
    }
    Some(why)
}

/// Whether a refusal tells more than the one of another persona: money is looked at last, then accounts, of which the one
/// that opens first counts.
fn outranks(refused: &Waiting, before: &Waiting) -> bool {
    match (refused, before) {
        (_, Waiting::Budget(_)) => false,
        (Waiting::Account { opens, .. }, Waiting::Account { opens: earlier, .. }) => opens < earlier,
        (Waiting::Budget(_), _) => true,
        (_, Waiting::Account { .. }) => false,
        (_, _) => true,
    }
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
        ShiftStage::Running => no_room(state).map_or(Ok(config), |tight| Err(Waiting::Disk(tight.clone()))),
        ShiftStage::Winding(winding) => Err(Waiting::WindingDown(winding)),
        ShiftStage::Ended { .. } => Err(Waiting::NoShift),
    }
}

/// A free slot, best the one with the task's build caches, else one that is nobody else's.
pub(super) fn pick_slot(state: &State, slots: &Slots, task: &Task) -> Result<SlotId, Waiting> {
    if let Some(issue) = holds_back(state, task) {
        return Err(Waiting::Following(issue));
    }
    let free = &slots.free;
    if !is_urgent(state, task.id.issue) && !free.is_empty() && free.len() <= slots.kept {
        return Err(Waiting::Reserved);
    }
    if let Some(last) = task.last_slot
        && free.contains(&last)
    {
        return Ok(last);
    }
    // Its own is not among the free ones any more, so a warm one is another's.
    free.difference(&slots.warm)
        .next()
        .or(free.first())
        .copied()
        .ok_or(Waiting::NoFreeSlot)
}

/// Whether a persona may do a piece of work now, and with what.
fn offer(round: &Round<'_>, persona: &Persona, task: &Task, work: &Work) -> Result<Offer, Waiting> {
    let (state, config) = (round.state, round.config);
    if let Some(other) = overlapping(round, task, work) {
        return Err(Waiting::Overlaps(other));
    }
    if round.is_busy(persona) {
        return Err(Waiting::PersonaBusy(persona.name.clone()));
    }
    let slot = pick_slot(state, &round.slots, task)?;
    let fund = |agent: &AgentName| round.fund(persona, agent, task.id);
    // Another agent may do it where the account of the first has used what it may in a day.
    // One that is closed opens by itself, so where it has what it needs that is what is waited for.
    let closed = |funded: bool| {
        let agents = persona.agents.iter().filter(|a| !funded || fund(a).is_ok());
        gates::closed(state, config, agents)
    };
    let agent = match pick_agent(state, config, persona, task, work, |a| fund(a).is_ok()) {
        Some(agent) => agent,
        None => match closed(true) {
            Some(why) => return Err(why),
            None => pick_agent(state, config, persona, task, work, |_| true)
                .ok_or_else(|| closed(false).unwrap_or(Waiting::AgentsBusy(persona.role)))?,
        },
    };
    let grant = fund(&agent).map_err(Waiting::Budget)?;
    Ok(Offer { slot, agent, grant })
}

/// A task of the same issue in flight that may write the same paths, where a task is about to be begun.
fn overlapping(round: &Round<'_>, task: &Task, work: &Work) -> Option<TaskId> {
    let begins = matches!(
        work,
        Work::Write(WriteJob {
            from: StartFrom::Head,
            ..
        })
    );
    if round.config.policy.overlap == OverlapRule::Start || !begins {
        return None;
    }
    round
        .flying(task.id.issue)
        .filter(|t| t.id != task.id)
        .filter(|t| t.spec.contest.is_none() || t.spec.contest != task.spec.contest)
        .find(|t| globs::overlap(&t.spec.touches, &task.spec.touches))
        .map(|t| t.id)
}

/// What is started next.
struct Start {
    /// The persona's place in the ring.
    place: usize,
    persona: PersonaName,
    task: TaskId,
    work: Work,
    offer: Offer,
}

/// Who starts what next.
fn next_start(state: &State, config: &Config, passed: &BTreeSet<(usize, TaskId)>) -> Option<Start> {
    let offers = Offers::of(state, config)?;
    offers
        .all()
        .filter(|(place, _, task, _)| !passed.contains(&(*place, task.id)))
        .find_map(|(place, persona, task, work)| {
            let offer = offer(&offers.round, persona, task, work).ok()?;
            Some(Start {
                place,
                persona: persona.name.clone(),
                task: task.id,
                work: work.clone(),
                offer,
            })
        })
}

impl Turn<'_> {
    /// Starts whatever can be started. Each start changes what else can be, so it looks again after each.
    pub(super) fn fill(&mut self) {
        while self.start_landing() || self.start_following() || self.start_check() || self.start_persona() {}
    }

    /// Holds back what waits to be landed and may not yet.
    pub(super) fn guard_landings(&mut self) {
        for (id, approved) in to_land(self.state) {
            self.guard_landing(id, &approved);
        }
    }

    fn start_landing(&mut self) -> bool {
        if landing_busy(self.state).is_some() {
            return false;
        }
        let waiting = to_land(self.state);
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
            .filter_map(|(task, work)| Some((task.id, work.clone(), unfunded(self.state, task.id)?)))
            .collect();
        let any = !short.is_empty();
        for (id, work, park) in short {
            self.set_stage(id, Stage::Parked { work, park });
        }
        any
    }

    fn start_check(&mut self) -> bool {
        let waiting: Vec<(TaskId, Work)> =
            ready(self.state, |w, _| matches!(w, Work::Check(_) | Work::Survey))
                .into_iter()
                .map(|(task, work)| (task.id, work.clone()))
                .collect();
        if waiting.is_empty() {
            return false;
        }
        let slots = Slots::of(self.state);
        for (id, work) in waiting {
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
            if let Ok(slot) = pick_slot(self.state, &slots, task) {
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
        // What was tried in this round: what could not be started after all is not tried again.
        let mut passed: BTreeSet<(usize, TaskId)> = BTreeSet::new();
        while let Some(start) = next_start(self.state, &config, &passed) {
            let place = start.place;
            passed.insert((place, start.task));
            let Some(persona) = config.persona(&start.persona) else {
                continue;
            };
            if self
                .start_agent(start.task, start.work, persona, start.offer, &config)
                .is_none()
            {
                continue;
            }
            let turn = self.state.desk.ring.remove(place);
            self.state.desk.ring.push(turn);
            return true;
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
            watch: Watch::from(self.now),
            cut: offer.grant.cut,
            messages: Messages::default(),
        };
        let actor = agent_run.actor();
        let stage = running(work, agent_run)?;
        self.give_remarks(id, &brief.remarks, &actor);
        self.set_stage(id, stage);
        self.account_started(&offer.agent, run.attempt);
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
                notice: config.policy.patience().notice(),
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
