//! The report at the end of a shift: what landed, on what proof, after how many rounds, for how much, and where
//! to look.

use turno_core::State;
use turno_core::explain::{explain, report_phrase};
use turno_core::ids::TaskId;
use turno_core::issue::IssueStage;
use turno_core::record::Record;
use turno_core::shift::{ShiftEnd, ShiftStage};
use turno_core::state::Entity;
use turno_core::step::waiting;
use turno_core::task::{Consent, Proof, Stage, Task};
use turno_core::units::Span;
use turno_core::view::{stage_phrase, waiting_phrase};

use crate::print;
use crate::scene::Scene;

pub(crate) fn show(scene: &Scene, state: &State, records: &[Record]) {
    let Some(shift) = state.shifts.values().next_back() else {
        return;
    };
    let ShiftStage::Ended { end, at } = shift.stage else {
        return;
    };
    let title = format!("Shift {} is over", shift.id);
    print::data(&format!("\n{}: {}", print::bold(&title), end_words(end)));
    print::data(&format!(
        "  {} of {} spent, {}\n",
        shift.spent,
        shift.budget,
        print::elapsed(at.since(shift.started))
    ));
    for id in &shift.issues {
        let Some(issue) = state.issues.get(id) else {
            continue;
        };
        print::data(&format!(
            "{} {}",
            print::bold(&format!("issue {id}")),
            print::plain(&issue.draft.title, 100)
        ));
        for task in state.tasks_of(*id) {
            show_task(state, task, records);
        }
        if let IssueStage::Review { .. } = issue.stage {
            print::data(&format!(
                "  on branch turno/{id}/base; look at it with `turno diff {id}`, take it with `turno promote {id}`"
            ));
        }
    }
    let first = shift
        .issues
        .iter()
        .flat_map(|i| state.tasks_of(*i))
        .next()
        .map(|t| t.id);
    let hint = first.map_or_else(String::new, |t| {
        format!("`turno explain {t}` tells the whole story; ")
    });
    print::data(&format!(
        "\n{hint}state and transcripts: {}",
        scene.dirs.root().display()
    ));
}

fn end_words(end: ShiftEnd) -> String {
    match end {
        ShiftEnd::Done => print::green("all landed"),
        ShiftEnd::NeedsPerson => print::red("something needs a person"),
        ShiftEnd::Budget => print::red("stopped by the budget"),
        ShiftEnd::Interrupted => print::red("interrupted"),
    }
}

fn show_task(state: &State, task: &Task, records: &[Record]) {
    let attempts: u32 = task.attempts.values().sum();
    let mark = match task.stage {
        Stage::Landed { .. } => print::green("✓"),
        _ => print::red("·"),
    };
    print::data(&format!(
        "  {mark} {} {} ({attempts} attempt(s), {})",
        task.id,
        print::plain(&stage_phrase(&task.stage), 200),
        task.cost()
    ));
    if let Stage::Landed { commit, .. } = &task.stage {
        let landed = landing(task.id, records);
        print::data(&format!(
            "      {} {}",
            commit.short(),
            print::plain(&task.spec.title, 100)
        ));
        for line in landed {
            print::data(&format!("      {}", print::plain(&line, 200)));
        }
    } else if let Some(why) = waiting(state, task) {
        print::data(&format!(
            "      waits: {}",
            print::plain(&waiting_phrase(&why), 200)
        ));
    }
    for line in rounds(task.id, records) {
        print::data(&print::dim(&format!("      {}", print::plain(&line, 200))));
    }
}

/// The proof and the consent that a task landed on.
fn landing(task: TaskId, records: &[Record]) -> Vec<String> {
    let approved = records
        .iter()
        .rev()
        .flat_map(|r| &r.changes)
        .find_map(|entity| match entity {
            Entity::Task(t) if t.id == task => match &t.stage {
                Stage::Landing { approved, .. } => Some(approved),
                _ => None,
            },
            _ => None,
        });
    let Some(approved) = approved else {
        return Vec::new();
    };
    let proof = match &approved.proven.proof {
        Proof::Checked(report) => {
            let took: u64 = report.results.iter().map(|r| r.took.0).sum();
            format!("checks: {} ({})", report_phrase(report), seconds(Span(took)))
        }
        Proof::NoChecks => "checks: none are configured".to_owned(),
    };
    let writer = &approved.proven.change.writer;
    let consent = match &approved.consent {
        Consent::Approved { by, notes } => {
            format!(
                "written by {} ({}), approved by {} ({}), {} note(s)",
                writer.persona,
                writer.agent,
                by.persona,
                by.agent,
                notes.len()
            )
        }
        Consent::Waived => format!(
            "written by {} ({}), no review is asked for",
            writer.persona, writer.agent
        ),
    };
    vec![proof, consent]
}

fn seconds(span: Span) -> String {
    format!("{}.{} s", span.0 / 1000, span.0 % 1000 / 100)
}

/// Every time the task was sent back, with the first line of the evidence.
fn rounds(task: TaskId, records: &[Record]) -> Vec<String> {
    explain(records, task)
        .into_iter()
        .filter_map(|line| {
            let first = line.evidence.first()?;
            Some(format!("sent back: {}: {first}", line.what))
        })
        .collect()
}
