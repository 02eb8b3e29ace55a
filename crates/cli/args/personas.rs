//! Owns the words of the verbs about personas.

use clap::{Subcommand, ValueEnum};
use turno_core::ids::{IssueId, PersonaName};

use super::Json;

#[derive(Debug, Subcommand)]
pub(crate) enum Persona {
    /// List personas in the order of their turns.
    List(Json),
    /// Show one persona and where it comes from.
    Show {
        /// Which.
        name: PersonaName,
    },
    /// Print exactly what a persona would be told.
    Render {
        /// Which.
        name: PersonaName,
        /// For which issue.
        issue: IssueId,
        /// When it is asked for what; by its role if it is not given.
        #[arg(long, value_enum)]
        ask: Option<AskFor>,
    },
}

/// What a persona may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AskFor {
    /// To split the issue into tasks.
    Plan,
    /// To write the change.
    Write,
    /// To write tests before the change.
    TestsFirst,
    /// To try a change and add tests to it.
    Test,
    /// To judge a change.
    Review,
    /// To choose among changes for the same task.
    Compare,
    /// To go through the acceptance list on the integration branch.
    Try,
    /// To say what is missing.
    Accept,
}
