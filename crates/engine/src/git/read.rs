//! Owns the reads: heads, refs, trees, ancestry and diffs through libgit2, checkouts through git. It must not
//! change anything, not even refresh the user's index.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{
    Delta, DiffFormat, ErrorCode, Index, ObjectType, Oid, Repository, Sort, TreeWalkMode, TreeWalkResult,
};
use turno_core::ids::{CommitId, IssueId, TreeId};

use super::{Error, Found, Place, RawChange, Repo, TurnoRef, parse_raw, parse_status};

/// What a checkout has checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadAt {
    /// A branch, by its short name.
    Branch(String),
    /// A commit, on no branch.
    Detached,
}

/// Where the user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserHead {
    /// On which branch, if on one.
    pub at: HeadAt,
    /// At which commit.
    pub commit: CommitId,
}

/// Whether tracked files of a checkout are as committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// They are.
    Clean,
    /// They are not.
    Dirty {
        /// Which, for people.
        files: Vec<String>,
    },
}

/// A diff as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffText {
    /// All of it.
    Whole(String),
    /// Its beginning.
    Shortened {
        /// As much as was asked for.
        text: String,
        /// How long all of it is.
        bytes: usize,
    },
}

/// The size of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffStat {
    /// Files changed.
    pub files: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
}

impl fmt::Display for DiffStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, +{} -{}",
            self.files, self.insertions, self.deletions
        )
    }
}

/// One commit, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLine {
    /// Which.
    pub commit: CommitId,
    /// Its first line.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
}

/// One checkout of the repository, the user's or Turno's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedOut {
    pub(crate) path: PathBuf,
    /// The full name of the branch; none when detached.
    pub(crate) branch: Vec<u8>,
}

/// The parts of a commit that a rewrite of its message keeps.
pub(crate) struct CommitParts {
    pub(crate) tree: TreeId,
    pub(crate) parents: Vec<CommitId>,
    pub(crate) message: String,
    pub(crate) author: String,
    pub(crate) email: String,
    pub(crate) when: String,
}

/// libgit2's errors, with what was being read.
pub(super) fn reading<T>(what: impl Into<String>, result: Result<T, git2::Error>) -> Result<T, Error> {
    result.map_err(|source| Error::Read {
        what: what.into(),
        source,
    })
}

/// An object id in the core's words.
pub(crate) fn commit_id(oid: Oid) -> Result<CommitId, Error> {
    let text = oid.to_string();
    text.parse().map_err(|_| Error::Answer {
        what: "libgit2".into(),
        answer: text.clone(),
    })
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAt {
    /// Nothing.
    Absent,
    /// A file.
    Plain(Vec<u8>),
    /// A file that may be executed.
    Executable(Vec<u8>),
    /// A link, a submodule or a directory.
    Other,
}

impl Repo {
    /// Opened for each read: another process may have changed anything since.
    pub(super) fn read(&self) -> Result<Repository, Error> {
        let path = &self.inner.git_dir;
        // libgit2 looks into the checkout's index for attributes, and refuses one that it does not know, e.g. a
        // sparse one. Nothing here is about what is staged.
        let without_index = || {
            let repo = Repository::open(path)?;
            repo.set_index(&mut Index::new()?)?;
            Ok(repo)
        };
        without_index().map_err(|source| Error::Unreadable {
            path: path.clone(),
            source,
        })
    }

    /// Where the user is.
    pub fn user_head(&self) -> Result<UserHead, Error> {
        let repo = self.read()?;
        let head = match repo.head() {
            Ok(head) => head,
            Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                return Err(Error::NoCommits {
                    path: self.root().to_owned(),
                });
            }
            Err(source) => {
                return Err(Error::Read {
                    what: "HEAD".into(),
                    source,
                });
            }
        };
        let commit = commit_id(reading("HEAD", head.peel_to_commit())?.id())?;
        let at = if head.is_branch() {
            HeadAt::Branch(String::from_utf8_lossy(head.shorthand_bytes()).into_owned())
        } else {
            HeadAt::Detached
        };
        Ok(UserHead { at, commit })
    }

    /// The branches that Turno made for an issue, and where each points.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn branches_of(&self, issue: IssueId) -> Result<Vec<(TurnoRef, CommitId)>, Error> {
        let mut found = Vec::new();
        let repo = self.read()?;
        let pattern = format!("refs/heads/turno/{issue}/*");
        for reference in reading(&pattern, repo.references_glob(&pattern))? {
            let reference = reading(&pattern, reference)?;
            let name = String::from_utf8_lossy(reference.name_bytes());
            if let (Some(branch), Some(oid)) = (TurnoRef::found(&name), reference.target()) {
                found.push((branch, commit_id(oid)?));
            }
        }
        Ok(found)
    }

    /// Where a ref of Turno's points.
    pub fn read_ref(&self, name: &TurnoRef) -> Result<Found, Error> {
        self.read_any_ref(name.full())
    }

    pub(crate) fn read_any_ref(&self, full: &str) -> Result<Found, Error> {
        let repo = self.read()?;
        let found = match repo.find_reference(full) {
            Ok(reference) => reference,
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                return Ok(Found::Absent);
            }
            Err(source) => {
                return Err(Error::Read {
                    what: full.to_owned(),
                    source,
                });
            }
        };
        Ok(Found::At(commit_id(reading(full, found.peel_to_commit())?.id())?))
    }

    /// The tree of a commit.
    pub fn tree_of(&self, commit: &CommitId) -> Result<TreeId, Error> {
        let repo = self.read()?;
        let text = find(&repo, commit)?.tree_id().to_string();
        text.parse().map_err(|_| Error::Answer {
            what: "libgit2".into(),
            answer: text.clone(),
        })
    }

    /// A file as it is at a commit.
    pub fn file_at(&self, commit: &CommitId, path: &str) -> Result<FileAt, Error> {
        let repo = self.read()?;
        let tree = reading("a tree", find(&repo, commit)?.tree())?;
        let entry = match tree.get_path(Path::new(path)) {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(FileAt::Absent),
            other => reading("a tree", other)?,
        };
        let Ok(blob) = reading("a file", entry.to_object(&repo))?.into_blob() else {
            return Ok(FileAt::Other);
        };
        Ok(match entry.filemode() {
            0o100_644 => FileAt::Plain(blob.content().to_vec()),
            0o100_755 => FileAt::Executable(blob.content().to_vec()),
            _ => FileAt::Other,
        })
    }

    /// The files of the commit that the user's checkout is at, in order. Submodules and links are left out.
    pub fn files_at_head(&self) -> Result<Vec<String>, Error> {
        let head = self.user_head()?.commit;
        let repo = self.read()?;
        let tree = reading("a tree", find(&repo, &head)?.tree())?;
        let mut files = Vec::new();
        let walked = tree.walk(TreeWalkMode::PreOrder, |dir, entry| {
            if matches!(entry.filemode(), 0o100_644 | 0o100_755)
                && let (Ok(dir), Ok(name)) = (std::str::from_utf8(dir.as_bytes()), entry.name())
            {
                files.push(format!("{dir}{name}"));
            }
            TreeWalkResult::Ok
        });
        reading("a tree", walked)?;
        Ok(files)
    }

    /// Those of the paths that are a file or a link in a commit.
    pub(crate) fn files_among(
        &self,
        commit: &CommitId,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Error> {
        let repo = self.read()?;
        let tree = reading("a tree", find(&repo, commit)?.tree())?;
        let mut files = BTreeSet::new();
        for path in paths {
            match tree.get_path(Path::new(path)) {
                Ok(entry) if entry.kind() == Some(ObjectType::Blob) => drop(files.insert(path.clone())),
                Ok(_) => {}
                Err(e) if e.code() == ErrorCode::NotFound => {}
                Err(source) => {
                    let what = format!("{path} in a tree");
                    return Err(Error::Read { what, source });
                }
            }
        }
        Ok(files)
    }

    /// Whether `ancestor` is `commit` or comes before it.
    pub fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, Error> {
        let repo = self.read()?;
        let (old, new) = (find(&repo, ancestor)?.id(), find(&repo, commit)?.id());
        Ok(old == new || reading("the history", repo.graph_descendant_of(new, old))?)
    }

    /// What changed from `base` to `commit`, at most `cap` bytes of it.
    pub fn diff_text(&self, base: &CommitId, commit: &CommitId, cap: usize) -> Result<DiffText, Error> {
        let repo = self.read()?;
        patch_text(&diff(&repo, base, commit)?, cap)
    }

    /// How much changed from `base` to `commit`.
    pub fn diff_stat(&self, base: &CommitId, commit: &CommitId) -> Result<DiffStat, Error> {
        let repo = self.read()?;
        let stats = reading("a diff", diff(&repo, base, commit)?.stats())?;
        Ok(DiffStat {
            files: stats.files_changed(),
            insertions: stats.insertions(),
            deletions: stats.deletions(),
        })
    }

    /// The paths that differ between two commits, for people.
    pub fn changed_files(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<String>, Error> {
        let all = self.deltas(base, commit, |_| true)?;
        Ok(all
            .into_iter()
            .map(|p| p.to_string_lossy().into_owned())
            .collect())
    }

    /// The paths that `commit` has and `base` has not.
    pub(crate) fn added(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<PathBuf>, Error> {
        self.deltas(base, commit, |d| d.status() == Delta::Added)
    }

    /// Every path that differs, with its modes. git is several times faster at this than libgit2.
    pub(crate) async fn raw_diff(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<RawChange>, Error> {
        let args = [
            "diff-tree",
            "-r",
            "-z",
            "--raw",
            "--no-renames",
            base.as_str(),
            commit.as_str(),
        ];
        Ok(parse_raw(&self.git(Place::Shared).args(args).bytes().await?))
    }

    fn deltas(
        &self,
        base: &CommitId,
        commit: &CommitId,
        wanted: impl Fn(&git2::DiffDelta<'_>) -> bool,
    ) -> Result<Vec<PathBuf>, Error> {
        let repo = self.read()?;
        let diff = diff(&repo, base, commit)?;
        let path = |d: git2::DiffDelta<'_>| {
            let bytes = d
                .new_file()
                .path_bytes()
                .or(d.old_file().path_bytes())
                .unwrap_or_default();
            PathBuf::from(OsStr::from_bytes(bytes))
        };
        Ok(diff.deltas().filter(|d| wanted(d)).map(path).collect())
    }

    /// The commits that `commit` has and `base` has not, oldest first.
    pub fn commits_between(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<CommitLine>, Error> {
        let repo = self.read()?;
        let (from, to) = (find(&repo, base)?.id(), find(&repo, commit)?.id());
        let mut walk = reading("the history", repo.revwalk())?;
        reading("the history", walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE))?;
        reading("the history", walk.push(to))?;
        reading("the history", walk.hide(from))?;
        walk.map(|oid| {
            let commit = reading("the history", oid.and_then(|o| repo.find_commit(o)))?;
            let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
            let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
            Ok(CommitLine {
                commit: commit_id(commit.id())?,
                subject,
                author,
            })
        })
        .collect()
    }

    pub(crate) fn commit_parts(&self, commit: &CommitId) -> Result<CommitParts, Error> {
        let repo = self.read()?;
        let found = find(&repo, commit)?;
        let author = found.author();
        let offset = author.when().offset_minutes();
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
        Ok(CommitParts {
            tree: self.tree_of(commit)?,
            parents: found.parent_ids().map(commit_id).collect::<Result<_, _>>()?,
            message: String::from_utf8_lossy(found.message_bytes()).into_owned(),
            author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
            email: String::from_utf8_lossy(author.email_bytes()).into_owned(),
            when: format!(
                "@{} {sign}{:02}{:02}",
                author.when().seconds(),
                minutes / 60,
                minutes % 60
            ),
        })
    }

    /// Whether the tracked files of the checkout it was opened from are as committed.
    pub async fn checkout_state(&self) -> Result<Checkout, Error> {
        self.state_of(self.root()).await
    }

    pub(crate) async fn state_of(&self, checkout: &Path) -> Result<Checkout, Error> {
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--no-renames",
            "--untracked-files=no",
        ];
        let output = self.git(Place::Checkout(checkout)).args(args).bytes().await?;
        let changes = parse_status(&output).map_err(|answer| Error::Answer {
            what: "status".into(),
            answer,
        })?;
        let files: Vec<_> = changes
            .iter()
            .map(|c| c.path().to_string_lossy().into_owned())
            .collect();
        Ok(if files.is_empty() {
            Checkout::Clean
        } else {
            Checkout::Dirty { files }
        })
    }

    /// Every checkout there is.
    pub(crate) async fn checkouts(&self) -> Result<Vec<CheckedOut>, Error> {
        let output = self
            .git(Place::Shared)
            .args(["worktree", "list", "--porcelain", "-z"])
            .bytes()
            .await?;
        let mut found: Vec<CheckedOut> = Vec::new();
        for line in output.split(|&b| b == 0) {
            if let Some(path) = line.strip_prefix(b"worktree ") {
                found.push(CheckedOut {
                    path: OsStr::from_bytes(path).into(),
                    branch: Vec::new(),
                });
            } else if let (Some(branch), Some(last)) = (line.strip_prefix(b"branch "), found.last_mut()) {
                last.branch = branch.to_vec();
            }
        }
        Ok(found)
    }

    /// Where a branch is checked out, if it is.
    pub(crate) async fn checkout_of(&self, full: &str) -> Result<Option<PathBuf>, Error> {
        let all = self.checkouts().await?;
        Ok(all
            .into_iter()
            .find(|c| c.branch == full.as_bytes())
            .map(|c| c.path))
    }
}

pub(super) fn find<'r>(repo: &'r Repository, commit: &CommitId) -> Result<git2::Commit<'r>, Error> {
    let missing = || Error::NoSuchCommit {
        commit: commit.clone(),
    };
    let oid = Oid::from_str(commit.as_str()).map_err(|_| missing())?;
    repo.find_commit(oid).map_err(|source| match source.code() {
        ErrorCode::NotFound => missing(),
        _ => Error::Read {
            what: format!("commit {commit}"),
            source,
        },
    })
}

pub(super) fn diff<'r>(
    repo: &'r Repository,
    base: &CommitId,
    commit: &CommitId,
) -> Result<git2::Diff<'r>, Error> {
    let old = reading("a tree", find(repo, base)?.tree())?;
    let new = reading("a tree", find(repo, commit)?.tree())?;
    reading("a diff", repo.diff_tree_to_tree(Some(&old), Some(&new), None))
}

/// A diff as text, at most `cap` bytes of it.
pub(super) fn patch_text(diff: &git2::Diff<'_>, cap: usize) -> Result<DiffText, Error> {
    let (mut text, mut bytes) = (Vec::new(), 0);
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        let origin = line.origin();
        let mut part = Vec::with_capacity(line.content().len() + 1);
        if matches!(origin, '+' | '-' | ' ') {
            part.push(origin as u8);
        }
        part.extend_from_slice(line.content());
        bytes += part.len();
        if text.len() < cap {
            text.extend_from_slice(&part[..part.len().min(cap - text.len())]);
        }
        true
    });
    reading("a diff", printed)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(if bytes <= cap {
        DiffText::Whole(text)
    } else {
        DiffText::Shortened { text, bytes }
    })
}
