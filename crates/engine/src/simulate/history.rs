//! Owns what finished shifts show: it reads the journal's records and turns them into habits. Where little was seen the
//! assumptions hold, the more so the less was seen; what was seen is told, so that nobody takes a guess for knowledge.

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
use turno_core::units::Timestamp;

use super::dice::ln;
use super::model::{Amount, Chance, CheckHabit, Habit, LandingTime, Model, Split};

/// How far a typical value may be from what is assumed, before anything was seen: within a factor of five, two times
/// of three. It is wide on purpose: projects differ.
const FAR: f64 = 1.609_437_912_434_100_3;
/// Of so many observations an assumed chance is worth against seen ones.
const ASSUMED_WORTH: f64 = 2.0;
/// No fewer than this: a chance that was seen twice is not known better than one that was assumed.
const LEAST_WORTH: f64 = 8.0;

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

/// Learns from finished shifts: from all of them, or from one.
pub fn fit(records: &[Record], only: Option<ShiftId>, assumed: Model, roles: &[(PersonaName, Role)]) -> Fit {
    let mut all = Sums::default();
    let mut shifts = 0;
    let mut now = Sums::default();
    let mut running: BTreeMap<AttemptId, (Timestamp, Started)> = BTreeMap::new();
    let mut opening: BTreeMap<IssueId, Timestamp> = BTreeMap::new();
    for record in records {
        if let Event::ShiftStarted { .. } = record.event {
            now = Sums::default();
        }
        if let Event::IssueOpened { issue, .. } = &record.event
            && let Some(since) = opening.remove(issue)
        {
            now.opens.push(record.at.since(since).0 as f64);
        }
        if let Some(attempt) = record.event.attempt()
            && let Some((since, started)) = running.get(&attempt)
            && ends(&mut now, &record.event, *since, record.at, started)
        {
            running.remove(&attempt);
        }
        for command in &record.commands {
            match command {
                Command::OpenIssue { issue, .. } => {
                    opening.insert(*issue, record.at);
                }
                Command::StartAgent(start) => {
                    running.insert(start.attempt, (record.at, Started::Agent(start.clone())));
                }
                Command::RunChecks(start) => {
                    running.insert(start.attempt, (record.at, Started::Checks));
                }
                Command::Land(start) => {
                    running.insert(start.attempt, (record.at, Started::Land(start.clone())));
                }
                // A coordinator that began again: how long its attempts took is not how long they take.
                Command::Adopt { attempt, .. } => {
                    running.insert(*attempt, (record.at, Started::Adopted));
                }
                Command::StopAttempt { .. } | Command::Reply { .. } | Command::EndShift { .. } => {}
            }
        }
        for change in &record.changes {
            if let Entity::Shift(shift) = change
                && let ShiftStage::Ended { .. } = shift.stage
            {
                let seen = std::mem::take(&mut now);
                if only.is_none_or(|id| id == shift.id) {
                    all.add(seen);
                    shifts += 1;
                }
            }
        }
    }
    learned(all, shifts, assumed, roles)
}

/// Takes in what became of something. Whether it is over.
fn ends(sums: &mut Sums, event: &Event, since: Timestamp, at: Timestamp, started: &Started) -> bool {
    let took = (at.since(since).0 as f64).max(1.0);
    match (event, started) {
        (Event::AgentEnded { end, spend, left, .. }, Started::Agent(start)) => {
            let who = (start.persona.clone(), start.agent.clone());
            let seen = sums.agents.entry(who).or_default();
            agent_ended(seen, start, end, left, took, spend.cost.0 as f64);
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

fn agent_ended(seen: &mut Seen, start: &AgentStart, end: &AgentEnd, left: &LeftBehind, took: f64, cost: f64) {
    match end {
        AgentEnd::Finished(outcome) => {
            seen.ended += 1;
            let writes = matches!(start.brief.ask, Ask::Write { .. });
            if writes && *left == LeftBehind::Nothing {
                *seen.failed.entry(Cause::NoChange).or_default() += 1;
                return;
            }
            seen.takes.push(took);
            if cost > 0.0 {
                seen.costs.push(cost);
            }
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

fn learned(all: Sums, shifts: usize, mut model: Model, roles: &[(PersonaName, Role)]) -> Fit {
    let mut evidence = Vec::new();
    for ((persona, agent), seen) in all.agents {
        let role = roles.iter().find(|(name, _)| *name == persona).map(|(_, r)| *r);
        let Some(role) = role else { continue };
        evidence.push(Evidence {
            of: format!("{persona} by {agent}"),
            seen: seen.ended,
        });
        let habit = habit(model.of_role(role), &seen);
        model.known.insert((persona, agent), habit);
    }
    for (name, seen) in all.checks {
        evidence.push(Evidence {
            of: format!("check {name}"),
            seen: seen.ran,
        });
        let check = CheckHabit {
            takes: amount(model.checks.takes, &seen.takes),
            red: chance(model.checks.red, seen.red, seen.ran),
        };
        model.known_checks.insert(name, check);
    }
    if !all.landings.is_empty() {
        evidence.push(Evidence {
            of: "landings".to_owned(),
            seen: all.landings.len(),
        });
        let before = match model.landing {
            LandingTime::AndChecks(amount) | LandingTime::Whole(amount) => amount,
        };
        model.landing = LandingTime::Whole(amount(before, &all.landings));
        model.conflict = chance(model.conflict, all.conflicts, all.moved);
        model.red_together = chance(model.red_together, all.red_together, all.moved);
    }
    model.opens = amount(model.opens, &all.opens);
    if !all.plans.is_empty() {
        evidence.push(Evidence {
            of: "plans".to_owned(),
            seen: all.plans.len(),
        });
        let mut seen = all.plans;
        // What was assumed stays possible, as one plan among those that were seen.
        if let Split::Between(least, most) = model.split
            && seen.len() < 10
        {
            seen.push(least.midpoint(most));
        }
        seen.sort_unstable();
        model.split = Split::Seen(seen);
    }
    Fit {
        model,
        shifts,
        evidence,
    }
}

fn habit(assumed: &Habit, seen: &Seen) -> Habit {
    let failed: usize = seen.failed.values().sum();
    let fails = chance(assumed.fails, failed, seen.ended);
    let mut causes: BTreeMap<Cause, f64> = BTreeMap::new();
    // What was never seen may still happen: it has the weight of what was assumed.
    let all: f64 = assumed.causes.values().sum();
    for (cause, weight) in &assumed.causes {
        if all > 0.0 {
            causes.insert(*cause, ASSUMED_WORTH * assumed.fails.mean * weight / all);
        }
    }
    for (cause, count) in &seen.failed {
        *causes.entry(*cause).or_default() += *count as f64;
    }
    Habit {
        takes: amount(assumed.takes, &seen.takes),
        costs: amount(assumed.costs, &seen.costs),
        fails,
        causes,
        asks: chance(assumed.asks, seen.asked, seen.ended),
        sends_back: chance(assumed.sends_back, seen.sent_back, seen.judged),
    }
}

/// A chance of which so many of so many were seen.
fn chance(assumed: Chance, yes: usize, of: usize) -> Chance {
    if of == 0 {
        return assumed;
    }
    let worth = ASSUMED_WORTH + of as f64;
    Chance {
        mean: (assumed.mean * ASSUMED_WORTH + yes as f64) / worth,
        worth: worth.max(LEAST_WORTH),
    }
}

/// What is believed of an amount, by the assumed value and the seen ones, each by how sure it is.
fn amount(assumed: Amount, seen: &[f64]) -> Amount {
    if seen.is_empty() {
        return assumed;
    }
    let n = seen.len() as f64;
    let logs: Vec<f64> = seen.iter().map(|x| ln(*x)).collect();
    let mean = logs.iter().sum::<f64>() / n;
    let squares: f64 = logs.iter().map(|x| (x - mean) * (x - mean)).sum();
    // The assumed deviation counts as one observation, and never vanishes all at once.
    let variance = (assumed.sigma * assumed.sigma + squares) / n;
    let (seen_sure, assumed_sure) = (n / variance.max(1e-6), 1.0 / (FAR * FAR));
    Amount {
        mu: (mean * seen_sure + assumed.mu * assumed_sure) / (seen_sure + assumed_sure),
        sigma: variance.sqrt(),
        doubt: (1.0 / (seen_sure + assumed_sure)).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assumed() -> Amount {
        Amount {
            mu: ln(600_000.0),
            sigma: ln(2.0),
            doubt: ln(1.5),
        }
    }

    fn typical(amount: Amount) -> f64 {
        amount.mu.exp()
    }

    #[test]
    fn the_more_was_seen_the_less_is_assumed() {
        let far = |n: usize| typical(amount(assumed(), &vec![1000.0; n]));
        assert!(far(1) > far(3) && far(3) > far(30));
        assert!(far(1) > 1500.0, "one attempt is no proof: {}", far(1));
        assert!(far(30) < 1100.0, "thirty are: {}", far(30));
        let width = |n: usize| amount(assumed(), &vec![1000.0; n]);
        assert!(width(1).doubt > 3.0 * width(12).doubt);
        assert!(width(1).sigma > width(12).sigma);
        assert_eq!(amount(assumed(), &[]), assumed());
    }

    #[test]
    fn a_spread_that_was_seen_is_found_again() {
        let values: Vec<f64> = (0..200)
            .map(|n| if n % 2 == 0 { 1000.0 } else { 4000.0 })
            .collect();
        let found = amount(assumed(), &values);
        assert!((typical(found) / 2000.0 - 1.0).abs() < 0.05, "{found:?}");
        assert!((found.sigma / ln(2.0) - 1.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_chance_is_drawn_towards_what_was_seen() {
        let before = Chance {
            mean: 0.3,
            worth: 12.0,
        };
        assert_eq!(chance(before, 0, 0), before);
        assert!(chance(before, 0, 20).mean < 0.03);
        assert!((chance(before, 10, 20).mean - 0.48).abs() < 0.01);
    }
}
