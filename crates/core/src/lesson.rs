//! Owns lessons: what a review or a repair taught, kept for later work on the same paths. Text in them may be from
//! outside, so one reaches a prompt only after a person has said yes to it.

use serde::{Deserialize, Serialize};

use crate::ids::{LessonId, RepoName};
use crate::outcome::LessonDraft;
use crate::task::Actor;
use crate::units::Timestamp;

/// Where a lesson comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taught {
    /// A person wrote it.
    ByPerson,
    /// An agent proposed it.
    ByAgent(Actor),
}

/// How far a lesson is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LessonStage {
    /// Proposed by an agent; nobody is given it.
    Proposed,
    /// Given to work on its paths.
    Kept,
    /// Not wanted.
    Removed,
}

/// Something that the work taught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    /// Its id.
    pub id: LessonId,
    /// The repository it is about.
    pub repo: RepoName,
    /// What it says.
    pub draft: LessonDraft,
    /// Where it comes from.
    pub taught: Taught,
    /// Since when it is known.
    pub since: Timestamp,
    /// How far it is.
    pub stage: LessonStage,
}

/// What a person does to a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LessonEdit {
    /// Keep it as it is.
    Keep,
    /// Keep it in these words.
    Reword(LessonDraft),
    /// Remove it.
    Remove,
}
