//! `turno log`: the journal in words, or what one attempt was told and said. `--follow` goes on.

use std::process::ExitCode;
use std::time::Duration;

use turno_core::admit::Refused;
use turno_core::command::AgentStart;
use turno_core::conversation::{Speaker, Spoken, conversation};
use turno_core::explain::headline;
use turno_core::ids::{AttemptId, Seq, TaskId};
use turno_core::record::Record;
use turno_engine::config::Overrides;
use turno_engine::gc;
use turno_engine::live::Doing;
use turno_engine::process::supervisor::files;
use turno_engine::replay::Replay;
use turno_engine::socket::{Answer, Ask};

use crate::args::{Log, LogSubject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Log) -> Result<ExitCode, Failure> {
    match verb.about {
        Some(LogSubject::Attempt(attempt)) => said(scene, attempt, verb).await?,
        Some(LogSubject::Task(task)) => talked(scene, task, verb).await?,
        None => happened(scene, verb).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(record: &Record, verb: &Log) -> Result<(), Failure> {
    if verb.json {
        return print::json(record);
    }
    if let Some(line) = headline(record) {
        let at = print::dim(&format!("{} #{}", print::clock(record.at), record.seq));
        print::data(&format!("{at}  {}", print::plain(&line, 500)));
    }
    Ok(())
}

async fn happened(scene: &Scene, verb: &Log) -> Result<(), Failure> {
    let mut after = Seq(0);
    loop {
        let mut door = Door::open(scene).await?;
        if let (true, Door::Live(client)) = (verb.follow, &mut door) {
            client.ask(&Ask::Follow { after }).await?;
            while let Some(answer) = client.answer().await? {
                match answer {
                    Answer::Record(record) => {
                        after = record.seq;
                        show(&record, verb)?;
                    }
                    Answer::Live(line) if !verb.json => {
                        let text = print::plain(&line.doing.line(), 160);
                        print::data(&print::dim(&format!("             {} {text}", line.attempt)));
                    }
                    Answer::Failed(why) => return Err(Failure::cannot_start(why)),
                    _ => {}
                }
            }
        } else {
            for record in door.records(after).await? {
                after = record.seq;
                show(&record, verb)?;
            }
        }
        if !verb.follow {
            return Ok(());
        }
        drop(door);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Who said what about a task, as a conversation. With `--follow` what comes later is shown too.
async fn talked(scene: &Scene, task: TaskId, verb: &Log) -> Result<(), Failure> {
    if verb.raw {
        return Err(Failure::usage(
            "only an attempt, like a3, has bytes to be shown with --raw",
        ));
    }
    let mut shown = 0;
    loop {
        let mut door = Door::open(scene).await?;
        if !door.state().await?.tasks.contains_key(&task) {
            return Err(Refused::NoSuchTask(task).into());
        }
        let records = door.records(Seq(0)).await?;
        drop(door);
        let turns = conversation(&records, task);
        for turn in turns.iter().skip(shown) {
            speak(turn, verb)?;
        }
        shown = turns.len();
        if !verb.follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn speak(turn: &Spoken, verb: &Log) -> Result<(), Failure> {
    if verb.json {
        return print::json(turn);
    }
    let by = match &turn.by {
        Speaker::Agent {
            persona,
            agent,
            attempt,
        } => format!("{persona} ({agent}, {attempt})"),
        Speaker::Checks => "checks".to_owned(),
        Speaker::Landing => "landing".to_owned(),
        Speaker::Person => "you".to_owned(),
    };
    let at = print::dim(&print::clock(turn.at));
    print::data(&format!(
        "{at}  {}: {}",
        print::bold(&by),
        print::plain(&turn.says, 2000)
    ));
    for line in turn.more.iter().flat_map(|m| m.lines()) {
        print::data(&format!("            {}", print::plain(line, 400)));
    }
    Ok(())
}

/// What an attempt said: raw as it was said, or in words and with its prompt first.
async fn said(scene: &Scene, attempt: AttemptId, verb: &Log) -> Result<(), Failure> {
    let dir = scene.dirs.attempt(attempt);
    if let Some(gone) = gc::removed(&scene.dirs, attempt) {
        print::note(&gone_words(attempt, gone));
        return Ok(());
    }
    if !dir.is_dir() {
        return Err(Failure::usage(format!(
            "there is no attempt {attempt} here; `turno log` names those there were"
        )));
    }
    let mut parts = Vec::new();
    let mut words = None;
    if !verb.raw {
        if let Some(start) = started(&dir) {
            print::note(&format!(
                "{} played by {} on task {}",
                start.persona, start.agent, start.task
            ));
            // A configuration that cannot be read any more hides nothing: then it is shown as it was said.
            let config = scene.config(&Overrides::default()).ok();
            words = config.and_then(|config| Replay::of(&config, &start, &dir));
        }
        parts.push(dir.join("prompt.md"));
    }
    if words.is_none() {
        parts.push(dir.join(files::OUT));
    }
    if let Ok(checks) = std::fs::read_dir(dir.join("checks")) {
        let mut checks: Vec<_> = checks.flatten().map(|e| e.path().join(files::OUT)).collect();
        checks.sort();
        parts.extend(checks);
    }
    for part in parts.iter().filter(|p| p.is_file()) {
        let bytes = std::fs::read(part)
            .map_err(|e| Failure::cannot_start(format!("cannot read {}: {e}", part.display())))?;
        if verb.raw {
            print::raw(&bytes);
        } else {
            print::note(&print::bold(&format!("--- {}", part.display())));
            print::data(print::harmless(&String::from_utf8_lossy(&bytes)).trim_end());
        }
    }
    if let Some(mut words) = words {
        print::note(&print::bold(&format!("--- {}", dir.join(files::OUT).display())));
        loop {
            let over = !verb.follow || dir.join(files::EXIT).is_file();
            words.read(say);
            if over {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    if verb.follow {
        follow(&dir.join(files::OUT), &dir.join(files::EXIT), verb).await?;
    }
    Ok(())
}

/// What is left to say of an attempt that was removed to free space.
pub(super) fn gone_words(attempt: AttemptId, gone: gc::Noted) -> String {
    format!(
        "what {attempt} was told and said ({}) was removed by `turno gc` at {}; what followed from it is in `turno log`",
        print::size(gone.bytes),
        print::moment(gone.at)
    )
}

/// Words as they are; what it does as one dim line each.
fn say(doing: Doing) {
    match &doing {
        Doing::Says(text) => print::data(print::harmless(text).trim_end()),
        other => print::data(&print::dim(&format!("  {}", print::plain(&other.line(), 160)))),
    }
}

fn started(dir: &std::path::Path) -> Option<AgentStart> {
    serde_json::from_slice(&std::fs::read(dir.join("start.json")).ok()?).ok()
}

/// Shows what comes until the attempt has ended.
async fn follow(out: &std::path::Path, exit: &std::path::Path, verb: &Log) -> Result<(), Failure> {
    let mut shown = std::fs::metadata(out).map_or(0, |m| m.len());
    loop {
        let over = exit.is_file();
        let bytes = std::fs::read(out).unwrap_or_default();
        let from = usize::try_from(shown).unwrap_or(usize::MAX).min(bytes.len());
        let new = &bytes[from..];
        shown = bytes.len() as u64;
        if verb.raw {
            print::raw(new);
        } else if !new.is_empty() {
            print::data(print::harmless(&String::from_utf8_lossy(new)).trim_end());
        }
        if over {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
