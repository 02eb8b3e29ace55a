//! Owns the digest: notices that are told together, however many there are, in a bounded space. The same notices make
//! the same message, in whatever pieces they came. It must not know how a message is sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, Notice};
use crate::ids::{Seq, TargetName};

/// So many notices are told in words; those of the kinds that matter most. The others are counted.
const KEPT: usize = 12;

/// Notices that wait to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    counts: BTreeMap<Kind, u64>,
    kept: Vec<Notice>,
    to: Seq,
}

/// What a target is told at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Names it: the same again when it is told again because nobody knows whether it arrived.
    pub id: String,
    /// The project it is about.
    pub project: String,
    /// All of it on one line.
    pub title: String,
    /// All of it in lines.
    pub text: String,
    /// How many notices there are of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// The notices, in the order in which they happened; at most twelve.
    pub notices: Vec<Notice>,
    /// How many more there are.
    pub more: u64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            kept: Vec::new(),
            to: Seq(0),
        }
    }
}

impl Gathered {
    /// Takes a notice in.
    pub fn add(&mut self, notice: Notice) {
        *self.counts.entry(notice.kind).or_default() += 1;
        self.to = self.to.max(notice.seq);
        let before = |n: &Notice| (n.kind, n.seq) <= (notice.kind, notice.seq);
        let at = self.kept.partition_point(before);
        if at < KEPT {
            self.kept.insert(at, notice);
            self.kept.truncate(KEPT);
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many notices there are.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The last record that one of them follows from.
    pub fn to(&self) -> Seq {
        self.to
    }

    /// As one message to a target.
    pub fn message(&self, target: &TargetName, project: &str, workspace: &str) -> Message {
        let mut notices = self.kept.clone();
        notices.sort_by_key(|n| n.seq);
        let more = self
            .count()
            .saturating_sub(u64::try_from(notices.len()).unwrap_or(u64::MAX));
        let title = match notices.as_slice() {
            [one] if more == 0 => one.title.clone(),
            _ => {
                let parts: Vec<String> = self.counts.iter().map(|(kind, n)| kind.many(*n)).collect();
                parts.join(", ")
            }
        };
        let alone = notices.len() == 1 && more == 0;
        let mut lines = Vec::new();
        for notice in &notices {
            if !alone {
                lines.push(format!("• {}", notice.title));
            }
            let indent = if alone { "" } else { "  " };
            lines.extend(notice.detail.iter().map(|l| format!("{indent}{l}")));
        }
        if more > 0 {
            lines.push(format!("and {more} more; `turno log` tells all of them"));
        }
        Message {
            id: format!("{workspace}-{target}-{}", self.to),
            project: project.to_owned(),
            title,
            text: lines.join("\n"),
            counts: self.counts.clone(),
            notices,
            more,
        }
    }
}
