//! Owns the checks of a change: their start in the writer's slot, and what their report leads to.

use std::collections::BTreeSet;

use super::Turn;
use super::brief::is_tested;
use super::retry::go_on;
use super::rooms::no_room;
use crate::check::{Check, CheckReport, CheckResult, CheckVerdict, ReportVerdict};
use crate::command::{CheckStart, Command, NewTests, Recall};
use crate::failure::{Cause, Failure};
use crate::ids::{AttemptId, CheckName, RepoName, SlotId, TaskId};
use crate::persona::Role;
use crate::policy::{NewTestsRule, RedBaseRule, ReviewRule, TestRule, UncheckedRule};
use crate::shift::ShiftStage;
use crate::task::{
    Approved, Because, Change, ChangeKind, Consent, Frozen, Neighbour, Park, Progress, Proof, Proven, Run,
    Stage, StartFrom, StopWhy, Stopping, Work, WriteJob, WriterSession, checks_deadline,
};

impl Turn<'_> {
    /// Runs the checks in a slot the task holds already, or queues them when the shift starts nothing.
    pub(super) fn check_in(&mut self, id: TaskId, change: Change, slot: SlotId) {
        let running = self
            .state
            .shift()
            .is_some_and(|s| s.stage == ShiftStage::Running && s.issues.contains(&id.issue))
            && no_room(self.state).is_none()
            && self.state.tasks.get(&id).is_some_and(|t| t.hold.is_free());
        let config = self.state.config.clone();
        let checks = self.checks_for(id);
        let repo = self.repo_of(id);
        let (Some(config), true) = (config, running && !checks.is_empty()) else {
            let since = self.now;
            return self.set_stage(
                id,
                Stage::Ready {
                    work: Work::Check(change),
                    since,
                },
            );
        };
        let reruns = config.policy.check_reruns;
        let new_tests = new_tests(&change, config.policy.new_tests);
        let base = match config.policy.red_base {
            RedBaseRule::Writer => None,
            RedBaseRule::Block | RedBaseRule::Task => Some(change.base.clone()),
        };
        let more = u8::from(new_tests.is_some()).saturating_add(u8::from(base.is_some()));
        let passes = reruns.saturating_add(more);
        let run = self.new_run(checks_deadline(checks.iter().map(|c| c.timeout), passes));
        self.commands.push(Command::RunChecks(Box::new(CheckStart {
            attempt: run.attempt,
            task: id,
            repo,
            slot,
            commit: change.commit.clone(),
            checks,
            reruns,
            new_tests,
            base,
            recall: Recall::Allowed,
        })));
        if let Some(task) = self.task(id) {
            task.stage = Stage::Checking { change, slot, run };
            task.last_slot = Some(slot);
        }
    }

    pub(super) fn checks_for(&self, id: TaskId) -> Vec<Check> {
        let config = self.state.config.as_ref();
        config.map_or_else(Vec::new, |c| c.checks_of(&self.repo_of(id)).to_vec())
    }

    pub(super) fn repo_of(&self, id: TaskId) -> RepoName {
        let issue = self.state.issues.get(&id.issue);
        issue.map_or_else(RepoName::default, |i| i.draft.repo.clone())
    }

    pub(super) fn checks_ended(
        &mut self,
        attempt: AttemptId,
        report: &CheckReport,
        without: Option<&CheckReport>,
        on_base: Option<&CheckReport>,
    ) {
        let Some(task) = self.task_of(attempt) else { return };
        if let Stage::Surveying { run, .. } = &task.stage {
            return self.surveyed(task.id, run, report);
        }
        let Stage::Checking { change, run, .. } = task.stage else {
            return;
        };
        if let Stopping::Asked {
            why: StopWhy::Discarded,
            ..
        } = run.stopping
        {
            return self.stopped(task.id, StopWhy::Discarded, Work::Check(change));
        }
        if report.tree != change.tree {
            let detail = format!(
                "the checks ran at tree {}, the change is {}",
                report.tree, change.tree
            );
            return self.retry(
                task.id,
                Work::Check(change),
                &Failure::new(Cause::CouldNotCheck, detail),
            );
        }
        if change.kind == ChangeKind::TestsFirst {
            return self.tests_checked(task.id, change, &run, report);
        }
        let mut known_red = self.known_red_in_change(task.id);
        if let Some(on_base) = on_base {
            match self.red_without(task.id, &change, report, on_base, &known_red) {
                RedBase::Nothing => {}
                RedBase::Known(known) => known_red = known,
                RedBase::Parked => return,
            }
        }
        match report.verdict_despite(&known_red) {
            ReportVerdict::Green if !self.covered(task.id, report) => {
                let failure = Failure::new(Cause::CouldNotCheck, "not every check was run");
                self.retry(task.id, Work::Check(change), &failure);
            }
            ReportVerdict::Green => {
                let proven = Proven {
                    change,
                    proof: Proof::Checked(report.clone()),
                };
                // Where it was asked for, new tests must have failed without the change.
                match without {
                    Some(without) if !shows_more(report, without) => self.prove_nothing(task.id, proven),
                    Some(_) | None => self.proven(task.id, proven),
                }
            }
            ReportVerdict::Red => self.red(task.id, &change, report, &known_red, Vec::new()),
            ReportVerdict::Unknown => match run.stopping {
                Stopping::Asked { why, .. } => self.stopped(task.id, why, Work::Check(change)),
                Stopping::No => {
                    let failure = Failure::new(Cause::CouldNotCheck, summary(report));
                    self.retry(task.id, Work::Check(change), &failure);
                }
            },
        }
    }

    /// What of a red report is red without the change too, and what the policy makes of it.
    fn red_without(
        &mut self,
        id: TaskId,
        change: &Change,
        report: &CheckReport,
        on_base: &CheckReport,
        known: &BTreeSet<CheckName>,
    ) -> RedBase {
        let repairs = self
            .state
            .tasks
            .get(&id)
            .map(|t| t.spec.repairs.clone())
            .unwrap_or_default();
        let fails = |r: &&CheckResult| matches!(r.verdict, CheckVerdict::Fail { .. });
        let own: BTreeSet<CheckName> = report
            .results
            .iter()
            .filter(fails)
            .map(|r| r.check.clone())
            .filter(|c| !known.contains(c) && !repairs.contains(c))
            .collect();
        let there: Vec<CheckResult> = on_base
            .results
            .iter()
            .filter(fails)
            .filter(|r| own.contains(&r.check))
            .cloned()
            .collect();
        let checks: BTreeSet<CheckName> = there.iter().map(|r| r.check.clone()).collect();
        let rule = self
            .state
            .config
            .as_ref()
            .map_or(RedBaseRule::Writer, |c| c.policy.red_base);
        let known_now = || RedBase::Known(known.union(&checks).cloned().collect());
        match rule {
            _ if checks.is_empty() => RedBase::Nothing,
            RedBaseRule::Writer => RedBase::Nothing,
            RedBaseRule::Block if checks == own => {
                let park = Park::RedBase {
                    checks,
                    base: change.base.clone(),
                };
                let work = Work::Check(change.clone());
                self.set_stage(id, Stage::Parked { work, park });
                RedBase::Parked
            }
            // What is its own comes first.
            RedBaseRule::Block => known_now(),
            RedBaseRule::Task => {
                let known = known_now();
                if let Some(issue) = self.issue(id.issue) {
                    issue.plan.red.extend(checks.iter().cloned());
                    issue.plan.surveyed.extend(checks);
                }
                self.add_repairs(id.issue, there);
                known
            }
        }
    }

    fn covered(&self, id: TaskId, report: &CheckReport) -> bool {
        let checks = self.checks_for(id);
        !checks.is_empty() && report.covers(&checks)
    }

    /// Tests that were written first: red is what they are for.
    fn tests_checked(&mut self, id: TaskId, change: Change, run: &Run, report: &CheckReport) {
        let failing: Vec<_> = report.failing().cloned().collect();
        let since = self.now;
        match (report.verdict(), &run.stopping) {
            (ReportVerdict::Red, _) => {
                let from = StartFrom::Commit {
                    commit: change.commit.clone(),
                    base: change.base.clone(),
                };
                let because = Because::MakePass {
                    frozen: change.paths.clone(),
                    failing,
                };
                let work = Work::Write(WriteJob { from, because });
                if let Some(task) = self.task(id) {
                    task.frozen = Some(Frozen {
                        commit: change.commit,
                        paths: change.paths,
                    });
                    task.session = WriterSession::Fresh;
                    task.stage = Stage::Ready { work, since };
                }
            }
            (ReportVerdict::Green, _) => {
                let failure =
                    Failure::new(Cause::TestsProveNothing, "the tests pass before the work is done");
                let job = go_on(&change, Because::TestsPassAlready);
                self.retry(id, Work::Write(job), &failure);
            }
            (ReportVerdict::Unknown, Stopping::Asked { why, .. }) => {
                self.stopped(id, *why, Work::Check(change));
            }
            (ReportVerdict::Unknown, Stopping::No) => {
                let failure = Failure::new(Cause::CouldNotCheck, summary(report));
                self.retry(id, Work::Check(change), &failure);
            }
        }
    }

    /// Work as the configuration of now sees it: a proof by other checks, or a consent that is not enough any
    /// more, is no proof and no consent.
    pub(super) fn held_to_now(&self, id: TaskId, work: Work) -> Work {
        let Some(config) = &self.state.config else {
            return work;
        };
        let checks = self.checks_for(id);
        let proven = match &work {
            Work::Test(proven)
            | Work::Review(proven)
            | Work::Compare(proven)
            | Work::Land(Approved { proven, .. }) => proven,
            Work::Write(WriteJob {
                from,
                because: Because::TestsFirst | Because::TestsPassAlready,
            }) if config.policy.tests != TestRule::First => {
                return Work::Write(WriteJob {
                    from: from.clone(),
                    because: Because::New,
                });
            }
            Work::Write(_) | Work::Check(_) | Work::Survey | Work::Plan(_) | Work::Try | Work::Accept(_) => {
                return work;
            }
        };
        let holds = match &proven.proof {
            Proof::Checked(report) => !checks.is_empty() && report.covers(&checks),
            Proof::NoChecks => checks.is_empty() && config.policy.unchecked == UncheckedRule::LandOnReview,
        };
        if !holds {
            return Work::Check(proven.change.clone());
        }
        if let Work::Land(Approved {
            proven,
            consent: Consent::Waived,
        }) = &work
            && config.policy.review == ReviewRule::Required
        {
            return Work::Review(proven.clone());
        }
        // What is protected now may not have been when it was approved.
        if let Work::Land(Approved { proven, .. }) = &work
            && self.needs_word(proven)
        {
            return Work::Review(proven.clone());
        }
        work
    }

    /// Red checks go back to the writer with their output, and with what the change was integrated with.
    pub(super) fn red(
        &mut self,
        id: TaskId,
        change: &Change,
        report: &CheckReport,
        known: &BTreeSet<CheckName>,
        beside: Vec<Neighbour>,
    ) {
        let failing: Vec<_> = report
            .failing()
            .filter(|r| !known.contains(&r.check))
            .cloned()
            .collect();
        let progress = Progress {
            tree: report.tree.clone(),
            essence: change.essence.clone(),
            failing: failing.iter().map(|r| r.check.clone()).collect(),
            findings: BTreeSet::new(),
        };
        let failure = Failure::new(Cause::ChecksFailed, summary(report));
        self.send_back(
            id,
            go_on(change, Because::ChecksFailed { failing, beside }),
            &failure,
            progress,
        );
    }

    /// A proven change waits for a tester, for the candidates it competes with, for a reviewer, or for landing where
    /// none of these is asked for.
    pub(super) fn proven(&mut self, id: TaskId, proven: Proven) {
        let (Some(config), Some(task)) = (self.state.config.clone(), self.state.tasks.get(&id)) else {
            return;
        };
        let policy = &config.policy;
        let since = self.now;
        let wants_test = policy.tests == TestRule::EachChange
            && task.spec.writer == Role::Engineer
            && !is_tested(&proven.change.kind);
        if wants_test {
            let work = Work::Test(proven);
            return self.set_stage(id, Stage::Ready { work, since });
        }
        if task
            .spec
            .contest
            .is_some_and(|first| self.is_contested(first, id))
        {
            return self.set_stage(id, Stage::Entered { proven });
        }
        let work = self.consent_next(proven);
        self.set_stage(id, Stage::Ready { work, since });
    }

    /// Landing, or the review that is asked for before it.
    pub(super) fn consent_next(&self, proven: Proven) -> Work {
        let config = self.state.config.as_ref();
        match config.map_or(ReviewRule::Required, |c| c.policy.review) {
            ReviewRule::Off if !self.needs_word(&proven) => Work::Land(Approved {
                proven,
                consent: Consent::Waived,
            }),
            ReviewRule::Required | ReviewRule::Off => Work::Review(proven),
        }
    }

    /// Whether other candidates are still in the contest.
    fn is_contested(&self, first: TaskId, id: TaskId) -> bool {
        self.state
            .tasks_of(id.issue)
            .any(|t| t.id != id && t.spec.contest == Some(first) && !t.is_over())
    }
}

/// What follows from checks that are red without a change.
enum RedBase {
    /// Nothing: none is, or it is not looked at.
    Nothing,
    /// These do not count against it.
    Known(BTreeSet<CheckName>),
    /// The change waits for a person.
    Parked,
}

/// Whether a check that is green on the change is red without it. What is red with it as well shows nothing.
fn shows_more(with: &CheckReport, without: &CheckReport) -> bool {
    without
        .results
        .iter()
        .filter(|r| matches!(r.verdict, CheckVerdict::Fail { .. }))
        .any(|red| {
            with.results.iter().any(|r| {
                r.check == red.check && matches!(r.verdict, CheckVerdict::Pass | CheckVerdict::Flaky)
            })
        })
}

/// The tests of a change that must be seen to fail without it.
pub(super) fn new_tests(change: &Change, rule: NewTestsRule) -> Option<NewTests> {
    match (&change.kind, rule) {
        (ChangeKind::Tested { added, .. }, NewTestsRule::FailOnBase) if !added.is_empty() => Some(NewTests {
            base: change.base.clone(),
            paths: added.clone(),
        }),
        (ChangeKind::Tested { .. } | ChangeKind::Written | ChangeKind::TestsFirst, _) => None,
    }
}

/// One line on what was not green.
pub(super) fn summary(report: &CheckReport) -> String {
    let parts: Vec<String> = report
        .failing()
        .map(|r| match &r.verdict {
            CheckVerdict::CouldNotRun { why } => format!("{} could not be run: {why}", r.check),
            CheckVerdict::Pass | CheckVerdict::Flaky | CheckVerdict::Fail { .. } => {
                format!("{} failed", r.check)
            }
        })
        .collect();
    if parts.is_empty() {
        "no check was run".to_owned()
    } else {
        parts.join(", ")
    }
}
