//! A coordinator dies, its agents work on, and the next one goes on with the shift: nothing that was paid for is lost,
//! nothing is done twice, and the end is the same.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::processes::{ended_within, nothing_runs, signal, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 4
policy = "single"

[checks.test]
command = "sh check.sh"

[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Each change is made in steps that take a moment, in an order that can be seen in the file.
const SCRIPT: &str = r#"
sessions:
  - persona: engineer
    steps:
      - say: I begin
      - usage: {usd: 0.01}
      - run: 'echo $TURNO_TASK >> $HOME/shared/begun; echo one >> "t$TURNO_TASK.txt"; (setsid sleep 300 >/dev/null 2>&1 &)'
      - sleep: 400ms
      - run: 'echo two >> "t$TURNO_TASK.txt"'
      - usage: {usd: 0.02}
      - sleep: 400ms
      - run: 'echo three >> "t$TURNO_TASK.txt"; git add -A; git commit -qm "It is written"'
      - usage: {usd: 0.03}
      - outcome: {summary: it is written}
  - persona: reviewer
    steps:
      - usage: {usd: 0.01}
      - sleep: 300ms
      - outcome: {verdict: approve}
"#;

fn project(issues: u32) -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("script.yaml", SCRIPT),
        (
            "check.sh",
            "sleep 0.2\nfor f in t*.txt; do [ ! -e \"$f\" ] || grep -q three \"$f\" || exit 1; done\n",
        ),
    ]);
    for n in 1..=issues {
        project.issue(&format!("Write part {n}"));
    }
    project
}

/// The shift of the journal, as it should be when nothing was lost and nothing was done twice.
#[track_caller]
fn assert_sound(project: &Project, issues: u32) {
    nothing_runs(project);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["free_slots"].as_array().unwrap().len(), 4, "{status:#}");
    assert_eq!(status["running"].as_array().unwrap().len(), 0, "{status:#}");
    let journal = project.journal();
    let mut started = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let mut spent = 0;
    for record in &journal {
        for command in record["commands"].as_array().unwrap() {
            for kind in ["start-agent", "run-checks", "land"] {
                if let Some(attempt) = command.get(kind).and_then(|c| c["attempt"].as_u64()) {
                    assert!(started.insert(attempt), "a{attempt} was started twice");
                }
            }
        }
        let event = &record["event"];
        for kind in ["agent-ended", "checks-ended", "landing-ended", "attempt-failed"] {
            if let Some(attempt) = event.get(kind).and_then(|e| e["attempt"].as_u64()) {
                assert!(ended.insert(attempt), "a{attempt} ended twice");
                spent += event[kind]["spend"]["cost"].as_u64().unwrap_or(0);
            }
        }
        for lost in event["restarted"]["lost"].as_array().into_iter().flatten() {
            assert!(ended.insert(lost["attempt"].as_u64().unwrap()));
            spent += lost["spend"]["cost"].as_u64().unwrap_or(0);
        }
    }
    assert_eq!(started, ended, "every attempt that was started has ended, once");
    let booked: u64 = status["issues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["cost"].as_u64().unwrap())
        .sum();
    assert_eq!(booked, spent, "the ledger is the sum of the journal");
    project.ledger_adds_up();
    for n in 1..=issues {
        let text = project.at(&format!("turno/{n}/base"), &format!("t{n}.1.txt"));
        assert!(text.ends_with("one\ntwo\nthree"), "issue {n}: {text}");
    }
}

fn restarts(journal: &[Value]) -> (usize, usize) {
    let of = |kind: &str| {
        let all = journal
            .iter()
            .filter_map(|r| r["event"]["restarted"][kind].as_array());
        all.map(Vec::len).sum()
    };
    (of("adopted"), of("lost"))
}

#[test]
fn an_agent_works_on_when_its_coordinator_is_killed_and_its_work_is_taken_up() {
    let project = project(1);
    let child = project.start(&["run", "1", "--agent", "actor"]);
    let begun = project.shared().join("begun");
    until("it writes", || begun.exists());
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    let done = project.turno(&["resume"]).exits(0);
    assert!(done.err.contains("1 agent(s) have worked on"), "{}", done.err);
    assert_eq!(
        fs::read_to_string(&begun).unwrap(),
        "1.1\n",
        "nothing was begun again"
    );
    assert_sound(&project, 1);
    assert_eq!(restarts(&project.journal()), (1, 0));
}

#[test]
fn an_agent_that_ended_while_nobody_listened_is_heard_all_the_same() {
    let project = project(1);
    let child = project.start(&["run", "1", "--agent", "actor"]);
    until("it writes", || project.shared().join("begun").exists());
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    until("it has ended", || {
        project.state().join("attempts/a1/exit.json").exists()
    });
    // The same verb goes on with the same shift.
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    assert_sound(&project, 1);
    assert_eq!(
        project
            .journal()
            .iter()
            .filter(|r| r["event"].get("shift-started").is_some())
            .count(),
        1
    );
}

/// What is asked for while nobody coordinates is written down, and says nothing of the shift.
#[test]
fn an_issue_that_is_filed_at_a_dead_coordinator_stops_nothing() {
    let project = project(1);
    let child = project.start(&["run", "1", "--agent", "actor"]);
    until("it writes", || project.shared().join("begun").exists());
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    project.issue("Write part 2");
    project
        .turno(&["issue", "edit", "1", "--title", "Renamed"])
        .exits(0);
    project.turno(&["resume"]).exits(0);
    project.turno(&["run", "2", "--agent", "actor"]).exits(0);
    assert_sound(&project, 2);
    assert_eq!(restarts(&project.journal()), (1, 0));
}

/// What a person asks for instead is done instead.
#[test]
fn another_shift_ends_what_was_left() {
    let project = project(2);
    let child = project.start(&["run", "1", "--agent", "actor"]);
    until("it writes", || project.shared().join("begun").exists());
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    let done = project.turno(&["run", "2", "--agent", "actor"]).exits(0);
    assert!(done.err.contains("is ended and its work kept"), "{}", done.err);
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    assert_sound(&project, 2);
}

#[test]
fn nothing_is_resumed_that_was_not_broken_off() {
    let project = project(1);
    let refused = project.turno(&["resume"]).exits(2);
    assert!(refused.err.contains("no shift was broken off"), "{}", refused.err);
}

/// How much the journal holds, in bytes.
fn recorded(project: &Project) -> u64 {
    let journal = fs::read_dir(project.state().join("store/journal")).unwrap();
    journal
        .flatten()
        .map(|f| f.metadata().map_or(0, |m| m.len()))
        .sum()
}

/// SIGKILL at random moments, again and again, until the shift has ended.
#[test]
fn a_shift_survives_as_many_kills_as_there_are() {
    let wanted: usize = std::env::var("TURNO_KILLS").map_or(40, |n| n.parse().unwrap());
    let (mut kills, mut shifts, mut adopted, mut lost) = (0, 0, 0, 0);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    while kills < wanted {
        let project = project(4);
        shifts += 1;
        let verb = ["run", "1", "2", "3", "4", "--agent", "actor"];
        let mut child = project.start(&verb);
        // No more in one shift: an attempt may be lost ten times before its task is parked.
        for _ in 0..10 {
            // xorshift: the moments are the same in every run, as far as a machine is.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            // Every other one may get to work first, however long that takes here.
            if kills % 2 == 1 {
                let before = recorded(&project);
                until("it records or ends", || {
                    recorded(&project) > before || child.try_wait().unwrap().is_some()
                });
            }
            std::thread::sleep(Duration::from_millis(20 + seed % 1800));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            signal(&child, Signal::SIGKILL);
            project.wait(child);
            kills += 1;
            child = project.start(&verb);
        }
        ended_within(Duration::from_secs(120), &project, child).exits(0);
        assert_sound(&project, 4);
        let (again, gone) = restarts(&project.journal());
        adopted += again;
        lost += gone;
    }
    println!(
        "{kills} kills in {shifts} shift(s) survived: {adopted} agents were adopted, {lost} attempts begun anew"
    );
    assert!(adopted > 0);
}
