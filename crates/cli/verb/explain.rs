//! `turno explain TASK`: why each thing happened, from the journal alone.

use std::process::ExitCode;

use turno_core::explain::explain;
use turno_core::foresight::{clashes, clashes_phrase};
use turno_core::ids::Seq;
use turno_core::step::waiting;
use turno_core::view::{task_phrase, waiting_phrase};

use crate::args::Explain;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Explain) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    let Some(task) = state.tasks.get(&verb.task) else {
        return Err(turno_core::admit::Refused::NoSuchTask(verb.task).into());
    };
    let records = door.records(Seq(0)).await?;
    let lines = explain(&records, verb.task);
    if verb.json {
        print::json(&lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    print::data(&format!(
        "{} {}",
        print::bold(&format!("task {}", task.id)),
        print::plain(&task.spec.title, 400)
    ));
    for line in &lines {
        let at = print::dim(&format!("{} #{}", print::clock(line.at), line.seq));
        print::data(&format!("{at}  {}", print::plain(&line.what, 400)));
        print::data(&format!(
            "                 \u{2192} {}",
            print::plain(&line.so, 400)
        ));
        for evidence in line.notes.iter().chain(&line.evidence) {
            print::data(&format!(
                "                   {}",
                print::dim(&print::plain(evidence, 300))
            ));
        }
    }
    print::data(&format!(
        "now: {}, cost {}",
        print::plain(&task_phrase(task), 400),
        task.cost()
    ));
    let issue = state.issues.get(&task.id.issue);
    if let Some(alarm) = issue.and_then(|i| i.following.alarm_phrase()) {
        print::data(&print::red(&print::plain(&alarm, 1000)));
    }
    if let Some(why) = waiting(&state, task) {
        print::data(&format!("it waits: {}", print::plain(&waiting_phrase(&why), 400)));
    }
    if let Some(coming) = clashes_phrase(&clashes(&state, task)) {
        print::data(&format!("it {}", print::plain(&coming, 400)));
    }
    Ok(ExitCode::SUCCESS)
}
