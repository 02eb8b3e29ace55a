//! Owns the thread that keeps the index behind the journal's back: a commit is acknowledged by the journal alone
//! and does not wait for what can be derived from it. Records that wait are written together.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use turno_core::ids::Seq;

use super::index::{Entry, Index, is_kept};
use super::walk::Position;

/// How many records may wait before a commit waits for the index.
const WAITING: usize = 1024;
/// How long records gather, so that what changes often is written once.
const GATHER: Duration = Duration::from_millis(20);

/// Where the records lie that are not in the index yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    all: Arc<Mutex<BTreeMap<Seq, Position>>>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Seq, Position>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a record begins that is this one or a little before it, if it is one of them.
    pub(super) fn before(&self, seq: Seq) -> Option<(Seq, Position)> {
        let all = self.lock();
        all.range(..=seq).next_back().map(|(seq, at)| (*seq, *at))
    }
}

/// The index's writer. Dropping it waits until everything is written.
#[derive(Debug)]
pub(super) struct Indexer {
    waiting: Option<SyncSender<Entry>>,
    places: Places,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    /// Starts the thread. Without one the index stays behind, and is brought up when it is next opened.
    pub(super) fn start(index: Index) -> Self {
        let (waiting, taken) = sync_channel(WAITING);
        let places = Places::default();
        let written = places.clone();
        let thread = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || write(index, &taken, &written));
        if let Err(error) = &thread {
            tracing::warn!(%error, "no thread for the index; the journal answers alone");
        }
        Self {
            waiting: Some(waiting),
            places,
            thread: thread.ok(),
        }
    }

    /// Where the records lie that are not written yet.
    pub(super) fn places(&self) -> Places {
        self.places.clone()
    }

    /// Takes a committed record.
    pub(super) fn put(&self, entry: Entry) {
        let Some(waiting) = &self.waiting else { return };
        let seq = entry.seq;
        if is_kept(seq) {
            self.places.lock().insert(seq, entry.place.begins);
        }
        if waiting.send(entry).is_err() {
            self.places.lock().remove(&seq);
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.waiting = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!(
                "the index could not be written; it is brought up from the journal at the next start"
            );
        }
    }
}

fn write(mut index: Index, taken: &Receiver<Entry>, places: &Places) {
    while let Ok(first) = taken.recv() {
        std::thread::sleep(GATHER);
        let mut entries = vec![first];
        entries.extend(taken.try_iter().take(WAITING));
        index.put(&entries);
        let mut places = places.lock();
        for entry in &entries {
            places.remove(&entry.seq);
        }
    }
}
