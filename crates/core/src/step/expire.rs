//! Owns what happens by time alone: wall-clock limits and the end of waits.

use super::{Turn, following};
use crate::ids::TaskId;
use crate::task::{Stage, StopWhy, Stopping, Task};
use crate::units::Timestamp;

/// When a task next has something to do by itself.
pub(super) fn deadline(task: &Task) -> Option<Timestamp> {
    if let Stage::Backoff { until, .. } = &task.stage {
        return Some(*until);
    }
    task.run()
        .filter(|r| r.stopping == Stopping::No)
        .map(|r| r.deadline)
}

impl Turn<'_> {
    pub(super) fn expire(&mut self) {
        let now = self.now;
        let due: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| deadline(t).is_some_and(|d| d <= now))
            .map(|t| t.id)
            .collect();
        for id in due {
            let Some(task) = self.task(id) else { continue };
            if let Stage::Backoff { work, .. } = &task.stage {
                task.stage = Stage::Ready {
                    work: work.clone(),
                    since: now,
                };
            } else {
                self.out_of_time(id);
            }
        }
        if following::deadline(self.state).is_some_and(|d| d <= now)
            && let Some(id) = self.state.following().map(|i| i.id)
        {
            self.stop_following(id, StopWhy::WallClock);
        }
        self.expire_decisions();
        self.expire_visits();
        self.expire_patience();
    }
}
