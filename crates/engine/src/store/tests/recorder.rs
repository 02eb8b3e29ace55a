//! Owns the disk of the tests: it does what it is told on the real one, writes every change down, and fails when it
//! is asked to. From what was written down it tells what POSIX lets a disk hold after a power cut.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::store::disk::{Disk, Handle, Os};

/// What a disk writes at once, or not.
const SECTOR: u64 = 512;

/// One change, with its path below the root.
#[derive(Debug, Clone)]
pub(super) enum Change {
    MakeDir(PathBuf),
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Cut(PathBuf, u64),
    SyncDir(PathBuf),
}

/// When a change fails, and how.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fails {
    Never,
    /// This change and all after it find no space; a write gets half of its bytes onto the disk first.
    FullFrom(usize),
    /// Only this one fails, in another way.
    Once(usize),
}

/// The disk of a test.
#[derive(Debug)]
pub(super) struct Recorder {
    root: PathBuf,
    fails: Fails,
    asked: Mutex<usize>,
    changes: Mutex<Vec<Change>>,
}

impl Recorder {
    pub(super) fn new(root: &Path, fails: Fails) -> Self {
        Self {
            root: root.to_owned(),
            fails,
            asked: Mutex::new(0),
            changes: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn changes(&self) -> Vec<Change> {
        self.changes.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.changes.lock().unwrap().len()
    }

    /// Does a change unless it is to fail, and writes down what was done.
    fn change<T>(
        &self,
        path: &Path,
        change: impl Fn(PathBuf) -> Change,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        // What lies above the root is not part of the test.
        let Ok(path) = path.strip_prefix(&self.root) else {
            return work();
        };
        let change = change(path.to_owned());
        let number = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked - 1
        };
        match (self.fails, &change) {
            (Fails::Once(n), _) if n == number => Err(io::Error::other("input/output error")),
            (Fails::FullFrom(n), Change::MakeDir(_) | Change::Create(_) | Change::Write(..))
                if n <= number =>
            {
                Err(io::ErrorKind::StorageFull.into())
            }
            (Fails::Never | Fails::Once(_) | Fails::FullFrom(_), _) => {
                let done = work()?;
                self.changes.lock().unwrap().push(change);
                Ok(done)
            }
        }
    }
}

impl Disk for Recorder {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(dir, Change::MakeDir, || Os.make_dir(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Handle> {
        self.change(path, Change::Create, || Os.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Handle> {
        Os.open(path)
    }

    fn write(&self, handle: &Handle, bytes: &[u8]) -> io::Result<()> {
        let change = |path| Change::Write(path, bytes.to_vec());
        let result = self.change(&handle.path, change, || Os.write(handle, bytes));
        if result.is_err() {
            Os.write(handle, &bytes[..bytes.len() / 2])?;
        }
        result
    }

    fn sync(&self, handle: &Handle) -> io::Result<()> {
        self.change(&handle.path, Change::Sync, || Os.sync(handle))
    }

    fn cut(&self, handle: &Handle, length: u64) -> io::Result<()> {
        self.change(
            &handle.path,
            |path| Change::Cut(path, length),
            || Os.cut(handle, length),
        )
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(dir, Change::SyncDir, || Os.sync_dir(dir))
    }
}

/// Numbers that are the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// What survives of what was not synced.
#[derive(Debug, Clone)]
pub(super) enum Survives {
    /// Nothing.
    Nothing,
    /// All: the process died and the machine did not.
    All,
    /// What the dice say: each change whole, in some of its sectors, or not at all.
    Some(Dice),
}

#[derive(Debug, Clone, Default)]
struct FileOnDisk {
    durable: Vec<u8>,
    pending: Vec<Change>,
    length: u64,
}

/// A disk as it may be after a power cut.
#[derive(Debug, Clone, Default)]
pub(super) struct Platter {
    files: BTreeMap<PathBuf, FileOnDisk>,
    /// Names of files and directories: whether they are durable.
    names: BTreeMap<PathBuf, Durable>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    NotYet,
}

impl Platter {
    /// A disk that holds what lies below a directory.
    pub(super) fn of(root: &Path) -> Self {
        let mut platter = Self::default();
        let mut dirs = vec![root.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_owned();
                platter.names.insert(name.clone(), Durable::Yes);
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let durable = fs::read(&path).unwrap();
                    let length = durable.len() as u64;
                    let file = FileOnDisk {
                        durable,
                        pending: Vec::new(),
                        length,
                    };
                    platter.files.insert(name, file);
                }
            }
        }
        platter
    }

    /// Takes a change in.
    pub(super) fn take(&mut self, change: &Change) {
        match change {
            Change::MakeDir(path) => {
                self.names.insert(path.clone(), Durable::NotYet);
            }
            Change::Create(path) => {
                self.names.insert(path.clone(), Durable::NotYet);
                self.files.insert(path.clone(), FileOnDisk::default());
            }
            Change::Write(path, bytes) => {
                let file = self.files.get_mut(path).unwrap();
                file.pending.push(change.clone());
                file.length += bytes.len() as u64;
            }
            Change::Cut(path, length) => {
                let file = self.files.get_mut(path).unwrap();
                file.pending.push(change.clone());
                file.length = *length;
            }
            Change::Sync(path) => {
                let file = self.files.get_mut(path).unwrap();
                file.durable = file.after(&mut Survives::All);
                file.pending.clear();
            }
            Change::SyncDir(path) => {
                let names = self.names.iter_mut();
                for (_, durable) in names.filter(|(n, _)| n.parent() == Some(path)) {
                    *durable = Durable::Yes;
                }
            }
        }
    }

    /// Puts what is left after a power cut below a directory.
    pub(super) fn restore(&self, root: &Path, survives: &mut Survives) {
        for (name, durable) in &self.names {
            let there = match (durable, &mut *survives) {
                (Durable::Yes, _) | (Durable::NotYet, Survives::All) => true,
                (Durable::NotYet, Survives::Nothing) => false,
                (Durable::NotYet, Survives::Some(dice)) => dice.below(2) == 0,
            };
            let path = root.join(name);
            // What lies in a directory that is lost is lost with it.
            if !there || !path.parent().unwrap().is_dir() {
                continue;
            }
            match self.files.get(name) {
                None => fs::create_dir(&path).unwrap(),
                Some(file) => fs::write(&path, file.after(survives)).unwrap(),
            }
        }
    }
}

impl FileOnDisk {
    fn after(&self, survives: &mut Survives) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let mut end = self.durable.len() as u64;
        for change in &self.pending {
            match change {
                Change::Cut(_, length) => {
                    end = *length;
                    let stays = match survives {
                        Survives::Nothing => false,
                        Survives::All => true,
                        Survives::Some(dice) => dice.below(2) == 0,
                    };
                    if stays {
                        bytes.truncate(usize::try_from(*length).unwrap());
                    }
                }
                Change::Write(_, written) => {
                    let at = end;
                    end += written.len() as u64;
                    // Three ways for a write: none of it, all of it, some sectors.
                    let way = match survives {
                        Survives::Nothing => 0,
                        Survives::All => 1,
                        Survives::Some(dice) => dice.below(3),
                    };
                    let mut from = at;
                    while from < end {
                        let to = ((from / SECTOR + 1) * SECTOR).min(end);
                        let stays = match (way, &mut *survives) {
                            (2, Survives::Some(dice)) => dice.below(2) == 0,
                            (way, _) => way == 1,
                        };
                        if stays {
                            let (a, b) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
                            if bytes.len() < b {
                                bytes.resize(b, 0);
                            }
                            let start = usize::try_from(at).unwrap();
                            bytes[a..b].copy_from_slice(&written[a - start..b - start]);
                        }
                        from = to;
                    }
                }
                Change::MakeDir(_) | Change::Create(_) | Change::Sync(_) | Change::SyncDir(_) => {}
            }
        }
        bytes
    }
}
