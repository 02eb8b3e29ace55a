//! Owns what a check is run in: Turno's own sandbox, or a container of an image that the project names. It is part of
//! what a check is. How a container is made is not known here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a check is run in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// The sandbox that all programs of a project are run in.
    #[default]
    Sandbox,
    /// A container.
    Container(Container),
}

/// A container, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// What it is made of.
    pub image: Image,
    /// Who makes it.
    #[serde(default)]
    pub engine: EngineChoice,
}

/// Who makes containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// Whoever is installed and answers, podman first.
    #[default]
    Any,
    /// Podman.
    Podman,
    /// Docker.
    Docker,
}

/// The name of an image, e.g. `docker.io/library/postgres:16`. It is one plain word, so that it is never taken for
/// an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Image(String);

/// What is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no image: a name like docker.io/library/postgres:16 is expected, of letters, digits and `.-_/:@`, \
     beginning with a letter or digit, 400 at most"
)]
pub struct BadImage(String);

impl Image {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Image {
    type Error = BadImage;

    fn try_from(name: String) -> Result<Self, BadImage> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':' | '@');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && name.len() <= 400 && name.chars().all(plain) {
            Ok(Self(name))
        } else {
            Err(BadImage(name))
        }
    }
}

impl From<Image> for String {
    fn from(image: Image) -> Self {
        image.0
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Within {
    /// Whether it is the sandbox. Records of it do not mention it: older ones could not.
    pub fn is_sandbox(&self) -> bool {
        match self {
            Self::Sandbox => true,
            Self::Container(_) => false,
        }
    }

    /// What is said of it after a check's name: nothing of the sandbox.
    pub fn phrase(&self) -> String {
        match self {
            Self::Sandbox => String::new(),
            Self::Container(container) => format!(" (in {})", container.image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_one_plain_word() {
        for good in [
            "postgres",
            "docker.io/library/postgres:16",
            "localhost:5000/a_b/c-d:1.2",
            "alpine@sha256:0123456789abcdef",
        ] {
            assert_eq!(Image::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        let long = "a".repeat(401);
        for bad in [
            "",
            " ",
            "-x",
            "--privileged",
            "a b",
            " a",
            "a\n",
            "./a",
            "/a",
            "a;b",
            "a$b",
            "ä",
            &long,
        ] {
            assert!(Image::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_said_is_the_sandbox_and_any_engine() {
        let text = r#"{"container":{"image":"postgres:16"}}"#;
        let within: Within = serde_json::from_str(text).unwrap();
        let Within::Container(container) = &within else {
            panic!("{within:?}")
        };
        assert_eq!(container.engine, EngineChoice::Any);
        assert_eq!(within.phrase(), " (in postgres:16)");
        assert!(Within::default().is_sandbox());
        assert_eq!(Within::default().phrase(), "");
        assert!(serde_json::from_str::<Within>(r#"{"container":{"image":"-v"}}"#).is_err());
    }
}
