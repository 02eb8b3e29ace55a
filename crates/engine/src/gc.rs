//! Owns the freeing of space: looks at what lies in the state directory and in the salvage of each repository, and
//! removes what it is told to. What may go is the core's to decide. Journal and store are never touched.

pub mod disk;
mod notes;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use turno_core::ids::{AttemptId, RepoName};
use turno_core::retention::{Elsewhere, Found, FoundWhat, HomeName, Seen, Thing};

use crate::attach;
use crate::crash_point::{self, Deed, Moment};
use crate::git::{self, Extent};
use crate::preview;
use crate::process::supervised;
use crate::process::supervisor::files;
use crate::repos::Repos;
use crate::salvage::{self, Held, Strange};
use crate::slots::{self, Condition, SlotPlace, SlotPool};
use crate::workspace::StateDir;

pub use notes::{Noted, removed};

/// Why something could not be looked at or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// Salvage could not be read.
    #[error(transparent)]
    Salvage(#[from] salvage::Error),
    /// A slot could not be given up.
    #[error(transparent)]
    Slots(#[from] slots::Error),
    /// A file could not be read or removed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It is about a repository that is not configured any more.
    #[error("there is no repository `{0}` any more; name it in turno.toml under [repos]")]
    NoSuchRepo(RepoName),
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// What has a name that Turno gives.
    pub found: Vec<Found>,
    /// What has not.
    pub strange: Vec<Strange>,
}

/// What lies in a state directory by names that are given once.
const ROOT: [&str; 16] = [
    "attached",
    "attempts",
    "board",
    "checks",
    "homes",
    "lock",
    "notify",
    "previews",
    "removed.ndjson",
    "repository",
    "slots",
    "store",
    "tools",
    "traces-sent",
    "turno.log",
    "turno.sock",
];

/// Looks at everything. Nothing is changed.
///
/// # Errors
/// When something cannot be read: what is not known is not judged.
pub async fn look(repos: &Repos, dirs: &StateDir) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    for (name, path) in entries(dirs.root())? {
        let socket = name.as_deref().and_then(|n| attempt_of(n.strip_suffix(".net")?));
        match socket {
            Some(attempt) => survey.put(&path, FoundWhat::Socket(attempt)),
            None if name.is_some_and(|n| ROOT.contains(&n.as_str())) => {}
            None => survey.strange.push(Strange::Path(path)),
        }
    }
    for (name, path) in entries(&dirs.attempts())? {
        match name.as_deref().and_then(attempt_of).filter(|_| path.is_dir()) {
            Some(attempt) => survey.put(&path, FoundWhat::Attempt(attempt, seen(&path))),
            None => survey.strange.push(Strange::Path(path)),
        }
    }
    for (name, path) in entries(&dirs.homes())? {
        match name.filter(|_| path.is_dir()) {
            Some(name) => survey.put(&path, FoundWhat::Home(name)),
            None => survey.strange.push(Strange::Path(path)),
        }
    }
    survey.salvage(repos, dirs).await?;
    for (name, repo) in repos.iter() {
        let dir = dirs.slots(&name);
        if !dir.is_dir() {
            continue;
        }
        for state in SlotPool::open(repo.clone(), &dir)?.list()? {
            // A damaged one is made anew at its next use.
            if let (SlotPlace::Slot(slot), Condition::Ready | Condition::Interrupted) =
                (state.place, state.condition)
                && !attach::is_used(dirs, slot)
                && !preview::is_used(dirs, slot)
            {
                let repo = name.clone();
                survey.put(&state.path, FoundWhat::Slot { repo, slot });
            }
        }
        survey.strange_slots(&dir)?;
    }
    Ok(survey)
}

impl Survey {
    fn put(&mut self, path: &Path, what: FoundWhat) {
        self.found.push(Found {
            bytes: disk::bytes(path),
            what,
        });
    }

    async fn salvage(&mut self, repos: &Repos, dirs: &StateDir) -> Result<(), Error> {
        let kept = salvage::find(repos, dirs)?;
        self.strange.extend(kept.strange);
        for one in kept.kept {
            let repo = repos
                .get(&one.repo)
                .ok_or_else(|| Error::NoSuchRepo(one.repo.clone()))?;
            match &one.held {
                Held::Aside { path } => self.put(
                    path,
                    FoundWhat::Aside {
                        repo: one.repo.clone(),
                        name: one.leaf.clone(),
                        at: one.at,
                    },
                ),
                Held::Commit { commit, .. } => {
                    let elsewhere = if repo.is_on_a_branch(commit).await? {
                        Elsewhere::Landed
                    } else {
                        Elsewhere::Nowhere
                    };
                    // What is on a branch takes no space of its own.
                    let bytes = match elsewhere {
                        Elsewhere::Landed => 0,
                        Elsewhere::Nowhere => {
                            let items = salvage::items(repo, &one, Extent::Changes)?;
                            items.iter().map(|i| i.bytes).sum()
                        }
                    };
                    let what = FoundWhat::Commit {
                        repo: one.repo,
                        name: one.leaf,
                        at: one.at,
                        elsewhere,
                    };
                    self.found.push(Found { bytes, what });
                }
            }
        }
        Ok(())
    }

    /// What lies among the slots and is none.
    fn strange_slots(&mut self, dir: &Path) -> Result<(), Error> {
        for (name, path) in entries(dir)? {
            let known = name.as_deref().is_some_and(|name| {
                let (stem, rest) = name.split_once('.').unwrap_or((name, ""));
                let place =
                    stem == "landing" || stem.strip_prefix('s').unwrap_or(stem).parse::<u16>().is_ok();
                let ours = ["", "gitdir", "index", "index.lock", "staged", "dirty", "setup"].contains(&rest)
                    || rest.ends_with(".turno-new");
                (place && ours) || name == "aside" || name.starts_with("repo-")
            });
            if !known {
                self.strange.push(Strange::Path(path));
            }
        }
        Ok(())
    }
}

/// The entries of a directory with their names, where these are text. One that is not there is empty.
fn entries(dir: &Path) -> Result<Vec<(Option<String>, PathBuf)>, Error> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io("list", dir)(e)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(io("list", dir))?;
        found.push((entry.file_name().into_string().ok(), entry.path()));
    }
    found.sort();
    Ok(found)
}

/// The attempt that a name is for, if it is written as Turno writes it.
fn attempt_of(name: &str) -> Option<AttemptId> {
    name.parse().ok().filter(|a: &AttemptId| a.to_string() == name)
}

/// What is to be seen of an attempt's directory: of its own run, and of those for its setup and its checks.
fn seen(dir: &Path) -> Seen {
    if has_living(dir, 3) {
        return Seen::Lives;
    }
    // What was taken over is removed from there; a list of what is borrowed is no work.
    let lent = dir.join("lent");
    let held = |name: &str| has_file(&lent.join(name));
    if dir.join("start.json").is_file() && (held("taken") || held("objects")) {
        return Seen::HoldsWork;
    }
    Seen::Quiet
}

fn has_living(dir: &Path, depth: u8) -> bool {
    if dir.join(files::SUPERVISOR).is_file() && supervised::lives(dir) {
        return true;
    }
    let below = fs::read_dir(dir).into_iter().flatten().flatten();
    depth > 0
        && below
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
            .any(|e| has_living(&e.path(), depth - 1))
}

/// Whether there is any file that may be an object. What cannot be read may.
fn has_file(dir: &Path) -> bool {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(e) => return e.kind() != ErrorKind::NotFound,
    };
    listed.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => has_file(&entry.path()),
        Ok(_) => entry.file_name() != "alternates",
        Err(_) => true,
    })
}

/// Removes one thing, after noting that it goes. It can be done again after it was broken off.
///
/// # Errors
/// When it cannot be removed whole.
pub async fn remove(repos: &Repos, dirs: &StateDir, what: &Thing, bytes: u64) -> Result<(), Error> {
    crash_point::reached(Moment::BeforeCommit, Deed::Collect);
    notes::note(dirs, what, bytes)?;
    crash_point::reached(Moment::AfterCommit, Deed::Collect);
    let repo_of = |name: &RepoName| repos.get(name).ok_or_else(|| Error::NoSuchRepo(name.clone()));
    let removed = match what {
        Thing::Attempt { attempt } => remove_tree(&dirs.attempt(*attempt)),
        Thing::Home(home) => remove_tree(&dirs.homes().join(HomeName::dir(home))),
        Thing::Aside { repo, name } => remove_tree(&dirs.slots(repo).join("aside").join(name)),
        Thing::Socket { attempt } => remove_tree(&dirs.net_socket(*attempt)),
        Thing::Slot { repo, slot } => {
            let pool = SlotPool::open(repo_of(repo)?.clone(), &dirs.slots(repo))?;
            pool.retire(SlotPlace::Slot(*slot)).await?;
            Ok(())
        }
        Thing::Commit { repo, name } => {
            let repo = repo_of(repo)?;
            let kept = repo.kept_commits()?.0;
            match kept.iter().find(|k| k.leaf == *name) {
                Some(kept) => Ok(repo.give_up(name, &kept.commit).await?),
                None => Ok(()),
            }
        }
    };
    crash_point::reached(Moment::AfterEffect, Deed::Collect);
    removed
}

/// Removes a file, a link or a directory with all that is in it; no link is followed. What is not there is no error.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    let tried = || match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match tried() {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        // An agent may have closed its directories.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            open_up(path);
            match tried() {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(io("remove", path)(e)),
                Ok(()) | Err(_) => Ok(()),
            }
        }
        Err(e) => Err(io("remove", path)(e)),
    }
}

/// Lets the owner into every directory. What cannot be opened is told by the removal.
fn open_up(path: &Path) {
    if !fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        return;
    }
    drop(fs::set_permissions(path, fs::Permissions::from_mode(0o700)));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}
