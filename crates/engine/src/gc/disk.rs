//! Owns the measuring of disk use: what the files of a directory take, links not followed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;
use turno_core::ids::IssueId;
use turno_core::retention::History;

use super::{Error, attempt_of, entries};
use crate::workspace::StateDir;

/// The size of one block that the system counts.
const BLOCK: u64 = 512;

/// What a file or a directory with all that is in it takes, in bytes on the disk. What cannot be read counts nothing.
pub fn bytes(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = meta.blocks() * BLOCK;
    if !meta.is_dir() {
        return own;
    }
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    own + below.map(|e| bytes(&e.path())).sum::<u64>()
}

/// What the parts of a state directory take, in bytes on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Use {
    /// What attempts were told, said and left.
    pub attempts: u64,
    /// Private homes of agents.
    pub homes: u64,
    /// Worktrees.
    pub slots: u64,
    /// What was put aside.
    pub aside: u64,
    /// Journal and index.
    pub store: u64,
    /// Everything, with what is none of these.
    pub total: u64,
}

/// Measures a state directory.
pub fn used(dirs: &StateDir) -> Use {
    let slots = dirs.root().join("slots");
    let others = fs::read_dir(&slots).into_iter().flatten().flatten();
    let further = others
        .filter(|e| e.file_name().as_encoded_bytes().starts_with(b"repo-"))
        .map(|e| bytes(&e.path().join("aside")));
    let aside = bytes(&slots.join("aside")) + further.sum::<u64>();
    Use {
        attempts: bytes(&dirs.attempts()),
        homes: bytes(&dirs.homes()),
        slots: bytes(&slots).saturating_sub(aside),
        aside,
        store: bytes(&dirs.store()),
        total: bytes(dirs.root()),
    }
}

/// What attempts and homes of each issue take, in bytes on the disk.
///
/// # Errors
/// When they cannot be listed.
pub fn by_issue(dirs: &StateDir, history: &History) -> Result<BTreeMap<IssueId, u64>, Error> {
    let mut sums = BTreeMap::new();
    for (name, path) in entries(&dirs.attempts())? {
        let attempt = name.as_deref().and_then(attempt_of);
        if let Some(issue) = attempt.and_then(|a| history.issue_of(a)) {
            *sums.entry(issue).or_default() += bytes(&path);
        }
    }
    for (name, path) in entries(&dirs.homes())? {
        if let Some(home) = name.as_deref().and_then(|n| history.home(n)) {
            *sums.entry(home.task.issue).or_default() += bytes(&path);
        }
    }
    Ok(sums)
}
