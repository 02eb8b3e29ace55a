//! Owns the names of control groups that are Turno's own.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The name of a run's group. It begins with `turno-`, so that nothing else can be meant by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

/// What is no name of a group of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a group: `turno-`, then letters, digits, `-`, `_` and `.`, 200 at most")]
pub struct BadName(String);

impl TryFrom<String> for GroupName {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match name.strip_prefix("turno-") {
            Some(rest) if !rest.is_empty() && rest.len() <= 200 && rest.chars().all(plain) => Ok(Self(name)),
            Some(_) | None => Err(BadName(name)),
        }
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

impl AsRef<Path> for GroupName {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_nothing_but_a_group_of_ours() {
        for bad in [
            "",
            "turno-",
            "x",
            "turno-a/b",
            "turno-../x",
            "system.slice",
            "turno-ä",
        ] {
            assert!(GroupName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(GroupName::try_from("turno-1f-22.setup".to_owned()).is_ok());
    }
}
