//! Owns when a target is told: its quiet hours, the pause between two messages, and the wait after a failure. It has no
//! clock and no time zone: both are given.

use std::fmt;
use std::str::FromStr;

use crate::ids::InvalidId;
use crate::units::{Span, Timestamp};

const DAY: u16 = 24 * 60;

/// A minute of the day where the person is, from 0 to 1439.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u16);

impl Minute {
    /// That of an hour and a minute; what is beyond a day begins it again.
    pub fn of(hour: u32, minute: u32) -> Self {
        let of_day = (hour * 60 + minute) % u32::from(DAY);
        Self(u16::try_from(of_day).unwrap_or(0))
    }
}

/// Hours of each day in which a target is told nothing. Written `22:00-07:00`; the end is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: Minute,
    to: Minute,
}

impl Quiet {
    /// How long it still lasts at a time of the day; `None` where it is not quiet.
    pub fn left(self, at: Minute) -> Option<Span> {
        let after = |n: u16, from: u16| (n + DAY - from) % DAY;
        let (length, into) = (after(self.to.0, self.from.0), after(at.0, self.from.0));
        (into < length).then(|| Span::seconds(u64::from(length - into) * 60))
    }
}

impl FromStr for Quiet {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "span of the day",
            rule: "two times of the day are expected, like 22:00-07:00",
        };
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let number = |t: &str, most: u32| {
                let digits = matches!(t.len(), 1 | 2) && t.bytes().all(|b| b.is_ascii_digit());
                t.parse::<u32>().ok().filter(|n| digits && *n < most)
            };
            Some(Minute::of(number(hour, 24)?, number(minute, 60)?))
        };
        let (from, to) = text.split_once('-').ok_or_else(invalid)?;
        let (from, to) = minute(from).zip(minute(to)).ok_or_else(invalid)?;
        if from == to {
            // Either no time at all or all of it: nobody can tell which was meant.
            return Err(invalid());
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |m: Minute| format!("{:02}:{:02}", m.0 / 60, m.0 % 60);
        write!(f, "{}-{}", of(self.from), of(self.to))
    }
}

/// Whether more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It may: messages keep their distance.
    Open,
    /// Nobody is left who could tell later: what there is is told, unless it is quiet.
    Last,
}

/// When a message may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// Not before so long.
    In(Span),
    /// Not before the quiet hours are over, in so long.
    Quiet(Span),
}

/// When a target was told, and how often in a row it could not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    quiet: Option<Quiet>,
    every: Span,
    last: Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Never,
    Told(Timestamp),
    Failed { at: Timestamp, times: u32, wait: Span },
}

/// The wait after the first failure; doubled for each further one.
const FIRST: Span = Span(1000);
/// No wait after a failure is longer, unless the target asks for it.
const LONGEST: Span = Span(5 * 60_000);

impl Pace {
    /// That of a target which has never been told anything.
    pub fn new(quiet: Option<Quiet>, every: Span) -> Self {
        Self {
            quiet,
            every,
            last: Last::Never,
        }
    }

    /// It was told.
    pub fn told(&mut self, at: Timestamp) {
        self.last = Last::Told(at);
    }

    /// It could not be told, and may have asked to be left alone for a time.
    pub fn failed(&mut self, at: Timestamp, asked: Option<Span>) {
        let before = self.failures();
        let doubled = FIRST.0.saturating_mul(1 << before.min(16)).min(LONGEST.0);
        let wait = Span(doubled.max(asked.map_or(0, |s| s.0)));
        let times = before.saturating_add(1);
        self.last = Last::Failed { at, times, wait };
    }

    /// How often in a row it could not be told.
    pub fn failures(&self) -> u32 {
        match self.last {
            Last::Failed { times, .. } => times,
            Last::Never | Last::Told(_) => 0,
        }
    }

    /// When it may be told next.
    pub fn due(&self, now: Timestamp, local: Minute, stage: Stage) -> Due {
        if let Some(left) = self.quiet.and_then(|q| q.left(local)) {
            return Due::Quiet(left);
        }
        let (since, wait) = match (self.last, stage) {
            (Last::Never, _) | (Last::Told(_), Stage::Last) => return Due::Now,
            (Last::Told(at), Stage::Open) => (at, self.every),
            (Last::Failed { at, wait, .. }, Stage::Open) => (at, wait),
            // There is little time left, so it is tried more often.
            (Last::Failed { at, wait, .. }, Stage::Last) => (at, wait.min(FIRST)),
        };
        // A clock that was put back makes nobody wait longer.
        let left = wait.0.saturating_sub(now.since(since).0);
        if left == 0 || now < since {
            Due::Now
        } else {
            Due::In(Span(left))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Minute {
        let (h, m) = text.split_once(':').unwrap();
        Minute::of(h.parse().unwrap(), m.parse().unwrap())
    }

    #[test]
    fn quiet_hours_go_over_midnight_and_end_on_the_minute() {
        let night: Quiet = "22:00-07:00".parse().unwrap();
        let left = |q: Quiet, t: &str| q.left(at(t)).map(|s| s.0 / 60_000);
        assert_eq!(left(night, "21:59"), None);
        assert_eq!(left(night, "22:00"), Some(540));
        assert_eq!(left(night, "00:30"), Some(390));
        assert_eq!(left(night, "06:59"), Some(1));
        assert_eq!(left(night, "07:00"), None);
        let noon: Quiet = "12:00-13:30".parse().unwrap();
        assert_eq!(left(noon, "12:45"), Some(45));
        assert_eq!(left(noon, "23:00"), None);
        assert_eq!(noon.to_string(), "12:00-13:30");
    }

    #[test]
    fn other_texts_are_no_quiet_hours() {
        for wrong in [
            "",
            "22:00",
            "22-07",
            "24:00-07:00",
            "22:60-07:00",
            "7:00-7:00",
            "+1:00-2:00",
            "a:b-c:d",
        ] {
            assert!(wrong.parse::<Quiet>().is_err(), "{wrong}");
        }
        assert_eq!("9:05-17:00".parse::<Quiet>().unwrap().to_string(), "09:05-17:00");
    }

    #[test]
    fn messages_keep_their_distance_and_a_failure_is_waited_after() {
        let mut pace = Pace::new(None, Span::seconds(60));
        let noon = at("12:00");
        let due = |p: &Pace, ms, stage| p.due(Timestamp(ms), noon, stage);
        assert_eq!(due(&pace, 0, Stage::Open), Due::Now);
        pace.told(Timestamp(1000));
        assert_eq!(due(&pace, 2000, Stage::Open), Due::In(Span(59_000)));
        assert_eq!(due(&pace, 61_000, Stage::Open), Due::Now);
        assert_eq!(due(&pace, 2000, Stage::Last), Due::Now, "nobody tells it later");
        assert_eq!(due(&pace, 0, Stage::Open), Due::Now, "the clock was put back");
        pace.failed(Timestamp(0), None);
        assert_eq!(due(&pace, 0, Stage::Open), Due::In(Span(1000)));
        pace.failed(Timestamp(0), None);
        pace.failed(Timestamp(0), None);
        assert_eq!(due(&pace, 0, Stage::Open), Due::In(Span(4000)));
        assert_eq!(due(&pace, 0, Stage::Last), Due::In(Span(1000)));
        pace.failed(Timestamp(0), Some(Span::seconds(60)));
        assert_eq!(due(&pace, 0, Stage::Open), Due::In(Span(60_000)), "as it asked");
        for _ in 0..40 {
            pace.failed(Timestamp(0), None);
        }
        assert_eq!(due(&pace, 0, Stage::Open), Due::In(LONGEST));
        pace.told(Timestamp(0));
        assert_eq!(pace.failures(), 0);
    }

    #[test]
    fn nothing_is_told_while_it_is_quiet_not_even_the_last() {
        let pace = Pace::new(Some("22:00-07:00".parse().unwrap()), Span(0));
        let quiet = Due::Quiet(Span::seconds(3600));
        assert_eq!(pace.due(Timestamp(0), at("06:00"), Stage::Open), quiet);
        assert_eq!(pace.due(Timestamp(0), at("06:00"), Stage::Last), quiet);
        assert_eq!(pace.due(Timestamp(0), at("07:00"), Stage::Last), Due::Now);
    }
}
