//! Whatever agents do and however they fail: nothing of the user's is touched. Not a file of the checkout, not
//! its time, not the index, the stash, a hook, a branch, a reflog or another worktree.

use std::path::{Path, PathBuf};

use crate::harness::imprint::Imprint;
use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 2
policy = "single"
[checks.test]
command = "sh check.sh"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Nobody waits for another try, and silence is noticed soon.
const POLICY: &str = r#"
silence = "1500ms"
[rows.agent]
tries = 3
wait = "0s"
[rows.stalled]
tries = 2
wait = "0s"
[rows.conflict]
tries = 3
wait = "0s"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: fails
    round: 1
    steps: [{write: {path: broken, text: "x\n"}}, {outcome: {summary: breaks it}}]
  - task: fails
    steps: [{run: rm broken}, {write: {path: mended, text: "x\n"}}, {outcome: {summary: mends it}}]
  - task: dies
    round: 1
    steps: [{write: {path: half, text: "x\n"}}, {run: git add -A}, {exit: 3}]
  - task: hangs
    round: 1
    steps: [{write: {path: quiet, text: "x\n"}}, {hang: {stubborn: true}}]
  - task: commits
    steps:
      - write: {path: own, text: "x\n"}
      - run: {command: "git -c core.hooksPath=/dev/null -c commit.gpgSign=false commit -q --allow-empty -m one && git add -A && git -c core.hooksPath=/dev/null -c commit.gpgSign=false commit -q -m two", must_pass: true}
      - write: {path: more, text: "x\n"}
      - outcome: {summary: commits by itself}
  - task: deletes
    steps: [{run: "rm -rf src notes .gitignore && git rm -rq --cached . "}, {outcome: {summary: deletes}}]
  - task: conflicts
    round: 1
    steps: [{write: {path: src/a.txt, text: "theirs\n"}}, {outcome: {summary: changes a line}}]
  - task: conflicts
    steps: [{write: {path: src/a.txt, text: "both\n"}}, {outcome: {summary: takes both}}]
  - steps: [{write: {path: src/done.txt, text: "x\n"}}, {outcome: {summary: does it}}]
"#;

const HOOKS: [&str; 12] = [
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-checkout",
    "pre-rebase",
    "post-rewrite",
    "post-merge",
    "post-index-change",
    "reference-transaction",
    "pre-auto-gc",
    "fsmonitor-watchman",
];

/// A repository that is lived in.
fn lived_in() -> (Project, PathBuf) {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", POLICY),
        ("script.yaml", SCRIPT),
        ("check.sh", "test ! -e broken\n"),
        ("src/a.txt", "first\n"),
        ("src/b.txt", "first\n"),
        ("notes/n.txt", "first\n"),
        (".gitignore", "*.cache\n"),
    ])
    .env("TURNO_AGENT", "actor");
    let git = |args: &[&str]| drop(project.git(args));
    git(&["branch", "feature"]);
    git(&["tag", "v1"]);
    git(&["tag", "-a", "v2", "-m", "two"]);
    let side = project.repo().with_file_name("side");
    git(&["worktree", "add", "-q", "-b", "side", side.to_str().unwrap()]);
    std::fs::write(side.join("src/b.txt"), "dirt at the side\n").unwrap();
    project.write(&[("src/a.txt", "stashed\n")]);
    git(&["stash", "-q"]);
    // For the conflict: what has landed for issue 7 meanwhile.
    project.write(&[("src/a.txt", "ours\n")]);
    git(&["commit", "-qam", "ours"]);
    git(&["branch", "turno/7/base"]);
    git(&["reset", "-q", "--hard", "HEAD~1"]);
    project.write(&[
        ("src/b.txt", "staged\n"),
        ("notes/n.txt", "dirty\n"),
        ("untracked.txt", "mine\n"),
        ("build.cache", "ignored\n"),
    ]);
    git(&["add", "src/b.txt"]);
    git(&["config", "commit.gpgSign", "true"]);
    git(&["config", "gpg.program", "/bin/false"]);
    for hook in HOOKS {
        let path = project.repo().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(
            &path,
            format!("#!/bin/sh\necho {hook} $TURNO_ATTEMPT >> $HOME/shared/hooked\nexit 1\n"),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    (project, side)
}

fn imprint(project: &Project, side: &Path) -> Imprint {
    Imprint::of(&[&project.repo(), side], &["side"])
}

#[test]
fn nothing_of_the_users_is_touched_whatever_agents_do() {
    let (project, side) = lived_in();
    let before = imprint(&project, &side);
    let titles = [
        "goes well",
        "fails",
        "dies",
        "hangs",
        "commits",
        "deletes",
        "conflicts",
    ];
    let mut args = vec!["run", "--agent", "actor"];
    let ids: Vec<String> = titles.iter().map(|t| project.issue(t).to_string()).collect();
    args.extend(ids.iter().map(String::as_str));
    let done = project.turno(&args).exits(0);
    before.same(&imprint(&project, &side));
    nothing_runs(&project);

    // The story was the one that is told: each failure happened, and each was overcome.
    for (task, part) in [
        ("2.1", "test failed"),
        ("3.1", "it ended with exit code 3"),
        ("4.1", "the agent got stuck"),
        ("5.1", "landed as"),
        ("6.1", "landed as"),
        ("7.1", "conflict in 1 place"),
    ] {
        let told = project.turno(&["explain", task]).exits(0).out;
        assert!(told.contains(part), "{part} is missing in {told}");
        assert!(told.contains("landed as"), "{told}");
    }
    assert!(done.err.contains("your uncommitted changes"), "{}", done.err);
    assert_eq!(
        project.at("turno/1/base", "src/b.txt"),
        "first",
        "dirt is no part of the work"
    );
    assert_eq!(project.at("turno/2/base", "mended"), "x");
    assert_eq!(
        project.at("turno/3/base", "half"),
        "x",
        "what a dead agent left is gone on from"
    );
    assert_eq!(project.at("turno/4/base", "quiet"), "x");
    assert_eq!(project.at("turno/5/base", "more"), "x");
    assert_eq!(
        project.git(&["ls-tree", "--name-only", "turno/6/base", "src", "notes"]),
        ""
    );
    assert_eq!(project.at("turno/7/base", "src/a.txt"), "both");

    // To look is not to touch either.
    for words in [
        &["status"][..],
        &["log"],
        &["diff", "1"],
        &["diff", "6.1", "--stat"],
        &["doctor"],
        &["issue", "list"],
        &["persona", "render", "engineer", "1"],
        &["where"],
    ] {
        project.turno(words).exits(0);
    }
    before.same(&imprint(&project, &side));
    // The agents' own git may run hooks; Turno's never does.
    let hooked = std::fs::read_to_string(project.shared().join("hooked")).unwrap_or_default();
    let by_turno: Vec<_> = hooked
        .lines()
        .filter(|l| l.split_whitespace().count() == 1)
        .collect();
    assert_eq!(by_turno, Vec::<&str>::new());
}

#[test]
fn nothing_of_the_users_is_touched_by_an_agent_that_is_stopped() {
    let (project, side) = lived_in();
    let before = imprint(&project, &side);
    project.issue("hangs");
    let child = project.start(&["run", "1", "--agent", "actor"]);
    crate::harness::processes::until("it hangs", || project.state().join("slots/1/quiet").exists());
    crate::harness::processes::signal(&child, nix::sys::signal::Signal::SIGTERM);
    crate::harness::processes::ended(&project, child).exits(130);
    project.turno(&["discard", "1"]).exits(0);
    before.same(&imprint(&project, &side));
}

#[test]
fn an_imprint_sees_a_touched_file_and_a_moved_branch() {
    let (project, side) = lived_in();
    let before = imprint(&project, &side);
    let differs = |before: &Imprint| {
        let now = imprint(&project, &side);
        let differs = *before != now;
        (differs, now)
    };
    assert!(!differs(&before).0);
    std::fs::write(project.repo().join("src/a.txt"), "first\n").unwrap();
    let (touched, now) = differs(&before);
    assert!(touched, "the same bytes at another time");
    std::fs::write(project.repo().join(".git/refs/heads/feature"), "0\n").unwrap();
    assert!(differs(&now).0);
}
