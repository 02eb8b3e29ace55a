//! A person speaks: a comment goes to the writer and holds the change back, words to a running agent are said or given
//! later, and neither a killed coordinator nor a landing that was quicker loses any.

use std::fs;

use rstest::rstest;
use serde_json::{Value, json};
use turno_core::task::StopWhy::Remarked;
use turno_engine::crash_point::{CrashPoint, Deed, LISTENS, Moment};

use crate::harness::board::Shown;
use crate::harness::browser::{Browser, PHONE};
use crate::harness::processes::{ended, nothing_runs, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 2
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// The first of them reads for ever.
const READS_ON: &str = "\nsessions:\n  - {persona: reviewer, round: 1, steps: [{hang: {}}]}";

/// The first writer waits until the story lets it go on.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - persona: engineer
    task: "say it in French*"
    steps:
      - run: 'echo bonjour > greet.txt'
      - outcome: {summary: it greets in French}
  - persona: engineer
    round: 1
    steps:
      - run: 'echo engineer >> "$HOME/shared/starts"; until [ -e "$HOME/shared/go-write" ]; do sleep 0.02; done; echo hello > greet.txt'
      - outcome: {summary: it greets}
  - persona: engineer
    steps:
      - run: 'echo "bonjour $TURNO_ATTEMPT" > greet.txt'
      - outcome: {summary: it greets in French}
"#;

const WORDS: &str = "say it in French";

pub(super) fn project() -> Project {
    with(SCRIPT)
}

/// One whose change is under review until somebody stops that.
fn under_review() -> Project {
    with(&SCRIPT.replace("\nsessions:", READS_ON))
}

fn with(script: &str) -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("script.yaml", script),
        ("README.md", "x\n"),
    ])
    .env("TURNO_AGENT", "actor");
    project.issue("Greet");
    project
}

pub(super) fn go(project: &Project, what: &str) {
    fs::write(project.shared().join(what), "").unwrap();
}

fn begun(project: &Project, who: &str) -> bool {
    let journal = project.journal();
    let mut commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    commands.any(|c| c["start-agent"]["persona"] == who)
}

/// The prompts of each attempt of a persona, oldest first.
fn prompts(project: &Project, persona: &str) -> Vec<String> {
    let journal = project.journal();
    let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    let starts = commands.filter_map(|c| c.get("start-agent"));
    starts
        .filter(|s| s["persona"] == persona)
        .map(|s| {
            let prompt = format!("attempts/a{}/prompt.md", s["attempt"]);
            fs::read_to_string(project.state().join(prompt)).unwrap_or_default()
        })
        .collect()
}

/// In which of the writer's prompts the words are.
fn given(project: &Project) -> Vec<bool> {
    prompts(project, "engineer")
        .iter()
        .map(|p| p.contains(WORDS))
        .collect()
}

fn facts(project: &Project, name: &str) -> Vec<Value> {
    let journal = project.journal();
    journal
        .iter()
        .filter_map(|r| r["event"].get(name).cloned())
        .collect()
}

const COMMENT: &[&str] = &["comment", "1.1", "--on", "greet.txt:1", "say", "it in French"];

#[test]
fn a_change_under_review_goes_back_with_the_words_and_its_mend_lands() {
    let project = under_review();
    go(&project, "go-write");
    let shift = project.start(&["run", "1"]);
    until("it is reviewed", || begun(&project, "reviewer"));
    let said = project.turno(COMMENT).exits(0).out;
    assert!(said.contains("what runs on the change is stopped"), "{said}");
    ended(&project, shift).exits(0);
    nothing_runs(&project);
    assert_eq!(given(&project), [false, true]);
    let told = &prompts(&project, "engineer")[1];
    for part in [
        "What a person says",
        "greet.txt:1",
        "A person has looked at the change",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // Whoever looks at the mend holds it against the words.
    assert!(prompts(&project, "reviewer")[1].contains(WORDS));
    assert!(project.at("turno/1/base", "greet.txt").starts_with("bonjour"));
    let log = project.turno(&["log", "1.1"]).exits(0).out;
    assert!(log.contains("greet.txt:1: say it in French"), "{log}");
    assert_eq!(facts(&project, "commented").len(), 1);
}

#[test]
fn while_a_writer_works_it_gets_them_in_its_next_turn_and_nothing_is_sent_on() {
    let project = project();
    let shift = project.start(&["run", "1"]);
    until("it is written", || begun(&project, "engineer"));
    let said = project.turno(&["tell", "1.1", WORDS]).exits(0).out;
    assert!(said.contains("cannot be spoken to while it runs"), "{said}");
    go(&project, "go-write");
    ended(&project, shift).exits(0);
    assert_eq!(given(&project), [false, true]);
    let checked = project
        .journal()
        .iter()
        .flat_map(|r| r["commands"].as_array().unwrap().clone())
        .filter(|c| c.get("run-checks").is_some())
        .count();
    assert_eq!(checked, 1, "the first change was not checked");
    assert!(project.at("turno/1/base", "greet.txt").starts_with("bonjour"));
}

#[test]
fn on_what_has_landed_it_becomes_a_task_of_the_issue() {
    let project = project();
    go(&project, "go-write");
    project.turno(&["run", "1"]).exits(0);
    let said = project.turno(COMMENT).exits(0).out;
    assert!(said.contains("this is task 1.2 of the issue now"), "{said}");
    project.turno(&["run", "1"]).exits(0);
    assert!(project.at("turno/1/base", "greet.txt").starts_with("bonjour"));
    project.turno(&["promote", "1"]).exits(0);
    let refused = project.turno(COMMENT).exits(2).err;
    assert!(refused.contains("file a new one"), "{refused}");
}

#[test]
fn nothing_is_said_to_nobody() {
    let project = project();
    let refused = project.turno(&["comment", "1", "more"]).exits(2).err;
    assert!(refused.contains("turno issue edit 1"), "{refused}");
    project.turno(&["tell", "a7", "more"]).exits(2);
    project.turno(&["tell", "1.1", "more"]).exits(2);
    assert!(facts(&project, "commented").is_empty());
}

/// Killed between the comment and what follows from it, whoever comes next does the rest, once.
#[rstest]
#[case(Deed::Stop(Remarked))]
fn a_killed_coordinator_loses_no_words(
    #[case] deed: Deed,
    #[values(Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterEffect)] moment: Moment,
) {
    if !LISTENS {
        return;
    }
    let project = under_review();
    go(&project, "go-write");
    let mut told = false;
    project.dies(&["run", "1"], CrashPoint { moment, deed, nth: 1 }, || {
        if !told && begun(&project, "reviewer") {
            told = true;
            project.turno(COMMENT);
        }
    });
    if facts(&project, "commented").is_empty() {
        project.turno(COMMENT).exits(0);
    }
    // The reviewer may have outlived the coordinator.
    project.turno(&["resume"]).exits(0);
    nothing_runs(&project);
    assert_eq!(given(&project), [false, true]);
    assert_eq!(facts(&project, "commented").len(), 1);
    assert!(project.at("turno/1/base", "greet.txt").starts_with("bonjour"));
}

/// It speaks as Claude Code does, says again what it is told, and writes when it has heard the words.
const LISTENER: &str = r#"#!/bin/sh
echo engineer >> "$HOME/shared/starts"
echo '{"type":"system","subtype":"init","session_id":"s-1"}'
while read -r line; do
  case "$line" in *"say it in French"*)
    printf '%s\n' "$line" >> "$HOME/shared/heard"
    printf '%s\n' "$line"
    until [ -e "$HOME/shared/go-write" ]; do sleep 0.02; done
    echo bonjour > greet.txt
    echo '{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.01,"structured_output":{"summary":"it greets","evidence":[],"open_questions":[],"proposals":[],"lessons":[]}}';;
  esac
done
"#;

const LISTENS_TO: &str = "[personas.engineer]\nagents = [\"listener\"]\n[personas.reviewer]\nagents = [\"actor\"]\n\
    [agents.listener]\ndialect = \"claude\"\nprogram = \"sh\"\nargs = [\"listener\"]\n";

/// Killed while it says the words: the agent hears them once, from that coordinator or from the next.
#[rstest]
#[case(Deed::Tell)]
fn a_killed_coordinator_says_nothing_twice(
    #[case] deed: Deed,
    #[values(Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterEffect)] moment: Moment,
) {
    if !LISTENS {
        return;
    }
    let project = Project::new(&[
        ("turno.toml", &format!("{CONFIG}{LISTENS_TO}")),
        ("script.yaml", SCRIPT),
        ("listener", LISTENER),
    ]);
    project.issue("Greet");
    let mut told = false;
    project.dies(&["run", "1"], CrashPoint { moment, deed, nth: 1 }, || {
        if !told && begun(&project, "engineer") {
            told = true;
            project.turno(&["tell", "1.1", WORDS]);
        }
    });
    if facts(&project, "told").is_empty() {
        let said = project.turno(&["tell", "1.1", WORDS]).exits(0).out;
        assert!(said.contains("at its next step"), "{said}");
    }
    go(&project, "go-write");
    project.turno(&["resume"]).exits(0);
    nothing_runs(&project);
    let heard = fs::read_to_string(project.shared().join("heard")).unwrap();
    assert_eq!(heard.lines().count(), 1, "{heard}");
    // While it runs, or where it is lost with its coordinator, with its next turn.
    let turns = given(&project).iter().filter(|given| **given).count();
    assert_eq!(turns + facts(&project, "heard").len(), 1);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "bonjour");
}

/// With a browser, by the keyboard and on a phone: a line of the diff gets a comment, and the writer's next brief has it.
#[test]
fn a_line_of_a_diff_is_commented_in_the_browser() {
    let project = under_review();
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    go(&project, "go-write");
    let board = Shown::begin(&project);
    browser.go(&board.link);
    browser.at("/");
    let shift = project.start(&["run", "1"]);
    until("it is reviewed", || begun(&project, "reviewer"));
    browser.size(PHONE);
    browser.go(&format!("{}/tasks/1.1/diff", board.url));
    browser.eval("document.querySelector('td.at a[data-line=\"1\"]').focus()");
    browser.key("Enter");
    browser.until("it asks for words", "document.querySelector('#comment').open");
    assert_eq!(
        browser.eval("document.querySelector('#comment [name=file]').value"),
        "greet.txt"
    );
    browser.eval("document.querySelector('#comment textarea').focus()");
    browser.types(WORDS);
    browser.shot("comment-phone");
    browser.eval("document.querySelector('#comment form').requestSubmit()");
    browser.until("it is said", "!document.querySelector('#comment').open");
    until("it is in the journal", || {
        !facts(&project, "commented").is_empty()
    });
    let commented = facts(&project, "commented").remove(0);
    assert_eq!(commented["finding"]["line"], json!(1), "{commented}");
    assert!(commented["commit"].is_string(), "{commented}");
    browser.until(
        "it stands at its line",
        "document.querySelector('.finding.person')?.innerText.includes('say it in French')",
    );
    browser.shot("comment-shown-phone");
    ended(&project, shift).exits(0);
    assert_eq!(given(&project), [false, true]);
    assert!(project.at("turno/1/base", "greet.txt").starts_with("bonjour"));
    drop(board);
}
