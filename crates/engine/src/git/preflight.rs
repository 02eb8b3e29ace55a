//! Owns seeing whether commits would merge, before anybody merges them. It moves no ref and touches no index and no
//! worktree; the objects of the merges that are tried go to a directory of their own, which is thrown away.
//!
//! git does it through an empty repository of Turno's own that borrows the objects of the user's. So no configuration
//! applies but Turno's, and no filter and no merge driver can run, whoever configured it: an attribute that names
//! one merges as text, and git's own drivers, e.g. `union`, do what they do at a landing. What a driver of the user's
//! would resolve is seen as a conflict here: what is foreseen is a hint and no verdict. All rivals are tried by one
//! process, and by the same code that a landing merges with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use turno_core::foresight::{Files, Found};
use turno_core::ids::CommitId;

use super::lend::path_list;
use super::{Error, Place, Repo};
use crate::process;

/// The longest that one look may take, however many rivals there are.
const LIMIT: Duration = Duration::from_secs(20);
/// More output is not read: whoever conflicts in so many files is looked at by hand.
const OUTPUT_CAP: usize = 4 << 20;
/// So many files are named.
const NAMED: usize = 20;
/// A longer name is cut, in characters.
const NAME: usize = 200;

impl Repo {
    /// Whether a commit would merge with each of these. `scratch` is a directory of its own: what is in it is removed,
    /// before and after. What could not be seen is said, one by one; there is always one answer for each.
    pub async fn preflight(&self, commit: &CommitId, rivals: &[CommitId], scratch: &Path) -> Vec<Found> {
        let mut found = Vec::new();
        let begun = Instant::now();
        // One that git gives up on ends the process; those behind it are tried by the next one.
        while found.len() < rivals.len() {
            let rest = &rivals[found.len()..];
            let left = LIMIT.saturating_sub(begun.elapsed());
            match self.try_merges(commit, rest, scratch, left).await {
                Ok(Tried { seen, broke: None }) if seen.len() == rest.len() => found.extend(seen),
                Ok(Tried { seen, broke }) => {
                    found.extend(seen.into_iter().take(rest.len()));
                    if found.len() < rivals.len() {
                        let why = broke.unwrap_or_else(|| "git gave no answer".to_owned());
                        found.push(Found::Unseen { why });
                    }
                }
                Err(error) => {
                    let why = error.to_string();
                    found.resize(rivals.len(), Found::Unseen { why });
                }
            }
        }
        if let Err(error) = clear(scratch) {
            tracing::warn!(%error, "what a look ahead left is still there");
        }
        found
    }

    async fn try_merges(
        &self,
        commit: &CommitId,
        rivals: &[CommitId],
        scratch: &Path,
        limit: Duration,
    ) -> Result<Tried, Error> {
        bare(scratch, commit)?;
        let pairs: String = rivals.iter().map(|r| format!("{r} {commit}\n")).collect();
        let objects = self.object_dirs();
        let shallow = self.common_dir().join("shallow");
        let nothing = "/dev/null";
        let mut call = self
            .git(Place::Shared)
            .env("GIT_DIR", scratch)
            .env("GIT_CONFIG_GLOBAL", nothing)
            .env("GIT_CONFIG_SYSTEM", nothing)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_ATTR_SOURCE", rivals.first().unwrap_or(commit).as_str())
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                path_list(objects.iter().map(PathBuf::as_path)),
            )
            .setting("core.attributesFile=/dev/null")
            .args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"])
            .args(["--stdin"])
            .input(pairs.into_bytes());
        if shallow.exists() {
            call = call.env("GIT_SHALLOW_FILE", shallow);
        }
        let mut program = call.call();
        program.cwd = scratch.to_owned();
        program.output_cap = OUTPUT_CAP;
        let finished = process::run_to_end(program, limit).await?;
        let seen = parse(&finished.stdout);
        let broke = (seen.len() < rivals.len()).then(|| call.failure(&finished).to_string());
        Ok(Tried { seen, broke })
    }
}

/// What became of some of the merges.
struct Tried {
    seen: Vec<Found>,
    /// Why there are no more answers.
    broke: Option<String>,
}

/// Makes an empty repository for commits of this kind, in the place of whatever is there.
fn bare(at: &Path, commit: &CommitId) -> Result<(), Error> {
    let files = |source| Error::Files {
        path: at.to_owned(),
        source,
    };
    clear(at).map_err(files)?;
    for dir in ["objects", "refs"] {
        fs::create_dir_all(at.join(dir)).map_err(files)?;
    }
    let format = match commit.as_str().len() {
        40 => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
        _ => "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n",
    };
    fs::write(at.join("config"), format).map_err(files)?;
    fs::write(at.join("HEAD"), "ref: refs/heads/none\n").map_err(files)
}

fn clear(at: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(at) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The answers that are whole: for each merge how it ended, its tree, the files in conflict, and an empty field. A half
/// answer is none.
fn parse(output: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut fields = output
        .split_inclusive(|&b| b == 0)
        .map_while(|f| f.strip_suffix(b"\0"));
    while let (Some(status), Some(_tree)) = (fields.next(), fields.next()) {
        let mut names = Vec::new();
        let ended = loop {
            match fields.next() {
                None => break false,
                Some([]) => break true,
                Some(name) => names.push(name),
            }
        };
        match (ended, status) {
            (true, b"1") => found.push(Found::Merges),
            (true, b"0") => found.push(Found::Clashes(files(names))),
            (true | false, _) => break,
        }
    }
    found
}

fn files(mut names: Vec<&[u8]>) -> Files {
    names.dedup();
    let more = u32::try_from(names.len().saturating_sub(NAMED)).unwrap_or(u32::MAX);
    let name = |bytes: &&[u8]| String::from_utf8_lossy(bytes).chars().take(NAME).collect();
    Files {
        named: names.iter().take(NAMED).map(name).collect(),
        more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "f9f54841772763348b21313ab1b720ac14d7b1b2";

    #[test]
    fn half_an_answer_is_none() {
        let whole = format!("1\0{TREE}\0\00\0{TREE}\0a\nb\0c\0\0");
        let clash = Found::Clashes(Files {
            named: vec!["a\nb".to_owned(), "c".to_owned()],
            more: 0,
        });
        assert_eq!(parse(whole.as_bytes()), [Found::Merges, clash]);
        for end in 0..whole.len() {
            let seen = parse(&whole.as_bytes()[..end]).len();
            assert_eq!(seen, usize::from(end >= 44), "{end}");
        }
        assert_eq!(parse(b"7\0x\0\0"), []);
    }

    #[test]
    fn not_all_of_many_files_are_named() {
        let names: Vec<String> = (0..25).map(|n| format!("{n}{}", "x".repeat(500))).collect();
        let found = files(names.iter().map(String::as_bytes).collect());
        assert_eq!((found.named.len(), found.more), (20, 5));
        assert!(found.named.iter().all(|n| n.len() == NAME));
    }
}
