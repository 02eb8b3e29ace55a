//! The only place that runs git or uses libgit2. It owns how git is called: with which configuration, which
//! environment, which identity, and what its failures mean. It must not know about slots, tasks in progress
//! or the journal.
//!
//! libgit2 reads (refs, trees, ancestry, diffs); the git program writes (checkouts, index, refs, merges): it is
//! faster there and knows every feature. No call runs a hook, a file monitor, housekeeping or a prompt.

mod claim;
mod conflict;
mod create;
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
use std::time::Duration;

use tokio::sync::Mutex;
use turno_core::ids::CommitId;

pub use claim::{Claim, Claimed};
pub(crate) use conflict::hunks;
pub use create::create;
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

use crate::process::{self, Call, End, Finished, Input};
use crate::room;

/// The longest that one git call may take. A first checkout of a very large repository is the slowest of them.
const LIMIT: Duration = Duration::from_secs(1800);
/// More output than this from one call is refused.
const OUTPUT_CAP: usize = 256 << 20;
/// Waiting times before a call that met a lock is made again.
const LOCK_WAITS_MS: [u64; 7] = [20, 50, 100, 200, 500, 1000, 2000];

/// What every call is told, whatever the user's configuration says.
const ALWAYS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "rerere.enabled=false",
    "rebase.updateRefs=false",
    "rebase.autoSquash=false",
    "rebase.autoStash=false",
    "merge.autoStash=false",
    "merge.conflictStyle=merge",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "diff.ignoreSubmodules=dirty",
    "advice.addEmbeddedRepo=false",
    "advice.detachedHead=false",
];

/// What calls in a worktree of Turno's own are told on top: a whole checkout with a self-contained index, and
/// no stat shortcut that a program in the slot could use to hide a change.
const IN_SLOT: &[&str] = &[
    "core.sparseCheckout=false",
    "index.sparse=false",
    "core.splitIndex=false",
    "core.ignoreStat=false",
    "core.trustctime=true",
    "core.checkStat=default",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
];

/// Why a git step did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no repository there.
    #[error("{} is not in a git repository. Run `git init` there, or name another directory", path.display())]
    NotARepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The repository has no checkout.
    #[error("{} is a bare repository. Turno needs a checkout: clone it and name the clone", path.display())]
    Bare {
        /// Which.
        path: PathBuf,
    },
    /// Nothing has been committed yet.
    #[error("the repository at {} has no commit yet. Make a first commit, then try again", path.display())]
    NoCommits {
        /// Which.
        path: PathBuf,
    },
    /// It belongs to another user, and git refuses it.
    #[error("{} belongs to another user. Change its owner, or run `git config --global --add safe.directory {}`", path.display(), path.display())]
    NotOwned {
        /// Which.
        path: PathBuf,
    },
    /// It is kept in a way that cannot be worked with.
    #[error("the repository at {} has {what}, which Turno cannot work with yet. {todo}", path.display())]
    Unsupported {
        /// Which.
        path: PathBuf,
        /// What it has.
        what: &'static str,
        /// What to do.
        todo: &'static str,
    },
    /// It uses something that libgit2 cannot read.
    #[error("the repository at {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: git2::Error,
    },
    /// A read within an open repository failed.
    #[error("cannot read {what}: {source}")]
    Read {
        /// What was read.
        what: String,
        /// Why it failed.
        source: git2::Error,
    },
    /// A commit is not there.
    #[error("commit {commit} is not in the repository; was it removed by `git gc` or a new clone?")]
    NoSuchCommit {
        /// Which.
        commit: CommitId,
    },
    /// Something else moved the ref in the meantime.
    #[error("{name} was expected {expected} but is {found}: something else moved it")]
    Raced {
        /// Which ref.
        name: String,
        /// Where it should have been.
        expected: Expected,
        /// Where it is.
        found: Found,
    },
    /// A ref of the user's own has a name that Turno needs as a directory, or the other way round.
    #[error("cannot create {name}: another branch is in the way ({detail}). Rename that branch")]
    InTheWay {
        /// Which ref.
        name: String,
        /// In git's words.
        detail: String,
    },
    /// A lock file stayed for longer than Turno waits.
    #[error(
        "git is locked in this repository: {detail}. If no git command runs there, remove the lock file it names"
    )]
    Locked {
        /// In git's words.
        detail: String,
    },
    /// git answered with an error. Its cause comes first: a screen may have room for no more.
    #[error(
        "`git {}` failed ({code}): {}{}",
        words::verb(what),
        words::cause(stderr),
        words::rest(what, stderr)
    )]
    Git {
        /// The subcommand with its arguments, shortened.
        what: String,
        /// How it ended.
        code: String,
        /// The end of its messages.
        stderr: String,
    },
    /// There is no room for what git writes.
    #[error(
        "{}. `git {}` failed: {}{}",
        room::words(at),
        words::verb(what),
        words::cause(stderr),
        words::rest(what, stderr)
    )]
    Full {
        /// The directories on the disks that have no room left, or where git wrote if that is not known.
        at: Vec<PathBuf>,
        /// The subcommand with its arguments, shortened.
        what: String,
        /// The end of its messages.
        stderr: String,
    },
    /// git said something that is not understood.
    #[error("`git {what}` gave an answer that is not understood: {answer}")]
    Answer {
        /// The subcommand.
        what: String,
        /// What it said, shortened.
        answer: String,
    },
    /// Files of the repository cannot be read.
    #[error("cannot read what is in {}: {source}", path.display())]
    Files {
        /// In which directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// git did not come to an end of its own.
    #[error(transparent)]
    Process(#[from] process::Error),
}

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

    /// A git call to be filled in.
    pub(crate) fn git<'a>(&'a self, place: Place<'a>) -> GitCall<'a> {
        GitCall {
            repo: self,
            place,
            settings: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            input: Input::Nothing,
        }
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

/// Where a call works.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// On what all worktrees share: objects and refs.
    Shared,
    /// In a checkout of the user's. Only reads, and the last step of a promotion.
    Checkout(&'a Path),
    /// In a worktree of Turno's own.
    Own(&'a Worktree),
    /// The same, through the index that programs in that worktree use. Only reads.
    OwnOtherIndex(&'a Worktree, &'a Path),
}

/// One call of the git program.
pub(crate) struct GitCall<'a> {
    repo: &'a Repo,
    place: Place<'a>,
    settings: Vec<&'static str>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    input: Input,
}

impl GitCall<'_> {
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(crate) fn setting(mut self, setting: &'static str) -> Self {
        self.settings.push(setting);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn input_from(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    pub(crate) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = Input::Bytes(bytes);
        self
    }

    /// Runs it once; any exit code is an answer.
    pub(crate) async fn finish(&self) -> Result<Finished, Error> {
        Ok(process::run_to_end(self.call(), LIMIT).await?)
    }

    /// Runs it, again if it met a lock, and expects exit code 0.
    pub(crate) async fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut waits = LOCK_WAITS_MS.iter();
        loop {
            let finished = self.finish().await?;
            if finished.end == End::Exited(0) {
                return Ok(finished.stdout);
            }
            let error = self.failure(&finished);
            match (error, waits.next()) {
                (Error::Locked { detail }, Some(&wait)) => {
                    tracing::debug!(detail, wait, "met a lock, waiting");
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                (error, _) => return Err(error),
            }
        }
    }

    /// The same; the answer as trimmed text.
    pub(crate) async fn text(&self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).trim().to_owned())
    }

    /// The same, when the answer is of no interest.
    pub(crate) async fn done(&self) -> Result<(), Error> {
        self.bytes().await.map(drop)
    }

    /// What a call that ended in this way means.
    pub(crate) fn failure(&self, finished: &Finished) -> Error {
        let stderr = String::from_utf8_lossy(&finished.stderr);
        let lock = stderr.lines().find(|l| l.contains(".lock': File exists"));
        if let Some(line) = lock {
            return Error::Locked {
                detail: line.trim().to_owned(),
            };
        }
        let (what, stderr) = (self.what(), words::tail(stderr.trim(), 2000));
        if let Some(at) = self.full(&stderr) {
            return Error::Full { at, what, stderr };
        }
        let code = match finished.end {
            End::Exited(code) => format!("exit code {code}"),
            End::Signalled(signal) => format!("signal {signal}"),
        };
        Error::Git { what, code, stderr }
    }

    /// Where there is no room left, if that is why a call failed. git does not always say so.
    fn full(&self, stderr: &str) -> Option<Vec<PathBuf>> {
        let common = self.repo.common_dir().to_owned();
        let mut places = match self.place {
            Place::Shared | Place::Checkout(_) => vec![common],
            Place::Own(tree) | Place::OwnOtherIndex(tree, _) => vec![tree.path.clone(), common],
        };
        let said = ["No space left on device", "Disk quota exceeded"];
        let refused = ["Permission denied", "Read-only file system"];
        let full = if stderr.contains("unable to write") && !refused.iter().any(|w| stderr.contains(w)) {
            room::is_scarce
        } else {
            room::is_none
        };
        let is_full: Vec<PathBuf> = places.iter().filter(|p| full(p)).cloned().collect();
        if !is_full.is_empty() {
            places = is_full;
        } else if !said.iter().any(|words| stderr.contains(words)) {
            return None;
        }
        Some(places)
    }

    /// The subcommand for people.
    pub(crate) fn what(&self) -> String {
        let words: Vec<_> = self.args.iter().map(|a| a.to_string_lossy()).collect();
        words.join(" ").chars().take(200).collect()
    }

    fn call(&self) -> Call {
        let inner = &self.repo.inner;
        let in_slot: &[&str] = match self.place {
            Place::Own(_) | Place::OwnOtherIndex(..) => IN_SLOT,
            Place::Shared | Place::Checkout(_) => &[],
        };
        let mut args = Vec::new();
        for setting in ALWAYS.iter().chain(in_slot).chain(&self.settings) {
            args.extend([OsString::from("-c"), OsString::from(setting)]);
        }
        args.extend(self.args.iter().cloned());

        let mut env = inner.surroundings.vars.clone();
        let mut set = |name: &str, value: &OsStr| env.insert(name.into(), value.to_owned());
        for (name, value) in [
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_EDITOR", ":"),
            ("GIT_SEQUENCE_EDITOR", ":"),
            ("GIT_PAGER", "cat"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            (
                "GIT_OPTIONAL_LOCKS",
                if matches!(self.place, Place::Own(_)) {
                    "1"
                } else {
                    "0"
                },
            ),
            ("GIT_AUTHOR_NAME", write::NAME),
            ("GIT_AUTHOR_EMAIL", write::EMAIL),
            ("GIT_COMMITTER_NAME", write::NAME),
            ("GIT_COMMITTER_EMAIL", write::EMAIL),
        ] {
            set(name, OsStr::new(value));
        }
        let cwd = match self.place {
            Place::Shared => {
                set("GIT_DIR", inner.common_dir.as_os_str());
                &inner.common_dir
            }
            Place::Checkout(path) => path,
            Place::Own(tree) | Place::OwnOtherIndex(tree, _) => {
                set("GIT_DIR", tree.git_dir.as_os_str());
                set("GIT_COMMON_DIR", inner.common_dir.as_os_str());
                set("GIT_WORK_TREE", tree.path.as_os_str());
                let index = if let Place::OwnOtherIndex(_, other) = self.place {
                    other
                } else {
                    &tree.index
                };
                set("GIT_INDEX_FILE", index.as_os_str());
                &tree.path
            }
        };
        let cwd = cwd.to_path_buf();
        env.extend(self.env.iter().cloned());
        Call {
            program: "git".into(),
            args,
            cwd,
            env: env.into_iter().collect(),
            input: self.input.clone(),
            output_cap: OUTPUT_CAP,
        }
    }
}
