//! A check that names an image is run in a container of it, and however it ends there is no container afterwards.
//! Where no container runs, the stories say that they are skipped.

use std::process::Child;

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::harness::containers::{IMAGE, Podman};
use crate::harness::processes::{ended_within, nothing_runs, signal, until};
use crate::harness::project::{Done, Project};

/// Podman takes its time on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);

const SCRIPT: &str = "
sessions:
  - persona: engineer
    steps:
      - write: {path: a.txt, text: \"a\\n\"}
      - outcome: {summary: it is done}
  - persona: reviewer
    steps:
      - outcome: {verdict: approve}
";

/// A project with one check in a container.
fn project(podman: &Podman, command: &str, more: &str) -> Project {
    let config = format!(
        "slots = 1\npolicy = \"single\"\n[checks.inside]\ncommand = \"{command}\"\n{more}\n\
         container = {{ image = \"{IMAGE}\", engine = \"podman\" }}\n\
         [agents.actor]\ndialect = \"script\"\nscript = \"script.yaml\"\n"
    );
    let project = Project::new(&[("turno.toml", &config), ("script.yaml", SCRIPT)]);
    let project = podman.serves(project).env("TURNO_AGENT", "actor");
    project.issue("One");
    project
}

fn run(project: &Project) -> Done {
    ended_within(PATIENCE, project, project.start(&["run", "1"]))
}

/// Starts a run, and waits until its check's container is there.
fn begin(podman: &Podman, project: &Project) -> Child {
    let child = project.start(&["run", "1"]);
    crate::harness::processes::until_within(PATIENCE, "a container runs", || {
        let running = podman.says(&["ps", "--format", "{{.Names}}"]).unwrap();
        running.starts_with("turno-")
    });
    child
}

#[test]
fn a_check_passes_that_needs_its_image() {
    let Some(podman) = Podman::here("a check passes that needs its image") else {
        return;
    };
    // It may write its slot and its temporary directory, nothing of the image, and sees no key and no program of
    // the user's.
    let command = "set -e; grep -q story /image-marker; grep -q a a.txt; touch /tmp/own made-inside; \
                   touch /image-marker && exit 11; touch /new && exit 12; env | grep SECRET && exit 13; \
                   ls /usr && exit 14; ls /run/podman && exit 15; ls ../../.. | grep home && exit 16; \
                   env | grep -q TURNO_TASK=1.1";
    let project = project(&podman, command, "").env("MY_SECRET_KEY", "sk-none");
    let done = run(&project).exits(0);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    assert!(!project.repo().join("made-inside").exists());
    assert_eq!(podman.containers(), Vec::<String>::new(), "{}", done.err);
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    let log = project.turno(&["log"]).exits(0).out;
    let shown = format!("inside (in {IMAGE}) passed");
    assert!(log.contains(&shown) || told.contains(&shown), "{told}\n{log}");
    let doctor = project.turno(&["doctor"]).exits(0).out;
    assert!(
        doctor.contains("inside: ") && doctor.contains(&format!("has {IMAGE}")),
        "{doctor}"
    );
    nothing_runs(&project);
}

#[test]
fn a_check_is_red_by_its_own_exit_code() {
    let Some(podman) = Podman::here("a check is red by its own exit code") else {
        return;
    };
    let project = project(&podman, "echo expected 1 but got 2; exit 3", "");
    let done = run(&project);
    assert_ne!(done.code, 0);
    let told = project.turno(&["log"]).exits(0).out;
    assert!(told.contains(&format!("inside (in {IMAGE}) failed")), "{told}");
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(told.contains("expected 1 but got 2"), "{told}");
    assert_eq!(podman.containers(), Vec::<String>::new());
}

#[test]
fn a_check_over_its_limit_takes_its_container_with_it() {
    let Some(podman) = Podman::here("a check over its limit") else {
        return;
    };
    let project = project(
        &podman,
        "sh -c 'trap true INT TERM; while true; do sleep 300; done'",
        "timeout = \"4s\"",
    );
    let done = run(&project);
    assert_ne!(done.code, 0);
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(told.contains("stopped after its limit of 4s"), "{told}");
    assert_eq!(podman.containers(), Vec::<String>::new());
    nothing_runs(&project);
}

#[test]
fn a_shift_that_is_stopped_leaves_no_container() {
    let Some(podman) = Podman::here("a shift that is stopped") else {
        return;
    };
    let project = project(&podman, "sleep 300", "");
    let child = begin(&podman, &project);
    project.turno(&["stop"]).exits(0);
    ended_within(PATIENCE, &project, child).exits(130);
    assert_eq!(podman.containers(), Vec::<String>::new());
    nothing_runs(&project);
}

/// What was killed with a coordinator is removed by the next one.
#[rstest]
#[case::alone(Left::Supervisors)]
#[case::with_its_supervisors(Left::Containers)]
fn a_coordinator_that_is_killed_leaves_no_container_to_the_next(#[case] left: Left) {
    let Some(podman) = Podman::here("a coordinator that is killed") else {
        return;
    };
    let project = project(&podman, "sleep 300", "");
    let child = begin(&podman, &project);
    signal(&child, Signal::SIGKILL);
    ended_within(PATIENCE, &project, child);
    if left == Left::Containers {
        kill_supervisors(&project);
    }
    assert_eq!(
        podman.containers().len(),
        1,
        "it is not the next one that removes it"
    );
    // A second issue, so that the next shift has no need of the check that hangs.
    let config = std::fs::read_to_string(project.repo().join("turno.toml")).unwrap();
    project.write(&[("turno.toml", &config.replace("sleep 300", "true"))]);
    let done = run(&project);
    assert!(
        done.err.contains("an earlier coordinator died"),
        "{}\n{}",
        done.out,
        done.err
    );
    assert_eq!(podman.containers(), Vec::<String>::new());
    nothing_runs(&project);
}

/// What a killed coordinator leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Its supervisors live on.
    Supervisors,
    /// They are killed too; nobody is above the container.
    Containers,
}

fn kill_supervisors(project: &Project) {
    let attempts = std::fs::read_dir(project.state().join("attempts")).unwrap();
    for attempt in attempts.flatten() {
        let checks = std::fs::read_dir(attempt.path().join("checks"));
        for check in checks.into_iter().flatten().flatten() {
            let Ok(bytes) = std::fs::read(check.path().join("supervisor.json")) else {
                continue;
            };
            let who: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let pid = nix::unistd::Pid::from_raw(i32::try_from(who["pid"].as_i64().unwrap()).unwrap());
            if nix::sys::signal::kill(pid, Signal::SIGKILL).is_ok() {
                until("the supervisor is gone", || {
                    !crate::harness::processes::runs(pid.as_raw())
                });
            }
        }
    }
}

#[test]
fn an_image_that_is_not_here_is_no_red_check() {
    let Some(podman) = Podman::here("an image that is not here") else {
        return;
    };
    let project = project(&podman, "true", "");
    podman.says(&["rmi", IMAGE]).unwrap();
    let done = run(&project);
    assert_ne!(done.code, 0);
    let told = project.turno(&["log"]).exits(0).out;
    let mend = format!("podman pull {IMAGE}");
    assert!(
        told.contains("could not be run") && told.contains(&mend),
        "{told}"
    );
    let doctor = project.turno(&["doctor"]).exits(4).out;
    assert!(doctor.contains(&mend), "{doctor}");
}

/// This one needs no podman.
#[test]
fn an_engine_that_is_not_here_is_no_red_check() {
    let config = "slots = 1\npolicy = \"single\"\n[checks.inside]\ncommand = \"true\"\n\
                  container = { image = \"busybox\" }\n[agents.actor]\ndialect = \"script\"\n\
                  script = \"script.yaml\"\n";
    let project = Project::new(&[("turno.toml", config), ("script.yaml", SCRIPT)])
        .env("TURNO_AGENT", "actor")
        .env("TURNO_PODMAN", "/nowhere/podman")
        .env("TURNO_DOCKER", "/nowhere/docker");
    project.issue("One");
    let done = run(&project);
    assert_ne!(done.code, 0);
    let told = project.turno(&["log"]).exits(0).out;
    assert!(
        told.contains("could not be run: neither podman nor docker is installed"),
        "{told}"
    );
}
