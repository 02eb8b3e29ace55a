//! Owns what a person may do with a store by hand: look it through, make its index anew, take its records out and
//! put them into a new one. Nothing is ever overwritten.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use turno_core::State;
use turno_core::ids::Seq;
use turno_core::record::Record;

use super::index::{Index, Loaded};
use super::journal::{self, Ground, Journal};
use super::walk::{self, Damage, Next, Piece, Position, walk};
use super::{Error, Note, Store, index_dir, journal_dir};

/// How many records are written together when they are put into a new store.
const GROUP: usize = 1000;

/// What a store was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// Where its journal is.
    pub journal: PathBuf,
    /// How many files it has.
    pub segments: usize,
    /// How many records can be read.
    pub records: u64,
    /// The last of them.
    pub head: Seq,
    /// CRC32C over the sums of all records that can be read, in order.
    pub sum: u32,
    /// What cannot be read and was acknowledged.
    pub damage: Vec<Damage>,
    /// An end that was never acknowledged; the next writer sets it aside.
    pub torn: Option<Damage>,
    /// What the index is worth.
    pub index: IndexHealth,
}

/// What an index is worth beside its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexHealth {
    /// It agrees with the journal.
    Agrees,
    /// It is whole and knows less; it is brought up when the store is next opened.
    Behind {
        /// The last record that it knows.
        head: Seq,
    },
    /// There is none that can be relied on; it is made when the store is next opened.
    Absent,
    /// A coordinator uses it at this moment.
    InUse,
    /// It knows records that the journal does not have.
    Ahead {
        /// The last record that it knows.
        head: Seq,
    },
    /// It is not of this journal, or says something else.
    Differs,
    /// It cannot be read.
    Unreadable,
    /// The journal is damaged, so there is nothing to hold it against.
    Unknown {
        /// The last record that it knows.
        head: Seq,
    },
}

impl IndexHealth {
    /// Whether it will be right by itself, without anything being lost from sight.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Agrees | Self::Behind { .. } | Self::Absent | Self::InUse => true,
            Self::Ahead { .. } | Self::Differs | Self::Unreadable | Self::Unknown { .. } => false,
        }
    }
}

impl Checkup {
    /// Whether all that was acknowledged can be read and the index is right, or will be by itself.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.index.is_sound()
    }
}

/// Who has the store while it is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Whoever looks.
    ByUs,
    /// A coordinator at work, or nobody may write here: the index is left alone.
    NotByUs,
}

/// The directory of a journal that is there and can be read by this build.
fn there(dir: &Path) -> Result<PathBuf, Error> {
    let journal = journal_dir(dir);
    if !journal.is_dir() {
        return Err(Error::Absent { dir: dir.to_owned() });
    }
    walk::check_formats(&journal)?;
    Ok(journal)
}

/// Looks a whole store through and changes nothing of the journal. sled writes its index when it is opened, so that
/// is only looked at by whoever has the store.
///
/// # Errors
/// When a file cannot be read at all, or a newer build wrote it.
pub fn check(dir: &Path, held: Held) -> Result<Checkup, Error> {
    let journal = there(dir)?;
    let known = match held {
        Held::NotByUs => None,
        Held::ByUs if !index_dir(dir).is_dir() => Some(IndexHealth::Absent),
        Held::ByUs => None,
    };
    let (index, loaded) = match (held, known) {
        (Held::NotByUs, _) => (IndexHealth::InUse, None),
        (Held::ByUs, Some(absent)) => (absent, None),
        (Held::ByUs, None) => match Index::look(&index_dir(dir)) {
            None => (IndexHealth::Unreadable, None),
            Some((_, Loaded::Nothing)) => (IndexHealth::Absent, None),
            Some((_, Loaded::Known { state, seq, place })) => {
                (IndexHealth::Differs, Some((state, seq, place)))
            }
        },
    };
    let mut found = Checkup {
        segments: walk::segments(&journal)?.len(),
        journal,
        records: 0,
        head: Seq(0),
        sum: 0,
        damage: Vec::new(),
        torn: None,
        index,
    };
    let mut state = State::default();
    let mut agrees = None;
    let dir = found.journal.clone();
    walk(&dir, Seq(0), Position::START, |piece| {
        match piece {
            Piece::Record {
                record, sum, ends, ..
            } => {
                found.records += 1;
                found.head = record.seq;
                found.sum = crc32c::crc32c_append(found.sum, &sum.to_be_bytes());
                record.redo(&mut state);
                if let Some((indexed, seq, place)) = &loaded
                    && *seq == record.seq
                {
                    agrees = Some(place.ends == ends && place.sum == sum && **indexed == state);
                }
            }
            Piece::Damage(damage) => found.damage.push(damage),
            Piece::Torn(end) => found.torn = Some(end),
        }
        Ok(Next::More)
    })?;
    if let Some((_, seq, _)) = loaded {
        found.index = match agrees {
            _ if !found.damage.is_empty() => IndexHealth::Unknown { head: seq },
            Some(true) if seq == found.head => IndexHealth::Agrees,
            Some(true) => IndexHealth::Behind { head: seq },
            Some(false) => IndexHealth::Differs,
            None => IndexHealth::Ahead { head: seq },
        };
    }
    Ok(found)
}

/// Makes the index anew from the journal; the one that is there is moved aside. Gives the last record.
///
/// # Errors
/// When the journal cannot be read whole. The index stays as it is then: it may be all that is left.
pub fn rebuild(dir: &Path) -> Result<(Seq, Vec<Note>), Error> {
    let journal = there(dir)?;
    walk(&journal, Seq(0), Position::START, |piece| match piece {
        Piece::Damage(damage) => Err(Error::Damaged(damage)),
        Piece::Record { .. } | Piece::Torn(_) => Ok(Next::More),
    })?;
    let index = index_dir(dir);
    let aside = (1..)
        .map(|n| index.with_extension(format!("old-{n}")))
        .find(|p| !p.exists());
    if let Some(aside) = aside.filter(|_| index.exists()) {
        std::fs::rename(&index, &aside).map_err(Error::io("move aside", &index))?;
    }
    let (store, _) = Store::open(dir)?;
    Ok((store.head(), store.notes().to_vec()))
}

/// Gives every record that can be read, and what cannot, in order. Works on a damaged journal.
///
/// # Errors
/// When a file cannot be read at all or a newer build wrote it; or with the first error of the receiver.
pub fn export(
    dir: &Path,
    mut record: impl FnMut(&Record) -> std::io::Result<()>,
    mut damage: impl FnMut(&Damage),
) -> Result<(), Error> {
    let journal = there(dir)?;
    walk(&journal, Seq(0), Position::START, |piece| {
        match piece {
            Piece::Record { record: found, .. } => {
                record(&found).map_err(Error::io("write what is exported of", &journal))?;
            }
            Piece::Damage(found) => damage(&found),
            Piece::Torn(_) => {}
        }
        Ok(Next::More)
    })?;
    Ok(())
}

/// Why records cannot be put into a new store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is a store.
    #[error(
        "there is a store in {} already, and nothing is overwritten; \
         point TURNO_STATE_DIR at an empty directory, or move this one away",
        dir.display()
    )]
    NotEmpty {
        /// Where.
        dir: PathBuf,
    },
    /// A line is no record.
    #[error(
        "line {line} is no record of a journal: {why}; nothing was imported. `turno store export` writes such lines"
    )]
    Line {
        /// Which, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A record is missing or out of its order.
    #[error(
        "line {line} holds record {found} where record {expected} belongs; nothing was imported. The lines before it \
         can be imported: a journal without a gap is needed"
    )]
    Gap {
        /// Which line, counted from 1.
        line: u64,
        /// What is there.
        found: Seq,
        /// What should be.
        expected: Seq,
    },
    /// What is imported cannot be read.
    #[error("what is to be imported cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The new store cannot be written.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Makes a new journal below `dir` from lines of JSON, one record each, and its index. `open` gives the lines from
/// their beginning; it is asked twice, because all of them are read before anything is made.
///
/// # Errors
/// When there is a store already, a line is no record, one is missing, or it cannot be written.
pub fn import<R: BufRead>(
    dir: &Path,
    mut open: impl FnMut() -> std::io::Result<R>,
) -> Result<Seq, ImportError> {
    let taken = || ImportError::NotEmpty { dir: dir.to_owned() };
    let is_there = |path: PathBuf| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if is_there(journal_dir(dir)) || is_there(index_dir(dir)) {
        return Err(taken());
    }
    each_record(open()?, |_| Ok(()))?;
    // Under another name until it is whole: a journal that was cut off here would be taken for all there was.
    let whole = journal_dir(dir);
    let aside = (1..)
        .map(|n| whole.with_extension(format!("import-{n}")))
        .find(|p| !p.exists());
    let aside = aside.ok_or_else(taken)?;
    let ground = Ground::default();
    journal::make(&ground, &aside)?;
    let mut journal = Journal::open_alone(&aside)?;
    let mut group = Vec::new();
    each_record(open()?, |record| {
        group.push(record);
        if group.len() >= GROUP {
            journal.append(&group)?;
            group.clear();
        }
        Ok(())
    })?;
    journal.append(&group)?;
    let head = journal.head();
    drop(journal);
    std::fs::rename(&aside, &whole).map_err(Error::io("name", &whole))?;
    ground.disk.sync_dir(dir).map_err(Error::io("write", dir))?;
    let (store, _) = Store::open(dir)?;
    debug_assert_eq!(store.head(), head, "what was written is what is read");
    Ok(store.head())
}

/// Gives each record of lines, which come without a gap from the first on.
fn each_record(
    mut lines: impl BufRead,
    mut each: impl FnMut(Record) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let (mut number, mut head) = (0, Seq(0));
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        number += 1;
        if lines.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| ImportError::Line {
            line: number,
            why: e.to_string(),
        })?;
        let expected = Seq(head.0 + 1);
        if record.seq != expected {
            return Err(ImportError::Gap {
                line: number,
                found: record.seq,
                expected,
            });
        }
        head = record.seq;
        each(record)?;
    }
}

/// One record as it is exported: a line of JSON.
///
/// # Errors
/// When it cannot be written.
pub fn write_line(out: &mut impl Write, record: &Record) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}
