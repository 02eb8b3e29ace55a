//! Owns what a guard sees of a repository: its refs, the user's checkouts and worktrees, the files that tell git
//! what to do, and what is staged. It must not judge or change anything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turno_core::ids::CommitId;
use turno_core::tampering::RefAt;

use super::guard::Watch;
use super::guarded::{self, Content, Files, Stamp};
use super::{Error, Place, Repo};

/// A larger HEAD is none.
const HEAD_BYTES: usize = 4096;

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Looked {
    pub(super) refs: BTreeMap<String, RefAt>,
    /// Of the user's checkouts: the path below the common directory, and what is checked out.
    pub(super) heads: BTreeMap<PathBuf, RefAt>,
    /// The user's worktrees, and where each says that it is.
    pub(super) worktrees: BTreeMap<String, Content>,
    pub(super) files: Files,
    pub(super) staged: String,
}

/// Looks at everything. The gate must be held.
pub(super) async fn look(repo: &Repo, watch: &Watch) -> Result<Looked, Error> {
    let common = repo.common_dir();
    let worktrees = users_worktrees(repo, watch);
    let files = guarded::look(common, worktrees.keys()).map_err(unreadable(common))?;
    let head = |path: PathBuf| {
        let at = head_at(&common.join(&path));
        (at != RefAt::Absent).then_some((path, at))
    };
    let heads = worktrees
        .keys()
        .map(|name| Path::new("worktrees").join(name).join("HEAD"));
    Ok(Looked {
        refs: refs_of(repo).await?,
        heads: std::iter::once(PathBuf::from("HEAD"))
            .chain(heads)
            .filter_map(head)
            .collect(),
        worktrees,
        files,
        staged: index_of(repo),
    })
}

/// Every ref, as it is written.
pub(super) async fn refs_of(repo: &Repo) -> Result<BTreeMap<String, RefAt>, Error> {
    let format = "--format=%(refname)%00%(objectname)%00%(symref)";
    let output = repo
        .git(Place::Shared)
        .args(["for-each-ref", format])
        .bytes()
        .await?;
    let mut refs = BTreeMap::new();
    for line in output.split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
        let mut fields = line
            .split(|&b| b == 0)
            .map(|f| String::from_utf8_lossy(f).into_owned());
        let (Some(name), Some(id), Some(symbolic)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(Error::Answer {
                what: "for-each-ref".to_owned(),
                answer: String::from_utf8_lossy(line).into_owned(),
            });
        };
        let at = if symbolic.is_empty() {
            RefAt::Object(id)
        } else {
            RefAt::Ref(symbolic)
        };
        refs.insert(name, at);
    }
    Ok(refs)
}

/// The worktrees below `.git/worktrees` that are not Turno's.
pub(super) fn users_worktrees(repo: &Repo, watch: &Watch) -> BTreeMap<String, Content> {
    let dir = repo.common_dir().join("worktrees");
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let at = Content::of(&entry.path().join("gitdir")).unwrap_or(Content::Other);
        let turnos = match &at {
            Content::File { bytes, .. } => Path::new(OsStr::from_bytes(bytes)).starts_with(&watch.slots),
            Content::Absent | Content::Large(_) | Content::Link(_) | Content::Dir | Content::Other => false,
        };
        // A slot has a lock that says so, whatever its other files say.
        let locked =
            std::fs::read(entry.path().join("locked")).is_ok_and(|l| l.starts_with(b"in use by turno"));
        (!turnos && !locked).then_some((name, at))
    });
    named.collect()
}

/// What a HEAD says.
pub(super) fn head_at(path: &Path) -> RefAt {
    match Content::of(path) {
        Ok(Content::Absent) => RefAt::Absent,
        Ok(Content::File { bytes, .. }) if bytes.len() <= HEAD_BYTES => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end();
            match text.strip_prefix("ref:").map(str::trim) {
                Some(name) if name.starts_with("refs/") => RefAt::Ref(name.to_owned()),
                None if text.parse::<CommitId>().is_ok() => RefAt::Object(text.to_owned()),
                Some(_) | None => RefAt::Odd,
            }
        }
        // An old git makes HEAD a link.
        Ok(Content::Link(to)) if to.starts_with("refs") => RefAt::Ref(to.to_string_lossy().into_owned()),
        Ok(_) | Err(_) => RefAt::Odd,
    }
}

/// What is staged in the user's checkout: an id of all entries, whatever git knows of the files' times.
pub(super) fn index_of(repo: &Repo) -> String {
    let path = repo.user_git_dir().join("index");
    let Some(stamp) = Stamp::of(&path) else {
        return "none".to_owned();
    };
    if let Some(known) = repo.ledger().index(&stamp) {
        return known;
    }
    let read = || -> Result<String, git2::Error> {
        let index = git2::Index::open(&path)?;
        let mut text = Vec::new();
        for entry in index.iter() {
            text.extend_from_slice(
                format!("{:o} {} {} ", entry.mode, entry.id, entry.flags & 0x3000).as_bytes(),
            );
            text.extend_from_slice(&entry.path);
            text.push(0);
        }
        Ok(git2::Oid::hash_object(git2::ObjectType::Blob, &text)?.to_string())
    };
    // One that libgit2 does not know is known by its times, which says less: a look alone may change them.
    let print = read().unwrap_or_else(|_| format!("{stamp:?}"));
    repo.ledger().note_index(stamp, print.clone());
    print
}

/// An error of reading below a directory.
pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Files { path, source }
}
