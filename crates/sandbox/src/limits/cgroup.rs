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
mod tests;
