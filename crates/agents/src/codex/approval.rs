//! Owns the answers to what codex asks for while it works. Approvals are switched off at the start; a user's
//! own configuration can still lead to questions, and each must get an answer or the turn waits for ever.

use serde_json::{Map, Value, json};
use turno_core::persona::Access;

use crate::place::is_within;
use crate::value::{list, text};

/// An answer: a result, or the words of a refusal.
pub(super) type Answer = Result<Value, &'static str>;

/// The answer to a request. `paths` are those of the file change that it is about.
pub(super) fn answer(access: Access, cwd: &str, method: &str, params: &Value, paths: &[String]) -> Answer {
    let within = |path: &str| is_within(cwd, path);
    match method {
        "item/commandExecution/requestApproval" => {
            let here = text(params, "/cwd").is_none_or(within);
            Ok(json!({ "decision": decision(access, here) }))
        }
        "item/fileChange/requestApproval" => {
            let root = text(params, "/grantRoot").is_none_or(within);
            let here = root && !paths.is_empty() && paths.iter().all(|path| within(path));
            Ok(json!({ "decision": decision(access, here) }))
        }
        // Nothing is granted on top of the sandbox.
        "item/permissions/requestApproval" => Ok(json!({ "permissions": {}, "scope": "turn" })),
        "item/tool/requestUserInput" => Ok(json!({ "answers": nobody(params) })),
        "mcpServer/elicitation/request" => Ok(json!({ "action": "decline", "content": null, "_meta": null })),
        // The same two questions as older versions put them.
        "execCommandApproval" | "applyPatchApproval" => Ok(json!({
            "decision": { "denied": { "rejection": "Turno does not approve through this request" } },
        })),
        _ => Err("Turno does not know this request"),
    }
}

fn decision(access: Access, here: bool) -> &'static str {
    match access {
        Access::Write | Access::Tests if here => "accept",
        Access::Write | Access::Tests | Access::Read => "decline",
    }
}

fn nobody(params: &Value) -> Map<String, Value> {
    let words = "Nobody is there to answer. Decide yourself and put the question and your decision into \
                 `open_questions` of your final answer if it has such a list.";
    list(params, "/questions")
        .iter()
        .filter_map(|question| text(question, "/id"))
        .map(|id| (id.to_owned(), json!({ "answers": [words] })))
        .collect()
}
