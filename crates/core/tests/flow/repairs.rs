//! Repairs: what is red on the branch becomes tasks, and does not hold other landings back.

use turno_core::check::{Check, CheckVerdict, Reach};
use turno_core::command::Command;
use turno_core::failure::Cause;
use turno_core::ids::CheckName;
use turno_core::issue::IssueStage;
use turno_core::policy::PlanRule;
use turno_core::shift::ShiftEnd;
use turno_core::task::{Park, Stage, Work};
use turno_core::units::Span;
use turno_core::view::StageName;

use crate::team::{failing, id};
use crate::world::World;

fn name(text: &str) -> CheckName {
    text.parse().unwrap()
}

fn at(place: &str) -> CheckVerdict {
    CheckVerdict::Fail {
        extract: format!("error: it fails\n  --> {place}"),
    }
}

/// Checks `test`, `lint` and `build`; the survey of issue 1 runs.
fn surveying() -> World {
    let mut world = World::team(|config| {
        config.policy.plan = PlanRule::Checks;
        config.policy.caps.rounds = 1;
        for name in ["lint", "build"] {
            config.checks.push(Check {
                name: name.parse().unwrap(),
                command: format!("make {name}"),
                timeout: Span(1000),
                network: Reach::None,
                within: turno_core::container::Within::Sandbox,
            });
        }
    });
    let commands = world.start_shift(1);
    assert!(
        matches!(&commands[..], [Command::RunChecks(start)] if start.reruns == 1),
        "flakiness is the question: {commands:?}"
    );
    world
}

/// `test` and `lint` fail in one place, `build` in another.
fn two_groups() -> World {
    let mut world = surveying();
    world.shows(
        id("1.0"),
        |check| match check {
            "build" => at("src/b.rs:9:1"),
            _ => at("src/a.rs:7:1"),
        },
        None,
    );
    world
}

#[test]
fn failures_in_one_place_are_one_task() {
    let world = two_groups();
    let repairs = |task: &str| world.task(id(task)).spec.repairs;
    assert_eq!(repairs("1.1"), [name("test"), name("lint")].into());
    assert_eq!(repairs("1.2"), [name("build")].into());
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
    assert_eq!(world.stage(id("1.0")), StageName::Blocked);
}

#[test]
fn what_is_known_to_be_red_does_not_hold_a_repair_back() {
    let mut world = two_groups();
    world.writes(id("1.2"), &["src/b.rs"]);
    let mends = |check: &str| {
        if check == "build" {
            CheckVerdict::Pass
        } else {
            failing()
        }
    };
    world.shows(id("1.2"), mends, None);
    assert_eq!(world.stage(id("1.2")), StageName::Reviewing);
    let commands = world.says(id("1.2"), crate::world::approve());
    let [Command::Land(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.known_red, [name("test"), name("lint")].into());
    world.lands(id("1.2"));
    let red = &world.state.issues[&id("1.0").issue].plan.red;
    assert_eq!(*red, [name("test"), name("lint")].into(), "this one is mended");
}

#[test]
fn what_a_repair_is_for_holds_it_back() {
    let mut world = two_groups();
    world.writes(id("1.2"), &["src/b.rs"]);
    world.checks(id("1.2"), &failing());
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
    assert_eq!(world.task(id("1.2")).tries.get(&Cause::ChecksFailed), Some(&1));
}

#[test]
fn a_flaky_check_is_reported_and_is_no_task() {
    let mut world = surveying();
    let flaky = |check: &str| {
        if check == "lint" {
            CheckVerdict::Flaky
        } else {
            CheckVerdict::Pass
        }
    };
    world.shows(id("1.0"), flaky, None);
    let issue = &world.state.issues[&id("1.0").issue];
    assert_eq!(issue.plan.flaky, [name("lint")].into());
    assert_eq!(world.state.pieces_of(issue.id).count(), 0);
    assert!(matches!(&issue.stage, IssueStage::Closed { why } if why.contains("nothing to do")));
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn a_repair_ends_when_the_branch_is_green() {
    let mut world = surveying();
    world.shows(
        id("1.0"),
        |c| {
            if c == "test" {
                failing()
            } else {
                CheckVerdict::Pass
            }
        },
        None,
    );
    world.completes(id("1.1"));
    assert_eq!(
        world.stage(id("1.0")),
        StageName::Surveying,
        "nobody's word is taken for it"
    );
    world.green(id("1.0"));
    assert_eq!(world.stage(id("1.0")), StageName::Accepted);
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn what_is_red_after_the_last_round_waits_for_a_person() {
    let mut world = surveying();
    for task in ["1.1", "1.2"] {
        world.shows(
            id("1.0"),
            |c| {
                if c == "test" {
                    failing()
                } else {
                    CheckVerdict::Pass
                }
            },
            None,
        );
        world.completes(id(task));
    }
    world.shows(
        id("1.0"),
        |c| {
            if c == "test" {
                failing()
            } else {
                CheckVerdict::Pass
            }
        },
        None,
    );
    let stage = world.task(id("1.0")).stage;
    assert!(
        matches!(&stage, Stage::Parked { park: Park::NotAccepted { missing }, work: Work::Survey } if missing[0].contains("test")),
        "{stage:?}"
    );
}

#[test]
fn a_survey_that_shows_nothing_is_tried_again() {
    let mut world = surveying();
    let gone = CheckVerdict::CouldNotRun {
        why: "gone".to_owned(),
    };
    world.checks(id("1.0"), &gone);
    assert_eq!(world.stage(id("1.0")), StageName::Surveying);
    assert_eq!(world.task(id("1.0")).tries.get(&Cause::CouldNotCheck), Some(&1));
}
