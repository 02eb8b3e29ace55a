//! Owns what became of each piece of work in a shift: landed with its proof, parked with its question, failed with
//! its evidence, not finished, or not tried and why. Read off the state as the shift left it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attempts::Attempt;
use super::evidence::{Evidence, evidence};
use super::todo::Todo;
use super::{PATH, cut, line, tail};
use crate::check::{CheckResult, CheckVerdict, LogRef, Source};
use crate::decision::Choice;
use crate::failure::Cause;
use crate::ids::{AttemptId, CheckName, CommitId, IssueId, RepoName, TaskId};
use crate::issue::{Issue, IssueStage};
use crate::state::State;
use crate::task::{Actor, Approved, Consent, Park, Proof, Stage, Task};
use crate::units::{MicroUsd, Timestamp};
use crate::view::{failure_phrase, park_phrase, task_phrase};

/// An issue of the shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfIssue {
    /// Which.
    pub id: IssueId,
    /// One line.
    pub title: String,
    /// The repository it is about.
    pub repo: RepoName,
    /// How far it is.
    pub stage: IssueStage,
    /// How many pieces it has.
    pub pieces: u32,
    /// How many of them have landed, in this shift or before.
    pub landed: u32,
    /// What it has cost in this shift.
    pub cost: MicroUsd,
    /// What to type to have its work, once there is any.
    pub todo: Vec<Todo>,
    /// What was proposed during it and nobody has answered.
    pub proposed: Vec<String>,
    /// That its branch could not keep up with the user's, and still is behind.
    pub alarm: Option<Alarmed>,
}

/// A branch that could not keep up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarmed {
    /// When that was seen.
    pub since: Timestamp,
    /// The user's branch.
    pub branch: String,
    /// Where it was.
    pub tip: CommitId,
    /// Where the issue's branch is.
    pub head: CommitId,
    /// Why; cut.
    pub why: String,
}

/// A check in a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckTook {
    /// Which.
    pub check: CheckName,
    /// How long it took when it was run.
    pub took_ms: u64,
    /// Whether it passed, or was red once and green then; what else there is in a repair is red for other reasons.
    pub shown: Shown,
    /// Whether it was run for this.
    pub source: Source,
}

/// What a check in a proof showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// It passed.
    Passed,
    /// It was red, then green at the same tree.
    Flaky,
    /// It was not green, for reasons that other tasks mend.
    NotGreen,
}

/// Who let a change land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// A reviewer.
    By {
        /// Who.
        reviewer: Actor,
        /// How many remarks were made.
        notes: u32,
    },
    /// No review was asked for.
    Waived,
}

/// What a change landed on: proof and consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grounds {
    writer: Actor,
    judged: Judged,
    checks: Vec<CheckTook>,
    paths: Vec<String>,
}

impl Grounds {
    pub(super) fn of(approved: &Approved) -> Self {
        let change = &approved.proven.change;
        Self {
            writer: change.writer.clone(),
            judged: match &approved.consent {
                Consent::Approved { by, notes } => Judged::By {
                    reviewer: by.clone(),
                    notes: u32::try_from(notes.len()).unwrap_or(u32::MAX),
                },
                Consent::Waived => Judged::Waived,
            },
            checks: match &approved.proven.proof {
                Proof::Checked(report) => report.results.iter().map(CheckTook::of).collect(),
                Proof::NoChecks => Vec::new(),
            },
            paths: change.paths.iter().map(|p| cut(p, PATH)).collect(),
        }
    }
}

impl CheckTook {
    fn of(result: &CheckResult) -> Self {
        Self {
            check: result.check.clone(),
            took_ms: result.took.0,
            shown: match &result.verdict {
                CheckVerdict::Pass => Shown::Passed,
                CheckVerdict::Flaky => Shown::Flaky,
                CheckVerdict::Fail { .. } | CheckVerdict::CouldNotRun { .. } => Shown::NotGreen,
            },
            source: result.source,
        }
    }
}

/// Something that landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Landed {
    /// Which task.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// As which commit of the issue's integration branch.
    pub commit: CommitId,
    /// When.
    pub at: Timestamp,
    /// The writer's account of it; its first line.
    pub summary: String,
    /// The first paths that it changes.
    pub paths: Vec<String>,
    /// How many paths it changes.
    pub paths_in_all: u32,
    /// The checks that proved it; none where the project has none.
    pub checks: Vec<CheckTook>,
    /// Who wrote it, as far as that is known.
    pub writer: Option<Actor>,
    /// Who let it land, as far as that is known.
    pub judged: Option<Judged>,
    /// Attempts of agents at it in this shift.
    pub tries: u32,
    /// What it has cost in all shifts.
    pub cost: MicroUsd,
}

/// Something that waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// Which task.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// The one question.
    pub question: String,
    /// The ways to answer it; an answer in other words is possible too.
    pub options: Vec<Choice>,
    /// The label of the one that whoever asks would take.
    pub recommended: Option<String>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What to type.
    pub todo: Vec<Todo>,
    /// Attempts of agents at it in this shift.
    pub tries: u32,
    /// What it has cost in all shifts.
    pub cost: MicroUsd,
}

/// Why something is given up on for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stuck {
    /// This cause happened more often than the policy allows.
    OutOfTries {
        /// Which.
        cause: Cause,
    },
    /// The same tree with the same failures, three times.
    NoProgress,
    /// All causes together happened to its issue more often than the policy allows.
    Ceiling {
        /// The last one.
        cause: Cause,
    },
}

/// Something that was tried and did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Which task.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// Why.
    pub stuck: Stuck,
    /// The same in words.
    pub why: String,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// The last attempt of an agent at it.
    pub last: Option<AttemptId>,
    /// Where everything is that that attempt said, below the state directory.
    pub transcript: Option<LogRef>,
    /// What to type.
    pub todo: Vec<Todo>,
    /// Attempts of agents at it in this shift.
    pub tries: u32,
    /// What it has cost in all shifts.
    pub cost: MicroUsd,
}

/// Something that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Which task.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// Why.
    pub why: String,
    /// What it has cost in all shifts.
    pub cost: MicroUsd,
}

/// Something that was begun and not brought to an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// Which task.
    pub task: TaskId,
    /// One line.
    pub title: String,
    /// How far it is.
    pub stage: String,
    /// Why it did not go on, if that was said.
    pub why: Option<String>,
    /// What to type.
    pub todo: Vec<Todo>,
    /// Attempts of agents at it in this shift.
    pub tries: u32,
    /// What it has cost in all shifts.
    pub cost: MicroUsd,
}

/// What was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UntriedWhat {
    /// A whole issue.
    Issue(IssueId),
    /// A task.
    Task(TaskId),
}

/// Something that was not tried, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Untried {
    /// What.
    pub what: UntriedWhat,
    /// One line.
    pub title: String,
    /// Why.
    pub why: String,
}

/// Whether a task that is parked for this was tried and did not work; else it waits for a person's word.
pub(super) fn is_failure(park: &Park) -> bool {
    match park {
        Park::OutOfTries { .. } | Park::NoProgress { .. } | Park::Ceiling { .. } => true,
        Park::NoChecks
        | Park::Decision(_)
        | Park::NoPlan { .. }
        | Park::NotAccepted { .. }
        | Park::RedBase { .. }
        | Park::Budget { .. }
        | Park::Account { .. }
        | Park::NoCandidate { .. } => false,
    }
}

/// What of a shift's attempts belongs to one task.
#[derive(Debug, Default, Clone)]
pub(super) struct Effort {
    pub(super) tries: u32,
    last: Option<AttemptId>,
    transcript: Option<LogRef>,
}

impl Effort {
    /// By task. Attempts must come in order.
    pub(super) fn by_task(attempts: &[Attempt]) -> BTreeMap<TaskId, Self> {
        let mut all: BTreeMap<TaskId, Self> = BTreeMap::new();
        for attempt in attempts {
            if attempt.by == crate::view::RunBy::Turno {
                continue;
            }
            let effort = all.entry(attempt.task).or_default();
            effort.tries += 1;
            effort.last = Some(attempt.id);
            effort.transcript.clone_from(&attempt.transcript);
        }
        all
    }
}

impl OfIssue {
    pub(super) fn of(state: &State, issue: &Issue, cost: MicroUsd) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let landed = |t: &&std::sync::Arc<Task>| matches!(t.stage, Stage::Landed { .. });
        let todo = match issue.stage {
            IssueStage::Review { .. } => vec![Todo::Diff(issue.id), Todo::Promote(issue.id)],
            IssueStage::Working { .. } => vec![Todo::Diff(issue.id), Todo::RunAgain(issue.id)],
            IssueStage::Backlog
            | IssueStage::Opening { .. }
            | IssueStage::Done { .. }
            | IssueStage::Closed { .. } => Vec::new(),
        };
        Self {
            id: issue.id,
            title: line(&issue.draft.title),
            repo: issue.draft.repo.clone(),
            stage: issue.stage.clone(),
            pieces: count(state.pieces_of(issue.id).count()),
            landed: count(state.pieces_of(issue.id).filter(landed).count()),
            cost,
            todo,
            proposed: issue
                .open_proposals()
                .take(20)
                .map(|p| line(&p.proposed.title))
                .collect(),
            alarm: issue.following.alarm().map(|(branch, alarm)| Alarmed {
                since: alarm.since,
                branch: cut(branch, PATH),
                tip: alarm.tip.clone(),
                head: alarm.head.clone(),
                why: line(&alarm.why.phrase()),
            }),
        }
    }
}

impl Landed {
    pub(super) fn of(task: &Task, effort: &Effort, grounds: Option<&Grounds>) -> Option<Self> {
        let Stage::Landed { commit, at, handoff } = &task.stage else {
            return None;
        };
        let mut paths: Vec<String> = handoff.paths.iter().map(|p| cut(p, PATH)).collect();
        if paths.is_empty() {
            paths = grounds.map_or_else(Vec::new, |g| g.paths.clone());
        }
        let paths_in_all = u32::try_from(paths.len()).unwrap_or(u32::MAX);
        paths.truncate(12);
        Some(Self {
            task: task.id,
            title: line(&task.spec.title),
            commit: commit.clone(),
            at: *at,
            summary: line(&handoff.summary),
            paths,
            paths_in_all,
            checks: grounds.map_or_else(Vec::new, |g| g.checks.clone()),
            writer: grounds.map(|g| g.writer.clone()),
            judged: grounds.map(|g| g.judged.clone()),
            tries: effort.tries,
            cost: task.cost(),
        })
    }
}

impl Parked {
    pub(super) fn of(state: &State, task: &Task, effort: &Effort) -> Option<Self> {
        let Stage::Parked { work, park } = &task.stage else {
            return None;
        };
        if is_failure(park) {
            return None;
        }
        let issue = task.id.issue;
        let mut parked = Self {
            task: task.id,
            title: line(&task.spec.title),
            question: String::new(),
            options: Vec::new(),
            recommended: None,
            evidence: evidence(work),
            todo: vec![Todo::RunAgain(issue)],
            tries: effort.tries,
            cost: task.cost(),
        };
        let told = |texts: &[String]| texts.iter().take(10).map(|t| Evidence::word(&line(t))).collect();
        match park {
            Park::Decision(id) => {
                parked.todo = vec![Todo::Answer(*id, None)];
                if let Some(decision) = state.decisions.get(id) {
                    let asked = &decision.question;
                    parked.question = cut(&asked.question, 1000);
                    parked.recommended = asked.recommended.as_deref().map(|r| cut(r, 120));
                    let options = asked.options.iter().take(10);
                    parked.options = options
                        .map(|o| Choice {
                            label: cut(&o.label, 120),
                            detail: line(&o.detail),
                        })
                        .collect();
                    let numbers = (1..=parked.options.len()).map(|n| Todo::Answer(*id, Some(n)));
                    parked.todo = numbers.chain([Todo::Answer(*id, None)]).collect();
                }
            }
            Park::NoChecks => {
                parked.question =
                    "Which command proves a change? There is none: name one in turno.toml under \
                                   [checks], then run the issue again."
                        .to_owned();
            }
            Park::RedBase { checks, base } => {
                let names: Vec<&str> = checks.iter().map(CheckName::as_str).collect();
                parked.question = format!(
                    "Will you mend {} on your branch? Red at {} also without this change, so nothing lands there.",
                    names.join(", "),
                    base.short()
                );
                parked.todo.push(Todo::Discard(task.id));
            }
            Park::NoPlan { errors } => {
                parked.question = "Is the issue clear enough? No valid plan came of it.".to_owned();
                parked.evidence = told(errors);
                parked.todo.insert(0, Todo::Edit(issue));
            }
            Park::NotAccepted { missing } => {
                parked.question =
                    "Is what is missing still wanted? It was planned as often as the policy allows."
                        .to_owned();
                parked.evidence = told(missing);
            }
            Park::Budget { level, left, .. } => {
                let measure = left.measure();
                parked.question = format!(
                    "May it use more {}? The budget of {} is spent.",
                    measure.word(),
                    level.phrase()
                );
                parked.todo.insert(0, Todo::Raise(level.clone(), measure));
            }
            Park::NoCandidate { why } => {
                parked.question = "Try again, or give it up? No candidate was good enough.".to_owned();
                parked.evidence = vec![Evidence::word(&line(why))];
                parked.todo.push(Todo::Discard(task.id));
            }
            Park::Account { agent, failure } => {
                parked.question = format!(
                    "Can you get `{agent}` to work again? It cannot be started: {}",
                    line(&failure_phrase(failure))
                );
            }
            // Those are failures.
            Park::OutOfTries { .. } | Park::NoProgress { .. } | Park::Ceiling { .. } => {}
        }
        Some(parked)
    }
}

impl Failed {
    pub(super) fn of(task: &Task, effort: &Effort) -> Option<Self> {
        let Stage::Parked { work, park } = &task.stage else {
            return None;
        };
        let mut evidence = evidence(work);
        let stuck = match park {
            Park::OutOfTries { failure } => {
                if evidence.is_empty() && !failure.detail.trim().is_empty() {
                    evidence.push(Evidence {
                        what: failure.cause.phrase().to_owned(),
                        extract: tail(&failure.detail),
                        log: None,
                    });
                }
                Stuck::OutOfTries { cause: failure.cause }
            }
            Park::NoProgress { .. } => Stuck::NoProgress,
            Park::Ceiling { failure, .. } => Stuck::Ceiling { cause: failure.cause },
            Park::NoChecks
            | Park::Decision(_)
            | Park::NoPlan { .. }
            | Park::NotAccepted { .. }
            | Park::RedBase { .. }
            | Park::Budget { .. }
            | Park::Account { .. }
            | Park::NoCandidate { .. } => return None,
        };
        let why = match stuck {
            Stuck::OutOfTries { cause } => format!("no tries left: {}", cause.phrase()),
            Stuck::NoProgress | Stuck::Ceiling { .. } => line(&park_phrase(park)).replacen("parked, ", "", 1),
        };
        let mut todo: Vec<Todo> = effort.last.map(Todo::Log).into_iter().collect();
        todo.push(Todo::Explain(task.id));
        todo.push(Todo::RunAgain(task.id.issue));
        if !task.id.is_lead() {
            todo.push(Todo::Discard(task.id));
        }
        Some(Self {
            task: task.id,
            title: line(&task.spec.title),
            stuck,
            why,
            evidence,
            last: effort.last,
            transcript: effort.transcript.clone(),
            todo,
            tries: effort.tries,
            cost: task.cost(),
        })
    }
}

impl Dropped {
    pub(super) fn of(task: &Task) -> Option<Self> {
        let Stage::Dropped { why } = &task.stage else {
            return None;
        };
        Some(Self {
            task: task.id,
            title: line(&task.spec.title),
            why: line(why),
            cost: task.cost(),
        })
    }
}

impl Unfinished {
    pub(super) fn of(task: &Task, effort: &Effort, why: Option<&str>) -> Self {
        Self {
            task: task.id,
            title: line(&task.spec.title),
            stage: line(&task_phrase(task)),
            why: why.map(str::to_owned),
            todo: vec![Todo::Explain(task.id), Todo::RunAgain(task.id.issue)],
            tries: effort.tries,
            cost: task.cost(),
        }
    }
}
