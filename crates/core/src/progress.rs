//! Owns progress: what a returned change looked like, and whether that was seen before. What follows when it was is
//! decided in `step/retry.rs`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{CheckName, EssenceId, TreeId};

/// What a change is, apart from white space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Essence {
    /// Nobody looked, or there was too much to look at.
    #[default]
    Unknown,
    /// This.
    Known(EssenceId),
}

/// What a returned change looked like. The same one twice is no progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The tree.
    pub tree: TreeId,
    /// The change without its white space.
    #[serde(default)]
    pub essence: Essence,
    /// Checks that were not green.
    pub failing: BTreeSet<CheckName>,
    /// Findings that were open, as file and text.
    pub findings: BTreeSet<String>,
}

/// In what two returned changes are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likeness {
    /// In every byte.
    #[default]
    Tree,
    /// In all but white space.
    Essence,
}

impl Progress {
    /// Whether another one failed in the same way with the same change, and how much is the same. What is not known
    /// is not the same.
    pub fn likeness(&self, other: &Self) -> Option<Likeness> {
        if self.failing != other.failing || self.findings != other.findings {
            return None;
        }
        if self.tree == other.tree {
            return Some(Likeness::Tree);
        }
        match (&self.essence, &other.essence) {
            (Essence::Known(one), Essence::Known(two)) if one == two => Some(Likeness::Essence),
            (Essence::Known(_) | Essence::Unknown, Essence::Known(_) | Essence::Unknown) => None,
        }
    }
}
