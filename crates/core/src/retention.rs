//! Owns the decision what may be removed: from what is there and what the journal says of it, which of it goes and
//! why, and which stays. It removes nothing itself, and what it knows nothing of stays.

mod history;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ids::{AgentName, AttemptId, IssueId, PersonaName, RepoName, SlotId, TaskId};
use crate::units::{Span, Timestamp};

pub use history::History;

/// How long things are kept after they are no longer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ages {
    /// What attempts were told, said and left, after their issue is over.
    pub attempts: Span,
    /// Private homes of agents, after their issue is over.
    pub homes: Span,
    /// Salvage, after it was found.
    pub salvage: Span,
}

/// What is done with salvage that is nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlyCopies {
    /// It stays.
    Kept,
    /// A person said that it may go.
    GivenUp,
}

/// Something that Turno made and that takes space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Thing {
    /// What an attempt was told, said and left.
    Attempt {
        /// Whose.
        attempt: AttemptId,
    },
    /// An agent's private home.
    Home(HomeName),
    /// A commit under a salvage ref.
    Commit {
        /// In which repository.
        repo: RepoName,
        /// The last part of its ref.
        name: String,
    },
    /// Files that were put aside.
    Aside {
        /// For which repository.
        repo: RepoName,
        /// The name of the directory.
        name: String,
    },
    /// A worktree.
    Slot {
        /// Of which repository.
        repo: RepoName,
        /// Which.
        slot: SlotId,
    },
    /// The socket of an attempt's way to the network.
    Socket {
        /// Whose.
        attempt: AttemptId,
    },
}

/// Whose private home it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HomeName {
    /// On which task.
    pub task: TaskId,
    /// In which role.
    pub persona: PersonaName,
    /// Who.
    pub agent: AgentName,
}

/// What was seen of an attempt's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing runs for it, and nothing of worth is in it but words.
    Quiet,
    /// Its supervisor lives.
    Lives,
    /// Commits of its agent are in it that could not be taken over.
    HoldsWork,
}

/// Where else the content of salvage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// On a branch that was landed on or promoted to.
    Landed,
    /// Nowhere that is known.
    Nowhere,
}

/// Something that was found, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In bytes on the disk.
    pub bytes: u64,
    /// What, with what was seen of it.
    pub what: FoundWhat,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundWhat {
    /// The directory of an attempt.
    Attempt(AttemptId, Seen),
    /// A private home, by the name of its directory.
    Home(String),
    /// A salvaged commit.
    Commit {
        /// In which repository.
        repo: RepoName,
        /// The last part of its ref.
        name: String,
        /// When it was kept.
        at: Timestamp,
        /// Where else it is.
        elsewhere: Elsewhere,
    },
    /// Files that were put aside.
    Aside {
        /// For which repository.
        repo: RepoName,
        /// The name of the directory.
        name: String,
        /// When they were.
        at: Timestamp,
    },
    /// A worktree that is recorded and whole.
    Slot {
        /// Of which repository.
        repo: RepoName,
        /// Which.
        slot: SlotId,
    },
    /// A socket.
    Socket(AttemptId),
}

impl HomeName {
    /// The name of its directory.
    pub fn dir(&self) -> String {
        format!("{}-{}-{}", self.task, self.persona, self.agent)
    }
}

/// What may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// What.
    pub what: Thing,
    /// How much the disk gets back.
    pub bytes: u64,
    /// Why it may go.
    pub why: Why,
}

/// Why something may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "because")]
pub enum Why {
    /// Its issue is over, and has been for longer than it is to be kept.
    IssueOver {
        /// Which.
        issue: IssueId,
        /// For so long.
        #[serde(rename = "for")]
        ago: Span,
    },
    /// It is on a branch that was landed on or promoted to.
    Landed {
        /// So old it is.
        age: Span,
    },
    /// A person said that only copies may go too.
    GivenUp {
        /// So old it is.
        age: Span,
    },
    /// There are fewer slots now.
    TooManySlots {
        /// So many.
        slots: u16,
    },
    /// The attempt has ended.
    Ended,
}

/// What stays although nobody seems to need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What.
    pub what: Thing,
    /// How large it is.
    pub bytes: u64,
    /// Why it stays.
    pub why: LeftWhy,
}

/// Why something stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "because")]
pub enum LeftWhy {
    /// Its attempt runs.
    Runs,
    /// Its issue is not over.
    NotOver {
        /// Which.
        issue: IssueId,
    },
    /// It is not old enough.
    TooYoung {
        /// So old it is.
        age: Span,
        /// So old it must be.
        keep: Span,
    },
    /// It is the only copy of work.
    OnlyCopy,
}

/// What becomes of everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What goes.
    pub removals: Vec<Removal>,
    /// What stays.
    pub left: Vec<Left>,
    /// What the journal knows nothing of, by name: it is not Turno's and stays.
    pub unknown: Vec<String>,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// When it is.
    pub now: Timestamp,
    /// How long things are kept.
    pub ages: Ages,
    /// How many slots the configuration has.
    pub slots: u16,
    /// What is done with only copies.
    pub only_copies: OnlyCopies,
    /// What the journal says.
    pub history: &'a History,
}

/// Decides what becomes of everything that was found.
pub fn plan(facts: &Facts<'_>, found: &[Found]) -> Plan {
    let living: BTreeSet<AttemptId> = found
        .iter()
        .filter_map(|f| match f.what {
            FoundWhat::Attempt(attempt, Seen::Lives) => Some(attempt),
            FoundWhat::Attempt(_, Seen::Quiet | Seen::HoldsWork)
            | FoundWhat::Home(_)
            | FoundWhat::Commit { .. }
            | FoundWhat::Aside { .. }
            | FoundWhat::Slot { .. }
            | FoundWhat::Socket(_) => None,
        })
        .chain(facts.history.running.iter().copied())
        .collect();
    let mut plan = Plan::default();
    for one in found {
        let bytes = one.bytes;
        match facts.judge(&one.what, &living) {
            Judged::Goes(what, why) => plan.removals.push(Removal { what, bytes, why }),
            Judged::Stays(what, why) => plan.left.push(Left { what, bytes, why }),
            Judged::Unknown(name) => plan.unknown.push(name),
            Judged::InUse => {}
        }
    }
    plan
}

enum Judged {
    Goes(Thing, Why),
    Stays(Thing, LeftWhy),
    Unknown(String),
    /// It is what it is for.
    InUse,
}

impl Facts<'_> {
    fn judge(&self, what: &FoundWhat, living: &BTreeSet<AttemptId>) -> Judged {
        match what {
            FoundWhat::Attempt(attempt, seen) => {
                let Some(told) = self.history.attempts.get(attempt) else {
                    return Judged::Unknown(format!("attempts/{attempt}"));
                };
                let thing = Thing::Attempt { attempt: *attempt };
                if living.contains(attempt) {
                    return Judged::Stays(thing, LeftWhy::Runs);
                }
                let judged = self.over(thing.clone(), told.task.issue, self.ages.attempts);
                let only_copy = *seen == Seen::HoldsWork && self.only_copies == OnlyCopies::Kept;
                if only_copy && matches!(judged, Judged::Goes(..)) {
                    return Judged::Stays(thing, LeftWhy::OnlyCopy);
                }
                judged
            }
            FoundWhat::Home(dir) => match self.history.homes.get(dir) {
                Some(home) => {
                    let used =
                        |a: &AttemptId| self.history.attempts.get(a).is_some_and(|t| t.task == home.task);
                    let thing = Thing::Home(home.clone());
                    if living.iter().any(used) {
                        return Judged::Stays(thing, LeftWhy::Runs);
                    }
                    self.over(thing, home.task.issue, self.ages.homes)
                }
                None => Judged::Unknown(format!("homes/{dir}")),
            },
            FoundWhat::Commit {
                repo,
                name,
                at,
                elsewhere,
            } => {
                let thing = Thing::Commit {
                    repo: repo.clone(),
                    name: name.clone(),
                };
                self.salvage(thing, *at, *elsewhere)
            }
            FoundWhat::Aside { repo, name, at } => {
                let thing = Thing::Aside {
                    repo: repo.clone(),
                    name: name.clone(),
                };
                self.salvage(thing, *at, Elsewhere::Nowhere)
            }
            FoundWhat::Slot { repo, slot } => {
                let thing = Thing::Slot {
                    repo: repo.clone(),
                    slot: *slot,
                };
                let held = |a: &AttemptId| {
                    let told = self.history.attempts.get(a);
                    told.is_some_and(|t| t.slot.as_ref() == Some(&(repo.clone(), *slot)))
                };
                if living.iter().any(held) {
                    Judged::Stays(thing, LeftWhy::Runs)
                } else if slot.0 > self.slots {
                    Judged::Goes(thing, Why::TooManySlots { slots: self.slots })
                } else {
                    Judged::InUse
                }
            }
            FoundWhat::Socket(attempt) => {
                let thing = Thing::Socket { attempt: *attempt };
                if !self.history.attempts.contains_key(attempt) {
                    Judged::Unknown(format!("{attempt}.net"))
                } else if living.contains(attempt) {
                    Judged::Stays(thing, LeftWhy::Runs)
                } else {
                    Judged::Goes(thing, Why::Ended)
                }
            }
        }
    }

    fn over(&self, thing: Thing, issue: IssueId, keep: Span) -> Judged {
        match self.history.over_for(issue, self.now) {
            None => Judged::Stays(thing, LeftWhy::NotOver { issue }),
            Some(age) if age < keep => Judged::Stays(thing, LeftWhy::TooYoung { age, keep }),
            Some(ago) => Judged::Goes(thing, Why::IssueOver { issue, ago }),
        }
    }

    fn salvage(&self, thing: Thing, at: Timestamp, elsewhere: Elsewhere) -> Judged {
        let (age, keep) = (self.now.since(at), self.ages.salvage);
        if age < keep {
            return Judged::Stays(thing, LeftWhy::TooYoung { age, keep });
        }
        match (elsewhere, self.only_copies) {
            (Elsewhere::Landed, _) => Judged::Goes(thing, Why::Landed { age }),
            (Elsewhere::Nowhere, OnlyCopies::GivenUp) => Judged::Goes(thing, Why::GivenUp { age }),
            (Elsewhere::Nowhere, OnlyCopies::Kept) => Judged::Stays(thing, LeftWhy::OnlyCopy),
        }
    }
}

#[cfg(test)]
mod tests;
