//! Owns shifts as they are shown: on one card, and with their course as the report folds it.

use serde::Serialize;
use turno_core::State;
use turno_core::ids::{AgentName, AttemptId, IssueId, PersonaName, PolicyName, ShiftId, TaskId};
use turno_core::report::{self, Report};
use turno_core::shift::{Shift, ShiftStage};
use turno_core::units::{MicroUsd, Timestamp};
use turno_core::view::{RunBy, RunPlace, StageName};
use utoipa::ToSchema;

use super::account::AccountCard;
use super::word;

/// A shift on one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShiftCard {
    /// Its id.
    #[schema(value_type = u32)]
    pub id: ShiftId,
    /// Its mode.
    #[schema(value_type = String)]
    pub mode: PolicyName,
    /// How far it is.
    pub stage: ShiftStageView,
    /// When it began.
    #[schema(value_type = i64)]
    pub started: Timestamp,
    /// All it may spend.
    #[schema(value_type = u64)]
    pub budget: MicroUsd,
    /// Spent so far, running attempts included.
    #[schema(value_type = u64)]
    pub spent: MicroUsd,
    /// Spent, or promised to running attempts.
    #[schema(value_type = u64)]
    pub committed: MicroUsd,
    /// The issues it works on.
    #[schema(value_type = Vec<u32>)]
    pub issues: Vec<IssueId>,
    /// What holds its programs: `off`, `namespaces` or `landlock`.
    pub confinement: String,
}

/// How far a shift is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShiftStageView {
    /// It starts work.
    Running,
    /// It starts nothing more and waits for what runs to end.
    Winding {
        /// Why, in one word.
        why: String,
    },
    /// It is over.
    Ended {
        /// How, in one word.
        how: String,
        /// When.
        #[schema(value_type = i64)]
        at: Timestamp,
    },
}

impl ShiftCard {
    pub(crate) fn of(state: &State, shift: &Shift) -> Self {
        Self {
            id: shift.id,
            mode: shift.mode.clone(),
            stage: match &shift.stage {
                ShiftStage::Running => ShiftStageView::Running,
                ShiftStage::Winding(why) => ShiftStageView::Winding { why: word(why) },
                ShiftStage::Ended { end, at } => ShiftStageView::Ended {
                    how: word(end),
                    at: *at,
                },
            },
            started: shift.started,
            budget: shift.budget,
            spent: state.spent(shift),
            committed: state.committed(shift),
            issues: shift.issues.iter().copied().collect(),
            confinement: state
                .config
                .as_ref()
                .map_or_else(String::new, |c| word(&c.confinement)),
        }
    }
}

/// The course of a shift: what it spent, who was at work when, and what waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShiftPage {
    /// The shift.
    pub shift: ShiftCard,
    /// Until when this is told: its end, or the last record.
    #[schema(value_type = i64)]
    pub until: Timestamp,
    /// What had been spent, whenever that changed.
    pub spending: Vec<SpentView>,
    /// Every attempt, in the order they began.
    pub attempts: Vec<BarView>,
    /// The longest waits, the longest first.
    pub waits: Vec<WaitView>,
    /// Sums of waits by what was waited for, the longest first.
    pub wait_sums: Vec<WaitSumView>,
    /// How many tasks could have gone on if there had been means, whenever that changed.
    pub queue: Vec<QueueView>,
    /// The accounts of agents as they are known now. All shifts share them, so an earlier shift than the latest has none.
    pub accounts: Vec<AccountCard>,
}

/// What had been spent at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpentView {
    /// When.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// So much.
    #[schema(value_type = u64)]
    pub spent: MicroUsd,
}

/// One attempt as a bar of a Gantt chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BarView {
    /// Its id.
    #[schema(value_type = u64)]
    pub attempt: AttemptId,
    /// For which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// What it did.
    #[schema(value_type = String)]
    pub kind: StageName,
    /// The persona; absent where Turno itself worked.
    #[schema(value_type = Option<String>)]
    pub persona: Option<PersonaName>,
    /// The agent that played it.
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// In which row: a slot, like `s1`, or `landing`.
    pub row: String,
    /// When it began.
    #[schema(value_type = i64)]
    pub from: Timestamp,
    /// When it ended; absent while it runs.
    #[schema(value_type = Option<i64>)]
    pub to: Option<Timestamp>,
    /// How it ended, in one word: `running`, `done`, `sent-back`, `asked`, `failed`.
    pub ending: String,
    /// The same in words.
    pub said: String,
    /// What it was charged.
    #[schema(value_type = u64)]
    pub cost: MicroUsd,
}

/// One wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitView {
    /// Of which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// For what, in one word.
    pub kind: String,
    /// The same in words.
    pub why: String,
    /// From when.
    #[schema(value_type = i64)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = i64)]
    pub to: Timestamp,
}

/// All waits for one kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitSumView {
    /// For what, in one word.
    pub kind: String,
    /// The same in words.
    pub phrase: String,
    /// How many.
    pub waits: u32,
    /// How long, added up over tasks, in milliseconds.
    pub time_ms: u64,
}

/// How many tasks waited for means, from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueView {
    /// From when; until the next one.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// How many.
    pub tasks: u32,
}

impl ShiftPage {
    pub(crate) fn of(shift: ShiftCard, accounts: Vec<AccountCard>, report: &Report) -> Self {
        let waits = &report.waits;
        Self {
            shift,
            until: report.shift.end.at(),
            spending: report
                .spending
                .iter()
                .map(|p| SpentView {
                    at: p.at,
                    spent: p.spent,
                })
                .collect(),
            attempts: report.attempts.iter().map(BarView::of).collect(),
            waits: waits
                .longest
                .iter()
                .map(|w| WaitView {
                    task: w.task,
                    kind: word(&w.kind),
                    why: w.why.clone(),
                    from: w.from,
                    to: w.to,
                })
                .collect(),
            wait_sums: waits
                .sums
                .iter()
                .map(|s| WaitSumView {
                    kind: word(&s.kind),
                    phrase: s.kind.phrase().to_owned(),
                    waits: s.waits,
                    time_ms: s.time_ms,
                })
                .collect(),
            queue: waits
                .queue
                .iter()
                .map(|q| QueueView {
                    at: q.at,
                    tasks: q.tasks,
                })
                .collect(),
            accounts,
        }
    }
}

impl BarView {
    fn of(attempt: &report::Attempt) -> Self {
        let (persona, agent) = match &attempt.by {
            RunBy::Agent { persona, agent } => (Some(persona.clone()), Some(agent.clone())),
            RunBy::Turno => (None, None),
        };
        Self {
            attempt: attempt.id,
            task: attempt.task,
            kind: attempt.kind,
            persona,
            agent,
            row: match attempt.place {
                RunPlace::Slot(slot) => slot.to_string(),
                RunPlace::Landing => "landing".to_owned(),
            },
            from: attempt.from,
            to: attempt.to,
            ending: word(&attempt.ending),
            said: attempt.said.clone(),
            cost: attempt.cost,
        }
    }
}
