//! Owns the `[disk]` table of `turno.toml`: its shape and what it means.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use turno_core::room::Bytes;
use turno_core::units::Span;

use crate::room::Floor;

/// The room below which nothing is started, and how long it is waited for.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiskFile {
    free: Space,
    files: Files,
    pub(super) wait: Span,
}

impl DiskFile {
    pub(super) fn floor(&self) -> Floor {
        Floor {
            free: self.free.0,
            files: self.files.0,
        }
    }
}

/// Bytes, as a number or like `2GiB`.
#[derive(Debug, Clone, Copy)]
struct Space(Bytes);

impl<'de> Deserialize<'de> for Space {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = Space;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, like \"500MiB\" or \"2GiB\", or 0 for no floor")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Space, E> {
                self.visit_str(&v.to_string())
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Space, E> {
                v.parse().map(Space).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Size)
    }
}

/// A number of files.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(transparent)]
struct Files(u64);
