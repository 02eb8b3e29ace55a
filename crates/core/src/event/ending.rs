//! Owns how what was started came to its end: an agent, a landing, the bringing along of a branch, and what each left
//! behind. The facts that carry these ends are in `event.rs`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::check::CheckReport;
use crate::decision::Question;
use crate::failure::Failure;
use crate::guard::Guarded;
use crate::ids::{AttemptId, CommitId, TaskId, TreeId};
use crate::outcome::Outcome;
use crate::progress::Essence;
use crate::task::ConflictHunk;
use crate::train::{Red, Stands};
use crate::units::{Span, Spend};

/// How an agent's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentEnd {
    /// With the typed outcome of its role.
    Finished(Outcome),
    /// With a question instead: it goes on when it has the answer.
    Asked(Question),
    /// In any other way.
    Failed(Failure),
}

/// What an agent left in its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftBehind {
    /// The tree it started from.
    Nothing,
    /// Another tree, which is now a commit on a branch of Turno's.
    Commit {
        /// The commit.
        commit: CommitId,
        /// Its tree.
        tree: TreeId,
        /// The paths that differ from the commit it is compared with.
        #[serde(default)]
        paths: BTreeSet<String>,
        /// What was found about the whole of the change, from the commit that the work began from.
        #[serde(default)]
        guards: Vec<Guarded>,
        /// What the change is apart from white space, held against the same commit as the paths.
        #[serde(default)]
        essence: Essence,
    },
}

/// How a landing ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandingEnd {
    /// On the integration branch; ancestry was proven after the ref had moved.
    Landed {
        /// As this commit.
        commit: CommitId,
    },
    /// The change does not apply.
    Conflict {
        /// Where.
        hunks: Vec<ConflictHunk>,
        /// Where the integration branch is.
        head: CommitId,
    },
    /// The integrated tree is not green. The branch did not move.
    NotGreen {
        /// The change as rebased.
        rebased: CommitId,
        /// Where the integration branch is.
        head: CommitId,
        /// What the checks showed.
        report: CheckReport,
    },
    /// The branch moved meanwhile.
    Raced {
        /// Where it is.
        head: CommitId,
    },
    /// How several changes ended that were to land together.
    Together(TogetherEnd),
}

/// How several changes ended that were to land together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TogetherEnd {
    /// Those that do not apply to what came before them. They were left out, the others were tried without them.
    pub refused: Vec<Refused>,
    /// Where the integration branch was when it began.
    pub head: CommitId,
    /// What became of the others.
    pub others: OthersEnd,
}

/// A change that does not apply to what came before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Whose.
    pub task: TaskId,
    /// Where.
    pub hunks: Vec<ConflictHunk>,
}

/// What became of those of a batch that apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OthersEnd {
    /// There is none.
    None,
    /// All are on the integration branch; ancestry was proven after the ref had moved.
    Landed {
        /// As these commits.
        members: Vec<Stands>,
        /// Where the branch is.
        head: CommitId,
    },
    /// The integrated tree is not green. The branch did not move.
    NotGreen {
        /// What the checks showed, and of what.
        red: Red,
    },
    /// The branch moved meanwhile.
    Raced {
        /// Where it is.
        head: CommitId,
    },
}

/// How the bringing along of an integration branch ended. Only the first way moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowEnd {
    /// It has all of the user's branch; ancestry was proven after the ref had moved.
    Followed {
        /// Where it is.
        head: CommitId,
    },
    /// Both changed the same lines.
    Conflict {
        /// Of these files.
        files: Vec<String>,
        /// Where the integration branch is.
        head: CommitId,
    },
    /// Both together are not green.
    NotGreen {
        /// What the checks showed.
        report: CheckReport,
        /// Where the integration branch is.
        head: CommitId,
    },
    /// The user's branch does not have any more what the issue began on.
    Rewritten {
        /// That.
        lost: CommitId,
        /// Where the integration branch is.
        head: CommitId,
    },
    /// The integration branch moved meanwhile.
    Raced {
        /// Where it is.
        head: CommitId,
    },
}

/// An attempt that was found dead at a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// What it had spent, according to its transcript.
    pub spend: Spend,
    /// What it left in its slot, now a commit on a branch of Turno's.
    pub left: LeftBehind,
    /// How long it worked, by the last that it said; where that is not known, until it was found.
    #[serde(default)]
    pub worked: Option<Span>,
}
