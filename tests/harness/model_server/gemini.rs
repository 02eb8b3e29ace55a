//! Answers in the Gemini protocol, with the tools of the gemini CLI.

use serde_json::{Value, json};

use super::conversation::{Conversation, call_id};
use super::script::{Action, Turn};
use super::{Answer, fenced};

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// As one JSON value.
    Whole,
    /// As server-sent events.
    Streamed,
}

impl Sent {
    /// By the method that ends a path; `None` for one that asks no model to speak.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path.strip_prefix("/v1beta/models/")?.rsplit_once(':')?.1 {
            "generateContent" => Some(Self::Whole),
            "streamGenerateContent" => Some(Self::Streamed),
            _ => None,
        }
    }
}

/// Whether a path asks for a count of tokens.
pub(super) fn counts_tokens(path: &str) -> bool {
    path.starts_with("/v1beta/models/") && path.ends_with(":countTokens")
}

/// Renders a scripted turn as a Gemini answer.
pub(super) fn answer(turn: &Turn, conversation: &Conversation, sent: Sent, unique: &str) -> Answer {
    let mut parts = Vec::new();
    for action in &turn.actions {
        parts.extend(part(action, conversation, &format!("{unique}{}", parts.len())));
    }
    let usage = turn.usage;
    let input = usage.input + usage.cached;
    let response = json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": input,
            "cachedContentTokenCount": usage.cached,
            "candidatesTokenCount": usage.output,
            "totalTokenCount": input + usage.output,
        },
        "responseId": unique,
    });
    match sent {
        Sent::Whole => Answer::Json(response),
        Sent::Streamed => Answer::Stream(format!("data: {response}\n\n")),
    }
}

fn part(action: &Action, conversation: &Conversation, unique: &str) -> Option<Value> {
    let call = |name: &str, args: &Value| {
        let id = call_id("call", conversation.latest().turns, unique);
        json!({"functionCall": {"id": id, "name": name, "args": args}})
    };
    match action {
        Action::Say(text) => Some(json!({"text": text})),
        Action::Structured(value) => Some(json!({"text": fenced(value)})),
        Action::Bash(command) => Some(call(
            "run_shell_command",
            &json!({"command": command, "description": "Run a command"}),
        )),
        Action::Read(path) => Some(call(
            "read_file",
            &json!({"file_path": conversation.absolute(path)}),
        )),
        Action::Write { path, text } => Some(call(
            "write_file",
            &json!({"file_path": conversation.absolute(path), "content": text}),
        )),
        Action::Edit { path, find, replace } => Some(call(
            "replace",
            &json!({
                "file_path": conversation.absolute(path),
                "old_string": find,
                "new_string": replace,
                "instruction": "Edit the file",
            }),
        )),
        Action::Tool { name, input } => Some(call(&conversation.named_tool(name).name, input)),
        Action::Wait(_) | Action::Hang | Action::Status { .. } => None,
    }
}
