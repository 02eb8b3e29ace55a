//! Owns turning a real attempt into a script: what it said is in its transcript, what it left is a commit. What it did
//! in between leaves no trace that could be performed, so it is told in words.

use std::collections::BTreeSet;
use std::path::Path;

use turno_agents::script::written::{Deed, Recording, script};
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, LeftBehind};
use turno_core::ids::CommitId;
use turno_core::units::Spend;

use crate::config::Loaded;
use crate::git::{self, FileAt, Repo};
use crate::live::Doing;
use crate::replay::Replay;

/// Why an attempt cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What it left cannot be read.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// It cannot be expressed.
    #[error("it cannot be written as a script: {0}")]
    Written(String),
}

/// How an attempt ended, from its record.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// How.
    pub end: &'a AgentEnd,
    /// What it had spent.
    pub spend: Spend,
    /// What it left.
    pub left: &'a LeftBehind,
}

/// The script of an attempt.
///
/// # Errors
/// When what it left cannot be read.
pub fn record(
    config: &Loaded,
    repo: &Repo,
    start: &AgentStart,
    dir: &Path,
    ended: Ended<'_>,
) -> Result<String, Error> {
    let mut deeds = Vec::new();
    if let Some(mut words) = Replay::of(config, start, dir) {
        words.read(|doing| deeds.extend(said(&doing)));
    }
    if let LeftBehind::Commit { commit, .. } = ended.left {
        let changed: BTreeSet<String> = repo.changed_files(&start.from, commit)?.into_iter().collect();
        for path in changed {
            deeds.extend(change(repo, commit, &path)?);
        }
    }
    let recording = Recording {
        persona: start.persona.clone(),
        task: start.task,
        round: start.brief.round,
        deeds,
        cost: ended.spend.cost,
        end: ended.end.clone(),
    };
    script(&recording).map_err(Error::Written)
}

fn said(doing: &Doing) -> Option<Deed> {
    match doing {
        Doing::Says(text) if !text.trim().is_empty() => Some(Deed::Said(text.clone())),
        Doing::Uses(text) => Some(Deed::Said(format!("uses {text}"))),
        Doing::Says(_) | Doing::Used(_) | Doing::Step(_) | Doing::Notes(_) => None,
    }
}

/// What makes a path what it is at a commit.
fn change(repo: &Repo, commit: &CommitId, path: &str) -> Result<Vec<Deed>, Error> {
    let quoted = format!("'{}'", path.replace('\'', "'\\''"));
    let executable = || Deed::Ran(format!("chmod +x -- {quoted}"));
    Ok(match repo.file_at(commit, path)? {
        FileAt::Absent => vec![Deed::Ran(format!("rm -f -- {quoted}"))],
        FileAt::Plain(bytes) => vec![write(commit, path, &quoted, bytes)],
        FileAt::Executable(bytes) => vec![write(commit, path, &quoted, bytes), executable()],
        FileAt::Other => vec![Deed::Ran(format!("git checkout {commit} -- {quoted}"))],
    })
}

/// A text is written; what is none is taken from the commit, which Turno keeps.
fn write(commit: &CommitId, path: &str, quoted: &str, bytes: Vec<u8>) -> Deed {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Deed::Wrote {
            path: path.to_owned(),
            text,
        },
        Ok(_) | Err(_) => Deed::Ran(format!("git checkout {commit} -- {quoted}")),
    }
}
