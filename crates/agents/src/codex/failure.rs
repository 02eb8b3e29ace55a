//! Owns the typing of codex's errors, by its machine-readable `codexErrorInfo`.

use serde_json::Value;
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::quota::QuotaFill;
use turno_core::units::{Span, Timestamp};

use crate::limits::{self, QuotaSaid, Resets};
use crate::text::line_of;
use crate::value::text;

/// The failure that a turn's error object shows. `limit` is when the account's limit lifts, if that is known.
pub(super) fn failure(error: &Value, limit: Option<RetryAfter>) -> Failure {
    let message = text(error, "/message").unwrap_or("it failed and gave no reason");
    let details = text(error, "/additionalDetails").unwrap_or_default();
    let words = format!("{message} {details}");
    let cause = cause(&error["codexErrorInfo"], &words);
    Failure {
        cause,
        detail: line_of(words.trim(), 400),
        retry_after: match (cause, limit) {
            (Cause::Quota, Some(limit)) => limit,
            _ => RetryAfter::Policy,
        },
        luck: Luck::NONE,
    }
}

fn cause(info: &Value, message: &str) -> Cause {
    match info {
        Value::String(word) => match word.as_str() {
            "usageLimitExceeded" => Cause::Quota,
            "sessionBudgetExceeded" => Cause::AttemptBudget,
            "unauthorized" => Cause::SignIn,
            "rateLimitExceeded" => limits::of_a_limit(message),
            "serverOverloaded" | "internalServerError" | "flexUnavailable" | "policyCapacityUnavailable" => {
                Cause::Provider
            }
            _ => by_words(message),
        },
        // One variant with data: `{"httpConnectionFailed": {"httpStatusCode": 401}}` and its like.
        Value::Object(variant) => match variant.iter().next() {
            Some((name, data)) if is_of_the_wire(name) => by_status(data["httpStatusCode"].as_u64(), message),
            _ => by_words(message),
        },
        _ => by_words(message),
    }
}

fn is_of_the_wire(name: &str) -> bool {
    matches!(
        name,
        "httpConnectionFailed"
            | "responseStreamConnectionFailed"
            | "responseStreamDisconnected"
            | "responseTooManyFailedAttempts"
    )
}

fn by_status(status: Option<u64>, message: &str) -> Cause {
    match status {
        Some(401 | 403) => Cause::SignIn,
        Some(402) => Cause::Quota,
        Some(429) => limits::of_a_limit(message),
        Some(408 | 500..=599) | None => Cause::Provider,
        Some(_) => by_words(message),
    }
}

/// It has no code for a key that is not there at all, nor for a model that is not there.
fn by_words(message: &str) -> Cause {
    if message.starts_with("Missing environment variable") {
        Cause::SignIn
    } else if limits::is_about_the_model(message) {
        Cause::Model
    } else {
        Cause::Agent
    }
}

/// The windows of the account's quota that a message tells of.
pub(super) fn windows(params: &Value) -> Vec<QuotaSaid> {
    let limits = &params["rateLimits"];
    // What is about another model, and what is paid for beyond its window, is full and yet served.
    let id = text(limits, "/limitId").filter(|id| *id != "codex");
    let credits = &limits["credits"];
    let paid = credits["hasCredits"] == true || credits["unlimited"] == true;
    ["primary", "secondary"]
        .into_iter()
        .filter_map(|name| {
            let window = &limits[name];
            let used = window["usedPercent"].as_f64()?;
            let fill = match limits::percent(used) {
                QuotaFill::Percent(100) if id.is_none() && !paid => QuotaFill::Full,
                fill => fill,
            };
            let at = window["resetsAt"].as_i64();
            let at = at.map(|seconds| Resets::At(Timestamp(seconds.saturating_mul(1000))));
            let after = window["resetsInSeconds"].as_u64();
            let after = after.map(|seconds| Resets::In(Span::seconds(seconds)));
            let name = match window["windowDurationMins"].as_u64() {
                Some(minutes) => limits::window_of_minutes(minutes),
                None => name.to_owned(),
            };
            let name = id.map_or_else(|| name.clone(), |id| format!("{id}-{name}"));
            Some(QuotaSaid::new(&name, fill, at.or(after).unwrap_or_default()))
        })
        .collect()
}
