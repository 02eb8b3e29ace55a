//! Owns how a page is made: templates and what they load, all embedded, and the words and pictures that templates put
//! views into. A page shows views and nothing else; text from outside is made harmless here, before any template sees
//! it, and is escaped by the templates.

mod assets;
mod chart;
mod diff;
mod filters;
pub(crate) mod forms;
mod graph;
pub(crate) mod home;
pub(crate) mod lists;
mod plain;
pub(crate) mod shifts;
pub(crate) mod work;

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{Html, IntoResponse, Response};
use include_dir::{Dir, include_dir};
use serde::Serialize;
use tera::{Context, Tera};

use crate::api::board::head_of;
use crate::error::Problem;
use crate::routes::App;
use crate::view::board::BoardView;

pub(crate) use assets::asset;
pub(crate) use home::enter;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The templates; an error in one of them is told by the first page, and by a test.
static PAGES: LazyLock<Result<Tera, String>> = LazyLock::new(|| {
    let mut tera = Tera::default();
    filters::register(&mut tera);
    let texts = TEMPLATES.files().filter_map(|file| {
        let name = file.path().file_name()?.to_str()?;
        Some((name, file.contents_utf8()?))
    });
    // Their names end in .html, so everything that is put into them is escaped.
    tera.add_raw_templates(texts).map_err(|e| format!("{e:?}"))?;
    Ok(tera)
});

/// What a page is told. Every page has the head of the board in it; one has all of it.
#[derive(Debug)]
pub(crate) struct Told(Context);

impl Told {
    fn new(app: &App) -> Self {
        Self::with(&head_of(app))
    }

    fn with(board: &BoardView) -> Self {
        Self::bare().and("board", board)
    }

    /// For a page that has no head.
    fn bare() -> Self {
        let mut context = Context::new();
        context.insert("assets", &*assets::SUMS);
        Self(context)
    }

    /// And this, with the text in it made harmless.
    fn and(mut self, key: &'static str, value: &impl Serialize) -> Self {
        let mut value = serde_json::to_value(value).unwrap_or_default();
        plain::clean(&mut value);
        self.0.insert(key, &value);
        self
    }

    fn page(self, name: &str) -> Result<Html<String>, Problem> {
        let tera = PAGES.as_ref().map_err(|e| Problem::Bug(e.clone()))?;
        let text = tera.render(name, &self.0);
        text.map(Html).map_err(|e| Problem::Bug(format!("{name}: {e}")))
    }
}

/// What a browser shows, or why it cannot.
pub(crate) type Shown = Result<Html<String>, Trouble>;

/// A problem as a page.
#[derive(Debug)]
pub(crate) struct Trouble(Problem);

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let (status, _) = problem.status();
        match Told::bare().and("why", &problem.to_string()).page("trouble.html") {
            Ok(html) => (status, html).into_response(),
            Err(_) => problem.into_response(),
        }
    }
}

/// A problem as whoever asks reads it: a person in a browser as a page, a program as JSON.
pub(crate) fn trouble(problem: Problem, headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok());
    if accept.is_some_and(|a| a.contains("text/html")) {
        return Trouble(problem).into_response();
    }
    problem.into_response()
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
            let refused = text.split_ascii_whitespace().any(|word| {
                let named = word.split_once('=').map(|(name, _)| name);
                named.is_some_and(|n| n == "style" || n.starts_with("on"))
            });
            assert!(!refused, "{name} has what the policy refuses");
        }
    }
}
