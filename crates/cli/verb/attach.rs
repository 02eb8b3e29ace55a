//! `turno attach TASK`: a person works on a task at its agent's own terminal, while nothing is started for it. What they
//! leave in the slot is its new candidate.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use turno_core::State;
use turno_core::admit::{Refused, admit};
use turno_core::command::AgentStart;
use turno_core::event::Event;
use turno_core::holding::{Brought, Leaving};
use turno_core::ids::{AgentName, TaskId};
use turno_core::step::visit_start;
use turno_engine::attach::{Gone, Seat, Unopened, attach, found_gone};
use turno_engine::config::{Confine, Overrides};
use turno_engine::site::Site;
use turno_engine::wallet::Wallet;

use super::run::{hold, own_program};
use crate::args::Attach;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

/// How long what runs for the task may take to be stopped. A check may need a while, and an agent its grace.
const STOPPED_WITHIN: Duration = Duration::from_secs(180);
/// How often it is looked whether it is.
const LOOK: Duration = Duration::from_millis(150);

pub(crate) async fn run(scene: &Scene, verb: &Attach) -> Result<ExitCode, Failure> {
    let id = verb.task;
    if verb.release {
        Door::open(scene)
            .await?
            .take(Event::TaskReleased { task: id })
            .await?;
        print::data(&format!("task {id} is given back; it goes on from where it is"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut door = Door::open(scene).await?;
    door.can_record()?;
    let state = door.state().await?;
    if !state.tasks.contains_key(&id) {
        return Err(Refused::NoSuchTask(id).into());
    }
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(Failure::usage(
            "attach opens an agent on your terminal, and this is none; type it in one",
        ));
    }
    let Some(seat) = Seat::take(&scene.dirs, id)
        .map_err(|e| Failure::cannot_start(format!("{}: {e}", scene.dirs.attached(id).display())))?
    else {
        return Err(Refused::AlreadyAttached(id).into());
    };
    let state = after_the_last(scene, &mut door, state, id).await?;
    let taken = Event::TaskTaken { task: id };
    admit(&state, &taken)?;
    stop_what_runs(&state, &door, verb)?;
    door.take(taken).await?;
    let start = ready(&mut door, id).await;
    // Nobody waits for the lock while a person works.
    drop(door);
    let came = match start {
        Ok(start) => visit(scene, start, verb).await,
        Err(failure) => Err(failure),
    };
    let event = match came {
        Ok(event) => event,
        Err(Left::Before(failure)) => {
            give_back_untouched(scene, id).await?;
            return Err(failure);
        }
        // It is cleared up by whoever comes next: what is in the slot is kept.
        Err(Left::InTheSlot(failure)) => return Err(failure),
    };
    let said = said(&event);
    let door = give_back(scene, id, event).await?;
    drop(seat);
    print::data(&format!("task {id}: {said}"));
    if let Door::Own { .. } = door
        && !verb.park
    {
        print::note(&format!(
            "no shift is running; `turno run {}` goes on with it",
            id.issue
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a visit that failed has left the work.
enum Left {
    /// Nothing was begun.
    Before(Failure),
    /// In the slot, as it is.
    InTheSlot(Failure),
}

impl From<Failure> for Left {
    fn from(failure: Failure) -> Self {
        Self::Before(failure)
    }
}

fn from_engine(failure: turno_core::failure::Failure) -> Failure {
    Failure::cannot_start(failure.detail)
}

/// What somebody has left who was attached before and is gone without a word is cleared up first.
async fn after_the_last(scene: &Scene, door: &mut Door, state: State, id: TaskId) -> Result<State, Failure> {
    let Some(visit) = state.tasks.get(&id).and_then(|t| t.hold.visit()).cloned() else {
        return Ok(state);
    };
    let site = site(scene, Confine::WherePossible, None).await?;
    print::note("somebody was attached to it and is gone; what they left is kept first");
    let event = found_gone(&site, id, &visit).await;
    door.take(event).await?;
    door.state().await
}

/// What runs for the task is stopped only when the person says so.
fn stop_what_runs(state: &State, door: &Door, verb: &Attach) -> Result<(), Failure> {
    let Some(run) = state.tasks.get(&verb.task).and_then(|t| t.run()) else {
        return Ok(());
    };
    if let Door::Own { .. } = door {
        return Err(Failure::usage(format!(
            "{} ran for task {} when its coordinator died; `turno resume` goes on with that shift, then attach beside it",
            run.attempt, verb.task
        )));
    }
    if verb.now {
        return Ok(());
    }
    print::note(&format!(
        "{} runs for task {}. Stop it and keep its work? [y/N]",
        run.attempt, verb.task
    ));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match (read, line.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        (Ok(_) | Err(_), _) => Err(Failure::usage("nothing was done; --now stops it without asking")),
    }
}

/// Waits until what ran is over.
async fn ready(door: &mut Door, id: TaskId) -> Result<AgentStart, Left> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let state = door.state().await?;
        if let Some(start) = visit_start(&state, id) {
            return Ok(start);
        }
        let task = state.tasks.get(&id);
        match task.and_then(|t| t.run()) {
            Some(run) if !told => {
                told = true;
                print::note(&format!("{} is being stopped", run.attempt));
            }
            Some(_) => {}
            None => {
                return Err(Left::Before(Failure::usage(format!(
                    "task {id} is over by now, or its issue has no branch; `turno explain {id}` tells more"
                ))));
            }
        }
        if begun.elapsed() > STOPPED_WITHIN {
            return Err(Left::Before(Failure::cannot_start(format!(
                "what runs for task {id} has not come to its end; try again"
            ))));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The person's visit, from the slot that is made ready to what they leave in it.
async fn visit(scene: &Scene, start: AgentStart, verb: &Attach) -> Result<Event, Left> {
    let confine = if verb.no_sandbox {
        Confine::Never
    } else {
        Confine::Always
    };
    let site = site(scene, confine, Some(&start.agent)).await?;
    let attached = attach(&site, start).await.map_err(from_engine)?;
    print::note(&attached.words());
    print::note("leave the agent to give the task back; what it costs is not metered by turno");
    let gone = attached.open().await.map_err(|unopened| match unopened {
        Unopened::NotStarted(failure) => Left::Before(from_engine(failure)),
        Unopened::Lost(failure) => Left::InTheSlot(from_engine(failure)),
    })?;
    let leaving = match gone {
        Gone::Ended if verb.park => Leaving::Kept,
        Gone::Ended => Leaving::GoesOn,
        // Nobody has said that this is what they wanted to leave.
        Gone::AtLimit(why) => {
            print::warning(&format!(
                "the agent was ended: {why} (`[limits]`). What is in the slot is kept, and aside until you say that it \
                 goes on: turno attach {} --release",
                verb.task
            ));
            Leaving::Kept
        }
    };
    let left = attached.leave(leaving).await;
    let (event, notes) = left.map_err(|f| Left::InTheSlot(from_engine(f)))?;
    for note in notes {
        print::warning(&print::plain(&note, 400));
    }
    Ok(event)
}

/// What a visit needs of this machine. It is a site of its own: a coordinator beside it has another.
pub(super) async fn site(
    scene: &Scene,
    confine: Confine,
    agent: Option<&AgentName>,
) -> Result<Site, Failure> {
    let flags = Overrides {
        confine,
        ..Overrides::default()
    };
    let config = scene.config(&flags)?;
    let repos = scene.repos(&config)?;
    let turno = own_program()?;
    let hold = hold(scene, &turno, config.sandbox.confine).await?;
    let setups = agent.and_then(|name| config.agents.get(name));
    let (wallet, open) = Wallet::open(setups, &scene.env, scene.repo.root()).await?;
    for file in open {
        print::warning(&file.to_string());
    }
    let wallet = wallet.keeping(config.sandbox.secrets());
    let site = Site::new(
        &repos,
        scene.dirs.clone(),
        turno,
        Arc::new(config),
        scene.env.clone(),
        hold,
    )?;
    Ok(site.with_wallet(wallet))
}

/// Hands in what the person brings. A coordinator that dies while it is told has either heard it, or whoever has the
/// store now is told again.
async fn give_back(scene: &Scene, id: TaskId, event: Event) -> Result<Door, Failure> {
    let mut door = Door::open(scene).await?;
    let before = match (door.take(event.clone()).await, &door) {
        (Ok(()), _) => return Ok(door),
        (Err(failure), Door::Live(_)) => failure,
        (Err(failure), Door::Own { .. } | Door::Look { .. }) => return Err(failure),
    };
    drop(door);
    let (mut door, state) = Door::look_in(scene).await?;
    let is_there = |attempt| {
        let visit = state.tasks.get(&id).and_then(|t| t.hold.visit());
        visit.is_some_and(|v| v.attempt == attempt)
    };
    match &event {
        Event::TaskGivenBack { attempt, .. } if is_there(*attempt) => {
            tracing::debug!(%before, "told again");
            door.take(event).await?;
            Ok(door)
        }
        _ => Ok(door),
    }
}

/// Gives back what was never worked on.
async fn give_back_untouched(scene: &Scene, id: TaskId) -> Result<(), Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    let Some(visit) = state.tasks.get(&id).and_then(|t| t.hold.visit()) else {
        return Ok(());
    };
    let back = Event::TaskGivenBack {
        task: id,
        attempt: visit.attempt,
        brought: Brought::Nothing,
        leaving: Leaving::GoesOn,
    };
    door.take(back).await
}

fn said(event: &Event) -> String {
    let Event::TaskGivenBack { brought, leaving, .. } = event else {
        return String::new();
    };
    let what = match brought {
        Brought::Nothing => "nothing is changed".to_owned(),
        Brought::Change(change) => format!("its candidate is {}", change.commit.short()),
    };
    let then = match leaving {
        Leaving::GoesOn | Leaving::Lost => "it goes on with that",
        Leaving::Kept => "it is kept aside; --release gives it back",
    };
    format!("{what}; {then}")
}
