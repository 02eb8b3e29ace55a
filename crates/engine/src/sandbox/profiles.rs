//! Owns what each kind of work may do: a writer, a tester, a reader, a check, a setup. Everything that is not named
//! here is not there for them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use turno_core::persona::Access as Role;
use turno_sandbox::{Nesting, Network, Place, Profile, system};

use super::below::{self, Link};
use super::{Home, homes};
use crate::config::{Cache, SandboxSetup};

/// What is reached of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Its own loopback.
    Nothing,
    /// What the proxy at this socket lets through, and these ports of the user's loopback.
    Hosts {
        /// The proxy's socket.
        socket: PathBuf,
        /// Ports of the user's loopback.
        forwards: Vec<u16>,
    },
    /// All that the user reaches.
    All,
}

impl From<Reached> for Network {
    fn from(reached: Reached) -> Self {
        match reached {
            Reached::Nothing => Self::None,
            Reached::Hosts { socket, forwards } => Self::Proxy { socket, forwards },
            Reached::All => Self::Open,
        }
    }
}

/// Where a program works and what is given to all programs that work there.
#[derive(Debug, Clone)]
pub(crate) struct Seat<'a> {
    /// Its slot.
    pub(crate) slot: &'a Path,
    /// The git metadata that was lent for it.
    pub(crate) git: Vec<Place>,
    /// Its home.
    pub(crate) home: Home,
    /// Its directory for temporary files.
    pub(crate) tmp: PathBuf,
    /// The user's toolchains.
    pub(crate) toolchains: &'a [PathBuf],
    /// What is configured.
    pub(crate) setup: &'a SandboxSetup,
    /// The `turno` binary.
    pub(crate) turno: &'a Path,
    /// What is reached of the network.
    pub(crate) reached: Reached,
}

impl Seat<'_> {
    /// The profile, with the slot as it is to be and more places on top. What is mounted in the home must not follow a
    /// link that was put there before.
    fn profile(self, slot: Vec<Place>, more: Vec<Place>, nesting: Nesting) -> io::Result<Profile> {
        let mut places = self.home.places;
        places.extend(self.toolchains.iter().map(Place::read));
        places.extend(self.setup.read.iter().filter(|p| p.exists()).map(Place::read));
        places.extend(program_places(self.turno, Some(&self.home.at)));
        places.extend(slot);
        places.extend(self.git);
        places.extend(more);
        homes::free_mounts(&self.home.root, &self.home.at, &places)?;
        Ok(Profile {
            places,
            home: self.home.at,
            tmp: self.tmp,
            cwd: self.slot.to_owned(),
            network: self.reached.into(),
            nesting,
        })
    }

    /// The caches that there are. Those below the slot are made, so that a reader of the rest can write them.
    fn caches(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for cache in &self.setup.caches {
            let path = match cache {
                Cache::InSlot(below) => {
                    if let Err(error) = below::make(self.slot, below, Link::Refused) {
                        tracing::warn!(path = %below.display(), %error, "a cache cannot be made");
                    }
                    self.slot.join(below)
                }
                Cache::Shared(path) => path.clone(),
            };
            // A link out of the slot is no cache.
            let real = path.canonicalize();
            let inside = !matches!(cache, Cache::InSlot(_))
                || real
                    .as_ref()
                    .is_ok_and(|r| self.slot.canonicalize().is_ok_and(|slot| r.starts_with(slot)));
            if inside && path.is_dir() {
                places.push(Place::write(path));
            }
        }
        places
    }
}

/// What an agent may do, by the access its persona has. `tests` are the paths of a tester's slot that are its own.
pub(crate) fn agent(
    seat: Seat<'_>,
    role: Role,
    tests: &[PathBuf],
    more: Vec<Place>,
    nesting: Nesting,
) -> io::Result<Profile> {
    let caches = seat.caches();
    let slot = match role {
        Role::Write => [vec![Place::write(seat.slot)], caches].concat(),
        Role::Read => vec![Place::read(seat.slot)],
        Role::Tests => {
            let own = tests.iter().map(Place::write).collect();
            [vec![Place::read(seat.slot)], own, caches].concat()
        }
    };
    seat.profile(slot, more, nesting)
}

/// What a check may do: what a writer may, without anything of an agent's.
pub(crate) fn check(seat: Seat<'_>) -> io::Result<Profile> {
    let slot = [vec![Place::write(seat.slot)], seat.caches()].concat();
    seat.profile(slot, Vec::new(), Nesting::Closed)
}

/// Where a program lies.
pub(super) fn program_places(program: &Path, home: Option<&Path>) -> Vec<Place> {
    system::program(program, home)
        .into_iter()
        .map(Place::read)
        .collect()
}

/// The same of a program that is looked up by name in a search path.
pub(crate) fn found_places(program: &str, env: &BTreeMap<String, String>, home: Option<&Path>) -> Vec<Place> {
    let named = Path::new(program);
    let found = if named.is_absolute() {
        Some(named.to_owned())
    } else {
        let path = env.get("PATH").map(String::as_str).unwrap_or_default();
        std::env::split_paths(path)
            .map(|d| d.join(named))
            .find(|p| p.is_file())
    };
    found.map_or_else(Vec::new, |p| program_places(&p, home))
}
