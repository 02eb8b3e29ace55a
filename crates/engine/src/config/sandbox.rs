//! Owns what is configured for the sandbox: what programs may do besides what they are for. Whether there is a sandbox
//! is not written in a file: a person says so with a flag.

use std::path::{Path, PathBuf};

use turno_core::check::Reach;
use turno_sandbox::limits::{Bound, Limits, memory_of_machine};
use turno_sandbox::net::allow::HostRule;

use crate::config::error::Error;
use crate::config::file::{AgentReach, LimitsFile, Settings};
use crate::config::layer::Layers;
use crate::config::source::Source;
use crate::config::{Inputs, repos};

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
    /// What one attempt or check may use of the machine.
    pub limits: Limits,
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
    let user = ["sandbox", "user"];
    if let Source::RepoFile { .. } = layers.source(&user)
        && settings.sandbox.user.is_some()
    {
        return Err(layers.wrong(
            &user,
            "a repository does not choose whose rights its agents get; write it into your own \
             ~/.config/turno/turno.toml, or set TURNO_USER, or type --user",
        ));
    }
    Ok(SandboxSetup {
        confine: inputs.flags.confine,
        caches,
        read,
        agents: match settings.network.agents {
            AgentReach::Hosts => Reach::Hosts,
            AgentReach::Open => Reach::Open,
        },
        allow: hosts(&settings.network.allow).map_err(|why| layers.wrong(&["network", "allow"], why))?,
        limits: limits(&settings.limits),
    })
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
