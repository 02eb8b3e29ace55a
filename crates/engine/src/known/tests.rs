//! What is answered again, and what is not.

use turno_core::check::LogRef;
use turno_core::units::Span;

use super::*;

fn check() -> Check {
    Check {
        within: turno_core::container::Within::Sandbox,
        name: "test".parse().unwrap(),
        command: "sh run.sh".to_owned(),
        timeout: Span(1000),
        network: turno_core::check::Reach::None,
    }
}

fn result(verdict: CheckVerdict) -> CheckResult {
    CheckResult {
        within: turno_core::container::Within::Sandbox,
        check: "test".parse().unwrap(),
        command: "sh run.sh".to_owned(),
        verdict,
        took: Span(5),
        log: LogRef {
            path: "log".to_owned(),
            bytes: 0,
        },
        source: Source::Run,
    }
}

fn failed() -> CheckVerdict {
    CheckVerdict::Fail {
        extract: "no".to_owned(),
    }
}

struct Shelf {
    dir: tempfile::TempDir,
    known: Known,
    key: Key,
}

fn shelf() -> Shelf {
    let dir = tempfile::tempdir().unwrap();
    let known = Known::open(dir.path().join("checks"), Use::Yes { verify_percent: 5 });
    let key = Key("k".repeat(8));
    Shelf { dir, known, key }
}

impl Shelf {
    fn learn(&self, verdict: CheckVerdict) -> Source {
        let before = Before::Nothing;
        self.known
            .learn(&self.key, AttemptId(7), 1, &result(verdict), &before)
    }

    fn look(&self, draw: u8) -> Before {
        self.known
            .look_up(&self.key, &check(), Want::Any { reruns: 1 }, draw)
    }

    fn entry(&self) -> PathBuf {
        self.known.path(&self.key)
    }

    fn grow_old(&self, by: Duration) {
        let file = fs::File::options().write(true).open(self.entry()).unwrap();
        file.set_modified(SystemTime::now() - by).unwrap();
    }
}

#[test]
fn what_a_run_has_shown_is_answered_again_with_whose_run_it_was() {
    for verdict in [CheckVerdict::Pass, failed()] {
        let shelf = shelf();
        assert_eq!(shelf.look(50), Before::Nothing);
        assert_eq!(shelf.learn(verdict.clone()), Source::Run);
        let mut same = result(verdict);
        same.source = Source::Known { by: AttemptId(7) };
        assert_eq!(shelf.look(50), Before::This(same));
    }
}

#[test]
fn neither_flaky_nor_unknown_results_are_kept() {
    let shelf = shelf();
    shelf.learn(CheckVerdict::Flaky);
    shelf.learn(CheckVerdict::CouldNotRun {
        why: "gone".to_owned(),
    });
    assert_eq!(shelf.look(50), Before::Nothing);
}

#[test]
fn red_that_was_not_tried_again_as_often_is_tried() {
    let shelf = shelf();
    shelf.learn(failed());
    let wanted = shelf
        .known
        .look_up(&shelf.key, &check(), Want::Any { reruns: 2 }, 50);
    assert_eq!(wanted, Before::Nothing);
    let passes = shelf.known.look_up(&shelf.key, &check(), Want::Passes, 50);
    assert_eq!(passes, Before::Nothing);
}

#[test]
fn a_result_holds_for_a_while_and_red_for_a_short_one() {
    let shelf = shelf();
    shelf.learn(CheckVerdict::Pass);
    shelf.grow_old(Duration::from_secs(3600));
    assert!(matches!(shelf.look(50), Before::This(_)));
    shelf.grow_old(PASS_HOLDS + Duration::from_secs(60));
    assert_eq!(shelf.look(50), Before::Nothing);
    shelf.learn(failed());
    shelf.grow_old(Duration::from_secs(3600));
    assert_eq!(shelf.look(50), Before::Nothing);
}

#[test]
fn a_difference_is_told_and_distrusted_for_good() {
    let shelf = shelf();
    shelf.learn(CheckVerdict::Pass);
    let before = shelf.look(4);
    assert!(matches!(before, Before::Verify(_)));
    let now = result(failed());
    let source = shelf.known.learn(&shelf.key, AttemptId(9), 1, &now, &before);
    assert_eq!(source, Source::Differs { by: AttemptId(7) });
    assert_eq!(shelf.look(50), Before::Nothing);
    shelf.learn(CheckVerdict::Pass);
    assert_eq!(shelf.look(50), Before::Nothing, "it is not trusted again");
}

#[test]
fn the_same_again_is_no_difference() {
    let shelf = shelf();
    shelf.learn(CheckVerdict::Pass);
    let before = shelf.look(0);
    let now = result(CheckVerdict::Pass);
    let source = shelf.known.learn(&shelf.key, AttemptId(9), 1, &now, &before);
    assert_eq!(source, Source::Run);
    assert!(matches!(shelf.look(50), Before::This(_)));
}

#[test]
fn a_damaged_entry_and_one_of_another_name_are_none() {
    let shelf = shelf();
    shelf.learn(CheckVerdict::Pass);
    let whole = fs::read(shelf.entry()).unwrap();
    fs::write(shelf.entry(), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(shelf.look(50), Before::Nothing);
    let other = shelf.known.path(&Key("other".to_owned()));
    fs::write(&other, &whole).unwrap();
    let looked = shelf
        .known
        .look_up(&Key("other".to_owned()), &check(), Want::Passes, 50);
    assert_eq!(looked, Before::Nothing);
}

#[test]
fn nothing_is_used_or_kept_where_it_is_switched_off() {
    let shelf = shelf();
    shelf.learn(CheckVerdict::Pass);
    let off = Known::open(shelf.dir.path().join("checks"), Use::No);
    assert_eq!(
        off.look_up(&shelf.key, &check(), Want::Passes, 50),
        Before::Nothing
    );
    let dir = shelf.dir.path().join("none");
    let off = Known::open(dir.clone(), Use::No);
    off.learn(
        &shelf.key,
        AttemptId(7),
        1,
        &result(CheckVerdict::Pass),
        &Before::Nothing,
    );
    assert!(!dir.exists());
}

#[test]
fn too_many_entries_make_room() {
    let shelf = shelf();
    let dir = shelf.dir.path().join("checks");
    fs::create_dir_all(&dir).unwrap();
    for n in 0..MOST {
        fs::write(dir.join(format!("{n}.json")), "{}").unwrap();
    }
    fs::write(dir.join("notes.txt"), "a person's").unwrap();
    shelf.learn(CheckVerdict::Pass);
    let left = fs::read_dir(&dir).unwrap().count();
    assert!(left <= MOST, "{left}");
    assert!(dir.join("notes.txt").exists());
    assert!(matches!(shelf.look(50), Before::This(_)));
}

#[test]
fn a_key_differs_with_all_that_a_result_depends_on_and_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tool");
    fs::write(&program, "1").unwrap();
    let env = |extra: &[(&str, &str)]| {
        let mut env = BTreeMap::from([("PATH".to_owned(), dir.path().display().to_string())]);
        env.extend(extra.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        env
    };
    let tree: TreeId = "1".repeat(40).parse().unwrap();
    let other: TreeId = "2".repeat(40).parse().unwrap();
    let key = |tree: &TreeId, command: &str, extra: &[(&str, &str)], around: &str| {
        let check = Check {
            command: command.to_owned(),
            ..check()
        };
        let env = env(extra);
        let all = Circumstances {
            tree,
            check: &check,
            env: &env,
            around,
        };
        all.key()
    };
    let one = key(&tree, "tool a", &[], "");
    assert_eq!(
        one,
        key(&tree, "tool a", &[("TURNO_SLOT", "2"), ("TURNO_TASK", "1.2")], "")
    );
    assert_ne!(one, key(&other, "tool a", &[], ""));
    assert_ne!(one, key(&tree, "tool b", &[], ""));
    assert_ne!(one, key(&tree, "tool a", &[("LANG", "C")], ""));
    assert_ne!(one, key(&tree, "tool a", &[], "confined"));
    fs::write(&program, "another version").unwrap();
    assert_ne!(one, key(&tree, "tool a", &[], ""));
}
