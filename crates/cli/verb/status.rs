//! `turno status`: what runs, what waits and why, what it has cost.

use std::process::ExitCode;

use serde::Serialize;
use turno_core::config::Confinement;
use turno_core::foresight::clashes_phrase;
use turno_core::gate::{Opens, Standing};
use turno_core::ids::TaskId;
use turno_core::ledger::{LedgerView, ledger};
use turno_core::room::MAKE_ROOM;
use turno_core::shift::{ShiftEnd, ShiftStage, Winding};
use turno_core::step::Waiting;
use turno_core::units::{Span, Timestamp};
use turno_core::view::{self, AccountView, RunBy, RunPlace, RunView, ShiftView, StatusView, waiting_phrase};
use turno_engine::run::now;

use crate::args::Json;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::budget::warned_lines;
use crate::verb::issue::stage_word;
use crate::verb::{answer_hint, question_lines};

pub(crate) async fn run(scene: &Scene, verb: &Json) -> Result<ExitCode, Failure> {
    let (door, state) = Door::look_in(scene).await?;
    let status = view::status(&state);
    let ledger = ledger(&state, now());
    if verb.json {
        print::json(&WithLedger {
            status: &status,
            ledger: &ledger,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if let (Door::Own { .. }, false) = (&door, status.running.is_empty()) {
        print::warning(
            "no coordinator is alive; agents that ran when it died may be at work. `turno resume` goes on with the shift, `turno stop` ends it",
        );
    }
    show(&status, now());
    for line in warned_lines(&ledger, state.shift().map(|s| s.id)) {
        print::warning(&line);
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything at a glance, for programs.
#[derive(Serialize)]
struct WithLedger<'a> {
    #[serde(flatten)]
    status: &'a StatusView,
    #[serde(flatten)]
    ledger: &'a LedgerView,
}

fn show(status: &StatusView, now: Timestamp) {
    match &status.shift {
        None => print::data("no shift has run here yet; `turno run ISSUE` starts one"),
        Some(shift) => print::data(&shift_line(shift, now)),
    }
    for run in &status.running {
        print::data(&format!("  {}", run_line(run, now)));
    }
    for line in status.accounts.iter().filter_map(|a| account_line(a, now)) {
        print::data(&format!("  {}", print::plain(&line, 300)));
    }
    for decision in &status.decisions {
        for line in question_lines(decision, now) {
            print::data(&line);
        }
        print::data(&print::dim(&answer_hint(decision.id)));
    }
    for gate in &status.gates {
        let until = match &gate.standing {
            Standing::Closed { until, .. } => format!(", until {}", print::moment(*until)),
            Standing::Open | Standing::Slowed(_) | Standing::Trying { .. } | Standing::Shut { .. } => {
                String::new()
            }
        };
        if let Some(why) = gate.closed_phrase() {
            print::data(&print::yellow(&format!("{}{until}", print::plain(&why, 300))));
        }
    }
    for issue in &status.issues {
        let title = print::plain(&issue.title, 80);
        print::data(&format!(
            "{} {:8} {}  {title}",
            print::bold(&format!("issue {}", issue.id)),
            stage_word(&issue.stage),
            issue.cost
        ));
        if let Some(request) = issue.pull.phrase() {
            print::data(&print::dim(&format!("  {}", print::plain(&request, 600))));
        }
        if let Some(alarm) = issue.following.alarm_phrase() {
            print::data(&print::red(&format!("  {}", print::plain(&alarm, 400))));
        }
        for task in &issue.tasks {
            print::data(&format!(
                "  {} {}{}",
                task.id,
                task_title(task.id, &task.title),
                print::plain(&task.detail, 160)
            ));
            // That a person must look is what was just said.
            if let Some(why) = task.waiting.as_ref().filter(|w| !matches!(w, Waiting::Person(_))) {
                print::data(&print::dim(&format!(
                    "      waits: {}",
                    print::plain(&format!("{}{}", waiting_phrase(why), until(why)), 200)
                )));
            }
            if let Some(coming) = clashes_phrase(&task.clashes) {
                print::data(&print::yellow(&format!("      {}", print::plain(&coming, 300))));
            }
        }
    }
    for tight in &status.tight {
        print::warning(&format!(
            "when the disks were last looked at, nothing could be started: {}; {MAKE_ROOM}",
            tight.phrase()
        ));
    }
    if status.issues.is_empty() {
        print::data("no issues; file one with `turno issue add \"TITLE\"`");
    }
}

/// When a closed account opens, where that is known.
fn until(why: &Waiting) -> String {
    if let Waiting::Account {
        opens: Opens::At(at), ..
    } = why
    {
        format!(" (until {})", print::moment(*at))
    } else {
        String::new()
    }
}

/// What is known of an account's windows, if there is anything to say.
pub(super) fn account_line(account: &AccountView, now: Timestamp) -> Option<String> {
    let phrases = account.phrases(now, |at| {
        let far = at.since(now) > Span::seconds(12 * 3600);
        if far { print::moment(at) } else { print::clock(at) }
    });
    (!phrases.is_empty()).then(|| format!("{}: {}", account.agent, phrases.join("; ")))
}

/// A task's title before what is told of it; nothing for an issue's own task, which bears the title of the issue.
pub(crate) fn task_title(id: TaskId, title: &str) -> String {
    if id.is_lead() {
        String::new()
    } else {
        format!("{}: ", print::plain(title, 60))
    }
}

/// A shift on one line.
pub(crate) fn shift_line(shift: &ShiftView, now: Timestamp) -> String {
    let (stage, until) = match &shift.stage {
        ShiftStage::Running => ("running".to_owned(), now),
        ShiftStage::Winding(why) => (format!("ending: {}", winding_words(*why)), now),
        ShiftStage::Ended { end, at } => (format!("is over: {}", end_words(*end)), *at),
    };
    format!(
        "shift {} ({}) {stage}, {}, {} of {} spent{}",
        shift.id,
        shift.mode,
        print::elapsed(until.since(shift.started)),
        shift.spent,
        shift.budget,
        unconfined(shift.confinement)
    )
}

/// What everybody who looks must know of a shift whose programs are not held as they should be.
pub(crate) fn unconfined(confinement: Confinement) -> String {
    match confinement {
        Confinement::Namespaces => String::new(),
        Confinement::Landlock => ", held by Landlock alone".to_owned(),
        Confinement::Off => print::red(", NO SANDBOX"),
    }
}

/// Why a shift starts nothing more.
pub(super) fn winding_words(why: Winding) -> &'static str {
    match why {
        Winding::Drain => "what runs may finish",
        Winding::Stop => "it is stopped",
        Winding::Budget => "the budget is spent",
        Winding::TimeUp => "its time is up, what runs may finish",
    }
}

/// How a shift ended.
pub(crate) fn end_words(end: ShiftEnd) -> &'static str {
    match end {
        ShiftEnd::Done => "all landed",
        ShiftEnd::NeedsPerson => "something needs a person",
        ShiftEnd::TimeUp => "its time was up",
        ShiftEnd::Budget => "stopped by the budget",
        ShiftEnd::Interrupted => "interrupted",
    }
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
    let does = run.watch.as_ref().and_then(|w| w.phrase(now));
    let does = does.map_or_else(String::new, |does| format!("  {}", print::plain(&does, 120)));
    format!(
        "{place:<7} {:<5} {by:<17} {:<9} {:>5} {:>6}  {}{does}",
        run.task.to_string(),
        run.stage.as_str(),
        print::elapsed(now.since(run.started)),
        print::dollars(run.cost),
        run.attempt
    )
}
