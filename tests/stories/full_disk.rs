//! The disk is full, or may not be written: the coordinator ends cleanly and says what to do, nothing that was
//! acknowledged is lost, and after space is freed the next run goes on. It needs a mount of its own, so root.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

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

/// A small disk of its own; unmounted when it is dropped.
pub(super) struct Small(PathBuf);

impl Small {
    /// Of so many MB, at a directory. `None`, with a word, where nothing may be mounted.
    pub(super) fn mount(story: &str, dir: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let options = format!("size={megabytes}m,mode=700");
        if nix::unistd::geteuid().is_root()
            && mount(&["-t", "tmpfs", "-o", &options, "tmpfs", dir.to_str().unwrap()])
        {
            return Some(Self(dir.to_owned()));
        }
        println!("SKIPPED: {story} needs to mount a disk of its own");
        None
    }

    /// Takes all the space there is; gives it back when the file is removed.
    pub(super) fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }

    pub(super) fn again(&self, how: &str) {
        assert!(mount(&[
            "-o",
            &format!("remount,{how}"),
            self.0.to_str().unwrap()
        ]));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let path = self.0.to_str().unwrap();
        drop(Command::new("umount").args(["-l", path]).status());
    }
}

fn mount(args: &[&str]) -> bool {
    Command::new("mount")
        .args(args)
        .status()
        .is_ok_and(|s| s.success())
}

/// Files issues until one is refused: the journal may still have room in a page of its own. Gives how many there are.
fn fill_the_journal(project: &Project, before: usize) -> (Done, usize) {
    for filed in before..before + 100 {
        let done = project.turno(&["issue", "add", &"long ".repeat(300)]);
        if done.code != 0 {
            return (done, filed);
        }
    }
    panic!("the disk is not full");
}

fn project() -> Project {
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT), ("f", "hi\n")]);
    project.env("TURNO_AGENT", "actor")
}

#[test]
fn a_full_state_directory_refuses_what_writes_and_shows_what_is_there() {
    let project = project();
    let Some(disk) = Small::mount("a full state directory", &project.state(), 24) else {
        return;
    };
    project.issue("One");
    let ballast = disk.fill();
    let (refused, filed) = fill_the_journal(&project, 1);
    assert!(refused.err.contains("free some space"), "{}", refused.err);
    for done in [refused, project.turno(&["run", "1"])] {
        let done = done.exits(4);
        assert!(done.err.contains("o space left"), "{}", done.err);
        assert!(!done.err.contains("panicked"), "{}", done.err);
        assert_eq!(done.err.lines().filter(|l| l.starts_with("error: ")).count(), 1);
    }
    for words in [
        &["status"][..],
        &["log"],
        &["issue", "list"],
        &["where"],
        &["store", "export"],
    ] {
        let done = project.turno(words).exits(0);
        assert!(!done.err.contains("panicked"), "{}", done.err);
    }
    fs::remove_file(ballast).unwrap();
    let issues = project.turno(&["issue", "list", "--json"]).exits(0).json();
    assert_eq!(
        issues.as_array().unwrap().len(),
        filed,
        "what was acknowledged is there"
    );
    project.turno(&["run", "1"]).exits(0);
    project.turno(&["store", "check"]).exits(0);
}

#[test]
fn a_disk_that_fills_during_a_shift_ends_it_and_nothing_acknowledged_is_lost() {
    let project = project();
    let Some(disk) = Small::mount("a disk that fills during a shift", &project.state(), 24) else {
        return;
    };
    project.issue("One");
    project.issue("hangs");
    let child = project.start(&["run", "2"]);
    until("it hangs", || project.state().join("slots/1/here").exists());
    let ballast = disk.fill();
    let (refused, filed) = fill_the_journal(&project, 2);
    assert!(!refused.err.contains("panicked"), "{}", refused.err);
    let done = ended(&project, child).exits(4);
    assert!(done.err.contains("free some space"), "{}", done.err);
    assert!(!done.err.contains("panicked"), "{}", done.err);
    nothing_runs(&project);
    fs::remove_file(ballast).unwrap();
    let issues = project.turno(&["issue", "list", "--json"]).exits(0).json();
    assert_eq!(
        issues.as_array().unwrap().len(),
        filed,
        "what was acknowledged is there"
    );
    project.turno(&["store", "check"]).exits(0);
    project.turno(&["run", "1"]).exits(0);
}

#[test]
fn a_full_disk_for_transcripts_or_slots_ends_in_a_clear_state() {
    for (place, megabytes) in [("attempts", 1), ("slots", 1)] {
        let project = project();
        let Some(disk) = Small::mount(
            "a full disk for attempts",
            &project.state().join(place),
            megabytes,
        ) else {
            return;
        };
        project.issue("One");
        let ballast = disk.fill();
        let child = project.start(&["run", "1"]);
        let done = ended(&project, child);
        println!("{place}: exit code {}\n{}", done.code, done.err);
        assert!(matches!(done.code, 1 | 4), "{place}: {}\n{}", done.code, done.err);
        assert!(!done.err.contains("panicked"), "{place}: {}", done.err);
        nothing_runs(&project);
        fs::remove_file(ballast).unwrap();
        project.turno(&["store", "check"]).exits(0);
        let left = project.turno(&["status"]).exits(0);
        println!("{place}: {}{}", left.out, left.err);
    }
}

#[test]
fn a_state_directory_that_may_not_be_written_can_be_looked_at() {
    let project = project();
    let Some(disk) = Small::mount("a read-only state directory", &project.state(), 24) else {
        return;
    };
    project.issue("One");
    disk.again("ro");
    for words in [
        &["issue", "add", "Two"][..],
        &["run", "1"],
        &["store", "rebuild"],
        &["lessons", "add", "x", "--path", "**"],
    ] {
        let done = project.turno(words).exits(4);
        assert_eq!(done.err.lines().count(), 1, "{words:?}: {}", done.err);
        assert!(
            done.err.contains("make it writable") || done.err.contains("Make it writable"),
            "{}",
            done.err
        );
    }
    for words in [
        &["status"][..],
        &["log"],
        &["issue", "list"],
        &["store", "check"],
        &["store", "export"],
    ] {
        let done = project.turno(words).exits(0);
        assert!(!done.out.is_empty(), "{words:?}: {}", done.err);
    }
    disk.again("rw");
    project.turno(&["run", "1"]).exits(0);
}

/// What is told about a damaged store leads to what is left of it.
#[test]
fn from_a_damaged_journal_to_a_new_one() {
    let project = project();
    for n in 1..=6 {
        project.issue(&format!("Number {n}"));
    }
    let journal = project.state().join("store/journal/0000000000000001.log");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("Number 4", "Nomber 4", 1)).unwrap();
    // The index still has the state; the journal is found out by whatever reads it.
    project.turno(&["issue", "list"]).exits(0);
    let log = project.turno(&["log"]).exits(4);
    assert!(log.err.contains("turno store check"), "{}", log.err);
    let check = project.turno(&["store", "check", "--json"]).exits(1).json();
    let (damage, last) = (&check["damage"][0], &check["head"]);
    assert_eq!(
        (&damage["from"], &damage["to"]),
        (&4.into(), &4.into()),
        "{check}"
    );
    assert_eq!(last, 6, "{check}");
    let plain = project.turno(&["store", "check"]).exits(1);
    assert!(plain.out.contains("record 4 cannot be read"), "{}", plain.out);
    let rebuild = project.turno(&["store", "rebuild"]).exits(4);
    assert!(rebuild.err.contains("turno store export"), "{}", rebuild.err);
    let file = project.home().join("records");
    let words = ["store", "export", file.to_str().unwrap()];
    let done = project.turno(&words).exits(1);
    assert!(done.err.contains("record 4 cannot be read"), "{}", done.err);
    let again = project.turno(&words).exits(4);
    assert!(again.err.contains("name a new file"), "{}", again.err);
    let lines = fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().count(), 5);

    let import = ["store", "import", file.to_str().unwrap()];
    let refused = project.turno(&import).exits(4);
    assert!(refused.err.contains("nothing is overwritten"), "{}", refused.err);
    let new = project.home().join("new-state");
    let project = project.env("TURNO_STATE_DIR", new.to_str().unwrap());
    let gap = project.turno(&import).exits(4);
    assert!(gap.err.contains("line 4 holds record 5"), "{}", gap.err);
    let first: String = lines.split_inclusive('\n').take(3).collect();
    fs::write(&file, first).unwrap();
    project.turno(&import).exits(0);
    project.turno(&["store", "check"]).exits(0);
    let issues = project.turno(&["issue", "list", "--json"]).exits(0).json();
    assert_eq!(issues.as_array().unwrap().len(), 3);
    project.turno(&["run", "1"]).exits(0);
}

#[test]
fn no_index_is_made_anew_under_a_coordinator() {
    let project = project();
    project.issue("hangs");
    let child = project.start(&["run", "1"]);
    until("it hangs", || project.state().join("slots/1/here").exists());
    let refused = project.turno(&["store", "rebuild"]).exits(4);
    assert!(refused.err.contains("another turno"), "{}", refused.err);
    let check = project.turno(&["store", "check", "--json"]).exits(0).json();
    assert_eq!(check["index"]["is"], "in-use");
    signal(&child, Signal::SIGTERM);
    ended(&project, child).exits(130);
    project.turno(&["store", "rebuild"]).exits(0);
    let check = project.turno(&["store", "check", "--json"]).exits(0).json();
    assert_eq!(check["index"]["is"], "agrees", "{check}");
}
