//! Owns the place where attacks are tried: a project with a user's life around it, the shipped binary, and who runs
//! it. It must not judge what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::attack::{Attack, Sight};
use super::config::{Means, User};
use super::doors::Doors;
use super::layout;
use super::watch::Watch;
use crate::harness::processes::until_within;

/// No shift of a stage takes longer.
const PATIENCE: Duration = Duration::from_secs(150);
/// The normal user's number.
const NORMAL: &str = "1501";
/// The programs that stand for what the user runs beside Turno.
const VICTIMS: [&str; 11] = [
    "kill", "by-name", "group", "ptrace", "renice", "limits", "affinity", "disk", "oom", "plain", "holder",
];

/// What the attack's issue is about: performing the attacks, or waiting while the harness performs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Play {
    Attack,
    Control,
}

/// How the coordinator ended.
#[derive(Debug)]
pub(super) enum Coordinator {
    Runs(Child),
    Ended(ExitStatus),
}

/// A stage with its attacks. Everything is gone when it is dropped, but for `TURNO_TEST_KEEP`.
pub(super) struct Stage {
    root: Option<TempDir>,
    pub(super) top: PathBuf,
    pub(super) nonce: String,
    user: User,
    env: BTreeMap<String, String>,
    pub(super) doors: Doors,
    pub(super) watch: Watch,
    victims: BTreeMap<&'static str, Child>,
    places: BTreeMap<String, String>,
    /// What was where before anything was tried.
    pub(super) before: BTreeMap<&'static str, String>,
    pub(super) attacks: Vec<Attack>,
    pub(super) coordinator: Option<Coordinator>,
}

/// Whether the harness may become another user.
pub(super) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn letter(c: char) -> char {
    c.to_digit(10)
        .and_then(|d| char::from_digit(d + 10, 20))
        .unwrap_or(c)
}

/// A program as that user.
fn program(user: User, name: &str) -> Command {
    match user {
        User::Normal if is_root() => {
            let mut command = Command::new("setpriv");
            command.args([
                &format!("--reuid={NORMAL}"),
                &format!("--regid={NORMAL}"),
                "--clear-groups",
            ]);
            command.arg(name);
            command
        }
        User::Normal | User::Root => Command::new(name),
    }
}

impl Stage {
    /// Sets everything up, up to the moment before the shift with the attacks.
    pub(super) fn new(user: User, means: Means, play: Play, attacks: Vec<Attack>) -> Self {
        let root = TempDir::with_prefix("turno-attack-").unwrap();
        let top = root.path().canonicalize().unwrap();
        // Without digits: a secret must not be kept back only because it looks like one.
        let unique = top.to_str().unwrap().rsplit('-').next().unwrap();
        let nonce: String = unique.chars().map(letter).collect();
        let secrets = layout::files(&top, &nonce);
        if user == User::Normal && is_root() {
            let owner = format!("{NORMAL}:{NORMAL}");
            run(Command::new("chown").args(["-R", &owner]).arg(&top));
        }
        layout::outside_the_users_reach(&top, &nonce);
        // It is linked after the change of owner: its bytes are those of the build.
        let turno = top.join("bin/turno");
        let built = env!("CARGO_BIN_EXE_turno");
        if fs::hard_link(built, &turno).is_err() {
            fs::copy(built, &turno).unwrap();
        }
        let abstract_name = format!("turno-{nonce}");
        let sockets = layout::SOCKETS.map(|path| top.join(path)).to_vec();
        let doors = Doors::open(sockets, abstract_name.clone());
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut env: BTreeMap<String, String> = secrets;
        let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), value));
        set(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        );
        set("HOME", text(&top.join("home")));
        set("TURNO_STATE_DIR", text(&top.join("state")));
        set("TURNO_AGENT", "actor".to_owned());
        set("GIT_CONFIG_NOSYSTEM", "1".to_owned());
        set("NO_COLOR", "1".to_owned());
        set("LANG", "C.UTF-8".to_owned());
        set("SSH_AUTH_SOCK", text(&top.join("agent.sock")));
        if means == Means::WithoutBubblewrap {
            set("TURNO_BWRAP", "/nonexistent".to_owned());
        }
        let watch = Watch::begin(&nonce, doors.back);
        let mut stage = Self {
            root: Some(root),
            top,
            nonce,
            user,
            env,
            doors,
            watch,
            victims: BTreeMap::new(),
            places: BTreeMap::new(),
            before: BTreeMap::new(),
            attacks,
            coordinator: None,
        };
        stage.victims = VICTIMS.map(|name| (name, stage.victim(name))).into();
        stage.places = stage.known_places(&text(&turno), &abstract_name);
        stage.prepare(play);
        stage
    }

    fn known_places(&self, turno: &str, abstract_name: &str) -> BTreeMap<String, String> {
        let below = |name: &str| self.top.join(name).display().to_string();
        let mut places: BTreeMap<String, String> = [
            ("TOP", self.top.display().to_string()),
            ("REPO", below("repo")),
            ("HOME", below("home")),
            ("STATE", below("state")),
            ("SLOT", below("state/slots/1")),
            ("ORIGIN", below("origin.git")),
            ("BIN", below("bin")),
            ("TURNO", turno.to_owned()),
            ("NONCE", self.nonce.clone()),
            ("ABSTRACT", abstract_name.to_owned()),
            ("ADDRESS", self.doors.address.clone()),
            ("TCP", self.doors.tcp.to_string()),
            ("TCP6", self.doors.tcp6.to_string()),
            ("UDP", self.doors.udp.to_string()),
            ("BACK", self.doors.back.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, child) in &self.victims {
            places.insert(format!("PID:{name}"), child.id().to_string());
        }
        places
    }

    /// A program of the user's that does nothing, with a secret in its environment and one on its command line.
    fn victim(&self, name: &str) -> Child {
        let held = self.top.join("outside/held");
        let quiet = format!(
            "exec 9>>'{}'; exec perl -e 'sleep 600' victim-{name}-{} {}",
            held.display(),
            self.nonce,
            layout::canary("cmdline", &self.nonce)
        );
        self.command("/bin/sh")
            .args(["-c", &quiet])
            .env("TURNO_VICTIM", layout::canary("env-of-victim", &self.nonce))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// The number of a program of the user's.
    pub(super) fn victim_pid(&self, name: &str) -> i32 {
        self.victims[name].id().cast_signed()
    }

    fn prepare(&mut self, play: Play) {
        self.shell(layout::HISTORY);
        self.learn("KEEP", "git rev-parse keep");
        let object = "o=$(git rev-parse keep:kept.txt); echo $PWD/.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)";
        self.learn("OBJECT", object);
        let lost = "o=$(echo recoverable | git hash-object -w --stdin); echo $PWD/.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)";
        self.learn("DANGLING", lost);
        self.learn("PACK", "ls $PWD/.git/objects/pack/*.pack");
        // An issue that is done: its attempts, its branch and its journal are other people's business.
        let title = format!("Before {}", layout::canary("issue", &self.nonce));
        self.turno(&["issue", "add", &title]).exits_well();
        self.turno(&["run", "1"]).exits_well();
        let mut attempts: Vec<PathBuf> = fs::read_dir(self.top.join("state/attempts"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.join("out").is_file())
            .collect();
        attempts.sort();
        self.places
            .insert("FIRST".to_owned(), attempts[0].display().to_string());
        for (path, text) in self.scripts() {
            let path = self.top.join("repo").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        self.shell("git add -A && git commit -qm attacks");
        let title = match play {
            Play::Attack => "Attack",
            Play::Control => "Control",
        };
        self.turno(&["issue", "add", title]).exits_well();
        self.before = self
            .attacks
            .iter()
            .filter_map(|a| Some((a.sight.remembers()?, self.imprint(a)?)))
            .collect();
    }

    fn learn(&mut self, name: &str, command: &str) {
        let said = self.shell(command);
        self.places.insert(name.to_owned(), said.trim().to_owned());
    }

    /// The attack's mark.
    pub(super) fn mark(&self, attack: &Attack) -> String {
        format!("atk-{}-{}", attack.name, self.nonce)
    }

    /// A text with the places of this stage in it.
    pub(super) fn fill(&self, text: &str, attack: &Attack) -> String {
        let text = text.replace("@MARK@", &self.mark(attack));
        self.places.iter().fold(text, |text, (name, value)| {
            text.replace(&format!("@{name}@"), value)
        })
    }

    /// What the repository holds for this stage: the attacks, as files in the order of the table.
    fn scripts(&self) -> Vec<(String, String)> {
        let mut files = vec![
            (".gitignore".to_owned(), layout::IGNORED.to_owned()),
            ("check.sh".to_owned(), layout::CHECK.to_owned()),
            ("attacks/run.sh".to_owned(), layout::RUN.to_owned()),
            (
                "attacks/prelude.sh".to_owned(),
                layout::PRELUDE.replace("@STATE@", &self.places["STATE"]),
            ),
            (
                "script.yaml".to_owned(),
                layout::script(&self.nonce, &self.steps(), &self.again()),
            ),
        ];
        files.extend(
            self.scripts_in_order()
                .into_iter()
                .zip(&self.attacks)
                .map(|((_, path), attack)| {
                    let tries = self.fill(&attack.tries, attack);
                    (
                        path,
                        format!("# {}\n. attacks/prelude.sh\n{tries}\n", self.mark(attack)),
                    )
                }),
        );
        let again = self
            .attacks
            .iter()
            .enumerate()
            .filter(|(_, a)| !a.again.is_empty());
        files.extend(again.map(|(n, attack)| {
            let tries = self.fill(attack.again, attack);
            (
                second(n, attack),
                format!("# {}\n. attacks/prelude.sh\n{tries}\n", self.mark(attack)),
            )
        }));
        files
    }

    /// The files of what second attempts do.
    fn again(&self) -> Vec<String> {
        let again = self
            .attacks
            .iter()
            .enumerate()
            .filter(|(_, a)| !a.again.is_empty());
        again.map(|(n, a)| second(n, a)).collect()
    }

    /// The same with their marks, as a shell's comment: what was begun is seen by them.
    fn steps(&self) -> Vec<(super::attack::Who, String)> {
        let paths = self.scripts_in_order().into_iter();
        let marked = paths.zip(&self.attacks);
        marked
            .map(|((who, path), a)| (who, format!("{path} # {}", self.mark(a))))
            .collect()
    }

    fn scripts_in_order(&self) -> Vec<(super::attack::Who, String)> {
        let numbered = self.attacks.iter().enumerate();
        numbered
            .map(|(n, a)| (a.who, format!("attacks/{}/{n:03}-{}.sh", a.who, a.name)))
            .collect()
    }

    /// A program as the stage's user, in the checkout.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = program(self.user, name);
        command
            .current_dir(self.top.join("repo"))
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null());
        command
    }

    /// Shell text as the stage's user, in the checkout; it must succeed. Returns what it said.
    #[track_caller]
    pub(super) fn shell(&self, text: &str) -> String {
        let output = self.command("/bin/sh").args(["-ec", text]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Shell text as the stage's user that may fail. Returns what it said where it succeeded.
    pub(super) fn try_shell(&self, text: &str) -> Option<String> {
        let output = self.command("/bin/sh").args(["-ec", text]).output().unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Types a verb.
    pub(super) fn turno(&self, args: &[&str]) -> Typed {
        let output = self.command(&self.places["TURNO"]).args(args).output().unwrap();
        Typed {
            status: output.status,
            text: format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }

    /// Starts the shift with the attacks, or the one that waits.
    pub(super) fn start(&mut self) {
        let out = fs::File::create(self.top.join("run.out")).unwrap();
        let child = self
            .command(&self.places["TURNO"])
            .args(["run", "2"])
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        self.coordinator = Some(Coordinator::Runs(child));
    }

    /// Waits for the end of the shift. One that does not come is brought about, and fails the test.
    #[track_caller]
    pub(super) fn wait(&mut self) {
        let Some(Coordinator::Runs(mut child)) = self.coordinator.take() else {
            return;
        };
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                let said = fs::read_to_string(self.top.join("run.out")).unwrap();
                panic!("the shift did not end: {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.coordinator = Some(Coordinator::Ended(status));
    }

    /// Ends a shift that waits.
    pub(super) fn stop(&mut self) {
        if let Some(Coordinator::Runs(child)) = &self.coordinator {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap_or_default();
        }
        self.wait();
        self.sweep();
    }

    /// Waits until the agent of the waiting shift is in its slot.
    pub(super) fn until_it_waits(&self) {
        let there = self.top.join("state/slots/1/build.cache/waits");
        until_within(PATIENCE, "an agent is in its slot", || there.exists());
    }

    /// Whether the coordinator was ended by a signal.
    pub(super) fn coordinator_was_killed(&mut self) -> bool {
        if let Some(Coordinator::Runs(child)) = &mut self.coordinator
            && let Some(status) = child.try_wait().unwrap()
        {
            self.coordinator = Some(Coordinator::Ended(status));
        }
        matches!(&self.coordinator, Some(Coordinator::Ended(status)) if status.signal().is_some())
    }

    /// Performs an attack directly, in the slot, with the user's whole environment. Returns where its output is.
    pub(super) fn perform(&self, number: usize) -> PathBuf {
        let (_, first) = self.scripts_in_order()[number].clone();
        let attack = &self.attacks[number];
        let again = (!attack.again.is_empty()).then(|| second(number, attack));
        let path = self.top.join(format!("control-{number}.out"));
        let out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        // The attack opens it again, by /proc.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        for script in [Some(first), again].into_iter().flatten() {
            let mut command = self.command("/bin/sh");
            command
                .args(["-c", &format!("PERFORMER=$$ exec sh attacks/run.sh {script}")])
                .current_dir(self.top.join("state/slots/1"))
                .env("ATTACK_ERRORS", "/dev/stderr")
                .stdout(out.try_clone().unwrap())
                .stderr(out.try_clone().unwrap());
            command.status().unwrap();
        }
        path
    }

    /// What is to be remembered for an attack.
    pub(super) fn imprint(&self, attack: &Attack) -> Option<String> {
        match attack.sight {
            Sight::Differs(path) => Some(layout::imprint(Path::new(&self.fill(path, attack)))),
            Sight::RefMoved(name) => Some(
                self.try_shell(&format!("git rev-parse {name}"))
                    .unwrap_or_default(),
            ),
            _ => None,
        }
    }

    /// Ends whatever attacks have left running.
    pub(super) fn sweep(&self) {
        let state = self.top.join("state").display().to_string();
        let ours = crate::harness::processes::naming(&state);
        for pid in self.watch.alive().into_iter().map(|(pid, _)| pid).chain(ours) {
            if let Err(errno) = kill(Pid::from_raw(pid), Signal::SIGKILL) {
                println!("{pid} is gone already: {errno}");
            }
        }
    }
}

/// The file of what an attack's second attempt does.
fn second(number: usize, attack: &Attack) -> String {
    format!("attacks/again/{number:03}-{}.sh", attack.name)
}

/// What a verb said.
pub(super) struct Typed {
    pub(super) status: ExitStatus,
    pub(super) text: String,
}

impl Typed {
    #[track_caller]
    fn exits_well(&self) {
        assert!(self.status.success(), "{}", self.text);
    }
}

#[track_caller]
fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(Coordinator::Runs(child)) = &mut self.coordinator {
            drop(child.kill());
            drop(child.wait());
        }
        self.sweep();
        for child in self.victims.values_mut() {
            drop(child.kill());
            drop(child.wait());
        }
        let keep = std::env::var_os("TURNO_TEST_KEEP").is_some();
        layout::sweep_outside(&self.nonce);
        if keep && let Some(root) = self.root.take() {
            println!("kept: {}", root.keep().display());
        }
    }
}
