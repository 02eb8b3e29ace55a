//! Owns how a place's worktree is found, made, repaired and retired, and its HEAD. What lies in a worktree's
//! git directory may be hostile: only known plain files in it are kept.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use chrono::Utc;
use turno_core::ids::CommitId;

use super::{Error, Salvaged, SlotPlace, SlotPool, files, io};
use crate::git::{Found, Place, Worktree};

/// What stays in a worktree's git directory. Everything else there is left over from a broken-off operation.
const KEPT_FILES: [&str; 5] = ["HEAD", "index", "commondir", "gitdir", "locked"];
const KEPT_DIRS: [&str; 3] = ["logs", "refs", "modules"];
/// Where the user has set `core.splitIndex`, the slot's own index has a second file.
const PART_OF_INDEX: &[u8] = b"sharedindex.";
/// Where a broken-off operation notes commits that nothing else may lead to.
pub(super) const STRAYS: [&str; 6] = [
    "rebase-merge/orig-head",
    "rebase-merge/autostash",
    "rebase-apply/orig-head",
    "rebase-apply/autostash",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
];

/// What a slot's HEAD says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    /// Detached at a commit.
    Detached(CommitId),
    /// On a branch that somebody else made.
    Branch(Found),
    /// Nothing that makes sense.
    Unknown,
}

impl Head {
    pub(super) fn commit(&self) -> Option<&CommitId> {
        match self {
            Self::Detached(commit) | Self::Branch(Found::At(commit)) => Some(commit),
            Self::Branch(Found::Absent) | Self::Unknown => None,
        }
    }
}

impl SlotPool {
    /// The worktree of a place, if everything about it is as Turno made it.
    pub(super) fn known(&self, place: SlotPlace) -> Option<Worktree> {
        let path = self.path(place);
        let tree = self.recorded(place)?;
        let pointer = [path.join(".git").as_os_str().as_bytes(), b"\n"].concat();
        // An id may have been given to another worktree since: only its own word proves whose it is.
        let ours = files::read_plain(&tree.git_dir.join("gitdir"))? == pointer;
        (ours && fs::symlink_metadata(&path).ok()?.is_dir()).then_some(tree)
    }

    fn recorded(&self, place: SlotPlace) -> Option<Worktree> {
        let bytes = files::read_plain(&self.beside(place, "gitdir"))?;
        let git_dir = PathBuf::from(OsStr::from_bytes(&bytes));
        let inside = git_dir.parent() == Some(&self.repo().common_dir().join("worktrees"));
        let tree = Worktree {
            path: self.path(place),
            git_dir,
            index: self.beside(place, "index"),
        };
        (inside && fs::symlink_metadata(&tree.git_dir).ok()?.is_dir()).then_some(tree)
    }

    /// Makes a worktree with HEAD at `commit` and no files yet. What stands in its place is moved aside.
    pub(super) async fn make(
        &self,
        place: SlotPlace,
        commit: &CommitId,
        salvaged: &mut Vec<Salvaged>,
    ) -> Result<Worktree, Error> {
        if let Some(old) = self.recorded(place)
            && let Some(head) = self.head(&old)?.commit()
            && !self.repo().is_kept(head).await?
        {
            let refname = self.repo().keep(&place.to_string(), head).await?;
            salvaged.push(Salvaged::Commit {
                refname,
                commit: head.clone(),
            });
        }
        let path = self.path(place);
        if fs::symlink_metadata(&path).is_ok() {
            salvaged.push(Salvaged::Aside {
                path: self.put_aside(place, &path, Path::new("slot"))?,
            });
        }
        files::remove(&self.beside(place, "gitdir"))?;
        files::remove(&self.beside(place, "index"))?;
        files::remove(&self.beside(place, "index.lock"))?;
        files::remove(&self.beside(place, "staged"))?;
        self.repo().add_worktree(&path, commit).await?;
        let pointer = files::read_plain(&path.join(".git")).unwrap_or_default();
        let git_dir = pointer
            .strip_prefix(b"gitdir: ")
            .unwrap_or_default()
            .trim_ascii_end();
        files::replace(&self.beside(place, "gitdir"), git_dir)?;
        self.known(place).ok_or(Error::NotPrepared { place })
    }

    /// Mends what a program in the slot may have broken, and removes what broken-off operations left. Returns
    /// the commits that those had noted.
    pub(super) fn tidy(&self, tree: &Worktree) -> Result<Vec<CommitId>, Error> {
        let strays = STRAYS.iter().filter_map(|name| {
            let bytes = files::read_plain(&tree.git_dir.join(name))?;
            let commit: CommitId = std::str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
            self.repo().tree_of(&commit).is_ok().then_some(commit)
        });
        let strays: Vec<_> = strays.collect();
        for entry in fs::read_dir(&tree.git_dir).map_err(io("list", &tree.git_dir))? {
            let entry = entry.map_err(io("list", &tree.git_dir))?;
            let kind = entry.file_type().map_err(io("look at", &tree.git_dir))?;
            let known = |names: &[&str]| names.iter().any(|n| entry.file_name() == OsStr::new(n));
            let shared = entry.file_name().as_bytes().starts_with(PART_OF_INDEX);
            let kept =
                (kind.is_file() && (known(&KEPT_FILES) || shared)) || (kind.is_dir() && known(&KEPT_DIRS));
            if !kept {
                files::remove(&entry.path())?;
            }
        }
        let log = tree.git_dir.join("logs/HEAD");
        if fs::symlink_metadata(&log).is_ok_and(|m| !m.is_file()) {
            files::remove(&log)?;
        }
        files::remove(&tree.index.with_extension("index.lock"))?;
        let common = tree.git_dir.join("commondir");
        if files::read_plain(&common).as_deref() != Some(b"../..\n") {
            files::replace(&common, b"../..\n")?;
        }
        let pointer = [b"gitdir: ", tree.git_dir.as_os_str().as_bytes(), b"\n"].concat();
        let link = tree.path.join(".git");
        if files::read_plain(&link).as_deref() != Some(&pointer) {
            self.displace(&link)?;
            files::replace(&link, &pointer)?;
        }
        Ok(strays)
    }

    /// A directory that an agent put where the `.git` file was may hold its work.
    fn displace(&self, link: &Path) -> Result<(), Error> {
        match fs::symlink_metadata(link) {
            Ok(meta) if meta.is_dir() => self
                .put_aside(SlotPlace::Landing, link, Path::new("git"))
                .map(drop),
            Ok(_) => files::remove(link),
            Err(_) => Ok(()),
        }
    }

    /// Where a slot's HEAD is.
    pub(super) fn head(&self, tree: &Worktree) -> Result<Head, Error> {
        let bytes = files::read_plain(&tree.git_dir.join("HEAD")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if let Some(name) = text.strip_prefix("ref: ") {
            return Ok(Head::Branch(self.repo().read_any_ref(name.trim())?));
        }
        let commit = text.parse().ok().filter(|c| self.repo().tree_of(c).is_ok());
        Ok(commit.map_or(Head::Unknown, Head::Detached))
    }

    /// Detaches HEAD at a commit without touching a branch, the index or the files.
    pub(super) fn set_head(&self, tree: &Worktree, commit: &CommitId) -> Result<(), Error> {
        files::replace(&tree.git_dir.join("HEAD"), format!("{commit}\n").as_bytes())
    }

    /// Gives the programs in the slot Turno's index, so that their first `git status` is fast and right.
    pub(super) fn publish_index(&self, tree: &Worktree) -> Result<(), Error> {
        files::remove(&tree.staged())?;
        files::copy_over(&tree.index, &tree.git_dir.join("index"))
    }

    /// Moves something out of the way, under a name that is not taken. Returns where it is now.
    pub(super) fn put_aside(&self, place: SlotPlace, from: &Path, name: &Path) -> Result<PathBuf, Error> {
        let stamp = Utc::now().format("%Y%m%dT%H%M%S%3fZ");
        let aside = self.inner.dir.join("aside");
        let mut n = 0;
        let parent = loop {
            let parent = aside.join(format!("{place}-{stamp}-{n}"));
            match fs::create_dir(&parent) {
                Ok(()) => break parent,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => n += 1,
                Err(e) => return Err(io("create", &parent)(e)),
            }
        };
        let to = parent.join(name);
        if let Some(above) = to.parent() {
            fs::create_dir_all(above).map_err(io("create", above))?;
        }
        fs::rename(from, &to).map_err(io("move aside", from))?;
        Ok(to)
    }
}

impl crate::git::Repo {
    /// Adds a locked worktree without files. An entry of git's for the same path, e.g. of a directory that was
    /// deleted, is replaced; no other one is touched.
    async fn add_worktree(&self, path: &Path, commit: &CommitId) -> Result<(), Error> {
        let _gate = self.gate().await;
        let args = [
            "worktree",
            "add",
            "-f",
            "-f",
            "--detach",
            "--no-checkout",
            "--lock",
            "--reason",
            "in use by turno",
        ];
        let call = self.git(Place::Shared).setting("worktree.useRelativePaths=false");
        Ok(call
            .args(args)
            .args([path.as_os_str(), OsStr::new(commit.as_str())])
            .done()
            .await?)
    }
}
