//! `turno run ISSUE...`: becomes the coordinator, runs a shift to its end, reports.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use turno_agents::script::ScriptFile;
use turno_core::admit::admit;
use turno_core::event::{Event, StopHow};
use turno_core::ids::IssueId;
use turno_core::shift::IssueAtStart;
use turno_engine::config::{AgentDialect, Loaded, Overrides};
use turno_engine::git::{Checkout, HeadAt};
use turno_engine::recover::recover;
use turno_engine::run::{Desk, Engine, Handle};
use turno_engine::runner::local::Local;
use turno_engine::site::Site;
use turno_engine::socket::{Client, Server};
use turno_engine::store::Store;
use turno_engine::workspace::{Error as WorkspaceError, Lock};

use super::report;
use crate::args::Run;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::screen::{self, Show};

pub(crate) async fn run(scene: &Scene, verb: Run) -> Result<ExitCode, Failure> {
    let flags = Overrides {
        slots: verb.slots,
        budget: verb.budget,
        policy: verb.policy,
        agents: verb.agents,
    };
    let config = staffed(scene, scene.config(&flags)?)?;
    let show = if verb.json { Show::Json } else { Show::people() };
    shift(scene, config, &verb.issues, show).await
}

/// The configuration with only those agents that are there.
fn staffed(scene: &Scene, config: Loaded) -> Result<Loaded, Failure> {
    let present = scene.agents_present(&config);
    let missing: Vec<String> = config
        .agents
        .iter()
        .filter(|(name, _)| !present.contains(*name))
        .map(|(name, setup)| format!("{name} ({})", setup.dialect.program().unwrap_or("turno")))
        .collect();
    let config = config.with_agents_present(&present).map_err(|error| {
        Failure::cannot_start(format!(
            "{error}. Not found on this machine: {}. Install one, or name its program in turno.toml under [agents]",
            missing.join(", ")
        ))
    })?;
    startable(scene, &config)?;
    Ok(config)
}

/// Every agent that plays a persona has the variables it needs, and a script where it performs one. Otherwise
/// each attempt would fail in the same way.
fn startable(scene: &Scene, config: &Loaded) -> Result<(), Failure> {
    let playing: BTreeSet<_> = config.personas.iter().flat_map(|p| &p.persona.agents).collect();
    for setup in playing.into_iter().filter_map(|name| config.agents.get(name)) {
        setup.environment(&scene.env)?;
        if let AgentDialect::Script { path } = &setup.dialect {
            let wrong = |why: String| {
                let (name, path) = (&setup.name, path.display());
                Failure::usage(format!(
                    "agents.{name}.script: {path}: {why}; mend it, or name another script"
                ))
            };
            let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("it cannot be read: {e}")))?;
            ScriptFile::parse(&text).map_err(|e| wrong(format!("it is no script: {e}")))?;
        }
    }
    Ok(())
}

/// Runs one shift.
pub(crate) async fn shift(
    scene: &Scene,
    config: Loaded,
    issues: &[IssueId],
    show: Show,
) -> Result<ExitCode, Failure> {
    let head = scene.repo.user_head()?;
    let lock = take_lock(scene).await?;
    log_to(scene);
    let (store, state) = Store::open(&scene.dirs.store())?;
    let mut desk = Desk::new(store, state);
    let turno = std::env::current_exe()
        .map_err(|e| Failure::cannot_start(format!("turno cannot find its own program: {e}")))?;
    let config = Arc::new(config);
    let site = Site::new(
        scene.repo.clone(),
        scene.dirs.clone(),
        turno,
        Arc::clone(&config),
        scene.env.clone(),
    )?;
    let site = Arc::new(site);
    clear_up(&mut desk, &site).await?;
    let wanted: BTreeSet<IssueId> = issues.iter().copied().collect();
    let first = Event::ShiftStarted {
        mode: config.core.policy.name.clone(),
        issues: wanted
            .iter()
            .map(|issue| IssueAtStart {
                issue: *issue,
                base: head.commit.clone(),
            })
            .collect(),
        budget: config.budget.shift,
    };
    if desk.state.config.as_deref() != Some(&config.core) {
        // What is refused leaves no record behind.
        let mut configured = desk.state.clone();
        configured.config = Some(Arc::new(config.core.clone()));
        admit(&configured, &first)?;
        desk.take(Event::ConfigLoaded {
            config: Box::new(config.core.clone()),
        })?;
    }
    admit(&desk.state, &first)?;
    if let (Checkout::Dirty { files }, Show::Live | Show::Lines) = (scene.repo.checkout_state().await?, show)
    {
        print::warning(&format!(
            "your uncommitted changes ({}) stay as they are and are not part of the work",
            print::plain(&files.join(", "), 120)
        ));
    }
    if let (HeadAt::Detached, Show::Live | Show::Lines) = (&head.at, show) {
        print::warning(&format!(
            "HEAD is detached at {}: the work begins there, and `turno promote` will need --onto",
            head.commit.short()
        ));
    }
    let records_before = desk.reader();
    let (engine, handle) = Engine::new(desk, Local::new(Arc::clone(&site)));
    let server = Server::open(&scene.dirs.socket(), handle.clone(), site.live.clone())?;
    let interrupts = tokio::spawn(interrupts(handle.clone()));
    let screen = screen::start(show, handle.clone(), &site.live);
    let ended = engine.run(first).await;
    interrupts.abort();
    screen.finish().await;
    server.close().await;
    let end = ended?;
    let state = handle.snapshot();
    if show != Show::Json {
        report::show(scene, &state, &records_before.all()?);
    }
    drop(lock);
    Ok(exit::of(end))
}

/// Takes the lock. A verb that only looks has it for a moment; a coordinator has it and listens.
async fn take_lock(scene: &Scene) -> Result<Lock, Failure> {
    for _ in 0..30 {
        match scene.dirs.lock() {
            Err(WorkspaceError::Taken { .. }) if Client::connect(&scene.dirs.socket()).await.is_err() => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return Ok(other?),
        }
    }
    Ok(scene.dirs.lock()?)
}

/// Ends what a coordinator that died has left: its shift is over, what ran is stopped, its work is kept.
async fn clear_up(desk: &mut Desk, site: &Site) -> Result<(), Failure> {
    if desk.state.shift().is_none() {
        return Ok(());
    }
    print::warning(
        "an earlier coordinator died during its shift; what it left running is ended and its work kept",
    );
    // First the stop, so that the loss of the attempts starts no new ones: nobody is here to run them.
    desk.take(Event::StopAsked { how: StopHow::Now })?;
    if let Some(event) = recover(site, &desk.state).await {
        desk.take(event)?;
    }
    Ok(())
}

/// Ctrl-C once drains, twice stops.
async fn interrupts(handle: Handle) {
    let mut how = StopHow::Drain;
    let (Ok(mut term), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return;
    };
    loop {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => {
                if pressed.is_err() {
                    return;
                }
            }
            _ = term.recv() => how = StopHow::Now,
            // The terminal is gone: nobody sees what goes on, so nothing goes on.
            _ = hangup.recv() => how = StopHow::Now,
        }
        match how {
            StopHow::Drain => {
                print::note("draining: what runs may finish; press Ctrl-C again to stop it now");
            }
            StopHow::Now => print::note("stopping: what runs is stopped and its work kept"),
        }
        if handle.request(Event::StopAsked { how }).await.is_err() {
            return;
        }
        how = StopHow::Now;
    }
}

/// The developers' log goes to a file in the state directory.
fn log_to(scene: &Scene) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TURNO_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("turno_engine=info,warn"));
    let Ok(file) = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(scene.dirs.log())
    else {
        return;
    };
    let made = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(file)
        .try_init();
    if made.is_err() {
        tracing::debug!("a log is kept already");
    }
}
