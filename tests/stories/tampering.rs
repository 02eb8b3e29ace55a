//! An agent that works on the repository itself instead of in its slot is seen: what is Turno's own, hooks and
//! configuration are put back before anything obeys them, and it is told what happened.

use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 1
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - write: {path: .gitattributes, text: "* filter=evil\n"}
      - write: {path: done.txt, text: "x\n"}
      - run: {command: "git config filter.evil.clean \"tee -a $HOME/ran\"", must_pass: true}
      - run: {command: "printf '#!/bin/sh\\n' > \"$(git rev-parse --git-common-dir)/hooks/post-merge\"", must_pass: true}
      - run: {command: "git update-ref refs/heads/turno/9/base HEAD", must_pass: true}
      - run: {command: "git branch -f feature HEAD", must_pass: true}
      - outcome: {summary: does it}
"#;

#[test]
fn what_an_agent_does_to_the_repository_is_put_back_and_told() {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("script.yaml", SCRIPT),
        ("a.txt", "first\n"),
    ])
    .env("TURNO_AGENT", "actor")
    // In the sandbox each of these is refused before the fact.
    .unconfined();
    let config = std::fs::read_to_string(project.repo().join(".git/config")).unwrap();
    let task = format!("{}.1", project.issue("goes on"));
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);

    assert_eq!(
        project.at("turno/1/base", "done.txt"),
        "x",
        "its work counts all the same"
    );
    assert!(
        !project.home().join("ran").exists(),
        "no git call obeyed what was planted"
    );
    let now = std::fs::read_to_string(project.repo().join(".git/config")).unwrap();
    assert_eq!(now, config);
    assert!(!project.repo().join(".git/hooks/post-merge").exists());
    assert_eq!(project.git(&["for-each-ref", "refs/heads/turno/9"]), "");

    let explained = project.turno(&["explain", &task]).exits(0).out;
    let logged = project.turno(&["log"]).exits(0).out;
    assert!(logged.contains("the repository changed while"), "{logged}");
    for part in [
        ".git/config changed; it was put back, what was found is kept as",
        ".git/hooks/post-merge appeared; it was put back",
        "refs/heads/turno/9/base was absent",
        "refs/heads/feature was absent",
        "left alone, it may be your own doing",
    ] {
        assert!(explained.contains(part), "{part} is missing in {explained}");
    }
    let tampered = |r: &&serde_json::Value| r["event"].get("tampered").is_some();
    assert_eq!(
        project.journal().iter().filter(tampered).count(),
        1,
        "the reviewer did nothing"
    );
}
