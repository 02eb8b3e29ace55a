//! A person takes a task for themselves: what runs for it is stopped, nothing is started for it, and what they bring is
//! a candidate like any other.

use std::collections::BTreeSet;

use turno_core::admit::{Refused, admit};
use turno_core::command::{Command, Session};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind};
use turno_core::failure::{Cause, Failure};
use turno_core::holding::{Brought, FIRST_SLOT, Hold, Leaving, Visit};
use turno_core::ids::TaskId;
use turno_core::progress::Essence;
use turno_core::remark::{RemarkStage, Subject, finding};
use turno_core::shift::ShiftEnd;
use turno_core::step::{Waiting, visit_start, waiting};
use turno_core::task::{Actor, Because, Change, ChangeKind, Stage, StopWhy, Work};
use turno_core::units::{MicroUsd, Span};
use turno_core::view::StageName;

use crate::world::{World, approve, checks_green, commit, left, tree, wrote};

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

fn taken(world: &mut World) -> Vec<Command> {
    world.take(Event::TaskTaken { task: task() })
}

fn visit(world: &World) -> Visit {
    world.task(task()).hold.visit().unwrap().clone()
}

fn back(world: &mut World, brought: Brought, leaving: Leaving) -> Vec<Command> {
    let attempt = visit(world).attempt;
    world.take(Event::TaskGivenBack {
        task: task(),
        attempt,
        brought,
        leaving,
    })
}

fn change(digit: &str) -> Brought {
    Brought::Change(Box::new(Change {
        commit: commit(digit),
        tree: tree(digit),
        essence: Essence::Unknown,
        base: commit("9"),
        writer: Actor {
            persona: "engineer".parse().unwrap(),
            agent: "claude".parse().unwrap(),
            attempt: "a99".parse().unwrap(),
        },
        summary: "by hand".to_owned(),
        evidence: vec![],
        open_questions: vec![],
        paths: BTreeSet::from(["src/lib.rs".to_owned()]),
        kind: ChangeKind::Written,
        guards: vec![],
    }))
}

/// Ends what runs for the task: the visit has the latest number.
fn end_running(world: &mut World, end: AgentEnd, left: LeftBehind) -> Vec<Command> {
    let attempt = world.task(task()).run().unwrap().attempt;
    world.end_attempt(attempt, end, left)
}

/// A shift whose writer was stopped for a person, who is attached now.
fn attached() -> World {
    let mut world = World::new();
    world.start_shift(1);
    world.open_session("conversation");
    taken(&mut world);
    let stopped = AgentEnd::Failed(Failure::new(Cause::Stopped, "as asked"));
    end_running(&mut world, stopped, left("a"));
    world
}

#[test]
fn what_runs_is_stopped_and_the_person_goes_on_from_its_work() {
    let mut world = World::new();
    world.start_shift(1);
    world.open_session("conversation");
    let commands = taken(&mut world);
    assert!(
        matches!(
            commands[..],
            [Command::StopAttempt {
                why: StopWhy::Taken,
                ..
            }]
        ),
        "{commands:?}"
    );
    assert!(visit_start(&world.state, task()).is_none(), "it still runs");
    let stopped = AgentEnd::Failed(Failure::new(Cause::Stopped, "as asked"));
    let commands = end_running(&mut world, stopped, left("a"));
    assert!(commands.is_empty(), "{commands:?}");
    assert!(world.task(task()).tries.is_empty(), "nobody is to blame");
    let start = visit_start(&world.state, task()).unwrap();
    assert_eq!(start.from, commit("a"));
    assert_eq!(start.session, Session::Resume("conversation".parse().unwrap()));
    assert_eq!(start.slot.0, FIRST_SLOT);
    assert_eq!(start.limits.cap, MicroUsd::ZERO);
    assert_eq!(
        waiting(&world.state, &world.task(task())),
        Some(Waiting::Held(world.task(task()).hold.clone()))
    );
}

/// They had their own words before their eyes.
#[test]
fn what_a_person_mends_by_hand_does_not_go_back_to_a_writer_with_their_own_words() {
    let mut world = attached();
    world.take(Event::Commented {
        on: Subject::Task(task()),
        finding: finding("src/lib.rs", 7, "say it in French"),
        commit: None,
    });
    let commands = back(&mut world, change("b"), Leaving::GoesOn);
    let checks = |c: &Command| matches!(c, Command::RunChecks(start) if start.commit == commit("b"));
    assert!(commands.iter().any(checks), "{commands:?}");
    let remark = world.task(task()).remarks[0].clone();
    assert!(matches!(remark.stage, RemarkStage::Heeded { .. }), "{remark:?}");
}

#[test]
fn an_attempt_that_ends_well_all_the_same_is_not_checked_before_the_person_is_done() {
    let mut world = World::new();
    world.start_shift(1);
    taken(&mut world);
    let (end, left) = wrote("a");
    let commands = end_running(&mut world, end, left);
    assert!(commands.is_empty(), "{commands:?}");
    assert_eq!(visit_start(&world.state, task()).unwrap().from, commit("a"));
    let commands = back(&mut world, Brought::Nothing, Leaving::GoesOn);
    let [Command::RunChecks(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.commit, commit("a"), "it goes on from where it was");
}

#[test]
fn what_a_person_brings_is_checked_reviewed_and_landed_and_costs_the_ledger_nothing() {
    let mut world = attached();
    let spent = world.task(task()).spent;
    let commands = back(&mut world, change("b"), Leaving::GoesOn);
    let [Command::RunChecks(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.commit, commit("b"));
    assert!(start.slot.0 < FIRST_SLOT, "the person's slot is not the checks'");
    world.end_checks(checks_green());
    assert_eq!(world.stage(task()), StageName::Reviewing);
    assert_eq!(world.task(task()).spent, spent);
    world.end_reviewer(approve());
    world.end_landing(LandingEnd::Landed { commit: commit("c") });
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn a_shift_waits_for_a_person_as_long_as_for_an_answer() {
    let mut world = attached();
    world.take(Event::TimePassed);
    assert_eq!(world.ended(), None, "it waits");
    let patience = world.state.config.as_ref().unwrap().policy.decisions.deadline;
    assert_eq!(
        turno_core::next_deadline(&world.state),
        visit(&world).waited_for.until()
    );
    world.now = world.now + patience + Span(1);
    world.take(Event::TimePassed);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    assert_eq!(
        turno_core::next_deadline(&world.state),
        None,
        "nobody is woken for it any more"
    );
    // What comes later is not lost.
    back(&mut world, change("b"), Leaving::GoesOn);
    assert!(matches!(
        world.task(task()).stage,
        Stage::Ready {
            work: Work::Check(_),
            ..
        }
    ));
}

#[test]
fn kept_aside_nothing_is_started_until_it_is_given_back() {
    let mut world = attached();
    let commands = back(&mut world, change("b"), Leaving::Kept);
    assert!(!commands.iter().any(|c| c.starts().is_some()), "{commands:?}");
    assert!(matches!(world.task(task()).hold, Hold::Kept { .. }));
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    let released = Event::TaskReleased { task: task() };
    assert_eq!(admit(&world.state, &released), Ok(()));
    world.take(released.clone());
    assert_eq!(admit(&world.state, &released), Err(Refused::NotKept(task())));
    assert!(matches!(
        world.task(task()).stage,
        Stage::Ready {
            work: Work::Check(_),
            ..
        }
    ));
}

#[test]
fn the_work_of_a_person_who_is_found_gone_is_where_the_next_one_begins() {
    let mut world = attached();
    let commands = back(&mut world, change("b"), Leaving::Lost);
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.from, commit("b"));
    let Stage::Writing { job, .. } = &world.task(task()).stage else {
        panic!("{:?}", world.task(task()).stage)
    };
    assert!(matches!(job.because, Because::Interrupted { .. }));
}

#[test]
fn a_visit_that_is_over_gives_nothing_back() {
    let mut world = attached();
    let attempt = visit(&world).attempt;
    back(&mut world, Brought::Nothing, Leaving::GoesOn);
    let late = Event::TaskGivenBack {
        task: task(),
        attempt,
        brought: change("b"),
        leaving: Leaving::GoesOn,
    };
    assert_eq!(admit(&world.state, &late), Err(Refused::NotAttached(task())));
    let before = world.state.clone();
    world.take(late);
    assert_eq!(before.tasks, world.state.tasks);
}

#[test]
fn nobody_attaches_twice_nor_to_what_has_landed_or_is_not_there() {
    let mut world = attached();
    let take = Event::TaskTaken { task: task() };
    assert_eq!(admit(&world.state, &take), Err(Refused::AlreadyAttached(task())));
    back(&mut world, change("b"), Leaving::GoesOn);
    world.end_checks(checks_green());
    world.end_reviewer(approve());
    assert!(
        matches!(admit(&world.state, &take), Err(Refused::NotAttachable(..))),
        "it lands"
    );
    world.end_landing(LandingEnd::Landed { commit: commit("c") });
    assert!(matches!(
        admit(&world.state, &take),
        Err(Refused::NotAttachable(..))
    ));
    let none: TaskId = "7.7".parse().unwrap();
    let take = Event::TaskTaken { task: none };
    assert_eq!(admit(&world.state, &take), Err(Refused::NoSuchTask(none)));
}
