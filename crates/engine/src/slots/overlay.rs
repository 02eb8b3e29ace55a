//! Owns laying some files of one commit over a slot that is at another. What comes of it is for checks only: no
//! commit is made of it, and the slot is to be discarded afterwards.

use std::collections::BTreeSet;

use turno_core::ids::{CommitId, TreeId};

use super::{Error, SlotPlace, SlotPool};
use crate::git::{self, Place, Worktree};

impl SlotPool {
    /// Makes these paths of a slot what they are in `commit`: files are written, and removed where `commit` has
    /// none. Gives the tree that the slot then holds.
    ///
    /// # Errors
    /// When git cannot. The slot may be anything then, and is to be discarded all the same.
    pub async fn lay_over(
        &self,
        place: SlotPlace,
        commit: &CommitId,
        paths: &BTreeSet<String>,
    ) -> Result<TreeId, Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        // Checks may have run here: what they left beside the metadata is not obeyed.
        self.tidy(&tree)?;
        let files = self.repo().files_among(commit, paths)?;
        let gone: Vec<&str> = paths
            .iter()
            .map(String::as_str)
            .filter(|p| !files.contains(*p))
            .collect();
        let there: Vec<&str> = files.iter().map(String::as_str).collect();
        // Removed first: a directory may have come where a file was.
        let remove = ["rm", "--quiet", "--force", "--ignore-unmatch"];
        self.with_paths(&tree, &remove, &gone).await?;
        self.with_paths(&tree, &["checkout", "--quiet", commit.as_str()], &there)
            .await?;
        let call = self.repo().git(Place::Own(&tree)).args(["write-tree"]);
        let answer = call.text().await?;
        let tree = answer.parse().map_err(|_| git::Error::Answer {
            what: call.what(),
            answer: answer.clone(),
        })?;
        Ok(tree)
    }

    /// Paths go in as data: nothing in a name can be taken for a flag or a pattern.
    async fn with_paths(&self, tree: &Worktree, args: &[&str], paths: &[&str]) -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        let list = paths
            .iter()
            .flat_map(|p| [p.as_bytes(), b"\0"].concat())
            .collect();
        let call = self
            .repo()
            .git(Place::Own(tree))
            .args(args)
            .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
            .input(list);
        Ok(call.done().await?)
    }
}
