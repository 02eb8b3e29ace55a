//! Owns the causes of failure. Decisions read the cause; people read the detail.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// Why an attempt did not do what it was for. Each cause has its own row in the policy: how often it is tried
/// again, after how long. Unknown is a failure, never a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The slot could not be made ready, or a git step of Turno's own failed.
    Workspace,
    /// The program could not be started.
    Spawn,
    /// The agent ended with an error of its own.
    Agent,
    /// The agent is not signed in, or its key is refused.
    SignIn,
    /// The model is not known to the provider, or the account may not use it.
    Model,
    /// The provider is overloaded, answers 5xx or cannot be reached.
    Provider,
    /// An account limit that lifts at a known or unknown time.
    Quota,
    /// The provider takes no more requests for the moment: a limit by the minute, or `Retry-After`.
    RateLimited,
    /// The agent ended without the typed outcome that was asked for.
    NoOutcome,
    /// A writer ended and the tree is what it was.
    NoChange,
    /// A reader changed files.
    WroteWhileReading,
    /// No sign of life, or no progress, for longer than the policy has patience.
    Stalled,
    /// Ran longer than the wall-clock limit.
    WallClock,
    /// Reached the money cap of this one attempt.
    AttemptBudget,
    /// A check failed on the change.
    ChecksFailed,
    /// A check could not be run to an end.
    CouldNotCheck,
    /// A reviewer found something to mend.
    Findings,
    /// The change does not apply to what has landed meanwhile.
    Conflict,
    /// The integration branch moved while landing.
    LandingRaced,
    /// The attempt was found dead, or nothing is known of it.
    Lost,
    /// A person or the end of a shift stopped it.
    Stopped,
    /// It wrote where it may not.
    OutOfBounds,
    /// Tests that should fail without the work pass without it.
    TestsProveNothing,
    /// It used more of the machine than it may: memory, processes or disk.
    Resources,
}

impl Cause {
    /// Every cause, in order.
    pub const ALL: [Self; 24] = [
        Self::Workspace,
        Self::Spawn,
        Self::Agent,
        Self::SignIn,
        Self::Model,
        Self::Provider,
        Self::Quota,
        Self::RateLimited,
        Self::NoOutcome,
        Self::NoChange,
        Self::WroteWhileReading,
        Self::Stalled,
        Self::WallClock,
        Self::AttemptBudget,
        Self::ChecksFailed,
        Self::CouldNotCheck,
        Self::Findings,
        Self::Conflict,
        Self::LandingRaced,
        Self::Lost,
        Self::Stopped,
        Self::OutOfBounds,
        Self::TestsProveNothing,
        Self::Resources,
    ];

    /// A short phrase for people.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Workspace => "the slot could not be made ready",
            Self::Spawn => "the program could not be started",
            Self::Agent => "the agent failed",
            Self::SignIn => "the agent is not signed in",
            Self::Model => "the model is not known to the provider, or not allowed",
            Self::Provider => "the provider failed or is overloaded",
            Self::Quota => "the account's quota is used up",
            Self::RateLimited => "the provider takes no more requests for the moment",
            Self::NoOutcome => "the agent gave no valid outcome",
            Self::NoChange => "the agent changed nothing",
            Self::WroteWhileReading => "the agent changed files though it may only read",
            Self::Stalled => "the agent got stuck",
            Self::WallClock => "the time limit was reached",
            Self::AttemptBudget => "the attempt's money cap was reached",
            Self::ChecksFailed => "checks failed",
            Self::CouldNotCheck => "a check could not be run",
            Self::Findings => "the reviewer sent it back",
            Self::Conflict => "it conflicts with what has landed",
            Self::LandingRaced => "the integration branch moved while landing",
            Self::Lost => "the attempt was lost",
            Self::Stopped => "it was stopped",
            Self::OutOfBounds => "it changed what it may not change",
            Self::TestsProveNothing => "its tests pass without the work",
            Self::Resources => "it used more of the machine than it may",
        }
    }
}

/// When a failed piece of work may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// As the policy's row for the cause says.
    Policy,
    /// Not before this time, e.g. when a quota resets.
    At(Timestamp),
}

/// A number between 0 and 999 that the shell drew by chance, so that those who fail together do not try again together.
/// It stands in the event, and so in the journal: the core draws nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Luck(pub u16);

impl Luck {
    /// Not drawn: the whole wait.
    pub const NONE: Self = Self(999);
}

impl Default for Luck {
    fn default() -> Self {
        Self::NONE
    }
}

/// One failure: a cause for the core, a text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub cause: Cause,
    /// What exactly, in words; may hold text from outside.
    pub detail: String,
    /// When it may be tried again.
    pub retry_after: RetryAfter,
    /// Which part of a wait it is to be.
    #[serde(default)]
    pub luck: Luck,
}

impl Failure {
    /// A failure that is retried as the policy says.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
            retry_after: RetryAfter::Policy,
            luck: Luck::NONE,
        }
    }
}
