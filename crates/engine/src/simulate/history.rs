//! Owns what finished shifts show: it reads the journal's records and turns them into habits. Where little was seen the
//! assumptions hold, the more so the less was seen; what was seen is told, so that nobody takes a guess for knowledge.

mod learning;

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::brief::Ask;
use turno_core::check::CheckVerdict;
use turno_core::command::{AgentStart, Command, LandStart};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, OthersEnd};
use turno_core::failure::Cause;
use turno_core::ids::{AgentName, AttemptId, CheckName, IssueId, PersonaName, ShiftId};
use turno_core::outcome::{Outcome, Verdict};
use turno_core::persona::Role;
use turno_core::record::Record;
use turno_core::shift::ShiftStage;
use turno_core::state::Entity;
use turno_core::task::PlanBecause;
use turno_core::units::{Spend, Timestamp};

use super::model::Model;

/// How much is known of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Of what.
    pub of: String,
    /// How often it was seen.
    pub seen: usize,
}

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The assumptions, with what was seen in place of them.
    pub model: Model,
    /// From how many finished shifts.
    pub shifts: usize,
    /// How often each thing was seen.
    pub evidence: Vec<Evidence>,
}

/// Something that was started.
#[derive(Debug)]
enum Started {
    Agent(Box<AgentStart>),
    Checks,
    Land(Box<LandStart>),
    Adopted,
}

/// What was seen of one agent in one role.
#[derive(Debug, Default)]
struct Seen {
    takes: Vec<f64>,
    costs: Vec<f64>,
    tokens: Vec<f64>,
    turns: Vec<f64>,
    ended: usize,
    failed: BTreeMap<Cause, usize>,
    asked: usize,
    judged: usize,
    sent_back: usize,
}

/// What was seen of one check.
#[derive(Debug, Default)]
struct SeenCheck {
    takes: Vec<f64>,
    ran: usize,
    red: usize,
}

/// What was seen in one shift, or in several.
#[derive(Debug, Default)]
struct Sums {
    agents: BTreeMap<(PersonaName, AgentName), Seen>,
    checks: BTreeMap<CheckName, SeenCheck>,
    opens: Vec<f64>,
    landings: Vec<f64>,
    moved: usize,
    conflicts: usize,
    red_together: usize,
    plans: Vec<u16>,
}

impl Sums {
    fn add(&mut self, other: Self) {
        for (who, seen) in other.agents {
            let all = self.agents.entry(who).or_default();
            all.takes.extend(seen.takes);
            all.costs.extend(seen.costs);
            all.tokens.extend(seen.tokens);
            all.turns.extend(seen.turns);
            all.ended += seen.ended;
            for (cause, count) in seen.failed {
                *all.failed.entry(cause).or_default() += count;
            }
            all.asked += seen.asked;
            all.judged += seen.judged;
            all.sent_back += seen.sent_back;
        }
        for (name, seen) in other.checks {
            let all = self.checks.entry(name).or_default();
            all.takes.extend(seen.takes);
            all.ran += seen.ran;
            all.red += seen.red;
        }
        self.opens.extend(other.opens);
        self.landings.extend(other.landings);
        self.moved += other.moved;
        self.conflicts += other.conflicts;
        self.red_together += other.red_together;
        self.plans.extend(other.plans);
    }
}

/// Learns from finished shifts: it is shown the records of a journal one by one, in order, and keeps only what they come
/// to.
#[derive(Debug, Default)]
pub struct Learner {
    only: Option<ShiftId>,
    all: Sums,
    shifts: usize,
    /// What the shift has shown that is not over.
    now: Sums,
    running: BTreeMap<AttemptId, (Timestamp, Started)>,
    opening: BTreeMap<IssueId, Timestamp>,
}

impl Learner {
    /// Learns from every finished shift, or from one.
    pub fn of(only: Option<ShiftId>) -> Self {
        Self {
            only,
            ..Self::default()
        }
    }

    /// Takes the next record in.
    pub fn take(&mut self, record: &Record) {
        if let Event::ShiftStarted { .. } = record.event {
            self.now = Sums::default();
        }
        if let Event::IssueOpened { issue, .. } = &record.event
            && let Some(since) = self.opening.remove(issue)
        {
            self.now.opens.push(record.at.since(since).0 as f64);
        }
        if let Some(attempt) = record.event.attempt()
            && let Some((since, started)) = self.running.get(&attempt)
            && ends(&mut self.now, &record.event, *since, record.at, started)
        {
            self.running.remove(&attempt);
        }
        for command in &record.commands {
            self.begins(command, record.at);
        }
        for change in &record.changes {
            if let Entity::Shift(shift) = change
                && let ShiftStage::Ended { .. } = shift.stage
            {
                let seen = std::mem::take(&mut self.now);
                if self.only.is_none_or(|id| id == shift.id) {
                    self.all.add(seen);
                    self.shifts += 1;
                }
            }
        }
    }

    fn begins(&mut self, command: &Command, at: Timestamp) {
        match command {
            Command::OpenIssue { issue, .. } => {
                self.opening.insert(*issue, at);
            }
            Command::StartAgent(start) => {
                self.running
                    .insert(start.attempt, (at, Started::Agent(start.clone())));
            }
            Command::RunChecks(start) => {
                self.running.insert(start.attempt, (at, Started::Checks));
            }
            Command::Land(start) => {
                self.running
                    .insert(start.attempt, (at, Started::Land(start.clone())));
            }
            // A coordinator that began again: how long its attempts took is not how long they take.
            Command::Adopt { attempt, .. } => {
                self.running.insert(*attempt, (at, Started::Adopted));
            }
            // A simulated night has nobody who moves the user's branches.
            Command::Follow(_)
            | Command::Foresee { .. }
            | Command::WarnOfBudget { .. }
            | Command::StopAttempt { .. }
            | Command::Reply { .. }
            | Command::Nudge { .. }
            | Command::Tell { .. }
            | Command::EndShift { .. } => {}
        }
    }

    /// What was learned, in place of what is assumed.
    pub fn fit(self, assumed: Model, roles: &[(PersonaName, Role)]) -> Fit {
        learning::learned(self.all, self.shifts, assumed, roles)
    }
}

/// Takes in what became of something. Whether it is over.
fn ends(sums: &mut Sums, event: &Event, since: Timestamp, at: Timestamp, started: &Started) -> bool {
    let took = (at.since(since).0 as f64).max(1.0);
    match (event, started) {
        (Event::AgentEnded { end, spend, left, .. }, Started::Agent(start)) => {
            let who = (start.persona.clone(), start.agent.clone());
            let seen = sums.agents.entry(who).or_default();
            agent_ended(seen, start, end, left, took, spend);
            if let (
                Ask::Plan {
                    because: PlanBecause::New,
                    ..
                },
                AgentEnd::Finished(Outcome::Plan { tasks, .. }),
            ) = (&start.brief.ask, end)
            {
                sums.plans.push(u16::try_from(tasks.len()).unwrap_or(u16::MAX));
            }
            true
        }
        (Event::ChecksEnded { report, .. }, Started::Checks) => {
            for result in &report.results {
                let seen = sums.checks.entry(result.check.clone()).or_default();
                if let turno_core::check::Source::Known { .. } = result.source {
                    continue;
                }
                seen.takes.push((result.took.0 as f64).max(1.0));
                match result.verdict {
                    CheckVerdict::Pass | CheckVerdict::Flaky => seen.ran += 1,
                    CheckVerdict::Fail { .. } => {
                        seen.ran += 1;
                        seen.red += 1;
                    }
                    CheckVerdict::CouldNotRun { .. } => {}
                }
            }
            true
        }
        (Event::LandingEnded { end, .. }, Started::Land(start)) => {
            landing_ended(sums, start, end, took);
            true
        }
        (Event::AttemptFailed { failure, .. }, Started::Agent(start)) => {
            let who = (start.persona.clone(), start.agent.clone());
            let seen = sums.agents.entry(who).or_default();
            if counts(failure.cause) {
                seen.ended += 1;
                *seen.failed.entry(failure.cause).or_default() += 1;
            }
            true
        }
        (Event::AttemptFailed { .. } | Event::AgentEnded { .. }, _) => true,
        _ => false,
    }
}

/// What was done to an agent says nothing about it.
fn counts(cause: Cause) -> bool {
    !matches!(cause, Cause::Stopped | Cause::Lost)
}

fn agent_ended(
    seen: &mut Seen,
    start: &AgentStart,
    end: &AgentEnd,
    left: &LeftBehind,
    took: f64,
    spend: &Spend,
) {
    match end {
        AgentEnd::Finished(outcome) => {
            seen.ended += 1;
            let writes = matches!(start.brief.ask, Ask::Write { .. });
            if writes && *left == LeftBehind::Nothing {
                *seen.failed.entry(Cause::NoChange).or_default() += 1;
                return;
            }
            seen.takes.push(took);
            // Nothing is not what it used but what it does not tell.
            let told = |of: &mut Vec<f64>, value: u64| {
                if value > 0 {
                    of.push(value as f64);
                }
            };
            told(&mut seen.costs, spend.cost.0);
            told(&mut seen.tokens, spend.tokens.sum());
            told(&mut seen.turns, u64::from(spend.turns));
            let sent_back = match outcome {
                Outcome::Verdict { verdict, .. } => Some(matches!(verdict, Verdict::Findings { .. })),
                Outcome::Acceptance { missing } => Some(!missing.is_empty()),
                Outcome::Plan { .. } | Outcome::Change { .. } | Outcome::Choice { .. } => None,
            };
            if let Some(no) = sent_back {
                seen.judged += 1;
                seen.sent_back += usize::from(no);
            }
        }
        AgentEnd::Asked(_) => {
            seen.ended += 1;
            seen.asked += 1;
        }
        AgentEnd::Failed(failure) if counts(failure.cause) => {
            seen.ended += 1;
            *seen.failed.entry(failure.cause).or_default() += 1;
        }
        AgentEnd::Failed(_) => {}
    }
}

fn landing_ended(sums: &mut Sums, start: &LandStart, end: &LandingEnd, took: f64) {
    sums.landings.push(took);
    let moved = start.approved.proven.change.base != start.head;
    let members = 1 + start.with.len();
    let (conflicts, red) = match end {
        LandingEnd::Landed { .. } | LandingEnd::Raced { .. } => (0, 0),
        LandingEnd::Conflict { .. } => (1, 0),
        LandingEnd::NotGreen { .. } => (0, 1),
        LandingEnd::Together(together) => {
            let red = usize::from(matches!(together.others, OthersEnd::NotGreen { .. }));
            (together.refused.len(), red)
        }
    };
    sums.moved += members - usize::from(!moved);
    sums.conflicts += conflicts;
    sums.red_together += red;
}
