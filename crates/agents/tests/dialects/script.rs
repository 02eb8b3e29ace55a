//! Scripts: the written form, which session is meant, and what a performance means.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::json;
use turno_agents::DialectKind;
use turno_agents::dialect::{Cue, Signal};
use turno_agents::script::file::{Choosable, Failing, Run};
use turno_agents::script::{Ask, Ended, Pattern, Round, ScriptFile, ScriptLine, Step, Usage, select};
use turno_core::command::Session;
use turno_core::decision::{Choice, Question};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure};
use turno_core::outcome::{Finding, Outcome, OutcomeKind, Severity};
use turno_core::persona::Access;
use turno_core::quota::QuotaFill;
use turno_core::units::{CostBasis, MicroUsd, Span, Tokens};

use crate::stage::{Hearing, job};

const EVERY_STEP: &str = r#"
sessions:
  - persona: engineer
    task: 7.10
    round: 2
    steps:
      - say: I look first.
      - write: {path: a.txt, text: "hello\n"}
      - edit: {path: a.txt, find: hello, replace: bye}
      - run: cargo test
      - run: {command: cargo build, must_pass: true}
      - commit: mend it
      - ask:
          question: "Tabs?"
          options: [yes, {label: no, detail: four spaces}, 3, yes please]
          recommended: no
          answers: {no: [say: Spaces.]}
      - propose: {title: Mend the lexer, brief: It drops tabs., touches: [src/lexer.rs]}
      - note: The lexer drops tabs.
      - report: {file: src/lexer.rs, line: 7, severity: major, what: Tabs are lost.}
      - usage: {usd: 0.02}
      - usage: {input: 1200, output: 80, model: big-2}
      - quota: {window: five_hour, fill: {percent: 83}, resets_in: 2s}
      - quota: {window: five-hour, fill: full}
      - sleep: 500ms
      - exit: 3
      - hang: {}
      - hang: {stubborn: true}
      - spawn: sleep 300
      - flood: {lines: 3, bytes_per_line: 9}
      - raw: "not JSON"
      - fail: {cause: quota, detail: used up, retry_in: 2s}
      - outcome: {summary: done}
"#;

fn choice(label: &str, detail: &str) -> Choice {
    Choice {
        label: label.to_owned(),
        detail: detail.to_owned(),
    }
}

#[test]
fn every_step_is_read() {
    let file = ScriptFile::parse(EVERY_STEP).unwrap();
    let session = &file.sessions[0];
    assert_eq!(session.task, Pattern("7.10".to_owned()), "not the number 7.1");
    assert_eq!(session.round, Round::Exactly(2));
    let text = str::to_owned;
    let run = |command: &str, failing| {
        Step::Run(Run {
            command: command.to_owned(),
            failing,
        })
    };
    let expected = [
        Step::Say(text("I look first.")),
        Step::Write {
            path: text("a.txt"),
            text: text("hello\n"),
        },
        Step::Edit {
            path: text("a.txt"),
            find: text("hello"),
            replace: text("bye"),
        },
        run("cargo test", Failing::GoesOn),
        run("cargo build", Failing::Ends),
        Step::Commit(text("mend it")),
        Step::Ask(Ask {
            question: text("Tabs?"),
            options: vec![
                Choosable(choice("yes", "")),
                Choosable(choice("no", "four spaces")),
                Choosable(choice("3", "")),
                Choosable(choice("yes please", "")),
            ],
            recommended: Some(text("no")),
            answers: BTreeMap::from([(text("no"), vec![Step::Say(text("Spaces."))])]),
        }),
        Step::Propose {
            title: text("Mend the lexer"),
            brief: text("It drops tabs."),
            why: String::new(),
            touches: vec![text("src/lexer.rs")],
        },
        Step::Note(text("The lexer drops tabs.")),
        Step::Report(Finding {
            file: text("src/lexer.rs"),
            line: 7,
            severity: Severity::Major,
            what: text("Tabs are lost."),
            how_to_see: String::new(),
        }),
        Step::Usage(Usage::Money {
            micro_usd: MicroUsd(20_000),
        }),
        Step::Usage(Usage::Tokens {
            model: text("big-2"),
            tokens: Tokens {
                input: 1200,
                output: 80,
                ..Tokens::default()
            },
        }),
        Step::Quota {
            window: text("five_hour"),
            fill: QuotaFill::Percent(83),
            resets_in: Some(Span::seconds(2)),
        },
        Step::Quota {
            window: text("five-hour"),
            fill: QuotaFill::Full,
            resets_in: None,
        },
        Step::Sleep(Span(500)),
        Step::Exit(3),
        Step::Hang { stubborn: false },
        Step::Hang { stubborn: true },
        Step::Spawn(text("sleep 300")),
        Step::Flood {
            lines: 3,
            bytes_per_line: 9,
        },
        Step::Raw(text("not JSON")),
        Step::Fail {
            cause: Cause::Quota,
            detail: text("used up"),
            retry_in: Some(Span::seconds(2)),
        },
        Step::Outcome(json!({ "summary": "done" })),
    ];
    assert_eq!(session.steps, expected);
}

#[rstest]
#[case::unknown_step("sessions: [{steps: [{dance: now}]}]", "dance")]
#[case::unknown_field("sessions: [{steps: [], colour: red}]", "colour")]
#[case::unknown_part("sessions: [{steps: [{write: {path: a, text: b, mode: c}}]}]", "mode")]
#[case::missing_part("sessions: [{steps: [{write: {path: a}}]}]", "text")]
#[case::bad_round("sessions: [{round: often, steps: []}]", "any")]
#[case::round_nought("sessions: [{round: 0, steps: []}]", "counted from 1")]
#[case::bad_sleep("sessions: [{steps: [{sleep: long}]}]", "length of time")]
#[case::mixed_usage("sessions: [{steps: [{usage: {usd: 1, input: 2}}]}]", "usd")]
#[case::empty_usage("sessions: [{steps: [{usage: {}}]}]", "usd")]
#[case::negative_usage("sessions: [{steps: [{usage: {usd: -1}}]}]", "usd")]
#[case::bad_run("sessions: [{steps: [{run: {cmd: ls}}]}]", "cmd")]
#[case::no_yaml("sessions: [", "")]
fn what_is_no_script_is_refused(#[case] text: &str, #[case] told: &str) {
    let error = ScriptFile::parse(text).unwrap_err().to_string();
    assert!(error.contains(told), "{error}");
}

fn cue(persona: &str, title: &str, round: u32) -> Cue {
    Cue {
        persona: persona.parse().unwrap(),
        task: "7.2".parse().unwrap(),
        title: title.to_owned(),
        round,
    }
}

#[rstest]
#[case::by_title("engineer", "Mend the parser", 1, Some("parser"))]
#[case::by_round("engineer", "Write docs", 2, Some("second"))]
#[case::by_id("engineer", "Write docs", 1, Some("by id"))]
#[case::any_task("reviewer", "Write docs", 4, Some("review"))]
#[case::nobody("tester", "Write docs", 1, None)]
fn the_first_match_is_meant(
    #[case] persona: &str,
    #[case] title: &str,
    #[case] round: u32,
    #[case] expected: Option<&str>,
) {
    let file = ScriptFile::parse(
        r#"
sessions:
  - {persona: engineer, task: "*parser*", steps: [say: parser]}
  - {persona: engineer, round: 2, steps: [say: second]}
  - {persona: engineer, task: "7.?", round: any, steps: [say: by id]}
  - {persona: "re*", steps: [say: review]}
"#,
    )
    .unwrap();
    let said =
        select(&file, &cue(persona, title, round), &Session::Fresh).map(|session| session.steps[0].clone());
    assert_eq!(said, expected.map(|text| Step::Say(text.to_owned())));
}

#[rstest]
#[case::begun(Session::Fresh, "begun")]
#[case::gone_on_with(Session::Resume("s-1".parse().unwrap()), "gone on with")]
fn a_conversation_that_is_gone_on_with_may_have_its_own_session(
    #[case] conversation: Session,
    #[case] expected: &str,
) {
    let file = ScriptFile::parse(
        "sessions: [{resumed: true, steps: [say: gone on with]}, {resumed: false, steps: [say: begun]}]",
    )
    .unwrap();
    let session = select(&file, &cue("engineer", "Write docs", 1), &conversation).unwrap();
    assert_eq!(session.steps, [Step::Say(expected.to_owned())]);
}

#[test]
fn what_follows_an_answer_is_chosen_by_it() {
    let file = ScriptFile::parse(
        r#"sessions: [{steps: [{ask: {question: Which?, answers: {a b: [say: "1"], "*": [say: "2"]}}}]}]"#,
    )
    .unwrap();
    let Step::Ask(ask) = &file.sessions[0].steps[0] else {
        panic!("no question")
    };
    assert_eq!(ask.after(" a b\n"), [Step::Say("1".to_owned())]);
    assert_eq!(ask.after("other"), [Step::Say("2".to_owned())]);
    let none = Ask {
        answers: BTreeMap::new(),
        ..ask.clone()
    };
    assert_eq!(none.after("a b"), []);
}

#[test]
fn a_question_may_be_its_last_words() {
    let mut hearing = Hearing::new(DialectKind::Script, &job(Access::Write));
    let value = json!({ "kind": "question", "question": "Which?", "options": ["a", {"label": "b"}] });
    hearing.hear([ScriptLine::Outcome { value }.print()]);
    let asked = Question {
        question: "Which?".to_owned(),
        options: vec![choice("a", ""), choice("b", "")],
        recommended: None,
    };
    assert_eq!(hearing.end(0), AgentEnd::Asked(asked.clone()));
    let mut hearing = Hearing::new(DialectKind::Script, &job(Access::Write));
    hearing.hear([ScriptLine::Parked {
        question: asked.clone(),
    }
    .print()]);
    assert_eq!(hearing.end(0), AgentEnd::Asked(asked));
}

fn every_line() -> Vec<ScriptLine> {
    let text = || "words".to_owned();
    vec![
        ScriptLine::Session {
            id: "s-1".parse().unwrap(),
        },
        ScriptLine::Say { text: text() },
        ScriptLine::ToolStarted { text: text() },
        ScriptLine::ToolEnded {
            text: text(),
            ended: Ended::Badly,
        },
        ScriptLine::Spent {
            usage: Usage::Money {
                micro_usd: MicroUsd(20_000),
            },
        },
        ScriptLine::Spent {
            usage: Usage::Tokens {
                model: "big-2".to_owned(),
                tokens: Tokens {
                    input: 1000,
                    ..Tokens::default()
                },
            },
        },
        ScriptLine::Ask {
            question: text(),
            options: vec!["a".to_owned(), "b".to_owned()],
        },
        ScriptLine::Parked {
            question: Question {
                question: text(),
                options: vec![],
                recommended: None,
            },
        },
        ScriptLine::Notice { text: text() },
        ScriptLine::Failed {
            failure: Failure::new(Cause::Provider, "down"),
        },
        ScriptLine::Outcome {
            value: json!({ "summary": "done" }),
        },
    ]
}

#[test]
fn every_line_survives_printing() {
    for line in every_line() {
        assert_eq!(
            serde_json::from_str::<ScriptLine>(&line.print()).unwrap(),
            line,
            "{}",
            line.print()
        );
    }
}

#[test]
fn a_performance_is_heard() {
    let mut hearing = Hearing::new(DialectKind::Script, &job(Access::Write));
    hearing.hear(every_line().iter().map(ScriptLine::print));
    assert_eq!(hearing.signals[0], Signal::Session("s-1".parse().unwrap()));
    let sums: Vec<(u64, CostBasis)> = hearing
        .spends()
        .iter()
        .map(|spend| (spend.cost.0, spend.basis))
        .collect();
    assert_eq!(
        sums,
        [
            (20_000, CostBasis::Reported),
            (21_000, CostBasis::Estimated),
            // Its last word tells how often it has answered.
            (21_000, CostBasis::Estimated),
        ]
    );
    let turns: Vec<u32> = hearing.spends().iter().map(|spend| spend.turns).collect();
    assert_eq!(turns, [2, 2, 4]);
    assert!(hearing.notices().contains(&"asks: words (a, b)"));
    assert!(matches!(
        hearing.end(0),
        AgentEnd::Finished(Outcome::Change { .. })
    ));
}

#[rstest]
#[case::wrong_kind(json!({ "missing": [] }), "asked for was: change. It gave: acceptance")]
#[case::named_kind(json!({ "kind": "plan", "summary": "x" }), "asked for was: change. It gave: plan")]
#[case::bad_shape(json!({ "summary": 3 }), "summary")]
#[case::no_object(json!([]), "")]
fn a_wrong_outcome_is_none(#[case] value: serde_json::Value, #[case] told: &str) {
    let mut hearing = Hearing::new(DialectKind::Script, &job(Access::Write));
    hearing.hear([ScriptLine::Outcome { value }.print()]);
    let failure = hearing.failure();
    assert_eq!(failure.cause, Cause::NoOutcome);
    assert!(failure.detail.contains(told), "{}", failure.detail);
}

#[test]
fn a_named_kind_that_is_right_is_right() {
    let mut job = job(Access::Read);
    job.outcome = OutcomeKind::Verdict;
    let mut hearing = Hearing::new(DialectKind::Script, &job);
    let value = json!({ "kind": "verdict", "verdict": "approve" });
    hearing.hear([ScriptLine::Outcome { value }.print()]);
    assert!(matches!(
        hearing.end(0),
        AgentEnd::Finished(Outcome::Verdict { .. })
    ));
}

#[rstest]
#[case::quiet_end(0, Cause::NoOutcome)]
#[case::bad_end(3, Cause::Agent)]
fn an_end_without_an_outcome_is_a_failure(#[case] code: i32, #[case] cause: Cause) {
    let mut hearing = Hearing::new(DialectKind::Script, &job(Access::Write));
    hearing.hear(["not JSON", r#"{"say":{"text":"all done, everything works"}}"#]);
    assert_eq!(hearing.notices(), ["not JSON"]);
    let AgentEnd::Failed(failure) = hearing.end(code) else {
        panic!("it finished");
    };
    assert_eq!(failure.cause, cause);
}

#[test]
fn a_scripted_failure_is_the_failure() {
    let mut hearing = Hearing::new(DialectKind::Script, &job(Access::Write));
    let failure = Failure::new(Cause::Provider, "down");
    hearing.hear([ScriptLine::Failed {
        failure: failure.clone(),
    }
    .print()]);
    assert_eq!(hearing.end(1), AgentEnd::Failed(failure));
}
