//! Owns promotion: a person puts an issue's integration branch on a branch of their own, as one commit, by a merge
//! commit or commit by commit. All is made of objects first; then the branch moves, or nothing does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use turno_core::ids::{CommitId, IssueId, PersonaName, TreeId};
use turno_core::promotion::{Fork, Manner, Sameness};
use turno_core::units::MicroUsd;

use super::forward::{Onto, Target};
use super::merge::MergedTree;
use super::message::{compose, trailer};
use super::replay::Replayed;
use super::write::{EMAIL, Identity, NAME};
use super::{CommitLine, Error, Found, Place, Repo, TurnoRef};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Which issue's work.
    pub issue: IssueId,
    /// Onto which branch.
    pub onto: Onto,
    /// How.
    pub manner: Manner,
    /// From where its work is counted.
    pub fork: Fork,
    /// The issue's title: the first line of the message.
    pub title: String,
    /// What landed, a line each, for the message.
    pub landed: Vec<String>,
    /// What it cost.
    pub cost: MicroUsd,
}

/// A promotion that can be done. Nothing has moved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// The branch has it all already.
    AlreadyThere {
        /// Which branch.
        branch: String,
        /// Where it is.
        tip: CommitId,
    },
    /// The branch can be moved.
    Ready(Ready),
}

/// Where a branch can be moved. No ref leads there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The branch as it was found.
    pub target: Target,
    /// Where it goes.
    pub commit: CommitId,
    /// The commits that come onto it.
    pub commits: Vec<CommitLine>,
    /// The commit that the issue's work is counted from.
    pub fork: CommitId,
    /// Whether its tree is the one of the integration branch.
    pub sameness: Sameness,
    /// The word for the reflog.
    why: String,
}

/// Why a branch of the user's was not moved. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// No branch is checked out.
    #[error("HEAD is detached, so there is no current branch. Name the branch to promote onto")]
    Detached,
    /// The named branch is not there.
    #[error("there is no branch `{branch}`. Create it, or name another")]
    NoSuchBranch {
        /// Its name.
        branch: String,
    },
    /// The integration branch is not there.
    #[error("{branch} does not exist: nothing has landed for this issue yet")]
    NothingLanded {
        /// Its name.
        branch: String,
    },
    /// A branch of Turno's own was named.
    #[error("`{branch}` is a branch of Turno's own. Name one of yours")]
    TurnosOwn {
        /// Its name.
        branch: String,
    },
    /// The branch is in the middle of a rebase.
    #[error("`{branch}` is being rebased (see {}). Finish that or break it off, then try again", dir.display())]
    BeingRebased {
        /// The branch.
        branch: String,
        /// Where git keeps the state of the rebase.
        dir: PathBuf,
    },
    /// The branch is checked out with changes.
    #[error("`{branch}` is checked out at {} with uncommitted changes ({}). Commit or stash them, then try again", checkout.display(), files.join(", "))]
    Dirty {
        /// The branch.
        branch: String,
        /// Where it is checked out.
        checkout: PathBuf,
        /// What is changed.
        files: Vec<String>,
    },
    /// Both sides changed the same lines.
    #[error("{from} does not merge into `{branch}`: {}. Merge it by hand: git merge {from}", files.join(", "))]
    Conflict {
        /// The integration branch.
        from: String,
        /// The user's branch.
        branch: String,
        /// The files that do not merge.
        files: Vec<String>,
    },
    /// A commit does not apply by itself.
    #[error("{} does not apply to `{branch}` by itself: {}. As a whole it may: use --squash or --merge", commit.short(), files.join(", "))]
    ReplayConflict {
        /// Which commit.
        commit: CommitId,
        /// The user's branch.
        branch: String,
        /// The files that do not merge.
        files: Vec<String>,
    },
    /// The commits one by one come to another tree than the whole.
    #[error("the commits of {from} one by one come to other files than all at once. Use --squash or --merge")]
    ReplayDiffers {
        /// The integration branch.
        from: String,
    },
    /// What was promoted is not on the branch any more.
    #[error("`{branch}` does not have {} any more, which the promotion put there. Take it back by hand, or name another branch", commit.short())]
    NotThere {
        /// The branch.
        branch: String,
        /// What was promoted.
        commit: CommitId,
    },
    /// What came later changed the same lines.
    #[error("what came after {} on `{branch}` changed the same lines: {}. Take it back by hand: git revert", commit.short(), files.join(", "))]
    RevertConflict {
        /// The branch.
        branch: String,
        /// What was promoted.
        commit: CommitId,
        /// The files that do not merge.
        files: Vec<String>,
    },
    /// Files that git does not track are where the merge would put its own.
    #[error("files at {} that are not committed are in the way: {}. Move them, then try again", checkout.display(), files.join(", "))]
    InTheWay {
        /// Where the branch is checked out.
        checkout: PathBuf,
        /// Which.
        files: Vec<String>,
    },
    /// The checkout could not be brought along.
    #[error("the checkout at {} cannot be brought along: {why}", checkout.display())]
    CheckoutStays {
        /// Which.
        checkout: PathBuf,
        /// In git's words.
        why: String,
    },
    /// The branch moved meanwhile.
    #[error("`{branch}` moved meanwhile. Try again")]
    Raced {
        /// The branch.
        branch: String,
    },
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] Error),
}

impl Repo {
    /// Makes what a promotion would put on the branch, as objects that nothing leads to. Everything that would refuse
    /// the promotion refuses it here.
    pub async fn plan_promotion(&self, asked: &Promotion) -> Result<Planned, PromoteError> {
        let from = TurnoRef::base(asked.issue);
        let target = self.target(&asked.onto).await?;
        let Found::At(head) = self.read_ref(&from)? else {
            return Err(PromoteError::NothingLanded {
                branch: from.short().to_owned(),
            });
        };
        let tip = target.tip.clone();
        let there = || {
            Ok(Planned::AlreadyThere {
                branch: target.branch.clone(),
                tip: tip.clone(),
            })
        };
        if asked.fork == Fork::ByHistory && self.is_ancestor(&head, &tip)? {
            return there();
        }
        let tree = match self.merge_counted_from(&asked.fork, &tip, &head).await? {
            MergedTree::Clean(tree) => tree,
            MergedTree::Conflict(files) => {
                return Err(PromoteError::Conflict {
                    from: from.short().into(),
                    branch: target.branch,
                    files,
                });
            }
        };
        if tree == self.tree_of(&tip)? {
            return there();
        }
        let fork = match &asked.fork {
            Fork::At(commit) => commit.clone(),
            Fork::ByHistory => self.merge_base(&tip, &head).await?,
        };
        let own = self.own_commits(&head, &fork).await?;
        let commit = match asked.manner {
            Manner::Squash | Manner::Merge => {
                let parents = match asked.manner {
                    Manner::Merge => vec![tip.clone(), head.clone()],
                    Manner::Squash | Manner::Rebase => vec![tip.clone()],
                };
                let message = self.words(asked, &own)?;
                self.commit_tree(&tree, &parents, &message, &Identity::Turno)
                    .await?
            }
            Manner::Rebase => self.one_by_one(&target, &from, &own, &tree).await?,
        };
        self.room(&target, &commit).await?;
        let sameness = if tree == self.tree_of(&head)? {
            Sameness::Same
        } else {
            let missed = self.commits_between(&head, &tip)?.len();
            Sameness::Other {
                behind: u32::try_from(missed).unwrap_or(u32::MAX),
            }
        };
        Ok(Planned::Ready(Ready {
            commits: self.commits_between(&tip, &commit)?,
            why: format!("turno: promote {from}"),
            target,
            commit,
            fork,
            sameness,
        }))
    }

    /// Whether a commit is on a branch of the user's. One that is not there at all is on no branch.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn is_on(&self, commit: &CommitId, branch: &str) -> Result<bool, Error> {
        let Found::At(tip) = self.read_any_ref(&format!("refs/heads/{branch}"))? else {
            return Ok(false);
        };
        Ok(self.tree_of(commit).is_ok() && self.is_ancestor(commit, &tip)?)
    }

    /// Moves the branch as planned, if it is still where it was found.
    pub async fn carry_out(&self, ready: &Ready) -> Result<(), PromoteError> {
        self.forward(&ready.target, &ready.commit, &ready.why).await
    }

    async fn one_by_one(
        &self,
        target: &Target,
        from: &TurnoRef,
        own: &[CommitId],
        tree: &TreeId,
    ) -> Result<CommitId, PromoteError> {
        match self.replay(own, &target.tip).await? {
            Replayed::To(commit) if self.tree_of(&commit)? == *tree => Ok(commit),
            // A merge among them had a say of its own, which a replay leaves out.
            Replayed::To(_) => Err(PromoteError::ReplayDiffers {
                from: from.short().into(),
            }),
            Replayed::Conflict { commit, files } => Err(PromoteError::ReplayConflict {
                commit,
                branch: target.branch.clone(),
                files,
            }),
        }
    }

    async fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<CommitId, PromoteError> {
        let call = self
            .git(Place::Shared)
            .args(["merge-base", one.as_str(), other.as_str()]);
        let answer = call.text().await?;
        Ok(answer.parse().map_err(|_| Error::Answer {
            what: call.what(),
            answer: answer.clone(),
        })?)
    }

    /// The message of the one commit, with everybody who wrote those that it stands for.
    fn words(&self, asked: &Promotion, own: &[CommitId]) -> Result<String, PromoteError> {
        let mut wrote = BTreeSet::new();
        for commit in own {
            let parts = self.commit_parts(commit)?;
            if parts.email != EMAIL {
                wrote.insert(format!(
                    "{} <{}>",
                    no_angles(&parts.author),
                    no_angles(&parts.email)
                ));
            }
            let personas = trailer(&parts.message, "Turno-Persona");
            let personas = personas.iter().filter_map(|p| p.parse::<PersonaName>().ok());
            wrote.extend(personas.map(|p| format!("{p} ({NAME}) <{EMAIL}>")));
            wrote.extend(trailer(&parts.message, "Co-authored-by"));
        }
        let mut trailers = vec![
            ("Turno-Issue", asked.issue.to_string()),
            ("Turno-Cost", asked.cost.to_string()),
        ];
        trailers.extend(wrote.into_iter().map(|who| ("Co-authored-by", who)));
        let body: Vec<String> = asked.landed.iter().map(|line| format!("- {line}")).collect();
        Ok(compose(&asked.title, &body.join("\n"), &trailers))
    }
}

fn no_angles(text: &str) -> String {
    text.replace(['<', '>'], "")
}
