//! Owns the question whether a disk has any room, and the words for one that has none. It frees nothing.

use std::path::{Path, PathBuf};

/// Less than this is as good as nothing: whatever is done next writes as much.
const LITTLE: u64 = 32 << 10;
/// Whoever could not write a file and does not say why had less than this: git removes the part that it had written.
const SCARCE: u64 = 256 << 20;

/// Whether nothing can be written at a path. What cannot be asked is taken to have room.
pub(crate) fn is_none(path: &Path) -> bool {
    is_below(path, LITTLE)
}

/// Whether there is so little that a large file may not fit.
pub(crate) fn is_scarce(path: &Path) -> bool {
    is_below(path, SCARCE)
}

fn is_below(path: &Path, bytes: u64) -> bool {
    nix::sys::statvfs::statvfs(path).is_ok_and(|disk| {
        let room = disk.blocks_available().saturating_mul(disk.fragment_size());
        // Some file systems have no fixed number of files; they say that there are none at all.
        room < bytes || (disk.files() > 0 && disk.files_available() == 0)
    })
}

/// What to do about it.
pub(crate) fn words(at: &[PathBuf]) -> String {
    let paths: Vec<_> = at.iter().map(|p| p.display().to_string()).collect();
    format!(
        "the disk is full at {}: free some space there, then try again",
        paths.join(" or ")
    )
}
