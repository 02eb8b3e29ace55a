//! `turno batch`: one template over 40 items in two repositories, in groups of five, after a trial group.

use super::tells;
use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 4
[checks.test]
command = "! grep -rqs BROKEN src"
[repos.api]
path = "../api"
[repos.api.checks.test]
command = "! grep -rqs BROKEN src"
[agents.ada]
dialect = "script"
script = "batch.yaml"
[personas.engineer]
agents = ["ada"]
"#;

/// Item 13 of each repository is never right.
const SCRIPT: &str = r#"
sessions:
  - persona: engineer
    task: "Port src/m13.js"
    steps: [{run: "echo BROKEN $$ >> src/m13.js"}, {outcome: {summary: cannot be ported}}]
  - persona: engineer
    steps: [{run: "echo ported >> src/m$(printf %02d ${TURNO_TASK#*.}).js"}, {outcome: {summary: ported}}]
"#;

const POLICY: &str = "review = \"off\"\ntrial = \"TRIAL\"\n[rows.checks-failed]\ntries = 1\nwait = \"0s\"\n";

fn project(trial: &str) -> Project {
    let mut files = vec![
        ("turno.toml".to_owned(), CONFIG.to_owned()),
        ("batch.yaml".to_owned(), SCRIPT.to_owned()),
        (
            "port.md".to_owned(),
            "Port {{ item }}\n\nIt is module {{ number }}, {{ name }}, of {{ repo }}.\n".to_owned(),
        ),
        (
            ".turno/policies/batch.toml".to_owned(),
            POLICY.replace("TRIAL", trial),
        ),
    ];
    let modules: Vec<(String, String)> = (1..=20)
        .map(|n| (format!("src/m{n:02}.js"), format!("module {n}\n")))
        .collect();
    files.extend(modules.clone());
    let pairs: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    let project = Project::new(&pairs);
    let pairs: Vec<(&str, &str)> = modules.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    project.second_repo("api", &pairs);
    project
}

const BATCH: [&str; 13] = [
    "batch",
    "--template",
    "port.md",
    "--items",
    "src/*.js",
    "--group",
    "5",
    "--trial",
    "2",
    "--repo",
    "home",
    "--repo",
    "api",
];

#[test]
fn forty_items_in_two_repositories_are_all_accounted_for() {
    let project = project("all-landed");
    let dry = project.turno(&[&BATCH[..], &["--dry-run"]].concat()).exits(0).out;
    assert_eq!(dry.matches("Port src/m").count(), 40, "{dry}");
    let done = project.turno(&BATCH).exits(1);
    nothing_runs(&project);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    let mut landed = 0;
    let mut parked = 0;
    for issue in status["issues"].as_array().unwrap() {
        for task in issue["tasks"].as_array().unwrap() {
            match task["stage"].as_str().unwrap() {
                "landed" => landed += 1,
                "parked" => parked += 1,
                other => panic!("{task} is {other}"),
            }
        }
    }
    assert_eq!((landed, parked), (38, 2), "{}", done.out);
    assert_eq!(project.at("turno/1/base", "src/m20.js"), "module 20\nported");
    assert_eq!(
        project.at_in("api", "turno/2/base", "src/m20.js"),
        "module 20\nported"
    );
    waves_are_kept(&project);
}

/// No item of a group begins before those of the groups before it are over or parked.
fn waves_are_kept(project: &Project) {
    let mut busy: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for record in project.journal() {
        for change in record["changes"].as_array().unwrap() {
            let Some(task) = change.get("task") else { continue };
            let id = task["id"].as_str().unwrap().to_owned();
            let over = ["landed", "parked", "dropped"]
                .iter()
                .any(|s| task["stage"].get(s).is_some());
            let waits = task["stage"] == "blocked";
            if over || waits {
                busy.remove(&id);
            } else {
                busy.insert(id, task["spec"]["wave"].as_u64().unwrap());
            }
        }
        for issue in ["1.", "2."] {
            let waves: std::collections::BTreeSet<u64> = busy
                .iter()
                .filter(|(id, _)| id.starts_with(issue))
                .map(|(_, wave)| *wave)
                .collect();
            assert!(waves.len() <= 1, "{waves:?} at {}", record["seq"]);
        }
    }
}

#[test]
fn a_person_judges_the_trial_group() {
    let project = project("person");
    let shift = project.start(&BATCH);
    let begun = std::time::Instant::now();
    let open = |many: usize| loop {
        let status = project.turno(&["status", "--json"]).exits(0).json();
        let open = status["decisions"].as_array().unwrap().len();
        if open == many {
            return status;
        }
        assert!(begun.elapsed().as_secs() < 60, "{status}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    let status = open(2);
    tells(
        &status["decisions"][0]["question"]["question"].to_string(),
        &["2 of 2 item(s) of the trial group have landed"],
    );
    project.turno(&["answer", "d1", "stop"]).exits(0);
    project.turno(&["answer", "d2", "go on"]).exits(0);
    project.wait(shift).exits(1);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    let count = |issue: usize, stage: &str| {
        let tasks = status["issues"][issue]["tasks"].as_array().unwrap();
        tasks.iter().filter(|t| t["stage"] == stage).count()
    };
    let first = usize::from(count(0, "dropped") == 0);
    assert_eq!((count(first, "landed"), count(first, "dropped")), (2, 18));
    assert_eq!((count(1 - first, "landed"), count(1 - first, "parked")), (19, 1));
}

const LABELLED: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - {task: "*First", steps: [{write: {path: first.txt, text: "done\n"}}, {outcome: {summary: it is done}}]}
  - {task: "*Second", steps: [{write: {path: second.txt, text: "done\n"}}, {outcome: {summary: it is done}}]}
"#;

#[test]
fn labelled_issues_become_items_and_are_closed_unless_others_need_them() {
    let config =
        "[checks.test]\ncommand = \"true\"\n[agents.actor]\ndialect = \"script\"\nscript = \"script.yaml\"\n";
    let template = "Rename: {{ name }}\n\n{{ item }}\n";
    let project = Project::new(&[
        ("turno.toml", config),
        ("script.yaml", LABELLED),
        ("template.md", template),
    ])
    .env("TURNO_AGENT", "actor");
    for title in ["First", "Second"] {
        project
            .turno(&["issue", "add", title, "--label", "rename"])
            .exits(0);
    }
    project.turno(&["issue", "add", "Third", "--needs", "2"]).exits(0);
    let done = project
        .turno(&["batch", "--template", "template.md", "--issues", "rename"])
        .exits(0);
    assert!(
        done.err.contains("stays open, because issue 3 needs it"),
        "{}",
        done.err
    );
    let shown = |id: &str| project.turno(&["issue", "show", id]).exits(0).out;
    assert!(
        shown("1").contains("it became an item of issue 4"),
        "{}",
        shown("1")
    );
    assert!(shown("2").contains("backlog"), "{}", shown("2"));
    let (first, second) = (
        project.at("turno/4/base", "first.txt"),
        project.at("turno/4/base", "second.txt"),
    );
    assert_eq!((first.as_str(), second.as_str()), ("done", "done"));
}
