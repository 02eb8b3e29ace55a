//! Owns what waits for one target, and telling it: one message at a time, remembered before and after. When it may be
//! told is the core's to say.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Timelike;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use turno_core::ids::{Seq, TargetName};
use turno_core::notice::{Due, Gathered, Message, Minute, Notice, Pace, Stage};

use super::cursor::{Cursor, Cursors};
use super::means::{Failed, Ready};
use crate::config::EnvMap;
use crate::redact::Redaction;
use crate::run::now;

/// The clock of the machine may jump and the hour change, so it is looked at again after this long at the latest.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long is tried at the end to tell what there still is.
const LAST: Duration = Duration::from_secs(8);

/// What all targets of a workspace have in common.
#[derive(Debug)]
pub struct Office {
    /// The project's name, for people.
    pub project: String,
    /// Tells messages of this workspace from those of others.
    pub workspace: String,
    /// What is not told.
    pub redaction: Redaction,
    /// The user's environment.
    pub env: EnvMap,
    /// Where programs start.
    pub at: PathBuf,
}

impl Office {
    /// A message without secrets. One that is none without them is told as how many notices there are.
    fn clean(&self, message: Message) -> Message {
        let bare = Message {
            id: message.id.clone(),
            project: message.project.clone(),
            title: "something happened; its words hold a secret".to_owned(),
            text: String::new(),
            counts: message.counts.clone(),
            notices: Vec::new(),
            more: message.counts.values().sum(),
        };
        self.redaction.record(message).unwrap_or(bare)
    }
}

/// The minute of the day where the user is.
fn local() -> Minute {
    let time = chrono::Local::now().time();
    Minute::of(time.hour(), time.minute())
}

/// What waits for a target, shared between who gathers and who tells.
#[derive(Debug)]
pub(super) struct Waiting {
    held: Mutex<Held>,
    news: Notify,
}

#[derive(Debug)]
struct Held {
    /// The last record of a message that an earlier coordinator began to send.
    again: Option<Seq>,
    /// The message that is told next: it does not grow any more.
    fixed: Gathered,
    /// What came after it.
    rest: Gathered,
    /// The last record that was looked at.
    seen: Seq,
}

impl Waiting {
    pub(super) fn after(cursor: Cursor) -> Self {
        let again = match cursor {
            Cursor::Told(_) => None,
            Cursor::Sending { to, .. } => Some(to),
        };
        Self {
            held: Mutex::new(Held {
                again,
                fixed: Gathered::default(),
                rest: Gathered::default(),
                seen: cursor.told(),
            }),
            news: Notify::new(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what follows from whole records: a message ends with a record.
    pub(super) fn add(&self, notices: impl IntoIterator<Item = Notice>) {
        let mut held = self.held();
        for notice in notices {
            // The same message as before has the same notices, so that it is known for the same.
            if held.again.is_some_and(|to| notice.seq <= to) {
                held.fixed.add(notice);
            } else {
                held.rest.add(notice);
            }
        }
        drop(held);
        self.news.notify_one();
    }

    /// The records up to this one were looked at.
    pub(super) fn seen(&self, at: Seq) {
        self.held().seen = at;
    }

    pub(super) fn count(&self) -> u64 {
        let held = self.held();
        held.fixed.count() + held.rest.count()
    }

    /// What is told next; it stays until it was.
    fn next(&self) -> Gathered {
        let mut held = self.held();
        held.again = None;
        if held.fixed.is_empty() {
            held.fixed = std::mem::take(&mut held.rest);
        }
        held.fixed.clone()
    }

    fn told(&self) {
        self.held().fixed = Gathered::default();
    }
}

/// What a target was not told, and is told the next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// Who.
    pub target: TargetName,
    /// How many notices.
    pub notices: u64,
    /// Why not.
    pub why: Why,
}

/// Why a target was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is quiet there.
    Quiet,
    /// It could not be told.
    Failed(String),
}

impl std::fmt::Display for Untold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, notices, why } = self;
        write!(f, "notify.{target}: {notices} notice(s) not told: ")?;
        match why {
            Why::Quiet => {
                f.write_str("it is quiet there; the next shift tells them then, or `turno notify flush`")
            }
            Why::Failed(why) => write!(f, "{why}; the next shift tries again, or `turno notify flush`"),
        }
    }
}

/// One target and what it is told.
pub(super) struct Lane {
    pub(super) ready: Ready,
    pub(super) office: Arc<Office>,
    pub(super) cursors: Arc<Cursors>,
    pub(super) waiting: Arc<Waiting>,
    /// Up to which record it was told.
    pub(super) told: Seq,
    pub(super) stop: CancellationToken,
}

impl Lane {
    /// Tells until it is stopped, and then for a short while what there still is.
    pub(super) async fn run(mut self) -> Option<Untold> {
        let mut pace = Pace::new(self.ready.target.quiet, self.ready.target.at_most_every);
        let mut failed = None;
        let mut end = None;
        loop {
            let stage = if self.stop.is_cancelled() {
                Stage::Last
            } else {
                Stage::Open
            };
            let left = match stage {
                Stage::Open => LONGEST_SLEEP,
                Stage::Last => {
                    let end = *end.get_or_insert_with(|| Instant::now() + LAST);
                    end.saturating_duration_since(Instant::now())
                }
            };
            if self.waiting.count() == 0 {
                match stage {
                    Stage::Last => {
                        self.remember();
                        return None;
                    }
                    Stage::Open => self.something(None).await,
                }
                continue;
            }
            if left.is_zero() {
                return self.untold(Why::Failed(
                    failed.unwrap_or_else(|| "there was no time".to_owned()),
                ));
            }
            match (pace.due(now(), local(), stage), stage) {
                (Due::Now, _) => match self.tell().await {
                    Ok(()) => {
                        if failed.take().is_some() {
                            tracing::info!(target = %self.ready.target.name, "told again");
                        }
                        pace.told(now());
                    }
                    Err(Failed { why, after }) => {
                        if failed.is_none() {
                            tracing::warn!(target = %self.ready.target.name, why, "cannot be told; it is tried again");
                        }
                        failed = Some(why);
                        pace.failed(now(), after);
                    }
                },
                (Due::Quiet(_), Stage::Last) => return self.untold(Why::Quiet),
                (Due::In(span), Stage::Last) => {
                    tokio::time::sleep(Duration::from_millis(span.0).min(left)).await;
                }
                (Due::In(span) | Due::Quiet(span), Stage::Open) => {
                    self.something(Some(Duration::from_millis(span.0).min(left)))
                        .await;
                }
            }
        }
    }

    /// Waits for news, for the end, or for a time.
    async fn something(&self, at_most: Option<Duration>) {
        let time = async {
            match at_most {
                Some(at_most) => tokio::time::sleep(at_most).await,
                None => self.waiting.news.notified().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = time => {}
        }
    }

    /// Nothing waits, so the next one need not look again at what has been looked at.
    fn remember(&self) {
        let seen = self.waiting.held().seen;
        if seen > self.told
            && let Err(error) = self.cursors.write(&self.ready.target.name, Cursor::Told(seen))
        {
            tracing::warn!(%error, "it is not noted that a target was told all");
        }
    }

    fn untold(&self, why: Why) -> Option<Untold> {
        Some(Untold {
            target: self.ready.target.name.clone(),
            notices: self.waiting.count(),
            why,
        })
    }

    /// Tells the next message. Where it is not known whether it arrived, the same one is told again.
    async fn tell(&mut self) -> Result<(), Failed> {
        let gathered = self.waiting.next();
        let (name, told, to) = (&self.ready.target.name, self.told, gathered.to());
        let noted = |e: super::cursor::Error| Failed::because(e.to_string());
        self.cursors
            .write(name, Cursor::Sending { told, to })
            .map_err(noted)?;
        let message = gathered.message(name, &self.office.project, &self.office.workspace);
        let message = self.office.clean(message);
        self.ready
            .means
            .tell(&message, &self.office.at, &self.office.env)
            .await?;
        self.waiting.told();
        self.told = to;
        if let Err(error) = self.cursors.write(name, Cursor::Told(to)) {
            tracing::warn!(%error, "a target was told, and that is not noted: it may be told the same again");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use turno_core::notice::{About, Kind};
    use turno_core::units::Timestamp;

    use super::*;

    fn notice(seq: u64) -> Notice {
        Notice {
            seq: Seq(seq),
            at: Timestamp(0),
            kind: Kind::Parked,
            about: About::Workspace,
            title: format!("n{seq}"),
            detail: Vec::new(),
        }
    }

    #[test]
    fn a_message_that_is_on_its_way_does_not_grow_and_is_the_same_after_a_crash() {
        let waiting = Waiting::after(Cursor::Told(Seq(0)));
        waiting.add([notice(1), notice(2)]);
        let first = waiting.next();
        assert_eq!((first.count(), first.to()), (2, Seq(2)));
        waiting.add([notice(3)]);
        assert_eq!(waiting.next(), first, "it was not told yet");

        // The next coordinator reads all of it again.
        let sending = Cursor::Sending {
            told: Seq(0),
            to: Seq(2),
        };
        let again = Waiting::after(sending);
        again.add([notice(1), notice(2), notice(3), notice(4)]);
        assert_eq!(again.count(), 4);
        assert_eq!(again.next(), first);
        again.told();
        assert_eq!(again.next().count(), 2);
        again.told();
        assert_eq!(again.count(), 0);
    }
}
