//! Owns the ledger's moves: metering, caps, the hard stop. Every sum is derived from attempts.

use super::Turn;
use crate::ids::{AttemptId, SessionId, TaskId};
use crate::shift::Winding;
use crate::task::{AgentRun, Stage, StopWhy, WriterSession};
use crate::units::{CostBasis, MicroUsd, Spend};

impl Turn<'_> {
    pub(super) fn session_opened(&mut self, attempt: AttemptId, session: &SessionId) {
        let Some(id) = self.state.task_of(attempt) else {
            return;
        };
        let Some(task) = self.task(id) else { return };
        let Some(run) = task.agent_run_mut() else { return };
        run.session = Some(session.clone());
        let open = WriterSession::Open {
            persona: run.persona.clone(),
            agent: run.agent.clone(),
            session: session.clone(),
        };
        // Those who judge begin afresh each time.
        if matches!(
            task.stage,
            Stage::Writing { .. } | Stage::Planning { .. } | Stage::Accepting { .. }
        ) {
            task.session = open;
        }
    }

    pub(super) fn metered(&mut self, attempt: AttemptId, spend: Spend) {
        let Some(id) = self.state.task_of(attempt) else {
            return;
        };
        let Some(task) = self.task(id) else { return };
        let Some(run) = task.agent_run_mut() else { return };
        if spend.cost >= run.spend.cost {
            run.spend = spend;
        }
        // A guess at the whole cap is a reserve, not a reason to kill.
        let over_cap = run.spend.cost >= run.cap && run.spend.basis != CostBasis::Unknown;
        let Some(shift) = self.state.shift() else { return };
        if self.state.spent(shift) >= shift.budget {
            self.wind(Winding::Budget);
            self.stop_all(StopWhy::ShiftBudget);
        } else if over_cap {
            self.stop(id, StopWhy::AttemptBudget);
        }
    }

    /// Books what an ended attempt spent, on its task and its shift.
    pub(super) fn charge(&mut self, id: TaskId, run: &AgentRun, spend: Spend) {
        let cost = final_cost(run, spend);
        if let Some(task) = self.task(id) {
            task.spent += cost;
        }
        let Some(shift) = self.shift() else { return };
        if shift.issues.contains(&id.issue) {
            shift.spent += cost;
        }
    }

    /// The hard stop once more, after an ended attempt was booked with more than it had been metered.
    pub(super) fn hold_budget(&mut self) {
        let Some(shift) = self.state.shift() else { return };
        if self.state.spent(shift) >= shift.budget && self.state.running().next().is_some() {
            self.wind(Winding::Budget);
            self.stop_all(StopWhy::ShiftBudget);
        }
    }
}

/// A reported sum stands; an estimate is not allowed to shrink; an unknown one counts as the whole cap.
fn final_cost(run: &AgentRun, spend: Spend) -> MicroUsd {
    match spend.basis {
        CostBasis::Reported => spend.cost,
        CostBasis::Estimated => spend.cost.max(run.spend.cost),
        CostBasis::Unknown => spend.cost.max(run.cap),
    }
}
