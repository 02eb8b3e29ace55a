//! Owns the typing of Claude Code's errors. Its exit code is 1 for all of them.

use serde_json::Value;
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::quota::QuotaFill;
use turno_core::units::Timestamp;

use crate::limits::{self, QuotaSaid, Resets};
use crate::value::text;

/// What a message about an account's limit tells, and when the limit lifts if the provider refuses for it.
pub(super) fn rate_limit(info: &Value) -> (Option<QuotaSaid>, Option<RetryAfter>) {
    let resets = info["resetsAt"].as_i64().map(seconds);
    let used = info["utilization"]
        .as_f64()
        .map(|part| limits::percent(part * 100.0));
    // Who pays for more than the window holds is served all the same.
    let paid = info["isUsingOverage"].as_bool() == Some(true);
    let (fill, limit) = match text(info, "/status") {
        Some("rejected") if paid => (QuotaFill::Percent(100), None),
        Some("rejected") => (
            QuotaFill::Full,
            Some(resets.map_or(RetryAfter::Policy, RetryAfter::At)),
        ),
        Some("allowed_warning") => (used.unwrap_or(QuotaFill::Near), None),
        Some("allowed") => (used.unwrap_or(QuotaFill::Open), None),
        _ => return (None, None),
    };
    let window = text(info, "/rateLimitType").unwrap_or("account");
    let resets = resets.map_or(Resets::Unknown, Resets::At);
    (Some(QuotaSaid::new(window, fill, resets)), limit)
}

fn seconds(since_1970: i64) -> Timestamp {
    Timestamp(since_1970.saturating_mul(1000))
}

/// The time in `usage limit reached|1760000000`: it is written for programs.
fn time_in_words(words: &str) -> Option<Timestamp> {
    let (_, after) = words.split_once("limit reached|")?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..digits].parse().ok().map(seconds)
}

/// What is known of an error.
#[derive(Debug, Clone, Default)]
pub(super) struct Signs<'a> {
    /// The subtype of the result.
    pub(super) subtype: &'a str,
    /// The status of the provider's answer.
    pub(super) status: Option<u64>,
    /// Claude Code's own word for the error.
    pub(super) word: &'a str,
    /// When the account's limit lifts, if the provider has refused for it.
    pub(super) limit: Option<RetryAfter>,
    /// What it said.
    pub(super) detail: String,
}

/// The failure that the signs show.
pub(super) fn failure(signs: Signs<'_>) -> Failure {
    let cause = cause(&signs);
    let told = signs
        .limit
        .or_else(|| time_in_words(&signs.detail).map(RetryAfter::At));
    Failure {
        cause,
        detail: signs.detail,
        retry_after: match (cause, told) {
            (Cause::Quota, Some(retry_after)) => retry_after,
            _ => RetryAfter::Policy,
        },
        luck: Luck::NONE,
    }
}

fn cause(signs: &Signs<'_>) -> Cause {
    match signs.subtype {
        "error_max_budget_usd" => return Cause::AttemptBudget,
        // It has asked for the outcome five times already: one more turn would be the sixth.
        "error_max_structured_output_retries" => return Cause::NoOutcome,
        _ => {}
    }
    match (signs.word, signs.status) {
        ("billing_error", _) | (_, Some(402)) => Cause::Quota,
        ("authentication_failed" | "oauth_org_not_allowed", _) | (_, Some(401 | 403)) => Cause::SignIn,
        ("rate_limit", _) | (_, Some(429)) => {
            if signs.limit.is_some() {
                Cause::Quota
            } else {
                limits::of_a_limit(&signs.detail)
            }
        }
        ("model_not_found", _) => Cause::Model,
        (_, Some(400 | 404)) if limits::is_about_the_model(&signs.detail) => Cause::Model,
        ("server_error" | "overloaded", _) | (_, Some(408 | 500..=599)) => Cause::Provider,
        // A retry without a status and without a word is a connection that could not be made.
        ("unknown", None) => Cause::Provider,
        _ => Cause::Agent,
    }
}
