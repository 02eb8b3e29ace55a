//! Owns the typing of opencode's errors, and when its own retries are enough.

use serde_json::Value;
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::units::{Span, Timestamp};

use crate::limits;
use crate::text::line_of;
use crate::value::{number, text};

/// How often it may try again. Its own waits are 2 s, then 4, 9, 18 and so on, with no end.
pub(super) const RETRIES: u64 = 3;

/// How long it may want to wait before it tries again: it sleeps through whatever the provider names.
const LONGEST_WAIT: i64 = 300_000;

/// The failure that a session's error shows.
pub(super) fn failure(error: &Value) -> Failure {
    let name = text(error, "/name").unwrap_or_default();
    let message = text(error, "/data/message").unwrap_or("it failed and gave no reason");
    let status = number(error, "/data/statusCode");
    let cause = match name {
        "APIError" => by_status(status, &words_of(error)),
        "ProviderAuthError" => Cause::SignIn,
        _ if limits::is_about_the_model(&format!("{name} {message}")) => Cause::Model,
        _ => Cause::Agent,
    };
    let name = match name {
        "" => "an error",
        name => name,
    };
    let status = status.map_or(String::new(), |status| format!(" {status}"));
    Failure::new(cause, line_of(&format!("{name}{status}: {message}"), 400))
}

/// How long the provider takes nothing more, if the error tells it.
pub(super) fn wait(error: &Value) -> Option<Span> {
    limits::wait_in_words(&words_of(error))
}

/// Its message, and the wait that the provider's header asks for.
fn words_of(error: &Value) -> String {
    let message = text(error, "/data/message").unwrap_or_default();
    match text(error, "/data/responseHeaders/retry-after") {
        Some(seconds) => format!("{message}; retry after {seconds} s"),
        None => message.to_owned(),
    }
}

fn by_status(status: Option<u64>, message: &str) -> Cause {
    match status {
        Some(401 | 403) => Cause::SignIn,
        Some(402) => Cause::Quota,
        Some(429) => limits::of_a_limit(message),
        _ if limits::is_used_up(message) => Cause::Quota,
        Some(400 | 404) if limits::is_about_the_model(message) => Cause::Model,
        // Without a status there was no connection.
        Some(408 | 500..=599) | None => Cause::Provider,
        Some(_) => Cause::Agent,
    }
}

/// It tells no status of what it tries again, so the words are all there is.
fn is_of_the_pace(message: &str) -> bool {
    let message = message.to_lowercase();
    let signs = [
        "rate limit",
        "rate_limit",
        "too many requests",
        "429",
        "slow down",
    ];
    signs.iter().any(|sign| message.contains(sign))
}

/// What becomes of a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Retrying {
    /// It may.
    GoesOn,
    /// It is enough: this is what it fails by.
    Enough(Failure),
}

/// Judges a retry, told at about `now` by its own clock.
pub(super) fn retrying(status: &Value, now: Option<Timestamp>) -> Retrying {
    let message = text(status, "/message").unwrap_or("it is tried again");
    let attempt = number(status, "/attempt").unwrap_or(u64::MAX);
    let next = number(status, "/next").and_then(|ms| i64::try_from(ms).ok());
    let wait = match (next, now) {
        (Some(next), Some(now)) => next.saturating_sub(now.0),
        (_, _) => 0,
    };
    // With an action it tells a person what to do: to pay, or to choose another model.
    let account = status["action"].is_object() || limits::is_used_up(message);
    let long = wait > LONGEST_WAIT;
    if attempt < RETRIES && !account && !long {
        return Retrying::GoesOn;
    }
    Retrying::Enough(Failure {
        cause: if account || long {
            Cause::Quota
        } else if is_of_the_pace(message) {
            Cause::RateLimited
        } else {
            Cause::Provider
        },
        detail: line_of(&format!("the provider refuses: {message}"), 400),
        retry_after: match next {
            Some(next) if long => RetryAfter::At(Timestamp(next)),
            Some(_) | None => RetryAfter::Policy,
        },
        luck: Luck::NONE,
    })
}
