//! Getting slots ready: what was in them is kept, whatever state they are in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rstest::rstest;
use turno_core::event::LeftBehind;
use turno_core::ids::{CommitId, SlotId};
use turno_engine::git::{Repo, TurnoRef};
use turno_engine::slots::{Begun, Condition, Inspected, Salvaged, SlotPlace};

use crate::world::{S1, World, assert_same, message, task};

/// The one commit that was salvaged.
fn kept(salvaged: &[Salvaged]) -> CommitId {
    let commits: Vec<_> = salvaged
        .iter()
        .filter_map(|s| match s {
            Salvaged::Commit { refname, commit } => {
                assert!(refname.full().starts_with("refs/turno/salvage/"), "{refname}");
                Some(commit.clone())
            }
            Salvaged::Aside { .. } => None,
        })
        .collect();
    assert_eq!(commits.len(), 1, "{salvaged:?}");
    commits[0].clone()
}

fn aside(salvaged: &[Salvaged]) -> Vec<PathBuf> {
    let path = |s: &Salvaged| match s {
        Salvaged::Aside { path } => Some(path.clone()),
        Salvaged::Commit { .. } => None,
    };
    salvaged.iter().filter_map(path).collect()
}

fn assert_ready(world: &World, slot: &Path, commit: &CommitId) {
    assert_eq!(world.git_in(slot, &["rev-parse", "HEAD"]), commit.as_str());
    world.git_fails(slot, &["symbolic-ref", "-q", "HEAD"]);
    assert_eq!(world.git_in(slot, &["status", "--porcelain", "-uall"]), "");
    assert_eq!(world.git_in(slot, &["diff", "HEAD", "--stat"]), "");
    assert!(!world.pool_dir().join("1.dirty").exists());
}

#[tokio::test]
async fn a_slot_is_made_once_and_moved_from_commit_to_commit() {
    let world = World::new();
    let before = world.fingerprint();
    let first = world.id("main");
    let second = world.commit_on(&first, "second", &[("new/c.txt", "c\n"), ("a.txt", "changed\n")]);
    let prepared = world.pool.prepare(S1, &first).await.unwrap();
    assert_ready(&world, &prepared.path, &first);
    fs::create_dir(prepared.path.join("cache")).unwrap();
    fs::write(prepared.path.join("cache/built"), "warm").unwrap();
    for commit in [&second, &first, &first, &second] {
        let again = world.pool.prepare(S1, commit).await.unwrap();
        assert_eq!((&again.path, again.salvaged.len()), (&prepared.path, 0));
        assert_ready(&world, &again.path, commit);
        assert_eq!(again.path.join("new/c.txt").exists(), commit == &second);
        assert_eq!(
            fs::read_to_string(again.path.join("cache/built")).unwrap(),
            "warm"
        );
    }
    assert!(
        world
            .user(&["worktree", "list", "--porcelain"])
            .contains("locked in use by turno")
    );
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn new_files_are_found_where_times_were_set_back() {
    let world = World::new();
    let first = world.id("main");
    world.pool.prepare(S1, &first).await.unwrap();
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    // Turno's index now knows which directories had nothing new, and when they were last changed.
    let dir = slot.join("src");
    let before = fs::metadata(&dir).unwrap().modified().unwrap();
    fs::create_dir(dir.join("deep")).unwrap();
    fs::write(dir.join("deep/new.rs"), "mine\n").unwrap();
    fs::write(dir.join("new.rs"), "mine\n").unwrap();
    let set_back = |path: &Path| fs::File::open(path).unwrap().set_modified(before).unwrap();
    set_back(&dir.join("deep"));
    set_back(&dir);
    let commit = kept(&world.pool.prepare(S1, &first).await.unwrap().salvaged);
    for path in ["src/new.rs", "src/deep/new.rs"] {
        assert_eq!(world.show(&commit, path).as_deref(), Some("mine\n"), "{path}");
    }
}

#[tokio::test]
async fn what_is_uncommitted_is_kept_before_a_reset() {
    let world = World::new();
    let before = world.fingerprint();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    let odd = [
        "-dash",
        "with space",
        "new\nline",
        "ünï/çödé",
        ":(top)magic",
        "*",
        "\u{1}control",
        "ends ",
    ];
    for name in odd {
        fs::create_dir_all(slot.join(name).parent().unwrap()).unwrap();
        fs::write(slot.join(name), name).unwrap();
    }
    fs::write(slot.join("a.txt"), "edited\n").unwrap();
    fs::remove_file(slot.join("b.txt")).unwrap();
    symlink("/nowhere", slot.join("link")).unwrap();
    fs::write(slot.join("ignored.log"), "ignored").unwrap();

    let prepared = world.pool.prepare(S1, &first).await.unwrap();
    let salvage = kept(&prepared.salvaged);
    assert_eq!(world.id(&format!("{salvage}^")), first);
    for name in odd {
        assert_eq!(
            world.show(&salvage, &format!("./{name}")).as_deref(),
            Some(name),
            "{name:?}"
        );
    }
    assert_eq!(world.show(&salvage, "a.txt").as_deref(), Some("edited\n"));
    assert_eq!(world.show(&salvage, "b.txt"), None);
    assert_eq!(world.show(&salvage, "link").as_deref(), Some("/nowhere"));
    assert_eq!(world.show(&salvage, "ignored.log"), None);
    assert_ready(&world, &slot, &first);
    assert!(slot.join("ignored.log").exists());
    assert!(world.pool.prepare(S1, &first).await.unwrap().salvaged.is_empty());
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn a_commit_that_nothing_leads_to_is_kept() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    fs::write(slot.join("work.txt"), "work\n").unwrap();
    world.git_in(&slot, &["add", "-A"]);
    world.git_in(&slot, &["commit", "-q", "-m", "mine"]);
    let lost: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    let prepared = world.pool.prepare(S1, &first).await.unwrap();
    assert_eq!(kept(&prepared.salvaged), lost);
    assert_ready(&world, &slot, &first);
}

/// Flags and forged entries of the slot's own index that make `git status` say "clean".
#[rstest]
#[case::assume_unchanged(&["update-index", "--assume-unchanged", "a.txt"])]
#[case::skip_worktree(&["update-index", "--skip-worktree", "a.txt"])]
#[tokio::test]
async fn a_change_cannot_be_hidden(#[case] trick: &[&str]) {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    world.git_in(&slot, trick);
    fs::write(slot.join("a.txt"), "hidden\n").unwrap();
    let inspected = world.pool.inspect_untouched(S1, &first).await.unwrap();
    let Inspected::Touched { salvaged, files } = inspected else {
        panic!("not seen")
    };
    assert_eq!(files, ["a.txt"]);
    assert_eq!(world.show(&kept(&salvaged), "a.txt").as_deref(), Some("hidden\n"));
    assert_eq!(
        fs::read_to_string(slot.join("a.txt")).unwrap(),
        "one\ntwo\nthree\n"
    );
    assert_eq!(
        world.pool.inspect_untouched(S1, &first).await.unwrap(),
        Inspected::Untouched
    );
}

#[tokio::test]
async fn a_configuration_of_the_slots_own_is_not_heeded() {
    let world = World::new();
    world.user(&["config", "extensions.worktreeConfig", "true"]);
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    fs::write(world.root().join("everything"), "*\n").unwrap();
    world.git_in(
        &slot,
        &[
            "config",
            "--worktree",
            "core.excludesFile",
            world.root().join("everything").to_str().unwrap(),
        ],
    );
    fs::write(slot.join("hidden.txt"), "hidden").unwrap();
    assert_eq!(world.git_in(&slot, &["status", "--porcelain", "-uall"]), "");
    let salvaged = world.pool.prepare(S1, &first).await.unwrap().salvaged;
    assert_eq!(
        world.show(&kept(&salvaged), "hidden.txt").as_deref(),
        Some("hidden")
    );
}

#[tokio::test]
async fn a_nested_clone_that_the_agent_committed_is_moved_aside() {
    let world = World::new();
    let first = world.id("main");
    for dirty in ["", "work.txt"] {
        let slot = world.pool.prepare(S1, &first).await.unwrap().path;
        world.git_in(&slot, &["clone", "-q", world.top().to_str().unwrap(), "vendored"]);
        world.git_in(&slot, &["add", "-A"]);
        world.git_in(&slot, &["commit", "-q", "-m", "with a link"]);
        if !dirty.is_empty() {
            fs::write(slot.join(dirty), "work").unwrap();
        }
        let prepared = world.pool.prepare(S1, &first).await.unwrap();
        let aside = aside(&prepared.salvaged);
        assert!(
            aside.iter().any(|p| p.join("a.txt").exists()),
            "{:?}",
            prepared.salvaged
        );
        assert_ready(&world, &slot, &first);
    }
}

#[tokio::test]
async fn an_interrupted_reset_is_finished() {
    let world = World::new();
    let first = world.id("main");
    let second = world.commit_on(&first, "second", &[("c.txt", "c\n"), ("a.txt", "changed\n")]);
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    // Killed between writing files and writing the index and HEAD.
    fs::write(world.pool_dir().join("1.dirty"), "").unwrap();
    fs::write(world.pool_dir().join("1.index.lock"), "half").unwrap();
    fs::write(slot.join("a.txt"), "changed\n").unwrap();
    fs::write(slot.join("c.txt"), "c").unwrap();
    assert_eq!(world.pool.list().unwrap()[0].condition, Condition::Interrupted);
    world.pool.prepare(S1, &second).await.unwrap();
    assert_ready(&world, &slot, &second);
    assert_eq!(fs::read_to_string(slot.join("c.txt")).unwrap(), "c\n");
    assert_eq!(world.pool.list().unwrap()[0].condition, Condition::Ready);
    // Killed where everything looks clean already: only the marker tells.
    fs::write(world.pool_dir().join("1.dirty"), "").unwrap();
    fs::create_dir(slot.join("empty")).unwrap();
    world.pool.prepare(S1, &second).await.unwrap();
    assert!(!slot.join("empty").exists(), "the reset was not a whole one");
    assert_ready(&world, &slot, &second);
}

#[rstest]
#[case::deleted(|slot: &Path, _: &Path| fs::remove_dir_all(slot).unwrap())]
#[case::replaced_by_a_link(|slot: &Path, _: &Path| { fs::remove_dir_all(slot).unwrap(); symlink("/", slot).unwrap() })]
#[case::admin_gone(|_: &Path, admin: &Path| fs::remove_dir_all(admin).unwrap())]
#[case::admin_of_another(|_: &Path, admin: &Path| fs::write(admin.join("gitdir"), "/elsewhere/.git\n").unwrap())]
#[case::no_git_file(|slot: &Path, _: &Path| fs::remove_file(slot.join(".git")).unwrap())]
#[case::foreign_git_file(|slot: &Path, _: &Path| fs::write(slot.join(".git"), "gitdir: /nowhere\n").unwrap())]
#[case::broken_head(|_: &Path, admin: &Path| fs::write(admin.join("HEAD"), "rubbish").unwrap())]
#[case::broken_index(|_: &Path, admin: &Path| fs::write(admin.join("index"), "rubbish").unwrap())]
#[case::locked_index(|_: &Path, admin: &Path| fs::write(admin.join("index.lock"), "").unwrap())]
#[case::other_common_dir(|_: &Path, admin: &Path| fs::write(admin.join("commondir"), "/nowhere\n").unwrap())]
#[case::linked_head(|_: &Path, admin: &Path| { fs::remove_file(admin.join("HEAD")).unwrap(); symlink("index", admin.join("HEAD")).unwrap() })]
#[tokio::test]
async fn a_damaged_slot_works_again_and_loses_nothing(#[case] damage: fn(&Path, &Path)) {
    let world = World::new();
    let before = world.fingerprint();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    let pointer = fs::read_to_string(slot.join(".git")).unwrap();
    let admin = PathBuf::from(pointer.trim().strip_prefix("gitdir: ").unwrap());
    fs::write(slot.join("work.txt"), "precious\n").unwrap();
    damage(&slot, &admin);
    let was_there = slot.join("work.txt").exists();
    let prepared = world.pool.prepare(S1, &first).await.unwrap();
    assert_ready(&world, &slot, &first);
    let in_commit = prepared.salvaged.iter().any(|s| match s {
        Salvaged::Commit { commit, .. } => world.show(commit, "work.txt").as_deref() == Some("precious\n"),
        Salvaged::Aside { .. } => false,
    });
    let on_disk = aside(&prepared.salvaged)
        .iter()
        .any(|p| p.join("work.txt").exists());
    assert_eq!(in_commit || on_disk, was_there, "{:?}", prepared.salvaged);
    assert!(world.pool.prepare(S1, &first).await.unwrap().salvaged.is_empty());
    // An entry that was made to point elsewhere is no longer known to be Turno's, and stays.
    if fs::read_to_string(admin.join("gitdir")).is_ok_and(|t| t.starts_with("/elsewhere")) {
        fs::remove_dir_all(&admin).unwrap();
    }
    assert_same(&before, &world.fingerprint());
}

#[tokio::test]
async fn commits_in_a_slot_that_was_deleted_are_kept() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    world.git_in(&slot, &["commit", "-q", "--allow-empty", "-m", "mine"]);
    let lost: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    fs::remove_dir_all(&slot).unwrap();
    let prepared = world.pool.prepare(S1, &first).await.unwrap();
    assert_eq!(kept(&prepared.salvaged), lost);
}

#[tokio::test]
async fn what_git_cannot_hold_is_moved_aside() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    let (full, empty) = (slot.join("deps/full"), slot.join("empty repo"));
    for dir in [&full, &empty] {
        fs::create_dir_all(dir).unwrap();
        world.git_in(dir, &["init", "-q"]);
        fs::write(dir.join("inner.txt"), "inner").unwrap();
    }
    world.git_in(&full, &["add", "-A"]);
    world.git_in(&full, &["commit", "-q", "-m", "inner"]);
    fs::remove_file(slot.join("b.txt")).unwrap();
    nix::unistd::mkfifo(&slot.join("b.txt"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(slot.join("work.txt"), "work").unwrap();
    let prepared = world.pool.prepare(S1, &first).await.unwrap();
    let salvage = kept(&prepared.salvaged);
    assert_eq!(world.show(&salvage, "work.txt").as_deref(), Some("work"));
    assert!(
        !world
            .user(&["ls-tree", "-r", salvage.as_str()])
            .contains("160000")
    );
    let aside = aside(&prepared.salvaged);
    for name in ["deps/full/inner.txt", "empty repo/inner.txt"] {
        assert!(
            aside
                .iter()
                .any(|p| p.parent().unwrap().join(name).exists() || p.join("inner.txt").exists()),
            "{aside:?}"
        );
    }
    assert_eq!(aside.len(), 3, "{aside:?}");
    assert_ready(&world, &slot, &first);
}

#[tokio::test]
async fn a_file_that_is_no_longer_ignored_does_not_pass_for_work() {
    let world = World::new();
    let first = world.id("main");
    let second = world.commit_on(&first, "ignore less", &[(".gitignore", "*.log\n")]);
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    fs::create_dir(slot.join("cache")).unwrap();
    fs::write(slot.join("cache/built"), "").unwrap();
    world.pool.prepare(S1, &second).await.unwrap();
    assert_ready(&world, &slot, &second);
}

#[tokio::test]
async fn an_ignored_directory_in_the_way_of_a_file_does_not_stop_a_checkout() {
    let world = World::new();
    let first = world.id("main");
    let second = world.commit_on(
        &first,
        "a file",
        &[(".gitignore", "*.log\n"), ("cache", "a file now\n")],
    );
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    fs::create_dir(slot.join("cache")).unwrap();
    fs::write(slot.join("cache/built"), "").unwrap();
    world.pool.prepare(S1, &second).await.unwrap();
    assert_ready(&world, &slot, &second);
    assert_eq!(fs::read_to_string(slot.join("cache")).unwrap(), "a file now\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_slots_are_made_and_used_at_once() {
    let world = World::new();
    let before = world.fingerprint();
    let first = world.id("main");
    let second = world.commit_on(&first, "second", &[("c.txt", "c\n")]);
    for commit in [&first, &second] {
        let all: Vec<_> = (1..=8)
            .map(|n| {
                let (pool, commit) = (world.pool.clone(), commit.clone());
                tokio::spawn(async move { pool.prepare(SlotPlace::Slot(SlotId(n)), &commit).await })
            })
            .collect();
        for one in all {
            let prepared = one.await.unwrap().unwrap();
            assert_ready(&world, &prepared.path, commit);
        }
    }
    assert_eq!(world.pool.list().unwrap().len(), 8);
    assert_same(&before, &world.fingerprint());
}

#[tokio::test]
async fn release_keeps_and_discard_does_not() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    fs::write(slot.join("work.txt"), "work").unwrap();
    let salvage = kept(&world.pool.release(S1).await.unwrap());
    assert_eq!(world.show(&salvage, "work.txt").as_deref(), Some("work"));
    assert_ready(&world, &slot, &first);
    fs::write(slot.join("coverage.xml"), "residue").unwrap();
    world.pool.discard(S1, &first).await.unwrap();
    assert_ready(&world, &slot, &first);
    let refs = world.user(&["for-each-ref", "refs/turno/salvage", "--format=%(refname)"]);
    assert_eq!(refs.lines().count(), 1, "{refs}");
}

#[tokio::test]
async fn a_wrong_repository_is_named() {
    use turno_engine::git::Error;
    let dir = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .args(args)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success());
    };
    assert!(matches!(
        Repo::open(dir.path()),
        Err(Error::NotARepository { .. })
    ));
    git(&["init", "-q", "--bare", "bare"]);
    assert!(matches!(
        Repo::open(&dir.path().join("bare")),
        Err(Error::Bare { .. })
    ));
    git(&["init", "-q", "empty"]);
    assert!(matches!(
        Repo::open(&dir.path().join("empty")),
        Err(Error::NoCommits { .. })
    ));
}

/// git's memory of a directory may name what was moved aside there.
#[tokio::test]
async fn what_was_moved_aside_is_nobodys_change() {
    let world = World::clean();
    let first = world.id("main");
    for round in 0..8 {
        let slot = world.pool.prepare(S1, &first).await.unwrap().path;
        let inner = slot.join(format!("deps{round}/inner"));
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.with_file_name("work.txt"), "work").unwrap();
        world.git_in(&inner, &["init", "-q"]);
        let begun = Begun {
            from: &first,
            since: None,
            survey: None,
        };
        let branch = TurnoRef::task(task(), round);
        let collected = world.pool.collect(S1, begun, &branch, &message(1)).await.unwrap();
        let LeftBehind::Commit { commit, .. } = collected.left else {
            panic!("{collected:?}")
        };
        let prepared = world.pool.prepare(S1, &commit).await.unwrap();
        assert_eq!(aside(&prepared.salvaged).len(), 1);
        world.pool.prepare(S1, &commit).await.unwrap();
        let inspected = world.pool.inspect_untouched(S1, &commit).await.unwrap();
        assert_eq!(inspected, Inspected::Untouched, "round {round}");
    }
}

/// What git neither shows nor removes, and what it cannot look into.
#[tokio::test]
async fn a_slot_is_open_and_free_of_odd_files() {
    let world = World::clean();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    let rights = |path: &Path, mode: u32| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    fs::write(slot.join(".gitignore"), "cache/\n").unwrap();
    for dir in ["open/closed", "cache/closed"] {
        fs::create_dir_all(slot.join(dir)).unwrap();
        fs::write(slot.join(dir).join("x"), "x").unwrap();
        rights(&slot.join(dir), 0o500);
    }
    for pipe in ["pipe", "cache/pipe"] {
        nix::unistd::mkfifo(&slot.join(pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    world.git_in(&slot, &["add", "-A"]);
    world.git_in(&slot, &["commit", "-q", "-m", "own"]);
    let own: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    let prepared = world.pool.prepare(S1, &own).await.unwrap();
    assert_eq!(aside(&prepared.salvaged).len(), 1, "{prepared:?}");
    let mode = |path: &str| {
        fs::symlink_metadata(slot.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert!(!slot.join("pipe").exists());
    assert_eq!(mode("open/closed"), 0o700);
    assert!(slot.join("cache/pipe").exists(), "a cache is left alone");
    assert_eq!(mode("cache/closed"), 0o500);
    rights(&slot.join("cache/closed"), 0o700);
}
