//! Owns promotion: a person puts an issue's integration branch on a branch of their own. It is the only code
//! that moves a branch of the user's. It must not leave a checkout out of step with its branch.

use std::path::{Path, PathBuf};

use turno_core::ids::CommitId;

use super::merge::MergedTree;
use super::write::Identity;
use super::{Checkout, Error, Expected, Found, HeadAt, Place, Repo, TurnoRef};

/// Which branch a promotion is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onto {
    /// The one that is checked out.
    Current,
    /// This one, by its short name.
    Branch(String),
}

/// How a branch was brought forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It had everything already.
    AlreadyThere,
    /// It had nothing of its own.
    FastForward,
    /// By a merge commit.
    Merge,
}

/// A promotion that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// The user's branch.
    pub branch: String,
    /// Where it is now.
    pub commit: CommitId,
    /// How it came there.
    pub how: How,
}

/// Why a promotion was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// No branch is checked out.
    #[error("HEAD is detached, so there is no current branch. Name the branch to promote onto")]
    Detached,
    /// The named branch is not there.
    #[error("there is no branch `{branch}`. Create it, or name another")]
    NoSuchBranch {
        /// Its name.
        branch: String,
    },
    /// The integration branch is not there.
    #[error("{branch} does not exist: nothing has landed for this issue yet")]
    NothingLanded {
        /// Its name.
        branch: String,
    },
    /// A branch of Turno's own was named.
    #[error("`{branch}` is a branch of Turno's own. Name one of yours")]
    TurnosOwn {
        /// Its name.
        branch: String,
    },
    /// The branch is checked out with changes.
    #[error("`{branch}` is checked out at {} with uncommitted changes ({}). Commit or stash them, then try again", checkout.display(), files.join(", "))]
    Dirty {
        /// The branch.
        branch: String,
        /// Where it is checked out.
        checkout: PathBuf,
        /// What is changed.
        files: Vec<String>,
    },
    /// Both sides changed the same lines.
    #[error("{from} does not merge into `{branch}`: {}. Merge it by hand: git merge {from}", files.join(", "))]
    Conflict {
        /// The integration branch.
        from: String,
        /// The user's branch.
        branch: String,
        /// The files that do not merge.
        files: Vec<String>,
    },
    /// Files that git does not track are where the merge would put its own.
    #[error("files at {} that are not committed are in the way: {}. Move them, then try again", checkout.display(), files.join(", "))]
    InTheWay {
        /// Where the branch is checked out.
        checkout: PathBuf,
        /// Which.
        files: Vec<String>,
    },
    /// The checkout could not be brought along.
    #[error("the checkout at {} cannot be brought along: {why}", checkout.display())]
    CheckoutStays {
        /// Which.
        checkout: PathBuf,
        /// In git's words.
        why: String,
    },
    /// The branch moved meanwhile.
    #[error("`{branch}` moved meanwhile. Try again")]
    Raced {
        /// The branch.
        branch: String,
    },
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] Error),
}

impl Repo {
    /// Brings the user's branch to include the integration branch, by fast-forward or by a merge commit. Where
    /// that branch is checked out, its index and files come along; where they cannot, nothing moves.
    pub async fn promote(&self, from: &TurnoRef, onto: &Onto) -> Result<Promoted, PromoteError> {
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
        let Found::At(source) = self.read_ref(from)? else {
            return Err(PromoteError::NothingLanded {
                branch: from.short().to_owned(),
            });
        };
        let Found::At(tip) = self.read_any_ref(&full)? else {
            return Err(PromoteError::NoSuchBranch { branch });
        };
        if self.is_ancestor(&source, &tip)? {
            return Ok(Promoted {
                branch,
                commit: tip,
                how: How::AlreadyThere,
            });
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
        let (commit, how) = if self.is_ancestor(&tip, &source)? {
            (source, How::FastForward)
        } else {
            (self.merged(from, &branch, &tip, &source).await?, How::Merge)
        };
        match checkout {
            Some(path) => self.bring_along(&path, &full, &tip, &commit).await?,
            None => {
                let why = format!("turno: promote {from}");
                match self.move_any_ref(&full, &commit, &Expected::At(tip), &why).await {
                    Ok(()) => {}
                    Err(Error::Raced { .. }) => return Err(PromoteError::Raced { branch }),
                    Err(other) => return Err(other.into()),
                }
            }
        }
        match self.read_any_ref(&full)? {
            Found::At(now) if self.is_ancestor(&commit, &now)? => Ok(Promoted {
                branch,
                commit: now,
                how,
            }),
            Found::At(_) | Found::Absent => Err(PromoteError::Raced { branch }),
        }
    }

    /// A merge commit of both, made without any checkout.
    async fn merged(
        &self,
        from: &TurnoRef,
        branch: &str,
        tip: &CommitId,
        source: &CommitId,
    ) -> Result<CommitId, PromoteError> {
        let tree = match self.merge_trees(tip, source).await? {
            MergedTree::Clean(tree) => tree,
            MergedTree::Conflict(files) => {
                return Err(PromoteError::Conflict {
                    from: from.short().into(),
                    branch: branch.into(),
                    files,
                });
            }
        };
        let message = format!("Merge branch '{from}' into {branch}\n");
        let parents = [tip.clone(), source.clone()];
        Ok(self
            .commit_tree(&tree, &parents, &message, &Identity::Turno)
            .await?)
    }

    /// Fast-forwards a checked-out branch with its index and files: git moves all three or none.
    async fn bring_along(
        &self,
        checkout: &Path,
        full: &str,
        tip: &CommitId,
        commit: &CommitId,
    ) -> Result<(), PromoteError> {
        // Looked at again, as late as possible: the user may have switched or committed since.
        let place = Place::Checkout(checkout);
        let head = self
            .git(place)
            .args(["symbolic-ref", "-q", "HEAD"])
            .text()
            .await
            .unwrap_or_default();
        if head != full || self.read_any_ref(full)? != Found::At(tip.clone()) {
            return Err(PromoteError::Raced {
                branch: full.trim_start_matches("refs/heads/").to_owned(),
            });
        }
        let in_the_way = |path: &PathBuf| checkout.join(path).symlink_metadata().is_ok_and(|m| !m.is_dir());
        let files: Vec<_> = self.added(tip, commit)?.into_iter().filter(in_the_way).collect();
        if !files.is_empty() {
            let files = files.iter().map(|f| f.to_string_lossy().into_owned()).collect();
            return Err(PromoteError::InTheWay {
                checkout: checkout.to_owned(),
                files,
            });
        }
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
