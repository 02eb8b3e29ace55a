//! Owns the one line that a record is worth to those who watch a shift, and what it warns of.

use super::{event_phrase, so};
use crate::command::Command;
use crate::event::Event;
use crate::foresight::sights_phrase;
use crate::record::Record;
use crate::state::Entity;

/// What a record warned of, in words: budgets, and agents of which nothing is seen.
pub fn warnings(record: &Record) -> impl Iterator<Item = String> {
    record.commands.iter().filter_map(|command| match command {
        Command::WarnOfBudget { warning } => Some(format!("warning: {warning}")),
        Command::Nudge { attempt } => Some(format!("{attempt} is silent, and was reminded")),
        Command::StartAgent(_)
        | Command::RunChecks(_)
        | Command::Land(_)
        | Command::Follow(_)
        | Command::Foresee { .. }
        | Command::StopAttempt { .. }
        | Command::OpenIssue { .. }
        | Command::Reply { .. }
        | Command::Tell { .. }
        | Command::Adopt { .. }
        | Command::EndShift { .. } => None,
    })
}

/// What a record is worth telling those who watch a shift; `None` for meter readings and the like.
pub fn headline(record: &Record) -> Option<String> {
    let stops = record
        .commands
        .iter()
        .any(|c| matches!(c, Command::StopAttempt { .. }));
    let quiet = matches!(
        record.event,
        Event::Metered { .. }
            | Event::SessionOpened { .. }
            | Event::Seen { .. }
            | Event::ConfigLoaded { .. }
            | Event::TimePassed
    );
    let silent =
        matches!(&record.event, Event::Foreseen { of, sights, .. } if sights_phrase(*of, sights).is_none());
    let became: Vec<String> = record
        .changes
        .iter()
        .filter_map(|entity| match entity {
            Entity::Task(t) if !quiet || stops || t.run().is_none_or(|r| r.started == record.at) => {
                Some(format!("{}: {}", t.id, so(t)))
            }
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
        })
        .collect();
    let warnings: Vec<String> = warnings(record).collect();
    if silent && became.is_empty() && warnings.is_empty() {
        return None;
    }
    if quiet && (became.is_empty() || !stops && !matches!(record.event, Event::TimePassed)) {
        return (!warnings.is_empty()).then(|| warnings.join("; "));
    }
    let what = event_phrase(&record.event);
    let told = if became.is_empty() {
        what
    } else {
        format!("{what} \u{2192} {}", became.join("; "))
    };
    Some(
        std::iter::once(told)
            .chain(warnings)
            .collect::<Vec<_>>()
            .join("; "),
    )
}
