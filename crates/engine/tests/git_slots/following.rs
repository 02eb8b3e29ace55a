//! Following: an integration branch gets what the user's branch has, merged or rebased, proven before it moves; and
//! what is promoted, taken back and promoted again afterwards is the issue's own work and no more.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use rstest::rstest;
use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict, LogRef, Reach, Source};
use turno_core::command::FollowStart;
use turno_core::container::Within;
use turno_core::event::FollowEnd;
use turno_core::following::FollowHow;
use turno_core::ids::{AttemptId, CommitId, RepoName, TreeId};
use turno_core::promotion::{Fork, Manner, Sameness};
use turno_core::units::{MicroUsd, Span};
use turno_engine::follow::{Error, follow};
use turno_engine::git::{Expected, Onto, Planned, PlannedReversal, Promotion, Ready, Reversal, TurnoRef};

use crate::world::{World, assert_same, task};

fn branch() -> TurnoRef {
    TurnoRef::base(task().issue)
}

/// Two commits of an issue on its branch, begun at `main`.
async fn with_landed(world: &World) -> (CommitId, CommitId) {
    let base = world.id("main");
    let head = world.commit_on(&base, "landed", &[("new.txt", "new\n")]);
    let head = world.commit_on(&head, "more", &[("b.txt", "better\n")]);
    let moved = world.repo().move_ref(&branch(), &head, &Expected::Absent).await;
    moved.unwrap();
    (base, head)
}

fn user_commits(world: &World, name: &str, text: &str) -> CommitId {
    fs::write(world.top().join(name), text).unwrap();
    world.user(&["add", "-A"]);
    world.user(&["commit", "-q", "-m", "the user's"]);
    world.id("main")
}

fn start(base: &CommitId, head: &CommitId, onto: &CommitId, how: FollowHow) -> FollowStart {
    FollowStart {
        attempt: AttemptId(9),
        issue: task().issue,
        repo: RepoName::default(),
        branch: "main".to_owned(),
        onto: onto.clone(),
        base: base.clone(),
        since: Some(base.clone()),
        head: head.clone(),
        how,
        checks: vec![Check {
            name: "test".parse().unwrap(),
            command: "true".to_owned(),
            timeout: Span(1000),
            network: Reach::None,
            within: Within::Sandbox,
        }],
        known_red: [].into(),
        reruns: 0,
    }
}

/// Follows and says on which commits the checks ran.
async fn run(
    world: &World,
    start: &FollowStart,
    verdict: CheckVerdict,
    meanwhile: impl Fn(),
) -> (Result<FollowEnd, Error>, Vec<CommitId>) {
    let ran = RefCell::new(Vec::new());
    let checks = async |path: &Path, commit: &CommitId, tree: &TreeId| {
        assert_eq!(world.git_in(path, &["rev-parse", "HEAD"]), commit.as_str());
        ran.borrow_mut().push(commit.clone());
        meanwhile();
        let log = LogRef {
            path: "log".into(),
            bytes: 0,
        };
        CheckReport {
            commit: commit.clone(),
            tree: tree.clone(),
            results: vec![CheckResult {
                command: String::new(),
                within: Within::Sandbox,
                check: "test".parse().unwrap(),
                verdict: verdict.clone(),
                took: Span(1),
                log,
                source: Source::Run,
            }],
        }
    };
    let end = follow(&world.pool, start, checks).await;
    (end, ran.into_inner())
}

async fn followed(world: &World, start: &FollowStart) -> CommitId {
    match run(world, start, CheckVerdict::Pass, || {}).await.0 {
        Ok(FollowEnd::Followed { head }) => head,
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn it_has_both_is_proven_and_touches_nothing_of_the_users(
    #[values(FollowHow::Merge, FollowHow::Rebase)] how: FollowHow,
) {
    let world = World::new();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "own.txt", "own\n");
    let before = world.fingerprint();
    let asked = start(&base, &head, &onto, how);
    let (end, ran) = run(&world, &asked, CheckVerdict::Pass, || {}).await;
    let Ok(FollowEnd::Followed { head: now }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(world.at(&branch()), Some(now.clone()));
    assert_eq!(ran, std::slice::from_ref(&now), "both together were proven");
    for (path, text) in [("own.txt", "own"), ("new.txt", "new"), ("b.txt", "better")] {
        assert_eq!(world.show(&now, path).as_deref().map(str::trim_end), Some(text));
    }
    assert!(world.repo().is_ancestor(&onto, &now).unwrap());
    let landed_stays = world.repo().is_ancestor(&head, &now).unwrap();
    assert_eq!(landed_stays, how == FollowHow::Merge);
    if how == FollowHow::Rebase {
        assert_eq!(world.id(&format!("{now}~2")), onto, "in a line");
        let kept = world.user(&["for-each-ref", "--contains", head.as_str(), "refs/turno/salvage"]);
        assert!(!kept.is_empty(), "what was there is kept");
    }
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);

    // Done again, as after a crash: what is there is proven again, and nothing moves.
    let (end, ran) = run(&world, &asked, CheckVerdict::Pass, || {}).await;
    assert!(matches!(end, Ok(FollowEnd::Followed { head }) if head == now));
    assert_eq!(ran, std::slice::from_ref(&now));
    let asked = start(&onto, &now, &onto, how);
    let (end, ran) = run(&world, &asked, CheckVerdict::Pass, || {}).await;
    assert!(matches!(end, Ok(FollowEnd::Followed { head }) if head == now));
    assert_eq!(ran, [], "there is nothing to do");
}

#[rstest]
#[tokio::test]
async fn what_is_promoted_afterwards_is_the_issues_own_work(
    #[values(FollowHow::Merge, FollowHow::Rebase)] how: FollowHow,
    #[values(Manner::Squash, Manner::Merge, Manner::Rebase)] manner: Manner,
) {
    let world = World::clean();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "own.txt", "own\n");
    let head = followed(&world, &start(&base, &head, &onto, how)).await;
    // Another commit of the user's, and another landing.
    let onto_2 = user_commits(&world, "own2.txt", "own\n");
    let landed = world.commit_on(&head, "last", &[("last.txt", "last\n")]);
    let at = Expected::At(head);
    world.repo().move_ref(&branch(), &landed, &at).await.unwrap();
    let head = followed(&world, &start(&onto, &landed, &onto_2, how)).await;
    let without = tree(&world, "main");

    let (ready, reversal) = promote(&world, manner, Fork::ByHistory).await;
    assert_eq!(ready.sameness, Sameness::Same, "what was proven");
    assert_eq!(ready.fork, onto_2, "counted from what it has followed to");
    assert_eq!(tree(&world, "main"), tree(&world, head.as_str()));
    let own: Vec<_> = ready.commits.iter().map(|c| c.subject.as_str()).collect();
    if manner == Manner::Rebase {
        assert_eq!(own, ["landed", "more", "last"]);
    }
    assert_eq!(world.user(&["status", "--porcelain"]), "");

    let with = tree(&world, "main");
    take_back(&world, &reversal).await;
    assert_eq!(tree(&world, "main"), without);
    promote(&world, manner, Fork::At(ready.fork)).await;
    assert_eq!(tree(&world, "main"), with);
}

#[rstest]
#[tokio::test]
async fn a_conflict_names_the_files_and_moves_nothing(
    #[values(FollowHow::Merge, FollowHow::Rebase)] how: FollowHow,
) {
    let world = World::new();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "b.txt", "otherwise\n");
    let asked = start(&base, &head, &onto, how);
    let (end, ran) = run(&world, &asked, CheckVerdict::Pass, || {}).await;
    let files = vec!["b.txt".to_owned()];
    let expected = FollowEnd::Conflict {
        files,
        head: head.clone(),
    };
    assert_eq!(end.unwrap(), expected);
    assert_eq!(ran, []);
    assert_eq!(world.at(&branch()), Some(head));
}

#[rstest]
#[case::red(CheckVerdict::Fail { extract: "no".to_owned() })]
#[case::unknown(CheckVerdict::CouldNotRun { why: "no".to_owned() })]
#[tokio::test]
async fn what_is_not_green_moves_nothing(#[case] verdict: CheckVerdict) {
    let world = World::new();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "own.txt", "own\n");
    let mut asked = start(&base, &head, &onto, FollowHow::Merge);
    let (end, _) = run(&world, &asked, verdict.clone(), || {}).await;
    assert!(matches!(end, Ok(FollowEnd::NotGreen { head: at, .. }) if at == head));
    assert_eq!(world.at(&branch()), Some(head.clone()));
    // What was red before does not hold it back.
    asked.known_red = ["test".parse().unwrap()].into();
    let (end, _) = run(&world, &asked, verdict, || {}).await;
    assert!(matches!(end, Ok(FollowEnd::Followed { .. })), "{end:?}");
}

#[tokio::test]
async fn a_branch_that_moves_meanwhile_is_left_as_it_is() {
    let world = World::new();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "own.txt", "own\n");
    let other = world.commit_on(&head, "somebody's", &[("x.txt", "x\n")]);
    let asked = start(&base, &head, &onto, FollowHow::Merge);
    let meanwhile = || drop(world.user(&["update-ref", branch().full(), other.as_str()]));
    let (end, _) = run(&world, &asked, CheckVerdict::Pass, meanwhile).await;
    let expected = FollowEnd::Raced { head: other.clone() };
    assert_eq!(end.unwrap(), expected);
    assert_eq!(world.at(&branch()), Some(other));
}

#[tokio::test]
async fn with_nothing_of_its_own_it_begins_anew_and_makes_nothing() {
    let world = World::new();
    let base = world.id("main");
    let onto = user_commits(&world, "own.txt", "own\n");
    let refs = world.user(&["for-each-ref"]);
    let (end, ran) = run(
        &world,
        &start(&base, &base, &onto, FollowHow::Merge),
        CheckVerdict::Pass,
        || {},
    )
    .await;
    let expected = FollowEnd::Followed { head: onto.clone() };
    assert_eq!((end.unwrap(), ran), (expected, vec![onto.clone()]));
    assert_eq!(world.user(&["for-each-ref"]), refs);
    // One that began on commits of others is theirs too: from now on it is known by its branch.
    let mut asked = start(&base, &base, &onto, FollowHow::Merge);
    asked.since = None;
    assert_eq!(followed(&world, &asked).await, onto);
    assert_eq!(world.at(&branch()), Some(onto));
}

#[tokio::test]
async fn with_nothing_of_its_own_it_does_not_begin_on_what_is_red() {
    let world = World::new();
    let base = world.id("main");
    let onto = user_commits(&world, "own.txt", "own\n");
    let asked = start(&base, &base, &onto, FollowHow::Merge);
    let red = CheckVerdict::Fail {
        extract: "no".to_owned(),
    };
    let (end, _) = run(&world, &asked, red, || {}).await;
    assert!(matches!(end, Ok(FollowEnd::NotGreen { head: at, .. }) if at == base));
    assert_eq!(world.at(&branch()), None);
}

#[tokio::test]
async fn a_branch_that_goes_meanwhile_takes_nothing_from_what_is_known() {
    let world = World::new();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "own.txt", "own\n");
    let asked = start(&base, &head, &onto, FollowHow::Merge);
    let meanwhile = || drop(world.user(&["update-ref", "-d", branch().full()]));
    let (end, _) = run(&world, &asked, CheckVerdict::Pass, meanwhile).await;
    assert!(
        matches!(&end, Err(Error::Gone { head: at, .. }) if *at == head),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_branch_that_went_back_is_not_followed() {
    let world = World::new();
    let first = world.id("main");
    user_commits(&world, "dropped.txt", "no\n");
    let (base, head) = with_landed(&world).await;
    world.user(&["reset", "-q", "--hard", first.as_str()]);
    for how in [FollowHow::Merge, FollowHow::Rebase] {
        let (end, _) = run(
            &world,
            &start(&base, &head, &first, how),
            CheckVerdict::Pass,
            || {},
        )
        .await;
        assert!(
            matches!(end, Ok(FollowEnd::Rewritten { lost, .. }) if lost == base),
            "{how:?}"
        );
    }
    assert_eq!(world.at(&branch()), Some(head));
}

#[tokio::test]
async fn a_rewritten_branch_is_rebased_onto_and_never_merged() {
    let world = World::new();
    let first = world.id("main");
    let dropped = user_commits(&world, "dropped.txt", "no\n");
    let (base, head) = with_landed(&world).await;
    assert_eq!(base, dropped);
    world.user(&["reset", "-q", "--hard", first.as_str()]);
    let onto = user_commits(&world, "own.txt", "own\n");
    let (end, _) = run(
        &world,
        &start(&base, &head, &onto, FollowHow::Merge),
        CheckVerdict::Pass,
        || {},
    )
    .await;
    let expected = FollowEnd::Rewritten {
        lost: base.clone(),
        head: head.clone(),
    };
    assert_eq!(end.unwrap(), expected);
    assert_eq!(world.at(&branch()), Some(head.clone()));

    let now = followed(&world, &start(&base, &head, &onto, FollowHow::Rebase)).await;
    assert_eq!(world.show(&now, "dropped.txt"), None);
    assert_eq!(world.id(&format!("{now}~2")), onto);
}

#[tokio::test]
async fn a_checkout_of_the_branch_or_its_loss_is_said() {
    let world = World::new();
    let (base, head) = with_landed(&world).await;
    let onto = user_commits(&world, "own.txt", "own\n");
    let other = world.root().join("looks");
    let path = other.to_str().unwrap();
    world.user(&["worktree", "add", "-q", path, branch().short()]);
    let asked = start(&base, &head, &onto, FollowHow::Merge);
    let (end, _) = run(&world, &asked, CheckVerdict::Pass, || {}).await;
    assert!(matches!(end, Err(Error::CheckedOut { .. })), "{end:?}");
    world.user(&["worktree", "remove", "--force", path]);
    world.user(&["update-ref", "-d", branch().full()]);
    let (end, _) = run(&world, &asked, CheckVerdict::Pass, || {}).await;
    assert!(matches!(end, Err(Error::Gone { .. })), "{end:?}");
}

fn tree(world: &World, rev: &str) -> String {
    world.user(&["rev-parse", &format!("{rev}^{{tree}}")])
}

async fn promote(world: &World, manner: Manner, fork: Fork) -> (Ready, Reversal) {
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
        before: ready.target.tip.clone(),
        commit: ready.commit.clone(),
    };
    (ready, reversal)
}

async fn take_back(world: &World, reversal: &Reversal) {
    let planned = world.repo().plan_reversal(reversal).await.unwrap();
    let PlannedReversal::Ready { target, commit } = planned else {
        panic!("{planned:?}")
    };
    let repo = world.repo();
    repo.take_back(task().issue, &target, &commit).await.unwrap();
}
