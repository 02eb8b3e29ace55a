//! Owns what checks show in a world: what is really red on a branch, and the faults on top of it.

use std::collections::BTreeSet;

use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict};
use turno_core::command::CheckStart;
use turno_core::event::Event;
use turno_core::ids::{CheckName, CommitId, TaskId, TreeId};
use turno_core::task::{ChangeKind, Stage};
use turno_core::units::Span;

use super::super::cast::log;
use super::super::plan::{Fault, Mode};
use super::{Fate, World};

impl World {
    pub(super) fn run_checks(&mut self, start: &CheckStart) {
        let kind = match &self.state.tasks[&start.task].stage {
            Stage::Checking { change, .. } => Some((change.tree.clone(), change.kind.clone())),
            _ => None,
        };
        let (report, without) = match kind {
            None => {
                self.tally.count("surveys");
                let tree = self.tree();
                (self.survey(start, &tree), None)
            }
            Some((tree, ChangeKind::TestsFirst)) => {
                self.tally.count("tests first");
                let red = !self.strikes(Fault::ProvesNothing, 40);
                let report = if red {
                    self.all(&start.commit, &tree, &start.checks, &failed())
                } else {
                    self.report(start, &tree)
                };
                (report, None)
            }
            Some((tree, _)) => {
                let report = self.report(start, &tree);
                let without = start.new_tests.as_ref().map(|new| {
                    self.tally.count("new tests shown");
                    let tree = self.tree();
                    let shown = if self.strikes(Fault::ProvesNothing, 40) {
                        self.tally.count("new tests prove nothing");
                        CheckVerdict::Pass
                    } else {
                        failed()
                    };
                    self.all(&new.base, &tree, &start.checks, &shown)
                });
                (report, without)
            }
        };
        let red: Vec<Check> = start
            .checks
            .iter()
            .filter(|c| {
                report
                    .results
                    .iter()
                    .any(|r| r.check == c.name && r.verdict == failed())
            })
            .cloned()
            .collect();
        let on_base = start.base.as_ref().filter(|_| !red.is_empty()).map(|base| {
            let tree = self.tree();
            let shown = if self.rng.chance(40) {
                self.tally.count("red without the change");
                failed()
            } else {
                CheckVerdict::Pass
            };
            self.all(base, &tree, &red, &shown)
        });
        let event = Event::ChecksEnded {
            attempt: start.attempt,
            report,
            without,
            on_base,
        };
        self.later(50, start.attempt, Fate::End(event));
    }

    /// What is red on an issue's branch before anybody works on it.
    fn broken_in(&mut self, task: TaskId, checks: &[Check]) -> BTreeSet<CheckName> {
        if self.plan.mode != Mode::Repair {
            return BTreeSet::new();
        }
        if !self.broken.contains_key(&task.issue) {
            let red = checks
                .iter()
                .filter(|_| self.rng.chance(60))
                .map(|c| c.name.clone());
            let red = red.collect();
            self.broken.insert(task.issue, red);
        }
        self.broken[&task.issue].clone()
    }

    fn survey(&mut self, start: &CheckStart, tree: &TreeId) -> CheckReport {
        let broken = self.broken_in(start.task, &start.checks);
        let mut report = self.all(&start.commit, tree, &start.checks, &CheckVerdict::Pass);
        let one_place = self.rng.chance(50);
        for result in &mut report.results {
            if broken.contains(&result.check) {
                let place = if one_place {
                    "src/a.rs"
                } else {
                    result.check.as_str()
                };
                result.verdict = CheckVerdict::Fail {
                    extract: format!("{place}.rs:7: it fails"),
                };
            } else if self.rng.chance(10) {
                result.verdict = CheckVerdict::Flaky;
            }
        }
        if self.strikes(Fault::CannotCheck, 10) {
            return self.all(&start.commit, tree, &start.checks, &could_not());
        }
        report
    }

    fn report(&mut self, start: &CheckStart, tree: &TreeId) -> CheckReport {
        let mut broken = self.broken_in(start.task, &start.checks);
        let mends = !self.strikes(Fault::StillRed, 40);
        if mends {
            let repairs = &self.state.tasks[&start.task].spec.repairs;
            broken.retain(|c| !repairs.contains(c));
        }
        if self.strikes(Fault::RedChecks, 30) {
            return self.all(&start.commit, tree, &start.checks, &failed());
        }
        if self.strikes(Fault::CannotCheck, 10) {
            return self.all(&start.commit, tree, &start.checks, &could_not());
        }
        // Sometimes of another tree: such a report is worth nothing.
        let tree = if self.strikes(Fault::CannotCheck, 5) {
            self.tree()
        } else {
            tree.clone()
        };
        let mut report = self.all(&start.commit, &tree, &start.checks, &CheckVerdict::Pass);
        for result in &mut report.results {
            if broken.contains(&result.check) {
                self.tally.count("red that was known or not mended");
                result.verdict = failed();
            }
        }
        report
    }

    pub(super) fn all(
        &self,
        commit: &CommitId,
        tree: &TreeId,
        checks: &[Check],
        verdict: &CheckVerdict,
    ) -> CheckReport {
        let result = |check: &Check| CheckResult {
            command: check.command.clone(),
            within: check.within.clone(),
            check: check.name.clone(),
            verdict: verdict.clone(),
            took: Span(1),
            log: log(),
            source: turno_core::check::Source::Run,
        };
        CheckReport {
            commit: commit.clone(),
            tree: tree.clone(),
            results: checks.iter().map(result).collect(),
        }
    }
}

pub(super) fn failed() -> CheckVerdict {
    CheckVerdict::Fail {
        extract: "assertion failed".to_owned(),
    }
}

pub(super) fn could_not() -> CheckVerdict {
    CheckVerdict::CouldNotRun {
        why: "gone".to_owned(),
    }
}
