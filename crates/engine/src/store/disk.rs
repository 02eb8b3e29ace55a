//! Owns how the store changes a disk: every change is one call here, so that a test can record them, let one fail
//! and cut the power between any two. It decides nothing and reads nothing.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is open for writing at its end.
#[derive(Debug)]
pub(super) struct Handle {
    /// The file.
    pub(super) file: File,
    /// Where it was opened.
    pub(super) path: PathBuf,
}

/// What a store may do to a disk. Nothing survives a power cut before the call that syncs it has come back: the
/// bytes of a file by [`Disk::sync`], its name by [`Disk::sync_dir`] of the directory that holds it.
pub(super) trait Disk: fmt::Debug + Send + Sync {
    /// Makes one directory; its parent is there.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a file that is not there yet.
    fn create(&self, path: &Path) -> io::Result<Handle>;
    /// Opens a file that is there.
    fn open(&self, path: &Path) -> io::Result<Handle>;
    /// Appends all bytes.
    fn write(&self, handle: &Handle, bytes: &[u8]) -> io::Result<()>;
    /// Makes the bytes of a file durable, and its length.
    fn sync(&self, handle: &Handle) -> io::Result<()>;
    /// Cuts a file off after so many bytes.
    fn cut(&self, handle: &Handle, length: u64) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Os;

impl Disk for Os {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Handle> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Handle {
            file,
            path: path.to_owned(),
        })
    }

    fn open(&self, path: &Path) -> io::Result<Handle> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Handle {
            file,
            path: path.to_owned(),
        })
    }

    fn write(&self, handle: &Handle, bytes: &[u8]) -> io::Result<()> {
        (&handle.file).write_all(bytes)
    }

    fn sync(&self, handle: &Handle) -> io::Result<()> {
        handle.file.sync_data()
    }

    fn cut(&self, handle: &Handle, length: u64) -> io::Result<()> {
        handle.file.set_len(length)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// Makes a directory and those above it that are not there, durably.
///
/// # Errors
/// With the directory that could not be made or synced.
pub(super) fn make_dirs(disk: &dyn Disk, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|d| !d.is_dir()).collect();
    for made in missing.into_iter().rev() {
        let parent = made.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        disk.make_dir(made)
            .and_then(|()| disk.sync_dir(parent))
            .map_err(|e| (made.to_owned(), e))?;
    }
    Ok(())
}

/// Makes durable that a directory is there, whoever made it and the ones above it: an earlier process may have
/// died between making and syncing. A directory of other people that may not be opened was not made by Turno.
///
/// # Errors
/// With the directory itself, if it cannot be synced.
pub(super) fn keep_dirs(disk: &dyn Disk, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
    disk.sync_dir(dir).map_err(|e| (dir.to_owned(), e))?;
    for above in dir.ancestors().skip(1).filter(|d| !d.as_os_str().is_empty()) {
        match disk.sync_dir(above) {
            Ok(()) => {}
            Err(error) => tracing::debug!(path = %above.display(), %error, "not synced"),
        }
    }
    Ok(())
}
