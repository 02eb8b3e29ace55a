//! Owns the sum that a run has spent: tokens by model, priced, corrected by what the agent itself reports.
//! It must not read any agent's messages.

use std::collections::BTreeMap;

use turno_core::units::{CostBasis, MicroUsd, Price, Spend, Tokens};

/// The row of a price list that is dear enough for any model without a row of its own.
const ANY_MODEL: &str = "default";

/// A running sum.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    prices: BTreeMap<String, Price>,
    /// What the sum is at the least when a model has no price: the attempt's cap.
    reserve: MicroUsd,
    /// What the agent named, with the tokens it named for it.
    reported: (MicroUsd, Tokens),
    /// What was counted since, by the row of the price list; none for what has no row of its own. By row and not by model:
    /// an agent may name a new model in every line, and the sum is asked for after each.
    counted: BTreeMap<Option<String>, Tokens>,
    /// Everything that was ever counted, to hold beside what the agent names.
    all: BTreeMap<Option<String>, Tokens>,
    /// Answers of a model.
    turns: u32,
}

impl Meter {
    pub(crate) fn new(prices: &BTreeMap<String, Price>, reserve: MicroUsd) -> Self {
        Self {
            prices: prices.clone(),
            reserve,
            reported: (MicroUsd::ZERO, Tokens::default()),
            counted: BTreeMap::new(),
            all: BTreeMap::new(),
            turns: 0,
        }
    }

    /// A model has answered.
    pub(crate) fn turn(&mut self) {
        self.turns = self.turns.saturating_add(1);
    }

    /// Tokens that the agent has named a price for itself: they are held beside it, and cost nothing more.
    pub(crate) fn note(&mut self, model: &str, tokens: Tokens) {
        if tokens != Tokens::default() {
            let row = row_of(&self.prices, model).map(str::to_owned);
            *self.all.entry(row).or_default() += tokens;
        }
    }

    /// Tokens that were not counted before.
    pub(crate) fn count(&mut self, model: &str, tokens: Tokens) {
        self.note(model, tokens);
        if tokens != Tokens::default() {
            let row = row_of(&self.prices, model).map(str::to_owned);
            *self.counted.entry(row).or_default() += tokens;
        }
    }

    /// Money that the agent named and that was not part of a sum it named before.
    pub(crate) fn charge(&mut self, cost: MicroUsd) {
        self.reported.0 += cost;
    }

    /// The agent's own sum of everything so far: it replaces what was counted.
    pub(crate) fn correct(&mut self, cost: MicroUsd, tokens: Tokens) {
        self.reported = (cost, tokens);
        self.counted.clear();
    }

    /// The tokens behind the sum.
    pub(crate) fn tokens(&self) -> Tokens {
        let mut sum = self.reported.1;
        for tokens in self.counted.values() {
            sum += *tokens;
        }
        sum
    }

    /// The sum so far.
    pub(crate) fn spend(&self) -> Spend {
        let mut cost = self.reported.0;
        let mut basis = CostBasis::Reported;
        for (row, tokens) in &self.counted {
            match row.as_ref().and_then(|row| self.prices.get(row)) {
                Some(price) => {
                    cost += price.of(*tokens);
                    basis = basis.max(CostBasis::Estimated);
                }
                None => {
                    cost += self
                        .prices
                        .get(ANY_MODEL)
                        .map_or(MicroUsd::ZERO, |dear| dear.of(*tokens));
                    basis = CostBasis::Unknown;
                }
            }
        }
        if basis == CostBasis::Unknown {
            cost = cost.max(self.reserve);
        }
        Spend {
            cost,
            basis,
            tokens: self.tokens(),
            turns: self.turns,
            counted: self.by_the_list(),
        }
    }

    /// What everything that was counted costs by the price list; none where something has no price, or nothing was
    /// told.
    fn by_the_list(&self) -> Option<MicroUsd> {
        if self.all.is_empty() {
            return None;
        }
        let priced = self.all.iter().map(|(row, tokens)| {
            let price = row.as_ref().and_then(|row| self.prices.get(row))?;
            Some(price.of(*tokens))
        });
        priced.sum()
    }
}

/// The row with the longest name that the model's name begins with. What has none has no price, and a guess is no price.
fn row_of<'a>(prices: &'a BTreeMap<String, Price>, model: &str) -> Option<&'a str> {
    prices
        .keys()
        .map(String::as_str)
        .filter(|row| model.starts_with(row))
        .max_by_key(|row| row.len())
}

/// Dollars as a program writes them, rounded to the nearest millionth; anything absurd becomes nothing or the most.
pub(crate) fn dollars(usd: f64) -> MicroUsd {
    MicroUsd((usd * 1_000_000.0).round() as u64)
}

/// What `now` has more than `before`, kind by kind.
pub(crate) fn more(now: Tokens, before: Tokens) -> Tokens {
    Tokens {
        input: now.input.saturating_sub(before.input),
        output: now.output.saturating_sub(before.output),
        cache_read: now.cache_read.saturating_sub(before.cache_read),
        cache_write: now.cache_write.saturating_sub(before.cache_write),
    }
}

/// The larger of both, kind by kind.
pub(crate) fn most(a: Tokens, b: Tokens) -> Tokens {
    Tokens {
        input: a.input.max(b.input),
        output: a.output.max(b.output),
        cache_read: a.cache_read.max(b.cache_read),
        cache_write: a.cache_write.max(b.cache_write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn price(input: u64) -> Price {
        Price {
            input: MicroUsd(input),
            output: MicroUsd(0),
            cache_read: MicroUsd(0),
            cache_write: MicroUsd(0),
        }
    }

    #[rstest]
    #[case("big-2-20260101", 20)]
    #[case("big-1", 10)]
    #[case("default", 1)]
    fn the_longest_name_wins(#[case] model: &str, #[case] expected: u64) {
        let prices = [
            ("big", price(10_000_000)),
            ("big-2", price(20_000_000)),
            ("default", price(1_000_000)),
        ]
        .map(|(name, price)| (name.to_owned(), price));
        let mut meter = Meter::new(&prices.into(), MicroUsd(99));
        meter.count(
            model,
            Tokens {
                input: 1,
                ..Tokens::default()
            },
        );
        assert_eq!(meter.spend().cost, MicroUsd(expected));
        assert_eq!(meter.spend().basis, CostBasis::Estimated);
    }

    #[test]
    fn a_new_model_in_every_line_costs_no_more_memory_than_one() {
        let prices = [("big", price(10_000_000)), ("default", price(1_000_000))];
        let prices = prices.map(|(name, price)| (name.to_owned(), price));
        let mut meter = Meter::new(&prices.into(), MicroUsd(99));
        let one = Tokens {
            input: 1,
            ..Tokens::default()
        };
        for n in 0..1000 {
            meter.count(&format!("big-{n}"), one);
            meter.count(&format!("model-{n}"), one);
        }
        assert_eq!(meter.counted.len(), 2);
        assert_eq!(meter.spend().cost, MicroUsd(11_000));
    }

    #[test]
    fn a_model_without_a_price_is_a_guess_of_the_dearest_and_never_less_than_the_reserve() {
        let prices = [("big", price(10_000_000)), ("default", price(40_000_000))];
        let prices = prices.map(|(name, price)| (name.to_owned(), price));
        let mut meter = Meter::new(&prices.into(), MicroUsd(99));
        let some = |input| Tokens {
            input,
            ..Tokens::default()
        };
        meter.count("nobody knows it", some(1));
        let spend = meter.spend();
        assert_eq!((spend.cost, spend.basis), (MicroUsd(99), CostBasis::Unknown));
        assert_eq!(spend.counted, None, "nothing to hold beside what the agent says");
        meter.count("nobody knows it", some(9));
        meter.count("big-1", some(10));
        let spend = meter.spend();
        assert_eq!((spend.cost, spend.basis), (MicroUsd(500), CostBasis::Unknown));
    }

    #[test]
    fn what_the_agent_names_stands_beside_what_was_counted() {
        let prices = [("big".to_owned(), price(10_000_000))];
        let mut meter = Meter::new(&prices.into(), MicroUsd(99));
        let some = Tokens {
            input: 3,
            ..Tokens::default()
        };
        assert_eq!(meter.spend().counted, None, "nothing was told");
        meter.turn();
        meter.count("big-1", some);
        meter.correct(MicroUsd(50), some);
        let spend = meter.spend();
        assert_eq!(
            (spend.cost, spend.counted, spend.turns),
            (MicroUsd(50), Some(MicroUsd(30)), 1)
        );
        meter.charge(MicroUsd(5));
        meter.note("nobody knows it", some);
        assert_eq!((meter.spend().cost, meter.spend().counted), (MicroUsd(55), None));
    }

    #[test]
    fn without_a_price_the_sum_is_the_reserve() {
        let mut meter = Meter::new(&BTreeMap::new(), MicroUsd(99));
        assert_eq!(meter.spend(), Spend::NOTHING);
        meter.count(
            "m",
            Tokens {
                output: 1,
                ..Tokens::default()
            },
        );
        assert_eq!(
            (meter.spend().cost, meter.spend().basis),
            (MicroUsd(99), CostBasis::Unknown)
        );
        meter.correct(MicroUsd(5), Tokens::default());
        assert_eq!(
            (meter.spend().cost, meter.spend().basis),
            (MicroUsd(5), CostBasis::Reported)
        );
    }
}
