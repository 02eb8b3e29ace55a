//! Owns the reading of what was kept under `refs/turno/salvage/`: which commits, what is in them that the user's
//! branch has not, and the content of their files. It writes nothing and checks nothing out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use git2::{Delta, Diff, ErrorCode, ObjectType, Oid, Repository, Tree};
use turno_core::ids::CommitId;

use super::names::SALVAGE;
use super::read::{commit_id, find, patch_text, reading};
use super::{DiffText, Error, Expected, Place, Repo, TurnoRef};

/// A commit that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCommit {
    /// The last part of its ref's name.
    pub leaf: String,
    /// Which.
    pub commit: CommitId,
    /// Its first line.
    pub subject: String,
}

/// How much of a kept commit is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What the user's branch has not: the difference to where both part, or to the commit's parent where the
    /// branch has all of it.
    Changes,
    /// Every file.
    Whole,
}

/// A path of a kept commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Below the top of the repository.
    pub path: PathBuf,
    /// What is there.
    pub kind: KeptKind,
    /// How long it is.
    pub bytes: u64,
    blob: Oid,
}

/// What is at a path of a kept commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptKind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A link to a commit of another repository, which is not here.
    Submodule,
    /// Nothing any more.
    Removed,
}

impl Repo {
    /// Every kept commit whose ref has a name that Turno gives, and the whole names of other refs beside them.
    ///
    /// # Errors
    /// When the refs cannot be read.
    pub fn kept_commits(&self) -> Result<(Vec<KeptCommit>, Vec<String>), Error> {
        let (mut kept, mut strange) = (Vec::new(), Vec::new());
        let repo = self.read()?;
        let pattern = format!("{SALVAGE}*");
        for reference in reading(&pattern, repo.references_glob(&pattern))? {
            let reference = reading(&pattern, reference)?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            let leaf = name
                .strip_prefix(SALVAGE)
                .filter(|leaf| TurnoRef::kept(leaf).is_some());
            let commit = reference.target().and_then(|oid| repo.find_commit(oid).ok());
            let (Some(leaf), Some(commit)) = (leaf, commit) else {
                strange.push(name);
                continue;
            };
            kept.push(KeptCommit {
                leaf: leaf.to_owned(),
                commit: commit_id(commit.id())?,
                subject: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
            });
        }
        Ok((kept, strange))
    }

    /// The files of a kept commit, in the order of their paths.
    ///
    /// # Errors
    /// When the commit or what it is compared with cannot be read.
    pub fn kept_files(&self, commit: &CommitId, extent: Extent) -> Result<Vec<KeptFile>, Error> {
        let repo = self.read()?;
        let diff = self.kept_diff(&repo, commit, extent)?;
        let odb = reading("the objects", repo.odb())?;
        let mut files = Vec::new();
        for delta in diff.deltas() {
            let removed = delta.status() == Delta::Deleted;
            let file = if removed {
                delta.old_file()
            } else {
                delta.new_file()
            };
            let kind = match file.mode() {
                _ if removed => KeptKind::Removed,
                git2::FileMode::BlobExecutable => KeptKind::Executable,
                git2::FileMode::Link => KeptKind::Link,
                git2::FileMode::Commit => KeptKind::Submodule,
                _ => KeptKind::File,
            };
            let bytes = match kind {
                KeptKind::Removed | KeptKind::Submodule => 0,
                KeptKind::File | KeptKind::Executable | KeptKind::Link => {
                    reading("a file", odb.read_header(file.id()))?.0 as u64
                }
            };
            files.push(KeptFile {
                path: PathBuf::from(OsStr::from_bytes(file.path_bytes().unwrap_or_default())),
                kind,
                bytes,
                blob: file.id(),
            });
        }
        Ok(files)
    }

    /// Whether a branch leads to a commit: one of the user's, or one that an issue's work has landed on. Branches of
    /// tasks do not count.
    ///
    /// # Errors
    /// When git cannot tell.
    pub async fn is_on_a_branch(&self, commit: &CommitId) -> Result<bool, Error> {
        let args = [
            "for-each-ref",
            "--format=%(refname)",
            "--contains",
            commit.as_str(),
            "refs/heads/",
        ];
        let listed = self.git(Place::Shared).args(args).bytes().await?;
        let counts = |name: &[u8]| !name.starts_with(b"refs/heads/turno/") || name.ends_with(b"/base");
        Ok(listed
            .split(|b| *b == b'\n')
            .any(|name| !name.is_empty() && counts(name)))
    }

    /// Gives a kept commit up: its ref goes, if it is still where it was seen.
    ///
    /// # Errors
    /// When git cannot, or the ref has moved.
    pub async fn give_up(&self, leaf: &str, commit: &CommitId) -> Result<(), Error> {
        match TurnoRef::kept(leaf) {
            Some(name) => self.delete_ref(&name, &Expected::At(commit.clone())).await,
            None => Ok(()),
        }
    }

    /// What a kept commit changed, as text; at most `cap` bytes of it.
    ///
    /// # Errors
    /// As [`Repo::kept_files`].
    pub fn kept_text(&self, commit: &CommitId, cap: usize) -> Result<DiffText, Error> {
        let repo = self.read()?;
        patch_text(&self.kept_diff(&repo, commit, Extent::Changes)?, cap)
    }

    /// The content of a kept file; for a link, where it leads. It is what git holds: no filter is run.
    ///
    /// # Errors
    /// When it is not there.
    pub fn kept_content(&self, file: &KeptFile) -> Result<Vec<u8>, Error> {
        let repo = self.read()?;
        let object = reading("a file", repo.find_object(file.blob, Some(ObjectType::Blob)))?;
        Ok(object.as_blob().map(|b| b.content().to_vec()).unwrap_or_default())
    }

    fn kept_diff<'r>(
        &self,
        repo: &'r Repository,
        commit: &CommitId,
        extent: Extent,
    ) -> Result<Diff<'r>, Error> {
        let new = reading("a tree", find(repo, commit)?.tree())?;
        let old = match extent {
            Extent::Whole => None,
            Extent::Changes => self.parted_from(repo, commit)?,
        };
        let mut options = git2::DiffOptions::new();
        options.ignore_submodules(false);
        reading(
            "a tree",
            repo.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options)),
        )
    }

    /// The tree that a kept commit is compared with; none when it has nothing in common with the user's branch.
    fn parted_from<'r>(&self, repo: &'r Repository, commit: &CommitId) -> Result<Option<Tree<'r>>, Error> {
        let kept = find(repo, commit)?;
        let head = find(repo, &self.user_head()?.commit)?;
        let common = match repo.merge_base(head.id(), kept.id()) {
            Ok(base) if base != kept.id() => Some(reading("the history", repo.find_commit(base))?),
            Ok(_) => kept.parent(0).ok(),
            Err(e) if e.code() == ErrorCode::NotFound => None,
            Err(source) => {
                return Err(Error::Read {
                    what: "the history".to_owned(),
                    source,
                });
            }
        };
        common.map(|c| reading("a tree", c.tree())).transpose()
    }
}
