//! Landing: forward, rebased, refused, raced, and found done after a crash.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use turno_core::check::{CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::event::LandingEnd;
use turno_core::ids::{CommitId, TreeId};
use turno_core::units::Span;
use turno_engine::git::TurnoRef;
use turno_engine::land::{Error, Needs, Request, land};

use crate::world::{World, assert_same, task, trailers};

fn report(commit: &CommitId, tree: &TreeId, verdict: CheckVerdict) -> CheckReport {
    let log = LogRef {
        path: "log".into(),
        bytes: 0,
    };
    let result = CheckResult {
        command: String::new(),
        within: turno_core::container::Within::Sandbox,
        check: "test".parse().unwrap(),
        verdict,
        took: Span(1),
        log,
        source: turno_core::check::Source::Run,
    };
    CheckReport {
        commit: commit.clone(),
        tree: tree.clone(),
        results: vec![result],
    }
}

/// Lands and says on which commits the checks ran.
async fn run(
    world: &World,
    request: &Request,
    verdict: CheckVerdict,
    meanwhile: impl Fn(&Path),
) -> (Result<LandingEnd, Error>, Vec<CommitId>) {
    let ran = RefCell::new(Vec::new());
    let end = land(
        &world.pool,
        request,
        async |path: &Path, commit: &CommitId, tree: &TreeId| {
            assert_eq!(world.git_in(path, &["rev-parse", "HEAD"]), commit.as_str());
            assert_eq!(world.git_in(path, &["status", "--porcelain"]), "");
            fs::write(path.join("residue.xml"), "left by a check").unwrap();
            ran.borrow_mut().push(commit.clone());
            meanwhile(path);
            report(commit, tree, verdict.clone())
        },
    )
    .await;
    (end, ran.into_inner())
}

fn request(world: &World, change: &CommitId, change_base: &CommitId, attempt: u64) -> Request {
    Request {
        change: change.clone(),
        change_base: change_base.clone(),
        needs: Needs::PassUnless(world.repo().tree_of(change).unwrap()),
        known_red: BTreeSet::new(),
        base: world.id("main"),
        trailers: trailers(attempt),
    }
}

fn landed(end: Result<LandingEnd, Error>) -> CommitId {
    match end {
        Ok(LandingEnd::Landed { commit }) => commit,
        other => panic!("{other:?}"),
    }
}

fn integration() -> TurnoRef {
    TurnoRef::base(task().issue)
}

#[tokio::test]
async fn the_first_change_goes_forward_without_new_checks() {
    let world = World::new();
    let before = world.fingerprint();
    let first = world.id("main");
    let change = world.commit_on(
        &first,
        "work\n\nCo-authored-by: A <a@example.invalid>",
        &[("one.txt", "1")],
    );
    let (end, ran) = run(
        &world,
        &request(&world, &change, &first, 5),
        CheckVerdict::Pass,
        |_| {},
    )
    .await;
    let commit = landed(end);
    assert_eq!(ran, []);
    assert_eq!(world.at(&integration()), Some(commit.clone()));
    assert_eq!(world.id(&format!("{commit}^")), first);
    let text = world.user(&["log", "-1", "--format=%an%n%B", commit.as_str()]);
    assert!(
        text.starts_with("Someone\nwork\n\nCo-authored-by: A <a@example.invalid>\nTurno-Issue: 7\n"),
        "{text}"
    );
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn a_later_change_is_rebased_and_its_tree_is_proven() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1")]);
    let two = world.commit_on(&first, "fixup! one", &[("two.txt", "2")]);
    let two = world.commit_on(&two, "two again", &[("three.txt", "3")]);
    // A branch of the user's in the middle: `rebase.updateRefs` would move it.
    world.user(&["branch", "mine", &format!("{two}^")]);
    let before = world.fingerprint();
    landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    let head = world.at(&integration()).unwrap();
    let (end, ran) = run(
        &world,
        &request(&world, &two, &first, 6),
        CheckVerdict::Pass,
        |_| {},
    )
    .await;
    let commit = landed(end);
    assert_eq!(ran.as_slice(), std::slice::from_ref(&commit));
    assert_eq!(world.at(&integration()), Some(commit.clone()));
    assert_eq!(
        world.id(&format!("{commit}~2")),
        head,
        "both commits are there, none was squashed"
    );
    assert_eq!(world.show(&commit, "one.txt").as_deref(), Some("1"));
    assert_eq!(world.show(&commit, "three.txt").as_deref(), Some("3"));
    assert!(!world.files_of(&commit).contains(&"residue.xml".to_owned()));
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn a_conflict_is_told_with_its_hunks_and_moves_nothing() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(
        &first,
        "one",
        &[("a.txt", "one\nOURS\nthree\n"), ("b.txt", "edited\n")],
    );
    let odd = "sp ace\nünï.txt";
    let two = world.commit_on(&first, "two", &[("a.txt", "one\nTHEIRS\nthree\n"), (odd, "x")]);
    let request = request(&world, &two, &first, 6);
    let first_request = Request {
        change: one.clone(),
        trailers: trailers(5),
        ..request.clone()
    };
    let first_request = Request {
        needs: Needs::Nothing,
        ..first_request
    };
    let head = landed(run(&world, &first_request, CheckVerdict::Pass, |_| {}).await.0);
    let before = world.fingerprint();
    for _ in 0..2 {
        let (end, ran) = run(&world, &request, CheckVerdict::Pass, |_| {}).await;
        let Ok(LandingEnd::Conflict { hunks, head: told }) = end else {
            panic!("{end:?}")
        };
        assert_eq!((&told, ran.len()), (&head, 0));
        assert_eq!(hunks.len(), 1, "{hunks:?}");
        assert_eq!(hunks[0].file, "a.txt");
        for part in ["<<<<<<<", "OURS", "=======", "THEIRS", ">>>>>>>"] {
            assert!(hunks[0].text.contains(part), "{}", hunks[0].text);
        }
        assert!(
            !hunks[0].text.contains("|||||||"),
            "the user's conflict style leaks in"
        );
    }
    assert_eq!(world.at(&integration()), Some(head));
    assert_same(&before, &world.fingerprint());
}

#[tokio::test]
async fn a_deleted_file_is_a_conflict_too() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("b.txt", "edited\n")]);
    let slot = world.pool.prepare(crate::world::S1, &first).await.unwrap().path;
    fs::remove_file(slot.join("b.txt")).unwrap();
    world.git_in(&slot, &["commit", "-q", "-a", "-m", "delete"]);
    let two: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    let end = run(
        &world,
        &request(&world, &two, &first, 6),
        CheckVerdict::Pass,
        |_| {},
    )
    .await
    .0;
    let Ok(LandingEnd::Conflict { hunks, .. }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(
        hunks[0].text,
        "what has landed changed this file, the change deletes it"
    );
}

#[tokio::test]
async fn a_red_integrated_tree_does_not_land_and_is_kept() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1")]);
    let two = world.commit_on(&first, "two", &[("two.txt", "2")]);
    let head = landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    for verdict in [
        CheckVerdict::Fail { extract: "no".into() },
        CheckVerdict::CouldNotRun {
            why: "no shell".into(),
        },
    ] {
        let (end, ran) = run(&world, &request(&world, &two, &first, 6), verdict, |_| {}).await;
        let Ok(LandingEnd::NotGreen {
            rebased,
            head: told,
            report,
        }) = end
        else {
            panic!("{end:?}")
        };
        assert_eq!((ran, &told), (vec![rebased.clone()], &head));
        assert_eq!(report.commit, rebased);
        assert_eq!(
            world.at(&TurnoRef::landing(task(), trailers(6).attempt)),
            Some(rebased)
        );
        assert_eq!(world.at(&integration()), Some(head.clone()));
    }
    // Mended and tried again by the same request: the note of the red try is no proof of a landing.
    let commit = landed(
        run(
            &world,
            &request(&world, &two, &first, 6),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    assert_eq!(world.at(&integration()), Some(commit));
}

#[tokio::test]
async fn a_check_that_is_known_to_be_red_does_not_hold_a_landing_back() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1")]);
    let two = world.commit_on(&first, "two", &[("two.txt", "2")]);
    let head = landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    let red = CheckVerdict::Fail { extract: "no".into() };
    let mut wanted = request(&world, &two, &first, 6);
    wanted.known_red = BTreeSet::from(["lint".parse().unwrap()]);
    let (end, _) = run(&world, &wanted, red.clone(), |_| {}).await;
    assert!(
        matches!(end, Ok(LandingEnd::NotGreen { .. })),
        "another one: {end:?}"
    );
    assert_eq!(world.at(&integration()), Some(head.clone()));

    wanted.known_red = BTreeSet::from(["test".parse().unwrap()]);
    let (end, ran) = run(&world, &wanted, red, |_| {}).await;
    let commit = landed(end);
    assert_eq!(ran, std::slice::from_ref(&commit), "it is run all the same");
    assert_eq!(world.at(&integration()), Some(commit.clone()));
    assert_eq!(world.id(&format!("{commit}^")), head);
}

#[tokio::test]
async fn a_branch_that_moves_meanwhile_is_a_race() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1")]);
    let two = world.commit_on(&first, "two", &[("two.txt", "2")]);
    landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    let head = world.at(&integration()).unwrap();
    let three = world.commit_on(&head, "three", &[("three.txt", "3")]);
    let move_it = |_: &Path| drop(world.user(&["update-ref", integration().full(), three.as_str()]));
    let (end, _) = run(
        &world,
        &request(&world, &two, &first, 6),
        CheckVerdict::Pass,
        move_it,
    )
    .await;
    assert!(
        matches!(&end, Ok(LandingEnd::Raced { head }) if *head == three),
        "{end:?}"
    );
    assert_eq!(world.at(&integration()), Some(three.clone()));
    let delete = |_: &Path| drop(world.user(&["update-ref", "-d", integration().full()]));
    let (end, _) = run(
        &world,
        &request(&world, &two, &first, 6),
        CheckVerdict::Pass,
        delete,
    )
    .await;
    assert!(matches!(end, Ok(LandingEnd::Raced { .. })), "{end:?}");
    assert_eq!(world.at(&integration()), None);
}

#[tokio::test]
async fn a_landing_whose_record_was_lost_is_found_and_not_done_twice() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("a.txt", "landed\n")]);
    let (two, other) = (world.commit_on(&first, "two", &[("two.txt", "2")]), trailers(9));
    let asked = request(&world, &one, &first, 5);
    let commit = landed(run(&world, &asked, CheckVerdict::Pass, |_| {}).await.0);
    assert_eq!(
        landed(run(&world, &asked, CheckVerdict::Pass, |_| {}).await.0),
        commit
    );
    // And when others have landed on top, even on the same lines.
    let on_top = world.commit_on(&commit, "on top", &[("a.txt", "changed again\n")]);
    let others = Request {
        trailers: other,
        ..request(&world, &on_top, &commit, 9)
    };
    let head = landed(run(&world, &others, CheckVerdict::Pass, |_| {}).await.0);
    let (end, ran) = run(&world, &asked, CheckVerdict::Pass, |_| {}).await;
    assert_eq!((landed(end), ran.len()), (commit, 0));
    assert_eq!(world.at(&integration()), Some(head));
    // A message that claims to be another task's landing proves nothing.
    let claim = "x\n\nTurno-Task: 7.2\nTurno-Attempt: a77\n";
    let forged = world.commit_on(&world.at(&integration()).unwrap(), claim, &[("forged.txt", "f")]);
    world.user(&["update-ref", integration().full(), forged.as_str()]);
    let commit = landed(
        run(
            &world,
            &request(&world, &two, &first, 77),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    assert_eq!(world.show(&commit, "two.txt").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_change_that_is_there_already_lands_as_it_is() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1")]);
    let same = world.commit_on(&first, "the same, by another", &[("one.txt", "1")]);
    landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    let head = world.at(&integration()).unwrap();
    let commit = landed(
        run(
            &world,
            &request(&world, &same, &first, 6),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    assert_eq!(commit, head);
    assert_eq!(world.at(&integration()), Some(head));
}

#[tokio::test]
async fn a_red_tree_does_not_land_even_if_the_change_is_there_already() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1"), ("two.txt", "2")]);
    let part = world.commit_on(&first, "a part of it", &[("one.txt", "1")]);
    landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    for _ in 0..2 {
        let red = CheckVerdict::Fail { extract: "no".into() };
        let end = run(&world, &request(&world, &part, &first, 6), red, |_| {})
            .await
            .0;
        assert!(matches!(end, Ok(LandingEnd::NotGreen { .. })), "{end:?}");
    }
}

#[tokio::test]
async fn it_refuses_what_it_cannot_do_safely() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("one.txt", "1")]);
    let two = world.commit_on(&first, "two", &[("two.txt", "2")]);
    let end = run(
        &world,
        &request(&world, &one, &two, 5),
        CheckVerdict::Pass,
        |_| {},
    )
    .await
    .0;
    assert!(matches!(end, Err(Error::NotOnItsBase { .. })), "{end:?}");
    landed(
        run(
            &world,
            &request(&world, &one, &first, 5),
            CheckVerdict::Pass,
            |_| {},
        )
        .await
        .0,
    );
    let other = world.root().join("other");
    world.git_in(&other, &["checkout", "-q", integration().short()]);
    let before = world.fingerprint();
    let end = run(
        &world,
        &request(&world, &two, &first, 6),
        CheckVerdict::Pass,
        |_| {},
    )
    .await
    .0;
    assert!(matches!(end, Err(Error::CheckedOut { .. })), "{end:?}");
    assert_same(&before, &world.fingerprint());
}
