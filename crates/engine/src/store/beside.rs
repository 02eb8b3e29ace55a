//! Owns reading a journal beside whoever writes it, without the lock and without the index: from the beginning to its
//! end, and on from there whenever more has come. It changes nothing.
//!
//! A group that is being written may be seen before it is committed. Whoever needs to know better asks the coordinator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use turno_core::ids::Seq;
use turno_core::record::Record;

use super::walk::{self, Next, Piece, Position};
use super::{Error, journal_dir};

/// Where every so many records end is remembered, so that reading begins near what is asked for.
const EVERY: u64 = 128;

/// A way to read records of a store that somebody else may have open. Cheap to copy; the copies share what they know.
#[derive(Debug, Clone)]
pub struct Beside {
    dir: PathBuf,
    marks: Arc<Mutex<BTreeMap<Seq, Position>>>,
}

impl Beside {
    /// Of the store below `dir`, which need not be there yet.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: journal_dir(dir),
            marks: Arc::default(),
        }
    }

    /// Up to `max` records after `seq`, in order. A store that is not there has none.
    ///
    /// # Errors
    /// When the journal cannot be read, is damaged, or was written by a newer build.
    pub fn after(&self, seq: Seq, max: usize) -> Result<Vec<Record>, Error> {
        let mut found = Vec::new();
        self.each_after(seq, |record| {
            found.push(record);
            if found.len() < max {
                Next::More
            } else {
                Next::Enough
            }
        })?;
        Ok(found)
    }

    /// Shows the records after `seq` up to `last` to `see`, in order, one at a time.
    ///
    /// # Errors
    /// As [`Self::after`].
    pub fn each(&self, seq: Seq, last: Seq, mut see: impl FnMut(&Record)) -> Result<(), Error> {
        if seq >= last {
            return Ok(());
        }
        self.each_after(seq, |record| {
            if record.seq <= last {
                see(&record);
            }
            if record.seq < last {
                Next::More
            } else {
                Next::Enough
            }
        })
    }

    fn each_after(&self, seq: Seq, mut each: impl FnMut(Record) -> Next) -> Result<(), Error> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        let (from, position) = self.nearest(seq);
        if from == Seq(0) {
            walk::check_formats(&self.dir)?;
        }
        walk::walk(&self.dir, from, position, |piece| match piece {
            Piece::Record { record, ends, .. } => {
                self.remember(record.seq, ends);
                Ok(if record.seq > seq {
                    each(*record)
                } else {
                    Next::More
                })
            }
            Piece::Damage(damage) => Err(Error::Damaged(damage)),
            Piece::Torn(_) => Ok(Next::Enough),
        })?;
        Ok(())
    }

    /// The last record not after `seq` whose end is known.
    fn nearest(&self, seq: Seq) -> (Seq, Position) {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = marks.range(..=seq).next_back();
        known.map_or((Seq(0), Position::START), |(seq, at)| (*seq, *at))
    }

    fn remember(&self, seq: Seq, ends: Position) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = marks.keys().next_back().copied();
        if last.is_none_or(|last| seq > last) {
            // The furthest one is always known: what comes next is read from there.
            if let Some(last) = last.filter(|last| last.0 % EVERY != 0) {
                marks.remove(&last);
            }
            marks.insert(seq, ends);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Desk;
    use crate::store::Store;
    use turno_core::event::Event;
    use turno_core::issue::IssueDraft;

    fn file(desk: &mut Desk, title: &str) {
        let draft = IssueDraft {
            title: title.to_owned(),
            ..IssueDraft::default()
        };
        desk.take(Event::IssueAdded { draft }).unwrap();
    }

    fn seqs(records: &[Record]) -> Vec<u64> {
        records.iter().map(|r| r.seq.0).collect()
    }

    #[test]
    fn what_comes_while_the_store_is_open_is_read_on_from_where_reading_ended() {
        let dir = tempfile::tempdir().unwrap();
        let beside = Beside::new(dir.path());
        assert_eq!(seqs(&beside.after(Seq(0), 9).unwrap()), [] as [u64; 0]);
        let (store, state) = Store::open(dir.path()).unwrap();
        let mut desk = Desk::new(store, state);
        file(&mut desk, "one");
        file(&mut desk, "two");
        assert_eq!(seqs(&beside.after(Seq(0), 1).unwrap()), [1]);
        assert_eq!(seqs(&beside.after(Seq(0), 9).unwrap()), [1, 2]);
        file(&mut desk, "three");
        assert_eq!(seqs(&beside.after(Seq(2), 9).unwrap()), [3]);
        assert_eq!(seqs(&beside.after(Seq(3), 9).unwrap()), [] as [u64; 0]);
        assert_eq!(seqs(&beside.after(Seq(1), 9).unwrap()), [2, 3]);
        let mut seen = Vec::new();
        beside.each(Seq(0), Seq(2), |r| seen.push(r.seq.0)).unwrap();
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn many_records_leave_few_marks_and_every_one_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (store, state) = Store::open(dir.path()).unwrap();
        let mut desk = Desk::new(store, state);
        for n in 0..300 {
            file(&mut desk, &n.to_string());
        }
        let beside = Beside::new(dir.path());
        beside.each(Seq(0), Seq(300), |_| {}).unwrap();
        assert_eq!(beside.marks.lock().unwrap().len(), 3);
        for after in [0, 1, 127, 128, 129, 255, 299] {
            assert_eq!(seqs(&beside.after(Seq(after), 1).unwrap()), [after + 1]);
        }
    }
}
