//! Owns questions, budgets, salvage and the configuration.

use axum::Json;
use axum::extract::State;
use turno_core::ledger::levels;
use turno_engine::preview;
use turno_engine::run::now;

use crate::error::{Problem, ProblemBody};
use crate::routes::Shared;
use crate::view::BudgetView;
use crate::view::decision::DecisionView;
use crate::view::things::{PreviewView, SalvageView, SettingView};

/// Every question, open or not, the latest first.
#[utoipa::path(get, path = "/api/decisions", tag = "views", responses((status = 200, body = Vec<DecisionView>)))]
pub(crate) async fn decisions(State(app): State<Shared>) -> Json<Vec<DecisionView>> {
    let seen = app.seen();
    let all = seen.state.decisions.values().rev();
    Json(all.map(|d| DecisionView::of(d)).collect())
}

/// Every level of the ledger that matters now, the widest first.
#[utoipa::path(get, path = "/api/budget", tag = "views", responses((status = 200, body = Vec<BudgetView>)))]
pub(crate) async fn budget(State(app): State<Shared>) -> Json<Vec<BudgetView>> {
    let seen = app.seen();
    Json(levels(&seen.state, now()).iter().map(BudgetView::of).collect())
}

/// What was salvaged, oldest first.
#[utoipa::path(get, path = "/api/salvage", tag = "views",
    responses((status = 200, body = Vec<SalvageView>), (status = 503, body = ProblemBody)))]
pub(crate) async fn salvage(State(app): State<Shared>) -> Result<Json<Vec<SalvageView>>, Problem> {
    let found = app.heavy(|app| app.workspace.salvage()).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// The previews that run, with where they answer. None is started here: `turno preview` does that.
#[utoipa::path(get, path = "/api/previews", tag = "views",
    responses((status = 200, body = Vec<PreviewView>), (status = 503, body = ProblemBody)))]
pub(crate) async fn previews(State(app): State<Shared>) -> Result<Json<Vec<PreviewView>>, Problem> {
    let found = app
        .heavy(|app| Ok(preview::running(app.workspace.dirs())))
        .await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// The configuration as it is now: each key that is set, its value, and where that came from.
#[utoipa::path(get, path = "/api/config", tag = "views",
    responses((status = 200, body = Vec<SettingView>), (status = 503, body = ProblemBody)))]
pub(crate) async fn config(State(app): State<Shared>) -> Result<Json<Vec<SettingView>>, Problem> {
    let settings = app.heavy(|app| app.workspace.settings()).await?;
    Ok(Json(settings.iter().map(SettingView::of).collect()))
}
