//! Owns the `[preview]` table of `turno.toml`: its shape and what it means.

use turno_core::units::Span;

use super::error::Error;
use super::layer::Layers;

/// The variable of the port, as it is written in the table.
const PORT: &str = "$PORT";

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewFile {
    dev: Option<String>,
    ready: Option<String>,
    start_within: Span,
    stop_after: Span,
}

/// How the project's own server is started to look at a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewSetup {
    /// A shell command; `$PORT` is its port.
    pub dev: String,
    /// What is asked for to see whether it answers; the port alone where there is none.
    pub ready: Option<String>,
    /// How long it has to answer.
    pub start_within: Span,
    /// When it is ended at the latest.
    pub stop_after: Span,
}

impl PreviewSetup {
    /// Where it is looked at, by a name that is its alone: a browser sends the cookies of a name to all its ports, and what
    /// is looked at was written by an agent.
    pub fn url(&self, host: &str, port: u16) -> String {
        format!("http://{host}:{port}{}", self.ready_path().unwrap_or("/"))
    }

    /// The path that is asked for.
    pub fn ready_path(&self) -> Option<&str> {
        let (_, after) = self.ready.as_ref()?.split_once(PORT)?;
        Some(if after.is_empty() { "/" } else { after })
    }
}

/// What the table says; nothing without a command.
pub(super) fn preview(file: &PreviewFile, layers: &Layers) -> Result<Option<PreviewSetup>, Error> {
    let loopback = |url: &String| {
        ["http://127.0.0.1:$PORT", "http://localhost:$PORT"]
            .iter()
            .any(|begin| {
                url.strip_prefix(begin)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            && !url.contains(char::is_whitespace)
    };
    if file.ready.as_ref().is_some_and(|url| !loopback(url)) {
        return Err(layers.wrong(
            &["preview", "ready"],
            "it is an address of the preview itself, like http://127.0.0.1:$PORT/health",
        ));
    }
    Ok(file.dev.as_ref().map(|dev| PreviewSetup {
        dev: dev.clone(),
        ready: file.ready.clone(),
        start_within: file.start_within,
        stop_after: file.stop_after,
    }))
}
