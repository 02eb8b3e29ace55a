//! Owns who speaks at the people's door: a process of an attempt is no person. Where nothing confines an agent it
//! reaches the socket like any other program of its user's, and it is known by what it descends from.
//!
//! Whoever steers another program of the user's (a terminal, a scheduler) goes around this: it is no sandbox.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::net::UnixStream;

use crate::process::tree::{MARKER, parent};

/// Nobody descends from more than so many.
const DEEPEST: usize = 4096;
/// How often the walk is begun again when a process on the way ended meanwhile.
const WALKS: usize = 20;

/// Who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A program of the user's own.
    Person,
    /// A process of an attempt of this workspace.
    Attempt,
    /// It cannot be seen, or was gone before it could be.
    Unknown,
}

impl Peer {
    /// Who has connected. `marks` is how markers of this workspace's attempts begin.
    pub(super) fn of(stream: &UnixStream, marks: &str) -> Self {
        let pid = stream.peer_cred().ok().and_then(|cred| cred.pid());
        pid.filter(|pid| *pid > 0)
            .map_or(Self::Unknown, |pid| Self::of_process(pid, marks))
    }

    fn of_process(pid: i32, marks: &str) -> Self {
        (0..WALKS).find_map(|_| walk(pid, marks)).unwrap_or(Self::Unknown)
    }

    /// Why it is not served, if it is not.
    pub(super) fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Person => None,
            Self::Attempt => {
                Some("an attempt of this workspace asks, and only a person may: type it in a terminal")
            }
            Self::Unknown => Some(
                "it cannot be seen which process asks, so it may be an agent's: type it on the machine, and in the \
                 container, in which the shift runs",
            ),
        }
    }
}

/// From a process up to the first one; `None` when one on the way ended meanwhile. A supervisor is the reaper of all
/// that descends from it, and carries the marker from its start: who lets go of its parents is below it still.
fn walk(mut pid: i32, marks: &str) -> Option<Peer> {
    for _ in 0..DEEPEST {
        if is_marked(pid, marks) {
            return Some(Peer::Attempt);
        }
        match parent(pid) {
            // The first process, or one whose parent is not to be seen from here.
            Some(0) => return Some(Peer::Person),
            Some(next) => pid = next,
            // There, but another user's, where the kernel shows nobody those.
            None if kill(Pid::from_raw(pid), None) == Err(Errno::EPERM) => return Some(Peer::Person),
            None => return None,
        }
    }
    None
}

/// Whether a process began its life in an attempt. What belongs to another user cannot be read, and is no attempt's.
fn is_marked(pid: i32, marks: &str) -> bool {
    let wanted = format!("{MARKER}={marks}");
    let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
    environment
        .split(|b| *b == 0)
        .any(|variable| variable.starts_with(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell that waits for the end of its input, under a marker, with one child of no environment.
    fn waiting(marker: &str) -> Child {
        Command::new("/bin/sh")
            .args(["-c", "env -i /bin/sh -c 'echo $$; read x'; true"])
            .env(MARKER, marker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn child_of(shell: &mut Child) -> i32 {
        use std::io::{BufRead, BufReader};
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        line.trim().parse().unwrap()
    }

    #[test]
    fn a_process_of_an_attempt_is_known_also_without_its_environment() {
        let mut shell = waiting("abc-7");
        let child = child_of(&mut shell);
        let seen = |pid| Peer::of_process(pid, "abc-");
        let found = (seen(shell.id().cast_signed()), seen(child));
        // Those of another workspace are that one's business.
        let elsewhere = Peer::of_process(child, "abd-");
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(found, (Peer::Attempt, Peer::Attempt));
        assert_eq!(elsewhere, Peer::Person);
    }

    #[test]
    fn who_is_gone_is_not_taken_for_a_person() {
        let mut gone = Command::new("/bin/true").spawn().unwrap();
        let pid = gone.id().cast_signed();
        gone.wait().unwrap();
        assert_eq!(Peer::of_process(pid, "abc-"), Peer::Unknown);
        assert!(Peer::Unknown.refusal().is_some());
        let me = std::process::id().cast_signed();
        assert_eq!(Peer::of_process(me, "abc-"), Peer::Person);
        assert_eq!(Peer::Person.refusal(), None);
    }
}
