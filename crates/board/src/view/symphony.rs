//! Owns the read views by which dashboards of other orchestrators know a service: what runs, what is tried again and
//! when, and totals. The names of the fields are theirs.

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::State;
use turno_core::ids::{AttemptId, IssueId, TaskId};
use turno_core::task::{Stage, Task};
use turno_core::units::{Timestamp, Tokens};
use turno_core::view::failure_phrase;
use utoipa::ToSchema;

use super::rfc3339;

/// What runs and what is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ServiceView {
    /// When it was made.
    pub generated_at: String,
    /// How many there are.
    pub counts: CountsView,
    /// What runs.
    pub running: Vec<RunningRow>,
    /// What waits to be tried again.
    pub retrying: Vec<RetryRow>,
    /// What the attempts that run have used, added up. The name is older than other agents.
    pub codex_totals: TotalsView,
    /// Nothing is known of them here.
    pub rate_limits: Option<String>,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountsView {
    /// Attempts that run.
    pub running: usize,
    /// Tasks that wait to be tried again.
    pub retrying: usize,
}

/// A running attempt of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunningRow {
    /// Its issue.
    pub issue_id: String,
    /// Its task.
    pub issue_identifier: String,
    /// What it does.
    pub state: String,
    /// The agent's own name for the conversation.
    pub session_id: Option<String>,
    /// Answers of a model.
    pub turn_count: u32,
    /// The kind of the last thing that was heard of it.
    pub last_event: Option<String>,
    /// The last thing that was heard of it.
    pub last_message: String,
    /// When it began.
    pub started_at: String,
    /// Nothing is known of it here.
    pub last_event_at: Option<String>,
    /// What it has used.
    pub tokens: RowTokens,
    /// The attempt.
    pub attempt: String,
    /// The persona.
    pub persona: String,
    /// The agent.
    pub agent: String,
}

/// Tokens of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct RowTokens {
    /// Prompt tokens, cached ones too.
    pub input_tokens: u64,
    /// Answer tokens.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

/// A task that waits to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetryRow {
    /// Its issue.
    pub issue_id: String,
    /// The task.
    pub issue_identifier: String,
    /// Which try comes next.
    pub attempt: u32,
    /// When.
    pub due_at: String,
    /// What went wrong.
    pub error: String,
}

/// Totals of the attempts that run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct TotalsView {
    /// Prompt tokens, cached ones too.
    pub input_tokens: u64,
    /// Answer tokens.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// How long they have run, added up.
    pub seconds_running: f64,
}

/// One issue or task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrackedView {
    /// As it was asked for.
    pub issue_identifier: String,
    /// The issue.
    pub issue_id: String,
    /// `running`, `retrying`, `waiting` or `over`.
    pub status: String,
    /// How often it was tried.
    pub attempts: TriesView,
    /// What runs for it.
    pub running: Option<RunningRow>,
    /// When it is tried again.
    pub retry: Option<RetryRow>,
    /// What went wrong last, while it waits to be tried again.
    pub last_error: Option<String>,
}

/// How often something was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriesView {
    /// Attempts of agents so far.
    pub restart_count: u32,
    /// Failed tries that count.
    pub current_retry_attempt: u32,
}

fn tokens(tokens: Tokens) -> RowTokens {
    let input = tokens
        .input
        .saturating_add(tokens.cache_read)
        .saturating_add(tokens.cache_write);
    RowTokens {
        input_tokens: input,
        output_tokens: tokens.output,
        total_tokens: tokens.sum(),
    }
}

fn running(task: &Task, doing: &BTreeMap<AttemptId, String>) -> Option<RunningRow> {
    let run = task.agent_run()?;
    let heard = doing.get(&run.run.attempt);
    Some(RunningRow {
        issue_id: task.id.issue.to_string(),
        issue_identifier: task.id.to_string(),
        state: turno_core::view::StageName::of(&task.stage).as_str().to_owned(),
        session_id: run.session.as_ref().map(ToString::to_string),
        turn_count: run.spend.turns,
        last_event: heard.map(|_| "notification".to_owned()),
        last_message: heard.cloned().unwrap_or_default(),
        started_at: rfc3339(run.run.started),
        last_event_at: None,
        tokens: tokens(run.spend.tokens),
        attempt: run.run.attempt.to_string(),
        persona: run.persona.to_string(),
        agent: run.agent.to_string(),
    })
}

fn tries(task: &Task) -> u32 {
    task.tries.values().map(|n| u32::from(*n)).sum()
}

fn retry(task: &Task) -> Option<RetryRow> {
    let Stage::Backoff { until, failure, .. } = &task.stage else {
        return None;
    };
    Some(RetryRow {
        issue_id: task.id.issue.to_string(),
        issue_identifier: task.id.to_string(),
        attempt: tries(task) + 1,
        due_at: rfc3339(*until),
        error: failure_phrase(failure),
    })
}

/// What runs and what is tried again.
pub(crate) fn service(state: &State, doing: &BTreeMap<AttemptId, String>, now: Timestamp) -> ServiceView {
    let rows: Vec<RunningRow> = state.running().filter_map(|t| running(t, doing)).collect();
    let retrying: Vec<RetryRow> = state.tasks.values().filter_map(|t| retry(t)).collect();
    let runs = || state.running().filter_map(|t| t.agent_run());
    let mut used = Tokens::default();
    runs().for_each(|run| used += run.spend.tokens);
    let used = tokens(used);
    let seconds: u64 = runs().map(|r| now.since(r.run.started).0 / 1000).sum();
    ServiceView {
        generated_at: rfc3339(now),
        counts: CountsView {
            running: rows.len(),
            retrying: retrying.len(),
        },
        running: rows,
        retrying,
        codex_totals: TotalsView {
            input_tokens: used.input_tokens,
            output_tokens: used.output_tokens,
            total_tokens: used.total_tokens,
            seconds_running: u32::try_from(seconds).map_or(f64::MAX, f64::from),
        },
        rate_limits: None,
    }
}

/// What a client asks for by one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Issue(IssueId),
    Task(TaskId),
}

/// One issue or task; `None` when there is none of that name.
pub(crate) fn tracked(
    state: &State,
    named: Named,
    asked: String,
    doing: &BTreeMap<AttemptId, String>,
) -> Option<TrackedView> {
    let tasks: Vec<&Task> = match named {
        Named::Issue(id) => {
            state.issues.get(&id)?;
            state.tasks_of(id).map(AsRef::as_ref).collect()
        }
        Named::Task(id) => vec![state.tasks.get(&id)?],
    };
    let issue = match named {
        Named::Issue(id) => id,
        Named::Task(id) => id.issue,
    };
    let row = tasks.iter().find_map(|t| running(t, doing));
    let again = tasks.iter().find_map(|t| retry(t));
    let over = !tasks.is_empty() && tasks.iter().all(|t| t.is_over());
    let status = match (&row, &again) {
        (Some(_), _) => "running",
        (None, Some(_)) => "retrying",
        (None, None) if over => "over",
        (None, None) => "waiting",
    };
    Some(TrackedView {
        issue_identifier: asked,
        issue_id: issue.to_string(),
        status: status.to_owned(),
        attempts: TriesView {
            restart_count: tasks.iter().flat_map(|t| t.attempts.values()).sum(),
            current_retry_attempt: tasks.iter().map(|t| tries(t)).sum(),
        },
        running: row,
        last_error: again.as_ref().map(|r| r.error.clone()),
        retry: again,
    })
}
