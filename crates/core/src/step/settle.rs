//! Owns what is over: issues whose tasks have all ended, shifts that have nothing left to do.

use super::fill::{Reasons, Waiting};
use super::following::is_due;
use super::gates::opens_before;
use super::{Turn, holding, joining, rooms};
use crate::State;
use crate::command::Command;
use crate::decision::{Decision, DecisionStage};
use crate::ids::{IssueId, TaskId};
use crate::issue::IssueStage;
use crate::shift::{Scope, Shift, ShiftEnd, ShiftStage, Winding};
use crate::task::Stage;

impl Turn<'_> {
    pub(super) fn settle(&mut self) {
        self.settle_decisions();
        self.settle_issues();
        let Some(shift) = self.state.shift() else { return };
        if self.state.running().any(|t| shift.issues.contains(&t.id.issue)) {
            return;
        }
        if self.state.following().is_some() {
            return;
        }
        let Some(end) = self.end_of(shift) else { return };
        let (id, at) = (shift.id, self.now);
        let issues = shift.issues.clone();
        for issue in issues {
            self.back_to_backlog(issue);
        }
        if let Some(shift) = self.shift() {
            shift.stage = ShiftStage::Ended { end, at };
            self.commands.push(Command::EndShift { shift: id, end });
        }
    }

    pub(super) fn settle_issues(&mut self) {
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
            let nothing_to_do = self
                .state
                .tasks
                .get(&TaskId::lead(id))
                .is_some_and(|t| matches!(t.stage, Stage::Accepted { .. }))
                && self.state.pieces_of(id).next().is_none();
            let landed = self
                .state
                .tasks_of(id)
                .any(|t| matches!(t.stage, Stage::Landed { .. }));
            // At the latest now its branch is brought along: in review it is the person's to look at.
            let follows = self.state.issues.get(&id);
            if follows.is_some_and(|i| i.following.run().is_some() || landed && is_due(self.state, i)) {
                continue;
            }
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
                let why = if nothing_to_do {
                    "there was nothing to do"
                } else {
                    "all its tasks were discarded"
                };
                IssueStage::Closed { why: why.to_owned() }
            };
        }
    }

    /// How a shift without a running attempt ends, if it ends.
    fn end_of(&self, shift: &Shift) -> Option<ShiftEnd> {
        let open = |id: &&IssueId| {
            self.state.issues.get(id).is_some_and(|i| {
                matches!(
                    i.stage,
                    IssueStage::Backlog | IssueStage::Opening { .. } | IssueStage::Working { .. }
                )
            })
        };
        if !shift.issues.iter().any(|id| open(&id))
            && shift.refused.is_empty()
            && !self.more_in_backlog(shift)
        {
            return Some(ShiftEnd::Done);
        }
        match shift.stage {
            ShiftStage::Ended { .. } => None,
            ShiftStage::Winding(Winding::Budget) => Some(ShiftEnd::Budget),
            ShiftStage::Winding(Winding::TimeUp) => Some(ShiftEnd::TimeUp),
            ShiftStage::Winding(Winding::Drain | Winding::Stop) => Some(ShiftEnd::Interrupted),
            ShiftStage::Running => self.end_of_running(shift),
        }
    }

    /// Whether a shift that drains the backlog leaves something of it.
    fn more_in_backlog(&self, shift: &Shift) -> bool {
        match shift.scope {
            Scope::Listed => false,
            // Reaching the number that a person has set is no failure.
            Scope::Backlog {
                at_most: Some(most), ..
            } if shift.issues.len() >= usize::from(most) => false,
            Scope::Backlog { .. } => self.state.issues.values().any(|i| match i.stage {
                IssueStage::Backlog => true,
                // Begun in an earlier shift, and not taken up in this one.
                IssueStage::Working { .. } => !shift.issues.contains(&i.id),
                IssueStage::Opening { .. }
                | IssueStage::Review { .. }
                | IssueStage::Done { .. }
                | IssueStage::Closed { .. } => false,
            }),
        }
    }

    fn end_of_running(&self, shift: &Shift) -> Option<ShiftEnd> {
        let for_room = rooms::deadline(self.state).is_some_and(|until| self.now < until);
        let for_person = holding::waited_for(self.state, shift).is_some();
        if for_room || for_person || waits_by_itself(self.state, shift) {
            return None;
        }
        let reasons = Reasons::of(self.state);
        let mut end = ShiftEnd::NeedsPerson;
        for task in shift.issues.iter().flat_map(|id| self.state.tasks_of(*id)) {
            match &task.stage {
                Stage::Ready { .. } => match reasons.why(task) {
                    Some(Waiting::Budget(_)) => end = ShiftEnd::Budget,
                    // It opens by itself, and if that is too late for this shift, there is no time left for it.
                    Some(Waiting::Account { opens, .. }) => {
                        if opens_before(opens, joining::deadline(self.state)) {
                            return None;
                        }
                        end = ShiftEnd::TimeUp;
                    }
                    Some(_) | None => {}
                },
                Stage::Blocked
                | Stage::Backoff { .. }
                | Stage::Writing { .. }
                | Stage::Checking { .. }
                | Stage::Testing { .. }
                | Stage::Reviewing { .. }
                | Stage::Entered { .. }
                | Stage::Comparing { .. }
                | Stage::Surveying { .. }
                | Stage::Planning { .. }
                | Stage::Trying { .. }
                | Stage::Accepting { .. }
                | Stage::Accepted { .. }
                | Stage::Landing { .. }
                | Stage::Parked { .. }
                | Stage::Landed { .. }
                | Stage::Dropped { .. } => {}
            }
        }
        Some(end)
    }
}

/// Whether a shift in which nothing runs goes on by itself: an agent waits for an answer, a branch is being begun, or
/// something is tried again after a while.
pub(super) fn waits_by_itself(state: &State, shift: &Shift) -> bool {
    let waits = |d: &Decision| {
        matches!(d.stage, DecisionStage::Waiting { .. }) && shift.issues.contains(&d.task.issue)
    };
    let opening = |id: &IssueId| {
        let issue = state.issues.get(id);
        issue.is_some_and(|i| matches!(i.stage, IssueStage::Opening { .. }))
    };
    let backs_off = |id: &IssueId| {
        let mut tasks = state.tasks_of(*id);
        tasks.any(|t| matches!(t.stage, Stage::Backoff { .. }))
    };
    state.decisions.values().any(|d| waits(d)) || shift.issues.iter().any(|id| opening(id) || backs_off(id))
}
