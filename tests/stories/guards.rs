//! Guards: what a change brings that no check sees. A secret goes back to its writer and is in no history, a lockfile
//! needs a reviewer who names it, a pipeline needs a person.

use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

use super::modes::{stage, tells};

const CONFIG: &str = r#"
policy = "single"
slots = 2
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// The reviewer of the lockfile looks twice. The writer of the secret commits it, and takes it out when it is told to.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, task: "Lock*", round: 1, steps: [{outcome: {verdict: approve}}]}
  - {persona: reviewer, task: "Lock*", steps: [{outcome: {verdict: approve, protected: [Cargo.lock]}}]}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Leak*"
    round: 1
    steps:
      - write: {path: src/key.txt, text: "key = SECRET\n"}
      - run: git add -A && git commit -qm 'a key'
      - write: {path: src/more.txt, text: "more\n"}
      - outcome: {summary: it has a key}
  - task: "Leak*"
    steps:
      - write: {path: src/key.txt, text: "key = $KEY\n"}
      - outcome: {summary: the key comes from outside}
  - task: "Lock*"
    round: 1
    steps: [{write: {path: Cargo.lock, text: "one\n"}}, {outcome: {summary: a new dependency}}]
  - task: "Lock*"
    steps: [{write: {path: why.txt, text: "why\n"}}, {outcome: {summary: it cannot be done without}}]
  - task: "Pipeline*"
    round: 1
    steps: [{write: {path: .gitlab-ci.yml, text: "job\n"}}, {outcome: {summary: it runs in CI}}]
  - task: "Pipeline*"
    steps:
      - run: rm .gitlab-ci.yml
      - write: {path: ci.txt, text: "by hand\n"}
      - outcome: {summary: it is done by hand}
"#;

/// Made of parts, so that no whole one stands in this file.
fn token() -> String {
    format!("gh{}{}", "p_", "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2")
}

fn project() -> Project {
    let script = SCRIPT.replace("SECRET", &token());
    Project::new(&[("turno.toml", CONFIG), ("script.yaml", &script)]).env("TURNO_AGENT", "actor")
}

#[test]
fn a_secret_goes_back_to_its_writer_and_is_in_no_history() {
    let project = project();
    project.issue("Leak a key");
    project.turno(&["run", "1"]).exits(0);
    nothing_runs(&project);
    let base = "turno/1/base";
    assert_eq!(project.at(base, "src/key.txt"), "key = $KEY");
    assert_eq!(project.at(base, "src/more.txt"), "more", "what was sound is kept");
    let landed = project.git(&["log", "-p", "--format=%B", "main..turno/1/base"]);
    assert!(!landed.contains(&token()), "{landed}");
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    tells(
        &told,
        &[
            "src/key.txt:1",
            "a GitHub token, beginning with `ghp_`",
            "landed as",
        ],
    );
    let log = project.turno(&["log", "--json"]).exits(0).out;
    assert!(
        !told.contains(&token()) && !log.contains(&token()),
        "it is never told"
    );
}

#[test]
fn a_lockfile_needs_a_reviewer_who_names_it() {
    let project = project();
    project.issue("Lock a version");
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "Cargo.lock"), "one");
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    tells(&told, &["Cargo.lock", "it was not approved", "landed as"]);
    assert_eq!(project.at("turno/1/base", "why.txt"), "why", "it came back once");
}

#[test]
fn a_pipeline_needs_a_person_and_the_question_outlives_the_shift() {
    let project = project();
    project.issue("Pipeline for all");
    project.issue("Pipeline for some");
    let over = project.turno(&["run", "1", "2"]).exits(1);
    nothing_runs(&project);
    tells(&over.out, &["something needs a person", "turno answer d1"]);
    let listed = project.turno(&["answer"]).exits(0).out;
    tells(
        &listed,
        &["d1", "d2", ".gitlab-ci.yml", "1. let it land", "2. send it back"],
    );
    for task in ["1.1", "2.1"] {
        assert_eq!(stage(&project, task), "parked", "{task}");
    }
    let listed = project.turno(&["answer", "--json"]).exits(0).json();
    let of = |task: &str| {
        let mut all = listed.as_array().unwrap().iter();
        let one = all.find(|d| d["task"] == task).unwrap();
        match &one["id"] {
            serde_json::Value::String(id) => id.clone(),
            id => format!("d{id}"),
        }
    };
    project.turno(&["answer", &of("1.1"), "1"]).exits(0);
    project
        .turno(&["answer", &of("2.1"), "not in this project"])
        .exits(0);
    project.turno(&["run", "1", "2"]).exits(0);
    assert_eq!(project.at("turno/1/base", ".gitlab-ci.yml"), "job");
    assert_eq!(project.at("turno/2/base", "ci.txt"), "by hand");
    let files = project.git(&["ls-tree", "-r", "--name-only", "turno/2/base"]);
    assert!(!files.contains(".gitlab-ci.yml"), "{files}");
    tells(
        &project.turno(&["explain", "2.1"]).exits(0).out,
        &["not in this project", "landed as"],
    );
}
