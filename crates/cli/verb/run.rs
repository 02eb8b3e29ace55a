//! `turno run ISSUE...`: becomes the coordinator, runs a shift to its end, reports. The other modes file what they
//! work on and come here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use turno_agents::script::ScriptFile;
use turno_core::State;
use turno_core::admit::{Refused, admit};
use turno_core::event::{Event, StopHow};
use turno_core::failure::Cause;
use turno_core::ids::{IssueId, PolicyName, RepoName};
use turno_core::issue::{IssueDraft, IssueStage, Split};
use turno_core::policy::Policy;
use turno_core::shift::{IssueAtStart, Scope};
use turno_engine::config::{AgentDialect, AgentSetup, Confine, Fresh, Loaded, Overrides};
use turno_engine::containers;
use turno_engine::git::{Checkout, HeadAt, Repo};
use turno_engine::notify::Notifier;
use turno_engine::open::target_of;
use turno_engine::person;
use turno_engine::redact::Redaction;
use turno_engine::repos::Repos;
use turno_engine::run::{Desk, Engine, Handle};
use turno_engine::runner::local::Local;
use turno_engine::sandbox::Hold;
use turno_engine::site::Site;
use turno_engine::socket::{Client, Entrance, Server};
use turno_engine::store::Store;
use turno_engine::traces::{Exporter, Sent};
use turno_engine::wallet::Wallet;
use turno_engine::workspace::{Error as WorkspaceError, Lock};

use super::{notify, report, resume};
use crate::args::{Run, ShiftArgs};
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::screen::{self, Show};

/// What a shift is to work on.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// These issues.
    pub(crate) issues: Vec<IssueId>,
    /// And what else.
    pub(crate) scope: Scope,
    /// How far.
    pub(crate) aim: Aim,
}

/// How far a shift is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// To the end of its work.
    Work,
    /// No further than what an earlier coordinator has left running.
    Drain,
}

impl Wanted {
    /// These issues and nothing else.
    pub(crate) fn listed(issues: Vec<IssueId>) -> Self {
        Self {
            issues,
            scope: Scope::Listed,
            aim: Aim::Work,
        }
    }
}

pub(crate) async fn run(scene: &Scene, verb: Run) -> Result<ExitCode, Failure> {
    let before = last_mode(scene, &verb.issues).await?;
    let mode = before.as_ref().map(|b| b.mode.as_str());
    let (mut config, show) = prepare(scene, &verb.shift, mode)?;
    if let Some(before) = before
        && config.core.policy.name == before.mode
    {
        before.goes_on(&mut config.core.policy);
        if show != Show::Json {
            print::note(&format!(
                "going on in the mode in which it was begun: {}",
                before.mode
            ));
        }
    }
    if let Some(many) = verb.candidates {
        compete(scene, &verb.issues, many).await?;
    }
    shift(scene, config, Wanted::listed(verb.issues), show).await
}

/// The mode in which issues were begun, with what its verb had set for that shift.
struct Before {
    mode: PolicyName,
    policy: Option<Policy>,
}

impl Before {
    /// What a verb's flags had set holds as long as nobody says otherwise.
    fn goes_on(&self, policy: &mut Policy) {
        if let Some(before) = self.policy.as_ref().filter(|p| p.name == self.mode) {
            policy.tests = before.tests;
            policy.rows.insert(Cause::Findings, before.row(Cause::Findings));
        }
    }
}

/// Policies whose verb is not `run`. What they have begun is gone on with by their rules.
const VERBS_OF_THEIR_OWN: [&str; 3] = ["qa-repair", "pair", "batch"];

/// In which mode begun issues were worked on last; none when they are new, or not of one mind.
async fn last_mode(scene: &Scene, issues: &[IssueId]) -> Result<Option<Before>, Failure> {
    let state = Door::open(scene).await?.state().await?;
    let begun = |id: &IssueId| state.issues.get(id).is_some_and(|i| i.integration().is_some());
    let mode_of = |id: &IssueId| {
        let mut shifts = state.shifts.values().rev();
        shifts.find(|s| s.issues.contains(id)).map(|s| s.mode.clone())
    };
    let mut modes: Vec<PolicyName> = issues.iter().filter(|i| begun(i)).filter_map(mode_of).collect();
    modes.dedup();
    let [mode] = modes.as_slice() else { return Ok(None) };
    if !VERBS_OF_THEIR_OWN.contains(&mode.as_str()) {
        return Ok(None);
    }
    Ok(Some(Before {
        mode: mode.clone(),
        policy: state.config.as_ref().map(|c| c.policy.clone()),
    }))
}

/// The configuration of a shift by its flags, with the policy of a mode, and how it is shown.
pub(crate) fn prepare(
    scene: &Scene,
    args: &ShiftArgs,
    mode: Option<&str>,
) -> Result<(Loaded, Show), Failure> {
    let mode = match mode {
        Some(name) => Some(name.parse().map_err(|e| Failure::bug(format!("{e}")))?),
        None => None,
    };
    let flags = Overrides {
        slots: args.slots,
        budget: args.budget,
        policy: args.policy.clone().or(mode),
        agents: args.agents.clone(),
        confine: if args.no_sandbox {
            Confine::Never
        } else {
            Confine::Always
        },
        cache: if args.no_cache {
            Fresh::Always
        } else {
            Fresh::AsConfigured
        },
    };
    let config = staffed(scene, scene.config(&flags)?)?;
    let show = if args.json { Show::Json } else { Show::people() };
    Ok((config, show))
}

/// Files issues for a shift that begins at once. Nothing is filed while another shift runs.
pub(crate) async fn file(scene: &Scene, drafts: Vec<IssueDraft>) -> Result<Vec<IssueId>, Failure> {
    let mut door = Door::open(scene).await?;
    if let (Some(shift), Door::Live(_)) = (door.state().await?.shift(), &door) {
        return Err(Refused::ShiftRuns(shift.id).into());
    }
    let mut filed = Vec::new();
    for draft in drafts {
        door.file(scene, draft).await?;
        filed.extend(door.state().await?.issues.keys().next_back().copied());
    }
    Ok(filed)
}

/// Makes issues that nobody has begun contests.
async fn compete(scene: &Scene, issues: &[IssueId], many: u8) -> Result<(), Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    if let (Some(shift), Door::Live(_)) = (state.shift(), &door) {
        return Err(Refused::ShiftRuns(shift.id).into());
    }
    for id in issues {
        let issue = state.issues.get(id).ok_or(Refused::NoSuchIssue(*id))?;
        if issue.stage != IssueStage::Backlog {
            return Err(Failure::usage(format!(
                "issue {id} has been begun, so it cannot become a contest; file a new one"
            )));
        }
        let draft = IssueDraft {
            split: Split::Candidates(many),
            ..issue.draft.clone()
        };
        door.take(Event::IssueEdited { issue: *id, draft }).await?;
    }
    Ok(())
}

/// The configuration with only those agents that are there.
pub(crate) fn staffed(scene: &Scene, config: Loaded) -> Result<Loaded, Failure> {
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
    for setup in playing(config) {
        setup.has_its_variables(&scene.env)?;
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
    work: Wanted,
    show: Show,
) -> Result<ExitCode, Failure> {
    let repos = scene.repos(&config)?;
    let lock = take_lock(scene).await?;
    let book = notify::open(scene, &config.notify).await;
    let wallet = wallet(scene, &config).await?.keeping(book.secrets());
    let office = notify::office(scene, wallet.redaction());
    log_to(scene, wallet.redaction());
    let (store, state) = Store::open(&scene.dirs.store())?;
    for note in store.notes() {
        print::warning(&note.to_string());
    }
    let mut desk = Desk::new(store, state);
    let turno = own_program()?;
    let hold = hold(scene, &turno, config.sandbox.confine).await?;
    let mut config = config;
    config.core.confinement = hold.confinement();
    if let (Show::Live | Show::Lines, Hold::Off | Hold::Landlock { .. }) = (show, &hold) {
        print::warning(&format!("the sandbox is {}", hold.words()));
    }
    let config = Arc::new(config);
    let site = Site::new(
        &repos,
        scene.dirs.clone(),
        turno,
        Arc::clone(&config),
        scene.env.clone(),
        hold,
    )?;
    let site = Arc::new(site.with_wallet(wallet));
    let begin = if resume::goes_on(&desk.state, &config.core, &work) {
        repos.claim().await?;
        Begin::Again(resume::facts(&desk, &site, &config, work.aim, show).await)
    } else {
        resume::clear_up(&mut desk, &site).await?;
        let wanted: BTreeSet<IssueId> = work.issues.iter().copied().collect();
        let first = Event::ShiftStarted {
            mode: config.core.policy.name.clone(),
            issues: at_start(&desk.state, &repos, &wanted)?,
            budget: config.budget.shift,
            scope: work.scope,
        };
        // What is refused leaves nothing behind: no record, and no claim on a repository.
        let mut configured = desk.state.clone();
        configured.config = Some(Arc::new(config.core.clone()));
        admit(&configured, &first)?;
        repos.claim().await?;
        if desk.state.config.as_deref() != Some(&config.core) {
            desk.take(Event::ConfigLoaded {
                config: Box::new(config.core.clone()),
            })?;
        }
        Begin::Now(Box::new(first))
    };
    containers::sweep(&site).await;
    if let Show::Live | Show::Lines = show {
        if person::is_root() {
            print::warning(&format!("{}; {}", person::AS_ROOT, person::AS_ROOT_MEND));
        }
        for (name, repo) in repos.iter() {
            warn_of(&name, repo).await?;
        }
    }
    let records_before = desk.reader();
    let runner = Local::new(Arc::clone(&site));
    if let Begin::Again(facts) = &begin {
        for fact in facts {
            if let Event::Restarted { adopted, .. } = fact {
                runner.expect(adopted);
            }
        }
    }
    let tools = runner.toolbox();
    let (engine, handle) = Engine::new(desk, runner);
    let open = |path: &Path, entrance| {
        Server::open(path, entrance, handle.clone(), site.live.clone(), tools.clone())
    };
    let server = open(&scene.dirs.socket(), Entrance::People)?;
    let tool_server = open(&scene.dirs.tool_socket(), Entrance::Agents)?;
    let traces = Exporter::begin(&config.traces, &scene.dirs, &project_of(scene), &handle);
    let interrupts = tokio::spawn(interrupts(handle.clone()));
    let screen = screen::start(show, handle.clone(), &site.live);
    let notifier = Notifier::start(book, office, &scene.dirs, &handle);
    let ended = match begin {
        Begin::Now(first) => engine.run(*first).await,
        Begin::Again(facts) => engine.go_on(facts).await,
    };
    interrupts.abort();
    screen.finish().await;
    notify::finish(notifier).await;
    tool_server.close().await;
    server.close().await;
    if let Some(traces) = traces
        && let Sent::Not { spans, to, why } = traces.end().await
    {
        print::warning(&format!(
            "{spans} span(s) of the traces were not taken by {to}: {why}. They are sent with the next shift"
        ));
    }
    let end = ended?;
    let state = handle.snapshot();
    if show != Show::Json {
        report::short(scene, &state, &records_before.all()?);
    }
    drop(lock);
    Ok(exit::of(end))
}

/// The name of the repository, for people.
fn project_of(scene: &Scene) -> String {
    let name = scene.repo.root().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// This very binary: it supervises and performs too.
pub(crate) fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|e| Failure::cannot_start(format!("turno cannot find its own program: {e}")))
}

/// How a coordinator begins.
enum Begin {
    /// With a new shift.
    Now(Box<Event>),
    /// With the shift of one that died, and what has become of its attempts.
    Again(Vec<Event>),
}

/// By which means the programs of a shift are confined.
pub(super) async fn hold(scene: &Scene, turno: &Path, confine: Confine) -> Result<Hold, Failure> {
    match confine {
        Confine::Never => Ok(Hold::Off),
        Confine::Always => Hold::probe(turno, &scene.env)
            .await
            .map_err(|e| Failure::cannot_start(e.to_string())),
        Confine::WherePossible => Ok(Hold::probe(turno, &scene.env).await.unwrap_or(Hold::Off)),
    }
}

/// Looks up what the agents are given that play a persona. It is done once, before anything begins.
async fn wallet(scene: &Scene, config: &Loaded) -> Result<Wallet, Failure> {
    let (wallet, open) = Wallet::open(playing(config), &scene.env, scene.repo.root()).await?;
    for file in open {
        print::warning(&file.to_string());
    }
    Ok(wallet.keeping(config.sandbox.secrets()))
}

/// The agents that play a persona.
fn playing(config: &Loaded) -> impl Iterator<Item = &AgentSetup> {
    let names: BTreeSet<_> = config.personas.iter().flat_map(|p| &p.persona.agents).collect();
    names.into_iter().filter_map(|name| config.agents.get(name))
}

/// Each issue begins on the user's branch of its own repository.
fn at_start(state: &State, repos: &Repos, wanted: &BTreeSet<IssueId>) -> Result<Vec<IssueAtStart>, Failure> {
    let mut issues = Vec::new();
    for id in wanted {
        let issue = state.issues.get(id).ok_or(Refused::NoSuchIssue(*id))?;
        let name = &issue.draft.repo;
        let repo = repos.get(name).ok_or_else(|| Refused::NoSuchRepo(name.clone()))?;
        let user = repo.user_head()?;
        issues.push(IssueAtStart {
            issue: *id,
            target: target_of(&user),
            base: user.commit,
        });
    }
    Ok(issues)
}

/// What a person should know of the checkout that the work begins at.
async fn warn_of(name: &RepoName, repo: &Repo) -> Result<(), Failure> {
    let place = if *name == RepoName::default() {
        String::new()
    } else {
        format!(" in {name}")
    };
    if let Checkout::Dirty { files } = repo.checkout_state().await? {
        print::warning(&format!(
            "your uncommitted changes{place} ({}) stay as they are and are not part of the work",
            print::plain(&files.join(", "), 120)
        ));
    }
    let head = repo.user_head()?;
    if head.at == HeadAt::Detached {
        print::warning(&format!(
            "HEAD is detached{place} at {}: the work begins there, and `turno promote` will need --onto",
            head.commit.short()
        ));
    }
    Ok(())
}

/// Takes the lock. A verb that only looks has it for a moment; a coordinator has it and listens.
pub(crate) async fn take_lock(scene: &Scene) -> Result<Lock, Failure> {
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

/// A file without secrets in it. Each event of the log is written as a whole.
struct Clean {
    file: std::fs::File,
    redaction: Redaction,
}

impl std::io::Write for &Clean {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (&self.file).write_all(&self.redaction.bytes(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        (&self.file).flush()
    }
}

/// The developers' log goes to a file in the state directory.
fn log_to(scene: &Scene, redaction: Redaction) {
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
        .with_writer(Arc::new(Clean { file, redaction }))
        .try_init();
    if made.is_err() {
        tracing::debug!("a log is kept already");
    }
}
