//! Owns timing and what is printed of it.

use std::time::{Duration, Instant};

/// What is asked of a ratio.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// At least so many times faster than the baseline.
    Faster(f64),
    /// At most so many times the baseline's time.
    AtMost(f64),
    /// Nothing; it is shown.
    Shown,
}

/// Whether the bounds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of them.
    Holds,
    /// Not all.
    Broken,
}

impl Verdict {
    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Holds { other } else { self }
    }
}

/// Times of the same work, taken in turn with those of a baseline.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    name: String,
    all: Vec<Duration>,
}

impl Times {
    /// None yet.
    pub(crate) fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            all: Vec::new(),
        }
    }

    /// Takes the time of one round.
    pub(crate) fn push(&mut self, time: Duration) {
        self.all.push(time);
    }

    /// The middle one.
    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.all.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    /// Prints the least and the middle time, per piece of work where a round has several.
    pub(crate) fn print(&self, pieces: u32) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(pieces);
        println!(
            "{:<44} min {:>10.3} ms   median {:>10.3} ms   ({} rounds)",
            self.name,
            ms(*self.all.iter().min().unwrap()),
            ms(self.median()),
            self.all.len()
        );
    }

    /// Prints the median of the ratios of rounds that ran in turn.
    pub(crate) fn against(&self, baseline: &Self, bound: Bound) -> Verdict {
        assert_eq!(self.all.len(), baseline.all.len(), "rounds come in pairs");
        let pairs = self.all.iter().zip(&baseline.all);
        let mut ratios: Vec<f64> = pairs.map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        let middle = ratios[ratios.len() / 2];
        let (first, last) = (ratios[0], ratios[ratios.len() - 1]);
        let words = if middle < 1.0 {
            format!("{:.1} times faster", 1.0 / middle)
        } else {
            format!("{middle:.2} times its time")
        };
        let (asked, verdict) = match bound {
            Bound::Faster(times) => (format!("bound {times} times faster"), Some(middle * times <= 1.0)),
            Bound::AtMost(times) => (format!("bound at most {times}"), Some(middle <= times)),
            Bound::Shown => ("no bound".to_owned(), None),
        };
        let (holds, verdict) = match verdict {
            Some(true) => (" \u{2014} holds", Verdict::Holds),
            Some(false) => (" \u{2014} BROKEN", Verdict::Broken),
            None => ("", Verdict::Holds),
        };
        println!(
            "{} / {}: {middle:.3} ({words}; {first:.3} to {last:.3}), {asked}{holds}",
            self.name, baseline.name
        );
        verdict
    }
}

/// How long some work takes.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

/// Lets the disk come to rest, so that nobody pays for what was written before.
pub(crate) fn settle() {
    nix::unistd::sync();
}
