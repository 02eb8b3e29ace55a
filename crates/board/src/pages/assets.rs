//! Owns the files that pages load: embedded, known by what is in them. It serves no other file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use crate::error::Problem;

static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets");

/// What each embedded file is known by: it changes when the file does.
pub(super) static SUMS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    let named = ASSETS.files().filter_map(|file| {
        let name = file.path().file_name()?.to_str()?;
        let sum = Sha256::digest(file.contents());
        let sum: String = sum.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Some((name, sum))
    });
    named.collect()
});

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
