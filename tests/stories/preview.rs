//! `turno preview` as people use it: the project's own server on what a task has written, two at once, one that never
//! answers, and nothing left of any of them.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::processes::until;
use crate::harness::project::Project;

const CONFIG: &str = r#"
policy = "single"
[checks.test]
command = "test -s index.html"
[preview]
dev = "echo serving; exec python3 -m http.server --bind 127.0.0.1 $PORT"
ready = "http://127.0.0.1:$PORT/index.html"
start_within = "20s"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - run: 'echo "the page of $TURNO_TASK" > index.html'
      - outcome: {summary: it is done}
"#;

fn project(config: &str) -> Project {
    let files = [("turno.toml", config), ("script.yaml", SCRIPT)];
    let project = Project::new(&files).env("TURNO_AGENT", "actor");
    project.issue("A page");
    project.issue("Another page");
    project.turno(&["run", "1", "2"]).exits(0);
    project
}

fn previews(project: &Project) -> Vec<Value> {
    let listed = project.turno(&["preview", "--json"]).exits(0).json();
    listed.as_array().unwrap().clone()
}

fn ready(project: &Project, many: usize) -> Vec<Value> {
    let mut all = Vec::new();
    until("the previews answer", || {
        all = previews(project);
        all.iter().filter(|p| p["state"] == "ready").count() == many
    });
    all
}

/// What a preview answers.
fn page(preview: &Value) -> String {
    let url = preview["url"].as_str().unwrap();
    let port: u16 = url.split([':', '/']).find_map(|p| p.parse().ok()).unwrap();
    let mut line = TcpStream::connect(("127.0.0.1", port)).unwrap();
    line.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    line.read_to_string(&mut text).unwrap();
    text
}

/// The worktrees that git knows of, besides the person's own.
fn worktrees(project: &Project) -> usize {
    let all = project.git(&["worktree", "list", "--porcelain"]);
    all.lines()
        .filter(|l| l.starts_with("worktree ") && l.contains("slots/9"))
        .count()
}

fn stop(project: &Project, child: std::process::Child, signal: Signal) -> crate::harness::project::Done {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    project.wait(child)
}

#[test]
fn two_previews_run_at_once_and_nothing_of_them_is_left() {
    let project = project(CONFIG);
    let one = project.start(&["preview", "1"]);
    let two = project.start(&["preview", "2.1"]);
    let all = ready(&project, 2);
    let of = |subject: &str| all.iter().find(|p| p["subject"] == subject).unwrap();
    assert!(page(of("1")).contains("the page of 1.1"), "{}", page(of("1")));
    assert!(page(of("2.1")).contains("the page of 2.1"));
    assert_ne!(of("1")["url"], of("2.1")["url"]);
    assert_eq!(worktrees(&project), 2);
    let url = of("1")["url"].as_str().unwrap();
    assert!(
        url.starts_with("http://preview-") && url.contains(".localhost:"),
        "{url}"
    );

    let done = stop(&project, one, Signal::SIGINT).exits(0);
    assert!(done.out.contains("1 is at http://preview-"), "{done:?}");
    assert!(done.err.contains("serving"), "its log is shown: {done:?}");
    assert!(done.err.contains("nothing of it is left"), "{done:?}");
    assert_eq!(previews(&project).len(), 1);
    // One that is killed is cleared up after by the next.
    stop(&project, two, Signal::SIGKILL);
    assert_eq!(worktrees(&project), 1, "its worktree stays until somebody looks");
    assert!(previews(&project).is_empty());
    assert_eq!(worktrees(&project), 0);
    let next = project.start(&["preview", "1"]);
    ready(&project, 1);
    assert_eq!(worktrees(&project), 1);
    stop(&project, next, Signal::SIGTERM).exits(0);
    assert_eq!(worktrees(&project), 0);
}

#[test]
fn one_that_is_interrupted_during_its_setup_ends_at_once_and_what_it_wrote_is_told() {
    let config = CONFIG.replace("echo serving;", "echo hello > kept.txt; echo serving;");
    let project = project(&config);
    let one = project.start(&["preview", "1"]);
    ready(&project, 1);
    let done = stop(&project, one, Signal::SIGINT).exits(0);
    assert!(done.err.contains("refs/turno/salvage/s900-"), "{done:?}");
    assert!(!done.err.contains("nothing of it is left"), "{done:?}");

    let begun = project.shared().join("setup-began");
    let setup = "[setup]\ncommand = \"touch $HOME/shared/setup-began; sleep 600\"\n[preview]";
    project.write(&[("turno.toml", &config.replace("[preview]", setup))]);
    let one = project.start(&["preview", "1"]);
    until("the setup runs", || begun.exists());
    let done = stop(&project, one, Signal::SIGINT).exits(0);
    assert!(done.err.contains("over before it was there"), "{done:?}");
    assert_eq!(worktrees(&project), 0);
}

#[test]
fn one_that_never_answers_is_ended_with_the_end_of_its_log() {
    let config = CONFIG
        .replace(
            "exec python3 -m http.server --bind 127.0.0.1 $PORT",
            "echo I wait for a database; exec sleep 600",
        )
        .replace("20s", "1s");
    let project = project(&config);
    let done = project.turno(&["preview", "1"]).exits(1);
    for part in [
        "did not answer at http://preview-",
        "I wait for a database",
        "preview.ready",
    ] {
        assert!(done.err.contains(part), "{part}: {done:?}");
    }
    assert_eq!(worktrees(&project), 0);
}

#[test]
fn one_that_ends_says_how() {
    let config = CONFIG.replace(
        "exec python3 -m http.server --bind 127.0.0.1 $PORT",
        "echo no such module; exit 3",
    );
    let project = project(&config);
    let done = project.turno(&["preview", "1"]).exits(1);
    assert!(
        done.err.contains("no such module") && done.err.contains("ended before it answered"),
        "{done:?}"
    );
    let nothing = project.turno(&["preview", "7"]).exits(2);
    assert!(nothing.err.contains("there is no issue 7"), "{nothing:?}");
}

#[test]
fn without_a_command_it_is_said_how_to_set_one() {
    let config = CONFIG.split("[preview]").next().unwrap().to_owned()
        + "[agents.actor]\ndialect = \"script\"\nscript = \"script.yaml\"\n";
    let project = project(&config);
    let done = project.turno(&["preview", "1"]).exits(2);
    assert!(done.err.contains("preview.dev"), "{done:?}");
}
