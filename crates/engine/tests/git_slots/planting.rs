//! Nothing that an agent plants in its slot runs in a git call of Turno's. Each case is first shown to run in a
//! plain git call, so that it would be seen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rstest::rstest;
use turno_core::ids::CommitId;
use turno_engine::git::TurnoRef;
use turno_engine::slots::Begun;

use crate::world::{S1, World, message, task};

struct Planted {
    world: World,
    first: CommitId,
    slot: PathBuf,
    /// The worktree's own part of `.git`.
    git_dir: PathBuf,
    marker: PathBuf,
    /// A program that leaves the marker.
    program: PathBuf,
}

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

impl Planted {
    async fn new() -> Self {
        let world = World::clean();
        let first = world.id("main");
        let slot = world.pool.prepare(S1, &first).await.unwrap().path;
        let git_dir = fs::read_to_string(slot.join(".git")).unwrap();
        let git_dir = PathBuf::from(git_dir.trim().strip_prefix("gitdir: ").unwrap());
        let root = world.root().canonicalize().unwrap();
        let (marker, evil) = (root.join("ran"), root.join("evil.sh"));
        program(
            &evil,
            &format!("echo \"$0 $*\" >> '{}'\ncat\nexit 1", marker.display()),
        );
        Self {
            world,
            first,
            slot,
            git_dir,
            marker,
            program: evil,
        }
    }

    fn config(&self) -> String {
        let run = self.program.display();
        format!(
            "[core]\n\tfsmonitor = {run}\n\tsshCommand = {run}\n\teditor = {run}\n\tpager = {run}\n\
             \tattributesFile = /nowhere\n[filter \"x\"]\n\tclean = {run}\n\tsmudge = {run}\n\trequired = true\n\
             [diff]\n\texternal = {run}\n[diff \"x\"]\n\ttextconv = {run}\n\tcommand = {run}\n\
             [merge \"x\"]\n\tdriver = {run}\n[gpg]\n\tprogram = {run}\n[alias]\n\tstatus = !{run}\n"
        )
    }

    fn hooks_in(&self, dir: &Path) {
        let text = format!("echo \"$0\" >> '{}'", self.marker.display());
        for hook in [
            "post-checkout",
            "post-index-change",
            "reference-transaction",
            "pre-commit",
            "post-commit",
        ] {
            program(&dir.join(hook), &text);
        }
    }

    /// What must be planted well enough to run.
    fn expect_to_run(&self, dir: &Path, args: &[&str]) {
        drop(
            std::process::Command::new("git")
                .args(args)
                .current_dir(dir)
                .env("HOME", self.world.root().join("home"))
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .output()
                .unwrap(),
        );
        assert!(self.marker.exists(), "it is planted where nothing would run it");
        fs::remove_file(&self.marker).unwrap();
    }

    /// Everything that Turno does with a slot.
    async fn use_it(&self) {
        let pool = &self.world.pool;
        let branch = TurnoRef::task(task(), 1);
        let paths = ["a.txt".to_owned(), "nested".to_owned()].into();
        drop(pool.lay_over(S1, &self.first, &paths).await);
        assert_eq!(self.ran(), None, "lay_over");
        drop(
            pool.collect(
                S1,
                Begun {
                    from: &self.first,
                    since: None,
                    survey: None,
                },
                &branch,
                &message(5),
            )
            .await
            .unwrap(),
        );
        assert_eq!(self.ran(), None, "collect");
        drop(pool.inspect_untouched(S1, &self.first).await.unwrap());
        assert_eq!(self.ran(), None, "inspect");
        drop(pool.release(S1).await.unwrap());
        pool.discard(S1, &self.first).await.unwrap();
        drop(pool.prepare(S1, &self.first).await.unwrap());
        assert_eq!(self.ran(), None, "prepare");
    }

    fn ran(&self) -> Option<String> {
        fs::read_to_string(&self.marker).ok()
    }
}

#[rstest]
#[case::collected(true)]
#[case::prepared(false)]
#[tokio::test]
async fn a_configuration_of_the_worktrees_own(#[case] collected: bool) {
    let planted = Planted::new().await;
    planted
        .world
        .user(&["config", "extensions.worktreeConfig", "true"]);
    fs::write(planted.git_dir.join("config.worktree"), planted.config()).unwrap();
    fs::write(planted.slot.join(".gitattributes"), "* filter=x diff=x merge=x\n").unwrap();
    fs::write(planted.slot.join("a.txt"), "edited\n").unwrap();
    planted.expect_to_run(&planted.slot, &["status"]);
    planted.expect_to_run(&planted.slot, &["-c", "core.fsmonitor=", "add", "a.txt"]);
    if collected {
        planted.use_it().await;
    }
    planted.world.pool.prepare(S1, &planted.first).await.unwrap();
    assert_eq!(planted.ran(), None);
}

#[tokio::test]
async fn a_common_directory_of_another_one() {
    let planted = Planted::new().await;
    let evil = planted.world.root().canonicalize().unwrap().join("evil");
    planted
        .world
        .git_in(planted.world.root(), &["clone", "-q", "project", "evil"]);
    fs::write(evil.join(".git/config"), planted.config()).unwrap();
    planted.hooks_in(&evil.join(".git/hooks"));
    fs::write(
        planted.git_dir.join("commondir"),
        format!("{}\n", evil.join(".git").display()),
    )
    .unwrap();
    planted.expect_to_run(&planted.slot, &["status"]);
    planted.use_it().await;
}

#[rstest]
#[case::directory(true)]
#[case::pointer(false)]
#[tokio::test]
async fn another_repository_in_the_place_of_the_slots(#[case] directory: bool) {
    let planted = Planted::new().await;
    let evil = planted.world.root().canonicalize().unwrap().join("evil");
    planted
        .world
        .git_in(planted.world.root(), &["clone", "-q", "project", "evil"]);
    fs::write(evil.join(".git/config"), planted.config()).unwrap();
    planted.hooks_in(&evil.join(".git/hooks"));
    fs::remove_file(planted.slot.join(".git")).unwrap();
    if directory {
        fs::rename(evil.join(".git"), planted.slot.join(".git")).unwrap();
    } else {
        let pointer = format!("gitdir: {}\n", evil.join(".git").display());
        fs::write(planted.slot.join(".git"), pointer).unwrap();
    }
    planted.expect_to_run(&planted.slot, &["status"]);
    planted.use_it().await;
}

/// A repository inside the slot, which its `.gitmodules` declares, and which the agent has committed as a link.
#[rstest]
#[case::untracked(&[])]
#[case::staged(&["add"])]
#[case::committed(&["add", "commit"])]
#[tokio::test]
async fn a_repository_inside_the_slot(#[case] steps: &[&str]) {
    let planted = Planted::new().await;
    let nested = planted.slot.join("nested");
    planted.world.git_in(&planted.slot, &["init", "-q", "nested"]);
    fs::write(nested.join("x"), "x").unwrap();
    planted.world.git_in(&nested, &["add", "-A"]);
    planted.world.git_in(&nested, &["commit", "-q", "-m", "x"]);
    let modules = "[submodule \"nested\"]\n\tpath = nested\n\turl = ext::sh -c evil\n\tignore = none\n";
    fs::write(planted.slot.join(".gitmodules"), modules).unwrap();
    for step in steps {
        match *step {
            "add" => planted.world.git_in(&planted.slot, &["add", "-A"]),
            _ => planted
                .world
                .git_in(&planted.slot, &["commit", "-q", "-m", "with a link"]),
        };
    }
    // Of the same size, so that only the filter can tell whether it has changed.
    fs::write(nested.join("x"), "y").unwrap();
    fs::write(nested.join(".gitattributes"), "* filter=x\n").unwrap();
    planted.hooks_in(&nested.join(".git/hooks"));
    fs::write(nested.join(".git/config"), planted.config()).unwrap();
    if !steps.is_empty() {
        planted.expect_to_run(&planted.slot, &["status"]);
    }
    planted.use_it().await;
}

/// Git dies of such a file in calls that need nothing of it.
#[rstest]
#[case::unknown_value("[submodule \"nested\"]\n\tpath = nested\n\turl = ext::sh\n\tupdate = !evil\n")]
#[case::no_syntax("[submodule \"nested\"\n")]
#[tokio::test]
async fn a_broken_list_of_submodules_stops_nothing(#[case] text: &str) {
    let planted = Planted::new().await;
    planted.world.git_in(&planted.slot, &["init", "-q", "nested"]);
    let nested = planted.slot.join("nested");
    planted
        .world
        .git_in(&nested, &["commit", "-q", "--allow-empty", "-m", "x"]);
    planted.world.git_in(&planted.slot, &["add", "nested"]);
    fs::write(planted.slot.join(".gitmodules"), text).unwrap();
    fs::write(planted.slot.join("work.txt"), "work").unwrap();
    planted.use_it().await;
    let branch = planted.world.at(&TurnoRef::task(task(), 1)).unwrap();
    let text = planted.world.show(&branch, "work.txt");
    assert_eq!(text.as_deref(), Some("work"));
}

/// A link that the project itself has is at home in the slot: it is looked at in every call.
#[tokio::test]
async fn a_submodule_of_the_projects_own() {
    let planted = Planted::new().await;
    let nested = planted.slot.join("nested");
    let modules = "[submodule \"nested\"]\n\tpath = nested\n\turl = ./nested\n\tignore = none\n";
    fs::write(planted.slot.join(".gitmodules"), modules).unwrap();
    planted.world.git_in(&planted.slot, &["init", "-q", "nested"]);
    planted
        .world
        .git_in(&nested, &["commit", "-q", "--allow-empty", "-m", "x"]);
    planted.world.git_in(&planted.slot, &["add", "-A"]);
    planted
        .world
        .git_in(&planted.slot, &["commit", "-q", "-m", "with a link"]);
    let first: CommitId = planted
        .world
        .git_in(&planted.slot, &["rev-parse", "HEAD"])
        .parse()
        .unwrap();
    planted.world.user(&["branch", "linked", first.as_str()]);
    planted.world.pool.prepare(S1, &first).await.unwrap();
    let planted = Planted { first, ..planted };
    if !nested.join(".git").exists() {
        planted.world.git_in(&planted.slot, &["init", "-q", "nested"]);
        let link = planted.world.git_in(&planted.slot, &["rev-parse", "HEAD:nested"]);
        planted
            .world
            .git_in(&nested, &["commit", "-q", "--allow-empty", "-m", &link]);
    }
    fs::write(nested.join(".git/config"), planted.config()).unwrap();
    planted.hooks_in(&nested.join(".git/hooks"));
    planted.expect_to_run(&planted.slot, &["status"]);
    planted.use_it().await;
}

/// Its directory is empty in a slot, and it is no change of anybody's.
#[rstest]
#[case::as_it_was(&[], Some("160000"))]
#[case::removed(&["nested"], None)]
#[tokio::test]
async fn a_submodule_that_nobody_fetched_stays(#[case] removed: &[&str], #[case] mode: Option<&str>) {
    let planted = Planted::new().await;
    let world = &planted.world;
    let id = planted.first.as_str();
    world.git_in(
        &planted.slot,
        &[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{id},nested"),
        ],
    );
    world.git_in(&planted.slot, &["commit", "-q", "-m", "with a link"]);
    let first: CommitId = world
        .git_in(&planted.slot, &["rev-parse", "HEAD"])
        .parse()
        .unwrap();
    world.user(&["branch", "linked", first.as_str()]);
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    assert!(slot.join("nested").is_dir());
    fs::write(slot.join("work.txt"), "work").unwrap();
    for name in removed {
        fs::remove_dir(slot.join(name)).unwrap();
    }
    let branch = TurnoRef::task(task(), 1);
    world
        .pool
        .collect(
            S1,
            Begun {
                from: &first,
                since: None,
                survey: None,
            },
            &branch,
            &message(5),
        )
        .await
        .unwrap();
    let listed = world.user(&["ls-tree", branch.full(), "nested", "work.txt"]);
    assert!(listed.contains("work.txt"));
    assert_eq!(listed.contains("160000"), mode.is_some(), "{listed}");
}

#[tokio::test]
async fn what_lies_beside_the_worktrees_head() {
    let planted = Planted::new().await;
    planted.hooks_in(&planted.git_dir.join("hooks"));
    fs::create_dir_all(planted.git_dir.join("info")).unwrap();
    fs::write(planted.git_dir.join("info/attributes"), "* filter=x\n").unwrap();
    fs::create_dir_all(planted.git_dir.join("rebase-merge")).unwrap();
    let todo = format!("exec {}\n", planted.program.display());
    for name in ["git-rebase-todo", "interactive", "head-name", "onto"] {
        fs::write(planted.git_dir.join("rebase-merge").join(name), &todo).unwrap();
    }
    fs::write(planted.slot.join("a.txt"), "edited\n").unwrap();
    planted.use_it().await;
}
