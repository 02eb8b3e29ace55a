//! Owns the sum that an attempt has spent as its listener knows it, and what an attempt that was cut off has spent beside
//! that: nobody tells what a message costs that is under way when its agent is ended.

use turno_agents::dialect::Signal;
use turno_core::ledger::Messages;
use turno_core::units::{CostBasis, Spend};

/// What was heard of one attempt's spending.
#[derive(Debug)]
pub(crate) struct Tally {
    spend: Spend,
    messages: Messages,
    /// Tools that began and have not ended: while one works, the model does not.
    tools: usize,
    turn: Turn,
}

/// Whether the agent may be in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Working,
    /// It has said its last word, and what it cost.
    Over,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            spend: Spend::NOTHING,
            messages: Messages::default(),
            tools: 0,
            turn: Turn::Working,
        }
    }

    /// What has been told.
    pub(crate) fn spend(&self) -> Spend {
        self.spend
    }

    pub(crate) fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::Spent(spend) => {
                self.spend = *spend;
                self.messages.hear(spend);
            }
            Signal::ToolStarted(_) => self.tools += 1,
            Signal::ToolEnded(_) => self.tools = self.tools.saturating_sub(1),
            Signal::CloseInput => self.turn = Turn::Over,
            Signal::Session(_)
            | Signal::Text(_)
            | Signal::Notice(_)
            | Signal::Quota(_)
            | Signal::HeldOff(_)
            | Signal::Asked { .. }
            | Signal::Leaving { .. }
            | Signal::Send(_)
            | Signal::Heard { .. } => {}
        }
    }

    /// What an agent has spent that was cut off: the message that was under way is taken at what its cheapest one cost.
    pub(crate) fn cut_off(&self) -> Spend {
        let unheard = self.messages.next();
        if self.turn == Turn::Over || self.tools > 0 || unheard.0 == 0 {
            return self.spend;
        }
        Spend {
            cost: self.spend.cost + unheard,
            basis: self.spend.basis.max(CostBasis::Estimated),
            ..self.spend
        }
    }
}
