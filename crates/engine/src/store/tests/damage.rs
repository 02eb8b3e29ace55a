//! Random bytes at every place of every file of a store: a damaged index heals and says so, damage of the journal is
//! found, named and bounded, and nothing panics.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::recorder::{Dice, Fails, Recorder};
use super::*;
use crate::store::{check, export, import, rebuild, write_line};

const BLOCK: usize = 4096;

/// Hears what is warned of.
#[derive(Debug, Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicUsize>,
}

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("turno_engine")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) as u64 + 1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Words(String);
        impl tracing::field::Visit for Words {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{value:?} "));
            }
        }
        let mut words = Words(String::new());
        event.record(&mut words);
        self.heard.lock().unwrap().push(words.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn spoil(bytes: &mut [u8], from: usize, dice: &mut Dice) {
    let to = (from + BLOCK).min(bytes.len());
    for byte in &mut bytes[from..to] {
        *byte = dice.below(256).to_le_bytes()[0];
    }
}

fn copy(from: &Path, to: &Path) {
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

/// A store of some files with groups of 1 to 5 records.
fn store_of(dir: &Path, count: u64) -> State {
    let ground = Ground {
        disk: Arc::new(Recorder::new(dir, Fails::Never)),
        segment_bytes: 60_000,
    };
    let (mut store, mut state) = Store::open_on(ground, dir).unwrap();
    let mut size = 1;
    while store.head().0 < count {
        let head = store.head().0;
        let record = |n| Record::of(&mut state, Seq(head + n), Timestamp(1), event(head + n));
        let group: Vec<Record> = (1..=size).map(record).collect();
        store.commit(&group).unwrap();
        size = size % 5 + 1;
    }
    state
}

#[test]
fn a_damaged_index_heals_and_says_so_and_sled_does_panic() {
    let whole = tempfile::tempdir().unwrap();
    let state = {
        let (mut store, mut state) = Store::open(whole.path()).unwrap();
        for group in 0..30 {
            let record = |n| Record::of(&mut state, Seq(group * 100 + n), Timestamp(1), event(n));
            let group: Vec<Record> = (1..=100).map(record).collect();
            store.commit(&group).unwrap();
        }
        state
    };
    let db = fs::read(whole.path().join("index/db")).unwrap();
    let mut dice = Dice::new(7);
    let used = db.iter().rposition(|b| *b != 0).unwrap() as u64;
    let (mut panics, mut told, mut tries) = (0, 0, 0);
    while tries < 24 {
        let mut broken = db.clone();
        spoil(&mut broken, usize::try_from(dice.below(used)).unwrap(), &mut dice);
        tries += 1;
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        fs::write(dir.path().join("index/db"), &broken).unwrap();
        let raw = tempfile::tempdir().unwrap();
        copy(&dir.path().join("index"), raw.path());
        let panicked = index::tests::sled_panics(raw.path());
        panics += usize::from(panicked);
        let ear = Ear::default();
        let (store, again) =
            tracing::subscriber::with_default(ear.clone(), || Store::open(dir.path()).unwrap());
        assert_eq!(again, state);
        assert_eq!(store.reader().after(Seq(2_990), 100).unwrap().len(), 10);
        let heard = ear.heard.lock().unwrap().join("\n");
        assert!(
            !panicked || heard.contains("damage"),
            "it says nothing: {heard:?}"
        );
        told += usize::from(!heard.is_empty());
    }
    println!(
        "index of {} bytes: {tries} places, sled panicked {panics} times, told {told} times",
        db.len()
    );
    assert!(panics > 0, "nothing was proved");
}

/// What a damaged journal must show, by whatever way it is asked.
fn examine(dir: &Path, path: &Path, records: &[Record]) -> &'static str {
    let found = check(dir, Held::NotByUs).unwrap();
    let (mut read, mut lost) = (Vec::new(), Vec::new());
    export(
        dir,
        |record| {
            read.push(record.clone());
            Ok(())
        },
        |damage| lost.push(damage.clone()),
    )
    .unwrap();
    assert_eq!(lost, found.damage);
    assert_eq!(read.len() as u64, found.records);
    // What is read is what was written, and what is missing is what is said to be missing.
    let mut missing: BTreeSet<u64> = records.iter().map(|r| r.seq.0).collect();
    for record in &read {
        assert_eq!(*record, records[usize::try_from(record.seq.0 - 1).unwrap()]);
        assert!(missing.remove(&record.seq.0), "{} twice", record.seq);
    }
    let last = records.len() as u64;
    let named: BTreeSet<u64> = found
        .damage
        .iter()
        .chain(&found.torn)
        .flat_map(|d| d.from.0..=d.to.map_or(last, |to| to.0))
        .collect();
    assert_eq!(named, missing, "{found:?}");
    assert!(
        found.damage.iter().chain(&found.torn).all(|d| d.path == path),
        "{found:?}"
    );
    match (found.damage.is_empty(), found.torn.is_some()) {
        (false, _) => "damage",
        (true, true) => "a torn end",
        (true, false) => "nothing",
    }
}

#[test]
fn damage_of_the_journal_is_found_named_and_bounded() {
    let whole = tempfile::tempdir().unwrap();
    let state = store_of(whole.path(), 400);
    let records = Store::open(whole.path()).unwrap().0.reader().all().unwrap();
    let numbers = walk::segments(&whole.path().join("journal")).unwrap();
    assert!(numbers.len() > 3, "{numbers:?}");
    let mut dice = Dice::new(3);
    let (mut places, mut outcomes) = (0, std::collections::BTreeMap::<&str, usize>::new());
    for number in &numbers {
        let length = fs::metadata(walk::segment_path(&whole.path().join("journal"), *number))
            .unwrap()
            .len();
        let length = usize::try_from(length).unwrap();
        let odd = (0..4).map(|_| usize::try_from(dice.below(length as u64)).unwrap());
        let froms: Vec<usize> = (0..length)
            .step_by(BLOCK)
            .chain(odd.collect::<Vec<_>>())
            .collect();
        for from in froms {
            let dir = tempfile::tempdir().unwrap();
            copy(whole.path(), dir.path());
            let path = walk::segment_path(&dir.path().join("journal"), *number);
            let mut bytes = fs::read(&path).unwrap();
            spoil(&mut bytes, from, &mut dice);
            fs::write(&path, &bytes).unwrap();
            let outcome = examine(dir.path(), &path, &records);
            assert_ne!(outcome, "nothing", "byte {from} of {number}");
            assert!(outcome == "damage" || Some(number) == numbers.last());
            *outcomes.entry(outcome).or_default() += 1;
            places += 1;
            // With its index the store goes on, unless it is the last record that is lost; reading tells.
            match Store::open(dir.path()) {
                Ok((store, again)) => {
                    assert_eq!(again, state);
                    let error = store.reader().all().unwrap_err().to_string();
                    assert!(error.contains("turno store check"), "{error}");
                }
                Err(error) => assert!(matches!(error, Error::Damaged(_)), "{error}"),
            }
            drop(fs::remove_dir_all(dir.path().join("index")));
            match Store::open(dir.path()) {
                Ok((store, _)) => {
                    assert_eq!(outcome, "a torn end");
                    assert!(matches!(store.notes(), [Note::TornEnd { .. }]));
                }
                Err(Error::Damaged(damage)) => assert_eq!(damage.path, path),
                Err(other) => panic!("{other}"),
            }
        }
    }
    println!("{places} places of {} files: {outcomes:?}", numbers.len());
}

#[test]
fn a_file_that_is_gone_is_missed() {
    for gone in [0, 1, 3] {
        let dir = tempfile::tempdir().unwrap();
        store_of(dir.path(), 400);
        let numbers = walk::segments(&dir.path().join("journal")).unwrap();
        fs::remove_file(walk::segment_path(&dir.path().join("journal"), numbers[gone])).unwrap();
        let found = check(dir.path(), Held::NotByUs).unwrap();
        let [damage] = found.damage.as_slice() else {
            panic!("{found:?}")
        };
        let next = numbers[gone + 1];
        assert_eq!(
            (damage.from, damage.to),
            (Seq(numbers[gone]), Some(Seq(next - 1)))
        );
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(Error::Damaged(_))));
    }
}

#[test]
fn what_is_exported_can_be_imported_and_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let state = store_of(&dir.path().join("a"), 100);
    let mut lines = Vec::new();
    let write = |record: &Record| write_line(&mut lines, record);
    export(&dir.path().join("a"), write, |damage| panic!("{damage:?}")).unwrap();
    let to = dir.path().join("b");
    let head = import(&to, || Ok(lines.as_slice())).unwrap();
    let (store, again) = Store::open(&to).unwrap();
    assert_eq!((store.head(), again), (head, state));
    drop(store);
    let found = check(&to, Held::ByUs).unwrap();
    assert!(
        found.is_sound() && found.index == IndexHealth::Agrees,
        "{found:?}"
    );
    let error = import(&to, || Ok(lines.as_slice())).unwrap_err();
    assert!(error.to_string().contains("nothing is overwritten"), "{error}");

    // A gap and a line that is none are refused before anything is made.
    let all: Vec<&[u8]> = lines.split_inclusive(|b| *b == b'\n').collect();
    let gap = [&all[..5], &all[6..]].concat().concat();
    let error = import(&dir.path().join("c"), || Ok(gap.as_slice())).unwrap_err();
    assert!(error.to_string().contains("line 6 holds record 7"), "{error}");
    let odd = [&all[..5], &[b"hello\n".as_slice()]].concat().concat();
    let error = import(&dir.path().join("c"), || Ok(odd.as_slice())).unwrap_err();
    assert!(error.to_string().contains("line 6 is no record"), "{error}");
    assert!(!dir.path().join("c").exists());
}

#[test]
fn a_check_tells_what_the_index_is_worth_and_a_rebuild_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = store_of(dir.path(), 100);
    let worth = |what: IndexHealth| {
        let found = check(dir.path(), Held::ByUs).unwrap();
        assert_eq!(found.index, what, "{found:?}");
        assert_eq!(found.is_sound(), what.is_sound());
    };
    let rebuilt = || {
        rebuild(dir.path()).unwrap();
        assert_eq!(Store::open(dir.path()).unwrap().1, state);
        worth(IndexHealth::Agrees);
    };
    worth(IndexHealth::Agrees);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    worth(IndexHealth::Absent);
    rebuilt();
    let db = dir.path().join("index/db");
    let spoilt: Vec<u8> = fs::read(&db).unwrap().iter().map(|byte| byte ^ 0x5a).collect();
    fs::write(&db, spoilt).unwrap();
    worth(IndexHealth::Unreadable);
    rebuilt();
    // The index of another journal, of which as many records are known.
    let other = tempfile::tempdir().unwrap();
    fill(other.path(), 90);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy(&other.path().join("index"), &dir.path().join("index"));
    worth(IndexHealth::Differs);
    rebuilt();
    let more = tempfile::tempdir().unwrap();
    fill(more.path(), 150);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy(&more.path().join("index"), &dir.path().join("index"));
    worth(IndexHealth::Ahead { head: Seq(150) });
    rebuilt();
    // With a damaged journal the index is all there is: it stays.
    let path = segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[3_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(rebuild(dir.path()), Err(Error::Damaged(_))));
    assert_eq!(
        Store::open(dir.path()).unwrap().1,
        state,
        "the index still gives the state"
    );
}
