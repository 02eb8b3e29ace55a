//! Owns what the messages of one attempt cost, as far as that can be told from its running sum. What it says of a message
//! to come is the least that any message has cost: a guess that is rather too low.

use serde::{Deserialize, Serialize};

use crate::units::{CostBasis, MicroUsd, Spend};

/// The messages of one attempt so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// How many were told of.
    turns: u32,
    /// What had been spent before the latest one.
    before: MicroUsd,
    /// What has been spent.
    sum: MicroUsd,
    /// The cheapest of those before the latest one, whose cost may still grow.
    cheapest: Option<MicroUsd>,
}

impl Messages {
    /// Takes in a running sum.
    pub fn hear(&mut self, spend: &Spend) {
        // A guess at the whole attempt is not the price of a message.
        if spend.basis == CostBasis::Unknown {
            return;
        }
        if spend.turns > self.turns {
            let more = MicroUsd(spend.cost.less(self.sum).0 / u64::from(spend.turns - self.turns));
            if self.turns > 0 {
                self.take(self.sum.less(self.before));
            }
            // Several at once: all but the last are over.
            if spend.turns - self.turns > 1 {
                self.take(more);
            }
            self.turns = spend.turns;
            self.before = spend.cost.less(more).max(self.sum);
        }
        self.sum = self.sum.max(spend.cost);
    }

    fn take(&mut self, cost: MicroUsd) {
        if cost > MicroUsd::ZERO {
            self.cheapest = Some(self.cheapest.map_or(cost, |least| least.min(cost)));
        }
    }

    /// What one more message costs at the least, by those that were told of; nothing while fewer than two were: what a
    /// whole attempt has cost may be told as if it were one message.
    pub fn next(&self) -> MicroUsd {
        self.cheapest.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn after(told: &[(u32, u64)]) -> u64 {
        let mut messages = Messages::default();
        for (turns, cost) in told {
            messages.hear(&Spend {
                cost: MicroUsd(*cost),
                turns: *turns,
                ..Spend::NOTHING
            });
        }
        messages.next().0
    }

    #[rstest]
    #[case::nothing(&[], 0)]
    #[case::one_that_may_still_grow(&[(1, 5)], 0)]
    #[case::a_whole_attempt(&[(0, 0), (1, 50)], 0)]
    #[case::the_first_is_over(&[(1, 5), (2, 6)], 5)]
    #[case::each_grows_while_it_is_written(&[(1, 5), (1, 50), (2, 51), (2, 70), (3, 71)], 20)]
    #[case::dear_ones_later_change_nothing(&[(1, 5), (2, 50), (3, 51)], 5)]
    #[case::several_at_once(&[(4, 40)], 10)]
    #[case::free_ones_say_nothing(&[(1, 0), (2, 0), (3, 9), (4, 9)], 9)]
    #[case::a_sum_that_shrinks(&[(1, 50), (2, 10), (3, 60)], 50)]
    #[case::not_told_apart(&[(0, 50), (0, 70)], 0)]
    fn the_cheapest_message_that_is_over_is_the_least_that_another_costs(
        #[case] told: &[(u32, u64)],
        #[case] expected: u64,
    ) {
        assert_eq!(after(told), expected);
    }

    #[test]
    fn a_guess_is_no_price() {
        let mut messages = Messages::default();
        for turns in 1..4 {
            messages.hear(&Spend {
                cost: MicroUsd(1_000),
                basis: CostBasis::Unknown,
                turns,
                ..Spend::NOTHING
            });
        }
        assert_eq!(messages.next(), MicroUsd::ZERO);
    }
}
