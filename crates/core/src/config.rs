//! Owns the configuration as the core knows it. It enters as an event, so a journal explains itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::ids::{AgentName, PersonaName, RepoName};
use crate::ledger::{Allowance, Tariff};
use crate::liveness::Hears;
use crate::persona::Persona;
use crate::policy::Policy;
use crate::units::Span;

/// What the core must know of an agent. How it is launched is no concern of the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLimits {
    /// How many of its attempts may run at once.
    pub at_once: u16,
    /// How its account is paid for.
    #[serde(default)]
    pub tariff: Tariff,
    /// What its account may use in a day.
    #[serde(default)]
    pub allowance: Allowance,
    /// Whether it can be told something while it works.
    #[serde(default)]
    pub hears: Hears,
}

/// What each level may use, unless a person sets another limit for one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// Each task, over all its attempts.
    #[serde(default)]
    pub task: Allowance,
    /// Each issue.
    #[serde(default)]
    pub issue: Allowance,
    /// Each shift. Its money is named when it is started.
    #[serde(default)]
    pub shift: Allowance,
    /// Each day, over all shifts.
    #[serde(default)]
    pub day: Allowance,
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
    /// The checks of the repository that holds `turno.toml`, in the order they run.
    pub checks: Vec<Check>,
    /// The other repositories of the workspace.
    #[serde(default)]
    pub repos: BTreeMap<RepoName, Repo>,
    /// How many slots there are for attempts; the landing slot is not among them.
    pub slots: u16,
    /// How many of the slots are kept for urgent issues.
    #[serde(default)]
    pub urgent_slots: u16,
    /// What holds attempts and checks to what they may do.
    #[serde(default)]
    pub confinement: Confinement,
    /// What each level of the ledger may use.
    #[serde(default)]
    pub budgets: Budgets,
    /// A shift that could go on but for the room on a disk waits so long for it.
    #[serde(default = "one_hour")]
    pub disk_wait: Span,
}

fn one_hour() -> Span {
    Span::seconds(3600)
}

/// What holds attempts and checks to what they may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// Nothing: a person has switched it off.
    #[default]
    Off,
    /// Namespaces, and Landlock and seccomp inside them.
    Namespaces,
    /// Landlock and seccomp alone.
    Landlock,
}

/// What the core must know of a further repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repo {
    /// Its checks, in the order they run.
    pub checks: Vec<Check>,
}

impl Config {
    /// The checks of a repository; none for one that is not known any more.
    pub fn checks_of(&self, repo: &RepoName) -> &[Check] {
        if *repo == RepoName::default() {
            return &self.checks;
        }
        self.repos.get(repo).map_or(&[], |r| &r.checks)
    }

    /// The persona of that name.
    pub fn persona(&self, name: &PersonaName) -> Option<&Persona> {
        self.personas.iter().find(|p| p.name == *name)
    }
}
