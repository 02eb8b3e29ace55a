//! Owns landing: proven changes are rebased onto their issue's integration branch, one on top of the other, the
//! integrated tree is proven too, and the branch is moved by compare-and-swap. Plain code, no agent. It must not decide whether a change
//! may land, nor what follows when it does not.

use std::collections::BTreeSet;
use std::path::Path;

use turno_core::check::{CheckReport, ReportVerdict};
use turno_core::command::LandStart;
use turno_core::event::{LandingEnd, OthersEnd, Refused, TogetherEnd};
use turno_core::ids::{CheckName, CommitId, TaskId, TreeId};
use turno_core::task::{Approved, ConflictHunk, Proof};
use turno_core::train::{Red, Stands};
use turno_core::units::MicroUsd;

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

impl Request {
    /// What a command asks to be landed: the first change, and those on top of it.
    pub fn of(start: &LandStart) -> (Self, Vec<Self>) {
        let request = |task: TaskId, approved: &Approved, cost: MicroUsd| {
            let change = &approved.proven.change;
            Self {
                change: change.commit.clone(),
                change_base: change.base.clone(),
                needs: match &approved.proven.proof {
                    Proof::Checked(report) => Needs::PassUnless(report.tree.clone()),
                    Proof::NoChecks => Needs::Nothing,
                },
                known_red: start.known_red.clone(),
                base: start.base.clone(),
                trailers: Trailers {
                    task,
                    persona: change.writer.persona.clone(),
                    attempt: change.writer.attempt,
                    cost,
                },
            }
        };
        let first = request(start.task, &start.approved, start.cost);
        let with = start.with.iter();
        let others = with.map(|p| request(p.task, &p.approved, p.cost)).collect();
        (first, others)
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
    /// It does not apply, in these places.
    Conflict(Vec<ConflictHunk>),
}

/// Lands a change on its issue's integration branch. `run_checks` is asked about the integrated tree, in a
/// worktree that is at it, if that tree has no pass yet.
pub async fn land<F>(pool: &SlotPool, request: &Request, run_checks: F) -> Result<LandingEnd, Error>
where
    F: AsyncFnOnce(&Path, &CommitId, &TreeId) -> CheckReport,
{
    let end = land_together(pool, request, &[], run_checks).await?;
    let head = end.head;
    Ok(match end.others {
        OthersEnd::None => LandingEnd::Conflict {
            hunks: end.refused.into_iter().flat_map(|r| r.hunks).collect(),
            head,
        },
        OthersEnd::Landed { members, head } => LandingEnd::Landed {
            commit: members.into_iter().next().map_or(head, |m| m.commit),
        },
        OthersEnd::NotGreen { red } => LandingEnd::NotGreen {
            rebased: red.report.commit.clone(),
            head,
            report: red.report,
        },
        OthersEnd::Raced { head } => LandingEnd::Raced { head },
    })
}

/// Lands changes of one issue together: each on top of the one before it, then proven as a whole, then the branch is
/// moved once. One that does not apply to those before it is left out. `run_checks` is asked about the integrated tree,
/// in a worktree that is at it, if that tree has no pass yet.
pub async fn land_together<F>(
    pool: &SlotPool,
    first: &Request,
    others: &[Request],
    run_checks: F,
) -> Result<TogetherEnd, Error>
where
    F: AsyncFnOnce(&Path, &CommitId, &TreeId) -> CheckReport,
{
    let repo = pool.repo();
    let lock = pool.lock(SlotPlace::Landing).await;
    let branch = TurnoRef::base(first.trailers.task.issue);
    let (head, expected) = match repo.read_ref(&branch)? {
        Found::At(head) => (head.clone(), Expected::At(head)),
        Found::Absent => (first.base.clone(), Expected::Absent),
    };
    let mut tower = Tower {
        tip: head.clone(),
        members: Vec::new(),
        refused: Vec::new(),
        new: Vec::new(),
    };
    for request in std::iter::once(first).chain(others) {
        add(pool, &lock, request, &expected, &mut tower).await?;
    }
    let end = |refused, others| TogetherEnd {
        refused,
        head: head.clone(),
        others,
    };
    let Tower {
        tip,
        members,
        refused,
        new,
    } = tower;
    if members.is_empty() {
        return Ok(end(refused, OthersEnd::None));
    }
    if new.is_empty() {
        let head = head.clone();
        return Ok(end(refused, OthersEnd::Landed { members, head }));
    }
    let tree = repo.tree_of(&tip)?;
    let passed = |r: &&Request| matches!(&r.needs, Needs::PassUnless(passed) if *passed == tree);
    let proven = new.iter().any(passed) || new.iter().all(|r| r.needs == Needs::Nothing);
    if !proven {
        let prepared = pool.prepare_locked(&lock, SlotPlace::Landing, &tip).await?;
        let report = run_checks(&prepared.path, &tip, &tree).await;
        if report.tree != tree {
            return Err(Error::OtherTree {
                asked: tree,
                answered: report.tree,
            });
        }
        match report.verdict_despite(&first.known_red) {
            ReportVerdict::Green => {}
            ReportVerdict::Red | ReportVerdict::Unknown => {
                let red = Red { members, report };
                return Ok(end(refused, OthersEnd::NotGreen { red }));
            }
        }
    }
    let raced = |found| OthersEnd::Raced {
        head: at(found, &first.base),
    };
    match repo.move_ref(&branch, &tip, &expected).await {
        Ok(()) => {}
        Err(git::Error::Raced { found, .. }) => return Ok(end(refused, raced(found))),
        Err(other) => return Err(other.into()),
    }
    match repo.read_ref(&branch)? {
        Found::At(now) if repo.is_ancestor(&tip, &now)? => {
            Ok(end(refused, OthersEnd::Landed { members, head: tip }))
        }
        found => Ok(end(refused, raced(found))),
    }
}

/// Changes on top of each other, on top of the integration branch.
struct Tower<'a> {
    tip: CommitId,
    members: Vec<Stands>,
    refused: Vec<Refused>,
    /// Those that are not on the branch already.
    new: Vec<&'a Request>,
}

/// Puts one more change on top.
async fn add<'a>(
    pool: &SlotPool,
    lock: &PlaceLock,
    request: &'a Request,
    branch: &Expected,
    tower: &mut Tower<'a>,
) -> Result<(), Error> {
    let repo = pool.repo();
    let trailers = &request.trailers;
    let task = trailers.task;
    let note = TurnoRef::landing(task, trailers.attempt);
    if let Some(commit) = landed_before(repo, &note, trailers, branch)? {
        let onto = tower.tip.clone();
        tower.members.push(Stands { task, commit, onto });
        return Ok(());
    }
    if !repo.is_ancestor(&request.change_base, &request.change)? {
        let (change, base) = (request.change.clone(), request.change_base.clone());
        return Err(Error::NotOnItsBase { change, base });
    }
    let base = TurnoRef::base(task.issue);
    if let Some(path) = repo.checkout_of(base.full()).await? {
        return Err(Error::CheckedOut {
            branch: base,
            checkout: path.display().to_string(),
        });
    }
    let rebased = match rebase(pool, lock, request, &tower.tip).await? {
        Rebased::To(commit) => commit,
        Rebased::Conflict(hunks) => {
            tower.refused.push(Refused { task, hunks });
            return Ok(());
        }
    };
    let integrated = if rebased == tower.tip {
        rebased
    } else {
        repo.signed_off(&rebased, trailers).await?
    };
    // Before the branch moves, so that a crash in between can be told from a landing that never was.
    repo.move_ref(&note, &integrated, &Expected::Anywhere).await?;
    let onto = std::mem::replace(&mut tower.tip, integrated.clone());
    tower.members.push(Stands {
        task,
        commit: integrated,
        onto,
    });
    tower.new.push(request);
    Ok(())
}

fn at(found: Found, base: &CommitId) -> CommitId {
    match found {
        Found::At(head) => head,
        Found::Absent => base.clone(),
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
    Ok(Rebased::Conflict(hunks))
}
