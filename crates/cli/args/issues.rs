//! Owns the words of the verbs about issues: what is wanted, and which comes first.

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use turno_core::ids::{IssueId, RepoName};
use turno_core::issue::Priority;

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
    /// Put an issue of the backlog into the shift that runs: it is begun at once.
    Start {
        /// Which.
        issue: IssueId,
    },
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
    /// The repository it is about, by its name in turno.toml; the one that holds turno.toml if it is not given.
    #[arg(long, value_name = "NAME")]
    pub(crate) repo: Option<RepoName>,
    /// Issues that must be done first. May be given several times.
    #[arg(long, value_name = "ISSUE", value_delimiter = ',')]
    pub(crate) needs: Vec<IssueId>,
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
