//! Two writers change the same line. Before anything of theirs is landed it is told everywhere that this will be a
//! conflict, and a change that conflicts with nothing lands before both, although it came last.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

/// A landing whose files were not checked together before waits for the story, so that the others wait for it: that is
/// the second of the two that begin at once.
const CONFIG: &str = r#"
slots = 5
[checks.test]
command = "if test \"$TURNO_SLOT\" = landing; then touch \"$HOME/shared/landing\"; until test -e \"$HOME/shared/open\"; do sleep 0.1; done; fi"
[agents.ada]
dialect = "script"
script = "batch.yaml"
at_once = 5
[personas.engineer]
agents = ["ada"]
"#;

/// Items 2 and 3 begin once that one is being landed, item 4 when the story says so. Who comes back begins from what
/// has landed.
const SCRIPT: &str = r#"
sessions:
  - persona: engineer
    task: "Port src/m1.js"
    steps: [{run: "echo ported > src/m1.js"}, {outcome: {summary: ported}}]
  - persona: engineer
    task: "Port src/m5.js"
    steps: [{run: "echo ported > src/m5.js"}, {outcome: {summary: ported}}]
  - persona: engineer
    task: "Port src/m4.js"
    steps: [{run: "until test -e $HOME/shared/four; do sleep 0.1; done; echo ported > src/m4.js"}, {outcome: {summary: ported}}]
  - persona: engineer
    round: 1
    steps: [{run: "until test -e $HOME/shared/landing; do sleep 0.1; done; echo $TURNO_TASK > shared.js"}, {outcome: {summary: ported}}]
  - persona: engineer
    steps: [{run: "echo $TURNO_TASK >> shared.js"}, {outcome: {summary: both are there}}]
"#;

/// One after the other, so that the order is to be seen.
const POLICY: &str = "review = \"off\"\n[landing]\nbatch = 1\n[rows.conflict]\ntries = 2\nwait = \"0s\"\n";

fn project() -> Project {
    let mut files = vec![
        ("turno.toml".to_owned(), CONFIG.to_owned()),
        ("batch.yaml".to_owned(), SCRIPT.to_owned()),
        ("port.md".to_owned(), "Port {{ item }}\n\nPort it.\n".to_owned()),
        (".turno/policies/batch.toml".to_owned(), POLICY.to_owned()),
        ("shared.js".to_owned(), "nobody\n".to_owned()),
    ];
    files.extend((1..=5).map(|n| (format!("src/m{n}.js"), format!("module {n}\n"))));
    let pairs: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    Project::new(&pairs)
}

/// Waits until the status is as it should be.
#[track_caller]
fn until(project: &Project, what: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = project.turno(&["status", "--json"]).exits(0).json();
        if what(&status) {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn task<'s>(status: &'s Value, id: &str) -> &'s Value {
    let issues = status["issues"].as_array().unwrap().iter();
    let mut tasks = issues.flat_map(|i| i["tasks"].as_array().unwrap());
    tasks.find(|t| t["id"] == id).unwrap_or(&Value::Null)
}

fn waits_to_land(status: &Value, id: &str) -> bool {
    let waiting = &task(status, id)["waiting"];
    waiting.get("landing-busy").is_some()
}

#[test]
fn a_conflict_is_shown_before_it_happens_and_what_is_clean_lands_first() {
    let project = project();
    let batch = [
        "batch",
        "--template",
        "port.md",
        "--items",
        "src/*.js",
        "--group",
        "5",
    ];
    let shift = project.start(&batch);
    until(&project, |s| {
        let warned = |id: &str| task(s, id)["clashes"].as_array().is_some_and(|c| !c.is_empty());
        ["1.2", "1.3"].iter().all(|id| waits_to_land(s, id) && warned(id))
    });
    let shown = project.turno(&["status"]).exits(0).out;
    for (id, other) in [("1.2", "1.3"), ("1.3", "1.2")] {
        let coming = format!("will conflict with {other} in shared.js");
        assert!(shown.contains(&coming), "{shown}");
        for told in [vec!["explain", id], vec!["issue", "show", "1"]] {
            let out = project.turno(&told).exits(0).out;
            assert!(out.contains(&coming), "{told:?}: {out}");
        }
    }
    let log = project.turno(&["log"]).exits(0).out;
    assert!(log.contains(" in shared.js"), "{log}");
    fs::write(project.shared().join("four"), "").unwrap();
    until(&project, |s| waits_to_land(s, "1.4"));
    assert_eq!(
        project.at("turno/1/base", "shared.js"),
        "nobody",
        "neither of them has landed yet"
    );
    fs::write(project.shared().join("open"), "").unwrap();
    let done = project.wait(shift).exits(0);
    nothing_runs(&project);

    let lands = |r: &Value| {
        let commands = r["commands"].as_array().unwrap().iter();
        let mut lands = commands.filter_map(|c| c.get("land"));
        lands.next().map(|l| l["task"].as_str().unwrap().to_owned())
    };
    let order: Vec<String> = project.journal().iter().filter_map(lands).collect();
    assert_eq!(
        order.get(2).map(String::as_str),
        Some("1.4"),
        "{order:?} {}",
        done.out
    );
    let both = project.at("turno/1/base", "shared.js");
    assert!(both == "1.2\n1.3" || both == "1.3\n1.2", "{both}");
    let last = project.turno(&["status"]).exits(0).out;
    assert!(!last.contains("will conflict"), "{last}");
}
