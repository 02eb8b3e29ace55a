//! Owns what it means that a person holds a task: they are attached to it, or have put it aside. Nothing is started for
//! it meanwhile. What is done about it is decided in `step/holding.rs`.

use serde::{Deserialize, Serialize};

use crate::ids::{AttemptId, SlotId};
use crate::units::Timestamp;
use crate::work::Change;

/// The first slot that is lent to a person: those of agents are numbered from 1 on, and never come so far.
pub const FIRST_SLOT: u16 = 500;

/// Whether a person holds a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Nobody does.
    #[default]
    Free,
    /// Somebody is attached to it.
    Attached(Visit),
    /// Somebody has put it aside until they give it back.
    Kept {
        /// Since when.
        since: Timestamp,
    },
}

impl Hold {
    /// Whether nothing may be started.
    pub fn is_held(&self) -> bool {
        match self {
            Self::Free => false,
            Self::Attached(_) | Self::Kept { .. } => true,
        }
    }

    /// Who is attached, if somebody is.
    pub fn visit(&self) -> Option<&Visit> {
        match self {
            Self::Attached(visit) => Some(visit),
            Self::Free | Self::Kept { .. } => None,
        }
    }

    /// Whether there is nothing to say of it.
    pub fn is_free(&self) -> bool {
        !self.is_held()
    }

    /// In words for people.
    pub fn phrase(&self) -> &'static str {
        match self {
            Self::Free => "nobody holds it",
            Self::Attached(_) => "you are attached",
            Self::Kept { .. } => "you keep it aside; `turno attach TASK --release` gives it back",
        }
    }
}

/// A person at work on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Its id, the fencing token. It is an attempt's, so that its files and its branch are nobody else's.
    pub attempt: AttemptId,
    /// Where they work.
    pub slot: SlotId,
    /// Since when.
    pub since: Timestamp,
    /// How long the end of a shift waits for them.
    pub waited_for: WaitedFor,
}

/// Whether the end of a shift waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitedFor {
    /// Until then.
    Until(Timestamp),
    /// Not any more.
    NoMore,
}

impl WaitedFor {
    /// When it ends, if it has not ended.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(at),
            Self::NoMore => None,
        }
    }
}

/// What a person has left in the slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brought {
    /// What they found there.
    Nothing,
    /// This.
    Change(Box<Change>),
}

/// How a person has left a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// They are done: it goes on with what they brought.
    GoesOn,
    /// They put it aside, with what they brought.
    Kept,
    /// They were found gone: what was there is a beginning, and nobody says that it is done.
    Lost,
}
