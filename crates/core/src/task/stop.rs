//! Owns why something that runs for a task is stopped, and whether it was told so.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// Whether a running attempt has been told to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopping {
    /// It works.
    No,
    /// It was told to stop at that time; its end has not been reported yet.
    Asked {
        /// Why.
        why: StopWhy,
        /// When.
        at: Timestamp,
    },
}

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopWhy {
    /// It ran longer than its wall-clock limit.
    WallClock,
    /// Nothing was seen of it, or no progress, for longer than the policy has patience.
    Stalled,
    /// It reached its own cap, in money, tokens or turns.
    AttemptBudget,
    /// The budget of its task is spent.
    TaskBudget,
    /// The budget of its issue is spent.
    IssueBudget,
    /// Its agent's account has used what it may in a day.
    AgentBudget,
    /// The shift's budget is spent.
    ShiftBudget,
    /// The budget of the day is spent.
    DayBudget,
    /// A person stopped the shift.
    Asked,
    /// A person discarded the task.
    Discarded,
    /// A person attached to the task.
    Taken,
    /// A person sent back the change that it is about.
    Remarked,
}

impl StopWhy {
    /// Whether it is stopped because of what it costs.
    pub fn is_about_money(self) -> bool {
        match self {
            Self::AttemptBudget
            | Self::TaskBudget
            | Self::IssueBudget
            | Self::AgentBudget
            | Self::ShiftBudget
            | Self::DayBudget => true,
            Self::WallClock
            | Self::Stalled
            | Self::Asked
            | Self::Discarded
            | Self::Taken
            | Self::Remarked => false,
        }
    }

    /// A short phrase for people.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::WallClock => "its time limit was reached",
            Self::Stalled => "nothing was seen of it, or no progress, for too long",
            Self::AttemptBudget => "its cap was reached",
            Self::TaskBudget => "the budget of its task was spent",
            Self::IssueBudget => "the budget of its issue was spent",
            Self::AgentBudget => "its agent has used what it may in a day",
            Self::ShiftBudget => "the budget of the shift was spent",
            Self::DayBudget => "the budget of the day was spent",
            Self::Asked => "a person asked for it",
            Self::Discarded => "its task was discarded",
            Self::Taken => "a person attached to its task",
            Self::Remarked => "a person sent the change back",
        }
    }
}
