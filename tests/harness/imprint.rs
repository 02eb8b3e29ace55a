//! Owns the imprint of everything that belongs to the user: files with their inodes and times, and all of the
//! repository that is not Turno's own. Two imprints are the same or they say where they differ.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is known of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    mode: u32,
    inode: u64,
    modified: (i64, i64),
    bytes: Vec<u8>,
}

/// Everything of the user's at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imprint(BTreeMap<String, Seen>);

/// Below a git directory: what Turno may make and move.
const TURNOS: [&str; 6] = [
    "objects",
    "worktrees",
    "refs/turno",
    "refs/heads/turno",
    "logs/refs/turno",
    "logs/refs/heads/turno",
];

impl Imprint {
    /// Of these directories. A `.git` directory is taken without what is Turno's; of `worktrees` the named ones
    /// are the user's.
    pub(crate) fn of(dirs: &[&Path], worktrees: &[&str]) -> Self {
        let mut seen = BTreeMap::new();
        for dir in dirs {
            walk(dir, dir, &mut seen);
            let git = dir.join(".git");
            for name in worktrees {
                let own = git.join("worktrees").join(name);
                if own.is_dir() {
                    walk(&own, &own, &mut seen);
                }
            }
        }
        Self(seen)
    }

    /// Holds a later one against this one.
    #[track_caller]
    pub(crate) fn same(&self, later: &Self) {
        let mut differ = Vec::new();
        for path in self.0.keys().chain(later.0.keys()) {
            let (was, is) = (self.0.get(path), later.0.get(path));
            if was != is {
                let told = |seen: Option<&Seen>| {
                    seen.map(|s| {
                        let text: String = String::from_utf8_lossy(&s.bytes).chars().take(80).collect();
                        format!(
                            "mode {:o} inode {} at {:?}: {text:?}",
                            s.mode, s.inode, s.modified
                        )
                    })
                };
                differ.push(format!("{path}\n  was {:?}\n  is  {:?}", told(was), told(is)));
            }
        }
        differ.dedup();
        assert!(differ.is_empty(), "{}", differ.join("\n"));
    }
}

fn walk(root: &Path, dir: &Path, seen: &mut BTreeMap<String, Seen>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let below = path.strip_prefix(root).unwrap();
        let in_git = below.strip_prefix(".git").ok();
        if in_git.is_some_and(|git| TURNOS.iter().any(|t| git == Path::new(t))) {
            continue;
        }
        let meta = fs::symlink_metadata(&path).unwrap();
        let bytes = if meta.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        // A directory of git's gets new entries of Turno's, and its time with them.
        let modified = if in_git.is_some() && meta.is_dir() {
            (0, 0)
        } else {
            (meta.mtime(), meta.mtime_nsec())
        };
        let what = Seen {
            mode: meta.mode(),
            inode: meta.ino(),
            modified,
            bytes,
        };
        seen.insert(path.display().to_string(), what);
        if meta.is_dir() {
            walk(root, &path, seen);
        }
    }
}
