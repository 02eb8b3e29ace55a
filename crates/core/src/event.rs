//! Owns events: every fact that may enter the core, past tense. The same type in memory, on disk, on the wire.

mod ending;

pub use self::ending::{
    AgentEnd, FollowEnd, LandingEnd, LeftBehind, LostAttempt, OthersEnd, Refused, TogetherEnd,
};

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::check::{CheckReport, LogRef};
use crate::config::Config;
use crate::contact::Contact;
use crate::decision::Question;
use crate::failure::Failure;
use crate::following::Target;
use crate::foresight::Sight;
use crate::holding::{Brought, Leaving};
use crate::ids::{
    AttemptId, CommitId, DecisionId, IssueId, LessonId, PolicyName, RemarkId, RepoName, SessionId, TaskId,
};
use crate::issue::IssueDraft;
use crate::ledger::{AllowanceChange, Level};
use crate::lesson::LessonEdit;
use crate::liveness::{Activity, JumpWhy};
use crate::outcome::{Finding, LessonDraft, Proposed};
use crate::plan::edit::{PlanEdit, PlanVersion};
use crate::promotion::{Begun, Put};
use crate::pull::{PullRequest, Pushed};
use crate::quota::Quota;
use crate::remark::Subject;
use crate::room::Tight;
use crate::shift::{IssueAtStart, Scope};
use crate::tampering::Tampering;
use crate::task::Said;
use crate::units::{MicroUsd, Span, Spend};

/// How a person wants a shift to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopHow {
    /// Start nothing more, let what runs finish.
    Drain,
    /// Stop what runs, keep its work.
    Now,
}

/// What a person discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discard {
    /// An issue with all its tasks.
    Issue(IssueId),
    /// One task.
    Task(TaskId),
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The configuration was read and is valid.
    ConfigLoaded {
        /// It.
        config: Box<Config>,
    },
    /// A person filed an issue.
    IssueAdded {
        /// In these words.
        draft: IssueDraft,
    },
    /// A person changed an issue's words.
    IssueEdited {
        /// Which.
        issue: IssueId,
        /// To these.
        draft: IssueDraft,
    },
    /// A person closed an issue.
    IssueClosed {
        /// Which.
        issue: IssueId,
        /// Why.
        why: String,
    },
    /// A person put an issue of the backlog into the shift that runs.
    IssueJoined {
        /// Which.
        issue: IssueId,
    },
    /// A person started a shift.
    ShiftStarted {
        /// Its mode.
        mode: PolicyName,
        /// What it is to work on.
        issues: Vec<IssueAtStart>,
        /// All it may spend.
        budget: MicroUsd,
        /// Whether it takes up more than these.
        #[serde(default)]
        scope: Scope,
    },
    /// An issue's integration branch was begun.
    IssueOpened {
        /// Which.
        issue: IssueId,
        /// Where.
        base: CommitId,
        /// The branch that was checked out.
        #[serde(default)]
        target: Target,
    },
    /// The branch that an issue began on is at a commit that its integration branch does not have.
    TargetMoved {
        /// Which issue.
        issue: IssueId,
        /// Where it is.
        tip: CommitId,
    },
    /// An issue's integration branch could not be begun.
    IssueNotOpened {
        /// Which.
        issue: IssueId,
        /// Why.
        why: String,
    },
    /// A person answered a question.
    DecisionAnswered {
        /// Which.
        decision: DecisionId,
        /// In these words: an option's label or free text.
        answer: String,
    },
    /// A person wrote a lesson down.
    LessonAdded {
        /// For which repository.
        repo: RepoName,
        /// In these words.
        draft: LessonDraft,
    },
    /// A person looked at a lesson.
    LessonEdited {
        /// Which.
        lesson: LessonId,
        /// What is done to it.
        edit: LessonEdit,
    },
    /// A person set what a level of the ledger may use.
    BudgetSet {
        /// Which.
        level: Level,
        /// What; a measure that is not named stays as it was.
        allowance: AllowanceChange,
    },
    /// A person asked the running shift to stop.
    StopAsked {
        /// How.
        how: StopHow,
    },
    /// A person gave something up. Its work is kept as salvage.
    Discarded {
        /// What.
        what: Discard,
    },
    /// A person changed the plan of an issue: all of it, or nothing.
    PlanEdited {
        /// Which.
        issue: IssueId,
        /// The version that they saw.
        version: PlanVersion,
        /// What changes, in this order.
        edits: Vec<PlanEdit>,
    },
    /// A person attached to a task. What runs for it is stopped, and nothing is started for it.
    TaskTaken {
        /// Which.
        task: TaskId,
    },
    /// A person has left a task, or was found gone.
    TaskGivenBack {
        /// Which.
        task: TaskId,
        /// Which visit of theirs.
        attempt: AttemptId,
        /// What they left in the slot.
        brought: Brought,
        /// How they left.
        leaving: Leaving,
    },
    /// A person gave back a task that they had put aside.
    TaskReleased {
        /// Which.
        task: TaskId,
    },
    /// A person is about to put an issue's integration branch on a branch of their own. Whether it was done can be seen
    /// on that branch, if nobody lives to say so.
    PromotionBegun {
        /// Which issue.
        issue: IssueId,
        /// Onto which branch, and what is to be put there.
        begun: Begun,
    },
    /// A person put an issue's integration branch on a branch of their own.
    Promoted {
        /// Which issue.
        issue: IssueId,
        /// Onto which branch.
        onto: String,
        /// What that branch now points at.
        commit: CommitId,
        /// What was put there.
        #[serde(default)]
        put: Put,
    },
    /// A person is about to push an issue's integration branch and to open or update a pull request. Whether it was
    /// done can be seen on the remote, if nobody lives to say so.
    PullRequestBegun {
        /// Which issue.
        issue: IssueId,
        /// What is to be there.
        pushed: Pushed,
    },
    /// An issue's integration branch is on a remote, and what people see of it there is known.
    PullRequestOpened {
        /// Which issue.
        issue: IssueId,
        /// What is there.
        request: PullRequest,
    },
    /// A person took back what a promotion had put on a branch.
    Reverted {
        /// Which issue.
        issue: IssueId,
        /// From which branch.
        from: String,
        /// What that branch now points at.
        commit: CommitId,
    },
    /// A person said something about what was done, or about what is being done.
    Commented {
        /// About what.
        on: Subject,
        /// Where, and the words.
        finding: Finding,
        /// The commit that was looked at, where one was.
        #[serde(default)]
        commit: Option<CommitId>,
    },
    /// A person said something to a running agent.
    Told {
        /// In which attempt.
        attempt: AttemptId,
        /// What.
        words: String,
    },
    /// An agent has taken in what a person said to it while it ran.
    Heard {
        /// In which attempt.
        attempt: AttemptId,
        /// What, among the remarks of its task.
        remark: RemarkId,
    },
    /// An agent named its conversation.
    SessionOpened {
        /// Whose.
        attempt: AttemptId,
        /// Its name.
        session: SessionId,
    },
    /// An agent asked a person.
    DecisionAsked {
        /// Which.
        attempt: AttemptId,
        /// What.
        question: Question,
        /// The call in which it waits for the answer.
        key: String,
    },
    /// An agent proposed a task.
    TaskProposed {
        /// Which.
        attempt: AttemptId,
        /// What.
        proposed: Proposed,
    },
    /// An agent said something for those who come after.
    Noted {
        /// Which.
        attempt: AttemptId,
        /// What.
        said: Said,
    },
    /// An agent spent money: the sum so far.
    Metered {
        /// Which.
        attempt: AttemptId,
        /// So far.
        spend: Spend,
    },
    /// A provider told how full a window of an agent's account is.
    QuotaSeen {
        /// In which attempt.
        attempt: AttemptId,
        /// What it told.
        quota: Quota,
    },
    /// What a running agent does is another thing than what was told of it last.
    Seen {
        /// Which.
        attempt: AttemptId,
        /// What it does.
        activity: Activity,
        /// For how long already.
        lasts: Span,
    },
    /// The clock of the machine and the time that went by do not agree any more. What is after this was dated by the
    /// new clock.
    ClockJumped {
        /// By so many milliseconds, forward or back.
        by: i64,
        /// Why.
        why: JumpWhy,
    },
    /// What an attempt asked of the network.
    Contacted {
        /// Which attempt.
        attempt: AttemptId,
        /// Each host, port and answer once.
        contacts: Vec<Contact>,
        /// How often others were asked for, beyond those that are told apart.
        others: u64,
    },
    /// The repository is not as it was before an agent ran, and Turno did not change it.
    Tampered {
        /// While which attempt ran.
        attempt: AttemptId,
        /// What is different; at most a hundred.
        what: Vec<Tampering>,
    },
    /// An agent's process and all its descendants are gone.
    AgentEnded {
        /// Which.
        attempt: AttemptId,
        /// How.
        end: AgentEnd,
        /// In all.
        spend: Spend,
        /// What is in the slot.
        left: LeftBehind,
        /// Everything it said.
        transcript: LogRef,
    },
    /// A check run came to its end.
    ChecksEnded {
        /// Which.
        attempt: AttemptId,
        /// What it showed.
        report: CheckReport,
        /// What the new tests showed without the change, where that was asked for.
        #[serde(default)]
        without: Option<CheckReport>,
        /// What those that were red showed without the change, where that was asked for.
        #[serde(default)]
        on_base: Option<CheckReport>,
    },
    /// A landing came to its end.
    LandingEnded {
        /// Which.
        attempt: AttemptId,
        /// How.
        end: LandingEnd,
    },
    /// An integration branch was brought along, or could not be.
    FollowEnded {
        /// By which attempt.
        attempt: AttemptId,
        /// How.
        end: FollowEnd,
    },
    /// It was looked whether a change would merge with others.
    Foreseen {
        /// Whose change.
        of: TaskId,
        /// The change.
        commit: CommitId,
        /// What was seen of each.
        sights: Vec<Sight>,
    },
    /// A command could not be carried out.
    AttemptFailed {
        /// Which.
        attempt: AttemptId,
        /// Why.
        failure: Failure,
    },
    /// Disks that Turno writes to were looked at, and it is not as it was.
    RoomSeen {
        /// Those with too little room; none when there is room again.
        tight: Vec<Tight>,
    },
    /// A deadline that the core had named has come.
    TimePassed,
    /// The coordinator began again; every attempt that ran is accounted for.
    Restarted {
        /// Those that were found dead.
        lost: Vec<LostAttempt>,
        /// Those that worked on meanwhile, or came to an end that nobody has heard yet.
        #[serde(default)]
        adopted: BTreeSet<AttemptId>,
    },
}

impl Event {
    /// The attempt this is about, if it is about one.
    pub fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::SessionOpened { attempt, .. }
            | Self::Metered { attempt, .. }
            | Self::AgentEnded { attempt, .. }
            | Self::ChecksEnded { attempt, .. }
            | Self::LandingEnded { attempt, .. }
            | Self::FollowEnded { attempt, .. }
            | Self::DecisionAsked { attempt, .. }
            | Self::TaskProposed { attempt, .. }
            | Self::Noted { attempt, .. }
            | Self::QuotaSeen { attempt, .. }
            | Self::Seen { attempt, .. }
            | Self::Contacted { attempt, .. }
            | Self::Tampered { attempt, .. }
            | Self::Told { attempt, .. }
            | Self::Heard { attempt, .. }
            | Self::AttemptFailed { attempt, .. } => Some(*attempt),
            Self::ConfigLoaded { .. }
            | Self::IssueAdded { .. }
            | Self::IssueEdited { .. }
            | Self::IssueClosed { .. }
            | Self::IssueJoined { .. }
            | Self::ShiftStarted { .. }
            | Self::IssueOpened { .. }
            | Self::IssueNotOpened { .. }
            | Self::TargetMoved { .. }
            | Self::DecisionAnswered { .. }
            | Self::LessonAdded { .. }
            | Self::LessonEdited { .. }
            | Self::BudgetSet { .. }
            | Self::StopAsked { .. }
            | Self::Discarded { .. }
            | Self::PlanEdited { .. }
            | Self::TaskTaken { .. }
            | Self::TaskGivenBack { .. }
            | Self::TaskReleased { .. }
            | Self::PromotionBegun { .. }
            | Self::Promoted { .. }
            | Self::PullRequestBegun { .. }
            | Self::PullRequestOpened { .. }
            | Self::Reverted { .. }
            | Self::Commented { .. }
            | Self::Foreseen { .. }
            | Self::RoomSeen { .. }
            | Self::TimePassed
            | Self::ClockJumped { .. }
            | Self::Restarted { .. } => None,
        }
    }
}
