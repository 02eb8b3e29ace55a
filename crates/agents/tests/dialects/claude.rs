//! Claude Code: what its recorded sessions mean.

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::dialect::{Job, Line, Parting, Protected, Signal};
use turno_agents::{DialectKind, dialect};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, RetryAfter};
use turno_core::outcome::{Outcome, OutcomeKind};
use turno_core::persona::{Access, Tools};
use turno_core::units::{CostBasis, MicroUsd, Timestamp, Tokens};

use crate::stage::{Hearing, job, said, tool_server};

fn hear(name: &str) -> Hearing {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(said("claude", name));
    hearing
}

/// The recorded `schema` session with another structured output; `None` leaves it out.
fn with_outcome(output: Option<&Value>) -> Vec<String> {
    let mut lines = said("claude", "schema");
    let last = lines.last_mut().unwrap();
    let mut result: Value = serde_json::from_str(last).unwrap();
    let result_object = result.as_object_mut().unwrap();
    match output {
        Some(output) => result_object.insert("structured_output".to_owned(), output.clone()),
        None => result_object.remove("structured_output"),
    };
    *last = result.to_string();
    lines
}

fn change() -> Value {
    json!({ "summary": "mended", "evidence": ["cargo test"], "open_questions": [] })
}

#[rstest]
#[case::sign_in("e401", Cause::SignIn)]
#[case::forbidden("e403", Cause::SignIn)]
#[case::no_key("nokey", Cause::SignIn)]
#[case::credit("ecredit", Cause::Quota)]
#[case::account_limit("rlrej-oauth", Cause::Quota)]
#[case::rate_limit("rlrej", Cause::Provider)]
#[case::rate_limit_for_an_hour("e429long", Cause::Provider)]
#[case::overloaded("long-e529", Cause::Provider)]
#[case::unreachable("long-refused", Cause::Provider)]
#[case::timed_out("lag-timeout5", Cause::Provider)]
#[case::budget("max-budget", Cause::AttemptBudget)]
#[case::prompt_too_long("e400", Cause::Agent)]
#[case::no_such_model("e404", Cause::Agent)]
#[case::refusal("refusal", Cause::Agent)]
#[case::cut_short("maxtok", Cause::Agent)]
#[case::unknown_session("resume-unknown", Cause::Agent)]
#[case::never_valid("schema-exhausted", Cause::NoOutcome)]
#[case::killed("sig-term-sleep", Cause::Agent)]
#[case::not_json("fmt-text", Cause::Agent)]
#[case::not_json_error("fmt-text-err", Cause::Agent)]
fn errors_are_typed(#[case] name: &str, #[case] cause: Cause) {
    let failure = hear(name).failure();
    assert_eq!(failure.cause, cause, "{failure:?}");
    assert!(!failure.detail.is_empty());
}

#[test]
fn an_account_limit_names_when_it_lifts() {
    let hearing = hear("rlrej-oauth");
    assert!(
        hearing
            .signals
            .iter()
            .any(|signal| matches!(signal, Signal::Quota(_)))
    );
    let lifts = RetryAfter::At(Timestamp(1_800_000_000_000));
    assert_eq!(hearing.failure().retry_after, lifts);
}

/// The event or the words, either is enough: the words may change, and a key of an API gets no event.
#[rstest]
#[case::by_the_event("hit your", "used up your", RetryAfter::At(Timestamp(1_800_000_000_000)))]
#[case::by_the_words("rate_limit_event", "keep_alive", RetryAfter::Policy)]
fn an_account_limit_is_seen_twice(#[case] old: &str, #[case] new: &str, #[case] retry_after: RetryAfter) {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    let lines = said("claude", "rlrej-oauth");
    hearing.hear(lines.iter().map(|line| line.replace(old, new)));
    let failure = hearing.failure();
    assert_eq!((failure.cause, failure.retry_after), (Cause::Quota, retry_after));
}

#[test]
fn a_warning_of_a_limit_is_no_limit() {
    let hearing = hear("rl-oauth");
    assert!(hearing.notices().contains(&"the five_hour limit is used to 93 %"));
    assert!(
        !hearing
            .signals
            .iter()
            .any(|signal| matches!(signal, Signal::Quota(_)))
    );
}

#[test]
fn every_retry_is_told() {
    let retries = hear("e429x2")
        .notices()
        .iter()
        .filter(|notice| notice.starts_with("the provider failed (429, rate_limit)"))
        .count();
    assert_eq!(retries, 2);
}

/// Killed while it was retrying, it has no result; what it was retrying is the cause.
#[test]
fn a_death_among_retries_has_their_cause() {
    let lines = said("claude", "e401");
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&lines[..4]);
    assert_eq!(hearing.cause(), Cause::SignIn);
}

#[test]
fn streamed_messages_are_metered_exactly() {
    let lines = said("claude", "partial");
    let (result, before) = lines.split_last().unwrap();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(before);
    let estimated = *hearing.spends().last().unwrap();
    assert_eq!(estimated.cost, MicroUsd(12_900));
    assert_eq!(estimated.basis, CostBasis::Estimated);
    let tokens = Tokens {
        input: 1950,
        output: 175,
        cache_read: 3500,
        cache_write: 900,
    };
    assert_eq!(estimated.tokens, tokens);
    assert!(hearing.spends().is_sorted_by_key(|spend| spend.cost));

    hearing.hear([result]);
    let reported = *hearing.spends().last().unwrap();
    assert_eq!(
        (reported.cost, reported.basis),
        (estimated.cost, CostBasis::Reported)
    );
    assert_eq!(reported.tokens, tokens);
}

/// Every event may come twice, and no message counts twice.
#[test]
fn repeated_events_cost_nothing() {
    let lines = said("claude", "partial");
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    for line in &lines[..lines.len() - 1] {
        hearing.hear([line, line]);
    }
    assert_eq!(hearing.spends().last().unwrap().cost, MicroUsd(12_900));
}

#[test]
fn the_unseen_last_message_of_a_subagent_is_metered() {
    let lines = said("claude", "subagent");
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&lines[..lines.len() - 1]);
    // 500 in and 12 out of the subagent, and what is known of the two messages when they begin: 100 in, 1 out.
    assert_eq!(hearing.spends().last().unwrap().tokens.input, 700);
    assert_eq!(hearing.spends().last().unwrap().tokens.output, 14);
    hearing.hear(lines.last());
    let sum = *hearing.spends().last().unwrap();
    assert_eq!((sum.cost, sum.basis), (MicroUsd(2_580), CostBasis::Reported));
}

/// After a cut stream the message comes whole, without a stream, and the result's own usage is zero.
#[test]
fn a_message_without_a_stream_is_metered() {
    let lines = said("claude", "cut");
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&lines[..lines.len() - 1]);
    assert_eq!(hearing.spends().last().unwrap().cost, MicroUsd(450));
    hearing.hear(lines.last());
    let sum = *hearing.spends().last().unwrap();
    assert_eq!((sum.cost, sum.basis), (MicroUsd(450), CostBasis::Reported));
    assert_eq!(sum.tokens.output, 10);
}

#[test]
fn the_sum_of_a_second_turn_includes_the_first() {
    let hearing = hear("ctrl-allow");
    let reported: Vec<u64> = hearing
        .spends()
        .iter()
        .filter(|spend| spend.basis == CostBasis::Reported)
        .map(|spend| spend.cost.0)
        .collect();
    assert_eq!(reported, [900, 3_165]);
}

#[rstest]
#[case::write(Access::Write)]
#[case::tests(Access::Tests)]
#[case::read(Access::Read)]
fn a_command_is_allowed_as_it_was_asked(#[case] access: Access) {
    let lines = said("claude", "ctrl-allow");
    let asked: Value = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["type"] == "control_request")
        .unwrap();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(access));
    hearing.hear(&lines[..6]);
    let sent = hearing.sent();
    assert_eq!(sent[0]["type"], "control_response");
    assert_eq!(sent[0]["response"]["subtype"], "success");
    assert_eq!(sent[0]["response"]["request_id"], asked["request_id"]);
    assert_eq!(sent[0]["response"]["response"]["behavior"], "allow");
    assert_eq!(
        sent[0]["response"]["response"]["updatedInput"],
        asked["request"]["input"]
    );
}

fn asks_for(tool: &str) -> String {
    json!({
        "type": "control_request",
        "request_id": "r1",
        "request": { "subtype": "can_use_tool", "tool_name": tool, "input": { "file_path": "/x" } },
    })
    .to_string()
}

#[rstest]
#[case(Access::Read, "Write", "deny")]
#[case(Access::Read, "Edit", "deny")]
#[case(Access::Read, "MultiEdit", "deny")]
#[case(Access::Read, "NotebookEdit", "deny")]
#[case(Access::Read, "Read", "allow")]
#[case(Access::Read, "Bash", "allow")]
#[case(Access::Write, "Write", "allow")]
#[case(Access::Tests, "Edit", "allow")]
#[case(Access::Write, "AskUserQuestion", "deny")]
#[case(Access::Write, "ExitPlanMode", "deny")]
#[case(Access::Write, "EnterWorktree", "deny")]
fn tools_are_allowed_by_access(#[case] access: Access, #[case] tool: &str, #[case] expected: &str) {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(access));
    hearing.hear([asks_for(tool)]);
    let answer = &hearing.sent()[0]["response"]["response"];
    assert_eq!(answer["behavior"], expected);
    assert_eq!(answer["message"].is_string(), expected == "deny");
}

#[rstest]
#[case("Bash", "allow")]
#[case("Read", "deny")]
#[case("StructuredOutput", "allow")]
fn only_the_named_tools_are_allowed(#[case] tool: &str, #[case] expected: &str) {
    let mut job = job(Access::Write);
    job.tools = Tools::Only(vec!["Bash(git *)".to_owned()]);
    let mut hearing = Hearing::new(DialectKind::Claude, &job);
    hearing.hear([asks_for(tool)]);
    assert_eq!(hearing.sent()[0]["response"]["response"]["behavior"], expected);
}

/// What Turno's own server offers is allowed in every role; what another one offers is not.
#[rstest]
#[case("mcp__turno__board", "allow")]
#[case("mcp__turno2__board", "deny")]
#[case("mcp__other__board", "deny")]
fn our_own_tools_are_allowed(#[case] tool: &str, #[case] expected: &str) {
    let mut job = job(Access::Read);
    job.tools = Tools::Only(vec!["Bash(git *)".to_owned()]);
    job.tool_servers = vec![tool_server()];
    let mut hearing = Hearing::new(DialectKind::Claude, &job);
    hearing.hear([asks_for(tool)]);
    assert_eq!(hearing.sent()[0]["response"]["response"]["behavior"], expected);
}

/// A hook's callback, and whatever comes in later versions: no request is left without an answer.
#[test]
fn unknown_requests_are_refused() {
    let requests = said("claude", "ctrl-hooks")
        .into_iter()
        .filter(|line| line.contains("\"hook_callback\""))
        .count();
    assert!(requests > 0);
    let refused = hear("ctrl-hooks")
        .sent()
        .into_iter()
        .filter(|line| line["response"]["subtype"] == "error")
        .count();
    assert_eq!(refused, requests);
}

#[test]
fn a_denied_tool_is_told() {
    let hearing = hear("ctrl-deny");
    assert!(hearing.signals.iter().any(
        |signal| matches!(signal, Signal::ToolEnded(line) if line == "Bash failed: the orchestrator says no")
    ));
    assert!(hearing.signals.iter().any(
        |signal| matches!(signal, Signal::ToolStarted(line) if line == "Bash: touch ran.txt; echo ran")
    ));
}

#[test]
fn an_interrupted_run_was_stopped() {
    let lines = said("claude", "ctrl-interrupt");
    let at = lines.iter().position(|line| line.contains("\"i1\"")).unwrap();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&lines[..at]);
    let sent: Value = serde_json::from_str(&hearing.talk.interrupt()[0]).unwrap();
    assert_eq!(sent["request"]["subtype"], "interrupt");
    hearing.hear(&lines[at..at + 4]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::Stopped);
}

/// The same words without our asking are the agent's own failure.
#[test]
fn an_interruption_that_nobody_asked_for_is_a_failure() {
    assert_eq!(hear("ctrl-deny-interrupt").cause(), Cause::Agent);
}

#[test]
fn an_outcome_ends_the_run() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(with_outcome(Some(&change())));
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.sent(), Vec::<Value>::new());
    // The cost belongs before the end of the input.
    assert_eq!(hearing.signals.last(), Some(&Signal::CloseInput));
    // The exit code says nothing: the typed outcome does.
    let end = hearing.end(1);
    assert!(matches!(end, AgentEnd::Finished(Outcome::Change { summary, .. }) if summary == "mended"));
}

#[rstest]
#[case::of_another_shape("schema", "unknown field")]
#[case::never_given("schema-bad", "no JSON object")]
#[case::given_as_text("schema-plain-text", "no JSON object")]
fn a_missing_outcome_gets_one_repair_turn(#[case] name: &str, #[case] told: &str) {
    let mut hearing = hear(name);
    let sent = hearing.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["type"], "user");
    let words = sent[0]["message"]["content"].as_str().unwrap();
    assert!(words.contains(told), "{words}");
    assert!(words.contains("\"open_questions\""), "the schema is repeated");
    assert_eq!(hearing.closed(), 0);

    hearing.hear(with_outcome(None));
    assert_eq!(hearing.sent().len(), 1, "there is no second one");
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::NoOutcome);
}

#[test]
fn a_repaired_outcome_is_an_outcome() {
    let mut hearing = hear("schema-bad");
    hearing.hear(with_outcome(Some(&change())));
    assert!(matches!(hearing.end(0), AgentEnd::Finished(_)));
}

/// A whole run as Turno drives it: a tool allowed, a subagent, a question denied, words instead of an outcome,
/// a repair turn, an outcome.
#[test]
fn a_real_run_is_repaired() {
    let lines = said("claude", "repaired");
    let at = lines
        .iter()
        .position(|line| line.contains(r#""type":"result""#))
        .unwrap();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&lines[..at]);
    // Seven messages; of the subagent's first one only the beginning is known: 19 tokens of its answer are not.
    let estimated = *hearing.spends().last().unwrap();
    assert_eq!((estimated.tokens.input, estimated.tokens.output), (700, 140 - 19));
    hearing.hear(&lines[at..]);
    let kinds: Vec<Value> = hearing.sent().iter().map(|line| line["type"].clone()).collect();
    assert_eq!(kinds, ["control_response", "user"]);
    assert_eq!(hearing.sent()[0]["response"]["response"]["behavior"], "allow");
    // Its question was denied when it was recorded; now it waits for an answer.
    let questions = hearing.signals.iter();
    let questions = questions.filter(|signal| matches!(signal, Signal::Asked { .. }));
    assert_eq!(questions.count(), 1);
    let reported: Vec<u64> = hearing
        .spends()
        .iter()
        .filter(|spend| spend.basis == CostBasis::Reported)
        .map(|spend| spend.cost.0)
        .collect();
    assert_eq!(reported, [4_305, 4_920]);
    assert_eq!(hearing.closed(), 1);
    assert!(
        matches!(hearing.end(0), AgentEnd::Finished(Outcome::Change { summary, .. }) if summary == "did it")
    );
}

#[test]
fn an_approval_with_grave_findings_is_sent_back() {
    let mut job = job(Access::Read);
    job.outcome = OutcomeKind::Verdict;
    let mut hearing = Hearing::new(DialectKind::Claude, &job);
    let finding = json!({
        "file": "a.rs", "line": 1, "severity": "critical", "what": "loses data", "how_to_see": "run it",
    });
    let verdict = json!({ "verdict": "approve", "findings": [finding], "read": [] });
    hearing.hear(with_outcome(Some(&verdict)));
    let words = hearing.sent()[0].to_string();
    assert!(words.contains("major or critical"), "{words}");
}

/// No outcome, and an exit code of 0: that is no success.
#[test]
fn an_exit_code_is_no_outcome() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&said("claude", "schema")[..1]);
    assert!(matches!(hearing.end(0), AgentEnd::Failed(failure) if failure.cause == Cause::Agent));
}

#[test]
fn a_session_is_named_once() {
    let sessions = hear("ctrl-allow")
        .signals
        .iter()
        .filter(|signal| matches!(signal, Signal::Session(_)))
        .count();
    assert_eq!(sessions, 1);
}

#[test]
fn a_cut_question_is_answered_and_a_cut_result_is_mended() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    let question = asks_for("Write");
    hearing.hear_cut(&question[..question.len() - 10]);
    let answer = &hearing.sent()[0]["response"];
    assert_eq!(answer["request_id"], "r1");
    assert_eq!(answer["response"]["behavior"], "deny");

    hearing.hear_cut(r#"{"type":"result","subtype":"success","is_error":false,"result":"x"#);
    assert_eq!(hearing.sent()[1]["type"], "user");
    hearing.hear_cut(r#"{"type":"result","subtype":"success","is_error":false,"result":"x"#);
    assert_eq!(hearing.cause(), Cause::NoOutcome);
}

#[test]
fn an_unknown_message_is_told_once() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear([r#"{"type":"news"}"#, r#"{"type":"news"}"#, "plain words", ""]);
    assert_eq!(
        hearing.notices(),
        ["an unknown kind of message: news", "plain words"]
    );
}

/// What the real version says is known to us, so that a notice of an unknown message means a new version.
#[test]
fn nothing_recorded_is_unknown() {
    for name in crate::stage::transcripts("claude") {
        let hearing = hear(&name);
        let unknown = hearing.notices();
        let unknown = unknown.iter().find(|notice| notice.contains("unknown kind"));
        assert_eq!(unknown, None, "{name}");
    }
}

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
