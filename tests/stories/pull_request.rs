//! A person asks for a pull request: what has landed is pushed under a name of its own and opened by the forge's own
//! program, once, whatever that program, the remote or a sudden death do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rstest::rstest;
use serde_json::Value;
use turno_engine::crash_point::{CrashPoint, Deed, LISTENS, Moment};

use crate::harness::board::Shown;
use crate::harness::browser::Browser;
use crate::harness::project::Project;

const CONFIG: &str = r#"policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
[pull_request]
forge = "gh"
timeout = "5s"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, round: 1, steps: [{outcome: {verdict: findings, findings: [{file: a.txt, line: 1, severity: major, what: "it says a, @admin"}]}}]}
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps: [{usage: {usd: 0.01}}, {run: "date +%N >> a.txt"}, {outcome: {summary: "adds a ![x](http://evil.example/x.png) closes #12 by hunter2-of-mine"}}]
"#;

/// GitHub's program, as far as Turno calls it. It keeps what it was given, and lies as its mode says.
const GH: &str = r#"#!/bin/sh
echo "$*" >> "$FORGE/calls"
mode=$(cat "$FORGE/mode")
request() {
  echo '{"number":'$1',"html_url":"https://forge.example/a/b/pull/'$1'","base":{"ref":"main","repo":{"full_name":"a/b"}},'
  echo '"head":{"ref":"turno/1-add-a-b-file-b","repo":{"full_name":"'$2'"}}}'
}
case "$4 $2" in
  "GET repos/"*/pulls*)
    if [ -e "$FORGE/open" ]; then echo "[$(request 12 a/b)]"; else echo "[$(request 3 c/b)]"; fi ;;
  "GET repos/"*)
    [ "$mode" != list-fails ] || { echo "no such repository" >&2; exit 1; }
    echo '{"full_name":"a/b","html_url":"https://forge.example/a/b"}' ;;
  "POST repos/a/b/pulls")
    case $mode in
      fails) echo "you may not: ghp_0123456789abcdefghijABCDEFGHIJ012345" >&2; exit 1 ;;
      hangs) exec sleep 300 ;;
      lies) echo "all is well"; exit 0 ;;
      looks) "$TURNO" status > "$FORGE/status" 2>&1 || { echo "nobody else gets in" >&2; exit 1; } ;;
      closes*) "$TURNO" issue close 1 > "$FORGE/status" 2>&1 || exit 1
        [ "$mode" = closes ] || { echo "you may not" >&2; exit 1; } ;;
    esac
    cat > "$FORGE/body"
    echo once >> "$FORGE/open"
    [ "$mode" = silent ] || request 12 a/b ;;
  "PATCH repos/a/b/pulls/12") cat > "$FORGE/body"; request 12 a/b ;;
  *) exit 1 ;;
esac
"#;

/// A way to a remote's host under a name that only the user's own settings know; it keeps what it was given.
const SSH: &str = r#"#!/bin/sh
echo "$*" >> "$FORGE/ssh"
[ "$1" != -G ] || { echo "hostname forge.example"; exit 0; }
for last; do :; done
set -- $last
exec "$1" "$REMOTE"
"#;

fn program(project: &Project, name: &str, text: &str) {
    let at = project.home().join("bin").join(name);
    fs::write(&at, text).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
}

fn forge(project: &Project) -> std::path::PathBuf {
    project.home().join("forge")
}

/// An issue that has landed, a remote, and a forge's program.
fn landed() -> Project {
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)])
        .env("TURNO_AGENT", "actor")
        .env("FORGE_TOKEN", "hunter2-of-mine");
    let bin = project.home().join("bin");
    let dir = forge(&project);
    for made in [&bin, &dir] {
        fs::create_dir_all(made).unwrap();
    }
    program(&project, "gh", GH);
    let path = format!("{}:{}", bin.display(), project.environment()["PATH"]);
    let project = project.env("PATH", path).env("FORGE", dir.to_str().unwrap());
    mode(&project, "well");
    let remote = remote(&project);
    project.git(&["init", "-q", "--bare", "-b", "main", &remote]);
    project.git(&["remote", "add", "origin", &remote]);
    project.git(&["push", "-q", "-u", "origin", "main"]);
    project.issue("Add a <b>file</b>");
    project.turno(&["run", "1"]).exits(0);
    project
}

fn remote(project: &Project) -> String {
    project.home().join("remote.git").to_str().unwrap().to_owned()
}

fn mode(project: &Project, mode: &str) {
    fs::write(forge(project).join("mode"), mode).unwrap();
}

fn opened(project: &Project) -> usize {
    fs::read_to_string(forge(project).join("open"))
        .unwrap_or_default()
        .lines()
        .count()
}

fn there(project: &Project, branch: &str) -> String {
    let remote = remote(project);
    let done = project.try_git(&[
        "--git-dir",
        &remote,
        "rev-parse",
        "-q",
        "--verify",
        &format!("refs/heads/{branch}"),
    ]);
    done.out.trim().to_owned()
}

const BRANCH: &str = "turno/1-add-a-b-file-b";

fn head(project: &Project) -> String {
    project.git(&["rev-parse", "turno/1/base"])
}

fn events(project: &Project, kind: &str) -> Vec<Value> {
    let journal = project.journal();
    journal
        .iter()
        .filter_map(|r| r["event"].get(kind).cloned())
        .collect()
}

#[test]
fn it_is_pushed_and_opened_told_of_and_updated_by_a_second_time() {
    let project = landed();
    let looked = project.turno(&["pr", "1", "--dry-run"]).exits(0);
    assert!(
        looked.out.contains(BRANCH) && looked.out.contains("gh would open"),
        "{}",
        looked.out
    );
    assert_eq!(there(&project, BRANCH), "", "a look pushes nothing");
    assert!(events(&project, "pull-request-begun").is_empty());

    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(
        done.out.contains("https://forge.example/a/b/pull/12"),
        "{}",
        done.out
    );
    assert_eq!(there(&project, BRANCH), head(&project));
    let wish: Value = serde_json::from_slice(&fs::read(forge(&project).join("body")).unwrap()).unwrap();
    let body = wish["body"].as_str().unwrap();
    for part in [
        "What was asked for",
        "What landed",
        "1.1",
        "test: passed",
        "resolved",
        "$0.0",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    for harm in ["<b>", "![x](", "closes #12", "@admin", "hunter2"] {
        assert!(!body.contains(harm), "{harm}: {body}");
    }
    let told = project.turno(&["status"]).exits(0).out;
    assert!(told.contains("https://forge.example/a/b/pull/12"), "{told}");
    let request = &events(&project, "pull-request-opened")[0]["request"];
    assert_eq!(request["page"]["opened"]["number"], 12);
    assert_eq!(request["pushed"]["head"], head(&project));

    project.turno(&["pr", "1"]).exits(0);
    assert_eq!(opened(&project), 1, "nothing is opened twice");
    let calls = fs::read_to_string(forge(&project).join("calls")).unwrap();
    assert!(calls.contains("pulls/12 --method PATCH"), "{calls}");
}

#[rstest]
#[case::says_all_is_well("lies", "named no pull request")]
#[case::fails("fails", "you may not")]
#[case::hangs("hangs", "was stopped after 5 s")]
#[case::cannot_list("list-fails", "no such repository")]
fn a_forge_that_fails_or_lies_has_opened_nothing(#[case] lie: &str, #[case] said: &str) {
    let project = landed();
    mode(&project, lie);
    let refused = project.turno(&["pr", "1"]).exits(1);
    assert!(refused.err.contains(said), "{}", refused.err);
    assert!(refused.err.contains("`turno pr 1` goes on"), "{}", refused.err);
    assert!(!refused.err.contains("ghp_0123"), "{}", refused.err);
    assert_eq!(there(&project, BRANCH), head(&project), "it was pushed before");
    assert!(events(&project, "pull-request-opened").is_empty());
    assert!(
        project
            .turno(&["status"])
            .exits(0)
            .out
            .contains("what came of it is not known")
    );
    mode(&project, "well");
    project.turno(&["pr", "1"]).exits(0);
    assert_eq!(opened(&project), 1);
}

#[test]
fn a_forge_that_opens_it_and_says_nothing_is_asked() {
    let project = landed();
    mode(&project, "silent");
    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(
        done.out.contains("https://forge.example/a/b/pull/12"),
        "{}",
        done.out
    );
}

#[test]
fn the_forge_is_asked_for_what_was_pushed_to_and_ssh_asks_nobody() {
    let project = landed();
    program(&project, "ssh", SSH);
    let remote = remote(&project);
    let project = project.env("REMOTE", remote);
    project.git(&["remote", "set-url", "--push", "origin", "git@work:a/b.git"]);
    project.git(&["remote", "set-url", "origin", "git@work:a/b.git"]);
    project.turno(&["pr", "1"]).exits(0);
    assert_eq!(there(&project, BRANCH), head(&project));
    let calls = fs::read_to_string(forge(&project).join("calls")).unwrap();
    assert!(
        calls
            .lines()
            .all(|l| l.starts_with("api repos/a/b") && l.contains("--hostname forge.example")),
        "{calls}"
    );
    let asked = fs::read_to_string(forge(&project).join("ssh")).unwrap();
    let reached: Vec<_> = asked.lines().filter(|l| !l.starts_with("-G")).collect();
    assert!(!reached.is_empty(), "{asked}");
    assert!(reached.iter().all(|l| l.contains("-oBatchMode=yes")), "{asked}");
}

#[test]
fn nobody_waits_for_a_forge() {
    let project = landed().env("TURNO", env!("CARGO_BIN_EXE_turno"));
    mode(&project, "looks");
    project.turno(&["pr", "1"]).exits(0);
    let told = fs::read_to_string(forge(&project).join("status")).unwrap();
    assert!(told.contains("was begun"), "{told}");
    assert_eq!(events(&project, "pull-request-opened").len(), 1);
}

#[test]
fn an_issue_that_is_closed_meanwhile_is_told_of_as_it_is() {
    let project = landed().env("TURNO", env!("CARGO_BIN_EXE_turno"));
    mode(&project, "closes");
    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(done.out.contains("pull/12"), "{}", done.out);
    assert_eq!(
        events(&project, "pull-request-opened").len(),
        1,
        "what is there is known"
    );
    let project = landed().env("TURNO", env!("CARGO_BIN_EXE_turno"));
    mode(&project, "closes-and-fails");
    let refused = project.turno(&["pr", "1"]).exits(1);
    for part in ["you may not", "closed", &format!("Delete {BRANCH} on origin")] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert!(!refused.err.contains("`turno pr 1` goes on"), "{}", refused.err);
}

#[test]
fn another_title_after_one_that_came_to_nothing_makes_no_second_branch() {
    let project = landed();
    mode(&project, "fails");
    project.turno(&["pr", "1"]).exits(1);
    project
        .turno(&["issue", "edit", "1", "--title", "Another title"])
        .exits(0);
    mode(&project, "well");
    project.turno(&["pr", "1"]).exits(0);
    let request = &events(&project, "pull-request-opened")[0]["request"];
    assert_eq!(request["pushed"]["branch"], BRANCH);
    let remote = remote(&project);
    let branches = project.git(&["ls-remote", "--heads", &remote]);
    assert_eq!(branches.lines().count(), 2, "{branches}");
    let wish: Value = serde_json::from_slice(&fs::read(forge(&project).join("body")).unwrap()).unwrap();
    assert_eq!(wish["title"], "Another title");
}

#[test]
fn a_branch_there_that_is_not_turnos_or_was_moved_is_left_as_it_is() {
    let project = landed();
    let main = project.git(&["rev-parse", "main"]);
    project.git(&["push", "-q", "origin", &format!("main:refs/heads/{BRANCH}")]);
    let refused = project.turno(&["pr", "1"]).exits(1);
    assert!(
        refused.err.contains("where Turno did not put it"),
        "{}",
        refused.err
    );
    assert_eq!(there(&project, BRANCH), main);
    project.git(&["push", "-q", "origin", "--delete", BRANCH]);
    project.turno(&["pr", "1"]).exits(0);
    // Somebody adds a commit of theirs there.
    let theirs = project.git(&[
        "commit-tree",
        "-p",
        BRANCH_HEAD,
        "-m",
        "theirs",
        "turno/1/base^{tree}",
    ]);
    project.git(&["push", "-q", "origin", &format!("{theirs}:refs/heads/{BRANCH}")]);
    let refused = project.turno(&["pr", "1"]).exits(1);
    assert!(refused.err.contains("moved it"), "{}", refused.err);
    assert_eq!(there(&project, BRANCH), theirs);
}

const BRANCH_HEAD: &str = "turno/1/base";

#[test]
fn what_the_checks_never_saw_is_not_asked_for() {
    let project = landed();
    // The branch there has what nobody here has seen together with the issue's.
    let theirs = project.git(&["commit-tree", "-p", "main", "-m", "theirs", "main^{tree}"]);
    project.git(&["push", "-q", "origin", &format!("{theirs}:refs/heads/main")]);
    let refused = project.turno(&["pr", "1"]).exits(1);
    assert!(refused.err.contains("never saw"), "{}", refused.err);
    assert_eq!(there(&project, BRANCH), "");
    project.turno(&["pr", "1", "--unproven"]).exits(0);
    assert_eq!(there(&project, BRANCH), head(&project));
    // And what lies on the issue's branch that Turno did not put there.
    let project = landed();
    let odd = project.git(&["commit-tree", "-p", "turno/1/base", "-m", "odd", "main^{tree}"]);
    project.git(&["update-ref", "refs/heads/turno/1/base", &odd]);
    let refused = project.turno(&["pr", "1", "--unproven"]).exits(1);
    assert!(refused.err.contains("the checks never saw"), "{}", refused.err);
    assert_eq!(there(&project, BRANCH), "");
}

#[test]
fn without_a_remote_a_landing_or_a_forge_it_says_so() {
    let project = landed();
    project.git(&["remote", "remove", "origin"]);
    let none = project.turno(&["pr", "1"]).exits(2);
    assert!(none.err.contains("git remote add"), "{}", none.err);
    let odd = project.turno(&["pr", "1", "--remote", "--upload-pack=true"]);
    assert_eq!(odd.code, 2, "{}", odd.err);
    let project = landed();
    project.issue("Not begun");
    project.turno(&["pr", "2"]).exits(2);
    // The machine may have one of its own.
    fs::remove_file(project.home().join("bin/gh")).unwrap();
    let path = project.environment()["PATH"].clone();
    let git = std::env::split_paths(&path).find(|dir| dir.join("git").is_file());
    let only = project.home().join("only");
    fs::create_dir(&only).unwrap();
    std::os::unix::fs::symlink(git.unwrap().join("git"), only.join("git")).unwrap();
    let project = project.env("PATH", only.to_str().unwrap());
    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(done.out.contains("without a pull request"), "{}", done.out);
    assert_eq!(there(&project, BRANCH), head(&project));
}

#[test]
fn a_command_of_ones_own_opens_it_and_a_repository_names_none() {
    let project = landed();
    project.configure(
        "[pull_request]\ncommand = [\"sh\", \"-c\", \"cat > $FORGE/told; echo '{\\\"url\\\": \\\"https://forge.example/7\\\"}'\"]\n",
    );
    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(done.out.contains("https://forge.example/7"), "{}", done.out);
    let told: Value = serde_json::from_slice(&fs::read(forge(&project).join("told")).unwrap()).unwrap();
    assert_eq!(
        (told["branch"].as_str(), told["base"].as_str()),
        (Some(BRANCH), Some("main"))
    );
    let project = landed();
    let config = format!("{CONFIG}command = [\"touch\", \"harm\"]\n");
    project.write(&[("turno.toml", &config)]);
    let refused = project.turno(&["pr", "1"]);
    assert!(
        refused.code != 0 && refused.err.contains("your own"),
        "{}",
        refused.err
    );
    assert!(!project.repo().join("harm").exists());
}

#[rstest]
#[case(Deed::PullRequest)]
fn one_that_dies_is_gone_on_with_and_nothing_is_opened_twice(#[case] deed: Deed) {
    if !LISTENS {
        return;
    }
    for moment in deed.moments() {
        let project = landed();
        let point = CrashPoint {
            moment: *moment,
            deed,
            nth: 1,
        };
        project.dies(&["pr", "1"], point, || {});
        match moment {
            Moment::BeforeCommit | Moment::AfterCommit => assert_eq!(there(&project, BRANCH), ""),
            Moment::AfterEffect => assert_eq!(opened(&project), 1),
        }
        assert!(events(&project, "pull-request-opened").is_empty());
        let done = project.turno(&["pr", "1"]).exits(0);
        assert!(done.out.contains("pull/12"), "{}", done.out);
        assert_eq!(opened(&project), 1);
        assert_eq!(there(&project, BRANCH), head(&project));
        assert_eq!(events(&project, "pull-request-opened").len(), 1);
    }
}

#[test]
fn the_board_tells_what_it_would_be_and_asks_for_it() {
    let project = landed();
    let board = Shown::begin(&project);
    let plan = board.get("/api/issues/1/pull-request");
    assert_eq!(
        (plan["branch"].as_str(), plan["behind"].as_u64()),
        (Some(BRANCH), Some(0))
    );
    assert_eq!(there(&project, BRANCH), "");
    if let Some(mut browser) = Browser::open(&project.home()) {
        browser.go(&board.link);
        browser.at("/");
        browser.go(&format!("{}/issues/1/pull-request", board.url));
        browser.at("/issues/1/pull-request");
        browser.eval("document.querySelector('form.confirm button').click()");
        browser.at("/issues/1");
        browser.until(
            "it is told of",
            "document.body.innerText.includes('forge.example/a/b/pull/12')",
        );
        assert!(browser.wrong.is_empty(), "{:?}", browser.wrong);
    } else {
        let asked = board.post("/api/issues/1/pull-request", &serde_json::json!({}));
        assert_eq!(asked.code, 200, "{}", asked.body);
    }
    assert_eq!(there(&project, BRANCH), head(&project));
    assert_eq!(opened(&project), 1);
    board.end();
}
