//! The report of each shift of a world adds up to what its ledger says, whatever happened in it.

use std::collections::BTreeMap;

use turno_core::State;
use turno_core::ids::{AttemptId, IssueId, ShiftId, TaskId};
use turno_core::record::Record;
use turno_core::report::{Report, report};
use turno_core::shift::ShiftStage;
use turno_core::state::Entity;
use turno_core::units::MicroUsd;

/// Holds every report against sums that are made in another way: over the tasks as the records show them.
pub(crate) fn reports_add_up(journal: &[Record], state: &State) -> Result<(), String> {
    for id in state.shifts.keys() {
        let told = report(journal, *id).ok_or_else(|| format!("{id} has no report"))?;
        if told.costs.total != told.shift.spent || told.costs.elsewhere != MicroUsd::ZERO {
            return Err(format!(
                "{id}: told {} and {} from elsewhere, its ledger has {}",
                told.costs.total, told.costs.elsewhere, told.shift.spent
            ));
        }
        divisions(&told)?;
        if matches!(state.shifts[id].stage, ShiftStage::Ended { .. }) {
            by_issue(&told, journal, *id)?;
        }
        started(&told, journal)?;
        let last = told.spending.last().map(|p| p.spent);
        if last.is_some_and(|l| l != told.shift.spent) {
            return Err(format!("{id}: the plot ends at {last:?}"));
        }
    }
    Ok(())
}

fn divisions(told: &Report) -> Result<(), String> {
    fn sum<K>(shares: &[turno_core::report::Share<K>]) -> MicroUsd {
        shares.iter().map(|s| s.cost).sum()
    }
    let costs = &told.costs;
    let sums = [
        sum(&costs.by_outcome),
        sum(&costs.by_persona),
        sum(&costs.by_agent),
        sum(&costs.by_issue),
        told.attempts.iter().map(|a| a.cost).sum(),
    ];
    if sums.iter().any(|s| *s != costs.total) {
        return Err(format!("{}: {sums:?} are not all {}", told.shift.id, costs.total));
    }
    Ok(())
}

/// What each issue's tasks were charged while the shift ran, as the records show the tasks.
fn by_issue(told: &Report, journal: &[Record], id: ShiftId) -> Result<(), String> {
    let mut before: BTreeMap<TaskId, MicroUsd> = BTreeMap::new();
    let mut during: BTreeMap<IssueId, MicroUsd> = BTreeMap::new();
    for record in journal.iter().filter(|r| r.seq <= told.shift.last) {
        for entity in &record.changes {
            let Entity::Task(task) = entity else { continue };
            let was = before.insert(task.id, task.spent).unwrap_or_default();
            if record.seq >= told.shift.first {
                *during.entry(task.id.issue).or_default() += task.spent.less(was);
            }
        }
    }
    for (issue, cost) in during {
        let share = told.costs.by_issue.iter().find(|s| s.of == issue);
        let share = share.map(|s| s.cost).unwrap_or_default();
        if share != cost {
            return Err(format!(
                "{id}: issue {issue} is told with {share}, its tasks were charged {cost}"
            ));
        }
    }
    Ok(())
}

/// Every attempt that a command of the shift's records started is told once.
fn started(told: &Report, journal: &[Record]) -> Result<(), String> {
    let during = |r: &&Record| r.seq >= told.shift.first && r.seq <= told.shift.last;
    let commands = journal.iter().filter(during).flat_map(|r| &r.commands);
    let mut started: Vec<AttemptId> = commands
        .filter_map(turno_core::command::Command::starts)
        .collect();
    started.sort_unstable();
    let mut here: Vec<AttemptId> = told.attempts.iter().map(|a| a.id).collect();
    here.sort_unstable();
    if let Some(missing) = started.iter().find(|a| !here.contains(a)) {
        return Err(format!("{}: {missing} is not told", told.shift.id));
    }
    Ok(())
}
