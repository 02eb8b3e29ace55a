//! The report of a shift, folded from the records that the flow made.

use turno_core::check::LogRef;
use turno_core::contact::{Answer, Contact};
use turno_core::decision::Question;
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, StopHow};
use turno_core::failure::{Cause, Failure};
use turno_core::holding::{Brought, Leaving};
use turno_core::ids::{DecisionId, ShiftId, TaskId};
use turno_core::ledger::{Allowance, Level};
use turno_core::outcome::LessonDraft;
use turno_core::report::{
    Bucket, End, Ending, Judged, Report, Stay, Stuck, UntriedWhat, WaitKind, With, report,
};
use turno_core::shift::ShiftEnd;
use turno_core::tampering::Tampering;
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Tokens};
use turno_core::view::StageName;

use crate::world::{World, approve, checks_green, checks_red, commit, finding, wrote};

fn first() -> TaskId {
    "1.1".parse().unwrap()
}

fn told(world: &World) -> Report {
    report(&world.journal, ShiftId(1)).unwrap()
}

/// Ends the attempt that runs for a task, of an agent that names a sum of its own.
fn ends(world: &mut World, task: TaskId, end: AgentEnd, left: LeftBehind, micros: u64) {
    let attempt = world.task(task).run().unwrap().attempt;
    let tokens = Tokens {
        input: 1000,
        output: 10,
        ..Tokens::default()
    };
    world.take(Event::AgentEnded {
        attempt,
        end,
        spend: Spend {
            cost: MicroUsd(micros),
            basis: CostBasis::Reported,
            tokens,
            ..Spend::NOTHING
        },
        left,
        transcript: LogRef {
            path: format!("attempts/{attempt}/out"),
            bytes: 7,
        },
    });
}

/// Writes with a first red check and one round of findings; lands.
fn landed() -> World {
    let mut world = World::new();
    world.start_shift(1);
    world.spend(90_000);
    let (end, left) = wrote("a");
    ends(&mut world, first(), end, left, 100_000);
    world.end_checks(checks_red("assertion failed"));
    let (end, left) = wrote("b");
    ends(&mut world, first(), end, left, 200_000);
    world.end_checks(checks_green());
    ends(
        &mut world,
        first(),
        finding("no test"),
        LeftBehind::Nothing,
        30_000,
    );
    let (end, left) = wrote("c");
    ends(&mut world, first(), end, left, 400_000);
    world.end_checks(checks_green());
    ends(&mut world, first(), approve(), LeftBehind::Nothing, 50_000);
    world.end_landing(LandingEnd::Landed { commit: commit("d") });
    world
}

#[test]
fn what_landed_is_told_with_its_proof_and_what_it_cost() {
    let world = landed();
    let report = told(&world);
    assert!(matches!(
        report.shift.end,
        End::Ended {
            how: ShiftEnd::Done,
            ..
        }
    ));
    let [landed] = &report.landed[..] else {
        panic!("{:?}", report.landed)
    };
    assert_eq!((landed.task, &landed.commit), (first(), &commit("d")));
    assert_eq!((landed.tries, landed.cost), (5, MicroUsd(780_000)));
    assert_eq!(landed.paths, ["src/lib.rs"]);
    assert_eq!(landed.checks.len(), 1);
    assert_eq!(landed.writer.as_ref().unwrap().persona.as_str(), "engineer");
    let Some(Judged::By { reviewer, notes: 0 }) = &landed.judged else {
        panic!("{:?}", landed.judged)
    };
    assert_eq!(reviewer.persona.as_str(), "reviewer");
    assert_eq!(report.issues[0].todo[1].to_string(), "turno promote 1");

    let by = |bucket| report.costs.by_outcome.iter().find(|s| s.of == bucket).unwrap();
    assert_eq!(by(Bucket::Landed).cost, MicroUsd(700_000));
    assert_eq!(by(Bucket::Review).cost, MicroUsd(80_000));
    assert_eq!(by(Bucket::Review).attempts, 2);
    assert_eq!(report.costs.tokens.input, 5000);
    assert_eq!(report.costs.total, MicroUsd(780_000));
    assert_eq!(report.costs.meter.attempts, 1);
    assert_eq!(report.costs.meter.metered, MicroUsd(90_000));
    assert_eq!(report.costs.meter.charged, MicroUsd(100_000));
    assert_eq!((report.checks[0].runs, report.checks[0].red), (3, 1));
    assert_eq!((report.landings.runs, report.landings.landed), (1, 1));
    assert_eq!(report.spending.last().unwrap().spent, MicroUsd(780_000));
}

#[test]
fn who_was_attached_is_told_with_how_long_and_what_they_left() {
    let mut world = World::new();
    world.start_shift(1);
    let stays = |world: &World| {
        let visits = told(world).visits;
        visits.into_iter().map(|v| v.stay).collect::<Vec<_>>()
    };
    assert_eq!(stays(&world), []);
    let running = world.task(first()).run().unwrap().attempt;
    world.take(Event::TaskTaken { task: first() });
    let stopped = AgentEnd::Failed(Failure::new(Cause::Stopped, "as asked"));
    world.end_attempt(running, stopped, LeftBehind::Nothing);
    assert_eq!(stays(&world), [Stay::GoesOn]);
    let visit = world.task(first()).hold.visit().unwrap().clone();
    world.now = world.now + Span(90_000);
    world.take(Event::TaskGivenBack {
        task: first(),
        attempt: visit.attempt,
        brought: Brought::Nothing,
        leaving: Leaving::Kept,
    });
    let report = told(&world);
    let [visited] = &report.visits[..] else {
        panic!("{:?}", report.visits)
    };
    assert_eq!((visited.task, visited.attempt), (first(), visit.attempt));
    assert_eq!(
        (visited.from, visited.span(world.now)),
        (visit.since, world.now.since(visit.since))
    );
    assert!(visited.span(world.now) >= Span(90_000));
    assert!(
        matches!(
            &visited.stay,
            Stay::Left {
                leaving: Leaving::Kept,
                with: With::Nothing,
                ..
            }
        ),
        "{visited:?}"
    );
    assert!(
        !report.attempts.iter().any(|a| a.id == visit.attempt),
        "it is no attempt of an agent's"
    );
}

#[test]
fn every_attempt_is_told_with_its_end() {
    let report = told(&landed());
    let kinds: Vec<(StageName, Ending)> = report.attempts.iter().map(|a| (a.kind, a.ending)).collect();
    assert_eq!(
        kinds,
        [
            (StageName::Writing, Ending::Done),
            (StageName::Checking, Ending::SentBack),
            (StageName::Writing, Ending::Done),
            (StageName::Checking, Ending::Done),
            (StageName::Reviewing, Ending::SentBack),
            (StageName::Writing, Ending::Done),
            (StageName::Checking, Ending::Done),
            (StageName::Reviewing, Ending::Done),
            (StageName::Landing, Ending::Done),
        ]
    );
    for attempt in &report.attempts {
        assert!(attempt.to.unwrap() > attempt.from, "{attempt:?}");
    }
    assert_eq!(
        report.attempts[0].transcript.as_ref().unwrap().path,
        "attempts/a1/out"
    );
}

#[test]
fn what_failed_is_told_with_its_evidence_and_what_to_type() {
    let mut world = World::new();
    world.start_shift(1);
    for digit in ["a", "b", "c", "d", "e"] {
        if world.ended().is_some() {
            break;
        }
        let (end, left) = wrote(digit);
        ends(&mut world, first(), end, left, 10_000);
        world.end_checks(checks_red("one\ntwo\nassertion failed: left == right"));
    }
    let report = told(&world);
    let [failed] = &report.failed[..] else {
        panic!("{:?}", report.failed)
    };
    assert_eq!(
        failed.stuck,
        Stuck::OutOfTries {
            cause: Cause::ChecksFailed
        }
    );
    assert_eq!(failed.evidence[0].what, "test failed");
    assert!(failed.evidence[0].extract.ends_with("left == right"));
    assert_eq!(failed.evidence[0].log.as_ref().unwrap().path, "out");
    let last = failed.last.unwrap();
    assert_eq!(
        failed.transcript.as_ref().unwrap().path,
        format!("attempts/{last}/out")
    );
    let typed: Vec<String> = failed.todo.iter().map(ToString::to_string).collect();
    assert_eq!(
        typed,
        [
            &format!("turno log {last}"),
            "turno explain 1.1",
            "turno run 1",
            "turno discard 1.1"
        ]
    );
    assert_eq!(report.costs.by_outcome[0].of, Bucket::Failed);
    assert!(report.parked.is_empty() && report.landed.is_empty());
}

#[test]
fn what_waits_for_a_person_is_told_with_its_one_question() {
    let mut world = World::new();
    world.start_shift(1);
    let question = Question {
        question: "Tabs or spaces?".to_owned(),
        options: ["tabs", "spaces"]
            .map(|l| turno_core::decision::Choice {
                label: l.to_owned(),
                detail: String::new(),
            })
            .to_vec(),
        recommended: Some("spaces".to_owned()),
    };
    ends(
        &mut world,
        first(),
        AgentEnd::Asked(question),
        LeftBehind::Nothing,
        10_000,
    );
    let report = told(&world);
    let [parked] = &report.parked[..] else {
        panic!("{:?}", report.parked)
    };
    assert_eq!(parked.question, "Tabs or spaces?");
    let typed: Vec<String> = parked.todo.iter().map(ToString::to_string).collect();
    assert_eq!(
        typed,
        [
            "turno answer d1 1",
            "turno answer d1 2",
            "turno answer d1 \"YOUR WORDS\""
        ]
    );
    assert_eq!(report.attempts[0].ending, Ending::Asked);
    assert_eq!(report.decisions[0].id, DecisionId(1));
    assert!(
        report.waits.sums.is_empty(),
        "who waits for a person is parked: {:?}",
        report.waits
    );

    // What is done afterwards is told too, until the next shift, and changes nothing of what was.
    world.take(Event::DecisionAnswered {
        decision: DecisionId(1),
        answer: "tabs".to_owned(),
    });
    let later = told(&world);
    assert_eq!(later.since.len(), 1, "{:?}", later.since);
    assert_eq!(later.parked, report.parked);
    let first_shift = later;
    world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: vec![turno_core::shift::IssueAtStart {
            issue: first().issue,
            base: commit("9"),
            target: turno_core::following::Target::Unknown,
        }],
        budget: MicroUsd(1_000_000),
        scope: turno_core::shift::Scope::Listed,
    });
    let (end, left) = wrote("a");
    ends(&mut world, first(), end, left, 70_000);
    assert_eq!(told(&world), first_shift, "another shift is no part of this one");
    let second = turno_core::report::report(&world.journal, ShiftId(2)).unwrap();
    assert_eq!(second.costs.total, MicroUsd(70_000));
    assert_eq!(second.shift.spent, MicroUsd(70_000));
    assert_eq!(turno_core::report::report(&world.journal, ShiftId(3)), None);
}

#[test]
fn what_was_not_tried_is_told_with_the_reason_and_waits_with_theirs() {
    let mut world = World::with(|config| config.slots = 1);
    world.start_shift(3);
    world.now = world.now + Span(60_000);
    world.take(Event::StopAsked { how: StopHow::Drain });
    let (end, left) = wrote("a");
    ends(&mut world, first(), end, left, 10_000);
    let report = told(&world);
    assert!(matches!(
        report.shift.end,
        End::Ended {
            how: ShiftEnd::Interrupted,
            ..
        }
    ));
    let untried: Vec<(UntriedWhat, &str)> = report.untried.iter().map(|u| (u.what, u.why.as_str())).collect();
    assert_eq!(untried.len(), 2, "{untried:?}");
    let unfinished: Vec<TaskId> = report.unfinished.iter().map(|u| u.task).collect();
    assert_eq!(unfinished, [first()]);
    let longest = &report.waits.longest[0];
    assert_eq!(longest.kind, WaitKind::Slot);
    assert!(longest.span() >= Span(60_000), "{longest:?}");
    assert!(
        report.waits.queue.iter().any(|q| q.tasks == 2),
        "{:?}",
        report.waits.queue
    );
    assert_eq!(report.costs.by_outcome[0].of, Bucket::Unfinished);
}

#[test]
fn what_was_noticed_on_the_way_is_told_and_bounded() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    for round in 0..3 {
        world.take(Event::Contacted {
            attempt,
            contacts: (0..150)
                .map(|n| Contact {
                    host: format!("h{n}.{round}.example"),
                    port: 443,
                    answer: if n == 0 {
                        Answer::Allowed
                    } else {
                        Answer::NotListed
                    },
                    times: 2,
                })
                .collect(),
            others: 1,
        });
        let one = Tampering::Index {
            checkout: "x".repeat(5000),
        };
        world.take(Event::Tampered {
            attempt,
            what: vec![one; 99],
        });
    }
    world.take(Event::LessonAdded {
        repo: turno_core::ids::RepoName::default(),
        draft: LessonDraft {
            text: "Run the linter first".to_owned(),
            paths: vec!["src/**".to_owned()],
            evidence: String::new(),
        },
    });
    let report = told(&world);
    assert!(matches!(report.shift.end, End::Runs { .. }));
    assert_eq!(report.network.allowed, 6);
    assert_eq!(report.network.refused.len(), 200);
    let told: u64 = report.network.refused.iter().map(|r| r.contact.times).sum();
    assert_eq!(
        told + report.network.others,
        3 * (149 * 2 + 1),
        "each request counts once"
    );
    assert_eq!(report.tampering.len(), 200);
    assert!(report.tampering.iter().all(|t| t.what.chars().count() <= 301));
    assert_eq!(report.lessons[0].text, "Run the linter first");
}

#[test]
fn a_budget_that_a_person_changes_is_told_from_when_on() {
    let mut world = World::new();
    world.start_shift(1);
    let began = world.budget;
    let raised = MicroUsd(began.0 + 5_000_000);
    let set = |usd| Allowance {
        usd: Some(usd),
        ..Allowance::NONE
    };
    world.take(Event::BudgetSet {
        level: Level::Shift(ShiftId(1)),
        allowance: set(raised).into(),
    });
    let at = world.journal.last().unwrap().at;
    let running = told(&world);
    let budgets: Vec<MicroUsd> = running.budgets.iter().map(|b| b.budget).collect();
    assert_eq!(budgets, [began, raised]);
    assert_eq!(running.budgets[1].at, at);
    assert_eq!(running.shift.budget, raised);
}

#[test]
fn a_budget_that_is_set_after_the_end_is_told_as_done_since() {
    let mut world = landed();
    assert!(told(&world).since.is_empty());
    let allowance = Allowance {
        usd: Some(MicroUsd(1)),
        ..Allowance::NONE
    };
    let ours = [Level::Issue(first().issue), Level::Day(world.state.desk.today)];
    for level in ours {
        world.take(Event::BudgetSet {
            level,
            allowance: allowance.into(),
        });
    }
    let level = Level::Issue("7".parse().unwrap());
    world.take(Event::BudgetSet {
        level,
        allowance: allowance.into(),
    });
    let since = told(&world).since;
    assert_eq!(since.len(), 2, "{since:?}");
    assert!(since[0].what.contains("set the budget of issue 1"), "{since:?}");
}
