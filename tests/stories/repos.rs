//! One workspace, several repositories: each issue is worked on, landed and promoted where it belongs.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::imprint::Imprint;
use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

/// Each check passes in its own repository only.
const CONFIG: &str = "\
slots = 2
policy = \"single\"
[checks.test]
command = \"test -e home-is-here\"
[repos.api]
path = \"../api\"
checks.test.command = \"test -e api-is-here && test -e set-up.cache\"
setup.command = \"touch set-up.cache\"
setup.copy = [\"secret.cache\"]
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// Checks are enough, and nobody waits for another try.
const POLICY: &str = "review = \"off\"\n[rows.checks-failed]\ntries = 0\nwait = \"0s\"\n";

const SCRIPT: &str = "\
sessions:
  - task: reads the copy
    steps: [{run: {command: \"cp secret.cache told.txt\", must_pass: true}}, {outcome: {summary: copies}}]
  - task: one
    steps: [{write: {path: one.txt, text: \"1\\n\"}}, {outcome: {summary: one}}]
  - task: two
    steps: [{write: {path: two.txt, text: \"2\\n\"}}, {outcome: {summary: two}}]
  - task: three
    steps: [{write: {path: three.txt, text: \"3\\n\"}}, {outcome: {summary: three}}]
  - task: clash
    steps: [{write: {path: two.txt, text: \"another\\n\"}}, {outcome: {summary: clash}}]
  - steps: [{write: {path: last.txt, text: \"x\\n\"}}, {outcome: {summary: last}}]
";

/// A project, and a second repository beside it that is lived in.
fn two() -> (Project, PathBuf) {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", POLICY),
        ("script.yaml", SCRIPT),
        ("home-is-here", ""),
    ])
    .env("TURNO_AGENT", "actor");
    let api = project.repo().with_file_name("api");
    std::fs::create_dir(&api).unwrap();
    let write = |path: &str, text: &str| std::fs::write(api.join(path), text).unwrap();
    let git = |args: &[&str]| drop(in_api(&project, args));
    git(&["init", "-q", "-b", "trunk"]);
    git(&["config", "user.name", "A Person"]);
    git(&["config", "user.email", "person@example.invalid"]);
    for (path, text) in [
        ("api-is-here", ""),
        (".gitignore", "*.cache\n"),
        ("edited.txt", "first\n"),
    ] {
        write(path, text);
    }
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "begin"]);
    write("edited.txt", "stashed\n");
    git(&["stash", "-q"]);
    write("edited.txt", "dirt\n");
    write("secret.cache", "secret\n");
    (project, api)
}

fn in_api(project: &Project, args: &[&str]) -> String {
    project.git(&[&["-C", "../api"], args].concat())
}

fn api_at(project: &Project, commit: &str, path: &str) -> String {
    in_api(project, &["show", &format!("{commit}:{path}")])
}

fn branches(project: &Project, dir: &str) -> String {
    project.git(&[
        "-C",
        dir,
        "for-each-ref",
        "--format=%(refname:short)",
        "refs/heads",
    ])
}

/// The places in the journal at which such an event is.
fn places(journal: &[Value], event: &str, what: impl Fn(&Value) -> bool) -> Vec<usize> {
    let at = |r: &Value| r["event"].get(event).is_some_and(&what);
    (0..journal.len()).filter(|i| at(&journal[*i])).collect()
}

#[test]
fn each_issue_lands_in_its_own_repository() {
    let (project, api) = two();
    let imprint = || Imprint::of(&[&project.repo(), &api], &[]);
    let before = imprint();
    project.issue("one");
    let added = project.turno(&["issue", "add", "two", "--repo", "api"]).exits(0);
    assert_eq!(added.out, "issue 2\n");
    project
        .turno(&["issue", "add", "reads the copy", "--repo", "api"])
        .exits(0);
    before.same(&imprint());
    let done = project.turno(&["run", "1", "2", "3"]).exits(0);
    before.same(&imprint());
    nothing_runs(&project);
    assert!(
        done.err.contains("your uncommitted changes in api (edited.txt)"),
        "{}",
        done.err
    );
    assert_eq!(project.at("turno/1/base", "one.txt"), "1");
    assert_eq!(api_at(&project, "turno/2/base", "two.txt"), "2");
    assert_eq!(api_at(&project, "turno/2/base", "edited.txt"), "first");
    assert_eq!(api_at(&project, "turno/3/base", "told.txt"), "secret");
    let (home, other) = (branches(&project, "."), branches(&project, "../api"));
    assert!(!home.contains("turno/2/") && !home.contains("turno/3/"), "{home}");
    assert!(!other.contains("turno/1/"), "{other}");

    let shown = project.turno(&["issue", "show", "2"]).exits(0).out;
    assert!(shown.contains("in the repository api"), "{shown}");
    let diff = project.turno(&["diff", "2"]).exits(0).out;
    assert!(diff.contains("+++ b/two.txt") && diff.contains("+2"), "{diff}");
    let diff = project.turno(&["diff", "2.1", "--stat"]).exits(0).out;
    assert!(diff.starts_with("two.txt\n"), "{diff}");
    let doctor = project.turno(&["doctor"]).out;
    assert!(doctor.contains(api.to_str().unwrap()), "{doctor}");
    before.same(&imprint());

    // A person's word moves a branch, and only that of the repository the issue is about.
    let main = project.git(&["rev-parse", "main"]);
    let done = project.turno(&["promote", "2"]).exits(1);
    assert!(
        done.err.contains("uncommitted changes (edited.txt)"),
        "{}",
        done.err
    );
    in_api(&project, &["checkout", "-q", "--", "edited.txt"]);
    let done = project.turno(&["promote", "2"]).exits(0);
    assert!(done.out.starts_with("trunk got one commit"), "{}", done.out);
    assert_eq!(std::fs::read_to_string(api.join("two.txt")).unwrap(), "2\n");
    assert_eq!(project.git(&["rev-parse", "main"]), main);

    // What is given up goes from the repository it was in, and is kept there.
    let head = in_api(&project, &["rev-parse", "turno/3/base"]);
    project.turno(&["discard", "3"]).exits(0);
    assert!(!branches(&project, "../api").contains("turno/3/"));
    let kept = in_api(
        &project,
        &["for-each-ref", "--format=%(objectname)", "refs/turno/salvage"],
    );
    assert!(kept.contains(&head), "{kept}");
}

#[test]
fn an_issue_begins_after_what_it_needs_and_on_top_of_it() {
    let (project, api) = two();
    let before = Imprint::of(&[&project.repo(), &api], &[]);
    let add = |args: &[&str]| drop(project.turno(&[&["issue", "add"], args].concat()).exits(0));
    add(&["one"]);
    add(&["two", "--repo", "api", "--needs", "1"]);
    add(&["three", "--repo", "api"]);
    add(&["last", "--repo", "api", "--needs", "2,3"]);
    let shown = project.turno(&["issue", "show", "4"]).exits(0).out;
    assert!(shown.contains("needs 2, 3"), "{shown}");
    project.turno(&["run", "1", "2", "3", "4"]).exits(0);
    before.same(&Imprint::of(&[&project.repo(), &api], &[]));
    nothing_runs(&project);

    let journal = project.journal();
    let opened = |issue: u64| places(&journal, "issue-opened", |e| e["issue"] == issue);
    let first = |command: &str, task: &str| {
        let starts = |r: &Value| {
            let mut commands = r["commands"].as_array().unwrap().iter();
            commands.any(|c| c.get(command).is_some_and(|s| s["task"] == task))
        };
        journal.iter().position(starts).unwrap()
    };
    assert_eq!(
        [1, 2, 3, 4].map(|issue| opened(issue).len()),
        [0, 1, 0, 1],
        "only what waits is opened later, and once"
    );
    assert!(
        opened(2)[0] > first("land", "1.1"),
        "after the other repository's"
    );
    assert!(opened(4)[0] > first("land", "2.1") && opened(4)[0] > first("land", "3.1"));
    // What it needs in its own repository is under it, in one piece.
    for (path, text) in [("two.txt", "2"), ("three.txt", "3"), ("last.txt", "x")] {
        assert_eq!(api_at(&project, "turno/4/base", path), text);
    }
    let subjects = in_api(&project, &["log", "--format=%s", "turno/4/base"]);
    assert!(
        subjects.contains("Begin issue 4 on all that it needs"),
        "{subjects}"
    );
    let diff = project.turno(&["diff", "4", "--stat"]).exits(0).out;
    assert!(diff.starts_with("last.txt\n"), "only its own work: {diff}");
}

#[test]
fn what_does_not_merge_is_not_begun_and_a_person_is_told() {
    let (project, _) = two();
    for words in [
        &["two", "--repo", "api"][..],
        &["clash", "--repo", "api"],
        &["last", "--repo", "api", "--needs", "1,2"],
    ] {
        project.turno(&[&["issue", "add"], words].concat()).exits(0);
    }
    project.turno(&["run", "1", "2", "3"]).exits(1);
    let journal = project.journal();
    let refused = places(&journal, "issue-not-opened", |e| {
        e["issue"] == 3 && e["why"].as_str().is_some_and(|w| w.contains("two.txt"))
    });
    assert_eq!(refused.len(), 1, "{journal:#?}");
    assert!(!branches(&project, "../api").contains("turno/3/"));
    let told = project.turno(&["log"]).exits(0).out;
    assert!(
        told.contains("issue 3 could not be begun: what it needs does not merge"),
        "{told}"
    );
}

#[test]
fn a_repository_that_another_workspace_works_on_is_refused() {
    let (project, api) = two();
    project.issue("one");
    project.turno(&["run", "1"]).exits(0);
    let second = project.repo().with_file_name("second");
    project.git(&["clone", "-q", ".", second.to_str().unwrap()]);
    let state = project.state().with_file_name("state-2");
    let project = project.env("TURNO_STATE_DIR", state.to_str().unwrap());
    project.turno_in(&["issue", "add", "x"], &second).exits(0);
    let before = Imprint::of(&[&api, &second], &[]);
    let done = project.turno_in(&["run", "1"], &second).exits(2);
    let home = project.repo();
    for part in [
        "repos.api.path",
        "works on this repository",
        home.to_str().unwrap(),
    ] {
        assert!(done.err.contains(part), "{part} is missing in {}", done.err);
    }
    before.same(&Imprint::of(&[&api, &second], &[]));
    // Nor can it be worked on by itself.
    let state = project.state().with_file_name("state-3");
    let project = project.env("TURNO_STATE_DIR", state.to_str().unwrap());
    std::fs::write(api.join("turno.toml"), CONFIG.split("[repos").next().unwrap()).unwrap();
    project.turno_in(&["issue", "add", "x"], &api).exits(0);
    let agent = "[agents.actor]\ndialect = \"script\"\nscript = \"../repo/script.yaml\"\n";
    let text = format!("[checks.test]\ncommand = \"true\"\n{agent}");
    std::fs::write(api.join("turno.toml"), text).unwrap();
    let done = project.turno_in(&["run", "1"], &api).exits(4);
    assert!(done.err.contains("works on this repository"), "{}", done.err);
}

#[test]
fn a_repository_that_is_not_configured_is_refused_before_anything_is_filed() {
    let (project, _) = two();
    let done = project.turno(&["issue", "add", "x", "--repo", "web"]).exits(2);
    assert!(done.err.contains("there is no repository `web`"), "{}", done.err);
    project.turno(&["issue", "add", "two", "--repo", "api"]).exits(0);
    // It was taken out since.
    let text = CONFIG.replace("[repos.api]", "[repos.other]");
    project.write(&[("turno.toml", &text)]);
    let done = project.turno(&["run", "1"]).exits(2);
    assert!(done.err.contains("there is no repository `api`"), "{}", done.err);
    project.write(&[("turno.toml", &CONFIG.replace("../api", "../nowhere"))]);
    let done = project.turno(&["run", "1"]).exits(2);
    assert!(
        done.err
            .contains("repos.api.path = \"../nowhere\" (from turno.toml line 6)"),
        "{}",
        done.err
    );
}
