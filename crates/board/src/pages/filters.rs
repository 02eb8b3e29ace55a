//! Owns the words that templates put numbers into: money, times, lengths of time, sizes. All are for people.

use chrono::{DateTime, Local};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tera::{Kwargs, State, Tera};

/// What stands for itself after the question mark of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("usd", |micros: u64, _: Kwargs, _: &State| dollars(micros));
    tera.register_filter("clock", |at: i64, _: Kwargs, _: &State| local(at, "%H:%M:%S"));
    tera.register_filter("moment", |at: i64, _: Kwargs, _: &State| {
        local(at, "%Y-%m-%d %H:%M")
    });
    tera.register_filter("lasting", |ms: u64, _: Kwargs, _: &State| lasting(ms));
    tera.register_filter("size", |bytes: u64, _: Kwargs, _: &State| size(bytes));
    tera.register_filter("count", |n: u64, _: Kwargs, _: &State| grouped(n));
    tera.register_filter("short", |id: &str, _: Kwargs, _: &State| {
        id.chars().take(10).collect::<String>()
    });
    tera.register_filter("query", |text: &str, _: Kwargs, _: &State| {
        utf8_percent_encode(text, PLAIN).to_string()
    });
    tera.register_filter("paint", |stage: &str, _: Kwargs, _: &State| paint(stage));
    tera.register_filter("tone", |stage: &str, _: Kwargs, _: &State| tone(stage));
    tera.register_filter("word", |word: &str, _: Kwargs, _: &State| word.replace('-', " "));
}

/// Money to the cent; a sum below half a cent that is not nothing is told so.
pub(super) fn dollars(micros: u64) -> String {
    let cents = micros.saturating_add(5_000) / 10_000;
    if cents == 0 && micros > 0 {
        return "<$0.01".to_owned();
    }
    format!("${}.{:02}", grouped(cents / 100), cents % 100)
}

/// A number with its thousands apart.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut told = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A time in milliseconds since 1970, where this machine is.
pub(super) fn local(at: i64, form: &str) -> String {
    DateTime::from_timestamp_millis(at).map_or_else(
        || at.to_string(),
        |t| t.with_timezone(&Local).format(form).to_string(),
    )
}

fn lasting(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 if ms < 100 => format!("{ms} ms"),
        0..10 => format!("{seconds}.{} s", ms % 1000 / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

/// The colour of what is done in a stage.
pub(super) fn paint(stage: &str) -> &'static str {
    match stage {
        "planning" | "accepting" | "accepted" => "plan",
        "checking" | "surveying" => "check",
        "testing" | "trying" => "test",
        "reviewing" | "comparing" => "review",
        "landing" | "following" | "landed" => "land",
        _ => "write",
    }
}

/// How a stage stands: what somebody should see first.
pub(super) fn tone(stage: &str) -> &'static str {
    match stage {
        "landed" | "accepted" | "review" | "done" => "good",
        "parked" | "backoff" | "open" | "waiting" => "asks",
        "dropped" | "blocked" | "ready" | "entered" | "closed" | "backlog" => "",
        "failed" | "sent-back" => "bad",
        _ => "live",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_tell_them() {
        let sums = [0, 4_999, 5_000, 8_400_000, 1_234_560_000].map(dollars);
        assert_eq!(sums, ["$0.00", "<$0.01", "$0.01", "$8.40", "$1,234.56"]);
        assert_eq!([7, 1000, 1_234_567].map(grouped), ["7", "1,000", "1,234,567"]);
        let spans = [0, 940, 42_000, 725_000, 25_500_000].map(lasting);
        assert_eq!(spans, ["0 ms", "0.9 s", "42 s", "12 min", "7 h 05 min"]);
        assert_eq!([12, 2048, 3 << 19].map(size), ["12 B", "2 KiB", "1.5 MiB"]);
    }
}
