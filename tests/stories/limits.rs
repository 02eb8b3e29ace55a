//! A program that takes more of the machine than it may is stopped, its end names the limit, and nothing of it is
//! left: no process, no control group. Through the shipped supervisor.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use turno_engine::process::handed::{Private, frames};
use turno_engine::process::limited::{LimitHit, LimitOrders};
use turno_engine::process::supervised::{end_supervisor, read_end};
use turno_engine::process::supervisor::{After, End, ExitKind, Orders, files};
use turno_engine::process::tree::{MARKER, marked};
use turno_engine::redact::Redaction;
use turno_sandbox::limits::cgroup::GroupName;
use turno_sandbox::limits::means::Means;
use turno_sandbox::limits::{Bound, Limits};

use crate::harness::processes::{signal, until};

const MIB: u64 = 1 << 20;

/// A supervised shell.
struct Run {
    dir: TempDir,
    marker: String,
    supervisor: Child,
    /// Held: a supervisor whose coordinator is gone does not go on for ever.
    _line: UnixStream,
}

/// The means of this machine if they are control groups; a story that cannot be told without says so.
fn groups(story: &str) -> Option<Means> {
    match Means::probe() {
        Means::Rlimits(why) => {
            println!("SKIPPED: {story} needs a control group that may be written: {why:?}");
            None
        }
        means @ (Means::CgroupV1(_) | Means::CgroupV2(_)) => Some(means),
    }
}

impl Run {
    /// Runs a script in a directory of its own, `work`, which is the place it may write to.
    fn start(means: Means, limits: Limits, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap();
        let marker = format!("story{}", name.replace('.', "-"));
        let group = GroupName::try_from(format!("turno-{marker}")).unwrap();
        let orders = Orders {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
            cwd: work.clone(),
            grace_ms: 60_000,
            limit_ms: 60_000,
            output_cap: MIB,
            alone_ms: 60_000,
            limits: Some(LimitOrders {
                limits,
                means,
                group,
                disk_roots: vec![work],
            }),
            after: After::Nothing,
        };
        let text = serde_json::to_vec(&orders).unwrap();
        std::fs::write(dir.path().join(files::ORDERS), text).unwrap();
        let (mut line, theirs) = UnixStream::pair().unwrap();
        let supervisor = Command::new(env!("CARGO_BIN_EXE_turno"))
            .arg("supervise")
            .arg(dir.path())
            .env(MARKER, &marker)
            .stdin(std::os::fd::OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let private = Private {
            argv: orders.argv,
            net: None,
        };
        line.write_all(&frames(&Redaction::default(), &private).unwrap())
            .unwrap();
        Self {
            _line: line,
            dir,
            marker,
            supervisor,
        }
    }

    /// The end, when nothing of it is left.
    #[track_caller]
    fn end(mut self) -> End {
        let begun = Instant::now();
        assert!(self.supervisor.wait().unwrap().success());
        assert!(begun.elapsed() < Duration::from_secs(50), "it was not stopped");
        assert_eq!(marked(&self.marker), [].into(), "processes are left");
        let groups = groups_named(Path::new("/sys/fs/cgroup"), &self.marker, 6);
        assert_eq!(groups, Vec::<PathBuf>::new(), "control groups are left");
        read_end(self.dir.path()).unwrap()
    }
}

fn groups_named(dir: &Path, part: &str, deeper: usize) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let below = entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path());
    below
        .flat_map(|path| match path.to_str().is_some_and(|p| p.contains(part)) {
            true => vec![path],
            false if deeper > 0 => groups_named(&path, part, deeper - 1),
            false => Vec::new(),
        })
        .collect()
}

#[test]
fn a_memory_hog_is_stopped_with_all_it_started() {
    let Some(means) = groups("a memory hog") else {
        return;
    };
    let limits = Limits {
        memory: Bound::AtMost(48 * MIB),
        ..Limits::none()
    };
    // The hog is a child that its parent does not even wait for.
    let script = "setsid sleep 300 & head -c 300M /dev/zero | tail -c 200M >/dev/null & exec sleep 300";
    let end = Run::start(means, limits, script).end();
    assert_eq!(end, End::HitLimit(LimitHit::Memory { limit: 48 * MIB }));
}

#[test]
fn a_fork_bomb_is_stopped_and_named() {
    let Some(means) = groups("a fork bomb") else {
        return;
    };
    let limits = Limits {
        processes: Bound::AtMost(40),
        ..Limits::none()
    };
    // It would end by itself at a thousand, in case nobody stops it.
    let script = "bomb() { [ $1 -gt 10 ] && exec sleep 300; bomb $(($1 + 1)) & bomb $(($1 + 1)); }; \
        bomb 1 & i=0; while [ $i -lt 100 ]; do sleep 300 & i=$((i + 1)); done; wait";
    let end = Run::start(means, limits, script).end();
    assert_eq!(end, End::HitLimit(LimitHit::Processes { limit: 40 }));
}

#[test]
fn a_program_that_does_without_what_it_was_refused_has_ended_well() {
    let Some(means) = groups("a refused fork") else {
        return;
    };
    let limits = Limits {
        processes: Bound::AtMost(4),
        ..Limits::none()
    };
    let script = "(for i in 1 2 3 4 5 6; do sleep 300 & done) 2>/dev/null && exit 3; exit 0";
    let end = Run::start(means, limits, script).end();
    assert_eq!(end, End::Exited(ExitKind::Code(0)));
}

#[test]
fn what_a_failed_program_left_is_killed_without_being_blamed_for_it() {
    let Some(means) = groups("what is left") else {
        return;
    };
    let limits = Limits {
        processes: Bound::AtMost(200),
        ..Limits::none()
    };
    let script = "i=0; while [ $i -lt 40 ]; do i=$((i + 1)); \
        setsid sh -c \": >$i; while :; do (:); done\" & done; \
        while [ \"$(ls | wc -l)\" -lt 40 ]; do :; done; exit 3";
    let end = Run::start(means, limits, script).end();
    assert_eq!(end, End::Exited(ExitKind::Code(3)));
}

#[test]
fn the_group_of_a_supervisor_that_was_killed_is_removed_with_what_it_left() {
    let Some(means) = groups("a killed supervisor") else {
        return;
    };
    let mut run = Run::start(
        means,
        Limits::default_for_agents(None),
        "echo >ready; exec sleep 300",
    );
    until("it runs", || run.dir.path().join("work/ready").exists());
    run.supervisor.kill().unwrap();
    run.supervisor.wait().unwrap();
    let left = || groups_named(Path::new("/sys/fs/cgroup"), &run.marker, 6);
    assert_ne!(left(), Vec::<PathBuf>::new());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(end_supervisor(run.dir.path()));
    assert_eq!(left(), Vec::<PathBuf>::new());
    until("nothing runs", || marked(&run.marker).is_empty());
}

#[test]
fn a_disk_flood_is_stopped() {
    let limits = Limits {
        disk: Bound::AtMost(16 * MIB),
        ..Limits::none()
    };
    let script = "mkdir below; head -c 200M /dev/zero >below/flood; exec sleep 300";
    let end = Run::start(Means::probe(), limits, script).end();
    assert_eq!(end, End::HitLimit(LimitHit::Disk { limit: 16 * MIB }));
}

#[test]
fn a_flood_of_empty_files_is_stopped() {
    let limits = Limits {
        files: Bound::AtMost(500),
        ..Limits::none()
    };
    let script = "i=0; while [ $i -lt 3000 ]; do : >$i; i=$((i + 1)); done; exec sleep 300";
    let end = Run::start(Means::probe(), limits, script).end();
    assert_eq!(end, End::HitLimit(LimitHit::Files { limit: 500 }));
}

#[test]
fn without_control_groups_processes_are_counted() {
    let why = turno_sandbox::limits::means::WhyNot {
        v2: "not in this story".to_owned(),
        v1: "not in this story".to_owned(),
    };
    let limits = Limits {
        processes: Bound::AtMost(20),
        ..Limits::none()
    };
    let script = "i=0; while [ $i -lt 60 ]; do sleep 300 & i=$((i + 1)); done; wait";
    let end = Run::start(Means::Rlimits(why), limits, script).end();
    assert_eq!(end, End::HitLimit(LimitHit::Processes { limit: 20 }));
}

#[test]
fn what_stays_within_its_limits_ends_as_it_ends() {
    let limits = Limits::default_for_agents(None);
    let script = "mkdir d; echo text >d/file; (exit 1); exit 7";
    let end = Run::start(Means::probe(), limits, script).end();
    assert_eq!(end, End::Exited(ExitKind::Code(7)));
}

#[test]
fn whoever_is_asked_to_leave_can_finish_inside_a_sandbox() {
    // A shell under the name of what holds a sandbox together, and a program in a session of its own inside.
    let script = "cp /bin/sh bwrap; cat >inside <<'X'\n\
        trap 'echo finished >finished; exit 0' INT\n\
        echo ready >ready\n\
        while :; do sleep 0.05; done\n\
        X\n\
        exec ./bwrap -c 'setsid sh inside; echo closed >closed; exit 5'";
    let run = Run::start(Means::probe(), Limits::none(), script);
    let work = run.dir.path().join("work");
    until("the program is ready", || work.join("ready").exists());
    signal(&run.supervisor, Signal::SIGTERM);
    until("it has finished", || work.join("closed").exists());
    assert!(work.join("finished").exists());
    assert_eq!(run.end(), End::Stopped);
}
