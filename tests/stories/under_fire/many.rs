//! Many slots at once, made from nothing, while a person works with git in the same repository.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use super::world::{CHECK, CONFIG, all_is_well, imprint, project_with, run};
use crate::harness::processes::ended_within;
use crate::harness::project::Project;

const SLOTS: usize = 8;
/// Eight tasks and whoever works beside them share a small machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A person who types fast, and looks at what came of it for a while: work must be able to follow their commits.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 4;

/// Nobody goes on before all are there.
fn all_at_once() -> serde_json::Value {
    let meet = format!(
        "touch \"$HOME/shared/$TURNO_SLOT\"; until test $(ls $HOME/shared | wc -l) -ge {SLOTS}; do sleep 0.02; done"
    );
    json!({"persona": "engineer", "steps": [
        run(&meet),
        run("echo $TURNO_SLOT > a.txt && git add -A && git commit -q -m one && echo b > b.txt"),
        {"outcome": {"summary": "done"}},
    ]})
}

#[rstest]
#[case::alone(&[])]
#[case::beside_a_person(&[
    "gc -q",
    "fetch -q origin +refs/heads/*:refs/remotes/origin/*",
    "commit -q --allow-empty -m meanwhile",
    "worktree prune",
    "log -1 --format=%H",
])]
fn eight_slots_from_nothing(#[case] commands: &[&str]) {
    let config = CONFIG.replace("slots = 1", &format!("slots = {SLOTS}"));
    let config = config.replace("[agents.actor]", "[agents.actor]\nat_once = 8");
    let project = project_with(&config, CHECK, &[all_at_once()]);
    // All of them at once, though nobody knows yet whether the agent can be started.
    let path = project.repo().join(".turno/policies/single.toml");
    let policy = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{policy}\n[accounts]\nfailing_starts = {SLOTS}\n")).unwrap();
    let upstream = project.repo().with_file_name("upstream.git");
    project.git(&["clone", "-q", "--bare", ".", upstream.to_str().unwrap()]);
    project.git(&["remote", "add", "origin", upstream.to_str().unwrap()]);
    let ids: Vec<String> = (1..=SLOTS)
        .map(|n| project.issue(&format!("Number {n}")).to_string())
        .collect();
    let words: Vec<&str> = ["run"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let done = beside(&project, commands, || {
        ended_within(PATIENCE, &project, project.start(&words)).exits(0)
    });
    assert!(!done.err.contains("panicked"), "{}", done.err);
    // No attempt failed, not even one that was tried again: no lock was met that did not open.
    for record in project.journal() {
        let text = record["event"].to_string();
        for word in ["\"failed\"", ".lock", "cannot lock"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    for id in &ids {
        let base = format!("turno/{id}/base");
        assert_eq!(project.at(&base, "b.txt"), "b");
    }
    let slots = fs::read_dir(project.state().join("slots")).unwrap().flatten();
    let made = slots.filter(|e| e.path().join(".git").is_file()).count();
    assert!(made >= SLOTS, "{made} slots were made");
    all_is_well(&project, &imprint(&project));
    project.git(&["fsck", "--connectivity-only"]);
}

/// What a person's git says where another git is just at work, and the next try is right: a worktree is not written at
/// once, a `gc` takes away an empty directory of objects in which a commit is about to write, and it holds HEAD while
/// it shortens the log of it.
const ITS_OWN: [&str; 3] = [
    "/commondir: Success",
    "HEAD.lock': File exists",
    "unable to create temporary file: No such file or directory",
];

/// Does something while a person types these commands again and again; none of them fails.
fn beside<T>(project: &Project, commands: &[&str], what: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        for command in commands {
            scope.spawn(move || {
                let words: Vec<&str> = command.split(' ').collect();
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let done = project.try_git(&words);
                    let took = begun.elapsed();
                    assert!(
                        done.code == 0 || ITS_OWN.iter().any(|words| done.err.contains(words)),
                        "git {words:?}: {}",
                        done.err
                    );
                    thread::sleep(PAUSE + took * LOOKS);
                }
            });
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
