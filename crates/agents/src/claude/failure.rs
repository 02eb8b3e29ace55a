//! Owns the typing of Claude Code's errors. Its exit code is 1 for all of them.

use turno_core::failure::{Cause, Failure, Luck, RetryAfter};

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
    Failure {
        cause,
        detail: signs.detail,
        retry_after: match (cause, signs.limit) {
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
            // An account limit and a busy minute have the same status; only the former names a limit that is hit.
            let hit = signs.detail.contains("hit your") && signs.detail.contains("limit");
            if signs.limit.is_some() || hit {
                Cause::Quota
            } else {
                Cause::Provider
            }
        }
        ("server_error" | "overloaded", _) | (_, Some(408 | 500..=599)) => Cause::Provider,
        // A retry without a status and without a word is a connection that could not be made.
        ("unknown", None) => Cause::Provider,
        _ => Cause::Agent,
    }
}
