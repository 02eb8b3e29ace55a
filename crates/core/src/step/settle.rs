//! Owns what is over: issues whose tasks have all ended, shifts that have nothing left to do.

use super::Turn;
use super::fill::{Waiting, waiting};
use crate::command::Command;
use crate::ids::IssueId;
use crate::issue::IssueStage;
use crate::shift::{Shift, ShiftEnd, ShiftStage, Winding};
use crate::task::Stage;

impl Turn<'_> {
    pub(super) fn settle(&mut self) {
        self.settle_issues();
        let Some(shift) = self.state.shift() else { return };
        if self.state.running().any(|t| shift.issues.contains(&t.id.issue)) {
            return;
        }
        let Some(end) = self.end_of(shift) else { return };
        let (id, at) = (shift.id, self.now);
        if let Some(shift) = self.shift() {
            shift.stage = ShiftStage::Ended { end, at };
            self.commands.push(Command::EndShift { shift: id, end });
        }
    }

    fn settle_issues(&mut self) {
        let working: Vec<IssueId> = self
            .state
            .issues
            .values()
            .filter(|i| matches!(i.stage, IssueStage::Working { .. }))
            .map(|i| i.id)
            .collect();
        for id in working {
            if !self.state.tasks_of(id).all(|t| t.is_over()) {
                continue;
            }
            let landed = self
                .state
                .tasks_of(id)
                .any(|t| matches!(t.stage, Stage::Landed { .. }));
            let Some(issue) = self.issue(id) else { continue };
            let IssueStage::Working { base, head } = &issue.stage else {
                continue;
            };
            issue.stage = if landed {
                IssueStage::Review {
                    base: base.clone(),
                    head: head.clone(),
                }
            } else {
                IssueStage::Closed {
                    why: "all its tasks were discarded".to_owned(),
                }
            };
        }
    }

    /// How a shift without a running attempt ends, if it ends.
    fn end_of(&self, shift: &Shift) -> Option<ShiftEnd> {
        let open = |id: &&IssueId| {
            self.state
                .issues
                .get(id)
                .is_some_and(|i| matches!(i.stage, IssueStage::Backlog | IssueStage::Working { .. }))
        };
        if !shift.issues.iter().any(|id| open(&id)) {
            return Some(ShiftEnd::Done);
        }
        match shift.stage {
            ShiftStage::Ended { .. } => None,
            ShiftStage::Winding(Winding::Budget) => Some(ShiftEnd::Budget),
            ShiftStage::Winding(Winding::Drain | Winding::Stop) => Some(ShiftEnd::Interrupted),
            ShiftStage::Running => self.end_of_running(shift),
        }
    }

    fn end_of_running(&self, shift: &Shift) -> Option<ShiftEnd> {
        let mut end = ShiftEnd::NeedsPerson;
        for task in shift.issues.iter().flat_map(|id| self.state.tasks_of(*id)) {
            match &task.stage {
                Stage::Backoff { .. } => return None,
                Stage::Ready { .. } => {
                    if let Some(Waiting::Budget { .. }) = waiting(self.state, task) {
                        end = ShiftEnd::Budget;
                    }
                }
                Stage::Blocked
                | Stage::Writing { .. }
                | Stage::Checking { .. }
                | Stage::Reviewing { .. }
                | Stage::Landing { .. }
                | Stage::Parked { .. }
                | Stage::Landed { .. }
                | Stage::Dropped { .. } => {}
            }
        }
        Some(end)
    }
}
