//! Codex: what its recorded sessions mean.

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::DialectKind;
use turno_agents::dialect::Signal;
use turno_agents::limits::{QuotaSaid, Resets};
use turno_core::command::Session;
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, RetryAfter};
use turno_core::outcome::Outcome;
use turno_core::persona::Access;
use turno_core::quota::QuotaFill;
use turno_core::units::{CostBasis, MicroUsd, Span, Timestamp, Tokens};

use crate::stage::{Hearing, job, recorded, said};

const CHANGE: &str = r#"{"summary":"mended","evidence":[],"open_questions":[]}"#;

fn hearing(access: Access) -> Hearing {
    Hearing::new(DialectKind::Codex, &job(access))
}

/// The recorded session up to the answer to the driver's request `id`, that answer not included.
fn until_answer(id: u64) -> Vec<String> {
    let answer = format!("{{\"id\":{id},\"result\"");
    said("codex", "app-server")
        .into_iter()
        .take_while(|line| !line.starts_with(&answer))
        .collect()
}

/// The part of the recorded session that follows the driver's request `from`, up to its request `to`.
fn turn(from: u64, to: u64) -> Vec<String> {
    let is = |line: &str, id: u64| serde_json::from_str::<Value>(line).unwrap()["id"] == id;
    recorded("codex", "app-server")
        .into_iter()
        .skip_while(|(direction, line)| direction != "in" || !is(line, from) || !line.contains("turn/start"))
        .skip(1)
        .take_while(|(direction, line)| direction != "in" || !is(line, to))
        .filter_map(|(direction, line)| (direction == "out").then_some(line))
        .collect()
}

/// The start of the recorded session: both answers before the first turn.
fn start() -> Vec<String> {
    until_answer(3)
        .into_iter()
        .take_while(|line| !line.contains("thread/started"))
        .collect()
}

fn ours(line: &str, id: u64) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    if line.get("result").is_some() {
        line["id"] = json!(id);
    }
    line.to_string()
}

#[test]
fn the_requests_come_in_order() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(start());
    let sent = hearing.sent();
    let methods: Vec<&str> = sent.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["initialized", "thread/start", "turn/start"]);
    assert_eq!(sent[1]["params"]["sandbox"], "workspace-write");
    assert_eq!(sent[1]["params"]["approvalPolicy"], "never");
    assert_eq!(
        sent[1]["params"]["developerInstructions"],
        "You are the engineer."
    );
    assert_eq!(sent[2]["params"]["input"][0]["text"], "Mend the parser.");
    assert_eq!(
        sent[2]["params"]["threadId"],
        "01a1fa00-878f-7382-9df8-2f921096d783"
    );
    assert_eq!(sent[2]["params"]["outputSchema"]["additionalProperties"], false);
    assert!(
        hearing
            .signals
            .iter()
            .any(|signal| matches!(signal, Signal::Session(_)))
    );
}

#[test]
fn a_session_is_resumed_with_everything_said_again() {
    let mut job = job(Access::Read);
    job.session = Session::Resume("t-1".parse().unwrap());
    let mut hearing = Hearing::new(DialectKind::Codex, &job);
    hearing.hear(&start()[..1]);
    let sent = hearing.sent();
    assert_eq!(sent[1]["method"], "thread/resume");
    assert_eq!(sent[1]["params"]["threadId"], "t-1");
    assert_eq!(sent[1]["params"]["sandbox"], "read-only");
    assert_eq!(
        sent[1]["params"]["developerInstructions"],
        "You are the engineer."
    );
}

#[rstest]
#[case::write(Access::Write, "accept")]
#[case::tests(Access::Tests, "accept")]
#[case::read(Access::Read, "decline")]
fn a_file_change_is_approved_by_access(#[case] access: Access, #[case] expected: &str) {
    let mut hearing = hearing(access);
    hearing.hear(until_answer(4));
    let decisions: Vec<Value> = hearing
        .sent()
        .into_iter()
        .filter(|line| line.get("result").is_some())
        .collect();
    assert_eq!(decisions.len(), 2);
    for (id, decision) in decisions.iter().enumerate() {
        assert_eq!(decision["id"], id);
        assert_eq!(decision["result"]["decision"], expected);
    }
}

#[test]
fn a_file_change_elsewhere_is_declined() {
    let mut job = job(Access::Write);
    job.cwd = "/workspace/another".to_owned();
    let mut hearing = Hearing::new(DialectKind::Codex, &job);
    hearing.hear(until_answer(4));
    let accepted = hearing
        .sent()
        .iter()
        .any(|line| line["result"]["decision"] == "accept");
    assert!(!accepted);
}

#[rstest]
#[case("item/commandExecution/requestApproval", json!({"cwd": "/workspace/codex-app-server"}), "/result/decision", json!("accept"))]
#[case("item/commandExecution/requestApproval", json!({"cwd": "/etc"}), "/result/decision", json!("decline"))]
#[case("item/fileChange/requestApproval", json!({"itemId": "never seen"}), "/result/decision", json!("decline"))]
#[case("item/permissions/requestApproval", json!({}), "/result/permissions", json!({}))]
#[case("mcpServer/elicitation/request", json!({}), "/result/action", json!("decline"))]
#[case("item/tool/call", json!({}), "/error/code", json!(-32601))]
#[case("something/new", json!({}), "/error/code", json!(-32601))]
fn every_request_is_answered(
    #[case] method: &str,
    #[case] params: Value,
    #[case] at: &str,
    #[case] expected: Value,
) {
    let mut hearing = hearing(Access::Write);
    hearing.hear([json!({ "id": 9, "method": method, "params": params }).to_string()]);
    let answer = &hearing.sent()[0];
    assert_eq!(answer["id"], 9);
    assert_eq!(answer.pointer(at), Some(&expected));
}

#[test]
fn a_question_is_answered_that_nobody_is_there() {
    let mut hearing = hearing(Access::Write);
    let params = json!({ "questions": [{ "id": "q1", "question": "Which?" }] });
    hearing
        .hear([json!({ "id": "s-1", "method": "item/tool/requestUserInput", "params": params }).to_string()]);
    let answer = &hearing.sent()[0];
    assert_eq!(answer["id"], "s-1");
    let words = answer["result"]["answers"]["q1"]["answers"][0].as_str().unwrap();
    assert!(words.contains("Nobody"));
}

#[test]
fn tokens_are_priced_without_counting_the_cached_ones_twice() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(until_answer(4));
    let spend = *hearing.spends().last().unwrap();
    let tokens = Tokens {
        input: 5450 - 3500,
        output: 175,
        cache_read: 3500,
        cache_write: 0,
    };
    assert_eq!(spend.tokens, tokens);
    // 1950 at 1, 175 at 10, 3500 at 0.1 dollars a million.
    assert_eq!(spend.cost, MicroUsd(1950 + 1750 + 350));
    assert_eq!(spend.basis, CostBasis::Estimated);
    assert_eq!(hearing.spends().len(), 4);
}

/// A resumed thread tells what it used before; that was paid for by another attempt.
#[test]
fn the_past_of_a_resumed_thread_is_not_paid_again() {
    let lines = until_answer(4);
    let turn_started = lines.iter().find(|line| line.contains("turn/started")).unwrap();
    let turn_started: Value = serde_json::from_str(turn_started).unwrap();
    let ours = turn_started["params"]["turn"]["id"].as_str().unwrap();
    let usage = |turn: &str, total: u64, last: u64| {
        let count = |n: u64| json!({ "inputTokens": n, "outputTokens": 0, "cachedInputTokens": 0 });
        json!({
            "method": "thread/tokenUsage/updated",
            "params": {
                "threadId": "01a1fa00-878f-7382-9df8-2f921096d783",
                "turnId": turn,
                "tokenUsage": { "total": count(total), "last": count(last) },
            },
        })
        .to_string()
    };
    let turn_started = turn_started.to_string();
    // Told when the thread is loaded, before the turn or just after its start.
    for early in [true, false] {
        let mut told = hearing(Access::Write);
        told.hear(start());
        let memory = usage("an older turn", 1000, 400);
        match early {
            true => told.hear([&memory, &turn_started]),
            false => told.hear([&turn_started, &memory]),
        };
        assert_eq!(told.spends(), []);
        told.hear([usage(ours, 1100, 100)]);
        assert_eq!(told.spends().last().unwrap().tokens.input, 100);
    }
    // Not told.
    let mut untold = hearing(Access::Write);
    untold
        .hear(start())
        .hear([turn_started])
        .hear([usage(ours, 1100, 100), usage(ours, 1150, 50)]);
    assert_eq!(untold.spends().last().unwrap().tokens.input, 150);
}

#[test]
fn work_is_told_in_lines() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(until_answer(4));
    let lines: Vec<&str> = hearing
        .signals
        .iter()
        .filter_map(|signal| match signal {
            Signal::ToolStarted(line) | Signal::ToolEnded(line) => Some(line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        lines[..4],
        [
            "add /workspace/codex-app-server/hello.txt",
            "completed: add /workspace/codex-app-server/hello.txt",
            "/bin/bash -lc 'cat hello.txt && git status --short'",
            "completed: /bin/bash -lc 'cat hello.txt && git status --short'",
        ]
    );
}

/// The whole recording: words instead of an outcome, a repair turn, and in that an interruption.
#[test]
fn an_answer_in_words_gets_one_repair_turn() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(until_answer(4));
    let sent = hearing.sent();
    let repair = sent.last().unwrap();
    assert_eq!(
        (&repair["method"], &repair["id"]),
        (&json!("turn/start"), &json!(4))
    );
    let words = repair["params"]["input"][0]["text"].as_str().unwrap();
    assert!(words.contains("no JSON object") && words.contains("open_questions"));
    assert_eq!(hearing.closed(), 0);
    // The same words again.
    hearing.hear(turn(3, 4).iter().map(|line| ours(line, 4)));
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::NoOutcome);
}

#[rstest]
#[case::plain(CHANGE.to_owned())]
#[case::fenced(format!("All done.\n\n```json\n{CHANGE}\n```\n"))]
fn an_outcome_ends_the_run(#[case] answer: String) {
    let old = json!("Done: created hello.txt and edited README.md.").to_string();
    let new = json!(answer).to_string();
    let mut hearing = hearing(Access::Write);
    hearing.hear(until_answer(4).iter().map(|line| line.replace(&old, &new)));
    assert_eq!(hearing.closed(), 1);
    let end = hearing.end(0);
    assert!(matches!(end, AgentEnd::Finished(Outcome::Change { summary, .. }) if summary == "mended"));
}

#[test]
fn an_interrupted_turn_was_stopped() {
    let mut hearing = hearing(Access::Write);
    assert_eq!(
        hearing.talk.interrupt(),
        Vec::<String>::new(),
        "there is no turn yet"
    );
    let mut hearing = Hearing {
        talk: turno_agents::dialect(DialectKind::Codex).converse(&job(Access::Write)),
        signals: Vec::new(),
    };
    hearing.hear(start());
    let lines: Vec<String> = turn(4, 6).iter().map(|line| ours(line, 3)).collect();
    let at = lines
        .iter()
        .position(|line| line.contains("turn/completed"))
        .unwrap();
    hearing.hear(&lines[..3]);
    let sent: Value = serde_json::from_str(&hearing.talk.interrupt()[0]).unwrap();
    assert_eq!(sent["method"], "turn/interrupt");
    assert_eq!(sent["params"]["turnId"], "01a1fa00-89e9-76f2-be87-f262a94125f8");
    assert_eq!(sent["params"]["threadId"], "01a1fa00-878f-7382-9df8-2f921096d783");
    hearing.hear(&lines[at..=at]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::Stopped);
}

#[test]
fn a_refused_key_is_a_sign_in() {
    let mut hearing = hearing(Access::Write);
    hearing
        .hear(start())
        .hear(turn(6, 7).iter().map(|line| ours(line, 3)));
    let reconnects = hearing.notices();
    let reconnects = reconnects
        .iter()
        .filter(|notice| notice.starts_with("Reconnecting"));
    assert_eq!(reconnects.count(), 5);
    assert_eq!(hearing.closed(), 1);
    let failure = hearing.failure();
    assert_eq!(failure.cause, Cause::SignIn);
    assert!(failure.detail.contains("401"));
}

/// Without a network it waits for ever; whoever ends it learns what it was waiting for.
#[test]
fn a_death_among_retries_has_their_cause() {
    let lines: Vec<String> = turn(6, 7).iter().map(|line| ours(line, 3)).collect();
    let at = lines.iter().position(|line| line.contains("3/5")).unwrap();
    let mut hearing = hearing(Access::Write);
    hearing.hear(start()).hear(&lines[..=at]);
    assert_eq!(hearing.closed(), 0);
    assert_eq!(hearing.cause(), Cause::SignIn);
}

#[test]
fn a_used_up_account_is_a_quota() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(said("codex", "app-server-usagelimit"));
    assert_eq!(hearing.closed(), 1);
    let failure = hearing.failure();
    assert_eq!(
        (failure.cause, failure.retry_after),
        (Cause::Quota, RetryAfter::Policy)
    );
}

#[test]
fn a_reached_limit_tells_when_it_lifts() {
    let limits: Vec<String> = said("codex", "app-server-ratelimit")
        .into_iter()
        .filter(|line| line.contains("account/rateLimits/updated"))
        .collect();
    let mut near = hearing(Access::Write);
    near.hear(&limits);
    let at = |seconds: i64| Resets::At(Timestamp(seconds * 1000));
    assert_eq!(
        near.quotas(),
        [
            QuotaSaid::new("five-hour", QuotaFill::Percent(93), at(1_800_000_000)),
            QuotaSaid::new("seven-day", QuotaFill::Percent(40), at(1_800_400_000)),
        ]
    );

    let mut hearing = hearing(Access::Write);
    hearing.hear(
        limits
            .iter()
            .map(|line| line.replace("\"usedPercent\":93", "\"usedPercent\":100")),
    );
    let fills: Vec<QuotaFill> = hearing.quotas().iter().map(|said| said.fill).collect();
    assert_eq!(fills, [QuotaFill::Full, QuotaFill::Percent(40)]);
    hearing.hear(said("codex", "app-server-usagelimit"));
    let lifts = RetryAfter::At(Timestamp(1_800_000_000_000));
    assert_eq!(hearing.failure().retry_after, lifts);
}

/// What another model has used up, or what is paid for, keeps nobody from being served.
#[rstest]
#[case(json!({ "limitId": "other", "primary": { "usedPercent": 100 } }), "other-primary", Resets::Unknown)]
#[case(json!({ "credits": { "hasCredits": true }, "primary": { "usedPercent": 100, "resetsInSeconds": 9 } }),
    "primary", Resets::In(Span::seconds(9)))]
fn a_full_window_may_be_served(#[case] limits: Value, #[case] window: &str, #[case] resets: Resets) {
    let mut hearing = hearing(Access::Write);
    let params = json!({ "rateLimits": limits });
    hearing.hear([json!({ "method": "account/rateLimits/updated", "params": params }).to_string()]);
    let said = QuotaSaid::new(window, QuotaFill::Percent(100), resets);
    assert_eq!(hearing.quotas(), [said]);
}

#[test]
fn a_wait_that_is_told_is_heard() {
    let mut hearing = hearing(Access::Write);
    let error = json!({ "message": "Reconnecting... 1/5", "additionalDetails":
        "Rate limit reached for gpt-5. Please try again in 1.5s.", "codexErrorInfo": null });
    let params = json!({ "error": error, "willRetry": true });
    hearing
        .hear(start())
        .hear([json!({ "method": "error", "params": params }).to_string()]);
    assert_eq!(hearing.waits(), [Span(1500)]);
}

#[rstest]
#[case(json!("unauthorized"), "", Cause::SignIn)]
#[case(json!("serverOverloaded"), "", Cause::Provider)]
#[case(json!("rateLimitExceeded"), "", Cause::RateLimited)]
#[case(json!({"httpConnectionFailed": {"httpStatusCode": null}}), "", Cause::Provider)]
#[case(json!({"responseStreamDisconnected": {"httpStatusCode": 503}}), "", Cause::Provider)]
#[case(json!({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}), "", Cause::RateLimited)]
#[case(json!({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}), "insufficient_quota", Cause::Quota)]
#[case(json!({"httpConnectionFailed": {"httpStatusCode": 404}}), "The model `x` does not exist", Cause::Model)]
#[case(json!(null), "The 'x' model is not supported when using Codex with a ChatGPT account.", Cause::Model)]
#[case(json!({"httpConnectionFailed": {"httpStatusCode": 403}}), "", Cause::SignIn)]
#[case(json!({"httpConnectionFailed": {"httpStatusCode": 404}}), "", Cause::Agent)]
#[case(json!("contextWindowExceeded"), "", Cause::Agent)]
#[case(json!("neverHeardOf"), "", Cause::Agent)]
#[case(json!(null), "Missing environment variable: `KEY`.", Cause::SignIn)]
#[case(json!(null), "odd", Cause::Agent)]
fn errors_are_typed(#[case] info: Value, #[case] message: &str, #[case] cause: Cause) {
    let mut hearing = hearing(Access::Write);
    let error = json!({ "message": message, "codexErrorInfo": info, "additionalDetails": null });
    let params = json!({
        "threadId": "01a1fa00-878f-7382-9df8-2f921096d783",
        "turn": { "id": "t", "items": [], "status": "failed", "error": error },
    });
    hearing
        .hear(start())
        .hear([json!({ "method": "turn/completed", "params": params }).to_string()]);
    assert_eq!(hearing.cause(), cause);
}

/// Agents that codex starts by itself have threads of their own, and their turns end too.
#[test]
fn the_turn_of_another_thread_is_not_ours() {
    let mut hearing = hearing(Access::Write);
    let params = json!({ "threadId": "another", "turn": { "status": "completed", "items": [] } });
    hearing
        .hear(start())
        .hear([json!({ "method": "turn/completed", "params": params }).to_string()]);
    assert_eq!((hearing.closed(), hearing.sent().len()), (0, 3));
}

#[rstest]
#[case::initialize(0, 1)]
#[case::thread(1, 2)]
#[case::turn(usize::MAX, 3)]
fn a_refused_request_ends_the_run(#[case] lines: usize, #[case] id: u64) {
    let start = start();
    let mut hearing = hearing(Access::Write);
    hearing.hear(start.iter().take(lines));
    let error = json!({ "code": -32600, "message": "no rollout found for thread id t-1" });
    hearing.hear([json!({ "id": id, "error": error }).to_string()]);
    assert_eq!(hearing.closed(), 1);
    let failure = hearing.failure();
    assert_eq!(failure.cause, Cause::Agent);
    assert!(failure.detail.contains("no rollout found"));
}

#[test]
fn a_cut_request_is_answered_and_a_cut_end_is_mended() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(start());
    hearing.hear_cut(r#"{"method":"item/fileChange/requestApproval","id":7,"params":{"threadId":"x"#);
    let answer = hearing.sent().pop().unwrap();
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(7), &json!(-32601))
    );
    let cut =
        r#"{"method":"turn/completed","params":{"threadId":"01a1fa00-878f-7382-9df8-2f921096d783","turn"#;
    hearing.hear_cut(cut);
    assert_eq!(hearing.sent().pop().unwrap()["method"], "turn/start");
    hearing.hear_cut(cut);
    assert_eq!(hearing.cause(), Cause::NoOutcome);
}

#[test]
fn nothing_recorded_is_unknown() {
    for name in crate::stage::transcripts("codex") {
        let mut hearing = hearing(Access::Write);
        hearing.hear(said("codex", &name));
        let unknown = hearing.notices();
        let unknown = unknown.iter().find(|notice| notice.contains("unknown kind"));
        assert_eq!(unknown, None, "{name}");
    }
}
