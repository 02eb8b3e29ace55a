//! Owns how a person's words are said to Claude Code while it works: under an id of ours, by which it says them again
//! once it takes them in. It takes no id in twice, so what is said again by mistake is not heard again.

use serde_json::{Value, json};
use turno_core::ids::RemarkId;

use crate::value::text as text_at;

/// What our ids begin with. The rest is the number of the remark.
const OURS: &str = "7475726e-6f00-4000-8000-";

/// Words as one line of input.
pub(super) fn line(remark: RemarkId, words: &str) -> String {
    json!({
        "type": "user",
        "uuid": format!("{OURS}{:012x}", remark.0),
        "message": { "role": "user", "content": words },
        "parent_tool_use_id": null,
        "session_id": "",
    })
    .to_string()
}

/// The remark that an id names, where it is one of ours.
pub(super) fn remark(id: &str) -> Option<RemarkId> {
    let number = id.strip_prefix(OURS)?;
    u32::from_str_radix(number, 16).ok().map(RemarkId)
}

/// The remark that a line of input says.
pub(super) fn remark_of(line: &str) -> Option<RemarkId> {
    let message = serde_json::from_str::<Value>(line).ok()?;
    text_at(&message, "/uuid").and_then(remark)
}
