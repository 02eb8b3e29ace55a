//! Owns the words of the verbs by which a person works on a task themselves, or looks at what it does.

use clap::Args as ClapArgs;
use turno_core::ids::TaskId;

use super::{Subject, parse_subject};

#[derive(Debug, ClapArgs)]
pub(crate) struct Attach {
    /// Which task.
    pub(crate) task: TaskId,
    /// Stop what runs for it without asking; its work is kept.
    #[arg(long)]
    pub(crate) now: bool,
    /// Keep it aside when you leave, with what you did: nothing is started for it until you give it back.
    #[arg(long)]
    pub(crate) park: bool,
    /// Give back a task that you kept aside; nothing is opened.
    #[arg(long, conflicts_with_all = ["now", "park"])]
    pub(crate) release: bool,
    /// Run the agent with all that you may do yourself.
    #[arg(long)]
    pub(crate) no_sandbox: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Preview {
    /// Which task or issue: `1.2` or `1`. Without one, the previews that run are listed.
    #[arg(value_parser = parse_subject)]
    pub(crate) subject: Option<Subject>,
    /// Run its server with all that you may do yourself.
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    /// Print the list as JSON.
    #[arg(long, conflicts_with = "subject")]
    pub(crate) json: bool,
}
