//! Starts of agents that fail in a row, and those that only wait.

use rstest::rstest;
use turno_core::event::{Event, LeftBehind};
use turno_core::failure::Cause;
use turno_core::gate::Standing;
use turno_core::ids::AttemptId;
use turno_core::persona::Role;
use turno_core::policy::TryRow;
use turno_core::shift::ShiftEnd;
use turno_core::step::{Waiting, waiting};
use turno_core::task::{Park, Stage};
use turno_core::units::{Span, Timestamp};

use crate::accounts::{MINUTE, agent, alone, failed, started, with_agents};
use crate::world::{World, approve, checks_green, left, persona, wrote};

#[rstest]
#[case(Cause::Spawn)]
#[case(Cause::Agent)]
#[case(Cause::Provider)]
#[case(Cause::NoOutcome)]
fn an_agent_that_cannot_be_started_is_tried_three_times_and_then_one_by_one(#[case] cause: Cause) {
    let mut world = alone();
    world.start_shift(40);
    // Nothing is known of it yet, so it begins with three.
    assert_eq!(world.state.attempts().len(), 3);
    world.all_end(&failed(cause));
    assert!(world.state.attempts().is_empty());
    let mut starts = 3;
    let mut waits = Vec::new();
    while world.ended().is_none() {
        let before = world.now;
        let commands = world.wakes();
        let many = started(&commands).len();
        assert!(many <= 1, "one trial at a time");
        starts += many;
        if many == 1 {
            waits.push(world.now.since(before).0 / 60_000);
            world.all_end(&failed(cause));
        }
    }
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    assert_eq!(starts, 8, "three, and one for each round: {waits:?}");
    assert!(world.charged() <= 8, "{}", world.charged());
    let parked = |t: &&std::sync::Arc<turno_core::task::Task>| matches!(&t.stage, Stage::Parked { park: Park::Account { failure, .. }, .. } if failure.cause == cause);
    assert_eq!(world.state.tasks.values().filter(parked).count(), 40);
    // The next shift begins with one.
    world.start_shift(0);
    assert_eq!(world.state.attempts().len(), 1);
    world.spend(5);
    assert_eq!(world.state.attempts().len(), 8);
}

#[test]
fn no_more_than_three_starts_fail_within_a_minute() {
    let mut world = alone();
    world.start_shift(20);
    // It worked, and does not any more.
    for _ in 0..3 {
        world.all_are_answered();
    }
    let mut failing: Vec<Timestamp> = Vec::new();
    let settled: Vec<AttemptId> = world.state.attempts().into_iter().collect();
    assert_eq!(settled.len(), 8);
    for attempt in settled {
        // Those that were answered make room, and those that take it fail at once.
        world.end_attempt(attempt, failed(Cause::Stalled), LeftBehind::Nothing);
        let new: Vec<AttemptId> = world.state.gates[&agent("claude")]
            .starting
            .keys()
            .copied()
            .collect();
        for attempt in new {
            world.end_attempt(attempt, failed(Cause::Spawn), LeftBehind::Nothing);
            failing.push(world.now);
        }
    }
    assert_eq!(failing.len(), 3);
    assert!(matches!(world.standing("claude"), Standing::Closed { .. }));
}

#[test]
fn a_trial_that_is_answered_opens_the_account_at_once() {
    let mut world = alone();
    world.start_shift(10);
    world.all_end(&failed(Cause::Agent));
    while started(&world.wakes()).is_empty() {}
    assert_eq!(world.state.attempts().len(), 1);
    let commands = world.spend(1);
    assert_eq!(world.standing("claude"), Standing::Open);
    assert_eq!(started(&commands).len(), 7);
}

#[test]
fn a_trial_that_is_lost_or_stopped_is_due_again() {
    let mut world = alone();
    world.start_shift(10);
    world.all_end(&failed(Cause::Agent));
    while started(&world.wakes()).is_empty() {}
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted: std::collections::BTreeSet::new(),
    });
    assert_eq!(started(&commands).len(), 1, "{commands:?}");
}

#[test]
fn one_that_works_in_silence_is_not_failing() {
    let mut world = alone();
    world.start_shift(10);
    let first: Vec<AttemptId> = world.state.attempts().into_iter().collect();
    assert_eq!(first.len(), 3);
    let commands = world.wakes();
    assert_eq!(started(&commands).len(), 5);
    for attempt in first {
        world.end_attempt(attempt, failed(Cause::Agent), LeftBehind::Nothing);
    }
    assert_eq!(world.standing("claude"), Standing::Open);
}

#[test]
fn one_that_is_not_signed_in_is_not_tried_again_and_nobody_else_pays() {
    let mut world = with_agents(&["claude", "codex"]);
    world.start_shift(5);
    let of_claude = world.state.running().filter_map(|t| t.agent_run());
    let attempt = of_claude
        .filter(|r| r.agent == agent("claude"))
        .map(|r| r.run.attempt)
        .next()
        .unwrap();
    let commands = world.end_attempt(attempt, failed(Cause::SignIn), LeftBehind::Nothing);
    assert!(
        started(&commands).iter().all(|s| s.agent == agent("codex")),
        "{commands:?}"
    );
    assert!(matches!(world.standing("claude"), Standing::Shut { .. }));
    assert_eq!(world.charged(), 0);
}

/// Eight hours in which a whole backlog waits for one slot, because the other one is kept for urgent work.
#[test]
fn to_wait_for_a_slot_for_hours_is_no_failure() {
    let mut world = World::with(|config| {
        config.urgent_slots = 1;
        for persona in &mut config.personas {
            persona.wall_clock = Span::seconds(2 * 3600);
        }
    });
    world.start_shift(20);
    let begun = world.now;
    let mut digit = 0;
    while world.now.since(begun) < Span::seconds(8 * 3600) {
        let running = world.state.attempts();
        // It works for 50 minutes, and time passes for those who wait.
        for _ in 0..50 {
            world.now = world.now + MINUTE;
            world.take(Event::TimePassed);
        }
        assert_eq!(world.state.attempts(), running);
        for attempt in running {
            let task = world.state.task_of(attempt).unwrap();
            digit = (digit + 1) % 8;
            let digit = digit.to_string();
            match world.task(task).stage {
                Stage::Writing { .. } => world.end_attempt(attempt, wrote(&digit).0, left(&digit)),
                Stage::Checking { change, .. } => {
                    let mut report = checks_green();
                    report.tree = change.tree;
                    world.take(Event::ChecksEnded {
                        attempt,
                        report,
                        without: None,
                        on_base: None,
                    })
                }
                Stage::Reviewing { .. } => world.end_attempt(attempt, approve(), LeftBehind::Nothing),
                Stage::Landing { .. } => {
                    let commit = crate::world::commit(&digit);
                    world.end_landing(turno_core::event::LandingEnd::Landed { commit })
                }
                other => panic!("{other:?}"),
            };
        }
    }
    assert_eq!((world.charged(), world.ended()), (0, None));
    assert!(world.state.issues.values().all(|i| i.plan.failures == 0));
    for gate in world.state.gates.values() {
        assert_eq!(
            (&gate.standing, gate.rounds, gate.failed.len()),
            (&Standing::Open, 0, 0)
        );
        assert!(gate.strikes.is_empty());
    }
    let starved = world.state.tasks.values().filter(|t| {
        matches!(
            waiting(&world.state, t),
            Some(Waiting::Reserved | Waiting::NoFreeSlot)
        )
    });
    assert!(starved.count() >= 15);
}

#[test]
fn a_planner_that_fails_at_once_does_not_spin() {
    let mut world = World::with(|config| {
        config.policy.plan = turno_core::policy::PlanRule::Author;
        config.personas.push(persona("author", Role::Author, &["claude"]));
        let row = TryRow::new(Cause::NoOutcome, 200, Span(0));
        config.policy.rows.insert(Cause::NoOutcome, row);
    });
    let mut starts = started(&world.start_shift(1)).len();
    while !world.state.attempts().is_empty() {
        starts += started(&world.end_agent(failed(Cause::NoOutcome), LeftBehind::Nothing)).len();
    }
    assert_eq!((starts, world.ended()), (3, None));
    assert_eq!(started(&world.wakes()).len(), 1);
}
