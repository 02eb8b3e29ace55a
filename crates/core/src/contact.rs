//! Owns what is written down of the hosts that an attempt asked for through the sandbox's proxy: names, ports and
//! counts, never what was said to them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How it went when a host was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It was let through.
    Allowed,
    /// No rule names it.
    NotListed,
    /// It leads to an address of this machine or its own network.
    PrivateAddress,
    /// It has no address.
    Unresolved,
    /// It did not answer.
    Unreachable,
}

/// A host that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contact {
    /// Its name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How it went.
    pub answer: Answer,
    /// How often.
    pub times: u64,
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host, port, times, ..
        } = self;
        let how = match self.answer {
            Answer::Allowed => "let through",
            Answer::NotListed => "refused: not among the hosts that may be reached (network.allow)",
            Answer::PrivateAddress => "refused: it leads to a private address",
            Answer::Unresolved => "it has no address",
            Answer::Unreachable => "it did not answer",
        };
        write!(f, "{host}:{port} {how}, {times} time(s)")
    }
}
