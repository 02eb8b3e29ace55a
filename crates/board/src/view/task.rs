//! Owns a task as it is shown: what it is to do, what was said about it, and why each thing happened to it.

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::State;
use turno_core::conversation::{Speaker, Spoken};
use turno_core::explain::Line;
use turno_core::ids::{AttemptId, Seq, TaskId};
use turno_core::units::Timestamp;
use turno_core::view;
use utoipa::ToSchema;

use super::attempt::AttemptView;
use super::board::{ChecksView, RunCard, checks_of};
use super::decision::DecisionView;
use super::issue::{TaskNode, findings};
use super::things::FindingView;

/// A task with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskPage {
    /// The last record that is in it.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The task.
    pub task: TaskNode,
    /// What is to be done, in Markdown. It is text from outside.
    pub brief: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// What runs for it.
    pub running: Option<RunCard>,
    /// What is known of the checks of its change.
    pub checks: ChecksView,
    /// What was found wrong in the work on it.
    pub findings: Vec<FindingView>,
    /// Questions about it.
    pub decisions: Vec<DecisionView>,
    /// Every attempt for it.
    pub attempts: Vec<AttemptView>,
    /// Who said what about it, in order.
    pub conversation: Vec<SpokenView>,
    /// Why each thing happened to it, in order.
    pub history: Vec<HistoryView>,
}

/// One thing that was said about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpokenView {
    /// When.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// By whom, for people.
    pub by: String,
    /// In which attempt, where it was an agent.
    #[schema(value_type = Option<u64>)]
    pub attempt: Option<AttemptId>,
    /// What, in one line.
    pub says: String,
    /// And more, one line each.
    pub more: Vec<String>,
}

/// One thing that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HistoryView {
    /// In which record.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// When.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// What happened.
    pub what: String,
    /// What followed for the task.
    pub so: String,
    /// What else is told of it.
    pub notes: Vec<String>,
    /// The evidence that work goes back with.
    pub evidence: Vec<String>,
}

impl From<Line> for HistoryView {
    fn from(line: Line) -> Self {
        Self {
            seq: line.seq,
            at: line.at,
            what: line.what,
            so: line.so,
            notes: line.notes,
            evidence: line.evidence,
        }
    }
}

impl From<Spoken> for SpokenView {
    fn from(spoken: Spoken) -> Self {
        let (by, attempt) = match spoken.by {
            Speaker::Agent {
                persona,
                agent,
                attempt,
            } => (format!("{persona} ({agent})"), Some(attempt)),
            Speaker::Checks => ("checks".to_owned(), None),
            Speaker::Landing => ("landing".to_owned(), None),
            Speaker::Person => ("you".to_owned(), None),
        };
        Self {
            at: spoken.at,
            by,
            attempt,
            says: spoken.says,
            more: spoken.more,
        }
    }
}

/// What the journal tells of a task.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) attempts: Vec<AttemptView>,
    pub(crate) conversation: Vec<Spoken>,
    pub(crate) history: Vec<Line>,
}

pub(crate) fn task(
    state: &State,
    seq: Seq,
    id: TaskId,
    told: Told,
    doing: &BTreeMap<AttemptId, String>,
) -> Option<TaskPage> {
    let task = state.tasks.get(&id)?;
    let mut checks = ChecksView::default();
    checks_of(task, &mut checks);
    let status = view::status(state);
    let running = status.running.iter().find(|r| r.task == id);
    let lands_it = |a: &AttemptView| match &a.kind {
        super::attempt::AttemptKind::Landing { with } => with.contains(&id),
        _ => false,
    };
    Some(TaskPage {
        seq,
        task: TaskNode::one(state, id)?,
        brief: task.spec.brief.clone(),
        acceptance: task.spec.acceptance.clone(),
        running: running.map(|r| RunCard::of(r, doing)),
        checks,
        findings: findings(task),
        decisions: state
            .decisions
            .values()
            .filter(|d| d.task == id)
            .map(|d| DecisionView::of(d))
            .collect(),
        attempts: told
            .attempts
            .into_iter()
            .filter(|a| a.task == id || lands_it(a))
            .collect(),
        conversation: told.conversation.into_iter().map(Into::into).collect(),
        history: told.history.into_iter().map(Into::into).collect(),
    })
}
