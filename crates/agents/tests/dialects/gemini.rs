//! The Gemini CLI: what its recorded sessions mean.

use turno_agents::DialectKind;
use turno_agents::dialect::Signal;
use turno_core::command::Session;
use turno_core::event::AgentEnd;
use turno_core::failure::Cause;
use turno_core::outcome::Outcome;
use turno_core::persona::Access;
use turno_core::units::{CostBasis, MicroUsd, Tokens};

use crate::stage::{Hearing, job, said};

fn hear(name: &str, access: Access) -> Hearing {
    let mut job = job(access);
    job.cwd = "/workspace/gemini-acp".to_owned();
    if name == "resumed" {
        job.session = Session::Resume("an-earlier-one".parse().unwrap());
    }
    let mut hearing = Hearing::new(DialectKind::Gemini, &job);
    hearing.hear(said("gemini", name));
    hearing
}

fn is_change(end: &AgentEnd) -> bool {
    matches!(end, AgentEnd::Finished(Outcome::Change { summary, .. }) if summary == "mended")
}

/// It says only that it is done, is asked for its outcome, and gives it.
#[test]
fn a_missing_outcome_is_mended_in_the_same_session() {
    let hearing = hear("mended", Access::Write);
    let sent = hearing.sent();
    let methods: Vec<_> = sent.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["session/new", "session/prompt", "session/prompt"]);
    assert_eq!(sent[1]["params"]["sessionId"], sent[2]["params"]["sessionId"]);
    assert_eq!(hearing.closed(), 1);
    let tools = [
        Signal::ToolStarted("board (turno MCP Server)".to_owned()),
        Signal::ToolEnded("board (turno MCP Server) done".to_owned()),
        Signal::ToolStarted("echo hi > made.txt".to_owned()),
    ];
    for tool in tools {
        assert!(hearing.signals.contains(&tool), "{tool:?}");
    }
    assert!(is_change(&hearing.end(0)));
}

/// Both turns: 300 and 30 tokens, then 100 and 10, by the price of every other model.
#[test]
fn tokens_of_all_turns_are_metered() {
    let spend = *hear("mended", Access::Write).spends().last().unwrap();
    assert_eq!(spend.basis, CostBasis::Estimated);
    let tokens = Tokens {
        input: 400,
        output: 40,
        ..Tokens::default()
    };
    assert_eq!(spend.tokens, tokens);
    assert_eq!(spend.cost, MicroUsd(400 + 400));
}

/// It tells its whole history again, after it has answered, and mixed with what is new.
#[test]
fn of_a_resumed_conversation_only_the_new_counts() {
    assert!(is_change(&hear("resumed", Access::Write).end(0)));

    let mut job = job(Access::Write);
    job.session = Session::Resume("an-earlier-one".parse().unwrap());
    let mut hearing = Hearing::new(DialectKind::Gemini, &job);
    let lines = said("gemini", "resumed");
    let old = lines.iter().filter(|line| line.contains("summary")).count();
    assert_eq!(old, 2, "the old outcome is told again");
    // Without the mark nobody knows whether an outcome is the old one.
    hearing.hear(
        lines
            .iter()
            .map(|line| line.replace("answer of round 1", "answer")),
    );
    assert_eq!(hearing.closed(), 0);
    assert!(hearing.notices().iter().any(|notice| notice.contains("missing")));
    assert_eq!(hearing.cause(), Cause::Agent);
}

#[test]
fn a_reader_is_denied_to_write_and_nothing_else() {
    let decided = |access| {
        let hearing = hear("asked-to-write", access);
        let answers: Vec<String> = hearing
            .sent()
            .iter()
            .filter_map(|line| {
                line.pointer("/result/outcome/optionId")?
                    .as_str()
                    .map(str::to_owned)
            })
            .collect();
        assert!(is_change(&hearing.end(0)));
        answers
    };
    assert_eq!(decided(Access::Read), ["cancel", "proceed_once", "proceed_once"]);
    assert_eq!(
        decided(Access::Write),
        ["proceed_once", "proceed_once", "proceed_once"]
    );
}

#[test]
fn last_words_may_be_a_question() {
    let hearing = hear("question", Access::Write);
    assert_eq!(hearing.closed(), 1);
    let AgentEnd::Asked(question) = hearing.end(0) else {
        panic!("it asks");
    };
    assert_eq!(question.question, "Which colour?");
    assert_eq!(question.recommended.as_deref(), Some("Blue"));
}

#[test]
fn errors_are_typed() {
    assert_eq!(hear("e401", Access::Write).cause(), Cause::SignIn);
    assert_eq!(hear("cancelled", Access::Write).cause(), Cause::Stopped);
}
