//! The real coding-agent CLIs: where they are, and the environment in which they talk only to loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// The model name that codex is told; a name it knows, so that it offers the tools it offers in earnest.
pub(crate) const CODEX_MODEL: &str = "gpt-5.5";

/// A key that opens nothing.
const DUMMY_KEY: &str = "turno-test-not-a-key";

/// A CLI that Turno drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cli {
    /// Anthropic's `claude`.
    Claude,
    /// OpenAI's `codex`.
    Codex,
}

/// The result of looking for a CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Located {
    /// A CLI that runs.
    Found {
        /// The program to start.
        path: PathBuf,
        /// The version it states.
        version: String,
    },
    /// No CLI that runs.
    Missing {
        /// What was tried and how it failed, for the message of a skipped test.
        why: String,
    },
}

impl Cli {
    /// The command's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// The variable that names the program to use instead of looking for one.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Claude => "TURNO_TEST_CLAUDE",
            Self::Codex => "TURNO_TEST_CODEX",
        }
    }

    /// Looks for the program: the variable, then `tests/real-clis/node_modules`, then `PATH`.
    ///
    /// A program counts as found when it states its version. A variable that is set is the only place tried.
    pub(crate) fn locate(self) -> Located {
        let mut failures = Vec::new();
        for path in self.candidates() {
            match version(&path) {
                Ok(version) => return Located::Found { path, version },
                Err(why) => failures.push(format!("{}: {why}", path.display())),
            }
        }
        let hint = format!("run `npm ci` in tests/real-clis or set {}", self.variable());
        let tried = if failures.is_empty() {
            "not installed".to_owned()
        } else {
            failures.join("; ")
        };
        Located::Missing {
            why: format!("{}: {tried}; {hint}", self.name()),
        }
    }

    fn candidates(self) -> Vec<PathBuf> {
        if let Some(path) = env::var_os(self.variable()).filter(|path| !path.is_empty()) {
            return vec![PathBuf::from(path)];
        }
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real-clis/node_modules");
        let mut candidates = Vec::new();
        if self == Self::Claude {
            candidates.extend(native_claude(&modules));
        }
        candidates.push(modules.join(".bin").join(self.name()));
        candidates.extend(search_path().map(|dir| dir.join(self.name())));
        candidates.retain(|path| path.is_file());
        candidates
    }
}

/// The platform packages' own programs: `bin/claude` is only a stub where install scripts do not run.
fn native_claude(modules: &Path) -> Vec<PathBuf> {
    let Ok(packages) = fs::read_dir(modules.join("@anthropic-ai")) else {
        return Vec::new();
    };
    packages
        .flatten()
        .filter(|package| package.file_name().to_string_lossy().starts_with("claude-code-"))
        .map(|package| package.path().join("claude"))
        .collect()
}

fn version(program: &Path) -> Result<String, String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .arg("--version")
        .env_clear()
        .env("PATH", tool_path())
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    match version {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => Err(format!("`--version` says nothing usable ({})", output.status)),
    }
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// A `PATH` with the directories of node and git before the system's own, and nothing else.
pub(crate) fn tool_path() -> String {
    let mut dirs: Vec<PathBuf> = Vec::new();
    let homes = ["node", "git"].map(|tool| search_path().find(|dir| dir.join(tool).is_file()));
    let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(|dir| Some(PathBuf::from(dir)));
    for dir in homes.into_iter().chain(system).flatten() {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    dirs.iter()
        .map(|dir| dir.to_string_lossy())
        .collect::<Vec<_>>()
        .join(":")
}

/// A home directory for CLIs that only know a loopback model server.
#[derive(Debug, Clone)]
pub(crate) struct LoopbackHome {
    /// The home directory; the CLIs keep their sessions under it.
    pub(crate) home: PathBuf,
    /// The model server's root.
    pub(crate) base_url: String,
    /// How often a CLI repeats a failed request.
    pub(crate) retries: u32,
}

impl LoopbackHome {
    /// A home that repeats a failed request twice.
    pub(crate) fn new(home: &Path, base_url: &str) -> Self {
        Self {
            home: home.to_path_buf(),
            base_url: base_url.to_owned(),
            retries: 2,
        }
    }

    /// The complete environment of a `claude` process.
    pub(crate) fn claude_env(&self) -> BTreeMap<String, String> {
        let mut environment = self.common_env();
        environment.extend(
            [
                (
                    "CLAUDE_CONFIG_DIR",
                    self.claude_config_dir().to_string_lossy().into_owned(),
                ),
                ("ANTHROPIC_BASE_URL", self.base_url.clone()),
                ("ANTHROPIC_API_KEY", DUMMY_KEY.to_owned()),
                ("CLAUDE_CODE_MAX_RETRIES", self.retries.to_string()),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
                ("DISABLE_TELEMETRY", "1".to_owned()),
                ("DISABLE_ERROR_REPORTING", "1".to_owned()),
                ("DISABLE_AUTOUPDATER", "1".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        environment
    }

    /// Where `claude` keeps its settings and sessions.
    pub(crate) fn claude_config_dir(&self) -> PathBuf {
        self.home.join(".claude")
    }

    /// The complete environment of a `codex` process, whose configuration this writes.
    pub(crate) fn codex_env(&self) -> io::Result<BTreeMap<String, String>> {
        let codex_home = self.codex_home();
        fs::create_dir_all(&codex_home)?;
        fs::write(codex_home.join("config.toml"), self.codex_config())?;
        let mut environment = self.common_env();
        environment.extend(
            [
                ("CODEX_HOME", codex_home.to_string_lossy().into_owned()),
                (CODEX_KEY_VARIABLE, DUMMY_KEY.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Ok(environment)
    }

    /// Where `codex` keeps its configuration and sessions.
    pub(crate) fn codex_home(&self) -> PathBuf {
        self.home.join(".codex")
    }

    fn common_env(&self) -> BTreeMap<String, String> {
        [
            ("HOME", self.home.to_string_lossy().into_owned()),
            ("PATH", tool_path()),
            ("LANG", "C.UTF-8".to_owned()),
            ("SHELL", "/bin/bash".to_owned()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn codex_config(&self) -> String {
        let Self {
            base_url, retries, ..
        } = self;
        format!(
            r#"model = "{CODEX_MODEL}"
model_provider = "local"
check_for_update_on_startup = false

[model_providers.local]
name = "local"
base_url = "{base_url}/v1"
wire_api = "responses"
env_key = "{CODEX_KEY_VARIABLE}"
request_max_retries = {retries}
stream_max_retries = {retries}

[analytics]
enabled = false
"#
        )
    }
}

/// The variable from which codex takes its provider's key.
const CODEX_KEY_VARIABLE: &str = "TURNO_TEST_MODEL_KEY";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cli_is_found_with_its_version_or_missing_with_a_reason() {
        for cli in [Cli::Claude, Cli::Codex] {
            match cli.locate() {
                Located::Found { path, version } => {
                    assert!(path.is_file());
                    assert!(version.contains('.'), "{version}");
                }
                Located::Missing { why } => assert!(why.contains("npm ci"), "{why}"),
            }
        }
    }

    #[test]
    fn the_environments_name_only_loopback_and_their_own_home() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let home = LoopbackHome::new(place.path(), "http://127.0.0.1:1");
        let claude = home.claude_env();
        let codex = home.codex_env().expect("codex's configuration is written");
        assert_eq!(claude["ANTHROPIC_BASE_URL"], "http://127.0.0.1:1");
        assert_eq!(Path::new(&claude["CLAUDE_CONFIG_DIR"]), home.claude_config_dir());
        assert_eq!(Path::new(&codex["CODEX_HOME"]), home.codex_home());
        assert!(codex["PATH"].contains("/usr/bin"));
        let config = fs::read_to_string(home.codex_home().join("config.toml")).expect("the configuration");
        assert!(config.contains("base_url = \"http://127.0.0.1:1/v1\""));
        assert!(config.contains("request_max_retries = 2"));
    }
}
