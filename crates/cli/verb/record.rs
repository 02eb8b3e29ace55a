//! `turno record ATTEMPT`: a real attempt as a script that performs it again.

use std::io::Write;
use std::process::ExitCode;

use turno_core::command::Command;
use turno_core::event::Event;
use turno_core::ids::Seq;
use turno_engine::config::Overrides;
use turno_engine::gc;
use turno_engine::recording::{Ended, record};

use crate::args::Record;
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Record) -> Result<ExitCode, Failure> {
    let attempt = verb.attempt;
    let records = Door::open(scene).await?.records(Seq(0)).await?;
    let started = records.iter().flat_map(|r| &r.commands).find_map(|c| match c {
        Command::StartAgent(start) if start.attempt == attempt => Some(start),
        _ => None,
    });
    let Some(start) = started else {
        return Err(Failure::usage(format!(
            "there is no attempt {attempt} of an agent; `turno log` names those there were"
        )));
    };
    let ended = records.iter().find_map(|r| match &r.event {
        Event::AgentEnded {
            attempt: ended,
            end,
            spend,
            left,
            ..
        } if *ended == attempt => Some(Ended {
            end,
            spend: *spend,
            left,
        }),
        _ => None,
    });
    let Some(ended) = ended else {
        return Err(Failure::usage(format!(
            "{attempt} has not come to an end of its own, so there is nothing to perform again"
        )));
    };
    if let Some(gone) = gc::removed(&scene.dirs, attempt) {
        print::warning(&format!(
            "{}; the script has what it left and nothing that it said",
            super::log::gone_words(attempt, gone)
        ));
    }
    let config = scene.config(&Overrides::default())?;
    let repo = scene.repo_named(&config, &start.repo)?;
    let text = record(&config, &repo, start, &scene.dirs.attempt(attempt), ended)?;
    match &verb.output {
        None => print::data(text.trim_end()),
        Some(path) => {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path);
            file.and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|e| Failure::usage(format!("{} cannot be written: {e}", path.display())))?;
            print::note(&format!(
                "perform it with dialect = \"script\" and script = \"{}\"",
                path.display()
            ));
        }
    }
    Ok(ExitCode::from(exit::OK))
}
