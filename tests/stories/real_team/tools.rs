//! The tools that Turno gives its agents, in the hands of the real codex, opencode and gemini: what their models say
//! through them is in the journal, and what the tools answer reaches the models.

use serde_json::json;

use super::stage::{Stage, change, script};
use crate::harness::model_server::{Api, Turn};
use crate::harness::processes::nothing_runs;
use crate::harness::real_cli::Cli;

const FILES: [(&str, &str); 3] = [
    ("greet.txt", "hello\n"),
    (
        "turno.toml",
        "policy = \"single\"\n[checks.test]\ncommand = \"grep -q world greet.txt\"\n",
    ),
    (".turno/policies/single.toml", "review = \"off\"\n"),
];

const REMARK: &str = "The moon is greeted elsewhere.";

fn uses_our_tools(story: &str, cli: Cli, api: Api) {
    let mut turns = Vec::new();
    if cli == Cli::Codex {
        // Its model finds them before it can call them.
        turns.push(Turn::tool(
            "tool_search",
            json!({"query": "turno note context", "limit": 8}),
        ));
    }
    let found = turns.len();
    turns.extend([
        Turn::tool("context", json!({})),
        Turn::tool("note", json!({"text": REMARK})),
        Turn::edit("greet.txt", "hello", "hello world"),
        change("greets the world"),
    ]);
    let scripts = vec![script(api, "The task is new", turns)];
    let Some(stage) = Stage::new(story, &[cli], &FILES, scripts) else {
        return;
    };
    stage.cast("engineer", cli);
    let project = &stage.project;
    project.issue("Greet the world");
    stage.run(&["run", "1"]).exits(0);
    nothing_runs(project);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(stage.played().len(), 1, "once was enough");

    for r in stage.requests(api, "") {
        println!("DBG {} \nTOOLS {}", r.body["input"], r.body["tools"]);
    }
    let noted = stage.facts("noted");
    assert_eq!(noted.len(), 1, "{noted:#?}");
    assert_eq!(noted[0]["said"]["remark"], REMARK, "{noted:#?}");
    let requests = stage.requests(api, "The task is new");
    let told = requests[found + 1].body.to_string();
    assert!(told.contains("acceptance"), "its task was told: {told}");
    let told = requests[found + 2].body.to_string();
    assert!(
        told.contains("it is written down"),
        "it knows that it was heard: {told}"
    );
}

#[test]
fn codex_uses_our_tools() {
    uses_our_tools("codex and our tools", Cli::Codex, Api::Responses);
}

#[test]
fn opencode_uses_our_tools() {
    uses_our_tools("opencode and our tools", Cli::Opencode, Api::Chat);
}

#[test]
fn gemini_uses_our_tools() {
    uses_our_tools("gemini and our tools", Cli::Gemini, Api::Gemini);
}
