//! Owns what attempts have said, as far as it was heard: how many things, the last of them, and where hearing goes on.
//! So a long transcript is heard once, and then only what is new of it. What is not held is heard again from the
//! beginning. It holds a bounded number of bytes for all attempts together, and writes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use turno_core::ids::AttemptId;
use turno_engine::live::Doing;
use turno_engine::process::supervisor::files;
use turno_engine::regular;
use turno_engine::replay::Replay;

use crate::error::Problem;
use crate::view::attempt::{ConversationPage, SaidView};

/// A piece is not longer than this in bytes, unless one thing alone is; what comes after is asked for next.
const WORDS: usize = 2 << 20;
/// So many of the last things of an attempt are held: what a page begins with, and what it asks for as they come.
const HELD: usize = 512;
/// So many bytes are held of all attempts, and one attempt more.
const ALL_HELD: usize = 32 << 20;
/// So many attempts are held: each has an open file while it runs.
const EARS: usize = 64;
/// What a thing takes besides its text.
const EACH: usize = size_of::<Doing>();

/// Which piece of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those after that number.
    After {
        /// The number of the last one that is not wanted.
        after: usize,
        /// So many at most.
        limit: usize,
    },
    /// The last so many.
    Last(usize),
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs.
    Running,
    /// It has ended.
    Over,
}

/// What was heard of all attempts.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    looks: u64,
    ears: BTreeMap<AttemptId, Kept>,
}

/// What is held of one attempt.
#[derive(Debug, Default)]
struct Kept {
    ear: Arc<Mutex<Ear>>,
    bytes: usize,
    looked: u64,
}

/// One attempt, as far as it was heard.
#[derive(Debug, Default)]
struct Ear {
    file: Option<File>,
    ring: Ring,
    goes_on: GoesOn,
}

/// Where hearing goes on.
#[derive(Debug, Default)]
enum GoesOn {
    /// It has not begun.
    #[default]
    Anew,
    /// Where it was left.
    Here(Box<Replay>),
    /// Nothing more can come. Who listened is forgotten: of a long conversation it remembers much.
    Nowhere,
}

/// Which file it was, and how long before it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
    length: u64,
}

impl File {
    fn of(dir: &Path) -> Option<Self> {
        let file = regular::open_below(dir, Path::new(files::OUT)).ok()?;
        let about: Metadata = file.metadata().ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
        })
    }

    /// Whether this is what it was, or what it was with something more at its end.
    fn follows(&self, was: &Self) -> bool {
        (self.device, self.inode) == (was.device, was.inode) && self.length >= was.length
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    /// A piece of what the attempt in this directory has said by now. `begin` gives one who hears it from its beginning. It
    /// may block for as long as hearing all of it takes.
    ///
    /// # Errors
    /// Those of `begin`.
    pub(crate) fn piece(
        &self,
        attempt: AttemptId,
        dir: &Path,
        life: Life,
        which: Which,
        begin: impl Fn() -> Result<Replay, Problem>,
    ) -> Result<ConversationPage, Problem> {
        let ear = self.ear(attempt);
        let mut ear = held(&ear);
        let begun = ear.listen(File::of(dir), life, &begin);
        let given = begun.and_then(|()| match ear.ring.give(which) {
            Some(items) => Ok(items),
            None => Ok(again(begin()?, which)),
        });
        self.weigh(attempt, ear.ring.weight());
        let seen = ear.ring.seen;
        drop(ear);
        let items = given?;
        let next = match which {
            Which::After { after, .. } => after + items.len(),
            Which::Last(_) => items.last().map_or(seen, |last| last.n),
        };
        Ok(ConversationPage {
            attempt,
            items,
            next,
            more: seen > next,
        })
    }

    fn ear(&self, attempt: AttemptId) -> Arc<Mutex<Ear>> {
        let mut shelf = held(&self.0);
        shelf.looks += 1;
        let looks = shelf.looks;
        let kept = shelf.ears.entry(attempt).or_default();
        kept.looked = looks;
        Arc::clone(&kept.ear)
    }

    /// Takes down how much is held of an attempt, and lets go of those that were not looked at for the longest time.
    fn weigh(&self, attempt: AttemptId, bytes: usize) {
        let mut shelf = held(&self.0);
        if let Some(kept) = shelf.ears.get_mut(&attempt) {
            kept.bytes = bytes;
        }
        loop {
            let all: usize = shelf.ears.values().map(|k| k.bytes).sum();
            let others = shelf.ears.iter().filter(|(id, _)| **id != attempt);
            let oldest = others.min_by_key(|(_, kept)| kept.looked).map(|(id, _)| *id);
            match oldest {
                Some(oldest) if all > ALL_HELD || shelf.ears.len() > EARS => shelf.ears.remove(&oldest),
                Some(_) | None => return,
            };
        }
    }
}

impl Ear {
    fn listen(
        &mut self,
        file: Option<File>,
        life: Life,
        begin: impl Fn() -> Result<Replay, Problem>,
    ) -> Result<(), Problem> {
        let follows = match (&file, &self.file) {
            (Some(now), Some(was)) => now.follows(was),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is_all_known = matches!(self.goes_on, GoesOn::Nowhere) && file == self.file;
        if is_all_known {
            return Ok(());
        }
        if !follows || matches!(self.goes_on, GoesOn::Nowhere) {
            *self = Self::default();
        }
        let mut replay = match std::mem::take(&mut self.goes_on) {
            GoesOn::Here(replay) => replay,
            GoesOn::Anew | GoesOn::Nowhere => {
                self.ring = Ring::default();
                Box::new(begin()?)
            }
        };
        replay.read(|doing| self.ring.take(doing));
        self.file = file;
        self.goes_on = match life {
            Life::Running => GoesOn::Here(replay),
            Life::Over => GoesOn::Nowhere,
        };
        Ok(())
    }
}

/// The last things that were said.
#[derive(Debug, Default)]
struct Ring {
    /// How many there were in all.
    seen: usize,
    /// How long those are that are held.
    bytes: usize,
    items: VecDeque<Doing>,
}

impl Ring {
    fn take(&mut self, doing: Doing) {
        self.seen += 1;
        self.bytes += doing.text().len();
        self.items.push_back(doing);
        while self.items.len() > HELD || self.items.len() > 1 && self.bytes > WORDS {
            self.bytes -= self.items.pop_front().map_or(0, |gone| gone.text().len());
        }
    }

    fn weight(&self) -> usize {
        self.bytes + self.items.len() * EACH
    }

    /// The piece; `None` where it is not held.
    fn give(&self, which: Which) -> Option<Vec<SaidView>> {
        let before = self.seen - self.items.len();
        let from = match which {
            Which::After { after, .. } if after >= self.seen => return Some(Vec::new()),
            Which::After { after, .. } => after.checked_sub(before)?,
            // Where fewer are held than might be, one more would have been too long.
            Which::Last(most) if before == 0 || most <= HELD || self.items.len() < HELD => {
                self.items.len().saturating_sub(most)
            }
            Which::Last(_) => return None,
        };
        let mut piece = Piece::new(which);
        let items = self.items.iter().enumerate().skip(from);
        for (n, doing) in items {
            piece.take(before + n + 1, doing);
        }
        Some(piece.items.into())
    }
}

/// Hears an attempt once more for a piece that is not held.
fn again(mut replay: Replay, which: Which) -> Vec<SaidView> {
    let mut piece = Piece::new(which);
    let mut n = 0;
    while !piece.is_full()
        && replay.read_piece(|doing| {
            n += 1;
            piece.take(n, &doing);
        })
    {}
    piece.items.into()
}

/// A piece of what was said, as all of it goes by: no more of it is held than is given.
struct Piece {
    which: Which,
    bytes: usize,
    items: VecDeque<SaidView>,
}

impl Piece {
    fn new(which: Which) -> Self {
        Self {
            which,
            bytes: 0,
            items: VecDeque::new(),
        }
    }

    /// Whether nothing that comes can be in it. What is given has no gaps, so it ends where there is no room.
    fn is_full(&self) -> bool {
        match self.which {
            Which::After { limit, .. } => self.items.len() >= limit || self.bytes >= WORDS,
            Which::Last(_) => false,
        }
    }

    fn take(&mut self, n: usize, doing: &Doing) {
        let is_wanted = match self.which {
            Which::After { after, .. } => n > after,
            Which::Last(_) => true,
        };
        if !is_wanted || self.is_full() {
            return;
        }
        self.bytes += doing.text().len();
        self.items.push_back(SaidView::of(n, doing));
        if let Which::Last(most) = self.which {
            while self.items.len() > most || self.items.len() > 1 && self.bytes > WORDS {
                self.bytes -= self.items.pop_front().map_or(0, |gone| gone.text.len());
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/heard.rs"]
mod tests;
