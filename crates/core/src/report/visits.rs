//! Owns the visits of people to tasks: who was attached to which, for how long, and what they left. What a visit costs
//! is nobody's figure: it is told that it was not metered.

use serde::Serialize;

use crate::event::Event;
use crate::holding::{Brought, Leaving};
use crate::ids::{AgentName, AttemptId, CommitId, TaskId};
use crate::record::Record;
use crate::shift::Shift;
use crate::state::State;
use crate::task::Task;
use crate::units::{Span, Timestamp};

/// A person who was attached to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visited {
    /// The id of their stay.
    pub attempt: AttemptId,
    /// Which task.
    pub task: TaskId,
    /// Since when.
    pub from: Timestamp,
    /// How it ended, if it has.
    pub stay: Stay,
}

/// How far a visit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stay {
    /// They were still there at the end of what the report knows.
    GoesOn,
    /// They have left.
    Left {
        /// When.
        at: Timestamp,
        /// In which way.
        leaving: Leaving,
        /// What was in the slot then.
        with: With,
    },
}

/// What a person has left in the slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum With {
    /// What they found.
    Nothing,
    /// A candidate.
    Candidate {
        /// Its commit.
        commit: CommitId,
        /// The agent at whose terminal they were.
        agent: AgentName,
    },
}

impl Visited {
    /// How long they stayed, as far as the report knows.
    pub fn span(&self, until: Timestamp) -> Span {
        match self.stay {
            Stay::GoesOn => until.since(self.from),
            Stay::Left { at, .. } => at.since(self.from),
        }
    }
}

/// The visits as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Visits {
    known: Vec<Visited>,
}

impl Visits {
    /// Who is attached already when the shift begins.
    pub(super) fn seed(&mut self, state: &State) {
        for task in state.tasks.values() {
            self.is_there(task);
        }
    }

    /// Takes a task in as it became.
    pub(super) fn task(&mut self, was: Option<&Task>, now: &Task, record: &Record) {
        self.is_there(now);
        let Some(visit) = was.and_then(|t| t.hold.visit()) else {
            return;
        };
        if let Event::TaskGivenBack {
            attempt,
            brought,
            leaving,
            ..
        } = &record.event
            && *attempt == visit.attempt
            && let Some(known) = self.known.iter_mut().find(|v| v.attempt == *attempt)
        {
            known.stay = Stay::Left {
                at: record.at,
                leaving: *leaving,
                with: match brought {
                    Brought::Nothing => With::Nothing,
                    Brought::Change(change) => With::Candidate {
                        commit: change.commit.clone(),
                        agent: change.writer.agent.clone(),
                    },
                },
            };
        }
    }

    /// Those to tasks of a shift, in the order in which they began.
    pub(super) fn finish(self, shift: &Shift) -> Vec<Visited> {
        let ours = |v: &Visited| shift.issues.contains(&v.task.issue);
        self.known.into_iter().filter(ours).collect()
    }

    fn is_there(&mut self, task: &Task) {
        if let Some(visit) = task.hold.visit()
            && !self.known.iter().any(|v| v.attempt == visit.attempt)
        {
            self.known.push(Visited {
                attempt: visit.attempt,
                task: task.id,
                from: visit.since,
                stay: Stay::GoesOn,
            });
        }
    }
}
