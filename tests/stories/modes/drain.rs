//! `turno drain`: ten issues with dependencies, one that always fails, one that asks, one urgent that arrives half-way.

use std::time::{Duration, Instant};

use super::tells;
use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 2
[checks.test]
command = "! ls | grep -q broken"
[agents.ada]
dialect = "script"
script = "drain.yaml"
[agents.grace]
dialect = "script"
script = "drain.yaml"
[personas.author]
agents = ["grace"]
[personas.engineer]
agents = ["ada"]
[personas.reviewer]
agents = ["grace"]
[personas.tester]
agents = ["grace"]
"#;

const SCRIPT: &str = r#"
sessions:
  - persona: author
    round: 1
    steps: [{outcome: {tasks: [{key: all, title: "Do it", brief: "All of it", acceptance: [it is done]}]}}]
  - {persona: author, steps: [{outcome: {missing: []}}]}
  - {persona: tester, steps: [{outcome: {verdict: approve}}]}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - persona: engineer
    task: "5.*"
    steps: [{run: "touch broken-$TURNO_ATTEMPT-$$"}, {outcome: {summary: it does not work}}]
  - persona: engineer
    task: "6.*"
    steps: [{outcome: {kind: question, question: "Tabs or spaces?", options: [{label: tabs, detail: ""}, {label: spaces, detail: ""}], recommended: spaces}}]
  - persona: engineer
    steps: [{sleep: 150ms}, {run: "echo done > done-$TURNO_TASK"}, {outcome: {summary: done}}]
"#;

fn landed(project: &Project) -> Vec<u64> {
    let mut landed: Vec<(u64, u64)> = project
        .journal()
        .iter()
        .flat_map(|r| {
            let seq = r["seq"].as_u64().unwrap();
            let issues = r["changes"].as_array().unwrap().iter();
            issues
                .filter_map(|c| c.get("issue"))
                .filter(|i| i["stage"]["review"].is_object())
                .map(|i| (seq, i["id"].as_u64().unwrap()))
                .collect::<Vec<_>>()
        })
        .collect();
    landed.sort_unstable();
    let mut order = Vec::new();
    for (_, issue) in landed {
        if !order.contains(&issue) {
            order.push(issue);
        }
    }
    order
}

/// The first issue that is begun after the last one was filed.
fn next_begun(project: &Project) -> u64 {
    let journal = project.journal();
    let filed = journal
        .iter()
        .rposition(|r| r["event"].get("issue-added").is_some())
        .unwrap();
    let opened = journal[filed..]
        .iter()
        .flat_map(|r| r["commands"].as_array().unwrap())
        .find_map(|c| c.get("open-issue"));
    opened.expect("something is begun")["issue"].as_u64().unwrap()
}

#[test]
fn the_backlog_is_worked_off_in_order_and_what_waits_blocks_nobody() {
    let project = Project::new(&[("turno.toml", CONFIG), ("drain.yaml", SCRIPT), ("f", "f\n")]);
    let add = |title: &str, more: &[&str]| {
        let args = [&["issue", "add", title][..], more].concat();
        project.turno(&args).exits(0);
    };
    add("One", &["--priority", "low"]);
    add("Two", &["--priority", "high"]);
    add("Three needs two", &["--needs", "2"]);
    add("Four needs two and three", &["--needs", "2,3"]);
    add("Five always fails", &[]);
    add("Six asks", &[]);
    add("Seven", &[]);
    add("Eight needs four", &["--needs", "4"]);
    add("Nine", &["--priority", "low"]);
    let shift = project.start(&["drain", "--budget", "20"]);
    let begun = Instant::now();
    while landed(&project).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing lands");
        std::thread::sleep(Duration::from_millis(100));
    }
    add("Ten is urgent", &["--priority", "urgent"]);
    let done = project.wait(shift).exits(1);
    nothing_runs(&project);
    let order = landed(&project);
    let mut all = order.clone();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 7, 8, 9, 10], "{order:?}");
    let at = |issue: u64| order.iter().position(|i| *i == issue).unwrap();
    assert!(at(2) < at(3) && at(3) < at(4) && at(4) < at(8), "{order:?}");
    assert_eq!(
        next_begun(&project),
        10,
        "nothing else is begun once the urgent one is there"
    );
    // A dependant is built on what it needs.
    assert_eq!(project.at("turno/8/base", "done-2.1"), "done");
    tells(
        &done.out,
        &["Five always fails", "Six asks", "Tabs or spaces?", "8"],
    );
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["decisions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_number_and_a_time_end_it() {
    let project = Project::new(&[("turno.toml", CONFIG), ("drain.yaml", SCRIPT), ("f", "f\n")]);
    for title in ["One", "Two", "Three"] {
        project.issue(title);
    }
    project.turno(&["drain", "--max-issues", "2"]).exits(0);
    assert_eq!(landed(&project).len(), 2);
    project.turno(&["drain"]).exits(0);
    assert_eq!(landed(&project).len(), 3);
    project.turno(&["drain"]).exits(0);
    let wrong = project.turno(&["drain", "--until", "soon"]).exits(2);
    tells(&wrong.err, &["`soon` is no time"]);
}
