//! Owns opening: where an issue's integration branch begins. It must not decide when an issue is begun, nor on
//! which others. Done twice, it gives the same answer: what it answers with is kept before it answers.

use turno_core::following::Target;
use turno_core::ids::{CommitId, IssueId};

use crate::git::{self, Expected, Found, HeadAt, MergedHeads, Repo, TurnoRef, UserHead};

/// What became of an opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The issue begins here.
    At {
        /// At this commit.
        base: CommitId,
        /// The branch of the user's that was checked out.
        target: Target,
    },
    /// What it needs does not fit together.
    Conflict {
        /// The head that does not merge with those before it.
        head: CommitId,
        /// In these files.
        files: Vec<String>,
    },
}

/// Why it is not known where an issue begins.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// Moving the branch would leave a checkout of it out of step.
    #[error("{branch} is checked out at {checkout}. Check out another branch there, then try again")]
    CheckedOut {
        /// The integration branch.
        branch: TurnoRef,
        /// Where.
        checkout: String,
    },
}

/// Begins an issue: on the user's branch as it is now, or on these heads. What they come to is made the issue's
/// integration branch: no other ref may lead to it, or go on doing so.
///
/// # Errors
/// When git cannot, or a checkout is in the way.
pub async fn open(repo: &Repo, issue: IssueId, on: &[CommitId]) -> Result<Opened, Error> {
    let user = repo.user_head()?;
    let target = target_of(&user);
    let Some((first, others)) = on.split_first() else {
        let base = user.commit;
        return Ok(Opened::At { base, target });
    };
    let branch = TurnoRef::base(issue);
    let found = repo.read_ref(&branch)?;
    if let Found::At(at) = &found
        && contains_all(repo, at, on)?
    {
        let base = at.clone();
        return Ok(Opened::At { base, target });
    }
    let base = match repo.merge_heads(issue, first, others).await? {
        MergedHeads::Commit(commit) => commit,
        MergedHeads::Conflict { head, files } => return Ok(Opened::Conflict { head, files }),
    };
    if let Some(path) = repo.checkout_of(branch.full()).await? {
        return Err(Error::CheckedOut {
            branch,
            checkout: path.display().to_string(),
        });
    }
    let expected = match found {
        Found::Absent => Expected::Absent,
        Found::At(old) => {
            if !repo.is_ancestor(&old, &base)? {
                repo.keep("branch", &old).await?;
            }
            Expected::At(old)
        }
    };
    repo.move_ref(&branch, &base, &expected).await?;
    Ok(Opened::At { base, target })
}

/// The branch that an issue begins on, where a person is on one of their own.
pub fn target_of(user: &UserHead) -> Target {
    match &user.at {
        HeadAt::Branch(name) if !name.starts_with("turno/") => Target::Branch(name.clone()),
        HeadAt::Branch(_) | HeadAt::Detached => Target::Unknown,
    }
}

fn contains_all(repo: &Repo, commit: &CommitId, heads: &[CommitId]) -> Result<bool, git::Error> {
    for head in heads {
        if !repo.is_ancestor(head, commit)? {
            return Ok(false);
        }
    }
    Ok(true)
}
