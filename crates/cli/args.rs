//! Owns the words a person may type. Types only, no logic: help, completions and the man page come from here.

mod attaching;
mod board;
mod budget;
mod keeping;
mod modes;
mod planning;
mod simulate;
mod speaking;
mod telling;
mod watching;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use turno_core::ids::{AttemptId, DecisionId, IssueId, LessonId, PersonaName, RepoName, TaskId};
use turno_core::issue::Priority;
use turno_core::promotion::Manner;

pub(crate) use attaching::{Attach, Preview};
pub(crate) use board::Board;
pub(crate) use budget::{Budget, Set};
pub(crate) use keeping::{Gc, Salvage};
pub(crate) use modes::{Batch, BatchItems, Drain, Pair, Qa, Resume, Run, ShiftArgs};
pub(crate) use planning::{Plan, PlanAdd, PlanChange, PlanDo, PlanDrop, PlanSplit};
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

#[derive(Debug, Subcommand)]
pub(crate) enum Lessons {
    /// List lessons.
    List {
        /// Also those that were removed.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a lesson down.
    Add {
        /// The lesson, in one or two sentences.
        text: String,
        /// A glob of the paths it is about. May be given several times.
        #[arg(short, long = "path", value_name = "GLOB", required = true)]
        paths: Vec<String>,
        /// What showed it.
        #[arg(long, value_name = "TEXT", default_value = "")]
        evidence: String,
        /// In which repository of the workspace.
        #[arg(long, value_name = "NAME")]
        repo: Option<RepoName>,
    },
    /// Keep a proposed lesson: from now on it is given to work on its paths.
    Keep {
        /// Which, e.g. l1.
        lesson: LessonId,
    },
    /// Change a lesson, and keep it. Only what is given is changed.
    Edit {
        /// Which, e.g. l1.
        lesson: LessonId,
        /// New words.
        #[arg(short, long)]
        text: Option<String>,
        /// New globs, in place of all old ones.
        #[arg(short, long = "path", value_name = "GLOB")]
        paths: Vec<String>,
    },
    /// Remove a lesson.
    Remove {
        /// Which, e.g. l1.
        lesson: LessonId,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Log {
    /// An attempt, e.g. a3: show what it said. A task, e.g. 1.1: show who said what about it. Without it: what
    /// happened in the workspace.
    #[arg(value_parser = parse_said, value_name = "ATTEMPT|TASK")]
    pub(crate) about: Option<LogSubject>,
    /// Go on showing what happens.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The bytes as they were said, nothing left out.
    #[arg(long, requires = "about")]
    pub(crate) raw: bool,
    /// Print NDJSON.
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

/// What a log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogSubject {
    /// One attempt.
    Attempt(AttemptId),
    /// One task.
    Task(TaskId),
}

fn parse_said(text: &str) -> Result<LogSubject, String> {
    let parsed = if text.contains('.') {
        text.parse().map(LogSubject::Task)
    } else {
        text.parse().map(LogSubject::Attempt)
    };
    parsed.map_err(|e: turno_core::ids::InvalidId| e.to_string())
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Record {
    /// Which attempt of an agent, e.g. a3.
    pub(crate) attempt: AttemptId,
    /// Write it to a new file instead of printing it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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
pub(crate) struct Promote {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// Onto which branch; the one that is checked out if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) onto: Option<String>,
    #[command(flatten)]
    pub(crate) manner: MannerFlags,
    /// Say what would come onto the branch, and move nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Promote also when your branch has moved, so that the checks never saw the outcome.
    #[arg(long)]
    pub(crate) unproven: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Pr {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// To which remote; the upstream's of your branch if it is not given.
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,
    /// Into which branch there; that upstream if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) base: Option<String>,
    /// Say what would be pushed and opened, and do neither.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also when the branch there has moved, so that the checks never saw the two together.
    #[arg(long)]
    pub(crate) unproven: bool,
}

#[derive(Debug, Default, ClapArgs)]
#[group(multiple = false)]
pub(crate) struct MannerFlags {
    /// As one commit; so it is if turno.toml says nothing else.
    #[arg(long)]
    squash: bool,
    /// By a merge commit.
    #[arg(long)]
    merge: bool,
    /// Commit by commit, each with its author and message.
    #[arg(long)]
    rebase: bool,
}

impl MannerFlags {
    /// The one that was typed, if one was.
    pub(crate) fn chosen(&self) -> Option<Manner> {
        [
            (self.squash, Manner::Squash),
            (self.merge, Manner::Merge),
            (self.rebase, Manner::Rebase),
        ]
        .into_iter()
        .find_map(|(typed, manner)| typed.then_some(manner))
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Revert {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// From which branch; the one it was promoted onto if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) onto: Option<String>,
    /// Say what would be done, and move nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
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
