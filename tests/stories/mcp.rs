//! `turno mcp`: a person's own program files an issue, begins a shift in the background, looks, answers and reads the
//! report, all over MCP; bad input is told in words, and the server goes on.

use serde_json::{Value, json};

use crate::harness::processes::{alive, until};
use crate::harness::project::Project;
use crate::harness::scripted::scripted;
use crate::harness::tool_client::{Came, ToolClient};

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Ask*"
    resumed: true
    steps:
      - run: 'printf "%s\n" "$TURNO_ANSWER" > answer.txt'
      - outcome: {summary: it is as you said}
  - task: "Ask*"
    steps:
      - ask: {question: "Tabs or spaces?", options: [tabs, {label: spaces, detail: four of them}]}
      - outcome: {summary: answered}
  - steps:
      - run: 'until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: other.txt, text: "other\n"}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    scripted(1, SCRIPT)
}

/// What a tool tells, as data.
#[track_caller]
fn data(client: &mut ToolClient, tool: &str, arguments: Value) -> Value {
    serde_json::from_str(&words(client, tool, arguments)).unwrap()
}

/// What a tool tells, as words.
#[track_caller]
fn words(client: &mut ToolClient, tool: &str, arguments: Value) -> String {
    match client.call(tool, arguments) {
        Came::Text(text) => text,
        Came::Error(why) => panic!("{tool}: {why}"),
    }
}

#[track_caller]
fn refused(client: &mut ToolClient, tool: &str, arguments: Value) -> String {
    match client.call(tool, arguments.clone()) {
        Came::Error(why) => why,
        Came::Text(text) => panic!("{tool} {arguments} is taken: {text}"),
    }
}

#[track_caller]
fn until_status(client: &mut ToolClient, what: &str, mut so: impl FnMut(&Value) -> bool) {
    until(what, || so(&data(client, "status", json!({}))));
}

#[test]
fn a_whole_shift_is_led_over_mcp() {
    let project = project();
    let mut client = ToolClient::mcp(&project);
    let id = client.send("tools/list", json!({}));
    let tools = client.wait(id)["result"]["tools"].clone();
    let mut names: Vec<&str> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let all = [
        "add_issue",
        "add_task",
        "answer",
        "list_issues",
        "log",
        "report",
        "run",
        "show_issue",
        "show_task",
        "status",
        "stop",
    ];
    assert_eq!(names, all);
    for tool in tools.as_array().unwrap() {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(
            !tool.to_string().contains("$ref"),
            "not every client follows it: {tool}"
        );
    }

    assert_eq!(data(&mut client, "list_issues", json!({}))["issues"], json!([]));
    let filed = data(
        &mut client,
        "add_issue",
        json!({"title": "Ask how to indent", "acceptance": ["it is indented"], "priority": "high"}),
    );
    assert_eq!(filed["issue"]["id"], 1);
    data(
        &mut client,
        "add_issue",
        json!({"title": "Other work", "needs": []}),
    );
    assert_eq!(
        data(&mut client, "show_issue", json!({"issue": 1}))["issue"]["draft"]["priority"],
        "high"
    );
    assert_eq!(data(&mut client, "status", json!({}))["coordinator"], "none");

    let begun = data(&mut client, "run", json!({"issues": [1, 2], "budget_usd": 2.5}));
    assert_eq!(begun["shift"], "S1", "{begun}");
    until_status(&mut client, "a question waits", |s| {
        s["status"]["decisions"][0]["id"] == 1
    });
    let status = data(&mut client, "status", json!({}));
    assert_eq!(status["coordinator"], "alive");
    assert_eq!(status["status"]["shift"]["budget"], 2_500_000);
    let again = refused(&mut client, "run", json!({"issues": [2], "budget_usd": 1}));
    assert!(again.contains("S1"), "{again}");
    data(&mut client, "add_issue", json!({"title": "Filed meanwhile"}));
    let wrong = refused(&mut client, "answer", json!({"decision": "d1", "answer": "3"}));
    assert!(wrong.contains("options 1 to 2"), "{wrong}");
    let given = words(&mut client, "answer", json!({"decision": "d1", "answer": "2"}));
    assert_eq!(given, "d1 is answered: spaces");
    project.raise("go");
    until_status(&mut client, "the shift is over", |s| s["coordinator"] == "none");

    assert_eq!(project.at("turno/1/base", "answer.txt"), "spaces");
    let report = words(&mut client, "report", json!({}));
    assert!(
        report.contains("Ask how to indent") && report.contains("S1"),
        "{report}"
    );
    let task = data(&mut client, "show_task", json!({"task": "1.1"}));
    assert_eq!(task["task"]["stage"], "landed");
    assert_eq!(task["changed"]["files"], json!(["answer.txt"]));
    let log = words(&mut client, "log", json!({"last": 3}));
    assert_eq!(log.lines().count(), 3, "{log}");
    let said = words(&mut client, "log", json!({"task": "1.1"}));
    assert!(said.contains("a person: spaces"), "{said}");
    assert_eq!(
        data(&mut client, "list_issues", json!({"all": true}))["issues"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    drop(client);
    until("nothing runs", || alive(&project).is_empty());
}

#[test]
fn a_shift_outlives_the_server_that_began_it_and_is_stopped_by_another() {
    let project = project();
    let mut client = ToolClient::mcp(&project);
    data(&mut client, "add_issue", json!({"title": "Other work"}));
    data(&mut client, "run", json!({"issues": [1], "budget_usd": 1}));
    drop(client);
    let mut client = ToolClient::mcp(&project);
    assert_eq!(data(&mut client, "status", json!({}))["coordinator"], "alive");
    words(&mut client, "stop", json!({"how": "now"}));
    until_status(&mut client, "it is over", |s| {
        s["coordinator"] == "none" && s["status"]["shift"]["stage"]["ended"]["end"] == "interrupted"
    });
    let none = refused(&mut client, "stop", json!({"how": "drain"}));
    assert!(none.contains("no shift"), "{none}");
    drop(client);
    until("nothing runs", || alive(&project).is_empty());
}

#[test]
fn bad_input_is_told_in_words_and_the_server_goes_on() {
    let project = project();
    let mut client = ToolClient::mcp(&project);
    data(&mut client, "add_issue", json!({"title": "Other work"}));
    let long = "x".repeat(3 << 20);
    for (tool, arguments) in [
        ("add_issue", json!({})),
        ("add_issue", json!({"title": ""})),
        ("add_issue", json!({"title": "a", "command": "touch /tmp/x"})),
        ("add_issue", json!({"title": "a", "repo": "../elsewhere"})),
        ("add_issue", json!({"title": "a", "needs": [99]})),
        ("add_issue", json!({"title": 7})),
        ("show_issue", json!({"issue": 99})),
        ("show_issue", json!({"issue": -1})),
        ("show_issue", json!("1")),
        ("show_task", json!({"task": "1"})),
        ("show_task", json!({"task": "1.1; rm -rf /"})),
        ("show_task", json!({"task": long})),
        ("run", json!({"issues": [1]})),
        ("run", json!({"issues": [], "budget_usd": 1})),
        ("run", json!({"issues": [1], "budget_usd": 0})),
        ("run", json!({"issues": [1], "budget_usd": -5})),
        ("run", json!({"issues": [1], "budget_usd": 1e300})),
        ("run", json!({"issues": [1], "budget_usd": "all"})),
        ("run", json!({"issues": [99], "budget_usd": 1})),
        (
            "run",
            json!({"issues": [1], "budget_usd": 1, "policy": "--no-sandbox"}),
        ),
        (
            "run",
            json!({"issues": [1], "budget_usd": 1, "policy": "no-such-policy"}),
        ),
        ("answer", json!({"decision": "d1", "answer": "yes"})),
        ("answer", json!({"decision": "what", "answer": "yes"})),
        ("stop", json!({"how": "hard"})),
        ("stop", json!({"how": "now"})),
        ("report", json!({})),
        ("report", json!({"shift": "S99"})),
        ("log", json!({"last": 0})),
        ("log", json!({"last": 501})),
        ("log", json!({"task": "9.9"})),
        ("sh", json!({"command": "true"})),
    ] {
        let why = refused(&mut client, tool, arguments);
        assert!(why.len() > 10 && why.len() < 4 << 20, "{tool}: {why}");
    }
    client.write_line("this is no JSON");
    client.write_line("{\"jsonrpc\": \"2.0\", \"id\": 7}");
    assert_eq!(
        data(&mut client, "list_issues", json!({}))["issues"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        data(&mut client, "status", json!({}))["status"]["shift"],
        Value::Null,
        "no shift was begun"
    );
    drop(client);
    until("nothing runs", || alive(&project).is_empty());
}
