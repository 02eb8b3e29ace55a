//! `turno revert ISSUE`: takes back what a promotion put on a branch, by a commit on top of it.

use std::process::ExitCode;

use turno_core::admit::{Refused, admit};
use turno_core::event::Event;
use turno_core::issue::IssueStage;
use turno_core::promotion::TakeBack;
use turno_engine::crash_point::{self, Deed, Moment};
use turno_engine::git::{Onto, PlannedReversal, Reversal};

use super::promote::{failure, settle};
use crate::args::Revert;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Revert) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    if !verb.dry_run {
        // Before a branch moves: a move that cannot be recorded is not made.
        door.can_record()?;
    }
    let id = verb.issue;
    if !verb.dry_run {
        settle(scene, &mut door, id).await?;
    }
    let state = door.state().await?;
    let repo = scene.repo_of(&state, id)?;
    let asked = Event::Reverted {
        issue: id,
        from: String::new(),
        commit: repo.user_head()?.commit,
    };
    admit(&state, &asked)?;
    let issue = state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
    let IssueStage::Done {
        onto,
        commit,
        back: TakeBack::Possible { before, .. },
        ..
    } = &issue.stage
    else {
        return Err(Refused::NotPromoted(id).into());
    };
    let reversal = Reversal {
        issue: id,
        title: issue.draft.title.clone(),
        from: Onto::Branch(verb.onto.clone().unwrap_or_else(|| onto.clone())),
        before: before.clone(),
        commit: commit.clone(),
    };
    let (branch, commit, how) = match repo.plan_reversal(&reversal).await.map_err(failure)? {
        PlannedReversal::AlreadyGone { branch, tip } => (branch, tip, "has nothing of it any more"),
        PlannedReversal::Ready { target, commit } => {
            if verb.dry_run {
                let files = repo.changed_files(&target.tip, &commit)?;
                print::data(&format!(
                    "{} would get a commit that takes back issue {id}, in {} file(s):",
                    target.branch,
                    files.len()
                ));
                for file in files {
                    print::data(&format!("  {}", print::plain(&file, 4096)));
                }
                return Ok(ExitCode::SUCCESS);
            }
            crash_point::reached(Moment::BeforeCommit, Deed::Revert);
            repo.take_back(id, &target, &commit).await.map_err(failure)?;
            crash_point::reached(Moment::AfterEffect, Deed::Revert);
            (target.branch, commit, "got a commit that takes it back")
        }
    };
    if !verb.dry_run {
        door.take(Event::Reverted {
            issue: id,
            from: branch.clone(),
            commit: commit.clone(),
        })
        .await?;
        crash_point::reached(Moment::AfterCommit, Deed::Revert);
        if branch == *onto {
            print::note(&format!(
                "issue {id} is in review again; `turno promote {id}` puts it back"
            ));
        } else {
            print::note(&format!("issue {id} stays promoted onto {onto}"));
        }
    }
    print::data(&format!("{branch} {how}: {}", commit.short()));
    Ok(ExitCode::SUCCESS)
}
