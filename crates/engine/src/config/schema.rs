//! Owns what a set of keys is, and what a path stands for in one. Each kind of file has its keys in a file here: the
//! reader takes its nearest names from them, and a test holds the documentation against them. The types are in
//! `file.rs`.

mod policy;
mod prices;
mod settings;

pub use self::policy::POLICY;
pub use self::prices::PRICES;
pub use self::settings::SETTINGS;

/// A key that may be written. `*` in its path stands for a name of the writer's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its path, with dots.
    pub path: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
}

const fn key(path: &'static str, doc: &'static str) -> Key {
    Key { path, doc }
}

/// A set of keys.
#[derive(Debug, Clone, Copy)]
pub struct Schema(&'static [Key]);

/// What a path stands for in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A value.
    Value,
    /// A table with keys of its own.
    Table,
    /// Nothing.
    Unknown,
}

impl Schema {
    /// All keys, in the order people read them.
    pub fn keys(self) -> &'static [Key] {
        self.0
    }

    /// What stands at a path.
    pub(super) fn meaning(self, path: &[String]) -> Meaning {
        let mut meaning = Meaning::Unknown;
        for key in self.0 {
            let mut rest = key.path.split('.');
            if path
                .iter()
                .all(|p| rest.next().is_some_and(|k| k == "*" || k == p))
            {
                match rest.next() {
                    None => return Meaning::Value,
                    Some(_) => meaning = Meaning::Table,
                }
            }
        }
        meaning
    }

    /// The names that may be written in a table; empty where any name may be.
    pub(super) fn names_in(self, table: &[String]) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for key in self.0 {
            let mut rest = key.path.split('.');
            if table
                .iter()
                .all(|p| rest.next().is_some_and(|k| k == "*" || k == p))
                && let Some(name) = rest.next()
                && name != "*"
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }
}
