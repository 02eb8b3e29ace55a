//! Owns what people say about a task: their comments on a change, and their words to an agent that runs. What follows
//! from a remark is decided in `step/remarks.rs`. The words are from outside and stay data.

use serde::{Deserialize, Serialize};

use crate::State;
use crate::ids::{AttemptId, CommitId, IssueId, RemarkId, TaskId};
use crate::issue::IssueStage;
use crate::liveness::Hears;
use crate::outcome::{Finding, Severity};
use crate::persona::Role;
use crate::task::{Actor, Stage, StartFrom, Stopping, Task, Work, WriteJob};
use crate::units::Timestamp;

/// What a comment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A task.
    Task(TaskId),
    /// All that an issue's branch has: the comment becomes a task of the issue.
    Issue(IssueId),
}

impl Subject {
    /// The issue that it is part of.
    pub fn issue(self) -> IssueId {
        match self {
            Self::Task(task) => task.issue,
            Self::Issue(issue) => issue,
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(task) => write!(f, "task {task}"),
            Self::Issue(issue) => write!(f, "issue {issue}"),
        }
    }
}

/// In which way an agent was given a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It was among what it was told when it began.
    AtTheBeginning,
    /// It was said to it while it ran, and it took it in.
    WhileItRan,
}

/// What became of a remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkStage {
    /// Nobody has it: the next turn of the role that it is for is given it.
    Open,
    /// It is being said to an agent that runs, which has not taken it in yet.
    Saying {
        /// In which attempt.
        attempt: AttemptId,
    },
    /// An agent that is at work has it. If that one ends without what it was asked for, it is open again.
    Given {
        /// Who.
        to: Actor,
        /// How.
        way: Way,
        /// When.
        at: Timestamp,
    },
    /// Whoever had it has delivered.
    Heeded {
        /// Who.
        by: Actor,
        /// How it was given.
        way: Way,
    },
    /// What it is about had landed, so it is a task of its own.
    Task {
        /// Which.
        task: TaskId,
    },
}

/// Something that a person said about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Its number within the task.
    pub id: RemarkId,
    /// When it was said.
    pub at: Timestamp,
    /// Where, and the words. Without a file it is about the task as a whole.
    pub finding: Finding,
    /// The commit that the person looked at; absent where it was said of no state in particular.
    pub commit: Option<CommitId>,
    /// For whom.
    pub to: Role,
    /// What became of it.
    pub stage: RemarkStage,
}

impl Remark {
    /// Whether nobody was given it yet.
    pub fn is_open(&self) -> bool {
        self.stage == RemarkStage::Open
    }

    /// What became of it, in words.
    pub fn phrase(&self) -> String {
        match &self.stage {
            RemarkStage::Open => format!("open: the next {}'s turn is given it", self.to),
            RemarkStage::Saying { attempt } => format!("is being said to {attempt}"),
            RemarkStage::Given { to, way, .. } => match way {
                Way::AtTheBeginning => format!("given to {} ({}, {})", to.persona, to.agent, to.attempt),
                Way::WhileItRan => {
                    format!(
                        "said to {} ({}, {}) while it ran",
                        to.persona, to.agent, to.attempt
                    )
                }
            },
            RemarkStage::Heeded { by, .. } => {
                format!(
                    "given to {} ({}, {}), who has delivered",
                    by.persona, by.agent, by.attempt
                )
            }
            RemarkStage::Task { task } => format!("became task {task}"),
        }
    }
}

/// The commit that whoever looks at a subject now sees: the change of a task, or the head of an issue's branch.
pub fn looked_at(state: &State, on: Subject) -> Option<CommitId> {
    let of_issue = |issue: IssueId| {
        let integration = state.issues.get(&issue).and_then(|i| i.integration());
        integration.map(|(_, head)| head.clone())
    };
    let id = match on {
        Subject::Task(task) if !task.is_lead() => task,
        Subject::Task(task) => return of_issue(task.issue),
        Subject::Issue(issue) => return of_issue(issue),
    };
    let task = state.tasks.get(&id)?;
    if let Stage::Landed { commit, .. } = &task.stage {
        return Some(commit.clone());
    }
    if let Stage::Entered { proven } = &task.stage {
        return Some(proven.change.commit.clone());
    }
    let work = task.work()?;
    if let Work::Write(WriteJob {
        from: StartFrom::Commit { commit, .. },
        ..
    }) = &work
    {
        return Some(commit.clone());
    }
    work.change().map(|c| c.commit.clone())
}

/// Words about a task or a place in its files, as a finding. A person's word always has to be heeded.
pub fn finding(file: &str, line: u32, words: &str) -> Finding {
    Finding {
        file: file.to_owned(),
        line,
        severity: Severity::Major,
        what: words.trim().to_owned(),
        how_to_see: String::new(),
    }
}

/// The place that a person's words are about; `None` for the task as a whole.
pub fn said_place(said: &Finding) -> Option<String> {
    match (said.file.as_str(), said.line) {
        ("", _) => None,
        (file, 0) => Some(file.to_owned()),
        (file, line) => Some(format!("{file}:{line}")),
    }
}

/// A person's words with the place they are about, on one line.
pub fn said_phrase(said: &Finding) -> String {
    let words = said.what.lines().next().unwrap_or_default();
    match said_place(said) {
        Some(place) => format!("{place}: {words}"),
        None => words.to_owned(),
    }
}

/// What becomes of a person's words to a running agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// They are said to it now, at its next step.
    SaidNow,
    /// It cannot be spoken to while it runs: the next turn of its role on the task is given them.
    NextTurn,
}

/// What becomes of words to an attempt; `None` when no agent runs under that id, or it was told to stop.
pub fn fate(state: &State, attempt: AttemptId) -> Option<Fate> {
    let task = state.tasks.get(&state.task_of(attempt)?)?;
    let run = task.agent_run()?;
    if run.run.stopping != Stopping::No {
        return None;
    }
    let config = state.config.as_ref()?;
    Some(match config.agents.get(&run.agent).map(|a| a.hears) {
        Some(Hears::Nudges) => Fate::SaidNow,
        Some(Hears::Nothing) | None => Fate::NextTurn,
    })
}

/// What followed from a person's words to an attempt, in words for that person: read from the state after them.
pub fn told_phrase(state: &State, attempt: AttemptId) -> String {
    let Some(task) = state.task_of(attempt).and_then(|id| state.tasks.get(&id)) else {
        return format!("{attempt} has ended meanwhile; the next turn of its task is given this");
    };
    let Some(run) = task.agent_run() else {
        return format!("{attempt} is no agent's");
    };
    match fate(state, attempt) {
        Some(Fate::SaidNow) => format!(
            "it is said to {} ({}, {attempt}) at its next step; if it ends before that, its next turn is given it",
            run.persona, run.agent
        ),
        Some(Fate::NextTurn) | None => format!(
            "{} cannot be spoken to while it runs; it is given this with its next turn",
            run.agent
        ),
    }
}

/// What followed from the newest remark about a subject, in words for whoever made it: read from the state after it.
pub fn comment_phrase(state: &State, on: Subject) -> String {
    let issue = match on {
        Subject::Task(task) if !task.is_lead() => {
            let Some(task) = state.tasks.get(&task) else {
                return "there is no such task any more".to_owned();
            };
            let Some(remark) = task.remarks.last() else {
                return "it is recorded".to_owned();
            };
            return match &remark.stage {
                RemarkStage::Task { task: new } => {
                    format!("{} has landed, so this is task {new} of the issue now", task.id)
                }
                RemarkStage::Open
                | RemarkStage::Saying { .. }
                | RemarkStage::Given { .. }
                | RemarkStage::Heeded { .. } => where_it_goes(task, remark),
            };
        }
        Subject::Task(task) => task.issue,
        Subject::Issue(issue) => issue,
    };
    let newest = state.pieces_of(issue).last();
    newest.map_or_else(
        || "it is recorded".to_owned(),
        |task| format!("this is task {} of the issue now", task.id),
    )
}

fn where_it_goes(task: &Task, remark: &Remark) -> String {
    match &task.stage {
        Stage::Writing { run, .. } => match &remark.stage {
            RemarkStage::Given { .. } | RemarkStage::Heeded { .. } => {
                format!("{} has it ({}, {})", run.persona, run.agent, run.run.attempt)
            }
            RemarkStage::Open | RemarkStage::Saying { .. } | RemarkStage::Task { .. } => format!(
                "{} is at work ({}); its next turn is given this, and its change is not sent on before",
                run.persona, run.run.attempt
            ),
        },
        Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Comparing { .. }
        | Stage::Landing { .. } => {
            "what runs on the change is stopped; the change goes back to its writer with this".to_owned()
        }
        Stage::Parked { .. } => {
            "the task waits for a person for another reason; its writer is given this when it is resumed"
                .to_owned()
        }
        Stage::Blocked
        | Stage::Ready { .. }
        | Stage::Entered { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Accepted { .. }
        | Stage::Backoff { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => "its writer's next turn is given this".to_owned(),
    }
}

/// Whether an issue takes tasks that a person's comment becomes: it has a branch, and is not over.
pub fn takes_tasks(stage: &IssueStage) -> bool {
    match stage {
        IssueStage::Working { .. } | IssueStage::Review { .. } => true,
        IssueStage::Backlog
        | IssueStage::Opening { .. }
        | IssueStage::Done { .. }
        | IssueStage::Closed { .. } => false,
    }
}

impl Task {
    /// What people said about it that nobody has delivered with yet.
    pub fn remarks_at_work(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().filter(|r| match r.stage {
            RemarkStage::Open | RemarkStage::Saying { .. } | RemarkStage::Given { .. } => true,
            RemarkStage::Heeded { .. } | RemarkStage::Task { .. } => false,
        })
    }

    /// What people said about it that nobody was given yet.
    pub fn open_remarks(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().filter(|r| r.is_open())
    }
}
