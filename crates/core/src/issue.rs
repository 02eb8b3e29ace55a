//! Owns issues: what a person asks for, and how far it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::following::Following;
use crate::ids::{CheckName, CommitId, IssueId, ProposalId, RepoName, TaskId};
use crate::outcome::Proposed;
use crate::plan::edit::PlanVersion;
use crate::promotion::{Begun, Fork, TakeBack};
use crate::pull::Pull;
use crate::task::Actor;
use crate::train::Train;
use crate::units::Timestamp;

/// What a person writes when filing an issue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueDraft {
    /// One line.
    pub title: String,
    /// What is wanted, in Markdown.
    pub body: String,
    /// What must be true afterwards.
    #[serde(default)]
    pub acceptance: Vec<String>,
    /// Which issues come first.
    #[serde(default)]
    pub priority: Priority,
    /// Free words for people.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The repository it is about.
    #[serde(default)]
    pub repo: RepoName,
    /// Issues that must be done first.
    #[serde(default)]
    pub needs: BTreeSet<IssueId>,
    /// How it becomes tasks.
    #[serde(default)]
    pub split: Split,
}

/// How an issue becomes tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// As the policy says.
    #[default]
    ByPolicy,
    /// One task that so many writers try; the best one lands.
    Candidates(u8),
    /// The checks that fail become tasks: these, or all where none is named.
    Checks(BTreeSet<CheckName>),
    /// Into these tasks, which do not depend on each other, group by group.
    Items(Items),
}

/// One template over many items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// The items, as tasks.
    pub items: Vec<Item>,
    /// How many are worked on before the next ones begin.
    pub group: u16,
    /// How many come first, to be judged before the rest runs; 0 for none.
    pub trial: u16,
}

/// One item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// One line.
    pub title: String,
    /// What is to be done.
    pub brief: String,
    /// What must be true afterwards.
    #[serde(default)]
    pub acceptance: Vec<String>,
    /// Path globs it may write; empty means anywhere.
    #[serde(default)]
    pub touches: Vec<String>,
}

/// Which work is offered a slot first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Before everything else.
    Urgent,
    /// Before normal work.
    High,
    /// As it comes.
    #[default]
    Normal,
    /// After normal work.
    Low,
}

/// How far an issue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueStage {
    /// Filed, not begun.
    Backlog,
    /// Its integration branch is being begun.
    Opening {
        /// The heads of the issues it needs; none for the user's branch.
        on: Vec<CommitId>,
    },
    /// Its tasks are being worked on.
    Working {
        /// The commit that its own work comes on top of: where the integration branch began, or the commit of the
        /// user's branch that it has followed to.
        base: CommitId,
        /// Where it is: `base` until something has landed.
        head: CommitId,
    },
    /// All that was asked for has landed; ready to promote.
    Review {
        /// The commit that its own work comes on top of.
        base: CommitId,
        /// Where it is.
        head: CommitId,
    },
    /// Promoted to a branch of the user's.
    Done {
        /// Which branch.
        onto: String,
        /// What that branch then pointed at.
        commit: CommitId,
        /// When.
        at: Timestamp,
        /// What it takes to take it back.
        #[serde(default)]
        back: TakeBack,
    },
    /// Closed or discarded by a person.
    Closed {
        /// Why.
        why: String,
    },
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its id.
    pub id: IssueId,
    /// The person's own words.
    pub draft: IssueDraft,
    /// How far it is.
    pub stage: IssueStage,
    /// When it was filed.
    pub filed: Timestamp,
    /// Number for its next task.
    pub next_task: u16,
    /// What planning it has led to so far.
    #[serde(default)]
    pub plan: PlanLog,
    /// From where its work is counted when it is promoted.
    #[serde(default)]
    pub fork: Fork,
    /// What is known of the changes that wait to land on its branch.
    #[serde(default)]
    pub train: Train,
    /// The promotion that was begun last and is not known to have been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Begun>,
    /// How far its pull request is.
    #[serde(default)]
    pub pull: Pull,
    /// How its branch keeps up with the user's branch that it began on.
    #[serde(default)]
    pub following: Following,
}

/// What planning an issue has led to so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLog {
    /// How often it was planned again because it was not accepted.
    pub rounds: u8,
    /// How often in a row a plan was sent back because it was not valid.
    pub repairs: u8,
    /// Tasks that somebody on the team proposed.
    pub proposals: Vec<Proposal>,
    /// Parked tasks that the author has looked at.
    pub seen_parked: BTreeSet<TaskId>,
    /// Checks that are red on the integration branch and wait for their repair.
    pub red: BTreeSet<CheckName>,
    /// Checks that were red when they were last run on the integration branch: what was begun then still has them.
    #[serde(default)]
    pub surveyed: BTreeSet<CheckName>,
    /// Checks that were red once and green at the same tree.
    pub flaky: BTreeSet<CheckName>,
    /// The group of a batch that may be worked on, counted from 0.
    pub wave: u16,
    /// Failures of all its tasks, of every cause, since a shift last took it up.
    #[serde(default)]
    pub failures: u16,
    /// How often the plan has changed.
    #[serde(default)]
    pub version: PlanVersion,
}

/// A task that somebody on the team proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its id within the issue.
    pub id: ProposalId,
    /// Who proposed it.
    pub by: Actor,
    /// While working on which task.
    pub during: TaskId,
    /// When.
    #[serde(default = "long_ago")]
    pub since: Timestamp,
    /// What is proposed.
    pub proposed: Proposed,
    /// What the author made of it.
    pub stage: ProposalStage,
}

fn long_ago() -> Timestamp {
    Timestamp(0)
}

/// What an author made of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalStage {
    /// Nothing yet.
    Open,
    /// It became this task.
    Accepted {
        /// Which.
        task: TaskId,
        /// Why.
        reason: String,
    },
    /// It became part of this task.
    Merged {
        /// Which.
        into: TaskId,
        /// Why.
        reason: String,
    },
    /// It was declined.
    Declined {
        /// Why.
        reason: String,
    },
}

impl Issue {
    /// The id of the issue's own task, on which it is planned and accepted.
    pub fn lead(&self) -> TaskId {
        TaskId::lead(self.id)
    }

    /// Proposals that the author has not answered.
    pub fn open_proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.plan
            .proposals
            .iter()
            .filter(|p| p.stage == ProposalStage::Open)
    }

    /// Base and head of the integration branch, while there is one that Turno may land on.
    pub fn integration(&self) -> Option<(&CommitId, &CommitId)> {
        match &self.stage {
            IssueStage::Working { base, head } | IssueStage::Review { base, head } => Some((base, head)),
            IssueStage::Backlog
            | IssueStage::Opening { .. }
            | IssueStage::Done { .. }
            | IssueStage::Closed { .. } => None,
        }
    }
}
