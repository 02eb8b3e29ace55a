//! Owns what a record and a line of the live feed are as events.

use serde::Serialize;
use turno_core::explain::headline;
use turno_core::ids::{AttemptId, Seq};
use turno_core::record::Record;
use turno_core::state::Entity;
use turno_core::units::Timestamp;
use turno_engine::live::LiveLine;
use utoipa::ToSchema;

/// One record of the journal, as an event of the kind `record`. Its id is `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordView {
    /// Its number.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// When it was taken in.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// What happened, in one word.
    pub kind: String,
    /// What happened, in one line; absent for what only programs care about.
    pub line: Option<String>,
    /// Which attempt it is about.
    #[schema(value_type = Option<u64>)]
    pub attempt: Option<AttemptId>,
    /// What it changed, like `issue/1`, `task/1.2`, `decision/d1`, `shift/S1`, `config`, `desk`.
    pub touches: Vec<String>,
}

impl RecordView {
    /// Of a record.
    pub fn of(record: &Record) -> Self {
        Self {
            seq: record.seq,
            at: record.at,
            kind: super::word(&record.event),
            line: headline(record),
            attempt: record.event.attempt(),
            touches: record.changes.iter().map(Entity::key).collect(),
        }
    }
}

/// What an attempt is doing, as an event of the kind `live`. It has no id: some may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveView {
    /// Whose.
    #[schema(value_type = u64)]
    pub attempt: AttemptId,
    /// What, in one line; a very long one is cut.
    pub line: String,
}

/// So many characters of what is done are told, to a page and to programs.
const TOLD: usize = 400;

/// A line that is not longer than anybody reads.
pub(crate) fn told(line: &str) -> String {
    match line.char_indices().nth(TOLD) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}

impl LiveView {
    pub(crate) fn json(line: &LiveLine) -> String {
        let view = Self {
            attempt: line.attempt,
            line: told(&line.doing.line()),
        };
        serde_json::to_string(&view).unwrap_or_default()
    }
}

/// A record, written once for all clients.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) seq: Seq,
    pub(crate) json: String,
}

impl Line {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            seq: record.seq,
            json: serde_json::to_string(&RecordView::of(record)).unwrap_or_default(),
        }
    }
}
