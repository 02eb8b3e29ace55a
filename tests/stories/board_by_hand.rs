//! The board as a person with a mouse has it: a card is dragged to another place and into the shift, a question has its
//! answer, a line of a diff its comment, and what landed is promoted. And as one has it in whose browser no script runs.
//!
//! Each story keeps pictures in `target/board-shots`.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan_edits;
use crate::harness::board::Shown;
use crate::harness::browser::Browser;
use crate::harness::processes::{ended_within, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
policy = "single"
slots = 3
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// The first reviewer reads until it is stopped.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, task: Greet, round: 1, steps: [{hang: {}}]}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - persona: engineer
    task: Greet
    round: 1
    steps:
      - ask: {question: Whom?, options: [the world, the user], recommended: the world}
      - outcome: {summary: asked}
  - persona: engineer
    task: Greet
    round: 2
    steps:
      - run: 'printf "hello, %s\n" "$TURNO_ANSWER" > greet.txt'
      - outcome: {summary: it greets}
  - persona: engineer
    task: Greet
    steps:
      - run: 'echo "bonjour" > greet.txt'
      - outcome: {summary: it greets in French}
  - task: Wait
    steps:
      - run: 'until [ -e "$HOME/shared/go" ]; do sleep 0.05; done; echo waited > waited.txt'
      - outcome: {summary: it has waited}
  - steps:
      - run: 'echo done > "by-$TURNO_TASK.txt"'
      - outcome: {summary: it is done}
"#;

/// A shift beside a browser has less of a machine.
const LONG: Duration = Duration::from_secs(60);

const WORDS: &str = "say it in French";

/// What was recorded of a kind.
fn facts(project: &Project, what: &str) -> Vec<Value> {
    let journal = project.journal();
    let found = journal.iter().filter_map(|r| r["event"].get(what));
    found.cloned().collect()
}

/// The prompts of a persona for a task, oldest first.
fn prompts(project: &Project, persona: &str, task: &str) -> Vec<String> {
    let journal = project.journal();
    let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    let starts = commands.filter_map(|c| c.get("start-agent"));
    starts
        .filter(|s| s["persona"] == persona && s["task"] == task)
        .map(|s| {
            let prompt = format!("attempts/a{}/prompt.md", s["attempt"]);
            fs::read_to_string(project.state().join(prompt)).unwrap_or_default()
        })
        .collect()
}

#[test]
fn a_shift_is_led_with_the_mouse() {
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor");
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    project.issue("Greet");
    project
        .turno(&["issue", "add", "Count", "--priority", "high"])
        .exits(0);
    project.issue("Sort");
    project.issue("Print");
    // The shift goes on while the other issue waits for its answer.
    project.issue("Wait");
    let board = Shown::begin(&project);
    browser.go(&board.link);
    browser.at("/");
    // Without a shift nothing is begun, and it is said what begins one.
    browser.drag("#issue-3 h3 a", "#lane-working h2");
    browser.until(
        "it says why not",
        "document.querySelector('#said.bad')?.textContent.includes('turno run ISSUE')",
    );
    let shift = project.start(&["run", "1", "5", "--budget", "20"]);
    browser.until(
        "it asks",
        "document.querySelector('.question button[data-key=\"2\"]')",
    );

    // Dropped on an urgent one it is as urgent.
    browser.drag("#issue-4 h3 a", "#issue-2 h3");
    browser.until(
        "it is high",
        "document.querySelector('#issue-4').dataset.priority === 'high'",
    );
    let edited = facts(&project, "issue-edited").remove(0);
    assert_eq!(
        (&edited["issue"], &edited["draft"]["priority"]),
        (&json!(4), &json!("high"))
    );
    let cards = "[...document.querySelectorAll('#lane-backlog .issue')].map((c) => c.id).join()";
    assert_eq!(browser.eval(cards), "issue-2,issue-4,issue-3");

    // Dropped on a column to the right it is begun in the shift that runs.
    assert_eq!(facts(&project, "issue-joined"), Vec::<Value>::new());
    browser.drag("#issue-3 h3 a", "#lane-working h2");
    browser.until(
        "it has left the backlog",
        "document.querySelector('#issue-3').closest('.lane').id !== 'lane-backlog'",
    );
    assert_eq!(facts(&project, "issue-joined"), [json!({"issue": 3})]);
    browser.shot("dragged");

    browser.key("2");
    browser.until("nothing is asked", "!document.querySelector('.question')");
    assert_eq!(facts(&project, "decision-answered")[0]["answer"], "the user");

    fs::write(project.shared().join("go"), "").unwrap();
    until("it is reviewed", || {
        !prompts(&project, "reviewer", "1.1").is_empty()
    });
    browser.go(&format!("{}/tasks/1.1/diff", board.url));
    browser.at("/tasks/1.1/diff");
    assert!(browser.text().contains("hello, the user"), "{}", browser.text());
    browser.click("td.at a[data-line=\"1\"]");
    browser.until("it asks for words", "document.querySelector('#comment').open");
    browser.click("#comment textarea");
    browser.types(WORDS);
    browser.shot("comment");
    browser.click("#comment .first");
    browser.until("it is said", "!document.querySelector('#comment').open");
    ended_within(LONG, &project, shift).exits(0);
    let commented = &facts(&project, "commented")[0]["finding"];
    assert_eq!(
        (&commented["file"], &commented["line"]),
        (&json!("greet.txt"), &json!(1))
    );
    let told = prompts(&project, "engineer", "1.1");
    let given: Vec<bool> = told.iter().map(|p| p.contains(WORDS)).collect();
    assert_eq!(given, [false, false, true]);
    assert_eq!(project.at("turno/3/base", "by-3.1.txt"), "done");

    browser.go(&format!("{}/issues/1", board.url));
    browser.at("/issues/1");
    browser.click("a.first[href=\"/issues/1/promote\"]");
    browser.at("/issues/1/promote");
    browser.click(".confirm .first");
    browser.until(
        "it is done",
        "location.pathname === '/issues/1' && document.querySelector('.facts').innerText.includes('done')",
    );
    assert_eq!(project.at("main", "greet.txt"), "bonjour");
    assert_eq!(browser.wrong, Vec::<String>::new());
    board.end();
}

/// What is typed and clicked goes to forms, which are sent as a browser sends them by itself.
#[test]
fn without_scripts_a_plan_is_changed_and_a_comment_made() {
    let project = plan_edits::project();
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    let shift = plan_edits::begin(&project);
    let board = Shown::begin(&project);
    browser.go(&board.link);
    browser.at("/");
    browser.without_scripts();
    browser.go(&format!("{}/issues/1", board.url));
    browser.click("a[data-open=plan-add]");
    browser.until(
        "the form is there",
        "document.querySelector('form [name=do][value=add]')",
    );
    browser.click("form:has([value=add]) [name=title]");
    browser.types("A garden");
    browser.click("form:has([value=add]) [name=needs]");
    browser.types("1.1");
    browser.shots("plan");
    browser.click("form:has([value=add]) button");
    browser.until("it is there", "document.getElementById('t-1.4')");
    browser.click("[id=\"drop-1.2\"] summary");
    browser.click("[id=\"drop-1.2\"] button");
    browser.until(
        "it says why not",
        "document.body.innerText.includes('1.3 needs it')",
    );
    browser.go(&format!("{}/issues/1/plan", board.url));
    browser.click("[id=\"drop-1.2\"] summary");
    browser.click("[id=\"drop-1.2\"] [name=rewire]");
    browser.click("[id=\"drop-1.2\"] button");
    browser.until(
        "it is dropped",
        "document.getElementById('t-1.2').innerText.includes('dropped')",
    );
    plan_edits::go(&project);
    ended_within(LONG, &project, shift).exits(0);
    assert_eq!(
        plan_edits::landed(&project),
        ["by-1.3.txt", "by-1.4.txt", "ground.txt"]
    );

    browser.go(&format!("{}/issues/1/diff", board.url));
    browser.click("a[data-file=\"ground.txt\"][data-line=\"1\"]");
    browser.until(
        "the form is there",
        "document.querySelector('[name=file]').value === 'ground.txt'",
    );
    browser.click("[name=text]");
    browser.types(WORDS);
    browser.shots("comment-page");
    browser.click("main button.first");
    browser.until("it is a task", "document.getElementById('row-1.5')");
    let commented = &facts(&project, "commented")[0]["finding"];
    assert_eq!(
        (&commented["file"], &commented["line"]),
        (&json!("ground.txt"), &json!(1))
    );
    board.end();
}
