//! Owns the doors to inner parsers, for fuzz targets and nobody else. Each calls what the product calls, and adds
//! nothing to it.

use std::path::Path;

use turno_core::guard::Guarded;
use turno_core::record::Record;

use crate::change::{added_lines, bounded, paths, weakened, whole};
use crate::store;

/// All that is found in the change of one file, by its name and by what it says.
pub fn change(file: &str, before: &[u8], now: &[u8]) -> Vec<Guarded> {
    let mut found: Vec<Guarded> = paths::groups(file)
        .into_iter()
        .map(|(kind, what)| whole(kind, file, what))
        .collect();
    found.extend(added_lines(file, before, now));
    found.extend(weakened(file, before, now));
    bounded(found)
}

/// Why a link of that path may not lead to that target.
pub fn leads_out(path: &str, target: &[u8]) -> Option<&'static str> {
    paths::leads_out(path, target)
}

/// All records of the journal in a directory.
///
/// # Errors
/// When it cannot be read.
pub fn records(dir: &Path) -> Result<Vec<Record>, store::Error> {
    store::records(dir)
}
