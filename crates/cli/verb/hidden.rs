//! The verbs that Turno types itself, inside an attempt.

use std::process::ExitCode;

use turno_agents::dialect::Cue;
use turno_engine::bridge::{self, Served, Until};
use turno_engine::perform::{self, Performance};
use turno_engine::process::{confine, supervisor};
use turno_engine::tools::{self, Way};
use turno_engine::understudy;

use crate::args;
use crate::failure::Failure;
use crate::print;
use crate::scene::user_env;

/// `turno supervise DIR`
pub(crate) fn supervise(verb: &args::Supervise) -> ExitCode {
    supervisor::supervise(&verb.directory, understudy)
        .unwrap_or_else(|e| Failure::bug(format!("supervising {}: {e}", verb.directory.display())).show())
}

/// `turno confine SPEC -- PROGRAM ...`
pub(crate) fn confine(verb: &args::Confine) -> ExitCode {
    confine::confine(&verb.spec, &verb.argv).unwrap_or_else(|error| {
        print::error(&format!("the sandbox: {error}"));
        ExitCode::from(error.code())
    })
}

/// `turno perform --script FILE ...`
pub(crate) fn perform(verb: &args::Perform) -> ExitCode {
    let performance = Performance {
        script: verb.script.clone(),
        cue: Cue {
            persona: verb.persona.clone(),
            task: verb.task,
            title: verb.title.clone(),
            round: verb.round,
        },
        resume: verb.resume.clone(),
        way: Way::of(&user_env()),
    };
    perform::perform(&performance).unwrap_or_else(|_| ExitCode::from(crate::exit::BUG))
}

/// `turno bridge ... -- SERVER ...`
pub(crate) fn bridge(verb: &args::Bridge) -> ExitCode {
    let served = Served {
        argv: verb.argv.clone(),
        events: verb.events.clone(),
        skip: verb.skip.clone(),
        user: verb.user.clone(),
        secret_in: verb.secret_in.clone(),
        until: if verb.until_answered {
            Until::Answered
        } else {
            Until::InputEnds
        },
    };
    bridge::bridge(&served).unwrap_or_else(|_| ExitCode::from(crate::exit::BUG))
}

/// `turno agent-tools`
pub(crate) fn agent_tools() -> ExitCode {
    let Some(way) = Way::of(&user_env()) else {
        return Failure::usage(
            "agent-tools is started by an agent within a running attempt, with TURNO_SOCKET and TURNO_TOKEN set",
        )
        .show();
    };
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            let served = runtime.block_on(tools::serve(way));
            // A read of standard input cannot be broken off; nothing is left to wait for.
            runtime.shutdown_background();
            served
        });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::cannot_start(format!("the agent's tools: {error}")).show(),
    }
}
