//! Owns keeping: how everything in a slot becomes a tree, and what happens to what git cannot hold.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use turno_core::guard::GuardKind;
use turno_core::ids::{CommitId, TreeId};

use super::access::Opened;
use super::seat::Head;
use super::{Error, SlotPlace, SlotPool};
use crate::change::paths;
use crate::git::{
    self, Changed, Identity, Linked, Place, RawChange, TurnoRef, Worktree, parse_raw, parse_status,
};
use crate::process::End;

/// No call looks into a repository inside the slot: git would run there what that one's configuration names, and a
/// `.gitmodules` in the slot outweighs every setting but this flag. Nor is a broken one of those read then.
const NOT_INSIDE: &str = "--ignore-submodules=dirty";

/// Something that was found in a slot and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Salvaged {
    /// As a commit.
    Commit {
        /// Under this ref.
        refname: TurnoRef,
        /// Which.
        commit: CommitId,
    },
    /// As files outside the slot, because git cannot hold them.
    Aside {
        /// Where they are.
        path: PathBuf,
    },
}

/// Something in a slot that is not part of the commit that was made of it. It is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Relative to the top of the slot.
    pub path: PathBuf,
    /// Why.
    pub why: LeftOutWhy,
}

/// Why something could not be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOutWhy {
    /// It is a repository of its own: a commit would hold a link that leads nowhere.
    NestedRepository,
    /// It cannot be read, or is no file, link or directory.
    Unreadable,
}

/// What lies between two commits that a checkout alone does not take care of.
pub(super) struct Between {
    pub(super) ignores: Ignores,
    pub(super) links_left: Vec<PathBuf>,
}

/// Whether the rules for ignored files are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignores {
    Same,
    Changed,
}

/// A slot's files as a tree.
pub(super) struct Snapshot {
    pub(super) tree: TreeId,
    pub(super) left_out: Vec<LeftOut>,
}

impl SlotPool {
    /// What differs from Turno's index, and that from HEAD: the one scan of all files.
    pub(super) async fn scan(&self, tree: &Worktree, head: &Head) -> Result<Vec<Changed>, Error> {
        if !tree.index.exists() {
            self.load_index(tree, head.commit()).await?;
        }
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            NOT_INSIDE,
            "--ignored=no",
        ];
        // Which directories had nothing new is kept in Turno's index with all of their times, of which a program
        // in the slot cannot set the one of the last change; git keeps it for the kind of scan it is told here.
        let call = self
            .repo()
            .git(Place::Own(tree))
            .setting("core.untrackedCache=true")
            .setting("status.showUntrackedFiles=all")
            .args(args);
        let output = match call.bytes().await {
            Ok(output) => output,
            // The index may be what is broken; it can be made again from the commit.
            Err(git::Error::Git { .. }) => {
                super::files::remove(&tree.index)?;
                self.load_index(tree, head.commit()).await?;
                call.bytes().await?
            }
            Err(other) => return Err(other.into()),
        };
        let mut changes = parse_status(&output).map_err(|answer| git::Error::Answer {
            what: call.what(),
            answer,
        })?;
        // git's memory of untracked files may still name what is gone, e.g. a repository that was just moved aside.
        changes.retain(|change| match change {
            Changed::Tracked { .. } => true,
            Changed::Untracked { path } => {
                let there = fs::symlink_metadata(tree.path.join(path));
                !there.is_err_and(|e| e.kind() == ErrorKind::NotFound)
            }
        });
        Ok(changes)
    }

    /// Makes Turno's index that of a commit. What it knows of unchanged files is kept.
    pub(super) async fn load_index(&self, tree: &Worktree, commit: Option<&CommitId>) -> Result<(), Error> {
        let call = self.repo().git(Place::Own(tree)).args(["read-tree"]);
        let call = match commit {
            Some(commit) => call.args(["--reset", commit.as_str()]),
            None => call.args(["--empty"]),
        };
        Ok(call.done().await?)
    }

    /// Everything in the slot that is not ignored, as a tree on top of `parent`. What the programs in the slot
    /// staged counts too: a force-added ignored file is in, one that was removed from the index only is out. A
    /// link to another repository is in only if `known_links` has it.
    pub(super) async fn snapshot(
        &self,
        tree: &Worktree,
        head: &Head,
        parent: Option<&CommitId>,
        known_links: Option<&CommitId>,
    ) -> Result<Snapshot, Error> {
        let staged = self.staged_by_programs(tree, head).await;
        self.load_index(tree, parent).await?;
        let git = |args: &[&str]| self.repo().git(Place::Own(tree)).args(args);
        let there = |path: &Path| fs::symlink_metadata(tree.path.join(path)).is_ok();
        let of = |wanted: u8| {
            staged
                .iter()
                .filter(move |s| s.change == wanted && s.is_link == Linked::No && is_plain(&s.path))
        };

        let unstaged = nul(of(b'D').map(|s| s.path.as_path()).filter(|p| there(p)));
        if !unstaged.is_empty() {
            git(&["update-index", "-z", "--force-remove", "--stdin"])
                .input(unstaged)
                .done()
                .await?;
        }
        let links = self.take_links_out(tree).await?;
        let mut left_out = Vec::new();
        let add = git(&["add", "-A", "--ignore-errors"]);
        let mut finished = add.finish().await?;
        // A directory that may not be listed is only a warning of git's: what is in it would be missing unsaid.
        if says_denied(&finished.stderr) && self.give_rights_back(tree).await? == Opened::Some {
            finished = add.finish().await?;
        }
        match finished.end {
            End::Exited(0) => {}
            End::Exited(1 | 128) => left_out = self.not_added(tree).await?,
            End::Exited(_) | End::Signalled(_) => return Err(add.failure(&finished).into()),
        }
        if finished.end != End::Exited(0) && left_out.is_empty() {
            return Err(add.failure(&finished).into());
        }
        let forced = nul(of(b'A').map(|s| s.path.as_path()).filter(|p| there(p)));
        if !forced.is_empty() {
            let args = [
                "add",
                "-f",
                "--ignore-errors",
                "--pathspec-from-file=-",
                "--pathspec-file-nul",
            ];
            let call = git(&args).input(forced);
            let finished = call.finish().await?;
            if finished.end != End::Exited(0) {
                tracing::warn!(error = %call.failure(&finished), "not all that was staged in a slot could be added");
            }
        }
        self.put_links_back(tree, links).await?;
        let known = match known_links {
            Some(commit) => commit.to_string(),
            None => {
                git(&["hash-object", "-t", "tree", "-w", "--stdin"])
                    .input(Vec::new())
                    .text()
                    .await?
            }
        };
        let diff = git(&[
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            NOT_INSIDE,
            &known,
        ])
        .bytes()
        .await?;
        let links: Vec<_> = parse_raw(&diff)
            .into_iter()
            .filter(|s| s.is_link == Linked::Yes && s.was_link == Linked::No)
            .collect();
        if !links.is_empty() {
            let paths = nul(links.iter().map(|s| s.path.as_path()));
            git(&["update-index", "-z", "--force-remove", "--stdin"])
                .input(paths)
                .done()
                .await?;
            left_out.extend(links.iter().map(|s| LeftOut {
                path: s.path.clone(),
                why: LeftOutWhy::NestedRepository,
            }));
        }
        let answer = git(&["write-tree"]).text().await?;
        let tree = answer.parse().map_err(|_| git::Error::Answer {
            what: "write-tree".into(),
            answer: answer.clone(),
        })?;
        Ok(Snapshot { tree, left_out })
    }

    /// What is still not in the index after everything was added.
    async fn not_added(&self, tree: &Worktree) -> Result<Vec<LeftOut>, Error> {
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            NOT_INSIDE,
        ];
        // What git remembers of directories goes by their times, which do not tell close moments apart: here it looks.
        let call = self.repo().git(Place::Own(tree));
        let call = call.setting("core.untrackedCache=false").args(args);
        let changes = parse_status(&call.bytes().await?).map_err(|answer| git::Error::Answer {
            what: call.what(),
            answer,
        })?;
        let left = changes.into_iter().filter_map(|change| match change {
            Changed::Tracked {
                differs: git::Differs::Staged,
                ..
            } => None,
            Changed::Tracked {
                path,
                differs: git::Differs::Unstaged,
            } => Some(LeftOut {
                path,
                why: LeftOutWhy::Unreadable,
            }),
            Changed::Untracked { path } => {
                let nested = path.as_os_str().as_bytes().ends_with(b"/");
                let why = if nested {
                    LeftOutWhy::NestedRepository
                } else {
                    LeftOutWhy::Unreadable
                };
                Some(LeftOut { path, why })
            }
        });
        Ok(left.collect())
    }

    /// What programs in the slot put in or took out of their own index. Their index may be broken: then nothing.
    async fn staged_by_programs(&self, tree: &Worktree, head: &Head) -> Vec<RawChange> {
        let index = match tree.staged() {
            staged if staged.exists() => staged,
            _ => tree.git_dir.join("index"),
        };
        let (Some(commit), true) = (head.commit(), index.exists()) else {
            return Vec::new();
        };
        let args = [
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            NOT_INSIDE,
            commit.as_str(),
        ];
        match self
            .repo()
            .git(Place::OwnOtherIndex(tree, &index))
            .args(args)
            .bytes()
            .await
        {
            Ok(output) => parse_raw(&output),
            Err(error) => {
                tracing::warn!(%error, "a slot's own index cannot be read; its files are taken as they are");
                Vec::new()
            }
        }
    }

    /// Keeps whatever is in a slot and nowhere else. Afterwards the slot may be reset.
    pub(super) async fn salvage(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        found: &Looked,
        salvaged: &mut Vec<Salvaged>,
    ) -> Result<(), Error> {
        let label = place.to_string();
        let head = found.head.commit();
        if !found.changes.is_empty() {
            let snapshot = self.snapshot(tree, &found.head, head, head).await?;
            let same = match head {
                Some(commit) => self.repo().tree_of(commit)? == snapshot.tree,
                None => false,
            };
            if !same {
                let parents: Vec<_> = head.into_iter().cloned().collect();
                let message = format!("Left uncommitted in slot {place}\n");
                let commit = self
                    .repo()
                    .commit_tree(&snapshot.tree, &parents, &message, &Identity::Turno)
                    .await?;
                let refname = self.repo().keep(&label, &commit).await?;
                salvaged.push(Salvaged::Commit { refname, commit });
            }
            for left in &snapshot.left_out {
                let (from, name) = (tree.path.join(&left.path), trimmed(&left.path));
                if fs::symlink_metadata(&from).is_ok() {
                    salvaged.push(Salvaged::Aside {
                        path: self.put_aside(place, &from, name)?,
                    });
                }
            }
        }
        for commit in head.into_iter().chain(&found.strays) {
            if !self.repo().is_kept(commit).await? {
                let refname = self.repo().keep(&label, commit).await?;
                salvaged.push(Salvaged::Commit {
                    refname,
                    commit: commit.clone(),
                });
            }
        }
        Ok(())
    }

    /// Moves aside what agents would take for instructions and git does not show: one agent must not tell the next one
    /// what to do behind everybody's back. What `copy` brings is brought again.
    pub(super) fn take_instructions(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        ignored: &BTreeSet<PathBuf>,
        salvaged: &mut Vec<Salvaged>,
    ) -> Result<(), Error> {
        for path in ignored {
            let (from, users) = (tree.path.join(path), self.repo().root().join(path));
            let is_users = from.is_file() && fs::read(&from).ok() == fs::read(&users).ok();
            if is_users || !is_for_agents(&path.to_string_lossy()) {
                continue;
            }
            if fs::symlink_metadata(&from).is_ok() {
                salvaged.push(Salvaged::Aside {
                    path: self.put_aside(place, &from, path)?,
                });
            }
        }
        Ok(())
    }

    /// Moves repositories aside that a program in the slot cloned and committed as links: a checkout of a commit
    /// without those links would leave them to be deleted.
    pub(super) fn free_links(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        between: &Between,
        salvaged: &mut Vec<Salvaged>,
    ) -> Result<(), Error> {
        for path in &between.links_left {
            let (whole, name) = (tree.path.join(path), trimmed(path));
            // One of the project's own submodules has a file there, and its repository elsewhere.
            if fs::symlink_metadata(whole.join(".git")).is_ok_and(|m| m.is_dir()) {
                salvaged.push(Salvaged::Aside {
                    path: self.put_aside(place, &whole, name)?,
                });
            }
        }
        Ok(())
    }

    /// What a checkout from where a slot is to `target` meets.
    pub(super) async fn between(&self, head: &Head, target: &CommitId) -> Result<Between, Error> {
        let mut between = Between {
            ignores: Ignores::Same,
            links_left: Vec::new(),
        };
        let Some(from) = head.commit().filter(|c| *c != target) else {
            return Ok(between);
        };
        for change in self.repo().raw_diff(from, target).await? {
            if change.path.file_name() == Some(OsStr::new(".gitignore")) {
                between.ignores = Ignores::Changed;
            }
            if change.was_link == Linked::Yes && change.is_link == Linked::No {
                between.links_left.push(change.path);
            }
        }
        Ok(between)
    }

    /// Tidies a slot and looks at everything in it.
    pub(super) async fn look(&self, tree: &Worktree) -> Result<Looked, Error> {
        let strays = self.tidy(tree)?;
        let head = self.head(tree)?;
        if head.commit().is_none() {
            // git refuses to work at all with such a HEAD; any commit will do until the slot is put on one.
            self.set_head(tree, &self.repo().user_head()?.commit)?;
        }
        let changes = self.scan(tree, &head).await?;
        Ok(Looked {
            head,
            strays,
            changes,
        })
    }
}

/// All that a look at a slot shows.
pub(super) struct Looked {
    pub(super) head: Head,
    pub(super) strays: Vec<CommitId>,
    pub(super) changes: Vec<Changed>,
}

/// Whether git met something that it may not read.
fn says_denied(stderr: &[u8]) -> bool {
    String::from_utf8_lossy(stderr).contains("Permission denied")
}

/// Whether a path leads to a file of the slot's. One forged entry would make git refuse the others too.
fn is_plain(path: &Path) -> bool {
    let plain = |c| matches!(c, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    path.components().all(plain) && !path.as_os_str().is_empty()
}

/// Whether agents take what is at this path for instructions.
fn is_for_agents(path: &str) -> bool {
    paths::groups(path)
        .iter()
        .any(|(kind, _)| *kind == GuardKind::AgentFiles)
}

/// A path without the slash that marks a directory.
pub(super) fn trimmed(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    Path::new(OsStr::from_bytes(bytes.strip_suffix(b"/").unwrap_or(bytes)))
}

fn nul<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<u8> {
    paths
        .flat_map(|p| [p.as_os_str().as_bytes(), b"\0"].concat())
        .collect()
}
