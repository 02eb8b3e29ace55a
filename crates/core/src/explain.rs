//! Owns the story of a task, told from the journal alone: what happened, and what followed from it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::event::Event;
use crate::foresight::warns;
use crate::ids::{AttemptId, Seq, TaskId};
use crate::liveness::Activity;
use crate::record::Record;
use crate::state::Entity;
use crate::task::{Stopping, Task};
use crate::units::{CostBasis, Spend, Timestamp};
use crate::view::task_phrase;

mod evidence;
mod headline;
mod phrase;

use evidence::evidence;

pub use headline::{headline, warnings};
pub(crate) use phrase::together_phrase;
pub use phrase::{event_phrase, finding_phrase, report_phrase};

/// One thing that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The record it is told from.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
    /// What followed for the task.
    pub so: String,
    /// What else is told of it: what it asked of the network, what changed in the repository, what was counted.
    pub notes: Vec<String>,
    /// The evidence that work goes back with: check output, findings, conflicting hunks.
    pub evidence: Vec<String>,
}

/// Tells the story of one task. Records must come in order and from the first that concerns it.
pub fn explain<'a>(records: impl IntoIterator<Item = &'a Record>, task: TaskId) -> Vec<Line> {
    let mut attempts = BTreeSet::new();
    let mut lines = Vec::new();
    for record in records {
        let about = record.event.attempt().is_some_and(|a| attempts.contains(&a));
        attempts.extend(
            record
                .commands
                .iter()
                .filter(|c| is_for(c, task))
                .filter_map(Command::starts),
        );
        let became = record.changes.iter().find_map(|entity| match entity {
            Entity::Task(t) if t.id == task => Some(t),
            Entity::Task(_)
            | Entity::Config(_)
            | Entity::Issue(_)
            | Entity::Shift(_)
            | Entity::Decision(_)
            | Entity::Lesson(_)
            | Entity::Outlook(_)
            | Entity::Account(_)
            | Entity::Gate(_)
            | Entity::Desk(_) => None,
        });
        let warned = matches!(&record.event, Event::Foreseen { of, sights, .. } if warns(*of, sights, task));
        if !about && !warned && became.is_none() {
            continue;
        }
        // A meter reading alone is no news; one that stops the attempt is.
        let quiet = matches!(
            record.event,
            Event::Metered { .. }
                | Event::SessionOpened { .. }
                | Event::Seen {
                    activity: Activity::Working,
                    ..
                }
        );
        let stops = record
            .commands
            .iter()
            .any(|c| matches!(c, Command::StopAttempt { .. }));
        if quiet && !stops {
            continue;
        }
        let so = became.map_or_else(|| "nothing changed for it".to_owned(), |t| so(t));
        lines.push(Line {
            seq: record.seq,
            at: record.at,
            what: if about || record.event.attempt().is_none() {
                event_phrase(&record.event)
            } else {
                format!("for another task, {}", event_phrase(&record.event))
            },
            so,
            notes: if nudges(record, became) {
                vec!["it was reminded that nothing is seen of it".to_owned()]
            } else if let Event::AgentEnded { spend, .. } = &record.event {
                difference(*spend).into_iter().collect()
            } else if let Event::Tampered { what, .. } = &record.event {
                what.iter().map(ToString::to_string).collect()
            } else if let Event::Contacted { contacts, .. } = &record.event {
                contacts.iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            },
            evidence: if matches!(record.event, Event::Tampered { .. } | Event::Contacted { .. }) {
                Vec::new()
            } else {
                // Who is to blame for a red batch may follow from how others of it landed.
                let tells = about || matches!(record.event, Event::LandingEnded { .. });
                became.filter(|_| tells).map_or_else(Vec::new, |t| evidence(t))
            },
        });
    }
    lines
}

fn is_for(command: &Command, task: TaskId) -> bool {
    match command {
        Command::StartAgent(start) => start.task == task,
        Command::RunChecks(start) => start.task == task,
        Command::Land(start) => start.lands(task),
        // An issue's branch is every task's.
        Command::Follow(start) => start.issue == task.issue,
        Command::StopAttempt { .. }
        | Command::OpenIssue { .. }
        | Command::Reply { .. }
        | Command::Foresee { .. }
        | Command::Nudge { .. }
        | Command::Tell { .. }
        | Command::Adopt { .. }
        | Command::WarnOfBudget { .. }
        | Command::EndShift { .. } => false,
    }
}

/// Whether the attempt of a task is reminded by a record.
fn nudges(record: &Record, became: Option<&std::sync::Arc<Task>>) -> bool {
    let run = became.and_then(|t| t.run());
    record
        .commands
        .iter()
        .any(|c| matches!(c, Command::Nudge { attempt } if run.is_some_and(|r| r.attempt == *attempt)))
}

fn so(task: &Task) -> String {
    match task.run().map_or(&Stopping::No, |r| &r.stopping) {
        Stopping::No => task_phrase(task),
        Stopping::Asked { why, .. } => format!("it is stopped: {}", why.phrase()),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The line of an output that says most: the last that tells of failure, else the last of the output itself.
fn telling_line(text: &str) -> &str {
    let lines = || {
        text.lines()
            .rev()
            .filter(|l| !l.trim().is_empty() && !l.starts_with('['))
    };
    let tells = |line: &&str| {
        let lower = line.to_lowercase();
        ["fail", "error", "panic", "expected"]
            .iter()
            .any(|word| lower.contains(word))
    };
    lines().find(tells).or_else(|| lines().next()).unwrap_or(text)
}

/// Which attempts a task had, in order.
pub fn attempts_of<'a>(records: impl IntoIterator<Item = &'a Record>, task: TaskId) -> Vec<AttemptId> {
    records
        .into_iter()
        .flat_map(|r| {
            r.commands
                .iter()
                .filter(|c| is_for(c, task))
                .filter_map(Command::starts)
        })
        .collect()
}

/// What an agent says that it cost, beside what was counted by the price list.
fn difference(spend: Spend) -> Option<String> {
    let counted = spend.counted.filter(|counted| *counted != spend.cost)?;
    (spend.basis == CostBasis::Reported).then(|| {
        format!(
            "it reported {}, Turno counted {counted} by its price list",
            spend.cost
        )
    })
}
