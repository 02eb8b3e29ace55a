//! Owns where a value came from, and the files that are read. It must not look at the values.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::error::Error;

/// Where a value came from. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Embedded in the program.
    Default,
    /// The user's own file.
    UserFile {
        /// Its path.
        file: String,
        /// The line, counted from 1.
        line: u32,
    },
    /// A file of the repository.
    RepoFile {
        /// Its path below the repository's top.
        file: String,
        /// The line, counted from 1.
        line: u32,
    },
    /// A variable of the environment.
    Env {
        /// Its name.
        name: &'static str,
    },
    /// A flag that a person typed.
    Flag {
        /// Its name with the dashes.
        name: &'static str,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the built-in defaults"),
            Self::UserFile { file, line } | Self::RepoFile { file, line } => {
                write!(f, "{file} line {line}")
            }
            Self::Env { name } => write!(f, "the environment variable {name}"),
            Self::Flag { name } => write!(f, "the flag {name}"),
        }
    }
}

/// Which layer a file belongs to. Later variants win over earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Embedded in the program.
    Embedded,
    /// The user's directory.
    User,
    /// The repository.
    Repo,
}

/// A file of the configuration, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Which layer it belongs to.
    pub layer: Layer,
    /// Its name as people know it: below the repository's top, or whole.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl TextFile {
    /// The source of something written at `line` of it.
    pub fn at(&self, line: u32) -> Source {
        match self.layer {
            Layer::Embedded => Source::Default,
            Layer::User => Source::UserFile {
                file: self.name.clone(),
                line,
            },
            Layer::Repo => Source::RepoFile {
                file: self.name.clone(),
                line,
            },
        }
    }

    /// The line of a byte of it, counted from 1.
    pub fn line_of(&self, byte: usize) -> u32 {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let ends = memchr::memchr_iter(b'\n', before).count();
        1 + u32::try_from(ends).unwrap_or(u32::MAX - 1)
    }

    /// Its file name without directory and extension.
    pub fn stem(&self) -> &str {
        let file = self.name.rsplit('/').next().unwrap_or(&self.name);
        file.rsplit_once('.').map_or(file, |(stem, _)| stem)
    }
}

/// Where the files of the configuration are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The top of the repository.
    pub repo: PathBuf,
    /// The user's directory, `$XDG_CONFIG_HOME/turno`; `None` for a user without a home.
    pub user: Option<PathBuf>,
}

/// The files of the configuration as they are on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// `turno.toml` of the user and of the repository, lowest layer first.
    pub settings: Vec<TextFile>,
    /// Persona files, lowest layer first, then by name.
    pub personas: Vec<TextFile>,
    /// Policy files, lowest layer first, then by name.
    pub policies: Vec<TextFile>,
}

impl Places {
    /// The directory of the `turno.toml` that a value came from; paths in it are meant from there.
    pub(super) fn directory_of(&self, source: &Source) -> &Path {
        match source {
            Source::UserFile { .. } => self.user.as_deref().unwrap_or(&self.repo),
            Source::Default | Source::RepoFile { .. } | Source::Env { .. } | Source::Flag { .. } => {
                &self.repo
            }
        }
    }
}

impl Files {
    /// The `turno.toml` in the user's directory, if there is one.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn settings_of_user(dir: &Path) -> Result<Option<TextFile>, Error> {
        let whole = |p: &Path| p.display().to_string();
        read(Layer::User, &dir.join("turno.toml"), whole)
    }

    /// Reads what is there. What is missing is no error.
    ///
    /// # Errors
    /// When something is there and cannot be read.
    pub fn read(places: &Places) -> Result<Self, Error> {
        let mut files = Self::default();
        if let Some(user) = &places.user {
            let whole = |p: &Path| p.display().to_string();
            files.settings.extend(Self::settings_of_user(user)?);
            files
                .personas
                .extend(read_all(Layer::User, &user.join("personas"), "md", whole)?);
            files
                .policies
                .extend(read_all(Layer::User, &user.join("policies"), "toml", whole)?);
        }
        let below = |p: &Path| p.strip_prefix(&places.repo).unwrap_or(p).display().to_string();
        let own = places.repo.join(".turno");
        files
            .settings
            .extend(read(Layer::Repo, &places.repo.join("turno.toml"), below)?);
        files
            .personas
            .extend(read_all(Layer::Repo, &own.join("personas"), "md", below)?);
        files
            .policies
            .extend(read_all(Layer::Repo, &own.join("policies"), "toml", below)?);
        Ok(files)
    }
}

fn read(layer: Layer, path: &Path, shown: impl Fn(&Path) -> String) -> Result<Option<TextFile>, Error> {
    let name = shown(path);
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(TextFile { layer, name, text })),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { file: name, source }),
    }
}

fn read_all(
    layer: Layer,
    dir: &Path,
    extension: &str,
    shown: impl Fn(&Path) -> String,
) -> Result<Vec<TextFile>, Error> {
    let failed = |source| Error::Read {
        file: shown(dir),
        source,
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == extension) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        files.extend(read(layer, &path, &shown)?);
    }
    Ok(files)
}
