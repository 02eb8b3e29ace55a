//! Owns the metering of opencode: each step tells its tokens, and a cost where its own configuration has a price.

use std::collections::BTreeSet;

use serde_json::Value;
use turno_core::units::{Spend, Tokens};

use crate::dialect::Job;
use crate::meter::{Meter, dollars};
use crate::value::{number, text};

/// The sum of a run, over all its sessions.
#[derive(Debug)]
pub(super) struct Usage {
    meter: Meter,
    /// Steps that are counted.
    counted: BTreeSet<String>,
    reported: Tokens,
}

impl Usage {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            meter: Meter::new(&job.prices, job.cap),
            counted: BTreeSet::new(),
            reported: Tokens::default(),
        }
    }

    /// A step has ended. The sum so far, unless the step was counted before.
    pub(super) fn step(&mut self, part: &Value, model: &str) -> Option<Spend> {
        let id = text(part, "/id")?;
        if !self.counted.insert(id.to_owned()) {
            return None;
        }
        let tokens = tokens(&part["tokens"]);
        self.meter.turn();
        match part["cost"].as_f64() {
            Some(cost) if cost > 0.0 => {
                self.meter.charge(dollars(cost));
                self.meter.note(model, tokens);
                self.reported += tokens;
            }
            // No price is known to it; a model without one and a model that costs nothing look the same.
            Some(_) | None => self.meter.count(model, tokens),
        }
        let mut spend = self.meter.spend();
        spend.tokens += self.reported;
        Some(spend)
    }
}

/// Tokens as opencode counts them: its input is without the cached ones, as is ours; reasoning is billed as output.
fn tokens(tokens: &Value) -> Tokens {
    let count = |at: &str| number(tokens, at).unwrap_or(0);
    Tokens {
        input: count("/input"),
        output: count("/output").saturating_add(count("/reasoning")),
        cache_read: count("/cache/read"),
        cache_write: count("/cache/write"),
    }
}
