//! `turno qa`: one type error, one failing test, one lint error, one flaky test. Three repairs land, the flaky one is
//! reported as flaky, and a repair that deletes the failing test is refused.

use super::{stage, tells};
use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 3
[checks.typecheck]
command = "sh typecheck"
[checks.test]
command = "sh tests/run"
[checks.lint]
command = "! grep -n ' $' src/*.sh"
[checks.net]
command = "sh flaky"
[agents.ada]
dialect = "script"
script = "qa.yaml"
[agents.grace]
dialect = "script"
script = "qa.yaml"
[personas.engineer]
agents = ["ada"]
[personas.reviewer]
agents = ["grace"]
"#;

const TYPECHECK: &str = "for f in src/*.sh; do sh -n $f 2>/dev/null || { echo \"$f:1: error: unexpected end of file\"; exit 1; }; done\n";
const RUN: &str = ". ./src/sum.sh; [ $(sum 2 3) = 5 ] || { echo 'tests/sum: want 5'; exit 1; }\n\
    for t in tests/*.t; do . $t || exit 1; done\n";
/// Red, then green: at each tree, in each slot.
const FLAKY: &str = "m=$HOME/shared/seen-$(basename $PWD)-$(git rev-parse HEAD)\n\
    if [ -e $m ]; then rm $m; else touch $m; echo 'connection reset'; exit 1; fi\n";

const SCRIPT: &str = r#"
sessions:
  - persona: engineer
    task: "*typecheck*"
    steps: [{write: {path: src/name.sh, text: "name() { echo ada; }\n"}}, {outcome: {summary: Close the brace.}}]
  - persona: engineer
    task: "*lint*"
    steps: [{run: "sed -i 's/ $//' src/blank.sh"}, {outcome: {summary: No blanks at line ends.}}]
  # The first repair of the test deletes it, and would be green.
  - persona: engineer
    task: "*test*"
    round: 1
    steps:
      - run: printf 'true\n' > tests/run
      - run: rm tests/sum.t
      - outcome: {summary: The test was wrong., lessons: [{text: "sum is tested in tests/sum.t", paths: ["src/sum.sh"], evidence: the failing run}]}
  - persona: engineer
    task: "*test*"
    steps:
      - run: git checkout HEAD~1 -- tests
      - write: {path: src/sum.sh, text: "sum() { echo $(($1 + $2)); }\n"}
      - outcome: {summary: Add instead of subtract.}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
"#;

fn project() -> Project {
    Project::new(&[
        ("turno.toml", CONFIG),
        ("qa.yaml", SCRIPT),
        ("typecheck", TYPECHECK),
        ("flaky", FLAKY),
        ("tests/run", RUN),
        ("tests/sum.t", "[ $(sum 1 1) = 2 ]\n"),
        ("src/name.sh", "name() { echo ada;\n"),
        ("src/sum.sh", "sum() { echo $(($1 - $2)); }\n"),
        ("src/blank.sh", "blank() { true; } \n"),
    ])
}

#[test]
fn failing_checks_are_repaired_and_weakening_one_is_no_repair() {
    let project = project();
    let done = project.turno(&["qa"]).exits(0);
    nothing_runs(&project);
    tells(&done.out, &["net", "flaky"]);
    for task in ["1.1", "1.2", "1.3"] {
        assert_eq!(stage(&project, task), "landed", "{task}");
    }
    assert_eq!(stage(&project, "1.0"), "accepted");
    let base = "turno/1/base";
    assert_eq!(project.at(base, "src/sum.sh"), "sum() { echo $(($1 + $2)); }");
    assert_eq!(
        project.at(base, "tests/run"),
        RUN.trim_end(),
        "the test is what it was"
    );
    assert_eq!(project.at(base, "tests/sum.t"), "[ $(sum 1 1) = 2 ]");
    let titles: Vec<String> = ["1.1", "1.2", "1.3"]
        .map(|t| project.turno(&["explain", t]).exits(0).out)
        .into();
    let test = titles
        .iter()
        .find(|t| t.contains("tests/sum.t is a protected path"))
        .expect("it was refused");
    tells(test, &["protected path", "landed as"]);
    // What the work taught waits for a person.
    tells(
        &project.turno(&["lessons", "list"]).exits(0).out,
        &["l1  sum is tested in tests/sum.t", "proposed"],
    );
    project.turno(&["lessons", "keep", "l1"]).exits(0);
    tells(&project.turno(&["lessons", "list"]).exits(0).out, &["kept"]);
}

#[test]
fn one_check_can_be_named_and_green_is_nothing_to_do() {
    let project = project();
    project.turno(&["qa", "lint"]).exits(0);
    assert_eq!(stage(&project, "1.1"), "landed");
    project.turno(&["promote", "1"]).exits(0);
    project.turno(&["qa", "lint"]).exits(0);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(
        status["issues"].as_array().unwrap()[1]["tasks"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "{status}"
    );
    let wrong = project.turno(&["qa", "lnt"]).exits(2);
    tells(&wrong.err, &["no check `lnt`", "typecheck, test, lint, net"]);
}

/// Tries that run out: it ends stuck, with the evidence, and says so.
#[test]
fn a_repair_that_fails_parks_with_its_evidence() {
    let project = project();
    let script = SCRIPT.replace("sum() { echo $(($1 + $2)); }", "sum() { echo $(($1 - $2 + 9)); }");
    project.write(&[("qa.yaml", &script)]);
    project.git(&["commit", "-qam", "another script"]);
    project.turno(&["qa", "test"]).exits(1);
    assert_eq!(stage(&project, "1.1"), "parked");
    tells(
        &project.turno(&["explain", "1.1"]).exits(0).out,
        &["test failed", "want 5", "parked"],
    );
}
