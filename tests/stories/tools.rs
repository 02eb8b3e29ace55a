//! The tools of a running agent, used by an MCP client that is no part of Turno: what each does, and that a token
//! opens the tools of its own attempt and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

use serde_json::{Value, json};

use crate::harness::processes::{ended, until};
use crate::harness::project::Project;
use crate::harness::tool_client::{Came, ToolClient};

const CONFIG: &str = r#"
policy = "single"
slots = 2
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Engineers write down what they were given and wait, so that a story can use it in their place.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - run: 'env | grep "^TURNO_[ST]O" > "$HOME/shared/tmp-$TURNO_TASK"; mv "$HOME/shared/tmp-$TURNO_TASK" "$HOME/shared/given-$TURNO_TASK"'
      - run: 'until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - propose: {title: Mend the lexer, brief: It drops tabs., why: The parser sees none.}
      - note: Said by the script.
      - write: {path: a.txt, text: "a\n"}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor")
}

/// What the attempt of a task was given for its tools.
fn given(project: &Project, task: &str) -> BTreeMap<String, String> {
    let path = project.shared().join(format!("given-{task}"));
    until("an agent has begun", || path.exists());
    let text = fs::read_to_string(path).unwrap();
    let given: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    assert_eq!(given.keys().collect::<Vec<_>>(), ["TURNO_SOCKET", "TURNO_TOKEN"]);
    assert!(given["TURNO_TOKEN"].len() >= 32, "128 bits or more");
    given
}

fn go(project: &Project, child: Child) {
    fs::write(project.shared().join("go"), "").unwrap();
    ended(project, child).exits(0);
}

/// The events of one kind in the journal, with their attempts.
fn events(project: &Project, kind: &str) -> Vec<Value> {
    let journal = project.journal().into_iter();
    journal.filter_map(|r| r["event"].get(kind).cloned()).collect()
}

fn text(came: Came) -> String {
    match came {
        Came::Text(text) => text,
        Came::Error(error) => panic!("{error}"),
    }
}

fn error(came: Came) -> String {
    match came {
        Came::Error(error) => error,
        Came::Text(text) => panic!("it went through: {text}"),
    }
}

#[test]
fn an_agent_has_its_tools_and_what_it_says_is_written_down_before_it_hears() {
    let project = project();
    project.issue("Write the parser");
    let child = project.start(&["run", "1"]);
    let mut client = ToolClient::start(&given(&project, "1.1"));

    let id = client.send("tools/list", json!({}));
    let listed = client.wait(id);
    let tools = listed["result"]["tools"].as_array().unwrap();
    let mut names: Vec<&str> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["ask", "context", "note", "propose_task", "report_finding"]
    );
    for tool in tools {
        assert!(tool["description"].as_str().unwrap().len() > 40, "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(
            !tool.to_string().contains("$ref"),
            "not every agent follows it: {tool}"
        );
    }
    let finding = tools.iter().find(|t| t["name"] == "report_finding").unwrap();
    assert!(finding.to_string().contains("critical"), "{finding}");

    let brief: Value = serde_json::from_str(&text(client.call("context", json!({})))).unwrap();
    assert_eq!(brief["issue"]["title"], "Write the parser");
    assert_eq!(brief["task"]["id"], "1.1");

    let told = text(client.call("note", json!({ "text": "The lexer drops tabs." })));
    assert!(told.contains("written down"), "{told}");
    // The answer comes after the commit, so the journal holds it by now.
    let noted = events(&project, "noted");
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0]["said"]["remark"], "The lexer drops tabs.");
    text(client.call(
        "report_finding",
        json!({ "file": "src/lexer.rs", "line": 7, "severity": "major", "what": "Tabs are lost.", "how_to_see": "run it" }),
    ));
    assert_eq!(
        events(&project, "noted")[1]["said"]["finding"]["severity"],
        "major"
    );
    let told = text(client.call(
        "propose_task",
        json!({ "title": "Write docs", "brief": "All of them.", "why": "There are none.", "touches": ["docs/**"] }),
    ));
    assert!(told.contains("proposal p1"), "{told}");
    assert_eq!(
        events(&project, "task-proposed")[0]["proposed"]["touches"],
        json!(["docs/**"])
    );

    for (tool, arguments, part) in [
        ("note", json!({ "text": "x".repeat(21_000) }), "20480 bytes"),
        ("note", json!({ "text": " " }), "`text` is empty"),
        ("note", json!({ "txt": "a" }), "txt"),
        (
            "ask",
            json!({ "question": "?", "options": [{ "label": "a" }], "recommended": "b" }),
            "no option",
        ),
        (
            "report_finding",
            json!({ "file": "a", "severity": "bad", "what": "b" }),
            "critical",
        ),
    ] {
        let why = error(client.call(tool, arguments));
        assert!(why.contains(part), "{tool}: {why}");
    }
    assert_eq!(
        events(&project, "noted").len(),
        2,
        "what is refused is not written down"
    );
    go(&project, child);
    let noted = events(&project, "noted");
    assert_eq!(noted.last().unwrap()["said"]["remark"], "Said by the script.");
    assert_eq!(events(&project, "task-proposed").len(), 2);
}

#[test]
fn a_token_is_for_one_attempt_and_ends_with_it() {
    let project = project();
    project.issue("One");
    project.issue("Two");
    let child = project.start(&["run", "1", "2"]);
    let (one, two) = (given(&project, "1.1"), given(&project, "2.1"));
    assert_ne!(one["TURNO_TOKEN"], two["TURNO_TOKEN"]);
    assert_eq!(one["TURNO_SOCKET"], two["TURNO_SOCKET"]);
    let mut first = ToolClient::start(&one);
    let mut second = ToolClient::start(&two);
    for (client, title) in [(&mut first, "One"), (&mut second, "Two")] {
        let brief: Value = serde_json::from_str(&text(client.call("context", json!({})))).unwrap();
        assert_eq!(brief["issue"]["title"], title, "each sees its own task");
        text(client.call("note", json!({ "text": title })));
    }
    let noted = events(&project, "noted");
    assert_ne!(
        noted[0]["attempt"], noted[1]["attempt"],
        "each speaks for its own attempt: {noted:?}"
    );
    let mut guessed = one.clone();
    guessed.insert("TURNO_TOKEN".to_owned(), "0".repeat(64));
    let why = error(ToolClient::start(&guessed).call("note", json!({ "text": "I am nobody" })));
    assert!(why.contains("this token opens nothing"), "{why}");
    assert_eq!(events(&project, "noted").len(), 2);
    // A token is nowhere that others read.
    for token in [&one["TURNO_TOKEN"], &two["TURNO_TOKEN"]] {
        let journal = project.turno(&["log", "--json"]).exits(0).out;
        assert!(!journal.contains(token.as_str()));
    }
    go(&project, child);
    let gone = error(first.call("note", json!({ "text": "too late" })));
    assert!(gone.contains("coordinator"), "{gone}");
}

#[test]
fn a_token_of_an_attempt_that_is_over_opens_nothing() {
    let project = project();
    project.issue("One");
    project.issue("Two");
    let child = project.start(&["run", "1", "2"]);
    let one = given(&project, "1.1");
    given(&project, "2.1");
    project.turno(&["discard", "1.1"]).exits(0);
    until("the attempt is over", || {
        !events(&project, "agent-ended").is_empty()
    });
    let why = error(ToolClient::start(&one).call("context", json!({})));
    assert!(why.contains("this token opens nothing"), "{why}");
    fs::write(project.shared().join("go"), "").unwrap();
    ended(&project, child);
}

#[test]
fn whoever_asks_by_the_default_policy_is_sent_away() {
    let project = project();
    project.issue("One");
    let child = project.start(&["run", "1"]);
    let mut client = ToolClient::start(&given(&project, "1.1"));
    let told = text(client.call(
        "ask",
        json!({ "question": "Which?", "options": [{ "label": "a" }] }),
    ));
    assert!(
        told.contains("Nobody answers now") && told.contains("End your turn now"),
        "{told}"
    );
    assert_eq!(events(&project, "decision-asked")[0]["key"], "tool:1");
    let why = error(client.call("ask", json!({ "question": "And now?" })));
    assert!(why.contains("end your turn"), "{why}");
    assert_eq!(events(&project, "decision-asked").len(), 1);
    fs::write(project.shared().join("go"), "").unwrap();
    // It finished all the same: then it needs no answer any more.
    ended(&project, child).exits(0);
    assert_eq!(project.turno(&["answer", "--json"]).exits(0).out.trim(), "[]");
}

/// What an agent is given opens its tools and nothing else: it cannot answer in a person's place.
#[test]
fn the_tools_socket_serves_nothing_but_tools() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    let project = project();
    project.issue("Write the parser");
    let child = project.start(&["run", "1"]);
    let given = given(&project, "1.1");
    let asked = |ask: &Value| {
        let mut stream = UnixStream::connect(&given["TURNO_SOCKET"]).unwrap();
        stream.write_all(format!("{ask}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    };
    let stop = json!({ "take": { "stop-asked": { "how": "now" } } });
    for ask in [stop, json!("state"), json!({ "records": { "after": 0 } })] {
        let answer = asked(&ask);
        assert!(
            answer.contains("refused") && answer.contains("nothing else"),
            "{ask}: {answer}"
        );
    }
    go(&project, child);
}
