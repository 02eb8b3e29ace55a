//! Owns the words of the verbs that are about what is kept: salvage, and freeing space.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use turno_core::units::Span;

#[derive(Debug, Subcommand)]
pub(crate) enum Salvage {
    /// List all of it, oldest first.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what is in one: the files and the diff of a commit, a list of what was put aside.
    Show {
        /// Which, as `salvage list` names it.
        name: String,
        /// Only the files, without the diff.
        #[arg(long)]
        stat: bool,
    },
    /// Write the files of one into a new directory. Your checkout, its index and HEAD stay as they are.
    Restore {
        /// Which, as `salvage list` names it.
        name: String,
        /// A directory that is not there yet, or is empty; ./turno-salvage-NAME if it is not given.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Every file of the commit, not only those that differ from your branch.
        #[arg(long)]
        whole: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Gc {
    /// Change nothing and say what would go; so it is without --yes too.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Remove it. Not while a coordinator runs.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only what has been of no use for so long, like 14d, in place of the ages that are configured.
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<Span>,
    /// Also salvage that is nowhere else, and attempts that hold such work. It is gone for good then.
    #[arg(long)]
    pub(crate) salvage: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
