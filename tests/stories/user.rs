//! Root that starts Turno and names a user: everything is then that user's. The user is made for the story alone, in a
//! mount namespace with a list of users of its own; the machine's list is not touched.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use tempfile::TempDir;

/// A number that no user of a machine has.
const UID: u32 = 54_321;
const NAME: &str = "turno-story";

const CONFIG: &str = "\
policy = \"single\"
[checks.test]
command = \"test -s who.txt\"
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

const SCRIPT: &str = "\
sessions:
  - persona: engineer
    steps:
      - run: 'id -u > who.txt; id -G >> who.txt'
      - outcome: {summary: says who it is}
  - persona: reviewer
    steps:
      - outcome: {verdict: approve}
";

/// What a run gave.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n{}\n{}", self.out, self.err);
        self
    }
}

/// A repository, root's home, the user's home, and Turno where everybody may run it.
struct Stage {
    top: PathBuf,
    _root: TempDir,
}

impl Stage {
    /// `None`, with a word on the output, where the harness is not root or may not make a namespace.
    fn new(story: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: {story}: only root becomes another user");
            return None;
        }
        let root = TempDir::with_prefix("turno-user-").unwrap();
        let top = root.path().canonicalize().unwrap();
        fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["repo", "roots", "theirs", "bin"] {
            fs::create_dir(top.join(dir)).unwrap();
        }
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let home = top.join("theirs").display().to_string();
        let users = format!(
            "{users}{NAME}:x:{UID}:{UID}::{home}:/bin/sh\nhomeless:x:54322:54322::/nonexistent:/bin/sh\n"
        );
        fs::write(top.join("users"), users).unwrap();
        let built = env!("CARGO_BIN_EXE_turno");
        if fs::hard_link(built, top.join("bin/turno")).is_err() {
            fs::copy(built, top.join("bin/turno")).unwrap();
        }
        for (path, text) in [("turno.toml", CONFIG), ("script.yaml", SCRIPT)] {
            fs::write(top.join("repo").join(path), text).unwrap();
        }
        let stage = Self { top, _root: root };
        if stage.named("true", &[], &[]).code != 0 {
            println!("skipped: {story}: no mount namespace may be made here");
            return None;
        }
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "A Person"],
            &["config", "user.email", "person@example.invalid"],
            &["add", "-A"],
            &["commit", "-q", "-m", "begin"],
        ] {
            stage.git(args);
        }
        for theirs in ["repo", "theirs"] {
            give(&stage.top.join(theirs), UID);
        }
        Some(stage)
    }

    /// Runs a program as root, where the list of users has the story's.
    fn named(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> Done {
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount --bind \"$USERS\" /etc/passwd && unset USERS && exec \"$@\"")
            .arg("sh")
            .arg(program)
            .args(args)
            .current_dir(self.top.join("repo"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.top.join("roots"))
            .env("XDG_STATE_HOME", self.top.join("roots/state"))
            .env("USERS", self.top.join("users"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn turno(&self, args: &[&str], env: &[(&str, &str)]) -> Done {
        self.named(self.top.join("bin/turno").to_str().unwrap(), args, env)
    }

    fn git(&self, args: &[&str]) -> String {
        let all: Vec<&str> = ["-c", "safe.directory=*"].iter().chain(args).copied().collect();
        self.named("git", &all, &[]).exits(0).out.trim_end().to_owned()
    }

    /// Everything below a directory that is not the user's.
    fn not_theirs(&self, dir: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.top.join(dir), &mut |path, owner| {
            if owner != UID {
                found.push(path.to_owned());
            }
        });
        found
    }
}

fn walk(path: &Path, visit: &mut dyn FnMut(&Path, u32)) {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return,
        Err(e) => panic!("{}: {e}", path.display()),
    };
    visit(path, meta.uid());
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), visit);
        }
    }
}

fn give(dir: &Path, uid: u32) {
    walk(dir, &mut |path, _| {
        std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    });
}

const AS_USER: &[(&str, &str)] = &[("TURNO_USER", NAME)];

#[test]
fn a_shift_that_root_starts_is_the_users() {
    let Some(stage) = Stage::new("a shift that root starts is the user's") else {
        return;
    };
    stage
        .turno(&["issue", "add", "Say who you are"], AS_USER)
        .exits(0);
    let done = stage.turno(&["run", "1", "--agent", "actor"], AS_USER).exits(0);
    assert!(done.out.contains("all landed"), "{}", done.out);
    assert!(!done.err.contains("runs as root"), "{}", done.err);
    let said = stage.git(&["show", "turno/1/base:who.txt"]);
    assert_eq!(
        said,
        format!("{UID}\n{UID}"),
        "the number and the groups of an attempt's process"
    );
    for dir in ["repo", "theirs"] {
        assert_eq!(stage.not_theirs(dir), Vec::<PathBuf>::new());
    }
    // What root types later is about the same state, however it names the user.
    let status = stage.turno(&["status"], AS_USER).exits(0);
    let by_flag = stage.turno(&["status", "--user", NAME], &[]).exits(0);
    assert_eq!(status.out, by_flag.out);
    let place = stage.turno(&["where"], AS_USER).exits(0).out;
    let state = stage.top.join("theirs/.local/state/turno");
    assert!(place.contains(state.to_str().unwrap()), "{place}");
    assert!(
        !stage.top.join("roots/state").exists(),
        "nothing of root's came into being"
    );
    // Root's own file says it as well.
    let config = stage.top.join("roots/.config/turno");
    fs::create_dir_all(&config).unwrap();
    fs::write(
        config.join("turno.toml"),
        format!("[sandbox]\nuser = \"{NAME}\"\n"),
    )
    .unwrap();
    let by_file = stage.turno(&["where"], &[]).exits(0);
    assert_eq!(by_file.out, place);
}

#[test]
fn a_user_that_turno_cannot_become_is_refused_in_words() {
    let Some(stage) = Stage::new("a user that Turno cannot become is refused in words") else {
        return;
    };
    let refused = |env: &[(&str, &str)], code: i32, words: &str| {
        let done = stage.turno(&["status"], env).exits(code);
        assert!(done.err.contains(words), "{}", done.err);
    };
    refused(
        &[("TURNO_USER", "no-such-user")],
        2,
        "user = no-such-user (from the environment variable TURNO_USER): this machine has no such user",
    );
    refused(&[("TURNO_USER", "root")], 2, "that is root itself");
    refused(
        &[("TURNO_USER", "homeless")],
        4,
        "the user homeless has no home: /nonexistent",
    );
    // It can neither loop nor be told that it is done.
    refused(
        &[("TURNO_USER", NAME), ("TURNO_BECAME", "54321")],
        4,
        "is root all the same",
    );
    // The program lies where the user does not come.
    let bin = stage.top.join("bin");
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o700)).unwrap();
    refused(AS_USER, 4, "cannot be started as turno-story");
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    // The repository is somebody else's.
    give(&stage.top.join("repo/.git"), 0);
    refused(AS_USER, 4, "chown -R turno-story");
    give(&stage.top.join("repo/.git"), UID);
    let repo = stage.top.join("repo");
    fs::set_permissions(&repo, fs::Permissions::from_mode(0o700)).unwrap();
    give(&repo, 0);
    refused(AS_USER, 4, "may not look into");
    // The user's own state cannot be written.
    give(&repo, UID);
    give(&stage.top.join("theirs"), 0);
    let done = stage.turno(&["issue", "add", "x"], AS_USER).exits(4);
    assert!(done.err.contains("the state directory"), "{}", done.err);
}

#[test]
fn a_repository_does_not_choose_the_user() {
    let Some(stage) = Stage::new("a repository does not choose the user") else {
        return;
    };
    let config = format!("{CONFIG}[sandbox]\nuser = \"{NAME}\"\n");
    fs::write(stage.top.join("repo/turno.toml"), config).unwrap();
    let done = stage.turno(&["drain"], AS_USER).exits(2);
    assert!(
        done.err.contains("turno.toml line 8") && done.err.contains("does not choose whose rights"),
        "{}",
        done.err
    );
}

#[test]
fn root_without_a_user_is_told() {
    let Some(stage) = Stage::new("root without a user is told") else {
        return;
    };
    give(&stage.top.join("repo"), 0);
    let doctor = stage.turno(&["doctor"], &[]);
    assert!(
        doctor.out.contains("runs as root") && doctor.out.contains("TURNO_USER"),
        "{}",
        doctor.out
    );
    stage.turno(&["issue", "add", "Say who you are"], &[]).exits(0);
    let done = stage.turno(&["run", "1", "--agent", "actor"], &[]).exits(0);
    assert!(
        done.err.contains("runs as root") && done.err.contains("--user"),
        "{}",
        done.err
    );
    // What is refused is no shift, and says nothing but why.
    let refused = stage.turno(&["run", "7", "--agent", "actor"], &[]).exits(2);
    assert!(!refused.err.contains("runs as root"), "{}", refused.err);
    // Only root can become somebody else, and the story's user is somebody else for nobody but root.
    let done = stage.named(
        "setpriv",
        &[
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
            stage.top.join("bin/turno").to_str().unwrap(),
            "status",
            "--user",
            "root",
        ],
        &[],
    );
    let done = done.exits(2);
    assert!(
        done.err.contains("only root can become another user"),
        "{}",
        done.err
    );
}
