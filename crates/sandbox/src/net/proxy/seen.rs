//! Owns what is remembered of the hosts that a confined program asked for: names, ports and counts, never what was
//! said to them. It is bounded, since the program chooses what it asks for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::net::allow::Host;

/// How many different contacts are kept apart.
pub const CONTACTS: usize = 200;

/// How it went when a host was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was let through.
    Allowed,
    /// No rule names it.
    NotListed,
    /// It is named, but stands for an address of this machine or its own network.
    PrivateAddress,
    /// It is named, but has no address.
    Unresolved,
    /// It is named, but did not answer.
    Unreachable,
}

/// A host that was asked for, and how often with that verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contact {
    /// Its name or address.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// How it went.
    pub verdict: Verdict,
    /// How often.
    pub times: u64,
}

/// All that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Seen {
    /// Each host, port and verdict once, in order; at most [`CONTACTS`].
    pub contacts: Vec<Contact>,
    /// How often another one was asked for after that many were known.
    pub others: u64,
}

#[derive(Debug, Default)]
struct Counts {
    known: BTreeMap<(Host, u16, Verdict), u64>,
    others: u64,
}

/// Where the connections of one proxy write down what they were asked for.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Counts>);

impl Log {
    pub(super) fn note(&self, host: &Host, port: u16, verdict: Verdict) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.clone(), port, verdict);
        if let Some(times) = counts.known.get_mut(&key) {
            *times = times.saturating_add(1);
        } else if counts.known.len() < CONTACTS {
            counts.known.insert(key, 1);
        } else {
            counts.others = counts.others.saturating_add(1);
        }
    }

    pub(super) fn seen(&self) -> Seen {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let contacts = counts
            .known
            .iter()
            .map(|((host, port, verdict), times)| Contact {
                host: host.clone(),
                port: *port,
                verdict: *verdict,
                times: *times,
            })
            .collect();
        Seen {
            contacts,
            others: counts.others,
        }
    }
}
