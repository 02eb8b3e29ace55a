//! Owns what is left to be done inside the namespaces, by the program's own parent, before it starts: the second
//! fence. What is done cannot be undone by what is started.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bwrap::PROXY_SOCKET;
use crate::limits::rlimit::{self, Rlimits};
use crate::profile::{Access, Nesting, Network, Profile};
use crate::{landlock, seccomp, system};

/// What holds the program from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// Namespaces, made by bubblewrap.
    Bubblewrap,
    /// Nothing: what is set inside is all there is.
    Nothing,
}

/// What the parent inside is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// What holds the program besides.
    pub outside: Outside,
    /// What it may do.
    pub profile: Profile,
    /// What each of its processes may use.
    pub rlimits: Rlimits,
}

/// Why the second fence is not up. Nothing is started then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// System calls are not filtered.
    #[error(transparent)]
    Seccomp(#[from] seccomp::Error),
    /// Files and signals are not held.
    #[error(transparent)]
    Landlock(#[from] landlock::Error),
    /// A limit is not set.
    #[error(transparent)]
    Limit(#[from] rlimit::Error),
    /// Its powers are not given up.
    #[error("the capabilities of the process cannot be given up: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
}

impl Inside {
    /// Where the proxy's socket is, if there is one.
    pub fn proxy_socket(&self) -> Option<&Path> {
        match (&self.profile.network, self.outside) {
            (Network::None | Network::Open, _) => None,
            (Network::Proxy { .. }, Outside::Bubblewrap) => Some(Path::new(PROXY_SOCKET)),
            (Network::Proxy { socket, .. }, Outside::Nothing) => Some(socket),
        }
    }

    /// Puts up the fence around this thread and whatever it starts. `bridge` is the port of the way to the proxy.
    ///
    /// # Errors
    /// When a part of it cannot be put up.
    pub fn confine(&self, bridge: Option<u16>) -> Result<(), Error> {
        let profile = &self.profile;
        self.rlimits.apply()?;
        match self.outside {
            Outside::Bubblewrap => {
                if profile.nesting == Nesting::Closed {
                    landlock::apply(&self.seen(), &landlock::Tcp::Any)?;
                }
                seccomp::apply(profile.nesting, &profile.network, seccomp::Beside::Namespaces)?;
            }
            Outside::Nothing => {
                give_up_powers()?;
                let tcp = match &profile.network {
                    Network::Open => landlock::Tcp::Any,
                    Network::None => landlock::Tcp::Only(Vec::new()),
                    Network::Proxy { forwards, .. } => {
                        landlock::Tcp::Only(forwards.iter().copied().chain(bridge).collect())
                    }
                };
                landlock::apply(&self.seen(), &tcp)?;
                // Namespaces made inside would not be held by anything else.
                seccomp::apply(Nesting::Closed, &profile.network, seccomp::Beside::LandlockAlone)?;
            }
        }
        Ok(())
    }

    /// Every place with what may be done there.
    fn seen(&self) -> Vec<(PathBuf, Access)> {
        let alone_as_root = self.outside == Outside::Nothing && nix::unistd::geteuid().is_root();
        let mut seen = Vec::new();
        for root in system::roots() {
            match root {
                // Root owns what it may not see here.
                system::Root::Tree(at) if alone_as_root && at == Path::new("/etc") => {
                    seen.extend(system::public(&at).into_iter().map(|p| (p, Access::Read)));
                }
                system::Root::Link { at, .. } | system::Root::Tree(at) => seen.push((at, Access::Read)),
            }
        }
        match self.outside {
            Outside::Bubblewrap => {
                seen.push((PathBuf::from("/proc"), Access::Read));
                for path in ["/proc/self", "/dev", "/tmp", "/var/tmp"] {
                    seen.push((PathBuf::from(path), Access::Write));
                }
                let run = Path::new(PROXY_SOCKET).parent().unwrap_or(Path::new("/run"));
                seen.push((run.to_owned(), Access::Read));
                seen.extend(self.profile.places.iter().map(|p| (p.at.clone(), p.access)));
            }
            Outside::Nothing => {
                // Other processes are there too, with their command lines: only what is nobody's own is seen.
                for name in OF_NOBODY {
                    seen.push((Path::new("/proc").join(name), Access::Read));
                }
                for path in [
                    "/dev/null",
                    "/dev/zero",
                    "/dev/full",
                    "/dev/random",
                    "/dev/urandom",
                    "/dev/tty",
                ] {
                    seen.push((PathBuf::from(path), Access::Write));
                }
                seen.push((self.profile.tmp.clone(), Access::Write));
                seen.extend(self.profile.places.iter().map(|p| (p.from.clone(), p.access)));
            }
        }
        seen
    }
}

/// What `/proc` tells of the machine and of no process.
const OF_NOBODY: [&str; 11] = [
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "swaps",
    "sys/fs",
    "sys/kernel",
    "sys/vm",
    "uptime",
    "version",
];

/// Root's powers would go around Landlock.
fn give_up_powers() -> Result<(), caps::errors::CapsError> {
    use caps::CapSet;
    if nix::unistd::geteuid().is_root() {
        for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable] {
            caps::clear(None, set)?;
        }
    }
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)
}
