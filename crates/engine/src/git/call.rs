//! Owns one call of the git program: with which configuration and environment it is made, how often it is made again,
//! and what its failures mean.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, Repo, Worktree, words, write};
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

impl Repo {
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

    /// What is run, with what it is told and given.
    pub(super) fn call(&self) -> Call {
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
