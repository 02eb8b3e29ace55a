//! Owns the typing of errors that come as answers. The protocol has one code of its own, for a login that is
//! missing; each agent puts the provider's answer somewhere else.

use serde_json::Value;
use turno_core::failure::{Cause, Failure};
use turno_core::units::Span;

use crate::limits;
use crate::text::line_of;
use crate::value::text;

/// The protocol's own code for a login that is missing.
const SIGN_IN: i64 = -32000;

/// The failure that an error shows. `what` says which request it answers.
pub(super) fn failure(what: &str, error: &Value) -> Failure {
    let words = format!("{what}: {}", words_of(error));
    Failure::new(cause(error, &words), line_of(words.trim_end(), 400))
}

/// How long the provider takes nothing more, if the error tells it.
pub(super) fn wait(error: &Value) -> Option<Span> {
    limits::wait_in_words(&words_of(error))
}

fn words_of(error: &Value) -> String {
    let message = text(error, "/message").unwrap_or("no reason given");
    let details = ["/data/details", "/data/message", "/data/error"];
    let detail = details.iter().find_map(|at| text(error, at)).unwrap_or_default();
    format!("{message} {detail}")
}

fn cause(error: &Value, words: &str) -> Cause {
    let code = error["code"].as_i64().unwrap_or_default();
    let status = u16::try_from(code).ok().filter(|code| (400..600).contains(code));
    let info = &error["data"]["codex_error_info"];
    let word = text(error, "/data/errorKind").or_else(|| info.as_str());
    // `{"http_connection_failed": {"http_status_code": 401}}` and its like.
    let nested = info
        .as_object()
        .and_then(|info| info.values().next())
        .and_then(|data| data["http_status_code"].as_u64())
        .and_then(|status| u16::try_from(status).ok());
    match (word, status.or(nested)) {
        (Some("billing_error" | "usage_limit_exceeded"), _) | (_, Some(402)) => Cause::Quota,
        (Some("authentication_failed" | "oauth_org_not_allowed" | "unauthorized"), _)
        | (_, Some(401 | 403)) => Cause::SignIn,
        (Some("rate_limit"), _) | (_, Some(429)) => limits::of_a_limit(words),
        (Some("model_not_found"), _) => Cause::Model,
        (_, Some(400 | 404)) if limits::is_about_the_model(words) => Cause::Model,
        (Some("server_error" | "overloaded" | "server_overloaded" | "internal_server_error"), _)
        | (_, Some(408 | 500..=599)) => Cause::Provider,
        _ if code == SIGN_IN => Cause::SignIn,
        _ => Cause::Agent,
    }
}
