//! Owns the room that there is on the disks Turno writes to, as it was last seen. Whether something is started without
//! it is decided in `step/rooms.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;
use crate::units::Timestamp;

/// A number of bytes. Written by people as `500MiB` or `2GiB`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// The units, the largest first, each with its power of two.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, power) in UNITS {
            let one = 1u64 << power;
            if self.0 >= one {
                let tenths = (self.0 % one).saturating_mul(10) >> power;
                let whole = self.0 >> power;
                return match tenths {
                    0 => write!(f, "{whole} {unit}"),
                    _ => write!(f, "{whole}.{tenths} {unit}"),
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

impl FromStr for Bytes {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "number of bytes",
            rule: "a whole number with a unit is expected, like 500MiB or 2GiB",
        };
        let known = UNITS.iter().find_map(|(unit, power)| {
            let number = text.strip_suffix(unit)?;
            Some((number.trim_end(), 1u64 << power))
        });
        let (number, factor) = known.unwrap_or((text, 1));
        let number: u64 = number.parse().map_err(|_| invalid())?;
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }
}

/// What a disk has too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// Space.
    Space {
        /// So much is free.
        free: Bytes,
        /// Below this nothing is started.
        floor: Bytes,
    },
    /// Room for further files.
    Files {
        /// So many may still be made.
        free: u64,
        /// Below this nothing is started.
        floor: u64,
    },
}

/// A disk with too little room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tight {
    /// A directory on it that Turno writes to, for people.
    pub at: String,
    /// What there is too little of.
    pub lack: Lack,
}

impl Tight {
    /// Whether it is the same disk with too little of the same.
    pub fn is_about(&self, other: &Self) -> bool {
        let kind = |tight: &Self| matches!(tight.lack, Lack::Space { .. });
        self.at == other.at && kind(self) == kind(other)
    }

    /// In words, without what to do.
    pub fn phrase(&self) -> String {
        match self.lack {
            Lack::Space { free, floor } => {
                format!(
                    "the disk of {} has {free} free, and {floor} is the floor",
                    self.at
                )
            }
            Lack::Files { free, floor } => format!(
                "the disk of {} has room for {free} more files, and {floor} is the floor",
                self.at
            ),
        }
    }
}

/// What a look at the disks has shown, in words.
pub fn seen_phrase(tight: &[Tight]) -> String {
    match tight.first() {
        None => "there is room on the disks again".to_owned(),
        Some(first) => format!("nothing is started: {}", first.phrase()),
    }
}

/// What to do about it.
pub const MAKE_ROOM: &str =
    "free some space there, e.g. with `turno gc --yes`, or set another floor in turno.toml under [disk]";

/// The room there was when it was last looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Room {
    /// Enough, or nobody has looked yet.
    #[default]
    Enough,
    /// Too little.
    Short {
        /// Since when, as far as the present shift knows.
        since: Timestamp,
        /// Where first.
        first: Tight,
        /// Where else.
        others: Vec<Tight>,
    },
}

impl Room {
    /// The disks with too little.
    pub fn tight(&self) -> impl Iterator<Item = &Tight> {
        let (first, others) = match self {
            Self::Enough => (None, &[][..]),
            Self::Short { first, others, .. } => (Some(first), &others[..]),
        };
        first.into_iter().chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_are_read_and_shown() {
        let read = |text: &str| text.parse::<Bytes>().map(|b| b.0);
        assert_eq!(read("2GiB"), Ok(2 << 30));
        assert_eq!(read("500 MiB"), Ok(500 << 20));
        assert_eq!(read("0"), Ok(0));
        for wrong in ["", "GiB", "1.5GiB", "-1", "2GB", "99999999TiB"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let shown = [0, 1023, 1024, 1536, 2 << 30, (2 << 40) + (1 << 39)].map(|n| Bytes(n).to_string());
        assert_eq!(shown, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "2 GiB", "2.5 TiB"]);
    }
}
