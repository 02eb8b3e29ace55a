//! What is kept, for how long, and how it is had back: salvage is found again, and what is freed is what nobody needs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::imprint::Imprint;
use crate::harness::processes::{ended, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"slots = 1
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// The first issue leaves an ignored file in its slot that agents would take for instructions, and a name with a line end in it.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: odd
    steps:
      - run: 'printf kept > "$(printf "odd\nname")"; mkdir -p .claude; printf deep > ".claude/$(printf "in\nner")"'
      - run: 'ln -s turno.toml link'
      - outcome: {summary: adds an odd file}
  - steps: [{write: {path: a.txt, text: "a\n"}}, {outcome: {summary: adds a}}]
"#;

/// Issue 1 has landed and is given up, issue 2 has landed in the same slot.
fn with_salvage() -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("script.yaml", SCRIPT),
        (".gitignore", ".claude\n"),
    ])
    .env("TURNO_AGENT", "actor");
    project.issue("odd");
    project.turno(&["run", "1"]).exits(0);
    project.issue("Add a");
    project.turno(&["run", "2"]).exits(0);
    project.turno(&["discard", "1"]).exits(0);
    project
}

fn salvage(project: &Project) -> Vec<Value> {
    let listed = project.turno(&["salvage", "list", "--json"]).exits(0).json();
    listed.as_array().unwrap().clone()
}

/// The name of the one piece that is held so and has a file like this.
#[track_caller]
fn named(project: &Project, held: &str, from: &str) -> String {
    let all = salvage(project);
    let one: Vec<_> = all
        .iter()
        .filter(|s| s["held"] == held && s["from"] == from)
        .collect();
    assert!(!one.is_empty(), "{all:#?}");
    one[0]["name"].as_str().unwrap().to_owned()
}

#[test]
fn salvage_is_listed_shown_and_had_back() {
    let project = with_salvage();
    let (commit, aside) = (
        named(&project, "commit", "discarded-1"),
        named(&project, "aside", "s1"),
    );
    assert!(aside.starts_with("aside/"), "{aside}");
    let said = project.turno(&["salvage", "list"]).exits(0);
    assert!(
        said.out.contains(&commit) && said.out.contains(&aside),
        "{}",
        said.out
    );

    let shown = project.turno(&["salvage", "show", &commit]).exits(0).out;
    assert!(
        shown.contains(r#""odd\nname""#) && shown.contains("+kept"),
        "{shown}"
    );
    let shown = project.turno(&["salvage", "show", &aside]).exits(0).out;
    assert!(shown.contains(r#"".claude/in\nner""#), "{shown}");

    // The user's checkout has no part in it, whatever is in it.
    project.write(&[("mine", "x\n")]);
    project.git(&["add", "mine"]);
    let before = Imprint::of(&[&project.repo()], &[]);
    let to = project.home().join("back");
    let path = to.to_str().unwrap().to_owned();
    let done = project
        .turno(&["salvage", "restore", &commit, "--to", &path])
        .exits(0);
    assert!(done.out.contains(r"odd\nname"), "{}", done.out);
    assert_eq!(fs::read_to_string(to.join("odd\nname")).unwrap(), "kept");
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("turno.toml"));
    assert!(!to.join("turno.toml").exists(), "only what is new");
    project
        .turno(&["salvage", "restore", &commit, "--to", &path])
        .exits(2);
    let whole = project.home().join("whole");
    let path = whole.to_str().unwrap().to_owned();
    project
        .turno(&["salvage", "restore", &commit, "--whole", "--to", &path])
        .exits(0);
    assert!(whole.join("turno.toml").exists());
    before.same(&Imprint::of(&[&project.repo()], &[]));

    // Without a place it is a new directory where one is.
    project
        .turno_in(
            &[
                "-C",
                project.repo().to_str().unwrap(),
                "salvage",
                "restore",
                &aside,
            ],
            &project.home(),
        )
        .exits(0);
    let beside = project
        .home()
        .join(format!("turno-salvage-{}", aside.replace('/', "-")));
    assert_eq!(
        fs::read_to_string(beside.join(".claude/in\nner")).unwrap(),
        "deep"
    );
    before.same(&Imprint::of(&[&project.repo()], &[]));
    let missing = project.turno(&["salvage", "show", "s9-nothing"]).exits(2);
    assert!(missing.err.contains("salvage list"), "{}", missing.err);
}

/// Everything in the state directory but the lock and the store, which every look opens.
fn fingerprint(project: &Project) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut seen = BTreeMap::new();
    let mut dirs = vec![project.state()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            if path == project.state().join("lock") || path == project.state().join("store") {
                continue;
            }
            if meta.is_dir() {
                dirs.push(path.clone());
            }
            seen.insert(path, (meta.ino(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    seen
}

/// The attempts in a list of things.
fn attempts(list: &Value) -> Vec<u64> {
    let all = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["what"]["kind"] == "attempt");
    let mut attempts: Vec<_> = all.filter_map(|r| r["what"]["attempt"].as_u64()).collect();
    attempts.sort_unstable();
    attempts
}

#[test]
fn what_is_over_is_freed_and_all_else_is_left() {
    let project = with_salvage();
    // What a person put there, and what attempts left lying about.
    let state = project.state();
    let mine = [
        "attempts/mine",
        "attempts/a01",
        "attempts/a999",
        "homes/mine",
        "slots/aside/mine",
        "my\nnotes",
    ];
    for path in mine {
        fs::create_dir(state.join(path)).unwrap();
        fs::write(state.join(path).join("f"), "mine").unwrap();
    }
    fs::write(state.join("a1.net"), "").unwrap();
    fs::write(state.join("a999.net"), "").unwrap();
    project.git(&["update-ref", "refs/turno/salvage/mine", "HEAD"]);
    let refs = project.git(&["for-each-ref"]);

    let young = project.turno(&["gc", "--json"]).exits(0).json();
    assert_eq!(attempts(&young["removals"]), [0; 0], "{young:#}");
    let before = fingerprint(&project);
    let dry = project
        .turno(&["gc", "--older-than", "0s", "--json"])
        .exits(0)
        .json();
    let said = project.turno(&["gc", "--older-than", "0s"]).exits(0);
    assert_eq!(fingerprint(&project), before, "looking changes nothing");
    assert_eq!(project.git(&["for-each-ref"]), refs);
    let (over, open) = (attempts(&dry["removals"]), attempts(&dry["left"]));
    assert!(
        over.contains(&1) && !over.contains(&999) && !open.is_empty(),
        "{dry:#}"
    );
    assert!(dry["bytes"].as_u64().unwrap() > 0 && dry["removed"] == false);
    assert!(
        said.out.contains("attempt a1, ") && said.out.contains("issue 1 has been over"),
        "{}",
        said.out
    );
    assert!(said.err.contains("is the only copy of work"), "{}", said.err);
    assert!(said.err.contains(r#"my\nnotes"#), "{}", said.err);

    let shown = project.turno(&["issue", "show", "1", "--json"]).exits(0).json();
    assert!(shown["disk_bytes"].as_u64().unwrap() > 0, "{shown:#}");
    let used = project.turno(&["where", "--json"]).exits(0).json();
    assert!(used["used"]["attempts"].as_u64() > Some(0) && used["used"]["total"].as_u64() > Some(0));

    let done = project.turno(&["gc", "--older-than", "0s", "--yes"]).exits(0);
    assert!(done.err.contains("removed attempt a1"), "{}", done.err);
    for attempt in &over {
        assert!(!state.join(format!("attempts/a{attempt}")).exists());
    }
    for attempt in &open {
        assert!(state.join(format!("attempts/a{attempt}")).is_dir());
    }
    assert!(!state.join("a1.net").exists() && !state.join("homes/1.1-engineer-actor").exists());
    assert!(state.join("homes/2.1-engineer-actor").is_dir());
    assert_eq!(project.git(&["for-each-ref"]), refs, "only copies stay");
    assert!(!salvage(&project).is_empty());
    let shown = project.turno(&["issue", "show", "1", "--json"]).exits(0).json();
    assert_eq!(shown["disk_bytes"], 0);

    // What is gone is known to be gone, and what the journal says is still said.
    let log = project.turno(&["log", "a1"]).exits(0);
    assert!(log.err.contains("removed by `turno gc`"), "{}", log.err);
    assert!(
        project
            .turno(&["explain", "1.1"])
            .exits(0)
            .out
            .contains("writes in s1")
    );
    project.turno(&["log", "1.1"]).exits(0);
    let script = project.turno(&["record", "a1"]).exits(0);
    assert!(script.err.contains("removed by `turno gc`"), "{}", script.err);
    project.turno(&["log", "a998"]).exits(2);

    // With a person's word the only copies go as well; what is not Turno's never does.
    project
        .turno(&["gc", "--older-than", "0s", "--yes", "--salvage"])
        .exits(0);
    assert_eq!(salvage(&project), [Value::Null; 0]);
    for path in mine {
        assert!(state.join(path).join("f").is_file(), "{path}");
    }
    assert!(state.join("a999.net").exists());
    let left = project.git(&["for-each-ref", "--format=%(refname)", "refs/turno/salvage"]);
    assert_eq!(left, "refs/turno/salvage/mine");
    let again = project
        .turno(&["gc", "--older-than", "0s", "--yes", "--json"])
        .exits(0)
        .json();
    assert_eq!(again["removals"], Value::Array(Vec::new()), "{again:#}");

    project.turno(&["promote", "2"]).exits(0);
    project.issue("Add a again");
    project.turno(&["run", "3"]);
    project.issue("odd");
    project.turno(&["run", "4"]).exits(0);
}

#[test]
fn an_idle_slot_too_many_goes_after_its_work_was_kept() {
    let script = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - run: 'touch "$HOME/shared/$TURNO_TASK"; until [ -e "$HOME/shared/1.1" ] && [ -e "$HOME/shared/2.1" ]; do sleep 0.05; done'
      - run: 'echo x > "f-$TURNO_TASK"'
      - outcome: {summary: adds a file}
"#;
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", script)]).env("TURNO_AGENT", "actor");
    project.issue("One");
    project.issue("Two");
    project.turno(&["run", "1", "2", "--slots", "2"]).exits(0);
    let slots = project.state().join("slots");
    fs::write(slots.join("2/left\nover"), "unfinished").unwrap();
    let dry = project.turno(&["gc"]).exits(0).out;
    assert!(dry.contains("slot s2, ") && !dry.contains("slot s1"), "{dry}");
    assert!(slots.join("2").is_dir());

    project.turno(&["gc", "--yes"]).exits(0);
    assert!(!slots.join("2").exists() && !slots.join("2.gitdir").exists() && slots.join("1").is_dir());
    assert!(!project.git(&["worktree", "list"]).contains("slots/2"));
    let name = named(&project, "commit", "s2");
    let to = project.home().join("back");
    project
        .turno(&["salvage", "restore", &name, "--to", to.to_str().unwrap()])
        .exits(0);
    assert_eq!(fs::read_to_string(to.join("left\nover")).unwrap(), "unfinished");
    project.issue("Three");
    project.issue("Four");
    project.turno(&["run", "3", "4", "--slots", "2"]).exits(0);
    assert!(slots.join("2").is_dir());
}

#[test]
fn nothing_goes_while_a_coordinator_runs() {
    let script = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - run: 'touch "$HOME/shared/begun"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: a.txt, text: "a\n"}
      - outcome: {summary: adds a}
"#;
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", script)]).env("TURNO_AGENT", "actor");
    project.issue("One");
    let child = project.start(&["run", "1"]);
    until("it has begun", || project.shared().join("begun").exists());
    let refused = project
        .turno(&["gc", "--yes", "--older-than", "0s", "--salvage"])
        .exits(4);
    assert!(refused.err.contains("turno stop"), "{}", refused.err);
    let dry = project
        .turno(&["gc", "--older-than", "0s", "--json"])
        .exits(0)
        .json();
    assert_eq!(dry["removals"], Value::Array(Vec::new()), "{dry:#}");
    assert_eq!(attempts(&dry["left"]), [1], "{dry:#}");
    fs::write(project.shared().join("go"), "").unwrap();
    ended(&project, child).exits(0);
}
