mod damage;
mod power;
mod recorder;

use std::fs;

use rstest::rstest;
use turno_core::event::Event;
use turno_core::issue::{IssueDraft, Priority};
use turno_core::units::Timestamp;

use super::*;

fn event(n: u64) -> Event {
    let draft = IssueDraft {
        title: format!("issue {n}"),
        body: "body".repeat(10),
        acceptance: Vec::new(),
        priority: Priority::Normal,
        labels: Vec::new(),
        ..IssueDraft::default()
    };
    Event::IssueAdded { draft }
}

fn fill(dir: &Path, count: u64) -> State {
    filled(dir, count).1
}

pub(super) fn filled(dir: &Path, count: u64) -> (Store, State) {
    let (mut store, mut state) = Store::open(dir).unwrap();
    for n in 0..count {
        let seq = Seq(store.head().0 + 1);
        let record = Record::of(&mut state, seq, Timestamp(n.cast_signed()), event(n));
        store.commit(&[record]).unwrap();
    }
    (store, state)
}

fn segment(dir: &Path) -> PathBuf {
    dir.join("journal").join(format!("{:016}.log", 1))
}

#[test]
fn what_was_committed_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = fill(dir.path(), 20);
    let (store, again) = Store::open(dir.path()).unwrap();
    assert_eq!(again, state);
    assert_eq!(store.head(), Seq(20));
    let read = store.reader().after(Seq(17), 10).unwrap();
    assert_eq!(read.iter().map(|r| r.seq.0).collect::<Vec<_>>(), [18, 19, 20]);
}

#[test]
fn without_the_index_the_journal_gives_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = fill(dir.path(), 20);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, again) = Store::open(dir.path()).unwrap();
    assert_eq!(again, state);
    assert_eq!(store.reader().all().unwrap().len(), 20);
}

#[rstest]
#[case::db("db")]
#[case::conf("conf")]
fn a_damaged_index_is_rebuilt_and_kept_aside(#[case] file: &str) {
    let dir = tempfile::tempdir().unwrap();
    let state = fill(dir.path(), 20);
    let path = dir.path().join("index").join(file);
    let mut bytes = fs::read(&path).unwrap();
    for byte in bytes.iter_mut().take(40_000) {
        *byte ^= 0x5a;
    }
    fs::write(&path, bytes).unwrap();
    let (_, again) = Store::open(dir.path()).unwrap();
    assert_eq!(again, state);
}

#[test]
fn an_index_ahead_of_the_journal_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 3);
    let journal = fs::read(segment(dir.path())).unwrap();
    let three = fill(dir.path(), 0);
    fill(dir.path(), 5);
    fs::write(segment(dir.path()), journal).unwrap();
    let (store, again) = Store::open(dir.path()).unwrap();
    assert_eq!(again, three);
    assert_eq!(store.head(), Seq(3));
}

#[test]
fn damage_anywhere_in_the_index_is_healed() {
    let dir = tempfile::tempdir().unwrap();
    let state = fill(dir.path(), 300);
    let path = dir.path().join("index").join("db");
    let whole = fs::read(&path).unwrap();
    let mut damaged = 0;
    for (block, bytes) in whole.chunks(4096).enumerate() {
        if bytes.iter().all(|b| *b == 0) {
            continue;
        }
        let mut broken = whole.clone();
        for byte in &mut broken[block * 4096..block * 4096 + bytes.len()] {
            *byte ^= 0x5a;
        }
        fs::write(&path, broken).unwrap();
        let (store, again) = Store::open(dir.path()).unwrap();
        assert_eq!(again, state, "block {block}");
        assert_eq!(store.reader().all().unwrap().len(), 300, "block {block}");
        drop(store);
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        fill(dir.path(), 0);
        damaged += 1;
        fs::write(&path, &whole).unwrap();
    }
    assert!(damaged > 3, "only {damaged} blocks hold anything");
}

#[test]
fn an_index_of_another_journal_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 3);
    let three = fs::read(segment(dir.path())).unwrap();
    fill(dir.path(), 2);
    // As after a restore from a copy that then went another way, past where the index thinks the end is.
    fs::write(segment(dir.path()), three).unwrap();
    fs::rename(dir.path().join("index"), dir.path().join("kept")).unwrap();
    let other = {
        let (mut store, mut state) = Store::open(dir.path()).unwrap();
        for n in 10..20 {
            let record = Record::of(
                &mut state,
                Seq(store.head().0 + 1),
                Timestamp(1),
                event(n * 1_000_000),
            );
            store.commit(&[record]).unwrap();
        }
        state
    };
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    fs::rename(dir.path().join("kept"), dir.path().join("index")).unwrap();
    let (_, again) = Store::open(dir.path()).unwrap();
    assert_eq!(again, other);
}

#[rstest]
#[case(1)]
#[case(7)]
#[case(60)]
fn a_torn_end_is_set_aside(#[case] cut: usize) {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 5);
    let bytes = fs::read(segment(dir.path())).unwrap();
    fs::write(segment(dir.path()), &bytes[..bytes.len() - cut]).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("was committed"),
        "the index knows it: {error}"
    );
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (mut store, mut state) = Store::open(dir.path()).unwrap();
    assert_eq!(store.head(), Seq(4));
    let torn = fs::read_dir(dir.path().join("journal")).unwrap().count();
    assert_eq!(torn, 2, "the torn end is kept");
    let record = Record::of(&mut state, Seq(5), Timestamp(9), event(9));
    store.commit(&[record]).unwrap();
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().1, state);
}

#[test]
fn damage_in_the_middle_is_refused_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 5);
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(segment(dir.path()), &bytes).unwrap();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(fs::read(segment(dir.path())).unwrap(), bytes);
}

/// Each of these was once read as if this build had written it.
#[rstest]
#[case::beyond_all_numbers("turno-journal 99999999999\n", "format")]
#[case::no_number("turno-journal one\n", "damaged")]
#[case::another_word("turno-journals 1\n", "damaged")]
fn a_head_that_no_build_wrote_is_not_taken_for_ours(#[case] head: &str, #[case] why: &str) {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2);
    let path = segment(dir.path());
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace(&line::head(FORMAT), head);
    fs::write(&path, &text).unwrap();
    let error = Store::open(dir.path()).err().map(|e| e.to_string()).unwrap();
    assert!(error.contains(why), "{error}");
    assert!(Journal::open_alone(&dir.path().join("journal")).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing was changed");
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2);
    let text = fs::read_to_string(segment(dir.path())).unwrap();
    fs::write(
        segment(dir.path()),
        text.replacen("turno-journal 2", "turno-journal 3", 1),
    )
    .unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 3, .. }), "{error}");
}
