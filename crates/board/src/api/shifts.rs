//! Owns shifts: their course, and the report.

use axum::Json;
use axum::extract::State;
use turno_core::ids::ShiftId;
use turno_engine::run::now;

use super::Id;
use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::account::accounts;
use crate::view::shift::{ShiftCard, ShiftPage};

/// Every shift, the latest first.
#[utoipa::path(get, path = "/api/shifts", tag = "views", responses((status = 200, body = Vec<ShiftCard>)))]
pub(crate) async fn shifts(State(app): State<Shared>) -> Json<Vec<ShiftCard>> {
    let state = app.seen().state;
    Json(
        state
            .shifts
            .values()
            .rev()
            .map(|s| ShiftCard::of(&state, s))
            .collect(),
    )
}

/// The course of a shift: what it spent over time, who was at work when, what waited.
#[utoipa::path(get, path = "/api/shifts/{id}", tag = "views", params(("id" = String, Path, description = "like S1 or 1")),
    responses((status = 200, body = ShiftPage), (status = 404, body = ProblemBody)))]
pub(crate) async fn shift(
    State(app): State<Shared>,
    Id(id): Id<ShiftId>,
) -> Result<Json<ShiftPage>, Problem> {
    let page = app.heavy(move |app| {
        let state = app.seen().state;
        let shift = state
            .shifts
            .get(&id)
            .ok_or_else(|| Problem::no_such("shift", id))?;
        let card = ShiftCard::of(&state, shift);
        let is_latest = state.shifts.keys().next_back() == Some(&id);
        let accounts = if is_latest {
            accounts(&state, now())
        } else {
            Vec::new()
        };
        app.report(id, |report| ShiftPage::of(card, accounts, report))
    });
    page.await.map(Json)
}

/// The report of a shift: the stable shape of `turno report --format json`.
#[utoipa::path(get, path = "/api/shifts/{id}/report", tag = "views",
    params(("id" = String, Path, description = "like S1 or 1")),
    responses((status = 200, body = Object), (status = 404, body = ProblemBody)))]
pub(crate) async fn report(
    State(app): State<Shared>,
    Id(id): Id<ShiftId>,
) -> Result<Json<serde_json::Value>, Problem> {
    let report = app.heavy(move |app| {
        if !app.seen().state.shifts.contains_key(&id) {
            return Err(Problem::no_such("shift", id));
        }
        let json = app.report(id, |report| serde_json::to_value(report))?;
        json.map_err(|e| Problem::Bug(e.to_string()))
    });
    report.await.map(Json)
}
