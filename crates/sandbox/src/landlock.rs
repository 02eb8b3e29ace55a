//! Owns the second fence around files and signals: the kernel's Landlock. Where there are no namespaces it is the only
//! one.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::profile::Access;

/// The rights that are spoken of. A kernel that knows fewer holds those it knows.
const RIGHTS: ABI = ABI::V6;

/// The least that holds alone: from this version on, TCP connections are refused.
const ENOUGH_ALONE: i32 = 4;

/// Why Landlock is not in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has none, or it is switched off.
    #[error("this kernel does not enforce Landlock")]
    NotEnforced,
    /// The rules were not taken.
    #[error("Landlock did not take its rules: {0}")]
    Refused(#[from] landlock::RulesetError),
}

/// What the kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Enough to hold a program without any other means.
    Enough {
        /// The version of its interface.
        version: i32,
    },
    /// Something, which is worth having beside namespaces and does not do alone.
    TooOld {
        /// The version of its interface.
        version: i32,
    },
    /// Nothing.
    Nothing,
}

/// Asks the kernel, by trying: a thread is put under rules and ends.
pub fn offer() -> Offer {
    let tried = std::thread::spawn(|| {
        Ruleset::default()
            .handle_access(AccessFs::from_all(RIGHTS))?
            .create()?
            .restrict_self()
    });
    let Ok(Ok(status)) = tried.join() else {
        return Offer::Nothing;
    };
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            let version = effective_abi as i32;
            if version >= ENOUGH_ALONE {
                Offer::Enough { version }
            } else {
                Offer::TooOld { version }
            }
        }
        LandlockStatus::Available { .. } | LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => {
            Offer::Nothing
        }
    }
}

/// What TCP connections may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcp {
    /// Any; the network is held elsewhere, or not at all.
    Any,
    /// Only to these ports; nothing is listened on.
    Only(Vec<u16>),
}

/// Puts this thread, and every process it starts, under rules for ever.
///
/// # Errors
/// When the kernel does not enforce them. What does not exist is left out.
pub fn apply(places: &[(PathBuf, Access)], tcp: &Tcp) -> Result<(), Error> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RIGHTS))?
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?;
    if let Tcp::Only(_) = tcp {
        rules = rules.handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)?;
    }
    let mut rules = rules.create()?;
    for (path, access) in places {
        let Ok(fd) = PathFd::new(path) else {
            continue;
        };
        rules = rules.add_rule(PathBeneath::new(fd, rights(path, *access)))?;
    }
    if let Tcp::Only(ports) = tcp {
        for port in ports {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err(Error::NotEnforced),
    }
}

/// A file takes fewer rights than a directory does.
fn rights(path: &Path, access: Access) -> BitFlags<AccessFs> {
    let rights = match access {
        Access::Read => AccessFs::from_read(RIGHTS),
        Access::Write => AccessFs::from_all(RIGHTS),
    };
    if path.is_dir() {
        rights
    } else {
        rights & AccessFs::from_file(RIGHTS)
    }
}
