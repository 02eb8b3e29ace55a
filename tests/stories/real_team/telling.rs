//! A person speaks to a real claude while it works: the next request to its model has the words; where it is about to
//! end, it takes a turn more for them.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{Stage, change, script};
use crate::harness::model_server::{Action, Api, Turn};
use crate::harness::processes::nothing_runs;
use crate::harness::real_cli::Cli;

const CONFIG: &str = "slots = 1\npolicy = \"single\"\n[checks.test]\ncommand = \"cat *.txt\"\n";
const WORDS: &str = "greet the moon instead";

fn stage(story: &str, first: Vec<Turn>) -> Option<Stage> {
    let files = [
        ("greet.txt", "hello\n"),
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", "review = \"off\"\n"),
    ];
    let heeds = [
        Turn::edit("greet.txt", "hello", "hello moon"),
        change("greets the moon"),
    ];
    let scripts = vec![
        script(Api::Messages, WORDS, heeds),
        script(Api::Messages, "# Task 1.1\n", first),
    ];
    let stage = Stage::new(story, &[Cli::Claude], &files, scripts)?;
    stage.cast("engineer", Cli::Claude);
    stage.project.issue("Greet somebody");
    Some(stage)
}

fn wait() -> Turn {
    Turn::bash(
        "echo $$ >> \"$HOME/shared/pids\"; for i in $(seq 900); do test -e \"$HOME/shared/go\" && exit 0; sleep 0.1; done",
    )
}

#[track_caller]
fn heard(stage: &Stage) {
    nothing_runs(&stage.project);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello moon");
    assert_eq!(stage.played().len(), 1, "{:#?}", stage.played());
    assert_eq!(stage.facts("heard").len(), 1);
    let requests = stage.requests(Api::Messages, WORDS);
    let body: &Value = &requests[0].body["messages"];
    assert!(body.to_string().contains(WORDS), "{body}");
}

#[test]
fn claude_is_told_while_it_runs_and_its_next_request_has_the_words() {
    let Some(stage) = stage("claude is told", vec![wait(), change("greets nobody")]) else {
        return;
    };
    let shift = stage.start(&["run", "1"]);
    stage.until_recorded();
    let said = stage.project.turno(&["tell", "1.1", WORDS]).exits(0).out;
    assert!(said.contains("at its next step"), "{said}");
    stage.fact("told");
    std::fs::write(stage.project.shared().join("go"), "").unwrap();
    stage.ends(shift).exits(0);
    heard(&stage);
    let log = stage.project.turno(&["log", "1.1"]).exits(0).out;
    assert!(log.contains(WORDS), "{log}");
}

#[test]
fn claude_that_is_about_to_end_takes_a_turn_more_for_the_words() {
    let mut last = change("greets nobody");
    last.actions.insert(0, Action::Wait(Duration::from_secs(6)));
    let begins = Turn::bash("echo $$ >> \"$HOME/shared/pids\"");
    let Some(stage) = stage("claude is told late", vec![begins, last]) else {
        return;
    };
    let shift = stage.start(&["run", "1"]);
    stage.until_recorded();
    std::thread::sleep(Duration::from_secs(2));
    stage.project.turno(&["tell", "a1", WORDS]).exits(0);
    stage.ends(shift).exits(0);
    heard(&stage);
    let told = stage.fact("told");
    assert_eq!(told["words"], json!(WORDS));
}
