//! Owns the words of the verbs that run a shift: one for each mode.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use turno_core::ids::{AgentName, CheckName, IssueId, PolicyName, RepoName};
use turno_core::units::MicroUsd;

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// The issues to work on.
    #[arg(required = true)]
    pub(crate) issues: Vec<IssueId>,
    /// So many writers try each issue, in one task; the best change lands.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=9))]
    pub(crate) candidates: Option<u8>,
    #[command(flatten)]
    pub(crate) shift: ShiftArgs,
}

/// A shift that was begun has its budget, its mode and its issues.
#[derive(Debug, ClapArgs)]
pub(crate) struct Resume {
    /// Run agents and checks with all that you may do yourself. Only for a machine with nothing to lose.
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    /// Print the journal as NDJSON while it grows.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What each verb that runs a shift takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct ShiftArgs {
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
    /// Run agents and checks with all that you may do yourself. Only for a machine with nothing to lose.
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    /// Run each check each time, also one that passed on the same files before.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print the journal as NDJSON while it grows.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Qa {
    /// The checks to make green; all of them if none is named.
    pub(crate) checks: Vec<CheckName>,
    /// In which repository of the workspace.
    #[arg(long, value_name = "NAME")]
    pub(crate) repo: Option<RepoName>,
    #[command(flatten)]
    pub(crate) shift: ShiftArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Pair {
    /// What is to be done, in one line.
    pub(crate) task: String,
    /// More words, in Markdown; `-` reads them from standard input.
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub(crate) body: Option<String>,
    /// Something that must be true afterwards. May be given several times.
    #[arg(short = 'a', long = "accept", value_name = "CRITERION")]
    pub(crate) acceptance: Vec<String>,
    /// A tester writes the tests first; they are frozen before the writer begins.
    #[arg(long)]
    pub(crate) tests_first: bool,
    /// How often the reviewer may send it back before a person is asked.
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u8>,
    #[command(flatten)]
    pub(crate) shift: ShiftArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Drain {
    /// Start nothing after this time: HH:MM (the next one), or a date and time like 2026-11-22T07:00:00+01:00.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Take up so many issues at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_issues: Option<u16>,
    #[command(flatten)]
    pub(crate) shift: ShiftArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Batch {
    /// A file with the template: its first line is the title, the rest the task. {{ item }} stands for the item,
    /// {{ name }} for its file name without directory and ending, {{ number }} for its place, {{ repo }} for the
    /// repository.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) items: BatchItems,
    /// How many items are worked on before the next ones begin.
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) group: u16,
    /// Work on so many first; the rest follows when a person, or the policy, accepts their result.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) trial: u16,
    /// In which repositories of the workspace; the one with turno.toml if none is named.
    #[arg(long = "repo", value_name = "NAME")]
    pub(crate) repos: Vec<RepoName>,
    /// Something that must be true of each item afterwards; a template too. May be given several times.
    #[arg(short = 'a', long = "accept", value_name = "CRITERION")]
    pub(crate) acceptance: Vec<String>,
    /// Print the items and their tasks, and run nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) shift: ShiftArgs,
}

/// Where the items of a batch come from.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct BatchItems {
    /// Tracked files that match a glob, like 'src/**/*.js'. May be given several times.
    #[arg(short = 'i', long = "items", value_name = "GLOB")]
    pub(crate) globs: Vec<String>,
    /// The lines of a file; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) items_from: Option<PathBuf>,
    /// The issues of the backlog that have a label.
    #[arg(long, value_name = "LABEL")]
    pub(crate) issues: Option<String>,
}
