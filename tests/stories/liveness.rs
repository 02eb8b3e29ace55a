//! Whether an agent is alive is told by evidence: who hangs is reminded or stopped within its limit and goes on, who
//! builds for long is let alone, who only seems to live is found.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use serde_json::Value;

use crate::harness::processes::{ended, nothing_runs, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 1
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Those who go on after the first, and those who approve.
const OTHERS: &str = "
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - {persona: engineer, steps: [{write: {path: a.txt, text: \"a\\n\"}}, {outcome: {summary: done}}]}
";

/// A project whose first engineer does these steps, under a policy with these limits.
fn project(steps: &str, limits: &str) -> Project {
    let script = format!("sessions:\n  - {{persona: engineer, round: 1, steps: [{steps}]}}{OTHERS}");
    let policy = format!("review = \"off\"\n{limits}\n[rows.stalled]\ntries = 1\nwait = \"0s\"\n");
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", &policy),
        ("script.yaml", &script),
    ])
    .env("TURNO_AGENT", "actor")
    .unconfined();
    project.issue("One");
    project
}

/// Nobody was stopped.
const NONE: [i64; 0] = [];
const WORKS: &str = "{write: {path: a.txt, text: \"a\\n\"}}, {outcome: {summary: done}}";

/// What was seen, in order, by its name.
fn seen(project: &Project) -> Vec<String> {
    let name = |record: &Value| {
        let activity = &record["event"]["seen"]["activity"];
        let text = activity.as_str().map(str::to_owned);
        text.or_else(|| Some(activity.as_object()?.keys().next()?.clone()))
    };
    project.journal().iter().filter_map(name).collect()
}

/// How long after its start each attempt was stopped as stalled, in milliseconds.
fn stalled(project: &Project) -> Vec<i64> {
    let journal = project.journal();
    let at = |record: &Value| record["at"].as_i64().unwrap();
    let commands = |record: &Value| record["commands"].as_array().unwrap().clone();
    let mut started = 0;
    let mut stops = Vec::new();
    for record in &journal {
        for command in commands(record) {
            if command.get("start-agent").is_some() {
                started = at(record);
            }
            if command["stop-attempt"]["why"] == "stalled" {
                stops.push(at(record) - started);
            }
        }
    }
    stops
}

/// How many engineers were started.
fn engineers(project: &Project) -> usize {
    let journal = project.journal();
    let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    commands.filter(|c| c.get("start-agent").is_some()).count()
}

/// Runs it: the first is stopped after so many milliseconds at least, for that reason, and the second ends it.
#[track_caller]
fn is_stopped_and_tried_again(project: &Project, after: i64, why: &str) {
    project.turno(&["run", "1"]).exits(0);
    let stops = stalled(project);
    assert!(
        matches!(stops[..], [ms] if (after..after + 12_000).contains(&ms)),
        "{stops:?}"
    );
    assert_eq!(engineers(project), 2);
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(told.contains(why), "{why} is missing in {told}");
    let journal = project.journal();
    let starts = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    let again = starts.filter_map(|c| c.get("start-agent")).next_back().unwrap();
    let because = &again["brief"]["ask"]["write"]["because"]["interrupted"]["failure"];
    assert_eq!(because["cause"], "stalled");
    assert!(because["detail"].as_str().unwrap().contains(why), "{because}");
    nothing_runs(project);
}

#[test]
fn one_that_hangs_without_a_word_is_stopped_and_tried_again() {
    let project = project(
        "{say: I begin}, {hang: {}}",
        "silence = \"1s\"\nsilence_hard = \"2500ms\"",
    );
    is_stopped_and_tried_again(&project, 2500, "nothing was seen of it for");
    assert!(seen(&project).contains(&"silent".to_owned()));
}

/// Quiet for three times as long as anybody else may be.
#[rstest]
#[case::it_computes("timeout 12 sh -c \"while :; do :; done\"; true")]
#[case::it_waits("sleep 12")]
fn a_long_command_is_let_alone(#[case] command: &str) {
    let steps = format!("{{run: '{command}'}}, {WORKS}");
    let project = project(
        &steps,
        "silence = \"2s\"\nsilence_hard = \"4s\"\nno_progress = \"3s\"",
    );
    let child = project.start(&["run", "1"]);
    let show = |out: &str| out.contains("in a command for") && out.contains(&command[..7]);
    until("it is shown", || show(&project.turno(&["status"]).out));
    ended(&project, child).exits(0);
    assert!(seen(&project).contains(&"long-command".to_owned()));
    assert_eq!(engineers(&project), 1);
    assert_eq!(stalled(&project), NONE);
}

#[test]
fn a_command_that_never_ends_has_a_limit_of_its_own() {
    let project = project(
        "{run: 'exec sleep 300'}",
        "silence = \"1s\"\nsilence_hard = \"4s\"\nlongest_command = \"5s\"",
    );
    is_stopped_and_tried_again(&project, 5000, "one command took");
}

/// Half a minute of signs of life that mean nothing.
#[rstest]
#[case::pings(
    "{raw: \"{\\\"keep_alive\\\": true}\\n\"}",
    "silence",
    2500,
    "nothing was seen of it for"
)]
#[case::a_spinner("{raw: \"working...\\n\"}", "silence", 2500, "nothing was seen of it for")]
#[case::the_same_words("{say: still thinking}", "silence", 2500, "nothing was seen of it for")]
#[case::other_words("{say: \"thought NUMBER\"}", "talk", 3000, "it talked for")]
#[case::money("{usage: {usd: 0.0001}}", "talk", 3000, "it talked for")]
fn one_that_only_seems_to_live_is_found(
    #[case] beat: &str,
    #[case] limit: &str,
    #[case] after: i64,
    #[case] why: &str,
) {
    let beats: String = (0..250)
        .map(|n| format!("{}, {{sleep: 100ms}}, ", beat.replace("NUMBER", &n.to_string())))
        .collect();
    let limits = match limit {
        "silence" => "silence = \"1s\"\nsilence_hard = \"2500ms\"\nno_progress = \"20s\"",
        _ => "silence = \"2s\"\nsilence_hard = \"4s\"\nno_progress = \"3s\"",
    };
    let project = project(&format!("{beats}{WORKS}"), limits);
    is_stopped_and_tried_again(&project, after, why);
}

/// Words alone, but the files change.
#[test]
fn one_that_talks_and_changes_files_makes_progress() {
    let steps: String = (0..60)
        .map(|n| {
            format!("{{say: thought {n}}}, {{write: {{path: a.txt, text: \"{n}\\n\"}}}}, {{sleep: 100ms}}, ")
        })
        .collect();
    let project = project(
        &format!("{steps}{WORKS}"),
        // That a busy machine stands still for some seconds is no silence of the agent's.
        "silence = \"10s\"\nsilence_hard = \"20s\"\nno_progress = \"3s\"",
    );
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(stalled(&project), NONE);
    assert_eq!(engineers(&project), 1);
}

/// It speaks as Claude Code does, falls silent, and ends its work when it is reminded.
const SLEEPER: &str = r#"#!/bin/sh
echo '{"type":"system","subtype":"init","session_id":"s-1"}'
while read -r line; do
  case "$line" in
    *"Nothing has been seen of you"*)
      echo awake > a.txt
      echo '{"type":"assistant","message":{"content":[{"type":"text","text":"I go on"}]}}'
      echo '{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.01,"structured_output":{"summary":"it woke up","evidence":[],"open_questions":[],"proposals":[],"lessons":[]}}'
      ;;
  esac
done
"#;

#[test]
fn one_that_can_be_told_something_is_reminded_before_it_is_stopped() {
    let config = "
slots = 1
policy = \"single\"
[checks.test]
command = \"true\"
[personas.engineer]
agents = [\"sleeper\"]
[agents.sleeper]
dialect = \"claude\"
program = \"sh\"
args = [\"sleeper\"]
";
    let policy = "review = \"off\"\nsilence = \"1s\"\nsilence_hard = \"30s\"\n";
    let project = Project::new(&[
        ("turno.toml", config),
        (".turno/policies/single.toml", policy),
        ("sleeper", SLEEPER),
    ])
    .unconfined();
    project.issue("One");
    let done = project.turno(&["run", "1"]).exits(0);
    assert!(done.err.contains("is silent, and was reminded"), "{}", done.err);
    assert_eq!(project.at("turno/1/base", "a.txt"), "awake");
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(
        told.contains("it was reminded that nothing is seen of it"),
        "{told}"
    );
    assert_eq!((stalled(&project), engineers(&project)), (NONE.to_vec(), 1));
    nothing_runs(&project);
}

#[test]
fn one_that_is_gone_is_found_at_once() {
    let project = project(
        "{run: 'echo $PPID > \"$HOME/shared/agent\"'}, {hang: {}}",
        "silence = \"10m\"\n[rows.agent]\ntries = 1\nwait = \"0s\"",
    );
    let child = project.start(&["run", "1"]);
    let agent = || fs::read_to_string(project.shared().join("agent")).unwrap_or_default();
    until("it hangs", || agent().ends_with('\n'));
    let begun = Instant::now();
    kill(Pid::from_raw(agent().trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    ended(&project, child).exits(0);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!((stalled(&project), engineers(&project)), (NONE.to_vec(), 2));
    nothing_runs(&project);
}
