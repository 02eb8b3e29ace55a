//! Every example is what it says: its issues land with the agents it brings.

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::Value;

use crate::harness::project::Project;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The files of an example, as path and text.
fn files(dir: &Path, below: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files(&path, below, found);
            }
        } else {
            let name = path.strip_prefix(below).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[rstest]
#[case("till")]
#[case("roman")]
fn an_example_lands_its_issues(#[case] name: &str) {
    let dir = examples().join(name);
    let mut found = Vec::new();
    files(&dir, &dir, &mut found);
    let found: Vec<(&str, &str)> = found.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let project = Project::new(&found).with_rust();
    let drafts: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(dir.join(".turno/issues.json")).unwrap()).unwrap();
    let mut ids = Vec::new();
    for draft in &drafts {
        ids.push(project.issue(draft["title"].as_str().unwrap()).to_string());
    }
    let mut words = vec!["run"];
    words.extend(ids.iter().map(String::as_str));
    project.turno(&words).exits(0);
    for id in ids {
        let ahead = project.git(&["rev-list", "--count", &format!("main..turno/{id}/base")]);
        assert!(ahead.parse::<u32>().unwrap() > 0, "nothing landed for issue {id}");
    }
}

#[test]
fn every_example_is_run() {
    let mut names: Vec<String> = std::fs::read_dir(examples())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["roman", "till"],
        "add a case to an_example_lands_its_issues"
    );
}

#[test]
fn the_demo_plans_writes_reviews_tests_and_lands_in_two_slots() {
    let project = Project::new(&[("README.md", "elsewhere\n")]);
    let there = project.home().join("till");
    let done = project
        .turno_in(&["demo", there.to_str().unwrap()], &project.home())
        .exits(0);
    assert!(done.out.contains("all landed"), "{}", done.out);
    let journal = project.turno_in(&["log", "--json"], &there).exits(0).out;
    let records: Vec<Value> = journal
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let started = |r: &Value| {
        r["commands"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|c| c["start-agent"]["slot"].as_u64())
            .collect::<Vec<_>>()
    };
    let mut slots: Vec<u64> = records.iter().flat_map(started).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots, [1, 2]);
    for persona in ["author", "engineer", "reviewer", "tester"] {
        let started = format!("\"persona\":\"{persona}\"");
        assert!(journal.contains(&started), "{persona} had a turn");
    }
    let status = project.turno_in(&["status", "--json"], &there).exits(0).json();
    let tasks = status["issues"][0]["tasks"].as_array().unwrap();
    assert_eq!(
        tasks.iter().filter(|t| t["stage"] == "landed").count(),
        4,
        "{tasks:?}"
    );
    assert!(
        journal.contains("checks-failed") && journal.contains("charged as one"),
        "a failing check and a review round"
    );
}
