//! Owns commands: every effect that may leave the core, imperative, each naming its attempt.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::brief::Brief;
use crate::check::Check;
use crate::decision::{Question, Reply};
use crate::following::FollowHow;
use crate::foresight::Rival;
use crate::guard::Survey;
use crate::ids::{
    AgentName, AttemptId, CheckName, CommitId, IssueId, PersonaName, RemarkId, RepoName, SessionId, ShiftId,
    SlotId, TaskId,
};
use crate::ledger::{Tariff, Warning};
use crate::persona::Access;
use crate::shift::ShiftEnd;
use crate::task::{Approved, StopWhy};
use crate::units::{MicroUsd, Span};

/// Which conversation an agent begins or goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Session {
    /// A new one.
    Fresh,
    /// This one, where the agent can.
    Resume(SessionId),
}

/// What one agent attempt may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Money; reserved in the ledger.
    pub cap: MicroUsd,
    /// Time from start to end.
    pub wall_clock: Span,
    /// Time without any sign of life, after which it is reminded.
    pub silence: Span,
    /// A way of going on that lasts less than this is not told.
    #[serde(default = "notice")]
    pub notice: Span,
    /// How its account is paid for: under a flat plan the money is a bound that nothing is stopped for.
    #[serde(default)]
    pub tariff: Tariff,
}

fn notice() -> Span {
    Span::seconds(60)
}

impl Limits {
    /// The money that the agent itself is held to; zero for one whose dollars count against nothing.
    pub fn money(&self) -> MicroUsd {
        match self.tariff {
            Tariff::Metered => self.cap,
            Tariff::Flat => MicroUsd::ZERO,
        }
    }
}

/// Start an agent. Answered by exactly one `AgentEnded` or `AttemptFailed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStart {
    /// Its id.
    pub attempt: AttemptId,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    #[serde(default)]
    pub repo: RepoName,
    /// In which slot.
    pub slot: SlotId,
    /// In which role.
    pub persona: PersonaName,
    /// Played by which agent.
    pub agent: AgentName,
    /// What it may do to files.
    pub access: Access,
    /// The commit its slot is put on.
    pub from: CommitId,
    /// The commit that what it leaves is compared with, to name the paths it changed; absent: `from`.
    #[serde(default)]
    pub since: Option<CommitId>,
    /// How what a writer leaves is looked at; absent for those who may only read.
    #[serde(default)]
    pub survey: Option<Survey>,
    /// Which conversation.
    pub session: Session,
    /// What it is told.
    pub brief: Brief,
    /// What it may use.
    pub limits: Limits,
}

/// Run the checks at a commit. Answered by exactly one `ChecksEnded` or `AttemptFailed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStart {
    /// Its id.
    pub attempt: AttemptId,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    #[serde(default)]
    pub repo: RepoName,
    /// In which slot.
    pub slot: SlotId,
    /// At which commit.
    pub commit: CommitId,
    /// What to run, in this order.
    pub checks: Vec<Check>,
    /// How often a red one is run again at the same tree.
    pub reruns: u8,
    /// New tests whose failing without the change is to be shown, if any.
    #[serde(default)]
    pub new_tests: Option<NewTests>,
    /// Where those that are red are run again, to see whether they are red without the change, if that is asked.
    #[serde(default)]
    pub base: Option<CommitId>,
    /// Whether what is known of a check at this tree may stand for a run of it.
    #[serde(default, skip_serializing_if = "Recall::is_allowed")]
    pub recall: Recall,
}

/// Whether what earlier runs have shown may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recall {
    /// It may.
    #[default]
    Allowed,
    /// No: how the checks are now is the question.
    Never,
}

impl Recall {
    fn is_allowed(&self) -> bool {
        *self == Self::Allowed
    }
}

/// Tests that must fail without the change they came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTests {
    /// The commit without the change.
    pub base: CommitId,
    /// The test files to put on it, as they are at the commit that is checked.
    pub paths: BTreeSet<String>,
}

/// Put a change on its issue's integration branch. Answered by exactly one `LandingEnded` or `AttemptFailed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandStart {
    /// Its id.
    pub attempt: AttemptId,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    #[serde(default)]
    pub repo: RepoName,
    /// One line for the commit message.
    pub title: String,
    /// What to land, and why it may.
    pub approved: Approved,
    /// Where the integration branch begins if it does not exist yet.
    pub base: CommitId,
    /// Where the core believes the integration branch is.
    pub head: CommitId,
    /// What to run on the integrated tree.
    pub checks: Vec<Check>,
    /// Checks that are known to be red for other reasons: they do not hold the landing back.
    #[serde(default)]
    pub known_red: BTreeSet<CheckName>,
    /// How often a red one is run again at the same tree.
    pub reruns: u8,
    /// What the task has cost, for the commit's trailer.
    pub cost: MicroUsd,
    /// Changes that are to land together with it, on top of it, in this order. One that does not apply is left out.
    #[serde(default)]
    pub with: Vec<Passenger>,
}

impl LandStart {
    /// Whether the change of a task is among those that are to land.
    pub fn lands(&self, task: TaskId) -> bool {
        self.task == task || self.with.iter().any(|p| p.task == task)
    }
}

/// A change that is to land together with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passenger {
    /// Whose.
    pub task: TaskId,
    /// One line for the commit message.
    pub title: String,
    /// What to land, and why it may.
    pub approved: Approved,
    /// What the task has cost, for the commit's trailer.
    pub cost: MicroUsd,
}

/// Bring an issue's integration branch along with the user's branch. Answered by exactly one `FollowEnded` or
/// `AttemptFailed`. The user's branch is never moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowStart {
    /// Its id.
    pub attempt: AttemptId,
    /// Whose branch.
    pub issue: IssueId,
    /// In which repository.
    #[serde(default)]
    pub repo: RepoName,
    /// The name of the user's branch, for people.
    pub branch: String,
    /// Where that is: the commit the integration branch is to have.
    pub onto: CommitId,
    /// The commit that the issue's own work comes on top of.
    pub base: CommitId,
    /// The commit of the user's branch that the issue began on or has followed to; absent where it stands on other
    /// issues' branches.
    pub since: Option<CommitId>,
    /// Where the core believes the integration branch is.
    pub head: CommitId,
    /// How.
    pub how: FollowHow,
    /// What to run on both together.
    pub checks: Vec<Check>,
    /// Checks that are known to be red on the integration branch: they do not hold it back.
    #[serde(default)]
    pub known_red: BTreeSet<CheckName>,
    /// How often a red one is run again at the same tree.
    pub reruns: u8,
}

/// A question that an attempt has asked while an earlier coordinator listened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedBefore {
    /// What it asked.
    pub question: Question,
    /// What became of it.
    pub then: AskedThen,
}

/// What became of such a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskedThen {
    /// It is still to be answered, in this call.
    Waits {
        /// The call.
        key: String,
    },
    /// It was told this, or is to be told it now.
    Told(Reply),
}

/// An effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Start an agent.
    StartAgent(Box<AgentStart>),
    /// Run checks.
    RunChecks(Box<CheckStart>),
    /// Land a change.
    Land(Box<LandStart>),
    /// Bring an issue's branch along with the user's.
    Follow(Box<FollowStart>),
    /// Stop an attempt. It hastens the attempt's one ending, it has no answer of its own.
    StopAttempt {
        /// Which.
        attempt: AttemptId,
        /// Why.
        why: StopWhy,
    },
    /// Begin an issue's integration branch: on the user's branch as it is now, or on these heads, merged. Answered
    /// by one `IssueOpened` or `IssueNotOpened`. Harmless when done twice.
    OpenIssue {
        /// Which.
        issue: IssueId,
        /// In which repository.
        repo: RepoName,
        /// On which heads; none for the user's branch.
        on: Vec<CommitId>,
    },
    /// Tell an agent that waits in a call what became of its question. Harmless when it is gone.
    Reply {
        /// Which.
        attempt: AttemptId,
        /// The call.
        key: String,
        /// What it is told.
        reply: Reply,
    },
    /// Remind an agent that nothing is seen of it. It has no answer: what the agent does then is seen or not. Lost when
    /// the coordinator dies before it is said.
    Nudge {
        /// Which.
        attempt: AttemptId,
    },
    /// Say a person's words to an agent while it runs. Answered by one `Heard` once it has taken them in, or by none
    /// when it ends before. Said once, also when it is asked for twice.
    Tell {
        /// Which.
        attempt: AttemptId,
        /// What, among the remarks of its task.
        remark: RemarkId,
        /// The words.
        words: String,
    },
    /// Listen to an agent again that an earlier coordinator started. Answered by exactly one `AgentEnded` or
    /// `AttemptFailed`, as its start would have been.
    Adopt {
        /// Which.
        attempt: AttemptId,
        /// What it has asked until now, oldest first.
        asked: Vec<AskedBefore>,
    },
    /// See whether a change would merge with others, without a worktree, a ref or an index. Answered by one `Foreseen`
    /// with a sight of each. It has no attempt and no slot, and is harmless when done twice.
    Foresee {
        /// Whose change.
        of: TaskId,
        /// In which repository.
        repo: RepoName,
        /// The change.
        commit: CommitId,
        /// The others.
        with: Vec<Rival>,
    },
    /// Tell people that a budget is nearly used up. Told once; nothing else is to be done.
    WarnOfBudget {
        /// Whose, and how far.
        warning: Warning,
    },
    /// The shift is over. For those who wait for it.
    EndShift {
        /// Which.
        shift: ShiftId,
        /// How.
        end: ShiftEnd,
    },
}

impl Command {
    /// The attempt that this command starts, if it starts one.
    pub fn starts(&self) -> Option<AttemptId> {
        match self {
            Self::StartAgent(start) => Some(start.attempt),
            Self::RunChecks(start) => Some(start.attempt),
            Self::Land(start) => Some(start.attempt),
            Self::Follow(start) => Some(start.attempt),
            Self::StopAttempt { .. }
            | Self::OpenIssue { .. }
            | Self::Reply { .. }
            | Self::Foresee { .. }
            | Self::Nudge { .. }
            | Self::Tell { .. }
            | Self::Adopt { .. }
            | Self::WarnOfBudget { .. }
            | Self::EndShift { .. } => None,
        }
    }
}
