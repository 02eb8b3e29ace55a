//! Owns what is told about a conflict: the files that did not merge and the parts of them, short enough for a
//! writer to read.

use std::fs;
use std::path::Path;

use turno_core::task::ConflictHunk;

use super::{Error, Place, Repo, Worktree};

/// At most this much of one file.
const FILE_CAP: usize = 3000;
/// At most this many files with their text; the others by name.
const FILES_WITH_TEXT: usize = 12;
/// Lines shown before and after a conflict.
const CONTEXT: usize = 3;
/// A file larger than this is not searched.
const READ_CAP: u64 = 16 << 20;

/// The unmerged files of a worktree; none when there is no conflict.
pub(crate) async fn hunks(repo: &Repo, tree: &Worktree) -> Result<Vec<ConflictHunk>, Error> {
    let output = repo
        .git(Place::Own(tree))
        .args(["ls-files", "--unmerged", "-z"])
        .bytes()
        .await?;
    let mut found: Vec<(Vec<u8>, u8)> = Vec::new();
    for entry in output.split(|&b| b == 0).filter(|e| !e.is_empty()) {
        let tab = entry.iter().position(|&b| b == b'\t').unwrap_or(entry.len());
        let (head, path) = (&entry[..tab], entry.get(tab + 1..).unwrap_or_default());
        let stage = match head.last() {
            Some(b'1') => 1,
            Some(b'2') => 2,
            _ => 4,
        };
        match found.last_mut() {
            Some((last, stages)) if last == path => *stages |= stage,
            _ => found.push((path.to_vec(), stage)),
        }
    }
    let hunk = |(n, (path, stages)): (usize, (Vec<u8>, u8))| {
        let file = String::from_utf8_lossy(&path).into_owned();
        let text = match stages {
            _ if n >= FILES_WITH_TEXT => "conflicts too; not shown".to_owned(),
            0b011 => "what has landed changed this file, the change deletes it".to_owned(),
            0b101 => "what has landed deleted this file, the change edits it".to_owned(),
            _ => text_of(&tree.path, &path),
        };
        ConflictHunk { file, text }
    };
    Ok(found.into_iter().enumerate().map(hunk).collect())
}

fn text_of(root: &Path, path: &[u8]) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path = root.join(std::ffi::OsStr::from_bytes(path));
    let readable = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= READ_CAP);
    match fs::read(&path) {
        Ok(bytes) if readable && !bytes.contains(&0) => shorten(&String::from_utf8_lossy(&bytes)),
        Ok(_) | Err(_) => "both sides changed it, and it has no text that could be merged".to_owned(),
    }
}

/// The parts between markers, with a little around them.
fn shorten(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut wanted = vec![false; lines.len()];
    let mut begun = None;
    for (n, line) in lines.iter().enumerate() {
        if line.starts_with("<<<<<<< ") {
            begun = Some(n);
        } else if line.starts_with(">>>>>>> ")
            && let Some(first) = begun.take()
        {
            let last = (n + CONTEXT).min(lines.len() - 1);
            wanted[first.saturating_sub(CONTEXT)..=last].fill(true);
        }
    }
    if !wanted.contains(&true) {
        return "both sides added or changed it as a whole".to_owned();
    }
    let mut short = String::new();
    let mut gap = false;
    for (n, line) in lines.iter().enumerate() {
        if !wanted[n] {
            gap = true;
            continue;
        }
        if gap {
            short.push_str(&format!("... line {}\n", n + 1));
            gap = false;
        }
        if short.len() + line.len() > FILE_CAP {
            short.push_str("... shortened\n");
            return short;
        }
        short.push_str(line);
        short.push('\n');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_conflict_and_its_surroundings_are_shown() {
        let mut text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        text.push_str("<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> change\nafter\n");
        let short = shorten(&text);
        assert!(short.starts_with("... line 98\nline 97\n"), "{short}");
        assert!(short.ends_with(">>>>>>> change\nafter\n"), "{short}");
    }

    #[test]
    fn a_long_conflict_is_cut() {
        let text = format!("<<<<<<< HEAD\n{}=======\n>>>>>>> x\n", "word\n".repeat(5000));
        let short = shorten(&text);
        assert!(short.len() < FILE_CAP + 50);
        assert!(short.ends_with("... shortened\n"));
    }
}
