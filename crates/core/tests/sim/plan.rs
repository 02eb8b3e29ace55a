//! Owns what a world is made from: its seed, its size, its faults; and what came of it.

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
}

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
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
    ];
}

/// Everything a world is made from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) slots: u16,
    pub(crate) issues: u32,
    pub(crate) faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let slots = u16::try_from(rng.between(1, 4)).unwrap();
        let issues = u32::try_from(rng.between(1, 4)).unwrap();
        let faults = Fault::ALL.into_iter().filter(|_| rng.chance(40)).collect();
        Self {
            seed,
            slots,
            issues,
            faults,
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) tasks: u64,
    pub(crate) landed: u64,
    pub(crate) parked: u64,
    pub(crate) returns: u64,
    pub(crate) restarts: u64,
    pub(crate) budget_ends: u64,
    pub(crate) interrupted: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, o: &Self) {
        self.steps += o.steps;
        self.tasks += o.tasks;
        self.landed += o.landed;
        self.parked += o.parked;
        self.returns += o.returns;
        self.restarts += o.restarts;
        self.budget_ends += o.budget_ends;
        self.interrupted += o.interrupted;
    }
}
