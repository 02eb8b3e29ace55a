//! Owns what a secret is: a value that is shown to nobody, and by what a name or a text gives itself away as one.
//! It must not know where secrets come from.

use std::fmt;

use crate::redact::shapes;

/// A value that nobody reads by accident: it has no text form, and debug output hides it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that hands it to whoever needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Parts of a variable's name, between underscores, that say that its value is a secret.
const TELLING: [&str; 14] = [
    "KEY",
    "APIKEY",
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PASSPHRASE",
    "PAT",
    "CREDENTIAL",
    "AUTH",
    "HEADERS",
    "COOKIE",
];

/// Whether a variable's name says that its value is a secret, e.g. `OPENAI_API_KEY`.
pub fn is_named_like_one(name: &str) -> bool {
    let upper = name.to_uppercase();
    let parts = |part: &str| TELLING.contains(&part);
    upper.split('_').any(parts) || ["PASSWORD", "SECRET"].iter().any(|end| upper.ends_with(end))
}

/// Whether a text has the known shape of a secret, e.g. of a provider's key.
pub fn is_shaped_like_one(text: &str) -> bool {
    shapes::spans(text.as_bytes()).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("open sesame");
        assert_eq!(format!("{secret:?} {:?}", [&secret]), "*** [***]");
        assert_eq!(secret.reveal(), "open sesame");
    }

    #[test]
    fn names_tell() {
        for name in [
            "ANTHROPIC_API_KEY",
            "AWS_BEARER_TOKEN_BEDROCK",
            "db_password",
            "PGPASSWORD",
            "CLIENTSECRET",
            "GITHUB_PAT",
        ] {
            assert!(is_named_like_one(name), "{name}");
        }
        for name in [
            "AWS_REGION",
            "MONKEY",
            "KEYBOARD_LAYOUT",
            "AUTHOR",
            "PATH",
            "NODE_ENV",
        ] {
            assert!(!is_named_like_one(name), "{name}");
        }
    }

    #[test]
    fn texts_tell() {
        assert!(is_shaped_like_one(&format!("ghp_{}", "a1B2".repeat(9))));
        assert!(!is_shaped_like_one("https://example.com/v1"));
    }
}
