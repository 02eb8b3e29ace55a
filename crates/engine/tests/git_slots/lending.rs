//! A slot that is lent to a program which may not write the repository, and taken back whatever it left.
//!
//! The program sees what it is to see through `bwrap` where that is installed (`apt-get install bubblewrap`), and
//! through git's own variables everywhere.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rstest::rstest;
use turno_core::event::LeftBehind;
use turno_core::ids::CommitId;
use turno_engine::git::TurnoRef;
use turno_engine::slots::{Begun, Brought, Collected, How, Inspected, Lent, Salvaged, TakenBack};

use crate::world::{S1, World, assert_same, message, task};

/// How a program is kept from the repository.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// Other things are mounted over it.
    Covered,
    /// Git is told to look elsewhere.
    Told,
}

pub(crate) struct Loan {
    pub(crate) world: World,
    pub(crate) first: CommitId,
    pub(crate) slot: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) lent: Lent,
}

/// A test that tests nothing says so.
fn skipped(why: &str) {
    use std::io::Write;
    let mut error = std::io::stderr();
    error.write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

fn bwrap_works() -> bool {
    let probe = Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "true"])
        .output();
    probe.is_ok_and(|o| o.status.success())
}

impl Loan {
    pub(crate) async fn new() -> Self {
        Self::of(World::new()).await
    }

    pub(crate) async fn of(world: World) -> Self {
        let first = world.id("main");
        let slot = world.pool.prepare(S1, &first).await.unwrap().path;
        let dir = world.root().canonicalize().unwrap().join("state/attempts/a1");
        let lent = world.pool.lend(S1, &dir).await.unwrap();
        Self {
            world,
            first,
            slot,
            dir,
            lent,
        }
    }

    pub(crate) fn private(&self, name: &str) -> PathBuf {
        self.dir.join("lent").join(name)
    }

    /// Runs a script as the agent; gives what it printed. `None` where this way cannot be gone here.
    pub(crate) fn run(&self, way: Way, script: &str) -> Option<String> {
        let mut command = match way {
            Way::Told => {
                let mut command = Command::new("/bin/sh");
                command.envs(self.lent.env_without_covers().unwrap());
                command
            }
            Way::Covered if !bwrap_works() => {
                skipped("bwrap does not work here");
                return None;
            }
            Way::Covered => {
                let mut command = Command::new("bwrap");
                command
                    .args(["--dev-bind", "/", "/"])
                    .arg("--tmpfs")
                    .arg(&self.dir);
                for path in &self.lent.read_only {
                    command.arg("--ro-bind").args([path, path]);
                }
                for cover in &self.lent.cover {
                    command.arg(match cover.how {
                        How::ReadOnly => "--ro-bind",
                        How::Writable => "--bind",
                    });
                    command.args([&cover.from, &cover.shown_at]);
                }
                command.args(["--", "/bin/sh"]);
                command
            }
        };
        let home = self.world.root().join("private-home");
        fs::create_dir_all(&home).unwrap();
        if way == Way::Covered {
            command.env_clear().envs(&self.lent.env);
        }
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Agent");
            command.env(format!("GIT_{who}_EMAIL"), "agent@example.invalid");
        }
        let output = command
            .args(["-ec", script])
            .current_dir(&self.slot)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home)
            .env("GIT_EDITOR", ":")
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{way:?}: {said}");
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    pub(crate) async fn back(&self) -> TakenBack {
        self.world.pool.take_back(S1, &self.lent).await.unwrap()
    }

    pub(crate) async fn collect(&self) -> Collected {
        let branch = TurnoRef::task(task(), 1);
        let pool = &self.world.pool;
        pool.collect(
            S1,
            Begun {
                from: &self.first,
                since: None,
                survey: None,
            },
            &branch,
            &message(5),
        )
        .await
        .unwrap()
    }

    pub(crate) fn is_in_the_repository(&self, id: &str) -> bool {
        let repo = git2::Repository::open(self.world.top()).unwrap();
        repo.odb().unwrap().exists(git2::Oid::from_str(id).unwrap())
    }

    /// Leaves an object of this kind; gives its id.
    pub(crate) fn plant(&self, kind: &str, bytes: &[u8]) -> String {
        let file = self.world.root().join("planted-object");
        fs::write(&file, bytes).unwrap();
        let text = format!("git hash-object -t {kind} -w --literally '{}'", file.display());
        self.run(Way::Told, &text).unwrap()
    }
}

pub(crate) fn commit(collected: &Collected) -> &CommitId {
    let LeftBehind::Commit { commit, .. } = &collected.left else {
        panic!("{collected:?}")
    };
    commit
}

pub(crate) fn refused(back: &TakenBack) -> &str {
    let Brought::Refused { why } = &back.head else {
        panic!("{back:?}")
    };
    why
}

#[rstest]
#[case::covered(Way::Covered)]
#[case::told(Way::Told)]
#[tokio::test]
async fn what_was_committed_comes_back_as_it_is(#[case] way: Way) {
    let loan = Loan::new().await;
    let before = loan.world.fingerprint();
    let script = "test -z \"$(git status --porcelain)\"
        echo 1 > 'odd
name'
        git add -A && git commit -q -m one
        echo 2 > two.txt && git add two.txt && git commit -q -m two
        git repack -q -d -n
        echo 3 > three.txt
        echo built > forced.log && git add -f forced.log
        git rev-parse HEAD";
    let Some(mine) = loan.run(way, script) else { return };
    assert!(
        !loan.is_in_the_repository(&mine),
        "it is private until it is taken"
    );
    let back = loan.back().await;
    assert_eq!(back.head, Brought::At(mine.parse().unwrap()), "{back:?}");
    assert_eq!((back.odd.len(), back.salvaged.len()), (0, 0), "{back:?}");
    let collected = loan.collect().await;
    let work = commit(&collected);
    assert_eq!(loan.world.id(&format!("{work}^")).as_str(), mine);
    assert_eq!(loan.world.id(&format!("{work}~3")), loan.first);
    let files = loan.world.files_of(work);
    for name in ["odd\nname", "two.txt", "three.txt", "forced.log"] {
        assert!(files.iter().any(|f| f == name), "{name}: {files:?}");
    }
    loan.world.user(&["fsck", "--strict", "--no-dangling"]);
    assert_same(&before, &loan.world.fingerprint());
    assert_eq!(loan.world.hooks_ran(), None, "the user's hooks are for the user");
    loan.world.pool.prepare(S1, &loan.first).await.unwrap();
}

#[tokio::test]
async fn nothing_of_the_repository_can_be_written() {
    let loan = Loan::new().await;
    let before = loan.world.fingerprint();
    let common = loan.world.top().join(".git");
    let script = format!(
        "cd '{}'
        fails() {{ if \"$@\" >/dev/null 2>&1; then echo \"$*\"; fi; }}
        fails git branch evil
        fails git update-ref refs/heads/main HEAD
        fails git update-ref -d refs/turno/owner
        fails git config core.fsmonitor evil
        fails git tag evil
        fails git update-ref refs/stash HEAD
        fails git worktree add ../evil
        fails git push origin HEAD:refs/heads/evil
        fails touch '{common}/hooks/post-checkout'
        fails touch '{common}/objects/info/x/y' '{common}/info/grafts'
        fails rm .git
        fails sh -c 'echo x > .git'",
        loan.slot.display(),
        common = common.display(),
    );
    let Some(worked) = loan.run(Way::Covered, &script) else {
        return;
    };
    assert_eq!(worked, "");
    assert_same(&before, &loan.world.fingerprint());
    assert_eq!(loan.back().await.head, Brought::Unmoved);
    let look = loan.world.pool.inspect_untouched(S1, &loan.first).await.unwrap();
    assert_eq!(look, Inspected::Untouched, "a failed attempt leaves nothing");
}

#[rstest]
#[case::covered(Way::Covered)]
#[case::told(Way::Told)]
#[tokio::test]
async fn what_it_went_back_from_is_in_the_slots_log(#[case] way: Way) {
    let loan = Loan::new().await;
    let script = "echo 1 > one.txt; git add -A; git commit -q -m one; git rev-parse HEAD
        git commit -q --amend -m better; git rev-parse HEAD
        git reset -q --hard HEAD^";
    let Some(said) = loan.run(way, script) else { return };
    let (one, better) = said.split_once('\n').unwrap();
    let back = loan.back().await;
    assert_eq!((&back.head, back.odd.len()), (&Brought::Unmoved, 0), "{back:?}");
    let log = loan.world.git_in(&loan.slot, &["reflog", "--format=%H"]);
    assert!(log.contains(one) && log.contains(better), "{log}");
    assert_eq!(loan.collect().await.left, LeftBehind::Nothing);
}

#[rstest]
#[case::covered(Way::Covered)]
#[case::told(Way::Told)]
#[tokio::test]
async fn an_open_rebase_does_not_hurt(#[case] way: Way) {
    let world = World::new();
    let theirs = world.commit_on(&world.id("main"), "theirs", &[("a.txt", "theirs\n")]);
    let loan = Loan::of(world).await;
    let script = format!(
        "echo mine > a.txt; echo extra > extra.txt; git add -A; git commit -q -m mine; git rev-parse HEAD
        git rebase -q {theirs} >/dev/null 2>&1 && exit 1 || true"
    );
    let Some(mine) = loan.run(way, &script) else {
        return;
    };
    let back = loan.back().await;
    assert_eq!(back.head, Brought::At(theirs.clone()), "{back:?}");
    let kept = |s: &Salvaged| matches!(s, Salvaged::Commit { commit, .. } if commit.as_str() == mine);
    assert!(back.salvaged.iter().any(kept), "{back:?}");
    let collected = loan.collect().await;
    let work = commit(&collected);
    assert!(loan.world.show(work, "a.txt").unwrap().contains("<<<<<<<"));
    assert_eq!(loan.world.show(work, "extra.txt").as_deref(), Some("extra\n"));
}

#[tokio::test]
async fn head_on_a_branch_is_where_that_branch_is() {
    let loan = Loan::new().await;
    let main = loan.world.id("main");
    fs::write(loan.private("git/HEAD"), "ref: refs/heads/main\n").unwrap();
    assert_eq!(loan.back().await.head, Brought::Unmoved, "{main}");
    let there = loan.world.commit_on(&main, "elsewhere", &[("x", "x")]);
    loan.world.user(&["branch", "there", there.as_str()]);
    fs::write(loan.private("git/HEAD"), "ref: refs/heads/there\n").unwrap();
    assert_eq!(loan.back().await.head, Brought::At(there));
    loan.world.git_fails(&loan.slot, &["symbolic-ref", "-q", "HEAD"]);
}

#[tokio::test]
async fn a_branch_of_the_worktrees_own_is_followed() {
    let loan = Loan::new().await;
    let script = "echo 1 > one; git add -A; git commit -q -m one; git update-ref refs/worktree/mine HEAD
        git symbolic-ref HEAD refs/worktree/mine; git rev-parse HEAD";
    let mine = loan.run(Way::Told, script).unwrap();
    assert_eq!(loan.back().await.head, Brought::At(mine.parse().unwrap()));
}

#[tokio::test]
async fn too_much_is_refused_in_words() {
    let mut loan = Loan::new().await;
    let script = "seq 1 100000 > one.txt; git add -A; git commit -q -m one; git rev-parse HEAD";
    let mine = loan.run(Way::Told, script).unwrap();
    loan.lent.object_limit = 10_000;
    assert!(refused(&loan.back().await).contains("more than the 10000"));
    assert!(!loan.is_in_the_repository(&mine));
    loan.lent.object_limit = 1 << 30;
    assert_eq!(
        loan.back().await.head,
        Brought::At(mine.parse().unwrap()),
        "nothing of it was lost"
    );
}

#[tokio::test]
async fn the_lent_configuration_holds_no_secret_and_nothing_that_runs() {
    let world = World::new();
    let extra = world.root().join("included");
    fs::write(&extra, "[core]\n\tautocrlf = input\n\teditor = CANARY\n").unwrap();
    for (name, value) in [
        ("remote.origin.url", "https://user:CANARY@example.invalid/x.git"),
        ("remote.origin.pushurl", "ssh://CANARY@example.invalid/x.git"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("remote.origin.uploadpack", "CANARY"),
        ("branch.main.remote", "origin"),
        ("branch.main.merge", "refs/heads/main"),
        ("branch.evil.remote", "https://CANARY@example.invalid"),
        ("url.https://CANARY@example.invalid/.insteadOf", "no-push:"),
        ("credential.helper", "!echo CANARY"),
        ("http.extraHeader", "Authorization: CANARY"),
        ("alias.x", "!CANARY"),
        ("core.sshCommand", "CANARY"),
        ("core.pager", "CANARY"),
        ("core.attributesFile", "CANARY"),
        ("diff.x.textconv", "CANARY"),
        ("merge.x.driver", "CANARY"),
        ("filter.crypt.clean", "crypt --key CANARY"),
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("filter.lfs.required", "true"),
        ("include.path", extra.to_str().unwrap()),
        ("core.filemode", "true"),
        ("user.signingKey", "CANARY"),
    ] {
        world.user(&["config", name, value]);
    }
    let loan = Loan::of(world).await;
    let text = fs::read_to_string(loan.private("config")).unwrap();
    assert!(!text.contains("CANARY"), "{text}");
    let get = |name: &str| {
        let config = git2::Config::open(&loan.private("config")).unwrap();
        config.get_string(name).unwrap_or_default()
    };
    assert_eq!(get("remote.origin.url"), "no-push://turno");
    assert_eq!(get("remote.origin.pushurl"), "no-push://turno");
    assert_eq!(get("remote.origin.fetch"), "+refs/heads/*:refs/remotes/origin/*");
    assert_eq!(get("branch.main.remote"), "origin");
    assert_eq!(get("filter.lfs.clean"), "git-lfs clean -- %f");
    assert_eq!(get("filter.crypt.required"), "true");
    assert_eq!(
        get("core.autocrlf"),
        "input",
        "what is included counts, by its values"
    );
    assert_eq!(get("core.hooksPath"), "/dev/null");
    let note = loan.world.pool.lent_before(&loan.dir).unwrap();
    assert_eq!(
        note.as_ref(),
        Some(&loan.lent),
        "a later coordinator finds it again"
    );
}

#[tokio::test]
async fn who_is_told_where_everything_is_reads_another_configuration_and_all_refs() {
    let world = World::new();
    world.user(&["config", "http.extraHeader", "Authorization: CANARY"]);
    world.user(&["branch", "packed"]);
    world.user(&["pack-refs", "--all"]);
    world.user(&["branch", "loose"]);
    let loan = Loan::of(world).await;
    let said = loan
        .run(
            Way::Told,
            "git config --list; cat \"$(git rev-parse --git-common-dir)/config\"",
        )
        .unwrap();
    assert!(!said.contains("CANARY"), "{said}");
    let refs = loan.run(Way::Told, "git rev-parse packed loose main").unwrap();
    assert_eq!(refs.lines().count(), 3, "{refs}");
    let common = loan.lent.read_only_without_covers();
    assert!(
        common
            .iter()
            .all(|path| !path.join("config").exists() || path.starts_with(&loan.dir))
    );
}

#[tokio::test]
async fn a_file_under_a_filter_is_not_dirty_and_is_not_committed_raw() {
    let world = World::clean();
    for (name, value) in [("clean", "tr a-z A-Z"), ("smudge", "tr A-Z a-z")] {
        world.user(&["config", &format!("filter.shout.{name}"), value]);
    }
    let files = [(".gitattributes", "*.s filter=shout\n"), ("x.s", "QUIET\n")];
    let first = world.commit_on(&world.id("main"), "filtered", &files);
    world.user(&["reset", "-q", "--hard", first.as_str()]);
    let loan = Loan::of(world).await;
    let script = "test -z \"$(git status --porcelain)\"; cat x.s
        echo secret > y.s; if git add y.s 2>/dev/null; then echo added; fi";
    let Some(said) = loan.run(Way::Covered, script) else {
        return;
    };
    assert_eq!(said, "quiet");
    loan.back().await;
    let collected = loan.collect().await;
    assert_eq!(
        loan.world.show(commit(&collected), "y.s").as_deref(),
        Some("SECRET\n")
    );
}

#[tokio::test]
async fn other_repositories_in_the_slot_are_as_always() {
    let loan = Loan::new().await;
    let script = "git init -q /tmp/x-$$ && cd /tmp/x-$$ && git commit -q --allow-empty -m x
        test -n \"$(find .git/objects -type f)\" && git clone -q . ../y-$$ && rm -rf /tmp/x-$$ /tmp/y-$$";
    let Some(_) = loan.run(Way::Covered, script) else {
        return;
    };
    assert_eq!(loan.back().await.head, Brought::Unmoved);
}

/// What it staged and did not commit is known by nothing in the repository: its own git would trip over it.
#[tokio::test]
async fn a_person_may_collect_garbage_at_any_time() {
    let loan = Loan::new().await;
    let text = "mkdir d && echo staged > d/x && git add -A && git write-tree";
    loan.run(Way::Told, text).unwrap();
    loan.back().await;
    loan.world.user(&["gc", "-q"]);
    loan.world.user(&["fsck", "--connectivity-only", "--no-dangling"]);
    let collected = loan.collect().await;
    let commit = commit(&collected);
    assert_eq!(loan.world.show(commit, "d/x").as_deref(), Some("staged\n"));
    loan.world.user(&["gc", "-q"]);
}
