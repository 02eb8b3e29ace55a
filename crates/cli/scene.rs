//! Owns what every verb needs to know of where it was typed: the repository, the state directory, the user's
//! environment, the configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use turno_core::ids::AgentName;
use turno_engine::config::{self, EnvMap, Loaded, Overrides, Places};
use turno_engine::git::Repo;
use turno_engine::workspace::StateDir;

use crate::failure::Failure;

/// Where a verb was typed.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) repo: Repo,
    pub(crate) dirs: StateDir,
    pub(crate) env: EnvMap,
}

/// The user's environment. Variables that are no text are nobody's here.
pub(crate) fn user_env() -> EnvMap {
    std::env::vars_os()
        .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
        .collect()
}

impl Scene {
    /// The scene of a directory.
    pub(crate) fn at(directory: Option<&Path>) -> Result<Self, Failure> {
        let here = match directory {
            Some(directory) => directory.to_owned(),
            None => std::env::current_dir()
                .map_err(|e| Failure::cannot_start(format!("the current directory cannot be used: {e}")))?,
        };
        let repo = Repo::open(&here)?;
        let env = user_env();
        let dirs = StateDir::of(repo.root(), |name| env.get(name).cloned())?;
        Ok(Self { repo, dirs, env })
    }

    pub(crate) fn config(&self, flags: &Overrides) -> Result<Loaded, Failure> {
        let places = Places {
            repo: self.repo.root().to_owned(),
            user: config::env::user_dir(&self.env),
        };
        Ok(config::load(&places, &self.env, flags)?)
    }

    /// The agents whose program is there.
    pub(crate) fn agents_present(&self, config: &Loaded) -> BTreeSet<AgentName> {
        config
            .agents
            .iter()
            .filter(|(_, setup)| {
                setup
                    .dialect
                    .program()
                    .is_none_or(|p| find_program(p, &self.env).is_some())
            })
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// A program by path, or by name on the user's PATH.
pub(crate) fn find_program(program: &str, env: &EnvMap) -> Option<PathBuf> {
    let runs =
        |path: &Path| nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok() && path.is_file();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|p| runs(p));
    }
    let path = env.get("PATH")?;
    std::env::split_paths(path)
        .map(|dir| dir.join(program))
        .find(|p| runs(p))
}
