//! A shift from an issue to landed commits, with written agents.

use crate::harness::project::Project;

const CHECK: &str = "grep -q world greet.txt\n";
const CONFIG: &str = "\
slots = 2
policy = \"single\"
[checks.test]
command = \"sh check.sh\"
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// The first attempt fails the check, the second passes, the reviewer sends it back once.
const SCRIPT: &str = "\
sessions:
  - persona: engineer
    round: 1
    steps:
      - usage: {usd: 0.01}
      - write: {path: other.txt, text: \"x\\n\"}
      - outcome: {summary: a first try}
  - persona: engineer
    round: 2
    steps:
      - usage: {usd: 0.02}
      - edit: {path: greet.txt, find: hello, replace: hello world}
      - outcome: {summary: greets the world}
  - persona: engineer
    steps:
      - write: {path: note.txt, text: \"noted\\n\"}
      - outcome: {summary: notes it}
  - persona: reviewer
    round: 1
    steps:
      - usage: {usd: 0.005}
      - outcome: {verdict: findings, findings: [{file: greet.txt, line: 1, severity: major, what: no note, how_to_see: ls}]}
  - persona: reviewer
    steps:
      - outcome: {verdict: approve}
";

pub(crate) fn greeting() -> Project {
    Project::new(&[
        ("greet.txt", "hello\n"),
        ("check.sh", CHECK),
        ("turno.toml", CONFIG),
        ("script.yaml", SCRIPT),
    ])
}

#[test]
fn an_issue_becomes_checked_reviewed_landed_commits() {
    let project = greeting();
    let id = project.issue("Greet the world");
    let done = project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    assert_eq!(id, 1);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/1/base", "note.txt"), "noted");
    assert_eq!(
        project.at("main", "greet.txt"),
        "hello",
        "the user's branch has not moved"
    );
    let message = project.git(&["log", "-1", "--format=%an <%ae>%n%B", "turno/1/base"]);
    for part in [
        "turno@localhost",
        "Turno-Issue: 1",
        "Turno-Task: 1.1",
        "Turno-Persona: engineer",
        "Turno-Attempt: a6",
        "Turno-Cost: ",
    ] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert!(done.out.contains("all landed"), "{}", done.out);
    assert!(done.out.contains("$0.0350 of $5.00"), "{}", done.out);

    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    for part in [
        "test failed",
        "to mend the checks: test",
        "1 finding(s)",
        "no note",
        "approved",
        "landed as",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["issues"][0]["tasks"][0]["stage"], "landed");
    assert_eq!(status["free_slots"].as_array().unwrap().len(), 2);

    project.turno(&["promote", "1"]).exits(0);
    assert_eq!(
        std::fs::read_to_string(project.repo().join("greet.txt")).unwrap(),
        "hello world\n"
    );
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}
