//! Owns what brings an integration branch along with a branch of the user's: where that is, and the commit that has
//! both, made of objects alone. It moves no ref.

use turno_core::following::FollowHow;
use turno_core::ids::{CommitId, IssueId};

use super::merge::MergedTree;
use super::message::compose;
use super::replay::Replayed;
use super::write::Identity;
use super::{Error, Found, Repo};

/// What is to have the user's branch too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    /// Whose work.
    pub(crate) issue: IssueId,
    /// What its own commits come on top of.
    pub(crate) base: &'a CommitId,
    /// The last of them.
    pub(crate) head: &'a CommitId,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Brought {
    /// This commit has both.
    To(CommitId),
    /// Both changed the same lines of these files.
    Conflict(Vec<String>),
}

impl Repo {
    /// Where a branch of the user's is; none when there is none of that name.
    pub(crate) fn users_branch(&self, name: &str) -> Result<Option<CommitId>, Error> {
        Ok(match self.read_any_ref(&format!("refs/heads/{name}"))? {
            Found::At(commit) => Some(commit),
            Found::Absent => None,
        })
    }

    /// Makes a commit that has an issue's own work and all that leads to `onto`, which is the commit of a branch that
    /// people know as `branch`.
    pub(crate) async fn with_users_branch(
        &self,
        own: Own<'_>,
        branch: &str,
        onto: &CommitId,
        how: FollowHow,
    ) -> Result<Brought, Error> {
        let Own { issue, base, head } = own;
        if self.is_ancestor(onto, head)? {
            return Ok(Brought::To(head.clone()));
        }
        if self.is_ancestor(head, onto)? {
            return Ok(Brought::To(onto.clone()));
        }
        match how {
            FollowHow::Merge => {
                let tree = match self.merge_trees(head, onto).await? {
                    MergedTree::Clean(tree) => tree,
                    MergedTree::Conflict(files) => return Ok(Brought::Conflict(files)),
                };
                let title = format!("Follow {branch} to {}", onto.short());
                let message = compose(&title, "", &[("Turno-Issue", issue.to_string())]);
                let parents = [head.clone(), onto.clone()];
                let commit = self.commit_tree(&tree, &parents, &message, &Identity::Turno);
                Ok(Brought::To(commit.await?))
            }
            FollowHow::Rebase => {
                let own = self.own_commits(head, base).await?;
                Ok(match self.replay(&own, onto).await? {
                    Replayed::To(commit) => Brought::To(commit),
                    Replayed::Conflict { files, .. } => Brought::Conflict(files),
                })
            }
        }
    }
}
