//! Owns what is remembered of a target: up to which record it was told, and what is on its way. It is on disk before
//! anything is sent, so that a coordinator that dies leaves nothing out and repeats no more than what was on its way.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turno_core::ids::{Seq, TargetName};

/// What a target was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cursor {
    /// All that follows from the records up to this one.
    Told(Seq),
    /// The same up to `told`; whether the message of those after it up to `to` arrived is not known.
    Sending {
        /// Up to this record it was told.
        told: Seq,
        /// The last record of the message.
        to: Seq,
    },
}

impl Cursor {
    /// Up to which record it is known to be told.
    pub(super) fn told(self) -> Seq {
        match self {
            Self::Told(told) | Self::Sending { told, .. } => told,
        }
    }
}

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// This.
    Cursor(Cursor),
    /// Nothing: it is new.
    New,
}

/// Why the notes of targets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be used.
    #[error(
        "{}: {source}; make it usable, or remove it: its targets then begin with what happens next",
        path.display()
    )]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process tells them.
    #[error("the running coordinator tells what there is; there is nothing to do")]
    Taken,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}

/// The right to tell the targets of a workspace. One process at a time has it.
#[derive(Debug)]
pub(super) struct Cursors {
    dir: PathBuf,
    _lock: File,
}

/// Whether somebody else is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as it takes: it is not long.
    Wait,
    /// No.
    Refuse,
}

impl Cursors {
    /// Takes the right, and makes the directory if there is none. It blocks.
    pub(super) fn open(dir: &Path, patience: Patience) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io(dir))?;
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(io(&path))?;
        match patience {
            Patience::Wait => lock.lock().map_err(io(&path))?,
            Patience::Refuse => match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Taken),
                Err(TryLockError::Error(source)) => return Err(io(&path)(source)),
            },
        }
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// What is known of a target.
    pub(super) fn read(&self, target: &TargetName) -> Result<Known, Error> {
        read(&self.dir, target)
    }

    /// Remembers it of a target, durably.
    pub(super) fn write(&self, target: &TargetName, cursor: Cursor) -> Result<(), Error> {
        let path = path(&self.dir, target);
        let write = || {
            let mut made = tempfile::NamedTempFile::new_in(&self.dir)?;
            serde_json::to_writer(&mut made, &cursor)?;
            made.write_all(b"\n")?;
            made.as_file().sync_data()?;
            made.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(io(&path))
    }
}

/// What is known of a target, without the right to change it.
pub(super) fn read(dir: &Path, target: &TargetName) -> Result<Known, Error> {
    let path = path(dir, target);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Known::Cursor)
            .map_err(|e| io(&path)(e.into())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Known::New),
        Err(e) => Err(io(&path)(e)),
    }
}

fn path(dir: &Path, target: &TargetName) -> PathBuf {
    dir.join(format!("{target}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_only_one_has_the_right() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("notify");
        let name: TargetName = "a".parse().unwrap();
        let cursors = Cursors::open(&dir, Patience::Refuse).unwrap();
        assert_eq!(cursors.read(&name).unwrap(), Known::New);
        let sending = Cursor::Sending {
            told: Seq(3),
            to: Seq(7),
        };
        cursors.write(&name, sending).unwrap();
        assert_eq!(cursors.read(&name).unwrap(), Known::Cursor(sending));
        assert_eq!(sending.told(), Seq(3));
        assert!(matches!(Cursors::open(&dir, Patience::Refuse), Err(Error::Taken)));
        drop(cursors);
        std::fs::write(dir.join("a.json"), "{").unwrap();
        let cursors = Cursors::open(&dir, Patience::Wait).unwrap();
        let error = cursors.read(&name).unwrap_err().to_string();
        assert!(error.contains("a.json") && error.contains("remove it"), "{error}");
    }
}
