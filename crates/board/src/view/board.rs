//! Owns the board itself: the columns and the cards in them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use turno_core::State;
use turno_core::board::{Column, column};
use turno_core::check::CheckVerdict;
use turno_core::decision::Decision;
use turno_core::ids::{
    AgentName, AttemptId, CheckName, DecisionId, IssueId, PersonaName, RepoName, Seq, SlotId, TaskId,
};
use turno_core::issue::{Issue, Priority};
use turno_core::ledger::{Level, levels};
use turno_core::step::{Waiting, waiting};
use turno_core::task::{Because, Proof, Stage, Task, Work};
use turno_core::units::{MicroUsd, Timestamp};
use turno_core::view::{self, RunBy, RunPlace, RunView, StageName, waiting_phrase};
use utoipa::ToSchema;

use super::BudgetView;
use super::decision::DecisionView;
use super::shift::ShiftCard;
use crate::mirror::{Coordinator, Seen};

/// Of the issues that are done so many are shown, the latest.
const DONE: usize = 50;

/// The board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardView {
    /// The last record that is in it: events after this one are news.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// When it was made.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// What the workspace is called.
    pub project: String,
    /// Whether somebody coordinates.
    pub coordinator: CoordinatorView,
    /// The latest shift, running or over.
    pub shift: Option<ShiftCard>,
    /// How many slots there are.
    pub slots: u16,
    /// How many of them nobody holds.
    pub free_slots: u16,
    /// The columns, in the order in which they are shown.
    pub columns: Vec<ColumnView>,
    /// How many issues were closed without being done; they are in no column.
    pub closed: usize,
    /// Questions that wait for a person.
    pub decisions: Vec<DecisionView>,
    /// Levels of the ledger that are nearly used up.
    pub warnings: Vec<BudgetView>,
}

/// Whether somebody coordinates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CoordinatorView {
    /// One does.
    Works,
    /// Nobody does.
    None,
    /// What is shown may be old.
    Trouble {
        /// Why.
        why: String,
    },
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ColumnView {
    /// Which: `backlog`, `planning`, `working`, `accepting`, `review`, `done`, `parked`.
    #[schema(value_type = String)]
    pub column: Column,
    /// The same for people.
    pub title: &'static str,
    /// How many issues stand in it. Of those that are done only the latest have a card.
    pub issues: usize,
    /// Urgent ones first, then those with the lower number; those that are done, the latest first.
    pub cards: Vec<CardView>,
}

/// One issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CardView {
    /// Its id.
    #[schema(value_type = u32)]
    pub id: IssueId,
    /// One line.
    pub title: String,
    /// `urgent`, `high`, `normal` or `low`.
    #[schema(value_type = String)]
    pub priority: Priority,
    /// Free words.
    pub labels: Vec<String>,
    /// The repository it is about.
    #[schema(value_type = String)]
    pub repo: RepoName,
    /// Issues that must be done first.
    #[schema(value_type = Vec<u32>)]
    pub needs: Vec<IssueId>,
    /// What runs for it.
    pub running: Vec<RunCard>,
    /// How many tasks it has, besides its own.
    pub tasks: TaskCount,
    /// Attempts of agents at the task of it that took the most.
    pub rounds: u32,
    /// What is known of the checks of the changes under way.
    pub checks: ChecksView,
    /// What it has cost.
    #[schema(value_type = u64)]
    pub cost: MicroUsd,
    /// What it may cost.
    #[schema(value_type = Option<u64>)]
    pub limit: Option<MicroUsd>,
    /// Why it does not go on, if nothing runs for it.
    pub waiting: Option<String>,
    /// Open questions about it.
    #[schema(value_type = Vec<u32>)]
    pub questions: Vec<DecisionId>,
    /// What somebody should know of how its branch keeps up with the user's.
    pub alarm: Option<String>,
}

/// How many tasks an issue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskCount {
    /// In all, without those that were given up.
    pub all: u32,
    /// Those that have landed.
    pub landed: u32,
    /// Those that have an attempt running.
    pub running: u32,
    /// Those that wait for a person.
    pub parked: u32,
}

/// What is known of the checks of the changes under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChecksView {
    /// Those that passed for every change that they were run for.
    #[schema(value_type = Vec<String>)]
    pub green: BTreeSet<CheckName>,
    /// Those that failed for one.
    #[schema(value_type = Vec<String>)]
    pub red: BTreeSet<CheckName>,
}

/// A running attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunCard {
    /// Its id.
    #[schema(value_type = u64)]
    pub attempt: AttemptId,
    /// For which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// What it does.
    #[schema(value_type = String)]
    pub stage: StageName,
    /// The persona that is live; absent where Turno itself works.
    #[schema(value_type = Option<String>)]
    pub persona: Option<PersonaName>,
    /// The agent that plays it.
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// In which slot; absent for the one kept for landing.
    #[schema(value_type = Option<u16>)]
    pub slot: Option<SlotId>,
    /// Since when.
    #[schema(value_type = i64)]
    pub started: Timestamp,
    /// Until when at the latest.
    #[schema(value_type = i64)]
    pub deadline: Timestamp,
    /// Spent by it so far.
    #[schema(value_type = u64)]
    pub cost: MicroUsd,
    /// What it did last, in a line; absent until something was heard of it.
    pub doing: Option<String>,
}

impl RunCard {
    pub(crate) fn of(run: &RunView, doing: &BTreeMap<AttemptId, String>) -> Self {
        let (persona, agent) = match &run.by {
            RunBy::Agent { persona, agent } => (Some(persona.clone()), Some(agent.clone())),
            RunBy::Turno => (None, None),
        };
        Self {
            attempt: run.attempt,
            task: run.task,
            stage: run.stage,
            persona,
            agent,
            slot: match run.place {
                RunPlace::Slot(slot) => Some(slot),
                RunPlace::Landing => None,
            },
            started: run.started,
            deadline: run.deadline,
            cost: run.cost,
            doing: doing.get(&run.attempt).cloned(),
        }
    }
}

impl From<&Coordinator> for CoordinatorView {
    fn from(coordinator: &Coordinator) -> Self {
        match coordinator {
            Coordinator::Works => Self::Works,
            Coordinator::None => Self::None,
            Coordinator::Trouble(why) => Self::Trouble {
                why: why.as_ref().to_owned(),
            },
        }
    }
}

/// The board as it is seen.
pub(crate) fn board(
    seen: &Seen,
    doing: &BTreeMap<AttemptId, String>,
    project: String,
    now: Timestamp,
) -> BoardView {
    let state = seen.state.as_ref();
    let running = view::status(state).running;
    let running: Vec<RunCard> = running.iter().map(|r| RunCard::of(r, doing)).collect();
    let open: Vec<&Decision> = state
        .decisions
        .values()
        .filter(|d| d.is_open())
        .map(AsRef::as_ref)
        .collect();
    let mut standing: BTreeMap<Column, Vec<&Issue>> = BTreeMap::new();
    let mut closed = 0;
    for issue in state.issues.values() {
        match column(state, issue) {
            Some(column) => standing.entry(column).or_default().push(issue),
            None => closed += 1,
        }
    }
    let columns = Column::ALL.into_iter().map(|column| {
        let mut issues = standing.remove(&column).unwrap_or_default();
        let count = issues.len();
        if column == Column::Done {
            issues.reverse();
            issues.truncate(DONE);
        } else {
            issues.sort_by_key(|i| (i.draft.priority, i.id));
        }
        ColumnView {
            column,
            title: column.title(),
            issues: count,
            cards: issues.iter().map(|i| card(state, i, &running, &open)).collect(),
        }
    });
    BoardView {
        columns: columns.collect(),
        closed,
        ..head(seen, project, now)
    }
}

/// What every page has at its top: the board without its columns.
pub(crate) fn head(seen: &Seen, project: String, now: Timestamp) -> BoardView {
    let state = seen.state.as_ref();
    let open = state.decisions.values().filter(|d| d.is_open());
    let warned = levels(state, now);
    BoardView {
        seq: seen.head,
        at: now,
        project,
        coordinator: (&seen.coordinator).into(),
        shift: state.shifts.values().next_back().map(|s| ShiftCard::of(state, s)),
        slots: state.config.as_ref().map_or(0, |c| c.slots),
        free_slots: u16::try_from(state.free_slots().len()).unwrap_or(u16::MAX),
        columns: Vec::new(),
        closed: 0,
        decisions: open.map(|d| DecisionView::of(d)).collect(),
        warnings: warned
            .iter()
            .filter(|l| !l.warned.is_empty())
            .map(BudgetView::of)
            .collect(),
    }
}

fn card(state: &State, issue: &Issue, running: &[RunCard], open: &[&Decision]) -> CardView {
    let tasks: Vec<&Task> = state.tasks_of(issue.id).map(AsRef::as_ref).collect();
    let running: Vec<RunCard> = running
        .iter()
        .filter(|r| r.task.issue == issue.id)
        .cloned()
        .collect();
    let questions = open.iter().filter(|d| d.task.issue == issue.id);
    CardView {
        id: issue.id,
        title: issue.draft.title.clone(),
        priority: issue.draft.priority,
        labels: issue.draft.labels.clone(),
        repo: issue.draft.repo.clone(),
        needs: issue.draft.needs.iter().copied().collect(),
        tasks: count(&tasks),
        rounds: tasks.iter().map(|t| t.attempts.values().sum()).max().unwrap_or(0),
        checks: checks(&tasks),
        cost: state.cost_of(issue.id),
        limit: state.limit(&Level::Issue(issue.id)).usd,
        waiting: if running.is_empty() {
            why(state, &tasks)
        } else {
            None
        },
        running,
        questions: questions.map(|d| d.id).collect(),
        alarm: issue.following.alarm_phrase(),
    }
}

fn count(tasks: &[&Task]) -> TaskCount {
    let mut count = TaskCount::default();
    for task in tasks.iter().filter(|t| !t.id.is_lead()) {
        if matches!(task.stage, Stage::Dropped { .. }) {
            continue;
        }
        count.all += 1;
        count.landed += u32::from(matches!(task.stage, Stage::Landed { .. }));
        count.running += u32::from(task.run().is_some());
        count.parked += u32::from(matches!(task.stage, Stage::Parked { .. }));
    }
    count
}

/// The checks that a task is known to pass and to fail.
pub(crate) fn checks_of(task: &Task, found: &mut ChecksView) {
    match task.work() {
        Some(Work::Write(job)) => {
            if let Because::ChecksFailed { failing, .. } = job.because {
                found.red.extend(failing.into_iter().map(|r| r.check));
            }
        }
        Some(Work::Test(proven) | Work::Review(proven) | Work::Compare(proven)) => {
            proof(&proven.proof, found);
        }
        Some(Work::Land(approved)) => proof(&approved.proven.proof, found),
        Some(Work::Check(_) | Work::Survey | Work::Plan(_) | Work::Try | Work::Accept(_)) | None => {}
    }
}

fn proof(proof: &Proof, found: &mut ChecksView) {
    let Proof::Checked(report) = proof else { return };
    for result in &report.results {
        let set = match result.verdict {
            CheckVerdict::Pass | CheckVerdict::Flaky => &mut found.green,
            CheckVerdict::Fail { .. } | CheckVerdict::CouldNotRun { .. } => &mut found.red,
        };
        set.insert(result.check.clone());
    }
}

fn checks(tasks: &[&Task]) -> ChecksView {
    let mut found = ChecksView::default();
    for task in tasks {
        checks_of(task, &mut found);
    }
    let red = found.red.clone();
    found.green.retain(|check| !red.contains(check));
    found
}

/// Why nothing runs for an issue: the reason of a task that could go on by itself, else of any.
fn why(state: &State, tasks: &[&Task]) -> Option<String> {
    let reasons: Vec<Waiting> = tasks.iter().filter_map(|t| waiting(state, t)).collect();
    let itself = reasons.iter().find(|w| !matches!(w, Waiting::Needs(_)));
    itself.or(reasons.first()).map(waiting_phrase)
}
