//! Owns what Turno itself has changed in a repository while it runs: where it moved refs, and which files it put
//! back. By it a guard tells Turno's own moves from those of others. It is kept in memory, and in the files that a guard
//! has it followed in, for the coordinator that comes after this one. It changes nothing in the repository.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use turno_core::tampering::RefAt;

use super::guarded::{Content, Stamp};

/// A line of a file in which the ledger is followed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Entry {
    Begun { at: u64, name: String, to: RefAt },
    Done { at: u64 },
    PutBack { path: PathBuf, content: Content },
}

/// Where the ledger is followed.
#[derive(Debug)]
struct Follower {
    file: File,
    /// What is worth nothing without the file, and goes when that cannot be written.
    snapshot: PathBuf,
}

/// One of those files, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Following(u64);

/// What an earlier coordinator has changed, by the file in which its ledger was followed.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Each ref's moves, in order.
    pub(super) refs: BTreeMap<String, Vec<(RefAt, Made)>>,
    /// What files were made again.
    pub(super) files: BTreeMap<PathBuf, Content>,
}

impl Earlier {
    /// Reads such a file. A last line that was broken off was never acted on.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut earlier = Self::default();
        let mut begun = BTreeMap::new();
        for entry in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
            match entry {
                Entry::Begun { at, name, to } => {
                    let moves = earlier.refs.entry(name.clone()).or_default();
                    begun.insert(at, (name, moves.len()));
                    moves.push((to, Made::Tried));
                }
                Entry::Done { at } => {
                    // Numbers begin anew with each coordinator, so the last of that number is meant.
                    let moves = begun
                        .get(&at)
                        .and_then(|(name, n)| Some((earlier.refs.get_mut(name)?, n)));
                    if let Some(one) = moves.and_then(|(moves, n)| moves.get_mut(*n)) {
                        one.1 = Made::Done;
                    }
                }
                Entry::PutBack { path, content } => drop(earlier.files.insert(path, content)),
            }
        }
        Some(earlier)
    }
}

/// Where a ref may be after these moves: first where it should be.
pub(super) fn after<'a>(before: &[RefAt], moves: impl IntoIterator<Item = (&'a RefAt, Made)>) -> Vec<RefAt> {
    let mut may_be = before.to_vec();
    for (to, made) in moves {
        match made {
            Made::Done => may_be = vec![to.clone()],
            Made::Tried => may_be.push(to.clone()),
        }
    }
    may_be
}

/// How far a move came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
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
    followers: BTreeMap<Following, Follower>,
    followed: u64,
}

impl Book {
    /// Writes a line into every file, before what it says is done.
    fn write(&mut self, entry: &Entry) {
        self.followers.retain(|_, follower| match follower.write(entry) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, snapshot = %follower.snapshot.display(), "a guard will not outlive this coordinator");
                drop(std::fs::remove_file(&follower.snapshot));
                false
            }
        });
    }
}

impl Follower {
    fn write(&mut self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
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
        book.write(&Entry::Begun {
            at: at.0,
            name: name.to_owned(),
            to: to.clone(),
        });
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
            book.write(&Entry::Done { at: begun.at.0 });
        }
    }

    /// Follows the ledger in a file: what was changed since then, and all that will be. `snapshot` goes when that
    /// cannot be.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn follow(&self, path: &Path, since: Moment, snapshot: PathBuf) -> std::io::Result<Following> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let is_begun = file.metadata()?.len() > 0;
        let mut follower = Follower { file, snapshot };
        if is_begun {
            // What comes after a line that was broken off is not part of it.
            follower.file.write_all(b"\n")?;
        }
        let mut book = self.book();
        for (name, moves) in &book.moves {
            for step in moves.iter().filter(|m| m.at > since) {
                follower.write(&Entry::Begun {
                    at: step.at.0,
                    name: name.clone(),
                    to: step.to.clone(),
                })?;
                if step.made == Made::Done {
                    follower.write(&Entry::Done { at: step.at.0 })?;
                }
            }
        }
        for (path, (_, content)) in book.files.iter().filter(|(_, (at, _))| *at > since) {
            let (path, content) = (path.clone(), content.clone());
            follower.write(&Entry::PutBack { path, content })?;
        }
        book.followed += 1;
        let following = Following(book.followed);
        book.followers.insert(following, follower);
        Ok(following)
    }

    /// Follows it no more.
    pub(super) fn leave(&self, following: Following) {
        self.book().followers.remove(&following);
    }

    /// Where a ref may be: first where it should be, then where a move that was broken off may have put it.
    pub(super) fn expected(&self, name: &str, before: &[RefAt], since: Moment) -> Vec<RefAt> {
        let book = self.book();
        let moves = book.moves.get(name).into_iter().flatten();
        after(before, moves.filter(|m| m.at > since).map(|m| (&m.to, m.made)))
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
        book.write(&Entry::PutBack {
            path: path.to_owned(),
            content: content.clone(),
        });
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
        assert_eq!(ledger.expected("r", &[at("a")], start), [at("a")]);
        let first = ledger.begin("r", at("b"));
        assert_eq!(
            ledger.expected("r", &[at("a")], start),
            [at("a"), at("b")],
            "it may have been broken off"
        );
        ledger.done(&first);
        assert_eq!(ledger.expected("r", &[at("a")], start), [at("b")]);
        let later = ledger.now();
        assert_eq!(ledger.expected("r", &[at("b")], later), [at("b")]);
        ledger.begin("r", RefAt::Absent);
        assert_eq!(ledger.expected("r", &[at("b")], later), [at("b"), RefAt::Absent]);
        assert_eq!(ledger.moved(later), ["r"]);
        assert!(ledger.moved(ledger.now()).is_empty());
    }

    #[test]
    fn whoever_comes_later_knows_what_was_moved() {
        let dir = tempfile::tempdir().unwrap();
        let (path, snapshot) = (dir.path().join("moves"), dir.path().join("guard.json"));
        let ledger = Ledger::default();
        ledger.done(&ledger.begin("old", at("x")));
        let since = ledger.now();
        ledger.done(&ledger.begin("r", at("b")));
        let following = ledger.follow(&path, since, snapshot.clone()).unwrap();
        ledger.done(&ledger.begin("r", at("c")));
        ledger.begin("r", at("d"));
        ledger.put_back(Path::new("hooks/x"), Content::Absent);
        let expected = |before: &str| {
            let earlier = Earlier::read(&path).unwrap();
            assert!(!earlier.refs.contains_key("old"));
            assert_eq!(earlier.files.get(Path::new("hooks/x")), Some(&Content::Absent));
            let moves = earlier.refs["r"].iter().map(|(to, made)| (to, *made));
            after(&[at(before)], moves)
        };
        assert_eq!(expected("a"), [at("c"), at("d")]);
        ledger.leave(following);
        ledger.begin("r", at("e"));
        assert_eq!(expected("a"), [at("c"), at("d")], "nobody follows any more");

        // The next one goes on in the same file, with numbers that begin anew.
        let next = Ledger::default();
        next.done(&next.begin("r", at("f")));
        next.follow(&path, Moment::default(), snapshot).unwrap();
        next.begin("r", at("g"));
        assert_eq!(expected("a"), [at("f"), at("g")]);
    }
}
