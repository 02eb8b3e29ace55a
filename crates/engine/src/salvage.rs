//! Owns what was salvaged, as people name it: the commits under `refs/turno/salvage/` and the things put aside, of
//! every repository of the workspace; and writing one of them out. It writes only below a new directory, and must
//! not touch a checkout, an index or a HEAD.

mod writing;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use turno_core::ids::{CommitId, RepoName};
use turno_core::units::Timestamp;

use crate::git::{self, Extent, KeptKind, Repo, SalvageStamp};
use crate::repos::Repos;
use crate::workspace::StateDir;

pub use writing::{LeftWhy, Restored, restore};

/// Why salvage cannot be read or written out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The directory to write to holds something.
    #[error("{} is there already and is not empty; name a new directory with --to", path.display())]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}

/// Something that was found and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// In which repository.
    pub repo: RepoName,
    /// The last part of the ref's or the directory's name.
    pub leaf: String,
    /// Where it was found: a slot, like `s1`, or a word like `discarded-7`.
    pub from: String,
    /// When it was kept.
    pub at: Timestamp,
    /// How it is held.
    pub held: Held,
}

/// How salvage is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// As a commit, under a ref of Turno's.
    Commit {
        /// Which.
        commit: CommitId,
        /// Its first line.
        subject: String,
    },
    /// As files outside the repository, because git could not hold them.
    Aside {
        /// The directory that they are in.
        path: PathBuf,
    },
}

/// Everything that was kept, oldest first, and what lies beside it under names that Turno does not give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What was kept.
    pub kept: Vec<Salvage>,
    /// Refs and paths that are not Turno's.
    pub strange: Vec<Strange>,
}

/// Something where only salvage should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strange {
    /// A ref, by its whole name.
    Ref(RepoName, String),
    /// A path.
    Path(PathBuf),
}

/// One path in a piece of salvage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Below its top.
    pub path: PathBuf,
    /// What is there.
    pub kind: ItemKind,
    /// How long it is.
    pub bytes: u64,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A file.
    File,
    /// A symbolic link.
    Link,
    /// The commit has removed it.
    Removed,
    /// A directory that cannot be looked into: it is not the user's, or too far down.
    Closed,
    /// Nothing that can be copied: a socket, a pipe, a commit of another repository.
    Other,
}

impl Salvage {
    /// What people call it: its leaf, after `aside/` where it is held as files, and after `REPO:` where it is not of
    /// the repository that holds `turno.toml`.
    pub fn name(&self) -> String {
        let repo = if self.repo == RepoName::default() {
            String::new()
        } else {
            format!("{}:", self.repo)
        };
        let aside = match self.held {
            Held::Commit { .. } => "",
            Held::Aside { .. } => "aside/",
        };
        format!("{repo}{aside}{}", self.leaf)
    }
}

/// Everything that was kept in all repositories of a workspace.
///
/// # Errors
/// When a repository or a directory cannot be read.
pub fn find(repos: &Repos, dirs: &StateDir) -> Result<Found, Error> {
    let mut found = Found::default();
    for (name, repo) in repos.iter() {
        let (kept, strange) = repo.kept_commits()?;
        found
            .strange
            .extend(strange.into_iter().map(|s| Strange::Ref(name.clone(), s)));
        for git::KeptCommit {
            leaf,
            commit,
            subject,
        } in kept
        {
            let held = Held::Commit { commit, subject };
            found.kept.extend(salvage(&name, leaf, held));
        }
        let aside = dirs.slots(&name).join("aside");
        for (path, leaf) in entries(&aside)? {
            let one = leaf.and_then(|leaf| salvage(&name, leaf, Held::Aside { path: path.clone() }));
            match one {
                Some(one) => found.kept.push(one),
                None => found.strange.push(Strange::Path(path)),
            }
        }
    }
    found.kept.sort_by_key(|s| (s.at, s.name()));
    Ok(found)
}

fn salvage(repo: &RepoName, leaf: String, held: Held) -> Option<Salvage> {
    let stamp = SalvageStamp::of(&leaf)?;
    Some(Salvage {
        repo: repo.clone(),
        from: stamp.label,
        at: Timestamp(stamp.at.timestamp_millis()),
        leaf,
        held,
    })
}

/// What lies in a directory, with its name where it is text and a directory. A directory that is not there is empty.
fn entries(dir: &Path) -> Result<Vec<(PathBuf, Option<String>)>, Error> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io("list", dir)(e)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(io("list", dir))?;
        let kind = entry.file_type().map_err(io("look at", &entry.path()))?;
        let name = entry.file_name().into_string().ok().filter(|_| kind.is_dir());
        found.push((entry.path(), name));
    }
    found.sort();
    Ok(found)
}

/// What is in a piece of salvage. Of a commit it is what the user's branch has not, or all of it.
///
/// # Errors
/// When it cannot be read.
pub fn items(repo: &Repo, salvage: &Salvage, extent: Extent) -> Result<Vec<Item>, Error> {
    match &salvage.held {
        Held::Commit { commit, .. } => {
            let files = repo.kept_files(commit, extent)?;
            Ok(files.iter().map(item).collect())
        }
        Held::Aside { path } => {
            let mut items = Vec::new();
            walk(path, Path::new(""), &mut items)?;
            Ok(items)
        }
    }
}

fn item(file: &git::KeptFile) -> Item {
    Item {
        path: file.path.clone(),
        kind: match file.kind {
            KeptKind::File | KeptKind::Executable => ItemKind::File,
            KeptKind::Link => ItemKind::Link,
            KeptKind::Removed => ItemKind::Removed,
            KeptKind::Submodule => ItemKind::Other,
        },
        bytes: file.bytes,
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::InvalidFilename
    )
}

fn closed(path: PathBuf) -> Item {
    Item {
        path,
        kind: ItemKind::Closed,
        bytes: 0,
    }
}

fn walk(top: &Path, below: &Path, items: &mut Vec<Item>) -> Result<(), Error> {
    let dir = top.join(below);
    let mut names = Vec::new();
    let listed = match fs::read_dir(&dir) {
        Ok(listed) => listed,
        // One that nobody may look into must not hide all the others.
        Err(error) if is_closed(&error) && below != Path::new("") => {
            items.push(closed(below.to_owned()));
            return Ok(());
        }
        Err(error) => return Err(io("list", &dir)(error)),
    };
    for entry in listed {
        names.push(entry.map_err(io("list", &dir))?.file_name());
    }
    names.sort();
    for name in names {
        let path = below.join(name);
        let whole = top.join(&path);
        let meta = match fs::symlink_metadata(&whole) {
            Ok(meta) => meta,
            Err(error) if is_closed(&error) => {
                items.push(closed(path));
                continue;
            }
            Err(error) => return Err(io("look at", &whole)(error)),
        };
        let kind = match meta.file_type() {
            kind if kind.is_dir() => {
                walk(top, &path, items)?;
                continue;
            }
            kind if kind.is_file() => ItemKind::File,
            kind if kind.is_symlink() => ItemKind::Link,
            _ => ItemKind::Other,
        };
        items.push(Item {
            path,
            kind,
            bytes: meta.len(),
        });
    }
    Ok(())
}
