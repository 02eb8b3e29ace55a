//! Budgets at each level, as a person meets them: what stops, what goes on, what `turno budget` says and changes.

use serde_json::Value;

use nix::sys::signal::Signal;

use crate::harness::processes::{signal, until};
use crate::harness::project::Project;

const CONFIG: &str = "\
slots = 1
policy = \"single\"
[checks.test]
command = \"test -f kept.txt\"
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// Spends more than half a dollar, and is killed where that is too much.
const SCRIPT: &str = "\
sessions:
  - persona: engineer
    round: 1
    steps:
      - write: {path: kept.txt, text: \"kept\\n\"}
      - usage: {usd: 0.6}
      - sleep: 300ms
      - outcome: {summary: it is done}
  - persona: engineer
    steps:
      - write: {path: later.txt, text: \"later\\n\"}
      - outcome: {summary: it is done later}
  - persona: reviewer
    steps:
      - usage: {usd: 0.1}
      - outcome: {verdict: approve}
";

fn project(budgets: &str) -> Project {
    let config = format!("{CONFIG}{budgets}");
    let project = Project::new(&[("turno.toml", &config), ("script.yaml", SCRIPT)]);
    project.issue("Write it");
    project
}

fn level(project: &Project, name: &str) -> Value {
    let shown = project.turno(&["budget", "show", "--json"]).exits(0).json();
    let levels = shown.as_array().unwrap();
    let found = levels
        .iter()
        .find(|l| l["level"].as_str().unwrap().starts_with(name));
    found.unwrap_or_else(|| panic!("no {name} in {shown:#}")).clone()
}

#[test]
fn a_spent_task_is_parked_and_goes_on_when_a_person_gives_it_more() {
    let project = project("[budget.task]\nusd = 0.5\n");
    let done = project.turno(&["run", "1", "--agent", "actor"]).exits(1);
    assert!(
        done.err.contains("warning: task 1.1 has used 95 %"),
        "{}",
        done.err
    );
    let status = project.turno(&["status"]).exits(0);
    assert!(
        status.out.contains("the budget of task 1.1 is spent"),
        "{}",
        status.out
    );
    assert!(
        status.err.contains("task 1.1: $0.60 of $0.50 used"),
        "{}",
        status.err
    );
    assert_eq!(level(&project, "task/1.1")["used"]["usd"], 600_000);
    project.ledger_adds_up();
    let shown = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(shown["warnings"][0]["level"], "task/1.1", "{shown:#}");
    let task = shown["levels"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["level"] == "task/1.1");
    assert_eq!(task.unwrap()["used"]["usd"], 600_000);

    let little = project
        .turno(&["budget", "set", "task", "1.1", "--usd", "0.61"])
        .exits(0);
    assert!(
        little.err.contains("it still starts nothing: $0.01 left"),
        "{}",
        little.err
    );
    let set = project
        .turno(&["budget", "set", "task", "1.1", "--usd", "3"])
        .exits(0);
    assert!(set.out.contains("task 1.1 may use $3.00"), "{}", set.out);
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    assert_eq!(project.at("turno/1/base", "kept.txt"), "kept");
    project.ledger_adds_up();
}

#[test]
fn a_person_gives_a_running_task_more() {
    // It spends only once it is told to.
    let waits = "      - run: 'touch $HOME/shared/here; until [ -f $HOME/shared/go ]; do sleep 0.02; done'\n      - usage: {usd: 0.6}";
    let script = SCRIPT.replacen("      - usage: {usd: 0.6}", waits, 1);
    let config = format!("{CONFIG}[budget.task]\nusd = 0.5\n");
    let project = Project::new(&[("turno.toml", &config), ("script.yaml", &script)]);
    project.issue("Write it");
    let child = project.start(&["run", "1", "--agent", "actor"]);
    until("the writer waits", || project.shared().join("here").exists());
    assert_eq!(level(&project, "task/1.1")["promised"]["usd"], 500_000);
    project
        .turno(&["budget", "set", "task", "1.1", "--usd", "3"])
        .exits(0);
    project.turno(&["budget", "set", "shift", "--usd", "9"]).exits(0);
    assert_eq!(level(&project, "shift/")["limit"]["usd"], 9_000_000);
    std::fs::write(project.shared().join("go"), "").unwrap();
    // Its own cap was fixed when it began; the next attempt goes on from what it left.
    project.wait(child).exits(0);
    project.ledger_adds_up();
}

#[test]
fn what_is_short_is_raised_by_its_own_flag_and_a_limit_can_be_taken_away() {
    let tokens = SCRIPT.replacen("{usd: 0.6}", "{model: big, input: 900, output: 100}", 1);
    let config = format!("{CONFIG}[budget.task]\ntokens = 1000\n[prices.big]\ninput = 1\noutput = 1\n");
    let project = Project::new(&[("turno.toml", &config), ("script.yaml", &tokens)]);
    project.issue("Write it");
    project.turno(&["run", "1", "--agent", "actor"]).exits(1);
    let status = project.turno(&["status"]).exits(0);
    let told = "turno budget set task 1.1 --tokens N";
    assert!(status.out.contains(told), "{}", status.out);
    let report = project.turno(&["report"]).exits(0);
    assert!(report.out.contains(told), "{}", report.out);
    let money = project
        .turno(&["budget", "set", "task", "1.1", "--usd", "9"])
        .exits(0);
    assert!(money.err.contains("it still starts nothing"), "{}", money.err);
    let none = project
        .turno(&[
            "budget", "set", "task", "1.1", "--tokens", "none", "--usd", "none",
        ])
        .exits(0);
    assert!(none.out.contains("task 1.1 may use no limit"), "{}", none.out);
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    let status = project.turno(&["status"]).exits(0);
    assert!(!status.err.contains("task 1.1"), "{}", status.err);
    project.ledger_adds_up();
}

/// Nobody is there to start what has money again. The one that goes on does it.
#[test]
fn a_budget_that_is_raised_at_a_dead_coordinator_is_there_for_the_next() {
    let of = |task: &str, steps: &str| {
        format!("  - persona: engineer\n    task: \"{task}\"\n    round: 1\n{steps}")
    };
    let poor = of(
        "1.1",
        "    steps:\n      - usage: {usd: 0.6}\n      - sleep: 60s\n",
    );
    let waits = "    steps:\n      - run: 'touch $HOME/shared/here; until [ -f $HOME/shared/go ]; do sleep 0.02; done'\n      \
                 - write: {path: kept.txt, text: \"kept\\n\"}\n      - outcome: {summary: it is done}\n";
    let sessions = format!("sessions:\n{poor}{}", of("2.1", waits));
    let script = SCRIPT.replacen("sessions:\n", &sessions, 1).replace(
        "{path: later.txt, text: \"later\\n\"}",
        "{path: kept.txt, text: \"kept\\n\"}",
    );
    let config = format!(
        "{}[budget.task]\nusd = 0.5\n",
        CONFIG.replace("slots = 1", "slots = 2")
    );
    let project = Project::new(&[("turno.toml", &config), ("script.yaml", &script)]);
    project.issue("Write it");
    project.issue("Write another");
    let child = project.start(&["run", "1", "2", "--agent", "actor"]);
    until("the second waits", || project.shared().join("here").exists());
    until("the first is parked", || {
        project
            .turno(&["status"])
            .exits(0)
            .out
            .contains("the budget of task 1.1 is spent")
    });
    signal(&child, Signal::SIGKILL);
    project.wait(child);
    project
        .turno(&["budget", "set", "task", "1.1", "--usd", "3"])
        .exits(0);
    std::fs::write(project.shared().join("go"), "").unwrap();
    project.turno(&["resume"]).exits(0);
    for issue in ["turno/1/base", "turno/2/base"] {
        assert_eq!(project.at(issue, "kept.txt"), "kept");
    }
    project.ledger_adds_up();
}

#[test]
fn a_spent_day_ends_each_shift_of_it_until_it_is_given_more() {
    let project = project("[budget.day]\nusd = 0.5\n");
    project.turno(&["run", "1", "--agent", "actor"]).exits(3);
    project.turno(&["run", "1", "--agent", "actor"]).exits(3);
    assert_eq!(
        level(&project, "day/")["used"]["usd"],
        600_000,
        "the second started nothing"
    );
    project.turno(&["budget", "set", "day", "--usd", "5"]).exits(0);
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    project.ledger_adds_up();
}

#[test]
fn a_flat_plan_counts_no_dollars() {
    let flat = "plan = \"flat\"\nbudget = { turns = 100 }\n[budget.task]\nusd = 0.5\n";
    let project = project(flat);
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    assert_eq!(level(&project, "task/1.1")["used"]["usd"], 0);
    assert_eq!(level(&project, "agent/")["limit"]["turns"], 100);
}

#[test]
fn a_limit_that_makes_no_sense_is_refused() {
    let project = project("");
    let none = project.turno(&["budget", "set", "task", "1.1"]).exits(2);
    assert!(none.err.contains("--usd"), "{}", none.err);
    let unknown = project
        .turno(&["budget", "set", "task", "9.9", "--usd", "1"])
        .exits(2);
    assert!(unknown.err.contains("there is no task 9.9"), "{}", unknown.err);
    project.turno(&["budget", "set", "shift", "--usd", "1"]).exits(2);
    project.configure("[budget.task]\ntokens = 0\n");
    project.turno(&["budget", "show"]).exits(0);
    let zero = project.turno(&["run", "1", "--agent", "actor"]).exits(2);
    assert!(
        zero.err.contains("a limit of nothing starts nothing"),
        "{}",
        zero.err
    );
}
