//! Opening: where an issue begins, on the user's branch, on one head, or on several.

use rstest::rstest;
use turno_core::ids::{CommitId, IssueId};
use turno_engine::git::TurnoRef;
use turno_engine::open::{Error, Opened, open};

use crate::world::{World, assert_same};

const ISSUE: IssueId = IssueId(7);

fn begun(opened: Result<Opened, Error>) -> CommitId {
    match opened {
        Ok(Opened::At { base, .. }) => base,
        other => panic!("{other:?}"),
    }
}

fn parents(world: &World, commit: &CommitId) -> Vec<String> {
    let line = world.user(&["log", "-1", "--format=%P", commit.as_str()]);
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn without_heads_it_begins_on_the_users_branch_and_makes_nothing() {
    let world = World::new();
    let before = world.fingerprint();
    let refs = world.user(&["for-each-ref"]);
    assert_eq!(begun(open(world.repo(), ISSUE, &[]).await), world.id("main"));
    assert_eq!(world.user(&["for-each-ref"]), refs);
    assert_same(&before, &world.fingerprint());
}

#[rstest]
#[case::one(&["late"])]
#[case::the_later_one_first(&["late", "early"])]
#[case::the_earlier_one_first(&["early", "late"])]
#[tokio::test]
async fn one_head_that_contains_the_others_is_where_it_begins(#[case] on: &[&str]) {
    let world = World::new();
    let before = world.fingerprint();
    let early = world.commit_on(&world.id("main"), "early", &[("early.txt", "1")]);
    let late = world.commit_on(&early, "late", &[("late.txt", "1")]);
    let on: Vec<CommitId> = on
        .iter()
        .map(|name| if *name == "late" { &late } else { &early })
        .cloned()
        .collect();
    assert_eq!(begun(open(world.repo(), ISSUE, &on).await), late);
    assert_eq!(world.at(&TurnoRef::base(ISSUE)), Some(late));
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn several_heads_are_merged_once() {
    let world = World::new();
    let before = world.fingerprint();
    let main = world.id("main");
    let a = world.commit_on(&main, "a", &[("a.txt", "ONE\ntwo\nthree\n")]);
    let b = world.commit_on(&main, "b", &[("a.txt", "one\ntwo\nTHREE\n"), ("new.txt", "b")]);
    let c = world.commit_on(&main, "c", &[("c.txt", "c")]);
    let on = [a.clone(), main.clone(), b.clone(), c.clone()];
    let base = begun(open(world.repo(), ISSUE, &on).await);
    assert_eq!(
        world.show(&base, "a.txt").unwrap(),
        "ONE\ntwo\nTHREE\n",
        "both sides of one file"
    );
    assert_eq!(world.show(&base, "new.txt").unwrap(), "b");
    assert_eq!(world.show(&base, "c.txt").unwrap(), "c");
    assert_eq!(parents(&world, &base).last(), Some(&c.to_string()));
    assert_eq!(world.at(&TurnoRef::base(ISSUE)), Some(base.clone()));
    let text = world.user(&["log", "-1", "--format=%an <%ae>%n%cn%n%B", base.as_str()]);
    assert!(
        text.starts_with("Turno <turno@localhost>\nTurno\nBegin issue 7 "),
        "{text}"
    );
    assert!(text.ends_with("Turno-Issue: 7"), "{text}");

    // After a crash it is asked again: nobody knows whether it was done.
    let again = begun(open(world.repo(), ISSUE, &on).await);
    assert_eq!(again, base, "what was begun is found, not made a second time");

    // One more is needed since: what was begun before nobody worked on is no hindrance.
    let d = world.commit_on(&main, "d", &[("d.txt", "d")]);
    let more = begun(open(world.repo(), ISSUE, &[d, c, b, a]).await);
    assert_eq!(world.show(&more, "d.txt").unwrap(), "d");
    assert_eq!(world.at(&TurnoRef::base(ISSUE)), Some(more));
    let kept = world.user(&["for-each-ref", "refs/turno/salvage", "--format=%(objectname)"]);
    assert_eq!(kept, base.as_str(), "nothing that was made is lost");
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn heads_that_conflict_are_named_with_their_files_and_nothing_is_begun() {
    let world = World::new();
    let main = world.id("main");
    let a = world.commit_on(&main, "a", &[("a.txt", "A\n"), ("src/lib.rs", "// a\n")]);
    let b = world.commit_on(&main, "b", &[("a.txt", "B\n"), ("src/lib.rs", "// b\n")]);
    let refs = world.user(&["for-each-ref"]);
    let opened = open(world.repo(), ISSUE, &[a, b.clone()]).await.unwrap();
    let files = vec!["a.txt".to_owned(), "src/lib.rs".to_owned()];
    assert_eq!(opened, Opened::Conflict { head: b, files });
    assert_eq!(world.user(&["for-each-ref"]), refs);
}

#[tokio::test]
async fn a_checkout_of_the_branch_and_a_head_that_is_gone_are_errors() {
    let world = World::clean();
    let main = world.id("main");
    let a = world.commit_on(&main, "a", &[("n.txt", "a")]);
    let gone: CommitId = "1".repeat(40).parse().unwrap();
    let error = open(world.repo(), ISSUE, &[a.clone(), gone.clone()])
        .await
        .unwrap_err();
    assert!(error.to_string().contains(gone.as_str()), "{error}");
    world.user(&["checkout", "-q", "-b", "turno/7/base"]);
    let error = open(world.repo(), ISSUE, &[a]).await.unwrap_err();
    assert!(matches!(error, Error::CheckedOut { .. }), "{error}");
    assert_eq!(world.id("turno/7/base"), main);
}
