//! Questions to a person: put in a call of Claude Code's, or as the last words of any agent.

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::DialectKind;
use turno_agents::dialect::Signal;
use turno_agents::schema::{end_of_words, question_in_words, repair_request};
use turno_core::decision::{Choice, Question, Reply};
use turno_core::event::AgentEnd;
use turno_core::outcome::OutcomeKind;
use turno_core::persona::Access;

use crate::stage::{Hearing, job, said};

fn asked(hearing: &Hearing) -> Vec<(String, Question)> {
    let signals = hearing.signals.iter();
    signals
        .filter_map(|signal| match signal {
            Signal::Asked { key, question } => Some((key.clone(), question.clone())),
            _ => None,
        })
        .collect()
}

fn colour() -> Question {
    let choice = |label: &str, detail: &str| Choice {
        label: label.to_owned(),
        detail: detail.to_owned(),
    };
    Question {
        question: "Which colour?".to_owned(),
        options: vec![choice("Red", "r"), choice("Blue", "b")],
        recommended: None,
    }
}

/// The recorded session up to its question, and the rest.
fn recorded() -> (Vec<String>, Vec<String>) {
    let mut before = said("claude", "ctrl-ask");
    let at = before
        .iter()
        .position(|line| line.contains("\"control_request\""))
        .unwrap();
    let after = before.split_off(at + 1);
    (before, after)
}

fn answer(hearing: &mut Hearing, key: &str, reply: &Reply) -> Vec<Value> {
    let lines = hearing.talk.answer(key, reply);
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_question_waits_and_is_answered() {
    let (before, after) = recorded();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Read));
    hearing.hear(&before);
    let (key, question) = asked(&hearing).remove(0);
    assert_eq!(question, colour());
    assert!(hearing.sent().is_empty());

    let request: Value = serde_json::from_str(before.last().unwrap()).unwrap();
    let lines = answer(&mut hearing, &key, &Reply::Answer("Blue".to_owned()));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["response"]["request_id"], request["request_id"]);
    let mut input = request["request"]["input"].clone();
    input["answers"] = json!({ "Which colour?": "Blue" });
    let expected = json!({ "behavior": "allow", "updatedInput": input });
    assert_eq!(lines[0]["response"]["response"], expected);

    // Nothing is answered twice, and the run goes on as any other.
    let again = answer(&mut hearing, &key, &Reply::Answer("Red".to_owned()));
    assert!(again.is_empty());
    hearing.hear(&after);
    assert_eq!(hearing.closed(), 0);
    assert!(hearing.sent()[0]["message"]["content"].is_string());
}

#[test]
fn a_parked_question_ends_the_run() {
    let (before, _) = recorded();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&before);
    let (key, _) = asked(&hearing).remove(0);
    let lines = answer(&mut hearing, &key, &Reply::Parked);
    let told = &lines[0]["response"]["response"];
    assert_eq!(told["behavior"], "deny");
    assert_eq!(told["interrupt"], true);
    // As a denial with an interruption was recorded.
    let result = said("claude", "ctrl-deny-interrupt").pop().unwrap();
    hearing.hear([result]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.end(1), AgentEnd::Asked(colour()));
}

#[test]
fn a_parked_question_outlives_a_killed_process() {
    let (before, _) = recorded();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&before);
    let (key, _) = asked(&hearing).remove(0);
    answer(&mut hearing, &key, &Reply::Parked);
    assert_eq!(hearing.end(1), AgentEnd::Asked(colour()));
}

#[rstest]
#[case::an_outcome_counts(true)]
#[case::words_do_not(false)]
fn after_parking_only_an_outcome_counts(#[case] gives_outcome: bool) {
    let (before, _) = recorded();
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear(&before);
    let (key, _) = asked(&hearing).remove(0);
    answer(&mut hearing, &key, &Reply::Parked);
    let mut result = json!({ "type": "result", "subtype": "success", "is_error": false, "result": "done" });
    if gives_outcome {
        result["structured_output"] = json!({ "summary": "mended", "evidence": [], "open_questions": [] });
    }
    hearing.hear([result.to_string()]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(matches!(hearing.end(0), AgentEnd::Finished(_)), gives_outcome);
}

fn two_questions() -> String {
    json!({
        "type": "control_request",
        "request_id": "r1",
        "request": {
            "subtype": "can_use_tool",
            "tool_name": "AskUserQuestion",
            "input": { "questions": [
                { "question": "Which colour?", "options": [{ "label": "Red" }, { "label": "Blue (Recommended)" }] },
                { "question": "Which size?", "options": [] },
            ] },
        },
    })
    .to_string()
}

/// One after the other: it is heard again only if we make it speak.
#[test]
fn several_questions_of_one_call_are_asked_in_turn() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear([two_questions()]);
    let first = asked(&hearing);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].1.recommended.as_deref(), Some("Blue (Recommended)"));

    let lines = answer(&mut hearing, &first[0].0, &Reply::Answer("Red".to_owned()));
    assert_eq!(lines[0]["type"], "control_request");
    let id = lines[0]["request_id"].as_str().unwrap();
    hearing.hear([json!({
        "type": "control_response",
        "response": { "subtype": "success", "request_id": id, "response": {} },
    })
    .to_string()]);
    let both = asked(&hearing);
    assert_eq!(both[1].1.question, "Which size?");
    assert_ne!(both[0].0, both[1].0);

    // The first key names nothing any more.
    let stale = answer(&mut hearing, &both[0].0, &Reply::Answer("Blue".to_owned()));
    assert!(stale.is_empty());
    let lines = answer(
        &mut hearing,
        &both[1].0,
        &Reply::Answer("L, or larger".to_owned()),
    );
    assert_eq!(
        lines[0]["response"]["response"]["updatedInput"]["answers"],
        json!({ "Which colour?": "Red", "Which size?": "L, or larger" })
    );
}

#[test]
fn a_question_that_is_taken_back_is_answered_no_more() {
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    hearing.hear([two_questions()]);
    let (key, _) = asked(&hearing).remove(0);
    hearing.hear([json!({ "type": "control_cancel_request", "request_id": "r1" }).to_string()]);
    assert!(answer(&mut hearing, &key, &Reply::Parked).is_empty());
}

/// With a schema its outcome comes another way, and a question in its words is a question all the same.
#[test]
fn last_words_of_claude_may_be_a_question() {
    let words = "Stuck.\n```json\n{\"kind\": \"question\", \"question\": \"Which?\"}\n```";
    let mut hearing = Hearing::new(DialectKind::Claude, &job(Access::Write));
    let result = json!({ "type": "result", "subtype": "success", "is_error": false, "result": words });
    hearing.hear([result.to_string()]);
    assert!(matches!(hearing.end(0), AgentEnd::Asked(question) if question.question == "Which?"));
}

#[test]
fn last_words_are_an_outcome_or_a_question() {
    let full = r#"I cannot go on.
```json
{"kind": "question", "question": "Which?", "options": [{"label": "A", "detail": "a"}, {"label": "B"}], "recommended": "B"}
```"#;
    let Ok(AgentEnd::Asked(question)) = end_of_words(OutcomeKind::Plan, full) else {
        panic!("it is a question");
    };
    assert_eq!(question.options.len(), 2);
    assert_eq!(question.recommended.as_deref(), Some("B"));
    assert_eq!(question_in_words(full), Some(question));

    let outcome = end_of_words(OutcomeKind::Acceptance, "{\"missing\": []}");
    assert!(matches!(outcome, Ok(AgentEnd::Finished(_))));
}

#[rstest]
#[case::blank(r#"{"kind": "question", "question": " "}"#, "question")]
#[case::unknown_recommended(
    r#"{"kind": "question", "question": "?", "options": [{"label": "A"}], "recommended": "B"}"#,
    "`B`"
)]
#[case::blank_label(
    r#"{"kind": "question", "question": "?", "options": [{"label": ""}]}"#,
    "label"
)]
#[case::odd(r#"{"kind": "question", "question": "?", "mood": "good"}"#, "mood")]
#[case::another_kind(r#"{"kind": "wish", "question": "?"}"#, "kind")]
fn a_broken_question_is_neither(#[case] words: &str, #[case] told: &str) {
    let error = end_of_words(OutcomeKind::Acceptance, words).unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    assert!(repair_request(OutcomeKind::Acceptance, &error).contains(told));
    assert_eq!(question_in_words(words), None);
}
