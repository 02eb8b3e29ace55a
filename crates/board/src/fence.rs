//! Owns what every request must get past before anything looks at it: for whom it is meant, where it comes from, and
//! who asks. And what every answer says about what a browser may do with it.

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cookie::Cookie;

use crate::auth::{Gate, Shown};
use crate::error::Problem;
use crate::pages::trouble;
use crate::routes::Shared;

/// Nothing is loaded but what the board itself serves, nothing is put in a frame, nothing is sent elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' \
                      data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The names by which one listener is reached.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    hosts: Vec<String>,
    origins: Vec<String>,
    browsers: Browsers,
}

/// The name by which browsers come, if they do. Sessions are begun and good under that name alone: a cookie that was
/// taken on another one is no use.
#[derive(Debug, Clone)]
enum Browsers {
    Come { host: String, cookie: String },
    Never,
}

/// What a browser that is let in is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CookieName<'n>(pub(crate) &'n str);

impl Names {
    /// Of a loopback port, to which browsers come by the name of their own.
    pub(crate) fn of_port(port: u16, own: &str) -> Self {
        let names = ["127.0.0.1", "localhost", "[::1]", own];
        let mut hosts: Vec<String> = names.iter().map(|n| format!("{n}:{port}")).collect();
        if port == 80 {
            hosts.extend(names.map(str::to_owned));
        }
        Self {
            origins: hosts.iter().map(|h| format!("http://{h}")).collect(),
            hosts,
            browsers: Browsers::Come {
                host: if port == 80 {
                    own.to_owned()
                } else {
                    format!("{own}:{port}")
                },
                cookie: format!("turno-board-{port}"),
            },
        }
    }

    /// Of a Unix socket, to which no browser comes.
    pub(crate) fn of_socket() -> Self {
        Self {
            hosts: vec!["localhost".to_owned()],
            origins: Vec::new(),
            browsers: Browsers::Never,
        }
    }

    /// The cookie of a session, if a request came by the name that browsers come by.
    pub(crate) fn cookie(&self, headers: &HeaderMap) -> Option<CookieName<'_>> {
        match &self.browsers {
            Browsers::Come { host, cookie } => match only(headers, HOST) {
                Only::Is(asked) if host.eq_ignore_ascii_case(asked) => Some(CookieName(cookie)),
                Only::Is(_) | Only::Absent | Only::Strange => None,
            },
            Browsers::Never => None,
        }
    }
}

/// One value of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: impl axum::http::header::AsHeaderName) -> Only<'h> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Only::Absent,
        (Some(value), None) => value.to_str().map_or(Only::Strange, Only::Is),
        (Some(_), Some(_)) => Only::Strange,
    }
}

enum Only<'h> {
    Absent,
    Is(&'h str),
    Strange,
}

fn is_meant_for(names: &Names, request: &Request) -> bool {
    let known = |host: &str| names.hosts.iter().any(|h| h.eq_ignore_ascii_case(host));
    let by_line = request.uri().authority().is_none_or(|a| known(a.as_str()));
    by_line && matches!(only(request.headers(), HOST), Only::Is(host) if known(host))
}

/// What is asked of anybody, and what is said of every answer.
pub(crate) async fn outer(State(names): State<Names>, request: Request, next: Next) -> Response {
    let mut answer = if is_meant_for(&names, &request) {
        next.run(request).await
    } else {
        Problem::Forbidden(
            "the Host header does not name this board; use the address that `turno board` prints",
        )
        .into_response()
    };
    let headers = answer.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(X_FRAME_OPTIONS, "DENY");
    // A form that says nothing of where it is from could not be told from one of another page; other sites are told
    // nothing.
    say(REFERRER_POLICY, "same-origin");
    say(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    say(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    // A handler may have said something stricter for what it shows.
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}

/// What is asked of everybody who has no link.
pub(crate) async fn inner(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let passed = who(&app.gate, &app.names, request.headers())
        .and_then(|shown| comes_from_here(&app.names, request.method(), request.headers(), shown));
    match passed {
        Ok(()) => next.run(request).await,
        Err(problem) => trouble(problem, request.headers()),
    }
}

/// Who asks. Whoever sends a token is held to it, whatever else is sent.
fn who(gate: &Gate, names: &Names, headers: &HeaderMap) -> Result<Shown, Problem> {
    match only(headers, AUTHORIZATION) {
        Only::Is(value) => {
            let token = value
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            match token {
                Some((_, token)) if gate.knows_token(token.trim()) => Ok(Shown::Bearer),
                Some(_) | None => Err(Problem::Unauthorized),
            }
        }
        Only::Strange => Err(Problem::Unauthorized),
        Only::Absent => {
            let CookieName(name) = names.cookie(headers).ok_or(Problem::Unauthorized)?;
            let cookies = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
            let known = cookies
                .flat_map(Cookie::split_parse)
                .flatten()
                .any(|c| c.name() == name && gate.knows_session(c.value()));
            if known {
                Ok(Shown::Session)
            } else {
                Err(Problem::Unauthorized)
            }
        }
    }
}

/// Where it comes from. A browser says it of each change; who shows the token itself need not be a browser.
fn comes_from_here(names: &Names, method: &Method, headers: &HeaderMap, shown: Shown) -> Result<(), Problem> {
    let foreign = Err(Problem::Forbidden(
        "the request comes from a page that is not the board's",
    ));
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    match (only(headers, SEC_FETCH_SITE), changes) {
        (Only::Is("same-origin") | Only::Absent, _) | (Only::Is("none"), false) => {}
        (Only::Is(_) | Only::Strange, _) => return foreign,
    }
    match (only(headers, ORIGIN), shown, changes) {
        (Only::Is(origin), _, _) if names.origins.iter().any(|o| o == origin) => Ok(()),
        (Only::Absent, Shown::Bearer, _) | (Only::Absent, Shown::Session, false) => Ok(()),
        (Only::Absent, Shown::Session, true) => Err(Problem::Forbidden(
            "a change that a browser asks for must say from which page (Origin)",
        )),
        (Only::Is(_) | Only::Strange, _, _) => foreign,
    }
}
