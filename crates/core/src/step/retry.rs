//! Owns what follows a failure: another try, a wait, or a person. One row of the policy for each cause.

use super::Turn;
use super::funding::unfunded;
use super::liveness::why_stalled;
use crate::failure::{Cause, Failure, RetryAfter};
use crate::ids::TaskId;
use crate::policy::{Charge, TryRow};
use crate::task::{
    Because, Change, Park, Progress, Stage, StartFrom, StopWhy, Work, WriteJob, WriterSession,
};
use crate::units::Span;

/// The same vector this often asks for a fresh session; once more parks the task.
const SEEN_BEFORE: usize = 1;

impl Turn<'_> {
    pub(super) fn row(&self, cause: Cause) -> TryRow {
        let config = self.state.config.as_ref();
        config.map_or(TryRow::new(cause, 0, Span(0)), |c| c.policy.row(cause))
    }

    /// Books a failure and decides when `work` is done again.
    pub(super) fn retry(&mut self, id: TaskId, work: Work, failure: &Failure) {
        let row = self.row(failure.cause);
        let (longest, ceiling, longest_told) =
            self.state
                .config
                .as_ref()
                .map_or((Span(0), u16::MAX, Span(0)), |c| {
                    let policy = &c.policy;
                    (
                        policy.longest_wait,
                        policy.caps.failures,
                        policy.accounts.longest_quota_wait,
                    )
                });
        let now = self.now;
        let is_agents = self.state.tasks.get(&id).is_some_and(|t| t.agent_run().is_some());
        // Its account was closed when it ended, so it is not started again before that opens, or another may serve.
        let accounts = row.charge == Charge::Account && is_agents;
        // What the account bears counts for nothing, but for a limit by the minute: a conversation that is too large for it
        // meets it each time.
        let counts = u16::from(!accounts || failure.cause == Cause::RateLimited);
        let Some(issue) = self.issue(id.issue) else { return };
        issue.plan.failures = issue.plan.failures.saturating_add(counts);
        let failures = issue.plan.failures;
        if accounts && (counts == 0 || failures < ceiling) {
            return self.set_stage(id, Stage::Ready { work, since: now });
        }
        let Some(task) = self.task(id) else { return };
        if accounts {
            let failure = failure.clone();
            let park = Park::Ceiling { failures, failure };
            task.stage = Stage::Parked { work, park };
            return;
        }
        let count = task.tries.entry(failure.cause).or_default();
        *count = count.saturating_add(1);
        let (count, failure) = (*count, failure.clone());
        if count > row.tries {
            task.stage = Stage::Parked {
                work,
                park: Park::OutOfTries { failure },
            };
            return;
        }
        if failures >= ceiling {
            let park = Park::Ceiling { failures, failure };
            task.stage = Stage::Parked { work, park };
            return;
        }
        let until = match failure.retry_after {
            // A time from outside may be nonsense; nobody waits longer than the longest quota does.
            RetryAfter::At(at) if at > now => at.min(now + longest_told),
            RetryAfter::At(_) | RetryAfter::Policy => now + row.backoff(count, longest, failure.luck),
        };
        task.stage = if until <= now {
            Stage::Ready { work, since: now }
        } else {
            Stage::Backoff { work, until, failure }
        };
    }

    /// Gives a change back to a writer with the evidence, unless that leads nowhere.
    pub(super) fn send_back(&mut self, id: TaskId, job: WriteJob, failure: &Failure, progress: Progress) {
        let Some(task) = self.task(id) else { return };
        let before = || task.progress.iter().filter_map(|p| p.likeness(&progress));
        let (seen, alike) = (before().count(), before().max().unwrap_or_default());
        task.progress.push(progress.clone());
        if seen > SEEN_BEFORE {
            task.stage = Stage::Parked {
                work: Work::Write(job),
                park: Park::NoProgress {
                    same: progress,
                    alike,
                },
            };
            return;
        }
        if seen == SEEN_BEFORE {
            task.session = WriterSession::Fresh;
        }
        self.retry(id, Work::Write(job), failure);
    }

    /// What follows a stop that the core itself had asked for. `work` is what is done next time.
    pub(super) fn stopped(&mut self, id: TaskId, why: StopWhy, work: Work) {
        let since = self.now;
        let cause = match why {
            StopWhy::WallClock => Cause::WallClock,
            StopWhy::Stalled => Cause::Stalled,
            StopWhy::AttemptBudget => Cause::AttemptBudget,
            StopWhy::TaskBudget | StopWhy::IssueBudget => {
                // Where others hold the rest, or a person has given more meanwhile, it waits like any other.
                let stage = match unfunded(self.state, id) {
                    Some(park) => Stage::Parked { work, park },
                    None => Stage::Ready { work, since },
                };
                return self.set_stage(id, stage);
            }
            StopWhy::AgentBudget
            | StopWhy::ShiftBudget
            | StopWhy::DayBudget
            | StopWhy::Asked
            | StopWhy::Taken
            | StopWhy::Remarked => {
                return self.set_stage(id, Stage::Ready { work, since });
            }
            StopWhy::Discarded => {
                return self.set_stage(
                    id,
                    Stage::Dropped {
                        why: "discarded by a person".to_owned(),
                    },
                );
            }
        };
        let run = self.state.tasks.get(&id).and_then(|t| t.agent_run());
        let detail = match (cause, run) {
            (Cause::Stalled, Some(run)) => why_stalled(run, self.now),
            _ => cause.phrase().to_owned(),
        };
        self.retry(id, work, &Failure::new(cause, detail));
    }
}

/// The writer goes on from its own commit.
pub(super) fn go_on(change: &Change, because: Because) -> WriteJob {
    WriteJob {
        from: StartFrom::Commit {
            commit: change.commit.clone(),
            base: change.base.clone(),
        },
        because,
    }
}
