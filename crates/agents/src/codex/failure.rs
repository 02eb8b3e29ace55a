//! Owns the typing of codex's errors, by its machine-readable `codexErrorInfo`.

use serde_json::Value;
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::units::Timestamp;

use crate::text::line_of;
use crate::value::text;

/// The failure that a turn's error object shows. `limit` is when the account's limit lifts, if that is known.
pub(super) fn failure(error: &Value, limit: Option<RetryAfter>) -> Failure {
    let message = text(error, "/message").unwrap_or("it failed and gave no reason");
    let details = text(error, "/additionalDetails").unwrap_or_default();
    let cause = cause(&error["codexErrorInfo"], message);
    Failure {
        cause,
        detail: line_of(format!("{message} {details}").trim(), 400),
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
            "rateLimitExceeded"
            | "serverOverloaded"
            | "internalServerError"
            | "flexUnavailable"
            | "policyCapacityUnavailable" => Cause::Provider,
            _ => by_words(message),
        },
        // One variant with data: `{"httpConnectionFailed": {"httpStatusCode": 401}}` and its like.
        Value::Object(variant) => match variant.iter().next() {
            Some((name, data)) if is_of_the_wire(name) => by_status(data["httpStatusCode"].as_u64()),
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

fn by_status(status: Option<u64>) -> Cause {
    match status {
        Some(401 | 403) => Cause::SignIn,
        Some(402) => Cause::Quota,
        Some(408 | 429 | 500..=599) | None => Cause::Provider,
        Some(_) => Cause::Agent,
    }
}

/// It has no code for a key that is not there at all.
fn by_words(message: &str) -> Cause {
    if message.starts_with("Missing environment variable") {
        Cause::SignIn
    } else {
        Cause::Agent
    }
}

/// The account's limits that are reached, each with the time it lifts if that is told.
pub(super) fn reached_limits(params: &Value) -> Vec<(&'static str, Option<Timestamp>)> {
    ["primary", "secondary"]
        .into_iter()
        .filter_map(|name| {
            let window = &params["rateLimits"][name];
            let used = window["usedPercent"].as_f64()?;
            let resets = window["resetsAt"].as_i64();
            let resets = resets.map(|seconds| Timestamp(seconds.saturating_mul(1000)));
            (used >= 100.0).then_some((name, resets))
        })
        .collect()
}
