//! Owns following: an issue's integration branch is brought along with the user's branch that it began on, both
//! together are proven, and the branch is moved by compare-and-swap. The user's branch is never moved. It must not
//! decide when, nor what follows when it cannot.

use std::path::Path;

use turno_core::check::{CheckReport, ReportVerdict};
use turno_core::command::FollowStart;
use turno_core::event::{Event, FollowEnd};
use turno_core::following::{FollowHow, Following, Keeping};
use turno_core::ids::{CommitId, TreeId};
use turno_core::step::Watched;

use crate::git::{self, Brought, Expected, Found, Own, Repo, TurnoRef};
use crate::slots::{self, SlotPlace, SlotPool};

/// Why it came to no end of its own. The integration branch did not move.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The worktree for landings is not as it should be.
    #[error(transparent)]
    Slots(#[from] slots::Error),
    /// Moving the branch would leave a checkout of it out of step.
    #[error("{branch} is checked out at {checkout}. Check out another branch there, then try again")]
    CheckedOut {
        /// The integration branch.
        branch: TurnoRef,
        /// Where.
        checkout: String,
    },
    /// The branch is not there, though something has landed on it.
    #[error("{branch} is gone; what had landed on it was {}. Put it back: git branch {branch} {head}", head.short())]
    Gone {
        /// The integration branch.
        branch: TurnoRef,
        /// Where it was.
        head: CommitId,
    },
    /// The checks answered for another tree than the one that was asked about.
    #[error("the checks answered for tree {answered}, not for {asked}")]
    OtherTree {
        /// The integrated tree.
        asked: TreeId,
        /// The one in the report.
        answered: TreeId,
    },
}

/// Brings an issue's branch along. `run_checks` is asked about both together, in a worktree that is at it. Done again
/// after a crash it proves again what is on the branch by then.
///
/// # Errors
/// When git cannot, or something is in the way.
pub async fn follow<F>(pool: &SlotPool, start: &FollowStart, run_checks: F) -> Result<FollowEnd, Error>
where
    F: AsyncFnOnce(&Path, &CommitId, &TreeId) -> CheckReport,
{
    let repo = pool.repo();
    let lock = pool.lock(SlotPlace::Landing).await;
    let branch = TurnoRef::base(start.issue);
    let found = repo.read_ref(&branch)?;
    let head = match &found {
        Found::At(head) => head.clone(),
        Found::Absent if start.head == start.base => start.base.clone(),
        Found::Absent => {
            let head = start.head.clone();
            return Err(Error::Gone { branch, head });
        }
    };
    if let Some(since) = &start.since {
        let is_rewritten = match start.how {
            FollowHow::Merge => !repo.is_ancestor(since, &start.onto)?,
            // A branch that only went back has dropped what its issue began on: that is not the issue's to make again.
            FollowHow::Rebase => *since != start.onto && repo.is_ancestor(&start.onto, since)?,
        };
        if is_rewritten {
            let lost = since.clone();
            return Ok(FollowEnd::Rewritten { lost, head });
        }
    }
    if let Some(path) = repo.checkout_of(branch.full()).await? {
        let checkout = path.display().to_string();
        return Err(Error::CheckedOut { branch, checkout });
    }
    let own = Own {
        issue: start.issue,
        base: &start.base,
        head: &head,
    };
    let (expected, brought) = match found {
        Found::At(at) => {
            let both = repo.with_users_branch(own, &start.branch, &start.onto, start.how);
            (Expected::At(at), both.await?)
        }
        // It has nothing of its own: it begins at another commit, where that is proven.
        Found::Absent => (Expected::Absent, Brought::To(start.onto.clone())),
    };
    let both = match brought {
        Brought::To(commit) => commit,
        Brought::Conflict(files) => return Ok(FollowEnd::Conflict { files, head }),
    };
    if both == head && head == start.head {
        return Ok(FollowEnd::Followed { head });
    }
    if !start.checks.is_empty() {
        let tree = repo.tree_of(&both)?;
        let prepared = pool.prepare_locked(&lock, SlotPlace::Landing, &both).await?;
        let report = run_checks(&prepared.path, &both, &tree).await;
        if report.tree != tree {
            return Err(Error::OtherTree {
                asked: tree,
                answered: report.tree,
            });
        }
        match report.verdict_despite(&start.known_red) {
            ReportVerdict::Green => {}
            ReportVerdict::Red | ReportVerdict::Unknown => {
                return Ok(FollowEnd::NotGreen { report, head });
            }
        }
    }
    match &expected {
        Expected::At(_) if both == head => return Ok(FollowEnd::Followed { head }),
        Expected::At(_) | Expected::Anywhere => {
            if !repo.is_ancestor(&head, &both)? {
                repo.keep("branch", &head).await?;
            }
        }
        // What it begins on is known, so it needs no branch before something has landed.
        Expected::Absent if start.since.is_some() => return Ok(FollowEnd::Followed { head: both }),
        Expected::Absent => {}
    }
    match repo.move_ref(&branch, &both, &expected).await {
        Ok(()) => {}
        Err(git::Error::Raced { found, .. }) => return raced(found, branch, start),
        Err(other) => return Err(other.into()),
    }
    match repo.read_ref(&branch)? {
        Found::At(now) if repo.is_ancestor(&both, &now)? => Ok(FollowEnd::Followed { head: both }),
        found => raced(found, branch, start),
    }
}

/// Another has moved the branch meanwhile. One that is gone has lost what had landed on it.
fn raced(found: Found, branch: TurnoRef, start: &FollowStart) -> Result<FollowEnd, Error> {
    match found {
        Found::At(head) => Ok(FollowEnd::Raced { head }),
        Found::Absent if start.head == start.base => Ok(FollowEnd::Raced {
            head: start.base.clone(),
        }),
        Found::Absent => Err(Error::Gone {
            branch,
            head: start.head.clone(),
        }),
    }
}

/// Whether a watched branch of the user's is where the core does not know it to be; `None` also when that makes no
/// difference: the integration branch has all of it.
pub(crate) fn moved(repo: &Repo, watched: &Watched<'_>) -> Result<Option<Event>, git::Error> {
    let Some(tip) = repo.users_branch(watched.branch)? else {
        return Ok(None);
    };
    if tip == *watched.tip {
        return Ok(None);
    }
    let is_level = matches!(
        watched.issue.following,
        Following::Branch {
            keeping: Keeping::Level,
            ..
        }
    );
    if is_level && repo.is_ancestor(&tip, watched.head)? {
        return Ok(None);
    }
    let issue = watched.issue.id;
    Ok(Some(Event::TargetMoved { issue, tip }))
}
