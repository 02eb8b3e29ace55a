//! Owns how quick the coordinator's loop is, as it measures itself: how long each turn took, and how long what had
//! happened waited for its turn. Nothing is decided by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The upper ends of the classes that times are counted in, in microseconds: each is twice the one before.
pub const BOUNDS: [u64; 18] = {
    let mut bounds = [0; 18];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = 100 << at;
        at += 1;
    }
    bounds
};

/// Times, counted in classes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How many there were in each class of [`BOUNDS`], and last those that were longer than all.
    pub counts: Vec<u64>,
    /// All of them together, in microseconds.
    pub micros: u64,
}

/// How quick the loop has been since the coordinator began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From when facts were taken until the commands that follow from them were given.
    pub turns: Times,
    /// From when something had happened, or was asked for, until it was taken.
    pub waits: Times,
}

#[derive(Debug, Default)]
struct Cells {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Cells {
    fn count(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(cell) = self.counts.get(class) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn told(&self) -> Times {
        Times {
            counts: self.counts.iter().map(|c| c.load(Ordering::Relaxed)).collect(),
            micros: self.micros.load(Ordering::Relaxed),
        }
    }
}

/// Counts, and is read by whoever asks. Cheap to copy; it never waits.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<(Cells, Cells)>);

impl Gauge {
    /// A turn is over that began then.
    pub(crate) fn turned(&self, began: Instant) {
        self.0.0.count(began.elapsed());
    }

    /// Something is taken that happened then.
    pub(crate) fn taken(&self, happened: Instant) {
        self.0.1.count(happened.elapsed());
    }

    /// What was counted so far.
    pub fn pace(&self) -> Pace {
        Pace {
            turns: self.0.0.told(),
            waits: self.0.1.told(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_its_class() {
        let cells = Cells::default();
        for micros in [0, 100, 101, 100 << 17, (100 << 17) + 1] {
            cells.count(Duration::from_micros(micros));
        }
        let told = cells.told();
        assert_eq!(told.counts.len(), BOUNDS.len() + 1);
        assert_eq!(told.counts.first(), Some(&2));
        assert_eq!(told.counts.get(1), Some(&1));
        assert_eq!(told.counts.get(17..), Some(&[1, 1][..]));
    }
}
