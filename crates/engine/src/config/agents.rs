//! Owns how an agent is set up: its program, arguments and environment. It starts nothing and reads no environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use turno_agents::DialectKind;
use turno_core::ids::AgentName;

use crate::config::env::EnvMap;
use crate::config::error::Error;
use crate::config::file::AgentFile;
use crate::config::layer::Layers;
use crate::config::source::Places;

/// How an agent is spoken to, and what plays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentDialect {
    /// The claude CLI.
    Claude {
        /// Its program, by name or path.
        program: String,
    },
    /// The codex CLI.
    Codex {
        /// Its program, by name or path.
        program: String,
    },
    /// opencode, through its local server.
    Opencode {
        /// Its program, by name or path.
        program: String,
    },
    /// The gemini CLI.
    Gemini {
        /// Its program, by name or path.
        program: String,
    },
    /// An agent that speaks the Agent Client Protocol.
    Acp {
        /// Its program, by name or path.
        program: String,
    },
    /// A program that takes a prompt on its standard input.
    Command {
        /// The program, by name or path.
        program: String,
    },
    /// A written session that Turno itself performs.
    Script {
        /// The absolute path of the script.
        path: PathBuf,
    },
}

impl AgentDialect {
    /// Its kind, by which its translator is found.
    pub fn kind(&self) -> DialectKind {
        match self {
            Self::Claude { .. } => DialectKind::Claude,
            Self::Codex { .. } => DialectKind::Codex,
            Self::Opencode { .. } => DialectKind::Opencode,
            Self::Gemini { .. } => DialectKind::Gemini,
            Self::Acp { .. } => DialectKind::Acp,
            Self::Command { .. } => DialectKind::Command,
            Self::Script { .. } => DialectKind::Script,
        }
    }

    /// The program that must be there, if it is another than Turno itself.
    pub fn program(&self) -> Option<&str> {
        match self {
            Self::Claude { program }
            | Self::Codex { program }
            | Self::Opencode { program }
            | Self::Gemini { program }
            | Self::Acp { program }
            | Self::Command { program } => Some(program),
            Self::Script { .. } => None,
        }
    }
}

/// Where the value of an agent's variable comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// It is written down.
    Text(String),
    /// It is the value of this variable of the user's environment.
    FromUser(String),
}

/// A variable that an agent needs and the user does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "agent `{agent}` needs the environment variable {name}, which is not set; export it, or remove it from `{key}`"
)]
pub struct MissingVar {
    /// The agent.
    pub agent: AgentName,
    /// The variable.
    pub name: String,
    /// The key that names it.
    pub key: String,
}

/// How an agent is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSetup {
    /// Its name.
    pub name: AgentName,
    /// How it is spoken to.
    pub dialect: AgentDialect,
    /// Arguments before the dialect's own.
    pub args: Vec<String>,
    /// Variables it is given.
    pub env: BTreeMap<String, EnvValue>,
    /// Variables of the user's environment that it sees as they are, where they are set.
    pub pass_env: Vec<String>,
}

impl AgentSetup {
    /// The arguments that are put before the dialect's own. For a script they name it first.
    pub fn extra_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        if let AgentDialect::Script { path } = &self.dialect {
            args.extend(["--script".to_owned(), path.display().to_string()]);
        }
        args.extend(self.args.iter().cloned());
        args
    }

    /// The variables it is given, with their values. Those in `pass_env` that are not set are left out.
    ///
    /// # Errors
    /// When a value is taken from a variable that is not set.
    pub fn environment(&self, user: &EnvMap) -> Result<EnvMap, MissingVar> {
        let mut env: EnvMap = self
            .pass_env
            .iter()
            .filter_map(|name| user.get(name).map(|value| (name.clone(), value.clone())))
            .collect();
        for (name, value) in &self.env {
            let value = match value {
                EnvValue::Text(text) => text.clone(),
                EnvValue::FromUser(from) => user.get(from).cloned().ok_or_else(|| MissingVar {
                    agent: self.name.clone(),
                    name: from.clone(),
                    key: format!("agents.{}.env.{name}", self.name),
                })?,
            };
            env.insert(name.clone(), value);
        }
        Ok(env)
    }
}

/// Turns what is written of an agent into its setup.
pub(super) fn setup(
    name: &AgentName,
    file: &AgentFile,
    layers: &Layers,
    places: &Places,
) -> Result<AgentSetup, Error> {
    let at = |key: &'static str| ["agents", name.as_str(), key];
    let program = |default: &str| file.program.clone().unwrap_or_else(|| default.to_owned());
    // Of these no program is known, so none can be guessed.
    let required = || {
        file.program.clone().ok_or_else(|| {
            let why = format!(
                "an agent with dialect = \"{}\" needs a program; add program = \"name or path\"",
                file.dialect
            );
            layers.wrong(&["agents", name.as_str()], why)
        })
    };
    let dialect = match (file.dialect, &file.script) {
        (DialectKind::Script, None) => {
            let why = "an agent with dialect = \"script\" needs a script; add script = \"path\"";
            return Err(layers.wrong(&["agents", name.as_str()], why));
        }
        (DialectKind::Script, Some(script)) => {
            let base = places.directory_of(&layers.source(&at("script")));
            AgentDialect::Script {
                path: base.join(script),
            }
        }
        (_, Some(_)) => {
            let why = "only an agent with dialect = \"script\" has a script";
            return Err(layers.wrong(&at("script"), why));
        }
        (DialectKind::Claude, None) => AgentDialect::Claude {
            program: program("claude"),
        },
        (DialectKind::Codex, None) => AgentDialect::Codex {
            program: program("codex"),
        },
        (DialectKind::Opencode, None) => AgentDialect::Opencode {
            program: program("opencode"),
        },
        (DialectKind::Gemini, None) => AgentDialect::Gemini {
            program: program("gemini"),
        },
        (DialectKind::Acp, None) => AgentDialect::Acp { program: required()? },
        (DialectKind::Command, None) => AgentDialect::Command { program: required()? },
    };
    if file.program.as_deref().is_some_and(|p| p.trim().is_empty()) {
        return Err(layers.wrong(&at("program"), "a program is expected, by name or path"));
    }
    let mut env = BTreeMap::new();
    for (variable, text) in &file.env {
        let key = ["agents", name.as_str(), "env", variable.as_str()];
        if !is_variable(variable) {
            return Err(layers.wrong(&key, format!("`{variable}` cannot be the name of a variable")));
        }
        env.insert(
            variable.clone(),
            value(text).map_err(|why| layers.wrong(&key, why))?,
        );
    }
    if let Some(wrong) = file.pass_env.iter().find(|v| !is_variable(v)) {
        let why = format!("`{wrong}` cannot be the name of a variable; names are expected here, not values");
        return Err(layers.wrong(&at("pass_env"), why));
    }
    Ok(AgentSetup {
        name: name.clone(),
        dialect,
        args: file.args.clone(),
        env,
        pass_env: file.pass_env.clone(),
    })
}

fn value(text: &str) -> Result<EnvValue, String> {
    match text.strip_prefix('$') {
        None => Ok(EnvValue::Text(text.to_owned())),
        Some(rest) if rest.starts_with('$') => Ok(EnvValue::Text(rest.to_owned())),
        Some(name) if is_variable(name) => Ok(EnvValue::FromUser(name.to_owned())),
        Some(name) => Err(format!(
            "`{name}` cannot be the name of a variable; write $$ for a text that begins with a dollar sign"
        )),
    }
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
