//! Owns the words a person may type. Types only, no logic: help, completions and the man page come from here.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use turno_core::ids::{AgentName, AttemptId, IssueId, PersonaName, PolicyName, TaskId};
use turno_core::issue::Priority;
use turno_core::units::MicroUsd;

/// A multi-persona autopilot for coding agents: writes, checks, reviews and lands, within a budget.
#[derive(Debug, Parser)]
#[command(
    name = "turno",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 all landed or nothing to do, 1 something needs a person, 2 usage or configuration, \
    3 stopped by the budget, 4 cannot start, 70 a bug, 130 interrupted."
)]
pub(crate) struct Args {
    /// Work in this directory instead of the current one.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Unpack an example project and run a real shift on it with scripted agents: no account, no network.
    Demo(Demo),
    /// Detect the project's checks and agents and write turno.toml.
    Init(Init),
    /// Prove that git, the agents, the checks and the disk are ready, and say how to mend what is not.
    Doctor(Json),
    /// File, list, show, edit and close issues.
    #[command(subcommand)]
    Issue(Issue),
    /// Work on issues: write, check, review, land.
    Run(Run),
    /// Show what runs, what waits and why, and what it has cost.
    Status(Json),
    /// Show what happened: the journal in words, or what one attempt said.
    Log(Log),
    /// Tell why each thing happened to a task, from the journal alone.
    Explain(Explain),
    /// Show what an issue or a task has changed.
    Diff(Diff),
    /// Stop the running shift. What runs is stopped and its work kept; --drain lets it finish.
    Stop(Stop),
    /// Put an issue's landed work on one of your branches.
    Promote(Promote),
    /// Give up an issue or a task. Its commits are kept under refs/turno/salvage/.
    Discard(Discard),
    /// Print where Turno keeps the state of this workspace.
    Where(Json),
    /// List, show and render personas.
    #[command(subcommand)]
    Persona(Persona),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
    /// Supervise one attempt's processes.
    #[command(hide = true)]
    Supervise(Supervise),
    /// Perform a written session.
    #[command(hide = true)]
    Perform(Perform),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Json {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Where to put the example; a new directory below the temporary one if it is not given.
    pub(crate) directory: Option<PathBuf>,
    /// Print the journal as NDJSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// Print what would be written, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Issue {
    /// File an issue.
    Add(IssueAdd),
    /// List issues.
    List {
        /// Also those that are done or closed.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one issue with its tasks.
    Show {
        /// Which.
        issue: IssueId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change an issue's words. Only what is given is changed.
    Edit(IssueEdit),
    /// Close an issue without promoting it.
    Close {
        /// Which.
        issue: IssueId,
        /// Why.
        #[arg(long, default_value = "closed by a person")]
        why: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IssueAdd {
    /// One line: what is wanted.
    pub(crate) title: String,
    /// More words, in Markdown; `-` reads them from standard input.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) body: Option<String>,
    /// Something that must be true afterwards. May be given several times.
    #[arg(short, long = "accept", value_name = "CRITERION")]
    pub(crate) acceptance: Vec<String>,
    /// Which work comes first.
    #[arg(short, long, value_enum, default_value = "normal")]
    pub(crate) priority: PriorityArg,
    /// A free word. May be given several times.
    #[arg(short, long = "label", value_name = "WORD")]
    pub(crate) labels: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IssueEdit {
    /// Which.
    pub(crate) issue: IssueId,
    /// A new title.
    #[arg(short, long)]
    pub(crate) title: Option<String>,
    /// New words; `-` reads them from standard input.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) body: Option<String>,
    /// New acceptance criteria, in place of all old ones.
    #[arg(short, long = "accept", value_name = "CRITERION")]
    pub(crate) acceptance: Vec<String>,
    /// A new priority.
    #[arg(short, long, value_enum)]
    pub(crate) priority: Option<PriorityArg>,
    /// New labels, in place of all old ones.
    #[arg(short, long = "label", value_name = "WORD")]
    pub(crate) labels: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PriorityArg {
    /// Before everything else.
    Urgent,
    /// Before normal work.
    High,
    /// As it comes.
    Normal,
    /// After normal work.
    Low,
}

impl From<PriorityArg> for Priority {
    fn from(arg: PriorityArg) -> Self {
        match arg {
            PriorityArg::Urgent => Self::Urgent,
            PriorityArg::High => Self::High,
            PriorityArg::Normal => Self::Normal,
            PriorityArg::Low => Self::Low,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// The issues to work on.
    #[arg(required = true)]
    pub(crate) issues: Vec<IssueId>,
    /// All this shift may spend, in US dollars.
    #[arg(short, long, value_name = "USD", allow_negative_numbers = true)]
    pub(crate) budget: Option<MicroUsd>,
    /// How many slots.
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) slots: Option<u16>,
    /// The policy of this shift.
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<PolicyName>,
    /// Who plays every persona, best first. May be given several times.
    #[arg(long = "agent", value_name = "NAME")]
    pub(crate) agents: Vec<AgentName>,
    /// Print the journal as NDJSON while it grows.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Log {
    /// An attempt, e.g. a3: show what it said. Without it: what happened in the workspace.
    pub(crate) attempt: Option<AttemptId>,
    /// Go on showing what happens.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The bytes as they were said, nothing left out.
    #[arg(long, requires = "attempt")]
    pub(crate) raw: bool,
    /// Print NDJSON.
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// Which task, e.g. 1.1.
    pub(crate) task: TaskId,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// An issue (7) or a task (7.1).
    #[arg(value_parser = parse_subject, value_name = "ISSUE|TASK")]
    pub(crate) subject: Subject,
    /// Only name the files and count the lines.
    #[arg(long)]
    pub(crate) stat: bool,
}

/// What a verb is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An issue.
    Issue(IssueId),
    /// A task.
    Task(TaskId),
}

fn parse_subject(text: &str) -> Result<Subject, String> {
    if text.contains('.') {
        text.parse()
            .map(Subject::Task)
            .map_err(|e: turno_core::ids::InvalidId| e.to_string())
    } else {
        text.parse()
            .map(Subject::Issue)
            .map_err(|e: turno_core::ids::InvalidId| e.to_string())
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Stop {
    /// Start nothing more, but let what runs finish.
    #[arg(long)]
    pub(crate) drain: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Promote {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// Onto which branch; the one that is checked out if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) onto: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Discard {
    /// An issue (7) or a task (7.1).
    #[arg(value_parser = parse_subject, value_name = "ISSUE|TASK")]
    pub(crate) subject: Subject,
}

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
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Supervise {
    /// The run's directory.
    pub(crate) directory: PathBuf,
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
