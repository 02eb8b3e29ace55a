//! Owns the landing queue of one integration branch: which of the changes that wait are tried together, and how the
//! one that breaks the rest is found. Pure: it knows neither checks nor git, only what was tried and how it ended.
//!
//! Changes that wait at the same time are tried together. If they are red, the first half of them is tried: green, it
//! lands as it is, and the fault is in the second half, which is known to be red on top of it; red, the fault is in the
//! first half. The one that is left is the culprit, given those before it: so of two that break each other the later
//! one is found. A culprit costs at most as many runs as the batch can be halved, and one for those behind it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::check::CheckReport;
use crate::foresight::Apart;
use crate::ids::{CommitId, TaskId};

/// A change that waits to land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Whose.
    pub task: TaskId,
    /// The very commit that may land.
    pub commit: CommitId,
}

/// A change as it was put on top of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// Whose.
    pub task: TaskId,
    /// Its commit there.
    pub commit: CommitId,
    /// What it stands on: the commit of the one before it, or the integration head.
    pub onto: CommitId,
}

/// What a red trial leaves as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Red {
    /// Each of its members, in order.
    pub members: Vec<Stands>,
    /// What the checks showed with all of them.
    pub report: CheckReport,
}

/// What is known of the changes that wait for one integration branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Train {
    /// Nothing: whatever waits may be tried together.
    #[default]
    Open,
    /// The fault of a red batch is looked for.
    Narrowing {
        /// Where the integration branch is.
        head: CommitId,
        /// At least two, which on top of `head` and in this order are red.
        suspects: Vec<Candidate>,
        /// Those of the batch behind them, of which nothing is known.
        behind: Vec<TaskId>,
        /// The evidence, for a batch that ends with the suspects.
        red: Red,
    },
    /// What was behind a culprit comes next, before anything that has come since.
    Behind {
        /// Those.
        left: Vec<TaskId>,
    },
    /// They could not be tried together, which says nothing of any of them: one after the other.
    Apart {
        /// Those that have not been tried alone.
        left: BTreeSet<TaskId>,
    },
}

/// How often red is run again at the same tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// As often as the policy says.
    AsPolicy,
    /// At least once: nobody expected it, and much follows.
    AtLeastOnce,
}

/// What is tried next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// In this order; at least one.
    pub members: Vec<Candidate>,
    /// When it is red.
    pub again: Again,
}

/// How a trial ended, for those that could be put on top of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It landed.
    Landed {
        /// Where the branch is now.
        head: CommitId,
    },
    /// It is red.
    Red {
        /// Where the branch is.
        head: CommitId,
        /// The evidence.
        red: Red,
    },
    /// The branch moved meanwhile.
    Moved,
    /// Nothing came of it.
    Nothing,
}

/// A change that makes the checks fail, given those that came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// Which.
    pub change: Candidate,
    /// How it stood when that was seen.
    pub stands: Stands,
    /// What the checks showed.
    pub report: CheckReport,
}

impl Train {
    /// What to try next of those that wait, given in order; two that are to be apart are not tried together, unless
    /// they are known to be red together. `None` only if none waits.
    pub fn next(
        &self,
        waiting: &[Candidate],
        head: &CommitId,
        at_most: usize,
        apart: &Apart,
    ) -> Option<Trial> {
        let waits = |task: &TaskId| waiting.iter().find(|c| c.task == *task);
        let trial = |members: Vec<Candidate>, again| Some(Trial { members, again });
        match self {
            // One that is gone, or is another change by now, takes what was known of all of them with it.
            Self::Narrowing {
                head: at, suspects, ..
            } if at == head && suspects.iter().all(|s| waits(&s.task) == Some(s)) => {
                let half = suspects.len() / 2;
                return trial(
                    suspects.iter().take(half.max(1)).cloned().collect(),
                    Again::AsPolicy,
                );
            }
            Self::Behind { left } => {
                let next = together(left.iter().filter_map(waits), at_most, apart);
                if !next.is_empty() {
                    return trial(next, Again::AsPolicy);
                }
            }
            Self::Apart { left } => {
                if let Some(next) = waiting.iter().find(|c| left.contains(&c.task)) {
                    return trial(vec![next.clone()], Again::AsPolicy);
                }
            }
            Self::Open | Self::Narrowing { .. } => {}
        }
        let next = together(waiting, at_most, apart);
        match next.len() {
            0 => None,
            1 => trial(next, Again::AsPolicy),
            _ => trial(next, Again::AtLeastOnce),
        }
    }

    /// What follows when `tried` has ended: what is known now, and who is to blame.
    pub fn after(self, tried: &[Candidate], end: Tried) -> (Self, Option<Culprit>) {
        match end {
            Tried::Landed { head } => self.after_landed(tried, head),
            Tried::Red { head, red } => self.after_red(tried, head, red),
            Tried::Moved => (Self::Open, None),
            Tried::Nothing if tried.len() > 1 => {
                let left = tried.iter().map(|c| c.task).collect();
                (Self::Apart { left }, None)
            }
            Tried::Nothing => (self.without(tried), None),
        }
    }

    fn after_landed(self, tried: &[Candidate], head: CommitId) -> (Self, Option<Culprit>) {
        let Self::Narrowing {
            suspects,
            behind,
            red,
            ..
        } = self
        else {
            return (self.without(tried), None);
        };
        match suspects.strip_prefix(tried) {
            None | Some([]) => (Self::Open, None),
            // It was not tried alone: with those that have landed now it was, and was red.
            Some([last]) => {
                let culprit = culprit(last, red);
                (Self::behind(behind), culprit)
            }
            Some(suspects) => {
                let suspects = suspects.to_vec();
                let narrowing = Self::Narrowing {
                    head,
                    suspects,
                    behind,
                    red,
                };
                (narrowing, None)
            }
        }
    }

    fn after_red(self, tried: &[Candidate], head: CommitId, red: Red) -> (Self, Option<Culprit>) {
        let behind = match &self {
            Self::Narrowing { suspects, behind, .. } => {
                let others = suspects.strip_prefix(tried).unwrap_or_default();
                others
                    .iter()
                    .map(|c| c.task)
                    .chain(behind.iter().copied())
                    .collect()
            }
            Self::Behind { left } => {
                let others = left.iter().filter(|t| tried.iter().all(|c| c.task != **t));
                others.copied().collect()
            }
            Self::Open | Self::Apart { .. } => Vec::new(),
        };
        match tried {
            [] => (self, None),
            [one] => {
                let culprit = culprit(one, red);
                let next = match self {
                    Self::Apart { .. } => self.without(tried),
                    Self::Open | Self::Narrowing { .. } | Self::Behind { .. } => Self::behind(behind),
                };
                (next, culprit)
            }
            more => {
                let narrowing = Self::Narrowing {
                    head,
                    suspects: more.to_vec(),
                    behind,
                    red,
                };
                (narrowing, None)
            }
        }
    }

    /// The same without what is known of these.
    fn without(self, tried: &[Candidate]) -> Self {
        let is_left = |task: &TaskId| tried.iter().all(|c| c.task != *task);
        match self {
            Self::Open | Self::Narrowing { .. } => Self::Open,
            Self::Behind { mut left } => {
                left.retain(is_left);
                Self::behind(left)
            }
            Self::Apart { mut left } => {
                left.retain(is_left);
                if left.is_empty() {
                    Self::Open
                } else {
                    Self::Apart { left }
                }
            }
        }
    }

    fn behind(left: Vec<TaskId>) -> Self {
        if left.is_empty() {
            Self::Open
        } else {
            Self::Behind { left }
        }
    }
}

/// The first, and of those behind it as many as fit in and may be tried with all that were chosen.
fn together<'c>(
    waiting: impl IntoIterator<Item = &'c Candidate>,
    at_most: usize,
    apart: &Apart,
) -> Vec<Candidate> {
    let mut chosen: Vec<Candidate> = Vec::new();
    for next in waiting {
        let fits = chosen.len() < at_most.max(1);
        if fits && chosen.iter().all(|c| apart.lets(c.task, next.task)) {
            chosen.push(next.clone());
        }
    }
    chosen
}

fn culprit(change: &Candidate, red: Red) -> Option<Culprit> {
    let stands = red.members.into_iter().find(|m| m.task == change.task)?;
    Some(Culprit {
        change: change.clone(),
        stands,
        report: red.report,
    })
}
