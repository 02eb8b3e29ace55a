//! Owns the private homes of agents: one for each task, persona and agent, kept in the state directory so that a
//! conversation can be gone on with. It holds a copy of the agent's login and nothing else of the user's home.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use turno_agents::needs::HomePart;
use turno_core::config::Confinement;
use turno_core::ids::{AgentName, PersonaName, TaskId};
use turno_sandbox::{Access, Place};

/// A login or a settings file is never larger.
const LARGEST: u64 = 16 << 20;

/// Whose home it is.
#[derive(Debug, Clone)]
pub(crate) struct HomeOf<'a> {
    /// On which task.
    pub(crate) task: TaskId,
    /// In which role.
    pub(crate) persona: &'a PersonaName,
    /// Who.
    pub(crate) agent: &'a AgentName,
}

/// A private home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// Where it is seen.
    pub(crate) at: PathBuf,
    /// What is mounted for it.
    pub(crate) places: Vec<Place>,
    /// The files with which the user has told the agent how to work.
    pub(crate) settings: Vec<PathBuf>,
    /// Variables that lead to it, where it is not seen at the user's own paths.
    pub(crate) env: BTreeMap<String, String>,
}

impl Home {
    /// Makes or finds an agent's home below `homes`. `env` is what the agent will see.
    pub(crate) fn of_agent(
        homes: &Path,
        whose: &HomeOf<'_>,
        parts: &[HomePart],
        env: &BTreeMap<String, String>,
        by: Confinement,
    ) -> io::Result<Self> {
        let name = format!("{}-{}-{}", whose.task, whose.persona, whose.agent);
        let mut home = Self::at(&homes.join(name), env, by)?;
        home.furnish(parts, env, by)?;
        Ok(home)
    }

    /// A home that is used once.
    pub(crate) fn fresh(dir: &Path, env: &BTreeMap<String, String>, by: Confinement) -> io::Result<Self> {
        Self::at(dir, env, by)
    }

    fn at(root: &Path, env: &BTreeMap<String, String>, by: Confinement) -> io::Result<Self> {
        make(root)?;
        let real = env.get("HOME").map(PathBuf::from).filter(|h| h.is_absolute());
        let seen = match (by, real) {
            (Confinement::Namespaces, Some(real)) => real,
            (Confinement::Namespaces, None) | (Confinement::Landlock | Confinement::Off, _) => {
                root.to_owned()
            }
        };
        let mut env = BTreeMap::new();
        if by == Confinement::Landlock {
            env.insert("HOME".to_owned(), seen.display().to_string());
        }
        Ok(Self {
            places: vec![Place::cover(root, &seen, Access::Write)],
            at: seen,
            settings: Vec::new(),
            env,
        })
    }

    fn furnish(
        &mut self,
        parts: &[HomePart],
        env: &BTreeMap<String, String>,
        by: Confinement,
    ) -> io::Result<()> {
        let user = env.get("HOME").map(PathBuf::from);
        let root = match self.places.first() {
            Some(place) => place.from.clone(),
            None => return Ok(()),
        };
        for part in parts {
            let named = part
                .variable
                .and_then(|v| env.get(v).map(|value| (v, value)))
                .filter(|(_, value)| value.starts_with('/'));
            let usual = user.as_ref().map(|u| u.join(part.directory));
            let source = match (&named, &usual) {
                (Some((_, value)), _) => PathBuf::from(value),
                (None, Some(usual)) => usual.clone(),
                (None, None) => continue,
            };
            let own = root.join(part.directory);
            make(&own)?;
            for file in part.copied {
                copy(&source.join(file), &own.join(file))?;
                self.settings.push(source.join(file));
            }
            let seen = match by {
                Confinement::Namespaces => {
                    if Some(&source) != usual.as_ref() {
                        self.places.push(Place::cover(&own, &source, Access::Write));
                    }
                    source.clone()
                }
                Confinement::Landlock | Confinement::Off => {
                    if let Some((variable, _)) = named {
                        self.env.insert(variable.to_owned(), own.display().to_string());
                    }
                    own.clone()
                }
            };
            self.settings
                .extend(part.read.iter().map(|name| source.join(name)));
            for name in part.read.iter().filter(|name| source.join(name).exists()) {
                let (from, at) = (source.join(name), seen.join(name));
                match by {
                    Confinement::Namespaces => self.places.push(Place::cover(from, at, Access::Read)),
                    Confinement::Landlock | Confinement::Off => {
                        if let Err(error) = std::os::unix::fs::symlink(&from, &at)
                            && error.kind() != io::ErrorKind::AlreadyExists
                        {
                            return Err(error);
                        }
                        self.places.push(Place::read(from));
                    }
                }
            }
        }
        Ok(())
    }
}

fn make(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Copies a file that is newer than its copy: the agent may have renewed its own login meanwhile. Nothing is written
/// through a link, which the agent may have put there.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(theirs) = fs::metadata(from) else {
        return Ok(());
    };
    if !theirs.is_file() || theirs.len() > LARGEST {
        return Ok(());
    }
    let ours = fs::symlink_metadata(to);
    if let Ok(ours) = &ours
        && ours.is_file()
        && ours.modified()? >= theirs.modified()?
    {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        make(parent)?;
        let real = parent.canonicalize()?;
        let beside = real.join(".turno-copy");
        fs::copy(from, &beside)?;
        fs::rename(&beside, real.join(to.file_name().unwrap_or_default()))?;
    }
    Ok(())
}
