//! One shift, four CLIs: claude plans, writes and accepts, gemini writes too, codex reviews each change, opencode
//! tests each change and tries the whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::stage::{Stage, approval, change, script};
use crate::harness::model_server::{Action, Api, Script, Turn};
use crate::harness::processes::nothing_runs;
use crate::harness::real_cli::{Cli, GEMINI_MODEL};

const CONFIG: &str = r#"
slots = 2
policy = "feature-dev"
[checks.test]
command = "for t in tests/*.sh; do sh $t || exit 1; done"
[personas.author]
agents = ["claude"]
[personas.engineer]
agents = ["claude"]
[personas.reviewer]
agents = ["codex"]
[personas.tester]
agents = ["opencode"]
"#;

const POLICY: &str = r#"
tests = "each-change"
accept = "team"
test_paths = ["tests/**"]
"#;

/// What each task writes, and what its tester adds to it.
const TASKS: [(&str, &str, &str, &str); 3] = [
    ("1.1", "en", "greetings/en", "hello"),
    ("1.2", "de", "greetings/de", "hallo"),
    ("1.3", "program", "greet.sh", "cat greetings/$1"),
];

/// A second engineer, of the project's own.
fn linguist() -> String {
    format!(
        "---\nname: linguist\ndescription: Writes what people read.\nrole: engineer\nagents: [gemini]\n\
         model: {GEMINI_MODEL}\n---\nYou are an engineer who minds languages.\n"
    )
}

fn planned(key: &str, writes: &str, needs: &[&str]) -> Value {
    json!({
        "key": key,
        "title": format!("Make {key}"),
        "brief": format!("Write {writes}."),
        "acceptance": [format!("sh tests/{key}.sh passes")],
        "needs": needs,
        "touches": [writes, format!("tests/{key}.sh")],
        "writer": "engineer",
        "size": "small",
    })
}

fn author() -> [Script; 2] {
    let needs = |key: &str| if key == "program" { &["en", "de"][..] } else { &[] };
    let tasks: Vec<Value> = TASKS
        .iter()
        .map(|(_, key, writes, _)| planned(key, writes, needs(key)))
        .collect();
    let plan = json!({"tasks": tasks, "answers": [], "drops": []});
    [
        script(
            Api::Messages,
            "# Plan for issue 1",
            [Turn::bash("ls tests"), Turn::structured(plan)],
        ),
        script(
            Api::Messages,
            "# Acceptance of issue 1",
            [
                Turn::bash("sh greet.sh de"),
                Turn::structured(json!({"missing": []})),
            ],
        ),
    ]
}

/// Whichever engineer has a task: its model knows what to do.
fn engineers() -> impl Iterator<Item = Script> {
    TASKS.into_iter().flat_map(|(task, key, writes, text)| {
        [Api::Messages, Api::Gemini].map(|api| {
            let turns = [
                Turn::write(writes, format!("{text}\n")),
                Turn::bash(format!("cat {writes}")),
                change(&format!("makes {key}")),
            ];
            script(api, &format!("# Task {task}\n"), turns)
        })
    })
}

fn reviewers() -> impl Iterator<Item = Script> {
    TASKS.into_iter().map(|(task, _, writes, _)| {
        let turns = [
            Turn::bash(format!("cat {writes} && git status --short")),
            approval(writes),
        ];
        script(Api::Responses, &format!("# Review of task {task}\n"), turns)
    })
}

fn testers() -> impl Iterator<Item = Script> {
    let changes = TASKS.into_iter().map(|(task, key, writes, text)| {
        let turns = [
            Turn::new([Action::Read(writes.to_owned())]),
            Turn::write(format!("tests/{key}.sh"), format!("grep -qF '{text}' {writes}\n")),
            Turn::bash(format!("sh tests/{key}.sh")),
            approval(&format!("tests/{key}.sh")),
        ];
        script(Api::Chat, &format!("# Test of task {task}\n"), turns)
    });
    let whole = [
        Turn::bash("sh greet.sh de > said.txt; cat said.txt"),
        approval("sh greet.sh de"),
    ];
    changes.chain([script(Api::Chat, "# Trial of issue 1", whole)])
}

#[test]
fn four_clis_do_an_issue_together_in_one_shift() {
    let linguist = linguist();
    let files = [
        ("tests/none.sh", ":\n"),
        ("turno.toml", CONFIG),
        (".turno/policies/feature-dev.toml", POLICY),
        (".turno/personas/linguist.md", linguist.as_str()),
    ];
    let clis = [Cli::Claude, Cli::Codex, Cli::Opencode, Cli::Gemini];
    let mut scripts: Vec<Script> = author().into();
    scripts.extend(engineers().chain(reviewers()).chain(testers()));
    let Some(stage) = Stage::new("four CLIs", &clis, &files, scripts) else {
        return;
    };
    let project = &stage.project;
    let add = ["issue", "add", "Greet in two languages"];
    let accept = ["--accept", "sh greet.sh de prints hallo"];
    project.turno(&[&add[..], &accept].concat()).exits(0);
    let done = stage.run(&["run", "1", "--budget", "100"]).exits(0);
    assert!(done.out.contains("all landed"), "{}", done.out);
    nothing_runs(project);

    for (_, key, writes, text) in TASKS {
        assert_eq!(project.at("turno/1/base", writes), text);
        let test = project.at("turno/1/base", &format!("tests/{key}.sh"));
        assert!(test.contains(writes), "the tester's test landed with it: {test}");
    }
    let listed = project.git(&["ls-tree", "--name-only", "turno/1/base"]);
    assert!(
        !listed.contains("said.txt"),
        "nothing of the trial landed: {listed}"
    );
    let status = project.turno(&["status", "--json"]).exits(0).json();
    let issue = &status["issues"][0];
    assert!(issue["stage"]["review"].is_object(), "{}", issue["stage"]);

    who_played(&stage);
    what_the_models_were_asked(&stage);
}

/// The journal's word on who did what.
fn who_played(stage: &Stage) {
    let played = stage.played();
    let mut agents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &played {
        agents.entry(&one.persona).or_default().insert(&one.agent);
        *times.entry(&one.persona).or_default() += 1;
    }
    let expected = [
        ("author", "claude"),
        ("engineer", "claude"),
        ("linguist", "gemini"),
        ("reviewer", "codex"),
        ("tester", "opencode"),
    ];
    let expected = expected.map(|(persona, agent)| (persona, BTreeSet::from([agent])));
    assert_eq!(agents, BTreeMap::from(expected), "{played:#?}");
    // A plan and a word at the end; a review and a test for each task, and the trial of the whole.
    assert_eq!((times["author"], times["reviewer"], times["tester"]), (2, 3, 4));
    assert_eq!(times["engineer"] + times["linguist"], 3, "{played:#?}");
    let place = |persona: &[&str], task: &str| {
        let found = played
            .iter()
            .position(|p| persona.contains(&p.persona.as_str()) && p.task == task);
        found.unwrap_or_else(|| panic!("nobody of {persona:?} had {task}: {played:#?}"))
    };
    let last = place(&["engineer", "linguist"], "1.3");
    for needed in ["1.1", "1.2"] {
        assert!(
            last > place(&["reviewer"], needed),
            "1.3 needs {needed}: {played:#?}"
        );
    }
    let ended = stage.facts("agent-ended");
    assert_eq!(ended.len(), played.len());
    assert!(
        ended.iter().all(|e| e["end"]["finished"].is_object()),
        "{ended:#?}"
    );
}

/// The model server's word: each CLI asked it, about its own work and in a conversation of its own.
fn what_the_models_were_asked(stage: &Stage) {
    let played = stage.played();
    for (api, agent) in [
        (Api::Messages, "claude"),
        (Api::Gemini, "gemini"),
        (Api::Responses, "codex"),
        (Api::Chat, "opencode"),
    ] {
        let requests = stage.requests(api, "message:");
        let sessions: BTreeSet<&str> = requests.iter().map(|r| r.session.as_str()).collect();
        let mut attempts = played.iter().filter(|p| p.agent == agent);
        let begun = attempts.clone().filter(|p| p.resumed.is_none()).count();
        assert_eq!(sessions.len(), begun, "{agent}: {sessions:#?}");
        assert!(attempts.all(|p| p.resumed.is_none() || p.persona == "author"));
    }
    let trial = stage.requests(Api::Chat, "# Trial of issue 1");
    let seen = trial.last().unwrap().body["messages"].to_string();
    assert!(seen.contains("hallo"), "the whole was really run: {seen}");
    let review = stage.requests(Api::Responses, "# Review of task 1.3");
    let seen = review.last().unwrap().body["input"].to_string();
    assert!(
        seen.contains("cat greetings/$1"),
        "the change was really read: {seen}"
    );
}
