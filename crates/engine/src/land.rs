//! Owns landing: a proven change is rebased onto its issue's integration branch, the integrated tree is proven
//! too, and the branch is moved by compare-and-swap. Plain code, no agent. It must not decide whether a change
//! may land, nor what follows when it does not.

use std::collections::BTreeSet;
use std::path::Path;

use turno_core::check::{CheckReport, ReportVerdict};
use turno_core::command::LandStart;
use turno_core::event::LandingEnd;
use turno_core::ids::{CheckName, CommitId, TreeId};
use turno_core::task::Proof;

use crate::git::{self, Expected, Found, Place, Repo, Trailers, TurnoRef, carries, hunks};
use crate::process::End;
use crate::slots::{self, PlaceLock, SlotPlace, SlotPool};

/// What the integrated tree needs before the branch may move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// A pass of the checks, unless it is this tree, which has one.
    PassUnless(TreeId),
    /// Nothing: the project has no checks and the policy lets it go on.
    Nothing,
}

/// What is to be landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The tip of the change.
    pub change: CommitId,
    /// What the change was begun from: its commits are those after this one.
    pub change_base: CommitId,
    /// What the integrated tree needs.
    pub needs: Needs,
    /// Checks whose results do not count: they are red for other reasons.
    pub known_red: BTreeSet<CheckName>,
    /// Where the integration branch begins if it does not exist yet.
    pub base: CommitId,
    /// Where the change came from. The attempt is the writer's: the same change landed again has the same one.
    pub trailers: Trailers,
}

impl From<&LandStart> for Request {
    fn from(start: &LandStart) -> Self {
        let change = &start.approved.proven.change;
        Self {
            change: change.commit.clone(),
            change_base: change.base.clone(),
            needs: match &start.approved.proven.proof {
                Proof::Checked(report) => Needs::PassUnless(report.tree.clone()),
                Proof::NoChecks => Needs::Nothing,
            },
            known_red: start.known_red.clone(),
            base: start.base.clone(),
            trailers: Trailers {
                task: start.task,
                persona: change.writer.persona.clone(),
                attempt: change.writer.attempt,
                cost: start.cost,
            },
        }
    }
}

/// Why a landing came to no end of its own. The integration branch did not move.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The worktree for landings is not as it should be.
    #[error(transparent)]
    Slots(#[from] slots::Error),
    /// The change is not made of commits on top of its base.
    #[error("{} does not descend from {}, so it is not known what to land", change.short(), base.short())]
    NotOnItsBase {
        /// The change.
        change: CommitId,
        /// Its base.
        base: CommitId,
    },
    /// Moving the branch would leave a checkout of it out of step.
    #[error("{branch} is checked out at {checkout}. Check out another branch there, then try again")]
    CheckedOut {
        /// The integration branch.
        branch: TurnoRef,
        /// Where.
        checkout: String,
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

/// What became of the change on top of the integration branch.
enum Rebased {
    /// This commit.
    To(CommitId),
    /// It does not apply.
    Conflict(LandingEnd),
}

/// Lands a change on its issue's integration branch. `run_checks` is asked about the integrated tree, in a
/// worktree that is at it, if that tree has no pass yet.
pub async fn land<F>(pool: &SlotPool, request: &Request, run_checks: F) -> Result<LandingEnd, Error>
where
    F: AsyncFnOnce(&Path, &CommitId, &TreeId) -> CheckReport,
{
    let repo = pool.repo();
    let trailers = &request.trailers;
    let lock = pool.lock(SlotPlace::Landing).await;
    let branch = TurnoRef::base(trailers.task.issue);
    let note = TurnoRef::landing(trailers.task, trailers.attempt);
    let (head, expected) = match repo.read_ref(&branch)? {
        Found::At(head) => (head.clone(), Expected::At(head)),
        Found::Absent => (request.base.clone(), Expected::Absent),
    };
    if let Some(commit) = landed_before(repo, &note, trailers, &expected)? {
        return Ok(LandingEnd::Landed { commit });
    }
    if !repo.is_ancestor(&request.change_base, &request.change)? {
        let (change, base) = (request.change.clone(), request.change_base.clone());
        return Err(Error::NotOnItsBase { change, base });
    }
    if let Some(path) = repo.checkout_of(branch.full()).await? {
        return Err(Error::CheckedOut {
            branch,
            checkout: path.display().to_string(),
        });
    }
    let rebased = match rebase(pool, &lock, request, &head).await? {
        Rebased::To(commit) => commit,
        Rebased::Conflict(end) => return Ok(end),
    };
    let integrated = if rebased == head {
        head.clone()
    } else {
        repo.signed_off(&rebased, trailers).await?
    };
    // Before the branch moves, so that a crash in between can be told from a landing that never was.
    repo.move_ref(&note, &integrated, &Expected::Anywhere).await?;

    let tree = repo.tree_of(&integrated)?;
    let proven = match &request.needs {
        Needs::PassUnless(passed) => *passed == tree,
        Needs::Nothing => true,
    };
    if !proven {
        let path = pool
            .prepare_locked(&lock, SlotPlace::Landing, &integrated)
            .await?
            .path;
        let report = run_checks(&path, &integrated, &tree).await;
        if report.tree != tree {
            return Err(Error::OtherTree {
                asked: tree,
                answered: report.tree,
            });
        }
        match report.verdict_despite(&request.known_red) {
            ReportVerdict::Green => {}
            ReportVerdict::Red | ReportVerdict::Unknown => {
                return Ok(LandingEnd::NotGreen {
                    rebased: integrated,
                    head,
                    report,
                });
            }
        }
    }
    match repo.move_ref(&branch, &integrated, &expected).await {
        Ok(()) => {}
        Err(git::Error::Raced { found, .. }) => return Ok(raced(found, &request.base)),
        Err(other) => return Err(other.into()),
    }
    match repo.read_ref(&branch)? {
        Found::At(now) if repo.is_ancestor(&integrated, &now)? => {
            Ok(LandingEnd::Landed { commit: integrated })
        }
        found => Ok(raced(found, &request.base)),
    }
}

fn raced(found: Found, base: &CommitId) -> LandingEnd {
    match found {
        Found::At(head) => LandingEnd::Raced { head },
        Found::Absent => LandingEnd::Raced { head: base.clone() },
    }
}

/// The commit as which this very change has landed already. Its note alone is no proof: it is written before the
/// branch moves; and a message alone is none either: an agent can write one.
fn landed_before(
    repo: &Repo,
    note: &TurnoRef,
    trailers: &Trailers,
    branch: &Expected,
) -> Result<Option<CommitId>, Error> {
    let (Found::At(noted), Expected::At(head)) = (repo.read_ref(note)?, branch) else {
        return Ok(None);
    };
    let proven = carries(&repo.commit_parts(&noted)?.message, trailers) && repo.is_ancestor(&noted, head)?;
    Ok(proven.then_some(noted))
}

/// The change on top of `head`. The result is `head` itself if everything in the change is there already.
async fn rebase(
    pool: &SlotPool,
    lock: &PlaceLock,
    request: &Request,
    head: &CommitId,
) -> Result<Rebased, Error> {
    let repo = pool.repo();
    if repo.is_ancestor(head, &request.change)? {
        return Ok(Rebased::To(request.change.clone()));
    }
    if repo.is_ancestor(&request.change, head)? {
        return Ok(Rebased::To(head.clone()));
    }
    pool.prepare_locked(lock, SlotPlace::Landing, &request.change)
        .await?;
    let tree = pool.worktree(SlotPlace::Landing)?;
    let git = || repo.git(Place::Own(&tree));
    let call = git().args([
        "rebase",
        "--quiet",
        "--merge",
        "--no-autostash",
        "--no-autosquash",
        "--no-update-refs",
        "--no-rebase-merges",
        "--no-fork-point",
        "--no-gpg-sign",
        "--no-verify",
        "--empty=drop",
        "--no-keep-empty",
        "--reapply-cherry-picks",
        "--onto",
        head.as_str(),
        request.change_base.as_str(),
    ]);
    let finished = call.finish().await?;
    if finished.end == End::Exited(0) {
        let answer = git()
            .args(["rev-parse", "--verify", "HEAD^{commit}"])
            .text()
            .await?;
        let commit = answer.parse().map_err(|_| git::Error::Answer {
            what: "rev-parse".into(),
            answer: answer.clone(),
        })?;
        return Ok(Rebased::To(commit));
    }
    let failure = call.failure(&finished);
    let hunks = hunks(repo, &tree).await?;
    let aborted = git().args(["rebase", "--abort"]).finish().await?;
    if aborted.end != End::Exited(0) {
        tracing::warn!("a rebase could not be broken off; the next use of the place cleans it");
    }
    if hunks.is_empty() {
        return Err(failure.into());
    }
    Ok(Rebased::Conflict(LandingEnd::Conflict {
        hunks,
        head: head.clone(),
    }))
}
