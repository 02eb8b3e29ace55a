//! Owns the one way in which a branch of the user's moves: forward, by compare-and-swap, and with its checkout where
//! it has one. It must not leave a checkout out of step with its branch, nor choose where the branch goes.

use std::fs;
use std::path::{Path, PathBuf};

use turno_core::ids::CommitId;

use super::{Checkout, Error, Expected, Found, HeadAt, Place, PromoteError, Repo};

/// Which branch of the user's is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onto {
    /// The one that is checked out.
    Current,
    /// This one, by its short name.
    Branch(String),
}

/// A branch of the user's that may be moved, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its short name.
    pub branch: String,
    /// Where it is.
    pub tip: CommitId,
    /// Where it is checked out, if it is; nothing is uncommitted there.
    pub(super) checkout: Option<PathBuf>,
}

impl Target {
    fn full(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

impl Repo {
    /// Finds the branch, and refuses one that cannot be moved as things are.
    pub(super) async fn target(&self, onto: &Onto) -> Result<Target, PromoteError> {
        let branch = match onto {
            Onto::Branch(name) => name.clone(),
            Onto::Current => match self.user_head()?.at {
                HeadAt::Branch(name) => name,
                HeadAt::Detached => return Err(PromoteError::Detached),
            },
        };
        if branch.starts_with("turno/") {
            return Err(PromoteError::TurnosOwn { branch });
        }
        let full = format!("refs/heads/{branch}");
        let Found::At(tip) = self.read_any_ref(&full)? else {
            return Err(PromoteError::NoSuchBranch { branch });
        };
        if let Some(dir) = self.rebased_in(&full)? {
            return Err(PromoteError::BeingRebased { branch, dir });
        }
        let checkout = self.checkout_of(&full).await?;
        if let Some(path) = &checkout
            && let Checkout::Dirty { files } = self.state_of(path).await?
        {
            return Err(PromoteError::Dirty {
                branch,
                checkout: path.clone(),
                files,
            });
        }
        Ok(Target {
            branch,
            tip,
            checkout,
        })
    }

    /// Where a rebase of the branch is under way: it is checked out nowhere then, and belongs to the user all the same.
    fn rebased_in(&self, full: &str) -> Result<Option<PathBuf>, Error> {
        let common = self.common_dir();
        let worktrees = common.join("worktrees");
        let unreadable = |source| Error::Files {
            path: worktrees.clone(),
            source,
        };
        let mut dirs = vec![common.to_owned()];
        match fs::read_dir(&worktrees) {
            Ok(entries) => {
                for entry in entries {
                    dirs.push(entry.map_err(unreadable)?.path());
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(unreadable(source)),
        }
        Ok(dirs
            .into_iter()
            .flat_map(|d| [d.join("rebase-merge"), d.join("rebase-apply")])
            .find(|dir| fs::read_to_string(dir.join("head-name")).is_ok_and(|name| name.trim() == full)))
    }

    /// What would be in the way of bringing the checkout along to this commit: files that git does not track, ignored
    /// ones too, where the commit has its own.
    pub(super) async fn room(&self, target: &Target, commit: &CommitId) -> Result<(), PromoteError> {
        let Some(checkout) = &target.checkout else {
            return Ok(());
        };
        let there = |path: &Path| checkout.join(path).symlink_metadata().is_ok_and(|m| !m.is_dir());
        let files: Vec<String> = self
            .added(&target.tip, commit)?
            .iter()
            .filter(|path| there(path))
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        Err(PromoteError::InTheWay {
            checkout: checkout.clone(),
            files,
        })
    }

    /// Moves the branch to a commit that descends from where it was found, if it is still there. Where it is checked
    /// out, index and files come along; where they cannot, nothing moves.
    pub(super) async fn forward(
        &self,
        target: &Target,
        commit: &CommitId,
        why: &str,
    ) -> Result<(), PromoteError> {
        let full = target.full();
        let raced = || PromoteError::Raced {
            branch: target.branch.clone(),
        };
        match self.checkout_of(&full).await? {
            Some(checkout) => self.bring_along(&checkout, target, commit).await?,
            None => {
                let expected = Expected::At(target.tip.clone());
                match self.move_any_ref(&full, commit, &expected, why).await {
                    Ok(()) => {}
                    Err(Error::Raced { .. }) => return Err(raced()),
                    Err(other) => return Err(other.into()),
                }
            }
        }
        match self.read_any_ref(&full)? {
            Found::At(now) if self.is_ancestor(commit, &now)? => Ok(()),
            Found::At(_) | Found::Absent => Err(raced()),
        }
    }

    /// Fast-forwards a checked-out branch with its index and files: git moves all three or none.
    async fn bring_along(
        &self,
        checkout: &Path,
        target: &Target,
        commit: &CommitId,
    ) -> Result<(), PromoteError> {
        // Looked at again, as late as possible: the user may have switched or committed since.
        let place = Place::Checkout(checkout);
        let full = target.full();
        let head = self
            .git(place)
            .args(["symbolic-ref", "-q", "HEAD"])
            .text()
            .await
            .unwrap_or_default();
        if head != full || self.read_any_ref(&full)? != Found::At(target.tip.clone()) {
            return Err(PromoteError::Raced {
                branch: target.branch.clone(),
            });
        }
        self.room(target, commit).await?;
        let args = [
            "merge",
            "--ff-only",
            "--quiet",
            "--no-stat",
            "--no-overwrite-ignore",
            "--no-verify-signatures",
        ];
        let call = self.git(place).args(args).args([commit.as_str()]);
        match call.done().await {
            Ok(()) => Ok(()),
            Err(Error::Git { stderr, .. }) => Err(PromoteError::CheckoutStays {
                checkout: checkout.to_owned(),
                why: stderr,
            }),
            Err(other) => Err(other.into()),
        }
    }
}
