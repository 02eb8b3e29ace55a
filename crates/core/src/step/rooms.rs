//! Owns what follows from disks that are nearly full: nothing is started while one is, neither agents nor checks, and
//! no landing nor following either, because both run checks in a worktree of their own. What runs goes on: the floor
//! is there so that it can end well. A shift that could do nothing else waits for room, as long as the configuration
//! says.

use super::following::is_due;
use super::settle::waits_by_itself;
use super::{Turn, holding};
use crate::room::{Room, Tight};
use crate::shift::ShiftStage;
use crate::state::State;
use crate::task::Stage;
use crate::units::Timestamp;

/// The disk for which nothing is started, if there is one.
pub(super) fn no_room(state: &State) -> Option<&Tight> {
    state.desk.room.tight().next()
}

/// When the running shift gives up, if all it could do is to wait for room.
pub(super) fn deadline(state: &State) -> Option<Timestamp> {
    let Room::Short { since, .. } = &state.desk.room else {
        return None;
    };
    let shift = state.shift().filter(|s| s.stage == ShiftStage::Running)?;
    let runs = state.running().next().is_some() || state.following().is_some();
    // A person who is attached is waited for as well: the shift does not give up before.
    if runs || waits_by_itself(state, shift) || holding::waited_for(state, shift).is_some() {
        return None;
    }
    let is_held = |id: &crate::ids::IssueId| {
        let is_ready = |stage: &Stage| matches!(stage, Stage::Ready { .. });
        state.tasks_of(*id).any(|t| is_ready(&t.stage))
            || state.issues.get(id).is_some_and(|i| is_due(state, i))
    };
    let config = state.config.as_ref()?;
    shift
        .issues
        .iter()
        .any(is_held)
        .then(|| *since + config.disk_wait)
}

impl Turn<'_> {
    /// Disks were looked at. None with too little means that there is room again.
    pub(super) fn room_seen(&mut self, tight: &[Tight]) {
        let Some((first, others)) = tight.split_first() else {
            self.state.desk.room = Room::Enough;
            return;
        };
        let since = match &self.state.desk.room {
            Room::Enough => self.now,
            Room::Short { since, .. } => *since,
        };
        self.state.desk.room = Room::Short {
            since,
            first: first.clone(),
            others: others.to_vec(),
        };
    }

    /// A shift begins or goes on: how long an earlier one has waited is no matter.
    pub(super) fn wait_anew(&mut self) {
        if let Room::Short { since, .. } = &mut self.state.desk.room {
            *since = self.now;
        }
    }
}
