//! Owns how an agent's run ends in a world: what it returns and what it leaves, good or bad.

use std::collections::BTreeSet;

use turno_core::brief::Ask;
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, LeftBehind};
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::guard::{GuardKind, Guarded};
use turno_core::ids::TaskId;
use turno_core::outcome::{Outcome, Proposed, Verdict};
use turno_core::persona::Role;
use turno_core::task::Work;
use turno_core::units::{Span, Timestamp};

use super::super::plan::Fault;
use super::World;
use super::performing::found;

impl World {
    pub(super) fn left(&mut self, paths: BTreeSet<String>) -> LeftBehind {
        LeftBehind::Commit {
            commit: self.commit(),
            tree: self.tree(),
            paths,
            guards: Vec::new(),
            essence: turno_core::progress::Essence::Unknown,
        }
    }

    /// What is found about the whole of what was left: what was there before, and perhaps more.
    fn surveyed(&mut self, start: &AgentStart, mut left: LeftBehind) -> LeftBehind {
        if let LeftBehind::Commit { guards, paths, .. } = &mut left {
            if start.survey.is_none() {
                return left;
            }
            let work = self.state.tasks[&start.task].work();
            if let Some(change) = work.as_ref().and_then(Work::change) {
                guards.clone_from(&change.guards);
            }
            if self.strikes(Fault::Guarded, 30) {
                let kind = self.rng.pick(&[
                    GuardKind::Secrets,
                    GuardKind::Ci,
                    GuardKind::Lockfiles,
                    GuardKind::Unseen,
                ]);
                let file = paths.first().cloned().unwrap_or_default();
                let what = "it is there".to_owned();
                guards.push(Guarded {
                    kind,
                    file,
                    line: 0,
                    what,
                });
            }
        }
        left
    }

    pub(super) fn proposed(&mut self) -> Proposed {
        Proposed {
            title: format!("extra {}", self.rng.below(5)),
            brief: "it turned out".to_owned(),
            why: "seen".to_owned(),
            touches: vec!["docs/**".to_owned()],
        }
    }

    pub(super) fn agent_end(&mut self, start: &AgentStart) -> (AgentEnd, LeftBehind) {
        let left = self.leaves(start);
        let left = self.surveyed(start, left);
        if self.strikes(Fault::AgentFails, 15) {
            let cause = self
                .rng
                .pick(&[Cause::Agent, Cause::Provider, Cause::Quota, Cause::Stalled]);
            let mut failure = Failure::new(cause, "it failed");
            if cause == Cause::Quota {
                failure.retry_after = RetryAfter::At(self.now + Span(5000));
            }
            return (AgentEnd::Failed(failure), left);
        }
        if self.strikes(Fault::Limits, 10) {
            return (AgentEnd::Failed(self.limit()), left);
        }
        if self.strikes(Fault::NoOutcome, 10) {
            let outcome = if matches!(start.brief.ask, Ask::Plan { .. }) {
                Outcome::change("no plan")
            } else {
                Outcome::Plan {
                    tasks: Vec::new(),
                    answers: Vec::new(),
                    drops: Vec::new(),
                }
            };
            return (AgentEnd::Finished(outcome), left);
        }
        let outcome = match &start.brief.ask {
            Ask::Write { .. } => {
                let proposals = if self.strikes(Fault::Proposes, 30) {
                    vec![self.proposed()]
                } else {
                    Vec::new()
                };
                Outcome::Change {
                    summary: "did it".to_owned(),
                    evidence: Vec::new(),
                    open_questions: Vec::new(),
                    proposals,
                    lessons: Vec::new(),
                }
            }
            Ask::Review { protected, .. } => {
                let protected: Vec<String> = protected.iter().cloned().collect();
                self.verdict(start, protected)
            }
            Ask::Test { .. } | Ask::Try { .. } => self.verdict(start, Vec::new()),
            Ask::Compare { candidates, .. } => {
                let ids: Vec<TaskId> = candidates.iter().map(|c| c.task).collect();
                let winner = if self.strikes(Fault::NoneWins, 30) {
                    self.tally.count("none won");
                    None
                } else if self.strikes(Fault::NoneWins, 15) {
                    "99.9".parse().ok()
                } else {
                    Some(self.rng.pick(&ids))
                };
                Outcome::Choice {
                    winner,
                    why: "it is shorter".to_owned(),
                }
            }
            Ask::Plan {
                because,
                room,
                tasks,
                proposals,
                ..
            } => self.plan_of(start.task, because, *room, tasks, proposals),
            Ask::Accept { .. } => {
                let missing = if self.strikes(Fault::Missing, 40) {
                    self.tally.count("missing");
                    vec!["a part".to_owned()]
                } else {
                    Vec::new()
                };
                Outcome::Acceptance { missing }
            }
        };
        (AgentEnd::Finished(outcome), left)
    }

    /// What a provider says that serves no more: until when, or not; and what was drawn for it.
    fn limit(&mut self) -> Failure {
        let cause = self.rng.pick(&[Cause::Quota, Cause::RateLimited]);
        let told = Timestamp(self.now.0 + i64::try_from(self.rng.between(0, 20_000)).unwrap() - 1000);
        Failure {
            retry_after: self.rng.pick(&[RetryAfter::At(told), RetryAfter::Policy]),
            luck: Luck(u16::try_from(self.rng.below(1000)).unwrap()),
            ..Failure::new(cause, "no more")
        }
    }

    fn leaves(&mut self, start: &AgentStart) -> LeftBehind {
        let n = start.attempt.0;
        let tests: BTreeSet<String> = [format!("tests/t{n}.rs")].into();
        let code: BTreeSet<String> = ["src/lib.rs".to_owned()].into();
        let testing = self
            .state
            .config
            .as_ref()
            .and_then(|c| c.persona(&start.persona))
            .is_some_and(|p| p.role == Role::Tester);
        match &start.brief.ask {
            Ask::Write { .. } if self.strikes(Fault::NoChange, 10) => LeftBehind::Nothing,
            Ask::Write { .. } if testing => {
                let mut paths = tests;
                if self.strikes(Fault::OutOfBounds, 20) {
                    self.tally.count("testers out of bounds");
                    paths.extend(code);
                }
                self.left(paths)
            }
            Ask::Write { .. } => {
                let mut paths = code;
                if let Some(frozen) = self.witness.frozen.get(&start.task).cloned()
                    && self.strikes(Fault::OutOfBounds, 30)
                {
                    self.tally.count("frozen tests touched");
                    paths.extend(frozen);
                }
                if self.strikes(Fault::Protected, 30) {
                    paths.insert("ci/run.sh".to_owned());
                }
                self.left(paths)
            }
            Ask::Test { .. } if self.rng.chance(70) => {
                let mut paths = tests;
                if self.strikes(Fault::OutOfBounds, 20) {
                    self.tally.count("testers out of bounds");
                    paths.extend(code);
                }
                self.left(paths)
            }
            Ask::Try { .. } if self.rng.chance(30) => self.left(tests),
            Ask::Test { .. } | Ask::Try { .. } => LeftBehind::Nothing,
            Ask::Review { .. } | Ask::Compare { .. } | Ask::Plan { .. } | Ask::Accept { .. } => {
                if self.strikes(Fault::ReaderWrites, 10) {
                    self.left(code)
                } else {
                    LeftBehind::Nothing
                }
            }
        }
    }

    fn verdict(&mut self, start: &AgentStart, mut protected: Vec<String>) -> Outcome {
        let verdict = if self.strikes(Fault::Findings, 30) {
            let finding = found(&format!("wrong in {}", start.from.short()));
            // An empty list of findings is no verdict at all.
            let findings = if self.rng.chance(10) {
                Vec::new()
            } else {
                vec![finding]
            };
            Verdict::Findings { findings }
        } else {
            Verdict::Approve { notes: Vec::new() }
        };
        if self.rng.chance(30) {
            protected.clear();
        }
        let proposals = if self.strikes(Fault::Proposes, 20) {
            vec![self.proposed()]
        } else {
            Vec::new()
        };
        Outcome::Verdict {
            verdict,
            read: Vec::new(),
            protected,
            proposals,
            lessons: Vec::new(),
        }
    }
}
