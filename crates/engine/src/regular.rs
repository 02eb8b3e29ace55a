//! Owns opening files that an agent without a sandbox may have put there in the place of Turno's: only a plain file
//! is opened, no link is followed on the way below a directory, and nothing is waited for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

/// A pipe that nobody writes is opened at once, and is then seen to be no file.
const PLAIN: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);
const DIR: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

fn plain(file: File) -> Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(Error::new(ErrorKind::InvalidInput, "it is no plain file"))
    }
}

/// Opens a plain file for reading. Its own name may not be a link; names on the way to it may.
///
/// # Errors
/// When it is not there, cannot be read, or is anything but a plain file.
pub fn open_file(path: &Path) -> Result<File> {
    let mut options = File::options();
    plain(options.read(true).custom_flags(PLAIN.bits()).open(path)?)
}

/// Opens a plain file for reading, by its path below `dir`. Neither `dir` itself nor anything below it may be a link.
///
/// # Errors
/// When it is not there, cannot be read, is anything but a plain file, or the path leads elsewhere.
pub fn open_below(dir: &Path, below: &Path) -> Result<File> {
    let names: Option<Vec<&OsStr>> = below.components().map(name).collect();
    let leads_away = || Error::new(ErrorKind::InvalidInput, "the path leads elsewhere");
    let names = names.ok_or_else(leads_away)?;
    let (last, dirs) = names.split_last().ok_or_else(leads_away)?;
    let mut at = open(dir, DIR, Mode::empty())?;
    for name in dirs {
        at = openat(&at, *name, DIR, Mode::empty())?;
    }
    plain(openat(&at, *last, PLAIN | OFlag::O_RDONLY, Mode::empty())?.into())
}

fn name(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_are_opened_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a1");
        std::fs::create_dir_all(root.join("checks/lint")).unwrap();
        std::fs::write(root.join("checks/lint/out"), "said").unwrap();
        let mut text = String::new();
        let mut file = open_below(&root, Path::new("checks/lint/out")).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "said");

        let secret = dir.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        symlink(&secret, root.join("out")).unwrap();
        symlink(dir.path(), root.join("checks/away")).unwrap();
        symlink(&root, dir.path().join("a2")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), Mode::S_IRWXU).unwrap();
        for below in [
            "out",
            "checks/away/secret",
            "pipe",
            "checks",
            "../secret",
            "",
            "none",
        ] {
            assert!(open_below(&root, Path::new(below)).is_err(), "{below}");
        }
        assert!(open_below(&dir.path().join("a2"), Path::new("checks/lint/out")).is_err());
        assert!(open_file(&root.join("out")).is_err());
        assert!(open_file(&root.join("pipe")).is_err());
        assert!(open_file(&secret).is_ok());
    }
}
