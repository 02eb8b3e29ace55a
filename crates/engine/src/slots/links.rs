//! Owns links to other repositories in a slot's index while everything is added to it. `git add` asks the repository
//! behind each link how it is, by its own configuration and with its own filters, and no setting keeps it from
//! that: a program in the slot may have written both. Without the links there is nobody to ask.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::{Error, SlotPool};
use crate::git::{Place, Worktree};

/// The mode of a link in an index.
const LINK: &[u8] = b"160000 ";

/// An entry of the index, as `ls-files --stage` tells it: mode, id and stage, and the path.
struct Entry {
    head: Vec<u8>,
    path: Vec<u8>,
}

/// The links that were taken out.
pub(super) struct Links(Vec<Entry>);

impl SlotPool {
    async fn entries(&self, tree: &Worktree) -> Result<Vec<Entry>, Error> {
        let args = ["ls-files", "--stage", "-z"];
        let output = self.repo().git(Place::Own(tree)).args(args).bytes().await?;
        let entry = |line: &[u8]| {
            let tab = line.iter().position(|&b| b == b'\t')?;
            let (head, path) = (line[..tab].to_vec(), line[tab + 1..].to_vec());
            Some(Entry { head, path })
        };
        Ok(output.split(|&b| b == 0).filter_map(entry).collect())
    }

    /// Takes all links out of Turno's index of a slot.
    pub(super) async fn take_links_out(&self, tree: &Worktree) -> Result<Links, Error> {
        let mut links = self.entries(tree).await?;
        links.retain(|e| e.head.starts_with(LINK));
        if !links.is_empty() {
            let paths = links.iter().flat_map(|e| [e.path.as_slice(), b"\0"].concat());
            let call = self.repo().git(Place::Own(tree));
            call.args(["update-index", "-z", "--force-remove", "--stdin"])
                .input(paths.collect())
                .done()
                .await?;
        }
        Ok(Links(links))
    }

    /// Puts back the links to what is not there to be looked at, e.g. submodules that nobody has fetched. A link
    /// whose repository is there was added anew, at where that one is now.
    pub(super) async fn put_links_back(&self, tree: &Worktree, links: Links) -> Result<(), Error> {
        let Links(mut links) = links;
        if links.is_empty() {
            return Ok(());
        }
        let now = self.entries(tree).await?;
        links.retain(|link| {
            let path = tree.path.join(std::ffi::OsStr::from_bytes(&link.path));
            let is_there = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
            let taken = |e: &Entry| {
                let rest = e.path.strip_prefix(link.path.as_slice());
                rest.is_some_and(|r| r.is_empty() || r.starts_with(b"/"))
            };
            is_there && !now.iter().any(taken)
        });
        let lines = links
            .iter()
            .flat_map(|e| [e.head.as_slice(), b"\t", e.path.as_slice(), b"\0"].concat());
        let call = self.repo().git(Place::Own(tree));
        call.args(["update-index", "-z", "--index-info"])
            .input(lines.collect())
            .done()
            .await?;
        Ok(())
    }
}
