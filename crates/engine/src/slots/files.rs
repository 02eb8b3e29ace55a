//! Owns the few file operations of the pool that must survive a crash or a hostile file in the way.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Error, io};

/// Writes a whole file so that a crash leaves the old one or the new one, and no link is followed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = beside(path);
    remove(&temporary)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .map_err(io("create", &temporary))?;
    file.write_all(bytes).map_err(io("write", &temporary))?;
    file.sync_all().map_err(io("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(io("replace", path))?;
    sync_dir(path)
}

/// Copies a file over another one; no link is followed. Not synced: it can be made again.
pub(super) fn copy_over(from: &Path, to: &Path) -> Result<(), Error> {
    let temporary = beside(to);
    remove(&temporary)?;
    let mut source = File::open(from).map_err(io("open", from))?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .map_err(io("create", &temporary))?;
    std::io::copy(&mut source, &mut target).map_err(io("write", &temporary))?;
    fs::rename(&temporary, to).map_err(io("replace", to))
}

/// Removes a file, a link or a directory of Turno's own making. What is not there is no error.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let is_dir = match fs::symlink_metadata(path) {
        Ok(meta) => meta.is_dir(),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io("look at", path)(e)),
    };
    let removed = if is_dir {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io("remove", path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A small regular file's content; links and everything else count as absent.
pub(super) fn read_plain(path: &Path) -> Option<Vec<u8>> {
    let meta = fs::symlink_metadata(path).ok()?;
    if meta.is_file() && meta.len() < 64 * 1024 {
        fs::read(path).ok()
    } else {
        None
    }
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(path);
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(io("sync", dir))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".turno-new");
    path.with_file_name(name)
}
