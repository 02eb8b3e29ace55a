//! Owns the variables that an agent is given, as they are written: as a text, or by reference to where the value
//! is. It opens no file, runs no command and reads no environment.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::config::repos::place;

/// Where the value of an agent's variable comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// It is written down.
    Text(String),
    /// It is the value of this variable of the user's environment.
    FromUser(String),
    /// It is what this file says, without space around it.
    FromFile(PathBuf),
    /// It is what this shell command prints, without space around it.
    FromCommand(String),
}

/// The same as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EnvFile {
    /// A text or the name of a variable.
    Text(String),
    /// `{ file = "path" }`
    File(String),
    /// `{ command = "..." }`
    Command(String),
}

impl<'de> Deserialize<'de> for EnvFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = EnvFile;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, \"$NAME\", { file = \"path\" } or { command = \"words\" }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<EnvFile, E> {
                Ok(EnvFile::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EnvFile, A::Error> {
                let wrong = || {
                    de::Error::custom(
                        "a reference is { file = \"path\" } or { command = \"words\" }, with that one key",
                    )
                };
                let Some((key, value)) = map.next_entry::<String, String>()? else {
                    return Err(wrong());
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(wrong());
                }
                match key.as_str() {
                    "file" => Ok(EnvFile::File(value)),
                    "command" => Ok(EnvFile::Command(value)),
                    _ => Err(wrong()),
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// What was written, understood. Paths are below `base` or the user's home.
pub(super) fn value(written: &EnvFile, base: &Path, home: Option<&str>) -> Result<EnvValue, String> {
    match written {
        EnvFile::Text(text) => text_value(text),
        EnvFile::File(path) if path.trim().is_empty() => Err("a path is expected after `file`".to_owned()),
        EnvFile::File(path) => place(path, base, home).map(EnvValue::FromFile),
        EnvFile::Command(command) if command.trim().is_empty() => {
            Err("a shell command is expected after `command`".to_owned())
        }
        EnvFile::Command(command) => Ok(EnvValue::FromCommand(command.clone())),
    }
}

fn text_value(text: &str) -> Result<EnvValue, String> {
    let Some(rest) = text.strip_prefix('$') else {
        return Ok(EnvValue::Text(text.to_owned()));
    };
    if rest.starts_with('$') {
        return Ok(EnvValue::Text(rest.to_owned()));
    }
    let name = match rest.strip_prefix('{') {
        Some(braced) => braced.strip_suffix('}').unwrap_or(rest),
        None => rest,
    };
    if is_variable(name) {
        return Ok(EnvValue::FromUser(name.to_owned()));
    }
    Err(format!(
        "`{name}` cannot be the name of a variable; write $$ for a text that begins with a dollar sign"
    ))
}

/// Whether a variable may have that name.
pub(super) fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
