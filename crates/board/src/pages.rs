//! Owns the pages: templates and what they load, all embedded. A page shows views and nothing else; text from outside
//! is escaped by the templates and set as text by the scripts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use cookie::{Cookie, SameSite};
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tera::{Context, Tera};

use crate::api::Asked;
use crate::api::board::now_of;
use crate::auth::SESSION_AGE;
use crate::error::Problem;
use crate::routes::Shared;

static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The templates; an error in one of them is told by the first page, and by a test.
static PAGES: LazyLock<Result<Tera, String>> = LazyLock::new(|| {
    let mut tera = Tera::default();
    let texts = TEMPLATES.files().filter_map(|file| {
        let name = file.path().file_name()?.to_str()?;
        Some((name, file.contents_utf8()?))
    });
    // Their names end in .html, so everything that is put into them is escaped.
    tera.add_raw_templates(texts).map_err(|e| format!("{e:?}"))?;
    Ok(tera)
});

/// What each embedded file is known by: it changes when the file does.
static SUMS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    let named = ASSETS.files().filter_map(|file| {
        let name = file.path().file_name()?.to_str()?;
        let sum = Sha256::digest(file.contents());
        let sum: String = sum.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Some((name, sum))
    });
    named.collect()
});

fn page(name: &str, context: &mut Context) -> Result<Html<String>, Problem> {
    context.insert("assets", &*SUMS);
    let tera = PAGES.as_ref().map_err(|e| Problem::Bug(e.clone()))?;
    let text = tera.render(name, context);
    text.map(Html).map_err(|e| Problem::Bug(format!("{name}: {e:?}")))
}

/// The board.
pub(crate) async fn home(State(app): State<Shared>) -> Result<Html<String>, Problem> {
    let mut context = Context::new();
    context.insert("board", &now_of(&app));
    page("board.html", &mut context)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Code {
    code: String,
}

/// Lets a browser in by a link. The page that follows is asked for by this one, so that a browser which came from
/// somewhere else sends the new cookie with it.
pub(crate) async fn enter(State(app): State<Shared>, Asked(Code { code }): Asked<Code>) -> Response {
    let Some(session) = app.gate.enter(&code) else {
        return Problem::Forbidden("this link was used or is too old; `turno board --link` prints a new one")
            .into_response();
    };
    let age = i64::try_from(SESSION_AGE.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((app.names.cookie().to_owned(), session))
        .http_only(true)
        .same_site(SameSite::Strict)
        .path("/")
        .max_age(cookie::time::Duration::seconds(age))
        .build();
    match page("enter.html", &mut Context::new()) {
        Ok(html) => ([(SET_COOKIE, cookie.to_string())], html).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    }
}

/// An embedded file.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let none = || Problem::NotFound("there is no such file".to_owned());
    let file = ASSETS.get_file(&name).ok_or_else(none)?;
    let sum = SUMS.get(name.as_str()).ok_or_else(none)?;
    let tag = format!("\"{sum}\"");
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|v| v.as_bytes() == tag.as_bytes());
    let mut answer = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, kind(&name))], file.contents()).into_response()
    };
    let tag = HeaderValue::from_str(&tag).map_err(|e| Problem::Bug(e.to_string()))?;
    answer.headers_mut().insert(ETAG, tag);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_in_order_and_none_says_that_text_is_safe() {
        PAGES.as_ref().unwrap();
        for file in TEMPLATES.files() {
            let name = file.path().to_str().unwrap();
            let text = file.contents_utf8().unwrap();
            assert!(name.ends_with(".html"), "{name} would not be escaped");
            assert!(!text.contains("safe"), "{name}");
            assert!(
                !text.contains("style=") && !text.contains(" on"),
                "{name} has what the policy refuses"
            );
        }
    }

    #[test]
    fn no_script_puts_text_into_a_page_as_markup() {
        for file in ASSETS.files() {
            let text = file.contents_utf8().unwrap();
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(word), "{} has {word}", file.path().display());
            }
        }
    }
}
