//! Owns contests: several writers try the same task; the checks say who may enter, a reviewer says who wins.

use super::Turn;
use super::writing::stop_asked;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::ids::TaskId;
use crate::outcome::Outcome;
use crate::task::{AgentRun, Approved, Consent, Park, Proven, Stage, StopWhy, Work};

impl Turn<'_> {
    /// Once every candidate has entered or cannot, one is reviewed or several are compared.
    pub(super) fn contests(&mut self) {
        let firsts: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| t.spec.contest == Some(t.id))
            .map(|t| t.id)
            .collect();
        for first in firsts {
            let rivals: Vec<_> = self
                .state
                .tasks_of(first.issue)
                .filter(|t| t.spec.contest == Some(first))
                .collect();
            let settled = |stage: &Stage| {
                if let Stage::Parked { work, .. } = stage {
                    // A comparison that waits for a person is not decided by leaving its candidate out.
                    return !matches!(work, Work::Compare(_));
                }
                matches!(
                    stage,
                    Stage::Entered { .. } | Stage::Dropped { .. } | Stage::Landed { .. }
                )
            };
            if rivals.iter().any(|t| matches!(t.stage, Stage::Landed { .. })) {
                // It is won. One that could not enter would else be tried again, and land a second time.
                let others: Vec<TaskId> = rivals.iter().filter(|t| !t.is_over()).map(|t| t.id).collect();
                for other in others {
                    self.drop_task(other, "another candidate has landed");
                }
                continue;
            }
            if !rivals.iter().all(|t| settled(&t.stage)) {
                continue;
            }
            let entered: Vec<(TaskId, Proven)> = rivals
                .iter()
                .filter_map(|t| entered(&t.stage).map(|p| (t.id, p.clone())))
                .collect();
            let Some((id, proven)) = entered.first().cloned() else {
                continue;
            };
            let work = if entered.len() > 1 {
                Work::Compare(proven)
            } else {
                self.consent_next(proven)
            };
            let since = self.now;
            self.set_stage(id, Stage::Ready { work, since });
        }
    }

    pub(super) fn compared(
        &mut self,
        id: TaskId,
        proven: Proven,
        run: &AgentRun,
        end: &AgentEnd,
        left: &LeftBehind,
    ) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Compare(proven));
        }
        if let Some(failure) = wrote(left) {
            return self.retry(id, Work::Compare(proven), &failure);
        }
        match end {
            AgentEnd::Finished(Outcome::Choice { winner, why }) => match winner {
                Some(winner) => self.won(id, proven, *winner, why, run),
                None => self.none_won(id, proven, why),
            },
            AgentEnd::Finished(other) => {
                let detail = format!(
                    "a choice among the candidates was asked for, it returned {:?}",
                    other.kind()
                );
                self.retry(id, Work::Compare(proven), &Failure::new(Cause::NoOutcome, detail));
            }
            AgentEnd::Asked(question) => self.asked(id, run, question, Work::Compare(proven)),
            AgentEnd::Failed(failure) => match asked {
                Some(why) => self.stopped(id, why, Work::Compare(proven)),
                None => self.retry(id, Work::Compare(proven), failure),
            },
        }
    }

    fn won(&mut self, id: TaskId, proven: Proven, winner: TaskId, why: &str, run: &AgentRun) {
        let contest = self.state.tasks.get(&id).and_then(|t| t.spec.contest);
        let chosen = if winner == id {
            Some(proven.clone())
        } else {
            self.state
                .tasks
                .get(&winner)
                .filter(|t| t.spec.contest == contest)
                .and_then(|t| entered(&t.stage).cloned())
        };
        let Some(chosen) = chosen else {
            let detail = format!("it chose {winner}, which is no candidate");
            return self.retry(id, Work::Compare(proven), &Failure::new(Cause::NoOutcome, detail));
        };
        let others: Vec<TaskId> = self
            .state
            .tasks_of(id.issue)
            .filter(|t| t.spec.contest == contest && t.id != winner && !t.is_over())
            .map(|t| t.id)
            .collect();
        for other in others {
            let why = format!("candidate {winner} was chosen: {why}");
            if other == id {
                // Its comparison is the run that has just ended.
                self.set_stage(other, Stage::Dropped { why });
            } else {
                self.drop_task(other, &why);
            }
        }
        let since = self.now;
        // A choice says nothing of protected paths: they need a reviewer's own word.
        let work = if self.needs_word(&chosen) {
            Work::Review(chosen)
        } else {
            let consent = Consent::Approved {
                by: run.actor(),
                notes: Vec::new(),
            };
            Work::Land(Approved {
                proven: chosen,
                consent,
            })
        };
        self.set_stage(winner, Stage::Ready { work, since });
    }

    fn none_won(&mut self, id: TaskId, proven: Proven, why: &str) {
        let park = Park::NoCandidate { why: why.to_owned() };
        let contest = self.state.tasks.get(&id).and_then(|t| t.spec.contest);
        let others: Vec<(TaskId, Proven)> = self
            .state
            .tasks_of(id.issue)
            .filter(|t| t.spec.contest == contest)
            .filter_map(|t| entered(&t.stage).map(|p| (t.id, p.clone())))
            .collect();
        for (other, proven) in others.into_iter().chain([(id, proven)]) {
            let (work, park) = (Work::Review(proven), park.clone());
            self.set_stage(other, Stage::Parked { work, park });
        }
    }
}

fn entered(stage: &Stage) -> Option<&Proven> {
    if let Stage::Entered { proven } = stage {
        Some(proven)
    } else {
        None
    }
}

/// A reader that changed files has no vote.
pub(super) fn wrote(left: &LeftBehind) -> Option<Failure> {
    match left {
        LeftBehind::Nothing => None,
        LeftBehind::Commit { commit, .. } => Some(Failure::new(
            Cause::WroteWhileReading,
            format!("what it wrote is kept as {}", commit.short()),
        )),
    }
}
