//! Owns the reading of what git lists: `status --porcelain=v2 -z --no-renames` and raw diffs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One path that is not as committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The index knows it. `unstaged` says whether the file differs from the index.
    Tracked {
        /// Relative to the top.
        path: PathBuf,
        /// Where it differs.
        differs: Differs,
    },
    /// The index does not know it. A nested repository ends in a slash.
    Untracked {
        /// Relative to the top.
        path: PathBuf,
    },
}

/// Between which two a tracked path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differs {
    /// Commit and index; the file is as in the index.
    Staged,
    /// Index and file, or it is unmerged.
    Unstaged,
}

impl Changed {
    /// The path.
    pub(crate) fn path(&self) -> &PathBuf {
        match self {
            Self::Tracked { path, .. } | Self::Untracked { path } => path,
        }
    }
}

/// Reads all entries, or names the one that is not understood.
pub(crate) fn parse(output: &[u8]) -> Result<Vec<Changed>, String> {
    let entries = output
        .split(|&b| b == 0)
        .filter(|e| !e.is_empty() && !e.starts_with(b"#"));
    entries
        .map(|e| entry(e).ok_or_else(|| String::from_utf8_lossy(e).into_owned()))
        .collect()
}

fn entry(line: &[u8]) -> Option<Changed> {
    let path_after = |fields: usize| {
        let path = line.splitn(fields + 1, |&b| b == b' ').nth(fields)?;
        Some(PathBuf::from(OsStr::from_bytes(path)))
    };
    match line.first()? {
        b'1' => {
            let differs = if line.get(3)? == &b'.' {
                Differs::Staged
            } else {
                Differs::Unstaged
            };
            Some(Changed::Tracked {
                path: path_after(8)?,
                differs,
            })
        }
        b'u' => Some(Changed::Tracked {
            path: path_after(10)?,
            differs: Differs::Unstaged,
        }),
        b'?' => Some(Changed::Untracked { path: path_after(1)? }),
        _ => None,
    }
}

/// One entry of a raw diff.
pub(crate) struct RawChange {
    pub(crate) path: PathBuf,
    pub(crate) was_link: Linked,
    pub(crate) is_link: Linked,
    /// The letter that git gives the kind of change.
    pub(crate) change: u8,
}

/// Whether an entry is a link to another repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linked {
    /// It is.
    Yes,
    /// It is a file, a symbolic link or nothing.
    No,
}

/// Reads a raw diff with `-z --no-renames`.
pub(crate) fn parse_raw(output: &[u8]) -> Vec<RawChange> {
    let mut fields = output.split(|&b| b == 0);
    let mut found = Vec::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let linked = |mode: Option<&[u8]>| {
            if mode == Some(b"160000") {
                Linked::Yes
            } else {
                Linked::No
            }
        };
        let mut words = head.strip_prefix(b":").unwrap_or(head).split(|&b| b == b' ');
        let (was_link, is_link) = (linked(words.next()), linked(words.next()));
        let change = words
            .next_back()
            .and_then(|w| w.first())
            .copied()
            .unwrap_or_default();
        found.push(RawChange {
            path: PathBuf::from(OsStr::from_bytes(path)),
            was_link,
            is_link,
            change,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_survive() {
        let oid = "1".repeat(40);
        let text = format!("1 .M N... 100644 100644 100644 {oid} {oid} a b\nc\0? -x y\0? nested/\0");
        let found = parse(text.as_bytes()).unwrap();
        let paths: Vec<_> = found.iter().map(|c| c.path().to_str().unwrap()).collect();
        assert_eq!(paths, ["a b\nc", "-x y", "nested/"]);
        assert!(matches!(
            found[0],
            Changed::Tracked {
                differs: Differs::Unstaged,
                ..
            }
        ));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert_eq!(parse(b"9 what\0"), Err("9 what".to_owned()));
    }
}
