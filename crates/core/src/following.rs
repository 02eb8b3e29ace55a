//! Owns the words of following: which branch of the user's an issue's integration branch keeps up with, how far it
//! has, and why it cannot. When it follows is decided in `step`; moving the branch is the engine's.

use serde::{Deserialize, Serialize};

use crate::check::{CheckReport, CheckVerdict};
use crate::failure::Failure;
use crate::ids::CommitId;
use crate::task::Run;
use crate::units::Timestamp;

/// The branch of the user's that an issue begins on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// None that is known: HEAD was detached, or the record is older than this.
    #[default]
    Unknown,
    /// This one, as people write it: `main`.
    Branch(String),
}

/// How an integration branch comes to have what the user's branch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowHow {
    /// By a merge commit: what has landed stays as it was proven.
    Merge,
    /// Its own commits are made again on top.
    Rebase,
}

/// How an integration branch keeps up with the branch that its issue began on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Following {
    /// It does not: it has not begun, or began on no branch that is known.
    #[default]
    Nothing,
    /// It does.
    Branch {
        /// With this one.
        name: String,
        /// Where that was when it was last looked at.
        tip: CommitId,
        /// How far it has.
        keeping: Keeping,
    },
}

/// How far an integration branch has kept up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeping {
    /// It has all of it.
    Level,
    /// The user's branch has moved on.
    Behind,
    /// It is being brought along.
    Running {
        /// Up to here.
        onto: CommitId,
        /// By this attempt.
        run: Run,
    },
    /// It cannot be, at least not as both were then.
    Alarm(Alarm),
}

/// That an integration branch could not follow. It did not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Where the user's branch was.
    pub tip: CommitId,
    /// Where the integration branch was.
    pub head: CommitId,
    /// Why.
    pub why: CannotFollow,
    /// When that was seen.
    pub since: Timestamp,
}

/// Why an integration branch could not follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CannotFollow {
    /// Both changed the same lines.
    Conflict {
        /// Of these files.
        files: Vec<String>,
    },
    /// With both together the checks are not green.
    NotGreen {
        /// What they showed.
        report: CheckReport,
    },
    /// The user's branch does not have what the issue began on any more.
    Rewritten {
        /// That.
        lost: CommitId,
    },
    /// It came to no end of its own.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl Following {
    /// What an issue that begins on `tip` of a branch keeps up with.
    pub fn of(target: &Target, tip: &CommitId) -> Self {
        match target {
            Target::Unknown => Self::Nothing,
            Target::Branch(name) => Self::Branch {
                name: name.clone(),
                tip: tip.clone(),
                keeping: Keeping::Level,
            },
        }
    }

    /// The attempt that brings it along, if one does.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Branch {
                keeping: Keeping::Running { run, .. },
                ..
            } => Some(run),
            Self::Nothing
            | Self::Branch {
                keeping: Keeping::Level | Keeping::Behind | Keeping::Alarm(_),
                ..
            } => None,
        }
    }

    /// The branch it could not follow, and why.
    pub fn alarm(&self) -> Option<(&str, &Alarm)> {
        match self {
            Self::Branch {
                name,
                keeping: Keeping::Alarm(alarm),
                ..
            } => Some((name, alarm)),
            Self::Nothing
            | Self::Branch {
                keeping: Keeping::Level | Keeping::Behind | Keeping::Running { .. },
                ..
            } => None,
        }
    }

    /// The alarm on one line, for people; `None` where there is none.
    pub fn alarm_phrase(&self) -> Option<String> {
        let (branch, alarm) = self.alarm()?;
        let (tip, head) = (alarm.tip.short(), alarm.head.short());
        Some(format!(
            "ALARM: cannot follow {branch} (it is at {tip}, the issue's branch at {head}): {}; the issue's branch did not \
             move",
            alarm.why.phrase()
        ))
    }
}

impl CannotFollow {
    /// For people.
    pub fn phrase(&self) -> String {
        match self {
            Self::Conflict { files } => format!("conflict in {}", files.join(", ")),
            Self::NotGreen { report } => {
                let parts = report.failing().map(|r| match &r.verdict {
                    CheckVerdict::CouldNotRun { why } => format!("{} could not be run ({why})", r.check),
                    CheckVerdict::Pass | CheckVerdict::Flaky | CheckVerdict::Fail { .. } => {
                        format!("{} is red with both together", r.check)
                    }
                });
                let parts: Vec<String> = parts.collect();
                if parts.is_empty() {
                    "no check was run".to_owned()
                } else {
                    parts.join(", ")
                }
            }
            Self::Rewritten { lost } => format!(
                "it was rewritten and has {} no more, which the issue began on; merge it by hand, or set \
                 landing.follow = \"rebase\"",
                lost.short()
            ),
            Self::Failed { failure } => crate::view::failure_phrase(failure),
        }
    }
}
