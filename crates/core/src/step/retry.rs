//! Owns what follows a failure: another try, a wait, or a person. One row of the policy for each cause.

use super::Turn;
use super::funding::unfunded;
use crate::failure::{Cause, Failure, RetryAfter};
use crate::ids::TaskId;
use crate::policy::TryRow;
use crate::task::{
    Because, Change, Park, Progress, Stage, StartFrom, StopWhy, Work, WriteJob, WriterSession,
};
use crate::units::Span;

/// No account's limit lasts longer.
const LONGEST_QUOTA: Span = Span::seconds(8 * 24 * 3600);
/// The same vector this often asks for a fresh session; once more parks the task.
const SEEN_BEFORE: usize = 1;

impl Turn<'_> {
    fn row(&self, cause: Cause) -> TryRow {
        self.state.config.as_ref().map_or(
            TryRow {
                tries: 0,
                wait: Span(0),
            },
            |c| c.policy.row(cause),
        )
    }

    /// Books a failure and decides when `work` is done again.
    pub(super) fn retry(&mut self, id: TaskId, work: Work, failure: &Failure) {
        let row = self.row(failure.cause);
        let longest = self
            .state
            .config
            .as_ref()
            .map_or(Span(0), |c| c.policy.longest_wait);
        let now = self.now;
        let Some(task) = self.task(id) else { return };
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
        let until = match failure.retry_after {
            // A time from outside may be nonsense; nobody waits longer than the longest quota does.
            RetryAfter::At(at) => at.min(now + LONGEST_QUOTA),
            RetryAfter::Policy => now + row.wait.doubled(u32::from(count) - 1).min(longest),
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
        let seen = task.progress.iter().filter(|p| **p == progress).count();
        task.progress.push(progress.clone());
        if seen > SEEN_BEFORE {
            task.stage = Stage::Parked {
                work: Work::Write(job),
                park: Park::NoProgress { same: progress },
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
            StopWhy::AttemptBudget => Cause::AttemptBudget,
            StopWhy::TaskBudget | StopWhy::IssueBudget => {
                // Where others hold the rest, or a person has given more meanwhile, it waits like any other.
                let stage = match unfunded(self.state, id) {
                    Some(park) => Stage::Parked { work, park },
                    None => Stage::Ready { work, since },
                };
                return self.set_stage(id, stage);
            }
            StopWhy::AgentBudget | StopWhy::ShiftBudget | StopWhy::DayBudget | StopWhy::Asked => {
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
        self.retry(id, work, &Failure::new(cause, cause.phrase()));
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
