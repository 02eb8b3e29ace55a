//! However a shift ends, nothing of it runs on, no slot is held, and what was written is kept.

use std::process::Child;

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::harness::processes::{ended, kept, nothing_runs, recorded, signal, until, until_recorded};
use crate::harness::project::{Done, Project};

const CONFIG: &str = "\
slots = 2
policy = \"single\"
[checks.test]
command = \"sh check.sh\"
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// Leaves daemons behind: one in a session of its own, one that holds the check's output open, one without
/// anything of its environment.
const CHECK: &str = "\
cat $HOME/shared/pids > before
setsid sh -c 'echo $$ >> $HOME/shared/pids; exec sleep 300' >/dev/null 2>&1 &
sh -c 'echo $$ >> $HOME/shared/pids; exec sleep 300' &
setsid sh -c 'echo $$ >> $HOME/shared/pids; exec env -i /bin/sleep 300' >/dev/null 2>&1 &
until [ \"$(cat $HOME/shared/pids | wc -l)\" -ge \"$(($(cat before | wc -l) + 3))\" ]; do sleep 0.02; done
test -f kept.txt
";

/// What every engineer of these stories does first: work, and three processes that would outlive it.
const BEGIN: &str = r#"
      - write: {path: kept.txt, text: "kept\n"}
      - spawn: 'echo $$ >> $HOME/shared/pids; exec sleep 300'
      - spawn: 'echo $$ >> $HOME/shared/pids; exec env -i /bin/sleep 300'
      - run: 'setsid sh -c "echo \$\$ >> \$HOME/shared/pids; trap : INT TERM; while :; do sleep 1; done" >/dev/null 2>&1 &'
      - run: 'until [ "$(cat $HOME/shared/pids | wc -l)" -ge 3 ]; do sleep 0.02; done'
"#;
/// How many numbers `BEGIN` writes down.
const BEGUN: usize = 3;

const APPROVE: &str = "
  - persona: reviewer
    steps:
      - spawn: 'exec sleep 300'
      - outcome: {verdict: approve}
";

fn project(then: &str) -> Project {
    let script = format!(
        "sessions:\n  - persona: engineer\n    round: 1\n    steps:\n{BEGIN}{then}\
         \x20 - persona: engineer\n    steps:\n      - write: {{path: later.txt, text: \"later\\n\"}}\n      \
         - outcome: {{summary: done later}}\n{APPROVE}"
    );
    Project::new(&[
        ("turno.toml", CONFIG),
        ("check.sh", CHECK),
        ("script.yaml", &script),
    ])
    // What is told here is how a tree is killed without namespaces, where every process can get away.
    .unconfined()
}

const HANG: &str = "      - hang: {stubborn: true}\n";
const SLEEP: &str = "      - run: sleep 300\n";
const FINISH_SOON: &str = "      - sleep: 1500ms\n      - outcome: {summary: it is done}\n";
const FINISH: &str = "      - outcome: {summary: it is done}\n";

/// What must hold after every end.
#[track_caller]
fn all_is_quiet(project: &Project) {
    let pids = recorded(project);
    nothing_runs(project);
    assert!(pids.len() >= BEGUN, "the story ran: {pids:?}");
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["free_slots"].as_array().unwrap().len(), 2, "{status:#}");
    assert_eq!(status["running"].as_array().unwrap().len(), 0, "{status:#}");
    assert!(kept(project, "kept.txt", "kept"), "the work is kept");
    project.ledger_adds_up();
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

fn start(project: &Project) -> Child {
    project.issue("Write it");
    let child = project.start(&["run", "1", "--agent", "actor"]);
    until_recorded(project, BEGUN);
    child
}

#[test]
fn a_shift_that_ends_by_itself() {
    let project = project(FINISH);
    let child = start(&project);
    ended(&project, child).exits(0);
    assert_eq!(project.at("turno/1/base", "kept.txt"), "kept");
    // The check ran at least once and left three daemons.
    assert!(recorded(&project).len() >= BEGUN + 3, "{:?}", recorded(&project));
    all_is_quiet(&project);
}

/// How a person ends it.
#[derive(Debug, Clone, Copy)]
enum Way {
    Drain,
    Twice,
    Term,
    Hangup,
    Stop,
    StopDrain,
}

#[rstest]
#[case::ctrl_c_once(Way::Drain, FINISH_SOON)]
#[case::ctrl_c_twice_hanging(Way::Twice, HANG)]
#[case::ctrl_c_twice_in_a_command(Way::Twice, SLEEP)]
#[case::term_hanging(Way::Term, HANG)]
#[case::term_in_a_command(Way::Term, SLEEP)]
#[case::the_terminal_goes_away(Way::Hangup, SLEEP)]
#[case::stop_hanging(Way::Stop, HANG)]
#[case::stop_in_a_command(Way::Stop, SLEEP)]
#[case::stop_drain(Way::StopDrain, FINISH_SOON)]
fn a_shift_that_a_person_ends(#[case] way: Way, #[case] then: &str) {
    let project = project(then);
    let child = start(&project);
    match way {
        Way::Drain => signal(&child, Signal::SIGINT),
        Way::Twice => {
            signal(&child, Signal::SIGINT);
            // Two signals at once are one for the kernel; a person is slower.
            std::thread::sleep(std::time::Duration::from_millis(200));
            signal(&child, Signal::SIGINT);
        }
        Way::Term => signal(&child, Signal::SIGTERM),
        Way::Hangup => signal(&child, Signal::SIGHUP),
        Way::Stop => drop(project.turno(&["stop"]).exits(0)),
        Way::StopDrain => drop(project.turno(&["stop", "--drain"]).exits(0)),
    }
    let done = ended(&project, child).exits(130);
    match way {
        Way::Drain => assert!(done.err.contains("draining"), "{}", done.err),
        Way::Twice | Way::Term | Way::Hangup => assert!(done.err.contains("stopping"), "{}", done.err),
        Way::Stop | Way::StopDrain => {}
    }
    all_is_quiet(&project);
    goes_on(&project);
}

/// Before it is killed it is asked, and it can hear that: nothing that its supervisor holds back is held back from it.
#[test]
fn an_agent_hears_when_it_is_asked_to_leave() {
    let project =
        project("      - run: 'grep SigBlk /proc/self/status > $HOME/shared/mask; exec sleep 300'\n");
    let child = start(&project);
    let mask = project.shared().join("mask");
    let read = || std::fs::read_to_string(&mask).unwrap_or_default();
    until("it is at work", || read().ends_with('\n'));
    assert_eq!(read(), "SigBlk:\t0000000000000000\n");
    project.turno(&["stop"]).exits(0);
    ended(&project, child).exits(130);
    all_is_quiet(&project);
}

/// The next shift takes up what was interrupted and lands it.
#[track_caller]
fn goes_on(project: &Project) -> Done {
    let done = project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    assert_eq!(project.at("turno/1/base", "kept.txt"), "kept");
    all_is_quiet(project);
    done
}

#[test]
fn a_shift_that_the_budget_ends() {
    let project = project("      - usage: {usd: 9}\n      - hang: {stubborn: true}\n");
    project.issue("Write it");
    let child = project.start(&["run", "1", "--agent", "actor", "--budget", "1"]);
    let done = ended(&project, child).exits(3);
    assert!(done.out.contains("budget"), "{}", done.out);
    all_is_quiet(&project);
}

/// Not only agents run.
#[rstest]
#[case::a_check("echo $$ >> $HOME/shared/pids; exec sleep 300", "", 4)]
#[case::a_landing(
    "if [ $TURNO_SLOT = landing ]; then echo $$ >> $HOME/shared/pids; exec sleep 300; fi",
    // Something else has landed, so that the integrated tree is a new one.
    "other",
    7
)]
fn a_shift_that_is_stopped_in_its_checks(#[case] check: &str, #[case] landed: &str, #[case] more: usize) {
    let project = project(FINISH);
    let slow = format!("[checks.slow]\ncommand = '{check}'\n");
    project.write(&[("turno.toml", &format!("{CONFIG}{slow}"))]);
    project.git(&["commit", "-qam", "a slow check"]);
    if !landed.is_empty() {
        let tree = project.git(&["write-tree"]);
        let blob = project.git(&["hash-object", "-w", "check.sh"]);
        project.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("100644,{blob},{landed}"),
        ]);
        let other = project.git(&["write-tree"]);
        project.git(&["read-tree", &tree]);
        let commit = project.git(&["commit-tree", &other, "-p", "HEAD", "-m", "other"]);
        project.git(&["update-ref", "refs/heads/turno/1/base", &commit]);
    }
    let child = start(&project);
    // Three of each run of the first check, one of the slow one.
    until_recorded(&project, BEGUN + more);
    drop(project.turno(&["stop"]).exits(0));
    ended(&project, child).exits(130);
    all_is_quiet(&project);
}

#[test]
fn a_shift_that_is_stopped_in_its_setup() {
    let project = project(FINISH);
    let setup = "[setup]\ncommand = 'echo $$ >> $HOME/shared/pids; setsid sleep 300 & sleep 300'\n";
    project.write(&[("turno.toml", &format!("{CONFIG}{setup}"))]);
    project.git(&["commit", "-qam", "a slow setup"]);
    project.issue("Write it");
    let child = project.start(&["run", "1", "--agent", "actor"]);
    until_recorded(&project, 1);
    drop(project.turno(&["stop"]).exits(0));
    ended(&project, child).exits(130);
    nothing_runs(&project);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["free_slots"].as_array().unwrap().len(), 2, "{status:#}");
}

#[rstest]
#[case::in_an_agent(HANG)]
#[case::in_a_command(SLEEP)]
fn a_coordinator_that_is_killed(#[case] then: &str) {
    let project = project(then);
    let child = start(&project);
    signal(&child, Signal::SIGKILL);
    assert_eq!(ended(&project, child).code, -1);
    let status = project.turno(&["status"]).exits(0);
    assert!(status.err.contains("no coordinator is alive"), "{}", status.err);
    // It would hang for ever in the next shift too.
    let stopped = project.turno(&["stop"]).exits(0);
    assert!(
        stopped.err.contains("an earlier coordinator died"),
        "{}",
        stopped.err
    );
    nothing_runs(&project);
    goes_on(&project);
    // What it left was taken up, not only kept.
    assert_eq!(project.at("turno/1/base", "later.txt"), "later");
}

/// The supervisor may be killed with it, e.g. by the kernel for want of memory. Only the marker finds them then.
#[test]
fn a_coordinator_that_is_killed_with_its_supervisors() {
    let project = project(HANG);
    let script = std::fs::read_to_string(project.repo().join("script.yaml")).unwrap();
    project.write(&[("script.yaml", &script.replace("env -i /bin/sleep", "sleep"))]);
    project.git(&["commit", "-qam", "nobody hides"]);
    let child = start(&project);
    signal(&child, Signal::SIGKILL);
    ended(&project, child);
    for dir in std::fs::read_dir(project.state().join("attempts"))
        .unwrap()
        .flatten()
    {
        let bytes = std::fs::read(dir.path().join("supervisor.json")).unwrap();
        let who: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let pid = i32::try_from(who["pid"].as_i64().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    goes_on(&project);
}

/// Nothing runs while a task waits, but the shift does.
#[test]
fn a_coordinator_that_is_killed_while_it_waits() {
    let project = project("      - fail: {cause: quota, detail: used up, retry_in: 300s}\n");
    let child = start(&project);
    until("the task waits", || {
        let status = project.turno(&["status", "--json"]).json();
        status["issues"][0]["tasks"][0]["waiting"]["account"]["cause"] == "quota"
    });
    signal(&child, Signal::SIGKILL);
    ended(&project, child);
    let stopped = project.turno(&["stop"]).exits(0);
    assert!(
        stopped.err.contains("an earlier coordinator died"),
        "{}",
        stopped.err
    );
    goes_on(&project);
}
