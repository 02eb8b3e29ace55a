//! Owns a project on disk for one story: a real git repository, a state directory, a home, and the shipped
//! binary run with an environment that holds nothing of the machine's user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use turno_engine::crash_point::CrashPoint;

/// A project. Its directories go when it is dropped; set `TURNO_TEST_KEEP` to look at them.
#[derive(Debug)]
pub(crate) struct Project {
    root: Option<TempDir>,
    top: PathBuf,
    env: BTreeMap<String, String>,
    confined: Confined,
    who: Who,
}

/// Who types the verbs, and whose the project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Whoever runs the stories.
    Harness,
    /// A user of no rights, made from root.
    Ordinary,
}

/// The number of that user.
const ORDINARY: &str = "1502";

/// Whether the shifts of a project run in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confined {
    Yes,
    No,
}

/// The verbs that run a shift.
const SHIFTS: [&str; 6] = ["run", "resume", "qa", "pair", "drain", "batch"];

/// What a run of the binary gave.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Holds the exit code against what is expected; shows everything when it differs.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.out, self.err
        );
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

impl Project {
    /// A repository with these files committed on `main`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let root = TempDir::with_prefix("turno-story-").unwrap();
        let top = root.path().canonicalize().unwrap();
        for dir in ["repo", "home", "state"] {
            std::fs::create_dir(top.join(dir)).unwrap();
        }
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let env = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", text(top.join("home"))),
            ("TURNO_STATE_DIR", text(top.join("state"))),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
        ];
        let env = env.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        let project = Self {
            root: Some(root),
            top,
            env,
            confined: Confined::Yes,
            who: Who::Harness,
        };
        std::fs::create_dir(project.shared()).unwrap();
        // A machine on which these stories run may have little room, and some give a project a small disk of its own.
        project.configure("[sandbox]\ncaches = [\"~/shared\"]\n[disk]\nfree = 0\nfiles = 0\n");
        project.git(&["init", "-q", "-b", "main"]);
        project.git(&["config", "user.name", "A Person"]);
        project.git(&["config", "user.email", "person@example.invalid"]);
        project.write(files);
        project.git(&["add", "-A"]);
        project.git(&["commit", "-q", "-m", "begin"]);
        project
    }

    /// The same with one more variable for the binary.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// The same with the machine's Rust toolchain, which is found below the home of its user.
    pub(crate) fn with_rust(self) -> Self {
        let below = |name: &str, dir: &str| {
            std::env::var(name).unwrap_or_else(|_| format!("{}/{dir}", std::env::var("HOME").unwrap()))
        };
        let (cargo, rustup) = (below("CARGO_HOME", ".cargo"), below("RUSTUP_HOME", ".rustup"));
        self.env("CARGO_HOME", cargo).env("RUSTUP_HOME", rustup)
    }

    /// All of the environment that the binary gets.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.top.join("repo")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.top.join("state")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.top.join("home")
    }

    /// A directory that programs of an attempt may write in, as `$HOME/shared`: there a story and they meet.
    pub(crate) fn shared(&self) -> PathBuf {
        self.home().join("shared")
    }

    /// Adds to the user's own configuration.
    pub(crate) fn configure(&self, text: &str) {
        let dir = self.home().join(".config/turno");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("turno.toml");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, before + text).unwrap();
    }

    /// The same project, whose shifts run with `--no-sandbox`.
    pub(crate) fn unconfined(mut self) -> Self {
        self.confined = Confined::No;
        self
    }

    /// The same project of an ordinary user, who then types everything. Root alone can give it away; whoever else
    /// runs the stories is such a user.
    pub(crate) fn of_an_ordinary_user(mut self) -> Self {
        if nix::unistd::geteuid().is_root() {
            let turno = self.top.join("turno");
            if std::fs::hard_link(env!("CARGO_BIN_EXE_turno"), &turno).is_err() {
                std::fs::copy(env!("CARGO_BIN_EXE_turno"), &turno).unwrap();
            }
            let owner = format!("{ORDINARY}:{ORDINARY}");
            for dir in ["repo", "home", "state"] {
                let mut give = Command::new("chown");
                let given = give.args(["-R", &owner, dir]).current_dir(&self.top).status();
                assert!(given.unwrap().success());
            }
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&self.top, open).unwrap();
            self.who = Who::Ordinary;
        }
        self
    }

    /// A program as whoever types the verbs.
    fn program(&self, name: &str) -> Command {
        match self.who {
            Who::Harness => Command::new(name),
            Who::Ordinary => {
                let mut command = Command::new("setpriv");
                let ids = [format!("--reuid={ORDINARY}"), format!("--regid={ORDINARY}")];
                command.args(ids).args(["--clear-groups", name]);
                command
            }
        }
    }

    pub(crate) fn is_confined(&self) -> bool {
        self.confined == Confined::Yes
    }

    /// Writes files below the repository; commits nothing.
    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.repo().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// A second repository of this name beside the first, with these files committed on `main`.
    pub(crate) fn second_repo(&self, name: &str, files: &[(&str, &str)]) {
        let dir = self.top.join(name);
        std::fs::create_dir(&dir).unwrap();
        for (path, text) in files {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "A Person"],
            &["config", "user.email", "person@example.invalid"],
            &["add", "-A"],
            &["commit", "-q", "-m", "begin"],
        ] {
            self.git_in(name, args);
        }
    }

    /// A file of a second repository at a commit or branch.
    #[track_caller]
    pub(crate) fn at_in(&self, name: &str, commit: &str, path: &str) -> String {
        self.git_in(name, &["show", &format!("{commit}:{path}")])
    }

    /// Runs git in the repository; its output, trimmed.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in("repo", args)
    }

    /// The same in a second repository.
    #[track_caller]
    pub(crate) fn git_in(&self, name: &str, args: &[&str]) -> String {
        let done = self.try_git_in(name, args);
        assert!(done.code == 0, "git {args:?}: {}", done.err);
        done.out.trim_end().to_owned()
    }

    /// Runs git in the repository, whatever comes of it.
    pub(crate) fn try_git(&self, args: &[&str]) -> Done {
        self.try_git_in("repo", args)
    }

    fn try_git_in(&self, name: &str, args: &[&str]) -> Done {
        let mut git = self.program("git");
        git.args(args).current_dir(self.top.join(name));
        Done::of(&git.env_clear().envs(&self.env).output().unwrap())
    }

    /// A file at a commit or branch.
    #[track_caller]
    pub(crate) fn at(&self, commit: &str, path: &str) -> String {
        self.git(&["show", &format!("{commit}:{path}")])
    }

    pub(crate) fn command(&self, args: &[&str], cwd: &Path) -> Command {
        let mut command = match self.who {
            Who::Harness => self.program(env!("CARGO_BIN_EXE_turno")),
            Who::Ordinary => self.program(self.top.join("turno").to_str().unwrap()),
        };
        if let (Confined::No, Some((verb, rest))) = (self.confined, args.split_first())
            && SHIFTS.contains(verb)
        {
            command.args([verb, "--no-sandbox"]).args(rest);
        } else {
            command.args(args);
        }
        command
            .current_dir(cwd)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null());
        command
    }

    /// Types a verb and waits for its end.
    pub(crate) fn turno(&self, args: &[&str]) -> Done {
        self.turno_in(args, &self.repo())
    }

    /// The same from another directory.
    pub(crate) fn turno_in(&self, args: &[&str], cwd: &Path) -> Done {
        Done::of(&self.command(args, cwd).output().unwrap())
    }

    /// Types a verb and does not wait.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args, &self.repo())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Types a verb that is to die at a point, and holds it to it: a point that is not reached fails the story.
    /// `meanwhile` is asked again and again as long as it lives.
    #[track_caller]
    pub(crate) fn dies(&self, args: &[&str], point: CrashPoint, mut meanwhile: impl FnMut()) {
        let (name, value) = point.armed();
        let mut command = self.command(args, &self.repo());
        // To files: nobody reads along.
        let told = self.top.join("told");
        let file = std::fs::File::create(&told).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = command.env(name, &value).spawn().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            meanwhile();
            if begun.elapsed() > super::processes::PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!(
                    "{value} is not reached, and it does not end: {}",
                    std::fs::read_to_string(&told).unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(
            signal,
            Some(9),
            "{value} is not reached: {status}: {}",
            std::fs::read_to_string(&told).unwrap()
        );
    }

    /// Waits for the end of what was started.
    pub(crate) fn wait(&self, child: Child) -> Done {
        Done::of(&child.wait_with_output().unwrap())
    }

    /// Files an issue with no more than a title.
    pub(crate) fn issue(&self, title: &str) -> u32 {
        let seen = self.turno(&["issue", "add", title, "--json"]).exits(0).json();
        u32::try_from(seen["id"].as_u64().unwrap()).unwrap()
    }

    /// The whole journal, as `log --json` gives it.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let done = self.turno(&["log", "--json"]).exits(0);
        done.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The ledger as the journal has it: every kind of level adds up to the same, and that is what the agents said.
    #[track_caller]
    pub(crate) fn ledger_adds_up(&self) {
        let mut pages: BTreeMap<String, u64> = BTreeMap::new();
        let (mut told, mut all_told) = (0, true);
        for record in self.journal() {
            let accounts = record["changes"].as_array().unwrap().iter();
            let accounts: Vec<&Value> = accounts.filter_map(|change| change.get("account")).collect();
            for account in &accounts {
                let level = account["level"].as_str().unwrap().to_owned();
                pages.insert(level, account["used"]["usd"].as_u64().unwrap());
            }
            for lost in record["event"]["restarted"]["lost"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let cost = lost["spend"]["cost"].as_u64().unwrap();
                all_told &= cost == 0 || lost["spend"]["basis"] == "reported";
                told += cost;
            }
            match record["event"].get("agent-ended") {
                // A page without an end of an agent's: one that failed otherwise.
                None => {
                    let known = ["metered", "restarted"];
                    all_told &= accounts.is_empty() || known.iter().any(|k| record["event"].get(k).is_some());
                }
                Some(end) => {
                    all_told &= end["spend"]["basis"] == "reported" || accounts.is_empty();
                    told += end["spend"]["cost"]
                        .as_u64()
                        .filter(|_| !accounts.is_empty())
                        .unwrap_or(0);
                }
            }
        }
        let sum = |kind: &str| -> u64 {
            let mine = pages.iter().filter(|(level, _)| level.starts_with(kind));
            mine.map(|(_, usd)| usd).sum()
        };
        let day = sum("day/");
        for kind in ["shift/", "issue/", "task/", "agent/"] {
            assert_eq!(sum(kind), day, "{kind}: {pages:#?}");
        }
        if all_told {
            assert_eq!(told, day, "what agents said: {pages:#?}");
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if self.root.is_none() {
            return;
        }
        super::processes::sweep(self);
        if std::env::var_os("TURNO_TEST_KEEP").is_some()
            && let Some(root) = self.root.take()
        {
            println!("kept: {}", root.keep().display());
        }
    }
}
