//! Owns what happens to a slot when an attempt in it has ended: a writer's work becomes commits on a branch of
//! Turno's, a reader's slot is compared with what it was given.

use turno_core::event::LeftBehind;
use turno_core::guard::{GuardKind, Guarded, History, Survey};
use turno_core::ids::{CommitId, TreeId};

use super::{Error, LeftOut, Salvaged, SlotPlace, SlotPool, files};
use crate::git::{CommitMessage, Expected, Found, TurnoRef, Worktree};

/// How the lines of a log begin that Turno's own git calls write, after the two commits.
const FROM_TURNO: &str = " Turno <turno@localhost> ";

/// Where a writer began.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    /// The commit that its slot was put on.
    pub from: &'a CommitId,
    /// The commit that its work is compared with, to name the paths it changed; absent: `from`.
    pub since: Option<&'a CommitId>,
    /// How what it leaves is looked at.
    pub survey: Option<&'a Survey>,
}

/// What a writer left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Its work.
    pub left: LeftBehind,
    /// What is not part of it; still in the slot, and moved aside when the slot is used again.
    pub left_out: Vec<LeftOut>,
    /// What does not lead to the result and is kept all the same, e.g. commits the agent went back from.
    pub salvaged: Vec<Salvaged>,
}

/// What a reader left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspected {
    /// Everything as it was.
    Untouched,
    /// Something else. It was kept and the slot was reset.
    Touched {
        /// What was kept.
        salvaged: Vec<Salvaged>,
        /// Which files, for people.
        files: Vec<String>,
    },
}

impl SlotPool {
    /// Makes a writer's work a commit on `branch`: its own commits as they are, if they descend from `from`, and
    /// on top of them one commit with everything it did not commit. Where its history must not land, one commit on
    /// the base takes the place of all of them.
    pub async fn collect(
        &self,
        place: SlotPlace,
        begun: Begun<'_>,
        branch: &TurnoRef,
        message: &CommitMessage,
    ) -> Result<Collected, Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        let repo = self.repo();
        let strays = self.tidy(&tree)?;
        let head = self.head(&tree)?;
        let Begun { from, since, survey } = begun;
        let afresh = survey.filter(|s| s.history == History::Afresh).map(|s| &s.base);
        let parent = match (afresh, head.commit()) {
            (Some(base), _) => base,
            (None, Some(commit)) if repo.is_ancestor(from, commit)? => commit,
            (None, Some(_) | None) => from,
        };
        // Detached before anything is written: a branch that is not Turno's must not come along.
        self.set_head(&tree, parent)?;
        let snapshot = self.snapshot(&tree, &head, Some(parent), Some(from)).await?;
        let done = match (afresh, head.commit()) {
            (Some(base), Some(commit)) => self.is_all(commit, base, &snapshot.tree)?.then_some(commit),
            (Some(_) | None, _) => None,
        };
        let work = if let Some(commit) = done {
            commit.clone()
        } else if snapshot.tree == repo.tree_of(parent)? {
            parent.clone()
        } else {
            repo.commit_own(&snapshot.tree, parent, message).await?
        };
        let left = if snapshot.tree == repo.tree_of(afresh.unwrap_or(from))? {
            LeftBehind::Nothing
        } else {
            self.put_on(branch, &work).await?;
            let since = since.unwrap_or(from);
            let paths = repo.changed_files(since, &work)?;
            LeftBehind::Commit {
                commit: work.clone(),
                tree: snapshot.tree,
                paths: paths.into_iter().collect(),
                guards: match survey {
                    Some(survey) => repo.survey(&work, survey).await,
                    None => vec![unsurveyed()],
                },
                essence: repo.essence(since, &work),
            }
        };
        let mut salvaged = Vec::new();
        let gone_back = match left {
            // Whoever leaves nothing after it had committed something has lost its way: what it committed is kept.
            LeftBehind::Nothing => self.last_own_commit(&tree)?,
            LeftBehind::Commit { .. } => None,
        };
        for commit in head
            .commit()
            .into_iter()
            .chain([&work])
            .chain(&strays)
            .chain(&gone_back)
        {
            if !repo.is_kept(commit).await? {
                let refname = repo.keep(&place.to_string(), commit).await?;
                salvaged.push(Salvaged::Commit {
                    refname,
                    commit: commit.clone(),
                });
            }
        }
        self.set_head(&tree, &work)?;
        self.publish_index(&tree)?;
        Ok(Collected {
            left,
            left_out: snapshot.left_out,
            salvaged,
        })
    }

    /// The last commit that the slot's log says was made in it since the slot was put where it was, if the log is
    /// what git writes.
    fn last_own_commit(&self, tree: &Worktree) -> Result<Option<CommitId>, Error> {
        let log = files::read_plain(&tree.git_dir.join("logs/HEAD")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let moved_by_turno =
            |line: &&str| !line.contains("\tcheckout: moving from ") || !line.contains(FROM_TURNO);
        for line in log.lines().rev().take_while(moved_by_turno) {
            let commit = line
                .split(' ')
                .nth(1)
                .and_then(|word| word.parse::<CommitId>().ok());
            if let Some(commit) = commit.filter(|c| self.repo().tree_of(c).is_ok())
                && !self
                    .repo()
                    .is_ancestor(&commit, &self.repo().user_head()?.commit)?
            {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    /// Whether a commit is all of a tree on a base, as an earlier look at the same slot left it.
    fn is_all(&self, commit: &CommitId, base: &CommitId, tree: &TreeId) -> Result<bool, Error> {
        let parts = self.repo().commit_parts(commit)?;
        Ok(parts.tree == *tree && parts.parents == [base.clone()])
    }

    /// Moves a task's branch. Where it was before is kept if the new commit does not contain it.
    async fn put_on(&self, branch: &TurnoRef, commit: &CommitId) -> Result<(), Error> {
        let repo = self.repo();
        let expected = match repo.read_ref(branch)? {
            Found::At(old) if old == *commit => return Ok(()),
            Found::Absent => Expected::Absent,
            Found::At(old) => {
                if !repo.is_ancestor(&old, commit)? {
                    repo.keep("branch", &old).await?;
                }
                Expected::At(old)
            }
        };
        Ok(repo.move_ref(branch, commit, &expected).await?)
    }

    /// Whether a reader changed nothing. If it did, its changes are kept and the slot is reset to `commit`.
    pub async fn inspect_untouched(&self, place: SlotPlace, commit: &CommitId) -> Result<Inspected, Error> {
        let _lock = self.lock(place).await;
        let tree = self.worktree(place)?;
        let found = self.look(&tree).await?;
        let at = found.head.commit();
        if at == Some(commit) && found.changes.is_empty() && found.strays.is_empty() {
            return Ok(Inspected::Untouched);
        }
        let mut files: Vec<_> = match at {
            Some(at) => self.repo().changed_files(commit, at)?,
            None => Vec::new(),
        };
        files.extend(
            found
                .changes
                .iter()
                .map(|c| c.path().to_string_lossy().into_owned()),
        );
        files.sort();
        files.dedup();
        let mut salvaged = Vec::new();
        self.salvage(place, &tree, &found, &mut salvaged).await?;
        let between = self.between(&found.head, commit).await?;
        self.free_links(place, &tree, &between, &mut salvaged)?;
        self.reset(place, &tree, commit).await?;
        Ok(Inspected::Touched { salvaged, files })
    }
}

/// Nothing said where the work began, so nothing can be said about it.
fn unsurveyed() -> Guarded {
    Guarded {
        kind: GuardKind::Unseen,
        file: "(the whole change)".to_owned(),
        line: 0,
        what: "it is not known where the work began, so it was not looked at".to_owned(),
    }
}
