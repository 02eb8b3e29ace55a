//! Owns the watch over how much the writable places of a run grow. No kernel limit does that for a directory. It
//! reads and counts; it changes nothing and stops nobody.
//!
//! A walk over a large tree is dear and the free space of a file system is cheap to ask for, so it walks only when so
//! much has gone that the limit could be near, and it rests in proportion to what the last walk took.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use super::{Bound, Limits};

/// How often the file systems are asked.
const PACE: Duration = Duration::from_millis(500);
/// How long a start waits for the first walk. On a larger tree the program starts meanwhile, and what it writes
/// before the walk comes by passes for having been there.
const FIRST: Duration = Duration::from_millis(250);
/// A walk is made at least this often: somebody else may give back as much space as the run takes.
const AT_LEAST: Duration = Duration::from_secs(120);
/// The same where the file system does not count files.
const UNCOUNTED: Duration = Duration::from_secs(15);
/// A walk that takes longer is broken off. What it saw is less than there is, so nobody is blamed wrongly.
const LONGEST: Duration = Duration::from_secs(60);
/// It rests this many times as long as the last walk took.
const REST: u32 = 10;
/// The same when the limit may be passed already.
const SHORT_REST: u32 = 2;
/// Less is not worth a walk.
const LEAST: Use = Use {
    bytes: 1 << 20,
    files: 64,
};

/// A place that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch how {} grows: {source}. It must be a directory before the run starts", path.display())]
pub struct Error {
    path: PathBuf,
    source: io::Error,
}

/// What has grown beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// What is written.
    Disk {
        /// How many bytes it may grow by.
        limit: u64,
        /// By how many it has grown at least.
        grown: u64,
    },
    /// How many files there are.
    Files {
        /// How many more there may be.
        limit: u64,
        /// How many more there are at least.
        grown: u64,
    },
}

/// A watch that runs until it is dropped.
#[derive(Debug)]
pub struct DiskWatch {
    over: Receiver<Over>,
    /// The watcher ends when this goes.
    _running: Sender<()>,
}

impl DiskWatch {
    /// Begins to watch, with what is there now as the start. `None` where nothing is limited.
    ///
    /// # Errors
    /// When one of the places is not there.
    pub fn start(roots: &[PathBuf], limits: &Limits) -> Result<Option<Self>, Error> {
        if let (Bound::Unlimited, Bound::Unlimited) = (limits.disk, limits.files) {
            return Ok(None);
        }
        let roots = roots_of(roots)?;
        let (disk, files) = (limits.disk, limits.files);
        let (running, stopped) = channel::<()>();
        let (say_over, over) = channel();
        let (say_begun, begun) = channel();
        std::thread::Builder::new()
            .name("disk-watch".to_owned())
            .spawn(move || {
                let Some(mut ledger) = Ledger::begin(roots, disk, files, &stopped) else {
                    return;
                };
                drop(say_begun);
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PACE) {
                    if let Look::Over(over) = ledger.look(Instant::now(), &stopped) {
                        let _nobody_asks_any_more = say_over.send(over);
                        return;
                    }
                }
            })
            .map_err(|source| Error {
                path: PathBuf::from("/"),
                source,
            })?;
        let _begun_or_slow: Result<(), RecvTimeoutError> = begun.recv_timeout(FIRST);
        Ok(Some(Self {
            over,
            _running: running,
        }))
    }

    /// What is over its limit, once.
    pub fn over(&self) -> Option<Over> {
        self.over.try_recv().ok()
    }
}

/// How much is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Use {
    bytes: u64,
    files: u64,
}

/// A place to watch. Other file systems mounted in it are not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    path: PathBuf,
    device: u64,
}

/// The places without those that lie in another one.
fn roots_of(paths: &[PathBuf]) -> Result<Vec<Root>, Error> {
    let mut roots: Vec<Root> = Vec::new();
    let mut all = BTreeMap::new();
    for path in paths {
        let failed = |source| Error {
            path: path.clone(),
            source,
        };
        let path = std::fs::canonicalize(path).map_err(failed)?;
        let about = std::fs::metadata(&path).map_err(failed)?;
        if !about.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        all.insert(path, about.dev());
    }
    // In order, so what contains others comes first.
    for (path, device) in all {
        if !roots
            .iter()
            .any(|r| r.device == device && path.starts_with(&r.path))
        {
            roots.push(Root { path, device });
        }
    }
    Ok(roots)
}

/// What a look showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Too little has happened for a walk.
    Quiet,
    /// All is within its limits.
    Within,
    /// It is not.
    Over(Over),
}

/// What is free on a file system. One that does not count files has no number of them.
#[derive(Debug, Clone, Copy)]
struct Free {
    bytes: u64,
    files: Option<u64>,
}

#[derive(Debug)]
struct Ledger {
    roots: Vec<Root>,
    disk: Bound,
    files: Bound,
    start: Use,
    grown: Use,
    free: BTreeMap<u64, Free>,
    walked: Instant,
    took: Duration,
}

impl Ledger {
    /// `None` when it was stopped.
    fn begin(roots: Vec<Root>, disk: Bound, files: Bound, stopped: &Receiver<()>) -> Option<Self> {
        let walked = Instant::now();
        let free = free(&roots);
        let Walk::Whole(start) = walk(&roots, |_| is_stopped(stopped)) else {
            return None;
        };
        Some(Self {
            roots,
            disk,
            files,
            start,
            grown: Use::default(),
            free,
            walked,
            took: walked.elapsed(),
        })
    }

    fn look(&mut self, now: Instant, stopped: &Receiver<()>) -> Look {
        let free = free(&self.roots);
        if !self.is_due(now, &free) {
            return Look::Quiet;
        }
        let most = |bound: Bound, start: u64| bound.number().map(|limit| start.saturating_add(limit));
        let (most_bytes, most_files) = (
            most(self.disk, self.start.bytes),
            most(self.files, self.start.files),
        );
        let begun = Instant::now();
        // A flood is known to be one before all of it is counted.
        let seen = walk(&self.roots, |used| {
            most_bytes.is_some_and(|most| used.bytes > most)
                || most_files.is_some_and(|most| used.files > most)
                || begun.elapsed() > LONGEST
                || is_stopped(stopped)
        })
        .used();
        self.took = begun.elapsed();
        self.walked = now;
        self.free = free;
        self.grown = Use {
            bytes: seen.bytes.saturating_sub(self.start.bytes),
            files: seen.files.saturating_sub(self.start.files),
        };
        match (self.disk, self.files) {
            (Bound::AtMost(limit), _) if self.grown.bytes > limit => Look::Over(Over::Disk {
                limit,
                grown: self.grown.bytes,
            }),
            (_, Bound::AtMost(limit)) if self.grown.files > limit => Look::Over(Over::Files {
                limit,
                grown: self.grown.files,
            }),
            (_, _) => Look::Within,
        }
    }

    /// Whether so much has happened that a walk is worth what it costs.
    fn is_due(&self, now: Instant, free: &BTreeMap<u64, Free>) -> bool {
        let since = now.saturating_duration_since(self.walked);
        let mut lost = Use::default();
        let mut at_least = AT_LEAST;
        for (device, now) in free {
            let Some(then) = self.free.get(device) else {
                continue;
            };
            lost.bytes += then.bytes.saturating_sub(now.bytes);
            match (then.files, now.files) {
                (Some(then), Some(now)) => lost.files += then.saturating_sub(now),
                (None, _) | (_, None) => match self.files {
                    Bound::AtMost(_) => at_least = UNCOUNTED,
                    Bound::Unlimited => {}
                },
            }
        }
        let room = |bound: Bound, grown: u64| bound.number().map_or(u64::MAX, |l| l.saturating_sub(grown));
        let (bytes, files) = (
            room(self.disk, self.grown.bytes),
            room(self.files, self.grown.files),
        );
        if lost.bytes >= bytes.max(LEAST.bytes) || lost.files >= files.max(LEAST.files) {
            since >= self.took * SHORT_REST
        } else if lost.bytes >= (bytes / 2).max(LEAST.bytes) || lost.files >= (files / 2).max(LEAST.files) {
            since >= self.took * REST
        } else {
            since >= at_least.max(self.took * REST)
        }
    }
}

fn is_stopped(stopped: &Receiver<()>) -> bool {
    stopped.try_recv() == Err(TryRecvError::Disconnected)
}

fn free(roots: &[Root]) -> BTreeMap<u64, Free> {
    let mut found = BTreeMap::new();
    for root in roots {
        // What cannot be asked is walked at the slow pace.
        if let Ok(fs) = statvfs(&root.path) {
            let free = Free {
                bytes: fs.blocks_free().saturating_mul(fs.fragment_size()),
                files: (fs.files() > 0).then(|| fs.files_free()),
            };
            found.insert(root.device, free);
        }
    }
    found
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    Whole(Use),
    /// It was broken off: there is at least this.
    Part(Use),
}

impl Walk {
    fn used(self) -> Use {
        match self {
            Self::Whole(used) | Self::Part(used) => used,
        }
    }
}

/// Counts everything below the roots, a file with several names once. What vanishes meanwhile is not counted, and
/// neither is what may not be read.
fn walk(roots: &[Root], mut enough: impl FnMut(Use) -> bool) -> Walk {
    let mut used = Use::default();
    let mut linked = BTreeSet::new();
    for root in roots {
        let mut open = vec![root.path.clone()];
        while let Some(dir) = open.pop() {
            if enough(used) {
                return Walk::Part(used);
            }
            for (path, about) in entries(&dir) {
                if about.dev() != root.device || (about.nlink() > 1 && !is_first(&about, &mut linked)) {
                    continue;
                }
                used.bytes += about.blocks() * 512;
                used.files += 1;
                if about.is_dir() {
                    open.push(path);
                } else if used.files % 4096 == 0 && enough(used) {
                    return Walk::Part(used);
                }
            }
        }
    }
    Walk::Whole(used)
}

/// Whether a file with several names is met for the first time. Directories have no second name.
fn is_first(about: &Metadata, linked: &mut BTreeSet<(u64, u64)>) -> bool {
    about.is_dir() || linked.insert((about.dev(), about.ino()))
}

/// The entries of a directory; links are not followed.
fn entries(dir: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn write(dir: &Path, name: &str, bytes: u64) {
        std::fs::write(dir.join(name), vec![7; usize::try_from(bytes).unwrap()]).unwrap();
    }

    fn begin(paths: &[PathBuf], disk: Bound, files: Bound, stopped: &Receiver<()>) -> Ledger {
        let mut ledger = Ledger::begin(roots_of(paths).unwrap(), disk, files, stopped).unwrap();
        // A busy machine makes walks long; what is tested is not how long.
        ledger.took = Duration::ZERO;
        ledger
    }

    /// A look that does not depend on what others do to the file system.
    fn look_late(ledger: &mut Ledger, stopped: &Receiver<()>) -> Look {
        let late = ledger.walked + AT_LEAST + REST * ledger.took;
        ledger.look(late, stopped)
    }

    #[test]
    fn what_was_there_is_free_and_what_is_added_counts() {
        let (_running, stopped) = channel();
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", 5 * MIB);
        let roots = [dir.path().to_owned()];
        let mut ledger = begin(&roots, Bound::AtMost(4 * MIB), Bound::Unlimited, &stopped);
        write(dir.path(), "new", 3 * MIB);
        assert_eq!(look_late(&mut ledger, &stopped), Look::Within);
        assert!(ledger.grown.bytes >= 3 * MIB, "{ledger:?}");
        write(dir.path(), "more", 2 * MIB);
        let Look::Over(Over::Disk { limit, grown }) = look_late(&mut ledger, &stopped) else {
            panic!("{ledger:?}");
        };
        assert_eq!(limit, 4 * MIB);
        assert!((5 * MIB..6 * MIB).contains(&grown), "{grown}");
        std::fs::remove_file(dir.path().join("more")).unwrap();
        assert_eq!(look_late(&mut ledger, &stopped), Look::Within);
    }

    #[test]
    fn empty_files_count_in_every_directory_but_a_second_name_does_not() {
        let (_running, stopped) = channel();
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let roots = [below.clone(), dir.path().to_owned()];
        let mut ledger = begin(&roots, Bound::Unlimited, Bound::AtMost(10), &stopped);
        assert_eq!(ledger.roots.len(), 1, "one lies in the other");
        for i in 0..10 {
            write(&below, &i.to_string(), 0);
            std::fs::hard_link(below.join(i.to_string()), dir.path().join(i.to_string())).unwrap();
        }
        assert_eq!(look_late(&mut ledger, &stopped), Look::Within);
        std::os::unix::fs::symlink("/", below.join("link")).unwrap();
        assert_eq!(
            look_late(&mut ledger, &stopped),
            Look::Over(Over::Files { limit: 10, grown: 11 })
        );
    }

    #[test]
    fn it_walks_when_enough_has_gone_and_rests_after_a_long_walk() {
        let dir = tempfile::tempdir().unwrap();
        let (_running, stopped) = channel();
        let mut ledger = begin(
            &[dir.path().to_owned()],
            Bound::AtMost(100 * MIB),
            Bound::AtMost(1000),
            &stopped,
        );
        let began = ledger.walked;
        let after = |seconds| began + Duration::from_secs(seconds);
        let (device, full) = ledger
            .free
            .iter()
            .next()
            .map(|(d, f)| (*d, f.bytes.max(1000 * MIB)))
            .unwrap();
        let free = |bytes, files| BTreeMap::from([(device, Free { bytes, files })]);
        ledger.free = free(full, Some(10_000));
        assert!(!ledger.is_due(after(1), &free(full - 49 * MIB, Some(9501))));
        assert!(ledger.is_due(after(1), &free(full - 50 * MIB, Some(10_000))));
        assert!(ledger.is_due(after(1), &free(full, Some(9500))));
        assert!(!ledger.is_due(after(119), &free(full + MIB, Some(10_000))));
        assert!(ledger.is_due(after(120), &free(full + MIB, Some(10_000))));
        assert!(ledger.is_due(after(15), &free(full, None)));
        ledger.took = Duration::from_secs(3);
        assert!(!ledger.is_due(after(29), &free(full - 50 * MIB, Some(10_000))));
        assert!(ledger.is_due(after(30), &free(full - 50 * MIB, Some(10_000))));
        assert!(!ledger.is_due(after(5), &free(full - 100 * MIB, Some(10_000))));
        assert!(ledger.is_due(after(6), &free(full - 100 * MIB, Some(10_000))));
        // The nearer the limit, the less it takes.
        ledger.took = Duration::ZERO;
        ledger.grown.bytes = 90 * MIB;
        assert!(ledger.is_due(after(1), &free(full - 5 * MIB, Some(10_000))));
    }

    #[test]
    fn a_flood_is_not_counted_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..50 {
            std::fs::create_dir(dir.path().join(i.to_string())).unwrap();
        }
        let roots = roots_of(&[dir.path().to_owned()]).unwrap();
        let Walk::Whole(all) = walk(&roots, |_| false) else {
            panic!("nobody broke it off")
        };
        assert_eq!(all.files, 50);
        assert!(matches!(walk(&roots, |used| used.files > 10), Walk::Part(_)));
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = DiskWatch::start(&[dir.path().join("no")], &Limits::default_for_agents(None));
        assert!(error.unwrap_err().to_string().contains("no grows"));
    }

    #[test]
    fn a_running_watch_says_what_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            disk: Bound::AtMost(8 * MIB),
            ..Limits::none()
        };
        let watch = DiskWatch::start(&[dir.path().to_owned()], &limits)
            .unwrap()
            .unwrap();
        write(dir.path(), "flood", 40 * MIB);
        let over = watch.over.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(
            matches!(over, Over::Disk { limit, .. } if limit == 8 * MIB),
            "{over:?}"
        );
        assert!(DiskWatch::start(&[], &Limits::none()).unwrap().is_none());
    }
}
