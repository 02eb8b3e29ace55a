//! Owns the view of what a project's shift has left running, and waiting with an end: nothing here waits for ever.

use std::fs;
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::project::{Done, Project};

/// No wait in a story is longer, unless the story says so. It is no measure of how quick anything is: what takes one
/// second alone takes twenty on a machine on which others build.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// A process that is still there.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) pid: i32,
    #[expect(dead_code, reason = "for the message of a failing story")]
    pub(crate) command: String,
}

fn pids() -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether a process runs. A zombie that waits for its parent does not.
pub(crate) fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        !state.starts_with('Z') && !state.starts_with('X')
    })
}

/// Every process whose environment or command line names this text.
pub(crate) fn naming(text: &str) -> Vec<i32> {
    let names = |file: String| {
        let bytes = fs::read(file).unwrap_or_default();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    };
    let named = |pid: &i32| names(format!("/proc/{pid}/environ")) || names(format!("/proc/{pid}/cmdline"));
    pids().into_iter().filter(named).collect()
}

/// Every process that carries an attempt's marker, names the project's directories in its environment, works in
/// them, or wrote its number down in the file `pids` of the project's shared directory.
pub(crate) fn alive(project: &Project) -> Vec<Alive> {
    let top = project.repo().parent().unwrap().to_owned();
    let needle = top.to_str().unwrap().as_bytes().to_owned();
    // In a sandbox processes have numbers of their own, which say nothing out here.
    let mut noted: Vec<i32> = if project.is_confined() {
        Vec::new()
    } else {
        recorded(project)
    };
    noted.sort_unstable();
    pids()
        .into_iter()
        .filter(|pid| runs(*pid))
        .filter(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let here = environ.windows(needle.len()).any(|w| w == needle);
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&top));
            here || cwd || noted.binary_search(pid).is_ok()
        })
        .map(|pid| Alive {
            pid,
            command: String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
                .replace('\0', " "),
        })
        .collect()
}

/// The numbers that processes of a story wrote down.
pub(crate) fn recorded(project: &Project) -> Vec<i32> {
    fs::read_to_string(project.shared().join("pids"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl FnMut() -> bool) {
    until_within(PATIENCE, what, so);
}

/// The same, for as long as the story says.
#[track_caller]
pub(crate) fn until_within(patience: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < patience, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until so many processes of a story have written their numbers down.
#[track_caller]
pub(crate) fn until_recorded(project: &Project, count: usize) {
    until(&format!("{count} processes run"), || {
        recorded(project).len() >= count
    });
}

/// Sends a signal to a started verb.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// Waits for the end of a started verb; one that does not end is killed and the story fails.
#[track_caller]
pub(crate) fn ended(project: &Project, child: Child) -> Done {
    ended_within(PATIENCE, project, child)
}

/// The same, for as long as the story says.
#[track_caller]
pub(crate) fn ended_within(patience: Duration, project: &Project, child: Child) -> Done {
    let pid = Pid::from_raw(child.id().cast_signed());
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || tell.send(project.wait(child)).unwrap());
        told.recv_timeout(patience).unwrap_or_else(|_| {
            kill(pid, Signal::SIGKILL).unwrap();
            let done = told.recv().unwrap();
            panic!(
                "it did not end\n--- stdout\n{}\n--- stderr\n{}",
                done.out, done.err
            );
        })
    })
}

/// Waits for the end of a started verb, or makes one when it has had its time: some have no end of their own.
pub(crate) fn ended_or_killed(patience: Duration, project: &Project, child: Child) -> Done {
    let pid = Pid::from_raw(child.id().cast_signed());
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || tell.send(project.wait(child)).unwrap());
        told.recv_timeout(patience).unwrap_or_else(|_| {
            kill(pid, Signal::SIGKILL).unwrap();
            told.recv().unwrap()
        })
    })
}

/// Nothing of the project runs. No moment of grace: the coordinator has ended, so all below it must have.
#[track_caller]
pub(crate) fn nothing_runs(project: &Project) {
    let left = alive(project);
    assert!(left.is_empty(), "still running: {left:#?}");
}

/// Leaves the machine as it was found, however the story went.
pub(crate) fn sweep(project: &Project) {
    for one in alive(project) {
        if let Err(errno) = kill(Pid::from_raw(one.pid), Signal::SIGKILL) {
            println!("{one:?} is gone already: {errno}");
        }
    }
}

/// Whether a file with this text is held by any branch or salvage ref.
pub(crate) fn kept(project: &Project, path: &str, text: &str) -> bool {
    let refs = project.git(&["for-each-ref", "--format=%(refname)"]);
    refs.lines().any(|name| {
        let at = format!("{name}:{path}");
        let listed = project.git(&["ls-tree", "--name-only", name, "--", path]);
        !listed.is_empty() && project.git(&["show", &at]) == text
    })
}
