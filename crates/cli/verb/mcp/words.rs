//! Owns what may be said to each tool: its parameters with their schemas. Types only; what they mean is checked where
//! the verbs check it.

use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;
use turno_core::event::StopHow;
use turno_core::issue::Priority;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListIssues {
    /// Also those that are done or closed.
    #[serde(default)]
    pub(super) all: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowIssue {
    /// Its number.
    pub(super) issue: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowTask {
    /// Its id, like "1.1".
    pub(super) task: String,
}

// Written out where it is used: not every client follows references within a schema.
#[derive(Deserialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum Urgency {
    /// Before everything else.
    Urgent,
    /// Before normal work.
    High,
    /// As it comes.
    #[default]
    Normal,
    /// After normal work.
    Low,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Urgent => Self::Urgent,
            Urgency::High => Self::High,
            Urgency::Normal => Self::Normal,
            Urgency::Low => Self::Low,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddIssue {
    /// One line: what is wanted.
    pub(super) title: String,
    /// More words, in Markdown.
    #[serde(default)]
    pub(super) body: String,
    /// What must be true afterwards, one sentence each.
    #[serde(default)]
    pub(super) acceptance: Vec<String>,
    /// Which work comes first.
    #[serde(default)]
    pub(super) priority: Urgency,
    /// Free words.
    #[serde(default)]
    pub(super) labels: Vec<String>,
    /// The repository it is about, by its name in turno.toml; empty for the one that holds turno.toml.
    #[serde(default)]
    pub(super) repo: String,
    /// Numbers of issues that must be done first.
    #[serde(default)]
    pub(super) needs: Vec<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddTask {
    /// The number of the issue whose plan it becomes part of.
    pub(super) issue: u32,
    /// One line: what is to be done.
    pub(super) title: String,
    /// More words, in Markdown.
    #[serde(default)]
    pub(super) text: String,
    /// What must be true afterwards, one sentence each.
    #[serde(default)]
    pub(super) acceptance: Vec<String>,
    /// Ids of tasks that must be landed first, like "1.1".
    #[serde(default)]
    pub(super) needs: Vec<String>,
    /// Globs of the paths that it may write; empty for anywhere.
    #[serde(default)]
    pub(super) paths: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// Numbers of the issues to work on.
    pub(super) issues: Vec<u32>,
    /// All that the shift may spend, in US dollars. Take it from the person, not from yourself.
    pub(super) budget_usd: f64,
    /// The policy of the shift, by its name; empty for the one of turno.toml.
    #[serde(default)]
    pub(super) policy: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// The question, like "d1", or its number alone.
    pub(super) decision: String,
    /// An option's label or number, or words of one's own.
    pub(super) answer: String,
}

#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum How {
    /// Nothing new is started, what runs may finish.
    Drain,
    /// What runs is stopped and its work kept.
    Now,
}

impl From<How> for StopHow {
    fn from(how: How) -> Self {
        match how {
            How::Drain => Self::Drain,
            How::Now => Self::Now,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// How far the stop goes.
    pub(super) how: How,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    /// Which shift, like "S3" or its number alone; empty for the latest one.
    #[serde(default)]
    pub(super) shift: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    /// A task, like "1.1": who said what about it. Empty: what happened in the workspace.
    #[serde(default)]
    pub(super) task: String,
    /// How many of the latest lines, at most 500.
    #[serde(default = "fifty")]
    pub(super) last: u16,
}

fn fifty() -> u16 {
    50
}
