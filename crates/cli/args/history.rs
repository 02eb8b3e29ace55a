//! Owns the words of the verbs that show what happened: what was said, why, and what came of it.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use turno_core::ids::{AttemptId, TaskId};

use super::{Subject, parse_subject};

#[derive(Debug, ClapArgs)]
pub(crate) struct Log {
    /// An attempt, e.g. a3: show what it said. A task, e.g. 1.1: show who said what about it. Without it: what
    /// happened in the workspace.
    #[arg(value_parser = parse_said, value_name = "ATTEMPT|TASK")]
    pub(crate) about: Option<LogSubject>,
    /// Go on showing what happens.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The bytes as they were said, nothing left out.
    #[arg(long, requires = "about")]
    pub(crate) raw: bool,
    /// Print NDJSON.
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

/// What a log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogSubject {
    /// One attempt.
    Attempt(AttemptId),
    /// One task.
    Task(TaskId),
}

pub(super) fn parse_said(text: &str) -> Result<LogSubject, String> {
    let parsed = if text.contains('.') {
        text.parse().map(LogSubject::Task)
    } else {
        text.parse().map(LogSubject::Attempt)
    };
    parsed.map_err(|e: turno_core::ids::InvalidId| e.to_string())
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Record {
    /// Which attempt of an agent, e.g. a3.
    pub(crate) attempt: AttemptId,
    /// Write it to a new file instead of printing it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// Which task, e.g. 1.1.
    pub(crate) task: TaskId,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// An issue (7) or a task (7.1).
    #[arg(value_parser = parse_subject, value_name = "ISSUE|TASK")]
    pub(crate) subject: Subject,
    /// Only name the files and count the lines.
    #[arg(long)]
    pub(crate) stat: bool,
}
