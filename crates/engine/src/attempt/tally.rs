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
    /// Tools that began and have not ended.
    tools: usize,
    /// What was heard of tools since the last sum.
    since: Tools,
    order: Order,
    turn: Turn,
}

/// What was heard of tools since a sum was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tools {
    Nothing,
    Began,
    Ended,
}

/// Where this agent tells what a message cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing was told yet.
    Unknown,
    /// Before the tools that it calls.
    ThenTools,
    /// After them.
    ToolsFirst,
}

/// Whether the agent may be in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Working,
    /// It was told to end, after so many messages.
    Ending(u32),
    /// It has said its last word, and what it cost.
    Over,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            spend: Spend::NOTHING,
            messages: Messages::default(),
            tools: 0,
            since: Tools::Nothing,
            order: Order::Unknown,
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
                if self.order == Order::Unknown {
                    self.order = match self.since {
                        Tools::Nothing => Order::ThenTools,
                        Tools::Began | Tools::Ended => Order::ToolsFirst,
                    };
                }
                self.since = Tools::Nothing;
            }
            Signal::ToolStarted(_) => {
                self.tools += 1;
                self.since = Tools::Began;
            }
            Signal::ToolEnded(_) => {
                self.tools = self.tools.saturating_sub(1);
                self.since = Tools::Ended;
            }
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

    /// It was told to end: what it is in is its last message.
    pub(crate) fn told_to_end(&mut self) {
        if self.turn == Turn::Working {
            self.turn = Turn::Ending(self.spend.turns);
        }
    }

    /// What an agent has spent that was cut off: a message that nobody has heard the cost of is taken at what its cheapest
    /// one cost.
    pub(crate) fn cut_off(&self) -> Spend {
        let unheard = self.messages.next();
        if !self.is_in_a_message() || unheard.0 == 0 {
            return self.spend;
        }
        Spend {
            cost: self.spend.cost + unheard,
            basis: self.spend.basis.max(CostBasis::Estimated),
            ..self.spend
        }
    }

    /// Whether there is a message whose cost was not told. The next one begins when the tools of the last have ended.
    fn is_in_a_message(&self) -> bool {
        let told = match self.turn {
            Turn::Over => return false,
            Turn::Ending(messages) => self.spend.turns > messages,
            Turn::Working => false,
        };
        match self.order {
            Order::Unknown => false,
            Order::ThenTools => !told && self.since == Tools::Ended && self.tools == 0,
            Order::ToolsFirst => !told,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use turno_core::units::MicroUsd;

    use super::*;

    /// `m` tells of a message that cost 10, `(` and `)` are a tool, `!` is when it is told to end, `.` its last word.
    fn booked(heard: &str) -> u64 {
        let mut tally = Tally::new();
        for c in heard.chars() {
            let before = tally.spend();
            if c == '!' {
                tally.told_to_end();
                continue;
            }
            tally.hear(&match c {
                'm' => Signal::Spent(Spend {
                    cost: before.cost + MicroUsd(10),
                    turns: before.turns + 1,
                    ..before
                }),
                '(' => Signal::ToolStarted(String::new()),
                ')' => Signal::ToolEnded(String::new()),
                '.' => Signal::CloseInput,
                other => panic!("{other}"),
            });
        }
        tally.cut_off().cost.0
    }

    #[rstest]
    #[case::nothing("", 0)]
    #[case::too_little_is_known("m()", 10)]
    #[case::the_tool_has_not_begun("m()m", 20)]
    #[case::the_tool_works("m()m(", 20)]
    #[case::one_of_two_tools_works("m()m(()", 20)]
    #[case::the_next_message_is_under_way("m()m()", 30)]
    #[case::it_was_told_after_the_kill("m()m()m", 30)]
    #[case::told_after_the_tools("()m()m", 30)]
    #[case::told_after_tools_that_work("()m()m(", 30)]
    #[case::it_is_told_to_end("()m()m!", 30)]
    #[case::its_last_message_was_heard("()m()m!()m", 30)]
    #[case::the_tools_of_its_last_one_were_too("m()m!m()", 30)]
    #[case::it_was_over("m()m().", 20)]
    fn a_message_that_nobody_heard_of_is_booked_once(#[case] heard: &str, #[case] sum: u64) {
        assert_eq!(booked(heard), sum);
    }
}
