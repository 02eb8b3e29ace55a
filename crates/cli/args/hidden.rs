//! Owns the words of the verbs that Turno types itself. They are in no help.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use turno_core::ids::{PersonaName, TaskId};

#[derive(Debug, ClapArgs)]
pub(crate) struct Supervise {
    /// The run's directory.
    pub(crate) directory: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Confine {
    /// What it may do, as JSON.
    pub(crate) spec: String,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) argv: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Perform {
    /// The script's file.
    #[arg(long)]
    pub(crate) script: PathBuf,
    /// In which role.
    #[arg(long)]
    pub(crate) persona: PersonaName,
    /// On which task.
    #[arg(long)]
    pub(crate) task: TaskId,
    /// The task's title.
    #[arg(long)]
    pub(crate) title: String,
    /// Which attempt of that persona on that task.
    #[arg(long)]
    pub(crate) round: u32,
    /// The conversation to go on with.
    #[arg(long)]
    pub(crate) resume: Option<turno_core::ids::SessionId>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Bridge {
    /// The path of the server's stream of events.
    #[arg(long)]
    pub(crate) events: String,
    /// A type of event that is not passed on.
    #[arg(long)]
    pub(crate) skip: Vec<String>,
    /// The name under which the server is spoken to.
    #[arg(long)]
    pub(crate) user: String,
    /// The variable in which the server is given its password.
    #[arg(long)]
    pub(crate) secret_in: String,
    /// End when everything that was asked is answered, and not well when anything was refused.
    #[arg(long)]
    pub(crate) until_answered: bool,
    /// The server and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) argv: Vec<String>,
}
