//! Owns the checks of a change: their start in the writer's slot, and what their report leads to.

use super::Turn;
use super::retry::go_on;
use crate::check::{CheckReport, CheckVerdict, ReportVerdict};
use crate::command::{CheckStart, Command};
use crate::failure::{Cause, Failure};
use crate::ids::{AttemptId, SlotId, TaskId};
use crate::policy::{ReviewRule, UncheckedRule};
use crate::shift::ShiftStage;
use crate::task::{
    Approved, Because, Change, Consent, Progress, Proof, Proven, Stage, StopWhy, Stopping, Work,
    checks_deadline,
};

impl Turn<'_> {
    /// Runs the checks in a slot the task holds already, or queues them when the shift winds down.
    pub(super) fn check_in(&mut self, id: TaskId, change: Change, slot: SlotId) {
        let running = self
            .state
            .shift()
            .is_some_and(|s| s.stage == ShiftStage::Running && s.issues.contains(&id.issue));
        let config = self.state.config.clone();
        let (Some(config), true) = (config, running) else {
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
        let run = self.new_run(checks_deadline(config.checks.iter().map(|c| c.timeout), reruns));
        self.commands.push(Command::RunChecks(Box::new(CheckStart {
            attempt: run.attempt,
            task: id,
            slot,
            commit: change.commit.clone(),
            checks: config.checks.clone(),
            reruns,
        })));
        if let Some(task) = self.task(id) {
            task.stage = Stage::Checking { change, slot, run };
            task.last_slot = Some(slot);
        }
    }

    pub(super) fn checks_ended(&mut self, attempt: AttemptId, report: &CheckReport) {
        let Some(task) = self.task_of(attempt) else { return };
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
        match report.verdict() {
            ReportVerdict::Green if !self.covered(report) => {
                let failure = Failure::new(Cause::CouldNotCheck, "not every check was run");
                self.retry(task.id, Work::Check(change), &failure);
            }
            ReportVerdict::Green => self.proven(
                task.id,
                Proven {
                    change,
                    proof: Proof::Checked(report.clone()),
                },
            ),
            ReportVerdict::Red => self.red(task.id, &change, report),
            ReportVerdict::Unknown => match run.stopping {
                Stopping::Asked { why, .. } => self.stopped(task.id, why, Work::Check(change)),
                Stopping::No => {
                    let failure = Failure::new(Cause::CouldNotCheck, summary(report));
                    self.retry(task.id, Work::Check(change), &failure);
                }
            },
        }
    }

    fn covered(&self, report: &CheckReport) -> bool {
        self.state
            .config
            .as_ref()
            .is_some_and(|c| report.covers(&c.checks))
    }

    /// Work as the configuration of now sees it: a proof by other checks, or a consent that is not enough any
    /// more, is no proof and no consent.
    pub(super) fn held_to_now(&self, work: Work) -> Work {
        let Some(config) = &self.state.config else {
            return work;
        };
        let proven = match &work {
            Work::Review(proven) | Work::Land(Approved { proven, .. }) => proven,
            Work::Write(_) | Work::Check(_) => return work,
        };
        let holds = match &proven.proof {
            Proof::Checked(report) => report.covers(&config.checks),
            Proof::NoChecks => {
                config.checks.is_empty() && config.policy.unchecked == UncheckedRule::LandOnReview
            }
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
        work
    }

    /// Red checks go back to the writer with their output.
    pub(super) fn red(&mut self, id: TaskId, change: &Change, report: &CheckReport) {
        let failing: Vec<_> = report.failing().cloned().collect();
        let progress = Progress {
            tree: report.tree.clone(),
            failing: failing.iter().map(|r| r.check.clone()).collect(),
            findings: std::collections::BTreeSet::new(),
        };
        let failure = Failure::new(Cause::ChecksFailed, summary(report));
        self.send_back(
            id,
            go_on(change, Because::ChecksFailed { failing }),
            &failure,
            progress,
        );
    }

    /// A proven change waits for a reviewer, or for landing where none is asked for.
    pub(super) fn proven(&mut self, id: TaskId, proven: Proven) {
        let review = self
            .state
            .config
            .as_ref()
            .map_or(ReviewRule::Required, |c| c.policy.review);
        let work = match review {
            ReviewRule::Required => Work::Review(proven),
            ReviewRule::Off => Work::Land(Approved {
                proven,
                consent: Consent::Waived,
            }),
        };
        let since = self.now;
        self.set_stage(id, Stage::Ready { work, since });
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
