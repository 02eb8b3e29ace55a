//! Owns the words of `turno budget`.

use clap::{Args as ClapArgs, Subcommand};
use turno_core::ids::{AgentName, IssueId, ShiftId, TaskId};
use turno_core::ledger::{AllowanceChange, Bound, Day, TokenCount};
use turno_core::units::{MicroUsd, Span};

#[derive(Debug, Subcommand)]
pub(crate) enum Budget {
    /// Show each level of the budget: its limit, what is used, what is promised to running attempts, what is left.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set what a level may use, or that it has no limit, also while a shift runs. What had stopped for it goes on.
    #[command(subcommand)]
    Set(Set),
}

/// Which level, and its limits.
#[derive(Debug, Subcommand)]
pub(crate) enum Set {
    /// One task, over all its attempts.
    Task {
        /// Which.
        task: TaskId,
        #[command(flatten)]
        limits: Limits,
    },
    /// One issue.
    Issue {
        /// Which.
        issue: IssueId,
        #[command(flatten)]
        limits: Limits,
    },
    /// The shift that is not over.
    Shift {
        /// Which; the one that is not over if it is not given.
        shift: Option<ShiftId>,
        #[command(flatten)]
        limits: Limits,
    },
    /// One day.
    Day {
        /// Which, like 2026-03-31, by UTC; today if it is not given.
        day: Option<Day>,
        #[command(flatten)]
        limits: Limits,
    },
    /// One agent's account, today.
    Agent {
        /// Which.
        agent: AgentName,
        #[command(flatten)]
        limits: Limits,
    },
}

/// What may be used. What is not given stays as it is; `none` takes a limit away.
#[derive(Debug, Clone, Copy, ClapArgs)]
#[group(required = true, multiple = true)]
pub(crate) struct Limits {
    /// US dollars, like 5 or 0.25; `none` for no limit.
    #[arg(long, value_name = "USD")]
    usd: Option<Bound<MicroUsd>>,
    /// Tokens of every kind, cached ones too, like 500k or 2M; `none` for no limit.
    #[arg(long, value_name = "N")]
    tokens: Option<Bound<TokenCount>>,
    /// Time that agents work, added up, like 90m or 3h; `none` for no limit.
    #[arg(long, value_name = "TIME")]
    wall: Option<Bound<Span>>,
    /// Answers of a model; `none` for no limit.
    #[arg(long, value_name = "N")]
    turns: Option<Bound<u32>>,
}

impl Limits {
    /// As the ledger knows them.
    pub(crate) fn allowance(self) -> AllowanceChange {
        AllowanceChange {
            usd: self.usd,
            tokens: self.tokens.map(|bound| match bound {
                Bound::Off(off) => Bound::Off(off),
                Bound::At(count) => Bound::At(count.0),
            }),
            wall: self.wall,
            turns: self.turns,
        }
    }
}
