//! Owns repairs: the checks run on the integration branch, and each one that fails becomes a task. It ends when they
//! are green there, or when nothing more can be tried.

use std::collections::{BTreeMap, BTreeSet};

use super::Turn;
use super::checking::summary;
use super::fill::{Slots, pick_slot};
use crate::check::{CheckReport, CheckResult, CheckVerdict, ReportVerdict};
use crate::command::{CheckStart, Command, Recall};
use crate::failure::{Cause, Failure};
use crate::ids::{CheckName, IssueId, TaskId};
use crate::issue::{PlanLog, Split};
use crate::task::{
    Because, Park, Run, Stage, StartFrom, StopWhy, Stopping, TaskSpec, Work, WriteJob, checks_deadline,
};

impl Turn<'_> {
    /// `false` when it could not be started.
    pub(super) fn start_survey(&mut self, id: TaskId) -> bool {
        let Some(config) = self.state.config.clone() else {
            return false;
        };
        let Some(issue) = self.state.issues.get(&id.issue).cloned() else {
            return false;
        };
        let Some((_, head)) = issue.integration() else {
            return false;
        };
        let checks = config.checks_of(&issue.draft.repo).to_vec();
        if checks.is_empty() {
            let (work, park) = (Work::Survey, Park::NoChecks);
            self.set_stage(id, Stage::Parked { work, park });
            return true;
        }
        let slot = self
            .state
            .tasks
            .get(&id)
            .and_then(|task| pick_slot(self.state, &Slots::of(self.state), task).ok());
        let Some(slot) = slot else { return false };
        // Here flakiness is the question, so there is always another run.
        let reruns = config.policy.check_reruns.max(1);
        let run = self.new_run(checks_deadline(checks.iter().map(|c| c.timeout), reruns));
        self.commands.push(Command::RunChecks(Box::new(CheckStart {
            attempt: run.attempt,
            task: id,
            repo: issue.draft.repo.clone(),
            slot,
            commit: head.clone(),
            checks,
            reruns,
            new_tests: None,
            base: None,
            recall: Recall::Never,
        })));
        if let Some(task) = self.task(id) {
            let commit = head.clone();
            task.stage = Stage::Surveying { commit, slot, run };
            task.last_slot = Some(slot);
        }
        true
    }

    pub(super) fn surveyed(&mut self, id: TaskId, run: &Run, report: &CheckReport) {
        if let Stopping::Asked {
            why: why @ StopWhy::Discarded,
            ..
        } = run.stopping
        {
            return self.stopped(id, why, Work::Survey);
        }
        if let Some(issue) = self.issue(id.issue) {
            let flaky = report.results.iter().filter(|r| r.verdict == CheckVerdict::Flaky);
            issue.plan.flaky.extend(flaky.map(|r| r.check.clone()));
        }
        let unknown = || Failure::new(Cause::CouldNotCheck, summary(report));
        match (report.verdict(), &run.stopping) {
            (ReportVerdict::Unknown, Stopping::Asked { why, .. }) => self.stopped(id, *why, Work::Survey),
            (ReportVerdict::Unknown, Stopping::No) => self.retry(id, Work::Survey, &unknown()),
            (ReportVerdict::Green, _) => {
                if let Some(issue) = self.issue(id.issue) {
                    issue.plan.red.clear();
                }
                let (commit, at) = (report.commit.clone(), self.now);
                self.set_stage(id, Stage::Accepted { commit, at });
            }
            (ReportVerdict::Red, _) => self.repair(id, report),
        }
    }

    fn repair(&mut self, id: TaskId, report: &CheckReport) {
        let caps = self
            .state
            .config
            .as_ref()
            .map_or_else(Default::default, |c| c.policy.caps);
        let at = self.now;
        let Some(issue) = self.issue(id.issue) else { return };
        issue.plan.red = report.failing().map(|r| r.check.clone()).collect();
        issue.plan.surveyed = issue.plan.red.clone();
        let wanted = |check: &CheckName| match &issue.draft.split {
            Split::Checks(only) => only.is_empty() || only.contains(check),
            Split::ByPolicy | Split::Candidates(_) | Split::Items(_) => true,
        };
        let failing: Vec<CheckResult> = report.failing().filter(|r| wanted(&r.check)).cloned().collect();
        if failing.is_empty() {
            let commit = report.commit.clone();
            return self.set_stage(id, Stage::Accepted { commit, at });
        }
        if issue.plan.rounds > caps.rounds {
            let missing = failing
                .iter()
                .map(|r| format!("{} is still red", r.check))
                .collect();
            let park = Park::NotAccepted { missing };
            return self.set_stage(
                id,
                Stage::Parked {
                    work: Work::Survey,
                    park,
                },
            );
        }
        issue.plan.rounds += 1;
        self.add_repairs(id.issue, failing);
        self.set_stage(id, Stage::Blocked);
    }

    /// Makes tasks of checks that are red on the integration branch.
    pub(super) fn add_repairs(&mut self, issue: IssueId, failing: Vec<CheckResult>) {
        let since = self.now;
        for group in grouped(failing) {
            let names: Vec<String> = group.iter().map(|r| format!("`{}`", r.check)).collect();
            let names = names.join(" and ");
            let spec = TaskSpec {
                title: format!("Make {names} pass again"),
                brief: format!(
                    "{names} {} red on this branch. Find the cause and mend it. Weakening, skipping or deleting \
                     the check, or a test it runs, is no repair.",
                    if group.len() == 1 { "is" } else { "are" }
                ),
                acceptance: group.iter().map(|r| format!("`{}` passes", r.command)).collect(),
                repairs: group.iter().map(|r| r.check.clone()).collect(),
                ..TaskSpec::default()
            };
            let work = Work::Write(WriteJob {
                from: StartFrom::Head,
                because: Because::ChecksFailed {
                    failing: group,
                    beside: Vec::new(),
                },
            });
            self.add_task(issue, spec, Stage::Ready { work, since });
        }
    }

    /// Checks that are red on the integration branch for reasons that are not this task's to mend.
    pub(super) fn known_red_at_head(&self, id: TaskId) -> BTreeSet<CheckName> {
        self.not_its_own(id, |plan| &plan.red)
    }

    /// The same for a change, which may have been begun before others' repairs landed.
    pub(super) fn known_red_in_change(&self, id: TaskId) -> BTreeSet<CheckName> {
        self.not_its_own(id, |plan| &plan.surveyed)
    }

    fn not_its_own(&self, id: TaskId, of: impl Fn(&PlanLog) -> &BTreeSet<CheckName>) -> BTreeSet<CheckName> {
        let (Some(issue), Some(task)) = (self.state.issues.get(&id.issue), self.state.tasks.get(&id)) else {
            return BTreeSet::new();
        };
        of(&issue.plan).difference(&task.spec.repairs).cloned().collect()
    }
}

/// Failures that name the same place first have one cause, as far as can be told.
fn grouped(failing: Vec<CheckResult>) -> Vec<Vec<CheckResult>> {
    let mut groups: Vec<Vec<CheckResult>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for result in failing {
        let place = match &result.verdict {
            CheckVerdict::Fail { extract } => first_place(extract),
            CheckVerdict::Pass | CheckVerdict::Flaky | CheckVerdict::CouldNotRun { .. } => None,
        };
        match place
            .as_ref()
            .and_then(|p| places.get(p))
            .and_then(|at| groups.get_mut(*at))
        {
            Some(group) => group.push(result),
            None => {
                if let Some(place) = place {
                    places.insert(place, groups.len());
                }
                groups.push(vec![result]);
            }
        }
    }
    groups
}

/// The first `path:line` of an output.
fn first_place(extract: &str) -> Option<String> {
    extract
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'' | ','))
        .find_map(|word| {
            let (path, rest) = word.split_once(':')?;
            let line: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (path.contains('.') && !line.is_empty()).then(|| format!("{path}:{line}"))
        })
}
