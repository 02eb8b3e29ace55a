//! Owns what a later coordinator needs to listen to an agent again: it is written before the agent is started.

use std::path::Path;

use serde::{Deserialize, Serialize};
use turno_agents::DialectKind;
use turno_agents::dialect::{Job, Launch};
use turno_core::failure::Failure;

use super::workspace;
use crate::process::supervisor::write_whole;
use crate::runner::mouth::Pass;
use crate::site::Site;
use crate::tools::Token;

/// The name of the note below an attempt's directory.
const NOTE: &str = "standing.json";

/// How an agent was started, as far as listening to it goes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    /// How it is spoken to.
    pub(super) dialect: DialectKind,
    /// What it was given, without secrets.
    pub(super) job: Job,
    /// What opens its tools, if it has any.
    pub(super) token: Option<Token>,
    /// How many lines it is told at first.
    pub(super) first_lines: usize,
}

/// Writes it down.
pub(super) fn write(
    site: &Site,
    dir: &Path,
    dialect: DialectKind,
    job: &Job,
    pass: Option<&Pass>,
    launch: &Launch,
) -> Result<(), Failure> {
    let standing = Standing {
        dialect,
        job: job.clone(),
        token: pass.map(|p| p.token().clone()),
        first_lines: launch.input.len(),
    };
    let text = serde_json::to_vec(&standing).map_err(workspace)?;
    write_whole(&dir.join(NOTE), &site.redaction.bytes(&text)).map_err(workspace)
}

/// What was written down, if it can be read.
pub(super) fn read(dir: &Path) -> Option<Standing> {
    serde_json::from_slice(&std::fs::read(dir.join(NOTE)).ok()?).ok()
}

/// What opens the tools of the agent with that directory, if it has any.
pub(crate) fn token_of(dir: &Path) -> Option<Token> {
    read(dir)?.token
}

/// How the agent with that directory is spoken to, whatever is configured by now.
pub(crate) fn dialect_of(dir: &Path) -> Option<DialectKind> {
    Some(read(dir)?.dialect)
}
