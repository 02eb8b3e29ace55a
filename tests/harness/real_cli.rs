//! The real coding-agent CLIs: where they are, and the environment in which they talk only to loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs, io};

use serde_json::{Value, json};

/// The model name that codex is told; a name it knows, so that it offers the tools it offers in earnest.
pub(crate) const CODEX_MODEL: &str = "gpt-5.5";

/// The model name that gemini is told; without one it asks another model which to take.
pub(crate) const GEMINI_MODEL: &str = "gemini-2.5-flash";

/// The model of the provider that opencode is configured with.
const OPENCODE_MODEL: &str = "local/scripted";

/// A key that opens nothing.
const DUMMY_KEY: &str = "turno-test-not-a-key";

/// A CLI that Turno drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cli {
    /// Anthropic's `claude`.
    Claude,
    /// OpenAI's `codex`.
    Codex,
    /// `opencode`.
    Opencode,
    /// Google's `gemini`.
    Gemini,
    /// `claude` behind the Agent Client Protocol.
    ClaudeAcp,
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
            Self::Opencode => "opencode",
            Self::Gemini => "gemini",
            Self::ClaudeAcp => "claude-agent-acp",
        }
    }

    /// The variable that names the program to use instead of looking for one.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Claude => "TURNO_TEST_CLAUDE",
            Self::Codex => "TURNO_TEST_CODEX",
            Self::Opencode => "TURNO_TEST_OPENCODE",
            Self::Gemini => "TURNO_TEST_GEMINI",
            Self::ClaudeAcp => "TURNO_TEST_CLAUDE_ACP",
        }
    }

    /// Looks for the program: the variable, then `tests/real-clis/node_modules`, then `PATH`.
    ///
    /// A program counts as found when it states its version. A variable that is set is the only place tried. Each is
    /// asked once: some take seconds to say it.
    pub(crate) fn locate(self) -> Located {
        static FOUND: [OnceLock<Located>; 5] = [const { OnceLock::new() }; 5];
        let found = match self {
            Self::Claude => &FOUND[0],
            Self::Codex => &FOUND[1],
            Self::Opencode => &FOUND[2],
            Self::Gemini => &FOUND[3],
            Self::ClaudeAcp => &FOUND[4],
        };
        found.get_or_init(|| self.look()).clone()
    }

    fn look(self) -> Located {
        let mut failures = Vec::new();
        for path in self.candidates() {
            match self.version(&path) {
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

    fn version(self, program: &Path) -> Result<String, String> {
        match self {
            Self::Claude | Self::Codex | Self::Opencode | Self::Gemini => version(program),
            // It knows no argument for it, and would wait for requests.
            Self::ClaudeAcp => version_of_package(program),
        }
    }

    fn candidates(self) -> Vec<PathBuf> {
        if let Some(path) = env::var_os(self.variable()).filter(|path| !path.is_empty()) {
            return vec![PathBuf::from(path)];
        }
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real-clis/node_modules");
        let mut candidates = Vec::new();
        match self {
            Self::Claude => candidates.extend(native_claude(&modules)),
            Self::Opencode => candidates.extend(native_opencode(&modules)),
            Self::Codex | Self::Gemini | Self::ClaudeAcp => {}
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

/// The same of opencode, whose own package only holds a script that puts one of them in its place. Of several for one
/// platform the plain one comes first, and one that does not run here is passed over.
fn native_opencode(modules: &Path) -> Vec<PathBuf> {
    let Ok(packages) = fs::read_dir(modules) else {
        return Vec::new();
    };
    let mut programs: Vec<PathBuf> = packages
        .flatten()
        .filter(|package| package.file_name().to_string_lossy().starts_with("opencode-"))
        .map(|package| package.path().join("bin/opencode"))
        .filter(|program| program.is_file())
        .collect();
    programs.sort();
    programs
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

/// The version in the manifest of the package that a program is part of.
fn version_of_package(program: &Path) -> Result<String, String> {
    let program = program.canonicalize().map_err(|error| error.to_string())?;
    program
        .ancestors()
        .find_map(|dir| fs::read(dir.join("package.json")).ok())
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .and_then(|manifest| manifest["version"].as_str().map(str::to_owned))
        .ok_or_else(|| "no package states its version".to_owned())
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

/// Proxies that lead nowhere: whatever a CLI wants of the world outside of loopback, it does not get it.
fn nowhere() -> BTreeMap<String, String> {
    ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]
        .map(|name| (name.to_owned(), "http://127.0.0.1:9".to_owned()))
        .into()
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

    /// The complete environment of a CLI, whose configuration this writes.
    pub(crate) fn env(&self, cli: Cli) -> io::Result<BTreeMap<String, String>> {
        match cli {
            Cli::Claude => Ok(self.claude_env()),
            Cli::Codex => self.codex_env(),
            Cli::Opencode => self.opencode_env(),
            Cli::Gemini => self.gemini_env(),
            Cli::ClaudeAcp => match Cli::Claude.locate() {
                Located::Found { path, .. } => Ok(self.claude_acp_env(&path)),
                Located::Missing { why } => Err(io::Error::other(why)),
            },
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

    /// The complete environment of an `opencode` process, whose configuration this writes.
    pub(crate) fn opencode_env(&self) -> io::Result<BTreeMap<String, String>> {
        let dir = self.home.join(".config/opencode");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("opencode.json"), self.opencode_config().to_string())?;
        let mut environment = self.common_env();
        environment.extend(nowhere());
        environment.extend(
            [
                ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
                ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Ok(environment)
    }

    /// The complete environment of a `gemini` process, whose settings this writes.
    pub(crate) fn gemini_env(&self) -> io::Result<BTreeMap<String, String>> {
        let dir = self.home.join(".gemini");
        fs::create_dir_all(&dir)?;
        let settings = json!({
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": false},
            "general": {"enableAutoUpdate": false, "maxAttempts": self.retries},
        });
        fs::write(dir.join("settings.json"), settings.to_string())?;
        let mut environment = self.common_env();
        environment.extend(nowhere());
        environment.extend(
            [
                ("GEMINI_API_KEY", DUMMY_KEY),
                ("GOOGLE_GEMINI_BASE_URL", self.base_url.as_str()),
                ("GEMINI_CLI_NO_RELAUNCH", "true"),
                ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Ok(environment)
    }

    /// The complete environment of a `claude-agent-acp` process that starts this `claude`.
    pub(crate) fn claude_acp_env(&self, claude: &Path) -> BTreeMap<String, String> {
        let mut environment = self.claude_env();
        environment.insert(
            "CLAUDE_CODE_EXECUTABLE".to_owned(),
            claude.to_string_lossy().into_owned(),
        );
        environment
    }

    fn opencode_config(&self) -> Value {
        json!({
            "autoupdate": false,
            "share": "disabled",
            "model": OPENCODE_MODEL,
            "provider": {"local": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": format!("{}/v1", self.base_url), "apiKey": DUMMY_KEY},
                "models": {"scripted": {
                    "name": "scripted",
                    "cost": {"input": 1, "output": 10},
                    "limit": {"context": 200_000, "output": 32_000},
                }},
            }},
        })
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

# The person has been asked about the newer model, and has said no.
[notice.model_migrations]
"{CODEX_MODEL}" = "gpt-6-sol"
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
        for cli in [
            Cli::Claude,
            Cli::Codex,
            Cli::Opencode,
            Cli::Gemini,
            Cli::ClaudeAcp,
        ] {
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
        let opencode = home.opencode_env().expect("opencode's configuration is written");
        let config =
            fs::read_to_string(place.path().join(".config/opencode/opencode.json")).expect("it is there");
        assert!(
            config.contains("\"baseURL\":\"http://127.0.0.1:1/v1\""),
            "{config}"
        );
        let gemini = home.gemini_env().expect("gemini's settings are written");
        assert_eq!(gemini["GOOGLE_GEMINI_BASE_URL"], "http://127.0.0.1:1");
        for proxied in [opencode, gemini] {
            assert_eq!(proxied["HTTPS_PROXY"], "http://127.0.0.1:9");
            assert_eq!(proxied["NO_PROXY"], "127.0.0.1,localhost");
        }
        let acp = home.claude_acp_env(Path::new("/opt/claude"));
        assert_eq!(acp["CLAUDE_CODE_EXECUTABLE"], "/opt/claude");
    }
}
