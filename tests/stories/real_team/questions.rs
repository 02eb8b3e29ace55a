//! A real claude asks a person, with its own tool and with ours: its task gives the slot up to another and goes on
//! in the same conversation once there is an answer, or it waits in its slot where the policy says so.

use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{Stage, change, script};
use crate::harness::model_server::{Action, Api, Script, Turn};
use crate::harness::processes::nothing_runs;
use crate::harness::real_cli::Cli;
use crate::stories::modes;

const CONFIG: &str = "slots = 1\npolicy = \"single\"\n[checks.test]\ncommand = \"cat *.txt\"\n";

/// With which tool it asks.
#[derive(Clone, Copy)]
enum Asks {
    /// Its own.
    Itself,
    /// The one of the server that Turno gives it.
    WithOurTool,
}

impl Asks {
    fn turn(self) -> Turn {
        let question = "Whom shall I greet?";
        match self {
            Self::Itself => Turn::tool(
                "AskUserQuestion",
                json!({"questions": [{
                    "question": question,
                    "header": "Greeting",
                    "multiSelect": false,
                    "options": [
                        {"label": "The moon", "description": "It is near."},
                        {"label": "The world", "description": "It is large."},
                    ],
                }]}),
            ),
            Self::WithOurTool => Turn::tool(
                "mcp__turno__ask",
                json!({
                    "question": question,
                    "options": [
                        {"label": "The moon", "detail": "It is near."},
                        {"label": "The world", "detail": "It is large."},
                    ],
                    "recommended": "The moon",
                }),
            ),
        }
    }

    /// What the model would do when nobody answers. Its own tool ends the turn before it can do anything. After ours
    /// it would give the outcome that it owes, without the answer, if it had the time to.
    fn leaves(self) -> Vec<Turn> {
        match self {
            Self::Itself => Vec::new(),
            Self::WithOurTool => {
                let thinks = Action::Wait(Duration::from_secs(20));
                let mut turn = change("greets nobody, for nobody answered");
                turn.actions.insert(0, thinks);
                vec![turn]
            }
        }
    }
}

fn stage(story: &str, decisions: &str, scripts: Vec<Script>) -> Option<Stage> {
    let policy = format!("review = \"off\"\n[decisions]\n{decisions}\n");
    let files = [
        ("greet.txt", "hello\n"),
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", policy.as_str()),
    ];
    let stage = Stage::new(story, &[Cli::Claude], &files, scripts)?;
    stage.cast("engineer", Cli::Claude);
    stage.project.issue("Greet somebody");
    Some(stage)
}

fn greets() -> [Turn; 2] {
    [
        Turn::edit("greet.txt", "hello", "hello world"),
        change("greets the world"),
    ]
}

/// A task that is in its slot until the story lets it go.
fn long() -> Script {
    let wait = "echo $$ >> \"$HOME/shared/pids\"; for i in $(seq 900); do \
                test -e \"$HOME/shared/go\" && exit 0; sleep 0.1; done; exit 1";
    let turns = [
        Turn::bash(wait),
        Turn::write("long.txt", "at length\n"),
        change("takes its time"),
    ];
    script(Api::Messages, "# Task 2.1\n", turns)
}

/// A person answers the one question there is.
fn answer(stage: &Stage) {
    let listed = stage.project.turno(&["answer"]).exits(0).out;
    modes::tells(&listed, &["d1", "Whom shall I greet?", "The moon", "The world"]);
    stage.project.turno(&["answer", "d1", "2"]).exits(0);
}

fn task_is(stage: &Stage, task: &str, what: &str) {
    let status = stage.project.turno(&["status", "--json"]).exits(0).json();
    let tasks = status["issues"].as_array().unwrap().iter();
    let mut tasks = tasks.flat_map(|i| i["tasks"].as_array().unwrap());
    let task = tasks.find(|t| t["id"] == task).unwrap();
    assert!(task.to_string().contains(what), "{task}");
}

fn asks_and_makes_room(story: &str, asks: Asks) {
    let mut turns = vec![asks.turn()];
    turns.extend(asks.leaves());
    let scripts = vec![
        script(Api::Messages, "You asked a question and stopped", greets()),
        script(Api::Messages, "# Task 1.1\n", turns),
        long(),
    ];
    let Some(stage) = stage(story, "nobody = \"park\"", scripts) else {
        return;
    };
    let project = &stage.project;
    project.issue("Write at length");
    let shift = stage.start(&["run", "1", "2"]);
    // The other has the one slot before anybody has answered.
    until_other_works(&stage);
    task_is(&stage, "1.1", "parked");
    answer(&stage);
    std::fs::write(project.shared().join("go"), "").unwrap();
    stage.ends(shift).exits(0);
    nothing_runs(project);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/2/base", "long.txt"), "at length");

    let played = stage.played();
    let order: Vec<&str> = played.iter().map(|p| p.task.as_str()).collect();
    assert_eq!(order, ["1.1", "2.1", "1.1"], "{played:#?}");
    let named = stage.facts("session-opened");
    let session = named[0]["session"].as_str().unwrap();
    assert_eq!(played[2].resumed.as_deref(), Some(session), "{played:#?}");
    let resumes = format!("--resume={session}");
    let started: Vec<bool> = played
        .iter()
        .map(|p| stage.arguments(p).contains(&resumes))
        .collect();
    assert_eq!(started, [false, false, true], "{resumes}");
    let before = stage.requests(Api::Messages, "# Task 1.1");
    let after = stage.requests(Api::Messages, "You asked a question and stopped");
    assert!(!before.is_empty() && !after.is_empty());
    for request in before.iter().chain(&after) {
        assert_eq!(request.session, session, "one conversation at the model, too");
    }
    assert!(after[0].message.contains("The world"), "{}", after[0].message);
    let said = after[0].body["messages"].to_string();
    for part in ["The task is new", "Whom shall I greet?"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

fn until_other_works(stage: &Stage) {
    let asked = stage.fact("decision-asked");
    assert_eq!(
        asked["question"]["options"].as_array().map(Vec::len),
        Some(2),
        "{asked}"
    );
    stage.until_recorded();
}

fn asks_and_waits(story: &str, asks: Asks) {
    let mut turns = vec![asks.turn()];
    turns.extend(greets());
    let scripts = vec![script(Api::Messages, "# Task 1.1\n", turns)];
    let decisions = "nobody = \"wait\"\ndeadline = \"5m\"";
    let Some(stage) = stage(story, decisions, scripts) else {
        return;
    };
    let project = &stage.project;
    let shift: Child = stage.start(&["run", "1"]);
    stage.fact("decision-asked");
    answer(&stage);
    stage.ends(shift).exits(0);
    nothing_runs(project);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(stage.played().len(), 1, "it never left its slot");
    let requests = stage.requests(Api::Messages, "# Task 1.1");
    assert!(
        requests.iter().all(|r| r.session == requests[0].session),
        "one conversation"
    );
    let told = tool_results(&requests[1].body);
    assert!(
        told.contains("The world"),
        "the answer is the tool's result: {told}"
    );
}

/// What the tools gave back, as the model sees it.
fn tool_results(body: &Value) -> String {
    let messages = body["messages"].as_array().unwrap().iter();
    let blocks = messages.filter_map(|m| m["content"].as_array()).flatten();
    let results = blocks.filter(|b| b["type"] == "tool_result");
    results.map(Value::to_string).collect()
}

#[test]
fn claude_asks_and_another_task_has_the_slot_until_the_answer() {
    asks_and_makes_room("claude asks", Asks::Itself);
}

#[test]
fn claude_asks_with_our_tool_and_another_task_has_the_slot_until_the_answer() {
    asks_and_makes_room("claude asks with our tool", Asks::WithOurTool);
}

#[test]
fn claude_asks_and_waits_in_its_slot_for_the_answer() {
    asks_and_waits("claude asks and waits", Asks::Itself);
}

#[test]
fn claude_asks_with_our_tool_and_waits_in_its_slot_for_the_answer() {
    asks_and_waits("claude asks with our tool and waits", Asks::WithOurTool);
}
