//! Owns the user's branches of a world: they move while others work, and issues' branches are brought along with them.

use turno_core::check::CheckReport;
use turno_core::command::FollowStart;
use turno_core::event::{Event, FollowEnd};
use turno_core::failure::{Cause, Failure};
use turno_core::following::{Following, Target};
use turno_core::ids::IssueId;

use super::super::plan::Fault;
use super::checks::{could_not, failed};
use super::{Fate, World};

impl World {
    /// The branch that an issue begins on.
    pub(super) fn target(&self) -> Target {
        if self.has(Fault::TargetMoves) {
            Target::Branch("main".to_owned())
        } else {
            Target::Unknown
        }
    }

    /// The user commits to the branch that an issue began on.
    pub(super) fn move_a_target(&mut self) -> Result<(), String> {
        let follows = |i: &&std::sync::Arc<turno_core::issue::Issue>| i.following != Following::Nothing;
        let begun = self.state.issues.values().filter(follows).map(|i| i.id);
        let begun: Vec<IssueId> = begun.collect();
        if begun.is_empty() {
            return Ok(());
        }
        let issue = self.rng.pick(&begun);
        let tip = self.commit();
        self.tally.count("targets moved");
        self.take(Event::TargetMoved { issue, tip })
    }

    /// The fake hands bring a branch along, or cannot.
    pub(super) fn follow(&mut self, start: &FollowStart) {
        self.tally.count("followings");
        let (issue, attempt) = (start.issue, start.attempt);
        let head = self.heads.get(&issue).unwrap_or(&start.head).clone();
        let report = |world: &mut Self, verdict| -> CheckReport {
            let (commit, tree) = (world.commit(), world.tree());
            world.all(&commit, &tree, &start.checks, &verdict)
        };
        let end = if self.strikes(Fault::CommandFails, 10) {
            let failure = Failure::new(Cause::Workspace, "no room");
            self.later(5, attempt, Fate::End(Event::AttemptFailed { attempt, failure }));
            return;
        } else if self.strikes(Fault::Conflicts, 30) {
            let files = vec!["a.rs".to_owned()];
            FollowEnd::Conflict { files, head }
        } else if self.strikes(Fault::NotGreen, 30) {
            let verdict = if self.rng.chance(80) {
                failed()
            } else {
                could_not()
            };
            let report = report(self, verdict);
            FollowEnd::NotGreen { report, head }
        } else if self.strikes(Fault::Races, 20) {
            let head = self.commit();
            self.heads.insert(issue, head.clone());
            FollowEnd::Raced { head }
        } else {
            self.tally.count("followed");
            let head = self.commit();
            self.heads.insert(issue, head.clone());
            FollowEnd::Followed { head }
        };
        if !matches!(end, FollowEnd::Followed { .. } | FollowEnd::Raced { .. }) {
            self.tally.count("alarms");
        }
        let late = self.rng.pick(&[80, 3000]);
        self.later(late, attempt, Fate::End(Event::FollowEnded { attempt, end }));
    }
}
