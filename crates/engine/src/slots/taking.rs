//! Owns taking a lent slot back: what the program committed becomes part of the repository when git has checked
//! all of it, and the worktree's real HEAD is put on it. What lies in the private directories is hostile: only
//! plain files of known names are ever seen by git, and never its configuration, hooks or pointers.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use turno_core::ids::CommitId;

use super::lend::names;
use super::seat::STRAYS;
use super::sorting::{Sorted, TAKEN, sort};
use super::{Error, Lent, Salvaged, SlotPlace, SlotPool, files, io};
use crate::git::{Foreign, Found, Imported, Worktree, is_ref_name};

/// No more commits than this are looked for in the private log; the newest count.
const LOGGED: usize = 64;
/// As much of the private log is read, from its end.
const LOG_BYTES: u64 = 1 << 20;
/// A larger index of the program's is not looked at.
const INDEX_BYTES: u64 = 512 << 20;

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// Where HEAD was left, and so what the slot is at now.
    pub head: Brought,
    /// What was kept because nothing else leads to it.
    pub salvaged: Vec<Salvaged>,
    /// What is odd about what was left. Nothing of it was used.
    pub odd: Vec<Odd>,
}

/// What became of the commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// HEAD is where it was lent.
    Unmoved,
    /// They are in the repository, and the slot's HEAD is detached at the last of them.
    At(CommitId),
    /// They are not. The slot's HEAD is where it was lent; its files are as they were left.
    Refused {
        /// In words.
        why: String,
    },
}

/// Something that no program leaves by accident, or that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Odd {
    /// HEAD says nothing that makes sense.
    Head {
        /// What it says, shortened.
        says: String,
    },
    /// Something lies among the objects that is no object.
    Planted {
        /// Where, below the object directory.
        path: PathBuf,
    },
    /// A commit that the program had gone back from could not be taken.
    NotTaken {
        /// Which.
        commit: CommitId,
        /// In git's words.
        why: String,
    },
    /// What it had staged cannot be read.
    Index,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head { says } => write!(f, "HEAD says `{says}`, which is no commit; it was not followed"),
            Self::Planted { path } => {
                write!(f, "{} lies among the objects and was not used", path.display())
            }
            Self::NotTaken { commit, why } => {
                write!(f, "an earlier commit {} was not taken: {why}", commit.short())
            }
            Self::Index => f.write_str("what was staged cannot be read and was not used"),
        }
    }
}

impl SlotPool {
    /// Takes a lent slot back. Every program that it was lent to must have ended. Afterwards the slot is as if the
    /// program had worked in the repository itself. It can be done again after it was broken off.
    ///
    /// # Errors
    /// When git or the disk could not do their part. What the program left is none: that is told.
    pub async fn take_back(&self, place: SlotPlace, lent: &Lent) -> Result<TakenBack, Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        let mut odd = Vec::new();
        let private = lent.dir.join(names::GIT);
        let sorted = sort(lent, &mut odd)?;
        self.take_index(&tree, &private, &mut odd)?;
        let head = self.private_head(&private, &mut odd)?;
        let scratch = lent.dir.join("scratch");
        files::remove(&scratch)?;
        fs::create_dir(&scratch).map_err(io("create", &scratch))?;
        let foreign = Foreign {
            objects: lent.dir.join(TAKEN),
            scratch: scratch.clone(),
        };
        let mut salvaged = Vec::new();
        let head = match (head, sorted) {
            (None, _) => Brought::Refused {
                why: "HEAD was left at no commit".to_owned(),
            },
            (Some(_), Sorted::TooMuch { bytes }) => Brought::Refused {
                why: format!(
                    "it left {bytes} bytes of objects, more than the {} that are taken; they stay in {}",
                    lent.object_limit,
                    lent.dir.display()
                ),
            },
            (Some(head), Sorted::Ready) => {
                let brought = self.bring(&foreign, &head, &lent.at).await?;
                if let Brought::At(commit) = &brought {
                    self.set_head(&tree, commit)?;
                }
                let tip = if let Brought::At(commit) = &brought {
                    commit
                } else {
                    &lent.at
                };
                let strays = self.take_strays(&tree, &private, &foreign, (&lent.at, tip), &mut odd);
                for commit in strays.await? {
                    let refname = self.repo().keep(&place.to_string(), &commit).await?;
                    salvaged.push(Salvaged::Commit { refname, commit });
                }
                brought
            }
        };
        files::remove(&scratch)?;
        let whole = !odd.iter().any(|o| matches!(o, Odd::NotTaken { .. }));
        if whole && !matches!(head, Brought::Refused { .. }) {
            files::remove(&foreign.objects)?;
        }
        Ok(TakenBack { head, salvaged, odd })
    }

    async fn bring(&self, foreign: &Foreign, head: &CommitId, at: &CommitId) -> Result<Brought, Error> {
        if head == at {
            return Ok(Brought::Unmoved);
        }
        let tips = std::slice::from_ref(head);
        Ok(match self.repo().import(foreign, tips, at).await? {
            // A tree or a file can be whole and yet nothing to check out.
            Imported::Whole if self.repo().tree_of(head).is_err() => Brought::Refused {
                why: format!("HEAD was left at {}, which is no commit", head.short()),
            },
            Imported::Whole => Brought::At(head.clone()),
            Imported::Refused(words) => Brought::Refused {
                why: format!("git refuses what was committed: {words}"),
            },
        })
    }

    /// What the private HEAD names: a commit by its full id, or where a ref is.
    fn private_head(&self, private: &Path, odd: &mut Vec<Odd>) -> Result<Option<CommitId>, Error> {
        let bytes = files::read_plain(&private.join("HEAD")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let named = match line.strip_prefix("ref: ") {
            None => line.parse().ok(),
            Some(name) if is_ref_name(name) && name.starts_with("refs/") => {
                match private_ref(private, name) {
                    Some(commit) => Some(commit),
                    None => match self.repo().read_any_ref(name) {
                        Ok(Found::At(commit)) => Some(commit),
                        Ok(Found::Absent) | Err(_) => None,
                    },
                }
            }
            Some(_) => None,
        };
        if named.is_none() {
            let says = line.chars().filter(|c| !c.is_control()).take(120).collect();
            odd.push(Odd::Head { says });
        }
        Ok(named)
    }

    /// Takes what the program went back from: what its log names is noted in the worktree's own log, as git would
    /// have done; what a broken-off rebase notes and nothing leads to is given back, to be kept.
    async fn take_strays(
        &self,
        tree: &Worktree,
        private: &Path,
        foreign: &Foreign,
        (at, tip): (&CommitId, &CommitId),
        odd: &mut Vec<Odd>,
    ) -> Result<Vec<CommitId>, Error> {
        let logged = logged(private);
        let noted: BTreeSet<CommitId> = STRAYS.iter().filter_map(|n| private_id(private, n)).collect();
        let all = logged.iter().chain(&noted).filter(|c| *c != tip && *c != at);
        let there = self
            .repo()
            .commits_among(foreign, &all.cloned().collect())
            .await?;
        let all: Vec<CommitId> = there.into_iter().collect();
        let mut taken: BTreeSet<CommitId> = BTreeSet::new();
        let empty = || {
            files::remove(&foreign.scratch)?;
            fs::create_dir(&foreign.scratch).map_err(io("create", &foreign.scratch))
        };
        empty()?;
        if !all.is_empty() {
            match self.repo().import(foreign, &all, tip).await? {
                Imported::Whole => taken.extend(all),
                Imported::Refused(_) => {
                    // One of them is bad: each for itself.
                    for commit in all {
                        empty()?;
                        match self
                            .repo()
                            .import(foreign, std::slice::from_ref(&commit), tip)
                            .await?
                        {
                            Imported::Whole => drop(taken.insert(commit)),
                            Imported::Refused(why) => odd.push(Odd::NotTaken { commit, why }),
                        }
                    }
                }
            }
        }
        let mut log = String::new();
        let mut last = at;
        let seconds = chrono::Utc::now().timestamp();
        for commit in logged.iter().filter(|c| taken.contains(*c)).chain([tip]) {
            if last != commit {
                log.push_str(&format!(
                    "{last} {commit} Turno <turno@localhost> {seconds} +0000\tturno: taken back\n"
                ));
                last = commit;
            }
        }
        note_in_log(tree, &log)?;
        let mut unkept = Vec::new();
        for commit in noted.into_iter().filter(|c| taken.contains(c)) {
            if !self.repo().is_ancestor(&commit, tip)? && !self.repo().is_kept(&commit).await? {
                unkept.push(commit);
            }
        }
        Ok(unkept)
    }

    /// The program's own index says what it staged. It is looked at by git with care, as before. It is kept out of
    /// the repository: it may name objects that are not taken, and a person's `git gc` would trip over those.
    fn take_index(&self, tree: &Worktree, private: &Path, odd: &mut Vec<Odd>) -> Result<(), Error> {
        let from = private.join("index");
        let to = tree.staged();
        match fs::symlink_metadata(&from) {
            Ok(meta) if meta.is_file() && meta.len() <= INDEX_BYTES && fs::File::open(&from).is_ok() => {
                files::copy_over(&from, &to)
            }
            Ok(_) | Err(_) => {
                odd.push(Odd::Index);
                files::remove(&to)
            }
        }
    }
}

/// A ref that only this worktree has.
fn private_ref(private: &Path, name: &str) -> Option<CommitId> {
    let own = ["refs/worktree/", "refs/bisect/", "refs/rewritten/"];
    own.iter()
        .any(|p| name.starts_with(p))
        .then(|| private_id(private, name))?
}

/// A commit that a plain file below the private directory names. No link on the way is followed.
fn private_id(private: &Path, name: &str) -> Option<CommitId> {
    let path = private.join(name);
    let plain = Path::new(name)
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    let inside =
        path.parent()?.canonicalize().ok()? == private.canonicalize().ok()?.join(Path::new(name).parent()?);
    if !plain || !inside {
        return None;
    }
    let bytes = files::read_plain(&path)?;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// The commits that the private log says HEAD was at, oldest first.
fn logged(private: &Path) -> Vec<CommitId> {
    let path = private.join("logs/HEAD");
    let inside = || {
        path.parent()?
            .canonicalize()
            .ok()?
            .strip_prefix(private.canonicalize().ok()?)
            .ok()
            .map(drop)
    };
    let meta = fs::symlink_metadata(&path);
    let (Some(()), Ok(meta)) = (inside(), meta) else {
        return Vec::new();
    };
    if !meta.is_file() {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(&path).and_then(|mut file| {
        let from = meta.len().saturating_sub(LOG_BYTES);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))?;
        file.take(LOG_BYTES).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return Vec::new();
    }
    let mut found: Vec<CommitId> = Vec::new();
    let lines = bytes.split(|&b| b == b'\n').rev();
    let new_id = |line: &[u8]| {
        let word = line.split(|&b| b == b' ').nth(1)?;
        std::str::from_utf8(word).ok()?.parse::<CommitId>().ok()
    };
    for commit in lines.filter_map(new_id) {
        if found.len() == LOGGED {
            break;
        }
        if !found.contains(&commit) {
            found.push(commit);
        }
    }
    found.reverse();
    found
}

fn note_in_log(tree: &Worktree, lines: &str) -> Result<(), Error> {
    let path = tree.git_dir.join("logs/HEAD");
    let dir = tree.git_dir.join("logs");
    if lines.is_empty() || fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        return Ok(());
    }
    if fs::symlink_metadata(&dir).is_ok_and(|m| !m.is_dir()) {
        return Ok(());
    }
    fs::create_dir_all(&dir).map_err(io("create", &dir))?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(io("open", &path))?;
    file.write_all(lines.as_bytes()).map_err(io("write", &path))
}
