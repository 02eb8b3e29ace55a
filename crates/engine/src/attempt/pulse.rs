//! Owns the gathering of evidence of what a running agent does: what it says, what its processes use, what changes in
//! its slot. What the evidence means is the core's to say, and so is what follows.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use turno_agents::dialect::Signal;
use turno_core::liveness::{Activity, Connection, Evidence, Processes, Question};
use turno_core::units::Span;

use crate::process::usage::{TICKS, Usage, holds_connection, usage};

/// It is looked so often in the time after which something is told.
const LOOKS: u32 = 4;
/// How often it is looked at most, and at least.
const PACES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Processes that use this share of one processor are busy, in percent.
const BUSY: u64 = 10;
/// Bytes to or from a disk between two looks that are work.
const BUSY_BYTES: u64 = 1024 * 1024;
/// Bytes said between two looks that are work, though no line of them has ended or means anything.
const BUSY_WORDS: u64 = 64 * 1024;
/// Words that were said among the last so many say nothing new.
const REMEMBERED: usize = 8;
/// So many files and directories of a slot are looked at, the upper ones first.
const LOOKED_AT: usize = 20_000;
/// A provider that says longer than this is not waited for: it ends the attempt, or is silent like any other.
const LONGEST_HOLD: Duration = Duration::from_secs(600);
/// So many tools are followed that began and have not ended.
const OPEN: usize = 64;
/// So often in a row, and for so long, there must be nobody: a program that has ended and a supervisor that says so
/// are moments apart, and on a busy machine seconds.
const GONE: u8 = 3;
const GONE_FOR: Duration = Duration::from_secs(5);

/// What is known of one agent's liveness.
#[derive(Debug)]
pub(super) struct Pulse {
    notice: Duration,
    pace: Duration,
    supervisor: Option<i32>,
    slot: PathBuf,
    transcript: PathBuf,
    next_look: Instant,
    /// Tools that began and have not ended, oldest first.
    open: Vec<String>,
    /// What was said last, as hashes.
    said: VecDeque<u64>,
    heard: Instant,
    tool_used: Instant,
    computed: Instant,
    changed: Instant,
    before: Option<(Instant, Usage)>,
    /// How long its transcript was.
    length: u64,
    /// The newest time of a file in its slot.
    newest: Option<SystemTime>,
    /// How often in a row no process was there, once one was.
    gone: u8,
    /// When one was there, or nobody knew, last.
    there: Instant,
    told: Activity,
}

impl Pulse {
    /// Of an agent that begins now, or is listened to from now on.
    pub(super) fn new(notice: Span, supervisor: Option<i32>, slot: &Path, transcript: PathBuf) -> Self {
        let now = Instant::now();
        let notice = Duration::from_millis(notice.0.max(1));
        let pace = (notice / LOOKS).clamp(PACES.0, PACES.1);
        Self {
            notice,
            pace,
            supervisor,
            slot: slot.to_owned(),
            transcript,
            next_look: now + pace,
            open: Vec::new(),
            said: VecDeque::new(),
            heard: now,
            tool_used: now,
            computed: now,
            changed: now,
            before: None,
            length: 0,
            newest: None,
            gone: 0,
            there: now,
            told: Activity::Working,
        }
    }

    /// When it is looked next.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Takes in what it said. Not every line means something: the keeping up of a connection, a note of the program
    /// about itself, and words that were said just before do not.
    pub(super) fn hear(&mut self, signal: &Signal) {
        let now = Instant::now();
        match signal {
            Signal::Text(words) => {
                if !self.is_new(words) {
                    return;
                }
            }
            Signal::ToolStarted(tool) => {
                if self.open.len() < OPEN {
                    self.open.push(tool.clone());
                }
                self.tool_used = now;
            }
            Signal::ToolEnded(_) => {
                // Which one is not told. The oldest is the one that would be waited for longest.
                if !self.open.is_empty() {
                    self.open.remove(0);
                }
                self.tool_used = now;
            }
            // The provider made it wait: for so long it is not silent.
            Signal::HeldOff(span) => {
                self.heard = now + Duration::from_millis(span.0).min(LONGEST_HOLD);
                return;
            }
            Signal::Session(_) | Signal::Spent(_) | Signal::Asked { .. } | Signal::Leaving { .. } => {}
            Signal::Notice(_)
            | Signal::Quota(_)
            | Signal::Heard { .. }
            | Signal::Send(_)
            | Signal::CloseInput => return,
        }
        self.heard = now;
    }

    /// A question of it was put or answered.
    pub(super) fn turn_changed(&mut self) {
        let now = Instant::now();
        self.heard = now;
        self.tool_used = now;
        self.next_look = now;
    }

    fn is_new(&mut self, words: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        words.trim().hash(&mut hasher);
        let hash = hasher.finish();
        if self.said.contains(&hash) {
            return false;
        }
        self.said.push_back(hash);
        if self.said.len() > REMEMBERED {
            self.said.pop_front();
        }
        true
    }

    /// Looks at it. Gives what it does, and for how long, when that is news.
    pub(super) async fn look(&mut self, questions: Question) -> Option<(Activity, Span)> {
        self.sample().await;
        let now = Instant::now();
        self.next_look = now + self.pace;
        let quiet = now - self.heard >= self.notice;
        let toolless = self.open.is_empty() && now - self.tool_used >= self.notice;
        let still = now - self.computed >= self.notice;
        // A walk through a tree costs something, so it is only made where its answer counts.
        if questions == Question::None && toolless && (still || !quiet) {
            self.look_at_files().await;
        }
        let connection = if quiet && toolless && still {
            self.connection().await
        } else {
            Connection::None
        };
        let since = |at: Instant| Span(u64::try_from((now - at).as_millis()).unwrap_or(u64::MAX));
        let evidence = Evidence {
            processes: match self.gone {
                GONE.. if now - self.there >= GONE_FOR => Processes::Gone,
                _ => Processes::There,
            },
            question: questions,
            tool: self.open.last().cloned(),
            quiet: since(self.heard),
            idle: since(self.computed),
            unchanged: since(self.changed),
            toolless: since(self.tool_used),
            connection,
        };
        let notice = Span(u64::try_from(self.notice.as_millis()).unwrap_or(u64::MAX));
        let (activity, lasts) = evidence.activity(notice);
        if activity == self.told {
            return None;
        }
        self.told = activity.clone();
        Some((activity, lasts))
    }

    /// What its processes have used since the look before.
    async fn sample(&mut self) {
        let length = std::fs::metadata(&self.transcript).map_or(self.length, |m| m.len());
        if length.saturating_sub(self.length) >= BUSY_WORDS {
            self.computed = Instant::now();
        }
        self.length = length;
        let Some(supervisor) = self.supervisor else { return };
        let Ok(used) = tokio::task::spawn_blocking(move || usage(supervisor)).await else {
            return;
        };
        let now = Instant::now();
        let Some((then, before)) = self.before.replace((now, used)) else {
            return;
        };
        if used.processes == 0 && (before.processes > 0 || self.gone > 0) {
            self.gone = self.gone.saturating_add(1);
        } else if used.processes > 0 {
            self.gone = 0;
            self.there = now;
        }
        let millis = u64::try_from((now - then).as_millis()).unwrap_or(u64::MAX).max(1);
        let ticks = used.ticks.saturating_sub(before.ticks);
        let share = ticks.saturating_mul(100_000) / TICKS / millis;
        if share >= BUSY || used.bytes.saturating_sub(before.bytes) >= BUSY_BYTES {
            self.computed = now;
        }
    }

    async fn look_at_files(&mut self) {
        let slot = self.slot.clone();
        let Ok(Some(newest)) = tokio::task::spawn_blocking(move || newest(&slot)).await else {
            return;
        };
        let news = match self.newest.replace(newest) {
            Some(before) => newest > before,
            // What was there before the first look has changed since then, or long ago.
            None => newest.elapsed().is_ok_and(|age| age < self.notice),
        };
        if news {
            self.changed = Instant::now();
        }
    }

    async fn connection(&self) -> Connection {
        let Some(supervisor) = self.supervisor else {
            return Connection::None;
        };
        match tokio::task::spawn_blocking(move || holds_connection(supervisor)).await {
            Ok(true) => Connection::Open,
            Ok(false) | Err(_) => Connection::None,
        }
    }
}

/// The newest time of a file or directory below one, without what git keeps.
fn newest(dir: &Path) -> Option<SystemTime> {
    let mut newest = None;
    let mut open = VecDeque::from([dir.to_owned()]);
    let mut seen = 0;
    while let Some(dir) = open.pop_front() {
        newest = newest.max(std::fs::metadata(&dir).and_then(|m| m.modified()).ok());
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            seen += 1;
            if seen > LOOKED_AT {
                return newest;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_dir() {
                newest = newest.max(meta.modified().ok());
            } else if entry.file_name() != ".git" {
                open.push_back(entry.path());
            }
        }
    }
    newest
}
