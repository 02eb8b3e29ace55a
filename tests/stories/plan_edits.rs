//! A person changes a plan while it is worked on: what is added lands, what is dropped does not, no work on other words
//! lands, and whoever saw another plan is told so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::board::Shown;
use crate::harness::browser::{Browser, DESK, PHONE};
use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 2
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// 1.1 waits for the story, 1.2 needs it, 1.3 needs that. Each other task writes a file by its own name.
const SCRIPT: &str = r#"
sessions:
  - persona: author
    round: 1
    steps:
      - outcome:
          tasks:
            - {key: ground, title: Lay the ground, brief: ground, acceptance: [it lies], touches: [ground*]}
            - {key: walls, title: Build the walls, brief: walls, acceptance: [they stand], needs: [ground], touches: [walls*]}
            - {key: roof, title: Put the roof on, brief: roof, acceptance: [it is dry], needs: [walls], touches: [roof*]}
  - {persona: author, steps: [{outcome: {missing: []}}]}
  - {persona: tester, steps: [{outcome: {verdict: approve}}]}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Lay the ground"
    steps:
      - run: 'touch "$HOME/shared/begun"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: ground.txt, text: "clay\n"}
      - outcome: {summary: it lies}
  - task: "Lay a stone ground"
    steps:
      - write: {path: ground.txt, text: "stone\n"}
      - outcome: {summary: it lies}
  - steps:
      - run: 'printf "%s\n" "$TURNO_TASK" > "by-$TURNO_TASK.txt"'
      - outcome: {summary: it is done}
"#;

pub(super) fn project() -> Project {
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor");
    project.issue("A house");
    project
}

/// A shift in which 1.1 is being written.
pub(super) fn begin(project: &Project) -> Child {
    let child = project.start(&["run", "1", "--budget", "20"]);
    until("it has begun", || project.shared().join("begun").exists());
    child
}

pub(super) fn go(project: &Project) {
    fs::write(project.shared().join("go"), "").unwrap();
}

fn plan(project: &Project) -> Value {
    project.turno(&["plan", "1", "--json"]).exits(0).json()
}

fn task(project: &Project, id: &str) -> Value {
    let plan = plan(project);
    let tasks = plan["tasks"].as_array().unwrap();
    tasks
        .iter()
        .find(|t| t["id"] == id)
        .unwrap_or_else(|| panic!("{plan:#}"))
        .clone()
}

fn stage(project: &Project, id: &str) -> String {
    task(project, id)["stage"].as_str().unwrap().to_owned()
}

/// What is on the issue's branch, by name.
pub(super) fn landed(project: &Project) -> Vec<String> {
    let names = project.git(&["ls-tree", "--name-only", "turno/1/base"]);
    names
        .lines()
        .filter(|n| n.ends_with(".txt"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_plan_is_changed_while_a_shift_works_on_it() {
    let project = project();
    let before = project
        .turno(&["plan", "add", "1", "--title", "Too early"])
        .exits(2);
    assert!(before.err.contains("has no plan yet"), "{}", before.err);
    let shift = begin(&project);

    let added = project.turno(&["plan", "add", "1", "--title", "A garden", "--paths", "garden*"]);
    assert_eq!(added.exits(0).out.trim(), "task 1.4 is added");
    assert_eq!(task(&project, "1.4")["by"], "person");

    project.write(&[("parts.md", "- North wall\n  of clay\n- South wall\n")]);
    let split = project
        .turno(&["plan", "split", "1.2", "--into", "parts.md"])
        .exits(0);
    assert_eq!(split.out.trim(), "task 1.2 is split into 1.5, 1.6");
    assert_eq!(task(&project, "1.3")["needs"], json!(["1.5", "1.6"]));
    assert_eq!(task(&project, "1.5")["needs"], json!(["1.1"]));
    assert_eq!(task(&project, "1.5")["text"], "of clay");

    for (verb, why) in [
        (
            &["edit", "1.5", "--needs", "1.3"][..],
            "circle: 1.3 -> 1.5 -> 1.3",
        ),
        (&["edit", "1.5", "--needs", "1.9"][..], "needs `1.9`"),
        (&["drop", "1.6"][..], "1.3 needs it"),
        (&["edit", "1.1", "--needs", "1.4"][..], "1.1 has begun"),
        (&["drop", "1.2"][..], "given up already"),
        (&["drop", "1.0"][..], "the issue's own task"),
    ] {
        let version = plan(&project)["version"].clone();
        let refused = project.turno(&[&["plan"][..], verb].concat()).exits(2);
        assert!(refused.err.contains(why), "{verb:?}: {}", refused.err);
        assert_eq!(plan(&project)["version"], version, "nothing of it is changed");
    }
    project.turno(&["plan", "drop", "1.6", "--rewire"]).exits(0);
    assert_eq!(task(&project, "1.3")["needs"], json!(["1.1", "1.5"]));
    let shown = project.turno(&["plan", "1"]).exits(0).out;
    assert!(shown.contains("critical path: 1.1 -> 1.5 -> 1.3"), "{shown}");

    go(&project);
    ended(&project, shift).exits(0);
    assert_eq!(
        landed(&project),
        ["by-1.3.txt", "by-1.4.txt", "by-1.5.txt", "ground.txt"]
    );
    let late = project
        .turno(&["plan", "edit", "1.4", "--title", "A yard"])
        .exits(2);
    assert!(late.err.contains("1.4 has landed"), "{}", late.err);

    // What is in review gets another task, and is worked on and judged again.
    project
        .turno(&["plan", "add", "1", "--title", "A fence"])
        .exits(0);
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(stage(&project, "1.7"), "landed");
    let told = project.turno(&["issue", "show", "1"]).exits(0).out;
    assert!(told.contains("review"), "{told}");
    let said = project.turno(&["log"]).exits(0).out;
    assert!(
        said.contains("a person changed the plan of issue 1: add \"A fence\""),
        "{said}"
    );
    nothing_runs(&project);
}

#[test]
fn one_that_is_written_is_finished_or_stopped_and_lands_by_its_new_words() {
    for stop in [&[][..], &["--stop"]] {
        let project = project();
        let shift = begin(&project);
        let edit = ["plan", "edit", "1.1", "--title", "Lay a stone ground"];
        let edited = project.turno(&[&edit[..], stop].concat()).exits(0);
        assert!(edited.err.contains("it is being worked on") || edited.err.contains("is being stopped"));
        if stop.is_empty() {
            go(&project);
        }
        ended(&project, shift).exits(0);
        assert_eq!(project.at("turno/1/base", "ground.txt"), "stone", "{stop:?}");
        project.ledger_adds_up();
    }
}

/// An editor that does what a shell does to the file that it is given.
fn editor(project: &Project, script: &str) {
    let path = project.shared().join("editor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_plan_is_edited_as_one_document_and_nobodys_change_is_overwritten() {
    let project = project();
    let editor_at = project.shared().join("editor").display().to_string();
    let project = project.env("EDITOR", format!("{editor_at} --wait"));
    let shift = begin(&project);

    // The last two change places, one has another title, and there is a new one.
    editor(
        &project,
        r#"printf '%s\n' '[[task]]' 'title = "A garden"' 'needs = ["1.1"]' >> "$2"; sed -i 's/Put the roof on/Put a green roof on/' "$2""#,
    );
    let opened = project.turno(&["plan", "open", "1"]).exits(0);
    assert!(opened.out.contains("new: 1.4"), "{}", opened.out);
    assert_eq!(task(&project, "1.3")["title"], "Put a green roof on");
    assert_eq!(task(&project, "1.4")["needs"], json!(["1.1"]));
    assert_eq!(
        task(&project, "1.2")["by"],
        "team",
        "what was not changed is as it was"
    );

    // A line is named where it is not sound, and what was written is kept.
    editor(
        &project,
        r#"printf '%s\n' '[[task]]' 'title = "A pond"' 'needs = ["1.8"]' >> "$2""#,
    );
    let refused = project.turno(&["plan", "open", "1"]).exits(2);
    assert!(
        refused.err.contains("line ") && refused.err.contains("needs `1.8`"),
        "{}",
        refused.err
    );
    let kept = |said: &str| {
        let name = said
            .split("what you wrote is in ")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap();
        let text = fs::read_to_string(name).unwrap();
        fs::remove_file(name).unwrap();
        text
    };
    assert!(kept(&refused.err).contains("A pond"));

    // Somebody else adds a task while the editor is open.
    let turno = env!("CARGO_BIN_EXE_turno");
    editor(
        &project,
        &format!(
            r#"{turno} plan add 1 --title Meanwhile --needs 1.1 >&2; sed -i 's/green roof/red roof/' "$2""#
        ),
    );
    let moved = project.turno(&["plan", "open", "1"]).exits(2);
    assert!(
        moved.err.contains("has changed since you saw it"),
        "{}",
        moved.err
    );
    assert!(kept(&moved.err).contains("red roof"));
    assert_eq!(task(&project, "1.3")["title"], "Put a green roof on");
    assert_eq!(task(&project, "1.5")["title"], "Meanwhile");

    // The same over the API.
    let board = Shown::begin(&project);
    let plan = board.get("/api/issues/1/plan");
    let ask = |version: &Value| {
        let body = json!({"version": version, "edits": [{"drop": {"task": "1.5"}}]});
        board.ask("PATCH", "/api/issues/1/plan", &[], &body.to_string())
    };
    let stale = ask(&json!(plan["version"].as_u64().unwrap() - 1));
    assert_eq!(stale.code, 409, "{}", stale.body);
    assert!(
        stale.body.contains("has changed since you saw it"),
        "{}",
        stale.body
    );
    let done = ask(&plan["version"]);
    assert_eq!(done.code, 200, "{}", done.body);
    assert_eq!(stage(&project, "1.5"), "dropped");
    board.end();

    go(&project);
    ended(&project, shift).exits(0);
    assert_eq!(
        landed(&project),
        ["by-1.2.txt", "by-1.3.txt", "by-1.4.txt", "ground.txt"]
    );
}

#[test]
fn what_was_said_before_the_coordinator_was_killed_holds() {
    let project = project();
    let mut shift = begin(&project);
    project
        .turno(&["plan", "add", "1", "--title", "A garden"])
        .exits(0);
    project
        .turno(&["plan", "edit", "1.1", "--title", "Lay a stone ground"])
        .exits(0);
    signal(&shift, Signal::SIGKILL);
    shift.wait().unwrap();
    assert_eq!(task(&project, "1.4")["title"], "A garden");
    go(&project);
    project.turno(&["resume"]).exits(0);
    assert_eq!(stage(&project, "1.4"), "landed");
    assert_eq!(project.at("turno/1/base", "ground.txt"), "stone");
    nothing_runs(&project);
}

#[test]
fn a_task_is_added_and_dropped_in_a_browser() {
    let project = project();
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    let shift = begin(&project);
    let board = Shown::begin(&project);
    browser.go(&board.link);
    browser.at("/");
    browser.go(&format!("{}/issues/1", board.url));
    browser.at("/issues/1");

    browser.eval("document.querySelector('[data-open=plan-add]').focus()");
    browser.key("Enter");
    browser.until("the form is there", "document.querySelector('#plan-add[open]')");
    browser.eval("document.querySelector('#plan-add [name=title]').focus()");
    browser.types("A garden");
    browser.eval("document.querySelector('#plan-add [name=needs]').focus()");
    browser.types("1.9");
    browser.key("Enter");
    browser.until(
        "what is wrong is said in its place",
        "document.querySelector('#plan-add[open] output').textContent.includes('needs `1.9`')",
    );
    browser.shot("plan-refused");
    browser.eval("document.querySelector('#plan-add [name=needs]').select()");
    browser.types("1.1");
    browser.key("Enter");
    browser.until(
        "the graph has it",
        "document.querySelector('.graph a[href=\"/tasks/1.4\"]') && !document.querySelector('dialog[open]')",
    );
    assert_eq!(task(&project, "1.4")["needs"], json!(["1.1"]));

    // On a phone: one that another needs is not dropped before that is settled.
    browser.size(PHONE);
    browser.eval("document.querySelector('[data-open=plan-drop][data-task=\"1.2\"]').click()");
    browser.until("the form is there", "document.querySelector('#plan-drop[open]')");
    browser.shot("plan-drop-phone");
    browser.eval("document.querySelector('#plan-drop .danger').click()");
    browser.until(
        "it says why not",
        "document.querySelector('#plan-drop[open] output').textContent.includes('1.3 needs it')",
    );
    browser.eval("document.querySelector('#plan-drop [name=rewire]').click()");
    browser.eval("document.querySelector('#plan-drop .danger').click()");
    browser.until("it is dropped", "!document.querySelector('dialog[open]')");
    browser.size(DESK);

    // An edit begins with what is stored.
    browser.eval("document.querySelector('[data-open=plan-edit][data-task=\"1.3\"]').click()");
    browser.until("the form is there", "document.querySelector('#plan-edit[open]')");
    assert_eq!(
        browser.eval("document.querySelector('#plan-edit [name=needs]').value"),
        "1.1"
    );
    browser.eval("document.querySelector('#plan-edit [name=title]').select()");
    browser.types("Put a green roof on");
    browser.key("Enter");
    browser.until(
        "it is edited",
        "document.querySelector('#row-1\\\\.3').innerText.includes('green roof')",
    );
    browser.eval("document.querySelector('[data-open=plan-split][data-task=\"1.3\"]').click()");
    browser.until("the form is there", "document.querySelector('#plan-split[open]')");
    browser.eval("document.querySelector('#plan-split [name=into]').focus()");
    browser.types("Lay the beams\n  of oak\nLay the grass");
    browser.eval("document.querySelector('#plan-split .first').click()");
    browser.until(
        "it is split",
        "document.querySelector('.graph a[href=\"/tasks/1.6\"]')",
    );
    assert_eq!(task(&project, "1.5")["text"], "of oak\n");
    browser.shot("plan-edited");
    assert_eq!(browser.wrong, Vec::<String>::new());

    go(&project);
    ended(&project, shift).exits(0);
    board.end();
    assert_eq!(
        landed(&project),
        ["by-1.4.txt", "by-1.5.txt", "by-1.6.txt", "ground.txt"]
    );
}
