//! Owns a program that goes on when this one ends: it has a process group of its own, reads nothing, and what it says
//! goes to a file. Nobody waits for it, and nobody stops it from here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use tokio::process::Child;

use super::Error;

/// A program to start.
#[derive(Debug)]
pub struct Start<'a> {
    /// Which.
    pub program: &'a Path,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Where it starts.
    pub cwd: &'a Path,
    /// All of its environment.
    pub env: &'a BTreeMap<String, String>,
    /// The file for what it says; one that is there is written anew, readable by its user alone.
    pub said: &'a Path,
}

/// A program that was started.
#[derive(Debug)]
pub struct Detached {
    child: Child,
}

impl Start<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// When it could not be started, or the file not be made.
    pub fn detach(self) -> Result<Detached, Error> {
        let child = super::spawn_detached(&self)?;
        Ok(Detached { child })
    }
}

impl Detached {
    /// Whether it has ended. That nobody can tell counts as an end: whoever waits looks for what it has done then.
    pub fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}
