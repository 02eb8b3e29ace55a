//! Owns the attempt that brings an issue's branch along: it lends it its checks and tells its end.

use std::path::Path;

use turno_core::check::ReportVerdict;
use turno_core::command::FollowStart;
use turno_core::event::{Event, FollowEnd};
use turno_core::ids::{CommitId, TaskId, TreeId};

use super::checks::{Bench, Trial, was_stopped};
use super::{stopped, workspace};
use crate::follow::follow;
use crate::live::Doing;
use crate::runner::mouth::{Ear, Mouth};
use crate::site::Site;
use crate::slots::SlotPlace;

/// Brings an issue's branch along with the user's.
pub(crate) async fn following(site: &Site, start: FollowStart, mouth: Mouth, mut ear: Ear) {
    if let Some(why) = was_stopped(&ear) {
        return mouth.fail(stopped(why));
    }
    let ground = match site.ground(&start.repo) {
        Ok(ground) => ground,
        Err(error) => return mouth.fail(workspace(error)),
    };
    let (attempt, task, place) = (start.attempt, TaskId::lead(start.issue), SlotPlace::Landing);
    let step = format!("bringing the issue's branch along with {}", start.branch);
    site.live.say(attempt, Doing::Step(step));
    let bench = Bench {
        site,
        ground,
        attempt,
        task,
        place,
        checks: &start.checks,
        reruns: start.reruns,
        trial: Trial::Change,
    };
    let run_checks = async |path: &Path, commit: &CommitId, tree: &TreeId| {
        let set_up = site.set_up(ground, attempt, task, place, path, &mut ear);
        if let Err(error) = set_up.await {
            return bench.none_run(commit, tree, &error.to_string());
        }
        bench.run(path, commit, tree, &mut ear).await
    };
    let ended = follow(&ground.pool, &start, run_checks).await;
    match (ended, was_stopped(&ear)) {
        (Err(error), _) => mouth.fail(workspace(error)),
        // Checks that were stopped say nothing about the tree.
        (Ok(FollowEnd::NotGreen { report, .. }), Some(why))
            if report.verdict_despite(&start.known_red) != ReportVerdict::Red =>
        {
            mouth.fail(stopped(why));
        }
        (Ok(end), _) => mouth.end(Event::FollowEnded { attempt, end }),
    }
}
