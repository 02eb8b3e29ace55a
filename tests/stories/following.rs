//! The user commits to their branch while a shift runs: the issue's branch keeps up with it, or says early that it
//! cannot.

use std::process::Child;

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 2
policy = "single"
[checks.test]
command = "sh check.sh"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// With the work and the user's first or second commit in it, a check says so and waits until it may go on.
const CHECK: &str = r#"
waits() { touch "$HOME/shared/checks-$1"; until [ -e "$HOME/shared/go-$1" ]; do sleep 0.05; done; }
if [ ! -e a.txt ]; then :; elif [ -e second.txt ]; then waits second; elif [ -e first.txt ]; then waits first; fi
! { [ -e poison.txt ] && [ -e a.txt ]; }
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: another
    steps:
      - run: 'touch "$HOME/shared/another"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: other.txt, text: "other\n"}
      - outcome: {summary: another}
  - steps:
      - run: 'touch "$HOME/shared/begun"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: a.txt, text: "a\n"}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    Project::new(&[
        ("turno.toml", CONFIG),
        ("script.yaml", SCRIPT),
        ("check.sh", CHECK),
    ])
    .env("TURNO_AGENT", "actor")
}

fn sees(project: &Project, what: &str) {
    until(what, || project.shared().join(what).exists());
}

fn lets(project: &Project, what: &str) {
    std::fs::write(project.shared().join(what), "").unwrap();
}

fn user_commits(project: &Project, path: &str, text: &str) {
    project.write(&[(path, text)]);
    project.git(&["add", path]);
    project.git(&["commit", "-q", "-m", &format!("the user's {path}")]);
}

/// A shift whose writer has begun, when the user commits: its change is being proven together with that.
fn lands_on_a_moved_branch(project: &Project) -> Child {
    project.issue("One");
    let child = project.start(&["run", "1"]);
    sees(project, "begun");
    user_commits(project, "first.txt", "1\n");
    lets(project, "go");
    sees(project, "checks-first");
    child
}

fn ends_of_following(project: &Project) -> Vec<String> {
    let journal = project.journal();
    let ends = journal
        .iter()
        .filter_map(|r| r["event"]["follow-ended"]["end"].as_object());
    ends.flat_map(|end| end.keys().cloned()).collect()
}

#[test]
fn the_branch_follows_and_promotion_is_what_was_proven() {
    let project = project();
    let child = lands_on_a_moved_branch(&project);
    // Before its landing has ended, the branch moves again.
    user_commits(&project, "own.txt", "own\n");
    lets(&project, "go-first");
    let done = ended(&project, child).exits(0);
    assert!(!done.out.contains("ALARM"), "{}", done.out);
    for (path, text) in [("a.txt", "a"), ("first.txt", "1"), ("own.txt", "own")] {
        assert_eq!(project.at("turno/1/base", path), text);
    }
    project.git(&["merge-base", "--is-ancestor", "main", "turno/1/base"]);
    assert_eq!(ends_of_following(&project), ["followed", "followed"]);
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(told.contains("the issue's branch has followed yours"), "{told}");
    let diff = project.turno(&["diff", "1"]).exits(0).out;
    assert!(diff.contains("a.txt") && !diff.contains("own.txt"), "{diff}");

    let before = project.git(&["rev-parse", "main"]);
    let proven = project.git(&["rev-parse", "turno/1/base^{tree}"]);
    project.turno(&["promote", "1"]).exits(0);
    assert_eq!(project.git(&["rev-parse", "main^"]), before);
    assert_eq!(project.git(&["rev-parse", "main^{tree}"]), proven);
    assert_eq!(
        project.git(&["show", "--format=", "--name-only", "main"]),
        "a.txt"
    );
    project.turno(&["revert", "1"]).exits(0);
    assert_eq!(project.at("main", "own.txt"), "own");
    project.turno(&["promote", "1"]).exits(0);
    assert_eq!(project.git(&["rev-parse", "main^{tree}"]), proven);
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[rstest]
#[case::conflict("a.txt", "otherwise\n", "conflict in a.txt")]
#[case::red("poison.txt", "p\n", "test is red with both together")]
fn what_cannot_follow_is_said_and_the_shift_ends_well(
    #[case] path: &str,
    #[case] text: &str,
    #[case] why: &str,
) {
    let project = project();
    let child = lands_on_a_moved_branch(&project);
    user_commits(&project, path, text);
    lets(&project, "go-first");
    let done = ended(&project, child).exits(0);
    let landed = project.git(&["rev-parse", "turno/1/base"]);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    let status = project.turno(&["status"]).exits(0).out;
    let issue = project.turno(&["issue", "show", "1"]).exits(0).out;
    let explained = project.turno(&["explain", "1.1"]).exits(0).out;
    for told in [&done.out, &done.err, &status, &issue, &explained] {
        assert!(told.contains("ALARM") && told.contains(why), "{told}");
    }
    assert_eq!(
        ends_of_following(&project).len(),
        2,
        "it was tried once more, in vain"
    );
    assert_eq!(project.git(&["rev-parse", "turno/1/base"]), landed);
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[test]
fn a_coordinator_killed_while_the_branch_follows_goes_on() {
    let project = project();
    let child = lands_on_a_moved_branch(&project);
    user_commits(&project, "second.txt", "2\n");
    lets(&project, "go-first");
    sees(&project, "checks-second");
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    lets(&project, "go-second");
    project.turno(&["resume"]).exits(0);
    for (path, text) in [("a.txt", "a"), ("first.txt", "1"), ("second.txt", "2")] {
        assert_eq!(project.at("turno/1/base", path), text);
    }
    project.git(&["merge-base", "--is-ancestor", "main", "turno/1/base"]);
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[test]
fn a_branch_that_the_user_only_switches_to_is_not_followed() {
    let project = project();
    project.issue("One");
    let child = project.start(&["run", "1"]);
    sees(&project, "begun");
    project.git(&["switch", "-q", "-c", "aside"]);
    user_commits(&project, "aside.txt", "aside\n");
    lets(&project, "go");
    ended(&project, child).exits(0);
    let files = project.git(&["ls-tree", "-r", "--name-only", "turno/1/base"]);
    assert!(files.contains("a.txt") && !files.contains("aside.txt"), "{files}");
    assert_eq!(ends_of_following(&project).len(), 0);
    nothing_runs(&project);
    project.ledger_adds_up();
}

#[test]
fn an_issue_that_is_dropped_leaves_no_trace_on_another() {
    let project = project();
    project.issue("One");
    project.issue("another");
    let child = project.start(&["run", "1", "2"]);
    sees(&project, "begun");
    sees(&project, "another");
    project.turno(&["discard", "1"]).exits(0);
    lets(&project, "go");
    ended(&project, child).exits(0);
    assert_eq!(project.at("turno/2/base", "other.txt"), "other");
    let files = project.git(&["ls-tree", "-r", "--name-only", "turno/2/base"]);
    assert!(!files.lines().any(|f| f == "a.txt"), "{files}");
    let told = project.git(&["log", "--format=%B", "main..turno/2/base"]);
    assert!(!told.contains("Turno-Issue: 1"), "{told}");
    nothing_runs(&project);
    project.ledger_adds_up();
}
