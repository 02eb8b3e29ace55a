//! What providers refuse, as a person meets it: limits by the minute, windows that are used up, failing servers,
//! refused keys, models that are not there. The real CLIs meet it from the loopback model server, a written agent
//! says it.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::model_server::{Api, Script, Turn};
use crate::harness::processes::{ended, nothing_runs, until};
use crate::harness::project::{Done, Project};
use crate::harness::real_cli::Cli;
use crate::stories::real_agents::{Stage, approval, change, engineer, reviewer};

fn api(cli: Cli) -> Api {
    match cli {
        Cli::Claude | Cli::ClaudeAcp => Api::Messages,
        Cli::Codex => Api::Responses,
        Cli::Opencode => Api::Chat,
        Cli::Gemini => Api::Gemini,
    }
}

/// How often an agent was started as this persona.
fn starts(project: &Project, persona: &str) -> usize {
    let journal = project.journal();
    let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    commands
        .filter_map(|c| c.get("start-agent"))
        .filter(|start| start["persona"] == persona)
        .count()
}

/// The causes by which attempts have failed, in order.
fn causes(project: &Project) -> Vec<String> {
    let journal = project.journal();
    let failures = journal.iter().filter_map(|record| {
        let event = &record["event"];
        let failed = &event["agent-ended"]["end"]["failed"];
        let cause = failed["cause"].as_str();
        cause.or_else(|| event["attempt-failed"]["failure"]["cause"].as_str())
    });
    failures.map(str::to_owned).collect()
}

fn writes() -> [Turn; 2] {
    [Turn::edit("greet.txt", "hello", "hello world"), change("greets")]
}

fn busy(seconds: &str) -> Turn {
    Turn::status(429, "rate_limit_error", "slow down").header("retry-after", seconds)
}

/// One issue of a CLI's whose engineer meets these turns; the policy waits shortly and tries again twice.
fn meets(story: &str, cli: Cli, scripts: Vec<Script>, issues: usize) -> Option<(Stage, Done)> {
    let stage = Stage::new(&format!("{story}, {}", cli.name()), &[cli], scripts)?;
    let row = |cause| format!("[rows.{cause}]\ntries = 2\nwait = \"200ms\"\n");
    let policy = format!("{}{}", row("provider"), row("rate-limited"));
    stage.project.write(&[(".turno/policies/single.toml", &policy)]);
    let mut args = vec!["run".to_owned()];
    args.extend((0..issues).map(|n| stage.project.issue(&format!("Greet the world {n}")).to_string()));
    args.extend(["--agent".to_owned(), cli.name().to_owned()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = stage.ends_as_scripted(stage.project.turno(&args));
    Some((stage, done))
}

/// The CLI waits for it by itself, in the same attempt.
#[rstest]
#[case(Cli::Claude)]
#[case(Cli::Codex)]
fn a_busy_minute_costs_nothing(#[case] cli: Cli) {
    let turns = [busy("1")].into_iter().chain(writes());
    let scripts = vec![
        engineer(api(cli), "The task is new", turns),
        reviewer(api(cli), "# Review of task 1.1", [approval()]),
    ];
    let Some((stage, done)) = meets("a busy minute", cli, scripts, 1) else {
        return;
    };
    done.exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(starts(&stage.project, "engineer"), 1);
    assert_eq!(causes(&stage.project), [""; 0]);
}

/// It gives up; the next attempt goes on with the conversation, and one try is counted.
#[rstest]
#[case(Cli::Claude)]
#[case(Cli::Codex)]
fn a_longer_limit_costs_one_try(#[case] cli: Cli) {
    let scripts = vec![
        engineer(api(cli), "ended early", writes()),
        engineer(api(cli), "The task is new", [busy("1")]),
        reviewer(api(cli), "# Review of task 1.1", [approval()]),
    ];
    let Some((stage, done)) = meets("a longer limit", cli, scripts, 1) else {
        return;
    };
    done.exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(causes(&stage.project), ["rate-limited"]);
    assert_eq!(starts(&stage.project, "engineer"), 2);
}

#[rstest]
#[case(Cli::Claude)]
#[case(Cli::Codex)]
fn a_server_that_only_fails_is_tried_as_often_as_the_policy_says(#[case] cli: Cli) {
    let down = Turn::status(500, "api_error", "Internal server error");
    let scripts = vec![
        engineer(api(cli), "ended early", [down.clone()]),
        engineer(api(cli), "The task is new", [down]),
    ];
    let Some((stage, done)) = meets("a storm of 500", cli, scripts, 1) else {
        return;
    };
    let done = done.exits(1);
    assert!(
        done.out.contains("the provider failed or is overloaded"),
        "{}",
        done.out
    );
    assert_eq!(causes(&stage.project), ["provider"; 3]);
    assert_eq!(starts(&stage.project, "engineer"), 3);
    nothing_runs(&stage.project);
}

/// Three tasks with one key: nobody learns anything by asking thrice for each.
#[rstest]
#[case(Cli::Claude)]
#[case(Cli::Codex)]
fn a_wrong_key_is_one_cause_and_no_loop(#[case] cli: Cli) {
    let refused = Turn::status(401, "authentication_error", "invalid x-api-key");
    let scripts = vec![engineer(api(cli), "The task is new", [refused])];
    let Some((stage, done)) = meets("a wrong key", cli, scripts, 3) else {
        return;
    };
    let done = done.exits(1);
    assert!(done.out.contains("the agent is not signed in"), "{}", done.out);
    let causes = causes(&stage.project);
    assert!(causes.iter().all(|cause| cause == "sign-in"), "{causes:?}");
    assert!((1..=3).contains(&starts(&stage.project, "engineer")));
    nothing_runs(&stage.project);
}

#[rstest]
#[case(Cli::Claude, "not_found_error")]
#[case(Cli::Codex, "model_not_found")]
fn a_model_that_is_not_there_is_not_asked_for_twice(#[case] cli: Cli, #[case] kind: &str) {
    let words = "The model `no-such-model` does not exist or you do not have access to it.";
    let unknown = Turn::status(404, kind, words);
    let scripts = vec![engineer(api(cli), "The task is new", [unknown])];
    let Some((stage, done)) = meets("no such model", cli, scripts, 1) else {
        return;
    };
    let done = done.exits(1);
    assert!(
        done.out.contains("the model is not known to the provider"),
        "{}",
        done.out
    );
    assert_eq!(causes(&stage.project), ["model"]);
    assert_eq!(starts(&stage.project, "engineer"), 1);
}

/// The account is used up by its own word: an hour is no busy minute, and not the server's fault either.
#[rstest]
#[case(
    Cli::Claude,
    Turn::status(
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the API"
    )
)]
#[case(
    Cli::Codex,
    Turn::status(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan."
    )
)]
fn a_used_up_account_is_told_as_one(#[case] cli: Cli, #[case] used_up: Turn) {
    let scripts = vec![
        engineer(api(cli), "ended early", writes()),
        engineer(api(cli), "The task is new", [used_up]),
        reviewer(api(cli), "# Review of task 1.1", [approval()]),
    ];
    let stage = Stage::new(&format!("used up, {}", cli.name()), &[cli], scripts);
    let Some(stage) = stage else { return };
    let policy = "[rows.quota]\ntries = 2\nwait = \"200ms\"\n";
    stage.project.write(&[(".turno/policies/single.toml", policy)]);
    stage.project.issue("Greet the world");
    stage
        .ends_as_scripted(stage.project.turno(&["run", "1", "--agent", cli.name()]))
        .exits(0);
    assert_eq!(causes(&stage.project), ["quota"]);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
}

const SCRIPTED: &str = "\
slots = 1
policy = \"single\"
[checks.test]
command = \"test -f kept.txt\"
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// A fact for each step of ten percent and for each reset, none for what was known.
#[test]
fn only_news_of_a_window_is_written_down() {
    let said = |fill: &str| format!("      - quota: {{window: five_hour, fill: {fill}, resets_in: 2h}}\n");
    let mut steps = String::new();
    for percent in [80, 81, 84, 89, 90, 91] {
        steps.push_str(&said(&format!("{{percent: {percent}}}")));
    }
    let script = format!(
        "sessions:\n  - persona: engineer\n    steps:\n{steps}\
         \x20     - write: {{path: kept.txt, text: \"kept\\n\"}}\n      - outcome: {{summary: done}}\n\
         \x20 - persona: reviewer\n    steps:\n      - outcome: {{verdict: approve}}\n"
    );
    let project = Project::new(&[("turno.toml", SCRIPTED), ("script.yaml", &script)]);
    project.issue("Write it");
    let before = now();
    project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    let journal = project.journal();
    let seen: Vec<_> = journal
        .iter()
        .filter_map(|r| r["event"].get("quota-seen"))
        .collect();
    let fills: Vec<u64> = seen
        .iter()
        .map(|fact| fact["quota"]["fill"]["percent"].as_u64().unwrap())
        .collect();
    assert_eq!(fills, [80, 90], "{seen:#?}");
    let hours = 2 * 3_600_000;
    for fact in seen {
        assert_eq!(fact["quota"]["window"], "five-hour");
        let resets = fact["quota"]["resets"].as_u64().unwrap();
        assert!((before + hours..=now() + hours).contains(&resets), "{fact:#}");
    }
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(told.contains("five-hour"), "{told}");
}

/// Two agents of which the first has used its account up; it says when that is over.
const USED_UP: &str = "\
sessions:
  - persona: engineer
    round: 1
    steps:
      - write: {path: begun.txt, text: \"begun\\n\"}
      - usage: {usd: 0.01}
      - quota: {window: five-hour, fill: full, resets_in: 15s}
      - fail: {cause: quota, detail: used up}
  - persona: engineer
    resumed: true
    steps:
      - write: {path: kept.txt, text: \"by ada\\n\"}
      - outcome: {summary: done}
  - persona: reviewer
    steps:
      - outcome: {verdict: approve}
";
const OTHER: &str = "\
sessions:
  - persona: engineer
    steps:
      - write: {path: kept.txt, text: \"by bob\\n\"}
      - outcome: {summary: done}
  - persona: reviewer
    steps:
      - outcome: {verdict: approve}
";

/// A shift whose engineer is played by these agents. What a told time is exceeded by is short.
fn used_up(engineers: &str) -> Project {
    let agent = |name: &str| format!("[agents.{name}]\ndialect = \"script\"\nscript = \"{name}.yaml\"\n");
    let config = format!(
        "slots = 1\npolicy = \"single\"\n[checks.test]\ncommand = \"test -f kept.txt\"\n{}{}\
         [personas.engineer]\nagents = {engineers}\n[personas.reviewer]\nagents = [\"bob\"]\n",
        agent("ada"),
        agent("bob"),
    );
    let policy = "[rows.quota]\ntries = 3\nwait = \"300ms\"\n";
    let project = Project::new(&[
        ("turno.toml", &config),
        ("ada.yaml", USED_UP),
        ("bob.yaml", OTHER),
        (".turno/policies/single.toml", policy),
    ]);
    project.issue("Write it");
    project
}

/// The starts of the engineer with the time of each.
fn engineers(project: &Project) -> Vec<(u64, Value)> {
    let journal = project.journal();
    let starts = journal.iter().flat_map(|record| {
        let commands = record["commands"].as_array().unwrap().iter();
        let starts = commands.filter_map(|c| c.get("start-agent"));
        starts.map(|start| (record["at"].as_u64().unwrap(), start.clone()))
    });
    starts
        .filter(|(_, start)| start["persona"] == "engineer")
        .collect()
}

/// When the window that was told of is empty again.
fn resets(project: &Project) -> u64 {
    let journal = project.journal();
    let mut seen = journal.iter().filter_map(|r| r["event"].get("quota-seen"));
    seen.next().unwrap()["quota"]["resets"].as_u64().unwrap()
}

/// The account waits, not the task: the same conversation goes on when the window is empty again, and a person sees
/// until when.
#[test]
fn an_account_that_is_used_up_is_waited_for_with_its_conversation() {
    let project = used_up("[\"ada\"]");
    let run = project.start(&["run", "1"]);
    let mut shown = String::new();
    until("status shows the closed account", || {
        shown = project.turno(&["status"]).exits(0).out;
        shown.contains("the account of `ada` is closed for a time")
    });
    assert!(shown.contains("ada: five-hour used up, resets "), "{shown}");
    assert!(
        shown.contains("the account of `ada` is closed for a time"),
        "{shown}"
    );
    let accounts = &project.turno(&["status", "--json"]).exits(0).json()["accounts"];
    assert_eq!(accounts[0]["agent"], "ada", "{accounts:#}");
    assert_eq!(
        accounts[0]["windows"]["five-hour"]["fill"], "full",
        "{accounts:#}"
    );
    ended(&project, run).exits(0);

    assert_eq!(project.at("turno/1/base", "kept.txt"), "by ada");
    assert_eq!(project.at("turno/1/base", "begun.txt"), "begun");
    let starts = engineers(&project);
    let [(_, first), (at, second)] = &starts[..] else {
        panic!("{starts:#?}")
    };
    assert_eq!(
        (&first["session"], &first["agent"]),
        (&json!("fresh"), &json!("ada"))
    );
    let opened = project.journal();
    let session = opened
        .iter()
        .find_map(|r| r["event"].get("session-opened"))
        .unwrap();
    assert_eq!(second["session"]["resume"], session["session"]);
    assert!(*at >= resets(&project), "{at} is before it is empty again");
    let done = project.turno(&["status"]).exits(0).out;
    assert!(!done.contains("five-hour"), "what has reset is not told: {done}");
}

/// Nobody waits for an account where another agent may do the work.
#[test]
fn another_agent_takes_over_meanwhile() {
    let project = used_up("[\"ada\", \"bob\"]");
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "kept.txt"), "by bob");
    assert_eq!(project.at("turno/1/base", "begun.txt"), "begun");
    let starts = engineers(&project);
    let [(_, first), (at, second)] = &starts[..] else {
        panic!("{starts:#?}")
    };
    assert_eq!(
        (&first["agent"], &second["agent"]),
        (&json!("ada"), &json!("bob"))
    );
    assert_eq!(second["session"], "fresh");
    assert!(*at < resets(&project), "it did not wait");
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap().as_millis()).unwrap()
}
