//! What agents do while nobody coordinates, and ending such a shift: what was changed behind Turno's back is found by
//! whoever comes next, and whoever asks for a drain gets one.

use std::fs;
use std::process::Child;

use nix::sys::signal::Signal;

use super::{Story, starts};
use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::Project;
use turno_engine::crash_point::Deed;

const CONFIG: &str = r#"
slots = 2
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Tamper*"
    steps:
      - run: 'touch "$HOME/shared/begun"; until [ -e "$HOME/shared/alone" ]; do sleep 0.02; done'
      - write: {path: .gitattributes, text: "* filter=evil\n"}
      - run: {command: "git config filter.evil.clean \"tee -a $HOME/ran\"", must_pass: true}
      - run: {command: "printf '#!/bin/sh\\n' > \"$(git rev-parse --git-common-dir)/hooks/post-merge\"", must_pass: true}
      - run: {command: "git update-ref refs/heads/turno/9/base HEAD", must_pass: true}
      - run: {command: "git update-ref refs/heads/turno/1/base HEAD", must_pass: true}
      - run: 'touch "$HOME/shared/tampered"; until [ -e "$HOME/shared/go" ]; do sleep 0.02; done'
      - write: {path: done.txt, text: "x\n"}
      - outcome: {summary: does it}
  - steps:
      - run: 'until [ -e "$HOME/shared/begun" ]; do sleep 0.02; done'
      - write: {path: a.txt, text: "a\n"}
      - outcome: {summary: adds a}
"#;

fn kill(project: &Project, child: Child) {
    signal(&child, Signal::SIGKILL);
    project.wait(child);
}

fn touch(project: &Project, name: &str) {
    fs::write(project.shared().join(name), "").unwrap();
}

fn is_there(project: &Project, name: &str) -> bool {
    project.shared().join(name).exists()
}

#[test]
fn what_an_agent_changed_while_nobody_coordinated_is_found() {
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT), ("f", "hi\n")])
        .env("TURNO_AGENT", "actor")
        // In the sandbox each of these is refused before the fact.
        .unconfined();
    let config = fs::read_to_string(project.repo().join(".git/config")).unwrap();
    project.issue("Add a");
    project.issue("Tamper with it");
    let child = project.start(&["run", "1", "2"]);
    let landed = |project: &Project| {
        let journal = project.journal();
        journal.iter().any(|r| r["event"].get("landing-ended").is_some())
    };
    // Turno moves refs of its own while the agent runs: they are no tampering, also for the one who comes later.
    until("the other issue has landed", || landed(&project));
    let head = project.git(&["rev-parse", "turno/1/base"]);
    kill(&project, child);
    touch(&project, "alone");
    until("it has tampered", || is_there(&project, "tampered"));
    // A second coordinator dies too.
    let child = project.start(&["resume"]);
    until("it is adopted", || {
        project.turno(&["status"]).err.is_empty()
            && project
                .journal()
                .iter()
                .any(|r| r["event"].get("restarted").is_some())
    });
    kill(&project, child);
    touch(&project, "go");
    project.turno(&["resume"]).exits(0);

    assert_eq!(
        project.git(&["rev-parse", "turno/1/base"]),
        head,
        "it is where Turno had put it"
    );
    assert_eq!(
        project.at("turno/2/base", "done.txt"),
        "x",
        "its work counts all the same"
    );
    assert!(
        !project.home().join("ran").exists(),
        "no git call obeyed what was planted"
    );
    assert_eq!(
        fs::read_to_string(project.repo().join(".git/config")).unwrap(),
        config
    );
    assert!(!project.repo().join(".git/hooks/post-merge").exists());
    assert_eq!(project.git(&["for-each-ref", "refs/heads/turno/9"]), "");
    let journal = project.journal();
    let told: Vec<_> = journal
        .iter()
        .filter_map(|r| r["event"].get("tampered"))
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    let explained = project.turno(&["explain", "2.1"]).exits(0).out;
    for part in [
        ".git/config changed; it was put back",
        ".git/hooks/post-merge appeared; it was put back",
        "refs/heads/turno/9/base was absent",
        "refs/heads/turno/1/base was at",
    ] {
        assert!(explained.contains(part), "{part} is missing in {explained}");
    }
    assert_eq!(
        told[0]["what"].as_array().unwrap().len(),
        4,
        "and nothing of Turno's own: {told:#?}"
    );
    // It holds the repository's configuration, so it does not stay.
    let attempts = fs::read_dir(project.state().join("attempts")).unwrap();
    let kept = attempts
        .flatten()
        .filter(|a| a.path().join("guard.json").exists());
    assert_eq!(kept.count(), 0);
    nothing_runs(&project);
    project.ledger_adds_up();
}

/// An agent at work, and a coordinator to be killed.
fn at_work() -> (Project, Child) {
    let project = Story::Orphan.project(Deed::Adopt);
    let child = project.start(&["run", "1"]);
    until("the engineer is at work", || {
        !starts(&project, "engineer").is_empty()
    });
    (project, child)
}

/// What ran has come to its own end, nothing was begun, and the next shift goes on from there.
#[track_caller]
fn is_drained(project: &Project) {
    nothing_runs(project);
    project.ledger_adds_up();
    assert_eq!(starts(project, "reviewer").len(), 0, "nothing new is begun");
    let ends = |kind: &str| {
        let journal = project.journal();
        journal.iter().filter(|r| r["event"].get(kind).is_some()).count()
    };
    assert_eq!((ends("agent-ended"), ends("checks-ended")), (1, 0));
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(starts(project, "engineer").len(), 1, "its work was kept");
    assert_eq!(project.at("turno/1/base", "a.txt"), "tabs");
    nothing_runs(project);
    project.ledger_adds_up();
}

#[test]
fn a_drain_waits_for_what_runs_also_when_the_coordinator_is_dead() {
    let (project, child) = at_work();
    kill(&project, child);
    let drain = project.start(&["stop", "--drain"]);
    until("it listens", || project.turno(&["status"]).err.is_empty());
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["running"].as_array().unwrap().len(), 1, "{status:#}");
    touch(&project, "go");
    let done = ended(&project, drain).exits(0);
    assert!(done.err.contains("what runs may finish"), "{}", done.err);
    is_drained(&project);
}

#[test]
fn a_drain_that_lost_its_coordinator_is_gone_on_with() {
    let (project, child) = at_work();
    project.turno(&["stop", "--drain"]).exits(0);
    kill(&project, child);
    let child = project.start(&["resume"]);
    until("it listens", || project.turno(&["status"]).err.is_empty());
    touch(&project, "go");
    ended(&project, child).exits(130);
    is_drained(&project);
}

#[test]
fn a_stop_does_not_wait_when_the_coordinator_is_dead() {
    let (project, child) = at_work();
    kill(&project, child);
    project.turno(&["stop"]).exits(0);
    nothing_runs(&project);
    project.ledger_adds_up();
    let again = project.turno(&["stop", "--drain"]).exits(2);
    assert!(again.err.contains("no shift is running"), "{}", again.err);
}
