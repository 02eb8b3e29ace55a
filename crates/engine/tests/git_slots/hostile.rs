//! A slot that was lent and comes back with everything in it forged: nothing of it is followed, and the files are
//! kept.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rstest::rstest;
use turno_core::event::LeftBehind;
use turno_engine::slots::{Brought, Odd};

use crate::lending::{Loan, Way, commit, refused};
use crate::world::{S1, World, assert_same};

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

/// An older commit of the project's is forged, so that what is missing seems to be there already.
#[tokio::test]
async fn a_forged_ancestor_hides_nothing_that_is_missing() {
    let world = World::clean();
    let older = world.id("main");
    world.user(&["commit", "-q", "--allow-empty", "-m", "newer"]);
    // A tree that somebody left in the repository without its file.
    fs::write(world.root().join("lost"), "lost\n").unwrap();
    let blob = world.user(&["hash-object", "-w", "../lost"]);
    let index = world.root().join("lost-index");
    let at = |args: &str| format!("GIT_INDEX_FILE='{}' git {args}", index.display());
    let script = format!(
        "{} && {}",
        at(&format!("update-index --add --cacheinfo 100644,{blob},lost")),
        at("write-tree")
    );
    let alias = format!("alias.x=!{script}");
    let tree = world.user(&["-c", &alias, "x"]);
    fs::remove_file(loose(&world.top().join(".git/objects"), &blob)).unwrap();

    let loan = Loan::of(world).await;
    let who = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n";
    let forged = loan.plant("commit", format!("tree {tree}\n{who}").as_bytes());
    let mine = loan.plant("commit", format!("tree {tree}\nparent {older}\n{who}").as_bytes());
    let objects = loan.private("objects");
    let place = loose(&objects, older.as_str());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy(loose(&objects, &forged), place).unwrap();
    fs::write(loan.private("git/HEAD"), format!("{mine}\n")).unwrap();
    refused(&loan.back().await);
    assert_eq!(loan.collect().await.left, LeftBehind::Nothing);
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
