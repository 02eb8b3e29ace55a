//! Owns the `[budget]` tables of `turno.toml`, of the levels and of an agent's account: their shape and what they mean.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use turno_core::config::Budgets;
use turno_core::ledger::{Allowance, Measure, TokenCount, Used};
use turno_core::units::{MicroUsd, Span};

use crate::config::error::Error;
use crate::config::file::Usd;
use crate::config::layer::Layers;

/// What may be used at the levels of the ledger.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetFile {
    pub(super) shift_usd: Usd,
    #[serde(default)]
    shift: WorkFile,
    #[serde(default)]
    task: AllowanceFile,
    #[serde(default)]
    issue: AllowanceFile,
    #[serde(default)]
    day: AllowanceFile,
}

/// The limits of one level.
#[derive(Debug, Default, Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowanceFile {
    usd: Option<Usd>,
    tokens: Option<Count>,
    wall: Option<Span>,
    turns: Option<Turns>,
}

/// The limits of a shift besides its money, which a flag may name.
#[derive(Debug, Default, Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkFile {
    tokens: Option<Count>,
    wall: Option<Span>,
    turns: Option<Turns>,
}

impl AllowanceFile {
    /// As the core knows it.
    pub(super) fn allowance(self) -> Allowance {
        Allowance {
            usd: self.usd.map(|n| n.0),
            tokens: self.tokens.map(|n| n.0.0),
            wall: self.wall,
            turns: self.turns.map(|n| n.0),
        }
    }
}

impl BudgetFile {
    /// What each level may use. A shift's money is named when it is started.
    pub(super) fn levels(&self) -> Budgets {
        Budgets {
            task: self.task.allowance(),
            issue: self.issue.allowance(),
            shift: Allowance {
                usd: None,
                tokens: self.shift.tokens.map(|n| n.0.0),
                wall: self.shift.wall,
                turns: self.shift.turns.map(|n| n.0),
            },
            day: self.day.allowance(),
        }
    }
}

/// Tokens, as a number or like `2M`.
#[derive(Debug, Clone, Copy)]
struct Count(TokenCount);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tokens;
        impl Visitor<'_> for Tokens {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of tokens, like 500000, \"500k\" or \"2M\"")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Count, E> {
                self.visit_str(&v.to_string())
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Count, E> {
                self.visit_str(&v.to_string())
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Count, E> {
                v.parse().map(Count).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Tokens)
    }
}

/// A number of turns.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(transparent)]
struct Turns(u32);

/// Limits that start nothing are mistakes.
///
/// # Errors
/// At the first of them.
pub(super) fn check(
    budgets: &Budgets,
    agents: &std::collections::BTreeMap<turno_core::ids::AgentName, turno_core::config::AgentLimits>,
    least: MicroUsd,
    layers: &Layers,
) -> Result<(), Error> {
    let levels = [
        ("task", budgets.task),
        ("issue", budgets.issue),
        ("shift", budgets.shift),
        ("day", budgets.day),
    ];
    for (name, allowance) in levels {
        one(allowance, &["budget", name], least, layers)?;
    }
    for (name, limits) in agents {
        one(
            limits.allowance,
            &["agents", name.as_str(), "budget"],
            least,
            layers,
        )?;
    }
    Ok(())
}

fn one(allowance: Allowance, at: &[&str], least: MicroUsd, layers: &Layers) -> Result<(), Error> {
    let at = |key: &'static str| [at, &[key]].concat();
    if allowance.usd.is_some_and(|usd| usd < least) {
        let why = format!(
            "no attempt is started with less than {least}; set it to more, or leave it out for no limit"
        );
        return Err(layers.wrong(&at("usd"), why));
    }
    match allowance.reached(Used::default()) {
        None => Ok(()),
        Some(measure) => {
            let key = match measure {
                Measure::Usd => "usd",
                Measure::Tokens => "tokens",
                Measure::Wall => "wall",
                Measure::Turns => "turns",
            };
            let why = "a limit of nothing starts nothing; set it to more, or leave it out for no limit";
            Err(layers.wrong(&at(key), why))
        }
    }
}
