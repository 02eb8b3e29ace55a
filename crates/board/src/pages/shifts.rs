//! Owns the pages about shifts: one with its course as pictures, all of them, and the report.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use turno_core::ids::ShiftId;

use super::chart::Chart;
use super::{Shown, Told, Trouble};
use crate::api::{Id, shifts, things};
use crate::error::Problem;
use crate::routes::{App, Shared};

/// A report is one file with its style in it: that one style is used, known by its sum, and no script runs.
fn policy(html: &str) -> Result<HeaderValue, Problem> {
    let style = html
        .split_once("<style>")
        .and_then(|(_, rest)| rest.split_once("</style>"));
    let style = match style {
        Some((style, _)) => format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style.as_bytes()))),
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; style-src {style}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    );
    HeaderValue::from_str(&policy).map_err(|e| Problem::Bug(e.to_string()))
}

/// Every shift, the latest first.
pub(crate) async fn shifts(State(app): State<Shared>) -> Shown {
    let Json(all) = shifts::shifts(State(app.clone())).await;
    let Json(mut levels) = things::budget(State(app.clone())).await;
    // Those of tasks are on the pages of their issues.
    levels.retain(|l| !l.level.starts_with("task/"));
    Ok(Told::new(&app)
        .and("shifts", &all)
        .and("levels", &levels)
        .page("shifts.html")?)
}

/// One shift: what it spent over time, who was at work when, what waited for what.
pub(crate) async fn shift(State(app): State<Shared>, id: Id<ShiftId>) -> Shown {
    let Json(page) = shifts::shift(State(app.clone()), id).await?;
    Ok(Told::new(&app)
        .and("chart", &Chart::of(&page))
        .and("page", &page)
        .page("shift.html")?)
}

/// The report of a shift, as `turno report --format html` makes it.
pub(crate) async fn report(State(app): State<Shared>, Id(id): Id<ShiftId>) -> Result<Response, Trouble> {
    let html = app.heavy(move |app| {
        if !app.seen().state.shifts.contains_key(&id) {
            return Err(Problem::no_such("shift", id));
        }
        app.report(id, |report| app.workspace.report(report))?
    });
    let html = back(&html.await?);
    Ok(([(CONTENT_SECURITY_POLICY, policy(&html)?)], Html(html)).into_response())
}

/// With a way back, which the file alone has no use for.
fn back(html: &str) -> String {
    html.replacen("<body>", "<body><p><a href=\"/\">The board</a></p>", 1)
}

/// The report of the latest shift.
pub(crate) async fn latest(State(app): State<Shared>) -> Result<Response, Trouble> {
    let id = latest_of(&app).ok_or_else(|| {
        Problem::NotFound("no shift has run here yet, so there is nothing to report".to_owned())
    })?;
    report(State(app), Id(id)).await
}

fn latest_of(app: &App) -> Option<ShiftId> {
    app.seen().state.shifts.keys().next_back().copied()
}
