//! Owns a terminal of a given size that a story looks at and types into: a tmux server of its own for each screen.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use turno_engine::crash_point::CrashPoint;

use super::processes::{PATIENCE, until_within};
use super::project::Project;

/// Whether there is a tmux. Where there must be one and is none, the story fails.
pub(crate) fn is_there() -> bool {
    let there = Command::new("tmux")
        .arg("-V")
        .output()
        .is_ok_and(|o| o.status.success());
    let must = std::env::var_os("TURNO_TEST_REQUIRE_CLIS").is_some_and(|v| v == "1");
    assert!(there || !must, "tmux is missing: apt-get install tmux");
    if !there {
        println!("skipped: there is no tmux here");
    }
    there
}

/// A terminal with one program in it.
pub(crate) struct Tmux {
    socket: PathBuf,
    program: Vec<(String, String)>,
}

impl Tmux {
    /// A terminal of this size in which turno runs a verb; then it says `LEFT` with the exit code, and stays.
    pub(crate) fn turno(project: &Project, name: &str, size: (u16, u16), verb: &str) -> Self {
        Self::begin(project, name, size, verb, None)
    }

    /// The same, with a turno that is killed at a point.
    pub(crate) fn dying(
        project: &Project,
        name: &str,
        size: (u16, u16),
        verb: &str,
        point: CrashPoint,
    ) -> Self {
        let (variable, value) = point.armed();
        Self::begin(project, name, size, verb, Some((variable.to_owned(), value)))
    }

    fn begin(
        project: &Project,
        name: &str,
        (columns, lines): (u16, u16),
        verb: &str,
        more: Option<(String, String)>,
    ) -> Self {
        let env: Vec<(String, String)> = project
            .environment()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .chain(more)
            .collect();
        let tmux = Self {
            socket: project.repo().parent().unwrap().join(format!("tmux-{name}")),
            program: env,
        };
        let turno = env!("CARGO_BIN_EXE_turno");
        let command =
            format!("'{turno}' {verb}; echo LEFT $?; stty -a | grep -o '[-]*icanon'; exec sleep 600");
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let repo = project.repo();
        // Its own line at the bottom would take one of the program's.
        let bare = ["start-server", ";", "set", "-g", "status", "off", ";"];
        let mut new = vec!["-f", "/dev/null"];
        new.extend(bare);
        new.extend(["new-session", "-d", "-x", &columns, "-y", &lines]);
        new.extend(["-c", repo.to_str().unwrap(), &command]);
        let started = tmux.call(&new);
        assert!(
            started.status.success(),
            "{}",
            String::from_utf8_lossy(&started.stderr)
        );
        tmux
    }

    fn call(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command
            .args(["-u", "-S", self.socket.to_str().unwrap()])
            .args(args);
        command.env_clear().envs(self.program.iter().map(|(n, v)| (n, v)));
        command
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .output()
            .unwrap()
    }

    /// What the terminal shows now.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8(self.call(&["capture-pane", "-p"]).stdout).unwrap()
    }

    /// Types keys, as tmux names them.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys"];
        args.extend(keys);
        assert!(self.call(&args).status.success());
    }

    /// From now on, what the program writes goes to a file too, byte for byte.
    pub(crate) fn writes_to(&self, file: &std::path::Path) {
        let pipe = format!("cat >> '{}'", file.display());
        assert!(self.call(&["pipe-pane", "-O", &pipe]).status.success());
    }

    /// Another size.
    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let args = ["resize-window", "-x", &columns, "-y", &lines];
        assert!(self.call(&args).status.success());
    }

    /// Sends a signal to the turno in it.
    pub(crate) fn signal(&self, signal: Signal) {
        let pane = self.call(&["display-message", "-p", "#{pane_pid}"]).stdout;
        let shell = String::from_utf8(pane).unwrap().trim().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let turno: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
        kill(Pid::from_raw(turno), signal).unwrap();
    }

    /// Waits until the terminal shows all of this; gives the screen.
    #[track_caller]
    pub(crate) fn shows(&self, parts: &[&str]) -> String {
        self.shows_within(PATIENCE, parts)
    }

    /// The same, of a program that needs its time.
    #[track_caller]
    pub(crate) fn shows_within(&self, patience: Duration, parts: &[&str]) -> String {
        let mut screen = String::new();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until_within(patience, "the screen shows it", || {
                screen = self.screen();
                parts.iter().all(|part| screen.contains(part))
            });
        }));
        assert!(seen.is_ok(), "{parts:?} is not on the screen:\n{screen}");
        screen
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.call(&["kill-server"]);
    }
}

/// A screen without what differs each time: times of day, lengths of time, names of commits.
pub(crate) fn timeless(screen: &str) -> String {
    let mut told = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, told: &mut String| {
        let is_clock =
            word.trim_matches(':').contains(':') && word.chars().all(|c| c.is_ascii_digit() || c == ':');
        let is_commit = word.len() == 10 && word.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        for c in word.drain(..) {
            told.push(match c {
                '0'..='9' if is_clock => '0',
                _ if is_commit => 'c',
                c => c,
            });
        }
    };
    for c in screen.chars() {
        if c.is_alphanumeric() || c == ':' {
            word.push(c);
        } else {
            flush(&mut word, &mut told);
            told.push(c);
        }
    }
    flush(&mut word, &mut told);
    told.lines().map(|l| l.trim_end().to_owned() + "\n").collect()
}

/// Holds a screen against a file that was looked at: it comes to look so. `TURNO_BLESS=1` writes it anew.
#[track_caller]
pub(crate) fn matches(name: &str, mut screen: impl FnMut() -> String) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = dir.join(name);
    if std::env::var_os("TURNO_BLESS").is_some() {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(&path, timeless(&screen())).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    // One look may fall between two strokes of the pen.
    let mut shown = String::new();
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until_within(Duration::from_secs(8), "the screen looks so", || {
            shown = timeless(&screen());
            shown == golden
        });
    }));
    assert!(
        seen.is_ok(),
        "{name} looks otherwise now; look at it, then TURNO_BLESS=1:\n{shown}"
    );
}
