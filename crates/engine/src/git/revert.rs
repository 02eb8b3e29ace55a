//! Owns taking a promotion back: one commit that undoes what it put on a branch, whatever the manner was. It is made
//! of objects first; then the branch moves, or nothing does.

use turno_core::ids::{CommitId, IssueId};
use turno_core::promotion::Fork;

use super::forward::{Onto, Target};
use super::merge::MergedTree;
use super::message::compose;
use super::write::Identity;
use super::{PromoteError, Repo};

/// What is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// Which issue's work.
    pub issue: IssueId,
    /// The issue's title, for the message.
    pub title: String,
    /// From which branch.
    pub from: Onto,
    /// Where the branch was before the promotion.
    pub before: CommitId,
    /// Where the promotion brought it.
    pub commit: CommitId,
}

/// A reversal that can be done. Nothing has moved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedReversal {
    /// Nothing of it is left on the branch: somebody took it back before.
    AlreadyGone {
        /// Which branch.
        branch: String,
        /// Where it is.
        tip: CommitId,
    },
    /// The branch can be moved.
    Ready {
        /// The branch as it was found.
        target: Target,
        /// Where it goes.
        commit: CommitId,
    },
}

impl Repo {
    /// Makes the commit that would take a promotion back, as an object that nothing leads to.
    pub async fn plan_reversal(&self, asked: &Reversal) -> Result<PlannedReversal, PromoteError> {
        let target = self.target(&asked.from).await?;
        if !self.is_ancestor(&asked.commit, &target.tip)? {
            return Err(PromoteError::NotThere {
                branch: target.branch,
                commit: asked.commit.clone(),
            });
        }
        // In every manner the promotion's tree is the one before it and the issue's work, and no more.
        let base = Fork::At(asked.commit.clone());
        let merged = self.merge_counted_from(&base, &target.tip, &asked.before).await?;
        let tree = match merged {
            MergedTree::Clean(tree) => tree,
            MergedTree::Conflict(files) => {
                return Err(PromoteError::RevertConflict {
                    branch: target.branch,
                    commit: asked.commit.clone(),
                    files,
                });
            }
        };
        if tree == self.tree_of(&target.tip)? {
            return Ok(PlannedReversal::AlreadyGone {
                branch: target.branch,
                tip: target.tip,
            });
        }
        let body = format!(
            "This takes back what was promoted for issue {}: {}..{}.",
            asked.issue,
            asked.before.short(),
            asked.commit.short()
        );
        let trailers = [
            ("Turno-Issue", asked.issue.to_string()),
            ("Turno-Reverts", asked.commit.to_string()),
        ];
        let message = compose(&format!("Revert \"{}\"", asked.title), &body, &trailers);
        let parents = [target.tip.clone()];
        let commit = self
            .commit_tree(&tree, &parents, &message, &Identity::Turno)
            .await?;
        self.room(&target, &commit).await?;
        Ok(PlannedReversal::Ready { target, commit })
    }

    /// Moves the branch to the commit that takes a promotion back, if it is still where it was found.
    pub async fn take_back(
        &self,
        issue: IssueId,
        target: &Target,
        commit: &CommitId,
    ) -> Result<(), PromoteError> {
        self.forward(target, commit, &format!("turno: revert issue {issue}"))
            .await
    }
}
