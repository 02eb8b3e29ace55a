//! Owns what Turno itself has changed in a repository while it runs: where it moved refs, and which files it put
//! back. By it a guard tells Turno's own moves from those of others. It is kept in memory only, and changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use turno_core::tampering::RefAt;

use super::guarded::{Content, Stamp};

/// How far a move came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// It was begun; whether it was done is not known.
    Tried,
    /// It was done.
    Done,
}

/// A moment in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Moment(u64);

#[derive(Debug)]
struct Move {
    at: Moment,
    to: RefAt,
    made: Made,
}

#[derive(Debug, Default)]
struct Book {
    last: Moment,
    moves: BTreeMap<String, Vec<Move>>,
    files: BTreeMap<PathBuf, (Moment, Content)>,
    index: Option<(Stamp, String)>,
}

/// What Turno has changed.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Book>);

/// A move that was begun. It counts as possible until it is told to be done.
#[derive(Debug)]
pub(super) struct Begun {
    name: String,
    at: Moment,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Each change is one call, so a panic leaves nothing half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the ledger is now.
    pub(super) fn now(&self) -> Moment {
        self.book().last
    }

    /// Notes that a ref is about to be moved.
    pub(super) fn begin(&self, name: &str, to: RefAt) -> Begun {
        let mut book = self.book();
        book.last.0 += 1;
        let at = book.last;
        let made = Made::Tried;
        book.moves
            .entry(name.to_owned())
            .or_default()
            .push(Move { at, to, made });
        let name = name.to_owned();
        Begun { name, at }
    }

    /// Notes that it was.
    pub(super) fn done(&self, begun: &Begun) {
        let mut book = self.book();
        let moves = book.moves.get_mut(&begun.name);
        if let Some(made) = moves.and_then(|all| all.iter_mut().find(|m| m.at == begun.at)) {
            made.made = Made::Done;
        }
    }

    /// Where a ref may be: first where it should be, then where a move that was broken off may have put it.
    pub(super) fn expected(&self, name: &str, before: &RefAt, since: Moment) -> Vec<RefAt> {
        let book = self.book();
        let mut may_be = vec![before.clone()];
        for step in book
            .moves
            .get(name)
            .into_iter()
            .flatten()
            .filter(|m| m.at > since)
        {
            match step.made {
                Made::Done => may_be = vec![step.to.clone()],
                Made::Tried => may_be.push(step.to.clone()),
            }
        }
        may_be
    }

    /// The refs that Turno moved since then.
    pub(super) fn moved(&self, since: Moment) -> Vec<String> {
        let book = self.book();
        let since = |moves: &Vec<Move>| moves.iter().any(|m| m.at > since);
        book.moves
            .iter()
            .filter(|(_, moves)| since(moves))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Notes that a file was made what it was before.
    pub(super) fn put_back(&self, path: &Path, content: Content) {
        let mut book = self.book();
        book.last.0 += 1;
        let at = book.last;
        book.files.insert(path.to_owned(), (at, content));
    }

    /// What a file was made since then, if it was put back.
    pub(super) fn file(&self, path: &Path, since: Moment) -> Option<Content> {
        let book = self.book();
        let (at, content) = book.files.get(path)?;
        (*at > since).then(|| content.clone())
    }

    /// What was staged when the index had this stamp.
    pub(super) fn index(&self, stamp: &Stamp) -> Option<String> {
        let book = self.book();
        let (known, print) = book.index.as_ref()?;
        (known == stamp).then(|| print.clone())
    }

    /// Notes what is staged while the index has this stamp.
    pub(super) fn note_index(&self, stamp: Stamp, print: String) {
        self.book().index = Some((stamp, print));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(id: &str) -> RefAt {
        RefAt::Object(id.to_owned())
    }

    #[test]
    fn a_ref_is_expected_where_turno_put_it_last() {
        let ledger = Ledger::default();
        let start = ledger.now();
        assert_eq!(ledger.expected("r", &at("a"), start), [at("a")]);
        let first = ledger.begin("r", at("b"));
        assert_eq!(
            ledger.expected("r", &at("a"), start),
            [at("a"), at("b")],
            "it may have been broken off"
        );
        ledger.done(&first);
        assert_eq!(ledger.expected("r", &at("a"), start), [at("b")]);
        let later = ledger.now();
        assert_eq!(ledger.expected("r", &at("b"), later), [at("b")]);
        ledger.begin("r", RefAt::Absent);
        assert_eq!(ledger.expected("r", &at("b"), later), [at("b"), RefAt::Absent]);
        assert_eq!(ledger.moved(later), ["r"]);
        assert!(ledger.moved(ledger.now()).is_empty());
    }
}
