//! Owns what becomes of a command: the fake hands, with the faults that a plan asks for.

use turno_core::brief::Ask;
use turno_core::command::{AgentStart, AskedThen, Command, LandStart};
use turno_core::decision::{Question, Reply};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, OthersEnd, Refused, TogetherEnd};
use turno_core::failure::{Cause, Failure};
use turno_core::foresight::{Files, Found, Rival, Sight};
use turno_core::guard::{self, GuardRule, GuardedBy};
use turno_core::ids::{AttemptId, CommitId, TaskId};
use turno_core::outcome::{Finding, Severity};
use turno_core::quota::{Quota, QuotaFill};
use turno_core::task::{Because, Consent, Said, StopWhy};
use turno_core::train::{Red, Stands};
use turno_core::units::{Span, Spend};

use super::super::cast::log;
use super::super::plan::Fault;
use super::checks::{could_not, failed};
use super::{Fate, LARGEST_MESSAGE, NOBODY, World};

impl World {
    pub(super) fn perform(&mut self, command: &Command) {
        match command {
            Command::StartAgent(start) => self.start_agent(start),
            Command::RunChecks(start) => self.run_checks(start),
            Command::Land(start) => self.land(start),
            Command::Follow(start) => self.follow(start),
            Command::OpenIssue { issue, on, .. } => {
                let (issue, at) = (*issue, self.rng.between(5, 60));
                let event = if self.strikes(Fault::NotOpened, 25) {
                    self.tally.count("issues refused");
                    Event::IssueNotOpened {
                        issue,
                        why: "no such branch".to_owned(),
                    }
                } else {
                    self.tally.count(if on.is_empty() {
                        "issues opened"
                    } else {
                        "issues opened on others"
                    });
                    let base = on.first().cloned().unwrap_or_else(|| self.commit());
                    let target = self.target();
                    Event::IssueOpened { issue, base, target }
                };
                self.later(at, NOBODY, Fate::Done(event));
            }
            Command::Foresee { of, commit, with, .. } => self.foresee(*of, commit, with),
            Command::Reply { attempt, reply, .. } => self.reply(*attempt, reply),
            Command::Adopt { attempt, asked } => {
                self.tally.count("adopted");
                for before in asked {
                    if let AskedThen::Told(reply) = &before.then {
                        self.reply(*attempt, reply);
                    }
                }
            }
            Command::Nudge { attempt } => self.nudged(*attempt),
            Command::Tell { attempt, remark, .. } => {
                self.tally.count("told while it runs");
                // One that ends before has not heard it.
                let (attempt, remark, at) = (*attempt, *remark, self.rng.between(1, 400));
                self.later(at, attempt, Fate::Say(Event::Heard { attempt, remark }));
            }
            Command::StopAttempt { attempt, why } => {
                if *why == StopWhy::Stalled {
                    self.tally.count("stopped as stalled");
                }
                self.stop(*attempt, *why);
            }
            Command::WarnOfBudget { .. } => self.tally.count("warnings of a budget"),
            Command::EndShift { .. } => {}
        }
    }

    /// Sometimes it is seen that changes do not merge, and sometimes nothing is seen; the answer may come late.
    fn foresee(&mut self, of: TaskId, commit: &CommitId, with: &[Rival]) {
        self.tally.count("looks ahead");
        let mut sights = Vec::new();
        for rival in with.iter().cloned() {
            let found = match self.rng.below(10) {
                0 => Found::Unseen {
                    why: "it took too long".to_owned(),
                },
                1..3 => {
                    self.tally.count(match rival {
                        Rival::Branch { .. } => "conflicts foreseen with the branch",
                        Rival::Task { .. } => "conflicts foreseen with others",
                    });
                    Found::Clashes(Files {
                        named: vec!["src/lib.rs".to_owned()],
                        more: 0,
                    })
                }
                _ => Found::Merges,
            };
            sights.push(Sight { rival, found });
        }
        let (commit, at) = (commit.clone(), self.rng.between(1, 200));
        let event = Event::Foreseen { of, commit, sights };
        self.later(at, NOBODY, Fate::Done(event));
    }

    fn start_agent(&mut self, start: &AgentStart) {
        let attempt = start.attempt;
        self.agents.insert(attempt);
        self.tally.count(match &start.brief.ask {
            Ask::Write { .. } => "writes",
            Ask::Test { .. } => "tests",
            Ask::Compare { .. } => "compares",
            Ask::Plan { .. } => "plans",
            Ask::Try { .. } => "tries",
            Ask::Accept { .. } => "accepts",
            Ask::Review { .. } => "reviews",
        });
        if let Ask::Write {
            because: Because::Guarded { by, .. },
            ..
        } = &start.brief.ask
        {
            self.tally.count(match by {
                GuardedBy::Policy => "guards refused",
                GuardedBy::Person { .. } => "guards sent back",
            });
        }
        if self.strikes(Fault::CommandFails, 10) {
            let failure = Failure::new(Cause::Workspace, "no room");
            self.later(5, attempt, Fate::End(Event::AttemptFailed { attempt, failure }));
            return;
        }
        if self.is_down(start) {
            let cause = self
                .rng
                .pick(&[Cause::Spawn, Cause::Agent, Cause::Provider, Cause::NoOutcome]);
            let cause = if self.rng.chance(4) { Cause::SignIn } else { cause };
            let failure = Failure::new(cause, "it cannot be started");
            self.tally.count("starts in an outage");
            let end = ended(attempt, AgentEnd::Failed(failure), LeftBehind::Nothing);
            let at = self.rng.between(1, 50);
            return self.later(at, attempt, Fate::End(end));
        }
        if self.strikes(Fault::Limits, 5) {
            let quota = Quota {
                window: self.rng.pick(&["five-hour", "weekly"]).to_owned(),
                fill: self.rng.pick(&[
                    QuotaFill::Full,
                    QuotaFill::Full,
                    QuotaFill::Percent(70),
                    QuotaFill::Near,
                ]),
                resets: self.rng.chance(80).then_some(self.now + Span(3000)),
            };
            self.later(2, attempt, Fate::Say(Event::QuotaSeen { attempt, quota }));
        }
        if self.rng.chance(80) {
            let session = format!("c{}", attempt.0).parse().unwrap();
            self.later(1, attempt, Fate::Say(Event::SessionOpened { attempt, session }));
        }
        let mut at = 10;
        let most = if self.has(Fault::Spends) {
            LARGEST_MESSAGE
        } else {
            2000
        };
        for _ in 0..self.rng.between(1, 4) {
            let cost = self.rng.below(most);
            self.later(at, attempt, Fate::Spend(cost));
            at += self.rng.between(1, 500);
        }
        if self.strikes(Fault::Proposes, 20) {
            let proposed = self.proposed();
            self.later(at, attempt, Fate::Say(Event::TaskProposed { attempt, proposed }));
        }
        if self.strikes(Fault::Findings, 5) {
            let said = Said::Finding(found("seen on the way"));
            self.later(at, attempt, Fate::Say(Event::Noted { attempt, said }));
        }
        if self.strikes(Fault::Quiet, 40) {
            at = self.falls_quiet(attempt, at);
        }
        if self.strikes(Fault::AgentHangs, 15) {
            return;
        }
        let (end, left) = self.agent_end(start);
        if self.strikes(Fault::Asks, 25) {
            return self.asks(attempt, at, end, left);
        }
        self.later(at + 1, attempt, Fate::End(ended(attempt, end, left)));
    }

    /// Whether an agent cannot be started at this moment. An outage lasts a while, or for ever.
    fn is_down(&mut self, start: &AgentStart) -> bool {
        if self.strikes(Fault::Outages, 4) {
            let lasts = self.rng.pick(&[500, 4000, 1_000_000]);
            self.down.insert(start.agent.clone(), self.now + Span(lasts));
            self.tally.count("outages");
        }
        self.down.get(&start.agent).is_some_and(|until| self.now < *until)
    }

    /// An agent asks, in its last words or in a call in which it waits.
    fn asks(&mut self, attempt: AttemptId, at: u64, end: AgentEnd, left: LeftBehind) {
        if self.rng.chance(40) {
            self.tally.count("asked by last words");
            let end = AgentEnd::Asked(question("left or right?"));
            return self.later(at + 1, attempt, Fate::End(ended(attempt, end, left)));
        }
        self.tally.count("asked by a call");
        let calls = self.rng.between(1, 2);
        for n in 0..calls {
            let event = Event::DecisionAsked {
                attempt,
                question: question(&format!("call {n}?")),
                key: format!("k{n}"),
            };
            self.later(at + 1 + n, attempt, Fate::Say(event));
        }
        self.asleep.insert(attempt, ended(attempt, end, left));
    }

    fn reply(&mut self, attempt: AttemptId, reply: &Reply) {
        if !self.hands.live.contains_key(&attempt) {
            return;
        }
        let Some(end) = self.asleep.remove(&attempt) else {
            return;
        };
        match reply {
            Reply::Answer(_) => {
                self.tally.count("replies: answer");
                self.later(20, attempt, Fate::End(end));
            }
            Reply::Parked => {
                self.tally.count("replies: parked");
                let Event::AgentEnded { left, .. } = end else {
                    return;
                };
                let end = if self.rng.chance(50) {
                    AgentEnd::Asked(question("the same in other words?"))
                } else {
                    AgentEnd::Failed(Failure::new(Cause::NoOutcome, "it waits"))
                };
                let at = self.rng.between(1, 100);
                self.later(at, attempt, Fate::End(ended(attempt, end, left)));
            }
        }
    }

    fn stop(&mut self, attempt: AttemptId, why: StopWhy) {
        // A stop for money is a kill; any other begins with a request, which may be ignored for a while.
        let at_once = why.is_about_money();
        if !at_once && self.strikes(Fault::IgnoresStop, 30) {
            // It takes the whole ladder: one more message may come in, and the agent may even finish.
            let mut messages = 0;
            self.fates.retain(|_, (a, fate)| {
                messages += u64::from(*a == attempt && matches!(fate, Fate::Spend(_)));
                *a != attempt || matches!(fate, Fate::End(_)) || messages <= 1
            });
            self.later(8000, attempt, Fate::End(self.stopped(attempt)));
            return;
        }
        self.fates.retain(|_, (a, _)| *a != attempt);
        self.later(3, attempt, Fate::End(self.stopped(attempt)));
    }

    /// Several at once: any of them may not apply, and the rest may be green, red or late.
    fn land_together(&mut self, start: &LandStart) {
        self.tally.count("landings together");
        let issue = start.task.issue;
        let first = std::iter::once(start.task);
        let tasks: Vec<TaskId> = first.chain(start.with.iter().map(|p| p.task)).collect();
        let mut at = self
            .heads
            .get(&issue)
            .cloned()
            .unwrap_or_else(|| start.base.clone());
        let head = at.clone();
        let (mut refused, mut members) = (Vec::new(), Vec::new());
        for task in tasks {
            if self.strikes(Fault::Conflicts, 35) {
                self.tally.count("refused together");
                refused.push(Refused {
                    task,
                    hunks: Vec::new(),
                });
                continue;
            }
            let commit = self.commit();
            let onto = std::mem::replace(&mut at, commit.clone());
            members.push(Stands { task, commit, onto });
        }
        let others = if members.is_empty() {
            OthersEnd::None
        } else if self.strikes(Fault::Races, 20) {
            let head = self.commit();
            self.heads.insert(issue, head.clone());
            OthersEnd::Raced { head }
        } else if self.strikes(Fault::NotGreen, 60) {
            self.tally.count("red together");
            let tree = self.tree();
            let verdict = if self.rng.chance(80) {
                failed()
            } else {
                could_not()
            };
            let report = self.all(&at, &tree, &start.checks, &verdict);
            OthersEnd::NotGreen {
                red: Red { members, report },
            }
        } else {
            self.tally.add_to("landed together", members.len() as u64);
            self.heads.insert(issue, at.clone());
            for member in &members {
                self.repaired(member.task);
            }
            OthersEnd::Landed { members, head: at }
        };
        let end = LandingEnd::Together(TogetherEnd {
            refused,
            head,
            others,
        });
        let (attempt, late) = (start.attempt, self.rng.between(80, 3000));
        self.later(late, attempt, Fate::End(Event::LandingEnded { attempt, end }));
    }

    /// What a task that has landed was to mend is mended, mostly.
    fn repaired(&mut self, task: TaskId) {
        let repairs = self.state.tasks[&task].spec.repairs.clone();
        if !self.strikes(Fault::StillRed, 40)
            && let Some(broken) = self.broken.get_mut(&task.issue)
        {
            broken.retain(|c| !repairs.contains(c));
        }
    }

    fn land(&mut self, start: &LandStart) {
        if !start.with.is_empty() {
            return self.land_together(start);
        }
        let change = &start.approved.proven.change;
        let issue = start.task.issue;
        if matches!(start.approved.consent, Consent::Waived) {
            self.tally.count("landings without review");
        }
        if change.paths.iter().any(|p| p.starts_with("ci/")) {
            self.tally.count("landings of protected paths");
        }
        let rules = self.state.config.as_ref().unwrap().policy.clone();
        if change
            .guards
            .iter()
            .any(|g| guard::rule(&rules, g.kind) == GuardRule::Reviewer)
        {
            self.tally.count("guards approved");
        }
        if change
            .guards
            .iter()
            .any(|g| guard::rule(&rules, g.kind) == GuardRule::Person)
        {
            self.tally.count("landings on a person's word");
        }
        if !start.known_red.is_empty() {
            self.tally.count("landings past known red");
        }
        if start.repo != turno_core::ids::RepoName::default() {
            self.tally.count("landings elsewhere");
        }
        if self.witness.frozen.contains_key(&start.task) {
            self.tally.count("landings of frozen tests");
        }
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
            let report = self.all(&rebased, &tree, &start.checks, &failed());
            LandingEnd::NotGreen {
                rebased,
                head,
                report,
            }
        } else {
            let commit = self.commit();
            self.heads.insert(issue, commit.clone());
            self.repaired(start.task);
            LandingEnd::Landed { commit }
        };
        let attempt = start.attempt;
        let late = self.rng.pick(&[80, 3000]);
        self.later(late, attempt, Fate::End(Event::LandingEnded { attempt, end }));
    }

    fn stopped(&self, attempt: AttemptId) -> Event {
        let failure = Failure::new(Cause::Stopped, "killed");
        if self.agents.contains(&attempt) {
            ended(attempt, AgentEnd::Failed(failure), LeftBehind::Nothing)
        } else {
            Event::AttemptFailed { attempt, failure }
        }
    }
}

fn ended(attempt: AttemptId, end: AgentEnd, left: LeftBehind) -> Event {
    Event::AgentEnded {
        attempt,
        end,
        spend: Spend::NOTHING,
        left,
        transcript: log(),
    }
}

fn question(text: &str) -> Question {
    Question {
        question: text.to_owned(),
        options: Vec::new(),
        recommended: text.len().is_multiple_of(2).then(|| "left".to_owned()),
    }
}

pub(super) fn found(what: &str) -> Finding {
    Finding {
        file: "a.rs".to_owned(),
        line: 1,
        severity: Severity::Major,
        what: what.to_owned(),
        how_to_see: String::new(),
    }
}
