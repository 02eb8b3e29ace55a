//! Owns the names of all environment variables that Turno listens to. They are read here and nowhere else;
//! the environment itself is an argument.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// An environment, as plain data.
pub type EnvMap = BTreeMap<String, String>;

/// A variable that Turno listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
}

/// Overrides `slots`.
pub const SLOTS: EnvVar = EnvVar {
    name: "TURNO_SLOTS",
    doc: "how many attempts may run at once; overrides `slots`",
};
/// Overrides `budget.shift_usd`.
pub const BUDGET: EnvVar = EnvVar {
    name: "TURNO_BUDGET_USD",
    doc: "US dollars that one shift may spend; overrides `budget.shift_usd`",
};
/// Overrides `policy`.
pub const POLICY: EnvVar = EnvVar {
    name: "TURNO_POLICY",
    doc: "the policy; overrides `policy`",
};
/// Overrides the agents of every persona.
pub const AGENT: EnvVar = EnvVar {
    name: "TURNO_AGENT",
    doc: "agents that play every persona, best first, with commas; overrides each persona's own list",
};
/// As whom Turno works when root starts it.
pub const USER: EnvVar = EnvVar {
    name: "TURNO_USER",
    doc: "the user that Turno becomes when root starts it; overrides `sandbox.user`",
};
/// Where the state lies.
pub const STATE_DIR: EnvVar = EnvVar {
    name: "TURNO_STATE_DIR",
    doc: "the directory of Turno's state; otherwise one below $XDG_STATE_HOME/turno",
};
/// Where the user's configuration lies.
pub const XDG_CONFIG_HOME: EnvVar = EnvVar {
    name: "XDG_CONFIG_HOME",
    doc: "your own configuration is in its directory `turno`; ~/.config when it is not set",
};
/// Where the user's state lies.
pub const XDG_STATE_HOME: EnvVar = EnvVar {
    name: "XDG_STATE_HOME",
    doc: "state is in its directory `turno`; ~/.local/state when it is not set",
};
/// The user's home.
pub const HOME: EnvVar = EnvVar {
    name: "HOME",
    doc: "where ~ is",
};

/// What a plan is opened in.
pub const VISUAL: EnvVar = EnvVar {
    name: "VISUAL",
    doc: "your editor, for `turno plan open`",
};
/// The same, where there is no other.
pub const EDITOR: EnvVar = EnvVar {
    name: "EDITOR",
    doc: "your editor, where VISUAL is not set",
};

/// Set by Turno when it has become another user: that user's number.
pub const BECAME: EnvVar = EnvVar {
    name: "TURNO_BECAME",
    doc: "the number of the user that Turno became when root started it",
};

/// Where an agent's tools find the coordinator. Set by Turno for an attempt, by nobody else.
pub const TOOL_SOCKET: EnvVar = EnvVar {
    name: "TURNO_SOCKET",
    doc: "the coordinator's socket, for the tools of a running attempt",
};
/// What an agent's tools say who they are with. Set by Turno for an attempt, by nobody else.
pub const TOOL_TOKEN: EnvVar = EnvVar {
    name: "TURNO_TOKEN",
    doc: "what opens the tools of a running attempt",
};

/// Where a story has this process die. Only builds with debug assertions listen to it; set by stories, by nobody else.
pub const CRASH_AT: EnvVar = EnvVar {
    name: "TURNO_CRASH_AT",
    doc: "the point at which a test build of turno dies, as MOMENT:DEED:NTH",
};

/// Every variable that people set, in the order they read them.
pub const ALL: [EnvVar; 11] = [
    SLOTS,
    BUDGET,
    POLICY,
    AGENT,
    USER,
    STATE_DIR,
    XDG_CONFIG_HOME,
    XDG_STATE_HOME,
    HOME,
    VISUAL,
    EDITOR,
];

impl EnvVar {
    /// Its value. An empty one counts as none.
    pub fn of(self, env: &EnvMap) -> Option<&str> {
        env.get(self.name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

/// The user's directory of configuration, `$XDG_CONFIG_HOME/turno`.
pub fn user_dir(env: &EnvMap) -> Option<PathBuf> {
    base(env, XDG_CONFIG_HOME, ".config")
}

/// The directory that holds the state of all workspaces, `$XDG_STATE_HOME/turno`.
pub fn state_home(env: &EnvMap) -> Option<PathBuf> {
    base(env, XDG_STATE_HOME, ".local/state")
}

fn base(env: &EnvMap, xdg: EnvVar, below_home: &str) -> Option<PathBuf> {
    // The XDG specification has relative paths ignored.
    let named = xdg.of(env).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || HOME.of(env).map(|h| PathBuf::from(h).join(below_home));
    named.or_else(home).map(|p| p.join("turno"))
}
