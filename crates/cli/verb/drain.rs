//! `turno drain`: works on the backlog until it is empty, the time is up, or the budget is.

use std::process::ExitCode;

use chrono::{DateTime, Days, Local, NaiveDateTime, NaiveTime};
use turno_core::shift::Scope;
use turno_core::units::Timestamp;

use super::run::{Aim, Wanted, prepare, shift};
use crate::args::Drain;
use crate::failure::Failure;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Drain) -> Result<ExitCode, Failure> {
    let (config, show) = prepare(scene, &verb.shift, Some("drain"))?;
    let until = match &verb.until {
        Some(text) => Some(time(text, Local::now())?),
        None => None,
    };
    let work = Wanted {
        issues: Vec::new(),
        scope: Scope::Backlog {
            at_most: verb.max_issues,
            until,
        },
        aim: Aim::Work,
    };
    shift(scene, config, work, show).await
}

/// A time of day is the next one; a date and time stands for itself.
pub(super) fn time(text: &str, now: DateTime<Local>) -> Result<Timestamp, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "--until: `{text}` is no time; write HH:MM, or a date and time like 2026-11-22T07:00:00+01:00"
        ))
    };
    let at = if let Ok(clock) = NaiveTime::parse_from_str(text, "%H:%M") {
        let today = now.date_naive().and_time(clock);
        let on = |day: NaiveDateTime| day.and_local_timezone(Local).earliest();
        match on(today) {
            Some(at) if at > now => at,
            Some(_) | None => today
                .checked_add_days(Days::new(1))
                .and_then(on)
                .ok_or_else(wrong)?,
        }
    } else {
        DateTime::parse_from_rfc3339(text)
            .map_err(|_| wrong())?
            .with_timezone(&Local)
    };
    if at <= now {
        return Err(Failure::usage(format!("--until: {text} is over")));
    }
    Ok(Timestamp(at.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let now = Local.with_ymd_and_hms(2026, 11, 21, 23, 0, 0).unwrap();
        let at = |h, d| {
            Timestamp(
                Local
                    .with_ymd_and_hms(2026, 11, d, h, 0, 0)
                    .unwrap()
                    .timestamp_millis(),
            )
        };
        assert_eq!(time("07:00", now).unwrap(), at(7, 22));
        assert_eq!(time("23:30", now).unwrap().0, at(23, 21).0 + 1_800_000);
        assert_eq!(time("23:00", now).unwrap(), at(23, 22));
        assert!(time("7 o'clock", now).is_err());
        assert!(time("2020-01-01T00:00:00Z", now).is_err());
    }
}
