//! Owns what the messages of a session say, part by part: words, tools, and what a step has cost.

use serde_json::Value;
use turno_core::units::Timestamp;

use super::Talk;
use crate::dialect::Signal;
use crate::text;
use crate::value::{number, text as text_at};

/// How many parts of an answer are kept: its outcome stands at the end, and each new part is looked for among them.
const PARTS: usize = 200;

impl Talk {
    pub(super) fn message(&mut self, properties: &Value) -> Vec<Signal> {
        let info = &properties["info"];
        if let Some(created) = number(info, "/time/created") {
            self.saw(created);
        }
        if text_at(info, "/role") != Some("assistant") {
            return Vec::new();
        }
        let Some(id) = text_at(info, "/id") else {
            return Vec::new();
        };
        if let Some(model) = text_at(info, "/modelID") {
            self.models.insert(id.to_owned(), model.to_owned());
        }
        // Ids grow with time; an older message is told of again after a newer one has begun.
        if self.is_ours(properties) && id > self.answer.as_str() {
            id.clone_into(&mut self.answer);
            self.words.clear();
        }
        Vec::new()
    }

    pub(super) fn part(&mut self, properties: &Value) -> Vec<Signal> {
        if let Some(time) = number(properties, "/time") {
            self.saw(time);
        }
        let part = &properties["part"];
        let message = text_at(part, "/messageID").unwrap_or_default();
        let Some(id) = text_at(part, "/id") else {
            return Vec::new();
        };
        match text_at(part, "/type") {
            Some("text") if self.is_ours(properties) && message == self.answer => self.text(id, part),
            Some("tool") => self.tool(id, part),
            Some("step-start") if self.is_ours(properties) => {
                // What it could go on after was no end.
                self.error = None;
                Vec::new()
            }
            Some("step-finish") => {
                let model = self.models.get(message).map_or("", String::as_str);
                let spend = self.usage.step(part, model);
                spend.map(Signal::Spent).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn text(&mut self, id: &str, part: &Value) -> Vec<Signal> {
        let words = text_at(part, "/text").unwrap_or_default();
        // What grows is the last part or one near it.
        match self.words.iter_mut().rev().find(|(known, _)| known == id) {
            Some((_, known)) => words.clone_into(known),
            None => {
                if self.words.len() == PARTS {
                    self.words.pop_front();
                }
                self.words.push_back((id.to_owned(), words.to_owned()));
            }
        }
        let whole = part.pointer("/time/end").is_some();
        if whole && !words.trim().is_empty() && self.told.insert(id.to_owned()) {
            return vec![Signal::Text(words.to_owned())];
        }
        Vec::new()
    }

    fn tool(&mut self, id: &str, part: &Value) -> Vec<Signal> {
        let status = text_at(part, "/state/status").unwrap_or_default();
        let line = tool_line(part);
        match status {
            "running" if self.told.insert(id.to_owned()) => {
                vec![Signal::ToolStarted(text::line(&line))]
            }
            "completed" | "error" if self.told.insert(format!("{id} ended")) => {
                vec![Signal::ToolEnded(text::line(&format!("{status}: {line}")))]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn saw(&mut self, millis: u64) {
        let time = i64::try_from(millis).ok().map(Timestamp);
        self.now = self.now.max(time);
    }
}

/// What a tool is used for, in words of its input.
fn tool_line(part: &Value) -> String {
    let tool = text_at(part, "/tool").unwrap_or("a tool");
    let about = ["command", "filePath", "pattern", "url", "description"]
        .iter()
        .find_map(|name| text_at(part, &format!("/state/input/{name}")));
    match about {
        Some(about) => format!("{tool}: {about}"),
        None => tool.to_owned(),
    }
}
