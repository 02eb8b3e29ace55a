//! Files of one commit laid over a slot at another: exactly these, and nothing of it stays.

use std::collections::BTreeSet;
use std::fs;

use crate::world::{S1, World, assert_same};

fn paths(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[tokio::test]
async fn the_named_files_and_no_others_come_from_the_other_commit() {
    let world = World::new();
    let before = world.fingerprint();
    let base = world.id("main");
    let change = world.commit_on(
        &base,
        "change",
        &[
            ("src/lib.rs", "fn g() {}\n"),
            ("tests/new.rs", "new\n"),
            ("a.txt", "changed\n"),
            ("*.txt", "a name like a pattern\n"),
            ("-q", "a name like a flag\n"),
        ],
    );
    let maker = world.root().join("maker");
    fs::remove_file(maker.join("b.txt")).unwrap();
    world.git_in(&maker, &["commit", "-qam", "without b"]);
    let without_b = world.git_in(&maker, &["rev-parse", "HEAD"]);
    let spec = format!("{without_b}:refs/turno/test/b");
    world.user(&[
        "fetch",
        "-q",
        "--no-write-fetch-head",
        maker.to_str().unwrap(),
        &spec,
    ]);
    let change_without_b = without_b.parse().unwrap();
    assert_ne!(change, change_without_b);

    let slot = world.pool.prepare(S1, &base).await.unwrap().path;
    let read = |name: &str| fs::read_to_string(slot.join(name)).ok();
    let laid = paths(&["tests/new.rs", "b.txt", "-q", "*.txt", "never/was.rs"]);
    let tree = world.pool.lay_over(S1, &change_without_b, &laid).await.unwrap();
    assert_eq!(read("tests/new.rs").as_deref(), Some("new\n"));
    assert_eq!(read("-q").as_deref(), Some("a name like a flag\n"));
    assert_eq!(read("*.txt").as_deref(), Some("a name like a pattern\n"));
    assert_eq!(read("b.txt"), None, "it is missing in the commit");
    assert_eq!(read("src/lib.rs").as_deref(), Some("fn f() {}\n"), "not named");
    assert_eq!(read("a.txt").as_deref(), Some("one\ntwo\nthree\n"), "not named");
    let listed = world.user(&["ls-tree", "-r", "--name-only", tree.as_str()]);
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        ["*.txt", "-q", ".gitignore", "a.txt", "src/lib.rs", "tests/new.rs"]
    );

    // A check leaves something behind. Afterwards the slot is as if nothing had been there.
    fs::write(slot.join("report.xml"), "x").unwrap();
    world.pool.discard(S1, &base).await.unwrap();
    assert_eq!(world.git_in(&slot, &["status", "--porcelain"]), "");
    assert_eq!(world.git_in(&slot, &["rev-parse", "HEAD"]), base.as_str());
    let prepared = world.pool.prepare(S1, &change_without_b).await.unwrap();
    assert_eq!(prepared.salvaged, [], "it is nobody's work");
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn a_directory_where_a_file_was_is_laid_over_too() {
    let world = World::clean();
    let base = world.commit_on(&world.id("main"), "base", &[("suite", "one file\n")]);
    let maker = world.root().join("maker");
    fs::remove_file(maker.join("suite")).unwrap();
    fs::create_dir(maker.join("suite")).unwrap();
    fs::write(maker.join("suite/one.rs"), "in a directory\n").unwrap();
    fs::write(maker.join("other"), "x").unwrap();
    world.git_in(&maker, &["add", "-A"]);
    world.git_in(&maker, &["commit", "-q", "-m", "a directory"]);
    let spec = "HEAD:refs/turno/test/dir";
    world.user(&[
        "fetch",
        "-q",
        "--no-write-fetch-head",
        maker.to_str().unwrap(),
        spec,
    ]);
    let head = world.id("refs/turno/test/dir");

    let slot = world.pool.prepare(S1, &base).await.unwrap().path;
    let laid = paths(&["suite", "suite/one.rs"]);
    world.pool.lay_over(S1, &head, &laid).await.unwrap();
    assert_eq!(
        fs::read_to_string(slot.join("suite/one.rs")).unwrap(),
        "in a directory\n"
    );
    assert!(!slot.join("other").exists());
}
