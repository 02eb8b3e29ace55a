//! `turno resume`, and what any coordinator does that finds the shift of one that died: it goes on with it when that is
//! what was asked for, and ends it otherwise. It decides nothing about the attempts themselves.

use std::process::ExitCode;
use std::sync::Arc;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::config::Config;
use turno_core::event::{Event, StopHow};
use turno_core::ids::AgentName;
use turno_core::shift::{Scope, Shift, ShiftEnd, ShiftStage, Winding};
use turno_engine::config::{Confine, Loaded, Overrides};
use turno_engine::recover::{Orphans, recover};
use turno_engine::run::Desk;
use turno_engine::sandbox::Hold;
use turno_engine::site::Site;
use turno_engine::store::Store;

use super::run::{Aim, Wanted, own_program, shift, staffed, take_lock};
use crate::args::Resume;
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::screen::Show;

pub(crate) async fn run(scene: &Scene, verb: &Resume) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    let left = match (state.shift(), &door) {
        (Some(shift), Door::Live(_)) => return Err(Refused::ShiftRuns(shift.id).into()),
        (None, _) => {
            return Err(Failure::usage(
                "no shift was broken off; `turno run ISSUE` starts one",
            ));
        }
        (Some(shift), Door::Own { .. } | Door::Look { .. }) => shift.clone(),
    };
    drop(door);
    let aim = match left.stage {
        // It was ending: what is left of it is its end.
        ShiftStage::Winding(why @ (Winding::Budget | Winding::Stop)) => {
            end(scene).await?;
            print::note(
                "the shift was ending when its coordinator died; it is over now, and its work is kept",
            );
            return Ok(exit::of(match why {
                Winding::Budget => ShiftEnd::Budget,
                Winding::Drain | Winding::Stop => ShiftEnd::Interrupted,
                Winding::TimeUp => ShiftEnd::TimeUp,
            }));
        }
        // What ran may finish, whoever listens.
        ShiftStage::Winding(Winding::Drain | Winding::TimeUp) => Aim::Drain,
        ShiftStage::Running | ShiftStage::Ended { .. } => Aim::Work,
    };
    let confine = if verb.no_sandbox {
        Confine::Never
    } else {
        Confine::Always
    };
    let show = if verb.json { Show::Json } else { Show::people() };
    go_on(scene, &state, &left, aim, confine, show).await
}

/// Waits until what a coordinator that died has left running has come to its own end, and begins nothing more.
pub(crate) async fn drain(scene: &Scene, state: &State, left: &Shift) -> Result<(), Failure> {
    // Nothing is begun, so nothing needs to be confined that is not yet.
    go_on(
        scene,
        state,
        left,
        Aim::Drain,
        Confine::WherePossible,
        Show::people(),
    )
    .await?;
    Ok(())
}

/// Goes on with the shift of a coordinator that died, as its verb had begun it.
async fn go_on(
    scene: &Scene,
    state: &State,
    left: &Shift,
    aim: Aim,
    confine: Confine,
    show: Show,
) -> Result<ExitCode, Failure> {
    let flags = Overrides {
        policy: Some(left.mode.clone()),
        agents: cast_by_flag(state.config.as_deref()),
        confine,
        ..Overrides::default()
    };
    let mut config = staffed(scene, scene.config(&flags)?)?;
    if let Some(before) = &state.config
        && before.policy.name == config.core.policy.name
    {
        // What the flags of its verb had set holds as long as it lasts.
        config.core.policy = before.policy.clone();
        config.core.slots = before.slots;
    }
    let work = Wanted {
        issues: left.issues.iter().copied().collect(),
        scope: left.scope,
        aim,
    };
    shift(scene, config, work, show).await
}

/// Who played every persona, when they are all played by the same: a flag of the verb may have said so.
fn cast_by_flag(before: Option<&Config>) -> Vec<AgentName> {
    let mut lists = before.into_iter().flat_map(|c| &c.personas).map(|p| &p.agents);
    let first = lists.next();
    match first {
        Some(first) if lists.all(|other| other == first) => first.clone(),
        Some(_) | None => Vec::new(),
    }
}

/// Whether what is asked for is to go on with the shift that was broken off.
pub(crate) fn goes_on(state: &State, config: &Config, work: &Wanted) -> bool {
    let Some(left) = state.shift() else { return false };
    left.mode == config.policy.name
        && same_scope(left, work.scope)
        && work.issues.iter().all(|issue| left.issues.contains(issue))
        && match left.stage {
            ShiftStage::Running => true,
            // It was ending: whoever asks for work now wants more than that.
            ShiftStage::Winding(Winding::Drain | Winding::TimeUp) => work.aim == Aim::Drain,
            ShiftStage::Winding(Winding::Stop | Winding::Budget) | ShiftStage::Ended { .. } => false,
        }
}

/// Whether it works on the same: how much and how long is said by the shift that was begun.
fn same_scope(left: &Shift, asked: Scope) -> bool {
    match (left.scope, asked) {
        (Scope::Listed, Scope::Listed) | (Scope::Backlog { .. }, Scope::Backlog { .. }) => true,
        (Scope::Listed, Scope::Backlog { .. }) | (Scope::Backlog { .. }, Scope::Listed) => false,
    }
}

/// What has become of the attempts of a shift that goes on, and what is configured now.
pub(crate) async fn facts(desk: &Desk, site: &Site, config: &Loaded, aim: Aim, show: Show) -> Vec<Event> {
    let found = recover(site, &desk.state, Orphans::Adopted).await;
    if show != Show::Json {
        let worked_on = match &found {
            Some(Event::Restarted { adopted, .. }) => adopted.len(),
            Some(_) | None => 0,
        };
        print::note(&format!(
            "an earlier coordinator died during this shift; {}, and {worked_on} agent(s) have worked on",
            match aim {
                Aim::Work => "it goes on",
                Aim::Drain => "nothing new is started, what runs may finish",
            }
        ));
        if let Some(left) = desk
            .state
            .shift()
            .filter(|left| left.budget != config.budget.shift)
        {
            print::note(&format!(
                "its budget stays {}, as it was begun; `turno budget set shift --usd` gives it another one",
                left.budget
            ));
        }
    }
    let changed = desk.state.config.as_deref() != Some(&config.core);
    let configured = changed.then(|| Event::ConfigLoaded {
        config: Box::new(config.core.clone()),
    });
    let found = found.unwrap_or_else(|| Event::Restarted {
        lost: Vec::new(),
        adopted: std::collections::BTreeSet::new(),
    });
    // First the stop, so that the loss of an attempt starts no new one.
    let stop = match aim {
        Aim::Work => None,
        Aim::Drain => Some(Event::StopAsked { how: StopHow::Drain }),
    };
    // What is begun next is begun by what is configured now.
    stop.into_iter().chain(configured).chain([found]).collect()
}

/// Ends the shift of a coordinator that died, with nothing new begun.
pub(crate) async fn end(scene: &Scene) -> Result<(), Failure> {
    let config = scene.config(&Overrides::default())?;
    let repos = scene.repos(&config)?;
    let lock = take_lock(scene).await?;
    let (store, state) = Store::open(&scene.dirs.store())?;
    let mut desk = Desk::new(store, state);
    let site = Site::new(
        &repos,
        scene.dirs.clone(),
        own_program()?,
        Arc::new(config),
        scene.env.clone(),
        // No program is started.
        Hold::Off,
    )?;
    clear_up(&mut desk, &site).await?;
    drop(lock);
    Ok(())
}

/// Ends what a coordinator that died has left: its shift is over, what ran is stopped, its work is kept.
pub(crate) async fn clear_up(desk: &mut Desk, site: &Site) -> Result<(), Failure> {
    if desk.state.shift().is_none() {
        return Ok(());
    }
    print::warning(
        "an earlier coordinator died during its shift; what it left running is ended and its work kept",
    );
    // First the stop, so that the loss of the attempts starts no new ones: nobody is here to run them.
    desk.take(Event::StopAsked { how: StopHow::Now })?;
    if let Some(event) = recover(site, &desk.state, Orphans::Ended).await {
        desk.take(event)?;
    }
    Ok(())
}
