//! Owns what a scripted session is matched by: a glob on text, a number or any.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use turno_core::command::Session;

/// A glob on a whole text: `*` stands for any characters, `?` for one. Absent in a file, it is `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Default for Pattern {
    fn default() -> Self {
        Self("*".to_owned())
    }
}

impl Pattern {
    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        // Where to go back to: the last star, and how much of the text it has taken.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(c) if *c == '?' || *c == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => match star {
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        p = at + 1;
                        t = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

/// Which conversations a session is for. In a file `true`: one that is gone on with; `false`: one that begins;
/// absent: both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "bool")]
pub enum Resumed {
    /// Both.
    #[default]
    Any,
    /// One that is gone on with.
    Yes,
    /// One that begins.
    No,
}

impl From<bool> for Resumed {
    fn from(written: bool) -> Self {
        if written { Self::Yes } else { Self::No }
    }
}

impl Resumed {
    /// Whether it is for this conversation.
    pub fn matches(self, conversation: &Session) -> bool {
        match (self, conversation) {
            (Self::Any, _) | (Self::Yes, Session::Resume(_)) | (Self::No, Session::Fresh) => true,
            (Self::Yes, Session::Fresh) | (Self::No, Session::Resume(_)) => false,
        }
    }
}

/// Which attempt a session is for: the word `any` or a number counted from 1. Absent in a file, it is any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Round {
    /// Every one.
    #[default]
    Any,
    /// Only this one.
    Exactly(u32),
}

impl Round {
    /// Whether it is this one.
    pub fn matches(self, round: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exact) => exact == round,
        }
    }
}

impl Serialize for Round {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Exactly(round) => serializer.serialize_u32(*round),
        }
    }
}

impl<'de> Deserialize<'de> for Round {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Round;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`any` or a number counted from 1")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Round, E> {
                match text {
                    "any" => Ok(Round::Any),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Round, E> {
                match u32::try_from(number) {
                    Ok(round) if round > 0 => Ok(Round::Exactly(round)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
                }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Round, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("*", "", true)]
    #[case("7.*", "7.12", true)]
    #[case("7.*", "17.1", false)]
    #[case("*parser*", "mend the parser now", true)]
    #[case("?.1", "7.1", true)]
    #[case("?.1", "77.1", false)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*b*c", "a-b-b", false)]
    #[case("", "x", false)]
    fn globs(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Pattern(pattern.to_owned()).matches(text), expected);
    }
}
