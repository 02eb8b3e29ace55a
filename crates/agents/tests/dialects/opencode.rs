//! opencode: what the recorded events of its server mean, as the bridge gives them.

mod asking;
mod failing;

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::DialectKind;
use turno_agents::dialect::{Signal, ToolServer};
use turno_core::command::Session;
use turno_core::event::AgentEnd;
use turno_core::failure::Cause;
use turno_core::outcome::Outcome;
use turno_core::persona::{Access, Model, Tools};
use turno_core::units::{CostBasis, MicroUsd, Tokens};

use crate::stage::{Hearing, job, said};

const CHANGE: &str = r#"{"summary":"mended","evidence":[],"open_questions":[]}"#;
const SESSION: &str = "ses_e05f05f1cffeg4bYzhEiM9gYjJ";

fn hearing(access: Access) -> Hearing {
    Hearing::new(DialectKind::Opencode, &job(access))
}

fn lines() -> Vec<String> {
    said("opencode", "serve")
}

/// The recording up to the first idle session, and what follows. The first turn ends in words without an outcome.
fn split() -> (Vec<String>, Vec<String>) {
    let mut first = lines();
    let at = first.iter().position(|line| line.contains(r#""session.idle""#));
    let rest = first.split_off(at.unwrap() + 1);
    (first, rest)
}

/// A session that has begun and whose turn is under way.
fn working(access: Access) -> Hearing {
    let mut hearing = hearing(access);
    hearing.hear([response(1, 200, &json!({ "id": SESSION }))]);
    hearing.hear([event("session.status", json!({ "status": { "type": "busy" } }))]);
    hearing
}

fn response(id: u64, status: u64, body: &Value) -> String {
    json!({ "response": { "id": id, "status": status, "body": body } }).to_string()
}

fn event(kind: &str, mut properties: Value) -> String {
    properties["sessionID"] = json!(SESSION);
    json!({ "event": { "id": "evt_1", "type": kind, "properties": properties } }).to_string()
}

fn idle() -> String {
    event("session.idle", json!({}))
}

fn retry(attempt: u64, message: &str, next: u64) -> String {
    let status = json!({ "type": "retry", "attempt": attempt, "message": message, "next": next });
    event("session.status", json!({ "status": status }))
}

/// An answer with these words.
fn answered(words: &str) -> [String; 2] {
    let info = json!({ "id": "msg_9", "role": "assistant", "modelID": "m", "time": { "created": 1000 } });
    let part = json!({
        "id": "prt_9", "messageID": "msg_9", "type": "text", "text": words, "time": { "start": 1, "end": 2 },
    });
    [
        event("message.updated", json!({ "info": info })),
        event("message.part.updated", json!({ "part": part, "time": 1000 })),
    ]
}

/// Each new part is looked for among those before it, so there must be an end to them.
#[test]
fn the_last_parts_of_an_answer_without_end_are_kept() {
    let words = |n: usize, words: &str| {
        let part = json!({ "id": format!("prt_{n}"), "messageID": "msg_9", "type": "text", "text": words });
        event("message.part.updated", json!({ "part": part }))
    };
    let last = format!("```json\n{CHANGE}\n```");
    let end = |first: &str, last: &str| {
        let mut hearing = working(Access::Write);
        hearing.hear(answered(first));
        hearing.hear((10..400).map(|n| words(n, "and more")));
        hearing.hear([words(400, last), idle()]);
        hearing.closed()
    };
    assert_eq!(end("begun", &last), 1, "its outcome stands at the end");
    assert_eq!(end(&last, "done"), 0, "the beginning is not kept");
}

#[test]
fn a_session_is_begun_and_prompted() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(lines().iter().take(2));
    let sent = hearing.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["method"], "POST");
    assert_eq!(sent[0]["path"], format!("/session/{SESSION}/prompt_async"));
    assert_eq!(sent[0]["body"]["parts"][0]["text"], "Mend the parser.");
    let system = sent[0]["body"]["system"].as_str().unwrap();
    assert!(system.starts_with("You are the engineer.") && system.contains("open_questions"));
    let named = hearing
        .signals
        .contains(&Signal::Session(SESSION.parse().unwrap()));
    assert!(named);
}

#[test]
fn the_rules_follow_from_access_and_tools() {
    let mut job = job(Access::Read);
    job.tools = Tools::Only(vec!["read".to_owned(), "Bash(git *)".to_owned()]);
    job.tool_servers = vec![ToolServer {
        name: "turno".to_owned(),
        program: "/opt/turno".to_owned(),
        args: vec!["tools".to_owned()],
        env: [("A".to_owned(), "b".to_owned())].into(),
    }];
    let launch = turno_agents::dialect(DialectKind::Opencode).launch(&job).unwrap();
    let config: Value = serde_json::from_str(&launch.env["OPENCODE_CONFIG_CONTENT"]).unwrap();
    let permission = &config["permission"];
    for (tool, pattern, action) in [
        ("*", "*", "deny"),
        ("read", "*", "allow"),
        ("bash", "git *", "allow"),
        ("turno_*", "*", "allow"),
        ("edit", "*", "deny"),
    ] {
        assert_eq!(permission[tool][pattern], action, "{tool} {pattern}");
    }
    assert_eq!(config["mcp"]["turno"]["command"], json!(["/opt/turno", "tools"]));
    assert_eq!(config["mcp"]["turno"]["environment"]["A"], "b");
    assert_eq!(
        (&config["autoupdate"], &config["share"]),
        (&json!(false), &json!("disabled"))
    );
    let request: Value = serde_json::from_str(&launch.input[0]).unwrap();
    let last = json!({ "permission": "edit", "pattern": "*", "action": "deny" });
    assert_eq!(
        request["body"]["permission"].as_array().unwrap().last(),
        Some(&last)
    );
}

/// A run that goes on with a session, up to the answer that it is there.
fn resumed(session: &str, began_in: &str) -> Hearing {
    let mut job = job(Access::Read);
    job.session = Session::Resume(session.parse().unwrap());
    job.model = Model::Named("local/a/b".to_owned());
    let mut hearing = Hearing::new(DialectKind::Opencode, &job);
    hearing.hear([
        response(1, 200, &json!({ "directory": "/slots/2" })),
        response(2, 200, &json!({ "id": session, "directory": began_in })),
    ]);
    hearing
}

#[test]
fn a_session_is_resumed_under_the_rules_of_now() {
    let hearing = resumed("ses_1/../x", "/slots/2");
    let sent = hearing.sent();
    assert_eq!(
        (&sent[0]["method"], &sent[0]["path"]),
        (&json!("PATCH"), &json!("/session/ses_1%2F%2E%2E%2Fx"))
    );
    let denied = json!({ "permission": "edit", "pattern": "*", "action": "deny" });
    assert_eq!(
        sent[0]["body"]["permission"].as_array().unwrap().last(),
        Some(&denied)
    );
    assert_eq!(
        sent[1]["body"]["model"],
        json!({ "providerID": "local", "modelID": "a/b" })
    );
}

/// It would work in the directory where it began, which is another task's by now.
#[test]
fn a_session_of_another_slot_is_moved_before_it_is_prompted() {
    let mut hearing = resumed("ses_1", "/slots/1");
    let sent = hearing.sent();
    assert_eq!(sent[1]["path"], "/experimental/control-plane/move-session");
    assert_eq!(
        sent[1]["body"],
        json!({ "sessionID": "ses_1", "moveChanges": false, "destination": { "directory": "/slots/2" } })
    );
    assert_eq!(sent.len(), 2, "no prompt yet");
    hearing.hear([response(3, 204, &Value::Null)]);
    assert_eq!(hearing.sent()[2]["path"], "/session/ses_1/prompt_async");
}

#[test]
fn a_session_that_cannot_be_moved_is_begun_anew() {
    let mut hearing = resumed("ses_1", "/slots/1");
    hearing.hear([
        response(3, 404, &Value::Null),
        response(4, 200, &json!({ "id": "ses_2" })),
    ]);
    let sent = hearing.sent();
    assert_eq!(
        (&sent[2]["method"], &sent[2]["path"]),
        (&json!("POST"), &json!("/session"))
    );
    assert_eq!(sent[3]["path"], "/session/ses_2/prompt_async");
    let named: Vec<&Signal> = hearing
        .signals
        .iter()
        .filter(|signal| matches!(signal, Signal::Session(_)))
        .collect();
    assert_eq!(named, [&Signal::Session("ses_2".parse().unwrap())]);
}

#[test]
fn a_session_that_is_gone_is_a_failure() {
    let mut job = job(Access::Write);
    job.session = Session::Resume("ses_1".parse().unwrap());
    let mut hearing = Hearing::new(DialectKind::Opencode, &job);
    let body = json!({ "name": "NotFoundError", "data": { "message": "Session not found: ses_1" } });
    hearing.hear([
        response(1, 200, &json!({ "directory": "/slots/2" })),
        response(2, 404, &body),
    ]);
    assert_eq!(hearing.closed(), 1);
    let failure = hearing.failure();
    assert_eq!(failure.cause, Cause::Agent);
    assert!(failure.detail.contains("Session not found"), "{}", failure.detail);
}

#[test]
fn work_is_told_in_lines_and_the_prompt_is_not() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(split().0);
    let lines: Vec<String> = hearing
        .signals
        .iter()
        .filter_map(|signal| match signal {
            Signal::ToolStarted(line) => Some(format!("> {line}")),
            Signal::ToolEnded(line) => Some(format!("< {line}")),
            Signal::Text(words) => Some(words.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        lines[..5],
        [
            "> write: /workspace/opencode-serve/hello.txt",
            "> bash: cat hello.txt && git status --short",
            "I will create a file and run it.",
            "< completed: write: /workspace/opencode-serve/hello.txt",
            "< completed: bash: cat hello.txt && git status --short",
        ]
    );
    assert_eq!(
        lines.last().unwrap(),
        "Done: created hello.txt and edited README.md."
    );
}

#[test]
fn each_step_is_paid_once_at_its_own_price() {
    let mut hearing = hearing(Access::Write);
    hearing.hear(split().0);
    let spends = hearing.spends();
    let spend = *spends.last().unwrap();
    // As the server's own sum at the end says: 0.009525 dollars.
    assert_eq!((spend.cost, spend.basis), (MicroUsd(9525), CostBasis::Reported));
    assert_eq!(
        spend.tokens,
        Tokens {
            input: 1950,
            output: 175,
            cache_read: 3500,
            cache_write: 0,
        }
    );
    assert_eq!(spends.len(), 4);
}

#[test]
fn without_a_price_of_its_own_turnos_list_counts() {
    let mut hearing = hearing(Access::Write);
    let free = |line: &String| {
        let at = line.find(r#""cost":"#);
        match at {
            Some(at) => {
                let end = line[at..].find(['}', ',']).unwrap() + at;
                format!("{}\"cost\":0{}", &line[..at], &line[end..])
            }
            None => line.clone(),
        }
    };
    hearing.hear(split().0.iter().map(free));
    let spend = *hearing.spends().last().unwrap();
    // 1950 at 1, 175 at 10, 3500 at 0.1 dollars a million.
    assert_eq!(spend.cost, MicroUsd(1950 + 1750 + 350));
    assert_eq!(spend.basis, CostBasis::Estimated);
}

#[test]
fn an_answer_in_words_gets_one_repair_turn() {
    let (first, rest) = split();
    let mut hearing = hearing(Access::Write);
    hearing.hear(first);
    let repair = hearing.sent().pop().unwrap();
    assert_eq!(repair["path"], format!("/session/{SESSION}/prompt_async"));
    let words = repair["body"]["parts"][0]["text"].as_str().unwrap();
    assert!(words.contains("no JSON object") && words.contains("open_questions"));
    assert_eq!(hearing.closed(), 0);
    // An idle session before it works again is the old news.
    hearing.hear([idle()]);
    assert_eq!(hearing.closed(), 0);
    let busy = rest
        .iter()
        .find(|line| line.contains(r#""type":"busy""#))
        .unwrap();
    hearing
        .hear([busy])
        .hear(answered("Still no block."))
        .hear([idle()]);
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
    hearing.hear(split().0.iter().map(|line| line.replace(&old, &new)));
    assert_eq!(hearing.closed(), 1);
    let end = hearing.end(0);
    assert!(matches!(end, AgentEnd::Finished(Outcome::Change { summary, .. }) if summary == "mended"));
}

#[test]
fn an_interrupted_turn_was_stopped() {
    let mut early = hearing(Access::Write);
    assert_eq!(
        early.talk.interrupt(),
        Vec::<String>::new(),
        "there is no session yet"
    );
    let (_, rest) = split();
    let mut hearing = working(Access::Write);
    let aborted = rest
        .iter()
        .position(|line| line.contains("MessageAbortedError"))
        .unwrap();
    hearing.hear(&rest[..aborted]);
    let sent: Value = serde_json::from_str(&hearing.talk.interrupt()[0]).unwrap();
    assert_eq!(sent["path"], format!("/session/{SESSION}/abort"));
    let until = aborted
        + 1
        + rest[aborted..]
            .iter()
            .position(|l| l.contains("session.idle"))
            .unwrap();
    hearing.hear(&rest[aborted..until]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::Stopped);
}

#[test]
fn news_told_again_changes_nothing() {
    let block = format!("```json\n{CHANGE}\n```");
    let mut hearing = working(Access::Write);
    let step =
        json!({ "id": "p1", "messageID": "msg_9", "type": "step-finish", "cost": 0.001, "tokens": {} });
    let step = event("message.part.updated", json!({ "part": step }));
    let older = json!({ "id": "msg_8", "role": "assistant", "modelID": "m" });
    let subagent = json!({ "id": "msg_99", "role": "assistant", "modelID": "m" });
    hearing.hear(answered(&block)).hear(answered(&block)).hear([
        step.clone(),
        step,
        event("message.updated", json!({ "info": older })),
        event("message.updated", json!({ "info": subagent })).replace(SESSION, "ses_child"),
        idle(),
    ]);
    let texts = hearing.signals.iter().filter(|s| matches!(s, Signal::Text(_)));
    assert_eq!(texts.count(), 1);
    assert_eq!(hearing.spends().len(), 1);
    assert_eq!(hearing.closed(), 1);
    assert!(matches!(hearing.end(0), AgentEnd::Finished(_)));
}
