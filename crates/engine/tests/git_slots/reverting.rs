//! Taking a promotion back, and promoting again after it.

use std::fs;

use rstest::rstest;
use turno_core::ids::CommitId;
use turno_core::promotion::{Fork, Manner};
use turno_core::units::MicroUsd;
use turno_engine::git::{
    Expected, Onto, Planned, PlannedReversal, PromoteError, Promotion, Reversal, TurnoRef,
};

use crate::world::{World, assert_same, task};

/// The issue's work: a new file, and a line of another.
async fn promoted(world: &World, manner: Manner, fork: Fork) -> (Reversal, CommitId) {
    let asked = Promotion {
        issue: task().issue,
        onto: Onto::Current,
        manner,
        fork,
        title: "Add a file".into(),
        landed: vec![],
        cost: MicroUsd::ZERO,
    };
    let planned = world.repo().plan_promotion(&asked).await.unwrap();
    let Planned::Ready(ready) = planned else {
        panic!("{planned:?}")
    };
    world.repo().carry_out(&ready).await.unwrap();
    let reversal = Reversal {
        issue: asked.issue,
        title: asked.title,
        from: Onto::Branch("main".into()),
        before: ready.target.tip,
        commit: ready.commit,
    };
    (reversal, ready.fork)
}

async fn with_landed(world: &World) {
    let begun = world.id("main");
    let landed = world.commit_on(&begun, "landed", &[("new.txt", "new\n")]);
    let landed = world.commit_on(&landed, "more", &[("b.txt", "better\n")]);
    let branch = TurnoRef::base(task().issue);
    world
        .repo()
        .move_ref(&branch, &landed, &Expected::Absent)
        .await
        .unwrap();
}

fn user_commits(world: &World, name: &str, text: &str) {
    fs::write(world.top().join(name), text).unwrap();
    world.user(&["add", "-A"]);
    world.user(&["commit", "-q", "-m", "the user's"]);
}

fn tree(world: &World, rev: &str) -> String {
    world.user(&["rev-parse", &format!("{rev}^{{tree}}")])
}

async fn take_back(world: &World, reversal: &Reversal) -> Result<CommitId, PromoteError> {
    match world.repo().plan_reversal(reversal).await? {
        PlannedReversal::Ready { target, commit } => {
            world.repo().take_back(task().issue, &target, &commit).await?;
            Ok(commit)
        }
        gone @ PlannedReversal::AlreadyGone { .. } => panic!("{gone:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn there_and_back_and_there_again(
    #[values(Manner::Squash, Manner::Merge, Manner::Rebase)] first: Manner,
    #[values(Manner::Squash, Manner::Merge, Manner::Rebase)] second: Manner,
) {
    let world = World::clean();
    with_landed(&world).await;
    user_commits(&world, "own.txt", "own\n");
    let without = tree(&world, "main");
    world.arm();
    let (reversal, fork) = promoted(&world, first, Fork::ByHistory).await;
    let with = tree(&world, "main");
    assert_ne!(with, without);
    let commit = take_back(&world, &reversal).await.unwrap();
    assert_eq!(
        (tree(&world, "main"), world.id("main")),
        (without.clone(), commit)
    );
    assert_eq!(world.id("main^"), reversal.commit, "nothing is rewritten");
    assert!(!world.top().join("new.txt").exists());
    assert_eq!(world.user(&["status", "--porcelain"]), "");
    let message = world.user(&["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with("Revert \"Add a file\"\n"), "{message}");
    assert!(
        message.ends_with(&format!("Turno-Reverts: {}", reversal.commit)),
        "{message}"
    );
    let again = world.repo().plan_reversal(&reversal).await.unwrap();
    assert!(matches!(again, PlannedReversal::AlreadyGone { .. }), "{again:?}");

    let (reversal, _) = promoted(&world, second, Fork::At(fork)).await;
    assert_eq!(tree(&world, "main"), with);
    take_back(&world, &reversal).await.unwrap();
    assert_eq!(tree(&world, "main"), without);
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn what_came_after_it_stays() {
    let world = World::clean();
    with_landed(&world).await;
    let (reversal, _) = promoted(&world, Manner::Squash, Fork::ByHistory).await;
    user_commits(&world, "a.txt", "later\n");
    take_back(&world, &reversal).await.unwrap();
    assert_eq!(fs::read_to_string(world.top().join("a.txt")).unwrap(), "later\n");
    assert_eq!(fs::read_to_string(world.top().join("b.txt")).unwrap(), "b\n");
}

#[tokio::test]
async fn what_cannot_be_taken_back_refuses_and_changes_nothing() {
    let world = World::clean();
    with_landed(&world).await;
    let begun = world.id("main");
    let (reversal, _) = promoted(&world, Manner::Rebase, Fork::ByHistory).await;
    let promoted_at = world.id("main");

    fs::write(world.top().join("b.txt"), "dirt\n").unwrap();
    let before = world.fingerprint();
    let error = take_back(&world, &reversal).await.unwrap_err();
    assert!(matches!(error, PromoteError::Dirty { .. }), "{error:?}");
    assert_same(&before, &world.fingerprint());
    world.user(&["checkout", "-q", "--", "b.txt"]);

    user_commits(&world, "b.txt", "the user's own\n");
    let before = world.fingerprint();
    let error = take_back(&world, &reversal).await.unwrap_err();
    assert!(
        matches!(&error, PromoteError::RevertConflict { files, commit, .. } if files == &["b.txt"] && *commit == promoted_at),
        "{error:?}"
    );
    assert_same(&before, &world.fingerprint());

    world.user(&["reset", "-q", "--hard", begun.as_str()]);
    let error = take_back(&world, &reversal).await.unwrap_err();
    assert!(matches!(error, PromoteError::NotThere { .. }), "{error:?}");
}
