//! Owns an agent's stay in its sandbox: what it sees there, and what is done when it leaves.

use std::path::Path;

use turno_agents::dialect::{Dialect, Job, Launch};
use turno_core::command::AgentStart;
use turno_core::contact::{Answer, Contact};
use turno_sandbox::Place;
use turno_sandbox::net::proxy::{self as net, Verdict};

use crate::config::{AgentDialect, AgentSetup};
use crate::live::Doing;
use crate::runner::mouth::Mouth;
use crate::sandbox::{Guest, HomeOf, Lodged, found_places, toolchains};
use crate::site::{Ground, Site};
use crate::slots::{self, Brought};

/// What an agent sees besides its slot, its home and the system.
pub(super) fn guest<'a>(
    site: &'a Site,
    start: &'a AgentStart,
    dialect: &dyn Dialect,
    setup: &'a AgentSetup,
    job: &Job,
    launch: &Launch,
) -> Guest<'a> {
    let home = launch.env.get("HOME").map(Path::new);
    let mut sees = toolchains(&launch.env)
        .into_iter()
        .map(Place::read)
        .collect::<Vec<_>>();
    sees.extend(found_places(&job.program, &launch.env, home));
    if let AgentDialect::Script { path } = &setup.dialect {
        sees.push(Place::read(path));
    }
    if !job.tool_servers.is_empty() {
        sees.push(Place::read(site.dirs.tool_door()));
    }
    sees.extend(launch.files.iter().map(|f| Place::read(&f.path)));
    Guest {
        whose: HomeOf {
            task: start.task,
            persona: &start.persona,
            agent: &start.agent,
        },
        role: start.access,
        test_paths: &site.config.core.policy.test_paths,
        needs: dialect.needs(&job.program),
        args: &setup.args,
        sees,
    }
}

/// Ends an agent's stay: what it committed is taken over, what it asked of the network is told.
///
/// # Errors
/// When the slot cannot be taken back.
pub(super) async fn move_out(
    site: &Site,
    ground: &Ground,
    start: &AgentStart,
    lodged: Lodged,
    mouth: &Mouth,
) -> Result<(), slots::Error> {
    let (taken, seen) = lodged.take_back(ground).await;
    if let Some(seen) = seen.filter(|s| !s.contacts.is_empty()) {
        mouth.contacted(seen.contacts.iter().map(contact).collect(), seen.others);
    }
    let taken = taken?;
    let mut notes = Vec::new();
    if let Brought::Refused { why } = &taken.head {
        notes.push(format!("its commits were not taken: {why}"));
    }
    notes.extend(
        taken
            .odd
            .iter()
            .map(|odd| format!("left behind and not used: {odd}")),
    );
    for note in notes {
        site.live.say(start.attempt, Doing::Notes(note));
    }
    Ok(())
}

/// What was asked of the network, as it is written down.
fn contact(contact: &net::Contact) -> Contact {
    Contact {
        host: contact.host.to_string(),
        port: contact.port,
        answer: match contact.verdict {
            Verdict::Allowed => Answer::Allowed,
            Verdict::NotListed => Answer::NotListed,
            Verdict::PrivateAddress => Answer::PrivateAddress,
            Verdict::Unresolved => Answer::Unresolved,
            Verdict::Unreachable => Answer::Unreachable,
        },
        times: contact.times,
    }
}
