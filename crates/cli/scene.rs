//! Owns what every verb needs to know of where it was typed: the repository, the state directory, the user's
//! environment, the configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::ids::{AgentName, IssueId, RepoName};
use turno_engine::config::{self, EnvMap, Loaded, Overrides, Places};
use turno_engine::git::Repo;
use turno_engine::repos::Repos;
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

    /// All repositories of the workspace.
    pub(crate) fn repos(&self, config: &Loaded) -> Result<Repos, Failure> {
        Ok(Repos::open(self.repo.clone(), config, &self.dirs)?)
    }

    /// A repository of the workspace.
    pub(crate) fn repo_named(&self, config: &Loaded, name: &RepoName) -> Result<Repo, Failure> {
        if *name == RepoName::default() {
            return Ok(self.repo.clone());
        }
        let repos = self.repos(config)?;
        let repo = repos.get(name).ok_or_else(|| Refused::NoSuchRepo(name.clone()))?;
        Ok(repo.clone())
    }

    /// The repository that an issue is about. The configuration is not needed for the one that holds `turno.toml`.
    pub(crate) fn repo_of(&self, state: &State, issue: IssueId) -> Result<Repo, Failure> {
        let issue = state.issues.get(&issue).ok_or(Refused::NoSuchIssue(issue))?;
        if issue.draft.repo == RepoName::default() {
            return Ok(self.repo.clone());
        }
        self.repo_named(&self.config(&Overrides::default())?, &issue.draft.repo)
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
