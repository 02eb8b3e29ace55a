//! Owns acceptance: a tester goes through the list on the integration branch, the author says what is missing.

use super::Turn;
use super::contest::wrote;
use super::testing::says_nothing;
use super::writing::stop_asked;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::ids::TaskId;
use crate::outcome::{Finding, Outcome, Severity, Verdict};
use crate::plan;
use crate::task::{AgentRun, Park, PlanBecause, Stage, StopWhy, Trial, Work};

impl Turn<'_> {
    /// A tester has gone through the acceptance list. What it wrote to do so is kept, and is no part of the work.
    pub(super) fn trier_ended(&mut self, id: TaskId, run: &AgentRun, end: &AgentEnd) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Try);
        }
        match end {
            AgentEnd::Finished(Outcome::Verdict { verdict, .. }) if !says_nothing(verdict) => {
                let since = self.now;
                let work = Work::Accept(Trial::Tried {
                    by: run.actor(),
                    verdict: with_reported(verdict, self.reported(id, run)),
                });
                self.set_stage(id, Stage::Ready { work, since });
            }
            AgentEnd::Finished(other) => {
                let detail = format!(
                    "a verdict with findings or an approval was asked for, it returned {:?}",
                    other.kind()
                );
                self.retry(id, Work::Try, &Failure::new(Cause::NoOutcome, detail));
            }
            AgentEnd::Asked(question) => self.asked(id, run, question, Work::Try),
            AgentEnd::Failed(failure) => match asked {
                Some(why) => self.stopped(id, why, Work::Try),
                None => self.retry(id, Work::Try, failure),
            },
        }
    }

    pub(super) fn acceptor_ended(
        &mut self,
        id: TaskId,
        trial: Trial,
        run: &AgentRun,
        end: &AgentEnd,
        left: &LeftBehind,
    ) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Accept(trial));
        }
        if let Some(failure) = wrote(left) {
            return self.retry(id, Work::Accept(trial), &failure);
        }
        match end {
            AgentEnd::Finished(Outcome::Acceptance { missing }) => {
                let mut missing = missing.clone();
                if missing.is_empty() {
                    missing = open_findings(&trial);
                }
                self.judged(id, run, missing);
            }
            AgentEnd::Finished(other) => {
                let detail = format!("an acceptance was asked for, it returned {:?}", other.kind());
                self.retry(id, Work::Accept(trial), &Failure::new(Cause::NoOutcome, detail));
            }
            AgentEnd::Asked(question) => self.asked(id, run, question, Work::Accept(trial)),
            AgentEnd::Failed(failure) => match asked {
                Some(why) => self.stopped(id, why, Work::Accept(trial)),
                None => self.retry(id, Work::Accept(trial), failure),
            },
        }
    }

    fn judged(&mut self, id: TaskId, run: &AgentRun, missing: Vec<String>) {
        let (at, since) = (self.now, self.now);
        if missing.is_empty() {
            let commit = run.from.clone();
            self.decline_the_rest(id);
            return self.set_stage(id, Stage::Accepted { commit, at });
        }
        let caps = self
            .state
            .config
            .as_ref()
            .map_or_else(Default::default, |c| c.policy.caps);
        let issue = self.state.issues.get(&id.issue);
        let room = issue.map_or(0, |i| plan::room(self.state, i, caps));
        let Some(issue) = self.issue(id.issue) else { return };
        let work = Work::Plan(PlanBecause::Missing {
            missing: missing.clone(),
        });
        if issue.plan.rounds >= caps.rounds || room == 0 {
            let park = Park::NotAccepted { missing };
            return self.set_stage(id, Stage::Parked { work, park });
        }
        issue.plan.rounds += 1;
        self.set_stage(id, Stage::Ready { work, since });
    }
}

/// A verdict with what was reported on the way: an approval does not take it back.
fn with_reported(verdict: &Verdict, reported: Vec<Finding>) -> Verdict {
    match verdict {
        Verdict::Approve { .. } if reported.is_empty() => verdict.clone(),
        Verdict::Approve { .. } => Verdict::Findings { findings: reported },
        Verdict::Findings { findings } => Verdict::Findings {
            findings: findings.iter().cloned().chain(reported).collect(),
        },
    }
}

/// What a tester found that must be mended. An author's word does not outweigh it.
fn open_findings(trial: &Trial) -> Vec<String> {
    match trial {
        Trial::Tried {
            verdict: Verdict::Findings { findings },
            ..
        } => findings
            .iter()
            .filter(|f| f.severity > Severity::Note)
            .map(|f| format!("{}: {} ({})", f.file, f.what, f.how_to_see))
            .collect(),
        Trial::Untried
        | Trial::Tried {
            verdict: Verdict::Approve { .. },
            ..
        } => Vec::new(),
    }
}
