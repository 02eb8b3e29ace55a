//! What is answered: text stays text, errors have one shape, changes are seen.

use axum::http::StatusCode;
use serde_json::json;

use super::{Asked, Fake, HOST};

const HOSTILE: &str = "</script><script>alert(1)</script>\"'&{{7*7}}\u{202e}";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text() {
    let fake = Fake::new();
    let board = Asked::new(fake).await;
    let filed = board
        .post("/api/issues", &json!({"title": HOSTILE, "labels": [HOSTILE]}))
        .await;
    assert_eq!(filed.status, StatusCode::CREATED, "{}", filed.body);
    assert_eq!(filed.json()["title"], HOSTILE);
    let seen = loop {
        let seen = board.get("/api/board").await;
        if seen.json()["seq"] == 1 {
            break seen;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.json()["columns"][0]["cards"][0]["title"], HOSTILE);
    let issue = board.get("/api/issues/1").await;
    assert_eq!(issue.json()["issue"]["labels"][0], HOSTILE);
    let page = board.get("/").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;alert(1)"), "{}", page.body);
    assert!(page.body.contains("{{7*7}}"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_in_one_shape() {
    let board = Asked::new(Fake::new()).await;
    let bearer = board.bearer();
    let headers = [("host", HOST), ("authorization", bearer.as_str())];
    for (method, path, body, status, code) in [
        ("GET", "/no", "", 404, "not_found"),
        ("GET", "/api/issues/7", "", 404, "not_found"),
        ("GET", "/api/issues/seven", "", 400, "bad_request"),
        ("GET", "/api/tasks/1.1", "", 404, "not_found"),
        ("GET", "/api/attempts/a1", "", 404, "not_found"),
        ("GET", "/api/attempts/a1/transcript", "", 404, "not_found"),
        ("GET", "/api/shifts/S1", "", 404, "not_found"),
        ("GET", "/api/v1/1", "", 404, "issue_not_found"),
        ("GET", "/api/events?after=no", "", 400, "bad_request"),
        ("DELETE", "/api/issues/7", "", 405, "wrong_method"),
        ("POST", "/api/issues", "{}", 400, "bad_request"),
        (
            "POST",
            "/api/issues",
            "{\"title\": \"a\", \"run\": \"rm\"}",
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/issues",
            "{\"title\": \"a\\u0000b\"}",
            400,
            "bad_request",
        ),
        ("POST", "/api/issues", "{\"title\": \" \"}", 409, "refused"),
        (
            "POST",
            "/api/shifts/current/stop",
            "{\"how\": \"now\"}",
            409,
            "refused",
        ),
        (
            "POST",
            "/api/shifts/current/stop",
            "{\"how\": \"hard\"}",
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/budget",
            "{\"level\": \"all\", \"usd\": \"1\"}",
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/budget",
            "{\"level\": \"issue/1\", \"usd\": \"-1\"}",
            400,
            "bad_request",
        ),
    ] {
        let answer = board.ask(method, path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.json()["error"]["code"], code, "{method} {path}");
        assert!(answer.json()["error"]["message"].is_string());
    }
    // A form, which a browser sends without asking, is no request of this API.
    let form = [&headers[..], &[("content-type", "text/plain")]].concat();
    let answer = board.ask("POST", "/api/issues", &form, "").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_dashboards_read_is_there() {
    let board = Asked::new(Fake::new()).await;
    board.fake.file("One");
    let state = board.get("/api/v1/state").await.json();
    for field in [
        "generated_at",
        "counts",
        "running",
        "retrying",
        "codex_totals",
        "rate_limits",
    ] {
        assert!(state.get(field).is_some(), "{field}: {state}");
    }
    let refreshed = board.post("/api/v1/refresh", &json!({})).await;
    assert_eq!(refreshed.status, StatusCode::ACCEPTED);
    assert_eq!(refreshed.json()["queued"], true);
    let metrics = board.get("/metrics").await;
    for line in [
        "turno_coordinator_up 0",
        "turno_issues{column=\"backlog\"}",
        "# EOF",
    ] {
        assert!(metrics.body.contains(line), "{}", metrics.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let board = Asked::new(Fake::new()).await;
    let bearer = board.bearer();
    let first = board.get("/assets/board.js").await;
    assert_eq!(first.headers["content-type"], "text/javascript; charset=utf-8");
    let tag = first.headers["etag"].to_str().unwrap();
    let headers = [
        ("host", HOST),
        ("authorization", bearer.as_str()),
        ("if-none-match", tag),
    ];
    let again = board.ask("GET", "/assets/board.js", &headers, "").await;
    assert_eq!(
        (again.status, again.body.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
    for name in ["..%2fCargo.toml", "board.html", "%2fetc%2fpasswd"] {
        let answer = board.get(&format!("/assets/{name}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_is_shown_or_says_why_not_as_a_page() {
    let fake = Fake::new();
    fake.file("<b>one</b>\u{202e}");
    let board = Asked::new(fake).await;
    for (path, status) in [
        ("/", StatusCode::OK),
        ("/?q=one", StatusCode::OK),
        ("/issues/1", StatusCode::OK),
        ("/issues/1/diff", StatusCode::OK),
        ("/issues/9", StatusCode::NOT_FOUND),
        ("/tasks/1.1", StatusCode::NOT_FOUND),
        ("/attempts/1", StatusCode::NOT_FOUND),
        ("/decisions", StatusCode::OK),
        ("/shifts", StatusCode::OK),
        ("/shifts/1", StatusCode::NOT_FOUND),
        ("/report", StatusCode::NOT_FOUND),
        ("/salvage", StatusCode::OK),
        ("/config", StatusCode::OK),
        ("/personas", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let page = board.get(path).await;
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{path}");
        assert!(page.body.starts_with("<!doctype html>"), "{path}: {}", page.body);
        assert!(
            !page.body.contains("<b>one") && !page.body.contains('\u{202e}'),
            "{path}: {}",
            page.body
        );
    }
    let shown = board.get("/").await.body;
    assert!(shown.contains("&lt;b&gt;one&lt;/b&gt;⟨202E⟩"), "{shown}");
    let filtered = board.get("/?q=nothing+of+it").await.body;
    assert!(!filtered.contains("id=\"issue-1\""), "{filtered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_was_not_let_in_reads_it_as_a_page() {
    let board = Asked::new(Fake::new()).await;
    for path in ["/", "/enter?code=00"] {
        let headers = [("host", HOST), ("accept", "text/html,*/*")];
        let page = board.ask("GET", path, &headers, "").await;
        assert!(page.status.is_client_error(), "{path}: {}", page.status);
        assert!(page.body.contains("turno board --link"), "{path}: {}", page.body);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{path}");
        assert!(page.headers.contains_key("content-security-policy"), "{path}");
    }
}
