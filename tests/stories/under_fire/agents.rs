//! Agents that leave a slot in every state that a slot can be in: their work lands or is kept, the user is told, and
//! the slot serves whoever comes next.

use rstest::rstest;
use serde_json::json;

use super::world::{
    CHECK, CONFIG, landed, lands, nothing_but, project, project_with, run, tells, told, writes,
};
use crate::harness::project::Project;

/// Two commits that do not agree, with HEAD at the second.
const TWO: &str = "git add -A && git commit -q -m one && one=$(git rev-parse HEAD) && git reset -q --hard HEAD~1 && \
                   echo b > a.txt && git add -A && git commit -q -m two";

/// Whatever git stands in, the files are what counts, and what nothing leads to is kept.
#[rstest]
#[case::back_from_its_commit(
    "git add -A && git commit -q -m one && git checkout -q --detach HEAD~1",
    &["changed nothing"],
    &["one"]
)]
#[case::with_a_merge_open(&format!("{TWO} && ! git merge -q $one"), &["a conflict is left"], &[])]
#[case::with_a_merge_uncommitted(&format!("{TWO} && git merge -q -X theirs --no-commit $one"), &[], &[])]
#[case::with_a_cherry_pick_open(&format!("{TWO} && ! git cherry-pick $one"), &["a conflict is left"], &["one"])]
#[case::with_a_rebase_open(&format!("{TWO} && ! git rebase -q $one"), &["a conflict is left"], &["two"])]
#[case::with_a_revert_open("git add -A && git commit -q -m one && git revert -n HEAD && echo a > a.txt", &[], &[])]
#[case::with_an_am_open(
    &format!("{TWO} && git format-patch -q -1 --stdout $one > ../p; ! git am -q ../p 2>/dev/null; git reset -q; echo a > a.txt"),
    &[],
    &[]
)]
fn an_agent_that_leaves_git(#[case] command: &str, #[case] parts: &[&str], #[case] kept: &[&str]) {
    let project = project(&[writes(&[run(command)])]);
    tells(&lands(&project), parts);
    tells(&project.turno(&["salvage", "list"]).exits(0).out, kept);
}

#[test]
fn an_agent_that_goes_back_before_its_base() {
    let again = json!({"persona": "engineer", "steps": [
        {"write": {"path": "later", "text": "x\n"}}, {"outcome": {"summary": "it is back"}},
    ]});
    let check = format!("{CHECK}test -f later || {{ echo 'later is gone'; exit 1; }}\n");
    let project = project_with(
        CONFIG,
        &check,
        &[
            writes(&[run("git reset -q --hard HEAD~1 && echo a > a.txt")]),
            again,
        ],
    );
    project.write(&[("later", "x\n")]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "later"]);
    tells(&lands(&project), &["later is gone"]);
    assert_eq!(project.at("turno/1/base", "later"), "x");
    assert_eq!(
        project.git(&["diff", "--name-only", "main", "turno/1/base"]),
        "a.txt"
    );
}

/// Only without a sandbox can it do so: in one its slot is mounted.
#[test]
fn an_agent_that_deletes_its_worktree() {
    let project = project(&[writes(&[run("slot=$PWD; cd / && rm -rf \"$slot\"")])]).unconfined();
    tells(
        &lands(&project),
        &["the worktree of slot s1 is gone", "is made anew"],
    );
}

/// What git cannot hold is no part of the change, is kept, and is in nobody's way.
#[rstest]
#[case::a_repository("git init -q in && echo x > in/x && git -C in add -A && git -C in commit -q -m x", &["in/x"])]
#[case::a_repository_without_a_commit("git init -q in && echo x > in/x", &["in/x"])]
#[case::a_repository_further_down("mkdir -p d && echo y > d/y && git init -q d/in && echo x > d/in/x", &["d/in/x"])]
#[case::a_directory_called_git("mkdir -p d/.git && echo x > d/.git/HEAD && echo y > d/y", &[])]
#[case::a_fifo("mkfifo in", &["in"])]
#[case::a_fifo_for_a_file("rm f && mkfifo f", &["f"])]
#[case::a_fifo_for_instructions("mkfifo AGENTS.md CLAUDE.md", &["AGENTS.md", "CLAUDE.md"])]
#[case::a_fifo_in_a_directory("mkdir -p d/e && touch d/y && mkfifo d/e/in", &["d/e/in"])]
#[case::a_socket(
    "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"in\")'",
    &["in"]
)]
#[case::a_very_deep_directory(
    "n=$(printf '%0200d' 0); i=0; while [ $i -lt 30 ]; do mkdir $n && cd -P $n || exit 1; i=$((i+1)); done; touch bottom",
    &[]
)]
fn an_agent_that_leaves(#[case] command: &str, #[case] aside: &[&str]) {
    let project = project(&[writes(&[run(command)])]);
    lands(&project);
    let left = landed(&project);
    assert!(left.contains(&"f".to_owned()), "{left:?}");
    assert!(
        !left.iter().any(|path| path == "in" || path.starts_with("in/")),
        "{left:?}"
    );
    let listed = project.turno(&["salvage", "list", "--json"]).exits(0).json();
    let kept = aside_files(&project);
    for path in aside {
        assert!(
            kept.iter().any(|k| k.ends_with(path)),
            "{path}: {kept:?}\n{listed:#}"
        );
    }
}

#[test]
fn an_agent_that_leaves_a_device() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root makes a device");
        return;
    }
    let project = project(&[writes(&[run("rm f && mknod f c 1 3 && mknod in c 1 5")])]).unconfined();
    lands(&project);
    nothing_but(&project, "a.txt");
    let kept = aside_files(&project);
    assert!(
        kept.iter().any(|k| k.ends_with("/in")) && kept.iter().any(|k| k.ends_with("/f")),
        "{kept:?}"
    );
}

/// Every path below `aside`.
fn aside_files(project: &Project) -> Vec<String> {
    let output = std::process::Command::new("find")
        .arg(project.state().join("slots/aside"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Such names land as they are.
#[rstest]
#[case::of_255_bytes("touch \"$(printf '%0255d' 0)\"", &"0".repeat(255))]
#[case::that_is_no_utf8("touch \"$(printf 'bad\\377name')\"", "\"bad\\377name\"")]
#[case::with_a_newline("touch \"$(printf 'x\\ny')\"", "\"x\\ny\"")]
#[case::with_a_tab_and_quotes("touch \"$(printf 't\\t\\042q')\"", "\"t\\t\\\"q\"")]
#[case::with_a_dash("touch -- -rf --version", "-rf")]
#[case::of_a_pathspec("touch ':(glob)*' '*'", "*")]
fn an_agent_that_writes_a_name(#[case] command: &str, #[case] name: &str) {
    let project = project(&[writes(&[run(command)])]);
    lands(&project);
    let left = landed(&project);
    assert!(left.contains(&name.to_owned()), "{left:?}");
    // What is told of it holds nothing that a terminal obeys or a person trips over.
    for words in [
        &["diff", "1"][..],
        &["diff", "1", "--stat"],
        &["explain", "1.1"],
        &["status"],
        &["log"],
    ] {
        project.turno(words).exits(0);
    }
}

/// It is ended at the limit, which is named, and what it wrote never lands.
#[rstest]
#[case::to_the_disk("disk_mib = 64", "head -c 200M /dev/zero > big; sleep 60", &["used more of the machine than it may", "64 MiB"])]
#[case::to_one_file("file_mib = 64", "head -c 200M /dev/zero > big", &["File size limit exceeded"])]
fn an_agent_that_writes_too_much(#[case] limit: &str, #[case] command: &str, #[case] parts: &[&str]) {
    let config = format!("{CONFIG}[limits]\n{limit}\n");
    let project = project_with(&config, CHECK, &[writes(&[run(command)])]);
    project.issue("One");
    let text = told(&project, &["run", "1"], 1);
    tells(&text, parts);
    tells(&text, &["big:0 [major]", "Leave the file out"]);
    tells(&project.turno(&["status"]).exits(0).out, &["parked"]);
    assert_eq!(
        project.git(&["branch", "--list", "turno/1/base"]),
        "",
        "nothing landed"
    );
}

/// Such a file is refused before there is any of it.
#[test]
fn an_agent_that_writes_a_sparse_file() {
    let config = format!("{CONFIG}[limits]\nfile_mib = 64\n");
    let project = project_with(&config, CHECK, &[writes(&[run("truncate -s 5G big")])]);
    tells(&lands(&project), &["File size limit exceeded"]);
    // What it had opened before it was refused.
    nothing_but(&project, "a.txt\nagain.txt\nbig");
    assert_eq!(project.at("turno/1/base", "big"), "");
}

/// Writes when it sees that the checks run.
const DAEMON: &str = "\
setsid sh -c 'until test -e $HOME/shared/checks; do sleep 0.02; done; echo late > late' >/dev/null 2>&1 &";
/// Waits for what a daemon would write, as long as one would need.
const LURE: &str = "\
touch $HOME/shared/checks
for i in 1 2 3 4 5 6 7 8 9 10; do test ! -e late || exit 1; sleep 0.05; done
";

/// What runs on after the end of its agent is ended, and what checks write is no part of the change.
#[rstest]
#[case::by_a_daemon(DAEMON, LURE)]
#[case::by_its_checks("true", "echo more >> f; echo late > late; rm -f a.txt; git add -A || true\n")]
fn a_tree_that_is_changed_afterwards(#[case] command: &str, #[case] check: &str) {
    let project = project_with(CONFIG, check, &[writes(&[run(command)])]);
    lands(&project);
    assert_eq!(project.at("turno/1/base", "f"), "hi");
    nothing_but(&project, "a.txt");
}

/// Rights that an agent took away are given back: what it wrote is its work, and the slot serves the next one.
#[rstest]
#[case::a_file("echo x > d && chmod 000 d", &["d"])]
#[case::a_directory("mkdir -p d/e && echo x > d/e/x && chmod 000 d/e d", &["d/e/x"])]
#[case::files_of_the_project("chmod 000 f check.sh .turno/policies .turno", &[])]
#[case::the_top("mkdir d && echo x > d/x && chmod 555 d && chmod 500 .", &["d/x"])]
fn an_agent_that_takes_rights_away(
    #[case] command: &str,
    #[case] paths: &[&str],
    #[values(Who::Harness, Who::Ordinary)] who: Who,
) {
    let project = project(&[writes(&[run(command)])]);
    let project = match who {
        Who::Harness => project,
        Who::Ordinary => project.of_an_ordinary_user(),
    };
    lands(&project);
    let left = landed(&project);
    for path in [&["f", "check.sh"], paths].concat() {
        assert!(left.contains(&path.to_owned()), "{path}: {left:?}");
    }
}

/// Who runs Turno.
#[derive(Debug, Clone, Copy)]
enum Who {
    Harness,
    Ordinary,
}
