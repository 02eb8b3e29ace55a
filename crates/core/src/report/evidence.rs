//! Owns the evidence of a report: what showed that a piece of work has to be done again, cut to what says most.

use serde::Serialize;

use super::{PATH, cut, line, tail};
use crate::check::{CheckResult, CheckVerdict, LogRef};
use crate::explain::finding_phrase;
use crate::task::{Because, PlanBecause, Work};

/// Something that shows what went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What showed it: a check, a finding, a file.
    pub what: String,
    /// The part of it that says most; may be empty, may have several lines.
    pub extract: String,
    /// Where all of it is, below the state directory.
    pub log: Option<LogRef>,
}

impl Evidence {
    /// A word that has no more to it.
    pub(super) fn word(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            extract: String::new(),
            log: None,
        }
    }
}

/// So many pieces of evidence are told.
const PIECES: usize = 6;

/// What a piece of work that is to be done again rests on.
pub(super) fn evidence(work: &Work) -> Vec<Evidence> {
    let words = |words: Vec<String>| words.iter().map(|w| Evidence::word(w)).collect();
    match work {
        Work::Write(job) => match &job.because {
            Because::ChecksFailed { failing, .. } | Because::MakePass { failing, .. } => {
                failing.iter().take(PIECES).map(red).collect()
            }
            Because::Findings { findings, .. } => findings
                .iter()
                .take(PIECES)
                .map(|f| Evidence {
                    what: line(&finding_phrase(f)),
                    extract: tail(&f.how_to_see),
                    log: None,
                })
                .collect(),
            Because::Conflict { hunks, .. } => hunks
                .iter()
                .take(PIECES)
                .map(|h| Evidence {
                    what: cut(&h.file, PATH),
                    extract: tail(&h.text),
                    log: None,
                })
                .collect(),
            Because::OutOfBounds { paths, .. } => {
                words(paths.iter().take(PIECES).map(|p| cut(p, PATH)).collect())
            }
            Because::Guarded { found, .. } => {
                words(found.iter().take(PIECES).map(|g| line(&g.to_string())).collect())
            }
            Because::Interrupted { failure } if !failure.detail.trim().is_empty() => vec![Evidence {
                what: failure.cause.phrase().to_owned(),
                extract: tail(&failure.detail),
                log: None,
            }],
            Because::New
            | Because::Interrupted { .. }
            | Because::TestsFirst
            | Because::TestsPassAlready
            | Because::Answered { .. }
            | Because::Remarked => Vec::new(),
        },
        Work::Plan(PlanBecause::Invalid { errors, .. }) => {
            words(errors.iter().take(PIECES).map(|e| line(e)).collect())
        }
        Work::Plan(_)
        | Work::Check(_)
        | Work::Test(_)
        | Work::Review(_)
        | Work::Compare(_)
        | Work::Land(_)
        | Work::Survey
        | Work::Try
        | Work::Accept(_) => Vec::new(),
    }
}

/// A check that was not green.
fn red(result: &CheckResult) -> Evidence {
    let (what, extract) = match &result.verdict {
        CheckVerdict::Fail { extract } => ("failed", tail(extract)),
        CheckVerdict::CouldNotRun { why } => ("could not be run", tail(why)),
        CheckVerdict::Pass => ("passed", String::new()),
        CheckVerdict::Flaky => ("is flaky", String::new()),
    };
    Evidence {
        what: format!("{} {what}", result.check),
        extract,
        log: Some(result.log.clone()),
    }
}
