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
    let head = scene.repo.user_head()?.commit;
    // Refused before anything is moved. The record comes after the move, because only then it is a fact; a crash
    // in between is healed by typing the verb again.
    let asked = Event::Promoted {
        issue: verb.issue,
        onto: String::new(),
        commit: head,
    };
    let state = door.state().await?;
    admit(&state, &asked)?;
    let from = TurnoRef::base(verb.issue);
    let onto = verb.onto.clone().map_or(Onto::Current, Onto::Branch);
    let promoted = scene.repo.promote(&from, &onto).await.map_err(failure)?;
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
