//! Owns the words a person may type. Types only, no logic: help, completions and the man page come from here.

mod attaching;
mod board;
mod budget;
mod hidden;
mod history;
mod issues;
mod keeping;
mod lessons;
mod modes;
mod personas;
mod planning;
mod promoting;
mod simulate;
mod speaking;
mod telling;
mod watching;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use turno_core::ids::{DecisionId, IssueId, TaskId};

pub(crate) use attaching::{Attach, Preview};
pub(crate) use board::Board;
pub(crate) use budget::{Budget, Set};
pub(crate) use hidden::{Bridge, Confine, Perform, Supervise};
pub(crate) use history::{Diff, Explain, Log, LogSubject, Record};
pub(crate) use issues::{Issue, IssueAdd, IssueEdit};
pub(crate) use keeping::{Gc, Salvage};
pub(crate) use lessons::Lessons;
pub(crate) use modes::{Batch, BatchItems, Drain, Pair, Qa, Resume, Run, ShiftArgs};
pub(crate) use personas::{AskFor, Persona};
pub(crate) use planning::{Plan, PlanAdd, PlanChange, PlanDo, PlanDrop, PlanSplit};
pub(crate) use promoting::{MannerFlags, Pr, Promote, Revert};
pub(crate) use simulate::{History, Simulate};
pub(crate) use speaking::{Comment, Tell};
pub(crate) use telling::{Notify, Report, ReportFormat};
pub(crate) use watching::{Size, Top};

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
    /// Work as this user; for root alone.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
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
    /// Work on issues: plan, write, check, review, land, accept.
    Run(Run),
    /// Repair the project: run its checks, give each failure to an engineer, until they are green or it is stuck.
    Qa(Qa),
    /// One task, a writer and a reviewer, a few rounds.
    Pair(Pair),
    /// Work on the backlog in order of priority and dependencies, until it is empty, the time is up or the budget is.
    Drain(Drain),
    /// One template over many items, in groups, after a trial group.
    Batch(Batch),
    /// Say what a shift would land, cost and take: the real decisions on simulated agents. Nothing is started.
    Simulate(Simulate),
    /// List, keep, write, edit and remove lessons: what earlier work taught, given to later work on the same paths.
    #[command(subcommand)]
    Lessons(Lessons),
    /// Show what each level of the budget has used and has left, and set other limits.
    #[command(subcommand)]
    Budget(Budget),
    /// Show what runs, what waits and why, and what it has cost.
    Status(Json),
    /// Show the board in a browser, with live events and an API for programs. Nothing is started by it.
    Board(Board),
    /// Watch a shift in the terminal: what runs, what waits and why, what it costs; answer questions, stop it.
    Top(Top),
    /// Show what happened: the journal in words, or what one attempt said.
    Log(Log),
    /// Tell what a shift came to: what landed and on what proof, what needs you, what failed, what it cost.
    Report(Report),
    /// Tell people what happens: test the targets of `[notify]`, list them, tell what waits.
    #[command(subcommand)]
    Notify(Notify),
    /// Turn a real attempt into a script that performs it again, without an account.
    Record(Record),
    /// Tell why each thing happened to a task, from the journal alone.
    Explain(Explain),
    /// Show what an issue or a task has changed.
    Diff(Diff),
    /// List the questions that wait for a person, or answer one.
    Answer(Answer),
    /// Work on a task yourself, at its agent's own terminal: nothing is started for it until you leave.
    Attach(Attach),
    /// Start the project's own server on a task's or an issue's work, on a port of its own, and say where to look.
    Preview(Preview),
    /// Say something about a change: its writer is given it, and it does not land before.
    Comment(Comment),
    /// Say something to a running agent: at its next step where it can hear that, else with its next turn.
    Tell(Tell),
    /// Go on with a shift whose coordinator died: agents that have worked on are listened to again.
    Resume(Resume),
    /// Stop the running shift. What runs is stopped and its work kept; --drain lets it finish.
    Stop(Stop),
    /// Put an issue's landed work on one of your branches.
    Promote(Promote),
    /// Push what has landed for an issue to a remote, and open or update a pull request.
    Pr(Pr),
    /// Take back what a promotion put on a branch, by a commit. The issue is ready to be promoted again.
    Revert(Revert),
    /// Give up an issue or a task. Its commits are kept under refs/turno/salvage/.
    Discard(Discard),
    /// List, show and write out what was salvaged: work that was found and belonged to nothing.
    #[command(subcommand)]
    Salvage(Salvage),
    /// Say what may be removed to free space, and why; with --yes, remove it.
    Gc(Gc),
    /// Print where Turno keeps the state of this workspace.
    Where(Json),
    /// Look the stored state through, mend its index, take its records out, put them into a new one.
    #[command(subcommand)]
    Store(Store),
    /// List, show and render personas.
    #[command(subcommand)]
    Persona(Persona),
    /// Show the plan of an issue; add, split, edit, drop and order its tasks, also while a shift works on it.
    Plan(Plan),
    /// Serve the verbs as tools over MCP, for programs of your own: `claude mcp add turno -- turno mcp`.
    Mcp,
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
    /// Confine a program.
    #[command(hide = true)]
    Confine(Confine),
    /// Perform a written session.
    #[command(hide = true)]
    Perform(Perform),
    /// Speak to a local server in lines.
    #[command(hide = true)]
    Bridge(Bridge),
    /// Serve an agent's tools over MCP.
    #[command(hide = true)]
    AgentTools,
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
pub(crate) struct Answer {
    /// Which question, e.g. d1. Without it: list those that wait.
    #[arg(requires = "answer")]
    pub(crate) decision: Option<DecisionId>,
    /// An option's label or number, or words of your own; `-` reads them from standard input.
    #[arg(value_name = "LABEL|NUMBER|TEXT", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) answer: Vec<String>,
    /// Print JSON.
    #[arg(long, conflicts_with = "decision")]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Stop {
    /// Start nothing more, but let what runs finish. If the coordinator is dead, this waits for it.
    #[arg(long)]
    pub(crate) drain: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Discard {
    /// An issue (7) or a task (7.1).
    #[arg(value_parser = parse_subject, value_name = "ISSUE|TASK")]
    pub(crate) subject: Subject,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Verify journal and index, and change nothing. Exit code 1 when something cannot be read.
    Check(Json),
    /// Make the index anew from the journal. Not while a coordinator runs.
    Rebuild,
    /// Write every record that can be read, as lines of JSON. Exit code 1 when some cannot.
    Export {
        /// A new file; standard output if it is not given.
        file: Option<PathBuf>,
    },
    /// Make a new journal from such lines, in a state directory without one.
    Import {
        /// What `store export` wrote.
        file: PathBuf,
    },
}
