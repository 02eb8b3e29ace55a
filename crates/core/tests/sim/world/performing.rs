//! Owns what becomes of a command: the fake hands, with the faults that a plan asks for.

use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict};
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind};
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::ids::{AttemptId, CommitId, TreeId};
use turno_core::outcome::{Finding, Outcome, Severity, Verdict};
use turno_core::task::{Consent, Proof, Stage, StopWhy};
use turno_core::units::{Span, Spend};

use super::super::cast::log;
use super::super::plan::Fault;

use super::{Fate, LARGEST_MESSAGE, World};

impl World {
    pub(super) fn perform(&mut self, command: &Command) -> Result<(), String> {
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
                command: check.command.clone(),
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
                command: check.command.clone(),
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
}
