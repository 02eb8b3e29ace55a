//! Owns why a git step did not do what it was for, in words for people.

use std::path::PathBuf;

use turno_core::ids::CommitId;

use super::{Expected, Found, words};
use crate::{process, room};

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
