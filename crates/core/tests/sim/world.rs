//! Owns a world: fake hands on a virtual clock, with the faults that a plan asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict, LogRef, ReportVerdict};
use turno_core::command::Command;
use turno_core::config::{AgentLimits, Config};
use turno_core::event::{AgentEnd, Discard, Event, LandingEnd, LeftBehind, LostAttempt, StopHow};
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::ids::{AttemptId, CommitId, IssueId, Seq, TaskId, TreeId};
use turno_core::issue::{Issue, IssueDraft, IssueStage, Priority};
use turno_core::outcome::{Finding, Outcome, Severity, Verdict};
use turno_core::persona::{Access, Effort, Model, Persona, Role, Tools};
use turno_core::policy::{Policy, ReviewRule, TryRow, UncheckedRule};
use turno_core::record::Record;
use turno_core::shift::{IssueAtStart, ShiftEnd, ShiftStage};
use turno_core::task::{Consent, Proof, Stage, StopWhy, Task, TaskSpec, WriterSession};
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Timestamp, Tokens};
use turno_core::{State, next_deadline, step};

use super::invariants::{self, Hands};
use super::rng::Rng;

const LARGEST_MESSAGE: u64 = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    AgentFails,
    AgentHangs,
    NoOutcome,
    NoChange,
    ReaderWrites,
    RedChecks,
    CannotCheck,
    Findings,
    Conflicts,
    Races,
    NotGreen,
    Spends,
    Crashes,
    Stale,
    Stops,
    Discards,
    CommandFails,
    IgnoresStop,
}

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
        Self::AgentFails,
        Self::AgentHangs,
        Self::NoOutcome,
        Self::NoChange,
        Self::ReaderWrites,
        Self::RedChecks,
        Self::CannotCheck,
        Self::Findings,
        Self::Conflicts,
        Self::Races,
        Self::NotGreen,
        Self::Spends,
        Self::Crashes,
        Self::Stale,
        Self::Stops,
        Self::Discards,
        Self::CommandFails,
        Self::IgnoresStop,
    ];
}

/// Everything a world is made from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) slots: u16,
    pub(crate) issues: u32,
    pub(crate) faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let slots = u16::try_from(rng.between(1, 4)).unwrap();
        let issues = u32::try_from(rng.between(1, 4)).unwrap();
        let faults = Fault::ALL.into_iter().filter(|_| rng.chance(40)).collect();
        Self {
            seed,
            slots,
            issues,
            faults,
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) tasks: u64,
    pub(crate) landed: u64,
    pub(crate) parked: u64,
    pub(crate) returns: u64,
    pub(crate) restarts: u64,
    pub(crate) budget_ends: u64,
    pub(crate) interrupted: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, o: &Self) {
        self.steps += o.steps;
        self.tasks += o.tasks;
        self.landed += o.landed;
        self.parked += o.parked;
        self.returns += o.returns;
        self.restarts += o.restarts;
        self.budget_ends += o.budget_ends;
        self.interrupted += o.interrupted;
    }
}

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

    fn perform(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::StartAgent(start) => {
                self.agents.insert(start.attempt);
                if self.strikes(Fault::CommandFails, 10) {
                    let failure = Failure::new(Cause::Workspace, "no room");
                    self.later(
                        5,
                        start.attempt,
                        Fate::End(Event::AttemptFailed {
                            attempt: start.attempt,
                            failure,
                        }),
                    );
                    return Ok(());
                }
                let mut at = 10;
                let messages = self.rng.between(1, 4);
                let most = if self.has(Fault::Spends) {
                    LARGEST_MESSAGE
                } else {
                    2000
                };
                for _ in 0..messages {
                    let cost = self.rng.below(most);
                    self.later(at, start.attempt, Fate::Spend(cost));
                    at += self.rng.between(1, 500);
                }
                if self.strikes(Fault::AgentHangs, 15) {
                    return Ok(());
                }
                let (end, left) = self.agent_end(start.brief.ask.clone(), &start.from);
                let event = Event::AgentEnded {
                    attempt: start.attempt,
                    end,
                    spend: Spend::NOTHING,
                    left,
                    transcript: log(),
                };
                self.later(at + 1, start.attempt, Fate::End(event));
            }
            Command::RunChecks(start) => {
                let tree = self.tree_at(start.attempt);
                let report = self.report(&start.commit, &tree, &start.checks);
                self.later(
                    50,
                    start.attempt,
                    Fate::End(Event::ChecksEnded {
                        attempt: start.attempt,
                        report,
                    }),
                );
            }
            Command::Land(start) => {
                let change = &start.approved.proven.change;
                let Proof::Checked(report) = &start.approved.proven.proof else {
                    return Err("a change without a check run is landed".to_owned());
                };
                if report.tree != change.tree || !self.green.contains(&change.tree) {
                    return Err(format!(
                        "{} is landed without a green run of its tree",
                        change.commit
                    ));
                }
                let Consent::Approved { by, .. } = &start.approved.consent else {
                    return Err("a change without a review is landed".to_owned());
                };
                if !self.approvals.contains(&(by.attempt, change.commit.clone())) {
                    return Err(format!(
                        "{} is landed without an approval of that commit",
                        change.commit
                    ));
                }
                if by.attempt == change.writer.attempt || by.persona == change.writer.persona {
                    return Err("the writer approved its own change".to_owned());
                }
                let issue = start.task.issue;
                let head = self
                    .heads
                    .get(&issue)
                    .cloned()
                    .unwrap_or_else(|| start.base.clone());
                let end = if self.strikes(Fault::Conflicts, 20) {
                    LandingEnd::Conflict {
                        hunks: Vec::new(),
                        head,
                    }
                } else if self.strikes(Fault::Races, 20) {
                    let head = self.commit();
                    self.heads.insert(issue, head.clone());
                    LandingEnd::Raced { head }
                } else if self.strikes(Fault::NotGreen, 20) {
                    let rebased = self.commit();
                    let tree = self.tree();
                    let report = self.red(&rebased, &tree, &start.checks);
                    LandingEnd::NotGreen {
                        rebased,
                        head,
                        report,
                    }
                } else {
                    let commit = self.commit();
                    self.heads.insert(issue, commit.clone());
                    LandingEnd::Landed { commit }
                };
                self.later(
                    80,
                    start.attempt,
                    Fate::End(Event::LandingEnded {
                        attempt: start.attempt,
                        end,
                    }),
                );
            }
            Command::StopAttempt { attempt, why } => {
                // A stop for money is a kill; any other begins with a request, which may be ignored for a while.
                let at_once = matches!(why, StopWhy::ShiftBudget | StopWhy::AttemptBudget);
                if !at_once && self.strikes(Fault::IgnoresStop, 30) {
                    // It takes the whole ladder: one more message may come in, and the agent may even finish.
                    let mut messages = 0;
                    self.fates.retain(|_, (a, fate)| {
                        messages += u64::from(a == attempt && matches!(fate, Fate::Spend(_)));
                        a != attempt || matches!(fate, Fate::End(_)) || messages <= 1
                    });
                    self.later(8000, *attempt, Fate::End(self.stopped(*attempt)));
                    return Ok(());
                }
                self.fates.retain(|_, (a, _)| a != attempt);
                self.later(3, *attempt, Fate::End(self.stopped(*attempt)));
            }
            Command::EndShift { .. } => {}
        }
        Ok(())
    }

    fn stopped(&self, attempt: AttemptId) -> Event {
        let failure = Failure::new(Cause::Stopped, "killed");
        if self.agents.contains(&attempt) {
            let (end, left) = (AgentEnd::Failed(failure), LeftBehind::Nothing);
            Event::AgentEnded {
                attempt,
                end,
                spend: Spend::NOTHING,
                left,
                transcript: log(),
            }
        } else {
            Event::AttemptFailed { attempt, failure }
        }
    }

    fn tree_at(&mut self, attempt: AttemptId) -> TreeId {
        let task = self.state.task_of(attempt).and_then(|t| self.state.tasks.get(&t));
        match task.map(|t| &t.stage) {
            Some(Stage::Checking { change, .. }) => change.tree.clone(),
            _ => self.tree(),
        }
    }

    fn agent_end(&mut self, ask: turno_core::brief::Ask, from: &CommitId) -> (AgentEnd, LeftBehind) {
        use turno_core::brief::Ask;
        let reading = matches!(ask, Ask::Review { .. });
        let left = if reading {
            if self.strikes(Fault::ReaderWrites, 10) {
                LeftBehind::Commit {
                    commit: self.commit(),
                    tree: self.tree(),
                }
            } else {
                LeftBehind::Nothing
            }
        } else if self.strikes(Fault::NoChange, 10) {
            LeftBehind::Nothing
        } else {
            LeftBehind::Commit {
                commit: self.commit(),
                tree: self.tree(),
            }
        };
        if self.strikes(Fault::AgentFails, 15) {
            let causes = [Cause::Agent, Cause::Provider, Cause::Quota, Cause::SignIn];
            let cause = causes[usize::try_from(self.rng.below(4)).unwrap()];
            let mut failure = Failure::new(cause, "it failed");
            if cause == Cause::Quota {
                failure.retry_after = RetryAfter::At(self.now + Span(5000));
            }
            return (AgentEnd::Failed(failure), left);
        }
        if self.strikes(Fault::NoOutcome, 10) {
            return (AgentEnd::Finished(Outcome::Plan { tasks: Vec::new() }), left);
        }
        let outcome = if !reading {
            Outcome::Change {
                summary: "did it".to_owned(),
                evidence: Vec::new(),
                open_questions: Vec::new(),
            }
        } else if self.strikes(Fault::Findings, 30) {
            let finding = Finding {
                file: "a.rs".to_owned(),
                line: 1,
                severity: Severity::Major,
                what: format!("wrong in {}", from.short()),
                how_to_see: String::new(),
            };
            // An empty list of findings is no verdict at all.
            let findings = if self.rng.chance(10) {
                Vec::new()
            } else {
                vec![finding]
            };
            Outcome::Verdict {
                verdict: Verdict::Findings { findings },
                read: Vec::new(),
            }
        } else {
            Outcome::Verdict {
                verdict: Verdict::Approve { notes: Vec::new() },
                read: Vec::new(),
            }
        };
        (AgentEnd::Finished(outcome), left)
    }

    fn report(&mut self, commit: &CommitId, tree: &TreeId, checks: &[Check]) -> CheckReport {
        if self.strikes(Fault::RedChecks, 30) {
            return self.red(commit, tree, checks);
        }
        let broken = self.strikes(Fault::CannotCheck, 10);
        let results = checks
            .iter()
            .map(|check| CheckResult {
                check: check.name.clone(),
                verdict: if broken {
                    CheckVerdict::CouldNotRun {
                        why: "gone".to_owned(),
                    }
                } else {
                    CheckVerdict::Pass
                },
                took: Span(1),
                log: log(),
            })
            .collect();
        // Sometimes of another tree: such a report is worth nothing.
        let tree = if self.strikes(Fault::CannotCheck, 5) {
            self.tree()
        } else {
            tree.clone()
        };
        CheckReport {
            commit: commit.clone(),
            tree,
            results,
        }
    }

    fn red(&mut self, commit: &CommitId, tree: &TreeId, checks: &[Check]) -> CheckReport {
        let results = checks
            .iter()
            .map(|check| CheckResult {
                check: check.name.clone(),
                verdict: CheckVerdict::Fail {
                    extract: "assertion failed".to_owned(),
                },
                took: Span(1),
                log: log(),
            })
            .collect();
        CheckReport {
            commit: commit.clone(),
            tree: tree.clone(),
            results,
        }
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
                self.take(Event::Discarded {
                    what: Discard::Task(*id),
                })?;
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

fn spend(micros: u64) -> Spend {
    Spend {
        cost: MicroUsd(micros),
        basis: CostBasis::Estimated,
        tokens: Tokens::default(),
    }
}

fn log() -> LogRef {
    LogRef {
        path: "attempts/1/out".to_owned(),
        bytes: 0,
    }
}

fn draft(title: &str) -> IssueDraft {
    IssueDraft {
        title: title.to_owned(),
        body: "do it".to_owned(),
        acceptance: Vec::new(),
        priority: Priority::Normal,
        labels: Vec::new(),
    }
}

fn persona(name: &str, role: Role, agents: &[&str]) -> Persona {
    Persona {
        name: name.parse().unwrap(),
        description: String::new(),
        role,
        agents: agents.iter().map(|a| a.parse().unwrap()).collect(),
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: if role == Role::Reviewer {
            Access::Read
        } else {
            Access::Write
        },
        tools: Tools::ByAccess,
        budget: MicroUsd(200_000),
        wall_clock: Span(10_000),
        prompt: String::new(),
    }
}

fn config(slots: u16) -> Config {
    let row = |tries, wait| TryRow {
        tries,
        wait: Span(wait),
    };
    let rows = Cause::ALL
        .into_iter()
        .map(|cause| match cause {
            Cause::SignIn => (cause, row(0, 0)),
            Cause::Provider | Cause::Quota => (cause, row(4, 100)),
            Cause::Lost => (cause, row(20, 0)),
            _ => (cause, row(3, 10)),
        })
        .collect();
    Config {
        policy: Policy {
            name: "feature-dev".parse().unwrap(),
            description: String::new(),
            review: ReviewRule::Required,
            unchecked: UncheckedRule::Refuse,
            check_reruns: 1,
            silence: Span(5000),
            least_start: MicroUsd(20_000),
            longest_wait: Span(2000),
            rows,
        },
        personas: vec![
            persona("engineer", Role::Engineer, &["claude", "codex"]),
            persona("second", Role::Engineer, &["codex"]),
            persona("reviewer", Role::Reviewer, &["codex", "claude"]),
        ],
        agents: [("claude", 2), ("codex", 3)]
            .into_iter()
            .map(|(n, at_once)| (n.parse().unwrap(), AgentLimits { at_once }))
            .collect(),
        checks: vec![Check {
            name: "test".parse().unwrap(),
            command: "make test".to_owned(),
            timeout: Span(1000),
        }],
        slots,
    }
}
