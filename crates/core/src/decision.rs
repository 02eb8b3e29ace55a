//! Owns decisions: questions for a person, and what becomes of them. Text in them is from outside and stays data.

use serde::{Deserialize, Serialize};

use crate::guard::Guarded;
use crate::ids::{CommitId, DecisionId, SessionId, TaskId};
use crate::task::Actor;
use crate::units::Timestamp;

/// One way to answer a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What it is called; the answer names it.
    pub label: String,
    /// What choosing it means.
    #[serde(default)]
    pub detail: String,
}

/// A question as an agent puts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question itself.
    pub question: String,
    /// Ways to answer it; an answer in other words is possible too.
    #[serde(default)]
    pub options: Vec<Choice>,
    /// The label of the option that whoever asks would take.
    #[serde(default)]
    pub recommended: Option<String>,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnsweredBy {
    /// A person.
    Person,
    /// The policy: the recommended option, after the deadline.
    Policy,
}

/// When an answer reaches whoever asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// In the call in which it waits.
    InTheCall,
    /// When its task goes on.
    #[default]
    Afterwards,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asker {
    /// An agent.
    Agent {
        /// Which.
        actor: Actor,
        /// Its conversation, to be gone on with, where it has named one.
        session: Option<SessionId>,
    },
    /// Turno itself: whether the rest of a batch may follow its trial group.
    Trial,
    /// Turno itself: whether a change may land although something was found about it.
    Guard {
        /// The change.
        commit: CommitId,
        /// What was found.
        found: Vec<Guarded>,
    },
}

/// How far a decision is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionStage {
    /// The agent waits in its call, in its slot.
    Waiting {
        /// The call it waits in.
        key: String,
        /// Until when; then the policy decides.
        until: Timestamp,
    },
    /// The agent has given its slot up, or is about to; the task waits without one.
    Open,
    /// Answered.
    Answered {
        /// By whom.
        by: AnsweredBy,
        /// In these words: an option's label or free text.
        answer: String,
        /// When.
        at: Timestamp,
        /// When the asker is told.
        #[serde(default)]
        told: Told,
    },
    /// Nobody waits for the answer any more.
    Withdrawn,
}

/// A question for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// For which task.
    pub task: TaskId,
    /// Who asks.
    pub asker: Asker,
    /// What is asked.
    pub question: Question,
    /// When it was asked.
    pub asked: Timestamp,
    /// How far it is.
    pub stage: DecisionStage,
}

/// What an agent that waits in a call is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The answer.
    Answer(String),
    /// Nobody answers now: it ends its turn, and goes on in this conversation once there is an answer.
    Parked,
}

impl Decision {
    /// Whether an answer is still wanted.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, DecisionStage::Waiting { .. } | DecisionStage::Open)
    }
}
