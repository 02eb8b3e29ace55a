//! Dialects translate. A job becomes a launch (argv, environment, first lines of input); a line of output
//! becomes signals; the end of the process becomes an outcome. No process is started here, no file is read,
//! no clock is asked: this crate's `clippy.toml` bans them. One file per dialect.

pub mod acp;
pub mod claude;
pub mod codex;
pub mod command;
pub mod dialect;
pub mod gemini;
pub mod limits;
mod meter;
pub mod needs;
pub mod opencode;
mod phase;
mod place;
pub mod schema;
pub mod script;
mod text;
mod value;
mod words;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;

/// Every dialect there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialectKind {
    /// Claude Code.
    Claude,
    /// The Codex CLI.
    Codex,
    /// opencode, through its local server.
    Opencode,
    /// The Gemini CLI.
    Gemini,
    /// Any agent that speaks the Agent Client Protocol.
    Acp,
    /// Any program that takes a prompt on its standard input.
    Command,
    /// Turno's own performer of written sessions.
    Script,
}

impl DialectKind {
    /// Every dialect, in order.
    pub const ALL: [Self; 7] = [
        Self::Claude,
        Self::Codex,
        Self::Opencode,
        Self::Gemini,
        Self::Acp,
        Self::Command,
        Self::Script,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        dialect(self).name()
    }
}

impl fmt::Display for DialectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no dialect has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no dialect; there are {known}", known = DialectKind::ALL.map(DialectKind::name).join(", "))]
pub struct UnknownDialect {
    /// The name.
    pub name: String,
}

impl FromStr for DialectKind {
    type Err = UnknownDialect;
    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownDialect {
                name: text.to_owned(),
            })
    }
}

/// The dialect of a kind.
pub fn dialect(kind: DialectKind) -> &'static dyn Dialect {
    match kind {
        DialectKind::Claude => &claude::Claude,
        DialectKind::Codex => &codex::Codex,
        DialectKind::Opencode => &opencode::Opencode,
        DialectKind::Gemini => &gemini::Gemini,
        DialectKind::Acp => &acp::Acp,
        DialectKind::Command => &command::Command,
        DialectKind::Script => &script::Script,
    }
}
