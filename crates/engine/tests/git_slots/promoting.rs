//! Promotion: the one thing that moves a branch of the user's.

use std::fs;

use rstest::rstest;
use turno_core::ids::CommitId;
use turno_engine::git::{Expected, How, Onto, PromoteError, TurnoRef};

use crate::world::{World, assert_same, task};

fn from() -> TurnoRef {
    TurnoRef::base(task().issue)
}

async fn with_landed(world: &World, files: &[(&str, &str)]) -> CommitId {
    let landed = world.commit_on(&world.id("main"), "landed", files);
    world
        .repo()
        .move_ref(&from(), &landed, &Expected::Absent)
        .await
        .unwrap();
    landed
}

fn user_commits(world: &World, name: &str, text: &str) -> CommitId {
    fs::write(world.top().join(name), text).unwrap();
    world.user(&["add", "-A"]);
    world.user(&["commit", "-q", "-m", "the user's"]);
    world.id("main")
}

#[tokio::test]
async fn the_current_branch_comes_forward_with_its_checkout() {
    let world = World::clean();
    let landed = with_landed(&world, &[("new.txt", "new\n"), ("a.txt", "changed\n")]).await;
    fs::write(world.top().join("untracked.txt"), "mine\n").unwrap();
    world.arm();
    let promoted = world.repo().promote(&from(), &Onto::Current).await.unwrap();
    assert_eq!(
        (promoted.branch.as_str(), &promoted.commit, promoted.how),
        ("main", &landed, How::FastForward)
    );
    assert_eq!(world.id("main"), landed);
    assert_eq!(world.user(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(
        world.user(&["-c", "status.showUntrackedFiles=all", "status", "--porcelain"]),
        "?? untracked.txt"
    );
    assert_eq!(
        fs::read_to_string(world.top().join("a.txt")).unwrap(),
        "changed\n"
    );
    assert_eq!(world.hooks_ran(), None);
    let again = world.repo().promote(&from(), &Onto::Current).await.unwrap();
    assert_eq!(again.how, How::AlreadyThere);
}

#[tokio::test]
async fn a_branch_with_work_of_its_own_is_merged() {
    let world = World::clean();
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    let own = user_commits(&world, "own.txt", "own\n");
    let promoted = world.repo().promote(&from(), &Onto::Current).await.unwrap();
    assert_eq!(promoted.how, How::Merge);
    assert_eq!(world.id("main^1"), own);
    assert_eq!(world.id("main^2"), landed);
    assert_eq!(world.user(&["status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(world.top().join("new.txt")).unwrap(), "new\n");
}

#[tokio::test]
async fn a_conflict_names_its_files_and_changes_nothing() {
    let world = World::clean();
    with_landed(
        &world,
        &[("a.txt", "theirs\n"), ("sp ace\nü", "1"), ("fine.txt", "1")],
    )
    .await;
    user_commits(&world, "a.txt", "ours\n");
    user_commits(&world, "sp ace\nü", "2");
    let before = world.fingerprint();
    let error = world.repo().promote(&from(), &Onto::Current).await.unwrap_err();
    let PromoteError::Conflict { files, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(files, &["a.txt", "sp ace\nü"]);
    assert_same(&before, &world.fingerprint());
}

#[rstest]
#[case::edited("a.txt")]
#[case::staged("staged.txt")]
#[tokio::test]
async fn uncommitted_changes_refuse(#[case] name: &str) {
    let world = World::clean();
    with_landed(&world, &[("new.txt", "new\n")]).await;
    fs::write(world.top().join(name), "edited\n").unwrap();
    if name == "staged.txt" {
        world.user(&["add", name]);
    }
    let before = world.fingerprint();
    let error = world.repo().promote(&from(), &Onto::Current).await.unwrap_err();
    assert!(
        matches!(&error, PromoteError::Dirty { files, .. } if files == &[name]),
        "{error:?}"
    );
    assert_same(&before, &world.fingerprint());
}

#[rstest]
#[case::untracked("new.txt")]
#[case::ignored("new.log")]
#[tokio::test]
async fn a_file_in_the_way_refuses(#[case] name: &str) {
    let world = World::clean();
    with_landed(
        &world,
        &[("z.txt", "z\n"), (".gitignore", "cache/\n"), (name, "landed\n")],
    )
    .await;
    fs::write(world.top().join(name), "the user's\n").unwrap();
    let before = world.fingerprint();
    let error = world.repo().promote(&from(), &Onto::Current).await.unwrap_err();
    assert!(
        matches!(&error, PromoteError::InTheWay { files, .. } if files == &[name]),
        "{error:?}"
    );
    assert_same(&before, &world.fingerprint());
}

#[tokio::test]
async fn a_branch_that_is_not_checked_out_moves_alone() {
    let world = World::new();
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    let before = world.fingerprint();
    let promoted = world
        .repo()
        .promote(&from(), &Onto::Branch("feature".into()))
        .await
        .unwrap();
    assert_eq!((promoted.how, world.id("feature")), (How::FastForward, landed));
    let mut after = world.fingerprint();
    for name in ["refs/heads/feature", "logs/refs/heads/feature"] {
        let path = world.top().join(".git").join(name);
        let was = before.get(&path).unwrap().clone();
        assert_ne!(after.insert(path, was.clone()), Some(was), "{name}");
    }
    assert_same(&before, &after);
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn a_branch_of_another_worktree_comes_along_there() {
    let world = World::new();
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    world
        .repo()
        .promote(&from(), &Onto::Branch("elsewhere".into()))
        .await
        .unwrap();
    assert_eq!(world.id("elsewhere"), landed);
    assert!(world.root().join("other/new.txt").exists());
    assert_eq!(
        world.git_in(&world.root().join("other"), &["status", "--porcelain"]),
        ""
    );
    assert!(!world.top().join("new.txt").exists());
}

#[tokio::test]
async fn it_refuses_without_a_branch_to_move() {
    let world = World::clean();
    let onto = |name: &str| Onto::Branch(name.into());
    let error = world.repo().promote(&from(), &Onto::Current).await.unwrap_err();
    assert!(matches!(error, PromoteError::NothingLanded { .. }), "{error:?}");
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    let error = world.repo().promote(&from(), &onto("nowhere")).await.unwrap_err();
    assert!(matches!(error, PromoteError::NoSuchBranch { .. }), "{error:?}");
    let error = world
        .repo()
        .promote(&from(), &onto("turno/7/base"))
        .await
        .unwrap_err();
    assert!(matches!(error, PromoteError::TurnosOwn { .. }), "{error:?}");
    world.user(&["checkout", "-q", "--detach"]);
    let before = world.fingerprint();
    let error = world.repo().promote(&from(), &Onto::Current).await.unwrap_err();
    assert!(matches!(error, PromoteError::Detached), "{error:?}");
    assert_same(&before, &world.fingerprint());
    world.repo().promote(&from(), &onto("main")).await.unwrap();
    assert_eq!(world.id("main"), landed);
}
