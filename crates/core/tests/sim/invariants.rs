//! Owns what must be true after every step, seen from outside: the world knows what it was told to do.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::State;
use turno_core::command::Command;
use turno_core::ids::{AttemptId, SlotId, TaskId};
use turno_core::record::Record;
use turno_core::shift::ShiftStage;
use turno_core::task::Stage;
use turno_core::units::MicroUsd;

/// What the hands are doing, kept apart from the state under test.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    /// Attempts that were started and have not ended.
    pub(crate) live: BTreeMap<AttemptId, (TaskId, Option<SlotId>)>,
    /// Every attempt ever started.
    pub(crate) started: BTreeSet<AttemptId>,
}

impl Hands {
    /// Takes a command as real hands would, and refuses what real hands could not do.
    pub(crate) fn take(&mut self, command: &Command) -> Result<(), String> {
        let (attempt, task, slot) = match command {
            Command::StartAgent(s) => (s.attempt, s.task, Some(s.slot)),
            Command::RunChecks(s) => (s.attempt, s.task, Some(s.slot)),
            Command::Land(s) => (s.attempt, s.task, None),
            Command::StopAttempt { attempt, .. } => {
                return if self.started.contains(attempt) {
                    Ok(())
                } else {
                    Err(format!("{attempt} was never started"))
                };
            }
            Command::EndShift { .. } => {
                return if self.live.is_empty() {
                    Ok(())
                } else {
                    Err(format!("the shift ended over {:?}", self.live))
                };
            }
        };
        if !self.started.insert(attempt) {
            return Err(format!("attempt {attempt} was started twice"));
        }
        for (other, (other_task, other_slot)) in &self.live {
            if *other_task == task {
                return Err(format!(
                    "{attempt} starts for task {task} while {other} runs for it"
                ));
            }
            if *other_slot == slot {
                return Err(format!("{attempt} starts in {slot:?} while {other} is there"));
            }
        }
        self.live.insert(attempt, (task, slot));
        Ok(())
    }
}

pub(crate) fn check(state: &State, record: &Record, slots: u16, largest_message: u64) -> Result<(), String> {
    let mut held = BTreeSet::new();
    let mut attempts = BTreeSet::new();
    for task in state.tasks.values() {
        if let Some(slot) = task.slot() {
            if !held.insert(slot) {
                return Err(format!("slot {slot} is held twice"));
            }
            if slot.0 == 0 || slot.0 > slots {
                return Err(format!("slot {slot} does not exist"));
            }
        }
        if let Some(run) = task.run() {
            if !attempts.insert(run.attempt) {
                return Err(format!("attempt {} runs for two tasks", run.attempt));
            }
            let in_shift = state.shift().is_some_and(|s| s.issues.contains(&task.id.issue));
            if !in_shift {
                return Err(format!("{} runs outside a shift", run.attempt));
            }
        }
    }
    for shift in state.shifts.values() {
        let spent = state.spent(shift);
        let slack = MicroUsd(largest_message * u64::from(slots));
        if spent > shift.budget + slack {
            return Err(format!("spent {spent} of {} (slack {slack})", shift.budget));
        }
        let starts = record
            .commands
            .iter()
            .any(|c| matches!(c, Command::StartAgent(_)));
        let running = matches!(shift.stage, ShiftStage::Running);
        if starts && running && state.committed(shift) > shift.budget + slack {
            return Err(format!("promised {} of {}", state.committed(shift), shift.budget));
        }
    }
    let seen = state
        .tasks
        .values()
        .filter(|t| matches!(t.stage, Stage::Landing { .. }))
        .count();
    if seen > 1 {
        return Err("two landings at once".to_owned());
    }
    Ok(())
}
