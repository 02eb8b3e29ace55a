//! Owns what is believed of agents, checks and landings: typed odds, read from the assumptions that are embedded and
//! from a file laid over them. It draws nothing.

mod file;
mod prone;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use turno_core::failure::Cause;
use turno_core::ids::{AgentName, CheckName, PersonaName};
use turno_core::persona::Role;

pub use prone::{Answer, Prone, Tally};

/// Why assumptions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the assumptions {} cannot be read: {source}; name another file with --assume", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It says something that makes no sense.
    #[error("{from}: {why}; docs/simulate.md lists what may be assumed")]
    Wrong {
        /// Where.
        from: String,
        /// What.
        why: String,
    },
}

/// A quantity whose logarithm is normally distributed, and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amount {
    /// The mean of the logarithms.
    pub mu: f64,
    /// Their deviation.
    pub sigma: f64,
    /// The deviation of what is believed of `mu`.
    pub doubt: f64,
}

/// A chance, and how many observations it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chance {
    /// Between 0 and 1.
    pub mean: f64,
    /// How many.
    pub worth: f64,
}

/// What an attempt takes and uses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Work {
    /// How long, in milliseconds.
    pub takes: Amount,
    /// What it costs, in millionths of a dollar.
    pub costs: Amount,
    /// How many tokens it uses, of every kind. Dear attempts use many.
    pub tokens: Amount,
    /// How many answers of a model. Dear attempts have many.
    pub turns: Amount,
}

/// How far an attempt gets that fails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// Nobody has seen one: some part of an attempt that comes to its end, by its cause.
    Unseen,
    /// As those that were seen.
    Seen(Work),
}

/// One way to fail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failing {
    /// That an attempt does.
    pub chance: Prone,
    /// What it takes and uses then.
    pub course: Course,
}

/// What is believed of one agent in one role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Habit {
    /// An attempt that comes to its end.
    pub work: Work,
    /// The ways to fail. An attempt fails in one of them at most.
    pub fails: BTreeMap<Cause, Failing>,
    /// That it asks a person.
    pub asks: Prone,
    /// That it says no: findings, or something missing.
    pub sends_back: Prone,
}

/// What is believed of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckHabit {
    /// How long it takes, in milliseconds.
    pub takes: Amount,
    /// That it is red on a change.
    pub red: Prone,
}

/// How long a landing takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandingTime {
    /// So long, and the checks where something has landed meanwhile; in milliseconds.
    AndChecks(Amount),
    /// So long in all; in milliseconds.
    Whole(Amount),
}

/// Into how many tasks an author splits an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Evenly between these.
    Between(u16, u16),
    /// As often as here: each number was seen once.
    Seen(Vec<u16>),
}

/// When a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Person {
    /// Never.
    Absent,
    /// After so many milliseconds.
    AnswersAfter(u64),
}

/// How like each other tasks are, and the attempts at one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kinship {
    /// How much likelier what happened once to a task is to happen to it again, where nothing was seen.
    pub again: Chance,
    /// That a task is as prone to anything as the others of its issue are.
    pub as_issue: f64,
    /// The part of what makes attempts dear or long that stays with the task.
    pub as_before: f64,
}

/// Everything that is believed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Of each role, where nothing is known of who plays it.
    pub roles: [Habit; 4],
    /// Of those of whom something is known.
    #[serde(skip)]
    pub known: BTreeMap<(PersonaName, AgentName), Habit>,
    /// Of checks of which nothing is known; `red` is that of all together.
    pub checks: CheckHabit,
    /// Of the others.
    pub known_checks: BTreeMap<CheckName, CheckHabit>,
    /// That a check says nothing.
    pub cannot_run: f64,
    /// That tests prove nothing.
    pub proves_nothing: f64,
    /// Of plans.
    pub split: Split,
    /// That a task needs another one.
    pub needs: f64,
    /// In how many parts of the code tasks are.
    pub parts: u16,
    /// How long the beginning of a branch takes, in milliseconds.
    pub opens: Amount,
    /// That a check is red before the work, where that is the work.
    pub broken: f64,
    /// How long a landing takes.
    pub landing: LandingTime,
    /// That a change does not apply.
    pub conflict: Chance,
    /// That it is red together with what has landed.
    pub red_together: Chance,
    /// How long a quota is used up, in milliseconds.
    pub quota: Amount,
    /// What tasks have of each other.
    pub kinship: Kinship,
    /// Who answers.
    pub person: Person,
}

/// Whose a way to fail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The task's, or of this agent at this task: it is likelier to happen again.
    Task,
    /// The account's, the machine's or the provider's: it says nothing of the task.
    World,
}

impl Fault {
    /// Whose this one is.
    pub fn of(cause: Cause) -> Self {
        match cause {
            Cause::Workspace
            | Cause::Spawn
            | Cause::SignIn
            | Cause::Model
            | Cause::Provider
            | Cause::Quota
            | Cause::RateLimited
            | Cause::Lost
            | Cause::Stopped => Self::World,
            Cause::Agent
            | Cause::NoOutcome
            | Cause::NoChange
            | Cause::WroteWhileReading
            | Cause::Stalled
            | Cause::WallClock
            | Cause::AttemptBudget
            | Cause::ChecksFailed
            | Cause::CouldNotCheck
            | Cause::Findings
            | Cause::Conflict
            | Cause::LandingRaced
            | Cause::OutOfBounds
            | Cause::TestsProveNothing
            | Cause::Resources => Self::Task,
        }
    }
}

impl Model {
    /// What is assumed, with the keys of a file laid over it.
    ///
    /// # Errors
    /// When the file cannot be read or says something that makes no sense.
    pub fn assumed(over: Option<&Path>) -> Result<Self, Error> {
        file::read(over)
    }

    /// What is believed of an agent that plays a persona.
    pub fn habit(&self, persona: &PersonaName, agent: &AgentName, role: Role) -> &Habit {
        // A persona is cast with few agents, so the copies of two short names are cheap enough here.
        let known = self.known.get(&(persona.clone(), agent.clone()));
        known.unwrap_or_else(|| self.of_role(role))
    }

    /// What is believed of a role.
    pub fn of_role(&self, role: Role) -> &Habit {
        let [author, engineer, reviewer, tester] = &self.roles;
        match role {
            Role::Author => author,
            Role::Engineer => engineer,
            Role::Reviewer => reviewer,
            Role::Tester => tester,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dice::ln;
    use super::*;
    use rstest::rstest;

    #[test]
    fn what_is_assumed_is_sound() {
        let model = Model::assumed(None).unwrap();
        assert!((model.of_role(Role::Engineer).work.takes.mu - ln(540_000.0)).abs() < 1e-9);
        assert_eq!(model.person, Person::Absent);
    }

    fn over(text: &str) -> Result<Model, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Model::assumed(Some(file.path()))
    }

    #[test]
    fn a_file_replaces_what_it_names_and_nothing_else() {
        let model = over("[engineer]\nminutes = {typical = 2}\nfails = {agent = 0.5}\n").unwrap();
        let engineer = model.of_role(Role::Engineer);
        assert!((engineer.work.takes.mu - ln(120_000.0)).abs() < 1e-9);
        assert!((engineer.work.takes.sigma - ln(2.2)).abs() < 1e-9);
        let ways: Vec<_> = engineer
            .fails
            .iter()
            .map(|(c, f)| (*c, f.chance.mean()))
            .collect();
        assert_eq!(ways.len(), 1);
        assert!(ways[0].0 == Cause::Agent && (ways[0].1 - 0.5).abs() < 1e-9);
    }

    #[rstest]
    #[case("[enginer]\n", "enginer")]
    #[case("[engineer]\nasks = 2\n", "between 0 and 1")]
    #[case("[engineer]\nfails = {boredom = 0.1}\n", "boredom")]
    #[case("[checks]\nseconds = {typical = -1}\n", "above 0")]
    #[case("[issue]\ntasks = {least = 3, most = 2}\n", "1 to 100")]
    #[case("[tasks]\nagain = 1\n", "between 0 and 1")]
    #[case("not toml", "expected")]
    fn what_makes_no_sense_is_refused(#[case] text: &str, #[case] told: &str) {
        let error = over(text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
