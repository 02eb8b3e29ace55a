//! Owns merges that need no checkout: of trees, and of the heads that an issue is begun on. It moves no ref.

use turno_core::ids::{CommitId, IssueId, TreeId};
use turno_core::promotion::Fork;

use super::write::Identity;
use super::{Error, Place, Repo};
use crate::process::End;

/// What two commits merge into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MergedTree {
    /// This tree.
    Clean(TreeId),
    /// Both changed the same lines of these files.
    Conflict(Vec<String>),
}

/// What several heads have in common afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MergedHeads {
    /// A commit that contains them all.
    Commit(CommitId),
    /// One of them does not merge with those before it.
    Conflict {
        /// Which.
        head: CommitId,
        /// In these files.
        files: Vec<String>,
    },
}

impl Repo {
    /// The tree that two commits merge into.
    pub(crate) async fn merge_trees(&self, ours: &CommitId, theirs: &CommitId) -> Result<MergedTree, Error> {
        self.merge_counted_from(&Fork::ByHistory, ours, theirs).await
    }

    /// The same, where what both have in common may be told.
    pub(super) async fn merge_counted_from(
        &self,
        fork: &Fork,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<MergedTree, Error> {
        let told = match fork {
            Fork::ByHistory => None,
            Fork::At(base) => Some(format!("--merge-base={base}")),
        };
        let args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"];
        let call = self
            .git(Place::Shared)
            .args(args)
            .args(told)
            .args([ours.as_str(), theirs.as_str()]);
        let finished = call.finish().await?;
        let mut fields = finished.stdout.split(|&b| b == 0);
        let tree = String::from_utf8_lossy(fields.next().unwrap_or_default())
            .trim()
            .to_owned();
        match finished.end {
            End::Exited(0) => {}
            End::Exited(1) => {
                let names = fields
                    .filter(|f| !f.is_empty())
                    .map(|f| String::from_utf8_lossy(f).into_owned());
                let mut files: Vec<String> = names.collect();
                files.dedup();
                return Ok(MergedTree::Conflict(files));
            }
            End::Exited(_) | End::Signalled(_) => return Err(call.failure(&finished)),
        }
        let tree = tree.parse().map_err(|_| Error::Answer {
            what: call.what(),
            answer: tree.clone(),
        })?;
        Ok(MergedTree::Clean(tree))
    }

    /// The commit that contains all of these heads: the one among them that does, else a merge of those that no
    /// other one contains, made for an issue.
    pub(crate) async fn merge_heads(
        &self,
        issue: IssueId,
        first: &CommitId,
        others: &[CommitId],
    ) -> Result<MergedHeads, Error> {
        let mut all = first.clone();
        for head in others {
            if self.is_ancestor(head, &all)? {
                continue;
            }
            if self.is_ancestor(&all, head)? {
                all = head.clone();
                continue;
            }
            let tree = match self.merge_trees(&all, head).await? {
                MergedTree::Clean(tree) => tree,
                MergedTree::Conflict(files) => {
                    return Ok(MergedHeads::Conflict {
                        head: head.clone(),
                        files,
                    });
                }
            };
            let message = format!("Begin issue {issue} on all that it needs\n\nTurno-Issue: {issue}\n");
            let parents = [all, head.clone()];
            all = self
                .commit_tree(&tree, &parents, &message, &Identity::Turno)
                .await?;
        }
        Ok(MergedHeads::Commit(all))
    }
}
