//! Owns what models cost: the embedded list, what a `turno.toml` adds to it, and which entry a model falls under.

use std::collections::BTreeMap;

use turno_core::units::Price;

use crate::config::error::Error;
use crate::config::file::PriceFile;
use crate::config::layer::Layers;
use crate::config::schema::PRICES;
use crate::config::source::TextFile;

/// The name of the entry for every model that has none.
pub const DEFAULT: &str = "default";

/// What models cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    models: BTreeMap<String, Price>,
    other: Price,
}

impl Prices {
    /// Reads a list.
    pub(super) fn read(file: &TextFile) -> Result<Self, Error> {
        let mut layers = Layers::new(PRICES);
        layers.add_file(file)?;
        let list: BTreeMap<String, PriceFile> = layers.typed()?;
        let mut models: BTreeMap<String, Price> = list.into_iter().map(|(m, p)| (m, p.price())).collect();
        let missing = || Error::Whole(format!("{}: an entry [{DEFAULT}] is missing", file.name));
        let other = models.remove(DEFAULT).ok_or_else(missing)?;
        Ok(Self { models, other })
    }

    /// Lays further prices over these.
    pub(super) fn add(&mut self, more: &BTreeMap<String, PriceFile>) {
        for (model, price) in more {
            if model == DEFAULT {
                self.other = price.price();
            } else {
                self.models.insert(model.clone(), price.price());
            }
        }
    }

    /// What a model costs: the entry with the longest name that the model's name begins with, else `default`.
    pub fn of(&self, model: &str) -> Price {
        let entries = self
            .models
            .iter()
            .filter(|(entry, _)| model.starts_with(entry.as_str()));
        entries
            .max_by_key(|(entry, _)| entry.len())
            .map_or(self.other, |(_, price)| *price)
    }

    /// All entries with `default` among them, for a dialect's job.
    pub fn list(&self) -> BTreeMap<String, Price> {
        let mut list = self.models.clone();
        list.insert(DEFAULT.to_owned(), self.other);
        list
    }
}
