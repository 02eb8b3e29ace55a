//! Owns the words of the verbs that tell what a shift came to, and who is told of it. Types only, no logic.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use turno_core::ids::{ShiftId, TargetName};

#[derive(Debug, ClapArgs)]
pub(crate) struct Report {
    /// Which shift, e.g. S3; the latest if it is not given.
    pub(crate) shift: Option<ShiftId>,
    /// In which form.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
    /// Write it to this file instead of printing it. A file that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Words for a terminal.
    Text,
    /// Markdown, for a ticket or a chat.
    Markdown,
    /// One page that holds all it needs, with pictures; no script, nothing from elsewhere.
    Html,
    /// Data, in a stable shape.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    /// Tell targets a test, now, and say whether each was told. Quiet hours do not count.
    Test {
        /// Which; all of `[notify]` if none is given.
        targets: Vec<TargetName>,
    },
    /// List who is told what, and by which way.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell now what waits from earlier shifts. Quiet hours count.
    Flush,
}
