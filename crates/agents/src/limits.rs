//! Owns what an agent tells of its provider's limits: windows of an account, waits, and the words in which providers
//! speak of them. There is no clock here, so a wait that is told is a wait: the engine makes a time of it.

use serde::{Deserialize, Serialize};
use turno_core::failure::Cause;
use turno_core::quota::{Quota, QuotaFill};
use turno_core::units::{Span, Timestamp};

use crate::text;

/// A limit that lifts within this time is one by the minute; what lasts longer is a used-up account.
pub(crate) const SHORT: Span = Span::seconds(300);
/// Nobody is believed to tell a longer wait.
const LONGEST: f64 = 8.0 * 86_400.0;
const WINDOW_NAME: usize = 40;

/// When a window is empty again, as it was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resets {
    /// Not told.
    #[default]
    Unknown,
    /// At this time.
    At(Timestamp),
    /// So long after the line that tells it.
    In(Span),
}

/// One window of the account's quota, as an agent tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaSaid {
    /// Its name: small letters, digits and hyphens, e.g. `five-hour`.
    pub window: String,
    /// How full it is.
    pub fill: QuotaFill,
    /// When it is empty again.
    #[serde(default)]
    pub resets: Resets,
}

impl QuotaSaid {
    /// With a name as agents write them, e.g. `five_hour`.
    pub fn new(window: &str, fill: QuotaFill, resets: Resets) -> Self {
        let window: String = window
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                c if c.is_ascii_alphanumeric() => c,
                _ => '-',
            })
            .take(WINDOW_NAME)
            .collect();
        let window = window.trim_matches('-');
        Self {
            window: if window.is_empty() { "account" } else { window }.to_owned(),
            fill,
            resets,
        }
    }

    /// What is told of it by a line that was heard at that time; without a time, what cannot be said without one is
    /// not known.
    pub fn heard(&self, at: Option<Timestamp>) -> Quota {
        let said = Self::new(&self.window, self.fill, self.resets);
        Quota {
            window: said.window,
            fill: match said.fill {
                QuotaFill::Percent(n) => QuotaFill::Percent(n.min(100)),
                fill @ (QuotaFill::Open | QuotaFill::Near | QuotaFill::Full) => fill,
            },
            resets: match (said.resets, at) {
                (Resets::At(time), _) => Some(time),
                (Resets::In(span), Some(at)) => Some(at + span),
                (Resets::In(_), None) | (Resets::Unknown, _) => None,
            },
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        text::line(&format!("the {} limit: {}", self.window, self.fill))
    }
}

/// A part of a whole, as a percentage.
pub(crate) fn percent(part_of_hundred: f64) -> QuotaFill {
    // A float becomes the nearest whole number that fits.
    QuotaFill::Percent(part_of_hundred.clamp(0.0, 100.0) as u8)
}

/// What a window of so many minutes is called.
pub(crate) fn window_of_minutes(minutes: u64) -> String {
    match minutes {
        // Some servers round down.
        299 | 300 => "five-hour".to_owned(),
        10_079 | 10_080 => "seven-day".to_owned(),
        n if n > 0 && n % 1440 == 0 => format!("{}-day", n / 1440),
        n if n > 0 && n % 60 == 0 => format!("{}-hour", n / 60),
        n => format!("{n}-minute"),
    }
}

/// A used-up account and a busy minute have the same status, 429: only the words, and the wait, tell them apart.
pub(crate) fn of_a_limit(words: &str) -> Cause {
    match (is_used_up(words), wait_in_words(words)) {
        (_, Some(wait)) if wait > SHORT => Cause::Quota,
        (true, None) => Cause::Quota,
        // What is free again in a minute is not used up, whatever it is called.
        (true, Some(_)) | (false, _) => Cause::RateLimited,
    }
}

/// Whether a provider's words are about an account that is used up or not paid for.
pub(crate) fn is_used_up(words: &str) -> bool {
    let words = words.to_lowercase();
    let signs = [
        "quota",
        "usage limit",
        "credit",
        "billing",
        "limit reached",
        "spending limit",
    ];
    signs.iter().any(|sign| words.contains(sign)) || (words.contains("hit your") && words.contains("limit"))
}

/// Whether a provider's words are about a model that it does not know, or does not let this account use.
pub(crate) fn is_about_the_model(words: &str) -> bool {
    let words = words.to_lowercase();
    let signs = [
        "does not exist",
        "not exist or you",
        "not found",
        "not supported",
        "not available",
        "no access",
        "not have access",
        "unknown model",
        "invalid model",
    ];
    words.contains("model_not_found")
        || words.contains("modelnotfound")
        || (words.contains("model") && signs.iter().any(|sign| words.contains(sign)))
}

/// The wait that a provider's words tell, e.g. `try again in 1.9s` or `will reset after 1h2m3s`.
pub(crate) fn wait_in_words(words: &str) -> Option<Span> {
    const MARKS: [&str; 8] = [
        "try again in ",
        "retry in ",
        "retry after ",
        "retrydelay\":\"",
        "retrydelay\": \"",
        "reset after ",
        "reset in ",
        "resets in ",
    ];
    // What comes as JSON within JSON is quoted once or twice over.
    let words = words.to_ascii_lowercase().replace('\\', "");
    MARKS.iter().find_map(|mark| {
        let from = words.find(mark)? + mark.len();
        span(&words[from..])
    })
}

/// The span at the beginning of a text; every number needs its unit.
fn span(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut sum = None;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let Ok(number) = rest[..end].parse::<f64>() else {
            break;
        };
        rest = rest[end..].trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => break,
        };
        sum = Some(sum.unwrap_or(0.0) + number * unit);
        rest = &rest[end..];
    }
    // Rounded up: too early is refused again.
    sum.map(|seconds: f64| Span((seconds.min(LONGEST) * 1000.0).ceil() as u64))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Rate limit reached. Please try again in 1.898s. Visit ...", Some(1898))]
    #[case("try again in 20 seconds", Some(20_000))]
    #[case("Your quota will reset after 1h2m3s.", Some(3_723_000))]
    #[case("try again in 5 days, 3 hours and 1 minute.", Some(442_860_000))]
    #[case("{\"retryDelay\":\"34.07s\"}", Some(34_070))]
    #[case(r#"[{\"retryDelay\": \"34s\"}]"#, Some(34_000))]
    #[case("Please retry in 512ms", Some(512))]
    #[case("try again in 999999 days", Some(691_200_000))]
    #[case("try again in a while", None)]
    #[case("try again in 20", None)]
    #[case("try again in 1.2.3s", None)]
    #[case("You've hit your limit, it resets 3am", None)]
    fn a_wait_is_read_from_words(#[case] words: &str, #[case] expected: Option<u64>) {
        assert_eq!(wait_in_words(words), expected.map(Span));
    }

    #[rstest]
    #[case("slow down", Cause::RateLimited)]
    #[case(
        "You exceeded your current quota, please check your plan and billing",
        Cause::Quota
    )]
    #[case("You exceeded your current quota. Please retry in 12.5s.", Cause::RateLimited)]
    #[case(
        "You have exhausted your capacity. Your quota will reset after 1h2m3s.",
        Cause::Quota
    )]
    #[case("rate limited, try again in 2 hours", Cause::Quota)]
    #[case("You've hit your session limit · resets 3am", Cause::Quota)]
    #[case("5-hour limit reached ∙ resets 3pm", Cause::Quota)]
    fn a_busy_minute_is_no_used_up_account(#[case] words: &str, #[case] expected: Cause) {
        assert_eq!(of_a_limit(words), expected);
    }

    #[rstest]
    #[case(299, "five-hour")]
    #[case(10_080, "seven-day")]
    #[case(1440, "1-day")]
    #[case(60, "1-hour")]
    #[case(0, "0-minute")]
    fn windows_have_one_name_whoever_tells_of_them(#[case] minutes: u64, #[case] expected: &str) {
        assert_eq!(window_of_minutes(minutes), expected);
    }

    #[test]
    fn a_wait_becomes_a_time_by_the_time_of_its_line() {
        let said = QuotaSaid::new("five_hour\u{7}", QuotaFill::Percent(250), Resets::In(Span(500)));
        let quota = said.heard(Some(Timestamp(1000)));
        assert_eq!(quota.window, "five-hour");
        assert_eq!(quota.fill, QuotaFill::Percent(100));
        assert_eq!(quota.resets, Some(Timestamp(1500)));
        assert_eq!(said.heard(None).resets, None, "when it was heard is not known");
    }
}
