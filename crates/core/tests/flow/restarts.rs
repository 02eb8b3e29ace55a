//! What a coordinator that begins again makes of attempts that ran, and what becomes of answers to none of them.

use std::collections::BTreeSet;

use crate::world::{World, checks_green, wrote};
use turno_core::command::Command;
use turno_core::event::{Event, StopHow};
use turno_core::ids::TaskId;
use turno_core::task::StopWhy;
use turno_core::units::MicroUsd;

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

#[test]
fn a_stale_answer_changes_nothing() {
    let mut world = World::new();
    world.start_shift(1);
    let first = world.last_attempt();
    world.end_writer(wrote("a"));
    let before = world.state.clone();
    let (end, left) = wrote("b");
    let commands = world.end_attempt(first, end, left);
    assert!(commands.is_empty());
    assert_eq!(before, world.state);
}

#[test]
fn only_turno_itself_states_what_an_attempt_came_to() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    let forged = Event::ChecksEnded {
        attempt,
        report: checks_green(),
        without: None,
        on_base: None,
    };
    let refused = turno_core::admit::admit(&world.state, &forged);
    assert_eq!(refused, Err(turno_core::admit::Refused::NotAsked));
}

#[test]
fn after_a_restart_what_ran_is_tried_again_from_what_it_left() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    let lost = turno_core::event::LostAttempt {
        attempt,
        spend: crate::world::spend(4_000),
        left: crate::world::left("d"),
        worked: None,
    };
    let commands = world.take(Event::Restarted {
        lost: vec![lost],
        adopted: BTreeSet::new(),
    });
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert!(start.attempt > attempt, "an attempt id is never used again");
    assert_eq!(start.from, crate::world::commit("d"));
    assert_eq!(world.task(task()).spent, MicroUsd(4_000));
}

#[test]
fn after_a_restart_an_agent_that_worked_on_is_heard_again_and_told_again_to_stop() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    world.take(Event::StopAsked { how: StopHow::Now });
    let adopted = BTreeSet::from([attempt]);
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted,
    });
    assert_eq!(
        commands,
        [
            Command::Adopt {
                attempt,
                asked: vec![]
            },
            Command::StopAttempt {
                attempt,
                why: StopWhy::Asked
            }
        ]
    );
}

#[test]
fn a_coordinator_that_dies_again_and_again_costs_a_task_none_of_its_tries() {
    let mut world = World::new();
    world.start_shift(1);
    for _ in 0..20 {
        let attempt = world.last_attempt();
        let commands = world.take(Event::Restarted {
            lost: vec![],
            adopted: BTreeSet::new(),
        });
        assert!(
            matches!(&commands[..], [Command::StartAgent(s)] if s.attempt > attempt),
            "{commands:?}"
        );
    }
}
