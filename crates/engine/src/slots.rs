//! Owns the slot pool: warm worktrees that are made once, lie outside the repository and are used again for
//! ever. It must not decide who gets a slot, and must not run git other than through [`crate::git`].
//!
//! Nothing that may be an agent's work is ever thrown away: before a slot is reset, what is in it becomes a
//! commit under `refs/turno/salvage/`, and what git cannot hold is moved to `aside/`. Turno keeps an index of
//! its own for each slot, out of reach of what runs there, so that no flag or forged entry in the slot's index
//! can hide a change.

mod access;
mod collect;
mod files;
mod lend;
mod links;
mod overlay;
mod prepare;
mod retire;
mod salvage;
mod seat;
mod sorting;
mod taking;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use turno_core::ids::{CommitId, SlotId};

use crate::git::{self, Repo, Worktree};

pub use collect::{Begun, Collected, Inspected};
pub use lend::{Cover, How, Lent};
pub use prepare::Prepared;
pub use salvage::{LeftOut, LeftOutWhy, Salvaged};
pub use taking::{Brought, Odd, TakenBack};

/// One place of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotPlace {
    /// For agents and checks.
    Slot(SlotId),
    /// For landings only: nothing but Turno writes there, so nothing in it is worth keeping.
    Landing,
}

impl SlotPlace {
    /// Its directory in the pool.
    fn dir_name(self) -> String {
        match self {
            Self::Slot(id) => id.0.to_string(),
            Self::Landing => "landing".to_owned(),
        }
    }
}

impl fmt::Display for SlotPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(id) => id.fmt(f),
            Self::Landing => f.write_str("landing"),
        }
    }
}

/// Why a slot is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file of the pool could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// There is nothing to collect from.
    #[error(
        "the worktree of {} is gone: its directory was deleted, moved or replaced. It is made anew when it is used again",
        match place {
            SlotPlace::Slot(id) => format!("slot {id}"),
            SlotPlace::Landing => "landings".to_owned(),
        }
    )]
    NotPrepared {
        /// Which.
        place: SlotPlace,
    },
    /// A checkout said it was done and was not.
    #[error("slot {place} should be at {expected} but its HEAD is `{found}`")]
    WrongHead {
        /// Which.
        place: SlotPlace,
        /// Where it should be.
        expected: CommitId,
        /// What its HEAD says.
        found: String,
    },
}

/// What is known of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// Which.
    pub place: SlotPlace,
    /// Where its files are.
    pub path: PathBuf,
    /// How it is.
    pub condition: Condition,
}

/// How a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It can be used.
    Ready,
    /// A reset was begun and not finished; the next use finishes it.
    Interrupted,
    /// It is damaged; the next use makes it anew.
    Damaged,
}

/// The pool of one repository.
#[derive(Debug, Clone)]
pub struct SlotPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    repo: Repo,
    dir: PathBuf,
    locks: Mutex<BTreeMap<SlotPlace, Arc<tokio::sync::Mutex<()>>>>,
}

/// Held while somebody works on a place.
pub(crate) type PlaceLock = tokio::sync::OwnedMutexGuard<()>;

impl SlotPool {
    /// Opens the pool in `dir`, which it owns alone. Worktrees are made when they are first used.
    pub fn open(repo: Repo, dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir.join("aside")).map_err(io("create", dir))?;
        let dir = dir.canonicalize().map_err(io("find", dir))?;
        Ok(Self {
            inner: Arc::new(Inner {
                repo,
                dir,
                locks: Mutex::default(),
            }),
        })
    }

    /// The repository it serves.
    pub fn repo(&self) -> &Repo {
        &self.inner.repo
    }

    /// A guard on the repository, to be taken before an attempt and settled after it, before anything else is done.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn guard(&self) -> Result<git::Guard, Error> {
        Ok(git::Guard::take(self.repo(), self.watch()).await?)
    }

    /// The guard that an earlier coordinator kept in an attempt's directory, else one from now on.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) async fn guard_kept_in(&self, dir: &Path) -> Result<git::Guard, Error> {
        match git::Guard::kept_in(self.repo(), self.watch(), dir) {
            Some(guard) => Ok(guard),
            None => self.guard().await,
        }
    }

    fn watch(&self) -> git::Watch {
        git::Watch {
            slots: self.inner.dir.clone(),
            aside: self.inner.dir.join("aside"),
        }
    }

    /// Where a place's files are, or will be.
    pub fn path(&self, place: SlotPlace) -> PathBuf {
        self.inner.dir.join(place.dir_name())
    }

    /// Every place that has been made, in order.
    pub fn list(&self) -> Result<Vec<SlotState>, Error> {
        let dir = &self.inner.dir;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(io("list", dir))? {
            let path = entry.map_err(io("list", dir))?.path();
            if path.extension() != Some(OsStr::new("gitdir")) {
                continue;
            }
            let place = match path.file_stem().and_then(OsStr::to_str) {
                Some("landing") => SlotPlace::Landing,
                Some(name) => match name.parse() {
                    Ok(id) => SlotPlace::Slot(SlotId(id)),
                    Err(_) => continue,
                },
                None => continue,
            };
            let condition = match self.known(place) {
                Some(_) if self.marker(place).exists() => Condition::Interrupted,
                Some(_) => Condition::Ready,
                None => Condition::Damaged,
            };
            found.push(SlotState {
                place,
                path: self.path(place),
                condition,
            });
        }
        found.sort_by_key(|s| s.place);
        Ok(found)
    }

    /// Waits until nobody else works on a place.
    pub(crate) async fn lock(&self, place: SlotPlace) -> PlaceLock {
        let lock = {
            let mut locks = self.inner.locks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(place).or_default())
        };
        lock.lock_owned().await
    }

    fn beside(&self, place: SlotPlace, extension: &str) -> PathBuf {
        self.inner.dir.join(format!("{}.{extension}", place.dir_name()))
    }

    /// Exists while a reset is under way.
    fn marker(&self, place: SlotPlace) -> PathBuf {
        self.beside(place, "dirty")
    }

    pub(crate) fn worktree(&self, place: SlotPlace) -> Result<Worktree, Error> {
        self.known(place).ok_or(Error::NotPrepared { place })
    }
}

/// An I/O error with what was being done.
fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}
