//! Turns: who gets a free slot, who waits, and why.

use std::collections::BTreeMap;

use turno_core::event::Event;
use turno_core::issue::{IssueDraft, Priority};
use turno_core::persona::AtOnce;
use turno_core::policy::OverlapRule;
use turno_core::shift::Scope;
use turno_core::step::{Waiting, waiting};
use turno_core::task::Stage;
use turno_core::view::StageName;

use crate::team::{id, plan, planned, proposal, sha, starts, titled};
use crate::world::World;

fn why(world: &World, task: &str) -> Option<Waiting> {
    waiting(&world.state, &world.task(id(task)))
}

/// Two plans, the second for a proposal, so that their tasks on one path are not ordered by the plan.
fn overlapping(rule: OverlapRule) -> World {
    let mut world = World::planning(|config| config.policy.overlap = rule);
    world.says(id("1.0"), plan(vec![planned("a", &[], &["src/**"])]));
    let attempt = world.attempt(id("1.1"));
    world.take(Event::TaskProposed {
        attempt,
        proposed: proposal("more"),
    });
    let accept = turno_core::outcome::ProposalAnswer {
        proposal: "p1".parse().unwrap(),
        verdict: turno_core::outcome::ProposalVerdict::Accept { key: "b".to_owned() },
        reason: "yes".to_owned(),
    };
    let tasks = vec![planned("b", &[], &["src/x.rs"])];
    world.says(id("1.0"), crate::team::answering(tasks, vec![accept]));
    world
}

#[test]
fn a_task_waits_for_one_in_flight_on_the_same_paths() {
    let mut world = overlapping(OverlapRule::Wait);
    assert_eq!(why(&world, "1.2"), Some(Waiting::Overlaps(id("1.1"))));
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
}

#[test]
fn a_parked_task_holds_no_paths() {
    let mut world = overlapping(OverlapRule::Wait);
    world.stumbles(id("1.1"));
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
}

#[test]
fn the_policy_may_let_overlapping_tasks_start() {
    let world = overlapping(OverlapRule::Start);
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
}

#[test]
fn a_persona_runs_no_more_often_than_it_may() {
    let mut world = World::team(|config| config.personas[0].at_once = AtOnce::Limit(1));
    world.start_shift(2);
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
    let busy = Waiting::PersonaBusy("engineer".parse().unwrap());
    assert_eq!(why(&world, "2.1"), Some(busy));
    world.writes(id("1.1"), &["src/lib.rs"]);
    assert_eq!(world.stage(id("2.1")), StageName::Writing);
}

#[test]
fn slots_are_kept_for_urgent_issues() {
    let mut world = World::team(|config| {
        config.slots = 2;
        config.urgent_slots = 1;
    });
    world.start_shift(2);
    assert_eq!(world.state.running().count(), 1);
    assert_eq!(why(&world, "2.1"), Some(Waiting::Reserved));

    let mut world = World::team(|config| {
        config.slots = 2;
        config.urgent_slots = 1;
    });
    for priority in [Priority::Normal, Priority::Urgent] {
        world.file(IssueDraft {
            priority,
            ..titled("work")
        });
    }
    let commands = world.run_again();
    let tasks: Vec<_> = starts(&commands).iter().map(|s| s.task).collect();
    assert_eq!(tasks, [id("2.1"), id("1.1")]);
}

#[test]
fn the_reason_of_the_one_who_could_is_given_not_that_of_another() {
    let mut world = World::team(|config| {
        let mut second = config.personas[0].clone();
        second.name = "second".parse().unwrap();
        config.personas.insert(1, second);
    });
    world.budget = turno_core::units::MicroUsd(50_000);
    world.start_shift(1);
    world.open_session("conversation");
    world.spend(45_000);
    let failure = turno_core::failure::Failure::new(turno_core::failure::Cause::Agent, "it failed");
    world.says(id("1.1"), turno_core::event::AgentEnd::Failed(failure));
    assert_eq!(world.ended(), Some(turno_core::shift::ShiftEnd::Budget));
}

#[test]
fn what_runs_in_the_next_shift_is_not_charged_to_the_one_before() {
    let mut world = World::team(|_| {});
    world.start_shift(1);
    world.spend(1000);
    world.stumbles(id("1.1"));
    world.run_again();
    world.spend(5000);
    let first = world.state.shifts.values().next().unwrap();
    assert_eq!(world.state.spent(first).0, 1000);
}

/// One slot, one engineer, reviewer and tester, and always work for each: nobody waits longer than a round.
#[test]
fn nobody_with_work_waits_longer_than_one_round_of_the_ring() {
    let mut world = World::team(|config| {
        config.slots = 1;
        config.policy.tests = turno_core::policy::TestRule::EachChange;
    });
    for _ in 0..6 {
        world.file(titled("work"));
    }
    world.run_again();
    let mut waits: BTreeMap<String, u32> = BTreeMap::new();
    let mut turns: BTreeMap<String, u32> = BTreeMap::new();
    let running = |world: &World| world.state.running().next().map(|t| t.id);
    while let Some(task) = running(&world) {
        let ready: Vec<&'static str> = world
            .state
            .tasks
            .values()
            .filter_map(|t| match &t.stage {
                Stage::Ready { work, .. } => Some(work.verb()),
                _ => None,
            })
            .collect();
        let stage = world.stage(task);
        let commands = match stage {
            StageName::Writing => world.writes(task, &["src/lib.rs"]),
            StageName::Checking => world.green(task),
            StageName::Landing => world.lands(task),
            _ => world.says(task, crate::world::approve()),
        };
        for start in starts(&commands) {
            let verb = match start.persona.as_str() {
                "engineer" => "write",
                "reviewer" => "review",
                _ => "test",
            };
            *turns.entry(verb.to_owned()).or_default() += 1;
            waits.insert(verb.to_owned(), 0);
            for other in ["write", "review", "test"] {
                if other != verb && ready.contains(&other) {
                    let waited = waits.entry(other.to_owned()).or_default();
                    *waited += 1;
                    assert!(*waited < 4, "{other} waits: {turns:?}");
                }
            }
        }
    }
    assert_eq!(
        turns.values().copied().collect::<Vec<_>>(),
        [6, 6, 5],
        "the first was the engineer's"
    );
}

#[test]
fn the_longest_chain_of_dependants_goes_first() {
    let mut world = World::planning(|config| config.slots = 1);
    let tasks = vec![
        planned("a", &[], &[]),
        planned("b", &[], &[]),
        planned("c", &["b"], &[]),
        planned("d", &["c"], &[]),
    ];
    world.says(id("1.0"), plan(tasks));
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
}

#[test]
fn each_repository_has_its_own_checks_and_they_share_the_slots() {
    let mut world = World::team(|config| {
        config.slots = 2;
        let mut check = config.checks[0].clone();
        check.name = "contract".parse().unwrap();
        let repo = turno_core::config::Repo { checks: vec![check] };
        config.repos.insert("api".parse().unwrap(), repo);
    });
    world.file(titled("here"));
    world.file(IssueDraft {
        repo: "api".parse().unwrap(),
        ..titled("there")
    });
    let commands = world.run_again();
    let starts = starts(&commands);
    assert_ne!(starts[0].slot, starts[1].slot);
    assert_eq!(starts[1].repo.as_str(), "api");
    let commands = world.writes(id("2.1"), &["src/lib.rs"]);
    let [turno_core::command::Command::RunChecks(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.checks[0].name.as_str(), "contract");
    world.completes(id("2.1"));
}

#[test]
fn a_shift_of_nothing_is_done() {
    let mut world = World::team(|_| {});
    world.drain(Scope::Backlog {
        at_most: None,
        until: None,
    });
    assert_eq!(world.ended(), Some(turno_core::shift::ShiftEnd::Done));
    assert_ne!(sha(1), sha(2));
}
