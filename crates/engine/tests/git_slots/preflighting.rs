//! Whether changes would merge, seen before anybody merges them: what is found, and that nothing of the user's is
//! touched, run or filled up by it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rstest::rstest;
use turno_core::foresight::{Files, Found};
use turno_core::ids::CommitId;

use crate::lending::{Loan, Way, commit};
use crate::world::{World, assert_same};

/// A commit on top of `parent`: what a script does to the files.
fn change(world: &World, parent: &CommitId, script: &str) -> CommitId {
    let start = world.commit_on(parent, "start", &[]);
    let maker = world.root().join("maker");
    world.git_in(&maker, &["checkout", "-q", "-f", "--detach", parent.as_str()]);
    let done = Command::new("/bin/sh")
        .args(["-ec", script])
        .current_dir(&maker)
        .status();
    assert!(done.unwrap().success(), "{script}");
    world.git_in(&maker, &["add", "-A"]);
    world.git_in(&maker, &["commit", "-q", "-m", script]);
    let made: CommitId = world.git_in(&maker, &["rev-parse", "HEAD"]).parse().unwrap();
    assert_ne!(made, start);
    let spec = format!("{made}:refs/turno/test/{made}");
    world.user(&[
        "-c",
        "gc.auto=0",
        "fetch",
        "-q",
        "--no-write-fetch-head",
        maker.to_str().unwrap(),
        &spec,
    ]);
    made
}

fn scratch(world: &World) -> PathBuf {
    world.root().join("state/preflight")
}

async fn look(world: &World, one: &CommitId, others: &[CommitId]) -> Vec<Found> {
    world.repo().preflight(one, others, &scratch(world)).await
}

fn clash(names: &[&str]) -> Found {
    Found::Clashes(Files {
        named: names.iter().map(|n| (*n).to_owned()).collect(),
        more: 0,
    })
}

fn loose_objects(world: &World) -> usize {
    let count = world.user(&["count-objects"]);
    count.split_whitespace().next().unwrap().parse().unwrap()
}

const PLAIN: &str = "printf 'one\\ntwo\\nTHREE\\n' > a.txt";

#[rstest]
#[case::another_file(PLAIN, "echo c > c.txt", None)]
#[case::the_same_change(PLAIN, PLAIN, None)]
#[case::the_same_line(PLAIN, "printf 'one\\ntwo\\n3\\n' > a.txt", Some(&["a.txt"][..]))]
#[case::renamed_and_changed("git mv a.txt moved.txt", PLAIN, None)]
#[case::renamed_and_deleted("git mv a.txt moved.txt", "git rm -q a.txt", Some(&["moved.txt"][..]))]
#[case::changed_and_deleted(PLAIN, "git rm -q a.txt", Some(&["a.txt"][..]))]
#[case::both_add("echo one > new.txt", "echo two > new.txt", Some(&["new.txt"][..]))]
#[case::binary("printf 'a\\0b' > b.txt", "printf 'a\\0c' > b.txt", Some(&["b.txt"][..]))]
#[case::odd_names(
    "echo one > \"$(printf 'x\\ny z')\"",
    "echo two > \"$(printf 'x\\ny z')\"",
    Some(&["x\ny z"][..])
)]
#[tokio::test]
async fn what_would_not_merge_is_named(
    #[case] one: &str,
    #[case] other: &str,
    #[case] files: Option<&[&str]>,
) {
    let world = World::new();
    let main = world.id("main");
    let (one, other) = (change(&world, &main, one), change(&world, &main, other));
    let (before, objects) = (world.fingerprint(), loose_objects(&world));
    let refs = world.user(&["for-each-ref"]);
    let expected = files.map_or(Found::Merges, clash);
    for (a, b) in [(&one, &other), (&other, &one)] {
        assert_eq!(
            look(&world, a, std::slice::from_ref(b)).await,
            std::slice::from_ref(&expected)
        );
    }
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.user(&["for-each-ref"]), refs);
    assert_eq!(
        loose_objects(&world),
        objects,
        "what was tried is in the user's repository"
    );
    assert!(!scratch(&world).exists());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn each_of_many_has_its_answer_also_behind_one_that_is_not_there() {
    let world = World::new();
    let main = world.id("main");
    let one = change(&world, &main, PLAIN);
    let against = change(&world, &main, "printf 'one\\ntwo\\n3\\n' > a.txt");
    let beside = change(&world, &main, "echo c > c.txt");
    let gone: CommitId = "1".repeat(40).parse().unwrap();
    let blob: CommitId = world.user(&["rev-parse", "main:b.txt"]).parse().unwrap();
    let rivals = [gone.clone(), against, blob, main, gone, beside];
    let found = look(&world, &one, &rivals).await;
    let [
        Found::Unseen { why },
        clashes,
        Found::Unseen { .. },
        Found::Merges,
        Found::Unseen { .. },
        Found::Merges,
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!(*clashes, clash(&["a.txt"]));
    assert!(why.contains("1111"), "{why}");
    assert_eq!(look(&world, &one, &[]).await, []);
}

#[tokio::test]
async fn nothing_that_somebody_planted_or_configured_runs() {
    let world = World::new();
    let main = world.id("main");
    let everything = "* merge=evil filter=evil diff=evil\n";
    let one = world.commit_on(
        &main,
        "one",
        &[(".gitattributes", everything), ("c.txt", "one\n")],
    );
    let two = world.commit_on(
        &main,
        "two",
        &[(".gitattributes", everything), ("c.txt", "two\n")],
    );
    let ran = world.root().join("home/something-ran");
    let program = world.root().join("home/evil");
    fs::write(&program, format!("#!/bin/sh\ntouch {}\nexit 0\n", ran.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let evil = program.to_str().unwrap();
    let settings = [
        ("merge.evil.driver", evil),
        ("merge.default", "evil"),
        ("filter.evil.clean", evil),
        ("filter.evil.smudge", evil),
        ("diff.evil.textconv", evil),
        ("merge.renormalize", "true"),
    ];
    for (name, value) in settings {
        world.user(&["config", name, value]);
        world.user(&["config", "--global", name, value]);
    }
    let home = world.root().join("home/.config/git");
    for dir in [world.top().join(".git/info"), home] {
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("attributes"), everything).unwrap();
    }
    // The trap is armed: git as the user runs it falls into it.
    world.user(&["merge-tree", "--write-tree", one.as_str(), two.as_str()]);
    assert!(ran.exists());
    fs::remove_file(&ran).unwrap();
    assert_eq!(look(&world, &one, &[two]).await, [clash(&["c.txt"])]);
    assert!(!ran.exists());
}

#[tokio::test]
async fn gits_own_drivers_do_what_they_do_at_a_landing() {
    let world = World::new();
    let main = world.id("main");
    let head = world.commit_on(
        &main,
        "head",
        &[(".gitattributes", "LOG.md merge=union\n"), ("LOG.md", "0\n")],
    );
    let one = world.commit_on(&head, "one", &[("LOG.md", "0\n1\n")]);
    let two = world.commit_on(&head, "two", &[("LOG.md", "0\n2\n")]);
    assert_eq!(
        look(&world, &one, &[head, two]).await,
        [Found::Merges, Found::Merges]
    );
}

#[tokio::test]
async fn what_an_agent_committed_in_a_lent_slot_is_seen_once_it_is_taken_over() {
    let loan = Loan::new().await;
    let world = &loan.world;
    let against = change(world, &loan.first, "printf 'one\\ntwo\\n3\\n' > a.txt");
    let script = format!("{PLAIN}; git add -A; git commit -qm mine; git rev-parse HEAD");
    let made: CommitId = loan.run(Way::Told, &script).unwrap().parse().unwrap();
    // It is in the object directory of the slot alone: that it cannot be seen is said.
    let found = look(world, &made, std::slice::from_ref(&against)).await;
    assert!(matches!(&found[..], [Found::Unseen { .. }]), "{found:?}");
    loan.back().await;
    let collected = loan.collect().await;
    assert_eq!(*commit(&collected), made);
    assert_eq!(look(world, &made, &[against]).await, [clash(&["a.txt"])]);
}

#[tokio::test]
async fn what_an_earlier_look_left_is_removed_first() {
    let world = World::new();
    let main = world.id("main");
    let one = change(&world, &main, PLAIN);
    let old = scratch(&world);
    fs::create_dir_all(old.join("objects/info")).unwrap();
    fs::write(old.join("objects/info/alternates"), "/nowhere\n").unwrap();
    fs::write(old.join("config"), "[core]\n\tbare = maybe\n").unwrap();
    assert_eq!(look(&world, &one, &[main]).await, [Found::Merges]);
    assert!(!old.exists());
}
