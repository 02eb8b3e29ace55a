//! Owns the state directory: where it is, what lies where in it, and the lock that lets one process in.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use turno_core::ids::{AttemptId, RepoName, TaskId};

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made or written.
    #[error(
        "the state directory {} cannot be used: {source}. {}, or point TURNO_STATE_DIR at another directory",
        path.display(),
        match source.kind() {
            std::io::ErrorKind::StorageFull => "Nothing was lost: free some space on that disk, then start again",
            _ => "Make it writable",
        }
    )]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process works with it.
    #[error(
        "another turno (pid {holder}) works on this workspace; its state is {}. \
         Use `turno status` to see it, `turno stop` to end it",
        path.display()
    )]
    Taken {
        /// Which.
        path: PathBuf,
        /// Who has it, as far as the lock file says.
        holder: String,
    },
    /// It belongs to another repository.
    #[error(
        "the state directory {} belongs to the repository {owner}, not to {}. Point TURNO_STATE_DIR at another directory",
        path.display(),
        repo.display()
    )]
    OtherRepository {
        /// Which directory.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who asked for it.
        repo: PathBuf,
    },
    /// There is no home directory to put it in.
    #[error(
        "neither TURNO_STATE_DIR nor XDG_STATE_HOME nor HOME is set, so there is no place for Turno's state; set one"
    )]
    NoHome,
}

/// The paths in a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
    repo: PathBuf,
}

impl StateDir {
    /// The state directory of a repository: `TURNO_STATE_DIR`, else a directory below the user's state home
    /// that is named after the repository and told apart by a sum over its path.
    ///
    /// # Errors
    /// When no variable names a place.
    pub fn of(repo_root: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(root) = set("TURNO_STATE_DIR") {
            let root = std::path::absolute(&root).unwrap_or(root);
            return Ok(Self {
                root,
                repo: repo_root.to_owned(),
            });
        }
        let home = set("XDG_STATE_HOME")
            .or_else(|| set("HOME").map(|h| h.join(".local/state")))
            .ok_or(Error::NoHome)?;
        let name = repo_root
            .file_name()
            .map_or_else(|| "root".to_owned(), |n| n.to_string_lossy().into_owned());
        let sum = crc32c::crc32c(repo_root.as_os_str().as_encoded_bytes());
        Ok(Self {
            root: home.join("turno").join(format!("{name}-{sum:08x}")),
            repo: repo_root.to_owned(),
        })
    }

    /// The state directory of a repository, at a known place.
    pub fn at(root: PathBuf, repo: &Path) -> Self {
        Self {
            root,
            repo: repo.to_owned(),
        }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Journal and index.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// One directory for each attempt.
    pub fn attempts(&self) -> PathBuf {
        self.root.join("attempts")
    }

    /// What one attempt said and left.
    pub fn attempt(&self, attempt: AttemptId) -> PathBuf {
        self.attempts().join(attempt.to_string())
    }

    /// What checks have shown before.
    pub fn known(&self) -> PathBuf {
        self.root.join("checks")
    }

    /// The worktrees of a repository. Those of the one that holds `turno.toml` lie at the top, where numbers and a
    /// few words are names already: the others have names that cannot be among them.
    pub fn slots(&self, repo: &RepoName) -> PathBuf {
        let slots = self.root.join("slots");
        if *repo == RepoName::default() {
            slots
        } else {
            slots.join(format!("repo-{repo}"))
        }
    }

    /// The coordinator's socket. Short names only: a socket's path may have about a hundred bytes.
    pub fn socket(&self) -> PathBuf {
        self.root.join("turno.sock")
    }

    /// The socket of the agents' tools: nothing else is served there.
    pub fn tool_socket(&self) -> PathBuf {
        self.tool_door().join("sock")
    }

    /// The directory of that socket. It is what agents see, so that the next coordinator's socket is there for them.
    pub fn tool_door(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Where it is seen whether somebody is attached to a task: they hold a lock on its file.
    pub fn attached(&self, task: TaskId) -> PathBuf {
        self.attached_to().join(task.to_string())
    }

    /// The directory of those files.
    pub fn attached_to(&self) -> PathBuf {
        self.root.join("attached")
    }

    /// The socket of the way to the network of one attempt. As short as it can be.
    pub fn net_socket(&self, attempt: AttemptId) -> PathBuf {
        self.root.join(format!("{attempt}.net"))
    }

    /// The private homes of agents.
    pub fn homes(&self) -> PathBuf {
        self.root.join("homes")
    }

    /// Where merges are tried that are never made.
    pub fn preflight(&self) -> PathBuf {
        self.root.join("preflight")
    }

    /// What the targets of notifications were told last.
    pub fn notify(&self) -> PathBuf {
        self.root.join("notify")
    }

    /// What was removed to free space, and when: one line for each thing.
    pub fn removals(&self) -> PathBuf {
        self.root.join("removed.ndjson")
    }

    /// What belongs to previews that run.
    pub fn previews(&self) -> PathBuf {
        self.root.join("previews")
    }

    /// What belongs to the board: its token, its socket, its links.
    pub fn board(&self) -> PathBuf {
        self.root.join("board")
    }

    /// The developers' log.
    pub fn log(&self) -> PathBuf {
        self.root.join("turno.log")
    }

    /// Takes the lock, and makes the directory if there is none.
    ///
    /// # Errors
    /// When it cannot be written or somebody else has it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let unusable = |source| Error::Unusable {
            path: self.root.clone(),
            source,
        };
        // What agents say and what they are told is nobody else's business.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(unusable)?;
        std::fs::set_permissions(&self.root, Permissions::from_mode(0o700)).map_err(unusable)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.root.join("lock"))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok_and(|n| n > 0);
                let holder = if known {
                    holder.trim().to_owned()
                } else {
                    "unknown".to_owned()
                };
                return Err(Error::Taken {
                    path: self.root.clone(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(unusable)?;
        self.claim()?;
        Ok(Lock { _file: file })
    }

    /// One state directory serves one repository: two would mix their issues and their worktrees.
    fn claim(&self) -> Result<(), Error> {
        let unusable = |source| Error::Unusable {
            path: self.root.clone(),
            source,
        };
        let note = self.root.join("repository");
        let mine = self.repo.display().to_string();
        match std::fs::read_to_string(&note) {
            Ok(owner) if owner.trim_end() == mine => Ok(()),
            Ok(owner) => Err(Error::OtherRepository {
                path: self.root.clone(),
                owner: owner.trim_end().to_owned(),
                repo: self.repo.clone(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::write(&note, format!("{mine}\n")).map_err(unusable)
            }
            Err(error) => Err(unusable(error)),
        }
    }
}

/// The right to use a state directory; given back when it is dropped, also by the kernel.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_may_have_it_and_the_other_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"), Path::new("/a/app"));
        let lock = state.lock().unwrap();
        let error = state.lock().unwrap_err();
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(lock);
        state.lock().unwrap();
    }

    #[test]
    fn it_serves_one_repository() {
        let dir = tempfile::tempdir().unwrap();
        let at = |repo: &str| StateDir::at(dir.path().to_owned(), Path::new(repo));
        drop(at("/a/app").lock().unwrap());
        drop(at("/a/app").lock().unwrap());
        let error = at("/b/app").lock().unwrap_err();
        assert!(matches!(error, Error::OtherRepository { .. }), "{error}");
    }

    #[test]
    fn two_repositories_of_the_same_name_have_two_directories() {
        let env = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
        let a = StateDir::of(Path::new("/a/app"), env).unwrap();
        let b = StateDir::of(Path::new("/b/app"), env).unwrap();
        assert_ne!(a, b);
        assert!(a.root().starts_with("/home/u/.local/state/turno"));
    }
}
