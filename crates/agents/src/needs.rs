//! Owns what an agent needs of the user's machine: the hosts of its provider, its login and its settings. Nothing
//! else of the user's home is there for it.

use crate::dialect::Support;

/// A directory in which an agent keeps its login, its settings and its conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomePart {
    /// The variable by which the user puts it elsewhere, if there is one.
    pub variable: Option<&'static str>,
    /// Where it is below the home when that variable is not set.
    pub directory: &'static str,
    /// What of it the agent is given as a copy of its own, because it writes there.
    pub copied: &'static [&'static str],
    /// What of it the agent reads where it is.
    pub read: &'static [&'static str],
}

/// What an agent needs of the user's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The hosts it reaches, by name.
    pub hosts: &'static [&'static str],
    /// Its directories.
    pub home: &'static [HomePart],
    /// Whether it confines its own tools by namespaces, which must then stay open to it.
    pub own_sandbox: Support,
}

/// An agent that needs nothing.
pub const NOTHING: Needs = Needs {
    hosts: &[],
    home: &[],
    own_sandbox: Support::No,
};

/// The claude CLI.
pub(crate) const CLAUDE: Needs = Needs {
    hosts: &[
        "api.anthropic.com",
        "console.anthropic.com",
        "platform.claude.com",
        "claude.ai",
    ],
    home: &[HomePart {
        variable: Some("CLAUDE_CONFIG_DIR"),
        directory: ".claude",
        copied: &[".credentials.json"],
        read: &[
            "CLAUDE.md",
            "settings.json",
            "agents",
            "commands",
            "skills",
            "plugins",
        ],
    }],
    own_sandbox: Support::No,
};

/// The codex CLI.
pub(crate) const CODEX: Needs = Needs {
    hosts: &["api.openai.com", "auth.openai.com", "chatgpt.com"],
    home: &[HomePart {
        variable: Some("CODEX_HOME"),
        directory: ".codex",
        copied: &["auth.json", "config.toml"],
        read: &["AGENTS.md", "prompts", "skills"],
    }],
    own_sandbox: Support::Yes,
};

/// The gemini CLI.
pub(crate) const GEMINI: Needs = Needs {
    hosts: &[
        "generativelanguage.googleapis.com",
        "aiplatform.googleapis.com",
        "cloudcode-pa.googleapis.com",
        "oauth2.googleapis.com",
        "www.googleapis.com",
    ],
    home: &[HomePart {
        variable: Some("GEMINI_CLI_HOME"),
        directory: "",
        copied: &[
            ".gemini/oauth_creds.json",
            ".gemini/google_accounts.json",
            ".gemini/installation_id",
            ".gemini/settings.json",
        ],
        read: &[".gemini/GEMINI.md", ".gemini/extensions"],
    }],
    own_sandbox: Support::No,
};

/// opencode.
pub(crate) const OPENCODE: Needs = Needs {
    hosts: &[
        "opencode.ai",
        "models.dev",
        "api.anthropic.com",
        "api.openai.com",
        "generativelanguage.googleapis.com",
        "openrouter.ai",
    ],
    home: &[
        HomePart {
            variable: Some("XDG_DATA_HOME"),
            directory: ".local/share",
            copied: &["opencode/auth.json"],
            read: &[],
        },
        HomePart {
            variable: Some("XDG_CONFIG_HOME"),
            directory: ".config",
            copied: &[
                "opencode/opencode.json",
                "opencode/opencode.jsonc",
                "opencode/config.json",
            ],
            read: &[
                "opencode/AGENTS.md",
                "opencode/agent",
                "opencode/command",
                "opencode/plugin",
            ],
        },
        HomePart {
            variable: Some("XDG_STATE_HOME"),
            directory: ".local/state",
            copied: &[],
            read: &[],
        },
        HomePart {
            variable: Some("XDG_CACHE_HOME"),
            directory: ".cache",
            copied: &[],
            read: &[],
        },
    ],
    own_sandbox: Support::No,
};

/// What a program needs that is spoken to by a protocol of many: that of the agent whose name is in its own.
pub fn by_name(program: &str) -> Needs {
    let name = program.rsplit('/').next().unwrap_or(program);
    [
        ("claude", CLAUDE),
        ("codex", CODEX),
        ("gemini", GEMINI),
        ("opencode", OPENCODE),
    ]
    .into_iter()
    .find(|(known, _)| name.contains(known))
    .map_or(NOTHING, |(_, needs)| needs)
}
