//! Owns the `[pull_request]` table of `turno.toml`: its shape and what it means. A repository may name a remote, a base
//! and a forge's program; a command of one's own is the person's own to name.

use turno_core::units::Span;

use crate::config::error::Error;
use crate::config::layer::Layers;
use crate::config::sandbox::own;

/// Who opens pull requests, as it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ForgeChoice {
    /// Whichever forge's program is logged in where the remote is.
    #[default]
    Auto,
    /// GitHub's program.
    Gh,
    /// GitLab's program.
    Glab,
    /// This command.
    Command(Vec<String>),
    /// Nobody.
    None,
}

/// How `turno pr` goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequests {
    /// The remote that is pushed to; absent: that of the upstream of the branch that an issue began on.
    pub remote: Option<String>,
    /// The branch there that is asked to take it; absent: that upstream.
    pub base: Option<String>,
    /// Who opens them.
    pub forge: ForgeChoice,
    /// How long a remote or a program may take to answer.
    pub timeout: Span,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullRequestFile {
    remote: Option<String>,
    base: Option<String>,
    forge: Named,
    command: Option<Vec<String>>,
    timeout: Span,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Named {
    Auto,
    Gh,
    Glab,
    None,
}

impl PullRequestFile {
    pub(super) fn meant(&self, layers: &Layers) -> Result<PullRequests, Error> {
        let key = ["pull_request", "command"];
        let forge = match (&self.command, self.forge) {
            (Some(argv), _) => {
                own(
                    layers,
                    key,
                    "does not choose a command that runs with your rights",
                    "let `pull_request.forge` name a program",
                )?;
                if argv.first().is_none_or(|program| program.trim().is_empty()) {
                    return Err(layers.wrong(&key, "it names no program; write [\"program\", \"argument\"]"));
                }
                ForgeChoice::Command(argv.clone())
            }
            (None, Named::Auto) => ForgeChoice::Auto,
            (None, Named::Gh) => ForgeChoice::Gh,
            (None, Named::Glab) => ForgeChoice::Glab,
            (None, Named::None) => ForgeChoice::None,
        };
        Ok(PullRequests {
            remote: self.remote.clone(),
            base: self.base.clone(),
            forge,
            timeout: self.timeout,
        })
    }
}
