//! Owns the attempt of an agent that an earlier coordinator started and that worked on when that one died: it is
//! found again, heard from its beginning without being answered twice, and ended like any other.

use std::path::Path;

use turno_agents::dialect as find_dialect;
use turno_core::command::AgentStart;
use turno_core::event::{AgentEnd, Event};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::AttemptId;

use super::agent::Stay;
use super::leaving::Gate;
use super::standing::{self, Standing};
use super::talk::Before;
use super::{clear, not_ready, workspace};
use crate::live::Doing;
use crate::process::supervised::{self, Supervised};
use crate::process::supervisor::files;
use crate::recover;
use crate::replay;
use crate::runner::mouth::{Ear, Mouth};
use crate::sandbox::Lodged;
use crate::site::Site;
use crate::slots::SlotPlace;
use crate::transcript::log_ref;

/// Whether the agent with this directory was begun, and works on or has come to an end that can be read. Nobody was
/// paid for one that had not been told its task.
pub(crate) fn can_be_adopted(dir: &Path) -> bool {
    let told = |standing: &Standing| {
        standing.first_lines == 0
            || supervised::said_in(dir).is_some_and(|said| said.len() >= standing.first_lines)
    };
    supervised::is_there(dir) && standing::read(dir).is_some_and(|s| told(&s))
}

/// Listens to it again.
pub(crate) async fn adopted(site: &Site, attempt: AttemptId, mouth: Mouth, ear: Ear) {
    match find(site, attempt, &mouth).await {
        Ok((stay, standing, run, before)) => {
            site.live.say(
                attempt,
                Doing::Step("it has worked on; it is listened to again".to_owned()),
            );
            stay.until_its_end(&standing.job, run, Some(before), mouth, ear)
                .await;
        }
        Err(failure) => {
            // Nobody can listen to it, so nobody pays for more. What it spent and left is kept all the same.
            clear(site, attempt).await;
            let dir = site.dirs.attempt(attempt);
            match started(&dir) {
                Some(start) => {
                    let spend = replay::spend(&site.config, &start, &dir);
                    let left = recover::keep(site, &start, spend).await;
                    mouth.end(Event::AgentEnded {
                        attempt,
                        end: AgentEnd::Failed(failure),
                        spend,
                        left,
                        transcript: log_ref(site.dirs.root(), &dir.join(files::OUT)),
                    });
                }
                None => mouth.fail(failure),
            }
        }
    }
}

fn started(dir: &Path) -> Option<AgentStart> {
    serde_json::from_slice(&std::fs::read(dir.join("start.json")).ok()?).ok()
}

async fn find<'a>(
    site: &'a Site,
    attempt: AttemptId,
    mouth: &Mouth,
) -> Result<(Stay<'a>, Standing, Supervised, Before), Failure> {
    let lost = |why: &str| Failure::new(Cause::Lost, why);
    let dir = site.dirs.attempt(attempt);
    let start = started(&dir).ok_or_else(|| lost("how it was started cannot be read any more"))?;
    let standing = standing::read(&dir).ok_or_else(|| lost("what it was given cannot be read any more"))?;
    let ground = site.ground(&start.repo).map_err(not_ready)?;
    let dialect = find_dialect(standing.dialect);
    let run = Supervised::found(&dir, site.marker(attempt))
        .await
        .ok_or_else(|| lost("its supervisor died without a word"))?;
    let place = SlotPlace::Slot(start.slot);
    let lodged = Lodged::before(ground, place, &dir).map_err(workspace)?;
    let guard = ground.pool.guard_kept_in(&dir).await.map_err(workspace)?;
    let mut said = supervised::said_in(&dir).unwrap_or_default();
    let before = Before {
        said: said
            .split_off(standing.first_lines.min(said.len()))
            .into_iter()
            .map(|s| s.line)
            .collect(),
    };
    let stay = Stay {
        site,
        ground,
        dialect,
        lodged,
        guard,
        gate: Gate::passed(),
        pass: standing.token.clone().map(|token| mouth.pass_by(token)),
        start,
        dir,
    };
    Ok((stay, standing, run, before))
}
