//! Owns looking ahead: when it is asked whether changes under way would merge, and what follows from the answer. The
//! core asks by a command and not the engine by itself: only the core knows which changes are under way and where the
//! branch is believed to be, an agent's end does not wait for the look, and after a restart it is simply asked again.

use std::sync::Arc;

use super::Turn;
use crate::command::Command;
use crate::foresight::{self, Clash, Files, Outlook, Rival, Seen, Sight};
use crate::ids::{CommitId, IssueId, TaskId};
use crate::policy::ClashRule;
use crate::shift::ShiftStage;
use crate::task::{Change, ConflictHunk, Stage, Work};

/// What a writer is told of a file that was seen not to merge. Only a landing has the text of it.
const NOT_SHOWN: &str = "seen before it was landed: what has landed changed this file too";

impl Turn<'_> {
    /// Asks for what has not been looked at, in the issues of a running shift. Each pair of commits is looked at once.
    pub(super) fn foresee(&mut self) {
        let rule = self.clash_rule();
        let Some(shift) = self.state.shift() else { return };
        if rule == ClashRule::Ignore || shift.stage != ShiftStage::Running {
            return;
        }
        for issue in shift.issues.clone() {
            self.forget(issue);
            for (task, commit, rivals) in foresight::unseen(self.state, issue) {
                self.commands.push(Command::Foresee {
                    of: task,
                    repo: self.repo_of(task),
                    commit: commit.clone(),
                    with: rivals.iter().cloned().collect(),
                });
                let outlook = self.outlook(issue);
                let seen = outlook.changes.entry(task).or_insert_with(|| Seen {
                    commit,
                    asked: rivals.clone(),
                    sights: Vec::new(),
                });
                seen.asked = rivals;
            }
        }
    }

    /// Drops what was seen of commits that are not those of now.
    fn forget(&mut self, issue: IssueId) {
        let Some(outlook) = self.state.outlooks.get(&issue) else {
            return;
        };
        let current = foresight::current(self.state, outlook);
        if current != **outlook {
            self.state.outlooks.insert(issue, Arc::new(current));
        }
    }

    /// A look came to its end. One at a commit that is not the change any more says nothing.
    pub(super) fn foreseen(&mut self, of: TaskId, commit: &CommitId, sights: &[Sight]) {
        let known = self.state.outlooks.get(&of.issue);
        if known
            .and_then(|o| o.changes.get(&of))
            .is_none_or(|s| s.commit != *commit)
        {
            return;
        }
        if let Some(seen) = self.outlook(of.issue).changes.get_mut(&of) {
            for sight in sights {
                // What was not asked for, or is answered already, is stale.
                if seen.asked.remove(&sight.rival) {
                    seen.sights.push(sight.clone());
                }
            }
        }
    }

    /// Whoever was asked is gone: what was not answered is asked for again.
    pub(super) fn ask_again(&mut self) {
        for outlook in self.state.outlooks.values_mut() {
            if outlook.changes.values().any(|s| !s.asked.is_empty()) {
                let changes = &mut Arc::make_mut(outlook).changes;
                for seen in changes.values_mut() {
                    seen.asked.clear();
                }
                changes.retain(|_, seen| !seen.sights.is_empty());
            }
        }
    }

    /// Gives back what conflicts with what has landed, before somebody tries or reads it, where the policy says so.
    /// What is about to land goes on: only a landing can show its writer the text.
    pub(super) fn return_clashing(&mut self) {
        if self.clash_rule() != ClashRule::Return {
            return;
        }
        let found: Vec<(TaskId, Change, Clash)> = self
            .state
            .tasks
            .values()
            .filter_map(|task| {
                let Stage::Ready { work, .. } = &task.stage else {
                    return None;
                };
                let change = match work {
                    Work::Check(change) => change,
                    Work::Test(proven) | Work::Review(proven) => &proven.change,
                    Work::Write(_)
                    | Work::Compare(_)
                    | Work::Survey
                    | Work::Land(_)
                    | Work::Plan(_)
                    | Work::Try
                    | Work::Accept(_) => return None,
                };
                let clash = foresight::clashes(self.state, task)
                    .into_iter()
                    .find(|c| matches!(c.with, Rival::Branch { .. }))?;
                Some((task.id, change.clone(), clash))
            })
            .collect();
        for (id, change, clash) in found {
            self.conflict(id, &change, &hunks(&clash.files), clash.with.commit());
        }
    }

    fn clash_rule(&self) -> ClashRule {
        let config = self.state.config.as_ref();
        config.map_or(ClashRule::Ignore, |c| c.policy.landing.clashes)
    }

    fn outlook(&mut self, issue: IssueId) -> &mut Outlook {
        let outlooks = &mut self.state.outlooks;
        Arc::make_mut(
            outlooks
                .entry(issue)
                .or_insert_with(|| Arc::new(Outlook::new(issue))),
        )
    }
}

fn hunks(files: &Files) -> Vec<ConflictHunk> {
    let hunk = |file: &String| ConflictHunk {
        file: file.clone(),
        text: NOT_SHOWN.to_owned(),
    };
    files.named.iter().map(hunk).collect()
}
