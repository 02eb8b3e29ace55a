//! Owns a person's stay with a task: its slot, the agent's own screen in the sandbox that the task's attempts have, and
//! what is made of the slot when they leave. It decides nothing, and writes no record: what it finds is handed to
//! whoever may. The repository is not guarded meanwhile: a coordinator beside it moves refs, which a guard would put back.

mod screen;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use turno_agents::dialect as find_dialect;
use turno_agents::dialect::{AfterInput, AtTerminal, Before, Begins, HomeSetting, Launch};
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::{Cause, Failure};
use turno_core::holding::{Brought, FIRST_SLOT, Leaving, Visit};
use turno_core::ids::{SlotId, TaskId};
use turno_core::outcome::Outcome;
use turno_core::task::{Actor, Change, ChangeKind};
use turno_core::units::{MicroUsd, Spend};
use turno_sandbox::limits::rlimit::Rlimits;

pub use self::screen::{Gone, Unopened};
use super::{agent, clear, lodger, not_ready, workspace};
use crate::crash_point::{self, Deed, Moment};
use crate::process::doorman::Doorman;
use crate::process::limited::{self, LimitOrders};
use crate::process::tree::{MARKER, kill_marked};
use crate::recover;
use crate::runner::mouth::{self, Mouth};
use crate::sandbox::below::{self, Link};
use crate::sandbox::{HomeOf, Lodged, Tenant, home_of};
use crate::secret::Secret;
use crate::site::{Ground, Site};
use crate::slots::SlotPlace;
use crate::workspace::StateDir;

/// What a change is called that a person made.
const SUMMARY: &str = "A person worked on it at the agent's own terminal";

/// The right to be attached to a task. It is given back when this is dropped, also by the kernel.
#[derive(Debug)]
pub struct Seat {
    _file: File,
}

impl Seat {
    /// Takes it; `None` where somebody has it.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn take(dirs: &StateDir, task: TaskId) -> std::io::Result<Option<Self>> {
        let path = dirs.attached(task);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Whether somebody may work in a slot. Which of the people's slots is whose is not known here, so as long as anybody is
/// attached all of them are in use.
pub(crate) fn is_used(dirs: &StateDir, slot: SlotId) -> bool {
    let tasks = std::fs::read_dir(dirs.attached_to())
        .into_iter()
        .flatten()
        .flatten();
    let mut tasks = tasks.filter_map(|e| e.file_name().to_str()?.parse::<TaskId>().ok());
    slot.0 >= FIRST_SLOT && tasks.any(|task| !matches!(Seat::take(dirs, task), Ok(Some(_))))
}

/// A person at an agent's terminal.
pub struct Attached<'a> {
    site: &'a Site,
    ground: &'a Ground,
    start: AgentStart,
    dir: PathBuf,
    path: PathBuf,
    lodged: Option<Lodged>,
    doorman: Option<Doorman>,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    limits: LimitOrders,
    begins: Begins,
    shell: Option<String>,
    mouth: Mouth,
}

/// Makes everything ready for a person: the slot on the candidate's commit, the home, the sandbox, the way to the
/// network.
///
/// # Errors
/// When the slot or the sandbox cannot be made ready.
pub async fn attach(site: &Site, start: AgentStart) -> Result<Attached<'_>, Failure> {
    let (mouth, mut ear) = mouth::alone(start.attempt, &site.redaction);
    let place = SlotPlace::Slot(start.slot);
    let ground = site.ground(&start.repo).map_err(not_ready)?;
    let prepared = site.prepare(ground, start.attempt, start.task, place, &start.from, &mut ear);
    let path = prepared.await.map_err(not_ready)?.path;
    let dir = site.dirs.attempt(start.attempt);
    let setup = agent::setup(site, &start.agent)?;
    let dialect = find_dialect(setup.dialect.kind());
    let mut job = agent::job(site, ground, &start, setup, Vec::new(), &path, &dir)?;
    job.prompt = first_words(&start);
    let pocket = site.wallet.pocket(&start.agent).ok_or_else(|| {
        let why = format!("the variables of agent {} were not looked up", start.agent);
        Failure::new(Cause::Spawn, why)
    })?;
    let revealed = |(name, value): (&String, &Secret)| (name.clone(), value.reveal().to_owned());
    let mut env = site.base_env(start.task, place);
    env.extend(pocket.needed.iter().map(revealed));
    let written: BTreeMap<String, String> = pocket.written.iter().map(revealed).collect();
    let known = env
        .iter()
        .chain(&written)
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let terminal = dialect.at_terminal(&job, &known);
    let shell = terminal.is_none().then(|| shell_of(site));
    let terminal = terminal.unwrap_or_else(|| AtTerminal {
        argv: shell.iter().cloned().collect(),
        env: BTreeMap::new(),
        settings: Vec::new(),
        begins: Begins::Anew,
        before: Before::Nothing,
    });
    env.extend(terminal.env.clone());
    env.extend(written);
    env.extend(agent::identity(&start));
    env.extend(of_the_terminal(site));
    let launch = Launch {
        argv: terminal.argv.clone(),
        env: env.clone(),
        files: Vec::new(),
        input: Vec::new(),
        after_input: AfterInput::KeepOpen,
    };
    let guest = lodger::guest(site, &start, dialect, setup, &job, &launch);
    let tenant = Tenant {
        ground,
        place,
        path: &path,
        attempt: start.attempt,
    };
    let lodged = tenant.take_in(site, &dir, guest, &mut env).await;
    let (lodged, bounds) = lodged
        .map_err(|e| Failure::new(Cause::Spawn, e.to_string()))?
        .unzip();
    env.insert(MARKER.to_owned(), site.marker(start.attempt));
    let mut doorman = None;
    let mut grows = vec![path.clone()];
    let mut held = None;
    if let Some(bounds) = bounds {
        // The person's own home is left as it is.
        let whose = HomeOf {
            task: start.task,
            persona: &start.persona,
            agent: &start.agent,
        };
        furnish(&home_of(&site.dirs.homes(), &whose), &terminal.settings).map_err(workspace)?;
        env.insert("TMPDIR".to_owned(), site.hold.tmp_of(&bounds.profile));
        doorman = bounds.net.map(Doorman::open).transpose().map_err(workspace)?;
        grows = bounds.profile.grows().map(Path::to_owned).collect();
        let rlimits = Rlimits::beside(&site.means, &site.config.sandbox.limits);
        held = Some((bounds.profile, rlimits));
    }
    let wrap = |argv| match &held {
        Some((profile, rlimits)) => {
            let wrapped = site.hold.wrap(&site.turno, profile.clone(), rlimits, argv);
            wrapped.map_err(workspace)
        }
        None => Ok(argv),
    };
    let limits = site.limits_of(start.attempt, &dir, grows).map_err(workspace)?;
    let (argv, begins) = match terminal.before {
        Before::Nothing => (terminal.argv, terminal.begins),
        Before::Errand(errand) => {
            let run = wrap(errand.argv)?;
            match screen::errand(&run, &errand.input, &path, &env).await {
                screen::Errand::Done => (terminal.argv, terminal.begins),
                screen::Errand::NotDone => (errand.otherwise, Begins::Anew),
            }
        }
    };
    let argv = wrap(argv)?;
    Ok(Attached {
        site,
        ground,
        dir,
        path,
        lodged,
        doorman,
        argv,
        env,
        limits,
        begins,
        shell,
        mouth,
        start,
    })
}

impl Attached<'_> {
    /// In words for the person: what is about to be opened, and where.
    pub fn words(&self) -> String {
        let how = match (&self.shell, self.begins) {
            (Some(shell), _) => format!(
                "agent {} has no terminal of its own; {shell} is opened",
                self.start.agent
            ),
            (None, Begins::GoingOn) => {
                format!("{} goes on with the conversation of the task", self.start.agent)
            }
            (None, Begins::Anew) => format!(
                "{} begins a new conversation, told what was done",
                self.start.agent
            ),
        };
        format!("{how} in slot {} ({})", self.start.slot, self.path.display())
    }

    /// Opens it on the person's terminal and waits until they leave. What they type, Ctrl-C too, is the agent's.
    ///
    /// # Errors
    /// When it cannot be started, or not be waited for.
    pub async fn open(&self) -> Result<Gone, Unopened> {
        let gone = screen::open(&self.argv, &self.path, &self.env, &self.limits).await;
        // What it left behind belongs to nobody.
        kill_marked(&self.site.marker(self.start.attempt)).await;
        crash_point::reached(Moment::AfterEffect, Deed::Attach);
        gone
    }

    /// What the person brings, as the fact to be told. What was odd about it is for them to read.
    ///
    /// # Errors
    /// When the slot cannot be read. It stays as it is then.
    pub async fn leave(self, leaving: Leaving) -> Result<(Event, Vec<String>), Failure> {
        let Self {
            site,
            ground,
            start,
            dir,
            lodged,
            doorman,
            mouth,
            ..
        } = self;
        let mut notes = Vec::new();
        if let Some(doorman) = doorman
            && let Err(error) = doorman.close(&dir)
        {
            notes.push(format!("what it asked of the network is not known: {error}"));
        }
        if let Some(lodged) = lodged {
            lodger::move_out(site, ground, &start, lodged, &mouth)
                .await
                .map_err(workspace)?;
        }
        let end = AgentEnd::Finished(Outcome::change(String::new()));
        let left = agent::left_behind(site, ground, &start, &end, MicroUsd::ZERO).await;
        let left = left.map_err(workspace)?;
        Ok((given_back(&start, left, leaving), notes))
    }
}

/// What is left of a visit whose person is gone without a word: nothing of it runs any more, and its work is kept. Only
/// for whoever has the seat.
pub async fn found_gone(site: &Site, task: TaskId, visit: &Visit) -> Event {
    let dir = site.dirs.attempt(visit.attempt);
    clear(site, visit.attempt).await;
    match site.limits_of(visit.attempt, &dir, Vec::new()) {
        Ok(limits) => limited::discard(limits).await,
        Err(error) => tracing::warn!(%error, "a control group may be left behind"),
    }
    let start = std::fs::read(dir.join("start.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<AgentStart>(&bytes).ok());
    match start {
        Some(start) => {
            let left = recover::keep(site, &start, Spend::NOTHING).await;
            given_back(&start, left, Leaving::Lost)
        }
        None => Event::TaskGivenBack {
            task,
            attempt: visit.attempt,
            brought: Brought::Nothing,
            leaving: Leaving::Lost,
        },
    }
}

fn given_back(start: &AgentStart, left: LeftBehind, leaving: Leaving) -> Event {
    let brought = match left {
        LeftBehind::Nothing => Brought::Nothing,
        LeftBehind::Commit {
            commit,
            tree,
            paths,
            guards,
            essence,
        } => Brought::Change(Box::new(Change {
            commit,
            tree,
            essence,
            base: start.survey.as_ref().map_or(&start.from, |s| &s.base).clone(),
            writer: Actor {
                persona: start.persona.clone(),
                agent: start.agent.clone(),
                attempt: start.attempt,
            },
            summary: SUMMARY.to_owned(),
            evidence: Vec::new(),
            open_questions: Vec::new(),
            paths,
            kind: ChangeKind::Written,
            guards,
        })),
    };
    Event::TaskGivenBack {
        task: start.task,
        attempt: start.attempt,
        brought,
        leaving,
    }
}

/// What a new conversation is told first.
fn first_words(start: &AgentStart) -> String {
    let task = &start.brief.task;
    let mut text = format!(
        "You work with a person, who sits at this terminal, on a task of this repository.\n\nTask {}: {}\n",
        task.id, task.title
    );
    if !task.brief.trim().is_empty() {
        text.push_str(&format!("\n{}\n", task.brief.trim()));
    }
    for must in &task.acceptance {
        text.push_str(&format!("- {must}\n"));
    }
    let base = start.survey.as_ref().map_or(&start.from, |s| &s.base);
    if *base == start.from {
        text.push_str("\nNothing of it is written yet.");
    } else {
        text.push_str(&format!(
            "\nWhat was written so far is checked out: `git diff {base} {}` shows it.",
            start.from
        ));
    }
    text.push_str(" Look at it, then wait for what the person says.");
    text
}

/// The person's shell.
fn shell_of(site: &Site) -> String {
    let shell = site
        .env
        .get("SHELL")
        .filter(|s| s.starts_with('/') && Path::new(s).is_file());
    shell.cloned().unwrap_or_else(|| "/bin/sh".to_owned())
}

/// What a program needs to know of the terminal it is on.
fn of_the_terminal(site: &Site) -> BTreeMap<String, String> {
    let names = ["TERM", "COLORTERM", "COLUMNS", "LINES"];
    let known = names
        .into_iter()
        .filter_map(|n| Some((n.to_owned(), site.env.get(n)?.clone())));
    known.collect()
}

/// Puts settings into a private home, besides what is there. Nothing is written through a link.
fn furnish(home: &Path, settings: &[HomeSetting]) -> std::io::Result<()> {
    for HomeSetting { path, merged } in settings {
        let path = Path::new(path);
        let above = below::make(home, path.parent().unwrap_or(Path::new("")), Link::Removed)?;
        let to = above.join(path.file_name().unwrap_or_default());
        let is_file = std::fs::symlink_metadata(&to).is_ok_and(|m| m.is_file());
        let there = if is_file { std::fs::read(&to)? } else { Vec::new() };
        let mut whole: Value = serde_json::from_slice(&there).unwrap_or_default();
        merge(&mut whole, merged);
        let mut beside = tempfile::NamedTempFile::new_in(&above)?;
        beside.write_all(whole.to_string().as_bytes())?;
        beside.persist(&to).map_err(|e| e.error)?;
    }
    Ok(())
}

fn merge(whole: &mut Value, more: &Value) {
    match (whole, more) {
        (Value::Object(whole), Value::Object(more)) => {
            for (key, value) in more {
                merge(whole.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (whole, more) => *whole = more.clone(),
    }
}
