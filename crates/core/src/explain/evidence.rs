//! Owns the evidence that a task goes on with, in lines: what the checks, a reviewer or a person said of it.

use super::{finding_phrase, first_line, telling_line};
use crate::check::CheckVerdict;
use crate::remark::said_phrase;
use crate::task::{Because, Handoff, PlanBecause, Stage, Task, Work};

/// The evidence that goes back to the writer.
pub(super) fn evidence(task: &Task) -> Vec<String> {
    let job = match &task.stage {
        Stage::Writing { job, .. } => job,
        Stage::Ready { work, .. } | Stage::Backoff { work, .. } | Stage::Parked { work, .. } => match work {
            Work::Write(job) => job,
            Work::Plan(because) => return plan_evidence(because),
            Work::Check(_)
            | Work::Test(_)
            | Work::Review(_)
            | Work::Compare(_)
            | Work::Land(_)
            | Work::Survey
            | Work::Try
            | Work::Accept(_) => return Vec::new(),
        },
        Stage::Planning { because, .. } => return plan_evidence(because),
        Stage::Landed { handoff, .. } => return handoff_evidence(handoff),
        Stage::Blocked
        | Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Entered { .. }
        | Stage::Comparing { .. }
        | Stage::Surveying { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Accepted { .. }
        | Stage::Landing { .. }
        | Stage::Dropped { .. } => return Vec::new(),
    };
    match &job.because {
        Because::New
        | Because::Interrupted { .. }
        | Because::TestsFirst
        | Because::TestsPassAlready
        | Because::Answered { .. } => Vec::new(),
        Because::Remarked => task.remarks_at_work().map(|r| said_phrase(&r.finding)).collect(),
        Because::OutOfBounds { paths, .. } => paths.iter().cloned().collect(),
        Because::Guarded { found, .. } => found.iter().map(ToString::to_string).collect(),
        Because::ChecksFailed { failing, .. } | Because::MakePass { failing, .. } => failing
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

fn plan_evidence(because: &PlanBecause) -> Vec<String> {
    match because {
        PlanBecause::New | PlanBecause::Proposals => Vec::new(),
        PlanBecause::Invalid { errors, .. } => errors.clone(),
        PlanBecause::Stuck { tasks } => tasks.iter().map(ToString::to_string).collect(),
        PlanBecause::Missing { missing } => missing.clone(),
    }
}

/// What a landed task leaves the next ones.
fn handoff_evidence(handoff: &Handoff) -> Vec<String> {
    let seen = handoff.evidence.iter().map(|e| format!("seen: {e}"));
    let open = handoff.open_questions.iter().map(|q| format!("open: {q}"));
    let notes = handoff.notes.iter().map(|n| format!("note: {n}"));
    let summary = Some(first_line(&handoff.summary)).filter(|s| !s.is_empty());
    let summary = summary.map(|s| format!("handed on: {s}"));
    summary.into_iter().chain(seen).chain(open).chain(notes).collect()
}
