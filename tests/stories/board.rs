//! The board beside a shift and without one: it shows what is, it streams what happens, what is asked through it is
//! done, and it is in nobody's way.

use std::fs;
use std::process::Child;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::board::Shown;
use crate::harness::processes::{ended, nothing_runs, signal, until};
use crate::harness::project::Project;
use crate::harness::scripted::scripted;

/// Engineers wait for a file, so that a story decides how long a shift is live.
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
      - ask: {question: "Tabs or <b>spaces</b>?", options: [tabs, spaces], recommended: spaces}
      - outcome: {summary: asked}
  - steps:
      - say: I begin <script>alert(1)</script>
      - run: 'touch "$HOME/shared/begun-$TURNO_TASK"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: a.txt, text: "a\n"}
      - usage: {usd: 0.01}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    scripted(2, SCRIPT)
}

fn begin(project: &Project, issue: &str) -> Child {
    let child = project.start(&["run", issue]);
    project.until_raised(&format!("begun-{issue}.1"));
    child
}

/// The cards of a column.
fn cards(board: &Value, column: &str) -> Vec<Value> {
    let columns = board["columns"].as_array().unwrap();
    let found = columns.iter().find(|c| c["column"] == column).unwrap();
    found["cards"].as_array().unwrap().clone()
}

#[test]
fn it_shows_a_shift_as_it_goes_and_each_record_comes_once() {
    let project = project();
    project.issue("One");
    let shift = begin(&project, "1");
    let board = Shown::begin(&project);
    until("it follows the coordinator", || {
        board.get("/api/board")["coordinator"] == "works"
    });
    let seen = board.get("/api/board");
    let card = &cards(&seen, "working")[0];
    assert_eq!(card["running"][0]["persona"], "engineer", "{card:#}");
    assert_eq!(card["running"][0]["task"], "1.1");

    // Some records, then a break in the middle of the shift, then the rest.
    let mut first = board.events(0);
    let mut seqs = vec![first.seq(), first.seq(), first.seq()];
    drop(first);
    let filed = board.post(
        "/api/issues",
        &json!({"title": "Filed meanwhile", "priority": "high"}),
    );
    assert_eq!(
        (filed.code, &filed.json()["id"]),
        (201, &json!(2)),
        "{}",
        filed.body
    );
    let mut rest = board.events(seqs[2]);
    project.raise("go");
    ended(&project, shift).exits(0);
    let all: Vec<u64> = project
        .journal()
        .iter()
        .map(|r| r["seq"].as_u64().unwrap())
        .collect();
    while seqs.len() < all.len() {
        seqs.push(rest.seq());
    }
    assert_eq!(seqs, all);

    until("it sees that nobody coordinates", || {
        board.get("/api/board")["coordinator"] == "none"
    });
    let seen = board.get("/api/board");
    assert_eq!(cards(&seen, "review")[0]["id"], 1, "{seen:#}");
    assert_eq!(cards(&seen, "backlog")[0]["title"], "Filed meanwhile");

    let issue = board.get("/api/issues/1");
    assert_eq!(issue["landings"][0]["task"], "1.1", "{issue:#}");
    assert_eq!(issue["handoffs"][0]["summary"], "it is done");
    assert!(
        board.get("/api/issues/1/diff")["text"]
            .as_str()
            .unwrap()
            .contains("+a")
    );
    assert!(
        board.get("/api/tasks/1.1/diff")["text"]
            .as_str()
            .unwrap()
            .contains("+a")
    );
    let task = board.get("/api/tasks/1.1");
    let said = task["conversation"].as_array().unwrap();
    assert!(said.iter().any(|s| s["says"] == "it is done"), "{task:#}");
    let attempt = task["attempts"][0]["id"].as_u64().unwrap();
    let kept = board.get(&format!("/api/attempts/a{attempt}"));
    assert_eq!(
        kept["attempt"]["kind"]["agent"]["persona"], "engineer",
        "{kept:#}"
    );
    assert_eq!(kept["attempt"]["spent"]["cost"], 10_000);
    let words = board.get(&format!("/api/attempts/a{attempt}/conversation?limit=1"));
    assert_eq!(
        words["items"][0]["text"], "I begin <script>alert(1)</script>",
        "{words:#}"
    );
    assert_eq!((&words["next"], &words["more"]), (&json!(1), &json!(true)));
    let out = fs::read(project.state().join(format!("attempts/a{attempt}/out"))).unwrap();
    let path = format!("/api/attempts/a{attempt}/transcript?offset=3&limit=20");
    let piece = board.ask("GET", &path, &[], "");
    assert_eq!(piece.body.as_bytes(), &out[3..23]);
    assert!(
        piece.head.contains(&format!("x-turno-bytes: {}", out.len())),
        "{}",
        piece.head
    );
    let prompt = board.ask("GET", &format!("/api/attempts/{attempt}/prompt"), &[], "");
    assert!(prompt.body.contains("One"), "{}", prompt.body);

    let shift = board.get("/api/shifts/S1");
    assert!(shift["attempts"].as_array().unwrap().len() >= 4, "{shift:#}");
    assert_eq!(shift["shift"]["spent"], 10_000);
    let report = board.get("/api/shifts/1/report");
    let typed = project.turno(&["report", "--format", "json"]).exits(0).json();
    assert_eq!(report["landed"], typed["landed"]);
    let settings = board.get("/api/config");
    let slots = settings
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["key"] == "slots")
        .unwrap();
    assert_eq!(slots["value"]["value"], 2, "{slots:#}");
    assert!(slots["source"].as_str().unwrap().contains("turno.toml"));
    assert!(board.get("/api/salvage").is_array());
    board.end();
    nothing_runs(&project);
}

#[test]
fn people_work_in_a_terminal_beside_it_and_through_it() {
    let project = project();
    let board = Shown::begin(&project);
    let filed = board.post("/api/issues", &json!({"title": "Ask me"}));
    assert_eq!(filed.code, 201, "{}", filed.body);
    let list = project.turno(&["issue", "list"]).exits(0).out;
    assert!(list.contains("Ask me"), "{list}");
    let edited = board.ask(
        "PATCH",
        "/api/issues/1",
        &[],
        r#"{"labels": ["a"], "priority": "urgent"}"#,
    );
    assert_eq!(edited.json()["labels"], json!(["a"]), "{}", edited.body);
    assert_eq!(edited.json()["title"], "Ask me");
    let no_shift = board.post("/api/shifts/current/stop", &json!({"how": "now"}));
    assert_eq!(no_shift.code, 409, "{}", no_shift.body);

    // The board is open, and a shift can be started all the same.
    project.turno(&["run", "1"]).exits(1);
    until("the question is there", || {
        board.get("/api/board")["decisions"][0]["id"] == 1
    });
    let asked = &board.get("/api/decisions")[0];
    assert_eq!(asked["question"], "Tabs or <b>spaces</b>?");
    assert_eq!(asked["options"][1]["recommended"], true);
    assert_eq!(cards(&board.get("/api/board"), "parked")[0]["id"], 1);
    let answered = board.post("/api/decisions/d1/answer", &json!({"answer": "Spaces"}));
    assert_eq!(
        answered.json()["stage"]["answered"]["answer"],
        "spaces",
        "{}",
        answered.body
    );
    let twice = board.post("/api/decisions/d1/answer", &json!({"answer": "tabs"}));
    assert_eq!(twice.code, 409, "{}", twice.body);
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "spaces");

    let closed = board.post("/api/issues", &json!({"title": "Not wanted"}));
    assert_eq!(closed.json()["id"], 2);
    assert_eq!(board.post("/api/issues/2/close", &json!({"why": "no"})).code, 200);
    until("it is gone from the board", || {
        board.get("/api/board")["closed"] == 1
    });
    board.end();
}

#[test]
fn a_shift_is_stopped_through_it() {
    let project = project();
    project.issue("One");
    let shift = begin(&project, "1");
    let board = Shown::begin(&project);
    let stopped = board.post("/api/shifts/current/stop", &json!({"how": "now"}));
    assert_eq!(stopped.code, 200, "{}", stopped.body);
    ended(&project, shift).exits(130);
    let given_up = board.post("/api/tasks/1.1/discard", &json!({}));
    assert_eq!(given_up.code, 200, "{}", given_up.body);
    board.end();
    nothing_runs(&project);
}

#[test]
fn many_clients_that_read_nothing_do_not_hold_a_shift_up() {
    let project = project();
    project.issue("One");
    let shift = begin(&project, "1");
    let board = Shown::begin(&project);
    let deaf: Vec<_> = (0..200).map(|_| board.events(0)).collect();
    until("all of them are served", || {
        let metrics = board.ask("GET", "/metrics", &[], "").body;
        metrics.contains("turno_board_streams 200")
    });
    project.raise("go");
    ended(&project, shift).exits(0);
    drop(deaf);
    until("their places are free", || {
        let metrics = board.ask("GET", "/metrics", &[], "").body;
        metrics.contains("turno_board_streams 0")
    });
    board.end();
}

#[test]
fn one_board_listens_for_a_workspace_and_gives_more_links() {
    let project = project();
    let none = project.turno(&["board", "--link"]).exits(2);
    assert!(none.err.contains("no board"), "{}", none.err);
    let board = Shown::begin(&project);
    let second = project.turno(&["board"]).exits(4);
    assert!(second.err.contains(&board.url), "{}", second.err);
    let link = project.turno(&["board", "--link"]).exits(0).out;
    let path = link.trim().strip_prefix(board.url.as_str()).unwrap();
    let entered = board.bare("GET", path, &[("Host", board.host())], "");
    assert_eq!(entered.code, 200, "{}", entered.body);
    signal(&board.child, Signal::SIGTERM);
    board.ended();
    // Nothing of it is in the way of the next one.
    Shown::begin(&project).end();
}
