//! Owns the small readings of codex's messages: an item as a line for people, a notification that is none.

use serde_json::Value;

use crate::value::{list, text};

/// An item that is a piece of work, as one line for people.
pub(super) fn line(item: &Value) -> Option<String> {
    match text(item, "/type")? {
        "commandExecution" => Some(text(item, "/command").unwrap_or("a command").to_owned()),
        "fileChange" => {
            let changes = list(item, "/changes").iter().map(|change| {
                let kind = text(change, "/kind/type").unwrap_or("change");
                format!("{kind} {}", text(change, "/path").unwrap_or("a file"))
            });
            Some(changes.collect::<Vec<_>>().join(", "))
        }
        "mcpToolCall" | "dynamicToolCall" | "collabAgentToolCall" => {
            let server = text(item, "/server").map_or(String::new(), |server| format!("{server}."));
            Some(format!("{server}{}", text(item, "/tool").unwrap_or("a tool")))
        }
        "webSearch" => Some(format!("search: {}", text(item, "/query").unwrap_or_default())),
        "contextCompaction" => Some("compacting the conversation".to_owned()),
        _ => None,
    }
}

/// Notifications that say nothing to people, or say it again.
pub(super) fn is_quiet(method: &str) -> bool {
    let known = [
        "turn/",
        "thread/",
        "hook/",
        "skills/",
        "app/",
        "mcpServer/",
        "account/",
        "remoteControl/",
        "fs/",
        "rawResponse",
        "serverRequest/",
    ];
    let piecemeal = [
        "/delta",
        "Delta",
        "/progress",
        "/terminalInteraction",
        "/patchUpdated",
        "/summaryPartAdded",
    ];
    known.iter().any(|start| method.starts_with(start)) || piecemeal.iter().any(|end| method.ends_with(end))
}

/// How an item ended, in a word.
pub(super) fn status(item: &Value) -> String {
    match (text(item, "/status"), item["exitCode"].as_i64()) {
        (_, Some(code)) if code != 0 => format!("exit code {code}"),
        (Some(status), _) => status.to_owned(),
        (None, _) => "done".to_owned(),
    }
}
