//! Owns what a board is made of: in which column an issue stands, and which of its tasks keep it the longest. Derived
//! from the state, never stored. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{IssueId, TaskId};
use crate::issue::{Issue, IssueStage};
use crate::state::State;
use crate::task::{Stage, Task, Work};

/// A column of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    /// Filed, not begun.
    Backlog,
    /// Its author splits it into tasks, or its branch is being begun.
    Planning,
    /// Its tasks are being worked on.
    Working,
    /// What has landed is tried, and held against what was asked for.
    Accepting,
    /// All that was asked for has landed; it can be promoted.
    Review,
    /// On a branch of the user's.
    Done,
    /// What is left of it waits for a person.
    Parked,
}

impl Column {
    /// All columns, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Backlog,
        Self::Planning,
        Self::Working,
        Self::Accepting,
        Self::Review,
        Self::Done,
        Self::Parked,
    ];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Backlog => "Backlog",
            Self::Planning => "Planning",
            Self::Working => "Working",
            Self::Accepting => "Accepting",
            Self::Review => "Review",
            Self::Done => "Done",
            Self::Parked => "Parked",
        }
    }
}

/// In which column an issue stands. `None` for one that was closed without being done: it is on no board.
pub fn column(state: &State, issue: &Issue) -> Option<Column> {
    match &issue.stage {
        IssueStage::Backlog => Some(Column::Backlog),
        IssueStage::Opening { .. } => Some(Column::Planning),
        IssueStage::Working { .. } => Some(at_work(state, issue)),
        IssueStage::Review { .. } => Some(Column::Review),
        IssueStage::Done { .. } => Some(Column::Done),
        IssueStage::Closed { .. } => None,
    }
}

fn at_work(state: &State, issue: &Issue) -> Column {
    let tasks: Vec<&Task> = state.tasks_of(issue.id).map(AsRef::as_ref).collect();
    let parked = tasks.iter().any(|t| matches!(t.stage, Stage::Parked { .. }));
    if parked && !tasks.iter().any(|t| goes_on(t)) {
        return Column::Parked;
    }
    let pieces_at_work = tasks.iter().any(|t| !t.id.is_lead() && goes_on(t));
    let lead = tasks.iter().find(|t| t.id.is_lead());
    match lead.map(|t| &t.stage) {
        _ if pieces_at_work => Column::Working,
        None => Column::Working,
        Some(stage) => of_lead(stage),
    }
}

/// Whether something happens to a task without a person's word, now or when it is its turn.
fn goes_on(task: &Task) -> bool {
    task.run().is_some()
        || matches!(
            task.stage,
            Stage::Ready { .. } | Stage::Backoff { .. } | Stage::Entered { .. }
        )
}

/// The column that an issue's own task speaks for while no piece is at work.
fn of_lead(stage: &Stage) -> Column {
    match stage {
        Stage::Planning { .. } | Stage::Surveying { .. } => Column::Planning,
        Stage::Trying { .. } | Stage::Accepting { .. } | Stage::Accepted { .. } => Column::Accepting,
        Stage::Ready { work, .. } | Stage::Backoff { work, .. } | Stage::Parked { work, .. } => match work {
            Work::Plan(_) | Work::Survey => Column::Planning,
            Work::Try | Work::Accept(_) => Column::Accepting,
            Work::Write(_)
            | Work::Check(_)
            | Work::Test(_)
            | Work::Review(_)
            | Work::Compare(_)
            | Work::Land(_) => Column::Working,
        },
        Stage::Blocked
        | Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Reviewing { .. }
        | Stage::Testing { .. }
        | Stage::Entered { .. }
        | Stage::Comparing { .. }
        | Stage::Landing { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => Column::Working,
    }
}

/// The longest chain of an issue's tasks that are not over, each of which needs the one before it: nothing ends the
/// issue sooner. The first is the one to be done first.
pub fn critical_path(state: &State, issue: IssueId) -> Vec<TaskId> {
    let open: BTreeMap<TaskId, &BTreeSet<TaskId>> = state
        .pieces_of(issue)
        .filter(|t| !t.is_over())
        .map(|t| (t.id, &t.spec.needs))
        .collect();
    let mut chains: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
    // Plans have no cycles, so each round ends at least one chain; one that had would end here too.
    for _ in 0..open.len() {
        for (id, needs) in &open {
            let mut needs = needs.iter().filter(|n| open.contains_key(n));
            if chains.contains_key(id) || needs.clone().any(|n| !chains.contains_key(n)) {
                continue;
            }
            let longest = needs
                .by_ref()
                .filter_map(|n| chains.get(n))
                .max_by_key(|c| c.len());
            let mut chain = longest.cloned().unwrap_or_default();
            chain.push(*id);
            chains.insert(*id, chain);
        }
    }
    let longest = chains.into_values().max_by_key(Vec::len);
    longest.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::task::TaskSpec;

    fn task(number: u16, needs: &[u16], stage: Stage) -> Arc<Task> {
        let id = |number| TaskId {
            issue: IssueId(1),
            number,
        };
        let spec = TaskSpec {
            needs: needs.iter().map(|n| id(*n)).collect(),
            ..TaskSpec::default()
        };
        Arc::new(Task::new(id(number), spec, stage))
    }

    fn path(tasks: &[Arc<Task>]) -> Vec<u16> {
        let mut state = State::default();
        for task in tasks {
            state.tasks.insert(task.id, Arc::clone(task));
        }
        critical_path(&state, IssueId(1))
            .iter()
            .map(|t| t.number)
            .collect()
    }

    #[test]
    fn the_longest_chain_of_open_tasks_is_critical() {
        let dropped = Stage::Dropped { why: String::new() };
        let tasks = [
            task(0, &[], Stage::Blocked),
            task(1, &[], dropped.clone()),
            task(2, &[1], Stage::Blocked),
            task(3, &[], Stage::Blocked),
            task(4, &[3], Stage::Blocked),
            task(5, &[4, 2], Stage::Blocked),
            task(6, &[2], Stage::Blocked),
        ];
        assert_eq!(path(&tasks), [3, 4, 5]);
        assert_eq!(path(&[task(1, &[], dropped)]), [] as [u16; 0]);
        assert_eq!(
            path(&[task(1, &[2], Stage::Blocked), task(2, &[1], Stage::Blocked)]),
            [] as [u16; 0]
        );
    }
}
