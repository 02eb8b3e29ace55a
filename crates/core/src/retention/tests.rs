//! Given what is there and what the journal says, what goes.

use std::collections::BTreeMap;

use super::history::Told;
use super::*;

const DAY: u64 = 86_400_000;
const NOW: Timestamp = Timestamp(100 * DAY as i64);

fn days_ago(days: u64) -> Timestamp {
    Timestamp(NOW.0 - i64::try_from(days * DAY).unwrap())
}

fn history() -> History {
    let told = |task: &str, slot: u16| Told {
        task: task.parse().unwrap(),
        slot: Some((RepoName::default(), SlotId(slot))),
    };
    let home = HomeName {
        task: "1.1".parse().unwrap(),
        persona: "engineer".parse().unwrap(),
        agent: "a-b".parse().unwrap(),
    };
    History {
        attempts: BTreeMap::from([
            (AttemptId(1), told("1.1", 3)),
            (AttemptId(2), told("2.1", 1)),
            (AttemptId(3), told("3.1", 2)),
            (AttemptId(4), told("1.1", 4)),
        ]),
        homes: BTreeMap::from([(home.dir(), home)]),
        over: BTreeMap::from([(IssueId(1), days_ago(40)), (IssueId(3), days_ago(5))]),
        running: BTreeSet::from([AttemptId(2)]),
    }
}

fn planned(history: &History, only_copies: OnlyCopies, what: FoundWhat) -> Plan {
    let facts = Facts {
        now: NOW,
        ages: Ages {
            attempts: Span(30 * DAY),
            homes: Span(14 * DAY),
            salvage: Span(30 * DAY),
        },
        slots: 2,
        only_copies,
        history,
    };
    plan(&facts, &[Found { bytes: 7, what }])
}

#[track_caller]
fn goes(what: FoundWhat, only_copies: OnlyCopies) -> Why {
    let plan = planned(&history(), only_copies, what);
    assert_eq!(
        (plan.removals.len(), plan.left.len(), plan.unknown.len()),
        (1, 0, 0),
        "{plan:?}"
    );
    plan.removals[0].why
}

#[track_caller]
fn stays(what: FoundWhat, only_copies: OnlyCopies) -> LeftWhy {
    let plan = planned(&history(), only_copies, what);
    assert_eq!(
        (plan.removals.len(), plan.left.len(), plan.unknown.len()),
        (0, 1, 0),
        "{plan:?}"
    );
    plan.left[0].why
}

#[test]
fn an_attempt_goes_when_its_issue_has_been_over_for_long() {
    let attempt = |n, seen| FoundWhat::Attempt(AttemptId(n), seen);
    let (kept, given) = (OnlyCopies::Kept, OnlyCopies::GivenUp);
    let over = Why::IssueOver {
        issue: IssueId(1),
        ago: Span(40 * DAY),
    };
    assert_eq!(goes(attempt(1, Seen::Quiet), kept), over);
    assert_eq!(stays(attempt(1, Seen::Lives), given), LeftWhy::Runs);
    assert_eq!(stays(attempt(1, Seen::HoldsWork), kept), LeftWhy::OnlyCopy);
    assert_eq!(goes(attempt(1, Seen::HoldsWork), given), over);
    assert_eq!(stays(attempt(2, Seen::Quiet), given), LeftWhy::Runs);
    let young = LeftWhy::TooYoung {
        age: Span(5 * DAY),
        keep: Span(30 * DAY),
    };
    assert_eq!(stays(attempt(3, Seen::Quiet), given), young);
    let unknown = planned(&history(), given, attempt(9, Seen::Quiet)).unknown;
    assert_eq!(unknown, ["attempts/a9"]);
}

#[test]
fn what_an_open_issue_has_stays() {
    let mut history = history();
    history.over.clear();
    let attempt = FoundWhat::Attempt(AttemptId(1), Seen::Quiet);
    let home = FoundWhat::Home("1.1-engineer-a-b".to_owned());
    for what in [attempt, home] {
        let plan = planned(&history, OnlyCopies::GivenUp, what);
        assert_eq!(plan.left[0].why, LeftWhy::NotOver { issue: IssueId(1) });
    }
}

#[test]
fn a_home_goes_unless_somebody_works_in_its_task() {
    let home = || FoundWhat::Home("1.1-engineer-a-b".to_owned());
    let over = Why::IssueOver {
        issue: IssueId(1),
        ago: Span(40 * DAY),
    };
    assert_eq!(goes(home(), OnlyCopies::Kept), over);
    let mut history = history();
    history.running.insert(AttemptId(4));
    assert_eq!(
        planned(&history, OnlyCopies::Kept, home()).left[0].why,
        LeftWhy::Runs
    );
    let other = FoundWhat::Home("mine".to_owned());
    assert_eq!(
        planned(&history, OnlyCopies::GivenUp, other).unknown,
        ["homes/mine"]
    );
}

#[test]
fn salvage_goes_when_it_is_old_and_is_elsewhere_or_is_given_up() {
    let commit = |days, elsewhere| FoundWhat::Commit {
        repo: RepoName::default(),
        name: "s1".to_owned(),
        at: days_ago(days),
        elsewhere,
    };
    let aside = |days| FoundWhat::Aside {
        repo: RepoName::default(),
        name: "s1".to_owned(),
        at: days_ago(days),
    };
    let (kept, given) = (OnlyCopies::Kept, OnlyCopies::GivenUp);
    let age = Span(31 * DAY);
    assert_eq!(goes(commit(31, Elsewhere::Landed), kept), Why::Landed { age });
    assert_eq!(goes(commit(31, Elsewhere::Nowhere), given), Why::GivenUp { age });
    assert_eq!(stays(commit(31, Elsewhere::Nowhere), kept), LeftWhy::OnlyCopy);
    assert_eq!(goes(aside(31), given), Why::GivenUp { age });
    assert_eq!(stays(aside(31), kept), LeftWhy::OnlyCopy);
    for young in [commit(29, Elsewhere::Landed), aside(29)] {
        let why = stays(young, given);
        assert!(matches!(why, LeftWhy::TooYoung { .. }), "{why:?}");
    }
    // A clock that went back makes nothing old.
    let ahead = FoundWhat::Aside {
        repo: RepoName::default(),
        name: "s1".to_owned(),
        at: Timestamp(NOW.0 + 1),
    };
    assert!(matches!(stays(ahead, given), LeftWhy::TooYoung { .. }));
}

#[test]
fn only_idle_slots_beyond_their_number_go() {
    let slot = |n| FoundWhat::Slot {
        repo: RepoName::default(),
        slot: SlotId(n),
    };
    let mut history = history();
    let why = Why::TooManySlots { slots: 2 };
    assert_eq!(planned(&history, OnlyCopies::Kept, slot(3)).removals[0].why, why);
    assert_eq!(planned(&history, OnlyCopies::GivenUp, slot(2)), Plan::default());
    history.running.insert(AttemptId(1));
    assert_eq!(
        planned(&history, OnlyCopies::GivenUp, slot(3)).left[0].why,
        LeftWhy::Runs
    );
}

#[test]
fn a_socket_goes_with_its_attempt() {
    let socket = |n| FoundWhat::Socket(AttemptId(n));
    assert_eq!(goes(socket(3), OnlyCopies::Kept), Why::Ended);
    assert_eq!(stays(socket(2), OnlyCopies::Kept), LeftWhy::Runs);
    let unknown = planned(&history(), OnlyCopies::Kept, socket(9)).unknown;
    assert_eq!(unknown, ["a9.net"]);
}
