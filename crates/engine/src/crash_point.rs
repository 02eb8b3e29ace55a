//! Owns the points at which a test has this process die: SIGKILL, at a moment of one deed that can be named. By them
//! the stories show that what is committed is done once, and what is not was never done.
//!
//! Only builds with debug assertions listen; in a release build nothing can be armed and each call is empty. It must
//! not change what is decided or done.

use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use turno_core::command::Command;
use turno_core::decision::Reply;
use turno_core::event::Event;
use turno_core::ids::{AttemptId, CommitId, IssueId};
use turno_core::record::Record;
use turno_core::task::StopWhy;

use crate::config::EnvMap;
use crate::config::env::CRASH_AT;

/// Whether this build listens at all.
pub const LISTENS: bool = cfg!(debug_assertions);

/// When, in the life of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the record that orders it is durable; for a deed without one, before it is begun.
    BeforeCommit,
    /// After that, and before it is done; for a deed without one, when it is half done.
    AfterCommit,
    /// After it was done, and before anything that says so is durable.
    AfterEffect,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BeforeCommit, Self::AfterCommit, Self::AfterEffect];

    fn word(self) -> &'static str {
        match self {
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::AfterEffect => "after-effect",
        }
    }
}

/// What is done: a command, or what a person's verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// An agent is started.
    StartAgent,
    /// Checks are run.
    RunChecks,
    /// One change is landed.
    Land,
    /// Several changes are landed together.
    LandTogether,
    /// An attempt is stopped for one of these reasons.
    Stop(StopWhy),
    /// An issue is begun on the user's branch.
    OpenIssue,
    /// An issue is begun on the heads of others.
    OpenIssueOnHeads,
    /// An integration branch is brought along.
    Follow,
    /// It is looked whether changes would merge.
    Foresee,
    /// A waiting agent is told an answer.
    ReplyAnswer,
    /// A waiting agent is sent away.
    ReplyParked,
    /// An agent is reminded that nothing is seen of it.
    Nudge,
    /// An agent is told what a person says.
    Tell,
    /// An agent is listened to again.
    Adopt,
    /// People are told that a budget is nearly used up.
    WarnOfBudget,
    /// The shift is over.
    EndShift,
    /// `turno issue add`.
    IssueAdd,
    /// `turno issue edit`.
    IssueEdit,
    /// `turno issue close`.
    IssueClose,
    /// An issue of the backlog is put into the shift that runs.
    IssueJoin,
    /// `turno budget set`.
    BudgetSet,
    /// `turno answer`.
    Answer,
    /// `turno discard`.
    Discard,
    /// `turno comment`.
    Comment,
    /// `turno tell`.
    Say,
    /// `turno promote`.
    Promote,
    /// `turno revert`, whose record comes after its effect.
    Revert,
    /// `turno salvage restore`, which has no record.
    Restore,
    /// `turno gc --yes`, which has none in the journal.
    Collect,
    /// `turno plan`.
    PlanEdit,
    /// `turno pr`.
    PullRequest,
    /// `turno attach`, whose effect is that the person was there.
    Attach,
    /// What a person who was attached hands in.
    GiveBack,
    /// `turno attach --release`.
    Release,
}

impl Deed {
    /// All of them, but for stops by the budget of a task, an issue, an agent or a day, and for a person: they are carried out as those by
    /// the shift's.
    pub const ALL: [Self; 40] = [
        Self::StartAgent,
        Self::RunChecks,
        Self::Land,
        Self::LandTogether,
        Self::Stop(StopWhy::WallClock),
        Self::Stop(StopWhy::Stalled),
        Self::Stop(StopWhy::AttemptBudget),
        Self::Stop(StopWhy::ShiftBudget),
        Self::Stop(StopWhy::Asked),
        Self::Stop(StopWhy::Discarded),
        Self::Stop(StopWhy::Remarked),
        Self::OpenIssue,
        Self::OpenIssueOnHeads,
        Self::Follow,
        Self::Foresee,
        Self::ReplyAnswer,
        Self::ReplyParked,
        Self::Nudge,
        Self::Tell,
        Self::Adopt,
        Self::WarnOfBudget,
        Self::EndShift,
        Self::IssueAdd,
        Self::IssueEdit,
        Self::IssueClose,
        Self::IssueJoin,
        Self::BudgetSet,
        Self::Answer,
        Self::Discard,
        Self::Comment,
        Self::Say,
        Self::Promote,
        Self::Revert,
        Self::Restore,
        Self::Collect,
        Self::PlanEdit,
        Self::PullRequest,
        Self::Attach,
        Self::GiveBack,
        Self::Release,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::StartAgent => "start-agent",
            Self::RunChecks => "run-checks",
            Self::Land => "land",
            Self::LandTogether => "land-together",
            Self::Stop(StopWhy::WallClock) => "stop-wall-clock",
            Self::Stop(StopWhy::Stalled) => "stop-stalled",
            Self::Stop(StopWhy::TaskBudget) => "stop-task-budget",
            Self::Stop(StopWhy::IssueBudget) => "stop-issue-budget",
            Self::Stop(StopWhy::AgentBudget) => "stop-agent-budget",
            Self::Stop(StopWhy::DayBudget) => "stop-day-budget",
            Self::Stop(StopWhy::AttemptBudget) => "stop-attempt-budget",
            Self::Stop(StopWhy::ShiftBudget) => "stop-shift-budget",
            Self::Stop(StopWhy::Asked) => "stop-asked",
            Self::Stop(StopWhy::Discarded) => "stop-discarded",
            Self::Stop(StopWhy::Taken) => "stop-taken",
            Self::OpenIssue => "open-issue",
            Self::OpenIssueOnHeads => "open-issue-on-heads",
            Self::Follow => "follow",
            Self::Foresee => "foresee",
            Self::ReplyAnswer => "reply-answer",
            Self::ReplyParked => "reply-parked",
            Self::Stop(StopWhy::Remarked) => "stop-remarked",
            Self::Comment => "comment",
            Self::Say => "say",
            Self::Tell => "tell",
            Self::Nudge => "nudge",
            Self::Adopt => "adopt",
            Self::WarnOfBudget => "warn-of-budget",
            Self::EndShift => "end-shift",
            Self::IssueAdd => "issue-add",
            Self::IssueEdit => "issue-edit",
            Self::IssueClose => "issue-close",
            Self::IssueJoin => "issue-join",
            Self::BudgetSet => "budget-set",
            Self::Answer => "answer",
            Self::Discard => "discard",
            Self::Promote => "promote",
            Self::Revert => "revert",
            Self::Restore => "restore",
            Self::Collect => "collect",
            Self::PlanEdit => "plan-edit",
            Self::PullRequest => "pull-request",
            Self::Attach => "attach",
            Self::GiveBack => "give-back",
            Self::Release => "release",
        }
    }

    /// Its moments that differ: what a person only has written down is done when it is committed.
    pub fn moments(self) -> &'static [Moment] {
        match self {
            Self::IssueAdd
            | Self::IssueEdit
            | Self::IssueClose
            | Self::IssueJoin
            | Self::PlanEdit
            | Self::BudgetSet
            | Self::Answer
            | Self::Comment
            | Self::Say
            | Self::GiveBack
            | Self::Release => &Moment::ALL[..2],
            Self::StartAgent
            | Self::RunChecks
            | Self::Land
            | Self::LandTogether
            | Self::Stop(_)
            | Self::OpenIssue
            | Self::OpenIssueOnHeads
            | Self::Follow
            | Self::Foresee
            | Self::ReplyAnswer
            | Self::ReplyParked
            | Self::Nudge
            | Self::Tell
            | Self::Adopt
            | Self::WarnOfBudget
            | Self::EndShift
            | Self::Discard
            | Self::Promote
            | Self::Revert
            | Self::Restore
            | Self::Collect
            | Self::PullRequest
            | Self::Attach => &Moment::ALL,
        }
    }

    /// What a command does. A new command has its own deed, and so its own cases in the stories.
    fn of_command(command: &Command) -> Self {
        match command {
            Command::StartAgent(_) => Self::StartAgent,
            Command::RunChecks(_) => Self::RunChecks,
            Command::Land(start) if start.with.is_empty() => Self::Land,
            Command::Land(_) => Self::LandTogether,
            Command::StopAttempt { why, .. } => Self::Stop(*why),
            Command::OpenIssue { on, .. } if on.is_empty() => Self::OpenIssue,
            Command::OpenIssue { .. } => Self::OpenIssueOnHeads,
            Command::Follow(_) => Self::Follow,
            Command::Foresee { .. } => Self::Foresee,
            Command::Reply {
                reply: Reply::Answer(_),
                ..
            } => Self::ReplyAnswer,
            Command::Reply {
                reply: Reply::Parked, ..
            } => Self::ReplyParked,
            Command::Nudge { .. } => Self::Nudge,
            Command::Tell { .. } => Self::Tell,
            Command::Adopt { .. } => Self::Adopt,
            Command::WarnOfBudget { .. } => Self::WarnOfBudget,
            Command::EndShift { .. } => Self::EndShift,
        }
    }

    /// What a person asks for with an event, where it is one of these.
    fn of_event(event: &Event) -> Option<Self> {
        match event {
            Event::IssueAdded { .. } => Some(Self::IssueAdd),
            Event::IssueEdited { .. } => Some(Self::IssueEdit),
            Event::IssueClosed { .. } => Some(Self::IssueClose),
            Event::IssueJoined { .. } => Some(Self::IssueJoin),
            Event::DecisionAnswered { .. } => Some(Self::Answer),
            Event::Commented { .. } => Some(Self::Comment),
            Event::Told { .. } => Some(Self::Say),
            Event::BudgetSet { .. } => Some(Self::BudgetSet),
            Event::Discarded { .. } => Some(Self::Discard),
            Event::PlanEdited { .. } => Some(Self::PlanEdit),
            Event::PromotionBegun { .. } => Some(Self::Promote),
            Event::PullRequestBegun { .. } => Some(Self::PullRequest),
            Event::TaskTaken { .. } => Some(Self::Attach),
            Event::TaskGivenBack { .. } => Some(Self::GiveBack),
            Event::TaskReleased { .. } => Some(Self::Release),
            // Of a reversal it is the verb that says where it is: its record comes last.
            Event::Promoted { .. }
            | Event::PullRequestOpened { .. }
            | Event::Reverted { .. }
            | Event::ConfigLoaded { .. }
            | Event::ShiftStarted { .. }
            | Event::StopAsked { .. }
            | Event::LessonAdded { .. }
            | Event::LessonEdited { .. }
            | Event::IssueOpened { .. }
            | Event::IssueNotOpened { .. }
            | Event::TargetMoved { .. }
            | Event::FollowEnded { .. }
            | Event::Foreseen { .. }
            | Event::Heard { .. }
            | Event::SessionOpened { .. }
            | Event::DecisionAsked { .. }
            | Event::TaskProposed { .. }
            | Event::Noted { .. }
            | Event::Metered { .. }
            | Event::QuotaSeen { .. }
            | Event::Seen { .. }
            | Event::ClockJumped { .. }
            | Event::RoomSeen { .. }
            | Event::Contacted { .. }
            | Event::Tampered { .. }
            | Event::AgentEnded { .. }
            | Event::ChecksEnded { .. }
            | Event::LandingEnded { .. }
            | Event::AttemptFailed { .. }
            | Event::TimePassed
            | Event::Restarted { .. } => None,
        }
    }
}

/// One point: the n-th time, counted from 1, that a moment of a deed is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// When.
    pub moment: Moment,
    /// In which deed.
    pub deed: Deed,
    /// The how manieth time.
    pub nth: u32,
}

impl CrashPoint {
    /// The variable that arms it, and its value.
    pub fn armed(self) -> (&'static str, String) {
        (CRASH_AT.name, self.to_string())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (moment, deed, nth) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            moment: Moment::ALL.into_iter().find(|m| m.word() == moment)?,
            deed: Deed::ALL.into_iter().find(|d| d.word() == deed)?,
            nth: nth.parse().ok()?,
        })
    }
}

impl std::fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.moment.word(), self.deed.word(), self.nth)
    }
}

/// Whose answer tells that an effect was done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Watched {
    Attempt(AttemptId),
    Change(CommitId),
    Issue(IssueId),
}

#[derive(Debug, Default)]
struct Seen {
    reached: u32,
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Armed {
    point: CrashPoint,
    seen: Mutex<Seen>,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

fn armed(moment: Moment) -> Option<&'static Armed> {
    if !LISTENS {
        return None;
    }
    ARMED.get().filter(|armed| armed.point.moment == moment)
}

impl Armed {
    /// Whether it is this time.
    fn counts(&self, deed: Deed) -> bool {
        if deed != self.point.deed {
            return false;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.reached += 1;
        seen.reached == self.point.nth
    }

    fn watch(&self, watched: Watched) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).watched = Some(watched);
    }

    fn watches(&self, event: &Event) -> bool {
        let watched = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .watched
            .clone();
        if let Event::IssueOpened { issue, .. } | Event::IssueNotOpened { issue, .. } = event {
            return watched == Some(Watched::Issue(*issue));
        }
        if let Event::Foreseen { commit, .. } = event {
            return watched == Some(Watched::Change(commit.clone()));
        }
        if let Event::Heard { attempt, .. }
        | Event::AgentEnded { attempt, .. }
        | Event::ChecksEnded { attempt, .. }
        | Event::LandingEnded { attempt, .. }
        | Event::FollowEnded { attempt, .. }
        | Event::AttemptFailed { attempt, .. } = event
        {
            return watched == Some(Watched::Attempt(*attempt));
        }
        false
    }
}

fn die() -> ! {
    // Nothing of this process runs on: what is not on disk now never will be.
    if let Err(errno) = kill(Pid::this(), Signal::SIGKILL) {
        tracing::error!(%errno, "this process cannot end itself; it goes no further");
    }
    loop {
        std::thread::park();
    }
}

/// Arms what the environment names, if this build listens.
pub fn arm(env: &EnvMap) {
    if !LISTENS {
        return;
    }
    if let Some(point) = CRASH_AT.of(env).and_then(CrashPoint::parse) {
        ARMED.get_or_init(|| Armed {
            point,
            seen: Mutex::default(),
        });
    }
}

/// A moment of a deed that no record is about.
pub fn reached(moment: Moment, deed: Deed) {
    if armed(moment).is_some_and(|armed| armed.counts(deed)) {
        die();
    }
}

/// These records are about to be made durable.
pub(crate) fn committing(records: &[Record]) {
    if let Some(armed) = armed(Moment::AfterEffect)
        && records.iter().any(|r| armed.watches(&r.event))
    {
        die();
    }
    if let Some(armed) = armed(Moment::BeforeCommit) {
        let asked = records.iter().filter_map(|r| Deed::of_event(&r.event));
        let ordered = records.iter().flat_map(|r| &r.commands).map(Deed::of_command);
        if asked.chain(ordered).any(|deed| armed.counts(deed)) {
            die();
        }
    }
}

/// These records are durable, and nobody was told.
pub(crate) fn committed(records: &[Record]) {
    if let Some(armed) = armed(Moment::AfterCommit)
        && records
            .iter()
            .filter_map(|r| Deed::of_event(&r.event))
            .any(|deed| armed.counts(deed))
    {
        die();
    }
}

/// A command is about to be carried out.
pub(crate) fn acting(command: &Command) {
    reached(Moment::AfterCommit, Deed::of_command(command));
    let watched = match command {
        Command::StartAgent(start) => Watched::Attempt(start.attempt),
        Command::RunChecks(start) => Watched::Attempt(start.attempt),
        Command::Land(start) => Watched::Attempt(start.attempt),
        Command::Follow(start) => Watched::Attempt(start.attempt),
        Command::StopAttempt { attempt, .. }
        | Command::Reply { attempt, .. }
        | Command::Nudge { attempt }
        | Command::Tell { attempt, .. }
        | Command::Adopt { attempt, .. } => Watched::Attempt(*attempt),
        Command::OpenIssue { issue, .. } => Watched::Issue(*issue),
        Command::Foresee { commit, .. } => Watched::Change(commit.clone()),
        // They have no answer: whoever has done it says so with `reached`.
        Command::WarnOfBudget { .. } | Command::EndShift { .. } => return,
    };
    if let Some(armed) = armed(Moment::AfterEffect)
        && armed.counts(Deed::of_command(command))
    {
        armed.watch(watched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for deed in Deed::ALL {
            for moment in Moment::ALL {
                let point = CrashPoint { moment, deed, nth: 3 };
                let (_, value) = point.armed();
                assert_eq!(CrashPoint::parse(&value), Some(point), "{value}");
                assert!(names.insert(value));
            }
        }
        assert_eq!(CrashPoint::parse("before-commit:land"), None);
    }

    #[test]
    fn only_builds_with_debug_assertions_listen() {
        assert_eq!(LISTENS, cfg!(debug_assertions));
        assert!(armed(Moment::BeforeCommit).is_none(), "nothing is armed unasked");
    }
}
