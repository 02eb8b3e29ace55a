//! The loop with a fake runner: nothing is begun before its record is on disk, every answer is taken once, a
//! request is answered after it is committed, and a record that cannot be committed is not acted upon.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use turno_core::State;
use turno_core::check::{CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::command::Command;
use turno_core::decision::Reply;
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, StopHow};
use turno_core::failure::{Cause, Failure};
use turno_core::following::Target;
use turno_core::foresight::{Found, Sight};
use turno_core::ids::{AttemptId, IssueId, Seq};
use turno_core::issue::{IssueDraft, Priority};
use turno_core::liveness::JumpWhy;
use turno_core::outcome::{Outcome, Verdict};
use turno_core::shift::{IssueAtStart, ShiftEnd};
use turno_core::task::StopWhy;
use turno_core::units::{MicroUsd, Span, Spend};
use turno_engine::clock::{Machine, Reading, Source};
use turno_engine::config::{self, EnvMap, Overrides, Places};
use turno_engine::run::{Desk, Engine, RequestError};
use turno_engine::runner::{Looking, Observed, Opening, Runner, Submission, Submitted, Told};
use turno_engine::store::{Reader, Store};

/// Answers each submission at once, as if all went well, or hangs until it is cancelled.
struct Fake {
    reader: Reader,
    manner: Manner,
    facts: Mutex<Vec<Told>>,
    told: Notify,
    submitted: Mutex<BTreeSet<AttemptId>>,
    unrecorded: Mutex<Vec<AttemptId>>,
}

#[derive(PartialEq)]
enum Manner {
    GoesWell,
    Hangs,
}

impl Fake {
    fn new(reader: Reader, manner: Manner) -> Self {
        Self {
            reader,
            manner,
            facts: Mutex::default(),
            told: Notify::new(),
            submitted: Mutex::default(),
            unrecorded: Mutex::default(),
        }
    }

    fn report(&self, event: Event) {
        let mut facts = self.facts.lock().unwrap();
        let number = facts.len() as u64 + 1;
        let at = std::time::Instant::now();
        facts.push(Told { number, event, at });
        self.told.notify_waiters();
    }

    /// Whether the journal on disk holds the command that starts this attempt.
    fn is_recorded(&self, attempt: AttemptId) -> bool {
        let records = self.reader.all().unwrap();
        records
            .iter()
            .flat_map(|r| &r.commands)
            .filter_map(Command::starts)
            .any(|a| a == attempt)
    }
}

fn log() -> LogRef {
    LogRef {
        path: "out".to_owned(),
        bytes: 0,
    }
}

/// Shared between the engine and the test.
#[derive(Clone)]
struct Hands(Arc<Fake>);

impl std::ops::Deref for Hands {
    type Target = Fake;
    fn deref(&self) -> &Fake {
        &self.0
    }
}

impl Runner for Hands {
    fn submit(&self, work: Submission) -> Submitted {
        let attempt = work.attempt();
        if !self.submitted.lock().unwrap().insert(attempt) {
            return Submitted::Known;
        }
        if !self.is_recorded(attempt) {
            self.unrecorded.lock().unwrap().push(attempt);
        }
        if self.manner == Manner::Hangs {
            return Submitted::Accepted;
        }
        let event = match work {
            Submission::Adopted(attempt, _) => panic!("{attempt} was never started"),
            Submission::Agent(start) => {
                let (outcome, left) = match start.brief.ask {
                    turno_core::brief::Ask::Write { .. } => (
                        Outcome::change(""),
                        LeftBehind::Commit {
                            commit: "a".repeat(40).parse().unwrap(),
                            tree: "b".repeat(40).parse().unwrap(),
                            paths: BTreeSet::new(),
                            guards: Vec::new(),
                            essence: turno_core::progress::Essence::Unknown,
                        },
                    ),
                    turno_core::brief::Ask::Review { .. } => (
                        Outcome::verdict(Verdict::Approve { notes: vec![] }),
                        LeftBehind::Nothing,
                    ),
                    other => panic!("nobody asks for {other:?} here"),
                };
                let end = AgentEnd::Finished(outcome);
                Event::AgentEnded {
                    attempt,
                    end,
                    spend: Spend::NOTHING,
                    left,
                    transcript: log(),
                }
            }
            Submission::Following(start) => panic!("issue {} follows nothing", start.issue),
            Submission::Checks(start) => {
                let results = start
                    .checks
                    .iter()
                    .map(|c| CheckResult {
                        command: c.command.clone(),
                        within: c.within.clone(),
                        check: c.name.clone(),
                        verdict: CheckVerdict::Pass,
                        took: Span(1),
                        log: log(),
                        source: turno_core::check::Source::Run,
                    })
                    .collect();
                let report = CheckReport {
                    commit: start.commit,
                    tree: "b".repeat(40).parse().unwrap(),
                    results,
                };
                Event::ChecksEnded {
                    attempt,
                    report,
                    without: None,
                    on_base: None,
                }
            }
            Submission::Landing(_) => {
                let end = LandingEnd::Landed {
                    commit: "c".repeat(40).parse().unwrap(),
                };
                Event::LandingEnded { attempt, end }
            }
        };
        self.report(event);
        Submitted::Accepted
    }

    fn open(&self, opening: Opening) {
        self.report(Event::IssueOpened {
            issue: opening.issue,
            base: "9".repeat(40).parse().unwrap(),
            target: Target::Branch("main".to_owned()),
        });
    }

    fn look(&self, _: &State) -> Vec<Event> {
        Vec::new()
    }

    fn foresee(&self, looking: Looking) {
        let merges = |rival| Sight {
            rival,
            found: Found::Merges,
        };
        self.report(Event::Foreseen {
            of: looking.of,
            commit: looking.commit,
            sights: looking.with.into_iter().map(merges).collect(),
        });
    }

    async fn events(&self, after: u64) -> Vec<Told> {
        loop {
            let told = self.told.notified();
            let found: Vec<Told> = self
                .facts
                .lock()
                .unwrap()
                .iter()
                .filter(|t| t.number > after)
                .cloned()
                .collect();
            if !found.is_empty() {
                return found;
            }
            told.await;
        }
    }

    fn cancel(&self, attempt: AttemptId, _why: StopWhy) {
        self.report(Event::AttemptFailed {
            attempt,
            failure: Failure::new(Cause::Stopped, ""),
        });
    }

    fn nudge(&self, _attempt: AttemptId) {}

    fn tell(&self, _attempt: AttemptId, _remark: turno_core::ids::RemarkId, _words: String) {}

    fn reply(&self, _attempt: AttemptId, _key: &str, _reply: &Reply) {}

    fn observe(&self, _attempt: AttemptId) -> Observed {
        Observed::Unknown
    }

    fn fence(&self, _current: &BTreeSet<AttemptId>) {}

    async fn shutdown(&self) {}
}

fn desk(dir: &Path) -> Desk {
    let repo = dir.join("repo");
    std::fs::create_dir_all(&repo).unwrap();
    std::fs::write(
        repo.join("turno.toml"),
        "policy = \"single\"\n[checks.test]\ncommand = \"true\"\n",
    )
    .unwrap();
    let places = Places { repo, user: None };
    let config = config::load(&places, &EnvMap::new(), &Overrides::default()).unwrap();
    let (store, state) = Store::open(&dir.join("store")).unwrap();
    let mut desk = Desk::new(store, state);
    desk.take(Event::ConfigLoaded {
        config: Box::new(config.core),
    })
    .unwrap();
    let draft = IssueDraft {
        title: "work".to_owned(),
        body: String::new(),
        acceptance: vec![],
        priority: Priority::Normal,
        labels: vec![],
        ..IssueDraft::default()
    };
    desk.take(Event::IssueAdded { draft }).unwrap();
    desk
}

fn shift() -> Event {
    Event::ShiftStarted {
        mode: "single".parse().unwrap(),
        issues: vec![IssueAtStart {
            issue: IssueId(1),
            base: "9".repeat(40).parse().unwrap(),
            target: Target::Branch("main".to_owned()),
        }],
        budget: MicroUsd(5_000_000),
        scope: turno_core::shift::Scope::Listed,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_begun_before_its_record_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let desk = desk(dir.path());
    let fake = Hands(Arc::new(Fake::new(desk.reader(), Manner::GoesWell)));
    let (engine, handle) = Engine::new(desk, fake.clone());
    assert_eq!(engine.run(shift()).await.unwrap(), ShiftEnd::Done);
    assert_eq!(*fake.unrecorded.lock().unwrap(), []);
    assert_eq!(
        fake.submitted.lock().unwrap().len(),
        4,
        "write, check, review, land"
    );
    let records = handle.reader().all().unwrap();
    let numbers: Vec<u64> = records.iter().map(|r| r.seq.0).collect();
    assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
    assert_eq!(*handle.head().borrow(), Seq(records.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_after_its_commit_and_refusals_leave_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let desk = desk(dir.path());
    let fake = Hands(Arc::new(Fake::new(desk.reader(), Manner::Hangs)));
    let (engine, handle) = Engine::new(desk, fake.clone());
    let running = tokio::spawn(engine.run(shift()));
    let mut head = handle.head();
    head.wait_for(|seq| seq.0 >= 3).await.unwrap();
    let before = handle.reader().all().unwrap().len();
    let refused = handle
        .request(Event::IssueClosed {
            issue: IssueId(9),
            why: String::new(),
        })
        .await;
    assert!(matches!(refused, Err(RequestError::Refused(_))), "{refused:?}");
    assert_eq!(handle.reader().all().unwrap().len(), before);
    let seq = handle
        .request(Event::StopAsked { how: StopHow::Now })
        .await
        .unwrap();
    let record = handle.reader().after(Seq(seq.0 - 1), 1).unwrap().remove(0);
    assert!(matches!(record.event, Event::StopAsked { .. }));
    assert_eq!(running.await.unwrap().unwrap(), ShiftEnd::Interrupted);
    assert!(matches!(
        handle.request(Event::StopAsked { how: StopHow::Now }).await,
        Err(RequestError::Gone)
    ));
}

/// The machine's clocks, as if it had slept for so many milliseconds.
#[derive(Debug, Clone, Default)]
struct Sleepy(Arc<AtomicI64>);

impl Source for Sleepy {
    fn read(&self) -> Reading {
        let slept = self.0.load(Ordering::SeqCst);
        let real = Machine.read();
        Reading {
            wall: real.wall.moved(slept),
            booted: real
                .booted
                .map(|b| b + Duration::from_millis(slept.unsigned_abs())),
            ..real
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_stops_nobody_for_it() {
    const NIGHT: i64 = 10 * 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let desk = desk(dir.path());
    let fake = Hands(Arc::new(Fake::new(desk.reader(), Manner::Hangs)));
    let clock = Sleepy::default();
    let (engine, handle) = Engine::by_clock(desk, fake.clone(), Box::new(clock.clone()));
    let running = tokio::spawn(engine.run(shift()));
    let mut head = handle.head();
    let works = |handle: &turno_engine::run::Handle| {
        let state = handle.snapshot();
        state.running().next().and_then(|t| t.run().cloned())
    };
    while works(&handle).is_none() {
        head.changed().await.unwrap();
    }
    let before = works(&handle).unwrap();
    clock.0.store(NIGHT, Ordering::SeqCst);
    // Whatever is said next wakes the coordinator.
    let draft = IssueDraft {
        title: "more".to_owned(),
        ..IssueDraft::default()
    };
    let seq = handle.request(Event::IssueAdded { draft }).await.unwrap();
    let after = works(&handle).unwrap();
    let records = handle.reader().after(Seq(0), 1000).unwrap();
    let jumped = records
        .iter()
        .position(|r| matches!(r.event, Event::ClockJumped { .. }));
    let records = &records[jumped.expect("it is told")..];
    assert!(seq > records[0].seq, "before what was said");
    let Event::ClockJumped { by, why } = records[0].event else {
        panic!("{:?}", records[0].event);
    };
    assert_eq!(why, JumpWhy::Slept);
    assert!((by - NIGHT).abs() < 60_000, "{by}");
    assert!(records.iter().all(|r| r.commands.is_empty()), "{records:?}");
    assert!(
        records[0].at.since(before.deadline).0 > 0,
        "it would have been over by then"
    );
    assert_eq!(after.deadline, before.deadline.moved(by));
    handle
        .request(Event::StopAsked { how: StopHow::Now })
        .await
        .unwrap();
    assert_eq!(running.await.unwrap().unwrap(), ShiftEnd::Interrupted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_shift_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = desk(dir.path());
    desk.take(shift()).unwrap();
    let before = desk.reader().all().unwrap().len();
    let fake = Hands(Arc::new(Fake::new(desk.reader(), Manner::GoesWell)));
    let (engine, handle) = Engine::new(desk, fake.clone());
    assert!(engine.run(shift()).await.is_err());
    assert_eq!(handle.reader().all().unwrap().len(), before);
    assert!(fake.submitted.lock().unwrap().is_empty());
}

/// The journal of a shift that an earlier build ran still loads, and its records still lead to the same state.
#[test]
fn old_journals_still_load() {
    let journals = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/journals");
    let mut seen = BTreeMap::new();
    for entry in std::fs::read_dir(&journals).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("journal");
        std::fs::create_dir(&copy).unwrap();
        for segment in std::fs::read_dir(&path).unwrap() {
            let segment: PathBuf = segment.unwrap().path();
            std::fs::copy(&segment, copy.join(segment.file_name().unwrap())).unwrap();
        }
        let (store, state) = Store::open(dir.path()).unwrap();
        let records = store.reader().all().unwrap();
        let mut folded = State::default();
        for record in &records {
            turno_core::step(&mut folded, record.at, &record.event);
        }
        let landed = |s: &State| {
            s.tasks
                .values()
                .filter(|t| matches!(t.stage, turno_core::task::Stage::Landed { .. }))
                .count()
        };
        seen.insert(
            path.file_name().unwrap().to_owned(),
            (records.len(), landed(&state), landed(&folded)),
        );
    }
    assert!(!seen.is_empty(), "no journals in {}", journals.display());
    for (name, (records, landed, folded)) in seen {
        assert!(
            records > 10 && landed > 0,
            "{}: {records} records, {landed} landed",
            name.display()
        );
        assert_eq!(landed, folded, "{}", name.display());
    }
}
