//! Owns what is kept: the journal, which is the truth, and the index, which is derived from it. Nothing is
//! acknowledged before its record is on disk; nothing begins empty after an error.

mod beside;
mod care;
mod disk;
mod index;
mod indexer;
mod journal;
mod line;
mod walk;

use std::path::{Path, PathBuf};

use turno_core::State;
use turno_core::ids::Seq;
use turno_core::record::Record;

pub use beside::Beside;
pub use care::{Checkup, Held, ImportError, IndexHealth, check, export, import, rebuild, write_line};
use index::{Entry, Index, Loaded};
use indexer::{Indexer, Places};
use journal::{Ground, Since};
pub use journal::{Journal, Place};
pub use walk::{Damage, Position};
use walk::{Next, Piece};

/// The format of the journal that this build writes. Older ones are read, newer ones are refused.
pub const FORMAT: u32 = 2;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("cannot {doing} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another build wrote it.
    #[error(
        "the store {} has format {found}, this turno reads formats up to {FORMAT}; nothing was changed. \
         Use the newer turno that wrote it, or point TURNO_STATE_DIR at another directory",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A part of the journal that was acknowledged cannot be read.
    #[error(
        "the journal {} is damaged at byte {}: {}; {} cannot be read; nothing was changed. Keep a copy of the \
         directory. `turno store check` tells all of the damage, `turno store export FILE` saves what can be read",
        .0.path.display(), .0.offset, .0.why, .0.records()
    )]
    Damaged(Damage),
    /// There is no store.
    #[error("there is no store in {} yet; `turno issue add` makes one", dir.display())]
    Absent {
        /// Where it would be.
        dir: PathBuf,
    },
    /// An earlier write did not succeed, so nothing can be written before the journal is opened again.
    #[error(
        "the journal {} could not be written before, so nothing more is written to it; start turno again",
        path.display()
    )]
    Failed {
        /// Which file.
        path: PathBuf,
    },
}

/// Something that a person should know of a store that was opened all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The journal ended within a group that was never acknowledged.
    TornEnd {
        /// Which file had it.
        path: PathBuf,
        /// Where it is kept.
        aside: PathBuf,
        /// How long it is.
        bytes: u64,
    },
    /// The index knew records that the journal does not have.
    IndexAhead {
        /// The last one that the index knew.
        index: Seq,
        /// The last one that there is.
        journal: Seq,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TornEnd { path, aside, bytes } => write!(
                f,
                "the last {bytes} bytes of {} were being written when the machine or turno stopped; nobody was told \
                 that they were committed. They are kept in {}",
                path.display(),
                aside.display()
            ),
            Self::IndexAhead { index, journal } => write!(
                f,
                "the index knew of record {index}, but the journal ends with record {journal}; the journal is the \
                 truth. If it was not put back from a copy, its disk has lost what it said it had written"
            ),
        }
    }
}

fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull => {
            "; free some space on that disk, then start again: nothing was lost"
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable, or point TURNO_STATE_DIR at a directory that is"
        }
        _ => "",
    }
}

impl Error {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// The open store. One process at a time: the state directory's lock is held by whoever has it.
#[derive(Debug)]
pub struct Store {
    journal: Journal,
    index: Index,
    indexer: Indexer,
    notes: Vec<Note>,
}

/// Reads committed records while the store is in use.
#[derive(Debug, Clone)]
pub struct Reader {
    dir: PathBuf,
    index: Index,
    places: Places,
}

impl Store {
    /// Opens the store below `dir`, makes it if there is none, and gives the state it holds.
    ///
    /// # Errors
    /// When it cannot be read whole. It is never taken for empty then.
    pub fn open(dir: &Path) -> Result<(Self, State), Error> {
        Self::open_on(Ground::default(), dir)
    }

    fn open_on(ground: Ground, dir: &Path) -> Result<(Self, State), Error> {
        let journal_dir = journal_dir(dir);
        journal::make(&ground, &journal_dir)?;
        walk::check_formats(&journal_dir)?;
        let (mut index, loaded) = Index::open(&index_dir(dir));
        let mut committed = Seq(0);
        if let Loaded::Known { state, seq, place } = loaded {
            if walk::holds(&journal_dir, seq, place.sum, place.begins, place.ends) {
                let since = Since {
                    seq,
                    position: place.ends,
                    committed: seq,
                };
                let (journal, state, note) = Self::replay(ground, &journal_dir, since, *state, &mut index)?;
                return Ok((Self::of(journal, index, note.into_iter().collect()), state));
            }
            committed = seq;
        }
        // What the index holds may be all that is left of a damaged journal: it is cleared when that was read whole.
        let since = Since {
            committed,
            ..Since::START
        };
        let (journal, state, note) = Self::replay(ground, &journal_dir, since, State::default(), &mut index)?;
        let mut notes: Vec<Note> = note.into_iter().collect();
        if committed > journal.head() {
            notes.push(Note::IndexAhead {
                index: committed,
                journal: journal.head(),
            });
        }
        Ok((Self::of(journal, index, notes), state))
    }

    /// The state that a store holds and a way to read its records, without changing anything: for a disk that is
    /// full or may not be written. All of the journal is read.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read whole.
    pub fn look(dir: &Path) -> Result<(State, Reader), Error> {
        let journal = journal_dir(dir);
        if !journal.is_dir() {
            return Err(Error::Absent { dir: dir.to_owned() });
        }
        walk::check_formats(&journal)?;
        let mut state = State::default();
        walk::walk(&journal, Seq(0), Position::START, |piece| {
            match piece {
                Piece::Record { record, .. } => record.redo(&mut state),
                Piece::Damage(damage) => return Err(Error::Damaged(damage)),
                Piece::Torn(_) => {}
            }
            Ok(Next::More)
        })?;
        let reader = Reader {
            dir: journal,
            index: Index::Without,
            places: Places::default(),
        };
        Ok((state, reader))
    }

    fn of(journal: Journal, index: Index, notes: Vec<Note>) -> Self {
        for note in &notes {
            tracing::warn!("{note}");
        }
        let indexer = Indexer::start(index.clone());
        Self {
            journal,
            index,
            indexer,
            notes,
        }
    }

    /// Takes in what the index does not know yet, without running a rule.
    fn replay(
        ground: Ground,
        dir: &Path,
        since: Since,
        state: State,
        index: &mut Index,
    ) -> Result<(Journal, State, Option<Note>), Error> {
        let before = state.clone();
        let mut state = state;
        let mut places = Vec::new();
        let mut last = None;
        let (journal, note) = Journal::open(ground, dir, since, |record, place| {
            record.redo(&mut state);
            if index::is_kept(record.seq) {
                places.push((record.seq, place));
            }
            last = Some((record.seq, place));
        })?;
        if since.seq == Seq(0) {
            index.clear();
        }
        if let Some(last) = last {
            index.put_all(state.changes_since(&before).iter(), places.into_iter(), last);
            if since.seq == Seq(0) {
                index.flush();
            }
        }
        Ok((journal, state, note))
    }

    /// What a person should know of how it was found.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Makes records durable: one write and one fdatasync for all of them. The index follows by itself.
    ///
    /// # Errors
    /// When they could not be made durable. Nothing may be done for them then.
    pub fn commit(&mut self, records: &[Record]) -> Result<(), Error> {
        let places = self.journal.append(records)?;
        for (record, place) in records.iter().zip(places) {
            self.indexer.put(Entry {
                seq: record.seq,
                place,
                changes: record.changes.clone(),
            });
        }
        Ok(())
    }

    /// The last committed record.
    pub fn head(&self) -> Seq {
        self.journal.head()
    }

    /// A way to read records beside the writer.
    pub fn reader(&self) -> Reader {
        Reader {
            dir: self.journal.dir().to_owned(),
            index: self.index.clone(),
            places: self.indexer.places(),
        }
    }
}

/// All records of the journal in `dir`, which is not opened for writing.
pub(crate) fn records(dir: &Path) -> Result<Vec<Record>, Error> {
    walk::check_formats(dir)?;
    journal::read(dir, None, Seq(1), usize::MAX)
}

impl Reader {
    /// Up to `max` records after `seq`, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn after(&self, seq: Seq, max: usize) -> Result<Vec<Record>, Error> {
        let next = Seq(seq.0.saturating_add(1));
        let hint = self.places.before(next).max(self.index.before(next));
        journal::read(&self.dir, hint, next, max)
    }

    /// All records.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn all(&self) -> Result<Vec<Record>, Error> {
        self.after(Seq(0), usize::MAX)
    }
}

fn journal_dir(dir: &Path) -> PathBuf {
    dir.join("journal")
}

fn index_dir(dir: &Path) -> PathBuf {
    dir.join("index")
}

#[cfg(test)]
mod tests;
