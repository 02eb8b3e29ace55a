//! A slot that is lent to a program which may not write the repository, and taken back whatever it left.
//!
//! The program sees what it is to see through `bwrap` where that is installed (`apt-get install bubblewrap`), and
//! through git's own variables everywhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use turno_core::event::LeftBehind;
use turno_core::ids::CommitId;
use turno_engine::git::TurnoRef;
use turno_engine::slots::{Brought, Collected, How, Inspected, Lent, Odd, Salvaged, TakenBack};

use crate::world::{S1, World, assert_same, message, task};

/// How a program is kept from the repository.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Other things are mounted over it.
    Covered,
    /// Git is told to look elsewhere.
    Told,
}

struct Loan {
    world: World,
    first: CommitId,
    slot: PathBuf,
    dir: PathBuf,
    lent: Lent,
}

fn bwrap_works() -> bool {
    let probe = Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "true"])
        .output();
    probe.is_ok_and(|o| o.status.success())
}

impl Loan {
    async fn new() -> Self {
        Self::of(World::new()).await
    }

    async fn of(world: World) -> Self {
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

    fn private(&self, name: &str) -> PathBuf {
        self.dir.join("lent").join(name)
    }

    /// Runs a script as the agent; gives what it printed. `None` where this way cannot be gone here.
    fn run(&self, way: Way, script: &str) -> Option<String> {
        let mut command = match way {
            Way::Told => {
                let mut command = Command::new("/bin/sh");
                command.envs(self.lent.env_without_covers());
                command
            }
            Way::Covered if !bwrap_works() => {
                eprintln!("skipped: bwrap does not work here");
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

    async fn back(&self) -> TakenBack {
        self.world.pool.take_back(S1, &self.lent).await.unwrap()
    }

    async fn collect(&self) -> Collected {
        let branch = TurnoRef::task(task(), 1);
        let pool = &self.world.pool;
        pool.collect(S1, &self.first, None, &branch, &message(5))
            .await
            .unwrap()
    }

    fn is_in_the_repository(&self, id: &str) -> bool {
        let repo = git2::Repository::open(self.world.top()).unwrap();
        repo.odb().unwrap().exists(git2::Oid::from_str(id).unwrap())
    }

    /// Leaves an object of this kind; gives its id.
    fn plant(&self, kind: &str, bytes: &[u8]) -> String {
        let file = self.world.root().join("planted-object");
        fs::write(&file, bytes).unwrap();
        let text = format!("git hash-object -t {kind} -w --literally '{}'", file.display());
        self.run(Way::Told, &text).unwrap()
    }
}

fn commit(collected: &Collected) -> &CommitId {
    let LeftBehind::Commit { commit, .. } = &collected.left else {
        panic!("{collected:?}")
    };
    commit
}

fn refused(back: &TakenBack) -> &str {
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

#[rstest]
#[case::words("garbage\n")]
#[case::empty("")]
#[case::short("abc123\n")]
#[case::name("main\n")]
#[case::two_lines("ref: refs/heads/main\nref: refs/heads/feature\n")]
#[case::out("ref: ../../../../etc/passwd\n")]
#[case::climbing("ref: refs/heads/../../../config\n")]
#[case::absent("ref: refs/heads/nowhere\n")]
#[case::option("--upload-pack=evil\n")]
#[case::control("\u{1b}]52;c;x\u{7}\n")]
#[tokio::test]
async fn a_head_that_makes_no_sense_is_not_followed(#[case] text: &str) {
    let loan = Loan::new().await;
    fs::write(loan.slot.join("work.txt"), "work").unwrap();
    fs::write(loan.private("git/HEAD"), text).unwrap();
    let back = loan.back().await;
    refused(&back);
    assert!(matches!(&back.odd[..], [Odd::Head { .. }]), "{back:?}");
    assert!(!back.odd[0].to_string().contains('\u{1b}'));
    let collected = loan.collect().await;
    assert_eq!(loan.world.id(&format!("{}^", commit(&collected))), loan.first);
    assert!(
        loan.world
            .files_of(commit(&collected))
            .contains(&"work.txt".to_owned())
    );
}

#[tokio::test]
async fn a_head_that_is_a_link_or_a_directory_is_not_followed() {
    let loan = Loan::new().await;
    let head = loan.private("git/HEAD");
    let elsewhere = loan.world.root().join("elsewhere");
    fs::write(&elsewhere, format!("{}\n", loan.world.id("feature"))).unwrap();
    fs::remove_file(&head).unwrap();
    symlink(&elsewhere, &head).unwrap();
    refused(&loan.back().await);
    fs::remove_file(&head).unwrap();
    fs::create_dir(&head).unwrap();
    refused(&loan.back().await);
    assert_eq!(loan.collect().await.left, LeftBehind::Nothing);
}

#[tokio::test]
async fn a_head_at_something_else_than_a_commit_is_refused() {
    let loan = Loan::new().await;
    let blob = loan.plant("blob", b"text");
    for id in [blob, "1".repeat(40), "0".repeat(40)] {
        fs::write(loan.private("git/HEAD"), format!("{id}\n")).unwrap();
        refused(&loan.back().await);
    }
    assert_eq!(loan.collect().await.left, LeftBehind::Nothing);
}

/// A repository that the agent may not see, and its one commit.
fn secret(world: &World) -> (PathBuf, String) {
    let dir = world.root().canonicalize().unwrap().join("secret");
    fs::create_dir(&dir).unwrap();
    world.git_in(&dir, &["init", "-q"]);
    fs::write(dir.join("key"), "the secret\n").unwrap();
    world.git_in(&dir, &["add", "-A"]);
    world.git_in(&dir, &["commit", "-q", "-m", "secret"]);
    world.git_in(&dir, &["repack", "-q", "-a", "-d"]);
    let id = world.git_in(&dir, &["rev-parse", "HEAD"]);
    (dir.join(".git/objects"), id)
}

#[rstest]
#[case::alternates(|objects: &Path, theirs: &Path| {
    fs::write(objects.join("info/alternates"), format!("{}\n", theirs.display())).unwrap();
})]
#[case::linked_packs(|objects: &Path, theirs: &Path| {
    fs::remove_dir(objects.join("pack")).unwrap();
    symlink(theirs.join("pack"), objects.join("pack")).unwrap();
})]
#[case::linked_files(|objects: &Path, theirs: &Path| {
    for file in fs::read_dir(theirs.join("pack")).unwrap() {
        let file = file.unwrap();
        symlink(file.path(), objects.join("pack").join(file.file_name())).unwrap();
    }
})]
#[tokio::test]
async fn objects_of_elsewhere_are_not_taken(#[case] plant: fn(&Path, &Path)) {
    let loan = Loan::new().await;
    let (theirs, id) = secret(&loan.world);
    plant(&loan.private("objects"), &theirs);
    fs::write(loan.private("git/HEAD"), format!("{id}\n")).unwrap();
    let back = loan.back().await;
    refused(&back);
    assert!(!loan.is_in_the_repository(&id), "{back:?}");
}

#[tokio::test]
async fn what_is_no_object_is_left_out_of_gits_sight() {
    let loan = Loan::new().await;
    let script = "echo 1 > one; git add -A; git commit -q -m one; git repack -q -a -d; git rev-parse HEAD";
    let mine = loan.run(Way::Told, script).unwrap();
    let objects = loan.private("objects");
    let names = [
        "pack/evil.keep",
        "pack/x.promisor",
        "info/http-alternates",
        "info/grafts",
        "zz/x",
        "config",
    ];
    for name in names {
        fs::create_dir_all(objects.join(name).parent().unwrap()).unwrap();
        fs::write(objects.join(name), "x").unwrap();
    }
    let back = loan.back().await;
    assert_eq!(back.head, Brought::At(mine.parse().unwrap()));
    let planted = back
        .odd
        .iter()
        .filter(|o| matches!(o, Odd::Planted { .. }))
        .count();
    assert_eq!(planted, names.len(), "{back:?}");
    assert_eq!(loan.back().await.head, back.head, "a second time gives the same");
}

fn loose(objects: &Path, id: &str) -> PathBuf {
    objects.join(&id[..2]).join(&id[2..])
}

#[rstest]
#[case::garbage(|path: &Path| { fs::remove_file(path).unwrap(); fs::write(path, "garbage").unwrap(); })]
#[case::empty(|path: &Path| { fs::remove_file(path).unwrap(); fs::write(path, "").unwrap(); })]
#[case::gone(|path: &Path| fs::remove_file(path).unwrap())]
#[case::device(|path: &Path| { fs::remove_file(path).unwrap(); symlink("/dev/zero", path).unwrap(); })]
#[tokio::test]
async fn a_broken_object_is_refused_and_the_files_are_kept(#[case] spoil: fn(&Path)) {
    let loan = Loan::new().await;
    let before = loan.world.fingerprint();
    let script = "echo 1 > one.txt; git add -A; git commit -q -m one; git rev-parse HEAD HEAD:one.txt";
    let said = loan.run(Way::Told, script).unwrap();
    let (mine, blob) = said.split_once('\n').unwrap();
    spoil(&loose(&loan.private("objects"), blob));
    let back = loan.back().await;
    assert!(refused(&back).contains("git refuses"), "{back:?}");
    assert!(!loan.is_in_the_repository(mine));
    let collected = loan.collect().await;
    assert_eq!(loan.world.id(&format!("{}^", commit(&collected))), loan.first);
    let text = loan.world.show(commit(&collected), "one.txt");
    assert_eq!(text.as_deref(), Some("1\n"), "the file is what counts");
    assert_same(&before, &loan.world.fingerprint());
}

#[tokio::test]
async fn another_object_under_a_known_name_changes_nothing() {
    let loan = Loan::new().await;
    let script =
        "echo 1 > one.txt; git add -A; git commit -q -m one; git rev-parse HEAD HEAD:one.txt HEAD:b.txt";
    let said = loan.run(Way::Told, script).unwrap();
    let ids: Vec<&str> = said.lines().collect();
    let objects = loan.private("objects");
    // One of the repository's own, and one of its own: both with the content of another.
    let forged = loose(&objects, ids[2]);
    fs::create_dir_all(forged.parent().unwrap()).unwrap();
    fs::copy(loose(&objects, ids[1]), &forged).unwrap();
    assert_eq!(loan.back().await.head, Brought::At(ids[0].parse().unwrap()));
    let text = loan.world.show(&ids[0].parse().unwrap(), "b.txt");
    assert_eq!(text.as_deref(), Some("b\n"));
    loan.collect().await;
    loan.world.user(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn a_spoiled_pack_is_refused() {
    let loan = Loan::new().await;
    let script = "seq 1 5000 > one.txt; git add -A; git commit -q -m one
        git repack -q -a -d -l; git prune-packed; git rev-parse HEAD";
    let mine = loan.run(Way::Told, script).unwrap();
    let packs = fs::read_dir(loan.private("objects/pack")).unwrap();
    let pack = packs
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "pack"));
    let pack = pack.unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 40] {
        *byte ^= 0x5a;
    }
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    refused(&loan.back().await);
    assert!(!loan.is_in_the_repository(&mine));
    assert!(
        loan.world
            .files_of(commit(&loan.collect().await))
            .contains(&"one.txt".to_owned())
    );
}

fn tree_of(entries: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend(format!("{mode} {name}\0").as_bytes());
        bytes.extend(git2::Oid::from_str(id).unwrap().as_bytes());
    }
    bytes
}

#[rstest]
#[case::git_dir("40000", ".git")]
#[case::git_dir_of_another_system("40000", "GIT~1")]
#[case::dot_dot("40000", "..")]
#[case::slash("100644", "a/b")]
#[case::odd_mode("100666", "b.txt\u{0}")]
#[tokio::test]
async fn a_tree_that_no_git_makes_is_refused(#[case] mode: &str, #[case] name: &str) {
    let loan = Loan::new().await;
    let inner = loan.plant("blob", b"[core]\nfsmonitor = evil\n");
    let inner = if mode == "40000" {
        loan.plant("tree", &tree_of(&[("100644", "config", &inner)]))
    } else {
        inner
    };
    let tree = loan.plant("tree", &tree_of(&[(mode, name, &inner)]));
    let script = format!("git commit-tree {tree} -p HEAD -m evil 2>/dev/null || true");
    let mut id = loan.run(Way::Told, &script).unwrap();
    if id.is_empty() {
        let text = format!(
            "tree {tree}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nevil\n",
            loan.first
        );
        id = loan.plant("commit", text.as_bytes());
    }
    fs::write(loan.private("git/HEAD"), format!("{id}\n")).unwrap();
    let back = loan.back().await;
    refused(&back);
    assert!(!loan.is_in_the_repository(&id), "{back:?}");
    assert_eq!(loan.collect().await.left, LeftBehind::Nothing);
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
async fn nothing_of_the_private_metadata_is_obeyed() {
    let loan = Loan::new().await;
    loan.world.user(&["config", "extensions.worktreeConfig", "true"]);
    let marker = loan.world.root().join("ran");
    let run = format!("touch '{}'; false", marker.display());
    let script = "echo 1 > one.txt; git add -A; git commit -q -m one; git rev-parse HEAD";
    let mine = loan.run(Way::Told, script).unwrap();
    let evil = loan.world.root().join("evil");
    loan.world.git_in(loan.world.root(), &["init", "-q", "evil"]);
    let config = format!(
        "[core]\n\tfsmonitor = {run:?}\n\tsshCommand = {run:?}\n[filter \"x\"]\n\tclean = {run:?}\n\tprocess = {run:?}\n"
    );
    for place in [
        loan.private("git/config.worktree"),
        loan.private("git/config"),
        evil.join(".git/config"),
    ] {
        fs::write(place, &config).unwrap();
    }
    fs::create_dir_all(loan.private("git/hooks")).unwrap();
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        let path = loan.private("git/hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\n{run}\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    fs::write(
        loan.private("git/commondir"),
        format!("{}\n", evil.join(".git").display()),
    )
    .unwrap();
    fs::write(loan.slot.join(".gitattributes"), "* filter=x\n").unwrap();
    assert_eq!(loan.back().await.head, Brought::At(mine.parse().unwrap()));
    loan.collect().await;
    loan.world.pool.prepare(S1, &loan.first).await.unwrap();
    assert!(!marker.exists());
}

/// An index in which a name is replaced by another one of the same length.
fn forge_index(path: &Path, from: &str, to: &str) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes
        .windows(from.len())
        .position(|w| w == from.as_bytes())
        .unwrap();
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    let end = bytes.len() - 20;
    // Git takes this for an index that was written without a checksum.
    bytes[end..].fill(0);
    fs::write(path, bytes).unwrap();
}

#[rstest]
#[case::out("../1.gitdir")]
#[case::git_dir(".git")]
#[case::absolute("/etc/passwd")]
#[tokio::test]
async fn odd_entries_of_its_index_hide_nothing(#[case] name: &str) {
    let loan = Loan::new().await;
    assert!(loan.slot.join(name).exists(), "git would be asked to add it");
    let forged = "aaaaaaaaaaa".get(..name.len()).unwrap();
    let script = format!(
        "mkdir -p abcd; echo x > abcd/xyz.log; echo built > dist.log; echo x > {forged}
        git add -f abcd/xyz.log dist.log {forged}"
    );
    loan.run(Way::Told, &script).unwrap();
    forge_index(&loan.private("git/index"), forged, name);
    assert_eq!(loan.back().await.head, Brought::Unmoved);
    let collected = loan.collect().await;
    let files = loan.world.files_of(commit(&collected));
    assert!(
        files.contains(&"abcd/xyz.log".to_owned()) && files.contains(&"dist.log".to_owned()),
        "{files:?}"
    );
    assert!(
        files.iter().all(|f| !f.contains("..") && !f.contains(".git/")),
        "{files:?}"
    );
}

#[tokio::test]
async fn an_index_that_is_a_link_or_garbage_is_not_followed() {
    let loan = Loan::new().await;
    fs::write(loan.slot.join("work.txt"), "work").unwrap();
    let index = loan.private("git/index");
    fs::write(&index, "garbage").unwrap();
    assert_eq!(loan.back().await.head, Brought::Unmoved);
    fs::remove_file(&index).unwrap();
    symlink("/etc/passwd", &index).unwrap();
    assert_eq!(loan.back().await.odd, [Odd::Index]);
    assert!(
        loan.world
            .files_of(commit(&loan.collect().await))
            .contains(&"work.txt".to_owned())
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
