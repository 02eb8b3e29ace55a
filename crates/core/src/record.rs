//! Owns the journal's record: what happened, what followed, and what became of the entities.
//!
//! It holds the entities as they became, so the journal is also a redo log that needs no rules to be run again.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::event::Event;
use crate::ids::Seq;
use crate::state::{Entity, State};
use crate::step::step;
use crate::units::Timestamp;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place, counted from 1 without gaps.
    pub seq: Seq,
    /// When the event was taken in.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// What was decided.
    pub commands: Vec<Command>,
    /// The entities that changed, as they became.
    pub changes: Vec<Entity>,
}

impl Record {
    /// Takes an event into the state and writes down what that did.
    pub fn of(state: &mut State, seq: Seq, at: Timestamp, event: Event) -> Self {
        let before = state.clone();
        let commands = step(state, at, &event);
        let changes = state.changes_since(&before);
        Self {
            seq,
            at,
            event,
            commands,
            changes,
        }
    }

    /// Repeats what the record did, without any rule.
    pub fn redo(&self, state: &mut State) {
        for entity in &self.changes {
            state.put(entity.clone());
        }
    }
}
