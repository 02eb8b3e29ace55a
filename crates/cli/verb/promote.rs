//! `turno promote ISSUE`: puts what has landed on a branch of the user's. The only verb that moves one.

use std::process::ExitCode;

use turno_core::admit::admit;
use turno_core::event::Event;
use turno_engine::git::{How, Onto, PromoteError, TurnoRef};

use crate::args::Promote;
use crate::door::Door;
use crate::failure::{Failure, Kind};
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Promote) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    let repo = scene.repo_of(&state, verb.issue)?;
    // Refused before anything is moved. The record comes after the move, because only then it is a fact; a crash
    // in between is healed by typing the verb again.
    let asked = Event::Promoted {
        issue: verb.issue,
        onto: String::new(),
        commit: repo.user_head()?.commit,
    };
    admit(&state, &asked)?;
    let from = TurnoRef::base(verb.issue);
    let onto = verb.onto.clone().map_or(Onto::Current, Onto::Branch);
    let promoted = repo.promote(&from, &onto).await.map_err(failure)?;
    door.take(Event::Promoted {
        issue: verb.issue,
        onto: promoted.branch.clone(),
        commit: promoted.commit.clone(),
    })
    .await?;
    let how = match promoted.how {
        How::AlreadyThere => "had it all already",
        How::FastForward => "was brought forward",
        How::Merge => "got a merge commit",
    };
    // What has not landed is over with its issue, so it is named while somebody looks.
    for task in state.pieces_of(verb.issue).filter(|t| !t.is_over()) {
        print::warning(&format!(
            "{} did not land and is left behind: {}; `turno explain {}` tells why",
            task.id,
            print::plain(&task.spec.title, 60),
            task.id
        ));
    }
    print::data(&format!("{} {how}: {}", promoted.branch, promoted.commit.short()));
    Ok(ExitCode::SUCCESS)
}

fn failure(error: PromoteError) -> Failure {
    match error {
        PromoteError::Git(error) => error.into(),
        PromoteError::Detached | PromoteError::NoSuchBranch { .. } | PromoteError::TurnosOwn { .. } => {
            Failure::usage(format!("{error} with `--onto BRANCH`"))
        }
        other => Failure::new(Kind::NeedsPerson, other.to_string()),
    }
}
