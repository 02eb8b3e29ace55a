//! Owns the first thing a coordinator does: whatever an earlier one left running is found again, or ended, its work
//! kept and what it spent counted, before anything new begins.

use std::collections::BTreeSet;
use std::path::Path;

use turno_core::State;
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, Event, LeftBehind, LostAttempt};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::AttemptId;
use turno_core::persona::Access;
use turno_core::units::{Span, Spend, Timestamp};

use crate::attempt::{begun, branch_of, can_be_adopted, clear, message_of};
use crate::git::Guard;
use crate::process::supervisor::files;
use crate::replay;
use crate::site::{self, Site};
use crate::slots::SlotPlace;

/// What is done about agents that have worked on while nobody coordinated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// They are listened to again.
    Adopted,
    /// They are ended, and their work is kept.
    Ended,
}

/// Accounts for what an earlier coordinator left. `None` when it left nothing.
pub async fn recover(site: &Site, state: &State, orphans: Orphans) -> Option<Event> {
    let attempts = state.attempts();
    if attempts.is_empty() {
        return None;
    }
    let (mut lost, mut adopted) = (Vec::new(), BTreeSet::new());
    for attempt in attempts {
        let dir = site.dirs.attempt(attempt);
        if orphans == Orphans::Adopted && can_be_adopted(&dir) {
            adopted.insert(attempt);
            continue;
        }
        // Before it is ended: what follows is not its word.
        let worked = worked(state, attempt, &dir);
        clear(site, attempt).await;
        // Nobody holds it against anything any more, and it has the repository's configuration in it.
        Guard::forget_in(&dir);
        let start = std::fs::read(dir.join("start.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<AgentStart>(&bytes).ok());
        let Some(start) = start else {
            lost.push(LostAttempt {
                attempt,
                spend: Spend::NOTHING,
                left: LeftBehind::Nothing,
                worked,
            });
            continue;
        };
        let spend = replay::spend(&site.config, &start, &dir);
        lost.push(LostAttempt {
            attempt,
            spend,
            left: keep(site, &start, spend).await,
            worked,
        });
    }
    Some(Event::Restarted { lost, adopted })
}

/// How long an attempt has worked, by the last that it said or that was said of its end. `None` where that cannot be
/// known.
fn worked(state: &State, attempt: AttemptId, dir: &Path) -> Option<Span> {
    let task = state.task_of(attempt).and_then(|id| state.tasks.get(&id))?;
    last_word(dir, task.run()?.started)
}

/// How long after its start the last of what an attempt wrote was written. `None` where that cannot be read.
fn last_word(dir: &Path, started: Timestamp) -> Option<Span> {
    let written = |name: &str| match std::fs::metadata(dir.join(name)).and_then(|m| m.modified()) {
        Ok(at) => Ok(Some(Timestamp(
            chrono::DateTime::<chrono::Utc>::from(at).timestamp_millis(),
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let last = written(files::OUT).ok()?.max(written(files::EXIT).ok()?);
    // What never began has written nothing.
    Some(last.map_or(Span(0), |at| at.since(started)))
}

/// A dead writer's work becomes a commit, so that the next one goes on from it.
pub(crate) async fn keep(site: &Site, start: &AgentStart, spend: Spend) -> LeftBehind {
    if start.access == Access::Read {
        return LeftBehind::Nothing;
    }
    let end = AgentEnd::Failed(Failure::new(Cause::Lost, "the coordinator stopped while it ran"));
    let message = message_of(start, &end, spend.cost);
    let place = SlotPlace::Slot(start.slot);
    let collected = async {
        let pool = &site.ground(&start.repo)?.pool;
        // What it committed in private comes first: the slot's files are held against it.
        if let Some(lent) = pool.lent_before(&site.dirs.attempt(start.attempt))? {
            pool.take_back(place, &lent).await?;
        }
        let collected = pool
            .collect(place, begun(start), &branch_of(start), &message)
            .await?;
        Ok::<_, site::Error>(collected.left)
    };
    match collected.await {
        Ok(left) => left,
        Err(error) => {
            // It stays in the slot, whose next use salvages it.
            tracing::warn!(attempt = %start.attempt, %error, "what a lost attempt left could not be collected");
            LeftBehind::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::*;

    const STARTED: i64 = 1_000_000;

    fn write(dir: &Path, name: &str, seconds: u64) {
        let file = File::create(dir.join(name)).unwrap();
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(STARTED as u64);
        file.set_modified(started + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn an_attempt_has_worked_until_its_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let worked = || last_word(dir.path(), Timestamp(STARTED));
        assert_eq!(worked(), Some(Span(0)), "it never began");
        write(dir.path(), files::OUT, 7);
        assert_eq!(worked(), Some(Span::seconds(7)));
        write(dir.path(), files::EXIT, 9);
        assert_eq!(worked(), Some(Span::seconds(9)));
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        assert_eq!(last_word(&file, Timestamp(STARTED)), None);
    }
}
