//! Owns lending a slot to a program that may not write the repository: a private copy of the worktree's metadata,
//! a private object directory and a configuration without anything that runs or leads out. What is to be shown
//! where is said here; showing it is the sandbox's. Taking it back has a file of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turno_core::ids::CommitId;

use super::{Error, SlotPlace, SlotPool, files, io};
use crate::git::{alternates, path_list};

/// The most that a program may leave in its object directory, in bytes.
const OBJECT_LIMIT: u64 = 2 << 30;

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It can be read.
    ReadOnly,
    /// It can be read and written.
    Writable,
}

/// Something that is shown in the place of something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Where the program sees it. It may be where nothing is outside.
    pub shown_at: PathBuf,
    /// Where it is.
    pub from: PathBuf,
    /// How it is shown.
    pub how: How,
}

/// A slot that is lent. First everything in `read_only` is shown where it is, then each of `cover` in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// What is shown in the place of something else.
    pub cover: Vec<Cover>,
    /// What is shown where it is, to be read only.
    pub read_only: Vec<PathBuf>,
    /// What git needs to be told.
    pub env: BTreeMap<String, String>,
    /// The most that may be taken back, in bytes. What is above it stays in the attempt's directory.
    pub object_limit: u64,
    /// Where the slot was when it was lent.
    pub(super) at: CommitId,
    /// The directory that holds what is private to it.
    pub(super) dir: PathBuf,
    /// Its files.
    slot: PathBuf,
    /// What all worktrees share.
    common: PathBuf,
}

/// The names below the private directory.
pub(super) mod names {
    /// The copy of the worktree's metadata.
    pub(in crate::slots) const GIT: &str = "git";
    /// The object directory.
    pub(in crate::slots) const OBJECTS: &str = "objects";
    /// The configuration.
    pub(super) const CONFIG: &str = "config";
    /// What all worktrees share, without the repository's configuration: for where nothing can be covered.
    pub(super) const COMMON: &str = "common";
    /// Nothing, shown where the main checkout's own configuration is.
    pub(super) const EMPTY: &str = "empty";
    /// Where the repository's own objects are shown.
    pub(super) const SHARED: &str = "shared-objects";
    /// What was lent, for a coordinator that comes later.
    pub(super) const NOTE: &str = "lent.json";
}

/// What of a repository a program may read where it is. The configuration is not among it: it may hold tokens.
/// Nor are those of submodules, which have configurations of their own.
const LINKED: [&str; 6] = ["refs", "reftable", "objects", "logs", "info", "lfs"];
/// What git replaces when it writes it, so that a right to read the file ends there: it gets a copy.
const COPIED: [&str; 3] = ["HEAD", "packed-refs", "shallow"];

impl Lent {
    /// What a program may read, instead of `read_only`, where nothing can be shown in the place of something else.
    pub fn read_only_without_covers(&self) -> Vec<PathBuf> {
        let ours = |path: &&PathBuf| **path != self.common;
        let mut read: Vec<PathBuf> = self.read_only.iter().filter(ours).cloned().collect();
        read.push(self.dir.join(names::COMMON));
        let parts = LINKED.map(|name| self.common.join(name));
        read.extend(parts.into_iter().filter(|part| part.exists()));
        read
    }

    /// What a program needs instead of `env` where nothing can be shown in the place of something else: git is
    /// told where everything is. The repository must still be out of its reach for writing.
    ///
    /// # Errors
    /// When the metadata that is lent cannot be led there: some of git reads that and not the environment.
    pub fn env_without_covers(&self) -> Result<BTreeMap<String, String>, Error> {
        files::replace(&self.dir.join(names::GIT).join("commondir"), b"../common\n")?;
        let mut env = self.env.clone();
        let shared = self.common.join(names::OBJECTS);
        let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
        set("GIT_DIR", text(&self.dir.join(names::GIT)));
        set("GIT_COMMON_DIR", text(&self.dir.join(names::COMMON)));
        set("GIT_WORK_TREE", text(&self.slot));
        set("GIT_OBJECT_DIRECTORY", text(&self.dir.join(names::OBJECTS)));
        set(
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            path_list([shared.as_path()]).to_string_lossy().into_owned(),
        );
        // What the configuration that is lent says, as far as it is there to hold something off.
        let told = [
            ("safe.directory", "*"),
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.splitIndex", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("push.default", "nothing"),
            ("protocol.allow", "never"),
            ("credential.helper", ""),
            ("commit.gpgSign", "false"),
            ("tag.gpgSign", "false"),
        ];
        tell(&mut env, &told);
        Ok(env)
    }
}

/// Settings by environment.
fn tell(env: &mut BTreeMap<String, String>, settings: &[(&str, &str)]) {
    for (n, (name, value)) in settings.iter().enumerate() {
        env.insert(format!("GIT_CONFIG_KEY_{n}"), (*name).to_owned());
        env.insert(format!("GIT_CONFIG_VALUE_{n}"), (*value).to_owned());
    }
    env.insert("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string());
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl SlotPool {
    /// Lends a slot that was prepared: what is private to the program is made in `dir/lent`, once.
    ///
    /// Where everything can be covered, objects need no variable: the private directory is shown in the place of
    /// the repository's, and borrows from it. Other repositories that the program makes, e.g. in its tests, are
    /// then as they always are.
    ///
    /// # Errors
    /// When the slot was not prepared, when it was lent to this attempt before, or when something cannot be
    /// written.
    pub async fn lend(&self, place: SlotPlace, dir: &Path) -> Result<Lent, Error> {
        let _lock = self.lock(place).await;
        self.lend_held(place, dir).await
    }

    /// The same for who works on the place already: a landing, which has its checks run meanwhile.
    pub(crate) async fn lend_held(&self, place: SlotPlace, dir: &Path) -> Result<Lent, Error> {
        let tree = self.worktree(place)?;
        let at = match self.head(&tree)?.commit() {
            Some(commit) => commit.clone(),
            None => return Err(Error::NotPrepared { place }),
        };
        let repo = self.repo();
        let common = repo.common_dir().to_owned();
        fs::create_dir_all(dir).map_err(io("create", dir))?;
        let dir = dir.canonicalize().map_err(io("find", dir))?.join("lent");
        let (git, objects) = (dir.join(names::GIT), dir.join(names::OBJECTS));
        for made in [
            dir.clone(),
            git.clone(),
            git.join("logs"),
            objects.clone(),
            objects.join("info"),
            objects.join("pack"),
        ] {
            fs::create_dir(&made).map_err(io("create", &made))?;
        }
        let write = |path: PathBuf, bytes: &[u8]| fs::write(&path, bytes).map_err(io("write", &path));
        write(git.join("HEAD"), format!("{at}\n").as_bytes())?;
        write(git.join("commondir"), b"../..\n")?;
        let pointer = files::read_plain(&tree.git_dir.join("gitdir")).unwrap_or_default();
        write(git.join("gitdir"), &pointer)?;
        write(git.join("logs/HEAD"), b"")?;
        files::copy_over(&tree.index, &git.join("index"))?;
        let config = dir.join(names::CONFIG);
        repo.write_lent_config(&config).await?;
        lend_common(&common, &config, &dir.join(names::COMMON))?;
        let shared = dir.join(names::SHARED);
        let dirs = repo.object_dirs();
        let borrowed = dirs.get(1..).unwrap_or_default();
        let lends = std::iter::once(shared.as_path()).chain(borrowed.iter().map(PathBuf::as_path));
        write(objects.join("info/alternates"), &alternates(lends))?;

        let mut cover = vec![
            cover(common.join("config"), config, How::ReadOnly),
            cover(tree.git_dir.clone(), git, How::Writable),
            cover(shared, common.join("objects"), How::ReadOnly),
            cover(common.join("objects"), objects, How::Writable),
        ];
        // Nobody reads it without the extension, which is not lent; what it holds is the user's all the same.
        if common.join("config.worktree").exists() {
            let empty = dir.join(names::EMPTY);
            write(empty.clone(), b"")?;
            cover.push(self::cover(common.join("config.worktree"), empty, How::ReadOnly));
        }
        let mut env = BTreeMap::from([("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned())]);
        // The owner of files may look like another one in a sandbox.
        tell(&mut env, &[("safe.directory", "*")]);
        let mut read_only = vec![common.clone(), tree.path.join(".git")];
        read_only.extend(borrowed.iter().cloned());
        let lent = Lent {
            cover,
            read_only,
            env,
            object_limit: OBJECT_LIMIT,
            at,
            dir: dir.clone(),
            slot: tree.path,
            common,
        };
        let note = serde_json::to_vec_pretty(&lent).map_err(|e| io("write", &dir)(e.into()))?;
        files::replace(&dir.join(names::NOTE), &note)?;
        Ok(lent)
    }

    /// What was lent to the attempt with this directory, if anything was: for a coordinator that was not there.
    ///
    /// # Errors
    /// When it was lent and the note of it cannot be read.
    pub fn lent_before(&self, dir: &Path) -> Result<Option<Lent>, Error> {
        let note = dir.join("lent").join(names::NOTE);
        match fs::read(&note) {
            Ok(bytes) => {
                let lent = serde_json::from_slice(&bytes);
                lent.map(Some).map_err(|e| io("read", &note)(e.into()))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", &note)(e)),
        }
    }
}

/// Makes a directory that git takes for the one all worktrees share.
fn lend_common(common: &Path, config: &Path, lent: &Path) -> Result<(), Error> {
    fs::create_dir(lent).map_err(io("create", lent))?;
    files::copy_over(config, &lent.join(names::CONFIG))?;
    for name in COPIED {
        let from = common.join(name);
        if from.is_file() {
            files::copy_over(&from, &lent.join(name))?;
        }
    }
    for name in LINKED {
        let (from, to) = (common.join(name), lent.join(name));
        if from.is_dir() {
            std::os::unix::fs::symlink(&from, &to).map_err(io("link", &to))?;
        }
    }
    Ok(())
}

fn cover(shown_at: PathBuf, from: PathBuf, how: How) -> Cover {
    Cover { shown_at, from, how }
}
