//! Owns the configuration as the core knows it. It enters as an event, so a journal explains itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::ids::{AgentName, PersonaName};
use crate::persona::Persona;
use crate::policy::Policy;

/// What the core must know of an agent. How it is launched is no concern of the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLimits {
    /// How many of its attempts may run at once.
    pub at_once: u16,
}

/// Everything a shift is decided by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The mode's numbers.
    pub policy: Policy,
    /// Who may work, in ring order.
    pub personas: Vec<Persona>,
    /// The agents behind them.
    pub agents: BTreeMap<AgentName, AgentLimits>,
    /// The project's checks, in the order they run.
    pub checks: Vec<Check>,
    /// How many slots there are for attempts; the landing slot is not among them.
    pub slots: u16,
}

impl Config {
    /// The persona of that name.
    pub fn persona(&self, name: &PersonaName) -> Option<&Persona> {
        self.personas.iter().find(|p| p.name == *name)
    }
}
