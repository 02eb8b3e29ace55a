//! A store of a million records: what opening it, a commit and its memory cost, beside the same when it was small.
//! The baseline of a commit is a bare append and fdatasync of the very same bytes to a log of the same size.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use turno_core::State;
use turno_core::event::Event;
use turno_core::ids::{IssueId, Seq};
use turno_core::issue::{IssueDraft, Priority};
use turno_core::record::Record;
use turno_core::units::Timestamp;
use turno_engine::store::Store;

use crate::measure::{Bound, Times, Verdict, settle, time};

const RECORDS: u64 = 1_000_000;
const SMALL: u64 = 10_000;
/// Records written together while the store is filled.
const GROUP: u64 = 500;
const COMMITS: u32 = 25;
const ROUNDS: u64 = 20;
const OPENS: usize = 7;
const OPEN_BOUND: Duration = Duration::from_millis(100);
/// How many records a process has committed when it is killed.
const BEFORE_KILL: usize = 2_000;
/// The word that makes this program the process that is killed.
pub(crate) const VICTIM: &str = "--victim";

/// Runs the section.
pub(crate) fn run(dir: &Path) -> Verdict {
    let path = dir.join("store");
    let (mut store, mut state) = Store::open(&path).unwrap();
    let mut bare = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("bare"))
        .unwrap();
    fill(&mut store, &mut state, SMALL);
    fill_bare(&mut bare, &path);
    let small = commits(&mut store, &mut state, &mut bare, "10 thousand");
    let small_memory = memory();
    let (filled, ()) = time(|| fill(&mut store, &mut state, RECORDS));
    fill_bare(&mut bare, &path);
    let large = commits(&mut store, &mut state, &mut bare, "a million");
    let large_memory = memory();
    drop(store);
    println!(
        "filled up to {RECORDS} records in {:.0} s; journal {} MB, index {} MB; memory {small_memory} MB at {SMALL}, \
         {large_memory} MB at {RECORDS}",
        filled.as_secs_f64(),
        size(&path.join("journal")) >> 20,
        size(&path.join("index")) >> 20,
    );
    let verdict = small.1.and(large.1);
    println!(
        "a commit at a million / at 10 thousand: {:.2}",
        large.0.as_secs_f64() / small.0.as_secs_f64()
    );
    let verdict = verdict.and(opens(&path, "closed", &state));
    kill(&path);
    verdict.and(opens_killed(&path))
}

/// Commits one record at a time, in turn with the baseline.
fn commits(store: &mut Store, state: &mut State, bare: &mut File, name: &str) -> (Duration, Verdict) {
    let mut baseline = Times::of("append and fdatasync of the same bytes");
    let mut ours = Times::of(format!("store, 1 record a commit, after {name}"));
    settle();
    for _ in 0..ROUNDS {
        let head = store.head().0;
        let records: Vec<Record> = (1..=u64::from(COMMITS))
            .map(|n| record(state, head + n))
            .collect();
        let lines: Vec<Vec<u8>> = records.iter().map(line).collect();
        ours.push(
            time(|| {
                for record in &records {
                    store.commit(std::slice::from_ref(record)).unwrap();
                }
            })
            .0,
        );
        baseline.push(
            time(|| {
                for line in &lines {
                    bare.write_all(line).unwrap();
                    bare.sync_data().unwrap();
                }
            })
            .0,
        );
    }
    baseline.print(COMMITS);
    ours.print(COMMITS);
    (ours.median(), ours.against(&baseline, Bound::AtMost(1.5)))
}

/// As many bytes as the journal writes of it.
fn line(record: &Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).unwrap();
    line.extend_from_slice(b" 0123 01234567 1234567\n");
    line
}

fn fill(store: &mut Store, state: &mut State, to: u64) {
    while store.head().0 < to {
        let head = store.head().0;
        let records: Vec<Record> = (1..=GROUP).map(|n| record(state, head + n)).collect();
        store.commit(&records).unwrap();
    }
}

/// Makes the bare log as long as the journal is.
fn fill_bare(bare: &mut File, store: &Path) {
    let block = vec![b'x'; 1 << 20];
    let want = size(&store.join("journal"));
    while bare.metadata().unwrap().len() < want {
        bare.write_all(&block).unwrap();
    }
    bare.sync_data().unwrap();
}

fn opens(path: &Path, name: &str, state: &State) -> Verdict {
    let mut times = Times::of(format!("open, {name}"));
    for _ in 0..OPENS {
        let (took, (store, found)) = time(|| Store::open(path).unwrap());
        assert!(found == *state, "another state");
        drop(store);
        times.push(took);
    }
    held(&times)
}

fn held(times: &Times) -> Verdict {
    times.print(1);
    if times.median() <= OPEN_BOUND {
        println!("bound {} ms \u{2014} holds", OPEN_BOUND.as_millis());
        Verdict::Holds
    } else {
        println!("bound {} ms \u{2014} BROKEN", OPEN_BOUND.as_millis());
        Verdict::Broken
    }
}

/// Each open comes after a process of its own was killed in the middle of its commits.
fn opens_killed(path: &Path) -> Verdict {
    let mut times = Times::of("open, after kill -9");
    for _ in 0..OPENS {
        let acknowledged = kill(path);
        let (took, (store, _)) = time(|| Store::open(path).unwrap());
        assert!(store.head().0 >= acknowledged, "lost what was acknowledged");
        times.push(took);
    }
    held(&times)
}

/// Kills a process while it commits. Gives the last record that it said was committed.
fn kill(path: &Path) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(VICTIM)
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let last = said.take(BEFORE_KILL).last().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    last.parse().unwrap()
}

/// Commits until it is killed, and says the number of each record that is committed.
pub(crate) fn victim(path: &Path) {
    let (mut store, mut state) = Store::open(path).unwrap();
    loop {
        let record = record(&mut state, store.head().0 + 1);
        store.commit(&[record]).unwrap();
        println!("{}", store.head());
    }
}

fn size(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum()
}

/// What this process holds in memory, in MB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// An edit of one of some issues; it holds the event and the issue as it became.
fn record(state: &mut State, seq: u64) -> Record {
    let issues = 20;
    let draft = IssueDraft {
        title: format!("Numbers in settings-{seq}.toml are read as texts"),
        body: format!(
            "The parser of `settings-{seq}.toml` takes \"a = 1\" for a text; seen on a fresh checkout."
        ),
        acceptance: vec![format!("`cargo test settings_{seq}` passes")],
        priority: Priority::Normal,
        labels: vec!["parser".to_owned(), "bug".to_owned()],
        ..IssueDraft::default()
    };
    let event = if seq <= issues {
        Event::IssueAdded { draft }
    } else {
        let issue = IssueId(u32::try_from(seq % issues + 1).unwrap());
        Event::IssueEdited { issue, draft }
    };
    Record::of(
        state,
        Seq(seq),
        Timestamp(1_700_000_000_000 + seq.cast_signed()),
        event,
    )
}
