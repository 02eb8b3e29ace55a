//! What the errors, retries and ends of opencode's server mean.

use rstest::rstest;
use serde_json::{Value, json};
use turno_core::failure::{Cause, RetryAfter};
use turno_core::persona::Access;
use turno_core::quota::QuotaFill;
use turno_core::units::{Span, Timestamp};

use super::{SESSION, answered, event, hearing, idle, response, retry, split, working};

/// The recording's last turn: the provider is busy, again and again.
#[test]
fn its_retries_are_bounded() {
    let (_, rest) = split();
    let from = rest.iter().position(|line| line.contains("CASE:e429")).unwrap();
    let mut hearing = working(Access::Write);
    hearing.hear(&rest[from..]);
    let retries = hearing.notices().into_iter().filter(|n| n.starts_with("retry "));
    assert_eq!(retries.count(), 4, "the recording's driver was more patient");
    let aborts = hearing.sent();
    let aborts = aborts
        .iter()
        .filter(|r| r["path"].as_str().unwrap().ends_with("/abort"));
    assert_eq!(aborts.count(), 1);
    assert_eq!(hearing.closed(), 1);
    let failure = hearing.failure();
    assert_eq!(failure.cause, Cause::RateLimited);
    assert!(failure.detail.contains("rate limited"), "{}", failure.detail);
}

#[rstest]
#[case::patient("slow down", 10_000, None)]
#[case::too_long("slow down", 3_600_000, Some(Cause::Quota))]
#[case::account("You exceeded your current quota", 2000, Some(Cause::Quota))]
fn the_first_retry_already_tells(#[case] message: &str, #[case] wait: u64, #[case] expected: Option<Cause>) {
    let mut hearing = working(Access::Write);
    hearing.hear(answered("")).hear([retry(1, message, 1000 + wait)]);
    let Some(cause) = expected else {
        assert!(
            hearing
                .sent()
                .iter()
                .all(|r| !r["path"].as_str().unwrap().ends_with("/abort"))
        );
        return;
    };
    let fills: Vec<QuotaFill> = hearing.quotas().iter().map(|said| said.fill).collect();
    assert_eq!(fills, [QuotaFill::Full]);
    hearing.hear([idle()]);
    let failure = hearing.failure();
    assert_eq!(failure.cause, cause);
    let lifts = match wait > 300_000 {
        true => RetryAfter::At(Timestamp(1000 + 3_600_000)),
        false => RetryAfter::Policy,
    };
    assert_eq!(failure.retry_after, lifts);
}

#[rstest]
#[case::key("APIError", json!({ "statusCode": 401 }), Cause::SignIn)]
#[case::forbidden("APIError", json!({ "statusCode": 403 }), Cause::SignIn)]
#[case::paid_up("APIError", json!({ "statusCode": 402 }), Cause::Quota)]
#[case::credit("APIError", json!({ "statusCode": 400, "message": "Your credit balance is too low" }), Cause::Quota)]
#[case::wrong("APIError", json!({ "statusCode": 400 }), Cause::Agent)]
#[case::busy("APIError", json!({ "statusCode": 429, "responseHeaders": { "retry-after": "7" } }), Cause::RateLimited)]
#[case::long("APIError", json!({ "statusCode": 429, "responseHeaders": { "retry-after": "3600" } }), Cause::Quota)]
#[case::no_model("UnknownError", json!({ "message": "Model not found: a/b" }), Cause::Model)]
#[case::down("APIError", json!({ "statusCode": 503 }), Cause::Provider)]
#[case::unreachable("APIError", json!({}), Cause::Provider)]
#[case::no_login("ProviderAuthError", json!({}), Cause::SignIn)]
#[case::too_much("ContextOverflowError", json!({}), Cause::Agent)]
fn errors_are_typed(#[case] name: &str, #[case] data: Value, #[case] expected: Cause) {
    let mut hearing = working(Access::Write);
    let error = json!({ "error": { "name": name, "data": &data } });
    hearing.hear([event("session.error", error), idle()]);
    assert_eq!(hearing.closed(), 1);
    let waits = data["responseHeaders"]["retry-after"]
        .as_str()
        .map(|s| Span::seconds(s.parse().unwrap()));
    assert_eq!(hearing.waits(), Vec::from_iter(waits));
    assert_eq!(hearing.cause(), expected);
}

#[test]
fn an_error_before_any_work_is_the_end() {
    let mut hearing = hearing(Access::Write);
    hearing.hear([response(1, 200, &json!({ "id": SESSION }))]);
    let error = json!({ "error": { "name": "UnknownError", "data": { "message": "no such model" } } });
    hearing.hear([event("session.error", error)]);
    assert_eq!(hearing.closed(), 1);
    assert_eq!(hearing.cause(), Cause::Agent);
}

/// A plugin of the user that cannot be loaded, for example.
#[test]
fn an_error_of_no_session_is_no_end() {
    let mut hearing = hearing(Access::Write);
    hearing.hear([response(1, 200, &json!({ "id": SESSION }))]);
    let error = json!({ "name": "UnknownError", "data": { "message": "no such plugin" } });
    let event = json!({ "event": { "type": "session.error", "properties": { "error": error } } });
    hearing.hear([event.to_string()]);
    assert_eq!(hearing.closed(), 0);
    assert!(hearing.notices().iter().any(|n| n.contains("no such plugin")));
}

#[rstest]
#[case("over", Cause::Agent)]
#[case("unstarted", Cause::Spawn)]
fn the_end_of_the_server_is_told_with_its_last_words(#[case] how: &str, #[case] expected: Cause) {
    let mut hearing = working(Access::Write);
    hearing.hear([
        json!({ "log": "Error: the database is locked" }).to_string(),
        json!({ how: "the server ended with exit status: 1" }).to_string(),
    ]);
    assert_eq!(hearing.closed(), 0, "there is nobody to close it for");
    let failure = hearing.failure();
    assert_eq!(failure.cause, expected);
    assert!(
        failure.detail.contains("database is locked"),
        "{}",
        failure.detail
    );
}
