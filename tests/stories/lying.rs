//! Agents that lie, and checks that hang: nothing is believed that was not proven, and the user is told why.

use rstest::rstest;

use crate::harness::processes::nothing_runs;
use crate::harness::project::{Done, Project};

const CONFIG: &str = r#"
slots = 1
policy = "single"
[checks.test]
command = "sh check.sh"
timeout = "2s"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

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
    ];
    let rows = rows.map(|row| format!("[rows.{row}]\ntries = 1\nwait = \"0s\"\n"));
    let patient = "[rows.checks-failed]\ntries = 9\nwait = \"0s\"\n";
    format!("silence = \"2s\"\ncheck_reruns = 0\n{}{patient}", rows.concat())
}

const APPROVE: &str = "  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}\n";
const WRITES: &str =
    "  - {persona: engineer, steps: [{write: {path: a.txt, text: \"a\\n\"}}, {outcome: {summary: done}}]}\n";

fn project(sessions: &str, check: &str) -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", &policy()),
        ("script.yaml", &format!("sessions:\n{sessions}{APPROVE}{WRITES}")),
        ("check.sh", check),
        ("f", "hi\n"),
    ])
    .env("TURNO_AGENT", "actor")
    // In the sandbox most of this is refused before the fact; here it is seen afterwards.
    .unconfined();
    project.issue("One");
    project
}

/// Runs it; what `explain` then tells.
#[track_caller]
fn told(project: &Project, code: i32) -> String {
    let main = project.git(&["rev-parse", "main"]);
    let Done { err, .. } = project.turno(&["run", "1"]).exits(code);
    assert!(!err.contains("panicked"), "{err}");
    nothing_runs(project);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_eq!(project.git(&["rev-parse", "main"]), main, "the user's branch");
    project.turno(&["explain", "1.1"]).exits(0).out
}

#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

/// Says so again and again: it is asked once more and then a person is.
#[rstest]
#[case::done_and_nothing_changed("{outcome: {summary: all done}}", &["the agent changed nothing"])]
#[case::no_outcome("{write: {path: a, text: a}}, {exit: 0}", &["gave no valid outcome", "gave no outcome"])]
#[case::outcome_of_another_shape("{write: {path: a, text: a}}, {outcome: {sumary: done}}", &["gave no valid outcome", "sumary"])]
#[case::outcome_of_another_kind("{write: {path: a, text: a}}, {outcome: {kind: verdict, verdict: approve}}", &["gave no valid outcome", "asked for was: change"])]
#[case::no_json("{write: {path: a, text: a}}, {raw: \"All done!\\n\"}", &["gave no valid outcome"])]
#[case::dies("{exit: 7}", &["the agent failed", "exit code 7"])]
fn a_writer_whose_word_is_not_taken(#[case] steps: &str, #[case] parts: &[&str]) {
    let project = project(
        &format!("  - {{persona: engineer, steps: [{steps}]}}\n"),
        "true\n",
    );
    let text = told(&project, 1);
    tells(&text, parts);
    tells(&text, &["parked, no tries left"]);
    let status = project.turno(&["status"]).exits(0).out;
    tells(&status, &["parked"]);
    assert_eq!(
        project.git(&["branch", "--list", "turno/1/base"]),
        "",
        "nothing landed"
    );
}

#[rstest]
#[case::writes("{write: {path: f, text: mine}}, {outcome: {verdict: approve}}", 1, &["changed files though it may only read"])]
#[case::commits("{run: \"git commit -q --allow-empty -m mine\"}, {outcome: {verdict: approve}}", 1, &["changed files though it may only read"])]
#[case::approves_with_findings(
    "{outcome: {verdict: approve, findings: [{file: f, line: 1, severity: major, what: it is wrong, how_to_see: look}]}}",
    1,
    &["gave no valid outcome"]
)]
#[case::finds_nothing("{outcome: {verdict: findings, findings: []}}", 1, &["gave no valid outcome"])]
fn a_reviewer_whose_word_is_not_taken(#[case] steps: &str, #[case] code: i32, #[case] parts: &[&str]) {
    let project = project(
        &format!("  - {{persona: reviewer, steps: [{steps}]}}\n"),
        "true\n",
    );
    tells(&told(&project, code), parts);
    assert_eq!(
        project.git(&["branch", "--list", "turno/1/base"]),
        "",
        "nothing landed"
    );
}

/// Whatever it does to git, its files are what counts.
#[rstest]
#[case::on_a_branch_of_its_own("git checkout -q -b mine && git add -A && git commit -q -m mine")]
#[case::without_its_git_file("rm -f .git")]
#[case::with_a_repository_of_its_own("rm -f .git && git init -q && git add -A && git commit -q -m mine")]
#[case::with_a_rebase_left_open(
    "git add -A && git commit -q -m one && git rebase -q -x false HEAD~1; test -d $(git rev-parse --git-path rebase-merge)"
)]
#[case::with_a_lock_left("git add -A; touch $(git rev-parse --git-path index.lock)")]
#[case::with_a_broken_index("echo broken > $(git rev-parse --git-path index)")]
#[case::with_a_forged_head("echo 'ref: refs/heads/nowhere' > $(git rev-parse --git-path HEAD)")]
fn a_writer_that_leaves_git_in_disorder(#[case] command: &str) {
    let steps = serde_json::json!({
        "persona": "engineer",
        "steps": [
            {"write": {"path": "a.txt", "text": "a\n"}},
            {"run": {"command": command, "must_pass": true}},
            {"outcome": {"summary": "done"}},
        ],
    });
    let project = project(&format!("  - {steps}\n"), "test -f a.txt\n");
    tells(&told(&project, 0), &["landed as"]);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    assert_eq!(project.at("turno/1/base", "f"), "hi");
}

/// Too much to read is not too much to bear.
#[rstest]
#[case::of_lines("{flood: {lines: 300000, bytes_per_line: 20}}")]
#[case::in_one_line("{flood: {lines: 1, bytes_per_line: 50000000}}")]
fn a_writer_that_floods(#[case] flood: &str) {
    let sessions = format!(
        "  - {{persona: engineer, steps: [{flood}, {{write: {{path: a.txt, text: \"a\\n\"}}}}, {{outcome: {{summary: done}}}}]}}\n"
    );
    let project = project(&sessions, "true\n");
    tells(&told(&project, 0), &["landed as"]);
    let log = project.turno(&["log", "a1", "--raw"]).exits(0).out;
    assert!(log.len() > 5_000_000, "the transcript is whole: {}", log.len());
}

#[test]
fn a_check_that_hangs_is_ended_at_its_limit_with_all_it_started() {
    let project = project("", "echo it begins\nsetsid sleep 300 &\nsleep 300\n");
    let text = told(&project, 1);
    tells(&text, &["test failed", "stopped after its limit of 2s", "parked"]);
}

#[test]
fn a_check_whose_program_is_missing_is_no_failure_of_the_work() {
    let project = project("", "no-such-program-at-all\n");
    let text = told(&project, 1);
    tells(
        &text,
        &["could not be run", "exit code 127", "parked, no tries left"],
    );
}

#[test]
fn the_same_failure_three_times_is_no_progress() {
    let round = |n: u32, text: &str| {
        format!(
            "  - {{persona: engineer, round: {n}, steps: [{{write: {{path: a.txt, text: {text}}}}}, {{outcome: {{summary: done}}}}]}}\n"
        )
    };
    // It goes back and forth.
    let texts = ["one", "two", "one", "two", "one", "two"];
    let sessions: String = (1..).zip(texts).map(|(n, text)| round(n, text)).collect();
    let project = project(&sessions, "echo the same; false\n");
    let text = told(&project, 1);
    tells(
        &text,
        &[
            "test failed",
            "parked, no progress: three times the same tree with test",
        ],
    );
}

#[test]
fn a_project_without_checks_lands_nothing_unasked() {
    let project = project("", "true\n");
    let config = CONFIG.replace("[checks.test]\ncommand = \"sh check.sh\"\ntimeout = \"2s\"\n", "");
    project.write(&[("turno.toml", &config)]);
    project.git(&["commit", "-qam", "no checks"]);
    tells(&told(&project, 1), &["there are no checks", "turno.toml"]);
    assert_eq!(project.git(&["branch", "--list", "turno/1/base"]), "");
}

/// An agent's git reaches every ref of the repository, so it can move the user's branch. The work does not build
/// upon what it put there.
#[test]
fn a_writer_that_moves_the_users_branch_does_not_move_the_work() {
    let sessions = r#"
  - persona: engineer
    steps:
      - write: {path: a.txt, text: "a\n"}
      - run: {command: "git update-ref refs/heads/main $(git commit-tree -m evil HEAD^{tree})", must_pass: true}
      - outcome: {summary: done}
"#;
    let project = project(sessions, "true\n");
    let main = project.git(&["rev-parse", "main"]);
    project.turno(&["run", "1"]).exits(0);
    assert_ne!(project.git(&["rev-parse", "main"]), main, "the agent moved it");
    assert_eq!(project.git(&["merge-base", &main, "turno/1/base"]), main);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
}
