//! Agents behind the Agent Client Protocol: gemini, and claude behind its adapter. Each does a task from the first
//! word to the landing, and mends it when a check is red: in its own conversation, or in a new one where the agent
//! has lost it.

use std::fs;

use super::stage::{PATIENCE, Stage, change, marked, script};
use crate::harness::model_server::{Api, Turn};
use crate::harness::processes::{nothing_runs, until_within};
use crate::harness::real_cli::Cli;

const CHECK: &str = "grep -q world greet.txt";

/// A whole shift with a red check in its middle.
fn writes_and_mends(story: &str, cli: Cli, api: Api, check: &str) -> Option<Stage> {
    writes_and_mends_while(story, cli, api, check, |_| {})
}

/// The same, and something else is done while it runs.
fn writes_and_mends_while(
    story: &str,
    cli: Cli,
    api: Api,
    check: &str,
    meanwhile: impl FnOnce(&Stage),
) -> Option<Stage> {
    let config = format!("policy = \"single\"\n[checks.test]\ncommand = '''{check}'''\n");
    let files = [
        ("greet.txt", "hello\n"),
        ("turno.toml", config.as_str()),
        (
            ".turno/policies/single.toml",
            "review = \"off\"\ncheck_reruns = 0\n",
        ),
    ];
    let scripts = vec![
        script(
            api,
            "did not pass the project's checks",
            [
                Turn::edit("greet.txt", "there", "world"),
                marked(2, change("greets the world")),
            ],
        ),
        script(
            api,
            "The task is new",
            [
                Turn::edit("greet.txt", "hello", "hello there"),
                Turn::write("note.txt", "noted\n"),
                Turn::bash("cp greet.txt seen.txt"),
                change("greets"),
            ],
        ),
    ];
    let stage = Stage::new(story, &[cli], &files, scripts)?;
    stage.cast("engineer", cli);
    let project = &stage.project;
    project.issue("Greet the world");
    let shift = stage.start(&["run", "1"]);
    meanwhile(&stage);
    stage.ends(shift).exits(0);
    for (file, text) in [
        ("greet.txt", "hello world"),
        ("note.txt", "noted"),
        ("seen.txt", "hello there"),
    ] {
        assert_eq!(project.at("turno/1/base", file), text);
    }
    nothing_runs(project);

    let played = stage.played();
    assert_eq!(played.len(), 2, "{played:?}");
    assert!(played.iter().all(|p| p.agent == cli.name()), "{played:?}");
    let named = stage.facts("session-opened");
    assert_eq!(played[0].resumed, None);
    assert_eq!(
        played[1].resumed.as_deref(),
        named[0]["session"].as_str(),
        "it is to go on with what it began: {named:?}"
    );
    let log = project.turno(&["log", "a1"]).exits(0).out;
    assert!(log.contains("cp greet.txt seen.txt"), "{log}");
    Some(stage)
}

/// At the model the second attempt is the same conversation, with what was said in the first.
#[track_caller]
fn went_on(stage: &Stage, api: Api) {
    let named = stage.facts("session-opened");
    assert!(
        named.iter().all(|n| n["session"] == named[0]["session"]),
        "{named:?}"
    );
    let requests = stage.requests(api, "");
    assert!(
        requests.iter().all(|r| r.session == requests[0].session),
        "one conversation at the model, too"
    );
    let said = requests.last().unwrap().body.to_string();
    for part in ["The task is new", "did not pass the project's checks"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn claude_behind_its_adapter_does_a_task_and_mends_it_in_its_own_conversation() {
    let (cli, api) = (Cli::ClaudeAcp, Api::Messages);
    if let Some(stage) = writes_and_mends("claude-agent-acp", cli, api, CHECK) {
        went_on(&stage, api);
    }
}

/// Gemini empties a conversation that is loaded within the minute in which it began, so this one takes longer.
#[test]
fn gemini_does_a_task_and_mends_it_in_its_own_conversation() {
    let (cli, api) = (Cli::Gemini, Api::Gemini);
    let check = format!("{CHECK} || {{ sleep $((61 - $(date +%-S))); exit 1; }}");
    if let Some(stage) = writes_and_mends("gemini", cli, api, &check) {
        went_on(&stage, api);
    }
}

#[test]
fn gemini_mends_a_task_in_a_new_conversation_when_it_has_lost_its_own() {
    let (cli, api) = (Cli::Gemini, Api::Gemini);
    let waits = "touch ~/shared/red; until [ -e ~/shared/forgotten ]; do sleep 0.1; done; exit 1";
    let check = format!("{CHECK} || {{ {waits}; }}");
    let forgets = |stage: &Stage| {
        let shared = stage.project.shared();
        until_within(PATIENCE, "its change is red", || shared.join("red").exists());
        // What it remembers is in its private home, where no check can reach it.
        let found = stage.project.state().join("homes").read_dir().unwrap();
        let kept: Vec<_> = found
            .map(|home| home.unwrap().path().join(".gemini/tmp"))
            .flat_map(|tmp| tmp.read_dir().unwrap())
            .map(|project| project.unwrap().path().join("chats"))
            .filter(|chats| chats.exists())
            .collect();
        assert!(!kept.is_empty(), "it keeps its conversations elsewhere");
        for chats in kept {
            fs::remove_dir_all(chats).unwrap();
        }
        fs::write(shared.join("forgotten"), "").unwrap();
    };
    let Some(stage) = writes_and_mends_while("gemini forgets", cli, api, &check, forgets) else {
        return;
    };
    let named = stage.facts("session-opened");
    assert_ne!(named[0]["session"], named[1]["session"], "{named:?}");
    let said = stage.requests(api, "").pop().unwrap().body.to_string();
    assert!(
        !said.contains("The task is new"),
        "it knows nothing of the first attempt"
    );
    for part in ["You are an engineer", "did not pass the project's checks"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let log = stage.project.turno(&["log", "a3"]).exits(0).out;
    assert!(log.contains("a new conversation is begun"), "{log}");
}
