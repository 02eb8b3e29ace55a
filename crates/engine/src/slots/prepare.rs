//! Owns getting a slot ready: whatever is in it is kept, then it is put on a commit. A slot that cannot be put
//! right is moved aside and made anew; it is never deleted in the way of work.

use std::path::PathBuf;

use turno_core::ids::CommitId;

use super::access::Opened;
use super::salvage::{Between, Ignores};
use super::seat::Head;
use super::{Error, PlaceLock, Salvaged, SlotPlace, SlotPool, files};
use crate::git::{self, Place, Worktree};

/// A slot that is at its commit, clean, with its ignored files (build caches) still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Where its files are.
    pub path: PathBuf,
    /// What was found in it and kept; usually nothing.
    pub salvaged: Vec<Salvaged>,
}

impl SlotPool {
    /// Puts a place on a commit, detached and clean. It is made first if it is not there.
    pub async fn prepare(&self, place: SlotPlace, commit: &CommitId) -> Result<Prepared, Error> {
        let lock = self.lock(place).await;
        self.prepare_locked(&lock, place, commit).await
    }

    pub(crate) async fn prepare_locked(
        &self,
        _lock: &PlaceLock,
        place: SlotPlace,
        commit: &CommitId,
    ) -> Result<Prepared, Error> {
        let path = self.path(place);
        let mut salvaged = Vec::new();
        self.repo().tree_of(commit)?;
        if let Some(tree) = self.known(place) {
            match self.renew(place, &tree, commit, &mut salvaged).await {
                Ok(()) => return Ok(Prepared { path, salvaged }),
                Err(error) if is_the_slots_fault(&error) => {
                    tracing::warn!(%place, %error, "a slot is damaged: it is moved aside and made anew");
                }
                Err(error) => return Err(error),
            }
        }
        let tree = self.make(place, commit, &mut salvaged).await?;
        self.tidy(&tree)?;
        self.reset(place, &tree, commit).await?;
        Ok(Prepared { path, salvaged })
    }

    /// Keeps what is in a place, then resets it to where it is. For an attempt whose work was not collected.
    pub async fn release(&self, place: SlotPlace) -> Result<Vec<Salvaged>, Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        let mut salvaged = Vec::new();
        let found = self.look(&tree).await?;
        self.salvage(place, &tree, &found, &mut salvaged).await?;
        let commit = found
            .head
            .commit()
            .cloned()
            .map_or_else(|| Ok(self.repo().user_head()?.commit), Ok::<_, Error>)?;
        self.reset(place, &tree, &commit).await?;
        Ok(salvaged)
    }

    /// Resets a place to `commit` and throws away what is in it. Only for what checks leave behind: no agent may
    /// have worked there since it was prepared.
    pub async fn discard(&self, place: SlotPlace, commit: &CommitId) -> Result<(), Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        self.tidy(&tree)?;
        self.reset(place, &tree, commit).await
    }

    async fn renew(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        commit: &CommitId,
        salvaged: &mut Vec<Salvaged>,
    ) -> Result<(), Error> {
        let mut found = self.look(tree).await?;
        let between = self.between(&found.head, commit).await?;
        match place {
            SlotPlace::Slot(_) => {
                self.salvage(place, tree, &found, salvaged).await?;
                let mut ignored = self.ignored(tree).await?;
                if self.open_up(place, tree, &ignored, salvaged).await? == Opened::Some {
                    // What was behind a closed door has not been seen yet.
                    found = self.look(tree).await?;
                    self.salvage(place, tree, &found, salvaged).await?;
                    ignored = self.ignored(tree).await?;
                }
                self.free_links(place, tree, &between, salvaged)?;
                self.take_instructions(place, tree, &ignored, salvaged)?;
            }
            SlotPlace::Landing => {}
        }
        let Head::Detached(at) = &found.head else {
            return self.reset(place, tree, commit).await;
        };
        if !found.changes.is_empty() || self.marker(place).exists() {
            return self.reset(place, tree, commit).await;
        }
        if at != commit {
            self.step(place, tree, &between, commit).await?;
        }
        self.expect_head(place, tree, commit)?;
        self.publish_index(tree)
    }

    /// From one commit to another where everything is clean: only what differs is written.
    async fn step(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        between: &Between,
        to: &CommitId,
    ) -> Result<(), Error> {
        let call = self.repo().git(Place::Own(tree)).setting("checkout.workers=4");
        files::replace(&self.marker(place), b"")?;
        match call
            .args(["checkout", "--quiet", "--detach", to.as_str()])
            .done()
            .await
        {
            Ok(()) => {}
            // E.g. an ignored directory stands where a file belongs.
            Err(git::Error::Git { .. }) => return self.reset(place, tree, to).await,
            Err(other) => return Err(other.into()),
        }
        // What was ignored may not be any more; it would pass for an agent's work.
        if between.ignores == Ignores::Changed {
            self.repo()
                .git(Place::Own(tree))
                .args(["clean", "-ffdq"])
                .done()
                .await?;
        }
        files::remove(&self.marker(place))
    }

    /// To a commit, whatever is there. The marker makes a crash half-way visible.
    pub(super) async fn reset(
        &self,
        place: SlotPlace,
        tree: &Worktree,
        commit: &CommitId,
    ) -> Result<(), Error> {
        files::replace(&self.marker(place), b"")?;
        if !matches!(self.head(tree)?, Head::Detached(_)) {
            self.set_head(tree, commit)?;
        }
        let git = || self.repo().git(Place::Own(tree));
        let checkout = ["checkout", "--quiet", "--force", "--detach", commit.as_str()];
        git().setting("checkout.workers=4").args(checkout).done().await?;
        git().args(["clean", "-ffdq"]).done().await?;
        self.expect_head(place, tree, commit)?;
        self.publish_index(tree)?;
        files::remove(&self.marker(place))
    }

    fn expect_head(&self, place: SlotPlace, tree: &Worktree, commit: &CommitId) -> Result<(), Error> {
        match self.head(tree)? {
            Head::Detached(at) if at == *commit => Ok(()),
            other => Err(Error::WrongHead {
                place,
                expected: commit.clone(),
                found: format!("{other:?}"),
            }),
        }
    }
}

/// Whether a new worktree may help. It does not when git could not run, is locked or the disk is full.
fn is_the_slots_fault(error: &Error) -> bool {
    match error {
        Error::Git(git::Error::Git { .. }) | Error::WrongHead { .. } | Error::NotPrepared { .. } => true,
        Error::Io { source, .. } => source.kind() != std::io::ErrorKind::StorageFull,
        Error::Git(_) => false,
    }
}
