//! `turno comment`: says something about what was written. What follows is the core's to decide.

use std::process::ExitCode;

use turno_core::State;
use turno_core::event::Event;
use turno_core::ids::CommitId;
use turno_core::outcome::Finding;
use turno_core::remark::{self, comment_phrase, finding, looked_at};

use super::answer::words;
use crate::args::{Comment, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Comment) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let on = match verb.subject {
        Subject::Task(task) => remark::Subject::Task(task),
        Subject::Issue(issue) => remark::Subject::Issue(issue),
    };
    let (file, line) = verb.on.map(|p| (p.file, p.line)).unwrap_or_default();
    let said = finding(&file, line, &words(&verb.text)?);
    let state = say(&mut door, on, said, None).await?;
    print::data(&comment_phrase(&state, on));
    if state.shift().is_none() {
        print::note(&format!("`turno run {}` goes on with it", on.issue()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says something about a subject as it is at a commit, or as it is now; gives the state after it.
pub(super) async fn say(
    door: &mut Door,
    on: remark::Subject,
    finding: Finding,
    commit: Option<CommitId>,
) -> Result<State, Failure> {
    let commit = match commit {
        Some(commit) => Some(commit),
        None => looked_at(&door.state().await?, on),
    };
    let event = Event::Commented { on, finding, commit };
    door.take(event).await?;
    door.state().await
}
