//! Owns how Claude Code's messages are put into lines for people.

use serde_json::Value;

use crate::dialect::Signal;
use crate::text;
use crate::value::text as text_of;

/// The answer to a request of ours is worth a word only when it is a refusal.
pub(super) fn refused_request(message: &Value) -> Vec<Signal> {
    match text_of(message, "/response/subtype") {
        Some("error") => vec![Signal::Notice(text::line(&format!(
            "a request of Turno's was refused: {}",
            text_of(message, "/response/error").unwrap_or("no reason given")
        )))],
        _ => Vec::new(),
    }
}

/// A tool call as one line for people: the tool and what matters most of its input.
pub(super) fn tool_line(name: &str, input: &Value) -> String {
    let keys = [
        "command",
        "file_path",
        "notebook_path",
        "path",
        "pattern",
        "url",
        "query",
        // The outcome's own.
        "summary",
        "verdict",
        "description",
    ];
    match keys.iter().find_map(|key| input.get(key).and_then(Value::as_str)) {
        Some(what) => text::line(&format!("{name}: {what}")),
        None => text::line(name),
    }
}

/// The words of a text, a list of texts or a list of text blocks.
pub(super) fn words_of(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.as_str().or_else(|| text_of(part, "/text")))
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}
