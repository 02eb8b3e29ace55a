//! Owns an agent's attempt: prompt, slot, conversation, and what it left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use turno_agents::dialect as find_dialect;
use turno_agents::dialect::{Cue, Dialect, Job, Launch, Protected, Support, ToolServer};
use turno_core::brief::Ask;
use turno_core::command::AgentStart;
use turno_core::config::Confinement;
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::{Cause, Failure};
use turno_core::gate::SETTLED;
use turno_core::holding::FIRST_SLOT;
use turno_core::ids::{AgentName, PersonaName};
use turno_core::outcome::Outcome;
use turno_core::persona::{Access, Persona};
use turno_core::progress::Essence;
use turno_core::tampering::Tampering;
use turno_core::units::{CostBasis, MicroUsd, Spend};

use super::leaving::Gate;
use super::lodger;
use super::standing;
use super::talk::{self, Before, Heard};
use super::{not_ready, stopped, told_to_stop, workspace};
use crate::config::AgentSetup;
use crate::config::env::{TOOL_SOCKET, TOOL_TOKEN};
use crate::git::{CommitMessage, Guard, Trailers, TurnoRef};
use crate::live::Doing;
use crate::process::supervised::Supervised;
use crate::process::supervisor::files;
use crate::prompt::{self, Extras, house_rules};
use crate::room;
use crate::runner::mouth::{Ear, Mouth, Pass};
use crate::sandbox::{Lodged, Tenant};
use crate::secret::Secret;
use crate::site::{Ground, Site};
use crate::slots::{Begun, Inspected, Salvaged, SlotPlace};
use crate::tools;
use crate::transcript::log_ref;

/// The longest first line of a summary that serves as a commit's subject.
const SUBJECT: usize = 90;

/// The branch of what an attempt leaves: its number is the attempt's. What a person leaves is kept as what it is.
pub(crate) fn branch_of(start: &AgentStart) -> TurnoRef {
    if start.slot.0 >= FIRST_SLOT {
        return TurnoRef::attached(start.task, start.attempt, chrono::Utc::now());
    }
    TurnoRef::task(start.task, u32::try_from(start.attempt.0).unwrap_or(u32::MAX))
}

/// The message of the commit that Turno makes of what an agent did not commit.
pub(crate) fn message_of(start: &AgentStart, end: &AgentEnd, cost: MicroUsd) -> CommitMessage {
    let title = &start.brief.task.title;
    let (subject, body) = match end {
        AgentEnd::Finished(Outcome::Change { summary, .. }) => {
            let first = summary.lines().next().unwrap_or_default().trim();
            let subject = if first.is_empty() || first.chars().count() > SUBJECT {
                title.as_str()
            } else {
                first
            };
            (subject.trim_end_matches('.').to_owned(), summary.clone())
        }
        AgentEnd::Finished(_) => (title.clone(), String::new()),
        AgentEnd::Asked(_) => (title.clone(), "Unfinished: it waits for an answer".to_owned()),
        AgentEnd::Failed(failure) => (title.clone(), format!("Unfinished: {}", failure.cause.phrase())),
    };
    let body = if body.trim().trim_end_matches('.') == subject {
        String::new()
    } else {
        body
    };
    CommitMessage {
        subject,
        body,
        trailers: Trailers {
            task: start.task,
            persona: start.persona.clone(),
            attempt: start.attempt,
            cost,
        },
    }
}

/// Runs an agent.
pub(crate) async fn agent(site: &Site, start: AgentStart, mouth: Mouth, mut ear: Ear) {
    let place = SlotPlace::Slot(start.slot);
    tokio::select! {
        biased;
        why = told_to_stop(&mut ear) => return mouth.fail(stopped(why)),
        () = site.pace() => {}
    }
    if room::is_none(&site.dirs.attempts()) {
        return mouth.fail(workspace(room::words(&[site.dirs.attempts()])));
    }
    site.live.say(
        start.attempt,
        Doing::Step(format!("preparing {place} at {}", start.from.short())),
    );
    let ground = match site.ground(&start.repo) {
        Ok(ground) => ground,
        Err(error) => return mouth.fail(not_ready(error)),
    };
    let prepared = site.prepare(ground, start.attempt, start.task, place, &start.from, &mut ear);
    let prepared = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => return mouth.fail(not_ready(error)),
    };
    note_salvage(site, &start, &prepared.salvaged);
    let dir = site.dirs.attempt(start.attempt);
    let setup = match setup(site, &start.agent) {
        Ok(setup) => setup,
        Err(failure) => return mouth.fail(failure),
    };
    let dialect = find_dialect(setup.dialect.kind());
    let pass = match (dialect.capabilities().tools, site.hold.confinement()) {
        // Landlock does not look at Unix sockets, so alone it goes with a filter that refuses them all.
        (Support::No, _) | (Support::Yes, Confinement::Landlock) => None,
        (Support::Yes, Confinement::Namespaces | Confinement::Off) => Some(mouth.pass()),
    };
    let tools: Vec<ToolServer> = pass.iter().map(|p| tool_server(site, p)).collect();
    let job = match job(site, ground, &start, setup, tools, &prepared.path, &dir) {
        Ok(job) => job,
        Err(failure) => return mouth.fail(failure),
    };
    let mut launch = match launch(site, &start, dialect, &job, &dir) {
        Ok(launch) => launch,
        Err(failure) => return mouth.fail(failure),
    };
    let tenant = Tenant {
        ground,
        place,
        path: &prepared.path,
        attempt: start.attempt,
    };
    let guest = lodger::guest(site, &start, dialect, setup, &job, &launch);
    let lodged = match tenant.take_in(site, &dir, guest, &mut launch.env).await {
        Ok(lodged) => lodged,
        Err(error) => return mouth.fail(Failure::new(Cause::Spawn, error.to_string())),
    };
    let mut guard = match ground.pool.guard().await {
        Ok(guard) => guard,
        Err(error) => return mouth.fail(workspace(error)),
    };
    guard.keep_in(&dir);
    let (lodged, bounds) = lodged.unzip();
    if let Err(failure) = standing::write(site, &dir, setup.dialect.kind(), &job, pass.as_ref(), &launch) {
        return mouth.fail(failure);
    }
    let gate = Gate::new(&prepared.path, &launch.env, bounds.as_ref().map(|b| &b.profile));
    let run = match talk::begin(site, &start, launch, bounds, &job, &dir).await {
        Ok(run) => run,
        Err(error) => return mouth.fail(Failure::new(Cause::Spawn, error.to_string())),
    };
    let stay = Stay {
        site,
        ground,
        start,
        dialect,
        dir,
        lodged,
        guard,
        gate,
        pass,
    };
    stay.until_its_end(&job, run, None, mouth, ear).await;
}

/// An agent at work: what is done when it ends needs all of this.
pub(super) struct Stay<'a> {
    pub(super) site: &'a Site,
    pub(super) ground: &'a Ground,
    pub(super) start: AgentStart,
    pub(super) dialect: &'static dyn Dialect,
    /// The attempt's directory.
    pub(super) dir: PathBuf,
    pub(super) lodged: Option<Lodged>,
    pub(super) guard: Guard,
    /// Where it ends its turn.
    pub(super) gate: Gate,
    /// It opens the tools until it is dropped, which is before the attempt ends.
    pub(super) pass: Option<Pass>,
}

impl Stay<'_> {
    /// Listens until the agent has ended, keeps what it left, and tells the end.
    pub(super) async fn until_its_end(
        self,
        job: &Job,
        run: Supervised,
        before: Option<Before>,
        mouth: Mouth,
        ear: Ear,
    ) {
        let Self {
            site,
            ground,
            start,
            dialect,
            dir,
            lodged,
            guard,
            gate,
            pass,
        } = self;
        let took = match before {
            None => Took::Since(Instant::now()),
            Some(_) => Took::Longer,
        };
        let mut heard = talk::talk(site, &start, dialect, job, run, before, gate, &dir, &mouth, ear).await;
        drop(pass);
        // What is said here becomes a commit's message too.
        heard.end = match site.redaction.record(heard.end) {
            Ok(end) => end,
            Err(unfit) => AgentEnd::Failed(workspace(unfit)),
        };
        if let AgentEnd::Failed(failure) = &mut heard.end
            && failure.cause == Cause::Lost
            && room::is_none(&dir)
        {
            // What an agent says is written down before anything else; its supervisor ends when it cannot be.
            failure.detail = format!("{}. {}", room::words(std::slice::from_ref(&dir)), failure.detail);
        }
        let spend = settled(dialect, &heard, took);
        site.live
            .say(start.attempt, Doing::Step("keeping what it left".to_owned()));
        // Before any call of git's: what was planted in its configuration must not be obeyed.
        let settled = match (settle(&guard, &mouth).await, lodged) {
            (Ok(()), Some(lodged)) => lodger::move_out(site, ground, &start, lodged, &mouth).await,
            (settled, _) => settled,
        };
        let kept = match settled {
            Ok(()) => left_behind(site, ground, &start, &heard.end, spend.cost).await,
            Err(error) => Err(error),
        };
        let (end, left) = match kept {
            Ok(left) => (heard.end, left),
            // The slot is as it was left; its next use salvages it. What it cost is booked all the same.
            Err(error) => (AgentEnd::Failed(workspace(error)), LeftBehind::Nothing),
        };
        let transcript = log_ref(site.dirs.root(), &dir.join(files::OUT));
        let attempt = start.attempt;
        mouth.end(Event::AgentEnded {
            attempt,
            end,
            spend,
            left,
            transcript,
        });
        drop(guard);
        Guard::forget_in(&dir);
    }
}

/// How long an attempt took.
#[derive(Debug, Clone, Copy)]
enum Took {
    /// Since then.
    Since(Instant),
    /// An earlier coordinator began it.
    Longer,
}

impl Took {
    fn is_short(self) -> bool {
        match self {
            Self::Since(begun) => begun.elapsed() < Duration::from_millis(SETTLED.0),
            Self::Longer => false,
        }
    }
}

/// What it spent, as far as that is known: one that never said is taken at its cap, unless nothing was asked of a model.
fn settled(dialect: &dyn Dialect, heard: &Heard, took: Took) -> Spend {
    let free = match &heard.end {
        AgentEnd::Finished(_) | AgentEnd::Asked(_) => false,
        AgentEnd::Failed(failure) => match failure.cause {
            Cause::Spawn | Cause::SignIn | Cause::Model => true,
            Cause::Agent | Cause::Provider | Cause::Quota | Cause::RateLimited | Cause::NoOutcome => {
                heard.spend.turns == 0 && took.is_short()
            }
            Cause::Workspace
            | Cause::NoChange
            | Cause::WroteWhileReading
            | Cause::Stalled
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::Lost
            | Cause::Stopped
            | Cause::OutOfBounds
            | Cause::TestsProveNothing
            | Cause::Resources => false,
        },
    };
    if free {
        heard.spend
    } else {
        told_or_unknown(dialect, heard.spend)
    }
}

/// What was told, or that nobody knows: of an agent that names no cost and no tokens, turns are all that was heard.
pub(crate) fn told_or_unknown(dialect: &dyn Dialect, spend: Spend) -> Spend {
    let nothing_but_turns = Spend {
        turns: spend.turns,
        ..Spend::NOTHING
    };
    match dialect.capabilities().cost {
        Support::No if spend == nothing_but_turns => Spend {
            basis: CostBasis::Unknown,
            ..spend
        },
        Support::No | Support::Yes => spend,
    }
}

fn note_salvage(site: &Site, start: &AgentStart, salvaged: &[Salvaged]) {
    for kept in salvaged {
        tracing::info!(attempt = %start.attempt, ?kept, "found in the slot and kept");
        site.live.say(
            start.attempt,
            Doing::Notes(format!("found in {} and kept: {kept:?}", start.slot)),
        );
    }
}

fn persona<'a>(site: &'a Site, name: &PersonaName) -> Result<&'a Persona, Failure> {
    site.config
        .core
        .persona(name)
        .ok_or_else(|| workspace(format!("there is no persona {name} any more")))
}

pub(super) fn setup<'a>(site: &'a Site, name: &AgentName) -> Result<&'a AgentSetup, Failure> {
    site.config
        .agents
        .get(name)
        .ok_or_else(|| workspace(format!("there is no agent {name} any more")))
}

/// Turno's own tools, as the agent is to start them.
fn tool_server(site: &Site, pass: &Pass) -> ToolServer {
    let env = [
        (TOOL_SOCKET.name, site.dirs.tool_socket().display().to_string()),
        (TOOL_TOKEN.name, pass.token().secret().to_owned()),
    ];
    ToolServer {
        name: tools::SERVER.to_owned(),
        program: site.turno.display().to_string(),
        args: vec![tools::VERB.to_owned()],
        env: env.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
    }
}

/// What the dialect is given.
pub(super) fn job(
    site: &Site,
    ground: &Ground,
    start: &AgentStart,
    setup: &AgentSetup,
    tool_servers: Vec<ToolServer>,
    cwd: &Path,
    dir: &Path,
) -> Result<Job, Failure> {
    let persona = persona(site, &start.persona)?;
    let diff_stat = match &start.brief.ask {
        Ask::Write { .. } | Ask::Plan { .. } | Ask::Compare { .. } => String::new(),
        Ask::Review { commit, base, .. }
        | Ask::Test { commit, base, .. }
        | Ask::Accept {
            head: commit, base, ..
        }
        | Ask::Try { head: commit, base } => ground
            .repo()
            .diff_stat(base, commit)
            .map_err(workspace)?
            .to_string(),
    };
    let prompt = prompt::render(
        persona,
        &start.brief,
        &Extras {
            diff_stat,
            notes: house_rules(cwd)
                .into_iter()
                .chain(tool_servers.iter().map(|_| tools::NOTE.to_owned()))
                .collect(),
            test_paths: site.config.core.policy.test_paths.clone(),
        },
    )
    .map_err(|e| {
        workspace(format!(
            "the prompt of persona {} cannot be rendered: {e}",
            persona.name
        ))
    })?;
    std::fs::create_dir_all(dir).map_err(workspace)?;
    let text = serde_json::to_vec_pretty(start).map_err(workspace)?;
    std::fs::write(dir.join("start.json"), site.redaction.bytes(&text)).map_err(workspace)?;
    let text = format!("{}\n\n---\n\n{}\n", prompt.system, prompt.task);
    std::fs::write(dir.join("prompt.md"), site.redaction.bytes(text.as_bytes())).map_err(workspace)?;
    let program = setup
        .dialect
        .program()
        .map_or_else(|| site.turno.display().to_string(), str::to_owned);
    Ok(Job {
        program,
        turno: site.turno.display().to_string(),
        extra_args: setup.extra_args(),
        cwd: cwd.display().to_string(),
        attempt_dir: dir.display().to_string(),
        system: prompt.system,
        prompt: prompt.task,
        session: start.session.clone(),
        model: persona.model.clone(),
        effort: persona.effort,
        access: start.access,
        tools: persona.tools.clone(),
        outcome: start.brief.ask.outcome(),
        cap: start.limits.money(),
        prices: site.config.prices.list(),
        tool_servers,
        protected: Protected {
            globs: site.config.core.policy.protected.clone(),
            named: start.brief.task.touches.clone(),
        },
        cue: Cue {
            persona: start.persona.clone(),
            task: start.task,
            title: start.brief.task.title.clone(),
            round: start.brief.round,
        },
    })
}

/// The launch with all of its environment, and its files written.
fn launch(
    site: &Site,
    start: &AgentStart,
    dialect: &dyn Dialect,
    job: &Job,
    dir: &Path,
) -> Result<Launch, Failure> {
    let mut launch = dialect
        .launch(job)
        .map_err(|e| Failure::new(Cause::Spawn, e.to_string()))?;
    for file in &launch.files {
        if !Path::new(&file.path).starts_with(dir) {
            return Err(workspace(format!(
                "{} lies outside the attempt's directory",
                file.path
            )));
        }
        std::fs::write(&file.path, &file.text).map_err(workspace)?;
    }
    let pocket = site.wallet.pocket(&start.agent).ok_or_else(|| {
        let why = format!("the variables of agent {} were not looked up", start.agent);
        Failure::new(Cause::Spawn, why)
    })?;
    let revealed = |(name, value): (&String, &Secret)| (name.clone(), value.reveal().to_owned());
    let mut env = site.base_env(start.task, SlotPlace::Slot(start.slot));
    env.extend(pocket.needed.iter().map(revealed));
    env.extend(std::mem::take(&mut launch.env));
    // What the user has written is the user's will: it outweighs the dialect's defaults.
    env.extend(pocket.written.iter().map(revealed));
    env.extend(identity(start));
    launch.env = env;
    Ok(launch)
}

/// Commits that the agent makes itself carry Turno's identity, whatever the machine's git knows.
pub(super) fn identity(start: &AgentStart) -> BTreeMap<String, String> {
    let name = format!("Turno {}", start.persona);
    [
        ("GIT_AUTHOR_NAME", name.as_str()),
        ("GIT_AUTHOR_EMAIL", "turno@localhost"),
        ("GIT_COMMITTER_NAME", name.as_str()),
        ("GIT_COMMITTER_EMAIL", "turno@localhost"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("TURNO_PERSONA", start.persona.as_str()),
    ]
    .into_iter()
    .map(|(n, v)| (n.to_owned(), v.to_owned()))
    .collect()
}

/// Holds the repository against what it was before, and tells what is different.
async fn settle(guard: &Guard, mouth: &Mouth) -> Result<(), crate::slots::Error> {
    let found = guard.settle().await?;
    if !found.is_empty() {
        tracing::warn!(attempt = %mouth.attempt(), ?found, "the repository changed while it ran");
        mouth.tampered(Tampering::bounded(found));
    }
    Ok(())
}

/// Where an attempt began, for what it leaves.
pub(crate) fn begun(start: &AgentStart) -> Begun<'_> {
    Begun {
        from: &start.from,
        since: start.since.as_ref(),
        survey: start.survey.as_ref(),
    }
}

/// Makes a writer's work a commit; holds a reader's slot against what it was given.
pub(super) async fn left_behind(
    site: &Site,
    ground: &Ground,
    start: &AgentStart,
    end: &AgentEnd,
    cost: MicroUsd,
) -> Result<LeftBehind, crate::slots::Error> {
    let place = SlotPlace::Slot(start.slot);
    match start.access {
        Access::Write | Access::Tests => {
            let message = message_of(start, end, cost);
            let collected = ground
                .pool
                .collect(place, begun(start), &branch_of(start), &message)
                .await?;
            for out in &collected.left_out {
                site.live.say(
                    start.attempt,
                    Doing::Notes(format!("not part of the change: {out:?}")),
                );
            }
            Ok(collected.left)
        }
        Access::Read => match ground.pool.inspect_untouched(place, &start.from).await? {
            Inspected::Untouched => Ok(LeftBehind::Nothing),
            Inspected::Touched { salvaged, files } => {
                let kept = salvaged.iter().find_map(|s| match s {
                    Salvaged::Commit { commit, .. } => Some(commit.clone()),
                    _ => None,
                });
                tracing::warn!(attempt = %start.attempt, ?files, "a reader changed files");
                let commit = kept.unwrap_or_else(|| start.from.clone());
                let tree = ground.repo().tree_of(&commit)?;
                Ok(LeftBehind::Commit {
                    commit,
                    tree,
                    paths: files.into_iter().collect(),
                    guards: Vec::new(),
                    essence: Essence::Unknown,
                })
            }
        },
    }
}
