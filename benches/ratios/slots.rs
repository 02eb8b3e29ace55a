//! A warm slot against a fresh worktree of the same commit, in a generated repository of 60,000 files.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::runtime::Runtime;
use turno_core::foresight::Found;
use turno_core::ids::{CommitId, SlotId};
use turno_engine::git::Repo;
use turno_engine::slots::{SlotPlace, SlotPool};

use crate::measure::{Bound, Times, Verdict, settle, time};

const FILES: usize = 60_000;
const COMMITS: usize = 20;
const CHANGED: usize = 200;
const IGNORED: usize = 5_000;
const ROUNDS: usize = 7;
/// Changes under way that one is held against.
const UNDER_WAY: usize = 8;
const SLOT: SlotPlace = SlotPlace::Slot(SlotId(1));

/// Runs the section.
pub(crate) fn run(dir: &Path) -> Verdict {
    let root = dir.join("repo");
    generate(&root);
    let commits = [commit(&root, "HEAD"), commit(&root, "HEAD~1")];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let pool = SlotPool::open(Repo::open(&root).unwrap(), &dir.join("pool")).unwrap();
    let slot = Slot {
        runtime,
        path: pool.path(SLOT),
        pool,
    };
    let (first, ()) = time(|| slot.prepare(&commits[0]));
    println!(
        "{FILES} files; the slot's own first checkout took {:.2} s\n",
        first.as_secs_f64()
    );
    fs::create_dir(slot.path.join("cache")).unwrap();
    for n in 0..IGNORED {
        fs::write(slot.path.join(format!("cache/{n}")), "an object file").unwrap();
    }
    slot.prepare(&commits[0]);
    status(&slot.path);

    let mut fresh = Times::of("git worktree add");
    let mut fresh4 = Times::of("git worktree add, checkout.workers=4");
    let mut look = Times::of("git status in the slot");
    let mut same = Times::of("warm slot, clean, same commit");
    let mut moved = Times::of("warm slot, clean, one commit of 200 files on");
    let mut dirty = Times::of("warm slot, 50 edits and 20 new files");
    let mut ahead = Times::of("whether a change merges with 8 others");
    let changes: Vec<CommitId> = (0..=UNDER_WAY).map(|n| branch_off(&root, n)).collect();
    for round in 0..ROUNDS {
        let (here, there) = (&commits[round % 2], &commits[(round + 1) % 2]);
        slot.prepare(here);
        let add = |times: &mut Times, settings: &[&str]| {
            let path = dir.join(format!("fresh-{round}-{}", settings.len()));
            settle();
            times.push(time(|| worktree_add(&root, &path, here, settings)).0);
        };
        let mut warm = || {
            settle();
            same.push(time(|| slot.prepare(here)).0);
            settle();
            look.push(time(|| status(&slot.path)).0);
            settle();
            ahead.push(time(|| slot.look_ahead(&changes)).0);
            settle();
            moved.push(time(|| slot.prepare(there)).0);
            slot.soil(round);
            settle();
            dirty.push(time(|| slot.prepare(there)).0);
            assert!(status(&slot.path).is_empty(), "a prepared slot is clean");
        };
        if round % 2 == 0 {
            warm();
            add(&mut fresh, &[]);
            add(&mut fresh4, &["checkout.workers=4"]);
        } else {
            add(&mut fresh4, &["checkout.workers=4"]);
            add(&mut fresh, &[]);
            warm();
        }
    }
    assert_eq!(
        fs::read_dir(slot.path.join("cache")).unwrap().count(),
        IGNORED,
        "caches stay"
    );
    for times in [&fresh, &fresh4, &look, &ahead, &same, &moved, &dirty] {
        times.print(1);
    }
    println!();
    ahead.against(&look, Bound::Shown);
    same.against(&look, Bound::Shown);
    moved.against(&look, Bound::Shown);
    dirty.against(&look, Bound::Shown);
    same.against(&fresh4, Bound::Shown);
    moved.against(&fresh4, Bound::Shown);
    dirty.against(&fresh4, Bound::Shown);
    dirty.against(&fresh, Bound::Shown);
    // 15 is the aim here too, and is missed: a look and a checkout each go over all files.
    moved.against(&fresh, Bound::Shown);
    same.against(&fresh, Bound::Faster(15.0))
}

struct Slot {
    runtime: Runtime,
    pool: SlotPool,
    path: PathBuf,
}

impl Slot {
    fn prepare(&self, commit: &CommitId) {
        self.runtime.block_on(self.pool.prepare(SLOT, commit)).unwrap();
    }

    /// Holds the first against the others, of which every second one conflicts.
    fn look_ahead(&self, changes: &[CommitId]) {
        let (one, others) = changes.split_first().unwrap();
        let scratch = self.path.with_file_name("preflight");
        let look = self.pool.repo().preflight(one, others, &scratch);
        let found = self.runtime.block_on(look);
        let clashes = found.iter().filter(|f| matches!(f, Found::Clashes(_))).count();
        assert_eq!(clashes, UNDER_WAY / 2, "{found:?}");
    }

    /// What an attempt that was broken off may leave.
    fn soil(&self, round: usize) {
        for n in 0..50 {
            let path = self.path.join(file(n * 997 % FILES));
            fs::write(path, format!("edited in round {round}, {n}")).unwrap();
        }
        for n in 0..20 {
            fs::write(self.path.join(format!("new-{n}")), format!("{round} {n}")).unwrap();
        }
    }
}

fn file(n: usize) -> String {
    format!(
        "crate-{:02}/module-{:02}/file-{:02}.rs",
        n / 2000,
        n / 50 % 40,
        n % 50
    )
}

fn git<A: AsRef<OsStr>>(cwd: &Path, args: &[A]) -> Command {
    let mut command = Command::new("git");
    command
        .args(args)
        .current_dir(cwd)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

fn output(mut command: Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn commit(root: &Path, name: &str) -> CommitId {
    output(git(root, &["rev-parse", name])).trim().parse().unwrap()
}

fn status(slot: &Path) -> String {
    output(git(slot, &["status", "--porcelain"]))
}

fn worktree_add(root: &Path, path: &Path, commit: &CommitId, settings: &[&str]) {
    let mut args: Vec<&OsStr> = Vec::new();
    for setting in settings {
        args.extend([OsStr::new("-c"), OsStr::new(setting)]);
    }
    args.extend(["worktree", "add", "--quiet", "--detach"].map(OsStr::new));
    args.extend([path.as_os_str(), OsStr::new(commit.as_str())]);
    output(git(root, &args));
}

/// All files in the first commit, then commits that change some of them, all over the tree.
fn generate(root: &Path) {
    fs::create_dir(root).unwrap();
    output(git(root, &["init", "--quiet", "--initial-branch=main"]));
    let mut child = git(root, &["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut script = String::new();
    for commit in 0..=COMMITS {
        let when = 1_700_000_000 + commit;
        let message = format!("commit {commit}\n");
        writeln!(script, "commit refs/heads/main").unwrap();
        writeln!(script, "committer A <a@example.invalid> {when} +0000").unwrap();
        write!(script, "data {}\n{message}", message.len()).unwrap();
        let changed: Vec<usize> = if commit == 0 {
            put(&mut script, ".gitignore", "/cache/\n");
            (0..FILES).collect()
        } else {
            (0..CHANGED).map(|n| (n * 293 + commit * 31) % FILES).collect()
        };
        for n in changed {
            let line = format!("pub fn function_{n}_of_{commit}() -> usize {{ {} }}\n", n * 7919);
            put(&mut script, &file(n), &line.repeat(3 + n % 9));
        }
    }
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    output(git(root, &["reset", "--quiet", "--hard", "main"]));
}

/// A change of 50 files of its own, and of one that every second change has too.
fn branch_off(root: &Path, number: usize) -> CommitId {
    let name = format!("refs/heads/change-{number}");
    let mut script = format!("commit {name}\ncommitter A <a@example.invalid> 1700001000 +0000\ndata 2\nx\n");
    writeln!(script, "from refs/heads/main").unwrap();
    for n in 0..50 {
        let own = file((n * 1013 + number * 101 + 7) % FILES);
        put(&mut script, &own, &format!("// {number}\n"));
    }
    if number.is_multiple_of(2) {
        put(&mut script, "shared.rs", &format!("// {number}\n"));
    }
    let mut child = git(root, &["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    commit(root, &name)
}

fn put(script: &mut String, path: &str, text: &str) {
    writeln!(script, "M 100644 inline {path}\ndata {}\n{text}", text.len()).unwrap();
}
