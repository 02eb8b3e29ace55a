//! The only place that runs git or uses libgit2. It owns the repository that is worked with, and its worktrees; how git
//! is called is in `call`. It must not know about slots, tasks in progress or the journal.
//!
//! libgit2 reads (refs, trees, ancestry, diffs); the git program writes (checkouts, index, refs, merges): it is
//! faster there and knows every feature. No call runs a hook, a file monitor, housekeeping or a prompt.

mod call;
mod claim;
mod conflict;
mod create;
mod error;
mod essence;
mod follow;
mod forward;
mod guard;
mod guarded;
mod import;
mod ledger;
mod lend;
mod look;
mod merge;
mod message;
mod names;
mod preflight;
mod promote;
mod push;
mod read;
mod replay;
mod retire;
mod revert;
mod salvaged;
mod status;
mod survey;
mod words;
mod write;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

pub(crate) use call::{GitCall, Place};
pub use claim::{Claim, Claimed};
pub(crate) use conflict::hunks;
pub use create::create;
pub use error::Error;
pub(crate) use follow::{Brought, Own};
pub use forward::{Onto, Target};
pub use guard::{Guard, Watch};
pub(crate) use import::{Foreign, Imported};
pub(crate) use lend::{alternates, path_list};
pub(crate) use merge::MergedHeads;
pub use message::{CommitMessage, Trailers};
pub(crate) use message::{carries, with_trailers};
pub use names::TurnoRef;
pub(crate) use names::{SalvageStamp, is_ref_name};
pub use promote::{Planned, PromoteError, Promotion, Ready};
pub(crate) use push::is_gits_own;
pub use push::{Reach, There, Upstream};
pub use read::{Checkout, CommitLine, DiffStat, DiffText, FileAt, HeadAt, UserHead};
pub use revert::{PlannedReversal, Reversal};
pub use salvaged::{Extent, KeptCommit, KeptFile, KeptKind};
pub(crate) use status::{Changed, Differs, Linked, RawChange, parse as parse_status, parse_raw};
pub(crate) use write::Identity;
pub use write::{Expected, Found};

/// The part of the environment that git calls are given, so that the user's own filters and settings work.
/// It never holds the `GIT_*` variables of the process that Turno was started from.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    vars: BTreeMap<OsString, OsString>,
}

impl Surroundings {
    /// What git needs of this process's own environment.
    pub fn of_this_process() -> Self {
        let names = [
            "PATH",
            "HOME",
            "XDG_CONFIG_HOME",
            "TMPDIR",
            "USER",
            "LOGNAME",
            "SSH_AUTH_SOCK",
        ];
        let vars = names
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        Self { vars: vars.collect() }
    }

    /// The same with one variable set.
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }
}

/// One repository of a person's, opened from one of its checkouts.
#[derive(Debug, Clone)]
pub struct Repo {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    surroundings: Surroundings,
    /// Held by every call that changes what all worktrees share.
    gate: Mutex<()>,
    /// What Turno itself moved, so that a guard can tell it from what others moved.
    ledger: ledger::Ledger,
}

impl Repo {
    /// Opens the repository that `path` is in.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_in(path, Surroundings::of_this_process())
    }

    /// The same, with an environment for git other than this process's own.
    pub fn open_in(path: &Path, surroundings: Surroundings) -> Result<Self, Error> {
        let at = || path.to_owned();
        // Not by where the git directory is found to be: it may be far from the checkout that names it in a file.
        let anywhere = git2::RepositoryOpenFlags::empty();
        let opened = git2::Repository::open_ext(path, anywhere, std::iter::empty::<&OsStr>());
        let repo = opened.map_err(|source| match source.code() {
            git2::ErrorCode::NotFound => Error::NotARepository { path: at() },
            git2::ErrorCode::Owner => Error::NotOwned { path: at() },
            _ if source.message().contains("object format") => Error::Unsupported {
                path: at(),
                what: "SHA-256 object names",
                todo: "Work in a repository with SHA-1 names: `git init --object-format=sha1`",
            },
            _ if source.message().to_lowercase().contains("refstorage") => Error::Unsupported {
                path: at(),
                what: "its refs in a reftable",
                todo: "`git refs migrate --ref-format=files` there makes it one that it can",
            },
            _ => Error::Unreadable { path: at(), source },
        })?;
        let Some(root) = repo.workdir() else {
            return Err(Error::Bare { path: at() });
        };
        let absolute = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
        let inner = Inner {
            root: absolute(root),
            git_dir: absolute(repo.path()),
            common_dir: absolute(repo.commondir()),
            surroundings,
            gate: Mutex::new(()),
            ledger: ledger::Ledger::default(),
        };
        let opened = Self {
            inner: Arc::new(inner),
        };
        opened.user_head()?;
        Ok(opened)
    }

    /// The top of the checkout it was opened from.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// What all worktrees share.
    pub(crate) fn common_dir(&self) -> &Path {
        &self.inner.common_dir
    }

    /// The git directory of the checkout it was opened from.
    fn user_git_dir(&self) -> &Path {
        &self.inner.git_dir
    }

    fn ledger(&self) -> &ledger::Ledger {
        &self.inner.ledger
    }

    /// Waits until nobody else changes what all worktrees share.
    pub(crate) async fn gate(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.gate.lock().await
    }

    /// The version of the git program, e.g. `2.47.3`.
    pub async fn git_version(&self) -> Result<String, Error> {
        let answer = self.git(Place::Shared).args(["version"]).text().await?;
        Ok(answer.split_whitespace().nth(2).unwrap_or_default().to_owned())
    }
}

/// A worktree of Turno's own. Everything is named, nothing is discovered: what lies in it may be hostile.
#[derive(Debug, Clone)]
pub(crate) struct Worktree {
    /// Its files.
    pub(crate) path: PathBuf,
    /// Its own part of the repository.
    pub(crate) git_dir: PathBuf,
    /// Turno's index of it, out of reach of what runs in it.
    pub(crate) index: PathBuf,
}

impl Worktree {
    /// The index that a program left which worked on a private one, until its slot is collected or reset.
    pub(crate) fn staged(&self) -> PathBuf {
        self.index.with_extension("staged")
    }
}
