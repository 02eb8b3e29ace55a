//! Owns what is kept: the journal, which is the truth, and the index, which is derived from it. Nothing is
//! acknowledged before its record is on disk; nothing begins empty after an error.

mod index;
mod indexer;
mod journal;

use std::path::{Path, PathBuf};

use turno_core::State;
use turno_core::ids::Seq;
use turno_core::record::Record;

use index::{Entry, Index, Loaded};
use indexer::{Indexer, Places};
pub use journal::{Journal, Position};

/// The format of the journal that this build writes. Older ones are read, newer ones are refused.
pub const FORMAT: u32 = 1;

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
    /// The journal holds something that was not written by Turno, or not whole.
    #[error(
        "the journal {} is damaged at byte {offset}: {why}; nothing was changed. \
         Keep a copy of the directory; records before that point are whole",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        why: String,
    },
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
        let journal_dir = dir.join("journal");
        std::fs::create_dir_all(&journal_dir).map_err(Error::io("create", &journal_dir))?;
        journal::check_formats(&journal_dir)?;
        let (mut index, loaded) = Index::open(&dir.join("index"));
        if let Loaded::Known { state, seq, position } = loaded
            && let Some(begins) = index.place(seq)
            && journal::holds(&journal_dir, seq, begins, position)
        {
            let mut state = *state;
            let journal = Self::tail(&journal_dir, seq, position, &mut state, &mut index)?;
            return Ok((Self::of(journal, index), state));
        }
        index.clear();
        let mut state = State::default();
        let journal = Self::tail(&journal_dir, Seq(0), Position::START, &mut state, &mut index)?;
        Ok((Self::of(journal, index), state))
    }

    fn of(journal: Journal, index: Index) -> Self {
        let indexer = Indexer::start(index.clone());
        Self {
            journal,
            index,
            indexer,
        }
    }

    /// Takes in what the index does not know yet, without running a rule.
    fn tail(
        dir: &Path,
        seq: Seq,
        from: Position,
        state: &mut State,
        index: &mut Index,
    ) -> Result<Journal, Error> {
        Journal::open(dir, seq, from, |record, place, after| {
            record.redo(state);
            index.put(&[Entry::of(record, place, after)]);
        })
    }

    /// Makes records durable: one write and one fdatasync for all of them. The index follows by itself.
    ///
    /// # Errors
    /// When they could not be made durable. Nothing may be done for them then.
    pub fn commit(&mut self, records: &[Record]) -> Result<(), Error> {
        let places = self.journal.append(records)?;
        for (record, (place, after)) in records.iter().zip(places) {
            self.indexer.put(Entry::of(record, place, after));
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
    journal::check_formats(dir)?;
    journal::read(dir, Position::START, Seq(1), usize::MAX)
}

impl Reader {
    /// Up to `max` records after `seq`, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn after(&self, seq: Seq, max: usize) -> Result<Vec<Record>, Error> {
        let next = Seq(seq.0 + 1);
        let waiting = self.places.get(next);
        let from = waiting
            .or_else(|| self.index.place(next))
            .unwrap_or(Position::START);
        journal::read(&self.dir, from, next, max)
    }

    /// All records.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn all(&self) -> Result<Vec<Record>, Error> {
        self.after(Seq(0), usize::MAX)
    }
}

#[cfg(test)]
mod tests;
