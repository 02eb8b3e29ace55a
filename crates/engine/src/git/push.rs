//! Owns what is asked of remotes, and pushing to one: with the user's own git, settings and credentials. A branch there
//! is moved only from where it was seen to be, and only forward.

use std::collections::BTreeMap;
use std::time::Duration;

use turno_core::ids::CommitId;

use super::{Error, GitCall, Place, Repo};
use crate::process::{self, Call, End, Finished};

/// What a call to a remote needs of the user: all of their environment, and how long it may take.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The environment; variables that say where git works are left out of it.
    pub env: BTreeMap<String, String>,
    /// After so long it is given up.
    pub limit: Duration,
}

/// The branch of a remote that a branch of the user's goes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name of the remote.
    pub remote: String,
    /// The branch there.
    pub branch: String,
}

/// Where a branch of a remote was seen to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    /// It is not there.
    Absent,
    /// There.
    At(CommitId),
}

/// Variables by which git is told where to work, or how, by whoever started Turno.
pub(crate) fn is_gits_own(name: &str) -> bool {
    let kept = [
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_ASKPASS",
        "GIT_PROXY_COMMAND",
        "GIT_SSL_CAINFO",
    ];
    name.starts_with("GIT_") && !kept.contains(&name)
}

impl Repo {
    /// The names of all remotes.
    ///
    /// # Errors
    /// When git cannot say.
    pub async fn remotes(&self) -> Result<Vec<String>, Error> {
        let text = self.git(Place::Shared).args(["remote"]).text().await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What a branch of the user's goes with, if that is on a remote.
    ///
    /// # Errors
    /// When git cannot say.
    pub async fn upstream_of(&self, branch: &str) -> Result<Option<Upstream>, Error> {
        let remote = self.setting_of(&format!("branch.{branch}.remote")).await?;
        let merge = self.setting_of(&format!("branch.{branch}.merge")).await?;
        let (Some(remote), Some(merge)) = (remote.filter(|r| r != "."), merge) else {
            return Ok(None);
        };
        let branch = merge.strip_prefix("refs/heads/").map(str::to_owned);
        Ok(branch.map(|branch| Upstream { remote, branch }))
    }

    async fn setting_of(&self, key: &str) -> Result<Option<String>, Error> {
        let call = self.git(Place::Shared).args(["config", "--get", key]);
        let finished = call.finish().await?;
        match finished.end {
            End::Exited(0) => Ok(Some(String::from_utf8_lossy(&finished.stdout).trim().to_owned())),
            End::Exited(1) => Ok(None),
            End::Exited(_) | End::Signalled(_) => Err(call.failure(&finished)),
        }
    }

    /// Where a remote is pushed to.
    ///
    /// # Errors
    /// When there is no such remote.
    pub async fn remote_url(&self, remote: &str) -> Result<String, Error> {
        let call = self
            .git(Place::Shared)
            .args(["remote", "get-url", "--push", "--", remote]);
        call.text().await
    }

    /// Where branches of a remote are now.
    ///
    /// # Errors
    /// When the remote cannot be asked within the limit.
    pub async fn ask_remote(
        &self,
        remote: &str,
        branches: &[&str],
        reach: &Reach,
    ) -> Result<BTreeMap<String, CommitId>, Error> {
        let call = self
            .git(Place::Shared)
            .args(["ls-remote", "--heads", "--", remote]);
        let call = call.args(branches.iter().map(|b| format!("refs/heads/{b}")));
        let finished = self.reached(&call, reach).await?;
        if finished.end != End::Exited(0) {
            return Err(call.failure(&finished));
        }
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let odd = || Error::Answer {
                what: call.what(),
                answer: line.chars().take(200).collect(),
            };
            let (commit, name) = line.split_once('\t').ok_or_else(odd)?;
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                found.insert(branch.to_owned(), commit.parse().map_err(|_| odd())?);
            }
        }
        Ok(found)
    }

    /// Pushes a commit as a branch of a remote, if that is still where it was seen. Gives what the remote said.
    ///
    /// The caller has made sure that what was seen is an ancestor of the commit, so nothing is lost there.
    ///
    /// # Errors
    /// When the remote refuses it, has moved, or does not answer within the limit.
    pub async fn push(
        &self,
        remote: &str,
        commit: &CommitId,
        branch: &str,
        seen: &There,
        reach: &Reach,
    ) -> Result<String, Error> {
        let name = format!("refs/heads/{branch}");
        let expected = match seen {
            There::Absent => String::new(),
            There::At(commit) => commit.to_string(),
        };
        let call = self.git(Place::Shared).args([
            "push".to_owned(),
            "--porcelain".to_owned(),
            "--no-follow-tags".to_owned(),
            "--recurse-submodules=no".to_owned(),
            format!("--force-with-lease={name}:{expected}"),
            "--".to_owned(),
            remote.to_owned(),
            format!("{commit}:{name}"),
        ]);
        let finished = self.reached(&call, reach).await?;
        if finished.end != End::Exited(0) {
            return Err(call.failure(&finished));
        }
        let said = String::from_utf8_lossy(&finished.stderr).into_owned();
        let words = said.lines().filter_map(|l| l.trim().strip_prefix("remote:"));
        Ok(words
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// Runs a call to a remote. Nobody is there to answer a question, so none is asked: unless the user says how ssh is
    /// called, it fails where it would ask for a word or a host's key.
    async fn reached(&self, call: &GitCall<'_>, reach: &Reach) -> Result<Finished, Error> {
        let mut called = with(call, reach);
        let says = |name: &str| reach.env.contains_key(name);
        if !says("GIT_SSH_COMMAND") && !says("GIT_SSH") {
            let key = self
                .git(Place::Shared)
                .args(["config", "--get", "core.sshCommand"]);
            let set = process::run_to_end(with(&key, reach), reach.limit).await?;
            match set.end {
                End::Exited(0) => {}
                End::Exited(1) => {
                    called
                        .env
                        .push(("GIT_SSH_COMMAND".into(), "ssh -oBatchMode=yes".into()));
                }
                End::Exited(_) | End::Signalled(_) => return Err(key.failure(&set)),
            }
        }
        Ok(process::run_to_end(called, reach.limit).await?)
    }
}

/// A call in the user's environment.
fn with(call: &GitCall<'_>, reach: &Reach) -> Call {
    let mut called = call.call();
    let users = reach.env.iter().filter(|(name, _)| !is_gits_own(name));
    for (name, value) in users.filter(|(name, _)| *name != "LC_ALL") {
        called.env.push((name.into(), value.into()));
    }
    called.env.push(("GIT_TERMINAL_PROMPT".into(), "0".into()));
    called
}
