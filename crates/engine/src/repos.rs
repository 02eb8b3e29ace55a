//! Owns the repositories of a workspace: that each is a repository of its own, and that no other workspace works
//! on it. Two workspaces count their issues alike, so their branches would clash. It must not run git other than
//! through [`crate::git`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use turno_core::ids::RepoName;

use crate::config::{self, Loaded, RepoSetup};
use crate::git::{self, Claim, Claimed, Repo};
use crate::workspace::StateDir;

/// Why the repositories of a workspace cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One that `turno.toml` names does not do.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The repository that holds `turno.toml` belongs to another workspace.
    #[error("{}: {why}", root.display())]
    Taken {
        /// Its top.
        root: PathBuf,
        /// By whom, and what to do.
        why: String,
    },
    /// A git step failed.
    #[error(transparent)]
    Git(#[from] git::Error),
}

/// The repositories of a workspace, opened.
#[derive(Debug, Clone)]
pub struct Repos {
    claim: Claim,
    home: Repo,
    others: BTreeMap<RepoName, Other>,
}

/// One that `turno.toml` names.
#[derive(Debug, Clone)]
struct Other {
    repo: Repo,
    /// How it is written, for messages.
    wrong: Wrong,
}

/// Words for what is wrong with a configured repository.
#[derive(Debug, Clone)]
struct Wrong {
    key: String,
    value: String,
    from: config::Source,
}

impl Wrong {
    fn new(config: &Loaded, name: &RepoName, setup: &RepoSetup) -> Self {
        let key = format!("repos.{name}.path");
        Self {
            from: config.source(&key),
            value: format!("{:?}", setup.written),
            key,
        }
    }

    fn because(&self, why: impl ToString) -> config::Error {
        config::Error::Value {
            key: self.key.clone(),
            value: self.value.clone(),
            from: self.from.clone(),
            why: why.to_string(),
        }
    }
}

/// Whose the branches below `turno/` are.
enum Whose {
    Ours,
    Nobodys,
    Theirs(Claim),
}

impl Repos {
    /// Opens every configured repository. Nothing is changed.
    ///
    /// # Errors
    /// When one is none, is there twice, holds the state directory or belongs to another workspace.
    pub fn open(home: Repo, config: &Loaded, dirs: &StateDir) -> Result<Self, Error> {
        let claim = Claim {
            home: home.root().display().to_string(),
            state: dirs.root().display().to_string(),
        };
        let mut repos = Self {
            claim,
            home,
            others: BTreeMap::new(),
        };
        for (name, setup) in &config.repos {
            let wrong = Wrong::new(config, name, setup);
            let repo = repos.other(setup, dirs).map_err(|why| wrong.because(why))?;
            if let Whose::Theirs(them) = repos.whose(&repo.claimed()?) {
                return Err(wrong.because(taken(&repo, &them)).into());
            }
            repos.others.insert(name.clone(), Other { repo, wrong });
        }
        Ok(repos)
    }

    /// The repository of that name.
    pub fn get(&self, name: &RepoName) -> Option<&Repo> {
        if *name == RepoName::default() {
            return Some(&self.home);
        }
        self.others.get(name).map(|other| &other.repo)
    }

    /// All of them, the one that holds `turno.toml` first.
    pub fn iter(&self) -> impl Iterator<Item = (RepoName, &Repo)> {
        let others = self
            .others
            .iter()
            .map(|(name, other)| (name.clone(), &other.repo));
        std::iter::once((RepoName::default(), &self.home)).chain(others)
    }

    /// Claims them all for this workspace, for good. To be done before anything is made in them.
    ///
    /// # Errors
    /// When one belongs to another workspace, or git cannot.
    pub async fn claim(&self) -> Result<(), Error> {
        let found = self.home.claimed()?;
        // A workspace may begin anew with another state directory; its branches are its own all the same.
        if let Whose::Theirs(them) = self.whose(&found)
            && them.home != self.claim.home
        {
            return Err(Error::Taken {
                root: self.home.root().to_owned(),
                why: taken(&self.home, &them),
            });
        }
        self.home.claim(&found, &self.claim).await?;
        for Other { repo, wrong } in self.others.values() {
            let found = repo.claimed()?;
            match self.whose(&found) {
                Whose::Ours => {}
                Whose::Nobodys => {
                    if let Some(branch) = repo.any_branch_of_turnos()? {
                        return Err(wrong.because(strange(&branch)).into());
                    }
                }
                Whose::Theirs(them) => return Err(wrong.because(taken(repo, &them)).into()),
            }
            repo.claim(&found, &self.claim).await?;
        }
        Ok(())
    }

    /// A claim whose workspace has lost its state holds nothing any more.
    fn whose(&self, found: &Claimed) -> Whose {
        match &found.by {
            Some(claim) if claim.state == self.claim.state => Whose::Ours,
            Some(claim) if Path::new(&claim.state).exists() => Whose::Theirs(claim.clone()),
            Some(_) | None => Whose::Nobodys,
        }
    }

    fn other(&self, setup: &RepoSetup, dirs: &StateDir) -> Result<Repo, String> {
        let path = &setup.path;
        let top = path
            .canonicalize()
            .map_err(|e| format!("{} cannot be found: {e}", path.display()))?;
        let repo = Repo::open(&top).map_err(|e| e.to_string())?;
        let same = |other: &Repo| other.common_dir() == repo.common_dir();
        if same(&self.home) {
            return Err("it is in the repository that holds turno.toml; name another one".to_owned());
        }
        if let Some((name, _)) = self.others.iter().find(|(_, other)| same(&other.repo)) {
            return Err(format!(
                "it is the same repository as `{name}`; name each one once"
            ));
        }
        if repo.root() != top {
            return Err(format!(
                "it is not the top of a repository; name {} if that is the one that is meant",
                repo.root().display()
            ));
        }
        let state = real(dirs.root());
        if state.starts_with(repo.root()) || repo.root().starts_with(&state) {
            return Err(format!(
                "the state directory {} and the repository lie in each other. Point TURNO_STATE_DIR at another directory",
                state.display()
            ));
        }
        Ok(repo)
    }
}

fn taken(repo: &Repo, them: &Claim) -> String {
    format!(
        "the workspace at {} works on this repository (its state is {}), and branches of two workspaces would clash. \
         Work on it from there, or name another clone. If that workspace is given up: \
         git -C {} update-ref -d refs/turno/owner",
        them.home,
        them.state,
        repo.root().display()
    )
}

fn strange(branch: &git::TurnoRef) -> String {
    format!(
        "it has branches of another workspace ({branch}), and this one's would clash with them. \
         Name another clone, or delete the branches below turno/ when they are not needed any more"
    )
}

/// A path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole
        .ancestors()
        .find_map(|above| {
            let rest = whole.strip_prefix(above).ok()?;
            Some(above.canonicalize().ok()?.join(rest))
        })
        .unwrap_or(whole)
}
