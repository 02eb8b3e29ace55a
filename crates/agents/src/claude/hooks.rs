//! Owns the hooks that Claude Code calls over its two-way stream: which are asked for, and the form of their answers.
//! A user's settings can allow a tool before we are asked; a hook is called all the same.

use serde_json::{Map, Value, json};
use turno_core::persona::Access;

use super::permission::{OUTCOME, WRITERS};
use crate::dialect::{Job, Parting};

/// The name of the hook that looks at what is about to be written.
pub(super) const WRITING: &str = "turno-protected";

/// A way to end a turn. An outcome ends it for good, whatever the hook before the end says then, so that one is
/// looked at when its tool is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// By giving the outcome.
    Outcome,
    /// By words alone.
    Words,
}

impl Exit {
    /// The name of the hook that looks at it.
    const fn hook(self) -> &'static str {
        match self {
            Self::Outcome => "turno-leaving-with-outcome",
            Self::Words => "turno-leaving",
        }
    }

    /// The way out that a hook of this name looks at.
    pub(super) fn of(hook: &str) -> Option<Self> {
        [Self::Outcome, Self::Words]
            .into_iter()
            .find(|exit| exit.hook() == hook)
    }

    /// What its hook answers.
    pub(super) fn answer(self, parting: &Parting) -> Value {
        match (self, parting) {
            (Self::Outcome, Parting::Stay { why }) => about_call(Some(why)),
            (Self::Words, Parting::Stay { why }) => json!({ "decision": "block", "reason": why }),
            (Self::Outcome | Self::Words, Parting::Go) => json!({}),
        }
    }
}

/// The hooks that it is to call, in its own words.
pub(super) fn asked_for(job: &Job) -> Value {
    let mut hooks = Map::new();
    let mut calls = Vec::new();
    if !job.protected.is_empty() {
        calls.push(json!({ "matcher": WRITERS.join("|"), "hookCallbackIds": [WRITING] }));
    }
    match job.access {
        Access::Write | Access::Tests => {
            calls.push(json!({ "matcher": OUTCOME, "hookCallbackIds": [Exit::Outcome.hook()] }));
            let stop = json!([{ "hookCallbackIds": [Exit::Words.hook()] }]);
            hooks.insert("Stop".to_owned(), stop);
        }
        Access::Read => {}
    }
    if !calls.is_empty() {
        hooks.insert("PreToolUse".to_owned(), Value::Array(calls));
    }
    let hooks = if hooks.is_empty() {
        Value::Null
    } else {
        Value::Object(hooks)
    };
    json!({ "hooks": hooks })
}

/// What a hook before the call of a tool answers: the call is refused for a reason, or goes on as it would without the hook.
pub(super) fn about_call(refusal: Option<&str>) -> Value {
    match refusal {
        None => json!({}),
        Some(why) => json!({
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": why,
            },
        }),
    }
}
