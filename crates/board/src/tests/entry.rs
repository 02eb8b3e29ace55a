//! Every route of the table refuses whoever has not shown who asks, for whom it is meant and where it comes from.

use axum::http::StatusCode;

use super::{Answered, Asked, Fake, HOST, ORIGIN, filled};
use crate::auth::mint;
use crate::routes::{Entry, served};

fn is_refused(answer: &Answered) -> bool {
    matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn guarded() -> Vec<(&'static str, String)> {
    let all = served();
    assert!(all.len() > 30, "{all:?}");
    let linked: Vec<_> = all
        .iter()
        .filter(|(_, _, e)| *e == Entry::Link)
        .map(|r| r.1)
        .collect();
    assert_eq!(linked, ["/enter"], "another route is open without a token");
    all.into_iter()
        .filter(|(_, _, entry)| *entry == Entry::Token)
        .map(|(method, path, _)| (method, filled(path)))
        .collect()
}

fn changes(method: &str) -> bool {
    method != "GET"
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_lets_in_who_has_the_token_or_a_session() {
    let board = Asked::new(Fake::new()).await;
    let (bearer, cookie) = (board.bearer(), board.browser().await);
    for (method, path) in guarded() {
        let ways: [&[(&str, &str)]; 5] = [
            &[("host", HOST), ("authorization", &bearer)],
            &[("host", "localhost:4711"), ("authorization", &bearer)],
            &[("host", HOST), ("authorization", &bearer), ("origin", ORIGIN)],
            &[("host", HOST), ("cookie", &cookie), ("origin", ORIGIN)],
            &[
                ("host", HOST),
                ("cookie", &cookie),
                ("origin", ORIGIN),
                ("sec-fetch-site", "same-origin"),
            ],
        ];
        for headers in ways {
            let answer = board.ask(method, &path, headers, "").await;
            assert!(
                !is_refused(&answer),
                "{method} {path} {headers:?}: {}",
                answer.body
            );
        }
        if !changes(method) {
            for headers in [
                &[("host", HOST), ("cookie", cookie.as_str())][..],
                &[("host", HOST), ("cookie", &cookie), ("sec-fetch-site", "none")],
            ] {
                let answer = board.ask(method, &path, headers, "").await;
                assert!(
                    !is_refused(&answer),
                    "{method} {path} {headers:?}: {}",
                    answer.body
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_refuses_who_shows_nothing_or_the_wrong_thing() {
    let board = Asked::new(Fake::new()).await;
    let (bearer, cookie) = (board.bearer(), board.browser().await);
    let longer = format!("{bearer}0");
    let (name, session) = cookie.split_once('=').unwrap();
    let (session_as_token, elsewhere) = (format!("Bearer {session}"), format!("turno-board={session}"));
    let token_as_session = format!("{name}={}", board.token);
    let mut all = guarded();
    all.push(("GET", "/no/such/route".to_owned()));
    all.push(("DELETE", "/api/board".to_owned()));
    for (method, path) in all {
        let ways: [&[(&str, &str)]; 12] = [
            &[],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer 0000")],
            &[("authorization", &longer)],
            &[("authorization", &board.token)],
            &[("authorization", &session_as_token)],
            &[("authorization", "Basic dTpw")],
            &[("cookie", &token_as_session)],
            &[("cookie", &elsewhere)],
            &[("cookie", "turno-board-4711=")],
            // Who sends a token is held to it.
            &[("authorization", "Bearer 0000"), ("cookie", &cookie)],
            &[("authorization", &bearer), ("authorization", "Bearer 0000")],
        ];
        for headers in ways {
            let headers = [&[("host", HOST), ("origin", ORIGIN)], headers].concat();
            let answer = board.ask(method, &path, &headers, "{}").await;
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{method} {path} {headers:?}: {}",
                answer.body
            );
            assert_eq!(answer.json()["error"]["code"], "unauthorized");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_refuses_what_is_meant_for_somebody_else() {
    let board = Asked::new(Fake::new()).await;
    let bearer = board.bearer();
    let mut all = guarded();
    all.push((
        "GET",
        format!("/enter?code={}", mint(&board.fake.dirs).unwrap().code),
    ));
    for (method, path) in all {
        let hosts: [&[(&str, &str)]; 7] = [
            &[],
            &[("host", "evil.example")],
            &[("host", "evil.example:4711")],
            &[("host", "127.0.0.1:4712")],
            &[("host", "127.0.0.1")],
            &[("host", "127.0.0.1:4711.evil.example")],
            &[("host", HOST), ("host", "evil.example")],
        ];
        for headers in hosts {
            let headers = [headers, &[("authorization", bearer.as_str())]].concat();
            let answer = board.ask(method, &path, &headers, "{}").await;
            assert_eq!(
                answer.status,
                StatusCode::FORBIDDEN,
                "{method} {path} {headers:?}: {}",
                answer.body
            );
        }
        let whole = format!("http://evil.example{path}");
        let headers = [("host", HOST), ("authorization", bearer.as_str())];
        let answer = board.ask(method, &whole, &headers, "{}").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {whole}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_refuses_what_another_page_asks_for() {
    let board = Asked::new(Fake::new()).await;
    let (bearer, cookie) = (board.bearer(), board.browser().await);
    for (method, path) in guarded() {
        for shown in [("authorization", bearer.as_str()), ("cookie", cookie.as_str())] {
            let mut ways: Vec<&[(&str, &str)]> = vec![
                &[("origin", "http://evil.example")],
                &[("origin", "null")],
                &[("origin", "http://127.0.0.1:4712")],
                &[("origin", "https://127.0.0.1:4711")],
                &[("origin", ORIGIN), ("origin", "http://evil.example")],
                &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
                &[("origin", ORIGIN), ("sec-fetch-site", "same-site")],
            ];
            if changes(method) {
                ways.push(&[("origin", ORIGIN), ("sec-fetch-site", "none")]);
                if shown.0 == "cookie" {
                    ways.push(&[]);
                }
            }
            for headers in ways {
                let headers = [&[("host", HOST), shown], headers].concat();
                let answer = board.ask(method, &path, &headers, "{}").await;
                assert_eq!(
                    answer.status,
                    StatusCode::FORBIDDEN,
                    "{method} {path} {headers:?}: {}",
                    answer.body
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_tells_a_browser_to_load_and_keep_nothing_else() {
    let board = Asked::new(Fake::new()).await;
    let bearer = board.bearer();
    for (method, path) in guarded() {
        for headers in [
            &[("host", HOST), ("authorization", bearer.as_str())][..],
            &[("host", HOST)],
            &[("host", "evil.example")],
        ] {
            let answer = board.ask(method, &path, headers, "").await;
            let header = |name: &str| answer.headers.get(name).map_or("", |v| v.to_str().unwrap());
            let policy = header("content-security-policy");
            for part in [
                "default-src 'none'",
                "script-src 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "form-action 'self'",
            ] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("referrer-policy"), "same-origin");
            assert_eq!(header("access-control-allow-origin"), "");
            let kept = header("cache-control");
            let asset = path.starts_with("/assets/") && answer.status == StatusCode::OK;
            let streamed = header("content-type") == "text/event-stream";
            assert!(asset || streamed || kept == "no-store", "{path}: {kept}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_one_session_that_no_script_can_read() {
    let board = Asked::new(Fake::new()).await;
    let path = format!("/enter?code={}", mint(&board.fake.dirs).unwrap().code);
    let answer = board.ask("GET", &path, &[("host", HOST)], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let again = board.ask("GET", &path, &[("host", HOST)], "").await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(!again.headers.contains_key("set-cookie"));
    let none = board.ask("GET", "/enter?code=0", &[("host", HOST)], "").await;
    assert_eq!(none.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_another_port_was_sent_is_of_no_use() {
    let board = Asked::new(Fake::new()).await;
    let cookie = board.browser().await;
    for (method, path) in guarded() {
        // By the names that other servers of this machine have too, and whatever they make up.
        for host in ["127.0.0.1:4711", "localhost:4711", "[::1]:4711"] {
            let origin = format!("http://{host}");
            let headers = [
                ("host", host),
                ("cookie", cookie.as_str()),
                ("origin", origin.as_str()),
            ];
            let answer = board.ask(method, &path, &headers, "{}").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {host}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_not_used_up_by_who_only_looks_or_comes_by_another_name() {
    let board = Asked::new(Fake::new()).await;
    let path = format!("/enter?code={}", mint(&board.fake.dirs).unwrap().code);
    let looked = board.ask("HEAD", &path, &[("host", HOST)], "").await;
    assert_eq!(looked.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(!looked.headers.contains_key("set-cookie"));
    let elsewhere = board.ask("GET", &path, &[("host", "127.0.0.1:4711")], "").await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN);
    assert!(!elsewhere.headers.contains_key("set-cookie"));
    let entered = board.ask("GET", &path, &[("host", HOST)], "").await;
    assert_eq!(entered.status, StatusCode::OK, "{}", entered.body);
}
