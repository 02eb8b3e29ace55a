//! Owns what becomes of an agent that is started: how long it runs, what it spends, how it ends and what it leaves.

use std::collections::BTreeSet;

use turno_core::brief::Ask;
use turno_core::command::AgentStart;
use turno_core::decision::{Choice, Question};
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::globs;
use turno_core::outcome::{Finding, Outcome, Severity, Verdict};
use turno_core::persona::Access;
use turno_core::units::Span;

use super::super::Stuck;
use super::super::bill::Bill;
use super::super::odds::{AtTask, Fails};
use super::words::{ended, lane, stage};
use super::{Asleep, Fate, Kind, World};

/// In so many messages an attempt spends its money. Real ones are more and smaller; what a budget is overspent by is
/// therefore told too high here, never too low.
const MESSAGES: u64 = 6;

impl World<'_> {
    pub(super) fn start_agent(&mut self, start: &AgentStart) -> Result<(), Stuck> {
        let attempt = start.attempt;
        let kind = match start.access {
            Access::Write | Access::Tests => Kind::Writer,
            Access::Read => Kind::Reader,
        };
        self.begin(attempt, lane(start.slot), kind, stage(start), start.task);
        let at_task = self.at_task(start)?;
        if let Some(until) = self.quota.get(&start.agent).copied().filter(|u| *u > self.now) {
            let end = AgentEnd::Failed(quota(until));
            let event = ended(attempt, end, LeftBehind::Nothing);
            self.later(Span::seconds(5), Fate::End(attempt, Box::new(event)));
            return Ok(());
        }
        // Only a writer's conversation decides anything: who goes on with the task.
        if kind == Kind::Writer {
            let session = format!("c{}", attempt.0).parse()?;
            let opened = Event::SessionOpened { attempt, session };
            self.later(Span(1), Fate::Say(attempt, Box::new(opened)));
        }
        let whole = at_task.attempt(&mut self.dice);
        if let Some(fails) = at_task.fails(&mut self.dice) {
            return self.fails(start, fails, whole);
        }
        let (takes, bill) = whole;
        let left = self.leaves(start)?;
        let outcome = self.outcome(start, &at_task)?;
        let end = ended(attempt, AgentEnd::Finished(outcome), left);
        // Who was answered knows what it wanted to know.
        if start.brief.answers.is_empty() && self.dice.happens(at_task.asks) {
            self.asks(start, takes, bill, end);
        } else {
            self.spends(start, takes, bill);
            self.later(takes, Fate::End(attempt, Box::new(end)));
        }
        Ok(())
    }

    /// What it uses goes evenly over the time. What stays below what is reserved for it can stop nothing as long as more
    /// than that is left, so nobody need hear of it before the end: most of a night passes without a word.
    fn spends(&mut self, start: &AgentStart, takes: Span, bill: Bill) {
        let cap = start.limits.cap;
        let left = self.state.shift().map(|s| s.budget.less(self.state.committed(s)));
        let task = self.state.tasks.get(&start.task);
        let within = task.and_then(|t| t.agent_run()).map(|run| run.within);
        let reserved = within.is_none_or(|within| {
            within.tokens.is_none_or(|most| bill.tokens < most)
                && within.turns.is_none_or(|most| bill.turns < u64::from(most))
        });
        if reserved && bill.micros < cap.0 && left.is_some_and(|left| left >= cap) {
            if let Some(live) = self.live.get_mut(&start.attempt) {
                live.quietly = Some((bill, takes));
            }
            return;
        }
        self.tells(start, takes, bill);
    }

    /// It goes over what is reserved for it with its last message, and where that could matter it is told on the way.
    fn goes_over(&mut self, start: &AgentStart, takes: Span, bill: Bill) {
        let cap = start.limits.cap;
        let left = self.state.shift().map(|s| s.budget.less(self.state.committed(s)));
        match self.live.get_mut(&start.attempt) {
            Some(live) if left.is_some_and(|left| left.0 >= cap.0.max(bill.micros)) => {
                live.quietly = Some((bill, takes));
                self.message = self.message.max(bill.micros - cap.0.min(bill.micros));
            }
            Some(_) | None => self.tells(start, takes, bill),
        }
    }

    fn tells(&mut self, start: &AgentStart, takes: Span, bill: Bill) {
        for n in 1..=MESSAGES {
            let message = if n == MESSAGES {
                bill.last_of(MESSAGES)
            } else {
                bill.part(1, MESSAGES)
            };
            let at = Span(takes.0.saturating_mul(n) / (MESSAGES + 1));
            self.later(at, Fate::Spend(start.attempt, message));
        }
    }

    /// It does not come to its end.
    fn fails(&mut self, start: &AgentStart, fails: Fails, whole: (Span, Bill)) -> Result<(), Stuck> {
        let attempt = start.attempt;
        let (cause, takes_part) = match fails {
            Fails::As(cause, takes, mut bill) => {
                if cause == Cause::AttemptBudget {
                    // That it went over its cap is seen when it ends, as what it costs then is what was seen.
                    bill.micros = bill.micros.max(start.limits.cap.0);
                    self.goes_over(start, takes, bill);
                } else {
                    self.spends(start, takes, bill);
                }
                (cause, takes)
            }
            Fails::Partly(cause) => (cause, self.partly_done(start, cause, whole)),
        };
        let mut failure = Failure::new(cause, "simulated");
        if cause == Cause::Quota {
            let until = self.now + takes_part + self.odds.quota.span(&mut self.dice);
            self.quota.insert(start.agent.clone(), until);
            failure = quota(until);
        }
        let writes = matches!(start.brief.ask, Ask::Write { .. });
        let (end, left) = if cause == Cause::NoChange && writes {
            let nothing = Outcome::change("nothing had to be done");
            (AgentEnd::Finished(nothing), LeftBehind::Nothing)
        } else {
            (AgentEnd::Failed(failure), self.partly(attempt)?)
        };
        let event = ended(attempt, end, left);
        self.later(takes_part, Fate::End(attempt, Box::new(event)));
        Ok(())
    }

    /// Nobody has seen how such an attempt goes: it stops somewhere on its way. How long it takes.
    fn partly_done(&mut self, start: &AgentStart, cause: Cause, (takes, bill): (Span, Bill)) -> Span {
        let way = match cause {
            // It did all it meant to, and that was nothing or not what was asked for.
            Cause::NoChange | Cause::NoOutcome | Cause::WroteWhileReading | Cause::OutOfBounds => 1.0,
            Cause::Spawn | Cause::SignIn | Cause::Model | Cause::Workspace => 0.0,
            Cause::Agent
            | Cause::Provider
            | Cause::Quota
            | Cause::RateLimited
            | Cause::Stalled
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::Lost
            | Cause::Stopped
            | Cause::TestsProveNothing
            | Cause::Resources => self.dice.even(),
        };
        let takes_part = Span(((takes.0 as f64 * way) as u64).max(1000));
        self.spends(start, takes_part, bill.share(way));
        if cause != Cause::Stalled {
            return takes_part;
        }
        // What is seen of it is not played, only how long it is borne.
        let config = self.state.config.as_ref();
        let borne = config.map_or(start.limits.silence, |c| c.policy.silence_hard);
        Span(takes_part.0.saturating_add(borne.0))
    }

    /// It asks on its way and waits in the call.
    fn asks(&mut self, start: &AgentStart, takes: Span, bill: Bill, end: Event) {
        let attempt = start.attempt;
        let before = Span(takes.0 / 2);
        let half = bill.part(1, 2);
        self.spends(start, before, half);
        let asked = Event::DecisionAsked {
            attempt,
            question: question(),
            key: "simulated".to_owned(),
        };
        self.later(before, Fate::Say(attempt, Box::new(asked)));
        if let Some(live) = self.live.get_mut(&attempt) {
            live.asleep = Some(Asleep {
                rest: Span(takes.0.saturating_sub(before.0)),
                cost: bill.less(half),
                end: Box::new(end),
            });
        }
    }

    fn leaves(&mut self, start: &AgentStart) -> Result<LeftBehind, Stuck> {
        let own: BTreeSet<String> = [format!("simulated/{}.rs", start.task)].into();
        match &start.brief.ask {
            Ask::Write { .. } if start.access == Access::Tests => self.tests(start),
            Ask::Write { .. } => self.commits(own),
            Ask::Test { .. } if self.dice.happens(0.7) => self.tests(start),
            Ask::Test { .. }
            | Ask::Try { .. }
            | Ask::Review { .. }
            | Ask::Compare { .. }
            | Ask::Plan { .. }
            | Ask::Accept { .. } => Ok(LeftBehind::Nothing),
        }
    }

    /// A commit of tests alone, at a path that the policy takes for tests.
    fn tests(&mut self, start: &AgentStart) -> Result<LeftBehind, Stuck> {
        let allowed = &self.job.config.policy.test_paths;
        let filled = |glob: &String| {
            glob.replace("**", "t")
                .replace('*', &format!("t{}", start.attempt.0))
        };
        let path = allowed.iter().map(filled).find(|p| globs::matches(allowed, p));
        let path = path.unwrap_or_else(|| "tests/t.rs".to_owned());
        self.commits([path].into())
    }

    fn outcome(&mut self, start: &AgentStart, at_task: &AtTask) -> Result<Outcome, Stuck> {
        Ok(match &start.brief.ask {
            Ask::Write { .. } => Outcome::change("simulated"),
            Ask::Review { protected, .. } => {
                let protected: Vec<String> = protected.iter().cloned().collect();
                self.verdict(at_task, protected)
            }
            Ask::Test { .. } | Ask::Try { .. } => self.verdict(at_task, Vec::new()),
            Ask::Compare { candidates, .. } => {
                let chosen = self.dice.below(candidates.len());
                Outcome::Choice {
                    winner: candidates.get(chosen).map(|c| c.task),
                    why: "simulated".to_owned(),
                }
            }
            Ask::Plan {
                because,
                room,
                tasks,
                proposals,
                ..
            } => self.plan(because, *room, tasks, proposals),
            Ask::Accept { .. } => Outcome::Acceptance {
                missing: if self.dice.happens(at_task.sends_back) {
                    vec!["simulated".to_owned()]
                } else {
                    Vec::new()
                },
            },
        })
    }

    fn verdict(&mut self, at_task: &AtTask, protected: Vec<String>) -> Outcome {
        let verdict = if self.dice.happens(at_task.sends_back) {
            Verdict::Findings {
                findings: vec![Finding {
                    file: "simulated.rs".to_owned(),
                    line: 0,
                    severity: Severity::Major,
                    what: "simulated".to_owned(),
                    how_to_see: String::new(),
                }],
            }
        } else {
            Verdict::Approve { notes: Vec::new() }
        };
        Outcome::Verdict {
            verdict,
            read: Vec::new(),
            protected,
            proposals: Vec::new(),
            lessons: Vec::new(),
        }
    }
}

fn quota(until: turno_core::units::Timestamp) -> Failure {
    Failure {
        cause: Cause::Quota,
        detail: "simulated".to_owned(),
        retry_after: RetryAfter::At(until),
        luck: Luck::NONE,
    }
}

pub(super) fn question() -> Question {
    Question {
        question: "simulated?".to_owned(),
        options: vec![Choice {
            label: "yes".to_owned(),
            detail: String::new(),
        }],
        recommended: Some("yes".to_owned()),
    }
}
