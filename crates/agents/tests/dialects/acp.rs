//! The Agent Client Protocol: what recorded sessions of three adapters mean, and that what is said is the protocol's.

use agent_client_protocol_schema::v1;
use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use turno_agents::dialect::Signal;
use turno_agents::{DialectKind, dialect};
use turno_core::command::Session;
use turno_core::event::AgentEnd;
use turno_core::failure::Cause;
use turno_core::persona::{Access, Model};
use turno_core::units::{CostBasis, MicroUsd, Span, Tokens};

use crate::stage::{Hearing, job, said, tool_server};

fn answered(id: u64, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

fn initialized(capabilities: &Value) -> String {
    answered(
        1,
        &json!({ "protocolVersion": 1, "agentCapabilities": capabilities }),
    )
}

fn said_chunk(words: &str) -> String {
    json!({
        "jsonrpc": "2.0",
        "method": "session/update",
        "params": { "sessionId": "s", "update": {
            "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": words },
        } },
    })
    .to_string()
}

/// A new session that was asked its first question.
fn begun(access: Access) -> Hearing {
    let mut hearing = Hearing::new(DialectKind::Acp, &job(access));
    hearing.hear([initialized(&json!({})), answered(2, &json!({ "sessionId": "s" }))]);
    hearing
}

fn is<T: DeserializeOwned>(value: &Value) {
    if let Err(error) = serde_json::from_value::<T>(value.clone()) {
        panic!("{error}: {value}");
    }
}

/// Every line that is sent is read back by the protocol's own types.
#[rstest]
#[case::new(Session::Fresh, json!({}), "session/new")]
#[case::resumed(Session::Resume("s".parse().unwrap()), json!({ "sessionCapabilities": { "resume": {} } }), "session/resume")]
#[case::loaded(Session::Resume("s".parse().unwrap()), json!({ "loadSession": true }), "session/load")]
fn what_is_said_is_the_protocol(#[case] session: Session, #[case] capabilities: Value, #[case] method: &str) {
    let mut job = job(Access::Write);
    job.session = session;
    job.model = Model::Named("big-2".to_owned());
    job.tool_servers = vec![tool_server()];
    let first = dialect(DialectKind::Acp).launch(&job).unwrap().input;
    let first: Value = serde_json::from_str(&first[0]).unwrap();
    assert_eq!(
        (&first["method"], &first["id"]),
        (&json!("initialize"), &json!(1))
    );
    is::<v1::InitializeRequest>(&first["params"]);

    let mut hearing = Hearing::new(DialectKind::Acp, &job);
    let option = json!({ "id": "model", "category": "model", "currentValue": "small" });
    hearing.hear([
        initialized(&capabilities),
        answered(2, &json!({ "sessionId": "s", "configOptions": [option] })),
        answered(3, &json!({ "configOptions": [] })),
    ]);
    let sent = hearing.sent();
    let methods: Vec<_> = sent.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(methods, [method, "session/set_config_option", "session/prompt"]);
    match method {
        "session/new" => is::<v1::NewSessionRequest>(&sent[0]["params"]),
        "session/resume" => is::<v1::ResumeSessionRequest>(&sent[0]["params"]),
        _ => is::<v1::LoadSessionRequest>(&sent[0]["params"]),
    }
    let server = &sent[0]["params"]["mcpServers"][0];
    assert_eq!(
        server["env"],
        json!([{ "name": "TURNO_TOKEN", "value": "s3cret" }])
    );
    is::<v1::SetSessionConfigOptionRequest>(&sent[1]["params"]);
    is::<v1::PromptRequest>(&sent[2]["params"]);
    let cancel: Value = serde_json::from_str(&hearing.talk.interrupt()[0]).unwrap();
    assert_eq!(cancel["method"], "session/cancel");
    is::<v1::CancelNotification>(&cancel["params"]);
}

fn permission(kind: &str, path: &str, options: &Value) -> String {
    json!({
        "jsonrpc": "2.0",
        "id": "r1",
        "method": "session/request_permission",
        "params": {
            "sessionId": "s",
            "options": options,
            "toolCall": { "toolCallId": "c", "title": "a call", "kind": kind, "locations": [{ "path": path }] },
        },
    })
    .to_string()
}

const HERE: &str = "/workspace/codex-app-server/a.rs";

#[rstest]
#[case(Access::Read, "edit", HERE, "no")]
#[case(Access::Read, "delete", HERE, "no")]
#[case(Access::Read, "move", HERE, "no")]
#[case(Access::Read, "execute", HERE, "yes")]
#[case(Access::Read, "read", "/etc/hosts", "yes")]
#[case(Access::Write, "edit", HERE, "yes")]
#[case(Access::Tests, "edit", HERE, "yes")]
#[case(Access::Write, "edit", "/etc/hosts", "no")]
#[case(Access::Write, "switch_mode", HERE, "no")]
fn permission_follows_access(
    #[case] access: Access,
    #[case] kind: &str,
    #[case] path: &str,
    #[case] expected: &str,
) {
    let mut hearing = begun(access);
    let options = json!([
        { "optionId": "always", "kind": "allow_always", "name": "" },
        { "optionId": "yes", "kind": "allow_once", "name": "" },
        { "optionId": "no", "kind": "reject_once", "name": "" },
    ]);
    hearing.hear([permission(kind, path, &options)]);
    let sent = hearing.sent();
    let answer = sent.last().unwrap();
    assert_eq!(answer["id"], "r1");
    is::<v1::RequestPermissionResponse>(&answer["result"]);
    assert_eq!(answer["result"]["outcome"]["optionId"], expected);
}

#[test]
fn a_permission_without_a_way_to_say_it_is_taken_back() {
    let mut hearing = begun(Access::Write);
    hearing.hear([permission("edit", HERE, &json!([]))]);
    let sent = hearing.sent();
    let result = &sent.last().unwrap()["result"];
    assert_eq!(result["outcome"]["outcome"], "cancelled");
    is::<v1::RequestPermissionResponse>(result);
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut hearing = begun(Access::Write);
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "fs/read_text_file", "params": {} });
    hearing.hear([request.to_string()]);
    assert_eq!(hearing.sent().last().unwrap()["error"]["code"], -32601);
    let long = r#"{"jsonrpc":"2.0","id":8,"method":"session/request_permission","params":{"#;
    hearing.hear_cut(long);
    assert_eq!(hearing.sent().last().unwrap()["id"], 8);
}

/// Each was driven without Turno: it worked, gave no outcome, and its second turn was cancelled.
#[rstest]
#[case("claude")]
#[case("codex")]
#[case("opencode")]
fn adapters_are_understood(#[case] name: &str) {
    let mut hearing = Hearing::new(DialectKind::Acp, &job(Access::Write));
    hearing.hear(said("acp", name));
    let ends = hearing.signals.iter();
    let ends = ends
        .filter(|signal| matches!(signal, Signal::ToolEnded(_)))
        .count();
    assert!(ends >= 3, "{ends}");
    let words = hearing.signals.iter();
    let words: Vec<_> = words
        .filter_map(|signal| match signal {
            Signal::Text(words) => Some(words.trim()),
            _ => None,
        })
        .collect();
    assert!(
        words.contains(&"Done: created hello.txt and edited README.md."),
        "{words:?}"
    );
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::Stopped);
}

/// Where it names money the money counts, and its tokens are only told.
#[test]
fn named_money_is_reported() {
    let mut hearing = Hearing::new(DialectKind::Acp, &job(Access::Write));
    hearing.hear(said("acp", "claude"));
    let first = hearing.spends().into_iter().find(|spend| spend.tokens.output > 0);
    let spend = first.unwrap();
    assert_eq!((spend.cost, spend.basis), (MicroUsd(12_900), CostBasis::Reported));
    let tokens = Tokens {
        input: 1950,
        output: 175,
        cache_read: 3500,
        cache_write: 900,
    };
    assert_eq!(spend.tokens, tokens);
}

fn told_cost(amount: f64) -> String {
    json!({
        "jsonrpc": "2.0",
        "method": "session/update",
        "params": { "sessionId": "s", "update": {
            "sessionUpdate": "usage_update", "used": 1, "size": 2, "cost": { "amount": amount, "currency": "USD" },
        } },
    })
    .to_string()
}

/// What a conversation had cost when it was gone on with is another run's.
#[test]
fn only_this_run_is_paid_for() {
    let mut job = job(Access::Write);
    job.session = Session::Resume("s".parse().unwrap());
    let mut hearing = Hearing::new(DialectKind::Acp, &job);
    hearing.hear([
        initialized(&json!({ "sessionCapabilities": { "resume": {} } })),
        told_cost(0.5),
        answered(2, &json!({})),
        told_cost(0.75),
    ]);
    let costs: Vec<MicroUsd> = hearing.spends().iter().map(|spend| spend.cost).collect();
    assert_eq!(costs, [MicroUsd(250_000)]);
}

#[rstest]
#[case::missing_login(json!({ "code": -32000, "message": "Authentication required" }), Cause::SignIn)]
#[case::status(json!({ "code": 503, "message": "overloaded" }), Cause::Provider)]
#[case::busy(json!({ "code": 429, "message": "slow down" }), Cause::RateLimited)]
#[case::no_model(json!({ "code": 404, "message": "models/x is not found for API version v1beta" }), Cause::Model)]
#[case::minute(json!({ "code": 429, "message": "You exceeded your current quota. Please retry in 12s." }), Cause::RateLimited)]
#[case::day(json!({ "code": 429, "message": "You have exhausted your capacity on this model. Your quota will reset after 9h2m." }), Cause::Quota)]
#[case::used_up(json!({ "code": 429, "message": "You exceeded your current quota" }), Cause::Quota)]
#[case::word(json!({ "code": -32603, "message": "no", "data": { "errorKind": "authentication_failed" } }), Cause::SignIn)]
#[case::bill(json!({ "code": -32603, "message": "no", "data": { "errorKind": "billing_error" } }), Cause::Quota)]
#[case::nested(json!({ "code": -32603, "message": "no", "data": {
    "codex_error_info": { "http_connection_failed": { "http_status_code": 502 } } } }), Cause::Provider)]
#[case::anything_else(json!({ "code": -32603, "message": "no" }), Cause::Agent)]
fn errors_are_typed(#[case] error: Value, #[case] cause: Cause) {
    let mut hearing = begun(Access::Write);
    hearing.hear([json!({ "jsonrpc": "2.0", "id": 3, "error": error }).to_string()]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), cause);
}

#[test]
fn a_wait_that_is_told_is_heard() {
    let mut hearing = begun(Access::Write);
    let message = json!({ "error": { "details": [{ "retryDelay": "12s" }] } }).to_string();
    hearing.hear([refused(3, &json!({ "code": 429, "message": message }))]);
    assert_eq!(hearing.waits(), [Span::seconds(12)]);
    assert_eq!(hearing.cause(), Cause::RateLimited);
}

#[rstest]
#[case(json!({ "protocolVersion": 2, "agentCapabilities": {} }))]
#[case(json!({ "protocolVersion": 1, "agentCapabilities": { "loadSession": false } }))]
fn what_it_cannot_do_is_a_failure(#[case] result: Value) {
    let mut job = job(Access::Write);
    job.session = Session::Resume("s".parse().unwrap());
    let mut hearing = Hearing::new(DialectKind::Acp, &job);
    hearing.hear([answered(1, &result)]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::Agent);
}

fn refused(id: u64, error: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
}

/// Only what the agent says of the session itself is a reason to begin anew, and only once.
#[test]
fn a_conversation_that_is_lost_is_begun_anew() {
    let mut job = job(Access::Write);
    job.session = Session::Resume("lost".parse().unwrap());
    let can_load = initialized(&json!({ "loadSession": true }));
    let lost = json!({ "code": -32603, "message": "No previous sessions found" });

    let mut hearing = Hearing::new(DialectKind::Acp, &job);
    hearing.hear([
        can_load.clone(),
        refused(2, &lost),
        answered(3, &json!({ "sessionId": "s" })),
    ]);
    let sent = hearing.sent();
    let methods: Vec<_> = sent.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["session/load", "session/new", "session/prompt"]);
    is::<v1::NewSessionRequest>(&sent[1]["params"]);
    assert_eq!(sent[1]["params"].get("sessionId"), None);
    assert_eq!(sent[2]["params"]["sessionId"], "s");
    hearing.hear([
        said_chunk(OUTCOME),
        answered(4, &json!({ "stopReason": "end_turn" })),
    ]);
    assert!(
        matches!(hearing.end(0), AgentEnd::Finished(_)),
        "no mark is asked for where nothing is told again"
    );

    for (lines, cause) in [
        (vec![refused(2, &lost), refused(3, &lost)], Cause::Agent),
        (
            vec![refused(
                2,
                &json!({ "code": -32000, "message": "Authentication required" }),
            )],
            Cause::SignIn,
        ),
    ] {
        let mut hearing = Hearing::new(DialectKind::Acp, &job);
        hearing.hear([can_load.clone()]);
        hearing.hear(lines);
        assert_eq!(hearing.closed(), 1);
        assert_eq!(hearing.cause(), cause);
    }
}

const OUTCOME: &str = "{\"summary\": \"mended\", \"evidence\": [], \"open_questions\": []}";

/// No reason but the end of a turn makes an outcome count.
#[rstest]
#[case("end_turn", true)]
#[case("max_tokens", false)]
#[case("max_turn_requests", false)]
#[case("refusal", false)]
#[case("cancelled", false)]
#[case("a reason of tomorrow", false)]
fn an_outcome_counts_at_the_end_of_a_turn(#[case] reason: &str, #[case] counts: bool) {
    let mut hearing = begun(Access::Write);
    hearing.hear([said_chunk(&OUTCOME[..20]), said_chunk(&OUTCOME[20..])]);
    hearing.hear([answered(3, &json!({ "stopReason": reason }))]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(matches!(hearing.end(0), AgentEnd::Finished(_)), counts);
}

/// What was lost may have taken the outcome back.
#[test]
fn an_outcome_before_a_lost_line_does_not_count() {
    let mut hearing = begun(Access::Write);
    hearing.hear([said_chunk(OUTCOME)]);
    hearing.hear_cut(r#"{"jsonrpc":"2.0","method":"session/update","params":{"#);
    hearing.hear([answered(3, &json!({ "stopReason": "end_turn" }))]);
    assert_eq!(hearing.closed(), 0);
    hearing.hear([answered(4, &json!({ "stopReason": "end_turn" }))]);
    assert_eq!(hearing.cause(), Cause::NoOutcome);
}
