//! The power is cut between any two changes of the disk, and the disk keeps what POSIX lets it keep: what was
//! acknowledged is there, in order and unchanged, and the store goes on. A second part lets each change fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::recorder::{Change, Dice, Fails, Platter, Recorder, Survives};
use super::*;

/// How often the dice are thrown for each cut.
const THROWS: u64 = 12;
/// Opening an index takes long: so many disks of each cut are opened as a store, the others as a journal.
const WITH_INDEX: usize = 4;
/// A segment for a few groups only.
const SHORT: u64 = 6_000;

fn ground(recorder: &Arc<Recorder>) -> Ground {
    Ground {
        disk: Arc::clone(recorder) as Arc<dyn disk::Disk>,
        segment_bytes: SHORT,
    }
}

/// What was acknowledged when.
#[derive(Debug, Default)]
struct Run {
    /// After so many changes these many records were acknowledged.
    acknowledged: Vec<(usize, u64)>,
    records: Vec<Record>,
}

impl Run {
    fn acknowledged_by(&self, changes: usize) -> u64 {
        let known = self.acknowledged.iter().rev().find(|(n, _)| *n <= changes);
        known.map_or(0, |(_, seq)| *seq)
    }
}

/// Commits groups of 1 to 5 records until there are `count`.
fn commit(dir: &Path, recorder: &Arc<Recorder>, run: &mut Run, count: u64) -> Result<(), Error> {
    let (mut store, mut state) = Store::open_on(ground(recorder), dir)?;
    // What was read back counts as committed from here on.
    run.records = store.reader().all()?;
    run.acknowledged.push((recorder.count(), store.head().0));
    let mut size = 1;
    while store.head().0 < count {
        let group: Vec<Record> = (0..size)
            .map(|n| {
                let seq = Seq(store.head().0 + 1 + n);
                Record::of(&mut state, seq, Timestamp(seq.0.cast_signed()), event(seq.0))
            })
            .collect();
        store.commit(&group)?;
        run.records.extend(group);
        run.acknowledged.push((recorder.count(), store.head().0));
        size = size % 5 + 1;
    }
    Ok(())
}

/// What the store finds after a cut must hold what was acknowledged, and nothing that was not decided.
fn examine(dir: &Path, run: &Run, acknowledged: u64, told: &str) -> &'static str {
    let (mut store, mut state) = match Store::open(dir) {
        Ok(opened) => opened,
        Err(error) => panic!("{told}: {acknowledged} were acknowledged, and it does not open: {error}"),
    };
    let found = store.reader().all().unwrap();
    let expected = run.records.get(..found.len()).unwrap_or(&[]);
    assert_eq!(found, expected, "{told}: other records than were written");
    assert!(
        found.len() as u64 >= acknowledged,
        "{told}: {acknowledged} records were acknowledged, {} are there",
        found.len()
    );
    let mut folded = State::default();
    found.iter().for_each(|r| r.redo(&mut folded));
    assert_eq!(state, folded, "{told}: the state");
    let seq = Seq(store.head().0 + 1);
    let record = Record::of(&mut state, seq, Timestamp(1), event(1_000_000));
    store.commit(&[record]).unwrap();
    let notes = store.notes().len();
    drop(store);
    let (store, again) = Store::open(dir).unwrap();
    assert_eq!(
        (store.head(), again),
        (seq, state),
        "{told}: after one more commit"
    );
    outcome(notes, found.len() as u64 - acknowledged)
}

/// The same for the journal alone.
fn examine_journal(dir: &Path, run: &Run, acknowledged: u64, told: &str) -> &'static str {
    let dir = dir.join("journal");
    let open = || {
        let ground = Ground {
            segment_bytes: SHORT,
            ..Ground::default()
        };
        journal::make(&ground, &dir).unwrap();
        let mut found = Vec::new();
        let opened = Journal::open(ground, &dir, Since::START, |r, _| found.push(r.clone()));
        match opened {
            Ok((journal, note)) => (journal, note, found),
            Err(error) => panic!("{told}: {acknowledged} were acknowledged, and it does not open: {error}"),
        }
    };
    let (mut journal, note, mut found) = open();
    let expected = run.records.get(..found.len()).unwrap_or(&[]);
    assert_eq!(found, expected, "{told}: other records than were written");
    assert!(
        found.len() as u64 >= acknowledged,
        "{told}: {acknowledged} records were acknowledged, {} are there",
        found.len()
    );
    let more = found.len() as u64 - acknowledged;
    let seq = Seq(journal.head().0 + 1);
    let record = Record::of(&mut State::default(), seq, Timestamp(1), event(1_000_000));
    journal.append(std::slice::from_ref(&record)).unwrap();
    found.push(record);
    let (_, nothing, again) = open();
    assert_eq!((nothing, again), (None, found), "{told}: after one more commit");
    outcome(note.iter().count(), more)
}

fn outcome(notes: usize, more: u64) -> &'static str {
    match (notes, more) {
        (0, 0) => "exactly what was acknowledged",
        (0, _) => "more, whole",
        (_, _) => "a torn end, set aside",
    }
}

/// A run, and what its disk was before.
struct Scene<'a> {
    name: &'a str,
    before: &'a Platter,
    run: &'a Run,
    changes: &'a [Change],
    /// What may lie where the index belongs.
    indexes: &'a [PathBuf],
    /// Bytes that some file holds at every moment: they are moved, and never deleted.
    kept: &'a [u8],
}

/// Whether a file of a journal holds these bytes.
fn holds(journal: &Path, bytes: &[u8]) -> bool {
    let files = fs::read_dir(journal).unwrap();
    files
        .map(|e| fs::read(e.unwrap().path()).unwrap())
        .any(|held| held.windows(bytes.len()).any(|w| w == bytes))
}

/// Cuts the power after every change of a run.
fn cut_everywhere(scene: &Scene<'_>) {
    let Scene {
        name,
        before,
        run,
        changes,
        indexes,
        kept,
    } = scene;
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut platter = (*before).clone();
    for cut in 0..=changes.len() {
        if let Some(last) = cut.checked_sub(1) {
            platter.take(&changes[last]);
        }
        let acknowledged = run.acknowledged_by(cut);
        let ways = [Survives::Nothing, Survives::All].into_iter();
        let thrown = (0..THROWS).map(|n| Survives::Some(Dice::new(cut as u64 * 1000 + n)));
        for (way, mut survives) in ways.chain(thrown).enumerate() {
            let dir = tempfile::tempdir().unwrap();
            platter.restore(dir.path(), &mut survives);
            let told = format!("{name}: cut {cut} of {}, way {way}", changes.len());
            let journal = dir.path().join("state/store/journal");
            assert!(
                kept.is_empty() || holds(&journal, kept),
                "{told}: the torn end is gone"
            );
            if way >= WITH_INDEX {
                let outcome = examine_journal(&dir.path().join("state/store"), run, acknowledged, &told);
                *outcomes.entry(outcome).or_default() += 1;
                continue;
            }
            let index = &indexes[(cut + way) % indexes.len()];
            let store = dir.path().join("state/store");
            let too_new = index.file_name().and_then(|n| n.to_str()?.parse::<u64>().ok());
            if store.is_dir() && too_new.is_none_or(|head| head <= acknowledged) {
                copy(index, &store.join("index"));
            }
            *outcomes
                .entry(examine(&store, run, acknowledged, &told))
                .or_default() += 1;
        }
    }
    let cuts = changes.len() + 1;
    let tries: usize = outcomes.values().sum();
    println!("{name}: {cuts} cut points, {tries} disks: {outcomes:?}; acknowledged records lost: 0");
    assert!(tries == cuts * (2 + usize::try_from(THROWS).unwrap()));
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// Indexes as they may be found beside a journal: none, of an earlier time (called by its head), and anything at all.
fn indexes(dir: &Path) -> Vec<PathBuf> {
    let mut made = vec![dir.join("none")];
    for head in [1, 7] {
        let store = dir.join(format!("at-{head}"));
        let recorder = Arc::new(Recorder::new(dir, Fails::Never));
        commit(&store, &recorder, &mut Run::default(), head).unwrap();
        let (opened, _) = Store::open(&store).unwrap();
        let index = dir.join(opened.head().0.to_string());
        drop(opened);
        fs::rename(store.join("index"), &index).unwrap();
        made.push(index);
    }
    let garbage = dir.join("garbage");
    fs::create_dir(&garbage).unwrap();
    let mut dice = Dice::new(1);
    for name in ["db", "conf"] {
        let bytes: Vec<u8> = (0..20_000).map(|_| dice.below(256).to_le_bytes()[0]).collect();
        fs::write(garbage.join(name), bytes).unwrap();
    }
    made.push(garbage);
    made
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let indexes_dir = tempfile::tempdir().unwrap();
    let indexes = indexes(indexes_dir.path());
    let dir = tempfile::tempdir().unwrap();
    let before = Platter::of(dir.path());
    let recorder = Arc::new(Recorder::new(dir.path(), Fails::Never));
    let mut run = Run::default();
    // The state directory is made on the way.
    commit(&dir.path().join("state/store"), &recorder, &mut run, 40).unwrap();
    let segments = walk::segments(&dir.path().join("state/store/journal")).unwrap();
    assert!(segments.len() > 2, "{segments:?}");
    cut_everywhere(&Scene {
        name: "from nothing",
        before: &before,
        run: &run,
        changes: &recorder.changes(),
        indexes: &indexes,
        kept: &[],
    });
}

#[test]
fn a_power_cut_while_a_torn_end_is_set_aside_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("state/store");
    let recorder = Arc::new(Recorder::new(dir.path(), Fails::Never));
    let mut first = Run::default();
    commit(&store, &recorder, &mut first, 9).unwrap();
    // A group of which a middle sector never reached the disk.
    let last = walk::segments(&store.join("journal")).unwrap().pop().unwrap();
    let path = walk::segment_path(&store.join("journal"), last);
    let whole = fs::read(&path).unwrap();
    let mut torn = whole.clone();
    let group: Vec<Record> = {
        let mut state = Store::open(&store).unwrap().1;
        let head = first.records.len() as u64;
        (1..=8)
            .map(|n| Record::of(&mut state, Seq(head + n), Timestamp(1), event(head + n)))
            .collect()
    };
    for record in &group {
        line::encode(record, group[0].seq, &mut torn).unwrap();
    }
    let hole = whole.len().next_multiple_of(512);
    torn[hole..hole + 512].fill(0);
    fs::write(&path, &torn).unwrap();
    fs::remove_dir_all(store.join("index")).unwrap();

    let before = Platter::of(dir.path());
    let recorder = Arc::new(Recorder::new(dir.path(), Fails::Never));
    let mut run = Run {
        acknowledged: vec![(0, first.records.len() as u64)],
        ..Run::default()
    };
    commit(&store, &recorder, &mut run, 16).unwrap();
    let kept: Vec<PathBuf> = fs::read_dir(store.join("journal"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("torn-"))
        .collect();
    assert_eq!(kept.len(), 1);
    assert!(torn.ends_with(&fs::read(&kept[0]).unwrap()), "the end is kept");
    cut_everywhere(&Scene {
        name: "after a torn end",
        before: &before,
        run: &run,
        changes: &recorder.changes(),
        indexes: &[dir.path().join("none")],
        kept: &fs::read(&kept[0]).unwrap(),
    });
}

#[test]
fn damage_before_a_later_group_is_no_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::new(dir.path(), Fails::Never));
    let mut run = Run::default();
    let long = Ground {
        segment_bytes: u64::MAX,
        ..ground(&recorder)
    };
    drop(Store::open_on(long.clone(), dir.path()).unwrap());
    let (mut store, mut state) = Store::open_on(long, dir.path()).unwrap();
    for n in [1, 4, 7] {
        let record = |seq| Record::of(&mut state, Seq(seq), Timestamp(1), event(seq));
        let group: Vec<Record> = (n..n + 3).map(record).collect();
        store.commit(&group).unwrap();
        run.records.extend(group);
    }
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let path = segment(dir.path());
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    for line in 1..lines.len() {
        let at: usize = lines[..line].iter().map(|l| l.len()).sum::<usize>() + 40;
        let mut broken = whole.clone();
        broken[at] ^= 1;
        fs::write(&path, &broken).unwrap();
        let opened = Store::open(dir.path());
        if line <= 6 {
            let error = opened.unwrap_err();
            let Error::Damaged(damage) = &error else {
                panic!("{error}")
            };
            assert_eq!(
                (damage.from, damage.to),
                (Seq(line as u64), Some(Seq(line as u64)))
            );
            assert_eq!(fs::read(&path).unwrap(), broken, "nothing is changed");
        } else {
            // The last group may never have been acknowledged.
            let (store, _) = opened.unwrap();
            assert_eq!(store.head().0, line as u64 - 1);
            assert!(matches!(store.notes(), [Note::TornEnd { .. }]));
            drop(store);
            fs::remove_dir_all(dir.path().join("journal")).unwrap();
            fs::create_dir(dir.path().join("journal")).unwrap();
        }
        drop(fs::remove_dir_all(dir.path().join("index")));
    }
}

#[test]
fn a_last_group_that_the_index_knows_is_no_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 5);
    let path = segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("was committed"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is changed");
}

/// Every change of the disk fails in turn, alone or because the disk is full from then on.
#[test]
fn whatever_change_fails_nothing_that_was_acknowledged_is_lost() {
    let fails: [fn(usize) -> Fails; 2] = [Fails::FullFrom, Fails::Once];
    let (mut failed, mut at) = (0, 0);
    for fail in fails {
        for n in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let store = dir.path().join("state/store");
            let recorder = Arc::new(Recorder::new(dir.path(), fail(n)));
            let mut run = Run::default();
            let result = commit(&store, &recorder, &mut run, 40);
            let acknowledged = run.acknowledged.last().map_or(0, |(_, seq)| *seq);
            at = n;
            if result.is_ok() && acknowledged >= 40 && recorder.count() <= n {
                break;
            }
            failed += usize::from(result.is_err());
            // What was decided and never acknowledged is not in the run, and must not come back either.
            let told = format!("change {n} fails with {:?}", result.as_ref().err());
            examine(&store, &run, acknowledged, &told);
        }
    }
    println!("{failed} runs ended by a change that failed, of {at} changes; acknowledged records lost: 0");
    assert!(failed > at);
}

#[test]
fn after_a_write_that_failed_nothing_more_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::new(dir.path(), Fails::Never));
    let mut run = Run::default();
    commit(dir.path(), &recorder, &mut run, 3).unwrap();
    let recorder = Arc::new(Recorder::new(dir.path(), Fails::Once(recorder_opens(&recorder))));
    let (mut store, mut state) = Store::open_on(ground(&recorder), dir.path()).unwrap();
    let mut record = |seq| Record::of(&mut state, Seq(seq), Timestamp(1), event(seq));
    let (one, two) = (record(store.head().0 + 1), record(store.head().0 + 2));
    let error = store.commit(std::slice::from_ref(&one)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    for again in [&one, &two] {
        let error = store.commit(std::slice::from_ref(again)).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
    }
}

/// How many changes opening a journal with records makes: a sync of the segment, one of each directory in the root.
fn recorder_opens(_: &Recorder) -> usize {
    3
}
