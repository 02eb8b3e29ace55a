//! Owns the answers to an agent's requests for permission, by what the role may do to files. An agent that does
//! not ask is not held by this; what it left in the slot is looked at afterwards all the same.

use serde_json::{Value, json};
use turno_core::persona::Access;

use crate::place::is_within;
use crate::value::{list, text};

/// What was decided, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
}

/// The decision on a request, and the answer to it.
pub(super) fn answer(access: Access, cwd: &str, params: &Value) -> (Decision, Value) {
    let decision = decision(access, cwd, &params["toolCall"]);
    // Once and never for ever: the next call is looked at again.
    let kinds = match decision {
        Decision::Allowed => ["allow_once", "allow_always"],
        Decision::Denied => ["reject_once", "reject_always"],
    };
    let option = kinds.into_iter().find_map(|kind| {
        let mut options = list(params, "/options").iter();
        options.find(|option| text(option, "/kind") == Some(kind))
    });
    match option.and_then(|option| text(option, "/optionId")) {
        Some(id) => (
            decision,
            json!({ "outcome": { "outcome": "selected", "optionId": id } }),
        ),
        // Without a way to say it the call is taken back, which is no consent.
        None => (Decision::Denied, json!({ "outcome": { "outcome": "cancelled" } })),
    }
}

fn decision(access: Access, cwd: &str, call: &Value) -> Decision {
    let kind = text(call, "/kind").unwrap_or("other");
    let changes = matches!(kind, "edit" | "delete" | "move");
    let paths = list(call, "/locations").iter();
    let here = paths
        .filter_map(|location| text(location, "/path"))
        .all(|path| is_within(cwd, path));
    match access {
        Access::Read if changes => Decision::Denied,
        Access::Tests | Access::Write if changes && !here => Decision::Denied,
        // To leave the mode it was started in is a person's to allow.
        _ if kind == "switch_mode" => Decision::Denied,
        Access::Read | Access::Tests | Access::Write => Decision::Allowed,
    }
}
