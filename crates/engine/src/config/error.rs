//! Owns the errors of the configuration and their words. Each says what is wrong, where the value came from and
//! what to do. It reads nothing and decides nothing.

use std::fmt;

use crate::config::source::Source;
use crate::prompt;

/// A place in a file: its shown name and a line counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as people know it.
    pub file: String,
    /// The line; 0 means the file as a whole.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{} line {line}", self.file),
        }
    }
}

/// What may have been meant by a name that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Something that is spelt much like it.
    Probably(String),
    /// One of these.
    OneOf(Vec<String>),
}

impl Meant {
    /// Looks for `name` among the names that are known.
    pub fn among<I>(name: &str, known: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let known: Vec<String> = known.into_iter().map(|k| k.as_ref().to_owned()).collect();
        let lower = name.to_lowercase();
        let best = known
            .iter()
            .map(|k| (strsim::jaro_winkler(&lower, &k.to_lowercase()), k))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match best {
            Some((_, near)) => Self::Probably(near.clone()),
            None => Self::OneOf(known),
        }
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probably(name) => write!(f, "did you mean `{name}`?"),
            Self::OneOf(names) if names.is_empty() => f.write_str("there is none"),
            Self::OneOf(names) => write!(f, "there is {}", names.join(", ")),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is there but cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("{place}: not valid TOML: {why}")]
    Toml {
        /// Where.
        place: Place,
        /// Why.
        why: String,
    },
    /// A key that has no meaning.
    #[error("{from}: unknown key `{key}`; {meant}")]
    UnknownKey {
        /// The whole key.
        key: String,
        /// Where it is written.
        from: Source,
        /// What may have been meant.
        meant: Meant,
    },
    /// A value where a table belongs.
    #[error("{from}: `{key}` is a table, not a value; keys in it: {}", .keys.join(", "))]
    NotATable {
        /// The key.
        key: String,
        /// Where it is written.
        from: Source,
        /// What may be in it.
        keys: Vec<&'static str>,
    },
    /// A value that does not do.
    #[error("{key} = {value} (from {from}): {why}")]
    Value {
        /// The key.
        key: String,
        /// The value as it was written.
        value: String,
        /// Where it was written.
        from: Source,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// A table that does not do, e.g. because a key is missing in it.
    #[error("[{key}] (from {from}): {why}")]
    Table {
        /// The table.
        key: String,
        /// Where it was written.
        from: Source,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// A name that stands for nothing.
    #[error("{key} names the {kind} `{name}` (from {from}), which does not exist; {meant}")]
    UnknownName {
        /// The key or the front matter's key.
        key: String,
        /// What it should be a name of.
        kind: &'static str,
        /// The name.
        name: String,
        /// Where it was written.
        from: Box<Source>,
        /// What may have been meant.
        meant: Meant,
    },
    /// A file that does not do.
    #[error("{place}: {why}")]
    File {
        /// Where.
        place: Place,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// A front matter key that has no meaning.
    #[error("{place}: unknown key `{key}` in the front matter; {meant}")]
    UnknownFrontKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// Two files of one layer with the same persona.
    #[error("{second}: persona `{name}` is already defined by {first}; rename or remove one of them")]
    DuplicatePersona {
        /// The persona.
        name: String,
        /// The file that was read first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A persona's prompt that cannot be rendered.
    #[error("{place}: the prompt of persona `{persona}` cannot be rendered: {}", .source.what())]
    Prompt {
        /// Where, counted in the file.
        place: Place,
        /// The persona.
        persona: String,
        /// Why.
        source: prompt::Error,
    },
    /// The parts are right, the whole is not.
    #[error("{0}")]
    Whole(String),
}
