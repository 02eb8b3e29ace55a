//! Owns what the board asks of the workspace that it shows. The binary answers, with the very code of its verbs, so
//! that what is typed and what is clicked cannot differ. Nothing here starts a program of a person's choice.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;

use turno_core::State;
use turno_core::event::{Discard, StopHow};
use turno_core::ids::{AttemptId, CommitId, DecisionId, IssueId, PolicyName, RepoName, TaskId};
use turno_core::issue::{IssueDraft, Priority};
use turno_core::ledger::{Allowance, Level};
use turno_core::outcome::Finding;
use turno_core::plan::edit::{PlanEdit, PlanVersion};
use turno_core::remark;
use turno_core::report::Report;
use turno_core::units::Timestamp;
use turno_engine::config::{Loaded, Setting};
use turno_engine::workspace::StateDir;

use crate::error::Problem;

/// Something that takes a while.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// What a person may ask for through the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A new issue.
    File(Box<IssueDraft>),
    /// Another text for an issue that is not being worked on.
    Edit {
        /// Which.
        issue: IssueId,
        /// What of it changes.
        edit: Edit,
    },
    /// An issue is not wanted any more.
    Close {
        /// Which.
        issue: IssueId,
        /// Why.
        why: String,
    },
    /// An issue of the backlog is begun in the shift that runs; without one nothing begins it.
    Join {
        /// Which.
        issue: IssueId,
    },
    /// An answer to a question.
    Answer {
        /// Which.
        decision: DecisionId,
        /// An option's label, or other words.
        answer: String,
    },
    /// Something is said about what was done.
    Comment {
        /// About what.
        on: remark::Subject,
        /// Where, and the words.
        finding: Finding,
        /// The commit that was looked at; absent: the one that is there now.
        commit: Option<CommitId>,
    },
    /// Something is said to an agent that runs.
    Tell {
        /// In which attempt.
        attempt: AttemptId,
        /// What.
        words: String,
    },
    /// The end of the running shift.
    Stop(StopHow),
    /// A task or an issue is given up.
    Discard(Discard),
    /// Another limit for a level of the ledger.
    Budget {
        /// Which.
        level: Level,
        /// What it may use.
        allowance: Allowance,
    },
    /// What an issue has landed is put on a branch of the user's.
    Promote {
        /// Which.
        issue: IssueId,
        /// Onto which branch; absent: the one that is checked out.
        onto: Option<String>,
        /// Whether also when the checks never saw the outcome.
        unproven: Unproven,
    },
    /// The plan of an issue changes.
    Plan {
        /// Whose.
        issue: IssueId,
        /// The version that was seen.
        version: PlanVersion,
        /// What changes.
        edits: Vec<PlanEdit>,
    },
    /// What an issue has landed is pushed, and a pull request opened or updated.
    PullRequest {
        /// Which.
        issue: IssueId,
        /// Whether also when the checks never saw it together with the branch there.
        unproven: Unproven,
    },
}

/// What is to be done when the checks never saw what a promotion would make, as the branch has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unproven {
    /// It is not promoted.
    #[default]
    Refused,
    /// It is promoted all the same.
    Accepted,
}

/// What a pull request would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullPlanned {
    /// The remote.
    pub remote: String,
    /// The branch there.
    pub branch: String,
    /// What would be done, a line each.
    pub lines: Vec<String>,
    /// How many commits the base has that the checks never saw together with the issue's.
    pub behind: u32,
    /// Its text, as Markdown.
    pub body: String,
}

/// What a promotion would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The branch.
    pub onto: String,
    /// The commits that come onto it, each as its first line and its author; none where it has all already.
    pub commits: Vec<(String, String)>,
    /// How many commits the branch has that the checks never saw together with the issue's.
    pub behind: u32,
    /// What has not landed and is over with its issue.
    pub left: Vec<Left>,
}

/// A task that has not landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub task: TaskId,
    /// One line.
    pub title: String,
}

/// What of an issue changes; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// One line.
    pub title: Option<String>,
    /// What is wanted, in Markdown.
    pub body: Option<String>,
    /// What must be true afterwards.
    pub acceptance: Option<Vec<String>>,
    /// Which work comes first.
    pub priority: Option<Priority>,
    /// Free words.
    pub labels: Option<Vec<String>>,
}

/// Whose change is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// All that an issue has landed.
    Issue(IssueId),
    /// What a task has written so far.
    Task(TaskId),
}

/// A change, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// As much of it as is shown.
    pub text: String,
    /// How long it is in all, in bytes.
    pub bytes: usize,
}

/// Work that was found and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// What people call it.
    pub name: String,
    /// In which repository.
    pub repo: RepoName,
    /// When it was kept.
    pub at: Timestamp,
    /// Where it was found.
    pub from: String,
    /// What it is: the first line of its commit, or the directory that it lies in.
    pub what: String,
}

/// A workspace. What is no future here may block.
pub trait Workspace: Debug + Send + Sync + 'static {
    /// What people call it.
    fn name(&self) -> String;

    /// Where its state is.
    fn dirs(&self) -> &StateDir;

    /// Does what a person asks for. It is committed then; gives the state after it.
    fn take(&self, wish: Wish) -> Doing<'_, State>;

    /// Its configuration as it is now.
    ///
    /// # Errors
    /// When it is not in order.
    fn config(&self) -> Result<Loaded, Problem>;

    /// The keys of its configuration, each with its value and where that came from.
    ///
    /// # Errors
    /// When a file of it cannot be read.
    fn settings(&self) -> Result<Vec<Setting>, Problem>;

    /// Every key of every policy, and where each value came from.
    ///
    /// # Errors
    /// When a file makes no sense.
    fn policies(&self) -> Result<BTreeMap<PolicyName, Vec<Setting>>, Problem>;

    /// What an issue or a task has changed; at most `most` bytes of it.
    ///
    /// # Errors
    /// When there is nothing to show, or it cannot be read.
    fn diff(&self, state: &State, of: Subject, most: usize) -> Result<Diff, Problem>;

    /// What promoting an issue would do; it moves nothing.
    fn promotion(&self, issue: IssueId, onto: Option<String>) -> Doing<'_, Planned>;

    /// What a pull request for an issue would be; the remote is looked at, and nothing is pushed.
    fn pull_request(&self, issue: IssueId) -> Doing<'_, PullPlanned>;

    /// The report of a shift as one HTML file with no script in it.
    ///
    /// # Errors
    /// When it cannot be made.
    fn report(&self, report: &Report) -> Result<String, Problem>;

    /// What was salvaged, oldest first.
    ///
    /// # Errors
    /// When a repository cannot be read.
    fn salvage(&self) -> Result<Vec<Salvaged>, Problem>;
}
