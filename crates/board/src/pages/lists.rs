//! Owns the pages that list things: questions, what was salvaged, the configuration, personas.

use axum::Json;
use axum::extract::State;
use serde_json::json;

use super::{Shown, Told};
use crate::api::things;
use crate::routes::Shared;
use crate::view::things::SettingView;

/// Every question, those that wait first.
pub(crate) async fn decisions(State(app): State<Shared>) -> Shown {
    let Json(decisions) = things::decisions(State(app.clone())).await;
    let settled: Vec<_> = decisions.iter().filter(|d| !d.stage.is_open()).collect();
    Ok(Told::new(&app).and("settled", &settled).page("decisions.html")?)
}

/// What was salvaged.
pub(crate) async fn salvage(State(app): State<Shared>) -> Shown {
    let Json(mut salvaged) = things::salvage(State(app.clone())).await?;
    salvaged.reverse();
    Ok(Told::new(&app).and("salvaged", &salvaged).page("salvage.html")?)
}

/// Each key of the configuration, its value and where that came from.
pub(crate) async fn config(State(app): State<Shared>) -> Shown {
    let Json(settings) = things::config(State(app.clone())).await?;
    let policies = app.heavy(|app| app.workspace.policies()).await?;
    let policies: Vec<_> = policies
        .iter()
        .map(|(name, settings)| {
            let settings: Vec<_> = settings.iter().map(SettingView::of).collect();
            json!({"name": name, "settings": rows(&settings)})
        })
        .collect();
    let told = Told::new(&app)
        .and("settings", &rows(&settings))
        .and("policies", &policies);
    Ok(told.page("config.html")?)
}

fn rows(settings: &[SettingView]) -> Vec<serde_json::Value> {
    let row = |s: &SettingView| json!({"key": s.key, "value": s.value.text(), "source": s.source});
    settings.iter().map(row).collect()
}

/// The personas: what each is for, who plays it, what it may do and what it is told.
pub(crate) async fn personas(State(app): State<Shared>) -> Shown {
    let loaded = app.heavy(|app| app.workspace.config()).await?;
    let personas: Vec<_> = loaded
        .personas
        .iter()
        .map(|entry| {
            let persona = &entry.persona;
            json!({
                "name": persona.name,
                "role": persona.role,
                "agents": persona.agents,
                "description": persona.description,
                "budget": persona.budget.0,
                "wall_ms": persona.wall_clock.0,
                "file": entry.file,
                "prompt": persona.prompt,
            })
        })
        .collect();
    Ok(Told::new(&app).and("personas", &personas).page("personas.html")?)
}
