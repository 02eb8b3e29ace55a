//! The bridge to an agent that is a local server, where there is no such server: what cannot be started, ends at once
//! or has no address on loopback is told in a line, and never waited for. Its good days are in the stories with
//! the real opencode.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

fn bridged(project: &Project, server: &[&str]) -> (i32, Vec<Value>) {
    let mut args = vec![
        "bridge",
        "--events",
        "/event",
        "--user",
        "u",
        "--secret-in",
        "SECRET",
        "--",
    ];
    args.extend(server);
    let done = project.turno(&args);
    let lines = done.out.lines().map(|line| serde_json::from_str(line).unwrap());
    (done.code, lines.collect())
}

#[rstest]
#[case::dies("echo $((${#SECRET})); echo oops >&2; exit 3", json!({ "over": "the server ended with exit status: 3" }))]
#[case::elsewhere("echo listening on http://192.0.2.1:80; exec >&- 2>&-; exec sleep 300", json!({ "over": "the server named no address on loopback" }))]
#[case::deaf("echo listening on http://127.0.0.1:1; exec sleep 300", json!({ "over": "its events cannot be heard" }))]
fn a_server_that_is_none_is_told_and_ended(#[case] script: &str, #[case] expected: Value) {
    let project = Project::new(&[("a.txt", "a\n")]);
    let (code, lines) = bridged(&project, &["sh", "-c", script]);
    assert_eq!(code, 1);
    let told = lines.last().unwrap()["over"].as_str().unwrap();
    assert!(told.starts_with(expected["over"].as_str().unwrap()), "{lines:?}");
    if script.contains("oops") {
        assert!(lines.contains(&json!({ "log": "oops" })), "{lines:?}");
        assert!(lines.contains(&json!({ "log": "32" })), "its password: {lines:?}");
    }
    nothing_runs(&project);
}

#[test]
fn a_server_that_cannot_be_started_is_told_as_that() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let (code, lines) = bridged(&project, &["/no/such/server"]);
    assert_eq!(code, 1);
    let told = lines.last().unwrap()["unstarted"].as_str().unwrap();
    assert!(told.contains("cannot start `/no/such/server`"), "{told}");
}
