//! Owns the `[traces]` table of `turno.toml` and the standard variables beside it: where traces are sent, if anywhere.
//! Where a person's data goes is theirs to say, never a repository's.

use crate::config::env::EnvMap;
use crate::config::error::Error;
use crate::config::layer::Layers;
use crate::config::sandbox::own;

/// Where traces go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Traces {
    /// Nowhere.
    #[default]
    Off,
    /// To a collector, by OTLP over HTTP: the address that traces are posted to.
    To(String),
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesFile {
    endpoint: Option<String>,
}

impl TracesFile {
    /// What the file says, else what the environment does.
    pub(super) fn meant(&self, layers: &Layers, env: &EnvMap) -> Result<Traces, Error> {
        let set = |name: &str| env.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
        let at = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
        let key = ["traces", "endpoint"];
        let to = if let Some(base) = &self.endpoint {
            own(
                layers,
                key,
                "does not choose where your traces go",
                "set OTEL_EXPORTER_OTLP_ENDPOINT",
            )?;
            at(base)
        } else if set("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return Ok(Traces::Off);
        } else if let Some(whole) = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            whole.to_owned()
        } else if let Some(base) = set("OTEL_EXPORTER_OTLP_ENDPOINT") {
            at(base)
        } else {
            return Ok(Traces::Off);
        };
        Ok(Traces::To(to))
    }
}
