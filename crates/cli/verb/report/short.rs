//! The report at the end of a shift: what landed, on what proof, after how many rounds, for how much, and where
//! to look.

use std::cmp::Reverse;

use turno_core::State;
use turno_core::check::ReportVerdict;
use turno_core::config::Confinement;
use turno_core::explain::{explain, report_phrase};
use turno_core::ids::{IssueId, TaskId};
use turno_core::issue::{Issue, IssueStage};
use turno_core::lesson::LessonStage;
use turno_core::record::Record;
use turno_core::shift::{Scope, Shift, ShiftEnd, ShiftStage};
use turno_core::state::Entity;
use turno_core::step::waiting;
use turno_core::task::{Consent, Park, Proof, Stage, Task};
use turno_core::units::Span;
use turno_core::view::{self, task_phrase, waiting_phrase};

use crate::print;
use crate::scene::Scene;
use crate::verb::status;
use crate::verb::{answer_hint, end_words, question_lines, task_title};

pub(crate) fn show(scene: &Scene, state: &State, records: &[Record]) {
    let Some(shift) = state.shifts.values().next_back() else {
        return;
    };
    let ShiftStage::Ended { end, at } = shift.stage else {
        return;
    };
    let title = format!("Shift {} is over", shift.id);
    print::data(&format!(
        "\n{}: {}",
        print::bold(&title),
        colour(end)(end_words(end))
    ));
    print::data(&format!(
        "  {} of {} spent, {}{}\n",
        shift.spent,
        shift.budget,
        print::elapsed(at.since(shift.started)),
        status::unconfined(state.config.as_ref().map_or(Confinement::Off, |c| c.confinement))
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
        let style = if state.pieces_of(*id).count() > MANY {
            Style::Lines
        } else {
            Style::Told
        };
        print::data(&format!("  {}", sums(state, *id)));
        for task in state.tasks_of(*id) {
            show_task(state, task, records, style);
        }
        if let Some(alarm) = issue.following.alarm_phrase() {
            print::data(&print::red(&format!("  {}", print::plain(&alarm, 400))));
        }
        for line in left_over(issue) {
            print::data(&format!("  {}", print::plain(&line, 200)));
        }
        if let IssueStage::Review { .. } = issue.stage {
            print::data(&format!(
                "  on branch turno/{id}/base; look at it with `turno diff {id}`, take it with `turno promote {id}`"
            ));
        }
    }
    for (id, why) in not_begun(state, shift) {
        print::data(&format!(
            "{} not begun: {}",
            print::bold(&format!("issue {id}")),
            print::plain(&why, 200)
        ));
    }
    let open = view::status(state).decisions;
    for decision in open.iter().filter(|d| shift.issues.contains(&d.task.issue)) {
        for line in question_lines(decision, at) {
            print::data(&line);
        }
        print::data(&answer_hint(decision.id));
    }
    let lessons = proposed_lessons(state, shift);
    if lessons > 0 {
        print::data(&format!(
            "{lessons} lesson(s) proposed; `turno lessons list` shows them, nobody is given one before you keep it"
        ));
    }
    let hint = worth_explaining(state, shift).map_or_else(String::new, |t| {
        format!("`turno explain {t}` tells why each thing happened to it; ")
    });
    print::data(&format!(
        "\n{hint}state and transcripts: {}",
        scene.dirs.root().display()
    ));
    print::data(&format!(
        "`turno report {}` tells all of it; with `--format html -o FILE`, as a page with pictures",
        shift.id
    ));
}

fn colour(end: ShiftEnd) -> fn(&str) -> String {
    match end {
        ShiftEnd::Done => print::green,
        ShiftEnd::NeedsPerson | ShiftEnd::TimeUp | ShiftEnd::Budget | ShiftEnd::Interrupted => print::red,
    }
}

/// How many lessons the shift's agents have proposed that nobody has decided on.
fn proposed_lessons(state: &State, shift: &Shift) -> usize {
    let lessons = state.lessons.values();
    lessons
        .filter(|l| l.stage == LessonStage::Proposed && l.since >= shift.started)
        .count()
}

/// The task whose story is asked for first: one that waits for a person, else the one with the most attempts.
fn worth_explaining(state: &State, shift: &Shift) -> Option<TaskId> {
    let tasks = || shift.issues.iter().flat_map(|i| state.tasks_of(*i));
    let parked = tasks().filter(|t| matches!(t.stage, Stage::Parked { .. }));
    // A planner is mostly stuck because a piece of the work is.
    let parked = parked.min_by_key(|t| (t.id.is_lead(), t.id));
    let told = parked.or_else(|| tasks().max_by_key(|t| (t.attempts.values().sum::<u32>(), Reverse(t.id))));
    told.map(|t| t.id)
}

/// More tasks than these are told in a line each, as far as they have landed.
const MANY: usize = 12;

/// How much is told of a task that has landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Told,
    Lines,
}

/// How many tasks have come how far.
fn sums(state: &State, id: IssueId) -> String {
    let count = |wanted: fn(&Stage) -> bool| state.pieces_of(id).filter(|t| wanted(&t.stage)).count();
    let all = state.pieces_of(id).count();
    let landed = count(|s| matches!(s, Stage::Landed { .. }));
    let parked = count(|s| matches!(s, Stage::Parked { .. }));
    let dropped = count(|s| matches!(s, Stage::Dropped { .. }));
    let mut sums = format!("{landed} of {all} task(s) landed");
    for (many, word) in [(parked, "waiting for a person"), (dropped, "given up")] {
        if many > 0 {
            sums.push_str(&format!(", {many} {word}"));
        }
    }
    let rest = all - landed - parked - dropped;
    if rest > 0 {
        sums.push_str(&format!(", {rest} not done"));
    }
    sums
}

/// What an issue leaves besides its tasks: flaky checks, and proposed tasks that nobody has answered.
fn left_over(issue: &Issue) -> Vec<String> {
    let flaky = issue.plan.flaky.iter();
    let flaky = flaky.map(|c| format!("flaky: {c} was red once and green at the same tree"));
    let proposed = issue.open_proposals().map(|p| {
        format!(
            "proposed by {} during {}: {}",
            p.by.persona, p.during, p.proposed.title
        )
    });
    flaky.chain(proposed).collect()
}

/// Issues that the shift was to work on, or could have, and has not begun; and why.
fn not_begun(state: &State, shift: &Shift) -> Vec<(IssueId, String)> {
    let waits = state.issues.values().filter(|i| match shift.scope {
        Scope::Listed => shift.issues.contains(&i.id),
        Scope::Backlog { .. } => true,
    });
    waits
        .filter(|i| i.stage == IssueStage::Backlog)
        .map(|i| {
            let why = shift.refused.get(&i.id).cloned().unwrap_or_else(|| {
                let needs: Vec<String> = i.draft.needs.iter().map(ToString::to_string).collect();
                match needs.as_slice() {
                    [] => "the shift ended before its turn came".to_owned(),
                    needs => format!("it needs {}", needs.join(", ")),
                }
            });
            (i.id, format!("{}: {why}", i.draft.title))
        })
        .collect()
}

fn show_task(state: &State, task: &Task, records: &[Record], style: Style) {
    let attempts: u32 = task.attempts.values().sum();
    let mark = match task.stage {
        Stage::Landed { .. } | Stage::Accepted { .. } => print::green("✓"),
        _ => print::red("·"),
    };
    if let (Stage::Landed { commit, .. }, Style::Lines) = (&task.stage, style) {
        let title = print::plain(&task.spec.title, 80);
        let (id, short, cost) = (task.id, commit.short(), task.cost());
        return print::data(&format!(
            "  {mark} {id} {short} {title} ({attempts} attempt(s), {cost})"
        ));
    }
    print::data(&format!(
        "  {mark} {} {}{} ({attempts} attempt(s), {})",
        task.id,
        task_title(task.id, &task.spec.title),
        print::plain(&task_phrase(task), 200),
        task.cost()
    ));
    match (&task.stage, waiting(state, task)) {
        (Stage::Landed { .. }, _) => {
            for line in landing(task.id, records) {
                print::data(&format!("      {}", print::plain(&line, 200)));
            }
        }
        (Stage::Parked { .. }, _) => {
            if let Some(line) = ways_on(task) {
                print::data(&format!("      {line}"));
            }
        }
        (_, Some(why)) => print::data(&format!(
            "      waits: {}",
            print::plain(&waiting_phrase(&why), 200)
        )),
        (_, None) => {}
    }
    for line in rounds(task.id, records) {
        print::data(&print::dim(&format!("      {}", print::plain(&line, 200))));
    }
}

/// What a person can do about a task that waits for them; a question says it itself.
fn ways_on(task: &Task) -> Option<String> {
    let Stage::Parked { park, .. } = &task.stage else {
        return None;
    };
    let again = format!("`turno run {}` tries again", task.id.issue);
    match park {
        Park::Decision(_) => None,
        _ if task.id.is_lead() => Some(again),
        _ => Some(format!("{again}, `turno discard {}` gives it up", task.id)),
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
            // In a repair a change is not held to the checks that others mend.
            let others = if report.verdict() == ReportVerdict::Red {
                "; what failed is mended by other tasks"
            } else {
                ""
            };
            format!(
                "checks: {} ({}){others}",
                report_phrase(report),
                seconds(Span(took))
            )
        }
        Proof::NoChecks => "checks: none are configured".to_owned(),
    };
    let writer = &approved.proven.change.writer;
    let consent = match &approved.consent {
        Consent::Approved { by, notes } => {
            let notes = match notes.len() {
                0 => String::new(),
                many => format!(" with {many} note(s)"),
            };
            format!(
                "written by {} ({}), approved by {} ({}){notes}",
                writer.persona, writer.agent, by.persona, by.agent
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

/// Every time the task was sent back, with the first line of the evidence; times that follow each other with the
/// same evidence are one line.
fn rounds(task: TaskId, records: &[Record]) -> Vec<String> {
    let word = if task.is_lead() {
        "planned again"
    } else {
        "sent back"
    };
    let lines = explain(records, task);
    let back: Vec<(String, &str)> = lines
        .iter()
        .filter(|line| !line.so.starts_with("landed as"))
        .filter_map(|line| {
            let first = line.evidence.first()?;
            Some((steady(first), line.what.as_str()))
        })
        .collect();
    back.chunk_by(|(one, _), (next, _)| one == next)
        .filter_map(|same| match same {
            [] => None,
            [(evidence, what)] => Some(format!("{word}: {what}: {evidence}")),
            [.., (evidence, what)] => Some(format!("{word} {} times: {what}: {evidence}", same.len())),
        })
        .collect()
}

/// Evidence without the place of its output, which is another one each time.
fn steady(evidence: &str) -> String {
    match evidence.rsplit_once(" [attempts/") {
        Some((before, _)) => before.to_owned(),
        None => evidence.to_owned(),
    }
}
