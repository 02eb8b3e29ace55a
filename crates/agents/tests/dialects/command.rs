//! Any program: plain text in, plain text out.

use rstest::rstest;
use turno_agents::dialect::{Exit, Line, Signal};
use turno_agents::{DialectKind, dialect};
use turno_core::event::AgentEnd;
use turno_core::failure::Cause;
use turno_core::outcome::{Outcome, OutcomeKind};
use turno_core::persona::Access;

use crate::stage::job;

const OUTCOME: [&str; 4] = [
    "Done.",
    "```json",
    r#"{"summary": "mended", "evidence": [], "open_questions": []}"#,
    "```",
];

fn end(lines: &[&str], exit: Exit, stderr: &str) -> AgentEnd {
    let mut talk = dialect(DialectKind::Command).converse(&job(Access::Write));
    for line in lines {
        talk.line(Line::Whole(line));
    }
    talk.end(exit, stderr)
}

fn cause(end: AgentEnd) -> (Cause, String) {
    match end {
        AgentEnd::Failed(failure) => (failure.cause, failure.detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_outcome_at_the_end_is_the_outcome() {
    let AgentEnd::Finished(Outcome::Change { summary, .. }) = end(&OUTCOME, Exit::Code(0), "") else {
        panic!("it did not finish");
    };
    assert_eq!(summary, "mended");
}

#[test]
fn its_whole_run_is_one_turn_once_it_has_said_a_word() {
    let mut talk = dialect(DialectKind::Command).converse(&job(Access::Write));
    assert!(talk.line(Line::Whole("")).is_empty());
    let turns = |signals: Vec<Signal>| -> u32 {
        let spends = signals.iter().filter_map(|s| match s {
            Signal::Spent(spend) => Some(spend.turns),
            _ => None,
        });
        spends.sum()
    };
    assert_eq!(turns(talk.line(Line::Whole("Reading."))), 1);
    assert_eq!(turns(talk.line(Line::Whole("Done."))), 0);
}

#[rstest]
#[case::words_alone(&["All is done, I promise."], Exit::Code(0), Cause::NoOutcome)]
#[case::silence(&[], Exit::Code(0), Cause::NoOutcome)]
#[case::a_failing_program(&OUTCOME, Exit::Code(1), Cause::Agent)]
#[case::a_killed_program(&OUTCOME, Exit::Signal(9), Cause::Agent)]
fn unknown_is_failure(#[case] lines: &[&str], #[case] exit: Exit, #[case] expected: Cause) {
    let (cause, detail) = cause(end(lines, exit, "first\nlast words"));
    assert_eq!(cause, expected);
    assert!(detail.ends_with("last words"), "{detail}");
}

/// What was lost may have taken the outcome back.
#[test]
fn an_outcome_before_a_lost_line_does_not_count() {
    let mut talk = dialect(DialectKind::Command).converse(&job(Access::Write));
    for line in OUTCOME {
        talk.line(Line::Whole(line));
    }
    let signals = talk.line(Line::Cut("but then"));
    assert!(matches!(&signals[..], [Signal::Notice(_)]));
    assert_eq!(cause(talk.end(Exit::Code(0), "")).0, Cause::NoOutcome);
}

#[test]
fn its_prompt_says_who_what_and_how_to_end() {
    let mut job = job(Access::Write);
    job.outcome = OutcomeKind::Verdict;
    let launch = dialect(DialectKind::Command).launch(&job).unwrap();
    let prompt = launch.input.join("\n");
    for part in [
        "You are the engineer.",
        "Mend the parser.",
        "your verdict",
        "\"question\"",
    ] {
        assert!(prompt.contains(part), "{part}");
    }
}
