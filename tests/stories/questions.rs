//! Questions: an agent asks, its task waits without a slot while others work, a person answers, and the same
//! conversation goes on. Nothing is lost when nobody is there to hear it.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::Project;
use crate::harness::scripted::scripted;

/// Those who ask write down what they were told; the others wait for a file, so that a story decides how long
/// their slot is taken.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Ask*"
    resumed: true
    steps:
      - run: 'printf "%s\n" "$TURNO_ANSWER" > answer.txt; cat begun.txt >> answer.txt'
      - outcome: {summary: it is as you said}
  - task: "Ask*"
    steps:
      - write: {path: begun.txt, text: "begun\n"}
      - ask:
          question: "Tabs or \e[31mspaces?"
          options: [tabs, {label: spaces, detail: four of them}]
          recommended: spaces
          answers:
            tabs: [{write: {path: answer.txt, text: "waited for tabs\n"}}]
            "*": [{run: 'printf "waited for %s\n" "$TURNO_ANSWER" > answer.txt'}]
      - outcome: {summary: answered}
  - steps:
      - run: 'touch "$HOME/shared/begun"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: other.txt, text: "other\n"}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    scripted(1, SCRIPT)
}

/// The conversations of a task's engineer, in the order they were opened, by the transcripts.
fn sessions(project: &Project, task: &str) -> Vec<String> {
    let mut found = Vec::new();
    for record in project.journal() {
        let Some(attempt) = record["event"]["session-opened"]["attempt"]
            .as_str()
            .map(str::to_owned)
            .or_else(|| {
                record["event"]["session-opened"]["attempt"]
                    .as_u64()
                    .map(|n| format!("a{n}"))
            })
        else {
            continue;
        };
        let start = fs::read(project.state().join("attempts").join(&attempt).join("start.json")).unwrap();
        let start: Value = serde_json::from_slice(&start).unwrap();
        if start["task"] == task && start["persona"] == "engineer" {
            found.push(
                record["event"]["session-opened"]["session"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    found
}

fn open_questions(project: &Project) -> usize {
    let listed = project.turno(&["answer", "--json"]).exits(0).json();
    listed.as_array().unwrap().len()
}

#[test]
fn a_parked_question_frees_the_slot_and_the_same_conversation_goes_on_with_the_answer() {
    let project = project();
    project.issue("Ask how to indent");
    project.issue("Other work");
    let child = project.start(&["run", "1", "2"]);
    // The other task has the only slot.
    project.until_raised("begun");
    let listed = project.turno(&["answer"]).exits(0);
    for part in [
        "d1",
        "1.1",
        "engineer/actor",
        "1. tabs",
        "2. spaces (recommended): four of them",
    ] {
        assert!(listed.out.contains(part), "{part} is missing in {}", listed.out);
    }
    assert!(
        !listed.out.contains('\u{1b}'),
        "an agent's words move no cursor: {:?}",
        listed.out
    );
    let status = project.turno(&["status"]).exits(0).out;
    assert!(status.contains("turno answer d1"), "{status}");
    for (words, part) in [
        (&["answer", "d9", "tabs"][..], "there is no question d9"),
        (&["answer", "d1", "3"], "options 1 to 2"),
        (&["answer", "d1", " "], "an answer needs words"),
    ] {
        let refused = project.turno(words).exits(2);
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    project.turno(&["answer", "d1", "2"]).exits(0);
    let again = project.turno(&["answer", "d1", "tabs"]).exits(2);
    assert!(
        again.err.contains("nobody waits for an answer to d1"),
        "{}",
        again.err
    );
    project.raise("go");
    ended(&project, child).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "spaces\nbegun");
    assert_eq!(project.at("turno/2/base", "other.txt"), "other");
    let sessions = sessions(&project, "1.1");
    assert_eq!(sessions.len(), 2, "it ran twice");
    assert_eq!(sessions[0], sessions[1], "in the same conversation");
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[test]
fn a_question_outlives_the_shift_and_is_gone_on_with_in_the_next() {
    let project = project();
    project.issue("Ask how to indent");
    let over = project.turno(&["run", "1"]).exits(1);
    for part in ["something needs a person", "Tabs or", "turno answer d1"] {
        assert!(over.out.contains(part), "{part} is missing in {}", over.out);
    }
    assert!(
        over.err.contains("turno answer d1"),
        "it was told while it ran: {}",
        over.err
    );
    assert_eq!(open_questions(&project), 1);
    // Nobody is at work: the answer is taken all the same, in words of its own.
    let told = project.turno(&["answer", "d1", "two", "spaces"]).exits(0);
    assert!(told.err.contains("turno run 1"), "{}", told.err);
    assert_eq!(open_questions(&project), 0);
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "two spaces\nbegun");
    let sessions = sessions(&project, "1.1");
    assert_eq!(sessions[0], sessions[1]);
}

#[test]
fn last_words_may_be_a_question() {
    let script = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - resumed: true
    steps:
      - run: 'printf "%s\n" "$TURNO_ANSWER" > answer.txt'
      - outcome: {summary: it is as you said}
  - steps:
      - write: {path: begun.txt, text: "begun\n"}
      - outcome: {kind: question, question: "Which release?", options: [1.x, 2.x]}
"#;
    let project = scripted(1, script);
    project.issue("Release it");
    project.turno(&["run", "1"]).exits(1);
    project.turno(&["answer", "d1", "1"]).exits(0);
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "1.x");
    assert_eq!(
        project.at("turno/1/base", "begun.txt"),
        "begun",
        "what it had written is kept"
    );
}

/// The same, where an agent that asks waits in its slot.
fn waiting_project() -> Project {
    let project = project();
    let policy = "silence = \"1500ms\"\n[decisions]\nnobody = \"wait\"\n";
    project.write(&[(".turno/policies/single.toml", policy)]);
    project.issue("Ask how to indent");
    project
}

#[test]
fn a_question_is_answered_while_the_agent_waits_and_silence_is_no_stall_meanwhile() {
    let project = waiting_project();
    let child = project.start(&["run", "1"]);
    until("it asks", || open_questions(&project) == 1);
    // Longer than the policy's silence and the grace of a stop together.
    std::thread::sleep(std::time::Duration::from_millis(5200));
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(
        status["running"].as_array().unwrap().len(),
        1,
        "it waits in its slot: {status:#}"
    );
    project.turno(&["answer", "d1", "TABS"]).exits(0);
    ended(&project, child).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "waited for tabs");
    assert_eq!(sessions(&project, "1.1").len(), 1, "it was never sent away");
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[test]
fn a_killed_coordinator_loses_no_question() {
    let project = waiting_project();
    let child = project.start(&["run", "1"]);
    until("it asks", || open_questions(&project) == 1);
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    // The agent still waits in its call. The next one knows the question: nobody is asked twice.
    let child = project.start(&["run", "1"]);
    until("it is listened to again", || {
        project.turno(&["status"]).err.is_empty()
    });
    assert_eq!(open_questions(&project), 1);
    project.turno(&["answer", "d1", "TABS"]).exits(0);
    ended(&project, child).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "waited for tabs");
    let mut sessions = sessions(&project, "1.1");
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "it was never begun again");
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[test]
fn a_question_outlives_coordinator_and_agent() {
    let project = waiting_project();
    let child = project.start(&["run", "1"]);
    until("it asks", || open_questions(&project) == 1);
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    project.turno(&["stop"]).exits(0);
    nothing_runs(&project);
    project.ledger_adds_up();
    assert_eq!(open_questions(&project), 1);
    project.turno(&["answer", "d1", "tabs"]).exits(0);
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "tabs\nbegun");
    let sessions = sessions(&project, "1.1");
    assert_eq!(sessions[0], sessions[1]);
    nothing_runs(&project);
    project.ledger_adds_up();
}
