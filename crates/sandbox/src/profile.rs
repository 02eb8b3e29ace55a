//! Owns what a confined program may do, as plain data. What is not named here is not there for it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What may be done with a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It is read and its programs are run.
    Read,
    /// It is written too.
    Write,
}

/// A file or directory that the program sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where it really is.
    pub from: PathBuf,
    /// Where it is seen.
    pub at: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

impl Place {
    /// A place that is read where it is.
    pub fn read(path: impl Into<PathBuf>) -> Self {
        Self::here(path.into(), Access::Read)
    }

    /// A place that is written where it is.
    pub fn write(path: impl Into<PathBuf>) -> Self {
        Self::here(path.into(), Access::Write)
    }

    /// A place that is seen elsewhere than it is.
    pub fn cover(from: impl Into<PathBuf>, at: impl Into<PathBuf>, access: Access) -> Self {
        Self {
            from: from.into(),
            at: at.into(),
            access,
        }
    }

    fn here(path: PathBuf, access: Access) -> Self {
        Self {
            from: path.clone(),
            at: path,
            access,
        }
    }
}

/// How the program reaches the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Not at all. It has a loopback of its own.
    None,
    /// Through a proxy of ours, which lets through what is named.
    Proxy {
        /// The proxy's socket, where it really is.
        socket: PathBuf,
        /// Ports of this machine's loopback that it finds at their usual address.
        forwards: Vec<u16>,
    },
    /// Like every program of the user.
    Open,
}

/// Whether the program may confine its own children by namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nesting {
    /// It brings a sandbox of its own: namespaces stay open to it, and Landlock, in which no namespace can be
    /// furnished, is left out.
    Allowed,
    /// It does not: namespaces are closed, and Landlock holds it a second time.
    Closed,
}

/// All that a program may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What it sees besides the system; a later one lies on top of an earlier one.
    pub places: Vec<Place>,
    /// Where it finds its home.
    pub home: PathBuf,
    /// Its own directory for temporary files, where that really is; it sees it as `/tmp`.
    pub tmp: PathBuf,
    /// Where it starts.
    pub cwd: PathBuf,
    /// How it reaches the network.
    pub network: Network,
    /// Whether it may confine its own children.
    pub nesting: Nesting,
}

impl Profile {
    /// The places that grow when the program writes, where they really are.
    pub fn grows(&self) -> impl Iterator<Item = &Path> {
        let places = self.places.iter().filter(|p| p.access == Access::Write);
        places.map(|p| p.from.as_path()).chain([self.tmp.as_path()])
    }
}
