//! Owns a world: fake hands on a virtual clock, with the faults that a plan asks for.

mod agents;
mod checks;
mod following;
mod noise;
mod performing;
mod planner;
mod quiet;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use turno_core::event::Event;
use turno_core::ids::{AgentName, AttemptId, CheckName, CommitId, DecisionId, IssueId, Seq, TaskId, TreeId};
use turno_core::issue::{Issue, IssueStage};
use turno_core::record::Record;
use turno_core::room::Room;
use turno_core::shift::{IssueAtStart, Scope, ShiftEnd, ShiftStage};
use turno_core::state::Entity;
use turno_core::task::{Park, Stage, Task, TaskSpec};
use turno_core::units::{MicroUsd, Span, Spend, Timestamp, Tokens};
use turno_core::{State, next_deadline, step};

use super::accounts::Accounts;
use super::cast::{config, draft, issue_of, spend};
use super::invariants::{self, Hands};
use super::ledger::Ledger;
use super::plan::{Fault, Mode, Plan, Tally};
use super::quiet::Quiet;
use super::reports;
use super::rng::Rng;
use super::witness::Witness;

const LARGEST_MESSAGE: u64 = 60_000;
/// The same in every measure, and one turn for the rounding.
fn largest_message() -> Spend {
    let message = spend(LARGEST_MESSAGE);
    Spend {
        turns: message.turns + 1,
        tokens: Tokens {
            input: message.tokens.input + 1,
            ..message.tokens
        },
        ..message
    }
}
/// Fates that are no attempt's.
const NOBODY: AttemptId = AttemptId(0);

/// One thing that will happen.
#[derive(Debug, Clone)]
enum Fate {
    /// An attempt spends.
    Spend(u64),
    /// An attempt says something while it runs.
    Say(Event),
    /// An attempt ends.
    End(Event),
    /// The hands answer something that is no attempt; lost in a crash.
    Done(Event),
    /// A person does something; a crash does not keep them from it.
    Person(Event),
}

/// Whether anybody carries out what is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coordinator {
    Alive,
    Dead,
}

pub(crate) struct World {
    plan: Plan,
    rng: Rng,
    now: Timestamp,
    first: State,
    state: State,
    journal: Vec<Record>,
    hands: Hands,
    witness: Witness,
    ledger: Ledger,
    quiet: Quiet,
    /// Tasks that are parked because a budget is spent.
    poor: BTreeSet<TaskId>,
    coordinator: Coordinator,
    agents: BTreeSet<AttemptId>,
    /// Agents that wait in a call: how they end once they are told.
    asleep: BTreeMap<AttemptId, Event>,
    fates: BTreeMap<(Timestamp, u64), (AttemptId, Fate)>,
    spent: BTreeMap<AttemptId, u64>,
    counter: u64,
    heads: BTreeMap<IssueId, CommitId>,
    /// Checks that are really red on an issue's branch.
    broken: BTreeMap<IssueId, BTreeSet<CheckName>>,
    judged: BTreeSet<DecisionId>,
    /// Tasks whose words a person changed, with the first attempt that could know the new ones.
    reworded: BTreeMap<TaskId, AttemptId>,
    /// Agents that cannot be started, each until then.
    down: BTreeMap<AgentName, Timestamp>,
    accounts: Accounts,
    old: Vec<Event>,
    shifts: u32,
    tally: Tally,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut world = Self {
            plan: plan.clone(),
            rng: Rng::new(plan.seed ^ 0xABCD),
            // Some worlds see a midnight.
            now: Timestamp(if plan.seed.is_multiple_of(4) {
                86_399_000
            } else {
                1_000_000
            }),
            first: State::default(),
            state: State::default(),
            journal: Vec::new(),
            hands: Hands::default(),
            witness: Witness::default(),
            ledger: Ledger::default(),
            quiet: Quiet::default(),
            poor: BTreeSet::new(),
            reworded: BTreeMap::new(),
            coordinator: Coordinator::Alive,
            agents: BTreeSet::new(),
            asleep: BTreeMap::new(),
            fates: BTreeMap::new(),
            spent: BTreeMap::new(),
            counter: 0,
            heads: BTreeMap::new(),
            broken: BTreeMap::new(),
            judged: BTreeSet::new(),
            down: BTreeMap::new(),
            accounts: Accounts::default(),
            old: Vec::new(),
            shifts: 0,
            tally: Tally::default(),
        };
        world.prepare_split_issue();
        world.first = world.state.clone();
        world
    }

    fn has(&self, fault: Fault) -> bool {
        self.plan.faults.contains(&fault)
    }

    fn strikes(&mut self, fault: Fault, percent: u64) -> bool {
        self.has(fault) && self.rng.chance(percent)
    }

    fn commit(&mut self) -> CommitId {
        self.counter += 1;
        format!("{:040x}", self.counter).parse().unwrap()
    }

    fn tree(&mut self) -> TreeId {
        self.counter += 1;
        // Few trees, so that standstill is seen too.
        let id = if self.rng.chance(15) {
            0xfff
        } else {
            self.counter + 0x1000
        };
        format!("{id:040x}").parse().unwrap()
    }

    /// In half of the single worlds one issue is split already, into a diamond.
    fn prepare_split_issue(&mut self) {
        if self.plan.mode != Mode::Single || self.rng.chance(50) {
            return;
        }
        let id = IssueId(1);
        let base = self.commit();
        self.state.issues.insert(
            id,
            Arc::new(Issue {
                id,
                draft: draft("split"),
                stage: IssueStage::Working {
                    base: base.clone(),
                    head: base.clone(),
                },
                filed: self.now,
                next_task: 5,
                plan: turno_core::issue::PlanLog::default(),
                fork: turno_core::promotion::Fork::default(),
                train: turno_core::train::Train::Open,
                promotion: None,
                following: turno_core::following::Following::of(&self.target(), &base),
                pull: turno_core::pull::Pull::Nothing,
            }),
        );
        self.heads.insert(id, base);
        self.state.desk.next_issue = IssueId(2);
        let needs: [&[u16]; 4] = [&[], &[1], &[1], &[2, 3]];
        for (number, needs) in (1u16..).zip(needs) {
            let task_id = TaskId { issue: id, number };
            let spec = TaskSpec {
                title: format!("part {number}"),
                acceptance: vec!["it works".to_owned()],
                needs: needs
                    .iter()
                    .map(|n| TaskId {
                        issue: id,
                        number: *n,
                    })
                    .collect(),
                ..TaskSpec::default()
            };
            self.state
                .tasks
                .insert(task_id, Arc::new(Task::new(task_id, spec, Stage::Blocked)));
        }
    }

    /// One event, taken in as the engine does it: recorded, then acted upon.
    fn take(&mut self, event: Event) -> Result<(), String> {
        self.tally.count("steps");
        let seq = Seq(self.journal.len() as u64 + 1);
        if let Some(attempt) = event.attempt()
            && matches!(
                event,
                Event::AgentEnded { .. }
                    | Event::ChecksEnded { .. }
                    | Event::LandingEnded { .. }
                    | Event::FollowEnded { .. }
                    | Event::AttemptFailed { .. }
            )
        {
            self.hands.live.remove(&attempt);
            self.asleep.remove(&attempt);
        }
        if let Event::Restarted { adopted, .. } = &event {
            self.hands.live.retain(|attempt, _| adopted.contains(attempt));
            self.asleep.retain(|attempt, _| adopted.contains(attempt));
        }
        self.witness.saw(&self.state, &event);
        self.accounts.saw(&self.state, self.now, &event)?;
        let record = Record::of(&mut self.state, seq, self.now, event.clone());
        let commands = record.commands.clone();
        invariants::check(&self.state, &record, self.plan.slots, LARGEST_MESSAGE)?;
        self.ledger.take(&self.state, &record)?;
        self.ledger.agrees(&self.state)?;
        Ledger::within_limits(&self.state, &record, self.plan.slots, largest_message())?;
        self.quiet.saw(&self.state, self.now, &event);
        self.count_budgets(&record);
        self.journal.push(record);
        self.old.push(event);
        for command in commands {
            self.hands.take(&command)?;
            self.witness.allows(&self.state, self.now, &command)?;
            self.accounts.allows(self.now, &command)?;
            self.quiet.allows(&self.state, self.now, &command)?;
            if self.coordinator == Coordinator::Alive {
                self.perform(&command);
            }
        }
        let waits_for = self.state.attempts();
        if let Some(gone) = waits_for.iter().find(|a| !self.hands.live.contains_key(a)) {
            return Err(format!("{gone} is waited for and nobody is at work on it"));
        }
        self.quiet.forgets_nobody(&self.state, self.now)?;
        self.plans_are_bounded()?;
        self.lands_by_its_words()?;
        self.consider_questions();
        Ok(())
    }

    /// What is landed was written by one who was told the words that the task has.
    fn lands_by_its_words(&self) -> Result<(), String> {
        for (id, since) in &self.reworded {
            if let Stage::Landing { approved, .. } = &self.state.tasks[id].stage
                && approved.proven.change.writer.attempt < *since
            {
                return Err(format!("{id} is landed, and its writer did not know its words"));
            }
        }
        Ok(())
    }

    fn count_budgets(&mut self, record: &Record) {
        for entity in &record.changes {
            let Entity::Task(task) = entity else { continue };
            if let Stage::Parked {
                park: Park::Budget { .. },
                ..
            } = &task.stage
            {
                self.tally.count("parked for a budget");
                self.poor.insert(task.id);
            } else if self.poor.remove(&task.id) && matches!(record.event, Event::BudgetSet { .. }) {
                self.tally.count("went on with a raised budget");
            }
        }
    }

    /// Each plan is asked for by something that is finite: the issue, a round, proposals, parked tasks; and each may
    /// be sent back so often.
    fn plans_are_bounded(&self) -> Result<(), String> {
        let caps = self.state.config.as_ref().unwrap().policy.caps;
        for (id, plans) in &self.witness.plans {
            let issue = &self.state.issues[id];
            let asked =
                1 + usize::from(caps.rounds) + issue.plan.proposals.len() + self.state.pieces_of(*id).count();
            if *plans > asked * (1 + usize::from(caps.repairs)) {
                return Err(format!("issue {id} was planned {plans} times"));
            }
        }
        for task in self.state.tasks.values() {
            if let Stage::Accepted { .. } = task.stage
                && self.witness.accepted_over_findings(task.id.issue)
            {
                return Err(format!("issue {} is accepted over findings", task.id.issue));
            }
        }
        Ok(())
    }

    fn later(&mut self, ms: u64, attempt: AttemptId, fate: Fate) {
        self.counter += 1;
        self.fates
            .insert((self.now + Span(ms), self.counter), (attempt, fate));
    }

    fn start_shift(&mut self) -> Result<(), String> {
        self.shifts += 1;
        let drains = self.plan.mode == Mode::Drain;
        let mut issues = Vec::new();
        for issue in self.state.issues.values().cloned().collect::<Vec<_>>() {
            let over = matches!(issue.stage, IssueStage::Done { .. } | IssueStage::Closed { .. });
            if !drains && !over {
                let base = self.commit();
                issues.push(IssueAtStart {
                    issue: issue.id,
                    base,
                    target: self.target(),
                });
            }
        }
        let scope = if drains {
            Scope::Backlog {
                at_most: self.rng.chance(25).then_some(2),
                until: self.rng.chance(25).then_some(self.now + Span(3000)),
            }
        } else {
            Scope::Listed
        };
        let budget = if self.has(Fault::Spends) {
            MicroUsd(self.rng.between(50_000, 900_000))
        } else {
            MicroUsd(1_000_000_000)
        };
        self.take(Event::ShiftStarted {
            mode: "feature-dev".parse().unwrap(),
            issues,
            budget,
            scope,
        })
    }

    pub(crate) fn run(mut self) -> Result<Tally, String> {
        let config = config(&self.plan, &mut self.rng);
        self.take(Event::ConfigLoaded {
            config: Box::new(config),
        })?;
        while u32::try_from(self.state.issues.len()).unwrap() < self.plan.issues {
            self.file_issue()?;
        }
        if self.plan.mode == Mode::Drain {
            for _ in 0..self.rng.below(3) {
                let known = u32::try_from(self.state.issues.len()).unwrap();
                let draft = issue_of(&self.plan, &mut self.rng, known);
                let at = self.rng.between(10, 1500);
                self.later(at, NOBODY, Fate::Person(Event::IssueAdded { draft }));
            }
        }
        self.start_shift()?;
        for _ in 0..6000 {
            let Some(shift) = self.state.shift() else {
                self.shift_is_over()?;
                if self.shifts >= self.plan.shifts || !self.anything_left() {
                    return self.finish();
                }
                self.people_come_back()?;
                self.tally.count("second shifts");
                self.start_shift()?;
                continue;
            };
            let running = shift.id;
            self.noise()?;
            if self.state.shift().is_none_or(|s| s.id != running) {
                continue;
            }
            self.turn_the_clock()?;
        }
        Err("the shift does not end".to_owned())
    }

    fn file_issue(&mut self) -> Result<(), String> {
        let known = u32::try_from(self.state.issues.len()).unwrap();
        let draft = issue_of(&self.plan, &mut self.rng, known);
        self.take(Event::IssueAdded { draft })
    }

    fn turn_the_clock(&mut self) -> Result<(), String> {
        let fate = self.fates.keys().next().copied();
        match (fate, next_deadline(&self.state)) {
            (Some(key), deadline) if deadline.is_none_or(|d| key.0 <= d) => {
                let (attempt, fate) = self.fates.remove(&key).unwrap();
                self.now = self.now.max(key.0);
                self.happens(attempt, fate)
            }
            (_, Some(deadline)) => {
                self.now = self.now.max(deadline);
                self.take(Event::TimePassed)?;
                if next_deadline(&self.state).is_some_and(|d| d <= self.now) {
                    return Err("a deadline that has passed is still the next one".to_owned());
                }
                Ok(())
            }
            (_, None) => Err(format!("nothing will ever happen: {:?}", self.state.tasks)),
        }
    }

    fn happens(&mut self, attempt: AttemptId, fate: Fate) -> Result<(), String> {
        match fate {
            Fate::Spend(cost) => {
                let sum = self.spent.entry(attempt).or_default();
                *sum += cost;
                let spend = spend(*sum);
                self.take(Event::Metered { attempt, spend })
            }
            Fate::End(event) => {
                let event = self.with_spend(event);
                self.fates.retain(|_, (a, _)| *a != attempt);
                self.take(event)
            }
            Fate::Person(event) => {
                let joins = matches!(event, Event::IssueAdded { .. });
                let before = self.state.shift().map_or(0, |s| s.issues.len());
                self.take(event)?;
                let after = self.state.shift().map_or(0, |s| s.issues.len());
                if joins && after > before {
                    self.tally.count("joined at once");
                }
                Ok(())
            }
            Fate::Say(event) | Fate::Done(event) => self.take(event),
        }
    }

    fn anything_left(&self) -> bool {
        self.state.issues.values().any(|i| {
            matches!(
                i.stage,
                IssueStage::Backlog | IssueStage::Opening { .. } | IssueStage::Working { .. }
            )
        })
    }

    fn shift_is_over(&mut self) -> Result<(), String> {
        if !self.hands.live.is_empty() {
            return Err(format!("the shift is over and {:?} still run", self.hands.live));
        }
        if self.state.free_slots().len() != usize::from(self.plan.slots) {
            return Err("the shift is over and a slot is leased".to_owned());
        }
        let end = self.state.shifts.values().next_back().map(|s| s.stage.clone());
        let Some(ShiftStage::Ended { end, .. }) = end else {
            return Err("no end".to_owned());
        };
        invariants::at_the_end(&self.state, end)?;
        if self.state.desk.room != Room::Enough && end == ShiftEnd::NeedsPerson {
            self.tally.count("ended without room");
        }
        self.tally.count(match end {
            ShiftEnd::Done => "ends: done",
            ShiftEnd::NeedsPerson => "ends: person",
            ShiftEnd::Budget => "ends: budget",
            ShiftEnd::TimeUp => "ends: time",
            ShiftEnd::Interrupted => "ends: interrupted",
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Tally, String> {
        for issue in self.state.issues.values() {
            self.tally.count("issues");
            if matches!(issue.stage, IssueStage::Review { .. } | IssueStage::Closed { .. }) {
                self.tally.count("issues done");
            }
            self.tally.add_to("proposals", issue.plan.proposals.len() as u64);
            self.tally.add_to("flaky", issue.plan.flaky.len() as u64);
        }
        for task in self.state.tasks.values() {
            let returns = task.tries.values().copied().map(u64::from).sum::<u64>();
            self.tally.add_to("returns", returns);
            if task.id.is_lead() {
                continue;
            }
            self.tally.count("tasks");
            match &task.stage {
                Stage::Landed { .. } => {
                    self.tally.count("landed");
                    if task.spec.contest.is_some() {
                        self.tally.count("contests won");
                    }
                }
                Stage::Parked { park, .. } => {
                    self.tally.count("parked");
                    match park {
                        Park::Account { .. } => self.tally.count("parked for an account"),
                        Park::Ceiling { .. } => self.tally.count("parked at the ceiling"),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        for (what, many) in self.accounts.tally() {
            self.tally.add_to(what, many);
        }
        self.audit()?;
        if self.plan.seed.is_multiple_of(4) {
            reports::reports_add_up(&self.journal, &self.state)?;
        }
        Ok(self.tally)
    }

    /// The same events give the same state and the same commands, and the state survives being written down.
    fn audit(&self) -> Result<(), String> {
        let mut replayed = self.first.clone();
        for record in &self.journal {
            let commands = step(&mut replayed, record.at, &record.event);
            if commands != record.commands {
                return Err(format!("replay of record {} decides differently", record.seq));
            }
        }
        if replayed != self.state {
            return Err("replay gives another state".to_owned());
        }
        if self.plan.seed.is_multiple_of(8) {
            let text = serde_json::to_string(&self.state).map_err(|e| e.to_string())?;
            let read: State = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            if read != self.state {
                return Err("the state is another once it was written down and read".to_owned());
            }
        }
        Ok(())
    }

    fn with_spend(&self, event: Event) -> Event {
        match event {
            Event::AgentEnded {
                attempt,
                end,
                left,
                transcript,
                ..
            } => {
                let spend = spend(self.spent.get(&attempt).copied().unwrap_or(0));
                Event::AgentEnded {
                    attempt,
                    end,
                    spend,
                    left,
                    transcript,
                }
            }
            other => other,
        }
    }
}
