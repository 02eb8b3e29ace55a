//! How a shift or a task is stopped: by a person, by the budget, and by what outranks what.

use crate::world::{World, wrote};
use rstest::rstest;
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Discard, Event, LeftBehind, StopHow};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::TaskId;
use turno_core::shift::ShiftEnd;
use turno_core::task::{StopWhy, Work};
use turno_core::units::{MicroUsd, Span};
use turno_core::view::StageName;

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

#[test]
fn at_the_budget_everything_is_stopped_and_the_shift_ends_as_budget() {
    let mut world = World::new();
    world.budget = MicroUsd(100_000);
    world.start_shift(1);
    let commands = world.spend(100_000);
    assert!(
        matches!(
            commands[..],
            [
                Command::StopAttempt {
                    why: StopWhy::ShiftBudget,
                    ..
                },
                Command::WarnOfBudget { .. }
            ]
        ),
        "{commands:?}"
    );
    let commands = world.end_agent(
        AgentEnd::Failed(Failure::new(Cause::Stopped, "")),
        crate::world::left("a"),
    );
    assert!(
        matches!(
            commands[..],
            [Command::EndShift {
                end: ShiftEnd::Budget,
                ..
            }]
        ),
        "{commands:?}"
    );
    let Some(Work::Write(job)) = world.task(task()).work() else {
        panic!("no work")
    };
    assert!(
        format!("{job:?}").contains(crate::world::commit("a").as_str()),
        "its work is gone on from"
    );
}

#[rstest]
#[case(StopHow::Drain, 0)]
#[case(StopHow::Now, 1)]
fn a_stop_starts_nothing_more(#[case] how: StopHow, #[case] stops: usize) {
    let mut world = World::new();
    world.start_shift(1);
    let commands = world.take(Event::StopAsked { how });
    assert_eq!(
        commands
            .iter()
            .filter(|c| matches!(c, Command::StopAttempt { .. }))
            .count(),
        stops
    );
    let commands = world.end_writer(wrote("a"));
    assert!(
        matches!(
            commands[..],
            [Command::EndShift {
                end: ShiftEnd::Interrupted,
                ..
            }]
        ),
        "{commands:?}"
    );
    assert!(
        matches!(world.task(task()).work(), Some(Work::Check(_))),
        "finished work is kept as finished"
    );
}

#[test]
fn a_discarded_task_is_stopped_first_and_dropped_at_its_end() {
    let mut world = World::new();
    world.start_shift(1);
    world.take(Event::Discarded {
        what: Discard::Task(task()),
    });
    assert_eq!(world.stage(task()), StageName::Writing);
    world.end_writer(wrote("a"));
    assert_eq!(world.stage(task()), StageName::Dropped);
}

#[rstest]
#[case(Discard::Issue(turno_core::ids::IssueId(1)))]
#[case(Discard::Task(task()))]
fn a_discard_outranks_a_stop_that_is_under_way(#[case] what: Discard) {
    let mut world = World::new();
    world.start_shift(2);
    world.now = world.now + Span(3_600_000);
    world.take(Event::TimePassed);
    world.take(Event::Discarded { what });
    let first = world.task(task()).run().unwrap().attempt;
    world.end_attempt(
        first,
        AgentEnd::Failed(Failure::new(Cause::Stopped, "")),
        LeftBehind::Nothing,
    );
    assert_eq!(world.stage(task()), StageName::Dropped);
}

#[test]
fn money_makes_a_polite_stop_a_quick_one() {
    let mut world = World::new();
    world.budget = MicroUsd(100_000);
    world.start_shift(1);
    world.take(Event::StopAsked { how: StopHow::Now });
    let commands = world.spend(100_000);
    assert!(
        matches!(
            commands[..],
            [
                Command::StopAttempt {
                    why: StopWhy::ShiftBudget,
                    ..
                },
                Command::WarnOfBudget { .. }
            ]
        ),
        "{commands:?}"
    );
}
