//! Claude Code's hooks: a protected path is refused at the call, and the end of a turn waits for an answer.

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::dialect::{Job, Line, Parting, Protected, Signal};
use turno_agents::{DialectKind, dialect};
use turno_core::persona::Access;

use crate::stage::{Hearing, job};

fn guarding() -> Job {
    let mut job = job(Access::Write);
    job.cwd = "/slot".to_owned();
    job.protected = Protected {
        globs: vec!["ci/**".to_owned(), "*.toml".to_owned()],
        named: vec!["named.toml".to_owned()],
    };
    job
}

/// A call of the hook, in the form in which it comes.
fn hook(tool: &str, input: Value) -> String {
    json!({
        "type": "control_request",
        "request_id": "h1",
        "request": {
            "subtype": "hook_callback",
            "callback_id": "turno-protected",
            "tool_use_id": "toolu_1",
            "input": {
                "session_id": "5a0e", "cwd": "/slot", "permission_mode": "default",
                "hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input, "tool_use_id": "toolu_1",
            },
        },
    })
    .to_string()
}

#[rstest]
#[case("Write", json!({ "file_path": "/slot/ci/run" }), "deny")]
#[case("Write", json!({ "file_path": "ci/run" }), "deny")]
#[case("Edit", json!({ "file_path": "/slot/src/../ci/./run" }), "deny")]
#[case("MultiEdit", json!({ "file_path": "/slot/deny.toml" }), "deny")]
#[case("NotebookEdit", json!({ "notebook_path": "/slot/ci/a.ipynb" }), "deny")]
#[case("Edit", json!({ "file_path": "/slot/named.toml" }), "goes on")]
#[case("Write", json!({ "file_path": "/slot/src/a.rs" }), "goes on")]
#[case("Write", json!({ "file_path": "/slotted/ci/run" }), "goes on")]
#[case("Read", json!({ "file_path": "/slot/ci/run" }), "goes on")]
#[case("Write", json!({}), "goes on")]
fn a_protected_path_is_refused_at_the_call(#[case] tool: &str, #[case] input: Value, #[case] expected: &str) {
    let mut hearing = Hearing::new(DialectKind::Claude, &guarding());
    hearing.hear([hook(tool, input.clone())]);
    let sent = &hearing.sent()[0]["response"];
    assert_eq!(
        (&sent["subtype"], &sent["request_id"]),
        (&json!("success"), &json!("h1"))
    );
    let answer = &sent["response"];
    if expected == "deny" {
        let out = &answer["hookSpecificOutput"];
        assert_eq!(
            (&out["hookEventName"], &out["permissionDecision"]),
            (&json!("PreToolUse"), &json!("deny"))
        );
        assert!(
            out["permissionDecisionReason"]
                .as_str()
                .unwrap()
                .contains("is protected")
        );
    } else {
        assert_eq!(answer, &json!({}));
    }
    // Where it asks for the tool as well, the answer is of the same mind.
    let asks = json!({
        "type": "control_request",
        "request_id": "r1",
        "request": { "subtype": "can_use_tool", "tool_name": tool, "input": input },
    });
    let mut hearing = Hearing::new(DialectKind::Claude, &guarding());
    hearing.hear([asks.to_string()]);
    let behaviour = &hearing.sent()[0]["response"]["response"]["behavior"];
    assert_eq!(behaviour == "deny", expected == "deny");
}

#[test]
fn the_hook_is_asked_for_where_something_is_protected() {
    let input = |job: &Job| -> Value {
        let launch = dialect(DialectKind::Claude).launch(job).unwrap();
        serde_json::from_str(&launch.input[0]).unwrap()
    };
    let guarded = json!([{
        "matcher": "Edit|MultiEdit|NotebookEdit|Write",
        "hookCallbackIds": ["turno-protected"],
    }]);
    assert_eq!(
        input(&guarding())["request"]["hooks"]["PreToolUse"][0],
        guarded[0]
    );
    // Who may change files is seen before it leaves; who only reads has nothing to commit.
    let leaving = json!({
        "PreToolUse": [{ "matcher": "StructuredOutput", "hookCallbackIds": ["turno-leaving-with-outcome"] }],
        "Stop": [{ "hookCallbackIds": ["turno-leaving"] }],
    });
    for access in [Access::Write, Access::Tests] {
        assert_eq!(input(&job(access))["request"]["hooks"], leaving);
    }
    assert_eq!(input(&job(Access::Read))["request"]["hooks"], Value::Null);
}

/// The hooks that it calls before it ends its turn.
const WITH_OUTCOME: &str = "turno-leaving-with-outcome";
const WITH_WORDS: &str = "turno-leaving";

/// The call of such a hook, as far as it matters.
fn wants_to_leave(id: &str, hook: &str) -> String {
    let event = match hook {
        WITH_OUTCOME => "PreToolUse",
        _ => "Stop",
    };
    json!({
        "type": "control_request",
        "request_id": id,
        "request": {
            "subtype": "hook_callback",
            "callback_id": hook,
            "input": { "session_id": "5a0e", "cwd": "/slot", "hook_event_name": event, "and": "so on and so on" },
        },
    })
    .to_string()
}

fn stay() -> Parting {
    Parting::Stay {
        why: "- a.txt".to_owned(),
    }
}

fn leaving(key: &str) -> Vec<Signal> {
    vec![Signal::Leaving { key: key.to_owned() }]
}

#[rstest]
#[case(WITH_WORDS, Parting::Go, json!({}))]
#[case(WITH_WORDS, stay(), json!({ "decision": "block", "reason": "- a.txt" }))]
#[case(WITH_OUTCOME, Parting::Go, json!({}))]
#[case(WITH_OUTCOME, stay(), json!({ "hookSpecificOutput": {
    "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "- a.txt",
} }))]
fn the_end_of_a_turn_waits_for_an_answer(
    #[case] hook: &str,
    #[case] parting: Parting,
    #[case] answer: Value,
) {
    let mut talk = dialect(DialectKind::Claude).converse(&job(Access::Write));
    assert_eq!(talk.line(Line::Whole(&wants_to_leave("s1", hook))), leaving("s1"));
    assert!(talk.part("s2", &parting).is_empty(), "nobody asked that");
    let sent: Vec<Value> = talk
        .part("s1", &parting)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let response = json!({ "subtype": "success", "request_id": "s1", "response": answer });
    assert_eq!(
        sent,
        [json!({ "type": "control_response", "response": response })]
    );
    assert!(talk.part("s1", &parting).is_empty(), "it is answered");
}

/// After an outcome claude heeds the hook before the end no more, so it is not asked to stay by it.
#[test]
fn whoever_was_let_go_with_an_outcome_leaves() {
    let mut talk = dialect(DialectKind::Claude).converse(&job(Access::Write));
    for (id, hook, parting) in [
        ("s1", WITH_OUTCOME, stay()),
        ("s2", WITH_WORDS, Parting::Go),
        ("s3", WITH_OUTCOME, Parting::Go),
    ] {
        assert_eq!(talk.line(Line::Whole(&wants_to_leave(id, hook))), leaving(id));
        assert_eq!(talk.part(id, &parting).len(), 1);
    }
    goes(&talk.line(Line::Whole(&wants_to_leave("s4", WITH_WORDS))));
}

/// Holds an answer against one that lets it go at once.
#[track_caller]
fn goes(signals: &[Signal]) {
    match signals {
        [Signal::Send(line)] => assert!(line.contains("\"response\":{}"), "{line}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_last_word_is_looked_at_too() {
    for hook in [WITH_OUTCOME, WITH_WORDS] {
        let line = wants_to_leave("s1", hook);
        let mut talk = dialect(DialectKind::Claude).converse(&job(Access::Write));
        let signals = talk.line(Line::Cut(line.get(..line.len() - 15).unwrap()));
        assert_eq!(signals.last(), leaving("s1").last(), "{signals:?}");
    }
}

#[test]
fn whoever_is_told_to_end_is_not_asked_to_stay() {
    for hook in [WITH_OUTCOME, WITH_WORDS] {
        let mut talk = dialect(DialectKind::Claude).converse(&job(Access::Write));
        talk.interrupt();
        goes(&talk.line(Line::Whole(&wants_to_leave("s1", hook))));
    }
}

#[test]
fn a_hook_that_cannot_be_read_refuses() {
    let line = hook("Write", json!({ "file_path": "/slot/ci/run", "content": "x" }));
    let mut talk = dialect(DialectKind::Claude).converse(&guarding());
    let signals = talk.line(Line::Cut(line.get(..line.len() - 40).unwrap()));
    let sent = signals.iter().find_map(|s| match s {
        Signal::Send(line) => Some(line),
        _ => None,
    });
    assert!(
        sent.unwrap().contains("\"permissionDecision\":\"deny\""),
        "{signals:?}"
    );
}
