//! The verbs that Turno types itself, inside an attempt.

use std::process::ExitCode;

use turno_agents::dialect::Cue;
use turno_engine::perform::{self, Performance};
use turno_engine::process::supervisor;

use crate::args;
use crate::failure::Failure;

/// `turno supervise DIR`
pub(crate) fn supervise(verb: &args::Supervise) -> ExitCode {
    supervisor::supervise(&verb.directory)
        .unwrap_or_else(|e| Failure::bug(format!("supervising {}: {e}", verb.directory.display())).show())
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
    };
    perform::perform(&performance).unwrap_or_else(|_| ExitCode::from(crate::exit::BUG))
}
