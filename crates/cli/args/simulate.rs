//! Owns the words of `turno simulate`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use turno_core::ids::{PolicyName, ShiftId};
use turno_core::units::MicroUsd;

#[derive(Debug, ClapArgs)]
pub(crate) struct Simulate {
    /// The policy of the shift, as for --policy of the verbs that run one.
    pub(crate) policy: PolicyName,
    /// So many made-up issues. Without it: the open issues of this workspace, or ten where there is none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) issues: Option<u32>,
    /// Into how many tasks an author splits an issue: 3, or 1..4.
    #[arg(long, value_name = "RANGE", value_parser = tasks)]
    pub(crate) tasks_per_issue: Option<Tasks>,
    /// How many slots.
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) slots: Option<u16>,
    /// All the shift may spend, in US dollars.
    #[arg(short, long, value_name = "USD", allow_negative_numbers = true)]
    pub(crate) budget: Option<MicroUsd>,
    /// Start nothing after this time, as `turno drain --until`: HH:MM, or a date and time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// How many nights are simulated.
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) nights: NonZeroUsize,
    /// What the nights are drawn from: the same seed gives the same nights.
    #[arg(long, value_name = "S", default_value = "1")]
    pub(crate) seed: u64,
    /// Learn from a finished shift of this workspace, e.g. S3, or from all of them.
    #[arg(long, value_name = "SHIFT|all", value_parser = history)]
    pub(crate) history: Option<History>,
    /// Assume what this file says; .turno/simulate.toml if it is not given and is there.
    #[arg(long, value_name = "FILE")]
    pub(crate) assume: Option<PathBuf>,
    /// Also compare numbers of slots, from one up to this.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "6",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) compare_slots: Option<u16>,
    /// Draw the night in the middle into a new file, which ends in .svg.
    #[arg(short, long, value_name = "FILE.svg")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many tasks an issue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tasks {
    pub(crate) least: u16,
    pub(crate) most: u16,
}

/// What is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Every finished shift.
    All,
    /// This one.
    Of(ShiftId),
}

fn tasks(text: &str) -> Result<Tasks, String> {
    let wrong = || format!("`{text}` is no number of tasks; write 3, or 1..4, with numbers from 1 to 100");
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let number = |part: &str| part.parse::<u16>().map_err(|_| wrong());
    let (least, most) = (number(least)?, number(most.trim_start_matches('='))?);
    if least == 0 || most < least || most > 100 {
        return Err(wrong());
    }
    Ok(Tasks { least, most })
}

fn history(text: &str) -> Result<History, String> {
    if text == "all" {
        return Ok(History::All);
    }
    let id = text.parse().map(History::Of);
    id.map_err(|e: turno_core::ids::InvalidId| format!("{e}; or `all`"))
}
