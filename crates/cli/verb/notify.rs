//! `turno notify`: who is told what happens, and whether they can be. During a shift the coordinator tells them; here
//! is also what it begins and ends that with.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use turno_core::ids::TargetName;
use turno_engine::config::{Overrides, Target, To};
use turno_engine::notify::{self, Book, Notifier, Office};
use turno_engine::redact::Redaction;

use crate::args::Notify;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Notify) -> Result<ExitCode, Failure> {
    let targets = scene.config(&Overrides::default())?.notify;
    match verb {
        Notify::Test { targets: named } => test(scene, targets, &named).await,
        Notify::List { json } => list(&targets, json),
        Notify::Flush => flush(scene, &targets).await,
    }
}

/// Looks up what targets need; says what is missing. Nothing is held back by it.
pub(crate) async fn open(scene: &Scene, targets: &[Target]) -> Book {
    let book = Book::open(targets, &scene.env, scene.repo.root()).await;
    for file in &book.open {
        print::warning(&file.to_string());
    }
    for (name, why) in &book.problems {
        print::warning(&format!("nothing is told to `{name}`: {why}"));
    }
    book
}

/// What all targets of this workspace have in common.
pub(crate) fn office(scene: &Scene, redaction: Redaction) -> Office {
    let root = scene.repo.root();
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    Office {
        project: name(root),
        workspace: name(scene.dirs.root()),
        redaction,
        env: scene.env.clone(),
        at: root.to_owned(),
    }
}

/// Ends the telling of a shift; says what was not told.
pub(crate) async fn finish(notifier: Notifier) {
    for untold in notifier.finish().await {
        print::warning(&untold.to_string());
    }
}

fn none() -> Failure {
    Failure::usage("nobody is told anything; name somebody in turno.toml under [notify.NAME]")
}

async fn test(scene: &Scene, targets: Vec<Target>, named: &[TargetName]) -> Result<ExitCode, Failure> {
    if targets.is_empty() {
        return Err(none());
    }
    if let Some(unknown) = named.iter().find(|n| !targets.iter().any(|t| t.name == **n)) {
        let known: Vec<String> = targets.iter().map(|t| t.name.to_string()).collect();
        return Err(Failure::usage(format!(
            "there is no target `{unknown}`; there is {}",
            known.join(", ")
        )));
    }
    let wanted: Vec<Target> = targets
        .into_iter()
        .filter(|t| named.is_empty() || named.contains(&t.name))
        .collect();
    let book = open(scene, &wanted).await;
    let office = office(scene, Redaction::default());
    let mut failed = !book.problems.is_empty();
    for tested in notify::test(&book, &office).await {
        let (name, way) = (&tested.target, print::plain(&tested.way, 100));
        match tested.done {
            Ok(()) => print::data(&format!("{name}: {way} was told")),
            Err(why) => {
                failed = true;
                let why = print::plain(&why, 400);
                print::warning(&format!("{name}: {way} was not told: {why}"));
            }
        }
    }
    Ok(if failed {
        ExitCode::from(exit::NEEDS_PERSON)
    } else {
        ExitCode::SUCCESS
    })
}

/// A target on a line of data.
#[derive(Serialize)]
struct Listed {
    name: String,
    to: &'static str,
    on: Vec<&'static str>,
    quiet: Option<String>,
    at_most_every_ms: u64,
}

fn list(targets: &[Target], json: bool) -> Result<ExitCode, Failure> {
    let listed: Vec<Listed> = targets
        .iter()
        .map(|target| Listed {
            name: target.name.to_string(),
            to: match &target.to {
                To::Desktop => "desktop",
                To::Webhook(_) => "webhook",
                To::Command { .. } => "command",
            },
            on: target.on.iter().map(|k| k.as_str()).collect(),
            quiet: target.quiet.map(|q| q.to_string()),
            at_most_every_ms: target.at_most_every.0,
        })
        .collect();
    if json {
        print::data(&print::json_line(&listed)?);
        return Ok(ExitCode::SUCCESS);
    }
    if listed.is_empty() {
        print::note("nobody is told anything; name somebody in turno.toml under [notify.NAME]");
    }
    for (one, target) in listed.iter().zip(targets) {
        let quiet = one
            .quiet
            .as_ref()
            .map_or_else(String::new, |q| format!(", quiet {q}"));
        let (name, to, every) = (&one.name, one.to, target.at_most_every);
        print::data(&format!(
            "{name}  {to}, at most every {every}{quiet}: {}",
            one.on.join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn flush(scene: &Scene, targets: &[Target]) -> Result<ExitCode, Failure> {
    if targets.is_empty() {
        return Err(none());
    }
    if !scene.dirs.root().is_dir() {
        print::note("nothing has happened here yet");
        return Ok(ExitCode::SUCCESS);
    }
    let book = open(scene, targets).await;
    let redaction = turno_engine::wallet::Wallet::default()
        .keeping(book.secrets())
        .redaction();
    let done = notify::flush(book, office(scene, redaction), &scene.dirs).await;
    let (told, untold) = done.map_err(|e| Failure::cannot_start(e.to_string()))?;
    for (name, notices) in told {
        print::data(&format!("{name}: {notices} notice(s) told"));
    }
    for one in &untold {
        print::warning(&one.to_string());
    }
    let failed = untold.iter().any(|u| u.why != notify::Why::Quiet);
    Ok(if failed {
        ExitCode::from(exit::NEEDS_PERSON)
    } else {
        ExitCode::SUCCESS
    })
}
