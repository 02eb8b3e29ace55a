//! Owns the two pictures of a shift, a plot of money over time and a Gantt chart of slots, with plain inputs: whoever
//! knows of money and of work over time can have them drawn, as lines of text or as SVG. It must not know where the
//! numbers come from.

pub(crate) mod svg;
pub(crate) mod text;

use turno_core::units::{MicroUsd, Span, Timestamp};
use turno_core::view::StageName;

use crate::print;

/// How the times on an axis are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// As times of day.
    OfDay,
    /// As the time that has gone by since the beginning, which is [`Timestamp`] zero.
    SinceStart,
}

/// Money over time, against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plot {
    pub(crate) clock: Clock,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The sum from each time on, in order.
    pub(crate) points: Vec<(Timestamp, MicroUsd)>,
    /// All that may be spent, from each time on, in order.
    pub(crate) limits: Vec<(Timestamp, MicroUsd)>,
}

/// What a bar stands for. Each has its own colour and its own letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paint {
    Plan,
    Write,
    Check,
    Test,
    Review,
    Land,
}

impl Paint {
    pub(crate) const ALL: [Self; 6] = [
        Self::Plan,
        Self::Write,
        Self::Check,
        Self::Test,
        Self::Review,
        Self::Land,
    ];

    /// What is done in a stage.
    pub(crate) fn of(stage: StageName) -> Self {
        match stage {
            StageName::Planning | StageName::Accepting => Self::Plan,
            StageName::Checking | StageName::Surveying => Self::Check,
            StageName::Testing | StageName::Trying => Self::Test,
            StageName::Reviewing | StageName::Comparing => Self::Review,
            StageName::Landing | StageName::Following => Self::Land,
            StageName::Writing
            | StageName::Blocked
            | StageName::Ready
            | StageName::Entered
            | StageName::Backoff
            | StageName::Parked
            | StageName::Accepted
            | StageName::Landed
            | StageName::Dropped => Self::Write,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan, accept",
            Self::Write => "write",
            Self::Check => "check",
            Self::Test => "test",
            Self::Review => "review",
            Self::Land => "land",
        }
    }

    /// Its class in SVG.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Plan => "k-plan",
            Self::Write => "k-write",
            Self::Check => "k-check",
            Self::Test => "k-test",
            Self::Review => "k-review",
            Self::Land => "k-land",
        }
    }

    /// Its letter in text.
    fn letter(self) -> char {
        match self {
            Self::Plan => 'P',
            Self::Write => 'W',
            Self::Check => 'C',
            Self::Test => 'T',
            Self::Review => 'R',
            Self::Land => 'L',
        }
    }
}

/// How what a bar stands for went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// Well, or it still goes on.
    Well,
    /// It said no, or did not do what it was for.
    Badly,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) paint: Paint,
    pub(crate) went: Went,
    /// A few characters to stand in it.
    pub(crate) label: String,
    /// What it is, in a sentence; may hold text from outside.
    pub(crate) title: String,
    /// When it waited for a person's answer.
    pub(crate) pauses: Vec<(Timestamp, Timestamp)>,
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) bars: Vec<Bar>,
}

/// Slots over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gantt {
    pub(crate) clock: Clock,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) rows: Vec<Row>,
    /// How many tasks waited for means, from each time on.
    pub(crate) queue: Vec<(Timestamp, u32)>,
}

impl Gantt {
    /// The kinds of work in it, in order.
    pub(crate) fn kinds(&self) -> Vec<Paint> {
        let used = |p: &Paint| self.rows.iter().flat_map(|r| &r.bars).any(|b| b.paint == *p);
        Paint::ALL.into_iter().filter(used).collect()
    }

    /// Whether anything did not go well.
    fn went_badly(&self) -> bool {
        self.rows
            .iter()
            .flat_map(|r| &r.bars)
            .any(|b| b.went == Went::Badly)
    }

    /// The most tasks that waited at once.
    pub(crate) fn longest_queue(&self) -> u32 {
        self.queue.iter().map(|q| q.1).max().unwrap_or(0)
    }
}

impl Plot {
    /// The highest limit that there was.
    fn limit(&self) -> MicroUsd {
        self.limits.iter().map(|l| l.1).max().unwrap_or_default()
    }

    /// The top of the scale. A limit far above what was spent would leave nothing to see.
    fn top(&self) -> MicroUsd {
        let most = self.points.iter().map(|p| p.1).max().unwrap_or_default();
        let limit = self.limit();
        let shown = if limit.0 <= most.0.saturating_mul(4) {
            most.max(limit)
        } else {
            most
        };
        MicroUsd(shown.0.max(10_000))
    }

    /// Whether the limits are within the scale.
    fn shows_limit(&self) -> bool {
        !self.limits.is_empty() && self.limit() <= self.top()
    }

    /// The limits in words: the one there was, or each with the time from which it held.
    fn limit_words(&self) -> String {
        let mut words = String::new();
        for (at, limit) in &self.limits {
            words.push_str(&match words.is_empty() {
                true => format!("budget {}", print::dollars(*limit)),
                false => format!(
                    ", {} from {}",
                    print::dollars(*limit),
                    tick_label(self.clock, *at, self.to.since(self.from))
                ),
            });
        }
        words
    }
}

/// Round steps for an axis that goes up to `top` dollars, at most `most` of them.
fn money_ticks(top: MicroUsd, most: u64) -> Vec<MicroUsd> {
    let mut step = 10_000;
    let factors = [1, 2, 5].into_iter().cycle();
    let mut decade = 10_000;
    for (count, factor) in factors.enumerate() {
        if count > 0 && count % 3 == 0 {
            decade *= 10;
        }
        step = decade * factor;
        if top.0 / step <= most {
            break;
        }
    }
    (0..=top.0 / step).map(|n| MicroUsd(n * step)).collect()
}

/// Round lengths of time, as axes are divided by.
const STEPS: [u64; 15] = [
    1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400,
];

/// Round times within a span, at most `most` of them.
fn time_ticks(from: Timestamp, to: Timestamp, most: u64) -> Vec<Timestamp> {
    let span = to.since(from).0.max(1);
    let step = STEPS.into_iter().map(|s| s * 1000).find(|s| span / s <= most);
    let step = i64::try_from(step.unwrap_or(span / most.max(1)))
        .unwrap_or(i64::MAX)
        .max(1);
    let first = from.0.saturating_add(step - 1).div_euclid(step) * step;
    (0..)
        .map(|n: i64| Timestamp(first + n * step))
        .take_while(|t| *t <= to)
        .collect()
}

/// A time on an axis that goes over `span`.
fn tick_label(clock: Clock, at: Timestamp, span: Span) -> String {
    match clock {
        Clock::OfDay if span.0 < 600_000 => print::clock(at),
        Clock::OfDay => print::clock(at).chars().take(5).collect(),
        Clock::SinceStart => print::elapsed(at.since(Timestamp(0))),
    }
}

/// Where a time lies between two others, in parts of `width`.
fn place(at: Timestamp, from: Timestamp, to: Timestamp, width: f64) -> f64 {
    let whole = to.since(from).0.max(1) as f64;
    let part = at.since(from).0 as f64;
    (part / whole).clamp(0.0, 1.0) * width
}

#[cfg(test)]
mod tests;
