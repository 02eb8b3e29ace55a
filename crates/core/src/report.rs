//! Owns the report of a shift: what a person reads in the morning, folded from the journal's records alone. Pure: it
//! is given records in order and asks for nothing else. It must not decide, and it prints nothing.
//!
//! [`Report`] is also the stable JSON shape of `turno report --format json`: fields are added, none changes its
//! meaning. Times are milliseconds since 1970 UTC, lengths of time milliseconds (`..._ms`), money millionths of a US
//! dollar. Text from outside is cut to a bounded length and otherwise as it was; whoever shows it makes it harmless.

mod attempts;
mod costs;
mod evidence;
mod figures;
mod fold;
mod outcomes;
mod todo;
mod visits;
mod waits;

use serde::Serialize;

pub use attempts::{Attempt, Ending, Pause};
pub use costs::{Bucket, Costs, Limit, Meter, Point, Share};
pub use evidence::Evidence;
pub use figures::{Asked, CheckFigures, GuardNote, Incident, Landings, Learnt, Network, Refusal, Since};
pub use fold::Fold;
pub use outcomes::{
    Alarmed, CheckTook, Dropped, Failed, Judged, Landed, OfIssue, Parked, Shown, Stuck, Unfinished, Untried,
    UntriedWhat,
};
pub use todo::Todo;
pub use visits::{Stay, Visited, With};
pub use waits::{Queued, Wait, WaitKind, WaitSum, Waits};

use crate::config::Confinement;
use crate::ids::{CheckName, PolicyName, Seq, ShiftId};
use crate::record::Record;
use crate::shift::{Scope, ShiftEnd, Winding};
use crate::units::{MicroUsd, Timestamp};

/// The version of the shape. It grows when a field changes its meaning, which is meant never to happen.
pub const FORMAT: u32 = 1;

/// One shift, from its first record to its last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Which shift, when, under what rules.
    pub shift: Head,
    /// Its issues, in order.
    pub issues: Vec<OfIssue>,
    /// What is on an integration branch because of it, in the order it came there.
    pub landed: Vec<Landed>,
    /// What waits for a person's word, with the one question.
    pub parked: Vec<Parked>,
    /// What was tried and did not work, with the evidence.
    pub failed: Vec<Failed>,
    /// What was given up: by a person, by the author, or for a better candidate.
    pub dropped: Vec<Dropped>,
    /// What was begun and not brought to an end.
    pub unfinished: Vec<Unfinished>,
    /// What was not tried, and why.
    pub untried: Vec<Untried>,
    /// What it cost, and for what.
    pub costs: Costs,
    /// People who were attached to its tasks. What that cost is in no figure.
    pub visits: Vec<Visited>,
    /// Every attempt, in the order they began.
    pub attempts: Vec<Attempt>,
    /// What had been spent, whenever that changed; thinned out when there are very many.
    pub spending: Vec<Point>,
    /// What might be spent, from each time on at which a person changed it; the first is what it began with.
    pub budgets: Vec<Limit>,
    /// What waited, and for what.
    pub waits: Waits,
    /// What the landing queue did.
    pub landings: Landings,
    /// What each check showed, and how often it did not have to be run.
    pub checks: Vec<CheckFigures>,
    /// What was found changed in the repository though Turno had not changed it.
    pub tampering: Vec<Incident>,
    /// What was found about changes that checks do not see.
    pub guards: Vec<GuardNote>,
    /// What was asked of the network.
    pub network: Network,
    /// Questions that were asked, and their answers.
    pub decisions: Vec<Asked>,
    /// Lessons that were proposed or written.
    pub lessons: Vec<Learnt>,
    /// What people have done with it since it ended, until the next shift began.
    pub since: Vec<Since>,
}

/// Which shift, when, under what rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Its id.
    pub id: ShiftId,
    /// Its mode.
    pub mode: PolicyName,
    /// What it worked on.
    pub scope: Scope,
    /// When it began.
    pub started: Timestamp,
    /// How far it is.
    pub end: End,
    /// All it may spend.
    pub budget: MicroUsd,
    /// What it has spent, running attempts included.
    pub spent: MicroUsd,
    /// How many slots there are.
    pub slots: u16,
    /// What held its attempts and checks to what they may do.
    pub confinement: Confinement,
    /// Checks that reach all of the network.
    pub open_checks: Vec<CheckName>,
    /// How often its coordinator began again.
    pub restarts: u32,
    /// The first record that is about it.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
}

/// How far a shift is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It runs; the report is of what had happened until then.
    Runs {
        /// When the last record was written.
        until: Timestamp,
    },
    /// It starts nothing more and waits for what runs.
    Winding {
        /// Why.
        why: Winding,
        /// When the last record was written.
        until: Timestamp,
    },
    /// It is over.
    Ended {
        /// How.
        how: ShiftEnd,
        /// When.
        at: Timestamp,
    },
}

impl End {
    /// The last moment that the report knows of.
    pub fn at(self) -> Timestamp {
        match self {
            Self::Runs { until } | Self::Winding { until, .. } => until,
            Self::Ended { at, .. } => at,
        }
    }
}

/// The report of a shift. Records must come in order and from the first of the journal; `None` when the shift is not
/// in them.
pub fn report<'a>(records: impl IntoIterator<Item = &'a Record>, shift: ShiftId) -> Option<Report> {
    let mut fold = Fold::new(shift);
    for record in records {
        fold.take(record);
    }
    fold.finish()
}

/// Longer paths are cut.
const PATH: usize = 200;

/// At most so many characters of a text on one line are kept.
const LINE: usize = 300;

/// The first line of a text, cut.
fn line(text: &str) -> String {
    cut(
        text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default(),
        LINE,
    )
}

/// At most `most` characters of a text.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// The last lines of an output, where what matters mostly is: at most 30 lines, 240 characters of each.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(30);
    let mut kept: Vec<String> = lines.iter().skip(from).map(|l| cut(l, 240)).collect();
    if from > 0 {
        kept.insert(0, format!("[{from} line(s) before this]"));
    }
    kept.join("\n")
}

#[cfg(test)]
mod tests;
