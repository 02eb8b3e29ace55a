//! Owns a landing's attempt: it lends the landing its checks and tells its end.

use turno_core::check::ReportVerdict;
use turno_core::command::LandStart;
use turno_core::event::{Event, LandingEnd};

use super::checks::{Bench, Trial, was_stopped};
use super::{stopped, workspace};
use crate::land::{Request, land};
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
    let request = Request::from(&start);
    let bench = Bench {
        site,
        ground,
        attempt: start.attempt,
        task: start.task,
        place: SlotPlace::Landing,
        checks: &start.checks,
        reruns: start.reruns,
        trial: Trial::Change,
    };
    let ended = land(&ground.pool, &request, async |path, commit, tree| {
        let set_up = site.set_up(
            ground,
            start.attempt,
            start.task,
            SlotPlace::Landing,
            path,
            &mut ear,
        );
        if let Err(error) = set_up.await {
            return bench.none_run(commit, tree, &error.to_string());
        }
        bench.run(path, commit, tree, &mut ear).await
    })
    .await;
    let attempt = start.attempt;
    match (ended, was_stopped(&ear)) {
        (Err(error), _) => mouth.fail(workspace(error)),
        // Checks that were stopped say nothing about the tree.
        (Ok(LandingEnd::NotGreen { report, .. }), Some(why))
            if report.verdict_despite(&start.known_red) != ReportVerdict::Red =>
        {
            mouth.fail(stopped(why));
        }
        (Ok(end), _) => mouth.end(Event::LandingEnded { attempt, end }),
    }
}
