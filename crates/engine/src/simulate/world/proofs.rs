//! Owns what checks and landings show in a simulated night.

use std::collections::BTreeSet;

use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict, Source};
use turno_core::command::{CheckStart, LandStart};
use turno_core::event::{Event, LandingEnd, OthersEnd, Refused, TogetherEnd};
use turno_core::ids::{CheckName, CommitId, TaskId, TreeId};
use turno_core::task::{ChangeKind, Stage};
use turno_core::train::{Red, Stands};
use turno_core::units::Span;
use turno_core::view::StageName;

use super::super::Stuck;
use super::super::forecast::Lane;
use super::super::odds::NightLanding;
use super::kin::Which;
use super::words::{lane, no_log};
use super::{Fate, Kind, World};

/// What the checks show of one thing.
enum Shown {
    Green,
    Red(BTreeSet<CheckName>),
    Nothing,
}

impl World<'_> {
    pub(super) fn run_checks(&mut self, start: &CheckStart) -> Result<(), Stuck> {
        let attempt = start.attempt;
        let (slot, stage) = (lane(start.slot), StageName::Checking);
        self.begin(attempt, slot, Kind::Plain, stage, start.task);
        let task = self.state.tasks.get(&start.task).cloned();
        let change = task.as_ref().and_then(|t| match &t.stage {
            Stage::Checking { change, .. } => Some((change.tree.clone(), change.kind.clone())),
            _ => None,
        });
        let repairs = task.map(|t| t.spec.repairs.clone()).unwrap_or_default();
        let mut takes = self.time_of(&start.checks);
        let each = Span(takes.0 / (start.checks.len().max(1) as u64));
        let (tree, shown, without) = match change {
            None => {
                let broken = self.broken_in(start.task, &start.checks);
                (self.tree()?, red_or_green(broken), None)
            }
            Some((tree, ChangeKind::TestsFirst)) => {
                let all = start.checks.iter().map(|c| c.name.clone()).collect();
                let shown = if self.dice.happens(self.model.proves_nothing) {
                    Shown::Green
                } else {
                    Shown::Red(all)
                };
                (tree, shown, None)
            }
            Some((tree, ChangeKind::Written | ChangeKind::Tested { .. })) => {
                let broken = self.broken_in(start.task, &start.checks);
                let others = broken.difference(&repairs).cloned();
                let shown = self.of_change(start.task, &start.checks, others.collect());
                let without = match &start.new_tests {
                    Some(new) => {
                        takes = Span(takes.0.saturating_mul(2));
                        let red = if self.dice.happens(self.model.proves_nothing) {
                            Shown::Green
                        } else {
                            Shown::Red(start.checks.iter().map(|c| c.name.clone()).collect())
                        };
                        let tree = self.tree()?;
                        Some(report(&new.base, &tree, &start.checks, &red, each))
                    }
                    None => None,
                };
                (tree, shown, without)
            }
        };
        let on_base = match (&start.base, &shown) {
            (Some(base), Shown::Red(_)) => {
                let before = self.broken_in(start.task, &start.checks);
                let tree = self.tree()?;
                Some(report(base, &tree, &start.checks, &red_or_green(before), each))
            }
            (_, Shown::Green | Shown::Nothing) | (None, Shown::Red(_)) => None,
        };
        let report = report(&start.commit, &tree, &start.checks, &shown, each);
        let event = Event::ChecksEnded {
            attempt,
            report,
            without,
            on_base,
        };
        self.later(takes, Fate::End(attempt, Box::new(event)));
        Ok(())
    }

    fn time_of(&mut self, checks: &[Check]) -> Span {
        let mut sum = 0_u64;
        for check in checks {
            if let Some((_, night)) = self.odds.check(&check.name) {
                let takes = night.takes.span(&mut self.dice).0.min(check.timeout.0);
                sum = sum.saturating_add(takes);
            }
        }
        Span(sum.max(1))
    }

    /// What is red on an issue's branch before anybody works, where mending that is the work.
    fn broken_in(&mut self, task: TaskId, checks: &[Check]) -> BTreeSet<CheckName> {
        if !self.job.repairs {
            return BTreeSet::new();
        }
        if let Some(broken) = self.broken.get(&task.issue) {
            return broken.clone();
        }
        let mut broken = BTreeSet::new();
        for check in checks {
            if self.dice.happens(self.model.broken) {
                broken.insert(check.name.clone());
            }
        }
        // Somebody repairs because something is red.
        if let (true, Some(check)) = (broken.is_empty(), checks.get(self.dice.below(checks.len()))) {
            broken.insert(check.name.clone());
        }
        self.broken.insert(task.issue, broken.clone());
        broken
    }

    fn of_change(&mut self, task: TaskId, checks: &[Check], mut red: BTreeSet<CheckName>) -> Shown {
        if self.dice.happens(self.model.cannot_run) {
            return Shown::Nothing;
        }
        let mut unknown = Vec::new();
        for check in checks {
            let known = self.odds.check(&check.name);
            match known.and_then(|(place, c)| c.red.map(|red| (place, red))) {
                Some((place, chance)) => {
                    if self.is_red(task, Which::Known(place), chance) {
                        red.insert(check.name.clone());
                    }
                }
                None => unknown.push(&check.name),
            }
        }
        if !unknown.is_empty() && self.is_red(task, Which::Others, self.odds.red) {
            let one = self.dice.below(unknown.len());
            red.extend(unknown.get(one).map(|c| (*c).clone()));
        }
        red_or_green(red)
    }

    pub(super) fn land(&mut self, start: &LandStart) -> Result<(), Stuck> {
        let attempt = start.attempt;
        let stage = StageName::Landing;
        self.begin(attempt, Lane::Landing, Kind::Plain, stage, start.task);
        let moved = start.approved.proven.change.base != start.head;
        let takes = match self.odds.landing {
            NightLanding::Whole(settled) => settled.span(&mut self.dice),
            NightLanding::AndChecks(settled) => {
                let git = settled.span(&mut self.dice);
                let checks = if moved || !start.with.is_empty() {
                    self.time_of(&start.checks)
                } else {
                    Span(0)
                };
                Span(git.0.saturating_add(checks.0))
            }
        };
        let end = if start.with.is_empty() {
            self.land_alone(start, moved)?
        } else {
            self.land_together(start, moved)?
        };
        let event = Event::LandingEnded { attempt, end };
        self.later(takes, Fate::End(attempt, Box::new(event)));
        Ok(())
    }

    fn land_alone(&mut self, start: &LandStart, moved: bool) -> Result<LandingEnd, Stuck> {
        let head = start.head.clone();
        if moved && self.dice.happens(self.odds.conflict) {
            let hunks = Vec::new();
            return Ok(LandingEnd::Conflict { hunks, head });
        }
        let commit = self.commit()?;
        if moved && self.dice.happens(self.odds.red_together) {
            let report = self.red_report(&commit, &start.checks)?;
            return Ok(LandingEnd::NotGreen {
                rebased: commit,
                head,
                report,
            });
        }
        self.mended(start.task);
        Ok(LandingEnd::Landed { commit })
    }

    fn land_together(&mut self, start: &LandStart, moved: bool) -> Result<LandingEnd, Stuck> {
        let tasks = std::iter::once(start.task).chain(start.with.iter().map(|p| p.task));
        let mut at = start.head.clone();
        let mut moved = moved;
        let (mut refused, mut members) = (Vec::new(), Vec::new());
        for task in tasks {
            if moved && self.dice.happens(self.odds.conflict) {
                let hunks = Vec::new();
                refused.push(Refused { task, hunks });
                continue;
            }
            let commit = self.commit()?;
            let onto = std::mem::replace(&mut at, commit.clone());
            members.push(Stands { task, commit, onto });
            // Whoever comes next stands on something that it was not begun from.
            moved = true;
        }
        let others = if members.is_empty() {
            OthersEnd::None
        } else if self.dice.happens(self.odds.red_together) {
            let report = self.red_report(&at, &start.checks)?;
            OthersEnd::NotGreen {
                red: Red { members, report },
            }
        } else {
            for member in &members {
                self.mended(member.task);
            }
            OthersEnd::Landed { members, head: at }
        };
        let head = start.head.clone();
        Ok(LandingEnd::Together(TogetherEnd {
            refused,
            head,
            others,
        }))
    }

    fn red_report(&mut self, commit: &CommitId, checks: &[Check]) -> Result<CheckReport, Stuck> {
        let one = self.dice.below(checks.len());
        let red: BTreeSet<CheckName> = checks.get(one).map(|c| c.name.clone()).into_iter().collect();
        let tree = self.tree()?;
        Ok(report(commit, &tree, checks, &Shown::Red(red), Span(1)))
    }

    fn mended(&mut self, task: TaskId) {
        if let (Some(broken), Some(task)) = (self.broken.get_mut(&task.issue), self.state.tasks.get(&task)) {
            broken.retain(|c| !task.spec.repairs.contains(c));
        }
    }
}

fn red_or_green(red: BTreeSet<CheckName>) -> Shown {
    if red.is_empty() {
        Shown::Green
    } else {
        Shown::Red(red)
    }
}

/// What the checks show, each of which took so long.
fn report(commit: &CommitId, tree: &TreeId, checks: &[Check], shown: &Shown, took: Span) -> CheckReport {
    let verdict = |check: &Check| match shown {
        Shown::Green => CheckVerdict::Pass,
        Shown::Red(red) if red.contains(&check.name) => CheckVerdict::Fail {
            extract: "simulated".to_owned(),
        },
        Shown::Red(_) => CheckVerdict::Pass,
        Shown::Nothing => CheckVerdict::CouldNotRun {
            why: "simulated".to_owned(),
        },
    };
    let result = |check: &Check| CheckResult {
        check: check.name.clone(),
        command: check.command.clone(),
        within: check.within.clone(),
        verdict: verdict(check),
        took,
        log: no_log(),
        source: Source::Run,
    };
    CheckReport {
        commit: commit.clone(),
        tree: tree.clone(),
        results: checks.iter().map(result).collect(),
    }
}
