//! Owns the reading of what happens in a turn: tool calls as lines for people.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dialect::Signal;
use crate::text;
use crate::value::{list, text as text_at};

/// The tool calls in flight, by their titles.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<String, String>);

impl Calls {
    /// A new call, or news of one. Some agents tell of a call only when it has ended.
    pub(super) fn news(&mut self, update: &Value) -> Vec<Signal> {
        let id = text_at(update, "/toolCallId").unwrap_or_default();
        let title = text_at(update, "/title").filter(|title| !title.trim().is_empty());
        let mut signals = Vec::new();
        let known = self.0.contains_key(id);
        if let Some(title) = title {
            self.0.insert(id.to_owned(), title.to_owned());
        }
        let status = text_at(update, "/status");
        let ended = matches!(status, Some("completed" | "failed"));
        let named = || text::line(title.unwrap_or("a tool"));
        if !known && (!ended || text_at(update, "/sessionUpdate") == Some("tool_call")) {
            self.0.entry(id.to_owned()).or_insert_with(|| "a tool".to_owned());
            signals.push(Signal::ToolStarted(named()));
        }
        if ended {
            let title = self.0.remove(id).unwrap_or_else(|| "a tool".to_owned());
            signals.push(Signal::ToolEnded(text::line(&match status {
                Some("failed") => format!("{title} failed: {}", words(update)),
                _ => format!("{title} done"),
            })));
        }
        signals
    }
}

fn words(update: &Value) -> String {
    let parts = list(update, "/content").iter();
    parts
        .filter_map(|part| text_at(part, "/content/text"))
        .collect::<Vec<_>>()
        .join(" ")
}
