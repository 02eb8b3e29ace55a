//! Owns the ledger as it is shown: each level with what it may use, has used, has promised and has left. Derived.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::State;
use crate::ids::{AgentName, PersonaName};
use crate::issue::IssueStage;
use crate::ledger::{Allowance, Compared, Day, Level, Measure, Used, Warning};
use crate::task::AgentRun;
use crate::units::Timestamp;

/// One level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelView {
    /// Which.
    pub level: Level,
    /// What it may use; what is absent has no limit.
    pub limit: Allowance,
    /// What it has used, with the attempts that run.
    pub used: Used,
    /// What it has used or promised to attempts that run.
    pub promised: Used,
    /// What it has neither used nor promised, of each limit it has.
    pub left: Allowance,
    /// What it has used by persona.
    pub personas: BTreeMap<PersonaName, Used>,
    /// What it has used by agent.
    pub agents: BTreeMap<AgentName, Used>,
    /// What the agents say beside what was counted.
    pub compared: Compared,
    /// The highest mark of each measure that was warned of, in percent.
    pub warned: BTreeMap<Measure, u64>,
}

/// Every level that matters now, the widest first: this day, the last shift, the accounts used or limited today, and
/// the issues and tasks of that shift.
pub fn levels(state: &State, now: Timestamp) -> Vec<LevelView> {
    let today = Day::of(now);
    let mut levels = vec![Level::Day(today)];
    let agents = state.config.iter().flat_map(|c| c.agents.keys());
    let accounts = agents.map(|agent| Level::Agent {
        agent: agent.clone(),
        day: today,
    });
    if let Some(shift) = state.shifts.values().next_back() {
        levels.push(Level::Shift(shift.id));
        for issue in &shift.issues {
            levels.push(Level::Issue(*issue));
            levels.extend(state.tasks_of(*issue).map(|t| Level::Task(t.id)));
        }
    }
    // What a person has limited is shown before anything is used of it.
    let open = |issue| {
        let stage = state.issues.get(&issue).map(|i| &i.stage);
        !matches!(stage, Some(IssueStage::Done { .. } | IssueStage::Closed { .. }))
    };
    let limited = state.accounts.keys().filter(|level| match level {
        Level::Issue(issue) => open(*issue),
        Level::Task(task) => open(task.issue),
        Level::Day(_) | Level::Shift(_) | Level::Agent { .. } => false,
    });
    let unused: Vec<Level> = limited
        .filter(|level| !levels.contains(level) && !state.limit(level).is_none())
        .cloned()
        .collect();
    levels.extend(unused);
    levels.extend(accounts);
    levels
        .into_iter()
        .filter(|level| {
            let matters = state.accounts.contains_key(level) || !state.limit(level).is_none();
            matters || state.at_work(level).next().is_some()
        })
        .map(|level| one(state, level, now))
        .collect()
}

/// The ledger at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerView {
    /// Every level that matters now, the widest first.
    pub levels: Vec<LevelView>,
    /// What is used up to a mark of those of them that anything may still be used of.
    pub warnings: Vec<Warning>,
}

/// What is shown of the ledger with everything else.
pub fn ledger(state: &State, now: Timestamp) -> LedgerView {
    let levels = levels(state, now);
    let live = levels.iter().filter(|v| state.is_live(&v.level, Day::of(now)));
    let warnings = live.flat_map(|view| {
        view.warned.iter().filter_map(|(measure, percent)| {
            Some(Warning {
                level: view.level.clone(),
                percent: *percent,
                used: view.used.of(*measure),
                limit: view.limit.of(*measure)?,
            })
        })
    });
    LedgerView {
        warnings: warnings.collect(),
        levels,
    }
}

fn one(state: &State, level: Level, now: Timestamp) -> LevelView {
    let account = state.account(&level);
    let (mut personas, mut agents) = (account.personas, account.agents);
    let mut add = |run: &AgentRun| {
        *personas.entry(run.persona.clone()).or_default() += run.used(now);
        *agents.entry(run.agent.clone()).or_default() += run.used(now);
    };
    for (_, run) in state.at_work(&level) {
        add(run);
    }
    LevelView {
        limit: state.limit(&level),
        used: state.used(&level, now),
        promised: state.promised(&level),
        left: state.headroom(&level),
        personas,
        agents,
        compared: account.compared,
        warned: account.warned,
        level,
    }
}
