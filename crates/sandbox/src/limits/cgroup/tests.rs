//! Groups of this machine, made and limited for real where one may be made.

use super::*;
use crate::limits::means::{Places, UNIFIED};
use std::process::{Child, Command, Stdio};

fn name(of: &str) -> GroupName {
    GroupName::try_from(format!("turno-test-{}-{of}", std::process::id())).unwrap()
}

/// The means of this machine, if there are groups; a test without them says so.
fn groups(test: &str) -> Option<Means> {
    match Means::probe() {
        Means::Rlimits(why) => {
            println!("SKIPPED: {test} needs a control group that may be written: {why:?}");
            None
        }
        means @ (Means::CgroupV1(_) | Means::CgroupV2(_)) => Some(means),
    }
}

/// Starts a script in the group. This process stays outside: what other tests start meanwhile is not to be born there.
fn start_in(group: &Group, script: &str) -> Child {
    let mut child = start(&format!("read moved; {script}"));
    let pid = i32::try_from(child.id()).unwrap();
    for (dir, _) in group.seats.dirs() {
        move_to(dir, pid).unwrap();
    }
    io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
    child
}

fn start(script: &str) -> Child {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).stdin(Stdio::piped());
    let quiet = shell.stderr(Stdio::null()).stdout(Stdio::piped());
    quiet.spawn().unwrap()
}

/// Waits for a line, so that what comes before it has happened.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    io::BufRead::read_line(&mut io::BufReader::new(out), &mut line).unwrap();
    line.trim().to_owned()
}

fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|s| !s.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

fn exists(group: &Group) -> bool {
    group.seats.dirs().iter().any(|(dir, _)| dir.exists())
}

fn remove(group: Group) {
    let dirs: Vec<PathBuf> = group
        .seats
        .dirs()
        .iter()
        .map(|(dir, _)| dir.to_path_buf())
        .collect();
    group.remove().unwrap();
    for dir in dirs {
        assert!(!dir.exists(), "{} is left", dir.display());
    }
}

#[test]
fn a_memory_hog_is_killed_and_counted_and_nothing_is_left() {
    let _alone = crate::limits::tests::alone();
    let Some(means) = groups("a memory hog") else {
        return;
    };
    let limits = Limits {
        memory: Bound::AtMost(32 << 20),
        cpu_weight: CpuWeight::try_from(50).unwrap(),
        ..Limits::none()
    };
    let group = Group::make(&means, &name("hog"), &limits).unwrap().unwrap();
    if let Seats::V1 { cpu: Some(cpu), .. } = &group.seats {
        assert_eq!(read(&cpu.join("cpu.shares")).unwrap(), "512\n");
    }
    assert_eq!(group.hits().unwrap().memory, MemoryKills::None);
    let mut child = start_in(
        &group,
        "exec head -c 300M /dev/zero | exec tail -c 200M >/dev/null",
    );
    assert!(!child.wait().unwrap().success());
    let hits = group.hits().unwrap();
    assert_eq!((hits.memory, hits.refused_forks), (MemoryKills::AtLimit, 0));
    remove(group);
}

#[test]
fn forks_beyond_the_limit_are_refused_and_counted_and_what_runs_is_killed() {
    let _alone = crate::limits::tests::alone();
    let Some(means) = groups("a fork bomb") else {
        return;
    };
    let limits = Limits {
        processes: Bound::AtMost(6),
        ..Limits::none()
    };
    let group = Group::make(&means, &name("forks"), &limits).unwrap().unwrap();
    let mut child = start_in(&group, "for i in 1 2 3 4 5 6 7 8 9; do sleep 300 & done; wait");
    // The shell gives up at the first fork that is refused.
    assert!(!child.wait().unwrap().success());
    let hits = group.hits().unwrap();
    assert!(hits.refused_forks > 0, "{hits:?}");
    assert_eq!(hits.memory, MemoryKills::None);
    let (dir, _) = group.seats.dirs()[0];
    let left = members(dir, DEEPEST);
    assert_eq!(left.len(), 5, "the sleepers live in the group: {left:?}");
    remove(group);
    assert!(!left.into_iter().any(runs));
}

#[test]
fn what_a_dead_supervisor_left_is_removed_when_the_name_is_used_again_and_on_demand() {
    let _alone = crate::limits::tests::alone();
    let Some(means) = groups("a stale group") else {
        return;
    };
    let leave_behind = || {
        let group = Group::make(&means, &name("stale"), &Limits::none())
            .unwrap()
            .unwrap();
        let mut child = start_in(&group, "echo ready; exec sleep 300");
        assert_eq!(first_line(&mut child), "ready");
        std::fs::create_dir(group.seats.dirs()[0].0.join("below")).unwrap();
        std::mem::forget(group);
        child
    };
    let mut first = leave_behind();
    let mut second = leave_behind();
    assert!(
        !first.wait().unwrap().success(),
        "making the group again killed it"
    );
    Group::discard(&means, &name("stale")).unwrap();
    assert!(!second.wait().unwrap().success(), "discarding killed it");
    let group = Group::found(&means, &name("stale")).unwrap();
    assert!(!exists(&group));
    Group::discard(&means, &name("never-made")).unwrap();
}

#[test]
fn what_is_started_from_inside_is_born_there_and_nothing_after_leaving() {
    let _alone = crate::limits::tests::alone();
    let Some(means) = groups("joining a group") else {
        return;
    };
    let group = Group::make(&means, &name("join"), &Limits::none())
        .unwrap()
        .unwrap();
    group.join().unwrap();
    let inside = start("read line");
    group.leave().unwrap();
    let outside = start("read line");
    for (dir, _) in group.seats.dirs() {
        let there = members(dir, 0);
        let is_there = |child: &Child| there.contains(&i32::try_from(child.id()).unwrap());
        assert!(is_there(&inside) && !is_there(&outside), "{there:?}");
        assert!(!there.contains(&own_pid()), "{there:?}");
    }
    // What other tests started in between lives on.
    group.dissolve().unwrap();
    for mut child in [inside, outside] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn a_group_that_is_dissolved_lets_those_in_it_live() {
    let _alone = crate::limits::tests::alone();
    let Some(means) = groups("a dissolved group") else {
        return;
    };
    let group = Group::make(&means, &name("dissolve"), &Limits::none())
        .unwrap()
        .unwrap();
    let mut child = start_in(&group, "echo ready; read line; echo lives");
    assert_eq!(members(group.seats.dirs()[0].0, 0).len(), 1);
    let dirs: Vec<PathBuf> = group.seats.dirs().iter().map(|(d, _)| d.to_path_buf()).collect();
    group.dissolve().unwrap();
    assert!(!dirs.iter().any(|dir| dir.exists()));
    drop(child.stdin.take());
    assert!(child.wait_with_output().unwrap().stdout.ends_with(b"lives\n"));
}

#[test]
fn a_group_that_is_let_go_is_removed_with_what_runs_in_it() {
    let _alone = crate::limits::tests::alone();
    let Some(means) = groups("a dropped group") else {
        return;
    };
    let group = Group::make(&means, &name("drop"), &Limits::none())
        .unwrap()
        .unwrap();
    let mut child = start_in(&group, "echo ready; exec sleep 300");
    assert_eq!(first_line(&mut child), "ready");
    assert!(exists(&group));
    drop(group);
    assert!(!child.wait().unwrap().success());
    let group = Group::found(&means, &name("drop")).unwrap();
    assert!(!exists(&group));
    std::mem::forget(group);
}

/// Version 2 as far as a tree without the controllers goes: it is made, entered, killed and removed.
#[test]
fn a_group_of_version_2_is_killed_at_once() {
    let _alone = crate::limits::tests::alone();
    let own = Places::of_this_process().unwrap().own.get(UNIFIED).cloned();
    let dir = own.as_ref().map(|own| own.join(name("v2")));
    let (Some(back), Some(dir)) = (own, dir) else {
        println!("SKIPPED: killing a group of version 2: it is not mounted");
        return;
    };
    if let Err(error) = std::fs::create_dir(&dir) {
        return println!(
            "SKIPPED: killing a group of version 2: {}: {error}",
            dir.display()
        );
    }
    let group = Group {
        seats: Seats::V2 {
            dir,
            back,
            cpu: CpuOfV2::NotWeighed,
        },
        removed: Removed::Not,
    };
    let mut child = start_in(&group, "sleep 300 & echo $!; wait");
    let sleeper: i32 = first_line(&mut child).parse().unwrap();
    let (dir, _) = group.seats.dirs()[0];
    assert!(members(dir, 0).contains(&sleeper));
    group.kill_all();
    assert!(!child.wait().unwrap().success());
    remove(group);
    assert!(!runs(sleeper));
}

/// What version 2 is told and how its counts are read, on plain files.
#[test]
fn version_2_is_told_and_read_in_its_own_words() {
    let tree = tempfile::tempdir().unwrap();
    let dir = tree.path().to_owned();
    let put = |file: &str, text: &str| std::fs::write(dir.join(file), text).unwrap();
    for file in [
        "memory.max",
        "memory.swap.max",
        "memory.oom.group",
        "pids.max",
        "cpu.weight",
    ] {
        put(file, "");
    }
    let group = Group {
        seats: Seats::V2 {
            dir: dir.clone(),
            back: dir.clone(),
            cpu: CpuOfV2::Weighed,
        },
        removed: Removed::Yes,
    };
    let limits = Limits {
        memory: Bound::AtMost(4096),
        cpu_weight: CpuWeight::try_from(20).unwrap(),
        ..Limits::none()
    };
    group.limit(&limits).unwrap();
    let got = |file: &str| read(&dir.join(file)).unwrap();
    assert_eq!(
        [
            "memory.max",
            "memory.swap.max",
            "memory.oom.group",
            "pids.max",
            "cpu.weight"
        ]
        .map(got),
        ["4096", "0", "1", "max", "20"]
    );
    put("pids.events", "max 3\n");
    put(
        "memory.events",
        "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n",
    );
    let seen = |memory, refused_forks| Hits {
        memory,
        refused_forks,
    };
    assert_eq!(group.hits().unwrap(), seen(MemoryKills::AtLimit, 3));
    put("memory.events", "max 0\noom 0\noom_kill 1\n");
    assert_eq!(group.hits().unwrap(), seen(MemoryKills::Elsewhere, 3));
    std::fs::remove_file(dir.join("memory.events")).unwrap();
    assert!(
        group.hits().is_err(),
        "a count that cannot be read is not a count of none"
    );
}
