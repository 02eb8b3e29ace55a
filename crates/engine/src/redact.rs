//! Owns redaction: whatever is written down passes here first, and secrets do not. A secret is known by its value,
//! in all of its forms, or by its shape. It must not know where secrets come from or what is written.

mod forms;
pub(crate) mod shapes;
mod stream;

use std::borrow::Cow;
use std::io::{Error, ErrorKind, Read, Write};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::secret::Secret;

pub use stream::Redactor;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";
/// Values that come through a pipe are at most so long together.
const PIPE_CAP: u32 = 1 << 20;

/// What is not written down.
pub struct Redaction {
    secrets: Vec<Secret>,
    /// Every form of every secret, none longer than the one before it in meaning: any may be found.
    forms: Vec<Vec<u8>>,
    values: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redaction of {} values", self.secrets.len())
    }
}

/// Shapes alone.
impl Default for Redaction {
    fn default() -> Self {
        Self::of([])
    }
}

/// A record whose names are taken for secrets: without them it is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value of a secret is also a name that Turno needs ({0}); use another value, or do not give it as a secret"
)]
pub struct Unfit(String);

impl Redaction {
    /// By these values, and by shape. Values of fewer than 8 bytes are not looked for: they may stand anywhere.
    pub fn of(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> = secrets
            .into_iter()
            .filter(|s| s.reveal().len() >= forms::SHORTEST)
            .collect();
        secrets.sort();
        secrets.dedup();
        let mut forms: Vec<Vec<u8>> = secrets.iter().flat_map(|s| forms::of(s.reveal())).collect();
        forms.sort();
        forms.dedup();
        let values = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
            .ok()
            .filter(|_| !forms.is_empty());
        Self {
            secrets,
            forms,
            values,
        }
    }

    /// A text without secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Bytes without secrets.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(bytes);
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for span in spans {
            clean.extend_from_slice(bytes.get(done..span.start).unwrap_or_default());
            clean.extend_from_slice(REDACTED.as_bytes());
            done = span.end;
        }
        clean.extend_from_slice(bytes.get(done..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// A record without secrets in any of its texts.
    ///
    /// # Errors
    /// When it is no such record without them.
    pub fn record<T: Serialize + DeserializeOwned>(&self, record: T) -> Result<T, Unfit> {
        let unfit = |e: serde_json::Error| Unfit(self.text(&e.to_string()).into_owned());
        let mut value = serde_json::to_value(&record).map_err(unfit)?;
        match self.clean(&mut value) {
            Found::Nothing => Ok(record),
            Found::Secrets => serde_json::from_value(value).map_err(unfit),
        }
    }

    /// Takes secrets out of what comes piece by piece.
    pub fn stream(self: &std::sync::Arc<Self>) -> Redactor {
        Redactor::new(std::sync::Arc::clone(self))
    }

    /// Hands the values to another process of Turno's through a pipe: a length in four bytes, then the values.
    ///
    /// # Errors
    /// When the pipe cannot be written, or they are too many.
    pub fn write_to(&self, pipe: &mut impl Write) -> std::io::Result<()> {
        pipe.write_all(&self.frame()?)?;
        pipe.flush()
    }

    /// The bytes that [`Redaction::write_to`] writes.
    ///
    /// # Errors
    /// When the values are too many.
    pub fn frame(&self) -> std::io::Result<Vec<u8>> {
        let values: Vec<&str> = self.secrets.iter().map(Secret::reveal).collect();
        let text = serde_json::to_vec(&values)?;
        let length = u32::try_from(text.len())
            .ok()
            .filter(|length| *length <= PIPE_CAP)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the secrets of a shift are too long"))?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&text);
        Ok(frame)
    }

    /// What was handed over. Not a byte more is taken from the pipe.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn read_from(pipe: &mut impl Read) -> std::io::Result<Self> {
        let mut length = [0; 4];
        pipe.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > PIPE_CAP {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "these are no values of secrets",
            ));
        }
        let mut text = Vec::new();
        pipe.take(u64::from(length)).read_to_end(&mut text)?;
        if text.len() != usize::try_from(length).unwrap_or(usize::MAX) {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the values of secrets broke off",
            ));
        }
        // The words of the error could repeat what was read.
        let values: Vec<String> = serde_json::from_slice(&text)
            .map_err(|_| Error::new(ErrorKind::InvalidData, "these are no values of secrets"))?;
        Ok(Self::of(values.into_iter().map(Secret::new)))
    }

    /// Where secrets lie, in order and apart from each other.
    fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let values = self.values.iter().flat_map(|values| values.find_iter(bytes));
        let mut spans: Vec<Range<usize>> = values
            .map(|found| found.range())
            .chain(shapes::spans(bytes))
            .collect();
        spans.sort_by_key(|span| (span.start, span.end));
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        for span in spans {
            match apart.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                Some(_) | None => apart.push(span),
            }
        }
        apart
    }

    fn clean(&self, value: &mut Value) -> Found {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Found::Nothing,
            Value::String(text) => match self.text(text) {
                Cow::Borrowed(_) => Found::Nothing,
                Cow::Owned(clean) => {
                    *text = clean;
                    Found::Secrets
                }
            },
            Value::Array(values) => values
                .iter_mut()
                .fold(Found::Nothing, |found, value| found.or(self.clean(value))),
            Value::Object(values) => {
                let mut found = Found::Nothing;
                for (name, mut value) in std::mem::take(values) {
                    found = found.or(self.clean(&mut value));
                    let clean = self.text(&name).into_owned();
                    if clean != name {
                        found = Found::Secrets;
                    }
                    values.insert(clean, value);
                }
                found
            }
        }
    }
}

/// Whether something was taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Secrets,
}

impl Found {
    fn or(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            Self::Secrets => self,
        }
    }
}

#[cfg(test)]
mod tests;
