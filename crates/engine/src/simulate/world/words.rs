//! Owns short words for the values that the hands of a simulated night give back.

use turno_core::brief::Ask;
use turno_core::check::LogRef;
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::ids::{AttemptId, SlotId};
use turno_core::units::Spend;
use turno_core::view::StageName;

use super::super::bill::Bill;
use super::super::forecast::Lane;

pub(super) fn lane(slot: SlotId) -> Lane {
    Lane::Slot(slot)
}

pub(super) fn ended(attempt: AttemptId, end: AgentEnd, left: LeftBehind) -> Event {
    Event::AgentEnded {
        attempt,
        end,
        spend: Spend::NOTHING,
        left,
        transcript: no_log(),
    }
}

pub(super) fn with_spend(event: Event, bill: Bill) -> Event {
    match event {
        Event::AgentEnded {
            attempt,
            end,
            left,
            transcript,
            ..
        } => Event::AgentEnded {
            attempt,
            end,
            spend: bill.spend(),
            left,
            transcript,
        },
        other => other,
    }
}

pub(super) fn no_log() -> LogRef {
    LogRef {
        path: String::new(),
        bytes: 0,
    }
}

/// What an agent that is started does, as the picture shows it.
pub(super) fn stage(start: &AgentStart) -> StageName {
    match &start.brief.ask {
        Ask::Write { .. } => StageName::Writing,
        Ask::Review { .. } => StageName::Reviewing,
        Ask::Compare { .. } => StageName::Comparing,
        Ask::Test { .. } => StageName::Testing,
        Ask::Try { .. } => StageName::Trying,
        Ask::Plan { .. } => StageName::Planning,
        Ask::Accept { .. } => StageName::Accepting,
    }
}
