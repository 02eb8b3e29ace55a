//! Owns what a policy says of failures: the row of each cause, and when an account is closed. Typed data; what follows
//! is decided in `step`.

use serde::{Deserialize, Serialize};

use crate::failure::{Cause, Luck};
use crate::units::Span;

/// Which part of a wait is waited, so that those who fail together do not try again together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jitter {
    /// All of it.
    None,
    /// Between a tenth of it and all of it, by chance. Where a time was told, that is waited for, and then a part of
    /// the wait by chance.
    #[default]
    Full,
}

/// Who bears a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charge {
    /// The task: it is one of its tries.
    #[default]
    Task,
    /// The agent's account: it is closed for the wait, or until the told time, and no task loses a try.
    Account,
}

/// How the task goes on where tries are left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// As it was.
    #[default]
    Retry,
    /// Where no conversation is gone on with, the next agent of the persona's list has its turn.
    OtherAgent,
    /// The same, and from the second time on a writer's conversation begins afresh.
    FreshSession,
}

/// What follows a cause: how often it is tried again, after how long, and at whose charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TryRow {
    /// How many times it may happen to one task before a person is asked; where the account is charged, how many times
    /// in a row to that. 0 asks at the first.
    pub tries: u8,
    /// Wait before the first retry; doubled for each further one.
    pub wait: Span,
    /// Which part of it.
    #[serde(default)]
    pub jitter: Jitter,
    /// Who bears it.
    #[serde(default)]
    pub charge: Charge,
    /// How it goes on.
    #[serde(default)]
    pub then: Then,
}

impl TryRow {
    /// A row with what goes with its cause.
    pub fn new(cause: Cause, tries: u8, wait: Span) -> Self {
        Self {
            tries,
            wait,
            jitter: Jitter::default(),
            charge: Charge::of(cause),
            then: Then::of(cause),
        }
    }

    /// The wait before the retry after the `count`th failure, counted from 1: doubled each time up to `longest`.
    pub fn backoff(&self, count: u8, longest: Span, luck: Luck) -> Span {
        let wait = self.wait.doubled(u32::from(count.max(1)) - 1).min(longest);
        match self.jitter {
            Jitter::None => wait,
            Jitter::Full => part(wait, luck).max(Span(wait.0.div_ceil(10))),
        }
    }

    /// What is waited beyond a told time.
    pub fn spread(&self, luck: Luck) -> Span {
        match self.jitter {
            Jitter::None => Span(0),
            Jitter::Full => part(self.wait, luck),
        }
    }
}

/// The part of a span that a drawn number stands for; the highest one stands for all of it.
pub fn part(span: Span, luck: Luck) -> Span {
    Span(span.0.saturating_mul(u64::from(luck.0.min(999)) + 1) / 1000)
}

impl Charge {
    /// Who bears a cause where no policy says it.
    pub fn of(cause: Cause) -> Self {
        match cause {
            Cause::SignIn | Cause::Quota | Cause::RateLimited => Self::Account,
            Cause::Workspace
            | Cause::Spawn
            | Cause::Agent
            | Cause::Model
            | Cause::Provider
            | Cause::NoOutcome
            | Cause::NoChange
            | Cause::WroteWhileReading
            | Cause::Stalled
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::Lost
            | Cause::Stopped
            | Cause::OutOfBounds
            | Cause::TestsProveNothing
            | Cause::Resources => Self::Task,
        }
    }
}

impl Charge {
    /// Whether a policy may charge the account with a cause: where there is an agent, and its provider may be to blame.
    pub fn may_be_an_accounts(cause: Cause) -> bool {
        match cause {
            Cause::SignIn
            | Cause::Quota
            | Cause::RateLimited
            | Cause::Spawn
            | Cause::Agent
            | Cause::Provider => true,
            Cause::Workspace
            | Cause::Model
            | Cause::NoOutcome
            | Cause::NoChange
            | Cause::WroteWhileReading
            | Cause::Stalled
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::Lost
            | Cause::Stopped
            | Cause::OutOfBounds
            | Cause::TestsProveNothing
            | Cause::Resources => false,
        }
    }
}

impl Then {
    /// How it goes on where no policy says it.
    pub fn of(cause: Cause) -> Self {
        match cause {
            Cause::Agent | Cause::NoOutcome | Cause::NoChange | Cause::Stalled => Self::FreshSession,
            Cause::Quota | Cause::Spawn | Cause::SignIn | Cause::Model => Self::OtherAgent,
            Cause::RateLimited
            | Cause::Workspace
            | Cause::Provider
            | Cause::WroteWhileReading
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::Lost
            | Cause::Stopped
            | Cause::OutOfBounds
            | Cause::TestsProveNothing
            | Cause::Resources => Self::Retry,
        }
    }
}

/// When an agent's account is closed and opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRule {
    /// So many starts may fail in a row within `within`, over all tasks; then the account is closed.
    pub failing_starts: u8,
    /// See there. No closed account is tried again sooner.
    pub within: Span,
    /// How long it is closed then; doubled each time the trial after it fails.
    pub wait: Span,
    /// How often it is closed so in a row before it stays closed for the shift.
    pub rounds: u8,
    /// From one start to the next once the provider wanted fewer requests; doubled each time it says so again.
    pub pace: Span,
    /// After this time that is halved, and in the end given up.
    pub ease: Span,
    /// The longest that a told time is believed.
    pub longest_quota_wait: Span,
}

impl Default for AccountRule {
    fn default() -> Self {
        Self {
            failing_starts: 3,
            within: Span::seconds(60),
            wait: Span::seconds(60),
            rounds: 5,
            pace: Span::seconds(10),
            ease: Span::seconds(300),
            longest_quota_wait: Span::seconds(8 * 24 * 3600),
        }
    }
}
