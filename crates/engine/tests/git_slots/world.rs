//! A person's repository in a temporary directory, and a fingerprint of everything in it that is theirs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use turno_core::ids::{AttemptId, CommitId, SlotId, TaskId};
use turno_core::units::MicroUsd;
use turno_engine::git::{CommitMessage, Found, Repo, Surroundings, Trailers, TurnoRef};
use turno_engine::slots::{SlotPlace, SlotPool};

pub(crate) const S1: SlotPlace = SlotPlace::Slot(SlotId(1));

const HOOKS: [&str; 12] = [
    "post-checkout",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-rewrite",
    "post-merge",
    "pre-merge-commit",
    "reference-transaction",
    "post-index-change",
    "pre-auto-gc",
];

pub(crate) struct World {
    dir: TempDir,
    pub(crate) pool: SlotPool,
}

/// Path to bytes and, for files of the checkout, inode and time of change.
pub(crate) type Fingerprint = BTreeMap<PathBuf, (Vec<u8>, u64, i64)>;

impl World {
    /// With uncommitted work of every kind in the user's checkout.
    pub(crate) fn new() -> Self {
        let world = Self::clean();
        let top = world.top();
        fs::write(top.join("a.txt"), "a stashed\n").unwrap();
        world.user(&["stash", "-q"]);
        fs::write(top.join("a.txt"), "a edited\n").unwrap();
        fs::write(top.join("staged.txt"), "staged\n").unwrap();
        world.user(&["add", "staged.txt"]);
        fs::write(top.join("untracked.txt"), "untracked\n").unwrap();
        world.arm();
        world
    }

    /// The same, with nothing uncommitted, and without the traps.
    pub(crate) fn clean() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "project"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let top = dir.path().join("project");
        run(dir.path(), &top, &["init", "-q", "-b", "main"]);
        fs::create_dir(top.join("src")).unwrap();
        for (name, text) in [
            ("a.txt", "one\ntwo\nthree\n"),
            ("b.txt", "b\n"),
            ("src/lib.rs", "fn f() {}\n"),
            (".gitignore", "cache/\n*.log\n"),
        ] {
            fs::write(top.join(name), text).unwrap();
        }
        run(dir.path(), &top, &["add", "-A"]);
        run(dir.path(), &top, &["commit", "-q", "-m", "first"]);
        run(dir.path(), &top, &["branch", "feature"]);
        let other = dir.path().join("other");
        run(
            dir.path(),
            &top,
            &[
                "worktree",
                "add",
                "-q",
                "-b",
                "elsewhere",
                other.to_str().unwrap(),
            ],
        );
        let surroundings = Surroundings::of_this_process()
            .with("HOME", dir.path().join("home"))
            .with("GIT_CONFIG_NOSYSTEM", "1")
            .with("XDG_CONFIG_HOME", dir.path().join("home/.config"));
        let repo = Repo::open_in(&top, surroundings).unwrap();
        let pool = SlotPool::open(repo, &dir.path().join("state/slots/project")).unwrap();
        Self { dir, pool }
    }

    /// Hooks that leave a trace, and settings that would break or leak.
    pub(crate) fn arm(&self) {
        let hooks = self.top().join(".git/hooks");
        fs::create_dir_all(&hooks).unwrap();
        let trace = self.dir.path().join("home/a-hook-ran");
        let script = format!("#!/bin/sh\necho \"$0\" >> {}\nexit 1\n", trace.display());
        for name in HOOKS {
            fs::write(hooks.join(name), &script).unwrap();
            fs::set_permissions(hooks.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir_all(self.top().join(".git/rr-cache")).unwrap();
        let monitor = hooks.join("post-commit");
        for (name, value) in [
            ("core.fsmonitor", monitor.to_str().unwrap()),
            ("commit.gpgSign", "true"),
            ("gpg.program", "false"),
            ("rebase.updateRefs", "true"),
            ("rebase.autoSquash", "true"),
            ("rebase.autoStash", "true"),
            ("merge.autoStash", "true"),
            ("merge.conflictStyle", "zdiff3"),
            ("status.showUntrackedFiles", "no"),
            ("core.splitIndex", "true"),
            ("user.useConfigOnly", "true"),
        ] {
            run(
                self.dir.path(),
                &self.top(),
                &["-c", "core.hooksPath=/dev/null", "config", name, value],
            );
        }
    }

    pub(crate) fn hooks_ran(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("home/a-hook-ran")).ok()
    }

    pub(crate) fn repo(&self) -> &Repo {
        self.pool.repo()
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn top(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub(crate) fn pool_dir(&self) -> PathBuf {
        self.dir.path().join("state/slots/project")
    }

    /// git as the user runs it, with the traps out of the way.
    pub(crate) fn user(&self, args: &[&str]) -> String {
        self.git_in(&self.top(), args)
    }

    /// git as an agent runs it, somewhere.
    pub(crate) fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        let calm = [
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "commit.gpgSign=false",
        ];
        run(self.dir.path(), dir, &[&calm, args].concat())
    }

    /// The same, when it is expected to fail.
    pub(crate) fn git_fails(&self, dir: &Path, args: &[&str]) {
        let output = command(self.dir.path(), dir, args).output().unwrap();
        assert!(!output.status.success(), "git {args:?} should have failed");
    }

    pub(crate) fn id(&self, rev: &str) -> CommitId {
        self.user(&["rev-parse", "--verify", &format!("{rev}^{{commit}}")])
            .parse()
            .unwrap()
    }

    /// The content of a path in a commit, if it is there.
    pub(crate) fn show(&self, commit: &CommitId, path: &str) -> Option<String> {
        let spec = format!("{commit}:{path}");
        let output = command(self.dir.path(), &self.top(), &["show", &spec])
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) fn files_of(&self, commit: &CommitId) -> Vec<String> {
        let listing = self.user(&["ls-tree", "-r", "-z", "--name-only", commit.as_str()]);
        listing
            .split('\0')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// A commit made elsewhere, as a writer would: `files` on top of `parent`.
    pub(crate) fn commit_on(&self, parent: &CommitId, subject: &str, files: &[(&str, &str)]) -> CommitId {
        let maker = self.dir.path().join("maker");
        if !maker.exists() {
            self.git_in(
                self.dir.path(),
                &["clone", "-q", "--no-local", "project", "maker"],
            );
        }
        self.git_in(
            &maker,
            &["fetch", "-q", self.top().to_str().unwrap(), parent.as_str()],
        );
        self.git_in(&maker, &["checkout", "-q", "-f", "--detach", parent.as_str()]);
        for (name, text) in files {
            fs::create_dir_all(maker.join(name).parent().unwrap()).unwrap();
            fs::write(maker.join(name), text).unwrap();
        }
        self.git_in(&maker, &["add", "-A"]);
        self.git_in(&maker, &["commit", "-q", "--allow-empty", "-m", subject]);
        let commit = self.git_in(&maker, &["rev-parse", "HEAD"]);
        let spec = format!("HEAD:refs/turno/test/{commit}");
        let quiet = [
            "-c",
            "gc.auto=0",
            "-c",
            "maintenance.auto=false",
            "fetch",
            "-q",
            "--no-write-fetch-head",
        ];
        self.user(&[&quiet[..], &[maker.to_str().unwrap(), &spec]].concat());
        commit.parse().unwrap()
    }

    pub(crate) fn at(&self, name: &TurnoRef) -> Option<CommitId> {
        match self.repo().read_ref(name).unwrap() {
            Found::At(commit) => Some(commit),
            Found::Absent => None,
        }
    }

    /// Everything of the user's: the checkouts to the inode, and all of `.git` but objects and what is Turno's.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut found = Fingerprint::new();
        for checkout in ["project", "other"] {
            walk(&self.dir.path().join(checkout), &mut |path, meta| {
                if path.ends_with(".git") {
                    return false;
                }
                // A directory's own times say nothing: listing is what counts.
                let stamp = if meta.is_dir() {
                    (0, 0)
                } else {
                    (meta.ino(), meta.mtime_nsec() ^ meta.mtime())
                };
                found.insert(path.to_owned(), (content(path, meta), stamp.0, stamp.1));
                true
            });
        }
        let git = self.top().join(".git");
        let pool = self.pool_dir().canonicalize().unwrap();
        walk(&git, &mut |path, meta| {
            let inside = path.strip_prefix(&git).unwrap();
            let ours = [
                "objects",
                "refs/heads/turno",
                "refs/turno",
                "logs/refs/heads/turno",
                "logs/refs/turno",
            ];
            if ours.iter().any(|o| inside == Path::new(o)) {
                return false;
            }
            let gitdir = fs::read_to_string(path.join("gitdir")).unwrap_or_default();
            if inside.parent() == Some(Path::new("worktrees")) && gitdir.starts_with(pool.to_str().unwrap()) {
                return false;
            }
            if !meta.is_dir() {
                found.insert(path.to_owned(), (content(path, meta), 0, 0));
            }
            true
        });
        found
    }
}

/// Says which paths differ, not how: the bytes may be large.
pub(crate) fn assert_same(before: &Fingerprint, after: &Fingerprint) {
    let changed: Vec<_> = before
        .iter()
        .filter(|(path, value)| after.get(*path) != Some(value))
        .map(|(path, _)| path)
        .chain(after.keys().filter(|path| !before.contains_key(*path)))
        .collect();
    assert!(changed.is_empty(), "the user's own was touched: {changed:?}");
}

fn content(path: &Path, meta: &fs::Metadata) -> Vec<u8> {
    if meta.is_file() {
        fs::read(path).unwrap()
    } else {
        Vec::new()
    }
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> bool) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if visit(&path, &meta) && meta.is_dir() {
            walk(&path, visit);
        }
    }
}

fn command(root: &Path, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root.join("home"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_EDITOR", ":")
        .env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Someone")
            .env(format!("GIT_{who}_EMAIL"), "someone@example.invalid");
    }
    command
}

fn run(root: &Path, dir: &Path, args: &[&str]) -> String {
    let output = command(root, dir, args).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "git {args:?} in {}: {error}",
        dir.display()
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn task() -> TaskId {
    "7.2".parse().unwrap()
}

pub(crate) fn trailers(attempt: u64) -> Trailers {
    Trailers {
        task: task(),
        persona: "engineer".parse().unwrap(),
        attempt: AttemptId(attempt),
        cost: MicroUsd(250_000),
    }
}

pub(crate) fn message(attempt: u64) -> CommitMessage {
    CommitMessage {
        subject: "Do it".into(),
        body: "Because.".into(),
        trailers: trailers(attempt),
    }
}
