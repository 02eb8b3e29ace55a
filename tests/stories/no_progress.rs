//! Agents that work and get nowhere: white space for ever, back and forth between two states, nothing at all, success
//! that the checks do not see. Each is sent back as often as the policy says and then a person is shown why; nothing of
//! it lands, and what was tried is remembered across the death of the coordinator.

use std::fs;

use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::Value;

use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 1
policy = "single"
[checks.test]
command = "sh check.sh"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Nobody waits, and what is told from progress is told by that alone: the rows are patient.
const POLICY: &str = r#"
check_reruns = 0
[rows.checks-failed]
tries = 20
wait = "0s"
[rows.findings]
tries = 20
wait = "0s"
[rows.no-change]
tries = 2
wait = "0s"
"#;

const RED: &str = "echo never; false\n";

/// A project whose engineer does this each time, after it has told outside that it begins.
fn project(work: &str, reviewer: &str, check: &str) -> Project {
    let engineer = serde_json::json!({
        "persona": "engineer",
        "steps": [
            {"run": format!("echo $TURNO_ATTEMPT >> $HOME/shared/begun; {work}")},
            {"usage": {"usd": 0.01}},
            {"outcome": {"summary": "all of it is done and every check passes"}},
        ],
    });
    let reviewer = format!("  - {{persona: reviewer, steps: [{{outcome: {reviewer}}}]}}\n");
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", POLICY),
        ("script.yaml", &format!("sessions:\n  - {engineer}\n{reviewer}")),
        ("check.sh", check),
        ("f", "hi\n"),
    ])
    .env("TURNO_AGENT", "actor");
    project.issue("One");
    project
}

/// How often the engineer has begun.
fn begun(project: &Project) -> usize {
    fs::read_to_string(project.shared().join("begun")).map_or(0, |t| t.lines().count())
}

/// The sessions that engineers were started in, in order: whether each was a new one.
fn fresh(project: &Project) -> Vec<bool> {
    let journal = project.journal();
    let started = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    started
        .filter_map(|c| c.get("start-agent"))
        .filter(|start| start["persona"] == "engineer")
        .map(|start| start["session"] == "fresh")
        .collect()
}

/// It has been given up for that reason, with nothing landed and nothing left.
#[track_caller]
fn is_parked(project: &Project, why: &str) {
    nothing_runs(project);
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(told.contains(why), "{why} is missing in {told}");
    assert_eq!(
        project.git(&["branch", "--list", "turno/1/base"]),
        "",
        "it landed"
    );
    let landings = project.journal().iter().any(|r| {
        let commands = r["commands"].as_array().unwrap();
        commands.iter().any(|c| c.get("land").is_some())
    });
    assert!(!landings, "nothing red is even tried");
    project.ledger_adds_up();
}

/// What is done in round `$n`, counted from 1.
const ROUND: &str = "n=$(wc -l < $HOME/shared/begun)";

#[rstest]
#[case::spaces("for i in $(seq $n); do printf ' '; done > pad; (cat pad; echo 'let x = 1;') > a.rs; rm pad")]
#[case::blank_lines("(echo 'let x = 1;'; for i in $(seq $n); do echo; done; echo 'let y;') > a.rs")]
#[case::other_lines(
    "case $n in 1) printf 'let x = 1;';; 2) printf 'let x\\n=1;';; *) printf 'let\\tx = 1;\\n\\n';; esac > a.rs"
)]
#[case::of_what_was_there("echo 'let x = 1;' > a.rs; for i in $(seq $n); do echo >> f; done")]
fn white_space_for_ever_is_seen_and_parked_at_the_third_time(#[case] work: &str) {
    let project = project(&format!("{ROUND}; {work}"), "{verdict: approve}", RED);
    project.turno(&["run", "1"]).exits(1);
    is_parked(
        &project,
        "no progress: three times the same change but for white space, with test",
    );
    assert_eq!(begun(&project), 3);
    // The second time another way is tried: whoever is stuck in a conversation begins a new one.
    assert_eq!(fresh(&project)[2..], [true], "{:?}", fresh(&project));
    let trees: Vec<String> = project.journal().iter().filter_map(tree).collect();
    assert!(
        trees.windows(2).all(|two| two[0] != two[1]),
        "each differs in its bytes, or this shows nothing: {trees:?}"
    );
}

/// The tree that a writer left.
fn tree(record: &Value) -> Option<String> {
    let left = &record["event"]["agent-ended"]["left"]["commit"]["tree"];
    left.as_str().map(str::to_owned)
}

#[test]
fn back_and_forth_between_two_states_is_seen() {
    let work = format!("{ROUND}; echo $((n % 2)) > a.rs");
    let project = project(&work, "{verdict: approve}", RED);
    project.turno(&["run", "1"]).exits(1);
    is_parked(&project, "no progress: three times the same tree with test");
    assert_eq!(begun(&project), 5, "A B A B A");
}

#[test]
fn a_reviewer_who_says_the_same_of_the_same_three_times_is_believed() {
    let finding = "{verdict: findings, findings: [{file: a.rs, line: 1, severity: major, what: it is wrong, how_to_see: look}]}";
    let work = format!("{ROUND}; for i in $(seq $n); do echo; done > a.rs; echo x >> a.rs");
    let project = project(&work, finding, "true\n");
    project.turno(&["run", "1"]).exits(1);
    is_parked(&project, "white space, with a.rs: it is wrong");
    assert_eq!(begun(&project), 3);
}

#[test]
fn success_without_any_work_is_asked_again_and_parked() {
    let project = project("true", "{verdict: approve}", "true\n");
    project.turno(&["run", "1"]).exits(1);
    is_parked(&project, "no tries left: the agent changed nothing");
    assert_eq!(begun(&project), 3);
}

/// Each time it changes something and says that it works; each time the checks say otherwise.
#[test]
fn success_that_the_checks_do_not_see_never_lands() {
    let work = format!("{ROUND}; echo \"attempt $n\" >> a.rs");
    let project = project(&work, "{verdict: approve}", RED);
    project.write(&[(
        ".turno/policies/single.toml",
        &POLICY.replace("tries = 20", "tries = 4"),
    )]);
    project.git(&["commit", "-qam", "less patience"]);
    project.turno(&["run", "1"]).exits(1);
    is_parked(&project, "no tries left: checks failed");
    assert_eq!(begun(&project), 5);
}

/// The coordinator dies during the second and the third try. It is parked at the third all the same: what the first
/// one looked like was not forgotten.
#[test]
fn what_was_tried_is_remembered_when_the_coordinator_dies_between_the_tries() {
    let work = format!(
        "{ROUND}; (echo x; for i in $(seq $n); do echo; done) > a.rs; [ $n = 1 ] || until [ -e $HOME/shared/go$n ]; do sleep 0.05; done"
    );
    let project = project(&work, "{verdict: approve}", RED);
    let mut child = project.start(&["run", "1"]);
    for round in [2, 3] {
        until("the next try has begun", || begun(&project) == round);
        signal(&child, Signal::SIGKILL);
        project.wait(child);
        fs::write(project.shared().join(format!("go{round}")), "").unwrap();
        child = project.start(&["resume"]);
    }
    ended(&project, child).exits(1);
    is_parked(
        &project,
        "no progress: three times the same change but for white space",
    );
    assert_eq!(
        begun(&project),
        3,
        "nothing was begun again, nothing was forgotten"
    );
    let journal = project.journal();
    let restarts = journal.iter().filter(|r| r["event"].get("restarted").is_some());
    assert_eq!(restarts.count(), 2);
}
