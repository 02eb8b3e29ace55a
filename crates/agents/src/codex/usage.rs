//! Owns the metering of codex: it tells a sum of tokens for each thread, and never money.

use std::collections::BTreeMap;

use serde_json::Value;
use turno_core::units::{Spend, Tokens};

use crate::dialect::Job;
use crate::meter::{Meter, more};
use crate::value::{number, text};

/// The sum of a run.
#[derive(Debug)]
pub(super) struct Usage {
    meter: Meter,
    model: String,
    /// What each thread had used the last time it told. A thread's sum includes what it used before this run.
    used: BTreeMap<String, Tokens>,
    shown: Spend,
}

/// When a thread tells what it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Before our turn: what an earlier run has paid for.
    BeforeTheTurn,
    /// While it works.
    Working,
}

impl Usage {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            meter: Meter::new(&job.prices, job.cap),
            model: String::new(),
            used: BTreeMap::new(),
            shown: Spend::NOTHING,
        }
    }

    /// The model that is used from now on.
    pub(super) fn model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// A thread tells its sum. The run's sum is returned if it is another one than the last time.
    pub(super) fn update(&mut self, params: &Value, told: Told) -> Option<Spend> {
        let thread = text(params, "/threadId")?;
        let total = tokens(&params["tokenUsage"]["total"]);
        let last = tokens(&params["tokenUsage"]["last"]);
        let before = match (self.used.get(thread), told) {
            (Some(before), _) => *before,
            (None, Told::BeforeTheTurn) => total,
            (None, Told::Working) => more(total, last),
        };
        self.used.insert(thread.to_owned(), total);
        let new = more(total, before);
        if new != Tokens::default() {
            self.meter.turn();
        }
        self.meter.count(&self.model, new);
        let spend = self.meter.spend();
        (spend != self.shown).then(|| {
            self.shown = spend;
            spend
        })
    }
}

/// Tokens as codex counts them: its input includes the cached ones, ours does not.
fn tokens(usage: &Value) -> Tokens {
    let count = |name: &str| number(usage, &format!("/{name}")).unwrap_or(0);
    let (read, written) = (count("cachedInputTokens"), count("cacheWriteInputTokens"));
    Tokens {
        input: count("inputTokens").saturating_sub(read).saturating_sub(written),
        output: count("outputTokens"),
        cache_read: read,
        cache_write: written,
    }
}
