//! Owns the small project that every case is told in, and what must hold after each: the user's checkout as it was,
//! nothing left running, every slot free.

use serde_json::{Value, json};

use crate::harness::imprint::Imprint;
use crate::harness::processes::nothing_runs;
use crate::harness::project::{Done, Project};

/// One slot, so that what one attempt leaves is in the way of the next.
pub(super) const CONFIG: &str = "\
slots = 1
policy = \"single\"
[checks.test]
command = \"sh check.sh\"
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// A slot must be fit for use: nothing odd in it, no mark of a conflict, and its top may be written.
pub(super) const CHECK: &str = "\
odd=$(find . ! -type f ! -type d ! -type l)
test -z \"$odd\" || { echo \"odd: $odd\"; exit 1; }
touch probe && rm probe || exit 1
! grep -rq --exclude=check.sh '<<<<<<<' . || { echo 'a conflict is left'; exit 1; }
test -f f
";

/// Nobody waits, and each cause is tried again once.
fn policy() -> String {
    let rows = [
        "agent",
        "no-outcome",
        "no-change",
        "wrote-while-reading",
        "stalled",
        "workspace",
        "could-not-check",
        "resources",
    ];
    let rows = rows.map(|row| format!("[rows.{row}]\ntries = 1\nwait = \"0s\"\n"));
    format!("silence = \"5s\"\ncheck_reruns = 0\n{}", rows.concat())
}

/// Writes `a.txt`, does these steps and says that it is done.
pub(super) fn writes(steps: &[Value]) -> Value {
    let mut all = vec![json!({"write": {"path": "a.txt", "text": "a\n"}})];
    all.extend_from_slice(steps);
    all.push(json!({"outcome": {"summary": "done"}}));
    json!({"persona": "engineer", "round": 1, "steps": all})
}

/// A shell command that must pass.
pub(super) fn run(command: &str) -> Value {
    json!({"run": {"command": command, "must_pass": true}})
}

/// The sessions of a script: these first, then whoever approves, and whoever does the work when the first try came to nothing.
pub(super) fn script(sessions: &[Value]) -> String {
    let mut all = sessions.to_vec();
    all.push(json!({"persona": "reviewer", "steps": [{"outcome": {"verdict": "approve"}}]}));
    all.push(json!({"steps": [
        {"write": {"path": "a.txt", "text": "a\n"}},
        {"write": {"path": "again.txt", "text": "a\n"}},
        {"outcome": {"summary": "done"}},
    ]}));
    json!({ "sessions": all }).to_string()
}

/// A project in which these sessions are played.
pub(super) fn project(sessions: &[Value]) -> Project {
    project_with(CONFIG, CHECK, sessions)
}

/// The same with a configuration and a check of its own.
pub(super) fn project_with(config: &str, check: &str, sessions: &[Value]) -> Project {
    Project::new(&[
        ("turno.toml", config),
        (".turno/policies/single.toml", &policy()),
        ("script.yaml", &script(sessions)),
        ("check.sh", check),
        ("f", "hi\n"),
    ])
    .env("TURNO_AGENT", "actor")
}

/// The user's whole checkout.
pub(super) fn imprint(project: &Project) -> Imprint {
    Imprint::of(&[&project.repo()], &[])
}

/// What must hold after every shift.
#[track_caller]
pub(super) fn all_is_well(project: &Project, before: &Imprint) {
    before.same(&imprint(project));
    nothing_runs(project);
    project.ledger_adds_up();
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["running"].as_array().unwrap().len(), 0, "{status:#}");
    assert!(!status["free_slots"].as_array().unwrap().is_empty(), "{status:#}");
    project.turno(&["salvage", "list"]).exits(0);
}

/// What the user is told of the one task when its shift has ended so; everything is as it must be.
#[track_caller]
pub(super) fn told(project: &Project, words: &[&str], code: i32) -> String {
    let before = imprint(project);
    let Done { out, err, .. } = project.turno(words).exits(code);
    assert!(!err.contains("panicked"), "{err}");
    all_is_well(project, &before);
    format!("{out}{err}{}", project.turno(&["explain", "1.1"]).exits(0).out)
}

/// Files the one issue, runs it to its landing and gives what is told.
#[track_caller]
pub(super) fn lands(project: &Project) -> String {
    project.issue("One");
    let text = told(project, &["run", "1"], 0);
    tells(&text, &["landed as"]);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a", "{text}");
    text
}

#[track_caller]
pub(super) fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

/// What has landed differs from the user's branch in these paths alone.
#[track_caller]
pub(super) fn nothing_but(project: &Project, path: &str) {
    assert_eq!(
        project.git(&["diff", "--name-only", "main", "turno/1/base"]),
        path
    );
}

/// The names of all that has landed, as git writes them.
pub(super) fn landed(project: &Project) -> Vec<String> {
    let listed = project.git(&["ls-tree", "-r", "--name-only", "turno/1/base"]);
    listed.lines().map(str::to_owned).collect()
}
