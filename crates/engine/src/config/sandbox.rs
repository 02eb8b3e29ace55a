//! Owns what is configured for the sandbox: what programs may do besides what they are for. Whether there is a sandbox
//! is not written in a file: a person says so with a flag.

use std::path::{Path, PathBuf};

use turno_core::check::Reach;
use turno_sandbox::limits::{Bound, Limits, memory_of_machine};
use turno_sandbox::net::allow::HostRule;
use turno_sandbox::net::proxy::{BadUpstream, Upstream, Way};

use crate::config::error::Error;
use crate::config::file::{AgentReach, LimitsFile, Settings};
use crate::config::layer::Layers;
use crate::config::source::Source;
use crate::config::{Inputs, repos};

/// The variables that name a proxy, the one that counts first.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];
/// Those that say what goes around it.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Whether programs are confined. No file says so: it is typed by a person, for one shift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confine {
    /// They are, or nothing is started.
    #[default]
    Always,
    /// They are where this machine can do it: nobody's program but Turno's own is run.
    WherePossible,
    /// They are not.
    Never,
}

/// What confined programs may do besides what they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSetup {
    /// Whether programs are confined.
    pub confine: Confine,
    /// Directories that may be written.
    pub caches: Vec<Cache>,
    /// Files and directories that may be read, absolute.
    pub read: Vec<PathBuf>,
    /// What agents reach of the network.
    pub agents: Reach,
    /// Hosts that may be reached.
    pub allow: Vec<HostRule>,
    /// How they are reached.
    pub way: Way,
    /// What one attempt or check may use of the machine.
    pub limits: Limits,
}

impl SandboxSetup {
    /// What must not be written down: how the person proves himself to his proxy.
    pub fn secrets(&self) -> Vec<String> {
        match &self.way {
            Way::Direct => Vec::new(),
            Way::Through(proxy) => proxy.secrets(),
        }
    }
}

/// A directory that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cache {
    /// Below the slot.
    InSlot(PathBuf),
    /// Anywhere else, absolute. All attempts share it.
    Shared(PathBuf),
}

pub(super) fn sandbox(settings: &Settings, layers: &Layers, inputs: &Inputs) -> Result<SandboxSetup, Error> {
    let home = super::env::HOME.of(&inputs.env);
    let is_absolute = |text: &str| text.starts_with('/') || text.starts_with('~');
    let mut caches = Vec::new();
    for text in &settings.sandbox.caches {
        let wrong = |why: String| layers.wrong(&["sandbox", "caches"], why);
        if is_absolute(text) {
            caches.push(Cache::Shared(
                repos::place(text, Path::new("/"), home).map_err(wrong)?,
            ));
        } else if is_below(text) {
            caches.push(Cache::InSlot(PathBuf::from(text)));
        } else {
            return Err(wrong(format!("`{text}` is no directory below the slot")));
        }
    }
    let mut read = Vec::new();
    for text in &settings.sandbox.read {
        let wrong = |why: String| layers.wrong(&["sandbox", "read"], why);
        let base = inputs.places.directory_of(&layers.source(&["sandbox", "read"]));
        read.push(repos::place(text, base, home).map_err(wrong)?);
    }
    if settings.sandbox.user.is_some() {
        own(
            layers,
            ["sandbox", "user"],
            "does not choose whose rights its agents get",
            "set TURNO_USER, or type --user",
        )?;
    }
    Ok(SandboxSetup {
        confine: inputs.flags.confine,
        caches,
        read,
        agents: match settings.network.agents {
            AgentReach::Hosts => Reach::Hosts,
            AgentReach::Open => Reach::Open,
        },
        way: way(settings, layers, inputs)?,
        allow: hosts(&settings.network.allow).map_err(|why| layers.wrong(&["network", "allow"], why))?,
        limits: limits(&settings.limits),
    })
}

/// Refuses a key that is the person's alone where a repository's file says it.
pub(super) fn own(layers: &Layers, key: [&str; 2], why: &str, instead: &str) -> Result<(), Error> {
    match layers.source(&key) {
        Source::RepoFile { .. } => Err(layers.wrong(
            &key,
            format!("a repository {why}; write it into your own ~/.config/turno/turno.toml, or {instead}"),
        )),
        Source::Default | Source::UserFile { .. } | Source::Env { .. } | Source::Flag { .. } => Ok(()),
    }
}

/// How hosts are reached: as the person's own file says, else through the proxy that the environment names.
fn way(settings: &Settings, layers: &Layers, inputs: &Inputs) -> Result<Way, Error> {
    let around = |proxy: Upstream| {
        let listed = NO_PROXY.iter().find_map(|name| set(inputs, name));
        Way::Through(proxy.around(listed.unwrap_or_default()))
    };
    if let Some(text) = &settings.network.proxy {
        let key = ["network", "proxy"];
        own(
            layers,
            key,
            "does not choose what your connections go through",
            "set HTTPS_PROXY",
        )?;
        if text == "none" {
            return Ok(Way::Direct);
        }
        // The value is not repeated: it may hold a password.
        let wrong = |why: BadUpstream| Error::Table {
            key: key.join("."),
            from: layers.source(&key),
            why: format!("{why}, or \"none\""),
        };
        return text.parse().map(around).map_err(wrong);
    }
    let Some((name, text)) = PROXIES.iter().find_map(|name| Some((*name, set(inputs, name)?))) else {
        return Ok(Way::Direct);
    };
    match (text.parse(), settings.network.agents) {
        (Ok(proxy), _) => Ok(around(proxy)),
        // Whoever is not held to hosts finds its way by itself.
        (Err(_), AgentReach::Open) => Ok(Way::Direct),
        (Err(why), AgentReach::Hosts) => Err(Error::Whole(format!(
            "the environment variable {name} names a proxy that Turno cannot go through: {why}. Set \
             network.proxy in your own ~/.config/turno/turno.toml to another, or to \"none\""
        ))),
    }
}

/// A variable's value, if it has one.
fn set<'a>(inputs: &'a Inputs, name: &str) -> Option<&'a str> {
    inputs
        .env
        .get(name)
        .map(String::as_str)
        .filter(|v| !v.trim().is_empty())
}

fn hosts(written: &[String]) -> Result<Vec<HostRule>, String> {
    written
        .iter()
        .map(|text| text.parse().map_err(|e| format!("{e}")))
        .collect()
}

fn limits(written: &LimitsFile) -> Limits {
    let mut limits = Limits::default_for_agents(memory_of_machine());
    let set = |bound: &mut Bound, number: Option<u32>, unit: u64| {
        if let Some(number) = number {
            *bound = Bound::AtMost(u64::from(number) * unit);
        }
    };
    const MIB: u64 = 1 << 20;
    set(&mut limits.memory, written.memory_mib, MIB);
    set(&mut limits.processes, written.processes, 1);
    set(&mut limits.open_files, written.open_files, 1);
    set(&mut limits.file_size, written.file_mib, MIB);
    set(&mut limits.disk, written.disk_mib, MIB);
    set(&mut limits.files, written.files, 1);
    if let Some(weight) = written.cpu_weight {
        limits.cpu_weight = weight;
    }
    limits
}

fn is_below(text: &str) -> bool {
    let mut parts = Path::new(text).components().peekable();
    parts.peek().is_some() && parts.all(|p| matches!(p, std::path::Component::Normal(name) if name != ".git"))
}
