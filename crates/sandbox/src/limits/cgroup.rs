//! Owns the control group of one run: made before its program is started, limited, asked what was hit, and removed
//! with everything in it. It touches no group but the one of the name it is given.

mod name;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::name::{BadName, GroupName};
use self::tree::{
    count, kill_each, members, move_to, own_pid, plain, read, remove_below, write, write_if_there,
};
use super::means::{CpuOfV2, Means, V1, V2};
use super::{Bound, CpuWeight, Limits};

/// How long removing a group is tried: the kernel takes a moment to let go of the dead.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// How groups within groups may be nested before it is taken for an attack.
const DEEPEST: usize = 64;

/// A step that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the control group {}: {source}. Is it Turno's to write?", path.display())]
pub struct Error {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error { doing, path, source }
}

/// What a group ran into so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// Whether the kernel killed something of it for want of memory.
    pub memory: MemoryKills,
    /// How often a new process or thread was refused.
    pub refused_forks: u64,
}

/// Whether the kernel killed for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryKills {
    /// It did not.
    None,
    /// It did: the group was at its own limit.
    AtLimit,
    /// It did, but the group's own limit was never reached: the machine, or a group above, had no more.
    Elsewhere,
}

/// The group of one run. It is removed at the latest when this value goes.
#[derive(Debug)]
pub struct Group {
    seats: Seats,
    removed: Removed,
}

/// Whether there is still something to remove.
#[derive(Debug, PartialEq, Eq)]
enum Removed {
    Not,
    Yes,
}

/// The directories of a group.
#[derive(Debug)]
enum Seats {
    V2 {
        dir: PathBuf,
        back: PathBuf,
        cpu: CpuOfV2,
    },
    V1 {
        memory: PathBuf,
        pids: PathBuf,
        cpu: Option<PathBuf>,
        means: V1,
    },
}

impl Group {
    /// Makes the group of a run. What a dead supervisor left under the same name is killed and removed first, so no
    /// two living runs may have one name. `None` where no control group is in force.
    ///
    /// # Errors
    /// When the kernel refuses a step; nothing of the group is left then.
    pub fn make(means: &Means, name: &GroupName, limits: &Limits) -> Result<Option<Self>, Error> {
        let Some(group) = Self::found(means, name) else {
            return Ok(None);
        };
        group.clear()?;
        // From here on, what was made is removed when a step fails.
        for (dir, _) in group.seats.dirs() {
            match std::fs::create_dir(dir) {
                Ok(()) => {}
                // Two controllers may be one tree.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed("make", dir)(e)),
            }
        }
        group.limit(limits)?;
        Ok(Some(group))
    }

    /// Kills and removes what is left of a run whose supervisor is dead, if there is anything.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(means: &Means, name: &GroupName) -> Result<(), Error> {
        Self::found(means, name).map_or(Ok(()), Self::remove)
    }

    fn found(means: &Means, name: &GroupName) -> Option<Self> {
        let seats = match means {
            Means::CgroupV2(V2 { parent, own, cpu }) => Seats::V2 {
                dir: parent.join(name),
                back: own.clone(),
                cpu: *cpu,
            },
            Means::CgroupV1(means) => Seats::V1 {
                memory: means.memory.join(name),
                pids: means.pids.join(name),
                cpu: means.cpu.as_ref().map(|cpu| cpu.join(name)),
                means: means.clone(),
            },
            Means::Rlimits(_) => return None,
        };
        Some(Self {
            seats,
            removed: Removed::Not,
        })
    }

    fn limit(&self, limits: &Limits) -> Result<(), Error> {
        match &self.seats {
            Seats::V2 { dir, cpu, .. } => {
                write(&dir.join("memory.max"), &number(limits.memory, "max"))?;
                if let Bound::AtMost(_) = limits.memory {
                    write_if_there(&dir.join("memory.swap.max"), "0")?;
                }
                // Half a run is of no use to anybody.
                write_if_there(&dir.join("memory.oom.group"), "1")?;
                write(&dir.join("pids.max"), &number(limits.processes, "max"))?;
                match cpu {
                    CpuOfV2::Weighed => {
                        write(&dir.join("cpu.weight"), &limits.cpu_weight.number().to_string())
                    }
                    CpuOfV2::NotWeighed => Ok(()),
                }
            }
            Seats::V1 {
                memory, pids, cpu, ..
            } => {
                if let Bound::AtMost(most) = limits.memory {
                    write(&memory.join("memory.limit_in_bytes"), &most.to_string())?;
                    write_if_there(&memory.join("memory.memsw.limit_in_bytes"), &most.to_string())?;
                }
                write(&pids.join("pids.max"), &number(limits.processes, "max"))?;
                match cpu {
                    Some(cpu) => write(&cpu.join("cpu.shares"), &shares(limits.cpu_weight).to_string()),
                    None => Ok(()),
                }
            }
        }
    }

    /// Moves this process into the group: what it starts from now on is born there.
    ///
    /// # Errors
    /// When the kernel refuses; then call [`Group::leave`].
    pub fn join(&self) -> Result<(), Error> {
        for (dir, _) in self.seats.dirs() {
            move_to(dir, own_pid())?;
        }
        Ok(())
    }

    /// Moves this process back to where it came from.
    ///
    /// # Errors
    /// When the kernel refuses: then this process shares the group's limits, and ends with it.
    pub fn leave(&self) -> Result<(), Error> {
        for (_, back) in self.seats.dirs() {
            move_to(back, own_pid())?;
        }
        Ok(())
    }

    /// What it has run into.
    ///
    /// # Errors
    /// When the kernel's counts cannot be read.
    pub fn hits(&self) -> Result<Hits, Error> {
        let (kills, at_limit, pids) = match &self.seats {
            Seats::V2 { dir, .. } => {
                let events = read(&dir.join("memory.events"))?;
                (count(&events, "oom_kill"), count(&events, "oom"), dir)
            }
            Seats::V1 { memory, pids, .. } => {
                let control = read(&memory.join("memory.oom_control"))?;
                // Not `memory.failcnt`, which some kernels leave at zero.
                let peak = plain(&memory.join("memory.max_usage_in_bytes"))?;
                let limit = plain(&memory.join("memory.limit_in_bytes"))?;
                let was_full = peak >= limit - limit / 16;
                (count(&control, "oom_kill"), u64::from(was_full), pids)
            }
        };
        let memory = match (kills, at_limit) {
            (0, _) => MemoryKills::None,
            (_, 0) => MemoryKills::Elsewhere,
            (_, _) => MemoryKills::AtLimit,
        };
        let refused_forks = count(&read(&pids.join("pids.events"))?, "max");
        Ok(Hits {
            memory,
            refused_forks,
        })
    }

    /// Kills everything in it but this process. To be repeated until nothing is left: the dead take a moment.
    pub fn kill_all(&self) {
        match &self.seats {
            Seats::V2 { dir, .. } => {
                // The kernel's own way would kill this process too.
                let pids = members(dir, DEEPEST);
                let me_too = pids.contains(&own_pid());
                if me_too || write(&dir.join("cgroup.kill"), "1").is_err() {
                    kill_each(&pids);
                }
            }
            Seats::V1 { memory, pids, .. } => {
                // Without this, what forks quickly enough is never caught.
                if let Err(error) = write_if_there(&pids.join("pids.max"), "0") {
                    tracing::warn!(%error, "new processes cannot be held up");
                }
                kill_each(&members(pids, DEEPEST));
                kill_each(&members(memory, DEEPEST));
            }
        }
    }

    /// Kills what is left in it and removes it.
    ///
    /// # Errors
    /// When something in it cannot be killed.
    pub fn remove(mut self) -> Result<(), Error> {
        self.removed = Removed::Yes;
        self.clear()
    }

    /// Moves whatever is in it to where this process is, and removes it: for a group that was nobody's run.
    ///
    /// # Errors
    /// When something in it cannot be moved.
    pub(super) fn dissolve(mut self) -> Result<(), Error> {
        self.removed = Removed::Yes;
        self.empty_by(|group| {
            for (dir, back) in group.seats.dirs() {
                for pid in members(dir, DEEPEST) {
                    // It may end just now. What does not go keeps the group from being removed, which is told.
                    let _gone: Result<(), Error> = move_to(back, pid);
                }
            }
        })
    }

    fn clear(&self) -> Result<(), Error> {
        self.empty_by(Self::kill_all)
    }

    fn empty_by(&self, way: impl Fn(&Self)) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let Err((dir, error)) = self.remove_dirs() else {
                return Ok(());
            };
            if begun.elapsed() > PATIENCE {
                return Err(failed("remove", &dir)(error));
            }
            way(self);
            std::thread::sleep(PAUSE);
        }
    }

    fn remove_dirs(&self) -> Result<(), (PathBuf, io::Error)> {
        for (dir, _) in self.seats.dirs() {
            remove_below(dir, DEEPEST).map_err(|e| (dir.to_owned(), e))?;
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.removed == Removed::Not
            && let Err(error) = self.leave().and_then(|()| self.clear())
        {
            tracing::error!(%error, "a control group is left behind");
        }
    }
}

impl Seats {
    /// Each directory of the group, with the one that this process goes back to.
    fn dirs(&self) -> Vec<(&Path, &Path)> {
        match self {
            Self::V2 { dir, back, .. } => vec![(dir.as_path(), back.as_path())],
            Self::V1 {
                memory,
                pids,
                cpu,
                means,
            } => [
                Some((memory.as_path(), means.memory.as_path())),
                Some((pids.as_path(), means.pids.as_path())),
                cpu.as_deref().zip(means.cpu.as_deref()),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}

/// Version 1 counts in shares, 1024 of them for what version 2 calls 100.
fn shares(weight: CpuWeight) -> u32 {
    (u32::from(weight.number()) * 1024 / 100).max(2)
}

fn number(bound: Bound, unlimited: &str) -> String {
    bound
        .number()
        .map_or_else(|| unlimited.to_owned(), |n| n.to_string())
}

#[cfg(test)]
mod tests {
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

    fn start_in(group: &Group, script: &str) -> Child {
        group.join().unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        group.leave().unwrap();
        child.unwrap()
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
}
