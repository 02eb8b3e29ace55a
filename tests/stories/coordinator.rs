//! A live coordinator and those who talk to it: every verb works beside it, and says the same as alone.

use std::fs;
use std::process::Child;

use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::Value;

use crate::harness::processes::{ended, nothing_runs, signal, until};
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

/// Engineers wait for a file, so that a story decides how long a shift is live.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - say: I begin.
      - run: 'touch "$HOME/shared/begun-$TURNO_TASK"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: a.txt, text: "a\n"}
      - usage: {usd: 0.01}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor")
}

fn begin(project: &Project, issues: &[&str]) -> Child {
    let child = project.start(&[&["run"], issues].concat());
    for issue in issues {
        until("it has begun", || {
            project.shared().join(format!("begun-{issue}.1")).exists()
        });
    }
    child
}

fn go(project: &Project) {
    fs::write(project.shared().join("go"), "").unwrap();
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn two_issues_run_in_two_slots_at_once() {
    let project = project();
    project.issue("One");
    project.issue("Two");
    // Both have begun before either may go on.
    let child = begin(&project, &["1", "2"]);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    let mut slots: Vec<_> = status["running"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["place"]["slot"].as_u64().unwrap())
        .collect();
    slots.sort_unstable();
    assert_eq!(slots, [1, 2], "{status:#}");
    assert_eq!(status["free_slots"].as_array().unwrap().len(), 0);
    go(&project);
    ended(&project, child).exits(0);
    for branch in ["turno/1/base", "turno/2/base"] {
        assert_eq!(project.at(branch, "a.txt"), "a");
    }
}

#[test]
fn every_verb_works_beside_a_live_coordinator() {
    let project = project();
    project.issue("One");
    let child = begin(&project, &["1"]);
    assert_eq!(project.issue("Filed meanwhile"), 2);
    let status = project.turno(&["status"]).exits(0).out;
    for part in ["running", "writing", "Filed meanwhile", "engineer/actor"] {
        assert!(status.contains(part), "{part} is missing in {status}");
    }
    assert!(
        project
            .turno(&["issue", "list"])
            .exits(0)
            .out
            .contains("Filed meanwhile")
    );
    assert!(
        project
            .turno(&["issue", "show", "1"])
            .exits(0)
            .out
            .contains("task 1.1")
    );
    project
        .turno(&["issue", "edit", "2", "--title", "Renamed"])
        .exits(0);
    assert!(
        project
            .turno(&["explain", "1.1"])
            .exits(0)
            .out
            .contains("writes in s1")
    );
    let rendered = project
        .turno(&["persona", "render", "engineer", "2"])
        .exits(0)
        .out;
    assert!(rendered.contains("Renamed"), "{rendered}");
    assert!(project.turno(&["log", "a1"]).exits(0).out.contains("I begin."));
    project.turno(&["doctor"]).exits(0);
    // What makes no sense is refused beside it as it is alone.
    for (words, part) in [
        (&["explain", "9.1"][..], "there is no task 9.1"),
        (&["diff", "1.1"], "has written nothing yet"),
        (&["issue", "add", " "], "needs a title"),
        (&["issue", "close", "1"], "is being worked on in shift"),
        (&["promote", "1"], "nothing landed"),
    ] {
        let refused = project.turno(words).exits(2);
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    project.turno(&["discard", "2"]).exits(0);
    go(&project);
    ended(&project, child).exits(0);
    assert_eq!(
        project.turno(&["issue", "show", "2", "--json"]).json()["view"]["title"],
        "Renamed"
    );
    nothing_runs(&project);
}

#[test]
fn a_follower_sees_each_record_once_and_in_order() {
    let project = project();
    project.issue("One");
    let child = begin(&project, &["1"]);
    let follower = project.start(&["log", "--follow", "--json"]);
    let reader = project.start(&["log", "a1", "--follow", "--raw"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    go(&project);
    ended(&project, child).exits(0);
    let said = ended(&project, reader).exits(0).out;
    until("the follower has been told", || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        true
    });
    signal(&follower, Signal::SIGTERM);
    let followed = lines(&ended(&project, follower).out);
    let journal = project.journal();
    assert_eq!(followed, journal);
    for (record, number) in journal.iter().zip(1..) {
        assert_eq!(record["seq"], number);
        for key in ["at", "event", "commands", "changes"] {
            assert!(record.get(key).is_some(), "{key} is missing in {record}");
        }
    }
    let transcript = fs::read_to_string(project.state().join("attempts/a1/out")).unwrap();
    assert_eq!(said, transcript, "to follow is to miss nothing");
    assert_eq!(project.turno(&["log", "a1", "--raw"]).exits(0).out, transcript);
    // Alone it is the same as beside a coordinator.
    assert_eq!(lines(&project.turno(&["log", "--json"]).exits(0).out), journal);
}

#[test]
fn a_running_shift_can_be_read_by_a_program() {
    let project = project();
    project.issue("One");
    go(&project);
    let done = project.turno(&["run", "1", "--json"]).exits(0);
    let told = lines(&done.out);
    let journal = project.journal();
    assert!(journal.ends_with(&told), "{}", done.out);
    assert!(
        told.iter().any(|r| r["event"].get("landing-ended").is_some()),
        "{}",
        done.out
    );
}

#[test]
fn init_writes_what_loads_and_never_overwrites() {
    let project = Project::new(&[
        (
            "Cargo.toml",
            "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        ),
        ("src/lib.rs", "pub fn x() {}\n"),
    ]);
    let dry = project.turno(&["init", "--dry-run"]).exits(0).out;
    assert!(!project.repo().join("turno.toml").exists());
    project.turno(&["init"]).exits(0);
    let written = fs::read_to_string(project.repo().join("turno.toml")).unwrap();
    assert_eq!(dry.trim_end(), written.trim_end());
    assert!(written.contains("cargo test"), "{written}");
    project.turno(&["persona", "list"]).exits(0);
    let again = project.turno(&["init"]).exits(2);
    assert!(
        again.err.contains("exists already and is left as it is"),
        "{}",
        again.err
    );
    assert_eq!(
        fs::read_to_string(project.repo().join("turno.toml")).unwrap(),
        written
    );
}

#[test]
fn doctor_says_what_is_missing_and_how_to_mend_it() {
    let project = project();
    project.turno(&["doctor"]).exits(0);
    let found = project.turno(&["doctor", "--json"]).exits(0).json();
    assert!(
        found
            .as_array()
            .unwrap()
            .iter()
            .all(|f| f.get("missing").is_none()),
        "{found:#}"
    );
    project.write(&[(
        "turno.toml",
        &CONFIG.replace("[checks.test]\ncommand = \"true\"\n", ""),
    )]);
    let told = project.turno(&["doctor"]).exits(4).out;
    assert!(
        told.contains("none are configured") && told.contains("turno init"),
        "{told}"
    );
    let nowhere = project.turno_in(&["doctor"], &project.home()).exits(4);
    assert!(nowhere.out.contains("not in a git repository"), "{}", nowhere.out);
}

#[rstest]
#[case::bash(&["completions", "bash"], "turno")]
#[case::zsh(&["completions", "zsh"], "#compdef turno")]
#[case::fish(&["completions", "fish"], "complete -c turno")]
#[case::manual(&["man"], "turno\\-promote")]
#[case::help(&["help"], "Exit codes")]
#[case::version(&["--version"], "turno 0.")]
fn words_about_itself(#[case] words: &[&str], #[case] part: &str) {
    let project = project();
    // None of it needs a repository.
    let done = project.turno_in(words, &project.home()).exits(0);
    assert!(done.out.contains(part), "{}", done.out);
}

#[test]
fn where_names_the_state() {
    let project = project();
    assert_eq!(
        project.turno(&["where"]).exits(0).out.trim_end(),
        project.state().to_str().unwrap()
    );
    let told = project.turno(&["where", "--json"]).exits(0).json();
    assert_eq!(told["repository"], project.repo().to_str().unwrap());
}

#[test]
fn a_persona_can_be_shown_whatever_it_may_be_asked() {
    let project = project();
    project.issue("hangs around");
    let asked = |words: &[&str]| {
        let told = project
            .turno(&[&["persona", "render"], words].concat())
            .exits(0)
            .out;
        let heading = told.lines().find(|l| l.starts_with("# ")).unwrap_or_default();
        heading.to_owned()
    };
    let first = ["author", "engineer", "reviewer", "tester"].map(|name| asked(&[name, "1"]));
    let headings = [
        "# Plan for issue 1",
        "# Task 1.1",
        "# Review of task 1.1",
        "# Test of task 1.1",
    ];
    assert_eq!(first, headings);
    let asks = [
        "plan",
        "write",
        "review",
        "test",
        "tests-first",
        "compare",
        "try",
        "accept",
    ];
    let shown = asks.map(|ask| asked(&["tester", "1", "--ask", ask]));
    let rest = [
        "# Tests first for task 1.1",
        "# Choice for task 1.1",
        "# Trial of issue 1",
        "# Acceptance of issue 1",
    ];
    assert_eq!(shown, [&headings[..], &rest[..]].concat().as_slice());
    project.write(&[("AGENTS.md", "Be brief.\n")]);
    let told = project.turno(&["persona", "render", "author", "1"]).exits(0).out;
    assert!(told.contains("Read AGENTS.md first"), "{told}");
    assert!(!told.contains("Be brief."), "rules are named, not copied");
    project
        .turno(&["persona", "render", "author", "1", "--ask", "plant"])
        .exits(2);
}
