//! Owns taking commits over from an object directory that a hostile program wrote. Everything is checked by git
//! before it is in the repository: each object for its form, and that nothing is missing. It moves no ref.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use turno_core::ids::CommitId;

use super::lend::path_list;
use super::{Error, GitCall, Place, Repo};
use crate::process::{End, Input};

/// An object directory of somebody else. It must hold nothing but loose objects and packs.
#[derive(Debug, Clone)]
pub(crate) struct Foreign {
    /// Where it is.
    pub(crate) objects: PathBuf,
    /// An empty directory for what is made on the way.
    pub(crate) scratch: PathBuf,
}

/// What became of commits that were to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Imported {
    /// They are in the repository, with all that belongs to them.
    Whole,
    /// They are not: git refused them, in these words.
    Refused(String),
}

impl Repo {
    /// Takes commits over, with all they lead to. `known` is in the repository, with all it leads to.
    ///
    /// # Errors
    /// When git could not do its work. That the objects are bad is no error.
    pub(crate) async fn import(
        &self,
        foreign: &Foreign,
        tips: &[CommitId],
        known: &CommitId,
    ) -> Result<Imported, Error> {
        let ids = || tips.iter().map(CommitId::as_str);
        let list = self
            .with_foreign(foreign)
            .args(["rev-list", "--objects", "--no-object-names"])
            .args(ids())
            .args(["--not", "--all", known.as_str()]);
        let list = match verdict(&list).await? {
            Ok(list) => list,
            Err(words) => return Ok(Imported::Refused(words)),
        };
        if !list.is_empty() {
            let pack = self
                .with_foreign(foreign)
                .setting("pack.packSizeLimit=0")
                .setting("pack.writeReverseIndex=false")
                .args(["pack-objects", "--quiet"])
                .args([foreign.scratch.join("pack")])
                .input(list);
            let name = match verdict(&pack).await? {
                Ok(name) => String::from_utf8_lossy(&name).trim().to_owned(),
                Err(words) => return Ok(Imported::Refused(words)),
            };
            let file = foreign.scratch.join(format!("pack-{name}.pack"));
            // Read as a stream: only so does git check it before it is in the repository.
            let index = self
                .git(Place::Shared)
                .args(["index-pack", "--stdin", "--fix-thin", "--strict"])
                .input_from(Input::File(file));
            if let Err(words) = verdict(&index).await? {
                return Ok(Imported::Refused(words));
            }
        }
        // Now without the foreign directory: what one of its objects hid is missing here.
        let whole = self
            .git(Place::Shared)
            .env("GIT_NO_LAZY_FETCH", "1")
            .args(["rev-list", "--objects", "--quiet"])
            .args(ids())
            .args(["--not", "--all", known.as_str()]);
        Ok(match verdict(&whole).await? {
            Ok(_) => Imported::Whole,
            Err(words) => Imported::Refused(words),
        })
    }

    /// Those of the ids that are commits, here or there.
    pub(crate) async fn commits_among(
        &self,
        foreign: &Foreign,
        ids: &BTreeSet<CommitId>,
    ) -> Result<BTreeSet<CommitId>, Error> {
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let list: Vec<u8> = ids.iter().flat_map(|id| format!("{id}\n").into_bytes()).collect();
        let call = self
            .with_foreign(foreign)
            .args(["cat-file", "--batch-check=%(objecttype) %(objectname)"])
            .input(list);
        let answer = match verdict(&call).await? {
            Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
            Err(words) => {
                tracing::debug!(words, "not all of what an object directory holds can be read");
                return Ok(BTreeSet::new());
            }
        };
        let commit = |line: &str| line.strip_prefix("commit ")?.parse().ok();
        Ok(answer.lines().filter_map(commit).collect())
    }

    /// A call that sees both directories. Nothing is written through it but packs in a scratch directory.
    fn with_foreign(&self, foreign: &Foreign) -> GitCall<'_> {
        let shared = self.object_dirs();
        self.git(Place::Shared)
            .env("GIT_OBJECT_DIRECTORY", &foreign.objects)
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                path_list(shared.iter().map(Path::new)),
            )
            .env("GIT_NO_LAZY_FETCH", "1")
    }
}

/// What git made of it: its answer, or its words when the objects are at fault.
async fn verdict(call: &GitCall<'_>) -> Result<Result<Vec<u8>, String>, Error> {
    let finished = call.finish().await?;
    if finished.end == End::Exited(0) {
        return Ok(Ok(finished.stdout));
    }
    let error = call.failure(&finished);
    match (&error, finished.end) {
        (Error::Git { stderr, .. }, End::Exited(_)) if !is_the_machines(stderr) => {
            let lines = stderr.lines().filter(|l| !l.trim().is_empty()).take(3);
            Ok(Err(lines.collect::<Vec<_>>().join("; ")))
        }
        (_, _) => Err(error),
    }
}

/// Whether git failed for a reason that says nothing of the objects.
fn is_the_machines(stderr: &str) -> bool {
    [
        "Out of memory",
        "Cannot allocate",
        "Too many open files",
        "Input/output error",
    ]
    .iter()
    .any(|words| stderr.contains(words))
}
