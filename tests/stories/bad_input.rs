//! Whatever is wrong with what a person typed or wrote: one clear error that says what, where and what to do,
//! the right exit code, and nothing half-made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::{Done, Project};

const CONFIG: &str = r#"slots = 2
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
  - {task: hangs, steps: [{write: {path: here, text: x}}, {hang: {}}]}
  - steps: [{write: {path: a.txt, text: "a\n"}}, {outcome: {summary: done}}]
"#;

fn project() -> Project {
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT), ("f", "hi\n")]);
    project.issue("One");
    project.env("TURNO_AGENT", "actor")
}

/// All of the repository's git state and all that the journal and the attempts hold.
fn made(project: &Project) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(dir: &Path, seen: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                seen.insert(path.clone(), Vec::new());
                walk(&path, seen);
            } else {
                seen.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
    }
    let mut seen = BTreeMap::new();
    for dir in [
        project.repo(),
        project.state().join("store/journal"),
        project.state().join("attempts"),
    ] {
        walk(&dir, &mut seen);
    }
    seen
}

/// One error, no panic, nothing on standard output.
#[track_caller]
fn one_error(done: Done, code: i32, parts: &[&str]) {
    let done = done.exits(code);
    let errors = done.err.lines().filter(|l| l.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{}", done.err);
    assert!(done.err.starts_with("error: "), "{}", done.err);
    assert!(!done.err.contains("panicked"), "{}", done.err);
    for part in parts {
        assert!(done.err.contains(part), "{part} is missing in {}", done.err);
    }
    assert_eq!(done.out, "");
}

const RUN: &[&str] = &["run", "1"];

#[rstest]
#[case::unknown_issue(&["run", "7"], 2, &["there is no issue 7", "turno issue list"])]
#[case::unknown_issue_to_show(&["issue", "show", "7"], 2, &["there is no issue 7", "turno issue list"])]
#[case::unknown_task(&["explain", "7.1"], 2, &["there is no task 7.1", "turno status"])]
#[case::unknown_task_to_diff(&["diff", "7.1"], 2, &["there is no task 7.1", "turno status"])]
#[case::unknown_attempt(&["log", "a99"], 2, &["there is no attempt a99", "turno log"])]
#[case::unknown_verb(&["rum"], 2, &["rum", "run"])]
#[case::no_number(&["run", "one"], 2, &["`one`", "a number is expected"])]
#[case::unknown_agent(&["run", "1", "--agent", "nobody"], 2, &["nobody", "--agent", "actor, claude, codex"])]
#[case::unknown_policy(&["run", "1", "--policy", "nope"], 2, &["nope", "--policy", "feature-dev"])]
#[case::budget_of_nothing(&["run", "1", "--budget", "0"], 2, &["--budget", "starts nothing"])]
#[case::budget_below_nothing(&["run", "1", "--budget", "-1"], 2, &["`-1` is no sum of money", "like 5 or 0.25"])]
#[case::budget_in_words(&["run", "1", "--budget", "much"], 2, &["`much` is no sum of money"])]
#[case::budget_too_fine(&["run", "1", "--budget", "0.0000001"], 2, &["at most six decimals"])]
#[case::budget_not_a_number(&["run", "1", "--budget", "NaN"], 2, &["NaN"])]
#[case::no_slots(&["run", "1", "--slots", "0"], 2, &["--slots", "at least 1 slot"])]
#[case::slots_below_nothing(&["run", "1", "--slots", "-2"], 2, &["-2", "--slots"])]
#[case::no_issue(&["run"], 2, &["<ISSUES>"])]
#[case::no_title(&["issue", "add", ""], 2, &["an issue needs a title"])]
#[case::blank_title(&["issue", "add", "  \n "], 2, &["an issue needs a title"])]
#[case::title_taken_away(&["issue", "edit", "1", "--title", " "], 2, &["an issue needs a title"])]
#[case::nothing_landed(&["promote", "1"], 2, &["issue 1 has nothing landed", "turno run 1"])]
#[case::promote_unknown(&["promote", "9"], 2, &["there is no issue 9"])]
#[case::discard_unknown_issue(&["discard", "9"], 2, &["there is no issue 9"])]
#[case::discard_unknown_task(&["discard", "9.1"], 2, &["there is no task 9.1"])]
#[case::close_unknown(&["issue", "close", "9"], 2, &["there is no issue 9"])]
#[case::nothing_to_stop(&["stop"], 2, &["no shift is running", "turno run"])]
#[case::unknown_persona(&["persona", "show", "cook"], 2, &["cook", "engineer"])]
#[case::no_such_directory(&["-C", "/nowhere/at/all", "status"], 2, &["/nowhere/at/all"])]
fn words_that_make_no_sense(#[case] words: &[&str], #[case] code: i32, #[case] parts: &[&str]) {
    let project = project();
    let before = made(&project);
    one_error(project.turno(words), code, parts);
    assert!(before == made(&project), "something was made");
}

#[rstest]
#[case::unknown_key("turno.toml", "slot = 3\n", &["turno.toml line 1", "`slot`", "did you mean `slots`?"])]
#[case::unknown_key_below("turno.toml", "[checks.test]\ncomand = \"true\"\n", &["turno.toml line 2", "checks.test.comand", "did you mean `command`?"])]
#[case::not_toml("turno.toml", "slots = 2\nslots = = 3\n", &["turno.toml line 2", "not valid TOML"])]
#[case::no_slots("turno.toml", "slots = 0\n[agents.actor]\ndialect = \"script\"\nscript = \"script.yaml\"\n", &["slots = 0", "turno.toml line 1", "set slots = 2"])]
#[case::slots_in_words("turno.toml", "slots = \"two\"\n", &["slots = \"two\"", "turno.toml line 1", "a whole number"])]
#[case::money_below_nothing("turno.toml", "[budget]\nshift_usd = -3\n", &["budget.shift_usd = -3", "turno.toml line 2"])]
#[case::no_length_of_time("turno.toml", "[checks.test]\ncommand = \"true\"\ntimeout = \"soon\"\n", &["checks.test.timeout", "line 3", "15m, 2h or 30d"])]
#[case::unknown_dialect("turno.toml", "[agents.x]\ndialect = \"klingon\"\n", &["klingon", "turno.toml line 2", "script"])]
#[case::variable_of_a_persona(
    ".turno/personas/engineer.md",
    "---\nname: engineer\nrole: engineer\naccess: write\ndescription: Writes.\nagents: [actor]\nbudget_usd: 1\nwall_clock: 10m\n---\n{{ nonsense }}\n",
    &[".turno/personas/engineer.md", "unknown variable `nonsense`"]
)]
#[case::no_front_matter(".turno/personas/engineer.md", "hello\n", &[".turno/personas/engineer.md line 1", "---"])]
#[case::broken_front_matter(".turno/personas/engineer.md", "---\nagents: [\n---\nhello\n", &[".turno/personas/engineer.md line 2"])]
#[case::unknown_front_key(".turno/personas/engineer.md", "---\nagentz: [actor]\n---\nhello\n", &[".turno/personas/engineer.md line 2", "agentz", "did you mean"])]
#[case::unknown_row(".turno/policies/single.toml", "[rows.findingz]\ntries = 1\nwait = \"0s\"\n", &["single.toml", "findingz", "findings"])]
#[case::broken_script("script.yaml", "sessions: [\n", &["agents.actor.script", "script.yaml", "line"])]
#[case::unknown_step("script.yaml", "sessions: [{steps: [{dance: now}]}]\n", &["agents.actor.script", "dance"])]
fn files_that_make_no_sense(#[case] path: &str, #[case] text: &str, #[case] parts: &[&str]) {
    let project = project();
    project.write(&[(path, text)]);
    let before = made(&project);
    one_error(project.turno(RUN), 2, parts);
    assert!(before == made(&project), "something was made");
}

#[test]
fn a_script_that_is_not_there() {
    let project = project();
    fs::remove_file(project.repo().join("script.yaml")).unwrap();
    let before = made(&project);
    one_error(
        project.turno(RUN),
        2,
        &["agents.actor.script", "script.yaml", "cannot be read"],
    );
    assert!(before == made(&project), "something was made");
}

#[rstest]
#[case::program("program = \"/nowhere/claude\"\n", 4, &["/nowhere/claude", "turno doctor"])]
#[case::variable("program = \"/bin/true\"\nenv.KEY = \"$NOBODY_SET_THIS\"\n", 4, &["NOBODY_SET_THIS", "agents.claude.env.KEY", "export it"])]
fn an_agent_that_cannot_be_started(#[case] lines: &str, #[case] code: i32, #[case] parts: &[&str]) {
    let project = project();
    project.write(&[("turno.toml", &format!("{CONFIG}[agents.claude]\n{lines}"))]);
    let before = made(&project);
    one_error(project.turno(&["run", "1", "--agent", "claude"]), code, parts);
    assert!(before == made(&project), "something was made");
}

#[rstest]
#[case::no_repository(&[], 2, &["is not in a git repository", "git init"])]
#[case::no_commit(&["init", "-q"], 4, &["has no commit yet", "Make a first commit"])]
#[case::bare(&["init", "-q", "--bare"], 4, &["is a bare repository", "clone it"])]
fn a_place_that_cannot_be_worked_in(#[case] git: &[&str], #[case] code: i32, #[case] parts: &[&str]) {
    let project = project();
    let place = project.repo().with_file_name("place");
    fs::create_dir(&place).unwrap();
    if !git.is_empty() {
        let status = Command::new("git")
            .args(git)
            .current_dir(&place)
            .status()
            .unwrap();
        assert!(status.success());
    }
    let state = project.state().with_file_name("other-state");
    let project = project.env("TURNO_STATE_DIR", state.to_str().unwrap());
    for words in [RUN, &["status"], &["issue", "add", "x"]] {
        one_error(project.turno_in(words, &place), code, parts);
    }
    assert!(!state.exists(), "no state is made for a place without work");
}

#[test]
fn a_detached_checkout_is_worked_on_with_a_warning() {
    let project = project();
    project.git(&["checkout", "-q", "--detach"]);
    let done = project.turno(RUN).exits(0);
    assert!(done.err.contains("warning: HEAD is detached"), "{}", done.err);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    one_error(
        project.turno(&["promote", "1"]),
        2,
        &["HEAD is detached", "--onto"],
    );
    project.turno(&["promote", "1", "--onto", "main"]).exits(0);
    assert_eq!(project.at("main", "a.txt"), "a");
}

#[test]
fn a_dirty_checkout_is_worked_on_with_a_warning() {
    let project = project();
    project.write(&[("f", "dirt\n"), ("new", "dirt\n")]);
    let done = project.turno(RUN).exits(0);
    assert!(
        done.err.contains("warning: your uncommitted changes (f"),
        "{}",
        done.err
    );
    assert_eq!(project.at("turno/1/base", "f"), "hi");
    assert_eq!(
        project.git(&["ls-tree", "--name-only", "turno/1/base", "new"]),
        ""
    );
    assert_eq!(fs::read_to_string(project.repo().join("f")).unwrap(), "dirt\n");
    let before = made(&project);
    // It needs a person, and nothing has moved.
    one_error(
        project.turno(&["promote", "1"]),
        1,
        &["uncommitted changes (f", "Commit or stash"],
    );
    one_error(
        project.turno(&["promote", "1", "--onto", "nope"]),
        2,
        &["there is no branch `nope`"],
    );
    one_error(
        project.turno(&["promote", "1", "--onto", "turno/1/base"]),
        2,
        &["Turno's own"],
    );
    assert!(before == made(&project), "something was made");
}

#[test]
fn a_second_coordinator_is_told_who_the_first_is() {
    let project = project();
    project.issue("hangs");
    let child = project.start(&["run", "2"]);
    until("it hangs", || project.state().join("slots/1/here").exists());
    let pid = child.id().to_string();
    one_error(project.turno(RUN), 4, &["another turno", &pid, "turno stop"]);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(
        status["running"].as_array().unwrap().len(),
        1,
        "the first goes on"
    );
    signal(&child, Signal::SIGTERM);
    ended(&project, child).exits(130);
    nothing_runs(&project);
}

#[rstest]
#[case::below_a_file("f/state")]
#[case::where_nothing_can_be("/proc/turno")]
fn a_state_directory_that_cannot_be_used(#[case] dir: &str) {
    let project = project();
    let dir = project.repo().join(dir);
    let before = made(&project);
    let project = project.env("TURNO_STATE_DIR", dir.to_str().unwrap());
    for words in [RUN, &["status"], &["issue", "add", "x"]] {
        one_error(
            project.turno(words),
            4,
            &["state directory", dir.to_str().unwrap(), "TURNO_STATE_DIR"],
        );
    }
    assert!(before == made(&project), "something was made");
}

fn journal(project: &Project) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(project.state().join("store/journal"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[rstest]
#[case::newer(|text: String| text.replacen("turno-journal 2", "turno-journal 99", 1), &["format 99", "nothing was changed", "newer turno"])]
#[case::damaged(|text: String| text.replacen("\"title\":\"One\"", "\"title\":\"0ne\"", 1), &["is damaged at byte", "nothing was changed"])]
#[case::no_journal(|_| "hello\n".to_owned(), &["journal", "nothing was changed"])]
fn a_store_that_cannot_be_read(#[case] change: fn(String) -> String, #[case] parts: &[&str]) {
    let project = project();
    project.issue("Two");
    let path = journal(&project);
    let changed = change(fs::read_to_string(&path).unwrap());
    assert_ne!(changed, fs::read_to_string(&path).unwrap());
    fs::write(&path, changed).unwrap();
    fs::remove_dir_all(project.state().join("store/index")).unwrap();
    let before = made(&project);
    for words in [RUN, &["status"], &["issue", "add", "x"], &["log"]] {
        one_error(project.turno(words), 4, parts);
    }
    assert!(before == made(&project), "something was made");
}
