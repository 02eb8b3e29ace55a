//! Owns a landing's attempt: it lends the landing its checks and tells its end.

use std::collections::BTreeSet;
use std::path::Path;

use turno_core::check::ReportVerdict;
use turno_core::command::LandStart;
use turno_core::event::{Event, LandingEnd, OthersEnd, TogetherEnd};
use turno_core::ids::{CheckName, CommitId, TreeId};

use super::checks::{Bench, Trial, was_stopped};
use super::{stopped, workspace};
use crate::land::{Request, land, land_together};
use crate::live::Doing;
use crate::runner::mouth::{Ear, Mouth};
use crate::site::Site;
use crate::slots::SlotPlace;

/// Lands a change.
pub(crate) async fn landing(site: &Site, start: LandStart, mouth: Mouth, mut ear: Ear) {
    if let Some(why) = was_stopped(&ear) {
        return mouth.fail(stopped(why));
    }
    let ground = match site.ground(&start.repo) {
        Ok(ground) => ground,
        Err(error) => return mouth.fail(workspace(error)),
    };
    site.live.say(
        start.attempt,
        Doing::Step("rebasing onto the integration branch".to_owned()),
    );
    let (first, others) = Request::of(&start);
    let bench = Bench {
        site,
        ground,
        attempt: start.attempt,
        task: start.task,
        place: SlotPlace::Landing,
        checks: &start.checks,
        reruns: start.reruns,
        trial: if others.is_empty() {
            Trial::Change
        } else {
            Trial::Together
        },
    };
    let run_checks = async |path: &Path, commit: &CommitId, tree: &TreeId| {
        let (attempt, task, place) = (start.attempt, start.task, SlotPlace::Landing);
        let set_up = site.set_up(ground, attempt, task, place, path, &mut ear);
        if let Err(error) = set_up.await {
            return bench.none_run(commit, tree, &error.to_string());
        }
        bench.run(path, commit, tree, &mut ear).await
    };
    let ended = if others.is_empty() {
        land(&ground.pool, &first, run_checks).await
    } else {
        let together = land_together(&ground.pool, &first, &others, run_checks).await;
        together.map(LandingEnd::Together)
    };
    let attempt = start.attempt;
    match (ended, was_stopped(&ear)) {
        (Err(error), _) => mouth.fail(workspace(error)),
        // Checks that were stopped say nothing about the tree.
        (Ok(end), Some(why)) if says_nothing(&end, &start.known_red) => mouth.fail(stopped(why)),
        (Ok(end), _) => mouth.end(Event::LandingEnded { attempt, end }),
    }
}

/// Whether a landing did not happen, and its checks do not say why.
fn says_nothing(end: &LandingEnd, known_red: &BTreeSet<CheckName>) -> bool {
    let report = match end {
        LandingEnd::NotGreen { report, .. } => report,
        LandingEnd::Together(TogetherEnd {
            others: OthersEnd::NotGreen { red },
            ..
        }) => &red.report,
        LandingEnd::Together(_)
        | LandingEnd::Landed { .. }
        | LandingEnd::Conflict { .. }
        | LandingEnd::Raced { .. } => return false,
    };
    report.verdict_despite(known_red) != ReportVerdict::Red
}
