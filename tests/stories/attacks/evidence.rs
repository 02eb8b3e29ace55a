//! Owns the judgement: whether an attack succeeded, as it is seen from outside. It must not take an attacker's word
//! for anything but a secret that only its owner could have told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::attack::{Attack, Hurt, Sight};
use super::layout;
use super::outcome::Complaint;
use super::stage::Stage;
use super::watch::nice;
use crate::harness::processes::runs;

/// A file larger than this is not looked into.
const READABLE: u64 = 600 << 20;

/// So much of one letter is a flood: no mark and no secret has as much.
const FLOOD: usize = 4096;

/// What attempts have said, or what the control's commands have: read once for all attacks.
pub(super) struct Said {
    lines: Vec<Vec<u8>>,
    largest: u64,
    printed: Vec<u8>,
    journal: Vec<Value>,
}

impl Said {
    /// Of a shift that is over.
    pub(super) fn by_attempts(stage: &Stage) -> Self {
        let mut said = Self::in_files(&files_below(&stage.top.join("state/attempts")));
        for verb in [
            &["status"][..],
            &["log"],
            &["explain", "2.1"],
            &["issue", "show", "2"],
        ] {
            said.printed.extend(stage.turno(verb).text.into_bytes());
        }
        said.printed.extend(fs::read(stage.top.join("run.out")).unwrap());
        said.journal = journal(stage);
        said
    }

    /// By the commands of a control.
    pub(super) fn directly(stage: &Stage, attack: &Attack, output: &Path) -> Self {
        let mut said = Self::in_files(&[output.to_owned()]);
        said.printed = fs::read(output).unwrap();
        if let Sight::Recorded(..) = attack.sight {
            said.journal = journal(stage);
        }
        said
    }

    fn in_files(files: &[PathBuf]) -> Self {
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |m| m.len());
        let mut lines = Vec::new();
        for path in files.iter().filter(|p| size(p) < READABLE) {
            let bytes = fs::read(path).unwrap_or_default();
            // Only lines with a mark can be an attack's; a flood has none.
            let mut from = 0;
            for to in memchr::memchr_iter(b'\n', &bytes).chain([bytes.len()]) {
                let line = &bytes[from..to];
                from = to + 1;
                if holds(line, "atk-") {
                    lines.push(squeezed(line));
                }
            }
        }
        Self {
            lines,
            largest: files.iter().map(size).max().unwrap_or_default(),
            printed: Vec::new(),
            journal: Vec::new(),
        }
    }

    /// Whether one line holds both words.
    fn together(&self, one: &str, other: &str) -> bool {
        self.lines
            .iter()
            .any(|line| holds(line, one) && holds(line, other))
    }

    /// Whether the attack with this mark was at least begun.
    pub(super) fn begun(&self, mark: &str) -> bool {
        self.lines.iter().any(|line| holds(line, &format!("# {mark}")))
    }

    /// How often the attack with this mark was carried out to its end.
    pub(super) fn times_tried(&self, mark: &str) -> usize {
        let words = format!("tried {mark} in ");
        let of_line = |line: &Vec<u8>| memchr::memmem::find_iter(line, words.as_bytes()).count();
        self.lines.iter().map(of_line).sum()
    }

    /// How the script of the attack with this mark ended, if it was carried out to its end.
    pub(super) fn tried(&self, mark: &str) -> Option<Complaint> {
        let words = format!("tried {mark} in ");
        self.lines.iter().find_map(|line| {
            let at = memchr::memmem::find(line, words.as_bytes())?;
            let line = String::from_utf8_lossy(&line[at..line.len().min(at + 2000)]).into_owned();
            let (code, words) = line
                .split_once("ended with ")?
                .1
                .split_once(": ")
                .unwrap_or_default();
            Some(Complaint {
                code: code.trim_end_matches(':').parse().ok()?,
                // What follows on the line is the transcript's.
                words: words.split(['"', '\\']).next().unwrap_or_default().to_owned(),
            })
        })
    }
}

fn journal(stage: &Stage) -> Vec<Value> {
    let log = stage.turno(&["log", "--json"]).text;
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn holds(bytes: &[u8], words: &str) -> bool {
    memchr::memmem::find(bytes, words.as_bytes()).is_some()
}

/// The same line without what is one letter over and over: a flood says nothing, and every attack of the table looks
/// through it.
fn squeezed(line: &[u8]) -> Vec<u8> {
    let says = |piece: &&[u8]| piece.len() < FLOOD || **piece != [piece[0]; FLOOD];
    line.chunks(FLOOD).filter(says).flatten().copied().collect()
}

/// Every plain file below a directory, or the file itself.
fn files_below(path: &Path) -> Vec<PathBuf> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Vec::new();
    };
    if meta.is_file() {
        return vec![path.to_owned()];
    }
    if !meta.is_dir() {
        return Vec::new();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.flat_map(|e| files_below(&e.path())).collect()
}

/// Whether a path, or anything below it, carries the mark in its name or its bytes.
fn marked(path: &Path, mark: &str) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return false;
    };
    let named = path
        .file_name()
        .is_some_and(|n| n.to_string_lossy().contains(mark));
    if named {
        return true;
    }
    if meta.is_file() {
        return meta.len() < READABLE && holds(&fs::read(path).unwrap_or_default(), mark);
    }
    let below = meta.is_dir().then(|| fs::read_dir(path).ok()).flatten();
    below
        .into_iter()
        .flatten()
        .flatten()
        .any(|e| marked(&e.path(), mark))
}

/// Whether the attack succeeded.
pub(super) fn succeeded(stage: &mut Stage, attack: &Attack, said: &Said) -> bool {
    let mark = stage.mark(attack);
    let fill = |text: &str| stage.fill(text, attack);
    match attack.sight {
        Sight::Marked(path) => marked(Path::new(&fill(path)), &mark),
        Sight::Differs(known) | Sight::RefMoved(known) => {
            stage.imprint(attack).as_ref() != stage.before.get(known)
        }
        Sight::Larger(path, bytes) => fs::metadata(fill(path)).is_ok_and(|m| m.len() > bytes),
        Sight::Ref(name) => has_ref(stage, "repo/.git", &fill(name)),
        Sight::Pushed => has_ref(stage, "origin.git", &format!("refs/heads/{mark}")),
        Sight::Staged => {
            let index = fs::read(stage.top.join("repo/.git/index")).unwrap_or_default();
            holds(&index, &mark)
        }
        Sight::Leaked(name) => {
            let canary = layout::canary(name, &stage.nonce);
            said.together(&mark, &canary) || stage.doors.heard_anywhere(&canary)
        }
        Sight::Reached(door) => stage.doors.heard(door, &mark),
        Sight::ReachedBack => stage.watch.reached_back(&mark),
        Sight::Cored => {
            let is_core = |p: &&PathBuf| {
                p.file_name()
                    .is_some_and(|n| n.to_string_lossy().starts_with("core"))
            };
            let all = files_below(&stage.top);
            all.iter().filter(is_core).any(|core| marked(core, &mark))
        }
        Sight::Outlives => stage.watch.alive().iter().any(|(_, whose)| *whose == mark),
        Sight::Seen(peak) => stage.watch.saw(&mark, peak),
        Sight::Hurt(whom, how) => hurt(stage.victim_pid(whom), how),
        Sight::CoordinatorGone => stage.coordinator_was_killed(),
        Sight::SupervisorGone => supervisor_is_gone(stage),
        Sight::Recorded(kind, words) => {
            let words = fill(words);
            let mut events = said.journal.iter().filter_map(|r| r["event"].get(kind));
            events.any(|event| event.to_string().contains(&words))
        }
        Sight::Prompted => {
            let of_attempts = files_below(&stage.top.join("state/attempts"));
            let told = of_attempts
                .iter()
                .filter(|p| !p.ends_with("out") && !p.ends_with("err"));
            told.into_iter().any(|path| marked(path, &mark))
        }
        Sight::Escaped => said.printed.contains(&0x1b),
        Sight::Kept(bytes) => said.largest > bytes,
        Sight::Shouted(bytes) => said.printed.len() > bytes,
    }
}

/// Refs are read as files and from `packed-refs`: the repository may be in disorder by now.
fn has_ref(stage: &Stage, git: &str, name: &str) -> bool {
    let git = stage.top.join(git);
    let packed = fs::read_to_string(git.join("packed-refs")).unwrap_or_default();
    git.join(name).exists() || packed.lines().any(|l| l.ends_with(&format!(" {name}")))
}

fn hurt(pid: i32, how: Hurt) -> bool {
    match how {
        Hurt::Gone => !runs(pid),
        Hurt::Slower => nice(pid).is_some_and(|nice| nice > 0),
        Hurt::Limited => line_of(&format!("/proc/{pid}/limits"), "Max open files")
            .is_some_and(|limits| limits.split_whitespace().next() == Some("7")),
        Hurt::Pinned => line_of(&format!("/proc/{pid}/status"), "Cpus_allowed_list:")
            .is_some_and(|list| list.trim() == "0"),
        Hurt::LastAtTheDisk => Command::new("ionice")
            .args(["-p", &pid.to_string()])
            .output()
            .is_ok_and(|asked| holds(&asked.stdout, "idle")),
        Hurt::FirstToDie => fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))
            .is_ok_and(|score| score.trim().parse::<i32>().is_ok_and(|score| score > 500)),
    }
}

/// What follows a name in a file of names and values.
fn line_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|l| l.strip_prefix(name)).map(str::to_owned)
}

/// Whether a run has a supervisor on record that is neither there nor has said how it ended.
fn supervisor_is_gone(stage: &Stage) -> bool {
    let records = files_below(&stage.top.join("state/attempts"));
    records
        .iter()
        .filter(|p| p.ends_with("supervisor.json"))
        .any(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let who: Value = serde_json::from_str(&text).unwrap_or_default();
            let pid = who["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            !path.with_file_name("exit.json").exists() && pid.is_some_and(|pid| !runs(pid))
        })
}
