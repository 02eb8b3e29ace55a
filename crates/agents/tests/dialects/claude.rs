//! Claude Code: what its recorded sessions mean.

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::DialectKind;
use turno_agents::dialect::Signal;
use turno_agents::limits::{QuotaSaid, Resets};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, RetryAfter};
use turno_core::outcome::{Outcome, OutcomeKind};
use turno_core::persona::{Access, Tools};
use turno_core::quota::QuotaFill;
use turno_core::units::{CostBasis, MicroUsd, Span, Timestamp, Tokens};

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
#[case::rate_limit("rlrej", Cause::RateLimited)]
#[case::rate_limit_for_an_hour("e429long", Cause::RateLimited)]
#[case::overloaded("long-e529", Cause::Provider)]
#[case::unreachable("long-refused", Cause::Provider)]
#[case::timed_out("lag-timeout5", Cause::Provider)]
#[case::budget("max-budget", Cause::AttemptBudget)]
#[case::prompt_too_long("e400", Cause::Agent)]
#[case::no_such_model("e404", Cause::Model)]
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
    let resets = Resets::At(Timestamp(1_800_000_000_000));
    let full = QuotaSaid::new("five_hour", QuotaFill::Full, resets);
    assert_eq!(hearing.quotas(), [full]);
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
    let resets = Resets::At(Timestamp(1_800_000_000_000));
    let used = QuotaSaid::new("five-hour", QuotaFill::Percent(93), resets);
    assert_eq!(hear("rl-oauth").quotas(), [used]);
}

#[rstest]
#[case::room(json!({"status": "allowed", "rateLimitType": "seven_day_opus"}), "seven-day-opus", QuotaFill::Open)]
#[case::used(json!({"status": "allowed", "utilization": 0.4}), "account", QuotaFill::Percent(40))]
#[case::near(json!({"status": "allowed_warning"}), "account", QuotaFill::Near)]
#[case::paid(json!({"status": "rejected", "isUsingOverage": true}), "account", QuotaFill::Percent(100))]
fn windows_are_told(#[case] info: Value, #[case] window: &str, #[case] fill: QuotaFill) {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear([json!({ "type": "rate_limit_event", "rate_limit_info": info }).to_string()]);
    assert_eq!(hearing.quotas(), [QuotaSaid::new(window, fill, Resets::Unknown)]);
    // What is paid for beyond the window, or warned of, is served: a busy minute after it is no used-up account.
    hearing.hear(said("claude", "e429long"));
    assert_eq!(hearing.cause(), Cause::RateLimited);
}

/// An older Claude Code tells the time to programs, in its words.
#[test]
fn the_words_of_a_limit_may_hold_its_time() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    let lines = said("claude", "rlrej");
    let old = "\"result\":\"";
    let new = "\"result\":\"Claude AI usage limit reached|1800000000 ";
    hearing.hear(lines.iter().map(|line| line.replace(old, new)));
    let failure = hearing.failure();
    assert_eq!(failure.cause, Cause::Quota);
    assert_eq!(failure.retry_after, RetryAfter::At(Timestamp(1_800_000_000_000)));
}

#[test]
fn every_retry_is_told() {
    let hearing = hear("e429x2");
    assert_eq!(hearing.waits(), [Span(2000), Span(2000)]);
    let retries = hearing
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

#[test]
fn it_can_be_told_something_while_it_works() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    let sent: Value = serde_json::from_str(&hearing.talk.nudge("are you there?")[0]).unwrap();
    assert_eq!(
        (&sent["type"], &sent["message"]["role"]),
        (&"user".into(), &"user".into())
    );
    assert_eq!(sent["message"]["content"], "are you there?");
    hearing.hear(with_outcome(Some(&change())));
    assert_eq!(hearing.talk.nudge("and now?"), Vec::<String>::new());
    let mut stopped = Hearing::new(DialectKind::Claude, &job(Access::Write));
    stopped.talk.interrupt();
    assert_eq!(stopped.talk.nudge("still there?"), Vec::<String>::new());
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
