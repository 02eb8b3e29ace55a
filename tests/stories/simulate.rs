//! `turno simulate`: a night is really run, a forecast is learned from it, and what really happened lies in its range.
//! And what a person meets who only asks: nothing is changed, the same seed says the same, what cannot be is told.

use serde_json::Value;

use super::modes::tells;
use crate::harness::project::Project;

/// Written agents that take about a second, as real ones take minutes; one is sent back by the reviewer, one by the
/// checks, and one never gets there.
const CONFIG: &str = r#"
slots = 2
[checks.test]
command = "sleep 0.2; ! ls | grep -q broken"
[agents.ada]
dialect = "script"
script = "night.yaml"
[agents.grace]
dialect = "script"
script = "night.yaml"
[personas.author]
agents = ["grace"]
[personas.engineer]
agents = ["ada"]
[personas.reviewer]
agents = ["grace"]
[personas.tester]
agents = ["grace"]
"#;

const NIGHT: &str = r#"
sessions:
  - persona: author
    round: 1
    steps: [{sleep: 300ms}, {usage: {usd: 0.03}}, {outcome: {tasks: [{key: all, title: "Do it", brief: "All of it", acceptance: [it is done]}]}}]
  - {persona: author, steps: [{sleep: 200ms}, {usage: {usd: 0.02}}, {outcome: {missing: []}}]}
  - {persona: tester, steps: [{sleep: 400ms}, {usage: {usd: 0.05}}, {outcome: {verdict: approve}}]}
  - persona: reviewer
    task: "3.*"
    round: 1
    steps: [{sleep: 400ms}, {usage: {usd: 0.04}}, {outcome: {verdict: {findings: [{file: f, line: 1, severity: major, what: "it is wrong", how_to_see: "look"}]}}}]
  - {persona: reviewer, steps: [{sleep: 500ms}, {usage: {usd: 0.04}}, {outcome: {verdict: approve}}]}
  - persona: engineer
    task: "5.*"
    steps: [{sleep: 900ms}, {usage: {usd: 0.10}}, {run: "touch broken-$TURNO_ATTEMPT-$$"}, {outcome: {summary: it does not work}}]
  - persona: engineer
    task: "6.*"
    round: 1
    steps: [{sleep: 1100ms}, {usage: {usd: 0.14}}, {run: "touch broken"}, {outcome: {summary: half of it}}]
  - persona: engineer
    task: "6.*"
    steps: [{sleep: 700ms}, {usage: {usd: 0.08}}, {run: "rm broken; echo done > done-$TURNO_TASK"}, {outcome: {summary: done}}]
  - persona: engineer
    steps: [{sleep: 1s}, {usage: {usd: 0.12}}, {run: "date +%N > done-$TURNO_TASK"}, {outcome: {summary: done}}]
"#;

fn project() -> Project {
    Project::new(&[("turno.toml", CONFIG), ("night.yaml", NIGHT), ("f", "f\n")])
}

/// What the journal says that a night came to: issues landed, cost in millionths of a dollar, milliseconds.
fn what_happened(project: &Project) -> (u64, u64, u64) {
    let journal = project.journal();
    let changes = || journal.iter().flat_map(|r| r["changes"].as_array().unwrap());
    let mut landed: Vec<u64> = changes()
        .filter_map(|c| c.get("issue"))
        .filter(|i| i["stage"]["review"].is_object())
        .map(|i| i["id"].as_u64().unwrap())
        .collect();
    landed.sort_unstable();
    landed.dedup();
    let shift = changes().filter_map(|c| c.get("shift")).next_back().unwrap();
    let time = |v: &Value| v.as_u64().unwrap();
    let took = time(&shift["stage"]["ended"]["at"]) - time(&shift["started"]);
    (landed.len() as u64, time(&shift["spent"]), took)
}

#[track_caller]
fn holds(forecast: &Value, what: &str, real: u64) {
    let range = &forecast[what];
    let (low, high) = (range["p5"].as_u64().unwrap(), range["p95"].as_u64().unwrap());
    println!("{what}: really {real}, forecast {low} to {high}");
    assert!(
        low <= real && real <= high,
        "{what}: really {real}, forecast {low} to {high}\n{forecast:#}"
    );
}

#[test]
fn what_really_happened_lies_in_the_range_that_is_learned_from_it() {
    let project = project();
    for n in 1..=8 {
        project.issue(&format!("Issue {n}"));
    }
    let asked = ["simulate", "drain", "--budget", "20", "--nights", "200", "--json"];
    // Before the night: by what is assumed of real agents, on the real backlog. It is far off, and says why.
    let before = project.turno(&asked).exits(0).json();
    assert_eq!(before["forecast"]["issues"], 8);
    let filed = project.journal().len();
    let guess = before["forecast"]["took_ms"]["p50"].as_u64().unwrap();

    project.turno(&["drain", "--budget", "20"]).exits(1);
    let (landed, cost, took) = what_happened(&project);
    assert_eq!(landed, 7, "all but the one that never works");
    assert!(
        guess > 20 * took,
        "written agents are no real ones: {guess} {took}"
    );
    let after = project.journal().len();
    assert!(after > filed);

    // The same backlog again, as eight issues like those.
    let learned = [&asked[..], &["--history", "all", "--issues", "8"]].concat();
    let told = project.turno(&learned).exits(0).json();
    let forecast = &told["forecast"];
    holds(forecast, "landed", landed);
    holds(forecast, "cost_micros", cost);
    holds(forecast, "took_ms", took);
    no_rare_wait_is_the_end_of_it(forecast, took);
    assert_eq!(told["learned_from"], 1);
    let seen = told["evidence"].as_array().unwrap();
    let engineer = seen.iter().find(|e| e["of"] == "engineer by ada").unwrap();
    assert!(engineer["seen"].as_u64().unwrap() >= 9, "{told:#}");
    // That one issue fails for its checks is seen as what holds issues back.
    let causes = told["forecast"]["held"].to_string();
    assert!(causes.contains("checks failed"), "{causes}");

    // The budget holds in every simulated night, as it does in real ones.
    let poor: Vec<&str> = learned
        .iter()
        .map(|a| if *a == "20" { "0.60" } else { a })
        .collect();
    let poor = project.turno(&poor).exits(0).json();
    let number = |key: &str| poor["forecast"][key].as_u64().unwrap();
    assert_eq!(poor["forecast"]["ends"][0]["end"], "budget", "{poor:#}");
    assert!(number("over_budget_micros") <= 2 * number("largest_message_micros"));

    // Who asks leaves nothing behind, and is told how little is known.
    let words = project
        .turno(&[
            "simulate",
            "drain",
            "--history",
            "S1",
            "--issues",
            "3",
            "--nights",
            "50",
        ])
        .exits(0);
    tells(
        &words.out,
        &[
            "learned from 1 finished shift(s)",
            "engineer by ada from ",
            "little is known",
            "The night in the middle",
        ],
    );
    assert_eq!(project.journal().len(), after);
    let none = ["simulate", "drain", "--history", "S7"];
    tells(&project.turno(&none).exits(2).err, &["no such shift"]);
}

/// A night of a dozen issues: one is sent back by its reviewer, one by the checks, one never gets there, one costs more
/// than an attempt may at first, and one asks and is not answered. It is forecast from its own history.
#[test]
fn a_scripted_night_of_a_dozen_issues_lies_in_the_range_of_its_own_forecast() {
    let more = r#"
  - persona: engineer
    task: "9.*"
    round: 1
    steps: [{sleep: 600ms}, {usage: {usd: 0.6}}, {hang: {}}]
  - persona: engineer
    task: "11.*"
    steps: [{sleep: 300ms}, {usage: {usd: 0.05}}, {outcome: {kind: question, question: "Tabs or spaces?", options: [tabs, spaces]}}]
"#;
    let config = CONFIG.replace("[personas.engineer]\n", "[personas.engineer]\nbudget_usd = 0.5\n");
    let night = NIGHT.replace("\nsessions:\n", &format!("\nsessions:{more}"));
    let project = Project::new(&[("turno.toml", &config), ("night.yaml", &night), ("f", "f\n")]);
    for n in 1..=12 {
        project.issue(&format!("Issue {n}"));
    }
    project.turno(&["drain", "--budget", "20"]).exits(1);
    let (landed, cost, took) = what_happened(&project);
    assert_eq!(
        landed, 10,
        "all but the one that never works and the one that asks"
    );
    let before = project.journal().len();
    let asked = [
        "simulate",
        "drain",
        "--history",
        "S1",
        "--issues",
        "12",
        "--nights",
        "400",
        "--budget",
        "20",
        "--json",
    ];
    let told = project.turno(&asked).exits(0).json();
    assert_eq!(told["learned_from"], 1);
    let forecast = &told["forecast"];
    assert_eq!(forecast["issues"], 12);
    holds(forecast, "landed", landed);
    holds(forecast, "cost_micros", cost);
    holds(forecast, "took_ms", took);
    // A range that holds everything says nothing.
    for (what, most) in [("landed", 8), ("cost_micros", 2 * cost)] {
        let range = &forecast[what];
        let wide = range["p95"].as_u64().unwrap() - range["p5"].as_u64().unwrap();
        assert!(wide <= most, "{what}: {range}");
    }
    no_rare_wait_is_the_end_of_it(forecast, took);
    // The one in the middle is like the real one.
    let middle = forecast["took_ms"]["p50"].as_u64().unwrap();
    assert!(took / 2 <= middle && middle <= 2 * took, "{middle} {took}");
    assert_eq!(project.journal().len(), before, "who asks leaves nothing behind");
}

/// The night of the report, on three slots: one issue is red each time, one asks and is not answered, one spends more
/// than its attempts may each time, and one needs that one. Issues differ, and what fails fails again.
#[test]
fn the_night_of_the_report_lies_in_the_range_of_its_own_forecast() {
    let project = super::report::night();
    project
        .turno(&["drain", "--policy", "single", "--budget", "20"])
        .exits(1);
    let (landed, cost, took) = what_happened(&project);
    assert_eq!(landed, 8);
    let asked = [
        "simulate",
        "single",
        "--history",
        "S1",
        "--issues",
        "12",
        "--nights",
        "1000",
        "--budget",
        "20",
        "--json",
    ];
    let told = project.turno(&asked).exits(0).json();
    let forecast = &told["forecast"];
    holds(forecast, "landed", landed);
    holds(forecast, "cost_micros", cost);
    holds(forecast, "took_ms", took);
    // A range that holds everything says nothing.
    let at = |what: &str, place: &str| forecast[what][place].as_u64().unwrap();
    let cost = (at("cost_micros", "p5"), at("cost_micros", "p95"));
    assert!(cost.1 < 7 * cost.0, "{cost:?}");
    no_rare_wait_is_the_end_of_it(forecast, took);
    // What held issues back in the real night is what holds them in the simulated ones.
    let held = forecast["held"].as_array().unwrap();
    let first: Vec<&str> = held.iter().take(3).map(|h| h["why"].as_str().unwrap()).collect();
    for why in [
        "a question waits for a person",
        "too often: the attempt's money cap was reached",
        "too often: checks failed",
    ] {
        assert!(first.contains(&why), "{held:?}");
    }
}

/// A quota or a silence of hours that nobody has seen does not make the upper end of the time.
#[track_caller]
fn no_rare_wait_is_the_end_of_it(forecast: &Value, took: u64) {
    let range = &forecast["took_ms"];
    assert!(range["p95"].as_u64().unwrap() < 10 * took, "{took}: {range}");
}

#[test]
fn the_same_seed_says_the_same_and_another_one_does_not() {
    let project = project();
    let told = |seed: &str| {
        let args = [
            "simulate", "drain", "--issues", "4", "--nights", "40", "--budget", "50", "--seed", seed,
            "--json",
        ];
        project.turno(&args).exits(0).out
    };
    assert_eq!(told("5"), told("5"));
    assert_ne!(told("5"), told("6"));
}

#[test]
fn one_issue_and_no_money_starts_nothing_and_the_reason_is_told() {
    let project = project();
    let no_money = ["simulate", "drain", "--issues", "1", "--budget", "0"];
    tells(&project.turno(&no_money).exits(2).err, &["$0.00 starts nothing"]);
    let a_cent = [
        "simulate", "drain", "--issues", "1", "--budget", "0.01", "--nights", "20",
    ];
    tells(
        &project.turno(&a_cent).exits(0).out,
        &[
            "Nothing starts in 100 % of the nights: the policy starts no attempt with less than $0.05",
            "the budget was spent, or the rest of it starts nothing",
        ],
    );
}

#[test]
fn outside_of_a_project_it_goes_by_what_is_built_in() {
    let project = project();
    let home = project.home();
    let args = [
        "simulate",
        "feature-dev",
        "--nights",
        "20",
        "--issues",
        "2",
        "--tasks-per-issue",
        "2",
        "--budget",
        "90",
        "--compare-slots=2",
        "-o",
        "night.svg",
    ];
    let done = project.turno_in(&args, &home).exits(0);
    tells(
        &done.out,
        &[
            "this is no repository",
            "taken to have one check",
            "How many slots are worth it",
            "2 issue(s)",
        ],
    );
    let drawn = std::fs::read_to_string(home.join("night.svg")).unwrap();
    assert!(
        drawn.starts_with("<svg xmlns") && drawn.contains("<title>write 1.1,"),
        "{drawn}"
    );
    // A picture that is there already is somebody's.
    let again = project.turno_in(&args, &home).exits(2);
    tells(&again.err, &["night.svg cannot be written"]);
    assert_eq!(std::fs::read_dir(project.state()).unwrap().count(), 0);
}

#[test]
fn a_file_of_assumptions_is_laid_over_the_built_in_ones() {
    let project = project();
    project.write(&[(
        ".turno/simulate.toml",
        "[engineer]\nfails = {sign-in = 1.0}\nasks = 0\n",
    )]);
    let args = [
        "simulate", "drain", "--issues", "2", "--nights", "20", "--budget", "50",
    ];
    tells(
        &project.turno(&args).exits(0).out,
        &["too often: the agent is not signed in", ".turno/simulate.toml"],
    );
    project.write(&[("own.toml", "[engineer]\nfials = {}\n")]);
    let wrong = [&args[..], &["--assume", "own.toml"]].concat();
    tells(&project.turno(&wrong).exits(2).err, &["own.toml", "fials"]);
}
