//! A commit of the journal, and of the whole store, against a bare append and fdatasync of the very same bytes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use turno_core::State;
use turno_core::event::Event;
use turno_core::ids::{IssueId, Seq};
use turno_core::issue::{IssueDraft, Priority};
use turno_core::record::Record;
use turno_core::units::Timestamp;
use turno_engine::store::{Journal, Store};

use crate::measure::{Bound, Times, Verdict, settle, time};

/// Commits that make one round of one side.
const COMMITS: usize = 25;
const ROUNDS: usize = 60;
const BOUND: Bound = Bound::AtMost(1.5);

/// Runs the section.
pub(crate) fn run(dir: &Path) -> Verdict {
    let mut verdict = Verdict::Holds;
    for group in [1, 10] {
        let records = records(group * COMMITS * ROUNDS);
        let lines = lines(&dir.join(format!("lines-{group}")), &records);
        let bytes: usize = lines.iter().map(Vec::len).sum();
        println!("groups of {group}, {} bytes a record", bytes / lines.len());
        let work = Work {
            group,
            records,
            lines,
        };

        let mut journal = Journal::open_alone(&made(dir, &format!("journal-{group}"))).unwrap();
        let name = format!("journal, groups of {group}");
        let first = work.compare(dir, &name, |records| drop(journal.append(records).unwrap()));

        let (mut store, _) = Store::open(&made(dir, &format!("store-{group}"))).unwrap();
        let name = format!("store (journal and index), groups of {group}");
        let second = work.compare(dir, &name, |records| store.commit(records).unwrap());
        verdict = verdict.and(first).and(second);
        println!();
    }
    verdict
}

struct Work {
    group: usize,
    records: Vec<Record>,
    /// The same as they lie on disk.
    lines: Vec<Vec<u8>>,
}

impl Work {
    fn compare(&self, dir: &Path, name: &str, mut commit: impl FnMut(&[Record])) -> Verdict {
        let path = dir.join(format!("{}.bare", name.replace(' ', "-")));
        let mut bare = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut baseline = Times::of("append and fdatasync of the same bytes");
        let mut ours = Times::of(name);
        let rounds = self
            .records
            .chunks(self.group * COMMITS)
            .zip(self.lines.chunks(self.group * COMMITS));
        settle();
        for (round, (records, lines)) in rounds.enumerate() {
            // The bytes are ready before the clock runs: the baseline does nothing but write them.
            let groups: Vec<Vec<u8>> = lines.chunks(self.group).map(<[_]>::concat).collect();
            let mut bare_round = || {
                time(|| {
                    for bytes in &groups {
                        append(&mut bare, bytes);
                    }
                })
                .0
            };
            let mut our_round = || time(|| records.chunks(self.group).for_each(&mut commit)).0;
            if round % 2 == 0 {
                baseline.push(bare_round());
                ours.push(our_round());
            } else {
                ours.push(our_round());
                baseline.push(bare_round());
            }
        }
        let commits = u32::try_from(COMMITS).unwrap();
        baseline.print(commits);
        ours.print(commits);
        ours.against(&baseline, BOUND)
    }
}

fn append(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).unwrap();
    file.sync_data().unwrap();
}

fn made(dir: &Path, name: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    fs::create_dir(&path).unwrap();
    path
}

/// Edits of some issues of the usual length, in turn; each record holds the event and the issue as it became.
fn records(count: usize) -> Vec<Record> {
    let mut state = State::default();
    let issues = 20;
    (0..count)
        .map(|n| {
            let draft = draft(n);
            let event = if n < issues {
                Event::IssueAdded { draft }
            } else {
                let issue = IssueId(u32::try_from(n % issues + 1).unwrap());
                Event::IssueEdited { issue, draft }
            };
            let seq = Seq(u64::try_from(n + 1).unwrap());
            Record::of(
                &mut state,
                seq,
                Timestamp(1_700_000_000_000 + i64::try_from(n).unwrap()),
                event,
            )
        })
        .collect()
}

fn draft(n: usize) -> IssueDraft {
    let paragraph = format!(
        "The parser of `settings-{n}.toml` takes \"a = 1\" for a text.\nIt was seen on a fresh checkout; \
         the log says:\n\n    error: expected integer, found string at line {n}\n\n"
    );
    IssueDraft {
        title: format!("Numbers in settings-{n}.toml are read as texts"),
        body: paragraph.repeat(6),
        acceptance: vec![
            format!("`cargo test settings_{n}` passes"),
            "A text where a number belongs is an error that names the line".to_owned(),
        ],
        priority: Priority::Normal,
        labels: vec!["parser".to_owned(), "bug".to_owned()],
        ..IssueDraft::default()
    }
}

/// What the journal makes of the records, line by line, without its head.
fn lines(dir: &Path, records: &[Record]) -> Vec<Vec<u8>> {
    fs::create_dir(dir).unwrap();
    let mut journal = Journal::open_alone(dir).unwrap();
    for some in records.chunks(1000) {
        journal.append(some).unwrap();
    }
    let mut segments: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    let bytes: Vec<Vec<u8>> = segments.iter().map(|path| fs::read(path).unwrap()).collect();
    let lines = bytes
        .iter()
        .flat_map(|b| b.split_inclusive(|c| *c == b'\n').skip(1));
    let lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    assert_eq!(lines.len(), records.len());
    lines
}
