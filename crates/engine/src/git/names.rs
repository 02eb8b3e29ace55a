//! Owns the names of Turno's refs. A [`TurnoRef`] can only be one of these, so that nothing that takes one can
//! move or delete a branch of the user's.

use std::fmt;

use chrono::{DateTime, Utc};
use turno_core::ids::{AttemptId, IssueId, TaskId};

/// A ref below `refs/heads/turno/` or `refs/turno/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnoRef(String);

impl TurnoRef {
    /// An issue's integration branch: `turno/7/base`.
    pub fn base(issue: IssueId) -> Self {
        Self(format!("refs/heads/turno/{issue}/base"))
    }

    /// The `n`th branch of a task: `turno/7/2-1`.
    pub fn task(task: TaskId, n: u32) -> Self {
        Self(format!("refs/heads/turno/{}/{}-{n}", task.issue, task.number))
    }

    /// What a landing made of an attempt's change, written before the integration branch moves: it proves after
    /// a crash that the change has landed, and keeps the commit when it has not.
    pub fn landing(task: TaskId, attempt: AttemptId) -> Self {
        Self(format!(
            "refs/turno/landing/{}/{}/{attempt}",
            task.issue, task.number
        ))
    }

    /// The note that says which workspace the branches below `turno/` belong to.
    pub(crate) fn owner() -> Self {
        Self("refs/turno/owner".to_owned())
    }

    /// What a person leaves who is attached to a task. A process of their own writes it, beside a coordinator whose guards
    /// take every other new ref of Turno's for an agent's doing.
    pub(crate) fn attached(task: TaskId, attempt: AttemptId, at: DateTime<Utc>) -> Self {
        Self::salvage(
            &format!("attached-{}-{}-{attempt}", task.issue, task.number),
            at,
            0,
        )
    }

    /// Work that was found somewhere and kept. `label` is a short word of Turno's own, e.g. a place.
    pub(crate) fn salvage(label: &str, at: DateTime<Utc>, n: u32) -> Self {
        Self(format!("{SALVAGE}{label}-{}-{n}", at.format(STAMP)))
    }

    /// A salvage ref by the last part of its name; none where Turno gives no such names.
    pub(crate) fn kept(leaf: &str) -> Option<Self> {
        SalvageStamp::of(leaf).map(|_| Self(format!("{SALVAGE}{leaf}")))
    }

    /// A branch that was found below `refs/heads/turno/`.
    pub(crate) fn found(full: &str) -> Option<Self> {
        full.starts_with("refs/heads/turno/")
            .then(|| Self(full.to_owned()))
    }

    /// The whole name, e.g. `refs/heads/turno/7/base`.
    pub fn full(&self) -> &str {
        &self.0
    }

    /// The name as people write it, e.g. `turno/7/base`.
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/heads/").unwrap_or(&self.0)
    }
}

/// Where what was kept lies.
pub(super) const SALVAGE: &str = "refs/turno/salvage/";
/// How a moment is written in a name.
const STAMP: &str = "%Y%m%dT%H%M%S%3fZ";

/// What the name of something that was kept says: `LABEL-STAMP-N`, as a ref and as a directory alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SalvageStamp {
    /// Where it was found: a slot, or a word of Turno's own.
    pub(crate) label: String,
    /// When it was kept.
    pub(crate) at: DateTime<Utc>,
}

impl SalvageStamp {
    /// Reads a name; none when Turno gives no such names.
    pub(crate) fn of(leaf: &str) -> Option<Self> {
        let (rest, n) = leaf.rsplit_once('-')?;
        let (label, stamp) = rest.rsplit_once('-')?;
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if label.is_empty() || !label.chars().all(known) || n.parse::<u32>().is_err() {
            return None;
        }
        let at = chrono::NaiveDateTime::parse_from_str(stamp, STAMP)
            .ok()?
            .and_utc();
        Some(Self {
            label: label.to_owned(),
            at,
        })
    }
}

/// Whether git takes this for the full name of a ref.
pub(crate) fn is_ref_name(name: &str) -> bool {
    name.starts_with("refs/") && git2::Reference::is_valid_name(name)
}

impl fmt::Display for TurnoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_people_read_in_git_branch() {
        let task = TaskId {
            issue: IssueId(7),
            number: 2,
        };
        assert_eq!(TurnoRef::base(IssueId(7)).short(), "turno/7/base");
        assert_eq!(TurnoRef::task(task, 1).full(), "refs/heads/turno/7/2-1");
        assert_eq!(
            TurnoRef::landing(task, AttemptId(5)).full(),
            "refs/turno/landing/7/2/a5"
        );
        let at = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        assert_eq!(
            TurnoRef::salvage("s1", at, 0).short(),
            "refs/turno/salvage/s1-20231114T221320123Z-0"
        );
        for label in ["s1", "discarded-7", "landing"] {
            let name = TurnoRef::salvage(label, at, 3);
            let leaf = name.full().strip_prefix(SALVAGE).unwrap();
            let stamp = SalvageStamp::of(leaf).unwrap();
            assert_eq!((stamp.label.as_str(), stamp.at), (label, at));
            assert_eq!(TurnoRef::kept(leaf), Some(name));
        }
        for other in [
            "mine",
            "s1-2023-0",
            "-20231114T221320123Z-0",
            "s1-20231114T221320123Z-x",
            "a/b-20231114T221320123Z-0",
        ] {
            assert_eq!(SalvageStamp::of(other), None, "{other}");
        }
    }
}
