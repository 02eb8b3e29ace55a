//! Owns promotions, and what is known of pull requests: an issue that a person put on a branch of theirs is done, and one that they took back from there
//! is in review again.

use super::Turn;
use crate::ids::{CommitId, IssueId};
use crate::issue::IssueStage;
use crate::promotion::{Begun, Fork, Put, TakeBack};
use crate::pull::{Pull, PullRequest, Pushed};
use crate::task::StopWhy;

impl Turn<'_> {
    pub(super) fn promotion_begun(&mut self, id: IssueId, begun: &Begun) {
        if let Some(issue) = self.issue(id) {
            issue.promotion = Some(begun.clone());
        }
    }

    pub(super) fn pull_begun(&mut self, id: IssueId, pushed: &Pushed) {
        if let Some(issue) = self.issue(id) {
            issue.pull = issue.pull.begin(pushed);
        }
    }

    pub(super) fn pull_opened(&mut self, id: IssueId, request: &PullRequest) {
        if let Some(issue) = self.issue(id) {
            issue.pull = Pull::There(request.clone());
        }
    }

    pub(super) fn promoted(&mut self, id: IssueId, onto: &str, commit: &CommitId, put: &Put) {
        let at = self.now;
        let Some(issue) = self.issue(id) else { return };
        let Some((base, head)) = issue.integration() else {
            return;
        };
        let back = match put {
            Put::Nothing => TakeBack::WasThere {
                base: base.clone(),
                head: head.clone(),
            },
            Put::Commits { before, fork, .. } => TakeBack::Possible {
                before: before.clone(),
                fork: fork.clone(),
                base: base.clone(),
                head: head.clone(),
            },
        };
        issue.promotion = None;
        issue.stage = IssueStage::Done {
            onto: onto.to_owned(),
            commit: commit.clone(),
            at,
            back,
        };
        self.drop_tasks(id, "its issue was promoted without it");
        self.stop_following(id, StopWhy::Asked);
        self.forget_alarm(id);
    }

    /// What was given up when it was promoted stays given up: a person saw it and let it go.
    pub(super) fn reverted(&mut self, id: IssueId, from: &str) {
        let Some(issue) = self.issue(id) else { return };
        let IssueStage::Done { onto, back, .. } = &issue.stage else {
            return;
        };
        let TakeBack::Possible { fork, base, head, .. } = back else {
            return;
        };
        // Elsewhere it may have been merged on from there; where it was promoted to it still is.
        if onto != from {
            return;
        }
        issue.fork = Fork::At(fork.clone());
        issue.stage = IssueStage::Review {
            base: base.clone(),
            head: head.clone(),
        };
    }
}
