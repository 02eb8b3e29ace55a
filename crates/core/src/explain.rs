//! Owns the story of a task, told from the journal alone: what happened, and what followed from it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::check::{CheckReport, CheckVerdict};
use crate::command::Command;
use crate::event::{AgentEnd, Event, LandingEnd, LeftBehind, StopHow};
use crate::ids::{AttemptId, Seq, TaskId};
use crate::outcome::{Finding, Outcome, Verdict};
use crate::record::Record;
use crate::state::Entity;
use crate::task::{Because, Stage, Stopping, Work};
use crate::units::Timestamp;
use crate::view::{failure_phrase, stage_phrase};

/// One thing that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The record it is told from.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
    /// What followed for the task.
    pub so: String,
    /// The evidence: check output, findings, conflicting hunks.
    pub evidence: Vec<String>,
}

/// Tells the story of one task. Records must come in order and from the first that concerns it.
pub fn explain<'a>(records: impl IntoIterator<Item = &'a Record>, task: TaskId) -> Vec<Line> {
    let mut attempts = BTreeSet::new();
    let mut lines = Vec::new();
    for record in records {
        let about = record.event.attempt().is_some_and(|a| attempts.contains(&a));
        attempts.extend(
            record
                .commands
                .iter()
                .filter(|c| task_of(c) == Some(task))
                .filter_map(Command::starts),
        );
        let became = record.changes.iter().find_map(|entity| match entity {
            Entity::Task(t) if t.id == task => Some(t),
            Entity::Task(_) | Entity::Config(_) | Entity::Issue(_) | Entity::Shift(_) | Entity::Desk(_) => {
                None
            }
        });
        if !about && became.is_none() {
            continue;
        }
        // A meter reading alone is no news; one that stops the attempt is.
        let quiet = matches!(record.event, Event::Metered { .. } | Event::SessionOpened { .. });
        let stops = record
            .commands
            .iter()
            .any(|c| matches!(c, Command::StopAttempt { .. }));
        if quiet && !stops {
            continue;
        }
        let so = became.map_or_else(|| "nothing changed for it".to_owned(), |t| so(&t.stage));
        lines.push(Line {
            seq: record.seq,
            at: record.at,
            what: if about || record.event.attempt().is_none() {
                event_phrase(&record.event)
            } else {
                format!("for another task, {}", event_phrase(&record.event))
            },
            so,
            evidence: became
                .filter(|_| about)
                .map_or_else(Vec::new, |t| evidence(&t.stage)),
        });
    }
    lines
}

fn task_of(command: &Command) -> Option<TaskId> {
    match command {
        Command::StartAgent(start) => Some(start.task),
        Command::RunChecks(start) => Some(start.task),
        Command::Land(start) => Some(start.task),
        Command::StopAttempt { .. } | Command::EndShift { .. } => None,
    }
}

fn so(stage: &Stage) -> String {
    let stopping = match stage {
        Stage::Writing { run, .. } | Stage::Reviewing { run, .. } => &run.run.stopping,
        Stage::Checking { run, .. } | Stage::Landing { run, .. } => &run.stopping,
        Stage::Blocked
        | Stage::Ready { .. }
        | Stage::Backoff { .. }
        | Stage::Parked { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => &Stopping::No,
    };
    match stopping {
        Stopping::No => stage_phrase(stage),
        Stopping::Asked { why, .. } => format!("it is stopped: {}", why.phrase()),
    }
}

/// A fact in words.
pub fn event_phrase(event: &Event) -> String {
    match event {
        Event::ConfigLoaded { config } => format!(
            "configuration loaded: policy {}, {} slot(s), {} check(s)",
            config.policy.name,
            config.slots,
            config.checks.len()
        ),
        Event::IssueAdded { draft } => format!("issue filed: {}", draft.title),
        Event::IssueEdited { issue, .. } => format!("issue {issue} edited"),
        Event::IssueClosed { issue, why } => format!("issue {issue} closed: {why}"),
        Event::ShiftStarted { mode, issues, budget } => {
            format!(
                "shift started in mode {mode} on {} issue(s) with a budget of {budget}",
                issues.len()
            )
        }
        Event::StopAsked { how: StopHow::Drain } => {
            "a person asked to drain: nothing new is started".to_owned()
        }
        Event::StopAsked { how: StopHow::Now } => "a person asked to stop now".to_owned(),
        Event::Discarded { .. } => "a person discarded it".to_owned(),
        Event::Promoted { issue, onto, commit } => {
            format!("issue {issue} promoted onto {onto} at {}", commit.short())
        }
        Event::SessionOpened { attempt, session } => format!("{attempt} opened session {session}"),
        Event::Metered { attempt, spend } => format!("{attempt} has spent {}", spend.cost),
        Event::AgentEnded {
            attempt,
            end,
            spend,
            left,
            ..
        } => {
            format!(
                "{attempt} ended after {}: {}{}",
                spend.cost,
                end_phrase(end),
                left_phrase(left)
            )
        }
        Event::ChecksEnded { attempt, report } => format!("{attempt}: {}", report_phrase(report)),
        Event::LandingEnded { attempt, end } => format!("{attempt}: {}", landing_phrase(end)),
        Event::AttemptFailed { attempt, failure } => format!("{attempt} failed: {}", failure_phrase(failure)),
        Event::TimePassed => "time passed".to_owned(),
        Event::Restarted { lost } => {
            format!("the coordinator began again, {} attempt(s) were lost", lost.len())
        }
    }
}

fn end_phrase(end: &AgentEnd) -> String {
    match end {
        AgentEnd::Finished(Outcome::Change { summary, .. }) => format!("change: {}", first_line(summary)),
        AgentEnd::Finished(Outcome::Verdict {
            verdict: Verdict::Approve { notes },
            ..
        }) => {
            format!("approved with {} note(s)", notes.len())
        }
        AgentEnd::Finished(Outcome::Verdict {
            verdict: Verdict::Findings { findings },
            ..
        }) => {
            format!("{} finding(s)", findings.len())
        }
        AgentEnd::Finished(Outcome::Plan { tasks }) => format!("a plan of {} task(s)", tasks.len()),
        AgentEnd::Finished(Outcome::Acceptance { missing }) => {
            format!("acceptance, {} missing", missing.len())
        }
        AgentEnd::Failed(failure) => failure_phrase(failure),
    }
}

fn left_phrase(left: &LeftBehind) -> String {
    match left {
        LeftBehind::Nothing => String::new(),
        LeftBehind::Commit { commit, .. } => format!(" [left {}]", commit.short()),
    }
}

/// A report in words: every check by name.
pub fn report_phrase(report: &CheckReport) -> String {
    let parts: Vec<String> = report
        .results
        .iter()
        .map(|r| match &r.verdict {
            CheckVerdict::Pass => format!("{} passed", r.check),
            CheckVerdict::Flaky => format!("{} is flaky (red, then green)", r.check),
            CheckVerdict::Fail { .. } => format!("{} failed", r.check),
            CheckVerdict::CouldNotRun { why } => format!("{} could not be run: {why}", r.check),
        })
        .collect();
    if parts.is_empty() {
        "no checks".to_owned()
    } else {
        parts.join(", ")
    }
}

fn landing_phrase(end: &LandingEnd) -> String {
    match end {
        LandingEnd::Landed { commit } => format!("landed as {}", commit.short()),
        LandingEnd::Conflict { hunks, .. } => format!("conflict in {} place(s)", hunks.len()),
        LandingEnd::NotGreen { report, .. } => {
            format!("the integrated tree is not green: {}", report_phrase(report))
        }
        LandingEnd::Raced { .. } => "the integration branch moved meanwhile".to_owned(),
    }
}

/// The evidence that goes back to the writer.
fn evidence(stage: &Stage) -> Vec<String> {
    let because = match stage {
        Stage::Ready {
            work: Work::Write(job),
            ..
        }
        | Stage::Writing { job, .. }
        | Stage::Backoff {
            work: Work::Write(job),
            ..
        }
        | Stage::Parked {
            work: Work::Write(job),
            ..
        } => &job.because,
        Stage::Ready { .. }
        | Stage::Blocked
        | Stage::Checking { .. }
        | Stage::Reviewing { .. }
        | Stage::Landing { .. }
        | Stage::Backoff { .. }
        | Stage::Parked { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => return Vec::new(),
    };
    match because {
        Because::New | Because::Interrupted { .. } => Vec::new(),
        Because::ChecksFailed { failing } => failing
            .iter()
            .map(|r| match &r.verdict {
                CheckVerdict::Fail { extract } => {
                    format!("{}: {} [{}]", r.check, telling_line(extract), r.log.path)
                }
                CheckVerdict::CouldNotRun { why } => format!("{}: {why}", r.check),
                CheckVerdict::Pass | CheckVerdict::Flaky => r.check.to_string(),
            })
            .collect(),
        Because::Findings { findings, .. } => findings.iter().map(finding_phrase).collect(),
        Because::Conflict { hunks, .. } => hunks.iter().map(|h| h.file.clone()).collect(),
    }
}

/// A finding on one line.
pub fn finding_phrase(finding: &Finding) -> String {
    format!(
        "{}:{} [{}] {}",
        finding.file,
        finding.line,
        finding.severity,
        first_line(&finding.what)
    )
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The line of an output that says most: the last that tells of failure, else the last of the output itself.
fn telling_line(text: &str) -> &str {
    let lines = || {
        text.lines()
            .rev()
            .filter(|l| !l.trim().is_empty() && !l.starts_with('['))
    };
    let tells = |line: &&str| {
        let lower = line.to_lowercase();
        ["fail", "error", "panic", "expected"]
            .iter()
            .any(|word| lower.contains(word))
    };
    lines().find(tells).or_else(|| lines().next()).unwrap_or(text)
}

/// Which attempts a task had, in order.
pub fn attempts_of<'a>(records: impl IntoIterator<Item = &'a Record>, task: TaskId) -> Vec<AttemptId> {
    records
        .into_iter()
        .flat_map(|r| {
            r.commands
                .iter()
                .filter(|c| task_of(c) == Some(task))
                .filter_map(Command::starts)
        })
        .collect()
}

/// What a record is worth telling those who watch a shift; `None` for meter readings and the like.
pub fn headline(record: &Record) -> Option<String> {
    let stops = record
        .commands
        .iter()
        .any(|c| matches!(c, Command::StopAttempt { .. }));
    let quiet = matches!(
        record.event,
        Event::Metered { .. } | Event::SessionOpened { .. } | Event::ConfigLoaded { .. } | Event::TimePassed
    );
    let became: Vec<String> = record
        .changes
        .iter()
        .filter_map(|entity| match entity {
            Entity::Task(t) if !quiet || stops || t.run().is_none_or(|r| r.started == record.at) => {
                Some(format!("{}: {}", t.id, so(&t.stage)))
            }
            Entity::Task(_) | Entity::Config(_) | Entity::Issue(_) | Entity::Shift(_) | Entity::Desk(_) => {
                None
            }
        })
        .collect();
    if quiet && (became.is_empty() || !stops && !matches!(record.event, Event::TimePassed)) {
        return None;
    }
    let what = event_phrase(&record.event);
    Some(if became.is_empty() {
        what
    } else {
        format!("{what} \u{2192} {}", became.join("; "))
    })
}
