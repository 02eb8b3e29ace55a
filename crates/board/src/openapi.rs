//! Owns the description of the API, made from the handlers and the views themselves.

use axum::Json;
use utoipa::OpenApi;

use crate::api::{
    attempts, board, changes, issues, plans, promotions, pulls, remarks, service, shifts, things,
};
use crate::view::event::LiveView;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Turno's board",
        description = "Read what a team of coding agents does, and answer it. Times are milliseconds since 1970 UTC, \
                       money is millionths of a US dollar. Every request needs the board's token.",
    ),
    components(schemas(LiveView)),
    paths(
        board::board,
        board::events,
        issues::issue,
        issues::issue_diff,
        promotions::plan,
        pulls::plan,
        issues::task,
        issues::task_diff,
        attempts::attempt,
        attempts::conversation,
        attempts::transcript,
        attempts::prompt,
        things::decisions,
        things::budget,
        things::salvage,
        things::previews,
        things::config,
        shifts::shifts,
        shifts::shift,
        shifts::report,
        service::state,
        service::tracked,
        service::refresh,
        changes::file,
        changes::edit,
        changes::close,
        changes::start,
        promotions::promote,
        pulls::open,
        changes::discard_issue,
        changes::discard_task,
        changes::answer,
        changes::stop,
        changes::budget,
        plans::plan,
        plans::edit,
        remarks::on_task,
        remarks::on_issue,
        remarks::to_attempt,
    )
)]
struct Described;

/// The description, as OpenAPI in JSON.
pub fn openapi() -> serde_json::Value {
    serde_json::to_value(Described::openapi()).unwrap_or_default()
}

/// Serves it.
pub(crate) async fn serve() -> Json<serde_json::Value> {
    Json(openapi())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_described_is_what_is_served() {
        let described = openapi();
        let mut named = BTreeSet::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                named.insert((method.to_uppercase(), path.clone()));
            }
        }
        let served: BTreeSet<_> = crate::routes::served()
            .into_iter()
            .filter(|(_, path, _)| path.starts_with("/api/") && *path != "/api/openapi.json")
            .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
            .collect();
        assert_eq!(named, served);
    }

    /// The checked-in copy is for those who have no board at hand. Written anew with TURNO_WRITE_OPENAPI=1.
    #[test]
    fn the_copy_in_the_documentation_is_the_same() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let now = format!("{}\n", serde_json::to_string_pretty(&openapi()).unwrap());
        if std::env::var_os("TURNO_WRITE_OPENAPI").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(
            kept == now,
            "docs/openapi.json is not what is served; write it with TURNO_WRITE_OPENAPI=1 cargo test -p turno-board"
        );
    }
}
