//! Owns the replay of commits one by one on top of another, made of objects alone, each with its author and message.
//! It moves no ref.

use turno_core::ids::CommitId;
use turno_core::promotion::Fork;

use super::merge::MergedTree;
use super::write::Identity;
use super::{Error, Place, Repo};

/// What became of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replayed {
    /// The last commit of it; where there was nothing to do, what it was done on.
    To(CommitId),
    /// One of the commits does not apply to those before it.
    Conflict {
        /// Which.
        commit: CommitId,
        /// In these files.
        files: Vec<String>,
    },
}

impl Repo {
    /// The commits that lead to `head` and are not in `without`, oldest first, merges left out.
    pub(super) async fn own_commits(
        &self,
        head: &CommitId,
        without: &CommitId,
    ) -> Result<Vec<CommitId>, Error> {
        let args = ["rev-list", "--reverse", "--topo-order", "--no-merges"];
        let call = self
            .git(Place::Shared)
            .args(args)
            .args([head.as_str(), "--not", without.as_str()]);
        let text = call.text().await?;
        text.lines()
            .map(|line| {
                line.parse().map_err(|_| Error::Answer {
                    what: call.what(),
                    answer: line.to_owned(),
                })
            })
            .collect()
    }

    /// Makes these commits again on top of `onto`. One that is there already, or changes nothing there, is left out.
    pub(super) async fn replay(&self, commits: &[CommitId], onto: &CommitId) -> Result<Replayed, Error> {
        let mut at = onto.clone();
        for commit in commits {
            let parts = self.commit_parts(commit)?;
            if parts.parents.as_slice() == [at.clone()] {
                at = commit.clone();
                continue;
            }
            let merged = match parts.parents.first() {
                Some(parent) => {
                    self.merge_counted_from(&Fork::At(parent.clone()), &at, commit)
                        .await?
                }
                // A first commit has no parent to compare it with.
                None => self.merge_trees(&at, commit).await?,
            };
            let tree = match merged {
                MergedTree::Clean(tree) => tree,
                MergedTree::Conflict(files) => {
                    return Ok(Replayed::Conflict {
                        commit: commit.clone(),
                        files,
                    });
                }
            };
            if tree == self.tree_of(&at)? {
                continue;
            }
            let author = Identity::Author {
                name: parts.author,
                email: parts.email,
                when: parts.when,
            };
            at = self.commit_tree(&tree, &[at], &parts.message, &author).await?;
        }
        Ok(Replayed::To(at))
    }
}
