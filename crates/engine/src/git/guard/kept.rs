//! Owns what a guard keeps on disk, so that what an agent does while nobody coordinates is still held against what was
//! before it: what was seen, and what Turno itself has changed since. It lies in the attempt's directory, which no
//! agent can write where agents are confined.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use turno_core::tampering::RefAt;

use super::super::ledger::{Earlier, Moment, after};
use super::super::look::Looked;
use super::{Guard, Repo, Watch};
use crate::process::supervisor::{files, write_whole};

/// What was seen, as it is kept below an attempt's directory.
const SNAPSHOT: &str = "guard.json";
/// What Turno has changed since, beside it.
const MOVES: &str = "moves";

impl Guard {
    /// Keeps what was seen in a directory, so that it is known still when this coordinator is not. Where that cannot
    /// be, the guard is as good as ever for this one.
    pub fn keep_in(&mut self, dir: &Path) {
        let kept = self.follow(dir).and_then(|()| {
            let text = serde_json::to_vec(&self.before)?;
            write_whole(&dir.join(SNAPSHOT), &text)
        });
        if let Err(error) = kept {
            tracing::warn!(%error, dir = %dir.display(), "what a repository was before an attempt cannot be kept");
        }
    }

    /// The guard that an earlier coordinator took and kept in a directory; `None` when there is none that is whole.
    pub fn kept_in(repo: &Repo, watch: Watch, dir: &Path) -> Option<Self> {
        let mut before: Looked = serde_json::from_slice(&fs::read(dir.join(SNAPSHOT)).ok()?).ok()?;
        let earlier = Earlier::read(&dir.join(MOVES))?;
        let mut tried = BTreeMap::new();
        for (name, moves) in earlier.refs {
            let was = before.refs.get(&name).cloned().unwrap_or(RefAt::Absent);
            let mut may_be = after(&[was], moves.iter().map(|(to, made)| (to, *made)));
            before.refs.insert(name.clone(), may_be.remove(0));
            tried.insert(name, may_be);
        }
        before.files.extend(earlier.files);
        let mut guard = Self {
            repo: repo.clone(),
            watch,
            // All that this coordinator has moved so far it has moved since.
            since: Moment::default(),
            before,
            tried,
            following: None,
            ended: fs::metadata(dir.join(files::EXIT))
                .and_then(|m| m.modified())
                .ok(),
        };
        if let Err(error) = guard.follow(dir) {
            tracing::warn!(%error, dir = %dir.display(), "a guard will not outlive this coordinator");
            drop(fs::remove_file(dir.join(SNAPSHOT)));
        }
        Some(guard)
    }

    /// Takes what was kept away again. It holds the repository's configuration, which is nobody else's business.
    pub fn forget_in(dir: &Path) {
        for name in [SNAPSHOT, MOVES] {
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, dir = %dir.display(), "what a guard kept stays");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn follow(&mut self, dir: &Path) -> std::io::Result<()> {
        let ledger = self.repo.ledger();
        self.following = Some(ledger.follow(&dir.join(MOVES), self.since, dir.join(SNAPSHOT))?);
        Ok(())
    }
}
