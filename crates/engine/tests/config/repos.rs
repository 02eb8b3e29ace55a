//! The other repositories of a workspace: where they are, what is run in them, and what does not do.

use std::path::Path;

use rstest::rstest;
use turno_core::ids::RepoName;
use turno_core::units::Span;
use turno_engine::config::{self, Layer, Setup};

use crate::{env_of, error, file, inputs, repo};

fn name(text: &str) -> RepoName {
    text.parse().unwrap()
}

#[test]
fn each_has_a_place_checks_in_order_and_a_setup_of_its_own() {
    let text = "
        checks.test.command = 'home'
        setup.command = 'home setup'
        [repos.api]
        path = '../api'
        checks.zeta.command = 'z'
        checks.alpha = { command = 'a', timeout = '90s' }
        setup = { command = 'npm ci', copy = ['.env'] }
        [repos.web]
        path = '~/code/web'
        [repos.lib]
        path = '/src/lib'
    ";
    let mut all = repo(text);
    all.env = env_of(&[("HOME", "/home/kim")]);
    let loaded = config::build(&all).unwrap();
    let path = |of: &str| loaded.repos[&name(of)].path.as_path();
    assert_eq!(path("api"), Path::new("/repo/../api"));
    assert_eq!(path("web"), Path::new("/home/kim/code/web"));
    assert_eq!(path("lib"), Path::new("/src/lib"));

    let checks = |of: &str| -> Vec<(String, Span)> {
        let checks = loaded.core.checks_of(&name(of)).iter();
        checks.map(|c| (c.command.clone(), c.timeout)).collect()
    };
    assert_eq!(checks("home"), [("home".to_owned(), Span::seconds(600))]);
    let two = [
        ("z".to_owned(), Span::seconds(600)),
        ("a".to_owned(), Span::seconds(90)),
    ];
    assert_eq!(checks("api"), two);
    assert_eq!(checks("web"), []);

    let nothing = Setup {
        command: None,
        timeout: Span::seconds(600),
        copy: vec![],
        network: turno_core::check::Reach::Open,
    };
    let npm = Setup {
        command: Some("npm ci".to_owned()),
        copy: vec![".env".to_owned()],
        ..nothing.clone()
    };
    assert_eq!(loaded.setup_of(&name("api")), Some(&npm));
    assert_eq!(loaded.setup_of(&name("web")), Some(&nothing));
    assert_eq!(loaded.setup_of(&name("home")), Some(&loaded.setup));
    assert_eq!(loaded.setup.command.as_deref(), Some("home setup"));
    assert_eq!(loaded.setup_of(&name("nowhere")), None);
}

#[test]
fn a_path_is_meant_from_the_file_that_names_it() {
    let mut all = inputs();
    let user = "/home/kim/.config/turno/turno.toml";
    let text = "[repos.api]\npath = 'api'\n[repos.web]\npath = 'web'\n";
    all.files.settings.push(file(Layer::User, user, text));
    all.files
        .settings
        .push(file(Layer::Repo, "turno.toml", "[repos.web]\npath = 'web'\n"));
    let loaded = config::build(&all).unwrap();
    let path = |of: &str| loaded.repos[&name(of)].path.as_path();
    assert_eq!(path("api"), Path::new("/home/kim/.config/turno/api"));
    assert_eq!(path("web"), Path::new("/repo/web"));
}

#[rstest]
#[case::home(
    "[repos.home]\npath = '../x'",
    "[repos.home] (from turno.toml line 1): `home` is the repository that holds turno.toml; choose another name"
)]
#[case::bad_name("[repos.'My Api']\npath = '../x'", "is no repository name")]
#[case::no_path("[repos.api]\nchecks.t.command = 'x'", "missing field `path`")]
#[case::empty_path(
    "[repos.api]\npath = ' '",
    "repos.api.path = \" \" (from turno.toml line 2): a path is expected, like \"../api\""
)]
#[case::no_home("[repos.api]\npath = '~/api'", "HOME is not set")]
#[case::anothers_home("[repos.api]\npath = '~kim/api'", "only your own home can be written as ~")]
#[case::unknown_key(
    "[repos.api]\npth = '../x'",
    "unknown key `repos.api.pth`; did you mean `path`?"
)]
#[case::unknown_key_of_a_check(
    "[repos.api]\npath = '../x'\nchecks.t.comand = 'x'",
    "unknown key `repos.api.checks.t.comand`; did you mean `command`?"
)]
#[case::empty_command(
    "[repos.api]\npath = '../x'\nchecks.t.command = ' '",
    "repos.api.checks.t.command = \" \" (from turno.toml line 3): a shell command is expected"
)]
#[case::no_time(
    "[repos.api]\npath = '../x'\nchecks.t = { command = 'x', timeout = '0s' }",
    "a check needs some time"
)]
#[case::copy_from_outside(
    "[repos.api]\npath = '../x'\nsetup.copy = ['../secret']",
    "`../secret` must be the path of a file below the top"
)]
#[case::not_a_table("repos = '../api'", "`repos` is a table, not a value")]
fn what_does_not_do_is_said_with_its_place(#[case] text: &str, #[case] part: &str) {
    let said = error(&repo(text));
    assert!(said.contains(part), "{said}");
    assert!(said.contains("turno.toml line "), "{said}");
}
