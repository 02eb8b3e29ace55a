//! Owns the files below a repository's `.git` that tell git what to do: what they hold, how they are compared, and
//! how one is made again what it was. What is found instead is kept first. It must not judge whose doing it was.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use serde::{Deserialize, Serialize};

/// A file larger than this is known by its stamp only, and cannot be made again.
const WHOLE: u64 = 4 << 20;
/// How deep below `hooks` and `info` is looked.
const DEPTH: usize = 4;
/// No more entries than this are looked at; beyond it a repository is no place where people keep hooks.
const ENTRIES: usize = 5000;
/// Single files below `.git`, or below a submodule's directory in it.
const FILES: [&str; 3] = ["config", "config.worktree", "objects/info/alternates"];
/// Whole directories.
const DIRS: [&str; 2] = ["hooks", "info"];
/// What git itself writes there again and again.
const NOT_WATCHED: [&str; 1] = ["info/refs"];

/// By what a change of a file is seen without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of what lies at a path.
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|meta| Self::from(&meta))
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(meta: &fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Content {
    /// Nothing.
    Absent,
    /// A file.
    File {
        #[serde(with = "held")]
        bytes: Arc<[u8]>,
        mode: u32,
    },
    /// A file too large to be held.
    Large(Stamp),
    /// A symbolic link.
    Link(PathBuf),
    /// A directory.
    Dir,
    /// Something that no file of git's is.
    Other,
}

/// How bytes are written down: as the text that they almost always are, else one by one.
mod held {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Held {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => to.serialize_str(text),
            Err(_) => to.collect_seq(bytes.iter()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        Ok(match Held::deserialize(from)? {
            Held::Text(text) => text.into_bytes().into(),
            Held::Bytes(bytes) => bytes.into(),
        })
    }
}

impl Content {
    /// What lies there now. A file that cannot be read is told from one that is empty.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::Absent);
            }
            Err(e) => return Err(e),
        };
        let kind = meta.file_type();
        if kind.is_symlink() {
            return fs::read_link(path).map(Self::Link);
        }
        if kind.is_dir() {
            return Ok(Self::Dir);
        }
        if !kind.is_file() {
            return Ok(Self::Other);
        }
        if meta.len() > WHOLE {
            return Ok(Self::Large(Stamp::from(&meta)));
        }
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(WHOLE).read_to_end(&mut bytes)?;
        Ok(Self::File {
            bytes: bytes.into(),
            mode: meta.mode() & 0o7777,
        })
    }
}

/// What was found at each path, relative to `.git`. What is not in it is absent.
pub(super) type Files = BTreeMap<PathBuf, Content>;

/// Looks at every such file. `worktrees` are the user's own, by their names.
pub(super) fn look<'a>(
    common: &Path,
    worktrees: impl IntoIterator<Item = &'a String>,
) -> std::io::Result<Files> {
    let mut files = Files::new();
    for dir in std::iter::once(PathBuf::new()).chain(modules(common)) {
        for name in FILES {
            note(common, dir.join(name), &mut files)?;
        }
        for name in DIRS {
            walk(common, dir.join(name), DEPTH, &mut files)?;
        }
    }
    for name in worktrees {
        for file in ["config.worktree", "commondir"] {
            note(common, Path::new("worktrees").join(name).join(file), &mut files)?;
        }
    }
    Ok(files)
}

/// The directories of submodules that the user has set up: they have a configuration and hooks of their own.
fn modules(common: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut wait = vec![(PathBuf::from("modules"), 0)];
    while let Some((dir, depth)) = wait.pop() {
        let Ok(entries) = fs::read_dir(common.join(&dir)) else {
            continue;
        };
        for entry in entries.flatten() {
            let below = dir.join(entry.file_name());
            if found.len() + wait.len() > ENTRIES || !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            if common.join(&below).join("HEAD").exists() {
                wait.push((below.join("modules"), depth));
                found.push(below);
            } else if depth < DEPTH {
                wait.push((below, depth + 1));
            }
        }
    }
    found
}

fn note(common: &Path, path: PathBuf, files: &mut Files) -> std::io::Result<()> {
    match Content::of(&common.join(&path))? {
        Content::Absent => {}
        content => drop(files.insert(path, content)),
    }
    Ok(())
}

fn walk(common: &Path, path: PathBuf, depth: usize, files: &mut Files) -> std::io::Result<()> {
    if NOT_WATCHED.iter().any(|n| path == Path::new(n)) || files.len() > ENTRIES {
        return Ok(());
    }
    let content = Content::of(&common.join(&path))?;
    if content == Content::Dir && depth > 0 {
        for entry in fs::read_dir(common.join(&path))? {
            walk(common, path.join(entry?.file_name()), depth - 1, files)?;
        }
    }
    if content != Content::Absent {
        files.insert(path, content);
    }
    Ok(())
}

/// Keeps what is found at a path, then makes it what it was. Gives where the found is kept, if it was anything.
pub(super) fn put_back(
    common: &Path,
    path: &Path,
    was: &Content,
    aside: &Path,
) -> Result<Option<PathBuf>, String> {
    let whole = common.join(path);
    let said = |what: &str, e: std::io::Error| format!("cannot {what} {}: {e}", whole.display());
    if let Content::Large(_) | Content::Other = was {
        return Err("what it was is not known any more".to_owned());
    }
    let found = Content::of(&whole).map_err(|e| said("read", e))?;
    if found == *was {
        return Ok(None);
    }
    let kept = match &found {
        Content::Absent => None,
        Content::Dir | Content::Large(_) | Content::Other => {
            let to = place_in(aside, path).map_err(|e| said("keep", e))?;
            fs::rename(&whole, &to).map_err(|e| said("move aside", e))?;
            Some(to)
        }
        Content::Link(target) => {
            let to = place_in(aside, path).map_err(|e| said("keep", e))?;
            symlink(target, &to).map_err(|e| said("keep", e))?;
            Some(to)
        }
        Content::File { bytes, .. } => {
            let to = place_in(aside, path).map_err(|e| said("keep", e))?;
            // Not as a program: nobody is to run it by mistake.
            create(&to, bytes, 0o600).map_err(|e| said("keep", e))?;
            Some(to)
        }
    };
    match was {
        Content::Absent => remove(&whole),
        Content::Dir => remove(&whole).and_then(|()| fs::create_dir_all(&whole)),
        Content::Link(target) => remove(&whole).and_then(|()| symlink(target, &whole)),
        Content::File { bytes, mode } => replace(&whole, bytes, *mode),
        Content::Large(_) | Content::Other => Ok(()),
    }
    .map_err(|e| said("put back", e))?;
    Ok(kept)
}

/// A path below `aside` that is free, named after the one that is kept.
fn place_in(aside: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let stamp = Utc::now().format("%Y%m%dT%H%M%S%3fZ");
    for n in 0..1000 {
        let dir = aside.join(format!("git-{stamp}-{n}"));
        fs::create_dir_all(aside)?;
        match fs::create_dir(&dir) {
            Ok(()) => {
                let to = dir.join(path);
                fs::create_dir_all(to.parent().unwrap_or(&dir))?;
                return Ok(to);
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(std::io::Error::other("every name for this moment is taken"))
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// No reader sees half of it, and no link is followed.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".turno-new");
    let temporary = path.with_file_name(name);
    remove(&temporary)?;
    create(&temporary, bytes, mode)?;
    fs::rename(&temporary, path)
}
