//! Owns what happens to the branches of an issue that was given up: each commit is kept under a salvage ref,
//! then the branch goes. Only branches of Turno's own are touched.

use turno_core::ids::{CommitId, IssueId, TaskId};

use super::message::trailer;
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

    /// The commit that the landed work of a task comes on top of: the last one before `commit` that is not the task's,
    /// by what Turno writes below each message. `commit` itself is the task's, whatever it says.
    ///
    /// # Errors
    /// When a commit is not there, or none is before.
    pub fn before_task(&self, commit: &CommitId, task: TaskId) -> Result<CommitId, Error> {
        self.before(commit, "Turno-Task", &task.to_string())
    }

    /// The same for the work of a whole issue.
    ///
    /// # Errors
    /// When a commit is not there, or none is before.
    pub fn before_issue(&self, commit: &CommitId, issue: IssueId) -> Result<CommitId, Error> {
        self.before(commit, "Turno-Issue", &issue.to_string())
    }

    fn before(&self, commit: &CommitId, key: &str, value: &str) -> Result<CommitId, Error> {
        let mut at = self.parent_of(commit)?;
        while trailer(&self.commit_parts(&at)?.message, key) == [value] {
            at = self.parent_of(&at)?;
        }
        Ok(at)
    }

    /// The first parent of a commit.
    fn parent_of(&self, commit: &CommitId) -> Result<CommitId, Error> {
        let parts = self.commit_parts(commit)?;
        parts.parents.into_iter().next().ok_or_else(|| Error::Answer {
            what: "the parent of a commit".to_owned(),
            answer: format!("{} has none", commit.short()),
        })
    }
}
