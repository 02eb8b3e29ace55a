//! `turno tell`: says something to a running agent. Where it cannot hear that, its next turn is given the words.

use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::{Refused, admit};
use turno_core::event::Event;
use turno_core::ids::{AttemptId, TaskId};
use turno_core::remark::{Subject, comment_phrase, finding, told_phrase};

use super::answer::words;
use super::comment;
use crate::args::{LogSubject, Tell};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Tell) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let words = words(&verb.text)?;
    let said = match verb.to {
        LogSubject::Attempt(attempt) => {
            let state = tell(&mut door, attempt, words).await?;
            told_phrase(&state, attempt)
        }
        LogSubject::Task(task) => to_task(&mut door, task, words).await?,
    };
    print::data(&said);
    Ok(ExitCode::SUCCESS)
}

/// Says something to an attempt; gives the state after it.
pub(super) async fn tell(door: &mut Door, attempt: AttemptId, words: String) -> Result<State, Failure> {
    door.take(Event::Told { attempt, words }).await?;
    door.state().await
}

/// Says something to whoever runs for a task; where nobody does, it is a comment on it.
async fn to_task(door: &mut Door, id: TaskId, words: String) -> Result<String, Failure> {
    let state = door.state().await?;
    let task = state.tasks.get(&id).ok_or(Refused::NoSuchTask(id))?;
    if let Some(run) = task.agent_run() {
        let attempt = run.run.attempt;
        let event = Event::Told {
            attempt,
            words: words.clone(),
        };
        if admit(&state, &event).is_ok() {
            let state = tell(door, attempt, words).await?;
            return Ok(told_phrase(&state, attempt));
        }
    }
    let on = Subject::Task(id);
    let state = comment::say(door, on, finding("", 0, &words), None).await?;
    Ok(format!(
        "no agent that can be spoken to runs for task {id} now: {}",
        comment_phrase(&state, on)
    ))
}
