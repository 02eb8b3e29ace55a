//! Owns making directories where a program has worked that may have put links in the way: no step leads out of the
//! tree it begins in. It is only used while nothing runs there.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

/// What is done about a link that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// It is taken away: the tree is Turno's own, and a link holds no work.
    Removed,
    /// It is an error.
    Refused,
}

/// Makes the directories of a path below `root`, those that are not there.
///
/// # Errors
/// When the path leads out of `root`, or something else than a directory stands in the way.
pub(crate) fn make(root: &Path, below: &Path, link: Link) -> io::Result<PathBuf> {
    let mut path = root.to_owned();
    for part in below.components() {
        let Component::Normal(name) = part else {
            return Err(io::Error::other(format!(
                "{} leads out of its place",
                below.display()
            )));
        };
        path.push(name);
        let found = fs::symlink_metadata(&path);
        if let Ok(meta) = &found
            && meta.is_dir()
        {
            continue;
        }
        match (found, link) {
            (Ok(meta), Link::Removed) if meta.is_symlink() => fs::remove_file(&path)?,
            (Ok(_), _) => {
                return Err(io::Error::other(format!(
                    "{} stands where a directory belongs",
                    path.display()
                )));
            }
            (Err(_), _) => {}
        }
        fs::DirBuilder::new().mode(0o700).create(&path)?;
    }
    Ok(path)
}

/// Takes away links on the way to a path below `root`, which is Turno's own: what is mounted there must not land
/// elsewhere.
///
/// # Errors
/// When one cannot be taken away.
pub(super) fn free(root: &Path, below: &Path) -> io::Result<()> {
    let mut path = root.to_owned();
    for part in below.components() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => return fs::remove_file(&path),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.join("a")).unwrap();
        make(&root, Path::new("a/b"), Link::Refused).unwrap_err();
        assert!(!outside.join("b").exists());
        make(&root, Path::new("a/b"), Link::Removed).unwrap();
        assert!(root.join("a/b").is_dir() && !outside.join("b").exists());
        make(&root, Path::new("../outside/b"), Link::Removed).unwrap_err();
        symlink(&outside, root.join("a/c")).unwrap();
        free(&root, Path::new("a/c/d")).unwrap();
        assert!(!root.join("a/c").exists() && outside.exists());
    }
}
