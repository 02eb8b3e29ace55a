//! Owns writing salvage out: only below a new directory, never through a link, and nothing over anything.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::{Error, Held, Item, ItemKind, Salvage, io, item, walk};
use crate::crash_point::{self, Deed, Moment};
use crate::git::{Extent, KeptKind, Repo};

/// What writing out has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// What was written, below the new directory.
    pub written: Vec<Item>,
    /// What was not, and why.
    pub left_out: Vec<(PathBuf, LeftWhy)>,
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeftWhy {
    /// The commit has removed it.
    #[error("it is removed there")]
    Removed,
    /// Nothing of it is here.
    #[error("it is a commit of another repository")]
    OtherRepository,
    /// A socket or a pipe.
    #[error("it is no file")]
    NoFile,
    /// It would not be below the new directory.
    #[error("its path leads elsewhere")]
    Elsewhere,
    /// It should have been.
    #[error("{0}")]
    Failed(String),
}

/// Writes a piece of salvage out, below a directory that is new or empty.
///
/// # Errors
/// When the directory holds something, or cannot be written. What cannot be copied is no error: it is told.
pub fn restore(repo: &Repo, salvage: &Salvage, extent: Extent, to: &Path) -> Result<Restored, Error> {
    crash_point::reached(Moment::BeforeCommit, Deed::Restore);
    match fs::read_dir(to) {
        Ok(mut there) => {
            if there.next().is_some() {
                return Err(Error::NotEmpty { path: to.to_owned() });
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(to).map_err(io("create", to))?;
        }
        Err(e) => return Err(io("look at", to)(e)),
    }
    let to = to.canonicalize().map_err(io("find", to))?;
    let mut out = Out {
        to,
        links: Vec::new(),
        done: Restored::default(),
    };
    match &salvage.held {
        Held::Commit { commit, .. } => {
            for file in repo.kept_files(commit, extent)? {
                let item = item(&file);
                let content = || Ok(repo.kept_content(&file)?);
                match file.kind {
                    KeptKind::File => out.file(item, 0o666, content)?,
                    KeptKind::Executable => out.file(item, 0o777, content)?,
                    KeptKind::Link => out.link(item, content()?),
                    KeptKind::Removed => out.left(item, LeftWhy::Removed),
                    KeptKind::Submodule => out.left(item, LeftWhy::OtherRepository),
                }
            }
        }
        Held::Aside { path } => {
            let mut items = Vec::new();
            walk(path, Path::new(""), &mut items)?;
            for item in items {
                let from = path.join(&item.path);
                match item.kind {
                    ItemKind::File => match fs::metadata(&from).and_then(|m| Ok((m, fs::read(&from)?))) {
                        Ok((meta, bytes)) => {
                            let mode = if meta.permissions().mode() & 0o100 == 0 {
                                0o666
                            } else {
                                0o777
                            };
                            out.file(item, mode, || Ok(bytes))?;
                        }
                        Err(error) => out.left(item, LeftWhy::Failed(error.to_string())),
                    },
                    ItemKind::Link => match fs::read_link(&from) {
                        Ok(target) => out.link(item, target.into_os_string().into_encoded_bytes()),
                        Err(error) => out.left(item, LeftWhy::Failed(error.to_string())),
                    },
                    ItemKind::Closed => {
                        out.left(item, LeftWhy::Failed("it cannot be looked into".to_owned()));
                    }
                    ItemKind::Removed | ItemKind::Other => out.left(item, LeftWhy::NoFile),
                }
            }
        }
    }
    out.finish()
}

/// What is being written out.
struct Out {
    to: PathBuf,
    /// Made last: nothing is written through one.
    links: Vec<(Item, Vec<u8>)>,
    done: Restored,
}

impl Out {
    fn left(&mut self, item: Item, why: LeftWhy) {
        self.done.left_out.push((item.path, why));
    }

    /// Where an item goes; none where its path leads out of the directory.
    fn place(&mut self, item: &Item) -> Result<Option<PathBuf>, Error> {
        let plain = |c| matches!(c, Component::Normal(_));
        if item.path.as_os_str().is_empty() || !item.path.components().all(plain) {
            self.left(item.clone(), LeftWhy::Elsewhere);
            return Ok(None);
        }
        let path = self.to.join(&item.path);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(io("create", above))?;
        }
        Ok(Some(path))
    }

    fn file(
        &mut self,
        item: Item,
        mode: u32,
        content: impl FnOnce() -> Result<Vec<u8>, Error>,
    ) -> Result<(), Error> {
        let Some(path) = self.place(&item)? else {
            return Ok(());
        };
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(io("create", &path))?;
        crash_point::reached(Moment::AfterCommit, Deed::Restore);
        file.write_all(&content()?).map_err(io("write", &path))?;
        self.done.written.push(item);
        Ok(())
    }

    fn link(&mut self, item: Item, target: Vec<u8>) {
        self.links.push((item, target));
    }

    fn finish(mut self) -> Result<Restored, Error> {
        // Every directory is there before the first link, so that none is made through a link.
        let mut placed = Vec::new();
        for (item, target) in std::mem::take(&mut self.links) {
            if let Some(path) = self.place(&item)? {
                placed.push((item, path, target));
            }
        }
        for (item, path, target) in placed {
            match std::os::unix::fs::symlink(OsString::from_vec(target), &path) {
                Ok(()) => self.done.written.push(item),
                Err(error) => self.left(item, LeftWhy::Failed(error.to_string())),
            }
        }
        crash_point::reached(Moment::AfterEffect, Deed::Restore);
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str) -> Item {
        Item {
            path: path.into(),
            kind: ItemKind::File,
            bytes: 0,
        }
    }

    #[test]
    fn nothing_is_written_outside_or_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (to, other) = (dir.path().join("to"), dir.path().join("other"));
        fs::create_dir(&to).unwrap();
        fs::create_dir(&other).unwrap();
        let mut out = Out {
            to: to.clone(),
            links: Vec::new(),
            done: Restored::default(),
        };
        let elsewhere = || other.clone().into_os_string().into_encoded_bytes();
        out.link(item("a"), elsewhere());
        out.link(item("b"), elsewhere());
        out.link(item("b/c"), elsewhere());
        out.file(item("a/x"), 0o666, || Ok(b"x".to_vec())).unwrap();
        out.file(item("../y"), 0o666, || Ok(b"y".to_vec())).unwrap();
        out.file(item("/z"), 0o666, || Ok(b"z".to_vec())).unwrap();
        out.file(item("run"), 0o777, || Ok(b"r".to_vec())).unwrap();
        let done = out.finish().unwrap();
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
        assert!(!dir.path().join("y").exists());
        assert_eq!(fs::read_to_string(to.join("a/x")).unwrap(), "x");
        assert_eq!(
            fs::metadata(to.join("run")).unwrap().permissions().mode() & 0o100,
            0o100
        );
        let left: Vec<_> = done
            .left_out
            .iter()
            .map(|(path, _)| path.to_str().unwrap())
            .collect();
        assert_eq!(left, ["../y", "/z", "a", "b"]);
    }
}
