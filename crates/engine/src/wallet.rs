//! Owns the values of agents' variables during a shift: looked up once, when it begins, and handed to nobody but
//! the agent they are for. It knows which of them are secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use turno_agents::dialect;
use turno_core::ids::AgentName;

use crate::config::{AgentSetup, EnvMap, EnvValue, MissingVar};
use crate::process::{self, Call, End, Input};
use crate::redact::Redaction;
use crate::secret::{Secret, is_named_like_one, is_shaped_like_one};
use crate::site::BASE_ENV;

/// How long a command has that prints a value.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// A longer value is a mistake.
const VALUE_CAP: usize = 64 << 10;
/// So much of what a failed command said is shown.
const SAID: usize = 300;

/// The values of a shift.
#[derive(Debug, Default)]
pub struct Wallet {
    agents: BTreeMap<AgentName, Pocket>,
    secrets: Vec<Secret>,
}

/// What one agent is given.
#[derive(Debug, Default)]
pub(crate) struct Pocket {
    /// What its dialect needs of the user's environment, such as a provider's key.
    pub(crate) needed: BTreeMap<String, Secret>,
    /// What the user has written for it.
    pub(crate) written: BTreeMap<String, Secret>,
}

/// Something that is not as it should be and hinders nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenToOthers {
    /// A file with a secret that other users of the machine may read.
    pub path: PathBuf,
}

impl fmt::Display for OpenToOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(
            f,
            "{path} holds a secret and others may read it; chmod 600 {path}"
        )
    }
}

/// Why a value is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable is not set.
    #[error(transparent)]
    Missing(#[from] MissingVar),
    /// A variable is not set that Turno itself needs.
    #[error("{key}: the environment variable {name} is not set; export it, or write another value")]
    Unset {
        /// The key that names it.
        key: String,
        /// The variable.
        name: String,
    },
    /// A file does not give it.
    #[error("{key}: {}: {why}; mend the file, or name another", path.display())]
    File {
        /// The key that names it.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A command does not give it.
    #[error("{key}: `{command}`: {why}; mend the command, and try it in a shell")]
    Command {
        /// The key that names it.
        key: String,
        /// The command.
        command: String,
        /// Why.
        why: String,
    },
}

/// Whether a value is kept out of what is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Secret,
    Open,
}

impl Kept {
    /// A value that nobody called a secret: its name and its shape tell.
    fn by_looks(name: &str, value: &str) -> Self {
        if is_named_like_one(name) || is_shaped_like_one(value) {
            Self::Secret
        } else {
            Self::Open
        }
    }
}

impl Wallet {
    /// Looks up the values for these agents. Each command is run once, in `at`, with the user's environment.
    ///
    /// # Errors
    /// When a value is not there; the error says which and never repeats one.
    pub async fn open<'a>(
        agents: impl IntoIterator<Item = &'a AgentSetup>,
        user: &EnvMap,
        at: &Path,
    ) -> Result<(Self, Vec<OpenToOthers>), Error> {
        let mut filling = Filling {
            user,
            at,
            wallet: Self::default(),
            printed: BTreeMap::new(),
            open: Vec::new(),
        };
        for setup in agents {
            let pocket = filling.pocket(setup).await?;
            filling.wallet.agents.insert(setup.name.clone(), pocket);
        }
        Ok((filling.wallet, filling.open))
    }

    /// What an agent is given; none when nothing was looked up for it.
    pub(crate) fn pocket(&self, agent: &AgentName) -> Option<&Pocket> {
        self.agents.get(agent)
    }

    /// The same, with more that is not written down and given to nobody, such as a proxy's password.
    #[must_use]
    pub fn keeping(mut self, secrets: impl IntoIterator<Item = String>) -> Self {
        self.secrets.extend(secrets.into_iter().map(Secret::new));
        self
    }

    /// What keeps its secrets out of all that is written down.
    pub fn redaction(&self) -> Redaction {
        Redaction::of(self.secrets.iter().cloned())
    }
}

/// Looks up secrets that are for Turno itself and for no agent.
pub(crate) struct LookUp<'a>(Filling<'a>);

impl<'a> LookUp<'a> {
    /// With the user's environment; commands are run in `at`.
    pub(crate) fn new(user: &'a EnvMap, at: &'a Path) -> Self {
        Self(Filling {
            user,
            at,
            wallet: Wallet::default(),
            printed: BTreeMap::new(),
            open: Vec::new(),
        })
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) async fn value(&mut self, key: &str, from: &EnvValue) -> Result<Secret, Error> {
        let (value, _) = self.0.value(key, key, from).await?;
        match from {
            EnvValue::FromUser(name) if value.is_empty() => Err(Error::Unset {
                key: key.to_owned(),
                name: name.clone(),
            }),
            EnvValue::FromUser(_) | EnvValue::Text(_) | EnvValue::FromFile(_) | EnvValue::FromCommand(_) => {
                Ok(Secret::new(value))
            }
        }
    }

    /// The files that others may read.
    pub(crate) fn open(self) -> Vec<OpenToOthers> {
        self.0.open
    }
}

/// A wallet that is being filled.
struct Filling<'a> {
    user: &'a EnvMap,
    at: &'a Path,
    wallet: Wallet,
    /// What each command has printed.
    printed: BTreeMap<String, String>,
    open: Vec<OpenToOthers>,
}

impl Filling<'_> {
    async fn pocket(&mut self, setup: &AgentSetup) -> Result<Pocket, Error> {
        setup.has_its_variables(self.user)?;
        let mut pocket = Pocket::default();
        for name in dialect(setup.dialect.kind()).needed_env() {
            if let Some(value) = self.user.get(*name) {
                let secret = self.keep(value, Kept::by_looks(name, value));
                pocket.needed.insert((*name).to_owned(), secret);
            }
        }
        for name in &setup.pass_env {
            if let Some(value) = self.user.get(name) {
                let secret = self.keep(value, Kept::by_looks(name, value));
                pocket.written.insert(name.clone(), secret);
            }
        }
        for (name, from) in &setup.env {
            let key = format!("agents.{}.env.{name}", setup.name);
            let (value, kept) = self.value(name, &key, from).await?;
            let secret = self.keep(&value, kept);
            pocket.written.insert(name.clone(), secret);
        }
        Ok(pocket)
    }

    fn keep(&mut self, value: &str, kept: Kept) -> Secret {
        // What every program is given anyway, such as the user's home, is no secret wherever it stands.
        let given_to_all = BASE_ENV
            .iter()
            .any(|name| self.user.get(*name).is_some_and(|open| open == value));
        let secret = Secret::new(value);
        if kept == Kept::Secret && !given_to_all {
            self.wallet.secrets.push(secret.clone());
        }
        secret
    }

    async fn value(&mut self, name: &str, key: &str, from: &EnvValue) -> Result<(String, Kept), Error> {
        match from {
            EnvValue::Text(text) => Ok((text.clone(), Kept::by_looks(name, text))),
            EnvValue::FromUser(variable) => {
                let value = self.user.get(variable).cloned().unwrap_or_default();
                Ok((value, Kept::Secret))
            }
            EnvValue::FromFile(path) => {
                let why = |why: String| Error::File {
                    key: key.to_owned(),
                    path: path.clone(),
                    why,
                };
                if is_open_to_others(path).map_err(|e| why(e.to_string()))? {
                    let open = OpenToOthers { path: path.clone() };
                    if !self.open.contains(&open) {
                        self.open.push(open);
                    }
                }
                let value = read(path).and_then(|bytes| trimmed(&bytes)).map_err(why)?;
                Ok((value, Kept::Secret))
            }
            EnvValue::FromCommand(command) => {
                if let Some(value) = self.printed.get(command) {
                    return Ok((value.clone(), Kept::Secret));
                }
                let value = self.print(command).await.map_err(|why| Error::Command {
                    key: key.to_owned(),
                    command: command.clone(),
                    why,
                })?;
                self.printed.insert(command.clone(), value.clone());
                Ok((value, Kept::Secret))
            }
        }
    }

    async fn print(&self, command: &str) -> Result<String, String> {
        let call = Call {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), command.into()],
            cwd: self.at.to_owned(),
            env: self.user.iter().map(|(n, v)| (n.into(), v.into())).collect(),
            input: Input::Nothing,
            output_cap: VALUE_CAP,
        };
        let done = process::run_to_end(call, COMMAND_LIMIT)
            .await
            .map_err(|e| e.to_string())?;
        match done.end {
            End::Exited(0) => trimmed(&done.stdout),
            End::Exited(code) => {
                let said: String = String::from_utf8_lossy(&done.stderr).chars().take(SAID).collect();
                let said = Redaction::default().text(said.trim()).into_owned();
                Err(format!("it ended with exit code {code}: {said}"))
            }
            End::Signalled(signal) => Err(format!("it was ended by signal {signal}")),
        }
    }
}

/// Whether other users of the machine may read a file.
///
/// # Errors
/// When it is not there, or cannot be looked at.
pub fn is_open_to_others(path: &Path) -> std::io::Result<bool> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let cap = u64::try_from(VALUE_CAP).unwrap_or(u64::MAX);
    file.take(cap + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() > VALUE_CAP {
        return Err(format!("it has more than {VALUE_CAP} bytes"));
    }
    Ok(bytes)
}

fn trimmed(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "it gives no text".to_owned())?
        .trim();
    if text.is_empty() {
        return Err("it gives nothing".to_owned());
    }
    if text.contains('\0') {
        return Err("it gives a text with a NUL in it, which no variable can hold".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use turno_agents::DialectKind;

    use super::*;
    use crate::config::AgentDialect;
    use crate::redact::REDACTED;

    fn setup(name: &str, env: &[(&str, EnvValue)]) -> AgentSetup {
        AgentSetup {
            name: name.parse().unwrap(),
            dialect: AgentDialect::Claude {
                program: "claude".to_owned(),
            },
            args: vec![],
            env: env.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
            pass_env: vec!["PASSED_TOKEN".to_owned(), "STAGE".to_owned()],
        }
    }

    fn user() -> EnvMap {
        [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/home/of-kim"),
            ("MINE", "value-of-mine"),
            ("PASSED_TOKEN", "value-of-passed"),
            ("STAGE", "production"),
            ("ANTHROPIC_API_KEY", "value-of-claudes"),
            ("AWS_REGION", "us-east-1"),
            ("OPENAI_API_KEY", "value-of-codex"),
        ]
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect()
    }

    fn from_command(command: &str) -> EnvValue {
        EnvValue::FromCommand(command.to_owned())
    }

    #[tokio::test]
    async fn each_value_is_looked_up_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "  value-of-file\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let command = from_command("echo x >> runs; echo \" value-of-$MINE \"");
        let env = [
            ("PLAIN", EnvValue::Text("value-of-plain".to_owned())),
            ("A_KEY", EnvValue::Text("value-of-literal".to_owned())),
            ("OF_USER", EnvValue::FromUser("MINE".to_owned())),
            ("OF_HOME", EnvValue::FromUser("HOME".to_owned())),
            ("OF_FILE", EnvValue::FromFile(file.clone())),
            ("OF_COMMAND", command.clone()),
            ("AGAIN", command),
        ];
        let setups = [setup("one", &env), setup("two", &env)];
        let (wallet, open) = Wallet::open(&setups, &user(), dir.path()).await.unwrap();
        let pocket = wallet.pocket(&"two".parse().unwrap()).unwrap();
        let seen: Vec<(&str, &str)> = pocket
            .written
            .iter()
            .map(|(n, v)| (n.as_str(), v.reveal()))
            .collect();
        assert_eq!(
            seen,
            [
                ("AGAIN", "value-of-value-of-mine"),
                ("A_KEY", "value-of-literal"),
                ("OF_COMMAND", "value-of-value-of-mine"),
                ("OF_FILE", "value-of-file"),
                ("OF_HOME", "/home/of-kim"),
                ("OF_USER", "value-of-mine"),
                ("PASSED_TOKEN", "value-of-passed"),
                ("PLAIN", "value-of-plain"),
                ("STAGE", "production"),
            ]
        );
        let runs = std::fs::read_to_string(dir.path().join("runs")).unwrap();
        assert_eq!(runs, "x\n", "a command is run once for all");
        assert_eq!(open, [OpenToOthers { path: file }]);
        assert!(!format!("{wallet:?}").contains("value-of"), "{wallet:?}");
        let redaction = wallet.redaction();
        for secret in ["of-literal", "of-mine", "of-file", "of-passed", "of-claudes"] {
            assert_eq!(redaction.text(&format!("value-{secret}")), REDACTED, "{secret}");
        }
        for open in ["value-of-plain", "/home/of-kim/x", "production", "us-east-1"] {
            assert_eq!(redaction.text(open), open);
        }
    }

    #[tokio::test]
    async fn a_provider_s_key_goes_to_the_dialect_that_needs_it() {
        let mut codex = setup("codex", &[]);
        codex.dialect = AgentDialect::Codex {
            program: "codex".to_owned(),
        };
        assert_eq!(codex.dialect.kind(), DialectKind::Codex);
        let setups = [setup("claude", &[]), codex];
        let (wallet, _) = Wallet::open(&setups, &user(), Path::new("/")).await.unwrap();
        let needed = |agent: &str| -> Vec<String> {
            let pocket = wallet.pocket(&agent.parse().unwrap()).unwrap();
            pocket.needed.keys().cloned().collect()
        };
        assert_eq!(needed("claude"), ["ANTHROPIC_API_KEY", "AWS_REGION"]);
        assert_eq!(needed("codex"), ["OPENAI_API_KEY"]);
    }

    #[tokio::test]
    async fn what_is_missing_is_named_and_no_value_is_shown() {
        let wrong = [
            (
                EnvValue::FromUser("NOT_SET".to_owned()),
                "needs the environment variable NOT_SET",
            ),
            (EnvValue::FromFile("/nowhere/key".into()), "/nowhere/key"),
            (EnvValue::FromFile("/".into()), "it is no file"),
            (from_command("true"), "it gives nothing"),
            (from_command("echo value-of-mine; exit 3"), "exit code 3"),
            (from_command("kill -9 $$"), "signal 9"),
        ];
        for (from, words) in wrong {
            let setups = [setup("one", &[("X", from)])];
            let error = Wallet::open(&setups, &user(), Path::new("/")).await.unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(words) && text.contains("agents.one.env.X"),
                "{text}"
            );
            let told = text.replace("echo value-of-mine", "");
            assert!(!told.contains("value-of"), "{text}");
        }
    }
}
