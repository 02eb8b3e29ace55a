//! Owns guards: what may be found about a change that checks do not see, and what the policy makes of each kind. The
//! engine finds, the policy says what follows; nothing here looks at files.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::globs;
use crate::ids::CommitId;
use crate::policy::Policy;
use crate::task::{Change, ChangeKind};

/// A kind of thing that may be found about a change. Each has its own rule in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardKind {
    /// A path that the policy's `protected` names.
    Paths,
    /// What a CI service runs.
    Ci,
    /// What runs by itself on a person's machine: git hooks, and what editors and shells run on opening.
    Hooks,
    /// Which versions of dependencies are used.
    Lockfiles,
    /// What linters, formatters and test runners are told.
    CheckSettings,
    /// Licences and notices.
    Licence,
    /// What agents and Turno itself are told.
    AgentFiles,
    /// Tests deleted or switched off.
    Tests,
    /// Files that are not text.
    Binaries,
    /// Files over the policy's limit.
    BigFiles,
    /// Keys and tokens.
    Secrets,
    /// Symbolic links that lead out of the repository.
    Links,
    /// Other repositories at a path of this one.
    Submodules,
    /// Files that may be executed and could not before.
    Executables,
    /// Characters that nobody sees, or that show text in another order than it is read by programs.
    HiddenText,
    /// What could not be looked at.
    Unseen,
}

impl GuardKind {
    /// Every kind, in order.
    pub const ALL: [Self; 16] = [
        Self::Paths,
        Self::Ci,
        Self::Hooks,
        Self::Lockfiles,
        Self::CheckSettings,
        Self::Licence,
        Self::AgentFiles,
        Self::Tests,
        Self::Binaries,
        Self::BigFiles,
        Self::Secrets,
        Self::Links,
        Self::Submodules,
        Self::Executables,
        Self::HiddenText,
        Self::Unseen,
    ];

    /// Its name in files, as on disk and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paths => "paths",
            Self::Ci => "ci",
            Self::Hooks => "hooks",
            Self::Lockfiles => "lockfiles",
            Self::CheckSettings => "check-settings",
            Self::Licence => "licence",
            Self::AgentFiles => "agent-files",
            Self::Tests => "tests",
            Self::Binaries => "binaries",
            Self::BigFiles => "big-files",
            Self::Secrets => "secrets",
            Self::Links => "links",
            Self::Submodules => "submodules",
            Self::Executables => "executables",
            Self::HiddenText => "hidden-text",
            Self::Unseen => "unseen",
        }
    }

    /// The rule where a policy says nothing of it.
    pub fn default_rule(self) -> GuardRule {
        match self {
            Self::Secrets | Self::Links | Self::HiddenText => GuardRule::Refuse,
            Self::Submodules | Self::Ci | Self::Hooks => GuardRule::Person,
            Self::Paths
            | Self::Lockfiles
            | Self::CheckSettings
            | Self::Licence
            | Self::AgentFiles
            | Self::Tests
            | Self::Binaries
            | Self::BigFiles
            | Self::Executables
            | Self::Unseen => GuardRule::Reviewer,
        }
    }

    /// What a writer can do about one, as a sentence.
    pub fn mend(self) -> &'static str {
        match self {
            Self::Paths
            | Self::Ci
            | Self::Hooks
            | Self::Lockfiles
            | Self::CheckSettings
            | Self::Licence
            | Self::AgentFiles => {
                "Put the file back as it was, or say in your summary why the task cannot be done without it."
            }
            Self::Tests => "Bring the test back and make it pass by mending the code.",
            Self::Binaries => {
                "Leave the file out, or make it where it is needed from text that is in the change."
            }
            Self::BigFiles => "Leave the file out, or make it smaller.",
            Self::Secrets => {
                "Take it out and read it from the environment instead. In a test, build the value from parts, so \
                 that no whole one stands in a file."
            }
            Self::Links => "Take the link out, or let it lead to a path within the repository.",
            Self::Submodules => "Put the submodule and .gitmodules back as they were.",
            Self::Executables => "Take the executable bit away where nobody runs the file by its name.",
            Self::HiddenText => "Take the character out; where a program needs it, write it as an escape.",
            Self::Unseen => "Make the change smaller, so that it can be looked at as a whole.",
        }
    }
}

impl fmt::Display for GuardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What follows from a kind of finding, from the mildest to the hardest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardRule {
    /// Nothing.
    Allow,
    /// A reviewer must name and approve it, also where no review is asked for.
    Reviewer,
    /// A person must let it land, after everybody else has.
    Person,
    /// It goes back to its writer.
    Refuse,
}

/// One thing that was found about a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Guarded {
    /// What kind.
    pub kind: GuardKind,
    /// Where: a path within the repository, or the name of what has none, e.g. a commit message. Never empty.
    pub file: String,
    /// Line in that file, counted from 1; 0 means the file as a whole.
    #[serde(default)]
    pub line: u32,
    /// What it is, in words. A secret is never in it.
    pub what: String,
}

impl Guarded {
    /// File and line, as people write it.
    pub fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}", self.file),
        }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place(), self.what, self.kind)
    }
}

/// Who stopped a change for what was found about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardedBy {
    /// The policy: such a thing does not land.
    Policy,
    /// A person who was asked.
    Person {
        /// In these words.
        answer: String,
    },
}

/// What kind of change was stopped: who wrote it writes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardedChange {
    /// A writer's change.
    Written,
    /// Tests that were written before what they test.
    TestsFirst,
}

impl From<&ChangeKind> for GuardedChange {
    fn from(kind: &ChangeKind) -> Self {
        match kind {
            ChangeKind::Written | ChangeKind::Tested { .. } => Self::Written,
            ChangeKind::TestsFirst => Self::TestsFirst,
        }
    }
}

/// What becomes of the commits that a writer goes on from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// What the writer leaves comes on top of them.
    #[default]
    Kept,
    /// What the writer leaves becomes one commit on the base: something in them must not land, not even as history.
    Afresh,
}

/// How what a writer leaves is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The integration head the work began from: everything since is looked at.
    pub base: CommitId,
    /// What becomes of the commits it goes on from.
    #[serde(default)]
    pub history: History,
    /// Bytes over which a file is big.
    pub big_file: u64,
    /// Globs of the paths that hold tests.
    pub tests: Vec<String>,
}

/// The rules of a policy, with the defaults for what it does not name.
pub fn rule(policy: &Policy, kind: GuardKind) -> GuardRule {
    let rules: &BTreeMap<GuardKind, GuardRule> = &policy.guards;
    let rule = rules.get(&kind).copied().unwrap_or_else(|| kind.default_rule());
    match kind {
        // What nobody has looked at is never clean.
        GuardKind::Unseen => rule.max(GuardRule::Reviewer),
        GuardKind::Paths
        | GuardKind::Ci
        | GuardKind::Hooks
        | GuardKind::Lockfiles
        | GuardKind::CheckSettings
        | GuardKind::Licence
        | GuardKind::AgentFiles
        | GuardKind::Tests
        | GuardKind::Binaries
        | GuardKind::BigFiles
        | GuardKind::Secrets
        | GuardKind::Links
        | GuardKind::Submodules
        | GuardKind::Executables
        | GuardKind::HiddenText => rule,
    }
}

/// What is known about a change under this rule of the configuration: what the engine found, and the policy's own
/// protected paths.
pub fn found(config: &Config, change: &Change, wanted: GuardRule) -> Vec<Guarded> {
    let policy = &config.policy;
    let protected = change
        .paths
        .iter()
        .filter(|p| globs::matches(&policy.protected, p))
        .map(|file| Guarded {
            kind: GuardKind::Paths,
            file: file.clone(),
            line: 0,
            what: "a protected path (tests, checks or their settings) is changed".to_owned(),
        });
    let mut all: Vec<Guarded> = protected
        .chain(change.guards.iter().cloned())
        .filter(|g| rule(policy, g.kind) == wanted)
        .collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::GuardKind;

    #[test]
    fn a_kind_has_one_name_in_words_and_on_disk() {
        for kind in GuardKind::ALL {
            assert_eq!(
                serde_json::to_value(kind).unwrap(),
                serde_json::json!(kind.name())
            );
        }
    }
}
