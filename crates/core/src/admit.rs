//! Owns what a person may ask for in a given state. A request that is refused here never enters the journal;
//! `step` itself stays total and ignores what makes no sense.

use crate::State;
use crate::event::{Discard, Event};
use crate::ids::{IssueId, ShiftId, TaskId};
use crate::issue::IssueStage;
use crate::task::Stage;

/// Why a request is refused, with what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such issue.
    #[error("there is no issue {0}; `turno issue list` shows those there are")]
    NoSuchIssue(IssueId),
    /// There is no such task.
    #[error("there is no task {0}; `turno status` shows those there are")]
    NoSuchTask(TaskId),
    /// The issue is over.
    #[error("issue {0} is over ({1}); file a new one with `turno issue add`")]
    IssueIsOver(IssueId, &'static str),
    /// A shift is running.
    #[error("shift {0} is running; wait for it or stop it with `turno stop`")]
    ShiftRuns(ShiftId),
    /// No shift is running.
    #[error("no shift is running; `turno run ISSUE` starts one")]
    NoShift,
    /// An issue without a title.
    #[error("an issue needs a title; give it as `turno issue add \"TITLE\"`")]
    NoTitle,
    /// A budget of nothing.
    #[error("a budget of $0.00 starts nothing; give one with `--budget USD`")]
    NoBudget,
    /// The issue is being worked on.
    #[error(
        "issue {0} is being worked on in shift {1}; stop it first with `turno stop`, or `turno discard {0}`"
    )]
    IssueInShift(IssueId, ShiftId),
    /// The task has landed; a landed task cannot be given up alone.
    #[error("task {0} has landed; it is part of its issue's branch now")]
    HasLanded(TaskId),
    /// The task was given up before.
    #[error("task {0} is given up already")]
    IsDropped(TaskId),
    /// There is nothing on the integration branch.
    #[error("issue {0} has nothing landed to promote; `turno run {0}` works on it")]
    NothingLanded(IssueId),
    /// A fact that only Turno itself may state, e.g. that a check passed.
    #[error("that is nothing a person asks for; only turno itself says so")]
    NotAsked,
    /// No configuration was loaded.
    #[error("no configuration is loaded")]
    NoConfig,
}

/// Whether a person's request makes sense now.
///
/// # Errors
/// When it does not; the error says what to do instead.
pub fn admit(state: &State, event: &Event) -> Result<(), Refused> {
    match event {
        Event::IssueAdded { draft } => title(&draft.title),
        Event::IssueEdited { issue, draft } => {
            open_issue(state, *issue)?;
            title(&draft.title)
        }
        Event::IssueClosed { issue, .. } => {
            open_issue(state, *issue)?;
            match state.shift() {
                Some(shift) if shift.issues.contains(issue) => Err(Refused::IssueInShift(*issue, shift.id)),
                Some(_) | None => Ok(()),
            }
        }
        Event::ShiftStarted { issues, budget, .. } => {
            if let Some(shift) = state.shift() {
                return Err(Refused::ShiftRuns(shift.id));
            }
            if state.config.is_none() {
                return Err(Refused::NoConfig);
            }
            if budget.0 == 0 {
                return Err(Refused::NoBudget);
            }
            issues.iter().try_for_each(|i| open_issue(state, i.issue))
        }
        Event::StopAsked { .. } => state.shift().map(|_| ()).ok_or(Refused::NoShift),
        Event::Discarded {
            what: Discard::Issue(issue),
        } => open_issue(state, *issue),
        Event::Discarded {
            what: Discard::Task(id),
        } => match state.tasks.get(id) {
            None => Err(Refused::NoSuchTask(*id)),
            Some(task) if matches!(task.stage, Stage::Dropped { .. }) => Err(Refused::IsDropped(*id)),
            Some(task) if task.is_over() => Err(Refused::HasLanded(*id)),
            Some(_) => Ok(()),
        },
        Event::Promoted { issue, .. } => {
            open_issue(state, *issue)?;
            let landed = state
                .issues
                .get(issue)
                .and_then(|i| i.integration())
                .is_some_and(|(base, head)| base != head);
            if landed {
                Ok(())
            } else {
                Err(Refused::NothingLanded(*issue))
            }
        }
        Event::ConfigLoaded { .. }
        | Event::SessionOpened { .. }
        | Event::Metered { .. }
        | Event::AgentEnded { .. }
        | Event::ChecksEnded { .. }
        | Event::LandingEnded { .. }
        | Event::AttemptFailed { .. }
        | Event::TimePassed
        | Event::Restarted { .. } => Err(Refused::NotAsked),
    }
}

fn title(text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        Err(Refused::NoTitle)
    } else {
        Ok(())
    }
}

fn open_issue(state: &State, id: IssueId) -> Result<(), Refused> {
    match state.issues.get(&id).map(|i| &i.stage) {
        None => Err(Refused::NoSuchIssue(id)),
        Some(IssueStage::Done { .. }) => Err(Refused::IssueIsOver(id, "promoted")),
        Some(IssueStage::Closed { .. }) => Err(Refused::IssueIsOver(id, "closed")),
        Some(IssueStage::Backlog | IssueStage::Working { .. } | IssueStage::Review { .. }) => Ok(()),
    }
}
