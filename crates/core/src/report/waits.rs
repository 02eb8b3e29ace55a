//! Owns what waited in a shift, and for what. The reasons are those that the state gives after each record: the
//! function that starts work is the one that explains why it does not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::line;
use crate::ids::TaskId;
use crate::shift::Winding;
use crate::state::State;
use crate::step::{Reasons, Waiting};
use crate::units::{Span, Timestamp};
use crate::view::waiting_phrase;

/// What kind of thing was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitKind {
    /// Tasks that come first.
    Needs,
    /// The issue's branch, to be begun.
    Opening,
    /// The group of a batch before it.
    Group,
    /// The other candidates of a contest.
    Candidates,
    /// A task in flight that writes the same paths.
    Overlap,
    /// A free slot.
    Slot,
    /// A persona that runs as often as it may, or that nobody plays.
    Persona,
    /// An agent that is at its limit.
    Agent,
    /// An agent's account that is closed for a time.
    Account,
    /// The time of the next try.
    Backoff,
    /// The change that is being landed.
    Landing,
    /// Money.
    Budget,
    /// Room on a disk.
    Disk,
    /// A person.
    Person,
    /// The end of the shift: it starts nothing more.
    Winding,
}

impl WaitKind {
    /// For people.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Needs => "for tasks that come first",
            Self::Opening => "for its branch to be begun",
            Self::Group => "for the group before it",
            Self::Candidates => "for the other candidates",
            Self::Overlap => "for a task that writes the same paths",
            Self::Slot => "for a free slot",
            Self::Persona => "for a persona",
            Self::Agent => "for an agent",
            Self::Account => "for an account to open",
            Self::Backoff => "before another try",
            Self::Landing => "for its turn to land",
            Self::Budget => "for money",
            Self::Disk => "for room on a disk",
            Self::Person => "for a person",
            Self::Winding => "until the shift was over",
        }
    }

    /// Whether more slots, agents or money would have made it shorter: then it is shown as a queue.
    pub fn is_for_means(self) -> bool {
        match self {
            Self::Slot
            | Self::Persona
            | Self::Agent
            | Self::Account
            | Self::Backoff
            | Self::Landing
            | Self::Budget
            | Self::Disk => true,
            Self::Needs
            | Self::Opening
            | Self::Group
            | Self::Candidates
            | Self::Overlap
            | Self::Person
            | Self::Winding => false,
        }
    }

    fn of(why: &Waiting) -> Option<Self> {
        Some(match why {
            Waiting::NoShift => return None,
            Waiting::WindingDown(_) => Self::Winding,
            Waiting::Opening => Self::Opening,
            Waiting::Needs(_) => Self::Needs,
            Waiting::Group(_) => Self::Group,
            Waiting::Candidates(_) => Self::Candidates,
            Waiting::Overlaps(_) => Self::Overlap,
            Waiting::PersonaBusy(_) | Waiting::NobodyFor(_) => Self::Persona,
            Waiting::Reserved | Waiting::NoFreeSlot => Self::Slot,
            Waiting::Until { .. } => Self::Backoff,
            Waiting::Person(_) | Waiting::Held(_) => Self::Person,
            Waiting::LandingBusy(_) | Waiting::Following(_) => Self::Landing,
            Waiting::AgentsBusy(_) => Self::Agent,
            Waiting::Budget { .. } => Self::Budget,
            Waiting::Account { .. } => Self::Account,
            Waiting::Disk(_) => Self::Disk,
        })
    }
}

/// One wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Of which task.
    pub task: TaskId,
    /// For what.
    pub kind: WaitKind,
    /// The same in words, as it was when the wait began.
    pub why: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

impl Wait {
    /// How long.
    pub fn span(&self) -> Span {
        self.to.since(self.from)
    }
}

/// All waits for one kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitSum {
    /// For what.
    pub kind: WaitKind,
    /// How many.
    pub waits: u32,
    /// How long, added up over tasks.
    pub time_ms: u64,
}

/// How many tasks could have gone on at a time if there had been means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Queued {
    /// From when; until the next one.
    pub at: Timestamp,
    /// How many.
    pub tasks: u32,
}

/// What waited, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// The longest, the longest first. What waits for a person at the end is told as parked, not here.
    pub longest: Vec<Wait>,
    /// Sums by kind, the longest first.
    pub sums: Vec<WaitSum>,
    /// How many tasks waited for a slot, an agent, a turn to land, money or another try; thinned out when very many.
    pub queue: Vec<Queued>,
}

/// So many of the longest waits are told.
const LONGEST: usize = 12;

/// More steps of the queue than these are thinned out.
const STEPS: usize = 2048;

/// A wait that goes on.
#[derive(Debug)]
struct Open {
    kind: WaitKind,
    why: String,
    from: Timestamp,
}

/// The waits as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    open: BTreeMap<TaskId, Open>,
    longest: Vec<Wait>,
    sums: BTreeMap<WaitKind, (u32, u64)>,
    queue: Vec<Queued>,
    /// Why a task that was never begun was not, as it was last said before the shift ended.
    why: BTreeMap<TaskId, String>,
}

impl Tracker {
    /// Looks at every task of the shift after a record.
    pub(super) fn look(&mut self, state: &State, at: Timestamp) {
        let Some(shift) = state.shift() else { return };
        let reasons = Reasons::of(state);
        for task in shift.issues.iter().flat_map(|i| state.tasks_of(*i)) {
            let now = reasons.why(task).and_then(|why| Some((WaitKind::of(&why)?, why)));
            // An issue's own task waits for all the others: that is no news.
            let now = now.filter(|(kind, _)| !(task.id.is_lead() && *kind == WaitKind::Needs));
            if let Some((_, why)) = &now {
                self.why.insert(task.id, words(why));
            }
            let goes_on = match (&now, self.open.get(&task.id)) {
                (Some((kind, _)), Some(open)) => *kind == open.kind,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if goes_on {
                continue;
            }
            self.close(task.id, at);
            if let Some((kind, why)) = now {
                let why = words(&why);
                self.open.insert(task.id, Open { kind, why, from: at });
            }
        }
        let tasks = self.open.values().filter(|o| o.kind.is_for_means()).count();
        self.queued(at, u32::try_from(tasks).unwrap_or(u32::MAX));
    }

    fn queued(&mut self, at: Timestamp, tasks: u32) {
        match self.queue.last_mut() {
            Some(last) if last.tasks == tasks => return,
            Some(last) if last.at == at => last.tasks = tasks,
            Some(_) | None => self.queue.push(Queued { at, tasks }),
        }
        if self.queue.len() > STEPS {
            let last = self.queue.len() - 1;
            let mut place = 0;
            self.queue.retain(|_| {
                let keep = place % 2 == 0 || place == last;
                place += 1;
                keep
            });
        }
    }

    fn close(&mut self, task: TaskId, to: Timestamp) {
        let Some(Open { kind, why, from }) = self.open.remove(&task) else {
            return;
        };
        let span = to.since(from);
        if span == Span(0) {
            return;
        }
        let sum = self.sums.entry(kind).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(span.0);
        let wait = Wait {
            task,
            kind,
            why,
            from,
            to,
        };
        let place = self.longest.partition_point(|w| w.span() >= span);
        self.longest.insert(place, wait);
        self.longest.truncate(LONGEST);
    }

    /// Why a task was not begun.
    pub(super) fn why(&self, task: TaskId) -> Option<&str> {
        self.why.get(&task).map(String::as_str)
    }

    /// All of it. What still waits for a person is left out.
    pub(super) fn finish(mut self, until: Timestamp) -> Waits {
        self.open.retain(|_, open| open.kind != WaitKind::Person);
        let open: Vec<TaskId> = self.open.keys().copied().collect();
        for task in open {
            self.close(task, until);
        }
        let sums = self.sums.into_iter();
        let mut sums: Vec<WaitSum> = sums
            .map(|(kind, (waits, time_ms))| WaitSum { kind, waits, time_ms })
            .collect();
        sums.sort_by_key(|s| (std::cmp::Reverse(s.time_ms), s.kind));
        Waits {
            longest: self.longest,
            sums,
            queue: self.queue,
        }
    }
}

fn words(why: &Waiting) -> String {
    match why {
        Waiting::WindingDown(winding) => match winding {
            Winding::Budget => "the budget was spent before its turn came".to_owned(),
            Winding::TimeUp => "the time was up before its turn came".to_owned(),
            Winding::Drain | Winding::Stop => "a person stopped the shift before its turn came".to_owned(),
        },
        Waiting::NoShift
        | Waiting::Opening
        | Waiting::Needs(_)
        | Waiting::Group(_)
        | Waiting::Candidates(_)
        | Waiting::Overlaps(_)
        | Waiting::PersonaBusy(_)
        | Waiting::Reserved
        | Waiting::Until { .. }
        | Waiting::Person(_)
        | Waiting::NoFreeSlot
        | Waiting::LandingBusy(_)
        | Waiting::Following(_)
        | Waiting::NobodyFor(_)
        | Waiting::AgentsBusy(_)
        | Waiting::Account { .. }
        | Waiting::Budget { .. }
        | Waiting::Disk(_)
        | Waiting::Held(_) => line(&waiting_phrase(why)),
    }
}
