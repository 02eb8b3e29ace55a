//! Owns the levels of the ledger and their text form. A level always carries the id of what it limits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentName, InvalidId, IssueId, ShiftId, TaskId};
use crate::ledger::Measure;
use crate::units::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// A day by UTC, as the number of days since 1970. The core has no time zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(pub i32);

impl Day {
    /// The day in which a point in time is.
    pub fn of(at: Timestamp) -> Self {
        Self(i32::try_from(at.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX))
    }

    /// Year, month and day of the month, by the Gregorian calendar.
    fn civil(self) -> (i64, i64, i64) {
        // Counted from 1 March of the year 0, a leap day is the last of its year, and 400 years are 146,097 days.
        let days = i64::from(self.0) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        (year + era * 400 + next, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "day",
            rule: "YEAR-MONTH-DAY is expected, like 2026-03-31",
        };
        let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(invalid);
        let (year, month, day) = (next()?, next()?, next()?);
        if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(invalid());
        }
        let march = if month > 2 { year } else { year - 1 };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let era = march.div_euclid(400);
        let of_era = march.rem_euclid(400);
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        let found = Self(i32::try_from(days).map_err(|_| invalid())?);
        // A 31 April would be a day in May.
        if found.civil() == (year, month, day) {
            Ok(found)
        } else {
            Err(invalid())
        }
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

/// What a limit is for. Ordered from the widest. An attempt belongs whole to one of each; its day is
/// that on which it began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Level {
    /// Every shift of one day.
    Day(Day),
    /// One shift.
    Shift(ShiftId),
    /// One issue, its own task among its tasks.
    Issue(IssueId),
    /// One task, over all its attempts.
    Task(TaskId),
    /// One agent's account on one day.
    Agent {
        /// Whose.
        agent: AgentName,
        /// When.
        day: Day,
    },
}

impl Level {
    /// Its name for people, with an article where it needs one.
    pub fn phrase(&self) -> String {
        match self {
            Self::Task(id) => format!("task {id}"),
            Self::Issue(id) => format!("issue {id}"),
            Self::Shift(id) => format!("shift {id}"),
            Self::Day(day) => format!("the day {day}"),
            Self::Agent { agent, day } => format!("agent {agent} on {day}"),
        }
    }
}

impl Level {
    /// What a person types to let it use more of a measure.
    pub fn raise(&self, measure: Measure) -> String {
        let whose = match self {
            Self::Task(id) => format!("task {id}"),
            Self::Issue(id) => format!("issue {id}"),
            Self::Shift(id) => format!("shift {id}"),
            Self::Day(day) => format!("day {day}"),
            Self::Agent { agent, .. } => format!("agent {agent}"),
        };
        format!("turno budget set {whose} {}", measure.flag())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(id) => write!(f, "task/{id}"),
            Self::Issue(id) => write!(f, "issue/{id}"),
            Self::Shift(id) => write!(f, "shift/{id}"),
            Self::Day(day) => write!(f, "day/{day}"),
            Self::Agent { agent, day } => write!(f, "agent/{agent}/{day}"),
        }
    }
}

impl FromStr for Level {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split_once('/') {
            Some(("task", id)) => Ok(Self::Task(id.parse()?)),
            Some(("issue", id)) => Ok(Self::Issue(id.parse()?)),
            Some(("shift", id)) => Ok(Self::Shift(id.parse()?)),
            Some(("day", day)) => Ok(Self::Day(day.parse()?)),
            Some(("agent", rest)) => {
                let (agent, day) = rest.split_once('/').ok_or_else(|| invalid(text))?;
                Ok(Self::Agent {
                    agent: agent.parse()?,
                    day: day.parse()?,
                })
            }
            Some(_) | None => Err(invalid(text)),
        }
    }
}

fn invalid(text: &str) -> InvalidId {
    InvalidId {
        text: text.to_owned(),
        kind: "level of the ledger",
        rule: "KIND/ID is expected, like task/7.2 or day/2026-03-31",
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.to_string()
    }
}

impl TryFrom<String> for Level {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "1970-01-01")]
    #[case(-1, "1969-12-31")]
    #[case(19_782, "2024-02-29")]
    #[case(20_513, "2026-03-01")]
    fn a_day_has_a_date(#[case] n: i32, #[case] date: &str) {
        assert_eq!(Day(n).to_string(), date);
        assert_eq!(date.parse(), Ok(Day(n)));
    }

    #[rstest]
    #[case("2026-02-29")]
    #[case("2026-13-01")]
    #[case("today")]
    fn what_is_no_day_is_refused(#[case] text: &str) {
        assert!(text.parse::<Day>().is_err());
    }

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let midnight = 20_513 * DAY_MS;
        assert_eq!(Day::of(Timestamp(midnight - 1)), Day(20_512));
        assert_eq!(Day::of(Timestamp(midnight)), Day(20_513));
    }

    #[rstest]
    #[case("task/7.2")]
    #[case("issue/7")]
    #[case("shift/S3")]
    #[case("day/2026-03-31")]
    #[case("agent/claude/2026-03-31")]
    fn levels_survive_a_round_trip(#[case] text: &str) {
        let level: Level = text.parse().unwrap();
        assert_eq!(level.to_string(), text);
    }

    #[rstest]
    #[case("attempt/3")]
    #[case("agent/claude")]
    #[case("task/x")]
    fn what_is_no_level_is_refused(#[case] text: &str) {
        assert!(text.parse::<Level>().is_err());
    }
}
