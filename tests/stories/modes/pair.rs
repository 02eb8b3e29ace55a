//! `turno pair`: writer and reviewer in bounded rounds; with `--tests-first` a tester begins and its tests are frozen.

use super::{stage, starts, tells};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 1
[checks.test]
command = "sh tests/run"
[agents.ada]
dialect = "script"
script = "pair.yaml"
[agents.grace]
dialect = "script"
script = "pair.yaml"
[personas.engineer]
agents = ["ada"]
[personas.reviewer]
agents = ["grace"]
[personas.tester]
agents = ["grace"]
"#;

const RUN: &str =
    "for t in tests/*.sh; do [ -e $t ] || continue; sh $t || { echo $t fails; exit 1; }; done\n";

fn project(script: &str) -> Project {
    Project::new(&[
        ("turno.toml", CONFIG),
        ("pair.yaml", script),
        ("tests/run", RUN),
        ("greet", "echo hello\n"),
    ])
}

const ROUNDS: &str = r#"
sessions:
  - persona: engineer
    round: 1
    steps: [{write: {path: greet, text: "echo hello $1\n"}}, {outcome: {summary: Greets by name., evidence: [ran it]}}]
  - persona: engineer
    steps: [{write: {path: greet, text: "echo hello ${1:-world}\n"}}, {outcome: {summary: "Greets by name, or the world."}}]
  - persona: reviewer
    round: 1
    steps: [{outcome: {verdict: findings, findings: [{file: greet, line: 1, severity: major, what: no name is not handled, how_to_see: sh greet}]}}]
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
"#;

#[test]
fn writer_and_reviewer_talk_until_it_is_right() {
    let project = project(ROUNDS);
    project
        .turno(&[
            "pair",
            "Greet by name",
            "--accept",
            "sh greet Ada prints hello Ada",
        ])
        .exits(0);
    assert_eq!(project.at("turno/1/base", "greet"), "echo hello ${1:-world}");
    let told = project.turno(&["log", "1.1"]).exits(0).out;
    let order = [
        "Greets by name.",
        "no name is not handled",
        "Greets by name, or the world.",
        "Approved.",
        "landed as",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|part| told.find(part).unwrap_or_else(|| panic!("{part}: {told}")))
        .collect();
    assert!(places.is_sorted(), "{told}");
}

#[test]
fn rounds_are_bounded() {
    let script = ROUNDS
        .replace(
            "- {persona: reviewer, steps: [{outcome: {verdict: approve}}]}",
            "",
        )
        .replace(
            "    round: 1\n    steps: [{outcome: {verdict: findings",
            "    steps: [{outcome: {verdict: findings",
        );
    let project = project(&script);
    project
        .turno(&["pair", "Greet by name", "--rounds", "1"])
        .exits(1);
    assert_eq!(stage(&project, "1.1"), "parked");
    tells(
        &project.turno(&["explain", "1.1"]).exits(0).out,
        &["no tries left", "the reviewer sent it back"],
    );
}

const TESTS_FIRST: &str = r#"
sessions:
  - persona: tester
    round: 1
    steps: [{write: {path: tests/always.sh, text: "true\n"}}, {outcome: {summary: A test.}}]
  - persona: tester
    steps: [{write: {path: tests/greet.sh, text: "[ \"$(sh greet Ada)\" = 'hello Ada' ]\n"}}, {outcome: {summary: A test that fails.}}]
  - persona: engineer
    round: 1
    steps:
      - write: {path: tests/greet.sh, text: "true\n"}
      - write: {path: greet, text: "echo hello $1\n"}
      - outcome: {summary: Done.}
  - persona: engineer
    steps:
      - run: git checkout HEAD~1 -- tests/greet.sh
      - run: {command: sh tests/run, must_pass: true}
      - outcome: {summary: Greets by name.}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
"#;

#[test]
fn tests_that_come_first_fail_first_and_are_frozen() {
    let project = project(TESTS_FIRST);
    project
        .turno(&["pair", "Greet by name", "--tests-first"])
        .exits(0);
    let who: Vec<String> = starts(&project.journal())
        .into_iter()
        .map(|(who, _)| who)
        .collect();
    assert_eq!(who, ["tester", "tester", "engineer", "engineer", "reviewer"]);
    assert_eq!(project.at("turno/1/base", "greet"), "echo hello $1");
    assert!(project.at("turno/1/base", "tests/greet.sh").contains("hello Ada"));
    tells(
        &project.turno(&["explain", "1.1"]).exits(0).out,
        &[
            "its tests pass before the work is done",
            "to make the tests in",
            "frozen tests: tests/greet.sh",
            "landed as",
        ],
    );
}
