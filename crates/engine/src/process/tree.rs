//! Owns the view of the process table: who descends from whom, who carries a marker, who a pid really is.
//! Tool shells of agent CLIs run in sessions of their own, so a process group is never the whole tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The variable that every process of an attempt carries.
pub const MARKER: &str = "TURNO_ATTEMPT";

/// Which process: a pid alone may have been given to another one meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid.
    pub pid: i32,
    /// When it began, in clock ticks since boot.
    pub started: u64,
}

/// The name of the program that holds a sandbox together. A signal that would merely ask others to leave ends it
/// at once, and everything inside with it.
const SANDBOX: &str = "bwrap";

/// The fields of `/proc/PID/stat` that are needed here.
struct Stat {
    name: String,
    parent: i32,
    state: char,
    started: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also brackets and blanks.
    let (before, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        name: before.split_once('(')?.1.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

/// The parent of a process that is there; zero where it has none that can be seen from here.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    stat(pid).map(|s| s.parent)
}

impl Identity {
    /// The identity of a process that lives now.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|s| Self {
            pid,
            started: s.started,
        })
    }

    /// Whether that very process still lives. A zombie does not.
    pub fn lives(self) -> bool {
        stat(self.pid).is_some_and(|s| s.started == self.started && s.state != 'Z' && s.state != 'X')
    }

    /// Sends it a signal, unless it is gone or its pid is another's now.
    pub fn signal(self, signal: Signal) {
        if self.lives() {
            send(self.pid, signal);
        }
    }
}

pub(crate) fn send(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => tracing::warn!(pid, %errno, "could not signal a process"),
    }
}

/// Every living process that descends from `root`, without `root`.
pub fn descendants(root: i32) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids() {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

/// Every living process below `root` that can be asked to leave. What holds a sandbox together goes by itself, when
/// what is inside has gone.
pub(super) fn askable(root: i32) -> Vec<i32> {
    descendants(root)
        .into_iter()
        .filter(|pid| stat(*pid).is_some_and(|s| s.name != SANDBOX))
        .collect()
}

/// Every living process that carries the marker of an attempt. The last net under a supervisor that was killed.
pub fn marked(marker: &str) -> BTreeSet<i32> {
    let wanted = format!("{MARKER}={marker}");
    pids()
        .into_iter()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| env.split(|b| *b == 0).any(|v| v == wanted.as_bytes()))
        })
        .filter(|pid| stat(*pid).is_some_and(|s| s.state != 'Z'))
        .collect()
}

/// Kills every process that carries the marker, and looks again until none does.
pub async fn kill_marked(marker: &str) {
    for _ in 0..200 {
        let alive = marked(marker);
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            send(pid, Signal::SIGKILL);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    tracing::error!(marker, "processes of an attempt cannot be killed");
}
