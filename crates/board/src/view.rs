//! Owns what programs and pages are shown: one struct for each answer, made from the state and the journal by pure
//! functions. Pages use the same ones. Ids are written as in the journal, times are milliseconds since 1970 UTC, money
//! is millionths of a US dollar; fields are added and none changes its meaning. Text from outside is data.

pub mod account;
pub mod attempt;
pub mod board;
pub mod decision;
pub mod event;
pub mod issue;
pub mod plan;
pub mod shift;
pub mod symphony;
pub mod task;
pub mod things;

use serde::Serialize;
use turno_core::ledger::{Allowance, LevelView, Used};
use turno_core::units::{MicroUsd, Timestamp, Tokens};
use utoipa::ToSchema;

/// The word for a variant, as the journal writes it.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(serde_json::Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        Ok(_) | Err(_) => String::new(),
    }
}

/// Tokens as a model provider counts them; `input` does not include the cached ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokensView {
    /// Prompt tokens at the full price.
    pub input: u64,
    /// Answer tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
}

impl From<Tokens> for TokensView {
    fn from(tokens: Tokens) -> Self {
        Self {
            input: tokens.input,
            output: tokens.output,
            cache_read: tokens.cache_read,
            cache_write: tokens.cache_write,
        }
    }
}

/// So much of each measure; what is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AmountsView {
    /// Money.
    #[schema(value_type = Option<u64>)]
    pub usd: Option<MicroUsd>,
    /// Tokens of every kind.
    pub tokens: Option<u64>,
    /// The time that agents work, added up, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Answers of a model.
    pub turns: Option<u32>,
}

impl From<Allowance> for AmountsView {
    fn from(allowance: Allowance) -> Self {
        Self {
            usd: allowance.usd,
            tokens: allowance.tokens,
            wall_ms: allowance.wall.map(|w| w.0),
            turns: allowance.turns,
        }
    }
}

impl From<Used> for AmountsView {
    fn from(used: Used) -> Self {
        Self {
            usd: Some(used.usd),
            tokens: Some(used.tokens),
            wall_ms: Some(used.wall.0),
            turns: Some(used.turns),
        }
    }
}

/// One level of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetView {
    /// Which, like `day/2026-03-31`, `shift/S1`, `issue/1`, `task/1.2`.
    pub level: String,
    /// The same for people.
    pub title: String,
    /// What it may use.
    pub limit: AmountsView,
    /// What it has used, with the attempts that run.
    pub used: AmountsView,
    /// What it has used or promised to attempts that run.
    pub promised: AmountsView,
    /// What it has neither used nor promised, of each limit it has.
    pub left: AmountsView,
}

impl BudgetView {
    pub(crate) fn of(view: &LevelView) -> Self {
        Self {
            level: view.level.to_string(),
            title: view.level.phrase(),
            limit: view.limit.into(),
            used: view.used.into(),
            promised: view.promised.into(),
            left: view.left.into(),
        }
    }
}

/// A time as RFC 3339 writes it, to the second.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let day = turno_core::ledger::Day::of(at);
    let of_day = at.0.rem_euclid(86_400_000) / 1000;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_others_write_it() {
        assert_eq!(rfc3339(Timestamp(1_767_312_245_678)), "2026-01-02T00:04:05Z");
        assert_eq!(rfc3339(Timestamp(-1000)), "1969-12-31T23:59:59Z");
    }
}
