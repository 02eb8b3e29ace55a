//! The disk fills while a shift runs: it ends in words that say where to free some space, nothing is lost, and when
//! there is room again the same issue goes on to its end. Each needs a mount of its own, so root.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

use super::super::full_disk::Small;
use super::world::{CHECK, CONFIG, all_is_well, imprint, project_with, run, script, tells, writes};
use crate::harness::processes::{ended, nothing_runs, until};
use crate::harness::project::{Done, Project};

/// When there is room again.
#[track_caller]
fn goes_on(project: &Project) {
    let before = imprint(project);
    project.turno(&["store", "check"]).exits(0);
    project.turno(&["run", "1"]).exits(0);
    all_is_well(project, &before);
    tells(&project.turno(&["explain", "1.1"]).exits(0).out, &["landed as"]);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    assert_eq!(project.git(&["fsck", "--connectivity-only", "--no-dangling"]), "");
}

/// It ended in order, and both the end and the status say what the matter is.
#[track_caller]
fn says(project: &Project, done: Done, parts: &[&str]) {
    let done = done.exits(1);
    assert!(!done.err.contains("panicked"), "{}", done.err);
    nothing_runs(project);
    tells(&done.out, parts);
    tells(&project.turno(&["status"]).exits(0).out, parts);
}

/// A disk of four MB where this lies; the agent writes more, at each try, until there is room.
#[rstest]
#[case::with_what_an_agent_says("attempts", json!({"flood": {"lines": 100_000, "bytes_per_line": 100}}))]
#[case::with_what_an_agent_writes("slots", run("head -c 20M /dev/urandom > big"))]
fn a_disk_that_fills(#[case] place: &str, #[case] step: Value) {
    let mut first = writes(&[step]);
    first.as_object_mut().unwrap().remove("round");
    let project = project_with(CONFIG, CHECK, &[first]);
    let Some(disk) = Small::mount("a disk that fills", &project.state().join(place), 4) else {
        return;
    };
    project.issue("One");
    let child = project.start(&["run", "1"]);
    let done = ended(&project, child);
    says(
        &project,
        done,
        &["the disk is full at", place, "free some space there"],
    );
    disk.again("size=64m");
    fs::write(
        project.repo().join("script.yaml"),
        script(&[json!({"persona": "engineer", "steps": [
            run("rm -f big; echo a > a.txt; echo b > b.txt"), {"outcome": {"summary": "smaller"}},
        ]})]),
    )
    .unwrap();
    goes_on(&project);
}

/// The disk of the repository fills while the checks run: its change cannot be landed.
#[test]
fn a_repository_whose_disk_is_full_when_it_lands() {
    let wait = "touch $HOME/shared/checks; until test -e $HOME/shared/go; do sleep 0.02; done\n";
    let project = project_with(
        CONFIG,
        &format!("{CHECK}{wait}"),
        &[writes(&[run("git add -A && git commit -q -m own")])],
    );
    let objects = project.repo().join(".git/objects");
    let aside = project.repo().with_file_name("objects");
    let copy = |from: &PathBuf, to: &PathBuf| {
        let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
        assert!(done.unwrap().success());
    };
    fs::create_dir(&aside).unwrap();
    copy(&objects, &aside);
    let Some(disk) = Small::mount("a repository on a full disk", &objects, 4) else {
        return;
    };
    copy(&aside, &objects);
    project.issue("One");
    let child = project.start(&["run", "1"]);
    until("the checks run", || project.shared().join("checks").exists());
    let ballast = disk.fill();
    fs::write(project.shared().join("go"), "").unwrap();
    let done = ended(&project, child);
    says(
        &project,
        done,
        &["the disk is full at", ".git", "free some space there"],
    );
    assert_eq!(
        project.git(&["branch", "--list", "turno/1/base"]),
        "",
        "nothing landed"
    );
    fs::remove_file(ballast).unwrap();
    goes_on(&project);
}

/// There is no room to make a slot.
#[test]
fn a_disk_without_room_for_a_checkout() {
    let project = project_with(CONFIG, CHECK, &[writes(&[])]);
    let big: String = (0..40_000).map(|n| format!("{n:0100}\n")).collect();
    project.write(&[("big", &big)]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "big"]);
    let Some(disk) = Small::mount("no room for a checkout", &project.state().join("slots"), 2) else {
        return;
    };
    project.issue("One");
    let child = project.start(&["run", "1"]);
    let done = ended(&project, child);
    says(
        &project,
        done,
        &["the disk is full at", "slots", "free some space there"],
    );
    disk.again("size=64m");
    goes_on(&project);
}
