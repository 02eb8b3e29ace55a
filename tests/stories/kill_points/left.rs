//! Owns what must hold of a journal and a project, wherever a coordinator was killed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::project::Project;

/// Every attempt that was ordered was begun once and has ended once, what it cost is booked, and no slot is taken.
#[track_caller]
pub(super) fn is_sound(project: &Project, journal: &[Value]) {
    let (mut begun, mut over, mut spent) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (record, number) in journal.iter().zip(1..) {
        assert_eq!(record["seq"], number);
        for command in record["commands"].as_array().unwrap() {
            for kind in ["start-agent", "run-checks", "land", "follow"] {
                if let Some(attempt) = command.get(kind).and_then(|c| c["attempt"].as_u64()) {
                    assert!(begun.insert(attempt), "a{attempt} was ordered twice");
                }
            }
        }
        let event = &record["event"];
        for kind in [
            "agent-ended",
            "checks-ended",
            "landing-ended",
            "follow-ended",
            "attempt-failed",
        ] {
            if let Some(attempt) = event.get(kind).and_then(|e| e["attempt"].as_u64()) {
                assert!(over.insert(attempt), "a{attempt} ended twice");
                spent += event[kind]["spend"]["cost"].as_u64().unwrap_or(0);
            }
        }
        for lost in event["restarted"]["lost"].as_array().into_iter().flatten() {
            assert!(over.insert(lost["attempt"].as_u64().unwrap()));
            spent += lost["spend"]["cost"].as_u64().unwrap_or(0);
        }
    }
    assert_eq!(begun, over, "every attempt that was begun has ended, once");
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["running"].as_array().unwrap().len(), 0, "{status:#}");
    let booked = status["issues"].as_array().unwrap().iter();
    let booked: u64 = booked.map(|i| i["cost"].as_u64().unwrap()).sum();
    assert_eq!(booked, spent, "the ledger is the sum of the journal");
    project.ledger_adds_up();
}
