//! What bounds a report. What the fold makes of a flow is in `tests/flow/report.rs`, of random worlds in `tests/sim`.

use super::{Fold, costs, cut, line, report, tail};
use crate::event::Event;
use crate::ids::{Seq, ShiftId};
use crate::record::Record;
use crate::units::{MicroUsd, Timestamp};

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut("äöü", 3), "äöü");
    assert_eq!(cut("äöü", 2), "äö…");
    assert_eq!(line("\n \n second \nthird"), " second ");
    assert_eq!(line(&"x".repeat(10_000)).chars().count(), 301);
}

#[test]
fn of_a_long_output_the_end_is_kept() {
    let output: String = (1..=100).map(|n| format!("line {n}\n")).collect();
    let kept = tail(&output);
    assert!(kept.starts_with("[70 line(s) before this]\nline 71\n"), "{kept}");
    assert!(kept.ends_with("line 100"));
    assert!(tail(&"y".repeat(100_000)).len() < 300);
}

#[test]
fn very_many_sums_are_thinned_out_and_the_last_one_stays() {
    let mut points = Vec::new();
    for n in 0..100_000_u64 {
        costs::note(&mut points, Timestamp(n.try_into().unwrap()), MicroUsd(n));
        assert_eq!(points.last().unwrap().spent, MicroUsd(n));
    }
    assert!(points.len() <= 2048, "{}", points.len());
    assert!(points.is_sorted_by_key(|p| p.at));
    assert_eq!(points[0].spent, MicroUsd(0));
}

#[test]
fn a_journal_without_the_shift_has_no_report() {
    let record = Record {
        seq: Seq(1),
        at: Timestamp(1),
        event: Event::TimePassed,
        commands: Vec::new(),
        changes: Vec::new(),
    };
    assert_eq!(report([&record], ShiftId(1)), None);
    assert_eq!(Fold::new(ShiftId(1)).finish(), None);
}
