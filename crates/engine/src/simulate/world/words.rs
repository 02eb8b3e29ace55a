//! Owns short words for the values that the hands of a simulated night give back.

use turno_core::brief::Ask;
use turno_core::check::LogRef;
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::ids::{AttemptId, SlotId};
use turno_core::units::{CostBasis, MicroUsd, Spend};

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

pub(super) fn with_spend(event: Event, micros: u64) -> Event {
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
            spend: spend(micros),
            left,
            transcript,
        },
        other => other,
    }
}

pub(super) fn spend(micros: u64) -> Spend {
    Spend {
        cost: MicroUsd(micros),
        basis: CostBasis::Estimated,
        ..Spend::NOTHING
    }
}

pub(super) fn no_log() -> LogRef {
    LogRef {
        path: String::new(),
        bytes: 0,
    }
}

/// A command that starts an agent, as the picture names it.
pub(super) fn verb(start: &AgentStart) -> &'static str {
    match &start.brief.ask {
        Ask::Write { .. } => "write",
        Ask::Review { .. } => "review",
        Ask::Compare { .. } => "judge",
        Ask::Test { .. } => "test",
        Ask::Try { .. } => "try",
        Ask::Plan { .. } => "plan",
        Ask::Accept { .. } => "accept",
    }
}
