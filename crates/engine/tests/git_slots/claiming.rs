//! Several repositories: each is one of its own, and belongs to one workspace.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use turno_core::ids::RepoName;
use turno_engine::config::{self, EnvMap, Files, Inputs, Layer, Loaded, Overrides, Places, TextFile};
use turno_engine::git::Repo;
use turno_engine::repos::Repos;
use turno_engine::workspace::StateDir;

use crate::world::{World, assert_same};

/// A second repository beside the project.
fn beside(world: &World, name: &str) -> PathBuf {
    let top = world.root().join(name);
    fs::create_dir(&top).unwrap();
    world.git_in(&top, &["init", "-q", "-b", "main"]);
    fs::write(top.join("f"), "f\n").unwrap();
    world.git_in(&top, &["add", "-A"]);
    world.git_in(&top, &["commit", "-q", "-m", "first"]);
    top.canonicalize().unwrap()
}

fn config(home: &Path, text: &str) -> Loaded {
    let settings = TextFile {
        layer: Layer::Repo,
        name: "turno.toml".to_owned(),
        text: text.to_owned(),
    };
    config::build(&Inputs {
        places: Places {
            repo: home.to_owned(),
            user: None,
        },
        files: Files {
            settings: vec![settings],
            ..Files::default()
        },
        env: EnvMap::new(),
        flags: Overrides::default(),
    })
    .unwrap()
}

/// The repositories of a workspace whose home and state are below the world's root.
fn open(world: &World, home: &str, state: &str, text: &str) -> Result<Repos, String> {
    let home = world.root().join(home);
    let dirs = StateDir::at(world.root().join(state), &home);
    let config = config(&home, text);
    Repos::open(Repo::open(&home).unwrap(), &config, &dirs).map_err(|e| e.to_string())
}

const API: &str = "[repos.api]\npath = '../api'\n";

#[tokio::test]
async fn each_has_its_name_and_nothing_is_touched_before_the_claim() {
    let world = World::new();
    let api = beside(&world, "api");
    let before = world.fingerprint();
    let refs = world.git_in(&api, &["for-each-ref"]);
    let repos = open(&world, "project", "state", API).unwrap();
    let name: RepoName = "api".parse().unwrap();
    assert_eq!(repos.get(&name).unwrap().root(), api);
    assert_eq!(
        repos.get(&RepoName::default()).unwrap().root(),
        world.top().canonicalize().unwrap()
    );
    assert!(repos.get(&"web".parse().unwrap()).is_none());
    let names: Vec<String> = repos.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["home", "api"]);
    assert_eq!(world.git_in(&api, &["for-each-ref"]), refs);
    repos.claim().await.unwrap();
    repos.claim().await.unwrap();
    let made = world.git_in(&api, &["for-each-ref", "--format=%(refname)", "refs/turno"]);
    assert_eq!(made, "refs/turno/owner");
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[rstest]
#[case::nothing_there("path = '../nowhere'", "cannot be found")]
#[case::no_repository("path = '../home'", "not in a git repository")]
#[case::bare("path = '../bare'", "bare repository")]
#[case::home_again("path = '.'", "the repository that holds turno.toml")]
#[case::inside_home("path = 'src'", "the repository that holds turno.toml")]
#[case::another_worktree_of_home("path = '../other'", "the repository that holds turno.toml")]
#[case::below_its_top("path = '../api/sub'", "not the top of a repository; name ")]
#[case::twice(
    "path = '../api'\n[repos.web]\npath = '../api'",
    "the same repository as `api`"
)]
#[case::with_the_state("path = '../holder'", "the state directory ")]
fn what_is_no_repository_of_its_own_is_refused(#[case] text: &str, #[case] part: &str) {
    let world = World::clean();
    fs::create_dir(beside(&world, "api").join("sub")).unwrap();
    beside(&world, "holder");
    world.git_in(world.root(), &["init", "-q", "--bare", "bare"]);
    let error = open(
        &world,
        "project",
        "holder/state",
        &format!("[repos.api]\n{text}\n"),
    )
    .unwrap_err();
    assert!(error.contains(part), "{error}");
    assert!(error.starts_with("repos."), "{error}");
    assert!(
        error.contains(".path = ") && error.contains("(from turno.toml line "),
        "{error}"
    );
}

#[tokio::test]
async fn a_repository_belongs_to_one_workspace() {
    let world = World::clean();
    let api = beside(&world, "api");
    beside(&world, "web");
    for state in ["state", "state-web", "state-api"] {
        fs::create_dir_all(world.root().join(state)).unwrap();
    }
    // Both look before either acts: only one gets it.
    let first = open(&world, "project", "state", API).unwrap();
    let second = open(&world, "web", "state-web", API).unwrap();
    first.claim().await.unwrap();
    let error = second.claim().await.unwrap_err().to_string();
    let home = world.top().canonicalize().unwrap();
    for part in [
        "repos.api.path = \"../api\"",
        home.to_str().unwrap(),
        "another clone",
    ] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
    let error = open(&world, "web", "state-web", API).unwrap_err();
    assert!(error.contains("works on this repository"), "{error}");
    // Nor may it be somebody's home, nor the home of the first another one's.
    let its_own = open(&world, "api", "state-api", "").unwrap();
    let error = its_own.claim().await.unwrap_err().to_string();
    assert!(error.contains("works on this repository"), "{error}");
    let error = open(&world, "web", "state-web", "[repos.p]\npath = '../project'\n").unwrap_err();
    assert!(error.contains("works on this repository"), "{error}");
    first.claim().await.unwrap();

    // A workspace without its state holds nothing any more; branches it has left are another's all the same.
    fs::remove_dir_all(world.root().join("state")).unwrap();
    world.git_in(&api, &["branch", "turno/1/base"]);
    let error = second.claim().await.unwrap_err().to_string();
    assert!(
        error.contains("branches of another workspace (turno/1/base)"),
        "{error}"
    );
    world.git_in(&api, &["branch", "-D", "turno/1/base"]);
    second.claim().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_a_repository_is_not_claimed_with_it() {
    let world = World::clean();
    let api = beside(&world, "api");
    beside(&world, "web");
    fs::create_dir_all(world.root().join("state")).unwrap();
    open(&world, "project", "state", API)
        .unwrap()
        .claim()
        .await
        .unwrap();
    let copy = world.root().join("copy");
    world.git_in(
        world.root(),
        &["clone", "-q", "--mirror", api.to_str().unwrap(), "copy/.git"],
    );
    world.git_in(&copy, &["config", "core.bare", "false"]);
    let names = world.git_in(&copy, &["for-each-ref", "--format=%(refname)", "refs/turno"]);
    assert_eq!(names, "refs/turno/owner", "the note came along");
    let repos = open(&world, "web", "state-web", "[repos.copy]\npath = '../copy'\n").unwrap();
    repos.claim().await.unwrap();
}

#[tokio::test]
async fn a_note_that_cannot_be_read_is_no_licence() {
    let world = World::clean();
    let api = beside(&world, "api");
    world.git_in(&api, &["update-ref", "refs/turno/owner", "HEAD"]);
    let error = open(&world, "project", "state", API).unwrap_err();
    assert!(error.contains("refs/turno/owner"), "{error}");
}

#[tokio::test]
async fn a_home_goes_with_its_workspace_to_another_state_directory() {
    let world = World::clean();
    for state in ["state", "state-2"] {
        fs::create_dir_all(world.root().join(state)).unwrap();
        open(&world, "project", state, "").unwrap().claim().await.unwrap();
    }
}
