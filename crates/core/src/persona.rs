//! Owns who may work: roles, personas and the agents behind them, as typed data. Parsing files is the engine's.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentName, PersonaName};
use crate::units::{MicroUsd, Span};

/// What a persona is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Splits issues, re-plans, accepts.
    Author,
    /// Writes.
    #[default]
    Engineer,
    /// Reads and gives a verdict.
    Reviewer,
    /// Writes tests, tries to break it.
    Tester,
}

impl Role {
    /// What the role may do to files unless the persona says less.
    pub fn access(self) -> Access {
        match self {
            Self::Author | Self::Reviewer => Access::Read,
            Self::Engineer => Access::Write,
            Self::Tester => Access::Tests,
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Author => "author",
            Self::Engineer => "engineer",
            Self::Reviewer => "reviewer",
            Self::Tester => "tester",
        })
    }
}

/// What an agent may do to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Nothing but reading.
    Read,
    /// Only test paths.
    Tests,
    /// Its whole slot.
    Write,
}

/// Which model an agent is asked to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Whatever the agent's own configuration says.
    AgentDefault,
    /// This one, by the agent's own name for it.
    Named(String),
}

/// How hard an agent is asked to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// Whatever the agent's own configuration says.
    AgentDefault,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// Which tools of its own an agent may use, by the agent's names for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tools {
    /// Those that its access allows.
    ByAccess,
    /// Of those, only these.
    Only(Vec<String>),
}

/// How many may run at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtOnce {
    /// As many as there are slots.
    #[default]
    NoLimit,
    /// So many.
    Limit(u16),
}

/// A role played by an agent with its own prompt, tools, model and limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persona {
    /// Its name.
    pub name: PersonaName,
    /// One line for people.
    pub description: String,
    /// What it is for.
    pub role: Role,
    /// Agents that may play it, best first; never empty.
    pub agents: Vec<AgentName>,
    /// The model asked for.
    pub model: Model,
    /// The effort asked for.
    pub effort: Effort,
    /// What it may do to files.
    pub access: Access,
    /// Which tools it may use.
    pub tools: Tools,
    /// Money cap of one attempt.
    pub budget: MicroUsd,
    /// Time limit of one attempt.
    pub wall_clock: Span,
    /// How many of its attempts may run at once.
    #[serde(default)]
    pub at_once: AtOnce,
    /// The template of its prompt, not yet rendered.
    pub prompt: String,
}
