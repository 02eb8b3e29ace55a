//! `turno pr` with the real programs of GitHub and GitLab and with a real push over HTTP, against a forge on loopback.
//! Whoever has not got the programs is told that the stories are skipped.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rstest::rstest;

use crate::harness::forge_server::{ForgeServer, From, GITHUB, GITLAB, Login, Request, TOKEN};
use crate::harness::project::Project;

const CONFIG: &str = r#"policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
[pull_request]
timeout = "20s"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps: [{usage: {usd: 0.01}}, {run: "date +%N >> a.txt"}, {outcome: {summary: "adds a file"}}]
"#;

const BRANCH: &str = "turno/1-add-a-file";

/// Whose program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forge {
    GitHub,
    GitLab,
}

impl Forge {
    fn program(self) -> &'static str {
        match self {
            Self::GitHub => "gh",
            Self::GitLab => "glab",
        }
    }

    fn host(self) -> &'static str {
        match self {
            Self::GitHub => GITHUB,
            Self::GitLab => GITLAB,
        }
    }

    fn page(self, number: u64) -> String {
        match self {
            Self::GitHub => format!("http://{GITHUB}/a/b/pull/{number}"),
            Self::GitLab => format!("http://{GITLAB}/a/b/-/merge_requests/{number}"),
        }
    }

    fn remote(self) -> String {
        format!("http://{}/a/b.git", self.host())
    }
}

/// Whether the program knows the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !here {
        println!("skipped: no {program} is installed");
    }
    here
}

/// An issue that has landed in a clone of a repository on a forge; nothing, if its program is not here.
fn landed(forge: Forge, known: Known) -> Option<(Project, ForgeServer)> {
    if !is_here(forge.program()) {
        return None;
    }
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor");
    project.issue("Add a file");
    project.turno(&["run", "1"]).exits(0);
    let server = ForgeServer::start(&project.home().join("forge"));
    let proxy = server.proxy();
    let mut project = project.env("http_proxy", &proxy).env("HTTP_PROXY", &proxy);
    match (forge, known) {
        (Forge::GitHub, Known::Yes) => project = project.env("GH_TOKEN", TOKEN),
        (Forge::GitLab, Known::Yes) => {
            let dir = project.home().join(".config/glab-cli");
            fs::create_dir_all(&dir).unwrap();
            let file = dir.join("config.yml");
            let host = format!("hosts:\n    {GITLAB}:\n        token: {TOKEN}\n        api_protocol: http\n");
            fs::write(&file, host).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        (Forge::GitHub | Forge::GitLab, Known::No) => {}
    }
    project.git(&["remote", "add", "origin", &forge.remote()]);
    project.git(&["push", "-q", "-u", "origin", "main"]);
    Some((project, server))
}

fn there(server: &ForgeServer, branch: &str) -> String {
    let at = server.bare().join("refs/heads").join(branch);
    fs::read_to_string(at).unwrap_or_default().trim().to_owned()
}

fn head(project: &Project) -> String {
    project.git(&["rev-parse", "turno/1/base"])
}

fn sent(server: &ForgeServer, method: &str) -> usize {
    let asked = server.asked();
    let begins = format!("{method} ");
    let api = asked.iter().filter(|a| !a.ends_with("/graphql"));
    api.filter(|a| a.starts_with(&begins)).count()
}

fn ours(server: &ForgeServer) -> Vec<Request> {
    let mut all = server.requests();
    all.retain(|r| r.from == From::Repository);
    all
}

#[rstest]
#[case::github(Forge::GitHub)]
#[case::gitlab(Forge::GitLab)]
fn the_real_program_opens_it_and_a_second_time_updates_the_same(#[case] forge: Forge) {
    let Some((project, server)) = landed(forge, Known::Yes) else {
        return;
    };
    // Somebody else's have the same branch: one of a fork, and one of a fork that is gone.
    server.opens(BRANCH, From::Fork);
    server.opens(BRANCH, From::DeletedFork);
    let theirs = server.requests();
    let looked = project.turno(&["pr", "1", "--dry-run"]).exits(0).out;
    let would = format!("{} would open", forge.program());
    assert!(looked.contains(BRANCH) && looked.contains(&would), "{looked}");
    assert_eq!(there(&server, BRANCH), "", "a look pushes nothing");
    assert_eq!(server.requests(), theirs);

    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(done.out.contains(&forge.page(14)), "{} {}", done.out, done.err);
    assert_eq!(there(&server, BRANCH), head(&project), "it is really pushed");
    let made = ours(&server).pop().unwrap();
    assert_eq!(
        (
            made.number,
            made.title.as_str(),
            made.head.as_str(),
            made.base.as_str()
        ),
        (14, "Add a file", BRANCH, "main")
    );
    for part in ["What was asked for", "What landed", "test: passed", "$0.0"] {
        assert!(made.body.contains(part), "{part}: {}", made.body);
    }
    let body = made.body.clone();
    let told = project.turno(&["status"]).exits(0).out;
    assert!(told.contains(&forge.page(14)), "{told}");

    // Somebody changes all of it; the next one says again what it is, and where it goes.
    project.git(&["push", "-q", "origin", "main:refs/heads/develop"]);
    server.change(14, |request| {
        request.title = "another".to_owned();
        request.body = "another".to_owned();
    });
    let done = project.turno(&["pr", "1", "--base", "develop"]).exits(0);
    assert!(done.out.contains(&forge.page(14)), "{}", done.out);
    let all = ours(&server);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        (all[0].title.as_str(), all[0].base.as_str(), all[0].body == body),
        ("Add a file", "develop", true)
    );
    assert_eq!(sent(&server, "POST"), 1, "{:?}", server.asked());
    assert_eq!(server.requests()[..2], theirs, "nobody else's is touched");
}

#[rstest]
#[case::github(Forge::GitHub)]
#[case::gitlab(Forge::GitLab)]
fn a_refused_token_and_an_api_out_of_reach_are_told_and_gone_on_from(#[case] forge: Forge) {
    let Some((project, server)) = landed(forge, Known::Yes) else {
        return;
    };
    server.login(Login::Refused);
    let refused = project.turno(&["pr", "1"]).exits(1);
    let again = format!("{} auth login --hostname {}", forge.program(), forge.host());
    for part in ["HTTP 401", &again, "`turno pr 1` goes on", "is pushed to origin"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert!(server.requests().is_empty());
    server.login(Login::Taken);
    // Git gets there, and the program does not: it prefers the name in capitals, of which git knows nothing.
    let proxy = server.proxy();
    let project = project.env("HTTP_PROXY", "http://127.0.0.1:1");
    let unreached = project.turno(&["pr", "1"]).exits(1);
    for part in ["connection refused", "`turno pr 1` goes on"] {
        assert!(unreached.err.contains(part), "{part}: {}", unreached.err);
    }
    let project = project.env("HTTP_PROXY", proxy);
    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(done.out.contains(&forge.page(12)), "{}", done.out);
    assert_eq!(ours(&server).len(), 1);
    // The host is out of reach for git too.
    let project = project.env("http_proxy", "http://127.0.0.1:1");
    let unreached = project.turno(&["pr", "1"]).exits(4);
    for part in [forge.host(), "Nothing is pushed", "`turno pr 1` again"] {
        assert!(unreached.err.contains(part), "{part}: {}", unreached.err);
    }
}

#[rstest]
#[case::github(Forge::GitHub)]
#[case::gitlab(Forge::GitLab)]
fn a_repository_that_has_another_name_by_now_is_found(#[case] forge: Forge) {
    let Some((project, server)) = landed(forge, Known::Yes) else {
        return;
    };
    let old = forge.remote().replace("/a/b.git", "/a/old.git");
    project.git(&["remote", "set-url", "origin", &old]);
    for _ in 0..2 {
        let done = project.turno(&["pr", "1"]).exits(0);
        assert!(done.out.contains(&forge.page(12)), "{}", done.out);
    }
    assert_eq!(ours(&server).len(), 1);
}

#[rstest]
#[case::github(Forge::GitHub)]
#[case::gitlab(Forge::GitLab)]
fn a_program_that_knows_nothing_of_the_host_is_not_asked(#[case] forge: Forge) {
    let Some((project, server)) = landed(forge, Known::No) else {
        return;
    };
    // Tokens that are for other hosts do not make it known either: they would be shown to it.
    let project = project
        .env("GH_ENTERPRISE_TOKEN", "of-another")
        .env("GITLAB_TOKEN", "of-another");
    let done = project.turno(&["pr", "1"]).exits(0);
    assert!(done.out.contains("without a pull request"), "{}", done.out);
    assert_eq!(there(&server, BRANCH), head(&project));
    assert!(server.requests().is_empty());
    let asked = server.asked();
    assert!(asked.is_empty(), "{asked:?}");
}
