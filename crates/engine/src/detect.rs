//! Owns the first look at a project: which checks it seems to have, each with the reason, and the `turno.toml` that
//! says so. It reads files of the repository and runs nothing; a person has the last word.

mod ecosystems;
mod render;
mod runners;

use std::path::Path;

use turno_core::units::Span;

pub use self::render::{FoundAgent, render_turno_toml};

/// What a check is about. In this order checks run: what is quick comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Layout of the source.
    Format,
    /// Types.
    Types,
    /// Rules beyond types.
    Lint,
    /// Whether it can be built.
    Build,
    /// Behaviour.
    Test,
}

/// A check that a project seems to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DetectedCheck {
    /// Its name, unique among those detected.
    pub name: String,
    /// What it is about.
    pub kind: Kind,
    /// The command.
    pub command: String,
    /// A limit that is likely to do.
    pub timeout: Span,
    /// What it was seen by.
    pub why: String,
}

/// What a new slot seems to need before anything can run in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DetectedSetup {
    /// The command.
    pub command: String,
    /// What it was seen by.
    pub why: String,
}

/// What a project seems to have.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Detected {
    /// Checks, in the order they should run.
    pub checks: Vec<DetectedCheck>,
    /// What a new slot needs, one command for each ecosystem.
    pub setup: Vec<DetectedSetup>,
    /// Files that git ignores and that a slot may need.
    pub copy: Vec<String>,
}

/// The files at the top of a repository.
struct Repo<'a>(&'a Path);

impl Repo<'_> {
    fn has(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// The first of these that is there.
    fn first(&self, paths: &[&'static str]) -> Option<&'static str> {
        paths.iter().copied().find(|p| self.has(p))
    }

    /// A file's text; `None` when it is not there or no text.
    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(path)).ok()
    }

    /// The file's name, if its text holds one of these.
    fn mentions(&self, path: &'static str, words: &[&str]) -> Option<&'static str> {
        let text = self.text(path)?;
        words.iter().any(|w| text.contains(w)).then_some(path)
    }

    /// Names in a directory, sorted.
    fn names_in(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(dir))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The workflow that runs this command, if one does.
    fn workflow_with(&self, command: &str) -> Option<String> {
        let dir = ".github/workflows";
        self.names_in(dir)
            .into_iter()
            .map(|name| format!("{dir}/{name}"))
            .find(|path| self.text(path).is_some_and(|t| t.contains(command)))
    }
}

/// Looks at the project at `top`.
pub fn detect(top: &Path) -> Detected {
    let repo = Repo(top);
    let mut found = Detected::default();
    ecosystems::cargo(&repo, &mut found);
    ecosystems::node(&repo, &mut found);
    ecosystems::python(&repo, &mut found);
    ecosystems::go(&repo, &mut found);
    runners::make_and_just(&repo, &mut found);
    found.checks.sort_by_key(|c| c.kind);
    found
        .copy
        .extend(repo.first(&[".env", ".env.local"]).map(str::to_owned));
    found
}

impl Detected {
    /// Adds a check. When its name is taken, the tool's name is put before it.
    fn add(&mut self, tool: &str, name: &str, kind: Kind, command: &str, why: &str) {
        let taken = |name: &str| self.checks.iter().any(|c| c.name == name);
        let name = if taken(name) {
            format!("{tool}-{name}")
        } else {
            name.to_owned()
        };
        let minutes = match kind {
            Kind::Format => 2,
            Kind::Types | Kind::Lint => 10,
            Kind::Build | Kind::Test => 20,
        };
        self.checks.push(DetectedCheck {
            name,
            kind,
            command: command.to_owned(),
            timeout: Span::seconds(minutes * 60),
            why: why.to_owned(),
        });
    }

    fn covers(&self, kind: Kind) -> bool {
        self.checks.iter().any(|c| c.kind == kind)
    }
}
