//! The wire shape of outcomes: what is taken, what is refused and in which words.

use insta::assert_json_snapshot;
use rstest::rstest;
use serde_json::{Value, json};
use turno_agents::schema::{OutcomeError, instructions, kind_of, parse, parse_text, schema};
use turno_core::outcome::{Outcome, OutcomeKind, Verdict};

const KINDS: [OutcomeKind; 5] = [
    OutcomeKind::Plan,
    OutcomeKind::Change,
    OutcomeKind::Verdict,
    OutcomeKind::Acceptance,
    OutcomeKind::Choice,
];

fn example(kind: OutcomeKind) -> Value {
    match kind {
        OutcomeKind::Plan => json!({ "tasks": [{
            "key": "a", "title": "A", "brief": "do a", "acceptance": ["a works"], "needs": [], "touches": [],
        }] }),
        OutcomeKind::Change => json!({ "summary": "mended", "evidence": [], "open_questions": [] }),
        OutcomeKind::Verdict => {
            json!({ "verdict": "findings", "findings": [finding("major")], "read": ["a.rs"] })
        }
        OutcomeKind::Acceptance => json!({ "missing": [] }),
        OutcomeKind::Choice => json!({ "winner": "7.2", "why": "it is smaller" }),
    }
}

fn finding(severity: &str) -> Value {
    json!({ "file": "a.rs", "line": 3, "severity": severity, "what": "wrong", "how_to_see": "run it" })
}

#[test]
fn schemas_are_snapshots() {
    for kind in KINDS {
        assert_json_snapshot!(format!("schema-{kind:?}"), schema(kind));
    }
}

/// As strict modes demand: every object names all its properties as required and takes no other.
#[test]
fn schemas_are_strict_all_the_way_down() {
    fn check(schema: &Value) -> usize {
        let mut objects = 0;
        if schema["type"] == "object" {
            objects += 1;
            assert_eq!(schema["additionalProperties"], false);
            let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(schema["required"], json!(properties));
            for property in schema["properties"].as_object().unwrap().values() {
                objects += check(property);
            }
        }
        if schema["type"] == "array" {
            objects += check(&schema["items"]);
        }
        objects
    }
    assert_eq!(KINDS.map(|kind| check(&schema(kind))), [4, 3, 4, 1, 1]);
}

#[test]
fn examples_are_of_their_kind_and_no_other() {
    for kind in KINDS {
        let value = example(kind);
        assert_eq!(parse(kind, &value).unwrap().kind(), kind);
        assert_eq!(kind_of(&value), Some(kind));
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            assert!(parse(other, &value).is_err(), "{kind:?} as {other:?}");
        }
        assert!(instructions(kind).contains("```json"));
    }
}

/// Every required property of an example, left out or of another type, is named in the error or forgiven.
#[test]
fn an_error_says_where() {
    let mut plan = example(OutcomeKind::Plan);
    plan["tasks"][0]["acceptance"] = json!("a works");
    let error = parse(OutcomeKind::Plan, &plan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at `tasks[0].acceptance`: invalid type: string \"a works\", expected a sequence"
    );
}

#[rstest]
#[case::no_summary(OutcomeKind::Change, json!({ "summary": " " }), "summary")]
#[case::unknown_property(OutcomeKind::Change, json!({ "summary": "x", "mood": "good" }), "mood")]
#[case::nothing_found(OutcomeKind::Verdict, json!({ "verdict": "findings", "findings": [] }), "empty")]
#[case::grave_approval(OutcomeKind::Verdict, json!({ "verdict": "approve", "findings": [finding("critical")] }), "approve")]
#[case::major_approval(OutcomeKind::Verdict, json!({ "verdict": "approve", "findings": [finding("major")] }), "approve")]
#[case::no_such_verdict(OutcomeKind::Verdict, json!({ "verdict": "maybe", "findings": [] }), "maybe")]
#[case::no_such_severity(OutcomeKind::Verdict, json!({ "verdict": "findings", "findings": [finding("huge")] }), "findings[0].severity")]
#[case::blank_missing(OutcomeKind::Acceptance, json!({ "missing": [""] }), "missing")]
#[case::no_object(OutcomeKind::Acceptance, json!("done"), "invalid type")]
fn contradictions_are_refused(#[case] kind: OutcomeKind, #[case] value: Value, #[case] told: &str) {
    let error = parse(kind, &value).unwrap_err().to_string();
    assert!(error.contains(told), "{error}");
}

#[test]
fn notes_do_not_hold_an_approval_back() {
    let value = json!({ "verdict": "approve", "findings": [finding("note")], "read": [] });
    let outcome = parse(OutcomeKind::Verdict, &value).unwrap();
    assert!(matches!(
        outcome,
        Outcome::Verdict { verdict: Verdict::Approve { notes }, .. } if notes.len() == 1
    ));
}

#[rstest]
#[case::bare(r#" {"missing": []} "#)]
#[case::fenced("Done.\n```json\n{\"missing\": []}\n```\nBye.")]
#[case::unmarked("Done.\n```\n{\"missing\": []}\n```")]
#[case::the_last("```json\n{\"missing\": [\"x\"]}\n```\nno:\n```json\n{\"missing\": []}\n```")]
#[case::not_the_code("```json\n{\"missing\": []}\n```\n```rust\nfn main() {}\n```")]
#[case::long_fence("````JSON\n{\"missing\":\n []}\n````")]
#[case::never_closed("```json\n{\"missing\": []}")]
fn an_outcome_is_found_in_words(#[case] words: &str) {
    assert_eq!(
        parse_text(OutcomeKind::Acceptance, words),
        Ok(Outcome::Acceptance { missing: Vec::new() })
    );
}

#[rstest]
#[case("All done, nothing is missing.")]
#[case("")]
#[case("```rust\nfn main() {}\n```")]
fn words_alone_are_no_outcome(#[case] words: &str) {
    assert_eq!(
        parse_text(OutcomeKind::Acceptance, words),
        Err(OutcomeError::Absent)
    );
}
