//! Owns the figures of `docs/benchmarks.md`: each is a ratio to a named baseline that runs in turn with it, in
//! the same process on the same disk, so that it means something on another machine too.
//!
//! `cargo bench --bench ratios [-- sandbox|slots|journal|size|steps|stream] [--keep]`. The exit code is 1 when a bound is broken.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has no better answer"
)]
#![expect(clippy::print_stdout, reason = "the figures are its output")]

#[path = "ratios/journal.rs"]
mod journal;
#[path = "ratios/measure.rs"]
mod measure;
#[path = "ratios/sandbox.rs"]
mod sandbox;
#[path = "ratios/size.rs"]
mod size;
#[path = "ratios/slots.rs"]
mod slots;
#[path = "ratios/steps.rs"]
mod steps;
#[path = "ratios/stream.rs"]
mod stream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use measure::Verdict;

/// How long ext4 steps over inodes that were just deleted: new worktrees are slow meanwhile.
const SHADOW: Duration = Duration::from_secs(600);

/// A section makes its data below a directory of its own and prints its figures.
type Section = fn(&Path) -> Verdict;

const SECTIONS: [(&str, Section); 6] = [
    ("sandbox", sandbox::run),
    ("journal", journal::run),
    ("size", size::run),
    ("steps", steps::run),
    ("stream", stream::run),
    ("slots", slots::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [size::VICTIM, path] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        size::victim(Path::new(path));
    }
    let keep = words.iter().any(|w| w == "--keep");
    let asked: Vec<&String> = words.iter().filter(|w| !w.starts_with('-')).collect();
    if let Some(unknown) = asked
        .iter()
        .find(|w| !SECTIONS.iter().any(|(name, _)| name == **w))
    {
        println!(
            "no section is called `{unknown}`; there are sandbox, journal, size, steps, stream and slots"
        );
        return ExitCode::from(2);
    }
    // Beside the build, on its disk: the system's own directory for temporary files may be memory.
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let slots = asked.is_empty() || asked.iter().any(|w| *w == "slots");
    if slots {
        warn_of_shadow(base);
    }
    let dir = tempfile::Builder::new()
        .prefix("ratios-")
        .tempdir_in(base)
        .unwrap();
    let mut verdict = Verdict::Holds;
    for (name, section) in SECTIONS {
        if asked.is_empty() || asked.iter().any(|w| *w == name) {
            println!("\n## {name}\n");
            let own = dir.path().join(name);
            std::fs::create_dir(&own).unwrap();
            verdict = verdict.and(section(&own));
        }
    }
    if keep {
        println!("\nkept: {}", dir.keep().display());
    } else {
        dir.close().unwrap();
        if slots {
            std::fs::write(stamp(base), "").unwrap();
        }
    }
    match verdict {
        Verdict::Holds => ExitCode::SUCCESS,
        Verdict::Broken => ExitCode::FAILURE,
    }
}

/// When many files were last deleted here.
fn stamp(base: &Path) -> PathBuf {
    base.join("ratios-deleted")
}

/// A baseline that is slow for a reason of its own would flatter.
fn warn_of_shadow(base: &Path) {
    let deleted = std::fs::metadata(stamp(base)).and_then(|m| m.modified());
    let ago = deleted
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    if let Some(ago) = ago.filter(|ago| *ago < SHADOW) {
        println!(
            "the files of an earlier run were deleted {} s ago: on ext4, making worktrees is slow for some minutes \
             after that, and the slots section flatters. Wait, or use --keep",
            ago.as_secs()
        );
    }
}
