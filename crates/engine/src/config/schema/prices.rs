//! Owns the names of the keys of price lists, with one line of words each.

use super::{Schema, key};

/// The keys of a price list.
pub const PRICES: Schema = Schema(&[
    key("*.input", "US dollars for a million prompt tokens"),
    key("*.output", "US dollars for a million answer tokens"),
    key(
        "*.cache_read",
        "US dollars for a million prompt tokens read from cache",
    ),
    key(
        "*.cache_write",
        "US dollars for a million prompt tokens written to cache",
    ),
    key("*.as_of", "the day on which the price was written down"),
    key("*.source", "where the price is from"),
]);
