//! Disks that are nearly full: nothing is started, what runs goes on, no failure is counted, and with room again all
//! goes on as if nothing had been.

use std::collections::BTreeSet;

use turno_core::command::Command;
use turno_core::event::{Event, LandingEnd};
use turno_core::following::Target;
use turno_core::ids::TaskId;
use turno_core::issue::{IssueDraft, IssueStage};
use turno_core::next_deadline;
use turno_core::room::{Bytes, Lack, Tight};
use turno_core::shift::{IssueAtStart, Scope, ShiftEnd};
use turno_core::step::{Waiting, waiting};
use turno_core::task::{Stage, Work};
use turno_core::units::Span;
use turno_core::view::{StageName, waiting_phrase};

use crate::world::{World, approve, checks_green, commit, wrote};

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

fn tight() -> Tight {
    Tight {
        at: "/state".to_owned(),
        lack: Lack::Space {
            free: Bytes(1 << 20),
            floor: Bytes(2 << 30),
        },
    }
}

fn fills(world: &mut World) -> Vec<Command> {
    world.take(Event::RoomSeen { tight: vec![tight()] })
}

fn is_freed(world: &mut World) -> Vec<Command> {
    world.take(Event::RoomSeen { tight: Vec::new() })
}

/// What starts an attempt.
fn starts(commands: &[Command]) -> usize {
    let begins = |c: &&Command| {
        matches!(
            c,
            Command::StartAgent(_) | Command::RunChecks(_) | Command::Land(_) | Command::Follow(_)
        )
    };
    commands.iter().filter(begins).count()
}

fn why(world: &World) -> Option<Waiting> {
    waiting(&world.state, &world.task(task()))
}

#[test]
fn nothing_is_started_without_room_and_all_of_it_with_room_again() {
    let mut world = World::new();
    fills(&mut world);
    assert_eq!(starts(&world.start_shift(2)), 0);
    assert_eq!(world.ended(), None, "it waits");
    assert_eq!(why(&world), Some(Waiting::Disk(tight())));
    let told = waiting_phrase(&why(&world).unwrap());
    assert!(
        told.contains("the disk of /state has 1 MiB free, and 2 GiB is the floor"),
        "{told}"
    );
    assert!(told.contains("turno gc"), "{told}");
    assert_eq!(starts(&is_freed(&mut world)), 2);
    assert!(world.task(task()).tries.is_empty());
}

/// At each stage it fills while something runs: that ends as ever, the next is not begun, and then it is.
#[test]
fn what_runs_goes_on_and_what_follows_waits() {
    let mut world = World::new();
    world.start_shift(1);
    let waits = |world: &World| match &world.task(task()).stage {
        Stage::Ready { work, .. } => work.clone(),
        other => panic!("{other:?}"),
    };

    assert_eq!(starts(&fills(&mut world)), 0);
    assert_eq!(world.stage(task()), StageName::Writing, "nobody is stopped");
    assert_eq!(starts(&world.end_writer(wrote("a"))), 0);
    assert!(matches!(waits(&world), Work::Check(_)));
    assert_eq!(starts(&is_freed(&mut world)), 1);

    fills(&mut world);
    assert_eq!(starts(&world.end_checks(checks_green())), 0);
    assert!(matches!(waits(&world), Work::Review(_)));
    assert_eq!(starts(&is_freed(&mut world)), 1);

    fills(&mut world);
    assert_eq!(starts(&world.end_reviewer(approve())), 0);
    assert!(
        matches!(waits(&world), Work::Land(_)),
        "a landing runs checks, too"
    );
    assert_eq!(starts(&is_freed(&mut world)), 1);

    fills(&mut world);
    world.end_landing(LandingEnd::Landed { commit: commit("b") });
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
    assert!(world.task(task()).tries.is_empty(), "no failure was counted");
}

#[test]
fn a_branch_is_not_brought_along_without_room_and_its_issue_is_not_done_before() {
    let mut world = World::new();
    let issue = task().issue;
    world.take(Event::IssueAdded {
        draft: IssueDraft {
            title: "one".to_owned(),
            ..IssueDraft::default()
        },
    });
    let budget = world.budget;
    world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: vec![IssueAtStart {
            issue,
            base: commit("9"),
            target: Target::Branch("main".to_owned()),
        }],
        budget,
        scope: Scope::Listed,
    });
    world.bring_to_landing(task(), "a");
    fills(&mut world);
    let tip = commit("7");
    world.take(Event::TargetMoved { issue, tip });
    world.end_landing(LandingEnd::Landed { commit: commit("b") });
    assert!(matches!(
        world.state.issues[&issue].stage,
        IssueStage::Working { .. }
    ));
    assert_eq!(world.ended(), None);
    assert!(next_deadline(&world.state).is_some());
    let commands = is_freed(&mut world);
    assert!(matches!(commands[..], [Command::Follow(_)]), "{commands:?}");
}

#[test]
fn a_shift_that_could_do_nothing_else_gives_up_after_a_while() {
    let mut world = World::with(|config| config.disk_wait = Span::seconds(60));
    world.start_shift(1);
    fills(&mut world);
    let begun = world.now;
    assert!(
        next_deadline(&world.state).is_some_and(|at| at > begun + Span::seconds(60)),
        "as long as somebody works nobody gives up"
    );
    world.now = begun + Span::seconds(50);
    world.end_writer(wrote("a"));
    assert_eq!(next_deadline(&world.state), Some(begun + Span::seconds(60)));
    world.take(Event::TimePassed);
    assert_eq!(world.ended(), None, "not before");
    // Another look that sees the same does not begin the wait anew.
    fills(&mut world);
    world.now = begun + Span::seconds(60);
    assert_eq!(starts(&world.take(Event::TimePassed)), 0);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    assert_eq!(next_deadline(&world.state), None);
    assert!(world.task(task()).tries.is_empty());
}

/// Whoever begins the next shift has been told: it waits as long again.
#[test]
fn the_next_shift_has_a_wait_of_its_own() {
    let mut world = World::with(|config| config.disk_wait = Span::seconds(60));
    fills(&mut world);
    world.now = world.now + Span::seconds(3600);
    world.start_shift(1);
    assert_eq!(world.ended(), None);
    assert_eq!(next_deadline(&world.state), Some(world.now + Span::seconds(60)));
    world.take(Event::Restarted {
        lost: Vec::new(),
        adopted: BTreeSet::new(),
    });
    assert_eq!(next_deadline(&world.state), Some(world.now + Span::seconds(60)));
}

#[test]
fn a_shift_that_has_nothing_to_start_does_not_wait_for_room() {
    let mut world = World::with(|config| config.checks.clear());
    world.start_shift(1);
    fills(&mut world);
    world.end_writer(wrote("a"));
    assert_eq!(world.stage(task()), StageName::Parked);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}
