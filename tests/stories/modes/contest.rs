//! `turno run --candidates`: several writers on the same brief; the checks say who may enter, a reviewer chooses.

use super::{stage, starts, tells};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 3
policy = "single"
[checks.test]
command = "sh fast | grep -q fast"
[agents.ada]
dialect = "script"
script = "contest.yaml"
[agents.grace]
dialect = "script"
script = "contest.yaml"
[personas.engineer]
agents = ["ada", "grace"]
[personas.reviewer]
agents = ["grace"]
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: engineer, task: "1.1", steps: [{write: {path: fast, text: "echo fast # in a hundred lines\n"}}, {outcome: {summary: long}}]}
  - {persona: engineer, task: "1.2", steps: [{write: {path: fast, text: "echo fast\n"}}, {outcome: {summary: short}}]}
  - {persona: engineer, task: "1.3", steps: [{write: {path: fast, text: "echo slower\n"}}, {outcome: {summary: wrong}}]}
  - persona: reviewer
    steps: [{run: git log --oneline -3}, {outcome: {winner: "1.2", why: it is shorter}}]
"#;

#[test]
fn the_best_of_three_lands_and_the_rest_is_kept() {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("contest.yaml", SCRIPT),
        ("fast", "echo slow\n"),
    ]);
    project.write(&[(
        ".turno/policies/single.toml",
        "[rows.checks-failed]\ntries = 0\nwait = \"0s\"\n",
    )]);
    project.issue("Be fast");
    project.turno(&["run", "1", "--candidates", "3"]).exits(0);
    assert_eq!(project.at("turno/1/base", "fast"), "echo fast");
    assert_eq!(stage(&project, "1.1"), "dropped");
    assert_eq!(stage(&project, "1.2"), "landed");
    assert_eq!(stage(&project, "1.3"), "dropped");
    let agents: std::collections::BTreeSet<String> = project
        .journal()
        .iter()
        .flat_map(|r| r["commands"].as_array().unwrap().clone())
        .filter_map(|c| Some(c.get("start-agent")?["agent"].as_str()?.to_owned()))
        .collect();
    assert_eq!(agents.len(), 2, "different agents try it");
    let log = project.turno(&["log"]).exits(0).out;
    assert_eq!(starts(&project.journal()).len(), 4, "{log}");
    tells(
        &project.turno(&["explain", "1.1"]).exits(0).out,
        &["candidate 1.2 was chosen: it is shorter"],
    );
    assert!(
        project
            .git(&["branch", "--list", "turno/1/1-*"])
            .contains("turno/1/1-"),
        "its branch is kept"
    );
}
