//! Owns the tester's turn on a change: what it adds becomes part of the change, what it finds goes back to the writer.

use super::Turn;
use super::checking::new_tests;
use super::retry::go_on;
use super::writing::stop_asked;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::globs;
use crate::ids::TaskId;
use crate::outcome::{Finding, Outcome, Severity, Verdict};
use crate::policy::NewTestsRule;
use crate::task::{
    AgentRun, Because, Change, ChangeKind, Essence, Progress, Proven, Said, Stage, StopWhy, Work,
};

impl Turn<'_> {
    pub(super) fn tester_ended(
        &mut self,
        id: TaskId,
        proven: Proven,
        run: &AgentRun,
        end: &AgentEnd,
        left: &LeftBehind,
    ) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Test(proven));
        }
        if let LeftBehind::Commit { commit, paths, .. } = left
            && let Some(outside) = self.outside_tests(paths)
        {
            let detail = format!(
                "{outside} is no test; what it wrote is kept as {}",
                commit.short()
            );
            let failure = Failure::new(Cause::OutOfBounds, detail);
            return self.retry(id, Work::Test(proven), &failure);
        }
        match end {
            AgentEnd::Finished(Outcome::Verdict { verdict, .. }) if !says_nothing(verdict) => {
                let change = with_tests(&proven.change, run, left);
                let before = self.refused(&proven.change);
                if let Some(found) = self.refused(&change).iter().find(|g| !before.contains(g)) {
                    // What it wrote is kept and is no part of the change; it tries again without.
                    let failure = Failure::new(Cause::OutOfBounds, found.to_string());
                    return self.retry(id, Work::Test(proven), &failure);
                }
                let mut findings = self.reported(id, run);
                match verdict {
                    Verdict::Findings { findings: given } => findings.extend(given.iter().cloned()),
                    Verdict::Approve { .. } => {}
                }
                if findings.is_empty() {
                    self.tested(id, proven, change, run, left);
                } else {
                    self.broken(id, &change, run, findings);
                }
            }
            AgentEnd::Finished(other) => {
                let detail = format!(
                    "a verdict with findings or an approval was asked for, it returned {:?}",
                    other.kind()
                );
                self.retry(id, Work::Test(proven), &Failure::new(Cause::NoOutcome, detail));
            }
            AgentEnd::Asked(question) => self.asked(id, run, question, Work::Test(proven)),
            AgentEnd::Failed(failure) => match asked {
                Some(why) => self.stopped(id, why, Work::Test(proven)),
                None => self.retry(id, Work::Test(proven), failure),
            },
        }
    }

    /// The first path that is no test path. Without any globs nothing is one.
    pub(super) fn outside_tests<'p>(&self, paths: impl IntoIterator<Item = &'p String>) -> Option<String> {
        let globs = self.state.config.as_ref().map(|c| c.policy.test_paths.clone())?;
        paths.into_iter().find(|p| !globs::matches(&globs, p)).cloned()
    }

    /// Findings above the bar that a run reported while it worked: an approval does not take them back.
    pub(super) fn reported(&self, id: TaskId, run: &AgentRun) -> Vec<Finding> {
        let Some(task) = self.state.tasks.get(&id) else {
            return Vec::new();
        };
        task.notes
            .iter()
            .filter(|n| n.by.attempt == run.run.attempt)
            .filter_map(|n| match &n.said {
                Said::Finding(finding) if finding.severity > Severity::Note => Some(finding.clone()),
                Said::Finding(_) | Said::Remark(_) => None,
            })
            .collect()
    }

    fn tested(&mut self, id: TaskId, proven: Proven, change: Change, run: &AgentRun, left: &LeftBehind) {
        let rule = self
            .state
            .config
            .as_ref()
            .map_or(NewTestsRule::Pass, |c| c.policy.new_tests);
        match left {
            // It was given back because its tests show nothing, and they are as they were.
            LeftBehind::Nothing if new_tests(&proven.change, rule).is_some() => {
                self.prove_nothing(id, proven);
            }
            LeftBehind::Nothing => self.proven(
                id,
                Proven {
                    change,
                    proof: proven.proof,
                },
            ),
            LeftBehind::Commit { .. } => self.check_in(id, change, run.slot),
        }
    }

    fn broken(&mut self, id: TaskId, change: &Change, run: &AgentRun, findings: Vec<Finding>) {
        let progress = Progress {
            tree: change.tree.clone(),
            essence: change.essence.clone(),
            failing: std::collections::BTreeSet::new(),
            findings: findings
                .iter()
                .map(|f| format!("{}: {}", f.file, f.what))
                .collect(),
        };
        let first = findings.first().map_or("", |f| f.what.as_str());
        let detail = format!("the tester has {} finding(s), first: {first}", findings.len());
        if let Some(task) = self.task(id) {
            task.earlier_findings.clone_from(&findings);
        }
        let because = Because::Findings {
            by: run.actor(),
            findings,
        };
        let failure = Failure::new(Cause::Findings, detail);
        self.send_back(id, go_on(change, because), &failure, progress);
    }

    /// A tester's own tests were green without the change, so they show nothing.
    pub(super) fn prove_nothing(&mut self, id: TaskId, proven: Proven) {
        let detail = "the tests it added pass without the change too";
        let failure = Failure::new(Cause::TestsProveNothing, detail);
        let since = self.now;
        self.retry(id, Work::Test(proven), &failure);
        if let Some(task) = self.task(id)
            && let Stage::Backoff { work, .. } = &task.stage
        {
            task.stage = Stage::Ready {
                work: work.clone(),
                since,
            };
        }
    }
}

/// Findings without a single one are no verdict: nobody knows what was meant.
pub(super) fn says_nothing(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Findings { findings } if findings.is_empty())
}

/// The change with what the tester added.
fn with_tests(change: &Change, run: &AgentRun, left: &LeftBehind) -> Change {
    let mut change = change.clone();
    // Tests of an earlier round have still to be shown.
    let mut added = match &change.kind {
        ChangeKind::Tested { added, .. } => added.clone(),
        ChangeKind::Written | ChangeKind::TestsFirst => std::collections::BTreeSet::new(),
    };
    if let LeftBehind::Commit {
        commit,
        tree,
        paths,
        guards,
        ..
    } = left
    {
        change.commit = commit.clone();
        change.tree = tree.clone();
        // What the tester left is held against the writer's commit, so it says nothing of both together.
        change.essence = Essence::Unknown;
        change.guards.clone_from(guards);
        change.paths.extend(paths.iter().cloned());
        added.extend(paths.iter().cloned());
    }
    change.kind = ChangeKind::Tested {
        by: run.actor(),
        added,
    };
    change
}
