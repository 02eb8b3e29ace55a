//! `turno discard`: gives up an issue or a task. Nothing is lost: its commits stay on their branches.

use std::process::ExitCode;

use turno_core::admit::{Refused, admit};
use turno_core::event::{Discard as What, Event};
use turno_core::issue::IssueStage;

use crate::args::{Discard, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Discard) -> Result<ExitCode, Failure> {
    let named = give_up(scene, Door::open(scene).await?, verb.subject).await?;
    print::data(&format!("{named} is given up"));
    Ok(ExitCode::SUCCESS)
}

/// Gives something up; gives its name.
pub(super) async fn give_up(scene: &Scene, mut door: Door, subject: Subject) -> Result<String, Failure> {
    let state = door.state().await?;
    let (what, named) = match subject {
        Subject::Issue(id) => (What::Issue(id), format!("issue {id}")),
        Subject::Task(id) => (What::Task(id), format!("task {id}")),
    };
    // Found before anything is given up, so that its branches do not stay for want of a repository.
    let with_branches = match subject {
        Subject::Issue(issue) => Some((issue, scene.repo_of(&state, issue)?)),
        Subject::Task(_) => None,
    };
    let event = Event::Discarded { what };
    // One that died when the issue was given up and its branches were not yet is gone on with.
    let goes_on = match (admit(&state, &event), &door, &with_branches) {
        (Err(Refused::IssueIsOver(id, _)), Door::Own { .. }, Some((issue, repo))) => {
            let closed = matches!(
                state.issues.get(&id).map(|i| &i.stage),
                Some(IssueStage::Closed { .. })
            );
            closed && !repo.branches_of(*issue)?.is_empty()
        }
        (_, _, _) => false,
    };
    if !goes_on {
        door.take(event).await?;
    }
    match door {
        Door::Own { .. } => {
            // An agent that outlived its coordinator still works on it: its branches go when it has been heard.
            let works = state
                .running()
                .any(|t| Some(t.id.issue) == with_branches.as_ref().map(|(i, _)| *i));
            if works {
                print::note(
                    "agents still work on it; `turno resume` hears them out, then `turno discard` again removes its branches",
                );
            } else if let Some((issue, repo)) = with_branches {
                for kept in repo.retire(issue).await? {
                    print::note(&format!("kept {kept}"));
                }
            }
        }
        Door::Look { .. } => {}
        Door::Live(_) => print::note("what ran for it is being stopped; its branches stay as they are"),
    }
    Ok(named)
}
