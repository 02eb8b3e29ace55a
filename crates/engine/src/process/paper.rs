//! Owns what is written down of a supervised run, by name below its directory: the orders, what was said, the end.
//! Whoever comes later reads it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::limited::{LimitHit, LimitOrders};

/// What is to be run. The environment is not part of it: the supervisor hands on its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Program and arguments. In their file they are without secrets; the real ones come through the input.
    pub argv: Vec<String>,
    /// Where it works.
    pub cwd: PathBuf,
    /// How long it may take to leave after being asked, before it is killed.
    pub grace_ms: u64,
    /// When the whole tree is stopped, whoever is there to ask for it.
    pub limit_ms: u64,
    /// How many bytes of output are kept. A program that says more is stopped.
    pub output_cap: u64,
    /// How long it may go on while nobody coordinates; then it is asked to leave.
    pub alone_ms: u64,
    /// What it may use of the machine; nothing is limited without.
    #[serde(default)]
    pub limits: Option<LimitOrders>,
    /// What is run when all of it is over.
    #[serde(default)]
    pub after: After,
}

/// What is run when a supervised program and its tree are gone, however they ended: for what the program made of the
/// machine that is not below it in the tree, like a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// This program, to its end or its limit. Its failure is in the supervisor's log and nowhere else.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// When it is killed.
        limit_ms: u64,
    },
}

/// How the supervised program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By itself or by a signal; the tree is gone.
    Exited(ExitKind),
    /// It ran into the supervisor's own limit.
    TimedOut,
    /// It was told to stop by the coordinator.
    Stopped,
    /// Its coordinator was gone, and none came to listen to it.
    Alone,
    /// It said more than may be kept.
    TooMuchOutput,
    /// It used more of the machine than it may.
    HitLimit(LimitHit),
    /// What it said could not be written down.
    TranscriptFailed(String),
    /// It could not be started.
    NotStarted(String),
}

/// The kernel's word on an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitKind {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The files of one supervised run, by name below its directory.
pub mod files {
    /// What is to be run.
    pub const ORDERS: &str = "orders.json";
    /// Who supervises.
    pub const SUPERVISOR: &str = "supervisor.json";
    /// Standard output, raw but for secrets.
    pub const OUT: &str = "out";
    /// Standard error, raw but for secrets.
    pub const ERR: &str = "err";
    /// What was said to it, one JSON value on each line; it is there once it was begun.
    pub const SAID: &str = "said";
    /// What it asked of the network.
    pub const CONTACTS: &str = "contacts.json";
    /// The end.
    pub const EXIT: &str = "exit.json";
}

/// A line that was said to a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// How many bytes its output had by then.
    pub(crate) at: u64,
    /// The line, without secrets.
    pub(crate) line: String,
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)
}
