//! Owns what a supervisor does about the limits of its run: it has the program born in a control group, looks now
//! and then whether a limit was hit, and says at the end which one it was. It stops nobody: its supervisor does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use turno_sandbox::limits::cgroup::{Error, Group, GroupName, MemoryKills};
use turno_sandbox::limits::disk::{DiskWatch, Over};
use turno_sandbox::limits::means::Means;
use turno_sandbox::limits::{Bound, Limits, bytes};

use super::supervisor::{ExitKind, Orders, files};
use super::tree;

/// How often it looks.
const PACE: Duration = Duration::from_millis(500);

/// What a run is held to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitOrders {
    /// How much it may use.
    pub limits: Limits,
    /// By which means, as the coordinator found out.
    pub means: Means,
    /// The name of its control group. No other living run has it.
    pub group: GroupName,
    /// The places it may write to, its directory for temporary files among them.
    pub disk_roots: Vec<PathBuf>,
}

/// A limit that ended a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitHit {
    /// All of it together used so many bytes of memory.
    Memory {
        /// In bytes.
        limit: u64,
    },
    /// The kernel killed part of it though it was within its own limit: there was no memory left at all.
    MachineMemory,
    /// It had so many processes and threads, and failed when it got no more.
    Processes {
        /// How many.
        limit: u64,
    },
    /// The places it may write to have grown by so much.
    Disk {
        /// In bytes.
        limit: u64,
    },
    /// So many files were added there.
    Files {
        /// How many.
        limit: u64,
    },
    /// It ended at a file that became too large.
    FileSize {
        /// In bytes.
        limit: u64,
    },
    /// The kernel's counts cannot be read, so nobody knows.
    Unknown {
        /// What was tried and what came of it.
        why: String,
    },
}

impl LimitHit {
    /// What happened, for people.
    pub fn words(&self) -> String {
        let more = "raise the limit if the work needs more";
        match self {
            Self::Memory { limit } => {
                format!("it used more than its {} of memory; {more}", bytes(*limit))
            }
            Self::MachineMemory => {
                "the kernel killed part of it because the machine, or the container that Turno \
                runs in, had no memory left; let fewer work at once, or give it more"
                    .to_owned()
            }
            Self::Processes { limit } => {
                format!("it had its {limit} processes and failed when it got no more; {more}")
            }
            Self::Disk { limit } => {
                format!("it wrote more than its {} to disk; {more}", bytes(*limit))
            }
            Self::Files { limit } => format!("it made more than its {limit} files; {more}"),
            Self::FileSize { limit } => {
                format!("it wrote a file of more than its {}; {more}", bytes(*limit))
            }
            Self::Unknown { why } => format!("whether it kept to its limits cannot be seen: {why}"),
        }
    }
}

/// Removes the control group of a run whose supervisor is dead, with whatever is left in it. One that ended in
/// order has done it.
pub(super) async fn discard_group(dir: &Path) {
    let orders = std::fs::read(dir.join(files::ORDERS))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Orders>(&bytes).ok());
    if let Some(limits) = orders.and_then(|o| o.limits) {
        discard(limits).await;
    }
}

/// Removes the control group of a run that nobody minds any more, with whatever is left in it.
pub(crate) async fn discard(LimitOrders { means, group, .. }: LimitOrders) {
    match tokio::task::spawn_blocking(move || Group::discard(&means, &group)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a control group is left behind"),
        Err(error) => tracing::error!(%error, "a control group may be left behind"),
    }
}

/// What a run is held by.
pub(crate) enum Limited {
    /// Nothing.
    Not,
    /// These.
    By(Box<Held>),
}

/// The limits in force on a run.
pub(crate) struct Held {
    orders: LimitOrders,
    group: Option<Group>,
    disk: Option<DiskWatch>,
    next_look: Instant,
}

impl Limited {
    /// Puts the limits in force, before anything is started.
    pub(crate) fn begin(orders: Option<&LimitOrders>) -> std::io::Result<Self> {
        let Some(orders) = orders else {
            return Ok(Self::Not);
        };
        let other = |e: &dyn std::error::Error| std::io::Error::other(format!("it cannot be limited: {e}"));
        let disk = DiskWatch::start(&orders.disk_roots, &orders.limits).map_err(|e| other(&e))?;
        let group = Group::make(&orders.means, &orders.group, &orders.limits).map_err(|e| other(&e))?;
        Ok(Self::By(Box::new(Held {
            orders: orders.clone(),
            group,
            disk,
            next_look: Instant::now() + PACE,
        })))
    }

    /// Starts something that is inside from its first moment on, because its parent is.
    pub(crate) fn born_inside<T>(&self, start: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        let Self::By(held) = self else { return start() };
        let Some(group) = &held.group else { return start() };
        let started = match group.join() {
            Ok(()) => start(),
            Err(error) => Err(std::io::Error::other(error)),
        };
        if let Err(error) = group.leave() {
            // What was started must not run while its supervisor shares its limits, and its end.
            group.kill_all();
            return Err(std::io::Error::other(error));
        }
        started
    }

    /// How long until it wants to look again, if it does.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        match self {
            Self::Not => None,
            Self::By(held) => Some(held.next_look.saturating_duration_since(Instant::now())),
        }
    }

    /// What was hit and ends the run at once, if it is time to look and something was.
    pub(crate) fn look(&mut self) -> Option<LimitHit> {
        let Self::By(held) = self else { return None };
        if Instant::now() < held.next_look {
            return None;
        }
        held.next_look = Instant::now() + PACE;
        held.killed_for_memory()
            .or_else(|| held.over())
            .or_else(|| held.crowd())
    }

    /// What the kernel has killed it for, if that is known.
    pub(crate) fn killed(&self) -> Option<LimitHit> {
        match self {
            Self::Not => None,
            Self::By(held) => held.killed_for_memory(),
        }
    }

    /// What the program failed of, now that it has ended by itself.
    pub(super) fn at_end(&self, exit: ExitKind) -> Option<LimitHit> {
        let Self::By(held) = self else { return None };
        held.killed_for_memory()
            .or_else(|| held.over())
            .or_else(|| held.failed_at(exit))
    }

    /// Kills what is in the group, where there is one.
    pub(crate) fn kill_all(&self) {
        if let Self::By(held) = self
            && let Some(group) = &held.group
        {
            group.kill_all();
        }
    }

    /// Removes the group.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        match std::mem::replace(self, Self::Not) {
            Self::Not => Ok(()),
            Self::By(held) => held.group.map_or(Ok(()), Group::remove),
        }
    }
}

impl Held {
    fn killed_for_memory(&self) -> Option<LimitHit> {
        let hits = match self.group.as_ref()?.hits() {
            Ok(hits) => hits,
            Err(error) => {
                return Some(LimitHit::Unknown {
                    why: error.to_string(),
                });
            }
        };
        match (hits.memory, self.orders.limits.memory) {
            (MemoryKills::None, _) => None,
            (MemoryKills::AtLimit, Bound::AtMost(limit)) => Some(LimitHit::Memory { limit }),
            (MemoryKills::AtLimit | MemoryKills::Elsewhere, _) => Some(LimitHit::MachineMemory),
        }
    }

    fn over(&self) -> Option<LimitHit> {
        self.disk.as_ref()?.over().map(|over| match over {
            Over::Disk { limit, .. } => LimitHit::Disk { limit },
            Over::Files { limit, .. } => LimitHit::Files { limit },
        })
    }

    /// More processes than there may be, where no group refuses them.
    fn crowd(&self) -> Option<LimitHit> {
        let (None, Bound::AtMost(limit)) = (&self.group, self.orders.limits.processes) else {
            return None;
        };
        let count = tree::descendants(std::process::id().cast_signed()).len() as u64;
        (count > limit).then_some(LimitHit::Processes { limit })
    }

    /// A program may do without what it was refused, so a refusal counts only when it failed then.
    fn failed_at(&self, exit: ExitKind) -> Option<LimitHit> {
        const TOO_LARGE: i32 = Signal::SIGXFSZ as i32;
        // A shell, or what stands between, gives the signal of its program as a code.
        const TOO_LARGE_BELOW: i32 = 128 + TOO_LARGE;
        let limits = &self.orders.limits;
        match (exit, limits.file_size) {
            (ExitKind::Code(0), _) => return None,
            (ExitKind::Signal(TOO_LARGE) | ExitKind::Code(TOO_LARGE_BELOW), Bound::AtMost(limit)) => {
                return Some(LimitHit::FileSize { limit });
            }
            (ExitKind::Signal(_) | ExitKind::Code(_), _) => {}
        }
        let refused = self.group.as_ref()?.hits().ok()?.refused_forks;
        match limits.processes {
            Bound::AtMost(limit) if refused > 0 => Some(LimitHit::Processes { limit }),
            Bound::AtMost(_) | Bound::Unlimited => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turno_sandbox::limits::means::WhyNot;

    fn held(limits: Limits) -> Limited {
        let orders = LimitOrders {
            limits,
            means: Means::Rlimits(WhyNot {
                v2: String::new(),
                v1: String::new(),
            }),
            group: "turno-x".to_owned().try_into().unwrap(),
            disk_roots: Vec::new(),
        };
        Limited::begin(Some(&orders)).unwrap()
    }

    #[test]
    fn a_program_that_ended_at_a_file_too_large_says_so() {
        let limited = held(Limits {
            file_size: Bound::AtMost(7),
            ..Limits::none()
        });
        let too_large = Some(LimitHit::FileSize { limit: 7 });
        assert_eq!(limited.at_end(ExitKind::Signal(25)), too_large);
        assert_eq!(limited.at_end(ExitKind::Code(153)), too_large);
        for other in [
            ExitKind::Code(0),
            ExitKind::Code(25),
            ExitKind::Signal(9),
            ExitKind::Signal(11),
        ] {
            assert_eq!(limited.at_end(other), None, "{other:?}");
        }
        assert_eq!(held(Limits::none()).at_end(ExitKind::Signal(25)), None);
    }

    #[test]
    fn what_is_not_limited_is_not_looked_at() {
        let mut limited = Limited::begin(None).unwrap();
        assert_eq!((limited.look(), limited.next_look()), (None, None));
        assert_eq!(limited.at_end(ExitKind::Signal(25)), None);
        limited.end().unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_watched_keeps_the_program_from_being_started() {
        let orders = LimitOrders {
            limits: Limits::default_for_agents(None),
            means: Means::Rlimits(WhyNot {
                v2: String::new(),
                v1: String::new(),
            }),
            group: "turno-x".to_owned().try_into().unwrap(),
            disk_roots: vec!["/no/such/place".into()],
        };
        let text = serde_json::to_string(&orders).unwrap();
        assert_eq!(serde_json::from_str::<LimitOrders>(&text).unwrap(), orders);
        let Err(error) = Limited::begin(Some(&orders)) else {
            panic!("it began")
        };
        assert!(error.to_string().contains("/no/such/place"), "{error}");
    }

    #[test]
    fn every_hit_names_its_limit() {
        let hits = [
            (LimitHit::Memory { limit: 1 << 30 }, "1 GiB of memory"),
            (LimitHit::Processes { limit: 9 }, "9 processes"),
            (LimitHit::Disk { limit: 1 << 20 }, "1 MiB to disk"),
            (LimitHit::Files { limit: 5 }, "5 files"),
            (LimitHit::FileSize { limit: 1 << 10 }, "1 KiB"),
        ];
        for (hit, named) in hits {
            assert!(hit.words().contains(named), "{}", hit.words());
        }
    }
}
