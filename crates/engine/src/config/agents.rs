//! Owns how an agent is set up: its program, arguments and environment. It starts nothing and reads no environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use turno_agents::DialectKind;
use turno_core::ids::AgentName;

use crate::config::agent_env::{EnvValue, is_variable, value};
use crate::config::env::{EnvMap, HOME};
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

    /// Whether the user has every variable that a value is taken from. Files and commands are not looked at.
    ///
    /// # Errors
    /// When a value is taken from a variable that is not set.
    pub fn has_its_variables(&self, user: &EnvMap) -> Result<(), MissingVar> {
        for (name, value) in &self.env {
            match value {
                EnvValue::FromUser(from) if !user.contains_key(from) => {
                    return Err(MissingVar {
                        agent: self.name.clone(),
                        name: from.clone(),
                        key: format!("agents.{}.env.{name}", self.name),
                    });
                }
                EnvValue::FromUser(_)
                | EnvValue::Text(_)
                | EnvValue::FromFile(_)
                | EnvValue::FromCommand(_) => {}
            }
        }
        Ok(())
    }
}

/// Turns what is written of an agent into its setup.
pub(super) fn setup(
    name: &AgentName,
    file: &AgentFile,
    layers: &Layers,
    places: &Places,
    user: &EnvMap,
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
    for (variable, written) in &file.env {
        let key = ["agents", name.as_str(), "env", variable.as_str()];
        if !is_variable(variable) {
            return Err(layers.wrong(&key, format!("`{variable}` cannot be the name of a variable")));
        }
        let base = places.directory_of(&layers.source(&key));
        let understood = value(written, base, HOME.of(user)).map_err(|why| layers.wrong(&key, why))?;
        env.insert(variable.clone(), understood);
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
