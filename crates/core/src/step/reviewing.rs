//! Owns the end of a review. Only a verdict on this commit by a reader that wrote nothing counts; no verdict is
//! not an approval.

use super::Turn;
use super::contest::wrote;
use super::retry::go_on;
use super::writing::stop_asked;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::ids::TaskId;
use crate::outcome::{Finding, Outcome, Verdict};
use crate::task::{AgentRun, Approved, Because, Consent, Progress, Proven, Stage, StopWhy, Work};

impl Turn<'_> {
    pub(super) fn reviewer_ended(
        &mut self,
        id: TaskId,
        proven: Proven,
        run: &AgentRun,
        end: &AgentEnd,
        left: &LeftBehind,
    ) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Review(proven));
        }
        if let Some(failure) = wrote(left) {
            return self.retry(id, Work::Review(proven), &failure);
        }
        match end {
            AgentEnd::Finished(Outcome::Verdict {
                verdict: Verdict::Approve { notes },
                protected,
                ..
            }) => {
                let held_back = self.held_back(id, &proven, run, protected);
                if !held_back.is_empty() {
                    return self.found(id, &proven, run, &held_back);
                }
                let consent = Consent::Approved {
                    by: run.actor(),
                    notes: notes.clone(),
                };
                let since = self.now;
                let work = Work::Land(Approved { proven, consent });
                self.set_stage(id, Stage::Ready { work, since });
            }
            AgentEnd::Finished(Outcome::Verdict {
                verdict: Verdict::Findings { findings },
                ..
            }) if !findings.is_empty() => {
                self.found(id, &proven, run, findings);
            }
            AgentEnd::Finished(other) => {
                let detail = format!(
                    "a verdict with findings or an approval was asked for, it returned {:?}",
                    other.kind()
                );
                self.retry(id, Work::Review(proven), &Failure::new(Cause::NoOutcome, detail));
            }
            AgentEnd::Asked(question) => self.asked(id, run, question, Work::Review(proven)),
            AgentEnd::Failed(failure) => match asked {
                Some(why) => self.stopped(id, why, Work::Review(proven)),
                None => self.retry(id, Work::Review(proven), failure),
            },
        }
    }

    /// What an approval does not cover: findings that were reported on the way, and what needs a word of its own and
    /// is not named.
    fn held_back(&self, id: TaskId, proven: &Proven, run: &AgentRun, approved: &[String]) -> Vec<Finding> {
        let mut findings = self.reported(id, run);
        findings.extend(self.unapproved(&proven.change, approved));
        findings
    }

    fn found(&mut self, id: TaskId, proven: &Proven, run: &AgentRun, findings: &[Finding]) {
        if let Some(task) = self.task(id) {
            task.earlier_findings = findings.to_vec();
        }
        let progress = Progress {
            tree: proven.change.tree.clone(),
            essence: proven.change.essence.clone(),
            failing: std::collections::BTreeSet::new(),
            findings: findings
                .iter()
                .map(|f| format!("{}: {}", f.file, f.what))
                .collect(),
        };
        let first = findings.first().map_or("", |f| f.what.as_str());
        let detail = format!("{} finding(s), first: {first}", findings.len());
        let because = Because::Findings {
            by: run.actor(),
            findings: findings.to_vec(),
        };
        self.send_back(
            id,
            go_on(&proven.change, because),
            &Failure::new(Cause::Findings, detail),
            progress,
        );
    }
}
