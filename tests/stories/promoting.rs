//! A person's word moves a branch of theirs: in three manners, there and back, or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rstest::rstest;
use serde_json::Value;

use crate::harness::imprint::Imprint;
use crate::harness::processes::{nothing_runs, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"slots = 2
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - {task: hangs, steps: [{write: {path: here, text: x}}, {hang: {}}]}
  - steps: [{usage: {usd: 0.01}}, {write: {path: a.txt, text: "a\n"}}, {outcome: {summary: adds a}}]
"#;

/// An issue that has landed, and all that a person may have lying about.
fn landed() -> Project {
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT), ("f", "hi\n")])
        .env("TURNO_AGENT", "actor");
    project.issue("Add a");
    project.turno(&["run", "1"]).exits(0);
    project
}

fn user_commits(project: &Project, path: &str, text: &str) {
    project.write(&[(path, text)]);
    project.git(&["add", path]);
    project.git(&["commit", "-q", "-m", "mine"]);
}

fn tree(project: &Project, rev: &str) -> String {
    project.git(&["rev-parse", &format!("{rev}^{{tree}}")])
}

fn imprint(project: &Project) -> Imprint {
    Imprint::of(&[&project.repo()], &[])
}

/// The records of one kind.
fn events(project: &Project, kind: &str) -> Vec<Value> {
    let journal = project.journal();
    journal
        .iter()
        .filter_map(|r| r["event"].get(kind).cloned())
        .collect()
}

#[rstest]
#[case::squash("--squash", 1, "got one commit")]
#[case::merge("--merge", 2, "got a merge commit")]
#[case::rebase("--rebase", 1, "commit by commit")]
fn there_and_back_and_there_again(#[case] manner: &str, #[case] parents: usize, #[case] said: &str) {
    let project = landed();
    project.write(&[("f", "stashed\n")]);
    project.git(&["stash", "-q"]);
    let hook = project.repo().join(".git/hooks/reference-transaction");
    let trace = project.home().join("ran");
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", trace.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let (stash, begun) = (project.git(&["stash", "list"]), tree(&project, "main"));

    // Looking changes nothing, not even what the journal says.
    let (before, records) = (imprint(&project), project.journal().len());
    let looked = project.turno(&["promote", "1", manner, "--dry-run"]).exits(0);
    assert!(looked.out.contains("main would get"), "{}", looked.out);
    before.same(&imprint(&project));
    assert_eq!(project.journal().len(), records);

    let done = project.turno(&["promote", "1", manner]).exits(0);
    assert!(done.out.contains(said), "{}", done.out);
    assert_eq!(tree(&project, "main"), tree(&project, "turno/1/base"));
    let found = project.git(&["log", "-1", "--format=%P", "main"]);
    assert_eq!(found.split(' ').count(), parents);
    let message = project.git(&["log", "-1", "--format=%B", "main"]);
    for part in ["Turno-Issue: 1", "Turno-Cost: $0.01"] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    if manner != "--rebase" {
        assert!(message.starts_with("Add a\n\n- Add a: adds a\n"), "{message}");
        assert!(message.contains("Co-authored-by: engineer (Turno)"), "{message}");
    }
    let shown = project.turno(&["diff", "1", "--stat"]).exits(0).out;
    assert!(shown.starts_with("a.txt\n"), "{shown}");

    let before = imprint(&project);
    let looked = project.turno(&["revert", "1", "--dry-run"]).exits(0);
    assert!(looked.out.contains("a.txt"), "{}", looked.out);
    before.same(&imprint(&project));
    let done = project.turno(&["revert", "1"]).exits(0);
    assert!(done.err.contains("in review again"), "{}", done.err);
    assert_eq!(tree(&project, "main"), begun);
    assert!(!project.repo().join("a.txt").exists());
    assert_eq!(events(&project, "reverted")[0]["from"], "main");
    let again = project.turno(&["revert", "1"]).exits(2);
    assert!(again.err.contains("is not promoted"), "{}", again.err);

    project.turno(&["promote", "1", manner, "--unproven"]).exits(0);
    assert_eq!(tree(&project, "main"), tree(&project, "turno/1/base"));
    assert_eq!(project.git(&["stash", "list"]), stash);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert!(!trace.exists(), "a hook ran");
}

#[test]
fn what_the_branch_had_already_is_shown_whole() {
    let project = landed();
    project.git(&["merge", "-q", "turno/1/base"]);
    user_commits(&project, "own.txt", "own\n");
    let done = project.turno(&["promote", "1"]).exits(0);
    assert!(done.out.contains("had it all already"), "{}", done.out);
    let shown = project.turno(&["diff", "1", "--stat"]).exits(0).out;
    assert!(shown.starts_with("a.txt\n1 file"), "{shown}");
}

#[test]
fn the_manner_of_the_configuration_is_taken_where_none_is_typed() {
    let project = landed();
    user_commits(&project, "turno.toml", &format!("promote = \"merge\"\n{CONFIG}"));
    let done = project.turno(&["promote", "1", "--unproven"]).exits(0);
    assert!(done.out.contains("merge commit"), "{}", done.out);
    let put = &events(&project, "promoted")[0]["put"]["commits"];
    assert_eq!(put["manner"], "merge");
    assert_eq!(put["assurance"]["unproven"]["behind"], 1);
}

#[test]
fn a_branch_that_moved_is_not_promoted_onto_unless_a_person_says_so() {
    let project = landed();
    user_commits(&project, "mine.txt", "mine\n");
    let before = imprint(&project);
    let looked = project.turno(&["promote", "1", "--dry-run"]).exits(0);
    assert!(looked.err.contains("main has 1 commit(s)"), "{}", looked.err);
    let refused = project.turno(&["promote", "1"]).exits(1);
    assert!(refused.err.contains("the checks never saw"), "{}", refused.err);
    assert!(refused.err.contains("--unproven"), "{}", refused.err);
    before.same(&imprint(&project));
    assert!(events(&project, "promoted").is_empty());
    project.turno(&["promote", "1", "--unproven"]).exits(0);
    assert_eq!(project.at("main", "a.txt"), "a");
    assert_eq!(project.at("main", "mine.txt"), "mine");
    let put = &events(&project, "promoted")[0]["put"]["commits"];
    assert_eq!(put["assurance"]["unproven"]["behind"], 1);
    let log = project.turno(&["log"]).exits(0).out;
    assert!(log.contains("unproven: 1 commit(s) behind"), "{log}");
}

#[rstest]
#[case::edited("f", "edited\n", "uncommitted changes (f)")]
#[case::in_the_way("a.txt", "mine\n", "in the way: a.txt")]
#[case::ignored("a.txt", "mine\n", "in the way: a.txt")]
fn what_is_in_the_way_refuses(#[case] path: &str, #[case] text: &str, #[case] said: &str) {
    let project = landed();
    if said.contains("in the way") {
        let exclude = project.repo().join(".git/info/exclude");
        fs::create_dir_all(exclude.parent().unwrap()).unwrap();
        fs::write(exclude, "a.txt\n").unwrap();
    }
    project.write(&[(path, text)]);
    let before = imprint(&project);
    for words in [&["promote", "1"][..], &["promote", "1", "--dry-run"]] {
        let refused = project.turno(words).exits(1);
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    before.same(&imprint(&project));
    assert!(events(&project, "promoted").is_empty());
}

#[test]
fn a_conflict_names_its_files_there_and_back() {
    let project = landed();
    let begun = project.git(&["rev-parse", "main"]);
    user_commits(&project, "a.txt", "mine\n");
    let before = imprint(&project);
    let refused = project.turno(&["promote", "1", "--unproven"]).exits(1);
    assert!(
        refused.err.contains("does not merge into `main`: a.txt"),
        "{}",
        refused.err
    );
    before.same(&imprint(&project));

    project.git(&["reset", "-q", "--hard", &begun]);
    project.turno(&["promote", "1"]).exits(0);
    user_commits(&project, "a.txt", "mine\n");
    let before = imprint(&project);
    let refused = project.turno(&["revert", "1"]).exits(1);
    assert!(
        refused.err.contains("changed the same lines: a.txt"),
        "{}",
        refused.err
    );
    before.same(&imprint(&project));
    assert!(events(&project, "reverted").is_empty());
}

/// The last thing that git is asked before a branch moves is found by this program, which lets somebody be faster.
#[test]
fn somebody_who_was_faster_wins() {
    let project = landed();
    project.git(&["branch", "release"]);
    user_commits(&project, "mine.txt", "mine\n");
    let mine = project.git(&["rev-parse", "main"]);
    let bin = project.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' update-ref '*release*) \
         env -u GIT_DIR PATH='{path}' git -C '{}' branch -f release main;; esac\nPATH='{path}' exec git \"$@\"\n",
        project.repo().display()
    );
    fs::write(bin.join("git"), script).unwrap();
    fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let project = project.env("PATH", format!("{}:{path}", bin.display()));
    let lost = project.turno(&["promote", "1", "--onto", "release"]).exits(1);
    assert!(lost.err.contains("`release` moved meanwhile"), "{}", lost.err);
    assert_eq!(project.git(&["rev-parse", "release"]), mine);
    assert!(events(&project, "promoted").is_empty());
}

#[test]
fn an_issue_that_is_given_up_leaves_no_trace_on_another() {
    let alone = landed();
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT), ("f", "hi\n")])
        .env("TURNO_AGENT", "actor");
    project.issue("Add a");
    project.issue("hangs");
    let child = project.start(&["run", "1", "2"]);
    let of_first = |project: &Project| {
        let status = project.turno(&["status", "--json"]).exits(0).json();
        status["issues"][0].clone()
    };
    until("the other one is at work and this one has landed", || {
        let at_work = ["1", "2"].iter().any(|slot| {
            let place = project.state().join("slots").join(slot);
            place.join("here").exists()
        });
        at_work && of_first(&project)["tasks"][0]["stage"] == "landed"
    });
    project.turno(&["discard", "2"]).exits(0);
    project.wait(child).exits(0);
    nothing_runs(&project);
    let (with, without) = (of_first(&project), of_first(&alone));
    for (name, issue) in [("with", &with), ("without", &without)] {
        assert!(issue["stage"]["review"].is_object(), "{name}: {issue}");
    }
    assert_eq!(
        with["tasks"].as_array().unwrap().len(),
        without["tasks"].as_array().unwrap().len()
    );
    let cost = |issue: &Value| issue["tasks"][0]["cost"].clone();
    assert_eq!(cost(&with), cost(&without));
    assert_eq!(tree(&project, "turno/1/base"), tree(&alone, "turno/1/base"));
    let refs = |project: &Project, below: &str| project.git(&["for-each-ref", "--format=%(refname)", below]);
    assert_eq!(
        refs(&project, "refs/heads/turno/1").lines().count(),
        refs(&alone, "refs/heads/turno/1").lines().count()
    );
    // What it had written is kept.
    let all = refs(&project, "refs");
    let kept = all.lines().any(|name| {
        let listing = project.git(&["ls-tree", "--name-only", name]);
        listing.lines().any(|file| file == "here")
    });
    assert!(kept, "{all}");
    project.turno(&["promote", "1"]).exits(0);
    assert_eq!(tree(&project, "main"), tree(&alone, "turno/1/base"));
}
