//! Owns the merge: reads TOML files key by key, lays one over the other and remembers for each key where its
//! value came from. It knows names, not meanings; those are in `file.rs` and `validate.rs`.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::config::error::{Error, Meant, Place};
use crate::config::schema::{Meaning, Schema};
use crate::config::source::{Source, TextFile};

/// Where each key's value came from, by its path with dots.
pub type Sources = BTreeMap<String, Source>;

/// Layers laid over each other.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    schema: Schema,
    merged: Table,
    sources: BTreeMap<Vec<String>, Source>,
    order: Vec<Vec<String>>,
}

impl Layers {
    pub(super) fn new(schema: Schema) -> Self {
        Self {
            schema,
            merged: Table::new(),
            sources: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// Lays a file over what there is.
    pub(super) fn add_file(&mut self, file: &TextFile) -> Result<(), Error> {
        let not_toml = |e: &toml::de::Error| Error::Toml {
            place: Place {
                file: file.name.clone(),
                line: e.span().map_or(0, |s| file.line_of(s.start)),
            },
            why: e.message().trim().replace('\n', ", "),
        };
        let spans = DeTable::parse(&file.text).map_err(|e| not_toml(&e))?;
        let values: Table = file.text.parse().map_err(|e| not_toml(&e))?;
        self.add_table(file, &mut Vec::new(), spans.get_ref(), &values)
    }

    fn add_table(
        &mut self,
        file: &TextFile,
        path: &mut Vec<String>,
        spans: &DeTable<'_>,
        values: &Table,
    ) -> Result<(), Error> {
        let mut keys: Vec<_> = spans.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        for (key, span) in keys {
            let name = key.get_ref().as_ref();
            let from = file.at(file.line_of(key.span().start));
            let Some(value) = values.get(name) else { continue };
            path.push(name.to_owned());
            self.add(file, path, from, span, value)?;
            path.pop();
        }
        Ok(())
    }

    fn add(
        &mut self,
        file: &TextFile,
        path: &mut Vec<String>,
        from: Source,
        span: &Spanned<DeValue<'_>>,
        value: &Value,
    ) -> Result<(), Error> {
        match (self.schema.meaning(path), span.get_ref(), value) {
            (Meaning::Value, _, _) => {
                self.set(path, value.clone(), from);
                Ok(())
            }
            (Meaning::Table, DeValue::Table(spans), Value::Table(values)) => {
                self.open(path, from);
                self.add_table(file, path, spans, values)
            }
            (Meaning::Table, _, _) => Err(Error::NotATable {
                key: shown(path),
                from,
                keys: self.schema.names_in(path),
            }),
            (Meaning::Unknown, _, _) => {
                let (name, table) = path.split_last().map_or(("", &[][..]), |(n, t)| (n.as_str(), t));
                Err(Error::UnknownKey {
                    key: shown(path),
                    from,
                    meant: Meant::among(name, self.schema.names_in(table)),
                })
            }
        }
    }

    /// Sets one value.
    pub(super) fn set(&mut self, path: &[String], value: Value, from: Source) {
        let Some((name, tables)) = path.split_last() else {
            return;
        };
        if let Some(table) = self.table(tables) {
            table.insert(name.clone(), value);
            self.remember(path, from);
        }
    }

    fn open(&mut self, path: &[String], from: Source) {
        if self.table(path).is_some() {
            self.remember(path, from);
        }
    }

    fn remember(&mut self, path: &[String], from: Source) {
        if self.sources.insert(path.to_vec(), from).is_none() {
            self.order.push(path.to_vec());
        }
    }

    fn table(&mut self, path: &[String]) -> Option<&mut Table> {
        let mut table = &mut self.merged;
        for name in path {
            let next = table
                .entry(name.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            table = next.as_table_mut()?;
        }
        Some(table)
    }

    /// The names in a table, in the order they were first written.
    pub(super) fn names_in_order(&self, table: &[&str]) -> Vec<&str> {
        let depth = table.len();
        self.order
            .iter()
            .filter(|path| path.len() == depth + 1 && path.iter().zip(table).all(|(a, b)| a == b))
            .filter_map(|path| path.last().map(String::as_str))
            .collect()
    }

    /// Where the value at a path came from, or the nearest table around it.
    pub(super) fn source(&self, path: &[&str]) -> Source {
        let mut path: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
        loop {
            if let Some(source) = self.sources.get(&path) {
                return source.clone();
            }
            if path.pop().is_none() {
                return Source::Default;
            }
        }
    }

    /// An error about the value at a path.
    pub(super) fn wrong(&self, path: &[&str], why: impl Into<String>) -> Error {
        let owned: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
        let from = self.source(path);
        let (key, why) = (shown(&owned), why.into());
        let mut value = None;
        let mut table = Some(&self.merged);
        for name in path {
            value = table.and_then(|t| t.get(*name));
            table = value.and_then(Value::as_table);
        }
        match value {
            Some(value) if !value.is_table() => Error::Value {
                key,
                value: value.to_string(),
                from,
                why,
            },
            Some(_) | None => Error::Table { key, from, why },
        }
    }

    /// Everything as a type.
    pub(super) fn typed<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_path_to_error::deserialize(Value::Table(self.merged.clone())).map_err(|e| {
            use serde_path_to_error::Segment;
            let mut path = Vec::new();
            for segment in e.path().iter() {
                match segment {
                    Segment::Map { key } => path.push(key.as_str()),
                    Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => break,
                }
            }
            let words = e.inner().message().trim();
            let why = unknown_word(words).unwrap_or_else(|| words.to_owned());
            self.wrong(&path, why)
        })
    }

    /// Every value with its path and where it came from, in the order of their names.
    pub(super) fn values(&self) -> impl Iterator<Item = (&[String], &Value, &Source)> {
        self.sources.iter().filter_map(|(path, source)| {
            let (first, rest) = path.split_first()?;
            let mut value = self.merged.get(first)?;
            for name in rest {
                value = value.as_table()?.get(name)?;
            }
            let is_value = self.schema.meaning(path) == Meaning::Value;
            is_value.then_some((path.as_slice(), value, source))
        })
    }

    /// Where everything came from, for people.
    pub(super) fn sources(&self) -> Sources {
        self.sources
            .iter()
            .map(|(path, source)| (shown(path), source.clone()))
            .collect()
    }
}

/// Says of a word that is none of those that may stand in a place which one was probably meant. The list of them is
/// only in the reader's words; others are left as they are.
fn unknown_word(words: &str) -> Option<String> {
    let mut quoted = words
        .strip_prefix("unknown variant ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let given = quoted.next()?;
    let meant = Meant::among(given, quoted);
    Some(format!("`{given}` is not known here; {meant}"))
}

/// A path as it is written in TOML.
pub(super) fn shown(path: &[String]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let parts = path.iter().map(|p| {
        if !p.is_empty() && p.chars().all(bare) {
            p.clone()
        } else {
            Value::String(p.clone()).to_string()
        }
    });
    parts.collect::<Vec<_>>().join(".")
}
