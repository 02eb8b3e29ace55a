//! Owns the words of promotion: how an issue's work comes onto a branch of the user's, what was put there, and what
//! it takes to take that back. Moving the branch is the engine's.

use serde::{Deserialize, Serialize};

use crate::State;
use crate::ids::{CommitId, IssueId};

/// How an issue's work comes onto a branch of the user's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// As one commit.
    #[default]
    Squash,
    /// By a merge commit, also where none would be needed.
    Merge,
    /// Commit by commit, each with its author and its message.
    Rebase,
}

impl Manner {
    /// The word for it in files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Squash => "squash",
            Self::Merge => "merge",
            Self::Rebase => "rebase",
        }
    }
}

/// What the promoted tree is to the one that was proven on the integration branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// The very same.
    Same,
    /// Another: the branch has commits of its own that the integration branch has not.
    Other {
        /// How many.
        behind: u32,
    },
}

/// What is known of the promoted tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// It is the one that was proven when it landed, or the project has no checks.
    Proven,
    /// The checks never saw it. Only a person who says so lets it pass.
    Unproven {
        /// How many commits the branch has that the integration branch has not.
        behind: u32,
    },
}

/// What is known of a tree that would be promoted for an issue.
pub fn assurance(state: &State, issue: IssueId, sameness: Sameness) -> Assurance {
    let checked = state
        .issues
        .get(&issue)
        .zip(state.config.as_ref())
        .is_some_and(|(issue, config)| !config.checks_of(&issue.draft.repo).is_empty());
    match sameness {
        Sameness::Other { behind } if checked => Assurance::Unproven { behind },
        Sameness::Other { .. } | Sameness::Same => Assurance::Proven,
    }
}

/// What a promotion put on a branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Put {
    /// Nothing that is known: the branch had it all, or the record is older than this.
    #[default]
    Nothing,
    /// All that is between `before` and the promoted commit.
    Commits {
        /// In which manner.
        manner: Manner,
        /// Where the branch was.
        before: CommitId,
        /// The commit that the issue's work is counted from.
        fork: CommitId,
        /// What is known of the promoted tree.
        assurance: Assurance,
    },
}

/// A promotion that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Onto which branch.
    pub onto: String,
    /// What that branch is to point at.
    pub commit: CommitId,
    /// What is to be put there.
    pub put: Put,
}

/// What it takes to take a promotion back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakeBack {
    /// It cannot be: nothing is known to have been put on the branch.
    #[default]
    Impossible,
    /// It cannot be: the branch had all of it already.
    WasThere {
        /// Where the integration branch began.
        base: CommitId,
        /// Where it was.
        head: CommitId,
    },
    /// By undoing what is between `before` and the promoted commit.
    Possible {
        /// Where the branch was.
        before: CommitId,
        /// The commit that the issue's work was counted from.
        fork: CommitId,
        /// Where the integration branch began.
        base: CommitId,
        /// Where it was.
        head: CommitId,
    },
}

/// From where an issue's work is counted when it is brought onto another branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fork {
    /// From what both branches have in common.
    #[default]
    ByHistory,
    /// From here: the work was promoted once and taken back, so the history of the user's branch may have it though
    /// its files have not.
    At(CommitId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn a_record_of_an_older_build_says_nothing_of_what_was_put() {
        let old =
            r#"{"promoted":{"issue":1,"onto":"main","commit":"dddddddddddddddddddddddddddddddddddddddd"}}"#;
        let Event::Promoted { put, .. } = serde_json::from_str(old).unwrap() else {
            panic!("{old}")
        };
        assert_eq!(put, Put::Nothing);
        let old = r#"{"done":{"onto":"main","commit":"dddddddddddddddddddddddddddddddddddddddd","at":1}}"#;
        let crate::issue::IssueStage::Done { back, .. } = serde_json::from_str(old).unwrap() else {
            panic!("{old}")
        };
        assert_eq!(back, TakeBack::Impossible);
    }
}
