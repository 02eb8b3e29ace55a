//! Owns what a person's word does to a level's limits: each measure gets another limit, or none any more, or stays as
//! it was.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ledger::{Allowance, Amount, Measure};
use crate::units::{MicroUsd, Span};

/// The word for no limit. People and records write it in the same way.
const NO_LIMIT: &str = "none";

/// What a person says of one measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound<T> {
    /// It has no limit any more, whatever is configured.
    Off(Off),
    /// So much.
    At(T),
}

/// That there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Off {
    /// The only word for it.
    #[serde(rename = "none")]
    NoLimit,
}

impl<T> Bound<T> {
    fn limit(self) -> Option<T> {
        match self {
            Self::Off(Off::NoLimit) => None,
            Self::At(limit) => Some(limit),
        }
    }
}

impl<T: FromStr> FromStr for Bound<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == NO_LIMIT {
            return Ok(Self::Off(Off::NoLimit));
        }
        text.parse().map(Self::At)
    }
}

/// What a person says of a level's limits. A measure that is absent stays as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowanceChange {
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Bound<MicroUsd>>,
    /// Tokens of every kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Bound<u64>>,
    /// The time that agents work, added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Bound<Span>>,
    /// Answers of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Bound<u32>>,
}

impl AllowanceChange {
    /// Everything stays as it was.
    pub const NOTHING: Self = Self {
        usd: None,
        tokens: None,
        wall: None,
        turns: None,
    };

    /// Whether everything stays as it was.
    pub fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// The limits that it sets.
    pub fn limits(self) -> Allowance {
        self.over(Allowance::NONE)
    }

    /// What a level may use that may use `before` without this.
    pub fn over(self, before: Allowance) -> Allowance {
        Allowance {
            usd: self.usd.map_or(before.usd, Bound::limit),
            tokens: self.tokens.map_or(before.tokens, Bound::limit),
            wall: self.wall.map_or(before.wall, Bound::limit),
            turns: self.turns.map_or(before.turns, Bound::limit),
        }
    }

    /// This, and then what `later` says.
    pub fn then(self, later: Self) -> Self {
        Self {
            usd: later.usd.or(self.usd),
            tokens: later.tokens.or(self.tokens),
            wall: later.wall.or(self.wall),
            turns: later.turns.or(self.turns),
        }
    }

    fn says(&self, measure: Measure) -> bool {
        match measure {
            Measure::Usd => self.usd.is_some(),
            Measure::Tokens => self.tokens.is_some(),
            Measure::Wall => self.wall.is_some(),
            Measure::Turns => self.turns.is_some(),
        }
    }
}

impl From<Allowance> for AllowanceChange {
    fn from(limits: Allowance) -> Self {
        Self {
            usd: limits.usd.map(Bound::At),
            tokens: limits.tokens.map(Bound::At),
            wall: limits.wall.map(Bound::At),
            turns: limits.turns.map(Bound::At),
        }
    }
}

impl fmt::Display for AllowanceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.limits();
        let parts: Vec<String> = Measure::ALL
            .into_iter()
            .filter(|m| self.says(*m))
            .map(|m| {
                let no_limit = || format!("no limit of {}", m.word());
                limits.of(m).map_or_else(no_limit, |amount| amount.to_string())
            })
            .collect();
        f.write_str(&parts.join(", "))
    }
}

impl Measure {
    /// Its name for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Usd => "money",
            Self::Tokens => "tokens",
            Self::Wall => "agents' time",
            Self::Turns => "turns",
        }
    }

    /// What `turno budget set` calls it, with a word in place of the new limit.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Usd => "--usd USD",
            Self::Tokens => "--tokens N",
            Self::Wall => "--wall TIME",
            Self::Turns => "--turns N",
        }
    }
}

impl Amount {
    /// Of what it is so much.
    pub fn measure(self) -> Measure {
        match self {
            Self::Usd(_) => Measure::Usd,
            Self::Tokens(_) => Measure::Tokens,
            Self::Wall(_) => Measure::Wall,
            Self::Turns(_) => Measure::Turns,
        }
    }
}

/// Nothing, in money: what records say that are older than limits in anything else.
impl Default for Amount {
    fn default() -> Self {
        Self::Usd(MicroUsd::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_turno_wrote_down_sets_limits() {
        let text = r#"{"usd":500000,"wall":"90m"}"#;
        let change: AllowanceChange = serde_json::from_str(text).unwrap();
        assert_eq!(change.limits().usd, Some(MicroUsd(500_000)));
        assert_eq!(change.limits().wall, Some(Span::seconds(5400)));
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
    }

    #[test]
    fn a_limit_is_taken_away_and_another_one_stays() {
        let text = r#"{"usd":"none","wall":"none"}"#;
        let change: AllowanceChange = serde_json::from_str(text).unwrap();
        let before = Allowance {
            usd: Some(MicroUsd(5)),
            turns: Some(7),
            ..Allowance::NONE
        };
        let after = change.over(before);
        assert_eq!((after.usd, after.turns), (None, Some(7)));
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
        assert_eq!(change.to_string(), "no limit of money, no limit of agents' time");
        assert_eq!(
            "none".parse(),
            Ok::<_, crate::ids::InvalidId>(change.usd.unwrap())
        );
    }
}
