//! Owns giving a place up: what is in it is kept as ever, then git removes the worktree and Turno its notes of it.
//! Ignored files, which are caches, go with it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::salvage::{Between, Ignores};
use super::{Error, Salvaged, SlotPlace, SlotPool, files};
use crate::git::{Place, Worktree};

impl SlotPool {
    /// Keeps what is in a place, then removes the place. Only for one that nobody uses and that is whole.
    ///
    /// # Errors
    /// When something cannot be kept: then nothing is removed. When git cannot remove it.
    pub async fn retire(&self, place: SlotPlace) -> Result<Vec<Salvaged>, Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        let mut salvaged = Vec::new();
        let found = self.look(&tree).await?;
        self.salvage(place, &tree, &found, &mut salvaged).await?;
        let inside = Between {
            ignores: Ignores::Same,
            links_left: self.links_in(&tree).await?,
        };
        self.free_links(place, &tree, &inside, &mut salvaged)?;
        let ignored = self.ignored(&tree).await?;
        self.take_instructions(place, &tree, &ignored, &mut salvaged)?;
        {
            let _gate = self.repo().gate().await;
            for args in [&["worktree", "unlock"][..], &["worktree", "remove", "-f", "-f"]] {
                let call = self.repo().git(Place::Shared).args(args.iter().map(OsStr::new));
                call.args([tree.path.as_os_str()]).done().await?;
            }
        }
        let setup = self.inner.dir.join(format!("{place}.setup"));
        for beside in ["index", "index.lock", "staged", "dirty", "gitdir"] {
            files::remove(&self.beside(place, beside))?;
        }
        files::remove(&setup)?;
        Ok(salvaged)
    }

    /// Where links to other repositories are staged or committed in a place.
    async fn links_in(&self, tree: &Worktree) -> Result<Vec<PathBuf>, Error> {
        let args = ["ls-files", "-z", "--stage"];
        let listed = self.repo().git(Place::Own(tree)).args(args).bytes().await?;
        let links = listed.split(|b| *b == 0).filter(|l| l.starts_with(b"160000 "));
        let paths = links.filter_map(|line| line.splitn(2, |b| *b == b'\t').nth(1));
        Ok(paths.map(|p| PathBuf::from(OsStr::from_bytes(p))).collect())
    }
}
