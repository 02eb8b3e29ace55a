//! Owns what a world is made from: its seed, its mode, its size, its faults; and what came of it.

use std::collections::BTreeMap;

use super::rng::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    AgentFails,
    AgentHangs,
    NoOutcome,
    NoChange,
    ReaderWrites,
    RedChecks,
    CannotCheck,
    Findings,
    Conflicts,
    Races,
    NotGreen,
    Spends,
    Crashes,
    Stale,
    Stops,
    Discards,
    CommandFails,
    IgnoresStop,
    BadPlans,
    Proposes,
    OutOfBounds,
    ProvesNothing,
    Asks,
    NeverAnswers,
    NotOpened,
    Missing,
    NoneWins,
    Protected,
    Guarded,
    StillRed,
    TargetMoves,
    Budgets,
    Limits,
    Outages,
    Quiet,
    ClockJumps,
    DiskFills,
    PlanEdits,
    Attached,
    Speaks,
}

impl Fault {
    pub(crate) const ALL: [Self; 40] = [
        Self::AgentFails,
        Self::AgentHangs,
        Self::NoOutcome,
        Self::NoChange,
        Self::ReaderWrites,
        Self::RedChecks,
        Self::CannotCheck,
        Self::Findings,
        Self::Conflicts,
        Self::Races,
        Self::NotGreen,
        Self::Spends,
        Self::Crashes,
        Self::Stale,
        Self::Stops,
        Self::Discards,
        Self::CommandFails,
        Self::IgnoresStop,
        Self::BadPlans,
        Self::Proposes,
        Self::OutOfBounds,
        Self::ProvesNothing,
        Self::Asks,
        Self::NeverAnswers,
        Self::NotOpened,
        Self::Missing,
        Self::NoneWins,
        Self::Protected,
        Self::Guarded,
        Self::StillRed,
        Self::TargetMoves,
        Self::Budgets,
        Self::Limits,
        Self::Outages,
        Self::Quiet,
        Self::ClockJumps,
        Self::DiskFills,
        Self::PlanEdits,
        Self::Attached,
        Self::Speaks,
    ];
}

/// What kind of work the shift of a world does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Single,
    Authored,
    Tested,
    TestsFirst,
    Repair,
    Batch,
    Drain,
    Contest,
}

impl Mode {
    const ALL: [Self; 8] = [
        Self::Single,
        Self::Authored,
        Self::Tested,
        Self::TestsFirst,
        Self::Repair,
        Self::Batch,
        Self::Drain,
        Self::Contest,
    ];
}

/// Everything a world is made from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) slots: u16,
    pub(crate) issues: u32,
    /// How many shifts are run on the same issues, where the first does not end them.
    pub(crate) shifts: u32,
    pub(crate) faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mode = rng.pick(&Mode::ALL);
        let slots = u16::try_from(rng.between(1, 4)).unwrap();
        let issues = u32::try_from(match mode {
            Mode::Single | Mode::Drain => rng.between(1, 4),
            _ => rng.between(1, 2),
        });
        let shifts = if rng.chance(25) { 2 } else { 1 };
        let percent = rng.between(10, 45);
        let faults = Fault::ALL.into_iter().filter(|_| rng.chance(percent)).collect();
        Self {
            seed,
            mode,
            slots,
            issues: issues.unwrap(),
            shifts,
            faults,
        }
    }
}

/// What happened, by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally(pub(crate) BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        self.add_to(what, 1);
    }

    pub(crate) fn add_to(&mut self, what: &'static str, many: u64) {
        *self.0.entry(what).or_default() += many;
    }

    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, many) in &other.0 {
            self.add_to(what, *many);
        }
    }
}
