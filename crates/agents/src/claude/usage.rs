//! Owns the metering of Claude Code: every message of the API exactly once, whichever events carry it.

use std::collections::BTreeMap;

use serde_json::Value;
use turno_core::units::{Spend, Tokens};

use crate::dialect::Job;
use crate::meter::{Meter, dollars, more, most};
use crate::value::{number, text};

/// The model that the CLI names where no model spoke.
const SYNTHETIC: &str = "<synthetic>";

/// The sum of a run. One message is told of by several events, each knowing more tokens than the one before:
/// the most that was said of a message counts, and only what is new of it is added.
#[derive(Debug)]
pub(super) struct Usage {
    meter: Meter,
    messages: BTreeMap<String, Tokens>,
    /// The message in flight, by the subagent it belongs to; the main one's name is empty.
    streaming: BTreeMap<String, (String, String)>,
    shown: Spend,
}

impl Usage {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            meter: Meter::new(&job.prices, job.cap),
            messages: BTreeMap::new(),
            streaming: BTreeMap::new(),
            shown: Spend::NOTHING,
        }
    }

    /// The sum, if it is another one than the last time.
    pub(super) fn news(&mut self) -> Option<Spend> {
        let spend = self.meter.spend();
        (spend != self.shown).then(|| {
            self.shown = spend;
            spend
        })
    }

    /// A raw event of the provider's stream.
    pub(super) fn stream_event(&mut self, line: &Value) {
        let parent = text(line, "/parent_tool_use_id").unwrap_or_default();
        match text(line, "/event/type") {
            Some("message_start") => {
                let Some(id) = text(line, "/event/message/id") else {
                    return;
                };
                let model = text(line, "/event/message/model").unwrap_or_default();
                self.streaming
                    .insert(parent.to_owned(), (id.to_owned(), model.to_owned()));
                let tokens = tokens(line.pointer("/event/message/usage"));
                self.message(id, model, tokens);
            }
            Some("message_delta") => {
                if let Some((id, model)) = self.streaming.get(parent).cloned() {
                    self.message(&id, &model, tokens(line.pointer("/event/usage")));
                }
            }
            _ => {}
        }
    }

    /// A whole block of a message. Its output tokens are those known when the message began, unless it came
    /// without a stream.
    pub(super) fn assistant(&mut self, line: &Value) {
        let Some(id) = text(line, "/message/id") else {
            return;
        };
        let model = text(line, "/message/model").unwrap_or_default();
        self.message(id, model, tokens(line.pointer("/message/usage")));
    }

    /// The end of a subagent. It carries the usage of its last message, which is never shown; of those before it
    /// only the beginnings are, so the sum is a little low until the result corrects it.
    pub(super) fn subagent_ended(&mut self, call: &str, result: &Value) {
        if let Some(model) = text(result, "/resolvedModel") {
            let id = format!("last of {call}");
            self.message(&id, model, tokens(result.pointer("/usage")));
        }
    }

    /// The sum by the agent's own account, over all its turns.
    pub(super) fn result(&mut self, line: &Value) {
        let Some(usd) = line.pointer("/total_cost_usd").and_then(Value::as_f64) else {
            return;
        };
        let mut sum = Tokens::default();
        for model in line
            .pointer("/modelUsage")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(serde_json::Map::values)
        {
            sum += Tokens {
                input: number(model, "/inputTokens").unwrap_or(0),
                output: number(model, "/outputTokens").unwrap_or(0),
                cache_read: number(model, "/cacheReadInputTokens").unwrap_or(0),
                cache_write: number(model, "/cacheCreationInputTokens").unwrap_or(0),
            };
        }
        if sum == Tokens::default() {
            sum = self.meter.tokens();
        }
        self.meter.correct(dollars(usd), sum);
    }

    fn message(&mut self, id: &str, model: &str, tokens: Tokens) {
        // Its own words in place of an answer, e.g. that the provider did not serve it.
        if model == SYNTHETIC {
            return;
        }
        if !self.messages.contains_key(id) {
            self.meter.turn();
        }
        let before = self.messages.get(id).copied().unwrap_or_default();
        let now = most(before, tokens);
        self.messages.insert(id.to_owned(), now);
        self.meter.count(model, more(now, before));
    }
}

fn tokens(usage: Option<&Value>) -> Tokens {
    let count = |name: &str| {
        usage
            .and_then(|usage| usage.get(name))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    Tokens {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
    }
}
