//! `turno promote ISSUE`: puts what has landed on a branch of the user's. With `turno revert` the only verb that moves
//! one.

use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::{Refused, admit};
use turno_core::event::Event;
use turno_core::ids::{CommitId, IssueId, TaskId};
use turno_core::promotion::{Assurance, Begun, Manner, Put, assurance};
use turno_core::task::Stage;
use turno_engine::config::Overrides;
use turno_engine::crash_point::{self, Deed, Moment};
use turno_engine::git::{Onto, Planned, PromoteError, Promotion, Ready};

use crate::args::Promote;
use crate::door::Door;
use crate::failure::{Failure, Kind};
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Promote) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let (came, left) = promote(scene, &mut door, verb).await?;
    match came {
        Came::Earlier(begun) => print::data(&said(&begun)),
        Came::Planned(plan) => {
            tell(&plan.ready, verb.issue, plan.assurance);
            left_behind(&left);
        }
        Came::WasThere { branch, commit } => {
            if !verb.dry_run {
                left_behind(&left);
            }
            print::data(&format!("{branch} had it all already: {}", commit.short()));
        }
        Came::Put {
            branch,
            commit,
            manner,
        } => {
            let how = match manner {
                Manner::Squash => "got one commit",
                Manner::Merge => "got a merge commit",
                Manner::Rebase => "was brought forward commit by commit",
            };
            left_behind(&left);
            print::data(&format!("{branch} {how}: {}", commit.short()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What came of a wish to promote.
pub(super) enum Came {
    /// Somebody did it before and did not live to say so; it is recorded now.
    Earlier(Begun),
    /// Nothing yet: this would be done.
    Planned(Box<Plan>),
    /// The branch had it all.
    WasThere { branch: String, commit: CommitId },
    /// The branch has it now.
    Put {
        branch: String,
        commit: CommitId,
        manner: Manner,
    },
}

/// What a promotion would do.
pub(super) struct Plan {
    pub(super) ready: Ready,
    pub(super) assurance: Assurance,
}

/// A task that did not land, and what it is called.
pub(super) struct Left {
    pub(super) task: TaskId,
    pub(super) title: String,
}

/// Promotes, or tells what that would do, and what is left behind by it.
pub(super) async fn promote(
    scene: &Scene,
    door: &mut Door,
    verb: &Promote,
) -> Result<(Came, Vec<Left>), Failure> {
    if !verb.dry_run {
        // Before a branch moves: a move that cannot be recorded is not made.
        door.can_record()?;
    }
    if !verb.dry_run
        && let Some(done) = settle(scene, door, verb.issue).await?
        && is_meant(verb, &done)
    {
        return Ok((Came::Earlier(done), Vec::new()));
    }
    let state = door.state().await?;
    let repo = scene.repo_of(&state, verb.issue)?;
    // Refused before anything is made.
    let asked = Event::Promoted {
        issue: verb.issue,
        onto: String::new(),
        commit: repo.user_head()?.commit,
        put: Put::Nothing,
    };
    admit(&state, &asked)?;
    let manner = match verb.manner.chosen() {
        Some(manner) => manner,
        None => scene.config(&Overrides::default())?.promote,
    };
    let promotion = promotion(&state, verb, manner)?;
    let left = left(&state, verb.issue);
    let (came, put) = match repo.plan_promotion(&promotion).await.map_err(failure)? {
        Planned::AlreadyThere { branch, tip } => {
            let came = Came::WasThere { branch, commit: tip };
            (came, Put::Nothing)
        }
        Planned::Ready(ready) => {
            let assurance = assurance(&state, verb.issue, ready.sameness);
            if verb.dry_run {
                return Ok((Came::Planned(Box::new(Plan { ready, assurance })), left));
            }
            if let (Assurance::Unproven { behind }, false) = (assurance, verb.unproven) {
                return Err(Failure::new(
                    Kind::NeedsPerson,
                    unproven(&ready, verb.issue, behind),
                ));
            }
            let put = Put::Commits {
                manner,
                before: ready.target.tip.clone(),
                fork: ready.fork.clone(),
                assurance,
            };
            // By this the next one who looks knows what was put there, should this one not live to say so.
            let begun = Begun {
                onto: ready.target.branch.clone(),
                commit: ready.commit.clone(),
                put: put.clone(),
            };
            let issue = verb.issue;
            door.take(Event::PromotionBegun { issue, begun }).await?;
            repo.carry_out(&ready).await.map_err(failure)?;
            crash_point::reached(Moment::AfterEffect, Deed::Promote);
            let came = Came::Put {
                branch: ready.target.branch,
                commit: ready.commit,
                manner,
            };
            (came, put)
        }
    };
    let (Came::WasThere { branch, commit } | Came::Put { branch, commit, .. }) = &came else {
        return Ok((came, left));
    };
    if !verb.dry_run {
        door.take(Event::Promoted {
            issue: verb.issue,
            onto: branch.clone(),
            commit: commit.clone(),
            put,
        })
        .await?;
    }
    Ok((came, left))
}

/// Records a promotion that was begun and done by one that did not live to say so. Gives it, if there is one.
pub(crate) async fn settle(scene: &Scene, door: &mut Door, issue: IssueId) -> Result<Option<Begun>, Failure> {
    let state = door.state().await?;
    let Some(begun) = state.issues.get(&issue).and_then(|i| i.promotion.clone()) else {
        return Ok(None);
    };
    let done = Event::Promoted {
        issue,
        onto: begun.onto.clone(),
        commit: begun.commit.clone(),
        put: begun.put.clone(),
    };
    let repo = scene.repo_of(&state, issue)?;
    if admit(&state, &done).is_err() || !repo.is_on(&begun.commit, &begun.onto)? {
        return Ok(None);
    }
    door.note(done).await?;
    Ok(Some(begun))
}

/// What a person is told of such a promotion.
pub(crate) fn said(begun: &Begun) -> String {
    let (onto, commit) = (&begun.onto, begun.commit.short());
    format!("{onto} got it already, from a turno that died before it could say so: {commit}")
}

/// Whether what was done is what is asked for.
fn is_meant(verb: &Promote, done: &Begun) -> bool {
    verb.onto.as_ref().is_none_or(|onto| *onto == done.onto)
}

fn promotion(state: &State, verb: &Promote, manner: Manner) -> Result<Promotion, Failure> {
    let issue = state
        .issues
        .get(&verb.issue)
        .ok_or(Refused::NoSuchIssue(verb.issue))?;
    let landed = state.tasks_of(verb.issue).filter_map(|task| {
        let Stage::Landed { handoff, .. } = &task.stage else {
            return None;
        };
        let said = handoff.summary.lines().next().unwrap_or_default().trim();
        Some(match said {
            "" => task.spec.title.clone(),
            said => format!("{}: {}", task.spec.title, print::plain(said, 200)),
        })
    });
    Ok(Promotion {
        issue: verb.issue,
        onto: verb.onto.clone().map_or(Onto::Current, Onto::Branch),
        manner,
        fork: issue.fork.clone(),
        title: issue.draft.title.clone(),
        landed: landed.collect(),
        cost: state.cost_of(verb.issue),
    })
}

/// What a promotion would do.
fn tell(ready: &Ready, issue: IssueId, assurance: Assurance) {
    print::data(&format!(
        "{} would get {} new commit(s) on top of {}:",
        ready.target.branch,
        ready.commits.len(),
        ready.target.tip.short()
    ));
    for commit in &ready.commits {
        print::data(&format!(
            "  {} ({})",
            print::plain(&commit.subject, 100),
            print::plain(&commit.author, 40)
        ));
    }
    if let Assurance::Unproven { behind } = assurance {
        print::warning(&unproven(ready, issue, behind));
    }
}

fn unproven(ready: &Ready, issue: IssueId, behind: u32) -> String {
    format!(
        "{branch} has {behind} commit(s) that turno/{issue}/base has not, so the checks never saw the two together. \
         `turno promote {issue} --onto {branch} --unproven` promotes it all the same",
        branch = ready.target.branch
    )
}

/// What has not landed: it is over with its issue.
fn left(state: &State, issue: IssueId) -> Vec<Left> {
    let not_over = state.pieces_of(issue).filter(|t| !t.is_over());
    not_over
        .map(|task| Left {
            task: task.id,
            title: task.spec.title.clone(),
        })
        .collect()
}

/// Names it while somebody looks.
fn left_behind(left: &[Left]) {
    for Left { task, title } in left {
        print::warning(&format!(
            "{task} did not land and is left behind: {}; `turno explain {task}` tells why",
            print::plain(title, 60),
        ));
    }
}

/// A branch that was not moved, in the user's words.
pub(super) fn failure(error: PromoteError) -> Failure {
    match error {
        PromoteError::Git(error) => error.into(),
        PromoteError::Detached | PromoteError::NoSuchBranch { .. } | PromoteError::TurnosOwn { .. } => {
            Failure::usage(format!("{error} with `--onto BRANCH`"))
        }
        other => Failure::new(Kind::NeedsPerson, other.to_string()),
    }
}
