//! What changed in the repository while an attempt ran is told, and put back where it is no user's work.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rstest::rstest;
use turno_core::ids::CommitId;
use turno_core::tampering::{Change, RefAt, Tampering, Then};
use turno_engine::git::{Expected, Found, TurnoRef};

use crate::world::{S1, World, assert_same, task};

struct Guarded {
    world: World,
    first: CommitId,
    second: CommitId,
    base: TurnoRef,
    git: PathBuf,
}

impl Guarded {
    /// An issue's branch is at the second commit.
    async fn new() -> Self {
        let world = World::clean();
        let first = world.id("main");
        let second = world.commit_on(&first, "second", &[("c.txt", "c")]);
        let base = TurnoRef::base(task().issue);
        world
            .repo()
            .move_ref(&base, &second, &Expected::Absent)
            .await
            .unwrap();
        world.pool.prepare(S1, &first).await.unwrap();
        let git = world.top().join(".git");
        fs::write(git.join("hooks/pre-push"), "#!/bin/sh\nexit 0\n").unwrap();
        Self {
            world,
            first,
            second,
            base,
            git,
        }
    }

    /// What is told when this is done while an attempt runs.
    async fn while_it_runs(&self, tamper: impl FnOnce(&Self)) -> Vec<Tampering> {
        let guard = self.world.pool.guard().await.unwrap();
        tamper(self);
        let told = guard.settle().await.unwrap();
        assert_eq!(
            guard.settle().await.unwrap().len(),
            told.iter().filter(|t| is_left(t)).count(),
            "{told:?}"
        );
        told
    }

    fn head_of(&self, name: &str) -> String {
        self.world
            .user(&["for-each-ref", "--format=%(objectname)%(symref)", name])
    }
}

fn is_left(told: &Tampering) -> bool {
    match told {
        Tampering::Ref { then, .. } | Tampering::Head { then, .. } | Tampering::File { then, .. } => {
            matches!(then, Then::LeftAlone | Then::NotPutBack { .. })
        }
        Tampering::Index { .. } | Tampering::Worktree { .. } | Tampering::More { .. } => true,
    }
}

fn at(commit: &CommitId) -> RefAt {
    RefAt::Object(commit.to_string())
}

#[tokio::test]
async fn nothing_is_told_when_nothing_happened() {
    let guarded = Guarded::new().await;
    guarded.world.arm();
    let before = guarded.world.fingerprint();
    let begun = Instant::now();
    let told = guarded.while_it_runs(|_| {}).await;
    let took = begun.elapsed();
    assert_eq!(told, []);
    assert_same(&before, &guarded.world.fingerprint());
    assert_eq!(guarded.world.hooks_ran(), None);
    assert!(took.as_secs() < 5, "it is taken and settled twice: {took:?}");
}

#[tokio::test]
async fn what_turno_does_meanwhile_is_no_tampering() {
    let guarded = Guarded::new().await;
    let repo = guarded.world.repo();
    let guard = guarded.world.pool.guard().await.unwrap();
    let (first, second, base) = (&guarded.first, &guarded.second, &guarded.base);
    repo.move_ref(base, first, &Expected::At(second.clone()))
        .await
        .unwrap();
    let task_branch = TurnoRef::task(task(), 1);
    repo.move_ref(&task_branch, second, &Expected::Absent)
        .await
        .unwrap();
    repo.delete_ref(&task_branch, &Expected::Anywhere).await.unwrap();
    drop(
        repo.move_ref(&task_branch, second, &Expected::At(first.clone()))
            .await,
    );
    let s2 = turno_engine::slots::SlotPlace::Slot(turno_core::ids::SlotId(2));
    guarded.world.pool.prepare(s2, second).await.unwrap();
    fs::write(guarded.world.pool.path(s2).join("left.txt"), "left").unwrap();
    guarded.world.pool.prepare(s2, first).await.unwrap();
    assert_eq!(guard.settle().await.unwrap(), []);
    assert_eq!(guarded.world.at(base).as_ref(), Some(first));

    // And back to where it was before Turno moved it is tampering all the same.
    guarded.world.user(&["update-ref", base.full(), second.as_str()]);
    let told = guard.settle().await.unwrap();
    assert!(
        matches!(&told[..], [Tampering::Ref { was, .. }] if *was == at(first)),
        "{told:?}"
    );
    assert_eq!(guarded.world.at(base).as_ref(), Some(first));
}

#[rstest]
#[case::moved(|g: &Guarded| drop(g.world.user(&["update-ref", g.base.full(), g.first.as_str()])))]
#[case::deleted(|g: &Guarded| drop(g.world.user(&["update-ref", "-d", g.base.full()])))]
#[case::symbolic(|g: &Guarded| drop(g.world.user(&["symbolic-ref", g.base.full(), "refs/heads/main"])))]
#[case::garbage(|g: &Guarded| fs::write(g.git.join(g.base.full()), "garbage\n").unwrap())]
#[case::in_the_way(|g: &Guarded| {
    g.world.user(&["update-ref", "-d", g.base.full()]);
    g.world.user(&["update-ref", "refs/heads/turno/7", g.first.as_str()]);
})]
#[case::packed(|g: &Guarded| {
    g.world.user(&["pack-refs", "--all"]);
    fs::write(g.git.join("packed-refs"), "# pack-refs with: peeled fully-peeled sorted \n").unwrap();
    g.world.user(&["update-ref", "refs/heads/main", g.first.as_str()]);
})]
#[case::linked(|g: &Guarded| {
    fs::remove_file(g.git.join(g.base.full())).unwrap();
    symlink("refs/heads/main", g.git.join(g.base.full())).unwrap();
})]
#[tokio::test]
async fn a_branch_of_turnos_is_put_back(#[case] tamper: fn(&Guarded)) {
    let guarded = Guarded::new().await;
    let told = guarded.while_it_runs(tamper).await;
    let about = |t: &&Tampering| matches!(t, Tampering::Ref { name, .. } if name == guarded.base.full());
    let one = told.iter().find(about).unwrap_or_else(|| panic!("{told:?}"));
    assert!(!is_left(one), "{told:?}");
    assert_eq!(guarded.head_of(guarded.base.full()), guarded.second.as_str());
}

#[tokio::test]
async fn a_ref_of_turnos_that_appeared_goes_and_its_commit_is_kept() {
    let guarded = Guarded::new().await;
    let third = guarded
        .world
        .commit_on(&guarded.first, "third", &[("d.txt", "d")]);
    let test = format!("refs/turno/test/{third}");
    guarded.world.user(&["branch", "holder", third.as_str()]);
    guarded.world.user(&["update-ref", "-d", &test]);
    let told = guarded
        .while_it_runs(|g| {
            g.world
                .user(&["update-ref", "refs/turno/landing/7/2/a5", third.as_str()]);
            g.world
                .user(&["update-ref", "refs/heads/turno/8/base", third.as_str()]);
            g.world.user(&["branch", "-q", "-D", "holder"]);
        })
        .await;
    assert_eq!(guarded.head_of("refs/turno/landing"), "");
    assert_eq!(guarded.head_of("refs/heads/turno/8"), "");
    assert_eq!(guarded.head_of("refs/turno/salvage"), third.as_str(), "{told:?}");
    let kept = |t: &Tampering| {
        matches!(
            t,
            Tampering::Ref {
                then: Then::PutBackAndKept { .. },
                ..
            }
        )
    };
    assert_eq!(told.iter().filter(|t| kept(t)).count(), 1, "{told:?}");
}

#[tokio::test]
async fn what_may_be_the_users_is_told_and_left() {
    let guarded = Guarded::new().await;
    let (first, second) = (guarded.first.clone(), guarded.second.clone());
    let told = guarded
        .while_it_runs(|g| {
            g.world.user(&["branch", "-f", "feature", second.as_str()]);
            g.world.user(&["tag", "v1"]);
            g.world.user(&["checkout", "-q", "-b", "topic"]);
            fs::write(g.world.top().join("staged.txt"), "s").unwrap();
            g.world.user(&["add", "staged.txt"]);
            g.world.user(&["config", "branch.topic.remote", "origin"]);
            g.world
                .git_in(&g.world.root().join("other"), &["checkout", "-q", "--detach"]);
            g.world.user(&["worktree", "add", "-q", "--detach", "../more"]);
        })
        .await;
    let words: Vec<String> = told.iter().map(ToString::to_string).collect();
    let all = words.join("\n");
    assert!(told.iter().all(is_left), "{all}");
    let feature = Tampering::Ref {
        name: "refs/heads/feature".into(),
        was: at(&first),
        found: at(&second),
        then: Then::LeftAlone,
    };
    assert!(told.contains(&feature), "{all}");
    for word in [
        "refs/tags/v1",
        "HEAD of",
        "the worktree other",
        "on refs/heads/main and is found on refs/heads/topic",
        "what is staged",
        ".git/config changed",
        "the worktree more appeared",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    assert_eq!(guarded.world.id("feature"), second);
    assert_eq!(guarded.world.user(&["symbolic-ref", "HEAD"]), "refs/heads/topic");
}

#[tokio::test]
async fn a_look_at_the_status_is_no_change_of_the_index() {
    let guarded = Guarded::new().await;
    let told = guarded
        .while_it_runs(|g| {
            let file = fs::File::open(g.world.top().join("a.txt")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            let before = fs::metadata(g.git.join("index")).unwrap().modified().unwrap();
            g.world.user(&["status"]);
            let after = fs::metadata(g.git.join("index")).unwrap().modified().unwrap();
            assert_ne!(before, after, "git has written it again");
        })
        .await;
    assert_eq!(told, []);
}

#[rstest]
#[case::config("config", |g: &Guarded, _: &Path| drop(g.world.user(&["config", "core.sshCommand", "evil"])))]
#[case::config_of_a_branch("config", |g: &Guarded, _: &Path| {
    g.world.user(&["config", "branch.main.remote", "ext::sh -c evil"]);
})]
#[case::config_broken("config", |_: &Guarded, path: &Path| fs::write(path, "[core\n").unwrap())]
#[case::config_gone("config", |_: &Guarded, path: &Path| fs::remove_file(path).unwrap())]
#[case::config_linked("config", |g: &Guarded, path: &Path| {
    let copy = g.world.root().join("copy");
    fs::copy(path, &copy).unwrap();
    fs::remove_file(path).unwrap();
    symlink(&copy, path).unwrap();
})]
#[case::worktree_config("config.worktree", |_: &Guarded, path: &Path| fs::write(path, "[core]\n").unwrap())]
#[case::hook_new("hooks/post-checkout", |_: &Guarded, path: &Path| fs::write(path, "evil").unwrap())]
#[case::hook_changed("hooks/pre-push", |_: &Guarded, path: &Path| fs::write(path, "evil").unwrap())]
#[case::hook_made_to_run("hooks/pre-push", |_: &Guarded, path: &Path| {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
})]
#[case::hook_gone("hooks/pre-push", |_: &Guarded, path: &Path| fs::remove_file(path).unwrap())]
#[case::hook_linked("hooks/pre-push", |_: &Guarded, path: &Path| {
    fs::remove_file(path).unwrap();
    symlink("/bin/true", path).unwrap();
})]
#[case::hooks_elsewhere("hooks", |g: &Guarded, path: &Path| {
    let evil = g.world.root().join("evil");
    fs::create_dir(&evil).unwrap();
    fs::rename(path, g.world.root().join("old-hooks")).unwrap();
    symlink(&evil, path).unwrap();
})]
#[case::attributes("info/attributes", |_: &Guarded, path: &Path| fs::write(path, "* filter=x\n").unwrap())]
#[case::exclude("info/exclude", |_: &Guarded, path: &Path| fs::write(path, "*\n").unwrap())]
#[case::grafts("info/grafts", |_: &Guarded, path: &Path| fs::write(path, "x\n").unwrap())]
#[case::alternates("objects/info/alternates", |_: &Guarded, path: &Path| fs::write(path, "/x\n").unwrap())]
#[case::other_worktree("worktrees/other/commondir", |_: &Guarded, path: &Path| fs::write(path, "/evil\n").unwrap())]
#[case::other_config("worktrees/other/config.worktree", |_: &Guarded, path: &Path| fs::write(path, "x").unwrap())]
#[tokio::test]
async fn what_tells_git_what_to_do_is_put_back(#[case] name: &str, #[case] tamper: fn(&Guarded, &Path)) {
    let guarded = Guarded::new().await;
    let path = guarded.git.join(name);
    let before = guarded.world.fingerprint();
    let told = guarded.while_it_runs(|g| tamper(g, &path)).await;
    let of = |t: &&Tampering| matches!(t, Tampering::File { path, .. } if path == name);
    let Some(Tampering::File { change, then, .. }) = told.iter().find(of) else {
        panic!("{told:?}")
    };
    assert_same(&before, &guarded.world.fingerprint());
    match (change, then) {
        (Change::Vanished, Then::PutBack) => {}
        (_, Then::PutBackAndKept { at }) => {
            assert!(fs::symlink_metadata(at).is_ok(), "{at}");
            assert!(
                Path::new(at).starts_with(guarded.world.pool_dir().canonicalize().unwrap().join("aside"))
            );
        }
        other => panic!("{other:?}"),
    }
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&guarded.git.join("hooks/pre-push")), 0o644);
}

#[rstest]
#[case::garbage(|path: &Path| fs::write(path, "garbage").unwrap())]
#[case::gone(|path: &Path| fs::remove_file(path).unwrap())]
#[tokio::test]
async fn a_repository_without_a_head_gets_it_back(#[case] tamper: fn(&Path)) {
    let guarded = Guarded::new().await;
    let guard = guarded.world.pool.guard().await.unwrap();
    tamper(&guarded.git.join("HEAD"));
    let told = guard.settle().await.unwrap();
    assert!(matches!(&told[..], [Tampering::Head { .. }]), "{told:?}");
    assert_eq!(guarded.world.user(&["symbolic-ref", "HEAD"]), "refs/heads/main");
}

#[tokio::test]
async fn two_guards_agree_on_what_is_right() {
    let guarded = Guarded::new().await;
    let pool = &guarded.world.pool;
    let (config, base) = (guarded.git.join("config"), &guarded.base);
    let right = fs::read(&config).unwrap();
    let early = pool.guard().await.unwrap();
    guarded.world.user(&["config", "core.sshCommand", "evil"]);
    guarded
        .world
        .user(&["update-ref", base.full(), guarded.first.as_str()]);
    // It begins when the harm is done already, and ends when that is mended.
    let late = pool.guard().await.unwrap();
    assert_eq!(early.settle().await.unwrap().len(), 2);
    assert_eq!(
        late.settle().await.unwrap(),
        [],
        "what is right now was put back by Turno"
    );
    assert_eq!(fs::read(&config).unwrap(), right);
    assert_eq!(guarded.world.at(base).as_ref(), Some(&guarded.second));
    guarded.world.user(&["config", "core.sshCommand", "evil"]);
    assert_eq!(late.settle().await.unwrap().len(), 1);
    assert_eq!(fs::read(&config).unwrap(), right);
}

#[tokio::test]
async fn an_issue_that_a_person_gives_up_meanwhile_stays_given_up() {
    let guarded = Guarded::new().await;
    let guard = guarded.world.pool.guard().await.unwrap();
    // Another process of Turno's: nothing of it is in this one's ledger.
    let other = turno_engine::git::Repo::open(&guarded.world.top()).unwrap();
    assert_eq!(other.retire(task().issue).await.unwrap().len(), 1);
    assert_eq!(guard.settle().await.unwrap(), []);
    assert_eq!(
        guarded.world.repo().read_ref(&guarded.base).unwrap(),
        Found::Absent
    );
}
