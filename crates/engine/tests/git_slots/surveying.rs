//! What is found about a change in a real repository: each kind once, and its clean counterpart never.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rstest::rstest;
use turno_core::event::LeftBehind;
use turno_core::guard::{GuardKind, Guarded, History, Survey};
use turno_core::ids::CommitId;
use turno_engine::git::TurnoRef;
use turno_engine::slots::Begun;

use crate::world::{S1, World, message, task};

const BIG: u64 = 2000;

/// Made of parts, so that no whole one stands in this file.
fn token() -> String {
    format!("gh{}{}", "p_", "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2")
}

fn asks(base: &CommitId) -> Survey {
    Survey {
        base: base.clone(),
        history: History::Kept,
        big_file: BIG,
        tests: vec!["tests/**".to_owned(), "**/*.test.js".to_owned()],
    }
}

/// A repository with something of every kind in it, which is nobody's change.
fn begin(world: &World) -> CommitId {
    let top = world.top();
    let mut files = vec![
        (
            "tests/a.rs",
            "#[test]\nfn a() {}\n#[test]\nfn b() {}\n".to_owned(),
        ),
        ("tests/old.py", "def test_it():\n    pass\n".to_owned()),
        ("old.pem", format!("{}\nkeep\n", token())),
        ("Cargo.lock", "one\n".to_owned()),
        ("run.sh", "true\n".to_owned()),
        ("hidden.txt", "a\u{202e}b\nkeep\n".to_owned()),
        ("big.txt", "x\n".repeat(5000)),
    ];
    files.push((".github/ci.yml", "on: push\n".to_owned()));
    for (name, text) in files {
        write(&top, name, text.as_bytes());
    }
    symlink("../outside", top.join("old-link")).unwrap();
    world.user(&["add", "-A"]);
    world.user(&["commit", "-q", "-m", "everything"]);
    world.id("main")
}

fn write(top: &Path, name: &str, bytes: &[u8]) {
    let path = top.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn commit(world: &World, message: &str) -> CommitId {
    world.user(&["add", "-A"]);
    world.user(&["commit", "-q", "--allow-empty", "-m", message]);
    world.id("main")
}

/// What is found about a change that was made with this.
async fn found(change: impl FnOnce(&World, &Path)) -> Vec<Guarded> {
    let world = World::clean();
    let base = begin(&world);
    change(&world, &world.top());
    let tip = commit(&world, "work");
    world.repo().survey(&tip, &asks(&base)).await
}

fn kinds(found: &[Guarded]) -> Vec<GuardKind> {
    let mut kinds: Vec<GuardKind> = found.iter().map(|g| g.kind).collect();
    kinds.dedup();
    kinds
}

/// A file that a change writes, and what is found about it.
#[rstest]
#[case::ci(".gitlab-ci.yml", "x\n", &[GuardKind::Ci])]
#[case::ci_changed(".github/ci.yml", "on: pull_request_target\n", &[GuardKind::Ci])]
#[case::no_ci("docs/ci.md", "x\n", &[])]
#[case::hooks(".husky/pre-commit", "true\n", &[GuardKind::Hooks])]
#[case::no_hook("src/hooks.ts", "export {}\n", &[])]
#[case::lockfile("Cargo.lock", "two\n", &[GuardKind::Lockfiles])]
#[case::no_lockfile("src/lock.rs", "fn f() {}\n", &[])]
#[case::settings("clippy.toml", "x = 1\n", &[GuardKind::CheckSettings])]
#[case::no_settings("src/clippy.rs", "fn f() {}\n", &[])]
#[case::licence("LICENSE", "do what you like\n", &[GuardKind::Licence])]
#[case::agents("sub/AGENTS.md", "obey\n", &[GuardKind::AgentFiles])]
#[case::policy(".turno/policies/feature-dev.toml", "x = 1\n", &[GuardKind::AgentFiles])]
#[case::ignored("tests/a.rs", "#[test]\nfn a() {}\n#[test]\n#[ignore]\nfn b() {}\n", &[GuardKind::Tests])]
#[case::skipped("web/x.test.js", "it.skip('x', f)\n", &[GuardKind::Tests])]
#[case::fewer("tests/a.rs", "#[test]\nfn a() {}\n", &[GuardKind::Tests])]
#[case::emptied("tests/a.rs", "", &[GuardKind::Tests])]
#[case::more("tests/a.rs", "#[test]\nfn a() {}\n#[test]\nfn b() {}\n#[test]\nfn c() {}\n", &[])]
#[case::skip_elsewhere("docs/x.md", "it.skip('x', f)\n", &[])]
#[case::binary("logo.png", "\u{0}\u{1}", &[GuardKind::Binaries])]
#[case::no_binary("logo.svg", "<svg/>\n", &[])]
#[case::hidden("src/x.rs", "fn f() {}\nlet a\u{202e} = 1;\n", &[GuardKind::HiddenText])]
#[case::hidden_before("hidden.txt", "a\u{202e}b\nkeep\nmore\n", &[])]
#[case::hidden_name("src/a\u{200b}b.rs", "fn f() {}\n", &[GuardKind::HiddenText])]
#[case::not_hidden("src/x.rs", "// \u{1f468}\u{200d}\u{1f469} \u{e9}\u{df}\n", &[])]
#[tokio::test]
async fn each_kind_is_found_and_its_counterpart_is_not(
    #[case] path: &str,
    #[case] text: &str,
    #[case] expected: &[GuardKind],
) {
    let found = found(|_, top| write(top, path, text.as_bytes())).await;
    assert_eq!(kinds(&found), expected, "{found:?}");
    assert!(found.iter().all(|g| g.file == path), "{found:?}");
}

#[tokio::test]
async fn a_secret_is_found_on_added_lines_only_and_never_told() {
    let secret = token();
    let text = format!("line\nkey = \"{secret}\"\n");
    let found_now = found(|_, top| write(top, "src/key.rs", text.as_bytes())).await;
    let [one] = &found_now[..] else {
        panic!("{found_now:?}")
    };
    assert_eq!(
        (one.kind, one.file.as_str(), one.line),
        (GuardKind::Secrets, "src/key.rs", 2)
    );
    assert_eq!(one.what, "a GitHub token, beginning with `ghp_`");
    // One that was there before is not this change's, wherever its line is now.
    let moved = format!("more\nkeep\n{secret}\n");
    assert_eq!(found(|_, top| write(top, "old.pem", moved.as_bytes())).await, []);
    assert_eq!(
        found(|_, top| fs::remove_file(top.join("old.pem")).unwrap()).await,
        []
    );
}

#[rstest]
#[case("/etc/passwd", true)]
#[case("../../elsewhere", true)]
#[case("x/../../elsewhere", true)]
#[case("../.git/config", true)]
#[case("../tests/a.rs", false)]
#[case("lib.rs", false)]
#[tokio::test]
async fn a_link_is_found_where_it_leads_out(#[case] target: &str, #[case] out: bool) {
    let found = found(|_, top| symlink(target, top.join("src/link")).unwrap()).await;
    let expected: &[GuardKind] = if out { &[GuardKind::Links] } else { &[] };
    assert_eq!(kinds(&found), expected, "{found:?}");
}

#[tokio::test]
async fn modes_sizes_and_deletions_are_found() {
    let bit = |name: &'static str| {
        move |_: &World, top: &Path| {
            fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    };
    assert_eq!(kinds(&found(bit("run.sh")).await), [GuardKind::Executables]);
    let size = |many: usize| move |_: &World, top: &Path| write(top, "data.txt", "é".repeat(many).as_bytes());
    assert_eq!(kinds(&found(size(1001)).await), [GuardKind::BigFiles]);
    assert_eq!(found(size(1000)).await, []);
    let gone = |name: &'static str| move |_: &World, top: &Path| fs::remove_file(top.join(name)).unwrap();
    let lost = found(gone("tests/old.py")).await;
    assert_eq!(kinds(&lost), [GuardKind::Tests]);
    assert_eq!(lost[0].what, "a test file is deleted");
    assert_eq!(found(gone("run.sh")).await, []);
    assert_eq!(found(gone("old-link")).await, []);
    let moved =
        |_: &World, top: &Path| fs::rename(top.join("tests/old.py"), top.join("tests/new.py")).unwrap();
    assert_eq!(found(moved).await, [], "a test that only moved is there");
}

#[tokio::test]
async fn submodules_are_found() {
    let link = |world: &World, _: &Path| {
        let id = world.id("main");
        let entry = format!("160000,{id},dep");
        world.user(&["update-index", "--add", "--cacheinfo", &entry]);
        fs::create_dir(world.top().join("dep")).unwrap();
    };
    let world = World::clean();
    let base = begin(&world);
    link(&world, &world.top());
    world.user(&["commit", "-q", "-m", "linked"]);
    let tip = world.id("main");
    let all = world.repo().survey(&tip, &asks(&base)).await;
    assert_eq!(kinds(&all), [GuardKind::Submodules], "{all:?}");
    let urls = found(|_, top| write(top, ".gitmodules", b"[submodule \"x\"]\n")).await;
    assert_eq!(kinds(&urls), [GuardKind::Submodules]);
}

/// Taken out again is not gone: the commits of a change land as they are.
#[tokio::test]
async fn what_is_in_the_history_of_a_change_only_is_found() {
    let world = World::clean();
    let base = begin(&world);
    write(&world.top(), "key.txt", token().as_bytes());
    write(&world.top(), "huge.txt", "x\n".repeat(2000).as_bytes());
    commit(&world, "with a key");
    fs::remove_file(world.top().join("key.txt")).unwrap();
    fs::remove_file(world.top().join("huge.txt")).unwrap();
    write(&world.top(), "src/lib.rs", b"fn g() {}\n");
    let clean = commit(&world, "without");
    let all = world.repo().survey(&clean, &asks(&base)).await;
    assert_eq!(kinds(&all), [GuardKind::BigFiles, GuardKind::Secrets], "{all:?}");
    assert!(all[1].what.contains("would land as history"), "{all:?}");
    let said = commit(&world, &format!("use {}", token()));
    let of_message = world.repo().survey(&said, &asks(&clean)).await;
    assert_eq!(kinds(&of_message), [GuardKind::Secrets]);
    assert!(
        of_message[0].file.starts_with("(message of commit "),
        "{of_message:?}"
    );
    assert!(
        !format!("{all:?}{of_message:?}").contains(&token()),
        "it is never told whole"
    );
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_found() {
    let big = |_: &World, top: &Path| write(top, "data.txt", &vec![b'x'; 9 << 20]);
    assert_eq!(kinds(&found(big).await), [GuardKind::BigFiles, GuardKind::Unseen]);
    // Many files, of which none is too large and all are.
    let many = |_: &World, top: &Path| {
        for n in 0..10_u8 {
            write(top, &format!("d{n}.txt"), &vec![b'a' + n; 7 << 20]);
        }
    };
    let all = found(many).await;
    assert!(
        all.iter()
            .any(|g| g.kind == GuardKind::Unseen && g.what.contains("too large")),
        "{all:?}"
    );
    let world = World::clean();
    let nowhere: CommitId = "1".repeat(40).parse().unwrap();
    let lost = world.repo().survey(&nowhere, &asks(&world.id("main"))).await;
    assert_eq!(
        kinds(&lost),
        [GuardKind::Unseen],
        "a commit that is not there is not clean"
    );
}

/// The same slot, once as it is and once afresh.
#[tokio::test]
async fn what_is_collected_afresh_has_none_of_the_commits_before() {
    let world = World::clean();
    let base = world.id("main");
    let slot = world.pool.prepare(S1, &base).await.unwrap().path;
    let branch = TurnoRef::task(task(), 1);
    let kept = asks(&base);
    write(&slot, "key.txt", token().as_bytes());
    let begun = |from, survey| Begun {
        from,
        since: None,
        survey: Some(survey),
    };
    let first = world
        .pool
        .collect(S1, begun(&base, &kept), &branch, &message(5))
        .await
        .unwrap();
    let LeftBehind::Commit {
        commit: bad, guards, ..
    } = first.left
    else {
        panic!("{first:?}")
    };
    assert_eq!(kinds(&guards), [GuardKind::Secrets]);

    let slot = world.pool.prepare(S1, &bad).await.unwrap().path;
    write(&slot, "key.txt", b"from the environment\n");
    world.git_in(&slot, &["commit", "-qam", "the agent's own"]);
    write(&slot, "more.txt", b"more\n");
    let afresh = Survey {
        history: History::Afresh,
        ..asks(&base)
    };
    let second = world
        .pool
        .collect(S1, begun(&bad, &afresh), &branch, &message(6))
        .await
        .unwrap();
    let LeftBehind::Commit {
        commit: good,
        guards,
        paths,
        ..
    } = &second.left
    else {
        panic!("{second:?}")
    };
    assert_eq!(*guards, [], "{guards:?}");
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(world.id(&format!("{good}^")), base, "one commit on the base");
    assert_eq!(world.show(good, "key.txt").unwrap(), "from the environment\n");
    assert_eq!(world.show(good, "more.txt").unwrap(), "more\n");
    let again = world
        .pool
        .collect(S1, begun(&bad, &afresh), &branch, &message(6))
        .await
        .unwrap();
    assert_eq!(again.left, second.left, "a second look gives the same answer");
    let refs = world.user(&["for-each-ref", "refs/turno/salvage", "--format=%(objectname)"]);
    assert!(!refs.is_empty(), "what was before is kept aside");
}
