//! Owns what checks have shown before: a result is kept under everything it depends on, as far as that can be told,
//! and answered again instead of another run. Only runs of Turno's own get in, and no program that Turno runs for
//! others can write here. It must not decide what follows from a result. A damaged entry is no entry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use turno_core::check::{Check, CheckResult, CheckVerdict, Source};
use turno_core::ids::{AttemptId, TreeId};

/// The form of keys and entries. Another one is no entry.
const FORM: u8 = 1;
/// So many entries at most; the ones that were used longest ago go first.
const MOST: usize = 2000;
/// A pass says nothing for longer: what no key sees changes in the end.
const PASS_HOLDS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Red is worth knowing while a culprit is looked for. After that a person may have mended the machine.
const FAIL_HOLDS: Duration = Duration::from_secs(10 * 60);
/// Names of variables that say where a check runs, and nothing it should depend on.
const PLACES: [&str; 3] = ["TURNO_TASK", "TURNO_SLOT", "TURNO_PORT"];
/// A command names fewer programs; more are not looked at.
const PROGRAMS: usize = 64;

/// Whether known results are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// They are.
    Yes {
        /// So many of a hundred are run again to see whether they still hold.
        verify_percent: u8,
    },
    /// Each check is run each time.
    No,
}

/// Everything that a result depends on, as far as that can be told.
#[derive(Debug, Clone)]
pub struct Circumstances<'a> {
    /// The files.
    pub tree: &'a TreeId,
    /// The check.
    pub check: &'a Check,
    /// The environment it is given.
    pub env: &'a BTreeMap<String, String>,
    /// How it is confined and how its slot is set up, in any words that differ where that does.
    pub around: &'a str,
}

/// The name of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Circumstances<'_> {
    /// The name under which a result in these circumstances is kept.
    pub fn key(&self) -> Key {
        let mut sum = Sha256::new();
        let mut add = |part: &str| {
            // Each part with its length, so that no two lists of parts read the same.
            sum.update(part.len().to_le_bytes());
            sum.update(part.as_bytes());
        };
        add(&format!("{FORM} {}", std::env::consts::ARCH));
        add(&self.tree.to_string());
        add(&self.check.command);
        add(&format!("{} {:?}", self.check.timeout.0, self.check.network));
        for (name, value) in self.env.iter().filter(|(n, _)| !PLACES.contains(&n.as_str())) {
            add(name);
            add(value);
        }
        add(self.around);
        for line in toolchain(&self.check.command, self.env) {
            add(&line);
        }
        let sum = sum.finalize();
        Key(sum.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Which programs a command means: each word of it that is the name of one, the shell, and what a toolchain manager
/// has switched them to.
fn toolchain(command: &str, env: &BTreeMap<String, String>) -> Vec<String> {
    let words = command.split(|c: char| c.is_whitespace() || ";&|()<>`'\"$={}".contains(c));
    let mut names: BTreeSet<&str> = words.filter(|w| !w.is_empty()).take(PROGRAMS).collect();
    names.insert("sh");
    let path = env.get("PATH").map_or("", String::as_str);
    let dirs: Vec<PathBuf> = std::env::split_paths(path).filter(|d| d.is_absolute()).collect();
    let mut lines = Vec::new();
    for name in names {
        let found = if name.starts_with('/') {
            Some(PathBuf::from(name)).filter(|p| p.is_file())
        } else if name.contains('/') {
            // Below the slot: it is in the tree.
            None
        } else {
            dirs.iter().map(|d| d.join(name)).find(|p| p.is_file())
        };
        if let Some(found) = found {
            lines.push(identity(&found));
        }
    }
    let home = |name: &str, below: &str| {
        let set = env.get(name).map(PathBuf::from);
        set.or_else(|| env.get("HOME").map(|h| Path::new(h).join(below)))
    };
    // A proxy of rustup's stays the same when the toolchain behind it does not.
    if let Some(rustup) = home("RUSTUP_HOME", ".rustup") {
        lines.push(identity(&rustup.join("settings.toml")));
        lines.push(identity(&rustup.join("toolchains")));
        let each = fs::read_dir(rustup.join("toolchains"))
            .into_iter()
            .flatten()
            .flatten();
        let mut each: Vec<String> = each.map(|e| identity(&e.path().join("lib"))).collect();
        each.sort();
        lines.extend(each);
    }
    lines
}

/// A file as far as its metadata tell it apart from another one of that name.
fn identity(path: &Path) -> String {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&real) {
        Ok(meta) => {
            let changed = meta
                .modified()
                .ok()
                .and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
            format!("{} {} {:?}", real.display(), meta.len(), changed)
        }
        Err(_) => format!("{} absent", real.display()),
    }
}

/// What is known in some circumstances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Entry {
    /// This.
    Result {
        form: u8,
        key: String,
        /// Whose run it was.
        by: AttemptId,
        /// How often it was run again where it was red.
        reruns: u8,
        result: CheckResult,
    },
    /// It was one and then the other: whatever it is next is not kept.
    Distrusted { form: u8, key: String },
}

/// The results that are kept, in a directory of the state.
#[derive(Debug)]
pub struct Known {
    dir: PathBuf,
    how: Use,
}

/// Which known results are of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Passes alone: whoever asks after red wants to know whether it is mended.
    Passes,
    /// Red ones too, where they were run again this often.
    Any {
        /// So often at least.
        reruns: u8,
    },
}

/// What is known of a check before it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it is to be run.
    Nothing,
    /// This: it need not be run.
    This(CheckResult),
    /// This, and it is to be run all the same, to see whether that still holds.
    Verify(CheckResult),
}

impl Known {
    /// The results in a directory, which need not be there.
    pub fn open(dir: PathBuf, how: Use) -> Self {
        Self { dir, how }
    }

    /// What is known. `draw` is a random number below 100.
    pub fn look_up(&self, key: &Key, check: &Check, want: Want, draw: u8) -> Before {
        let Use::Yes { verify_percent } = self.how else {
            return Before::Nothing;
        };
        let path = self.path(key);
        let Some(Entry::Result {
            by,
            reruns: had,
            mut result,
            ..
        }) = self.read(key)
        else {
            return Before::Nothing;
        };
        let holds = match (&result.verdict, want) {
            (CheckVerdict::Pass, _) => PASS_HOLDS,
            (CheckVerdict::Fail { .. }, Want::Any { reruns }) if had >= reruns => FAIL_HOLDS,
            (CheckVerdict::Fail { .. } | CheckVerdict::Flaky | CheckVerdict::CouldNotRun { .. }, _) => {
                return Before::Nothing;
            }
        };
        // The log may be gone with its attempt; a verdict without one is still known.
        if result.command != check.command || age(&path).is_none_or(|age| age > holds) {
            return Before::Nothing;
        }
        result.check = check.name.clone();
        result.source = Source::Known { by };
        if draw < verify_percent {
            Before::Verify(result)
        } else {
            Before::This(result)
        }
    }

    /// Keeps what a run of Turno's own has shown, and says whether it contradicts what was known.
    pub fn learn(
        &self,
        key: &Key,
        by: AttemptId,
        reruns: u8,
        result: &CheckResult,
        before: &Before,
    ) -> Source {
        if self.how == Use::No {
            return Source::Run;
        }
        let sure = match &result.verdict {
            CheckVerdict::Pass | CheckVerdict::Fail { .. } => true,
            // A flaky one is red the next time; one that could not be run has shown nothing.
            CheckVerdict::Flaky | CheckVerdict::CouldNotRun { .. } => false,
        };
        let differs = match before {
            Before::Verify(known) | Before::This(known) => {
                let passed = known.verdict == CheckVerdict::Pass;
                let passes = result.verdict == CheckVerdict::Pass;
                let could = !matches!(result.verdict, CheckVerdict::CouldNotRun { .. });
                match (&known.source, could && passed != passes) {
                    (Source::Known { by }, true) => Some(*by),
                    (Source::Known { .. } | Source::Run | Source::Differs { .. }, _) => None,
                }
            }
            Before::Nothing => None,
        };
        let distrusted = matches!(self.read(key), Some(Entry::Distrusted { .. }));
        let entry = match differs {
            Some(_) => Some(Entry::Distrusted {
                form: FORM,
                key: key.0.clone(),
            }),
            None if sure && !distrusted => Some(Entry::Result {
                form: FORM,
                key: key.0.clone(),
                by,
                reruns,
                result: result.clone(),
            }),
            None => None,
        };
        if let Some(entry) = entry
            && let Err(error) = self.write(key, &entry)
        {
            tracing::warn!(%error, "what a check has shown could not be kept; it is run again the next time");
        }
        match differs {
            Some(by) => Source::Differs { by },
            None => Source::Run,
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(format!("{}.json", key.0))
    }

    fn read(&self, key: &Key) -> Option<Entry> {
        let text = fs::read(self.path(key)).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        let (Entry::Result { form, key: of, .. } | Entry::Distrusted { form, key: of }) = &entry;
        (*form == FORM && *of == key.0).then_some(entry)
    }

    fn write(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let file = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer(&file, entry)?;
        file.persist(self.path(key)).map_err(|e| e.error)?;
        self.make_room()
    }

    /// Forgets the oldest entries of too many.
    fn make_room(&self) -> io::Result<()> {
        let is_entry = |path: &Path| path.extension().is_some_and(|e| e == "json");
        let mut entries = Vec::new();
        for found in fs::read_dir(&self.dir)? {
            let path = found?.path();
            if is_entry(&path) {
                entries.push((age(&path).unwrap_or(Duration::MAX), path));
            }
        }
        if entries.len() <= MOST {
            return Ok(());
        }
        entries.sort();
        for (_, path) in entries.split_off(MOST - MOST / 10) {
            // Another run of Turno's may have been faster.
            drop(fs::remove_file(path));
        }
        Ok(())
    }
}

fn age(path: &Path) -> Option<Duration> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    // A clock that was set back makes nothing younger than now.
    Some(SystemTime::now().duration_since(modified).unwrap_or_default())
}

#[cfg(test)]
mod tests;
