//! Owns how far a stop has come: the program is asked to leave, then its whole tree is killed, and that has an end too.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::super::paper::End;
use super::super::tree;
use super::Supervisor;

/// How long killing is tried.
const IN_VAIN: Duration = Duration::from_secs(10);

/// How far a stop has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ladder {
    /// Nobody asked.
    Standing,
    /// The program was asked to leave; it is killed then.
    Asked(Instant),
    /// The tree is being killed, since then.
    Killing(Instant),
}

impl Supervisor {
    /// Asks the program to leave; its grace runs from now.
    pub(super) fn ask(&mut self, why: End) {
        if self.ladder == Ladder::Standing {
            self.verdict.get_or_insert(why);
            self.ladder = Ladder::Asked(Instant::now() + Duration::from_millis(self.orders.grace_ms));
            for pid in tree::askable(std::process::id().cast_signed()) {
                tree::send(pid, Signal::SIGINT);
            }
        }
    }

    /// From now on the tree is killed.
    pub(super) fn kill(&mut self) {
        if !matches!(self.ladder, Ladder::Killing(_)) {
            self.ladder = Ladder::Killing(Instant::now());
        }
    }

    /// Whether something cannot be killed, e.g. because another user owns it. Waiting on would help nobody.
    pub(super) fn is_in_vain(&self) -> bool {
        matches!(self.ladder, Ladder::Killing(since) if since.elapsed() > IN_VAIN)
    }

    /// Kills the tree.
    pub(super) fn stop_as(&mut self, why: End) {
        self.verdict.get_or_insert(why);
        self.kill();
    }

    pub(super) fn climb(&mut self) {
        let now = Instant::now();
        if self.ladder == Ladder::Standing && now >= self.limit {
            self.ask(End::TimedOut);
        }
        if self.ladder == Ladder::Standing && self.alone_until().is_some_and(|until| now >= until) {
            self.ask(End::Alone);
        }
        if let Ladder::Asked(kill_at) = self.ladder
            && now >= kill_at
        {
            self.kill();
        }
        if let Ladder::Killing(_) = self.ladder {
            self.limited.kill_all();
            for pid in tree::descendants(std::process::id().cast_signed()) {
                tree::send(pid, Signal::SIGKILL);
            }
        }
    }
}
