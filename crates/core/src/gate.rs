//! Owns the gate of an agent's account: what its provider told of it, whether it may be started, and what opens it
//! again. It says what is so; what follows from it is decided in `step/gates.rs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::{Cause, Failure};
use crate::ids::{AgentName, AttemptId};
use crate::quota::{Quota, QuotaFill};
use crate::units::{Span, Timestamp};
use crate::view::failure_phrase;

/// An attempt that has run this long, or was answered by a model before, is no failing start any more.
pub const SETTLED: Span = Span::seconds(15);
/// So many windows of one account are kept; the one that was seen longest ago makes room.
const WINDOWS: usize = 16;
/// So many characters of a window's name are kept.
const NAME: usize = 64;

/// The gate of one agent's account. All tasks and shifts share it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Whose.
    pub agent: AgentName,
    /// Whether it may be started.
    pub standing: Standing,
    /// Whether an attempt of it was answered since the last failing start.
    #[serde(default)]
    pub trust: Trust,
    /// Attempts that have not shown yet whether they work, each with the time from which they count as working.
    #[serde(default)]
    pub starting: BTreeMap<AttemptId, Timestamp>,
    /// When starts failed in a row, oldest first; bounded by the policy's number.
    #[serde(default)]
    pub failed: Vec<Timestamp>,
    /// How often in a row each cause has closed it, with no attempt that finished in between.
    #[serde(default)]
    pub strikes: BTreeMap<Cause, u8>,
    /// How often in a row it was closed because starts failed.
    #[serde(default)]
    pub rounds: u8,
    /// What its provider told of its windows, by their names.
    #[serde(default)]
    pub windows: BTreeMap<String, Window>,
}

/// One window, as it was last told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// How full it is.
    pub fill: QuotaFill,
    /// When it is empty again, where that was told.
    #[serde(default)]
    pub resets: Option<Timestamp>,
    /// When that was told.
    pub seen: Timestamp,
    /// By which attempt.
    pub by: AttemptId,
}

/// Whether an account may be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Whenever there is work.
    Open,
    /// One start at a time, and a pause after each.
    Slowed(Pace),
    /// Not before a time.
    Closed {
        /// When.
        until: Timestamp,
        /// Why.
        why: Closing,
    },
    /// With one attempt, to see whether it works again.
    Trying {
        /// How far that is.
        trial: Trial,
        /// What it was closed for.
        failure: Failure,
    },
    /// Not before a person has looked: the next shift begins with a trial.
    Shut {
        /// What happened too often.
        failure: Failure,
    },
}

/// How starts are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From one start to the next.
    pub every: Span,
    /// When the next one may be.
    pub next: NextStart,
    /// When the pause is halved, or ends.
    pub eases: Timestamp,
}

/// When a slowed account may be started next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextStart {
    /// At any time.
    Now,
    /// Not before this.
    At(Timestamp),
}

/// Why an account is closed, and by that what comes after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closing {
    /// Its provider says that this window is full. It is open again when the window is.
    Window(String),
    /// An attempt failed for the account's sake. It is open again at the time.
    Failure(Failure),
    /// The provider wants fewer requests. Starts are spaced at first.
    Pace {
        /// What it said.
        failure: Failure,
        /// How starts are spaced.
        every: Span,
    },
    /// Starts failed in a row. One attempt is tried at first.
    Starts(Failure),
}

/// How far the trial of an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// The next start is it.
    Due,
    /// This attempt is it.
    Runs(AttemptId),
}

/// Whether an account is known to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Not yet, or not since a start failed. Few are begun at a time.
    #[default]
    Untried,
    /// An attempt was answered since.
    Answers,
}

/// When a closed account may be started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opens {
    /// When the one attempt that tries it has shown that it works.
    AfterTrial,
    /// At this time.
    At(Timestamp),
    /// Not in this shift.
    NotInThisShift,
}

/// Whether a start is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It is.
    Free,
    /// Not while so many others have yet to show that the account works.
    Full,
    /// It is not.
    Closed {
        /// Until when.
        opens: Opens,
        /// Because of what.
        cause: Cause,
    },
}

impl Closing {
    /// What it is closed for.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Window(_) => Cause::Quota,
            Self::Failure(failure) | Self::Starts(failure) | Self::Pace { failure, .. } => failure.cause,
        }
    }
}

impl Gate {
    /// The gate of an account of which nothing is known.
    pub fn new(agent: AgentName) -> Self {
        Self {
            agent,
            standing: Standing::Open,
            trust: Trust::Untried,
            starting: BTreeMap::new(),
            failed: Vec::new(),
            strikes: BTreeMap::new(),
            rounds: 0,
            windows: BTreeMap::new(),
        }
    }

    /// Whether a start is let through, where at most `most` may fail in a row.
    pub fn entry(&self, most: u8) -> Entry {
        let closed = |opens, cause| Entry::Closed { opens, cause };
        match &self.standing {
            Standing::Shut { failure } => closed(Opens::NotInThisShift, failure.cause),
            Standing::Closed { until, why } => closed(Opens::At(*until), why.cause()),
            Standing::Trying {
                trial: Trial::Runs(_),
                failure,
            } => closed(Opens::AfterTrial, failure.cause),
            Standing::Trying {
                trial: Trial::Due, ..
            } => Entry::Free,
            Standing::Slowed(Pace {
                next: NextStart::At(at),
                ..
            }) => closed(Opens::At(*at), Cause::RateLimited),
            Standing::Slowed(Pace {
                next: NextStart::Now, ..
            })
            | Standing::Open => {
                if self.is_full(most) {
                    Entry::Full
                } else {
                    Entry::Free
                }
            }
        }
    }

    /// Whether those that have yet to show that they work could make too many failing starts, with those that failed.
    fn is_full(&self, most: u8) -> bool {
        self.trust == Trust::Untried
            && !self.starting.is_empty()
            && self.failed.len() + self.starting.len() >= usize::from(most)
    }

    /// Whether it is closed for so long that a conversation does not wait for it where another agent may go on.
    pub fn is_away(&self) -> bool {
        match &self.standing {
            Standing::Shut { .. } => true,
            Standing::Closed { why, .. } => match why {
                Closing::Window(_) | Closing::Failure(_) | Closing::Starts(_) => true,
                Closing::Pace { .. } => false,
            },
            Standing::Open | Standing::Slowed(_) | Standing::Trying { .. } => false,
        }
    }

    /// Why it may not be started whenever there is work, in words; none where it may. When it opens is for the reader's
    /// clock to say.
    pub fn closed_phrase(&self) -> Option<String> {
        let agent = &self.agent;
        match &self.standing {
            Standing::Open => None,
            Standing::Slowed(pace) => Some(format!(
                "`{agent}` is started once in {}, because its provider wants fewer requests",
                pace.every
            )),
            Standing::Closed { why, .. } => Some(match why {
                Closing::Window(name) => format!("`{agent}` is not started: its {name} window is full"),
                Closing::Failure(failure) | Closing::Pace { failure, .. } => {
                    format!("`{agent}` is not started: {}", failure_phrase(failure))
                }
                Closing::Starts(failure) => format!(
                    "`{agent}` is not started, because starts of it failed in a row: {}",
                    failure_phrase(failure)
                ),
            }),
            Standing::Trying { failure, .. } => Some(format!(
                "`{agent}` is tried with one attempt at first, after: {}",
                failure_phrase(failure)
            )),
            Standing::Shut { failure } => Some(format!(
                "`{agent}` cannot be started: {}; the next shift tries it again",
                failure_phrase(failure)
            )),
        }
    }

    /// When it next changes by time alone, where at most `most` starts may fail in a row.
    pub fn deadline(&self, most: u8) -> Option<Timestamp> {
        let standing = match &self.standing {
            Standing::Closed { until, .. } => Some(*until),
            Standing::Slowed(pace) => Some(match pace.next {
                NextStart::Now => pace.eases,
                NextStart::At(at) => at.min(pace.eases),
            }),
            Standing::Open | Standing::Trying { .. } | Standing::Shut { .. } => None,
        };
        // As long as nobody else is held back by them it is enough to look when they end.
        let holds = self.is_full(most) || matches!(self.standing, Standing::Trying { .. });
        let settled = self.starting.values().min().copied().filter(|_| holds);
        standing.into_iter().chain(settled).min()
    }

    /// Takes in what was told of a window.
    pub fn saw(&mut self, quota: &Quota, at: Timestamp, by: AttemptId) -> String {
        let name: String = quota.window.chars().take(NAME).collect();
        if !self.windows.contains_key(&name) && self.windows.len() >= WINDOWS {
            let oldest = self.windows.iter().min_by_key(|(_, w)| w.seen);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.windows.remove(&oldest);
            }
        }
        let window = Window {
            fill: quota.fill,
            resets: quota.resets,
            seen: at,
            by,
        };
        self.windows.insert(name.clone(), window);
        name
    }
}
