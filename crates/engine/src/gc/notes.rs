//! Owns the notes of what was removed, one line for each thing, written before it goes: who looks for it later is
//! told that it was removed, and does not take it for lost.

use std::fs::OpenOptions;
use std::io::Write;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use turno_core::ids::AttemptId;
use turno_core::retention::Thing;
use turno_core::units::Timestamp;

use super::{Error, io};
use crate::workspace::StateDir;

#[derive(Serialize)]
struct Note<'a> {
    at: Timestamp,
    bytes: u64,
    #[serde(flatten)]
    what: &'a Thing,
}

/// A note of an attempt that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// How much it took, in bytes.
    pub bytes: u64,
    attempt: AttemptId,
}

pub(super) fn note(dirs: &StateDir, what: &Thing, bytes: u64) -> Result<(), Error> {
    let path = dirs.removals();
    let note = Note {
        at: Timestamp(Utc::now().timestamp_millis()),
        bytes,
        what,
    };
    let line = serde_json::to_string(&note).map_err(|e| io("write", &path)(e.into()))?;
    let file = OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .map_err(io("write", &path))
}

/// Whether and when what an attempt said was removed to free space.
pub fn removed(dirs: &StateDir, attempt: AttemptId) -> Option<Noted> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case", tag = "kind")]
    enum Line {
        Attempt(Noted),
        #[serde(other)]
        Other,
    }
    let text = std::fs::read_to_string(dirs.removals()).ok()?;
    let mut notes = text
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str(line).ok());
    notes.find_map(|line| match line {
        Line::Attempt(noted) if noted.attempt == attempt => Some(noted),
        Line::Attempt(_) | Line::Other => None,
    })
}
