//! Owns the words of the verbs about lessons.

use clap::Subcommand;
use turno_core::ids::{LessonId, RepoName};

#[derive(Debug, Subcommand)]
pub(crate) enum Lessons {
    /// List lessons.
    List {
        /// Also those that were removed.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a lesson down.
    Add {
        /// The lesson, in one or two sentences.
        text: String,
        /// A glob of the paths it is about. May be given several times.
        #[arg(short, long = "path", value_name = "GLOB", required = true)]
        paths: Vec<String>,
        /// What showed it.
        #[arg(long, value_name = "TEXT", default_value = "")]
        evidence: String,
        /// In which repository of the workspace.
        #[arg(long, value_name = "NAME")]
        repo: Option<RepoName>,
    },
    /// Keep a proposed lesson: from now on it is given to work on its paths.
    Keep {
        /// Which, e.g. l1.
        lesson: LessonId,
    },
    /// Change a lesson, and keep it. Only what is given is changed.
    Edit {
        /// Which, e.g. l1.
        lesson: LessonId,
        /// New words.
        #[arg(short, long)]
        text: Option<String>,
        /// New globs, in place of all old ones.
        #[arg(short, long = "path", value_name = "GLOB")]
        paths: Vec<String>,
    },
    /// Remove a lesson.
    Remove {
        /// Which, e.g. l1.
        lesson: LessonId,
    },
}
