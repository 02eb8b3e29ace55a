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
use turno_core::ids::{AgentName, AttemptId, CheckName, IssueId, PersonaName, ShiftId, TaskId};
use turno_core::outcome::{Outcome, Verdict};
use turno_core::persona::Role;
use turno_core::record::Record;
use turno_core::shift::ShiftStage;
use turno_core::state::Entity;
use turno_core::task::{PlanBecause, StopWhy};
use turno_core::units::{Spend, Timestamp};

use super::model::{Model, Tally};

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
    Agent(Box<AgentStart>, Stop),
    Checks(TaskId),
    Land(Box<LandStart>),
    Adopted,
}

/// Whether an agent was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Told(StopWhy),
}

/// What attempts took and used, each in its unit.
#[derive(Debug, Default)]
struct SeenWork {
    takes: Vec<f64>,
    costs: Vec<f64>,
    tokens: Vec<f64>,
    turns: Vec<f64>,
}

impl SeenWork {
    fn see(&mut self, took: f64, spend: &Spend) {
        self.takes.push(took);
        // Nothing is not what it used but what it does not tell.
        let told = |of: &mut Vec<f64>, value: u64| {
            if value > 0 {
                of.push(value as f64);
            }
        };
        told(&mut self.costs, spend.cost.0);
        told(&mut self.tokens, spend.tokens.sum());
        told(&mut self.turns, u64::from(spend.turns));
    }

    fn add(&mut self, other: Self) {
        self.takes.extend(other.takes);
        self.costs.extend(other.costs);
        self.tokens.extend(other.tokens);
        self.turns.extend(other.turns);
    }
}

/// What was seen of one agent in one role at one task.
#[derive(Debug, Default)]
struct SeenTask {
    ended: usize,
    failed: BTreeMap<Cause, usize>,
    asked: Tally,
    sent_back: Tally,
}

/// What was seen of one agent in one role.
#[derive(Debug, Default)]
struct Seen {
    work: SeenWork,
    /// Of attempts that failed, by their cause.
    failed: BTreeMap<Cause, SeenWork>,
    /// In the shift that is not over.
    tasks: BTreeMap<TaskId, SeenTask>,
    /// In those that are: which task it was does not matter any more, only that it was one.
    over: Vec<SeenTask>,
}

impl Seen {
    fn ended(&self) -> usize {
        self.over.iter().map(|t| t.ended).sum()
    }

    fn fails(&mut self, task: TaskId, cause: Cause, took: f64, spend: &Spend) {
        let of_task = self.tasks.entry(task).or_default();
        of_task.ended += 1;
        *of_task.failed.entry(cause).or_default() += 1;
        self.failed.entry(cause).or_default().see(took, spend);
    }
}

/// What was seen of one check.
#[derive(Debug, Default)]
struct SeenCheck {
    takes: Vec<f64>,
    /// In the shift that is not over.
    tasks: BTreeMap<TaskId, Tally>,
    over: Vec<Tally>,
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
    /// Takes in what a shift has shown that is over.
    fn add(&mut self, other: Self) {
        for (who, seen) in other.agents {
            let all = self.agents.entry(who).or_default();
            all.work.add(seen.work);
            for (cause, work) in seen.failed {
                all.failed.entry(cause).or_default().add(work);
            }
            all.over.extend(seen.tasks.into_values());
        }
        for (name, seen) in other.checks {
            let all = self.checks.entry(name).or_default();
            all.takes.extend(seen.takes);
            all.over.extend(seen.tasks.into_values());
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
                    .insert(start.attempt, (at, Started::Agent(start.clone(), Stop::No)));
            }
            Command::RunChecks(start) => {
                self.running
                    .insert(start.attempt, (at, Started::Checks(start.task)));
            }
            Command::Land(start) => {
                self.running
                    .insert(start.attempt, (at, Started::Land(start.clone())));
            }
            // A coordinator that began again: how long its attempts took is not how long they take.
            Command::Adopt { attempt, .. } => {
                self.running.insert(*attempt, (at, Started::Adopted));
            }
            Command::StopAttempt { attempt, why } => {
                if let Some((_, Started::Agent(_, stop @ Stop::No))) = self.running.get_mut(attempt) {
                    *stop = Stop::Told(*why);
                }
            }
            // A simulated night has nobody who moves the user's branches.
            Command::Follow(_)
            | Command::Foresee { .. }
            | Command::WarnOfBudget { .. }
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
        (Event::AgentEnded { end, spend, left, .. }, Started::Agent(start, stop)) => {
            let who = (start.persona.clone(), start.agent.clone());
            let seen = sums.agents.entry(who).or_default();
            agent_ended(seen, (start, *stop), end, left, (took, spend));
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
        (Event::ChecksEnded { report, .. }, Started::Checks(task)) => {
            for result in &report.results {
                let seen = sums.checks.entry(result.check.clone()).or_default();
                if let turno_core::check::Source::Known { .. } = result.source {
                    continue;
                }
                seen.takes.push((result.took.0 as f64).max(1.0));
                let of_task = seen.tasks.entry(*task).or_default();
                match result.verdict {
                    CheckVerdict::Pass | CheckVerdict::Flaky => of_task.of += 1,
                    CheckVerdict::Fail { .. } => {
                        of_task.of += 1;
                        of_task.yes += 1;
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
        (Event::AttemptFailed { failure, .. }, Started::Agent(start, stop)) => {
            let who = (start.persona.clone(), start.agent.clone());
            let seen = sums.agents.entry(who).or_default();
            if let Some(cause) = counts(failure.cause, *stop) {
                seen.fails(start.task, cause, took, &Spend::NOTHING);
            }
            true
        }
        (Event::AttemptFailed { .. } | Event::AgentEnded { .. }, _) => true,
        _ => false,
    }
}

/// As what a failure counts. What was done to an agent says nothing about it, unless it was done for what it did.
fn counts(cause: Cause, stop: Stop) -> Option<Cause> {
    match (cause, stop) {
        (Cause::Lost, _) | (Cause::Stopped, Stop::No) => None,
        (Cause::Stopped, Stop::Told(why)) => match why {
            StopWhy::WallClock => Some(Cause::WallClock),
            StopWhy::Stalled => Some(Cause::Stalled),
            StopWhy::AttemptBudget => Some(Cause::AttemptBudget),
            StopWhy::TaskBudget
            | StopWhy::IssueBudget
            | StopWhy::AgentBudget
            | StopWhy::ShiftBudget
            | StopWhy::DayBudget
            | StopWhy::Asked
            | StopWhy::Taken
            | StopWhy::Remarked
            | StopWhy::Discarded => None,
        },
        (cause, _) => Some(cause),
    }
}

fn agent_ended(
    seen: &mut Seen,
    (start, stop): (&AgentStart, Stop),
    end: &AgentEnd,
    left: &LeftBehind,
    (took, spend): (f64, &Spend),
) {
    // Who was answered asks no more.
    let could_ask = usize::from(start.brief.answers.is_empty());
    match end {
        AgentEnd::Finished(outcome) => {
            let writes = matches!(start.brief.ask, Ask::Write { .. });
            if writes && *left == LeftBehind::Nothing {
                return seen.fails(start.task, Cause::NoChange, took, spend);
            }
            seen.work.see(took, spend);
            let of_task = seen.tasks.entry(start.task).or_default();
            of_task.ended += 1;
            of_task.asked.of += could_ask;
            let sent_back = match outcome {
                Outcome::Verdict { verdict, .. } => Some(matches!(verdict, Verdict::Findings { .. })),
                Outcome::Acceptance { missing } => Some(!missing.is_empty()),
                Outcome::Plan { .. } | Outcome::Change { .. } | Outcome::Choice { .. } => None,
            };
            if let Some(no) = sent_back {
                of_task.sent_back.of += 1;
                of_task.sent_back.yes += usize::from(no);
            }
        }
        AgentEnd::Asked(_) => {
            let of_task = seen.tasks.entry(start.task).or_default();
            of_task.ended += 1;
            of_task.asked.of += 1;
            of_task.asked.yes += 1;
        }
        AgentEnd::Failed(failure) => {
            if let Some(cause) = counts(failure.cause, stop) {
                seen.fails(start.task, cause, took, spend);
            }
        }
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
