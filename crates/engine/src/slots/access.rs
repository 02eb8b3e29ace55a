//! Owns that a slot can be worked in: rights that a program took away from its files are given back, and what git
//! neither shows nor removes, a pipe, a socket or a device, is moved aside. It must not touch what git ignores:
//! those are caches, and some of them are made read-only on purpose.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::salvage::trimmed;
use super::{Error, Salvaged, SlotPlace, SlotPool, io};
use crate::git::{Place, Worktree};

/// What whoever works in a slot needs of a directory, and of a file.
const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// Whose rights are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RightsOf {
    /// Those of directories: it costs one look at each.
    Directories,
    /// Those of files too: only where one could not be read, because it costs a look at each.
    All,
}

/// Whether anything was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    Nothing,
    Some,
}

/// What a walk through a slot found.
#[derive(Debug, Default)]
struct Walked {
    opened: usize,
    odd: Vec<PathBuf>,
}

impl SlotPool {
    /// What git ignores in a slot, relative to its top: a directory of which everything is ignored is one path.
    pub(super) async fn ignored(&self, tree: &Worktree) -> Result<BTreeSet<PathBuf>, Error> {
        let args = [
            "ls-files",
            "-z",
            "--others",
            "--ignored",
            "--exclude-standard",
            "--directory",
        ];
        let listed = self.repo().git(Place::Own(tree)).args(args).bytes().await?;
        let paths = listed.split(|b| *b == 0).filter(|p| !p.is_empty());
        Ok(paths
            .map(|p| trimmed(Path::new(OsStr::from_bytes(p))).to_owned())
            .collect())
    }

    /// Gives rights back, and moves aside what is neither file, link nor directory.
    pub(super) async fn open_up(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        ignored: &BTreeSet<PathBuf>,
        salvaged: &mut Vec<Salvaged>,
    ) -> Result<Opened, Error> {
        // Root reads what nobody else may, so nothing else tells it of a file that is closed to a program it confines.
        let rights = if nix::unistd::geteuid().is_root() {
            RightsOf::All
        } else {
            RightsOf::Directories
        };
        let walked = walked(tree, ignored.clone(), rights).await?;
        for path in &walked.odd {
            salvaged.push(Salvaged::Aside {
                path: self.put_aside(place, &tree.path.join(path), path)?,
            });
        }
        Ok(walked.seen())
    }

    /// Gives rights back, on files too. Nothing is moved.
    pub(super) async fn give_rights_back(&self, tree: &Worktree) -> Result<Opened, Error> {
        let ignored = self.ignored(tree).await?;
        Ok(walked(tree, ignored, RightsOf::All).await?.seen())
    }
}

impl Walked {
    fn seen(&self) -> Opened {
        if self.opened == 0 {
            Opened::Nothing
        } else {
            Opened::Some
        }
    }
}

async fn walked(tree: &Worktree, ignored: BTreeSet<PathBuf>, rights: RightsOf) -> Result<Walked, Error> {
    let top = tree.path.clone();
    let walk = move || walk(&top, &ignored, rights);
    tokio::task::spawn_blocking(walk)
        .await
        .map_err(|error| io("look through", &tree.path)(std::io::Error::other(error)))?
}

/// Walks through a slot in which nothing runs any more. No link is followed.
fn walk(top: &Path, ignored: &BTreeSet<PathBuf>, rights: RightsOf) -> Result<Walked, Error> {
    let mut walked = Walked::default();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let dir = top.join(&below);
        let Some(meta) = look(&dir)? else { continue };
        walked.opened += usize::from(open(&dir, &meta, DIRECTORY));
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // It belongs to somebody else; git says what it thinks of it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(io("list", &dir)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io("list", &dir))?;
            let kind = entry.file_type().map_err(io("look at", &dir))?;
            let path = below.join(entry.file_name());
            if entry.file_name() == OsStr::new(".git") || ignored.contains(&path) {
                continue;
            }
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_file() {
                if rights == RightsOf::All
                    && let Some(meta) = look(&entry.path())?
                    // Another name of the file may be the user's.
                    && meta.nlink() == 1
                {
                    walked.opened += usize::from(open(&entry.path(), &meta, FILE));
                }
            } else if !kind.is_symlink() {
                walked.odd.push(path);
            }
        }
    }
    Ok(walked)
}

/// What is there. A path that is too long for the system is left to git, which cannot hold it either.
fn look(path: &Path) -> Result<Option<Metadata>, Error> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => Ok(None),
        Err(error) => Err(io("look at", path)(error)),
    }
}

/// Gives the owner these rights. Whether they were missing.
fn open(path: &Path, meta: &Metadata, rights: u32) -> bool {
    let mode = meta.permissions().mode();
    if mode & rights == rights {
        return false;
    }
    match fs::set_permissions(path, Permissions::from_mode((mode & 0o7777) | rights)) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot give a right back");
            false
        }
    }
}
