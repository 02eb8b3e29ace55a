//! Owns the units: points in time, spans, money and tokens, as integers with saturating arithmetic.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;

/// A point in time: milliseconds since 1970 UTC. The core is given the time, it never asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same point on a clock that was set forward by so many milliseconds, or back where that is negative.
    pub fn moved(self, by: i64) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// So long before this.
    pub fn before(self, span: Span) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

/// A length of time in milliseconds. Written by people as `500ms`, `90s`, `15m`, `2h`, `30d`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Span(pub u64);

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// This span doubled `n` times.
    pub fn doubled(self, n: u32) -> Self {
        Self(self.0.saturating_mul(1u64.checked_shl(n).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "0s"),
            n if n % 3_600_000 == 0 => write!(f, "{}h", n / 3_600_000),
            n if n % 60_000 == 0 => write!(f, "{}m", n / 60_000),
            n if n % 1000 == 0 => write!(f, "{}s", n / 1000),
            n => write!(f, "{n}ms"),
        }
    }
}

impl FromStr for Span {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "length of time",
            rule: "a whole number with a unit is expected: 500ms, 90s, 15m, 2h or 30d",
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(invalid()),
        };
        let number: u64 = number.parse().map_err(|_| invalid())?;
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

/// Money: millionths of a US dollar. Written by people as `5` or `0.25`, in dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// What is left of this after `spent`; zero when it is overspent.
    pub fn less(self, spent: Self) -> Self {
        Self(self.0.saturating_sub(spent.0))
    }
}

impl Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if micros % 10_000 == 0 {
            write!(f, "${dollars}.{:02}", micros / 10_000)
        } else {
            write!(f, "${dollars}.{:04}", micros / 100)
        }
    }
}

impl FromStr for MicroUsd {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "sum of money",
            rule: "US dollars are expected, like 5 or 0.25, with at most six decimals",
        };
        let plain = text.strip_prefix('$').unwrap_or(text);
        let (dollars, decimals) = plain.split_once('.').unwrap_or((plain, "0"));
        let digits = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit());
        if !digits(dollars) || !digits(decimals) || decimals.len() > 6 {
            return Err(invalid());
        }
        let dollars: u64 = dollars.parse().map_err(|_| invalid())?;
        let micros: u64 = format!("{decimals:0<6}").parse().map_err(|_| invalid())?;
        dollars
            .checked_mul(1_000_000)
            .and_then(|d| d.checked_add(micros))
            .map(Self)
            .ok_or_else(invalid)
    }
}

/// How sure a sum of money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostBasis {
    /// The agent itself named the sum.
    Reported,
    /// Turno computed it from tokens and a price list.
    Estimated,
    /// Nothing is known of it; the sum is the pessimistic reserve.
    Unknown,
}

/// Tokens as a model provider counts them. `input` does not include the cached ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Prompt tokens at the full price.
    pub input: u64,
    /// Answer tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
    }
}

impl Tokens {
    /// All of them.
    pub fn sum(self) -> u64 {
        let prompt = self.input.saturating_add(self.cache_read);
        prompt
            .saturating_add(self.cache_write)
            .saturating_add(self.output)
    }
}

/// What one attempt has spent so far, in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// The sum.
    pub cost: MicroUsd,
    /// How sure the sum is.
    pub basis: CostBasis,
    /// The tokens behind it.
    pub tokens: Tokens,
    /// Answers of a model, as far as the agent tells them apart.
    #[serde(default)]
    pub turns: u32,
    /// What Turno counted by the price list, whatever the agent says; none where something has no price, or the agent
    /// did not tell its tokens.
    #[serde(default)]
    pub counted: Option<MicroUsd>,
}

impl Spend {
    /// Nothing spent.
    pub const NOTHING: Self = Self {
        cost: MicroUsd::ZERO,
        basis: CostBasis::Reported,
        tokens: Tokens {
            input: 0,
            output: 0,
            cache_read: 0,
            cache_write: 0,
        },
        turns: 0,
        counted: None,
    };
}

/// What a model costs: millionths of a dollar for one million tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Prompt tokens.
    pub input: MicroUsd,
    /// Answer tokens.
    pub output: MicroUsd,
    /// Prompt tokens read from cache.
    pub cache_read: MicroUsd,
    /// Prompt tokens written to cache.
    pub cache_write: MicroUsd,
}

impl Price {
    /// What `tokens` cost, rounded up to the next millionth of a dollar.
    pub fn of(&self, tokens: Tokens) -> MicroUsd {
        let part = |count: u64, price: MicroUsd| u128::from(count) * u128::from(price.0);
        let sum = part(tokens.input, self.input)
            + part(tokens.output, self.output)
            + part(tokens.cache_read, self.cache_read)
            + part(tokens.cache_write, self.cache_write);
        MicroUsd(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("5", 5_000_000)]
    #[case("$0.25", 250_000)]
    #[case("0.000001", 1)]
    fn money_is_read(#[case] text: &str, #[case] micros: u64) {
        assert_eq!(text.parse(), Ok(MicroUsd(micros)));
    }

    #[rstest]
    #[case("")]
    #[case("-1")]
    #[case("1e3")]
    #[case("1.0000001")]
    #[case(".5")]
    fn money_that_is_none_is_refused(#[case] text: &str) {
        assert!(text.parse::<MicroUsd>().is_err());
    }

    #[rstest]
    #[case(0, "$0.00")]
    #[case(1_250_000, "$1.25")]
    #[case(1_234_500, "$1.2345")]
    fn money_is_shown(#[case] micros: u64, #[case] text: &str) {
        assert_eq!(MicroUsd(micros).to_string(), text);
    }

    #[rstest]
    #[case("90s", 90_000)]
    #[case("2h", 7_200_000)]
    #[case("500ms", 500)]
    #[case("30d", 2_592_000_000)]
    fn spans_survive_a_round_trip(#[case] text: &str, #[case] ms: u64) {
        let span: Span = text.parse().unwrap();
        assert_eq!(span, Span(ms));
        assert_eq!(span.to_string().parse(), Ok(span));
    }

    #[test]
    fn a_price_rounds_up() {
        let price = Price {
            input: MicroUsd(3_000_000),
            output: MicroUsd(15_000_000),
            cache_read: MicroUsd(300_000),
            cache_write: MicroUsd(3_750_000),
        };
        let tokens = Tokens {
            input: 1,
            output: 0,
            cache_read: 1,
            cache_write: 0,
        };
        assert_eq!(price.of(tokens), MicroUsd(4));
    }
}
