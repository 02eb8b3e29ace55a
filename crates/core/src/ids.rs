//! Owns the identifiers: newtypes, their text form and nothing else.
//!
//! Names that a person or an agent may choose are checked when they are made, because they later become
//! parts of paths, branches and environment variables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that cannot be an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: {rule}")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
    /// What it should have been, e.g. "task id".
    pub kind: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text.strip_prefix($prefix).unwrap_or(text);
                digits.parse().map(Self).map_err(|_| InvalidId {
                    text: text.to_owned(),
                    kind: $kind,
                    rule: concat!("a number is expected, written like ", $prefix, "7"),
                })
            }
        }
    };
}

number_id!(/// What a person asks for. Written `7`.
    IssueId, u32, "", "issue id");
number_id!(/// One agent process, check run or landing. It is the fencing token: an answer that carries another is stale.
    AttemptId, u64, "a", "attempt id");
number_id!(/// One warm worktree of the pool.
    SlotId, u16, "s", "slot id");
number_id!(/// One autopilot session.
    ShiftId, u32, "S", "shift id");
number_id!(/// A question for a person.
    DecisionId, u32, "d", "decision id");
number_id!(
    /// Something that a person said about a task, counted within that task.
    RemarkId, u32, "r", "remark id");
number_id!(/// A task that somebody on the team proposed.
    ProposalId, u32, "p", "proposal id");
number_id!(/// Something that a review or a repair taught.
    LessonId, u32, "l", "lesson id");
number_id!(/// The place of a record in the journal, counted from 1.
    Seq, u64, "", "journal sequence number");

/// One piece of an issue that one writer can do in one slot. Written `7.2`: issue 7, task 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TaskId {
    /// The issue it belongs to.
    pub issue: IssueId,
    /// Its number within the issue, counted from 1; 0 is the issue's own, on which it is planned and accepted.
    pub number: u16,
}

impl TaskId {
    /// The issue's own task, on which it is planned and accepted.
    pub fn lead(issue: IssueId) -> Self {
        Self { issue, number: 0 }
    }

    /// Whether it is an issue's own.
    pub fn is_lead(self) -> bool {
        self.number == 0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.issue, self.number)
    }
}

impl FromStr for TaskId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "task id",
            rule: "ISSUE.NUMBER is expected, like 7.2",
        };
        let (issue, number) = text.split_once('.').ok_or_else(invalid)?;
        Ok(Self {
            issue: IssueId(issue.parse().map_err(|_| invalid())?),
            number: number.parse().map_err(|_| invalid())?,
        })
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { text: text.to_owned(), kind: $kind, rule: $rule })
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.len() <= 40
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

fn is_opaque(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic())
}

text_id!(/// Names a persona, e.g. `engineer`.
    PersonaName, "persona name", "use 1 to 40 of a-z, 0-9, - and _, starting with a letter or digit", is_name);
text_id!(/// Names a configured agent, e.g. `claude`.
    AgentName, "agent name", "use 1 to 40 of a-z, 0-9, - and _, starting with a letter or digit", is_name);
text_id!(/// Names a check, e.g. `test`.
    CheckName, "check name", "use 1 to 40 of a-z, 0-9, - and _, starting with a letter or digit", is_name);
text_id!(/// Names a repository of the workspace, e.g. `api`.
    RepoName, "repository name", "use 1 to 40 of a-z, 0-9, - and _, starting with a letter or digit", is_name);
text_id!(/// Names a policy, e.g. `feature-dev`.
    PolicyName, "policy name", "use 1 to 40 of a-z, 0-9, - and _, starting with a letter or digit", is_name);
text_id!(/// Names someone or something that is told what happens, e.g. `phone`.
    TargetName, "target name", "use 1 to 40 of a-z, 0-9, - and _, starting with a letter or digit", is_name);
text_id!(/// A git commit, by its full lower-case object id.
    CommitId, "commit id", "a full object id of 40 or 64 hex digits is expected", is_object_id);
text_id!(/// A git tree, by its full lower-case object id.
    TreeId, "tree id", "a full object id of 40 or 64 hex digits is expected", is_object_id);
text_id!(/// What the files of a change hold apart from white space, by its digest.
    EssenceId, "essence id", "a digest of 40 or 64 hex digits is expected", is_object_id);
text_id!(/// An agent CLI's own name for a conversation that can be resumed.
    SessionId, "session id", "1 to 200 printable ASCII characters without spaces are expected", is_opaque);

/// The repository that holds `turno.toml`.
impl Default for RepoName {
    fn default() -> Self {
        Self("home".to_owned())
    }
}

impl CommitId {
    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}
