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
use turno_sandbox::{Access, Place, system};

use super::below::{self, Link};

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

/// Where an agent's home is, or will be.
pub(crate) fn home_of(homes: &Path, whose: &HomeOf<'_>) -> PathBuf {
    homes.join(format!("{}-{}-{}", whose.task, whose.persona, whose.agent))
}

/// A private home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// Where it really is.
    pub(crate) root: PathBuf,
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
        let mut home = Self::at(&home_of(homes, whose), env, by)?;
        home.furnish(parts, env, by)?;
        Ok(home)
    }

    /// A home that is used once.
    pub(crate) fn fresh(dir: &Path, env: &BTreeMap<String, String>, by: Confinement) -> io::Result<Self> {
        Self::at(dir, env, by)
    }

    fn at(root: &Path, env: &BTreeMap<String, String>, by: Confinement) -> io::Result<Self> {
        make(root)?;
        // A home like `/` or one in the system's directories cannot be covered without covering these too.
        let real = env
            .get("HOME")
            .map(PathBuf::from)
            .filter(|h| h.is_absolute() && !system::holds(h));
        let seen = match (by, real) {
            (Confinement::Namespaces, Some(real)) => real,
            (Confinement::Namespaces, None) | (Confinement::Landlock | Confinement::Off, _) => {
                root.to_owned()
            }
        };
        let env = BTreeMap::from([("HOME".to_owned(), seen.display().to_string())]);
        Ok(Self {
            places: vec![Place::cover(root, &seen, Access::Write)],
            root: root.to_owned(),
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
        let root = self.root.clone();
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
            // The agent has written there before, and may have put a link to somewhere else in the way.
            let own = below::make(&root, Path::new(part.directory), Link::Removed)?;
            for file in part.copied {
                copy(&source.join(file), &own, Path::new(file))?;
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
                        let parent = Path::new(name).parent().unwrap_or(Path::new(""));
                        below::make(&own, parent, Link::Removed)?;
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

/// Frees the way to everything that is mounted in a home.
pub(super) fn free_mounts(root: &Path, home: &Path, places: &[Place]) -> io::Result<()> {
    for place in places {
        if let Ok(inside) = place.at.strip_prefix(home) {
            below::free(root, inside)?;
        }
    }
    Ok(())
}

fn make(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Copies a file that is newer than its copy: the agent may have renewed its own login meanwhile. Nothing is written
/// through a link, which the agent may have put there.
fn copy(from: &Path, own: &Path, file: &Path) -> io::Result<()> {
    let Ok(theirs) = fs::metadata(from) else {
        return Ok(());
    };
    if !theirs.is_file() || theirs.len() > LARGEST {
        return Ok(());
    }
    let parent = below::make(own, file.parent().unwrap_or(Path::new("")), Link::Removed)?;
    let to = parent.join(file.file_name().unwrap_or_default());
    if let Ok(ours) = fs::symlink_metadata(&to)
        && ours.is_file()
        && ours.modified()? >= theirs.modified()?
    {
        return Ok(());
    }
    // A new file of a name that nobody can have guessed, which then takes the place of whatever stands there.
    let mut beside = tempfile::NamedTempFile::new_in(&parent)?;
    io::copy(&mut fs::File::open(from)?, &mut beside)?;
    beside.persist(&to).map(drop).map_err(|e| e.error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_of_an_agent_do_not_lead_its_login_out_of_its_home() {
        let dir = tempfile::tempdir().unwrap();
        let (user, homes) = (dir.path().join("user"), dir.path().join("homes"));
        fs::create_dir_all(user.join(".codex")).unwrap();
        fs::write(user.join(".codex/auth.json"), "login").unwrap();
        fs::write(user.join("victim"), "mine").unwrap();
        fs::create_dir(user.join("others")).unwrap();
        let env = BTreeMap::from([("HOME".to_owned(), user.display().to_string())]);
        let (persona, agent) = ("engineer".parse().unwrap(), "codex".parse().unwrap());
        let whose = HomeOf {
            task: "1.1".parse().unwrap(),
            persona: &persona,
            agent: &agent,
        };
        let part = HomePart {
            variable: None,
            directory: ".codex",
            copied: &["auth.json"],
            read: &[],
        };
        let home = || Home::of_agent(&homes, &whose, &[part], &env, Confinement::Namespaces).unwrap();
        let own = home().root.join(".codex");
        assert_eq!(fs::read_to_string(own.join("auth.json")).unwrap(), "login");

        fs::remove_file(own.join("auth.json")).unwrap();
        symlink(user.join("victim"), own.join("auth.json")).unwrap();
        home();
        assert_eq!(fs::read_to_string(user.join("victim")).unwrap(), "mine");

        fs::remove_dir_all(&own).unwrap();
        symlink(user.join("others"), &own).unwrap();
        let home = home();
        assert_eq!(fs::read_dir(user.join("others")).unwrap().count(), 0);
        assert!(!own.is_symlink() && own.join("auth.json").is_file());

        // What is mounted in it lands in it.
        symlink(user.join("others"), home.root.join(".cargo")).unwrap();
        let mounted = [Place::read(user.join(".cargo/bin"))];
        free_mounts(&home.root, &home.at, &mounted).unwrap();
        assert!(!home.root.join(".cargo").is_symlink());
    }
}
