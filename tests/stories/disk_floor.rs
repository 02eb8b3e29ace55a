//! A disk gets nearly full during a shift: nothing more is started, what runs ends well, the person is told, and when
//! there is room again all of it goes on. No failure is counted, and nothing is tried in vain. It needs a mount of its
//! own, so root.

use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::Value;

use super::full_disk::Small;
use crate::harness::processes::{ended, nothing_runs, until};
use crate::harness::project::Project;

/// The disk of a story has 64 MB; below 32 nothing is started.
const CONFIG: &str = r#"
slots = 2
policy = "single"
[checks.test]
command = "test -f a.txt"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Each engineer waits in its slot until the story lets it go on.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - run: 'echo $TURNO_TASK >> $HOME/shared/begun; until [ -e $HOME/shared/go ]; do sleep 0.02; done'
      - usage: {usd: 0.01}
      - run: "echo $TURNO_TASK > a.txt; echo mine > t$TURNO_TASK.txt"
      - outcome: {summary: done}
"#;

/// Three issues for two slots.
fn project(floor: &str) -> Project {
    let project = Project::new(&[
        ("turno.toml", &format!("{CONFIG}{floor}")),
        ("script.yaml", SCRIPT),
    ])
    .env("TURNO_AGENT", "actor");
    for title in ["One", "Two", "Three"] {
        project.issue(title);
    }
    project
}

/// Takes so much of a disk.
fn ballast(project: &Project, megabytes: u64) -> PathBuf {
    let path = project.state().join("ballast");
    nix::fcntl::posix_fallocate(
        File::create(&path).unwrap(),
        0,
        i64::try_from(megabytes << 20).unwrap(),
    )
    .unwrap();
    path
}

fn begun(project: &Project) -> Vec<String> {
    let text = fs::read_to_string(project.shared().join("begun")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What was seen of disks, in order: how many have too little.
fn seen(journal: &[Value]) -> Vec<usize> {
    let of = |r: &Value| r["event"]["room-seen"]["tight"].as_array().map(Vec::len);
    journal.iter().filter_map(of).collect()
}

/// No attempt has failed and no task counts a try.
#[track_caller]
fn no_failure_was_counted(journal: &[Value]) {
    for record in journal {
        assert!(record["event"].get("attempt-failed").is_none(), "{record:#}");
        for task in record["changes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|c| c.get("task"))
        {
            let tries = task["tries"].as_object().unwrap();
            assert!(tries.is_empty(), "{task:#}");
        }
    }
}

/// How many attempts were started by the records from one on.
fn starts(journal: &[Value]) -> usize {
    let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    let begins = |c: &&Value| {
        ["start-agent", "run-checks", "land", "follow"]
            .iter()
            .any(|k| c.get(k).is_some())
    };
    commands.filter(begins).count()
}

#[test]
fn below_the_floor_nothing_is_started_and_above_it_all_goes_on() {
    let project = project("[disk]\nfree = \"32MiB\"\n");
    let Some(_disk) = Small::mount("a floor", &project.state(), 64) else {
        return;
    };
    // The mount hides what was filed before.
    for title in ["One", "Two", "Three"] {
        project.issue(title);
    }
    let doctor = project.turno(&["doctor"]).out;
    assert!(doctor.contains("room above the floor of 32 MiB"), "{doctor}");

    let child = project.start(&["run", "1", "2", "3"]);
    until("two are at work", || begun(&project).len() == 2);
    let heavy = ballast(&project, 40);
    until("it is seen", || seen(&project.journal()) == [1]);
    let short = project.journal().len();
    let status = project.turno(&["status"]).exits(0);
    let told = "free, and 32 MiB is the floor";
    assert!(
        status.out.contains(told) && status.out.contains("turno gc"),
        "{}",
        status.out
    );
    assert!(status.err.contains(told), "{}", status.err);
    let doctor = project.turno(&["doctor"]).out;
    assert!(doctor.contains(told), "{doctor}");
    let explained = project.turno(&["explain", "3.1"]).exits(0).out;
    assert!(explained.contains(told), "{explained}");

    // What runs goes on, and comes to its end.
    fs::write(project.shared().join("go"), "").unwrap();
    until("both have ended", || {
        let ends = |r: &Value| r["event"].get("agent-ended").is_some();
        project.journal().iter().filter(|r| ends(r)).count() == 2
    });
    assert_eq!(begun(&project).len(), 2);

    fs::remove_file(heavy).unwrap();
    ended(&project, child).exits(0);
    nothing_runs(&project);
    let journal = project.journal();
    assert_eq!(seen(&journal), [1, 0]);
    let freed = journal
        .iter()
        .rposition(|r| r["event"].get("room-seen").is_some());
    let without = &journal[short..freed.unwrap()];
    assert!(!without.is_empty() && starts(without) == 0, "{without:#?}");
    no_failure_was_counted(&journal);
    assert_eq!(
        begun(&project).len(),
        3,
        "nobody has begun twice: {:?}",
        begun(&project)
    );
    for n in 1..=3 {
        assert_eq!(
            project.at(&format!("turno/{n}/base"), &format!("t{n}.1.txt")),
            "mine"
        );
    }
    project.ledger_adds_up();
    let status = project.turno(&["status"]).exits(0);
    assert!(!status.err.contains("the floor"), "{}", status.err);
    let report = project.turno(&["report"]).exits(0).out;
    assert!(report.contains("for room on a disk"), "{report}");
}

#[test]
fn a_shift_that_waits_for_room_in_vain_ends_and_needs_a_person() {
    let project = project("[disk]\nfree = \"32MiB\"\nwait = \"3s\"\n");
    let Some(_disk) = Small::mount("a floor for ever", &project.state(), 64) else {
        return;
    };
    project.issue("One");
    let heavy = ballast(&project, 40);
    let done = ended(&project, project.start(&["run", "1"])).exits(1);
    assert!(done.err.contains("the floor"), "{}", done.err);
    assert_eq!(begun(&project), [""; 0]);
    let status = project.turno(&["status"]).exits(0);
    assert!(status.err.contains("the floor"), "{}", status.err);
    // The next one begins as if nothing had been.
    fs::remove_file(heavy).unwrap();
    fs::write(project.shared().join("go"), "").unwrap();
    project.turno(&["run", "1"]).exits(0);
    no_failure_was_counted(&project.journal());
}

#[test]
fn room_for_further_files_is_room_too() {
    let project = project("[disk]\nfiles = 500\nwait = \"2s\"\n");
    let Some(disk) = Small::mount("a floor of files", &project.state(), 64) else {
        return;
    };
    disk.again("nr_inodes=400");
    project.issue("One");
    ended(&project, project.start(&["run", "1"])).exits(1);
    let status = project.turno(&["status"]).exits(0);
    assert!(
        status.err.contains("more files, and 500 is the floor"),
        "{}",
        status.err
    );
    disk.again("nr_inodes=5000");
    fs::write(project.shared().join("go"), "").unwrap();
    project.turno(&["run", "1"]).exits(0);
}

/// The objects of the repository are on another disk than the state.
#[test]
fn the_disk_of_the_repository_counts() {
    let project = project("[disk]\nfree = \"32MiB\"\nwait = \"2s\"\n");
    let git = project.repo().join(".git");
    let objects = git.join("objects");
    let aside = git.join("objects-before");
    fs::rename(&objects, &aside).unwrap();
    let Some(_disk) = Small::mount("a floor for objects", &objects, 16) else {
        return;
    };
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(aside.join("."))
        .arg(&objects)
        .status();
    assert!(copied.unwrap().success());
    ended(&project, project.start(&["run", "1"])).exits(1);
    let status = project.turno(&["status"]).exits(0);
    assert!(status.err.contains("objects has"), "{}", status.err);
    assert_eq!(begun(&project), [""; 0]);
}
