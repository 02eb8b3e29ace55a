//! Owns what happens to the branches of an issue that was given up: each commit is kept under a salvage ref,
//! then the branch goes. Only branches of Turno's own are touched.

use turno_core::ids::{CommitId, IssueId};

use super::{Error, Expected, Repo, TurnoRef};
use crate::crash_point::{self, Deed, Moment};

impl Repo {
    /// Takes the branches of an issue away; gives the refs that keep their commits.
    ///
    /// # Errors
    /// When git cannot. What was kept by then is kept.
    pub async fn retire(&self, issue: IssueId) -> Result<Vec<TurnoRef>, Error> {
        let mut kept = Vec::new();
        for (branch, commit) in self.branches_of(issue)? {
            kept.push(self.keep(&format!("discarded-{issue}"), &commit).await?);
            self.delete_ref(&branch, &Expected::At(commit)).await?;
            crash_point::reached(Moment::AfterEffect, Deed::Discard);
        }
        Ok(kept)
    }

    /// The first parent of a commit.
    ///
    /// # Errors
    /// When it is not there or has none.
    pub fn parent_of(&self, commit: &CommitId) -> Result<CommitId, Error> {
        let parts = self.commit_parts(commit)?;
        parts.parents.into_iter().next().ok_or_else(|| Error::Answer {
            what: "the parent of a commit".to_owned(),
            answer: format!("{} has none", commit.short()),
        })
    }
}
