//! Owns the kernel's files of a tree of control groups: how they are read and written, who is in a group, and how it
//! is removed. It must not know what a group is for.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Error, failed};

pub(super) fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

pub(super) fn move_to(dir: &Path, pid: i32) -> Result<(), Error> {
    let procs = dir.join("cgroup.procs");
    write(&procs, &pid.to_string()).map_err(|e| Error {
        doing: "move to",
        ..e
    })
}

/// One write, as the kernel wants it; the file is never made.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(failed("write to", path))
}

pub(super) fn write_if_there(path: &Path, text: &str) -> Result<(), Error> {
    match write(path, text) {
        Err(e) if e.source.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

pub(super) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(failed("read", path))
}

/// The number that is all of a file.
pub(super) fn plain(path: &Path) -> Result<u64, Error> {
    let text = read(path)?;
    text.trim()
        .parse()
        .map_err(|e| failed("read", path)(io::Error::other(e)))
}

/// The number behind a name, in a file of such lines. A kernel that does not count it has no line for it.
pub(super) fn count(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

fn groups_in(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Every process in a group and in those below it.
pub(super) fn members(dir: &Path, deeper: usize) -> Vec<i32> {
    // It may be gone already, and a pid that is not to be seen from here is shown as zero.
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<i32> = text
        .lines()
        .filter_map(|l| l.parse().ok())
        .filter(|p| *p > 1)
        .collect();
    if deeper > 0 {
        found.extend(groups_in(dir).iter().flat_map(|below| members(below, deeper - 1)));
    }
    found
}

pub(super) fn kill_each(pids: &[i32]) {
    for pid in pids.iter().filter(|pid| **pid != own_pid()) {
        match kill(Pid::from_raw(*pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => tracing::warn!(pid, %errno, "a process of a group cannot be killed"),
        }
    }
}

/// Removes a group and those below it. A group that is not there is removed.
pub(super) fn remove_below(dir: &Path, deeper: usize) -> io::Result<()> {
    if deeper > 0 {
        for below in groups_in(dir) {
            remove_below(&below, deeper - 1)?;
        }
    }
    match std::fs::remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}
