//! Owns the metering of an agent that speaks the protocol: money where it names it, else its tokens.

use serde_json::Value;
use turno_core::units::{MicroUsd, Spend, Tokens};

use crate::dialect::Job;
use crate::meter::{Meter, dollars};
use crate::value::{list, number, text};

/// The sum of a run.
#[derive(Debug)]
pub(super) struct Usage {
    meter: Meter,
    model: String,
    /// What the conversation had cost before our first prompt, as far as it was told.
    before: MicroUsd,
    /// What the agent has named since, if it names money at all.
    named: Option<MicroUsd>,
    tokens: Tokens,
    shown: Spend,
}

impl Usage {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            meter: Meter::new(&job.prices, job.cap),
            model: String::new(),
            before: MicroUsd::ZERO,
            named: None,
            tokens: Tokens::default(),
            shown: Spend::NOTHING,
        }
    }

    /// The model that is used from now on.
    pub(super) fn model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// A sum that the agent tells before it is asked anything: an earlier run has paid for it.
    pub(super) fn told_before(&mut self, update: &Value) {
        self.before = cost(update).unwrap_or(self.before);
    }

    /// A sum that the agent tells while it works.
    pub(super) fn told(&mut self, update: &Value) -> Option<Spend> {
        let cost = cost(update)?;
        self.named = Some(MicroUsd(cost.0.saturating_sub(self.before.0)));
        self.settle()
    }

    /// What one turn used, by the answer to its prompt.
    pub(super) fn turn(&mut self, result: &Value) -> Option<Spend> {
        self.meter.turn();
        let quota = list(result, "/_meta/quota/model_usage");
        if quota.is_empty() {
            let tokens = turn_tokens(&result["usage"]);
            let model = self.model.clone();
            self.count(&model, tokens);
        }
        for entry in quota {
            let tokens = Tokens {
                input: number(entry, "/token_count/input_tokens").unwrap_or(0),
                output: number(entry, "/token_count/output_tokens").unwrap_or(0),
                ..Tokens::default()
            };
            self.count(text(entry, "/model").unwrap_or_default(), tokens);
        }
        self.settle()
    }

    fn count(&mut self, model: &str, tokens: Tokens) {
        self.tokens += tokens;
        self.meter.count(model, tokens);
    }

    fn settle(&mut self) -> Option<Spend> {
        if let Some(cost) = self.named {
            self.meter.correct(cost, self.tokens);
        }
        let spend = self.meter.spend();
        (spend != self.shown).then(|| {
            self.shown = spend;
            spend
        })
    }
}

/// Money in another currency is no sum that could be held against a cap.
fn cost(update: &Value) -> Option<MicroUsd> {
    let amount = update.pointer("/cost/amount").and_then(Value::as_f64)?;
    (text(update, "/cost/currency") == Some("USD")).then(|| dollars(amount))
}

fn turn_tokens(usage: &Value) -> Tokens {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
    Tokens {
        input: count("inputTokens"),
        // Thoughts are paid for as answers are, and are told beside them.
        output: count("outputTokens").saturating_add(count("thoughtTokens")),
        cache_read: count("cachedReadTokens"),
        cache_write: count("cachedWriteTokens"),
    }
}
