//! Owns what is configured for each repository: its checks, its setup and, for all but the one that holds
//! `turno.toml`, where it is. Whether there is a repository at all is not looked at here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use turno_core::check::Check;
use turno_core::config::Repo;
use turno_core::container::Within;
use turno_core::ids::{CheckName, RepoName};

use crate::config::error::Error;
use crate::config::file::{CheckFile, Settings, SetupFile};
use crate::config::layer::Layers;
use crate::config::{Inputs, Setup};

/// Where a further repository is, and how its slots are set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoSetup {
    /// The top of the user's checkout of it.
    pub path: PathBuf,
    /// The path as it is written.
    pub written: String,
    /// What happens in a new slot of it.
    pub setup: Setup,
}

/// The checks in a table, in the order they are written.
pub(super) fn checks(
    written: &BTreeMap<CheckName, CheckFile>,
    layers: &Layers,
    table: &[&str],
) -> Vec<Check> {
    let mut checks: Vec<Check> = written
        .iter()
        .map(|(name, file)| Check {
            name: name.clone(),
            command: file.command.clone(),
            timeout: file.timeout,
            network: file.network,
            within: file.container.clone().map_or(Within::Sandbox, Within::Container),
        })
        .collect();
    let order = layers.names_in_order(table);
    checks.sort_by_key(|c| order.iter().position(|n| *n == c.name.as_str()));
    checks
}

/// The further repositories as the core knows them.
pub(super) fn for_core(settings: &Settings, layers: &Layers) -> BTreeMap<RepoName, Repo> {
    let repo = |(name, file): (&RepoName, &super::file::RepoFile)| {
        let checks = checks(&file.checks, layers, &["repos", name.as_str(), "checks"]);
        (name.clone(), Repo { checks })
    };
    settings.repos.iter().map(repo).collect()
}

/// The further repositories as the engine knows them.
pub(super) fn setups(
    settings: &Settings,
    layers: &Layers,
    inputs: &Inputs,
) -> Result<BTreeMap<RepoName, RepoSetup>, Error> {
    let mut setups = BTreeMap::new();
    for (name, file) in &settings.repos {
        let key = ["repos", name.as_str(), "path"];
        if *name == RepoName::default() {
            let why = format!("`{name}` is the repository that holds turno.toml; choose another name");
            return Err(layers.wrong(&["repos", name.as_str()], why));
        }
        let base = inputs.places.directory_of(&layers.source(&key));
        let path = place(&file.path, base, super::env::HOME.of(&inputs.env))
            .map_err(|why| layers.wrong(&key, why))?;
        let repo = RepoSetup {
            path,
            written: file.path.clone(),
            setup: setup(&file.setup),
        };
        setups.insert(name.clone(), repo);
    }
    Ok(setups)
}

/// A setup as it is written.
pub(super) fn setup(file: &SetupFile) -> Setup {
    Setup {
        command: file.command.clone().filter(|c| !c.trim().is_empty()),
        timeout: file.timeout,
        copy: file.copy.clone(),
        network: file.network,
    }
}

/// A path as it is written, from a directory or the user's home.
pub(super) fn place(written: &str, base: &Path, home: Option<&str>) -> Result<PathBuf, String> {
    if written.trim().is_empty() {
        return Err("a path is expected, like \"../api\"".to_owned());
    }
    match written.strip_prefix('~') {
        Some("") => home.map(PathBuf::from),
        Some(rest) if rest.starts_with('/') => home.map(|h| Path::new(h).join(rest.trim_start_matches('/'))),
        // `~kim` is another person's home, which only a shell knows.
        Some(_) => return Err("only your own home can be written as ~; write the whole path".to_owned()),
        None => Some(base.join(written)),
    }
    .ok_or_else(|| "HOME is not set, so it is not known where ~ is; write the whole path".to_owned())
}
