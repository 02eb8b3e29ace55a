//! Owns a world: fake hands on a virtual clock, with the faults that a plan asks for.

mod performing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use turno_core::check::ReportVerdict;
use turno_core::event::{AgentEnd, Discard, Event, LeftBehind, LostAttempt, StopHow};
use turno_core::ids::{AttemptId, CommitId, IssueId, Seq, TaskId, TreeId};
use turno_core::issue::{Issue, IssueStage};
use turno_core::outcome::{Outcome, Verdict};
use turno_core::record::Record;
use turno_core::shift::{IssueAtStart, ShiftEnd, ShiftStage};
use turno_core::task::{Stage, Task, TaskSpec, WriterSession};
use turno_core::units::{MicroUsd, Span, Timestamp};
use turno_core::{State, next_deadline, step};

use super::cast::{config, draft, spend};
use super::invariants::{self, Hands};
use super::plan::{Fault, Plan, Tally};
use super::rng::Rng;

const LARGEST_MESSAGE: u64 = 60_000;

/// One thing that will happen to a live attempt.
#[derive(Debug, Clone)]
enum Fate {
    Spend(u64),
    End(Event),
}

pub(crate) struct World {
    plan: Plan,
    rng: Rng,
    now: Timestamp,
    first: State,
    state: State,
    journal: Vec<Record>,
    hands: Hands,
    agents: BTreeSet<AttemptId>,
    fates: BTreeMap<(Timestamp, u64), (AttemptId, Fate)>,
    spent: BTreeMap<AttemptId, u64>,
    counter: u64,
    heads: BTreeMap<IssueId, CommitId>,
    green: BTreeSet<TreeId>,
    approvals: BTreeSet<(AttemptId, CommitId)>,
    old: Vec<Event>,
    tally: Tally,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut world = Self {
            plan: plan.clone(),
            rng: Rng::new(plan.seed ^ 0xABCD),
            now: Timestamp(1_000_000),
            first: State::default(),
            state: State::default(),
            journal: Vec::new(),
            hands: Hands::default(),
            agents: BTreeSet::new(),
            fates: BTreeMap::new(),
            spent: BTreeMap::new(),
            counter: 0,
            heads: BTreeMap::new(),
            green: BTreeSet::new(),
            approvals: BTreeSet::new(),
            old: Vec::new(),
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

    /// In half of the worlds one issue is split already, into a diamond.
    fn prepare_split_issue(&mut self) {
        if self.rng.chance(50) {
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
            }),
        );
        self.heads.insert(id, base);
        self.state.desk.next_issue = IssueId(2);
        let needs: [&[u16]; 4] = [&[], &[1], &[1], &[2, 3]];
        for (number, needs) in (1u16..).zip(needs) {
            let task_id = TaskId { issue: id, number };
            let spec = TaskSpec {
                title: format!("part {number}"),
                brief: String::new(),
                acceptance: vec!["it works".to_owned()],
                needs: needs
                    .iter()
                    .map(|n| TaskId {
                        issue: id,
                        number: *n,
                    })
                    .collect(),
                touches: Vec::new(),
            };
            self.state.tasks.insert(
                task_id,
                Arc::new(Task {
                    id: task_id,
                    spec,
                    stage: Stage::Blocked,
                    tries: BTreeMap::new(),
                    attempts: BTreeMap::new(),
                    spent: MicroUsd::ZERO,
                    session: WriterSession::Fresh,
                    earlier_findings: Vec::new(),
                    progress: Vec::new(),
                    last_slot: None,
                }),
            );
        }
    }

    /// One event, taken in as the engine does it: recorded, then acted upon.
    fn take(&mut self, event: Event) -> Result<(), String> {
        self.tally.steps += 1;
        let seq = Seq(self.journal.len() as u64 + 1);
        if let Some(attempt) = event.attempt()
            && matches!(
                event,
                Event::AgentEnded { .. }
                    | Event::ChecksEnded { .. }
                    | Event::LandingEnded { .. }
                    | Event::AttemptFailed { .. }
            )
        {
            self.hands.live.remove(&attempt);
        }
        if matches!(event, Event::Restarted { .. }) {
            self.hands.live.clear();
        }
        self.witness(&event)?;
        let record = Record::of(&mut self.state, seq, self.now, event.clone());
        let commands = record.commands.clone();
        invariants::check(&self.state, &record, self.plan.slots, LARGEST_MESSAGE)?;
        self.journal.push(record);
        self.old.push(event);
        for command in commands {
            self.hands.take(&command)?;
            self.perform(&command)?;
        }
        Ok(())
    }

    /// What the world knows to be true, whatever the state says.
    fn witness(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::ChecksEnded { report, .. } if report.verdict() == ReportVerdict::Green => {
                self.green.insert(report.tree.clone());
            }
            Event::AgentEnded {
                attempt,
                end:
                    AgentEnd::Finished(Outcome::Verdict {
                        verdict: Verdict::Approve { .. },
                        ..
                    }),
                left: LeftBehind::Nothing,
                ..
            } => {
                if let Some(task) = self
                    .state
                    .task_of(*attempt)
                    .and_then(|t| self.state.tasks.get(&t))
                    && let Stage::Reviewing { proven, .. } = &task.stage
                {
                    self.approvals.insert((*attempt, proven.change.commit.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn later(&mut self, ms: u64, attempt: AttemptId, fate: Fate) {
        self.counter += 1;
        self.fates
            .insert((self.now + Span(ms), self.counter), (attempt, fate));
    }

    /// The coordinator dies and begins again: state from the journal alone.
    fn crash(&mut self) -> Result<(), String> {
        self.tally.restarts += 1;
        let mut redone = self.first.clone();
        for record in &self.journal {
            record.redo(&mut redone);
        }
        if redone != self.state {
            return Err("the journal does not give the state".to_owned());
        }
        self.state = redone;
        let mut lost = Vec::new();
        for attempt in self.hands.live.keys().copied().collect::<Vec<_>>() {
            if self.rng.chance(70) {
                let cost = self.spent.get(&attempt).copied().unwrap_or(0);
                let left = if self.rng.chance(50) {
                    LeftBehind::Nothing
                } else {
                    LeftBehind::Commit {
                        commit: self.commit(),
                        tree: self.tree(),
                    }
                };
                lost.push(LostAttempt {
                    attempt,
                    spend: spend(cost),
                    left,
                });
            }
        }
        self.fates.clear();
        self.take(Event::Restarted { lost })
    }

    fn noise(&mut self) -> Result<(), String> {
        if self.strikes(Fault::Stale, 10) && !self.old.is_empty() {
            let index = usize::try_from(self.rng.below(self.old.len() as u64)).unwrap();
            let old = self.old[index].clone();
            // An ending that was delivered once may come again; a fact about a live attempt may not be invented.
            let settled = old.attempt().is_some_and(|a| !self.hands.live.contains_key(&a));
            if settled {
                self.take(old)?;
            }
        }
        if self.strikes(Fault::Stale, 3) {
            let attempt = AttemptId(self.rng.below(1_000_000) + 500_000);
            self.take(Event::Metered {
                attempt,
                spend: spend(1_000_000_000),
            })?;
        }
        if self.strikes(Fault::Crashes, 3) {
            self.crash()?;
        }
        if self.strikes(Fault::Stops, 1) {
            let how = if self.rng.chance(50) {
                StopHow::Drain
            } else {
                StopHow::Now
            };
            self.take(Event::StopAsked { how })?;
        }
        if self.strikes(Fault::Discards, 1) {
            let ids: Vec<_> = self.state.tasks.keys().copied().collect();
            if let Some(id) = ids.get(usize::try_from(self.rng.below(ids.len() as u64)).unwrap()) {
                let whole = self.rng.chance(30);
                let what = if whole {
                    Discard::Issue(id.issue)
                } else {
                    Discard::Task(*id)
                };
                self.take(Event::Discarded { what })?;
            }
        }
        Ok(())
    }

    pub(crate) fn run(mut self) -> Result<Tally, String> {
        let config = config(self.plan.slots);
        self.take(Event::ConfigLoaded {
            config: Box::new(config),
        })?;
        let mut issues = Vec::new();
        while u32::try_from(self.state.issues.len()).unwrap() < self.plan.issues {
            self.take(Event::IssueAdded { draft: draft("work") })?;
        }
        for issue in self.state.issues.keys().copied().collect::<Vec<_>>() {
            let base = self.commit();
            issues.push(IssueAtStart { issue, base });
        }
        let budget = if self.has(Fault::Spends) {
            MicroUsd(self.rng.between(50_000, 900_000))
        } else {
            MicroUsd(1_000_000_000)
        };
        self.take(Event::ShiftStarted {
            mode: "feature-dev".parse().unwrap(),
            issues,
            budget,
        })?;
        for _ in 0..5000 {
            let Some(shift) = self.state.shift() else {
                return self.finish();
            };
            let running = shift.id;
            self.noise()?;
            if self.state.shift().is_none_or(|s| s.id != running) {
                continue;
            }
            let fate = self.fates.keys().next().copied();
            let deadline = next_deadline(&self.state);
            match (fate, deadline) {
                (Some(key), deadline) if deadline.is_none_or(|d| key.0 <= d) => {
                    let (attempt, fate) = self.fates.remove(&key).unwrap();
                    self.now = self.now.max(key.0);
                    match fate {
                        Fate::Spend(cost) => {
                            let sum = self.spent.entry(attempt).or_default();
                            *sum += cost;
                            let spend = spend(*sum);
                            self.take(Event::Metered { attempt, spend })?;
                        }
                        Fate::End(event) => {
                            let event = self.with_spend(event);
                            self.fates.retain(|_, (a, _)| *a != attempt);
                            self.take(event)?;
                        }
                    }
                }
                (_, Some(deadline)) => {
                    self.now = self.now.max(deadline);
                    self.take(Event::TimePassed)?;
                    if next_deadline(&self.state).is_some_and(|d| d <= self.now) {
                        return Err("a deadline that has passed is still the next one".to_owned());
                    }
                }
                (_, None) => return Err(format!("nothing will ever happen: {:?}", self.state.tasks)),
            }
        }
        Err("the shift does not end".to_owned())
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

    fn finish(mut self) -> Result<Tally, String> {
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
        for task in self.state.tasks.values() {
            self.tally.tasks += 1;
            self.tally.returns += u64::from(task.tries.values().copied().map(u32::from).sum::<u32>());
            match &task.stage {
                Stage::Landed { .. } => self.tally.landed += 1,
                Stage::Parked { .. } => self.tally.parked += 1,
                Stage::Dropped { .. } | Stage::Blocked => {}
                Stage::Ready { .. } | Stage::Backoff { .. } => {
                    if !matches!(end, ShiftEnd::Budget | ShiftEnd::Interrupted) {
                        return Err(format!(
                            "the shift ended as {end:?} with work left: {:?}",
                            task.stage
                        ));
                    }
                }
                other => return Err(format!("the shift is over with a task in {other:?}")),
            }
        }
        match end {
            ShiftEnd::Budget => self.tally.budget_ends += 1,
            ShiftEnd::Interrupted => self.tally.interrupted += 1,
            ShiftEnd::Done => {
                let open =
                    |i: &Arc<Issue>| matches!(i.stage, IssueStage::Backlog | IssueStage::Working { .. });
                if self.state.issues.values().any(open) {
                    return Err("done, but an issue is not".to_owned());
                }
            }
            ShiftEnd::NeedsPerson => {}
        }
        self.audit()?;
        Ok(self.tally)
    }

    /// The same events give the same state and the same commands.
    fn audit(&self) -> Result<(), String> {
        let mut replayed = self.first.clone();
        for record in &self.journal {
            let commands = step(&mut replayed, record.at, &record.event);
            if commands != record.commands {
                return Err(format!("replay of record {} decides differently", record.seq));
            }
        }
        if replayed == self.state {
            Ok(())
        } else {
            Err("replay gives another state".to_owned())
        }
    }
}
