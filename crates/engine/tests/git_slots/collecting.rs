//! What a writer left becomes commits on a branch of Turno's, however it was left.

use std::fs;
use std::path::Path;

use turno_core::event::LeftBehind;
use turno_core::ids::CommitId;
use turno_core::progress::Essence;
use turno_engine::git::{Expected, TurnoRef};
use turno_engine::slots::{Begun, Collected, LeftOutWhy, Salvaged};

use crate::world::{S1, World, assert_same, message, task};

async fn collect(world: &World, from: &CommitId) -> Collected {
    let begun = Begun {
        from,
        since: None,
        survey: None,
    };
    world
        .pool
        .collect(S1, begun, &TurnoRef::task(task(), 1), &message(5))
        .await
        .unwrap()
}

fn commit(collected: &Collected) -> &CommitId {
    let LeftBehind::Commit { commit, .. } = &collected.left else {
        panic!("{collected:?}")
    };
    commit
}

/// What its change is apart from white space.
fn essence(collected: &Collected) -> &Essence {
    let LeftBehind::Commit { essence, .. } = &collected.left else {
        panic!("{collected:?}")
    };
    essence
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    fs::write(dir.join(name), text).unwrap();
}

#[tokio::test]
async fn uncommitted_work_becomes_one_commit_of_turnos() {
    let world = World::new();
    let before = world.fingerprint();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    assert_eq!(collect(&world, &first).await.left, LeftBehind::Nothing);
    assert_eq!(world.at(&TurnoRef::task(task(), 1)), None);

    write(&slot, "-new \n file", "new");
    write(&slot, "a.txt", "edited\n");
    fs::remove_file(slot.join("b.txt")).unwrap();
    write(&slot, "noise.log", "ignored");
    let collected = collect(&world, &first).await;
    let work = commit(&collected).clone();
    assert_eq!((collected.left_out.len(), collected.salvaged.len()), (0, 0));
    assert_eq!(world.at(&TurnoRef::task(task(), 1)), Some(work.clone()));
    assert_eq!(world.id(&format!("{work}^")), first);
    assert_eq!(
        world.files_of(&work),
        ["-new \n file", ".gitignore", "a.txt", "src/lib.rs"]
    );
    let format = "--format=%an <%ae>%n%cn%n%B";
    let text = world.user(&["log", "-1", format, work.as_str()]);
    let trailers =
        "Turno-Issue: 7\nTurno-Task: 7.2\nTurno-Persona: engineer\nTurno-Attempt: a5\nTurno-Cost: $0.25";
    assert_eq!(
        text,
        format!("Turno <turno@localhost>\nTurno\nDo it\n\nBecause.\n\n{trailers}")
    );

    assert_eq!(
        collect(&world, &first).await.left,
        collected.left,
        "a second look gives the same answer"
    );
    assert!(world.pool.prepare(S1, &first).await.unwrap().salvaged.is_empty());
    assert_same(&before, &world.fingerprint());
    assert_eq!(world.hooks_ran(), None);
}

#[tokio::test]
async fn the_agents_own_commits_stay_as_they_are() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    write(&slot, "one.txt", "1");
    write(&slot, "forced.log", "ignored, and committed all the same");
    world.git_in(&slot, &["add", "-f", "one.txt", "forced.log"]);
    world.git_in(&slot, &["commit", "-q", "-m", "mine"]);
    let mine: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    let collected = collect(&world, &first).await;
    assert_eq!(commit(&collected), &mine);

    write(&slot, "two.txt", "2");
    let collected = collect(&world, &first).await;
    let work = commit(&collected);
    assert_eq!(world.id(&format!("{work}^")), mine);
    assert_eq!(
        world.show(work, "forced.log").as_deref(),
        Some("ignored, and committed all the same")
    );
    assert_eq!(world.at(&TurnoRef::task(task(), 1)).as_ref(), Some(work));
}

#[tokio::test]
async fn what_was_staged_counts() {
    let world = World::new();
    let first = world.commit_on(&world.id("main"), "secret", &[("secret.env", "s")]);
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    write(&slot, "dist.log", "built");
    world.git_in(&slot, &["add", "-f", "dist.log"]);
    world.git_in(&slot, &["rm", "-q", "--cached", "secret.env"]);
    write(&slot, ".gitignore", "cache/\n*.log\nsecret.env\n");
    let collected = collect(&world, &first).await;
    let files = world.files_of(commit(&collected));
    assert_eq!(files, [".gitignore", "a.txt", "b.txt", "dist.log", "src/lib.rs"]);
}

#[tokio::test]
async fn a_branch_the_agent_made_is_left_alone() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    world.git_in(&slot, &["checkout", "-q", "-b", "agents-idea"]);
    write(&slot, "one.txt", "1");
    world.git_in(&slot, &["add", "-A"]);
    world.git_in(&slot, &["commit", "-q", "-m", "mine"]);
    let mine = world.id("agents-idea");
    write(&slot, "two.txt", "2");
    let collected = collect(&world, &first).await;
    assert_eq!(world.id(&format!("{}^", commit(&collected))), mine);
    assert_eq!(world.id("agents-idea"), mine, "only Turno's own refs are moved");
    world.git_fails(&slot, &["symbolic-ref", "-q", "HEAD"]);
}

#[tokio::test]
async fn work_on_an_unborn_or_unrelated_branch_lands_on_top_of_from() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    world.git_in(&slot, &["checkout", "-q", "--orphan", "fresh"]);
    write(&slot, "one.txt", "1");
    let collected = collect(&world, &first).await;
    assert_eq!(world.id(&format!("{}^", commit(&collected))), first);

    world.pool.prepare(S1, &first).await.unwrap();
    world.git_in(&slot, &["checkout", "-q", "--orphan", "other"]);
    write(&slot, "two.txt", "2");
    world.git_in(&slot, &["add", "-A"]);
    world.git_in(&slot, &["commit", "-q", "-m", "a new root"]);
    world.git_in(&slot, &["checkout", "-q", "--detach"]);
    world.git_in(&slot, &["branch", "-q", "-D", "other"]);
    let root: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    let collected = collect(&world, &first).await;
    assert_eq!(world.id(&format!("{}^", commit(&collected))), first);
    assert_eq!(world.show(commit(&collected), "two.txt").as_deref(), Some("2"));
    let kept = |s: &Salvaged| matches!(s, Salvaged::Commit { commit, .. } if *commit == root);
    assert!(collected.salvaged.iter().any(kept), "{collected:?}");
}

#[tokio::test]
async fn an_open_rebase_is_broken_off_and_its_files_are_kept() {
    let world = World::new();
    let first = world.id("main");
    let theirs = world.commit_on(&first, "theirs", &[("a.txt", "theirs\n")]);
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    write(&slot, "a.txt", "mine\n");
    write(&slot, "extra.txt", "extra\n");
    world.git_in(&slot, &["add", "-A"]);
    world.git_in(&slot, &["commit", "-q", "-m", "mine"]);
    let mine: CommitId = world.git_in(&slot, &["rev-parse", "HEAD"]).parse().unwrap();
    world.git_fails(
        &slot,
        &[
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "rebase",
            "-q",
            theirs.as_str(),
        ],
    );
    let collected = collect(&world, &first).await;
    let work = commit(&collected);
    assert!(
        world.show(work, "a.txt").unwrap().contains("<<<<<<<"),
        "the files are kept as they were"
    );
    assert_eq!(world.show(work, "extra.txt").as_deref(), Some("extra\n"));
    let kept = |s: &Salvaged| matches!(s, Salvaged::Commit { commit, .. } if *commit == mine);
    assert!(collected.salvaged.iter().any(kept), "{collected:?}");
    assert!(
        world
            .git_in(&slot, &["status"])
            .lines()
            .all(|l| !l.contains("rebas"))
    );
}

#[tokio::test]
async fn a_nested_clone_is_never_a_broken_link() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    world.git_in(&slot, &["clone", "-q", world.top().to_str().unwrap(), "vendored"]);
    write(&slot, "one.txt", "1");
    // Once as it is, once committed by the agent itself.
    for round in 0..2 {
        let collected = collect(&world, &first).await;
        let files = world.user(&["ls-tree", "-r", commit(&collected).as_str()]);
        assert!(!files.contains("160000"), "round {round}: {files}");
        assert!(files.contains("one.txt"));
        let left: Vec<_> = collected
            .left_out
            .iter()
            .map(|l| (l.path.to_str().unwrap(), l.why))
            .collect();
        assert!(
            left.iter()
                .any(|(p, w)| p.starts_with("vendored") && *w == LeftOutWhy::NestedRepository),
            "{left:?}"
        );
        assert!(slot.join("vendored/a.txt").exists(), "it is left where it is");
        world.git_in(&slot, &["add", "-A"]);
        world.git_in(&slot, &["commit", "-q", "-m", "with a link"]);
    }
}

#[tokio::test]
async fn a_branch_that_is_started_over_keeps_what_it_had() {
    let world = World::new();
    let first = world.id("main");
    let branch = TurnoRef::task(task(), 1);
    let old = world.commit_on(&first, "old", &[("old.txt", "old")]);
    world
        .repo()
        .move_ref(&branch, &old, &Expected::Absent)
        .await
        .unwrap();
    world.user(&["update-ref", "-d", &format!("refs/turno/test/{old}")]);
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    write(&slot, "new.txt", "new");
    let collected = collect(&world, &first).await;
    assert_eq!(world.at(&branch).as_ref(), Some(commit(&collected)));
    let refs = world.user(&["for-each-ref", "refs/turno/salvage", "--format=%(objectname)"]);
    assert_eq!(refs, old.as_str());
}

#[tokio::test]
async fn ref_moves_tell_a_race_from_an_obstacle() {
    use turno_engine::git::{Error, Found};
    let world = World::new();
    let first = world.id("main");
    let second = world.commit_on(&first, "second", &[("c.txt", "c")]);
    let branch = TurnoRef::base(task().issue);
    let (absent, at) = (Expected::Absent, |c: &CommitId| Expected::At(c.clone()));
    let raced = world.repo().move_ref(&branch, &second, &at(&first)).await;
    assert!(
        matches!(
            raced,
            Err(Error::Raced {
                found: Found::Absent,
                ..
            })
        ),
        "{raced:?}"
    );
    world.repo().move_ref(&branch, &first, &absent).await.unwrap();
    let raced = world.repo().move_ref(&branch, &second, &absent).await;
    assert!(
        matches!(&raced, Err(Error::Raced { found: Found::At(c), .. }) if *c == first),
        "{raced:?}"
    );
    let raced = world.repo().delete_ref(&branch, &at(&second)).await;
    assert!(matches!(raced, Err(Error::Raced { .. })), "{raced:?}");
    world.repo().delete_ref(&branch, &at(&first)).await.unwrap();
    world
        .repo()
        .delete_ref(&branch, &Expected::Anywhere)
        .await
        .unwrap();
    world.user(&["branch", "turno"]);
    let blocked = world.repo().move_ref(&branch, &second, &absent).await;
    assert!(matches!(blocked, Err(Error::InTheWay { .. })), "{blocked:?}");
}

#[tokio::test]
async fn white_space_is_no_part_of_what_a_change_is() {
    let world = World::new();
    let first = world.id("main");
    let slot = world.pool.prepare(S1, &first).await.unwrap().path;
    let was = fs::read_to_string(slot.join("a.txt")).unwrap();
    let mut seen = Vec::new();
    for (new, a) in [
        ("let x = 1;\nlet y;\n", was.clone()),
        // The same, on other lines, with blank ones between, and a file that differs in nothing else.
        ("let  x=1;\r\n\n\tlet y;", was.replace('\n', "  \n\n")),
        ("let x = 2;\nlet y;\n", was.clone()),
        ("let x = 1;\nlet y;\n", was + "more"),
    ] {
        write(&slot, "new.rs", new);
        write(&slot, "a.txt", &a);
        seen.push(essence(&collect(&world, &first).await).clone());
    }
    assert!(!seen.contains(&Essence::Unknown), "{seen:?}");
    assert_eq!(seen[0], seen[1]);
    for (one, two) in [(0, 2), (0, 3), (2, 3)] {
        assert_ne!(seen[one], seen[two], "{one} {two}");
    }
}
