//! Owns attempts as they are shown, told from the journal: who did what where, how it ended and what it cost.

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::State;
use turno_core::command::Command;
use turno_core::event::Event;
use turno_core::explain::event_phrase;
use turno_core::ids::{AgentName, AttemptId, CommitId, PersonaName, SlotId, TaskId};
use turno_core::record::Record;
use turno_core::units::{MicroUsd, Spend, Timestamp};
use turno_engine::live::Doing;
use utoipa::ToSchema;

use super::{TokensView, word};

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its id.
    #[schema(value_type = u64)]
    pub id: AttemptId,
    /// For which task; for an issue's branch that was brought along, the issue's own.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// What it is.
    pub kind: AttemptKind,
    /// The commit that it was put on, or that it was about.
    #[schema(value_type = String)]
    pub commit: CommitId,
    /// When it began.
    #[schema(value_type = i64)]
    pub started: Timestamp,
    /// How it ended.
    pub end: AttemptEnd,
    /// What it has cost; nothing for one that Turno itself did.
    pub spent: Option<SpendView>,
}

/// What an attempt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptKind {
    /// An agent in a role.
    Agent {
        /// The persona.
        #[schema(value_type = String)]
        persona: PersonaName,
        /// The agent that plays it.
        #[schema(value_type = String)]
        agent: AgentName,
        /// In which slot.
        #[schema(value_type = u16)]
        slot: SlotId,
        /// What it was asked for: `change`, `verdict`, `plan`, ...
        asked: String,
    },
    /// A run of checks.
    Checks {
        /// In which slot.
        #[schema(value_type = u16)]
        slot: SlotId,
    },
    /// A landing.
    Landing {
        /// Tasks that were landed together with it.
        #[schema(value_type = Vec<String>)]
        with: Vec<TaskId>,
    },
    /// The issue's branch was brought along with the user's.
    Following,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptEnd {
    /// It has not.
    Running,
    /// It came to its end.
    Over {
        /// When.
        #[schema(value_type = i64)]
        at: Timestamp,
        /// How, in one line.
        line: String,
    },
    /// Nobody knows.
    Lost,
}

/// What an attempt has spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpendView {
    /// The sum.
    #[schema(value_type = u64)]
    pub cost: MicroUsd,
    /// How sure it is: `reported`, `estimated` or `unknown`.
    pub basis: String,
    /// The tokens behind it.
    pub tokens: TokensView,
    /// Answers of a model.
    pub turns: u32,
}

impl From<Spend> for SpendView {
    fn from(spend: Spend) -> Self {
        Self {
            cost: spend.cost,
            basis: word(&spend.basis),
            tokens: spend.tokens.into(),
            turns: spend.turns,
        }
    }
}

/// One attempt with what it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptPage {
    /// The attempt.
    pub attempt: AttemptView,
    /// What it did last, while it runs.
    pub doing: Option<String>,
    /// What is kept of it.
    pub kept: KeptView,
}

/// What is kept of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeptView {
    /// These parts, each of which `/transcript` gives by its name.
    Parts(Vec<PartView>),
    /// Nothing any more: it was removed to free space.
    Removed {
        /// When.
        #[schema(value_type = i64)]
        at: Timestamp,
    },
    /// Nothing yet.
    Nothing,
}

/// A part of what is kept of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartView {
    /// `out` for what it said itself, else the name of a check's run.
    pub name: String,
    /// How long it is now, in bytes.
    pub bytes: u64,
}

/// A piece of what an attempt said, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConversationPage {
    /// Whose.
    #[schema(value_type = u64)]
    pub attempt: AttemptId,
    /// What it said and did, in order.
    pub items: Vec<SaidView>,
    /// What to ask for next as `after`.
    pub next: usize,
    /// Whether there is more now.
    pub more: bool,
}

/// One thing that an attempt said or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SaidView {
    /// Its number, counted from 1.
    pub n: usize,
    /// `says`, `uses`, `used`, `step` or `notes`.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// What, as it was said. It is text from outside.
    pub text: String,
}

impl SaidView {
    pub(crate) fn of(n: usize, doing: &Doing) -> Self {
        let kind = match doing {
            Doing::Says(_) => "says",
            Doing::Uses(_) => "uses",
            Doing::Used(_) => "used",
            Doing::Step(_) => "step",
            Doing::Notes(_) => "notes",
        };
        Self {
            n,
            kind,
            text: doing.text().to_owned(),
        }
    }
}

/// The attempts of a journal. Takes its records in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts(BTreeMap<AttemptId, AttemptView>);

impl Attempts {
    pub(crate) fn take(&mut self, record: &Record) {
        for command in &record.commands {
            if let Some(view) = begun(command, record.at) {
                self.0.entry(view.id).or_insert(view);
            }
        }
        if let Event::Restarted { lost, .. } = &record.event {
            for lost in lost {
                self.end(lost.attempt, record, Some(lost.spend));
            }
        }
        let (ended, spend) = ending(&record.event);
        if let Some(attempt) = ended {
            self.end(attempt, record, spend);
        }
    }

    fn end(&mut self, attempt: AttemptId, record: &Record, spend: Option<Spend>) {
        if let Some(view) = self.0.get_mut(&attempt) {
            view.end = AttemptEnd::Over {
                at: record.at,
                line: event_phrase(&record.event),
            };
            view.spent = spend.map(Into::into);
        }
    }

    /// One of them, if there was one.
    pub(crate) fn one(&self, state: &State, id: AttemptId) -> Option<AttemptView> {
        let own = self.0.get_key_value(&id).map(|(id, view)| (*id, view.clone()));
        Self(own.into_iter().collect()).finish(state).pop()
    }

    /// The attempts, in the order of their ids. What runs is known from the state.
    pub(crate) fn finish(mut self, state: &State) -> Vec<AttemptView> {
        let runs = state.attempts();
        for view in self.0.values_mut() {
            if view.end == AttemptEnd::Running && !runs.contains(&view.id) {
                view.end = AttemptEnd::Lost;
            }
        }
        for run in state.running().filter_map(|t| t.agent_run()) {
            if let Some(view) = self.0.get_mut(&run.run.attempt) {
                view.spent = Some(run.spend.into());
            }
        }
        self.0.into_values().collect()
    }
}

fn begun(command: &Command, started: Timestamp) -> Option<AttemptView> {
    let view = |id, task, kind, commit: &CommitId| AttemptView {
        id,
        task,
        kind,
        commit: commit.clone(),
        started,
        end: AttemptEnd::Running,
        spent: None,
    };
    if let Command::StartAgent(start) = command {
        let kind = AttemptKind::Agent {
            persona: start.persona.clone(),
            agent: start.agent.clone(),
            slot: start.slot,
            asked: word(&start.brief.ask.outcome()),
        };
        return Some(view(start.attempt, start.task, kind, &start.from));
    }
    if let Command::RunChecks(start) = command {
        let kind = AttemptKind::Checks { slot: start.slot };
        return Some(view(start.attempt, start.task, kind, &start.commit));
    }
    if let Command::Land(start) = command {
        let kind = AttemptKind::Landing {
            with: start.with.iter().map(|p| p.task).collect(),
        };
        let commit = &start.approved.proven.change.commit;
        return Some(view(start.attempt, start.task, kind, commit));
    }
    if let Command::Follow(start) = command {
        let task = TaskId::lead(start.issue);
        return Some(view(start.attempt, task, AttemptKind::Following, &start.onto));
    }
    None
}

/// Which attempt an event ends, and what it had spent.
fn ending(event: &Event) -> (Option<AttemptId>, Option<Spend>) {
    if let Event::AgentEnded { attempt, spend, .. } = event {
        return (Some(*attempt), Some(*spend));
    }
    if let Event::ChecksEnded { attempt, .. }
    | Event::LandingEnded { attempt, .. }
    | Event::FollowEnded { attempt, .. }
    | Event::AttemptFailed { attempt, .. } = event
    {
        return (Some(*attempt), None);
    }
    (None, None)
}
