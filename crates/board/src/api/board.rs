//! Owns the board and its live events.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::KeepAlive;
use axum::response::{IntoResponse, Response, Sse};
use serde::Deserialize;
use turno_core::ids::Seq;
use turno_engine::run::now;

use super::Asked;
use crate::error::{Problem, ProblemBody};
use crate::routes::{App, Shared};
use crate::stream;
use crate::view::board::{BoardView, board as view, head};
use crate::view::event::RecordView;

/// An idle stream says so often that it is there.
const ALIVE: Duration = Duration::from_secs(15);

/// The board as it is now.
pub(crate) fn now_of(app: &App) -> BoardView {
    view(&app.seen(), &app.mirror.doing(), app.workspace.name(), now())
}

/// What every page has at its top.
pub(crate) fn head_of(app: &App) -> BoardView {
    head(&app.seen(), app.workspace.name(), now())
}

/// The board: columns, cards, open questions.
#[utoipa::path(get, path = "/api/board", tag = "views", responses((status = 200, body = BoardView)))]
pub(crate) async fn board(State(app): State<Shared>) -> Json<BoardView> {
    Json(now_of(&app))
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Since {
    /// The last record that the client knows; absent: the last one there is.
    after: Option<u64>,
}

/// What happens, as it happens: events of the kinds `record` (whose id is the record's number), `live`, `coordinator` and `reset`.
/// With `Last-Event-ID`, or `after`, it begins after that record.
#[utoipa::path(get, path = "/api/events", tag = "views", params(
    ("after" = Option<u64>, Query, description = "the last record that the client knows; absent: the last there is"),
    ("Last-Event-ID" = Option<u64>, Header, description = "the same; it wins"),
), responses(
    (status = 200, body = RecordView, content_type = "text/event-stream"),
    (status = 503, body = ProblemBody),
))]
pub(crate) async fn events(
    State(app): State<Shared>,
    Asked(since): Asked<Since>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = match headers.get("last-event-id") {
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            Some(text.parse::<Seq>()?)
        }
        None => since.after.map(Seq),
    };
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        Problem::Unavailable("too many clients follow the events already; close some".to_owned())
    })?;
    let events = stream::events(&app.mirror, last, app.stop.clone(), place);
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}
