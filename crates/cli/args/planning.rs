//! Owns the words of `turno plan`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use turno_core::ids::{IssueId, TaskId};
use turno_core::persona::Role;
use turno_core::plan::edit::Running;

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Plan {
    /// Show the plan of this issue.
    #[arg(required = true)]
    pub(crate) issue: Option<IssueId>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) act: Option<PlanDo>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanDo {
    /// Add a task.
    Add(PlanAdd),
    /// Put several tasks in place of one. What needs it needs all of them.
    Split(PlanSplit),
    /// Change a task. Only what is given is changed.
    Edit(PlanChange),
    /// Give up a task. Its work is kept.
    Drop(PlanDrop),
    /// Say in which order tasks are begun, as far as their needs let them.
    Order {
        /// Tasks of one issue, the first to be begun first.
        #[arg(required = true)]
        tasks: Vec<TaskId>,
    },
    /// Open the plan in your editor, as one TOML document.
    Open {
        /// Of which issue.
        issue: IssueId,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanAdd {
    /// To which issue.
    pub(crate) issue: IssueId,
    /// One line: what is to be done.
    #[arg(short, long)]
    pub(crate) title: String,
    /// More words, in Markdown; `-` reads them from standard input.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Something that must be true afterwards. May be given several times.
    #[arg(short, long = "accept", value_name = "CRITERION")]
    pub(crate) acceptance: Vec<String>,
    /// Tasks that must be landed first.
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub(crate) needs: Vec<TaskId>,
    /// Globs of the paths it may write; anywhere if none is given.
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(crate) paths: Vec<String>,
    /// Who writes it.
    #[arg(long, value_enum, default_value = "engineer")]
    pub(crate) writer: WriterArg,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanSplit {
    /// Which.
    pub(crate) task: TaskId,
    /// The tasks that replace it, as TOML, JSON or a Markdown list; `-` reads them from standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) into: PathBuf,
    /// Stop what runs for it; its work is kept.
    #[arg(long)]
    pub(crate) stop: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanChange {
    /// Which.
    pub(crate) task: TaskId,
    /// A new title.
    #[arg(short, long)]
    pub(crate) title: Option<String>,
    /// New words; `-` reads them from standard input.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// New acceptance criteria, in place of all old ones; '' for none.
    #[arg(short, long = "accept", value_name = "CRITERION")]
    pub(crate) acceptance: Vec<String>,
    /// What it needs now, in place of all old needs; '' for nothing.
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub(crate) needs: Vec<String>,
    /// New globs, in place of all old ones; '' for anywhere.
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(crate) paths: Vec<String>,
    /// Stop what runs for it, so that it goes on with the new words at once. Without it what runs comes to its end
    /// first.
    #[arg(long)]
    pub(crate) stop: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanDrop {
    /// Which.
    pub(crate) task: TaskId,
    /// Let what needs it need what it needed.
    #[arg(long)]
    pub(crate) rewire: bool,
}

/// Who writes a task.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum WriterArg {
    /// An engineer.
    Engineer,
    /// A tester, where it is tests alone.
    Tester,
}

impl From<WriterArg> for Role {
    fn from(arg: WriterArg) -> Self {
        match arg {
            WriterArg::Engineer => Self::Engineer,
            WriterArg::Tester => Self::Tester,
        }
    }
}

impl PlanSplit {
    /// What becomes of an attempt that runs.
    pub(crate) fn running(&self) -> Running {
        if self.stop { Running::Stop } else { Running::Finish }
    }
}

impl PlanChange {
    /// What becomes of an attempt that runs.
    pub(crate) fn running(&self) -> Running {
        if self.stop { Running::Stop } else { Running::Finish }
    }
}
