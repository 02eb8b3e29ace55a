//! One story for each mode, through the binary, with written agents on a small project with real checks.

mod batch;
mod contest;
mod drain;
mod feature_dev;
mod pair;
mod qa;
mod together;

use serde_json::Value;

use crate::harness::project::Project;

/// A task's stage by its id, from `turno status --json`.
#[track_caller]
pub(super) fn stage(project: &Project, id: &str) -> String {
    let status = project.turno(&["status", "--json"]).exits(0).json();
    let tasks = status["issues"].as_array().unwrap().iter();
    let mut tasks = tasks.flat_map(|i| i["tasks"].as_array().unwrap());
    let task = tasks.find(|t| t["id"] == id);
    task.unwrap_or_else(|| panic!("there is no task {id}"))["stage"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Every agent start of a journal: who, and for which task.
pub(super) fn starts(journal: &[Value]) -> Vec<(String, String)> {
    journal
        .iter()
        .flat_map(|r| r["commands"].as_array().unwrap())
        .filter_map(|c| c.get("start-agent"))
        .map(|s| {
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            (text(&s["persona"]), text(&s["task"]))
        })
        .collect()
}

#[track_caller]
pub(super) fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}
