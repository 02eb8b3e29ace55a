//! `turno status`: what runs, what waits and why, what it has cost.

use std::process::ExitCode;

use turno_core::shift::ShiftStage;
use turno_core::units::Timestamp;
use turno_core::view::{self, RunBy, RunPlace, RunView, ShiftView, StatusView, waiting_phrase};
use turno_engine::run::now;

use crate::args::Json;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::issue::stage_word;

pub(crate) async fn run(scene: &Scene, verb: &Json) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let status = view::status(&door.state().await?);
    if verb.json {
        print::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let (Door::Own { .. }, false) = (&door, status.running.is_empty()) {
        print::warning(
            "no coordinator is alive; what ran when it died is cleared up by the next `turno run`",
        );
    }
    show(&status, now());
    Ok(ExitCode::SUCCESS)
}

fn show(status: &StatusView, now: Timestamp) {
    match &status.shift {
        None => print::data("no shift has run here yet; `turno run ISSUE` starts one"),
        Some(shift) => print::data(&shift_line(shift, now)),
    }
    for run in &status.running {
        print::data(&format!("  {}", run_line(run, now)));
    }
    for issue in &status.issues {
        let title = print::plain(&issue.title, 80);
        print::data(&format!(
            "{} {:8} {}  {title}",
            print::bold(&format!("issue {}", issue.id)),
            stage_word(&issue.stage),
            issue.cost
        ));
        for task in &issue.tasks {
            print::data(&format!("  {} {}", task.id, print::plain(&task.detail, 160)));
            if let Some(why) = &task.waiting {
                print::data(&print::dim(&format!(
                    "      waits: {}",
                    print::plain(&waiting_phrase(why), 200)
                )));
            }
        }
    }
    if status.issues.is_empty() {
        print::data("no issues; file one with `turno issue add \"TITLE\"`");
    }
}

/// A shift on one line.
pub(crate) fn shift_line(shift: &ShiftView, now: Timestamp) -> String {
    let (stage, until) = match &shift.stage {
        ShiftStage::Running => ("running".to_owned(), now),
        ShiftStage::Winding(why) => (format!("ending ({why:?})").to_lowercase(), now),
        ShiftStage::Ended { end, at } => (format!("ended: {end:?}").to_lowercase(), *at),
    };
    format!(
        "shift {} ({}) {stage}, {}, {} of {} spent",
        shift.id,
        shift.mode,
        print::elapsed(until.since(shift.started)),
        shift.spent,
        shift.budget
    )
}

/// A running attempt on one line.
pub(crate) fn run_line(run: &RunView, now: Timestamp) -> String {
    let place = match run.place {
        RunPlace::Slot(slot) => slot.to_string(),
        RunPlace::Landing => "landing".to_owned(),
    };
    let by = match &run.by {
        RunBy::Agent { persona, agent } => format!("{persona}/{agent}"),
        RunBy::Turno => "turno".to_owned(),
    };
    format!(
        "{place:<7} {:<5} {by:<20} {:<10} {:>6} {:>9}  {}",
        run.task.to_string(),
        run.stage.as_str(),
        print::elapsed(now.since(run.started)),
        run.cost.to_string(),
        run.attempt
    )
}
