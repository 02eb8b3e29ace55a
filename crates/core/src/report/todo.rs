//! Owns what a report tells a person to type, as whole commands.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::ids::{AttemptId, DecisionId, IssueId, TaskId};
use crate::ledger::{Level, Measure};

/// Something that a person may type. Serialised as the whole command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Todo {
    /// Answer a question, by the number of an option, or in words of one's own.
    Answer(DecisionId, Option<usize>),
    /// Run an issue again.
    RunAgain(IssueId),
    /// Change an issue's words.
    Edit(IssueId),
    /// Give a task up.
    Discard(TaskId),
    /// Put an issue's work on a branch of one's own.
    Promote(IssueId),
    /// Look at what an issue changed.
    Diff(IssueId),
    /// Let a level of the ledger use more.
    Raise(Level, Measure),
    /// Read what an attempt said.
    Log(AttemptId),
    /// Read why each thing happened.
    Explain(TaskId),
}

impl fmt::Display for Todo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(id, Some(option)) => write!(f, "turno answer {id} {option}"),
            Self::Answer(id, None) => write!(f, "turno answer {id} \"YOUR WORDS\""),
            Self::RunAgain(issue) => write!(f, "turno run {issue}"),
            Self::Edit(issue) => write!(f, "turno issue edit {issue} --body \"NEW WORDS\""),
            Self::Discard(task) => write!(f, "turno discard {task}"),
            Self::Promote(issue) => write!(f, "turno promote {issue}"),
            Self::Diff(issue) => write!(f, "turno diff {issue}"),
            Self::Raise(level, measure) => f.write_str(&level.raise(*measure)),
            Self::Log(attempt) => write!(f, "turno log {attempt}"),
            Self::Explain(task) => write!(f, "turno explain {task}"),
        }
    }
}

impl Serialize for Todo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
