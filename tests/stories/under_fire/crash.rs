//! The coordinator and its git die in the middle of a checkout: the next start sees it, keeps what was in the slot and
//! goes on.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use serde_json::json;

use super::world::{all_is_well, imprint, project, tells, writes};
use crate::harness::processes::{alive, ended, kept, signal, until};
use crate::harness::project::Project;

/// A checkout of these files goes on until it is let go: a filter of the user's own is as slow as it likes.
fn slow_checkout(project: &Project) {
    let (here, go) = (project.home().join("here"), project.home().join("go"));
    let smudge = format!(
        "touch {here}; until test -e {go}; do sleep 0.02; done; cat",
        here = here.display(),
        go = go.display()
    );
    project.write(&[("zz.slow", "slow\n"), (".gitattributes", "*.slow filter=slow\n")]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "slow"]);
    project.git(&["config", "filter.slow.smudge", &smudge]);
}

/// Kills the coordinator with everything below it, at once, as the kernel or a power cut would.
fn kill_all(project: &Project, child: std::process::Child) {
    signal(&child, Signal::SIGKILL);
    ended(project, child);
    for one in alive(project) {
        // It may have ended by itself: it is the wait below that counts.
        kill(Pid::from_raw(one.pid), Signal::SIGKILL).ok();
    }
    until("nothing runs", || alive(project).is_empty());
}

/// In a slot that is new, and in one that holds what an agent left uncommitted when everything died.
#[rstest]
#[case::that_makes_a_slot(&[])]
#[case::that_resets_a_slot(&["One"])]
fn a_crash_in_a_checkout(#[case] before: &[&str]) {
    let hangs = json!({"task": "One", "round": 1, "steps": [
        {"write": {"path": "half.txt", "text": "half\n"}},
        {"write": {"path": "f", "text": "changed\n"}},
        {"hang": {}},
    ]});
    let project = project(&[hangs, writes(&[])]);
    let slot = project.state().join("slots/1");
    for title in before {
        project.issue(title);
        let child = project.start(&["run", "1"]);
        until("it hangs", || {
            slot.join("half.txt").exists()
                && fs::read_to_string(slot.join("f")).is_ok_and(|f| f == "changed\n")
        });
        kill_all(&project, child);
        project.turno(&["discard", "1"]).exits(0);
    }
    slow_checkout(&project);
    let id = project.issue("Two").to_string();
    let user = imprint(&project);
    let child = project.start(&["run", &id]);
    let here = project.home().join("here");
    until("the checkout is under way", || here.exists());
    kill_all(&project, child);

    assert!(
        project.state().join("slots/1.dirty").exists(),
        "the marker stands"
    );
    fs::write(project.home().join("go"), "").unwrap();
    let done = project.turno(&["resume"]).exits(0);
    assert!(!done.err.contains("panicked"), "{}", done.err);
    all_is_well(&project, &user);
    assert!(
        !project.state().join("slots/1.dirty").exists(),
        "the marker is gone"
    );
    tells(
        &project.turno(&["explain", &format!("{id}.1")]).exits(0).out,
        &["landed as"],
    );
    let base = format!("turno/{id}/base");
    assert_eq!(
        project.git(&["diff", "--name-only", "main", &base]),
        "a.txt\nagain.txt"
    );
    assert_eq!(project.at(&base, "zz.slow"), "slow");
    if !before.is_empty() {
        assert!(
            kept(&project, "half.txt", "half") && kept(&project, "f", "changed"),
            "it was salvaged"
        );
    }
}
