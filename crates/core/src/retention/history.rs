//! Owns what the journal says of things that may lie about: whose they are, and since when nobody needs them.

use std::collections::{BTreeMap, BTreeSet};

use super::HomeName;
use crate::command::Command;
use crate::ids::{AttemptId, IssueId, RepoName, SlotId, TaskId};
use crate::issue::IssueStage;
use crate::record::Record;
use crate::state::{Entity, State};
use crate::units::{Span, Timestamp};

/// What the journal says of what may lie about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub(super) attempts: BTreeMap<AttemptId, Told>,
    pub(super) homes: BTreeMap<String, HomeName>,
    /// Issues that are over, and since when.
    pub(super) over: BTreeMap<IssueId, Timestamp>,
    pub(super) running: BTreeSet<AttemptId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) task: TaskId,
    pub(super) slot: Option<(RepoName, SlotId)>,
}

impl History {
    /// From all records and the state after them.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>, state: &State) -> Self {
        let mut history = Self::default();
        for record in records {
            for command in &record.commands {
                history.note(command);
            }
            for entity in &record.changes {
                let Entity::Issue(issue) = entity else { continue };
                match &issue.stage {
                    IssueStage::Done { .. } | IssueStage::Closed { .. } => {
                        history.over.entry(issue.id).or_insert(record.at);
                    }
                    IssueStage::Backlog
                    | IssueStage::Opening { .. }
                    | IssueStage::Working { .. }
                    | IssueStage::Review { .. } => drop(history.over.remove(&issue.id)),
                }
            }
        }
        history.running = state.attempts();
        history
    }

    fn note(&mut self, command: &Command) {
        let (attempt, task, slot) = match command {
            Command::StartAgent(start) => {
                let home = HomeName {
                    task: start.task,
                    persona: start.persona.clone(),
                    agent: start.agent.clone(),
                };
                self.homes.insert(home.dir(), home);
                (start.attempt, start.task, Some((start.repo.clone(), start.slot)))
            }
            Command::RunChecks(start) => (start.attempt, start.task, Some((start.repo.clone(), start.slot))),
            Command::Land(start) => (start.attempt, start.task, None),
            Command::Follow(start) => (start.attempt, TaskId::lead(start.issue), None),
            Command::StopAttempt { .. }
            | Command::OpenIssue { .. }
            | Command::Reply { .. }
            | Command::Foresee { .. }
            | Command::Nudge { .. }
            | Command::Tell { .. }
            | Command::Adopt { .. }
            | Command::WarnOfBudget { .. }
            | Command::EndShift { .. } => return,
        };
        self.attempts.insert(attempt, Told { task, slot });
    }

    /// The issue that an attempt was for.
    pub fn issue_of(&self, attempt: AttemptId) -> Option<IssueId> {
        self.attempts.get(&attempt).map(|t| t.task.issue)
    }

    /// The home that is in a directory of this name.
    pub fn home(&self, dir: &str) -> Option<&HomeName> {
        self.homes.get(dir)
    }

    /// How long an issue has been over; none when it is not.
    pub(super) fn over_for(&self, issue: IssueId, now: Timestamp) -> Option<Span> {
        self.over.get(&issue).map(|since| now.since(*since))
    }
}
