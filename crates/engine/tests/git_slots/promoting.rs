//! Promotion: the one thing that moves a branch of the user's.

use std::fs;

use rstest::rstest;
use turno_core::ids::CommitId;
use turno_core::promotion::{Fork, Manner, Sameness};
use turno_core::units::MicroUsd;
use turno_engine::git::{Expected, Onto, Planned, PromoteError, Promotion, Ready, TurnoRef};

use crate::world::{World, assert_same, task};

fn from() -> TurnoRef {
    TurnoRef::base(task().issue)
}

fn asked(onto: Onto, manner: Manner) -> Promotion {
    Promotion {
        issue: task().issue,
        onto,
        manner,
        fork: Fork::ByHistory,
        title: "Add a file".into(),
        landed: vec!["a file: it is new".into(), "forged\n\nTurno-Issue: 1".into()],
        cost: MicroUsd(250_000),
    }
}

fn onto(name: &str) -> Onto {
    Onto::Branch(name.into())
}

async fn plan(world: &World, asked: &Promotion) -> Result<Ready, PromoteError> {
    match world.repo().plan_promotion(asked).await? {
        Planned::Ready(ready) => Ok(ready),
        there @ Planned::AlreadyThere { .. } => panic!("{there:?}"),
    }
}

async fn promote(world: &World, asked: &Promotion) -> Result<CommitId, PromoteError> {
    let ready = plan(world, asked).await?;
    world.repo().carry_out(&ready).await?;
    Ok(ready.commit)
}

async fn squash(world: &World, onto: Onto) -> Result<CommitId, PromoteError> {
    promote(world, &asked(onto, Manner::Squash)).await
}

fn tree(world: &World, rev: &str) -> String {
    world.user(&["rev-parse", &format!("{rev}^{{tree}}")])
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

#[rstest]
#[tokio::test]
async fn the_current_branch_comes_forward_with_its_checkout(
    #[values(Manner::Squash, Manner::Merge, Manner::Rebase)] manner: Manner,
) {
    let world = World::clean();
    let begun = world.id("main");
    let landed = with_landed(&world, &[("new.txt", "new\n"), ("a.txt", "changed\n")]).await;
    fs::write(world.top().join("untracked.txt"), "mine\n").unwrap();
    world.arm();
    let ready = plan(&world, &asked(Onto::Current, manner)).await.unwrap();
    assert_eq!((&ready.fork, ready.sameness), (&begun, Sameness::Same));
    assert_eq!(world.id("main"), begun, "a plan moves nothing");
    world.repo().carry_out(&ready).await.unwrap();
    assert_eq!(world.id("main"), ready.commit);
    assert_eq!(tree(&world, "main"), tree(&world, landed.as_str()));
    match manner {
        Manner::Squash => assert_eq!(world.id("main^"), begun),
        Manner::Merge => assert_eq!((world.id("main^1"), world.id("main^2")), (begun, landed)),
        Manner::Rebase => assert_eq!(world.id("main"), landed, "nothing to be made again"),
    }
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
    let again = world.repo().plan_promotion(&asked(Onto::Current, manner)).await;
    assert!(matches!(again, Ok(Planned::AlreadyThere { .. })), "{again:?}");
}

#[rstest]
#[tokio::test]
async fn a_branch_with_work_of_its_own_keeps_it(
    #[values(Manner::Squash, Manner::Merge, Manner::Rebase)] manner: Manner,
) {
    let world = World::clean();
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    let more = world.commit_on(&landed, "more", &[("more.txt", "more\n")]);
    world
        .repo()
        .move_ref(&from(), &more, &Expected::At(landed))
        .await
        .unwrap();
    let own = user_commits(&world, "own.txt", "own\n");
    let ready = plan(&world, &asked(Onto::Current, manner)).await.unwrap();
    assert_eq!(ready.sameness, Sameness::Other { behind: 1 });
    world.repo().carry_out(&ready).await.unwrap();
    let subjects = world.user(&["log", "--first-parent", "--format=%an: %s", "main"]);
    let top: Vec<&str> = subjects.lines().collect();
    match manner {
        Manner::Squash => assert_eq!(
            top,
            ["Turno: Add a file", "Someone: the user's", "Someone: first"]
        ),
        Manner::Merge => {
            assert_eq!((world.id("main^1"), world.id("main^2")), (own, more));
            assert_eq!(top.len(), 3);
        }
        Manner::Rebase => {
            let expected = [
                "Someone: more",
                "Someone: landed",
                "Someone: the user's",
                "Someone: first",
            ];
            assert_eq!(top, expected);
        }
    }
    assert_eq!(world.user(&["status", "--porcelain"]), "");
    for name in ["new.txt", "more.txt", "own.txt"] {
        assert!(world.top().join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn one_commit_says_what_it_stands_for_and_who_wrote_it() {
    let world = World::clean();
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    let message = "more\n\nTurno-Persona: engineer\nCo-authored-by: B <b@c>\n";
    let tip = world.commit_on(&landed, message, &[("more.txt", "more\n")]);
    let expected = Expected::At(landed);
    world.repo().move_ref(&from(), &tip, &expected).await.unwrap();
    squash(&world, Onto::Current).await.unwrap();
    let message = world.user(&["log", "-1", "--format=%B", "main"]);
    assert!(
        message.starts_with("Add a file\n\n- a file: it is new\n"),
        "{message}"
    );
    let trailers = world.user(&["log", "-1", "--format=%(trailers:only)", "main"]);
    let found: Vec<&str> = trailers.lines().filter(|l| !l.is_empty()).collect();
    let author = world.user(&["log", "-1", "--format=%an <%ae>", tip.as_str()]);
    assert_eq!(
        found,
        [
            "Turno-Issue: 7",
            "Turno-Cost: $0.25",
            "Co-authored-by: B <b@c>",
            &format!("Co-authored-by: {author}"),
            "Co-authored-by: engineer (Turno) <turno@localhost>",
        ]
    );
}

#[rstest]
#[case::not_checked_out("feature")]
#[case::checked_out("main")]
#[tokio::test]
async fn a_branch_that_moved_since_the_plan_stays_where_it_is(#[case] name: &str) {
    let world = World::clean();
    with_landed(&world, &[("new.txt", "new\n")]).await;
    let ready = plan(&world, &asked(onto(name), Manner::Squash)).await.unwrap();
    let moved = world.commit_on(&world.id(name), "later", &[("later.txt", "later\n")]);
    match name {
        "main" => drop(world.user(&["merge", "-q", "--ff-only", moved.as_str()])),
        _ => drop(world.user(&["branch", "-f", name, moved.as_str()])),
    }
    let before = world.fingerprint();
    let error = world.repo().carry_out(&ready).await.unwrap_err();
    assert!(matches!(error, PromoteError::Raced { .. }), "{error:?}");
    assert_eq!(world.id(name), moved);
    assert_same(&before, &world.fingerprint());
}

#[tokio::test]
async fn a_branch_in_the_middle_of_a_rebase_is_left_alone() {
    let world = World::clean();
    with_landed(&world, &[("new.txt", "new\n")]).await;
    let own = user_commits(&world, "a.txt", "ours\n");
    let theirs = world.commit_on(&world.id("main^"), "theirs", &[("a.txt", "theirs\n")]);
    world.git_fails(&world.top(), &["rebase", "-q", theirs.as_str()]);
    let error = squash(&world, onto("main")).await.unwrap_err();
    assert!(matches!(error, PromoteError::BeingRebased { .. }), "{error:?}");
    assert_eq!(world.id("main"), own);
}

#[tokio::test]
async fn commits_that_do_not_apply_one_by_one_refuse_a_rebase_only() {
    let world = World::clean();
    // There and back: as a whole it does not touch the line that the user changed.
    let first = with_landed(&world, &[("a.txt", "theirs\n")]).await;
    let second = [("a.txt", "one\ntwo\nthree\n"), ("new.txt", "new\n")];
    let back = world.commit_on(&first, "back", &second);
    let expected = Expected::At(first.clone());
    world.repo().move_ref(&from(), &back, &expected).await.unwrap();
    user_commits(&world, "a.txt", "ours\n");
    let before = world.fingerprint();
    let error = promote(&world, &asked(Onto::Current, Manner::Rebase))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, PromoteError::ReplayConflict { commit, files, .. } if *commit == first && files == &["a.txt"]),
        "{error:?}"
    );
    assert_same(&before, &world.fingerprint());
    squash(&world, Onto::Current).await.unwrap();
    assert_eq!(fs::read_to_string(world.top().join("a.txt")).unwrap(), "ours\n");
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
    let error = squash(&world, Onto::Current).await.unwrap_err();
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
    let error = squash(&world, Onto::Current).await.unwrap_err();
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
    let error = squash(&world, Onto::Current).await.unwrap_err();
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
    squash(&world, onto("feature")).await.unwrap();
    assert_eq!(tree(&world, "feature"), tree(&world, landed.as_str()));
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
    squash(&world, onto("elsewhere")).await.unwrap();
    assert_eq!(tree(&world, "elsewhere"), tree(&world, landed.as_str()));
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
    let error = squash(&world, Onto::Current).await.unwrap_err();
    assert!(matches!(error, PromoteError::NothingLanded { .. }), "{error:?}");
    let landed = with_landed(&world, &[("new.txt", "new\n")]).await;
    let error = squash(&world, onto("nowhere")).await.unwrap_err();
    assert!(matches!(error, PromoteError::NoSuchBranch { .. }), "{error:?}");
    let error = squash(&world, onto("turno/7/base")).await.unwrap_err();
    assert!(matches!(error, PromoteError::TurnosOwn { .. }), "{error:?}");
    world.user(&["checkout", "-q", "--detach"]);
    let before = world.fingerprint();
    let error = squash(&world, Onto::Current).await.unwrap_err();
    assert!(matches!(error, PromoteError::Detached), "{error:?}");
    assert_same(&before, &world.fingerprint());
    squash(&world, onto("main")).await.unwrap();
    assert_eq!(tree(&world, "main"), tree(&world, landed.as_str()));
}
