//! Owns the ledger's words: what may be used and what was, in money, tokens, time and turns, at which level. The sums
//! are in `ledger/sums.rs`; what follows from them, in `step/spending.rs`.

mod change;
mod level;
mod messages;
mod shown;
mod sums;
mod tokens;

pub use change::{AllowanceChange, Bound, Off};
pub use level::{Day, Level};
pub use messages::Messages;
pub use shown::{LedgerView, LevelView, ledger, levels};
pub use tokens::TokenCount;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::ids::{AgentName, PersonaName};
use crate::units::{CostBasis, MicroUsd, Span, Spend};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Money.
    Usd,
    /// Tokens of every kind, cached ones too.
    Tokens,
    /// The time that agents have worked, added up: two agents in one hour are two hours.
    Wall,
    /// Answers of a model.
    Turns,
}

impl Measure {
    /// Every measure, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Usd, Self::Tokens, Self::Wall, Self::Turns];
}

/// So much of one measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Money.
    Usd(MicroUsd),
    /// Tokens.
    Tokens(u64),
    /// Time.
    Wall(Span),
    /// Turns.
    Turns(u32),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usd(sum) => write!(f, "{sum}"),
            Self::Tokens(n) => write!(f, "{} tokens", TokenCount(*n)),
            Self::Wall(span) => write!(f, "{} of agents' time", Span(span.0 / 1000 * 1000)),
            Self::Turns(n) => write!(f, "{n} turns"),
        }
    }
}

/// What may be used, by whichever measures are set. What is not set has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<MicroUsd>,
    /// Tokens of every kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The time that agents work, added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Span>,
    /// Answers of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
}

impl Allowance {
    /// No limit of any kind.
    pub const NONE: Self = Self {
        usd: None,
        tokens: None,
        wall: None,
        turns: None,
    };

    /// Whether it limits nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The limit of one measure.
    pub fn of(&self, measure: Measure) -> Option<Amount> {
        match measure {
            Measure::Usd => self.usd.map(Amount::Usd),
            Measure::Tokens => self.tokens.map(Amount::Tokens),
            Measure::Wall => self.wall.map(Amount::Wall),
            Measure::Turns => self.turns.map(Amount::Turns),
        }
    }

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            usd: least(self.usd, other.usd),
            tokens: least(self.tokens, other.tokens),
            wall: least(self.wall, other.wall),
            turns: least(self.turns, other.turns),
        }
    }

    /// What is left of it after `used`; nothing where it is overspent.
    pub fn less(self, used: Used) -> Self {
        Self {
            usd: self.usd.map(|n| n.less(used.usd)),
            tokens: self.tokens.map(|n| n.saturating_sub(used.tokens)),
            wall: self.wall.map(|n| Span(n.0.saturating_sub(used.wall.0))),
            turns: self.turns.map(|n| n.saturating_sub(used.turns)),
        }
    }

    /// One of `n` equal shares of it, none of them empty unless this is.
    pub fn share(self, n: u64) -> Self {
        let n = n.max(1);
        Self {
            usd: self.usd.map(|sum| MicroUsd(sum.0 / n)),
            tokens: self.tokens.map(|sum| sum.div_ceil(n)),
            wall: self.wall.map(|sum| Span(sum.0.div_ceil(n))),
            turns: self
                .turns
                .map(|sum| sum.div_ceil(u32::try_from(n).unwrap_or(u32::MAX))),
        }
    }

    /// No measure's limit is less than that of `least`.
    pub fn at_least(self, least: Self) -> Self {
        Self {
            usd: self.usd.map(|n| n.max(least.usd.unwrap_or_default())),
            tokens: self.tokens.map(|n| n.max(least.tokens.unwrap_or_default())),
            wall: self.wall.map(|n| n.max(least.wall.unwrap_or_default())),
            turns: self.turns.map(|n| n.max(least.turns.unwrap_or_default())),
        }
    }

    /// A measure whose limit is zero, or used up by `used`.
    pub fn reached(&self, used: Used) -> Option<Measure> {
        let reached = |measure: &Measure| match measure {
            Measure::Usd => self.usd.is_some_and(|n| used.usd >= n),
            Measure::Tokens => self.tokens.is_some_and(|n| used.tokens >= n),
            Measure::Wall => self.wall.is_some_and(|n| used.wall >= n),
            Measure::Turns => self.turns.is_some_and(|n| used.turns >= n),
        };
        Measure::ALL.into_iter().find(reached)
    }

    /// How much of a measure's limit is used, in whole percent; none where it has no limit.
    pub fn percent(&self, measure: Measure, used: Used) -> Option<u64> {
        let percent = |used: u64, limit: u64| {
            let percent = u128::from(used) * 100 / u128::from(limit.max(1));
            u64::try_from(percent).unwrap_or(u64::MAX)
        };
        match measure {
            Measure::Usd => self.usd.map(|n| percent(used.usd.0, n.0)),
            Measure::Tokens => self.tokens.map(|n| percent(used.tokens, n)),
            Measure::Wall => self.wall.map(|n| percent(used.wall.0, n.0)),
            Measure::Turns => self.turns.map(|n| percent(used.turns.into(), n.into())),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = Measure::ALL
            .into_iter()
            .filter_map(|m| self.of(m))
            .map(|amount| amount.to_string())
            .collect();
        if parts.is_empty() {
            f.write_str("no limit")
        } else {
            f.write_str(&parts.join(", "))
        }
    }
}

/// What was used. Adds up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Money that counts against a budget.
    pub usd: MicroUsd,
    /// Of that, what is a guess at what nobody has priced.
    #[serde(default)]
    pub unknown: MicroUsd,
    /// Tokens of every kind.
    pub tokens: u64,
    /// The time that agents have worked.
    pub wall: Span,
    /// Answers of a model.
    pub turns: u32,
}

impl Used {
    /// Nothing but money.
    pub fn only(usd: MicroUsd) -> Self {
        Self {
            usd,
            ..Self::default()
        }
    }

    /// How much of one measure.
    pub fn of(&self, measure: Measure) -> Amount {
        match measure {
            Measure::Usd => Amount::Usd(self.usd),
            Measure::Tokens => Amount::Tokens(self.tokens),
            Measure::Wall => Amount::Wall(self.wall),
            Measure::Turns => Amount::Turns(self.turns),
        }
    }

    /// The larger of both, measure by measure.
    pub fn most(self, other: Self) -> Self {
        Self {
            usd: self.usd.max(other.usd),
            unknown: self.unknown.max(other.unknown),
            tokens: self.tokens.max(other.tokens),
            wall: self.wall.max(other.wall),
            turns: self.turns.max(other.turns),
        }
    }

    /// What one attempt used, by what it told and how long it ran.
    pub fn by(spend: Spend, tariff: Tariff, wall: Span) -> Self {
        let usd = match tariff {
            Tariff::Metered => spend.cost,
            Tariff::Flat => MicroUsd::ZERO,
        };
        Self {
            usd,
            unknown: match spend.basis {
                CostBasis::Unknown => usd,
                CostBasis::Reported | CostBasis::Estimated => MicroUsd::ZERO,
            },
            tokens: spend.tokens.sum(),
            wall,
            turns: spend.turns,
        }
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = Measure::ALL.into_iter().map(|m| self.of(m).to_string()).collect();
        f.write_str(&parts.join(", "))
    }
}

impl Add for Used {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            usd: self.usd + other.usd,
            unknown: self.unknown + other.unknown,
            tokens: self.tokens.saturating_add(other.tokens),
            wall: Span(self.wall.0.saturating_add(other.wall.0)),
            turns: self.turns.saturating_add(other.turns),
        }
    }
}

impl AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Used {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

/// How an agent's account is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tariff {
    /// By use: its dollars count.
    #[default]
    Metered,
    /// By the month: what its use would cost counts against no limit in dollars.
    Flat,
}

/// What agents say that they cost beside what Turno counted by its price list, over the attempts that have both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What the agents said.
    pub reported: MicroUsd,
    /// What Turno counted.
    pub counted: MicroUsd,
}

impl Compared {
    /// A difference of less than this is none: sums are rounded in the pricing of each message.
    const LEAST: MicroUsd = MicroUsd(1000);

    /// Whether both differ by what somebody should look at: one percent, and at least a tenth of a cent.
    pub fn differ(&self) -> bool {
        let (reported, counted) = (self.reported.0, self.counted.0);
        let by = reported.abs_diff(counted);
        by >= Self::LEAST.0 && by.saturating_mul(100) >= reported.max(counted)
    }
}

/// One level's page in the ledger: what attempts that have ended used, and what a person set for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub level: Level,
    /// Used by attempts that have ended.
    pub used: Used,
    /// The same by persona.
    #[serde(default)]
    pub personas: BTreeMap<PersonaName, Used>,
    /// The same by agent.
    #[serde(default)]
    pub agents: BTreeMap<AgentName, Used>,
    /// What the agents say beside what was counted.
    #[serde(default)]
    pub compared: Compared,
    /// What a person said of its limits while it was worked on: it goes before what is configured.
    #[serde(default)]
    pub set: AllowanceChange,
    /// The highest mark of each measure that was warned of, in percent.
    #[serde(default)]
    pub warned: BTreeMap<Measure, u64>,
}

/// The marks at which is warned, in percent of a limit.
pub const MARKS: [u64; 3] = [50, 80, 95];

/// So much of a limit is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Whose limit.
    pub level: Level,
    /// The mark that was passed, in percent.
    pub percent: u64,
    /// What is used.
    pub used: Amount,
    /// Of what.
    pub limit: Amount,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} has used {} % of its budget: {} of {}",
            self.level.phrase(),
            self.percent,
            self.used,
            self.limit
        )
    }
}

/// What a level lacks for a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Which level.
    pub level: Level,
    /// What is neither used nor promised.
    pub left: Amount,
    /// The least an attempt is started with.
    pub least: Amount,
}
