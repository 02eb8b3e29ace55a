//! Owns what a change is apart from white space, so that a writer who only moves spaces and lines about is seen to do
//! nothing. It reads; what follows is the core's.

use git2::{DiffFile, Oid, Repository};
use sha2::{Digest, Sha256};
use turno_core::ids::CommitId;
use turno_core::progress::Essence;

use super::read::{diff, reading};
use super::{Error, Repo};

/// A larger file, or what is over this in all, counts as it is, white space included.
const LOOKED_AT: u64 = 16 << 20;

impl Repo {
    /// What a change from `base` to `commit` is apart from white space: each file that differs in more than that,
    /// with its mode and what it then holds. Unknown, with a word, when it cannot be read.
    pub(crate) fn essence(&self, base: &CommitId, commit: &CommitId) -> Essence {
        self.read_essence(base, commit).unwrap_or_else(|error| {
            tracing::warn!(commit = commit.short(), %error, "what a change is apart from white space cannot be seen");
            Essence::Unknown
        })
    }

    fn read_essence(&self, base: &CommitId, commit: &CommitId) -> Result<Essence, Error> {
        let repo = self.read()?;
        let diff = diff(&repo, base, commit)?;
        let mut sum = Sha256::new();
        let mut left = LOOKED_AT;
        for delta in diff.deltas() {
            let (old, new) = (delta.old_file(), delta.new_file());
            let (was, is) = (held(&repo, &old, &mut left)?, held(&repo, &new, &mut left)?);
            if old.mode() == new.mode() && was == is {
                continue;
            }
            let path = new.path_bytes().or(old.path_bytes()).unwrap_or_default();
            sum.update(path);
            // No path holds it, so nothing can look like the end of another.
            sum.update([0]);
            sum.update(u32::from(new.mode()).to_be_bytes());
            sum.update(is);
        }
        let text: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let id = text.parse().map_err(|_| Error::Answer {
            what: "a digest".into(),
            answer: text.clone(),
        })?;
        Ok(Essence::Known(id))
    }
}

/// A digest of what a file holds without its white space. What is no text, or too much, counts as it is.
fn held(repo: &Repository, file: &DiffFile<'_>, left: &mut u64) -> Result<[u8; 32], Error> {
    let oid = file.id();
    let as_it_is = || Sha256::digest(oid.as_bytes()).into();
    if oid == Oid::ZERO_SHA1 || !file.exists() {
        return Ok(as_it_is());
    }
    let odb = reading("the objects", repo.odb())?;
    // A submodule's commit is not here.
    let Ok((size, git2::ObjectType::Blob)) = odb.read_header(oid) else {
        return Ok(as_it_is());
    };
    let Some(rest) = left.checked_sub(size as u64) else {
        return Ok(as_it_is());
    };
    *left = rest;
    let blob = reading("a file", repo.find_blob(oid))?;
    if blob.is_binary() {
        return Ok(as_it_is());
    }
    let mut sum = Sha256::new();
    let is_white = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    for word in blob.content().split(is_white) {
        sum.update(word);
    }
    Ok(sum.finalize().into())
}
