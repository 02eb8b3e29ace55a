//! What opencode asks for, permissions and questions, and what it is answered.

use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::dialect::Signal;
use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::persona::Access;
use turno_core::units::MicroUsd;

use super::{SESSION, event, idle, working};

#[rstest]
#[case::write(Access::Write, "edit", "once")]
#[case::read(Access::Read, "edit", "reject")]
#[case::run(Access::Read, "bash", "once")]
#[case::outside(Access::Write, "external_directory", "reject")]
#[case::again_and_again(Access::Write, "doom_loop", "reject")]
fn what_it_asks_for_is_answered_by_access(
    #[case] access: Access,
    #[case] permission: &str,
    #[case] expected: &str,
) {
    let mut hearing = working(access);
    let asked = json!({ "id": "per_1", "permission": permission, "patterns": ["a.txt"] });
    hearing.hear([event("permission.asked", asked)]);
    let reply = hearing.sent().pop().unwrap();
    assert_eq!(reply["path"], "/permission/per_1/reply");
    assert_eq!(reply["body"]["reply"], expected);
    assert_eq!(reply["body"].get("message").is_some(), expected == "reject");
}

#[test]
fn what_a_subagent_asks_for_is_answered_and_paid_and_ends_nothing() {
    let mut hearing = working(Access::Write);
    let other = |line: String| line.replace(SESSION, "ses_child");
    let asked = json!({ "id": "per_2", "permission": "edit", "patterns": ["a"] });
    let step = json!({ "id": "p1", "messageID": "m", "type": "step-finish", "cost": 0.001, "tokens": { "input": 5 } });
    hearing.hear([
        other(event("permission.asked", asked)),
        other(event("message.part.updated", json!({ "part": step }))),
        other(idle()),
    ]);
    assert_eq!(hearing.sent().pop().unwrap()["path"], "/permission/per_2/reply");
    assert_eq!(hearing.spends().last().unwrap().cost, MicroUsd(1000));
    assert_eq!(hearing.closed(), 0);
}

#[test]
fn a_request_too_long_to_read_is_refused() {
    let mut hearing = working(Access::Write);
    let asked = json!({ "id": "per_3", "permission": "edit", "metadata": { "diff": "x".repeat(500) } });
    let line =
        json!({ "event": { "id": "evt_1", "type": "permission.asked", "properties": asked } }).to_string();
    hearing.hear_cut(&line[..200]);
    let reply = hearing.sent().pop().unwrap();
    assert_eq!(reply["path"], "/permission/per_3/reply");
    assert_eq!(reply["body"]["reply"], "reject");
}

fn question() -> Value {
    json!({ "id": "que_1", "questions": [{
        "question": "Which?",
        "header": "Pick",
        "options": [{ "label": "A", "description": "the first" }, { "label": "B", "description": "" }],
    }] })
}

#[test]
fn a_question_is_put_and_its_answer_given() {
    let mut hearing = working(Access::Write);
    hearing.hear([event("question.asked", question())]);
    let Some(Signal::Asked { key, question }) = hearing.signals.last().cloned() else {
        panic!("{:?}", hearing.signals);
    };
    assert_eq!((key.as_str(), question.question.as_str()), ("que_1", "Which?"));
    let labels: Vec<&str> = question.options.iter().map(|o| o.label.as_str()).collect();
    assert_eq!(labels, ["A", "B"]);
    let lines = hearing.talk.answer("que_1", &Reply::Answer("B".to_owned()));
    let sent: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(sent["path"], "/question/que_1/reply");
    assert_eq!(sent["body"], json!({ "answers": [["B"]] }));
    let again = hearing.talk.answer("que_1", &Reply::Answer("A".to_owned()));
    assert_eq!(again, Vec::<String>::new(), "it is answered");
}

#[test]
fn several_questions_are_one_to_a_person() {
    let mut hearing = working(Access::Write);
    let mut two = question();
    let more = two["questions"][0].clone();
    two["questions"].as_array_mut().unwrap().push(more);
    hearing.hear([event("question.asked", two)]);
    let Some(Signal::Asked { question, .. }) = hearing.signals.last() else {
        panic!("{:?}", hearing.signals);
    };
    assert_eq!(question.question, "1. Which? (A / B)\n2. Which? (A / B)");
    let lines = hearing
        .talk
        .answer("que_1", &Reply::Answer("A, then B".to_owned()));
    let sent: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(sent["body"], json!({ "answers": [["A, then B"], ["A, then B"]] }));
}

#[test]
fn a_parked_question_is_what_the_run_ends_in() {
    let mut hearing = working(Access::Write);
    hearing.hear([event("question.asked", question())]);
    let lines = hearing.talk.answer("que_1", &Reply::Parked);
    let sent: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(sent["path"], "/question/que_1/reject");
    hearing.hear([idle()]);
    assert_eq!(hearing.closed(), 1);
    let end = hearing.end(0);
    assert!(matches!(end, AgentEnd::Asked(question) if question.question == "Which?"));
}
