//! Changes that wait at the same time land together: through the whole core, with its commands and stages.

use turno_core::check::{CheckReport, CheckVerdict};
use turno_core::command::{Command, LandStart};
use turno_core::event::{Discard, Event, LandingEnd, OthersEnd, Refused, TogetherEnd};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::{AttemptId, TaskId};
use turno_core::issue::{IssueDraft, Item, Items, Split};
use turno_core::shift::{IssueAtStart, Scope};
use turno_core::task::{Because, ConflictHunk, StartFrom, Work, WriteJob};
use turno_core::train::{Red, Stands, Train};
use turno_core::units::MicroUsd;
use turno_core::view::StageName;

use crate::team::{id, sha};
use crate::world::{World, checks_green, checks_red, commit};

/// Five items: the first is being landed, the other four wait for that.
fn waiting() -> World {
    let mut world = World::with(|config| {
        config.policy.landing.batch = 4;
        config.policy.review = turno_core::policy::ReviewRule::Off;
        config.slots = 5;
        for limits in config.agents.values_mut() {
            limits.at_once = 5;
        }
    });
    let item = |n: usize| Item {
        title: format!("item {n}"),
        brief: String::new(),
        acceptance: Vec::new(),
        touches: vec![format!("{n}.rs")],
    };
    let items = Items {
        items: (1..=5).map(item).collect(),
        group: 5,
        trial: 0,
    };
    let draft = IssueDraft {
        title: "many".to_owned(),
        split: Split::Items(items),
        ..IssueDraft::default()
    };
    world.take(Event::IssueAdded { draft });
    world.budget = MicroUsd(100_000_000);
    world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: vec![IssueAtStart {
            issue: turno_core::ids::IssueId(1),
            base: commit("9"),
            target: turno_core::following::Target::Unknown,
        }],
        budget: world.budget,
        scope: Scope::Listed,
    });
    for n in 1..=5 {
        let task = piece(n);
        let running = |world: &World| world.task(task).run().unwrap().attempt;
        let (end, mut left) = crate::world::wrote(&n.to_string());
        if let turno_core::event::LeftBehind::Commit { paths, .. } = &mut left {
            *paths = [format!("{n}.rs")].into();
        }
        world.end_attempt(running(&world), end, left);
        let mut report = checks_green();
        report.tree = crate::world::tree(&n.to_string());
        let attempt = running(&world);
        world.take(Event::ChecksEnded {
            attempt,
            report,
            without: None,
            on_base: None,
        });
    }
    assert_eq!(landing(&world), [piece(1)]);
    world
}

fn piece(n: u32) -> TaskId {
    id(&format!("1.{n}"))
}

fn landing(world: &World) -> Vec<TaskId> {
    let tasks = world.state.tasks.values();
    let landing = tasks.filter(|t| StageName::of(&t.stage) == StageName::Landing);
    landing.map(|t| t.id).collect()
}

fn attempt(world: &World) -> AttemptId {
    world.state.landing().unwrap().run().unwrap().attempt
}

fn land_of(commands: &[Command]) -> &LandStart {
    let found = commands.iter().find_map(|c| match c {
        Command::Land(start) => Some(&**start),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing is landed: {commands:?}"))
}

fn aboard(start: &LandStart) -> Vec<TaskId> {
    let others = start.with.iter().map(|p| p.task);
    std::iter::once(start.task).chain(others).collect()
}

/// Where each of them stands on top of a head.
fn stands(head: u64, of: &[u32]) -> Vec<Stands> {
    let mut onto = sha(head);
    let one = |n: &u32| {
        let commit = sha(head * 0x10 + u64::from(*n));
        let below = std::mem::replace(&mut onto, commit.clone());
        Stands {
            task: piece(*n),
            commit,
            onto: below,
        }
    };
    of.iter().map(one).collect()
}

fn together(world: &mut World, head: u64, refused: &[u32], others: OthersEnd) -> Vec<Command> {
    let refused = refused.iter().map(|n| Refused {
        task: piece(*n),
        hunks: vec![ConflictHunk {
            file: "1.rs".to_owned(),
            text: "<<<<<<<".to_owned(),
        }],
    });
    let end = LandingEnd::Together(TogetherEnd {
        refused: refused.collect(),
        head: sha(head),
        others,
    });
    world.end_landing(end)
}

fn red(head: u64, of: &[u32]) -> OthersEnd {
    let report = checks_red("it fails");
    OthersEnd::NotGreen {
        red: Red {
            members: stands(head, of),
            report,
        },
    }
}

fn landed(head: u64, of: &[u32], now: u64) -> OthersEnd {
    OthersEnd::Landed {
        members: stands(head, of),
        head: sha(now),
    }
}

fn alone(world: &mut World, now: u64) -> Vec<Command> {
    world.end_landing(LandingEnd::Landed { commit: sha(now) })
}

#[test]
fn what_waited_for_a_landing_lands_together() {
    let mut world = waiting();
    let commands = alone(&mut world, 0x20);
    let start = land_of(&commands);
    assert_eq!(aboard(start), [piece(2), piece(3), piece(4), piece(5)]);
    assert_eq!(
        start.reruns, 1,
        "red together is tried again though the policy asks for no rerun"
    );
    assert_eq!(landing(&world).len(), 4);
    together(&mut world, 0x20, &[], landed(0x20, &[2, 3, 4, 5], 0x30));
    for n in 1..=5 {
        assert_eq!(world.stage(piece(n)), StageName::Landed, "1.{n}");
    }
    let issue = &world.state.issues[&turno_core::ids::IssueId(1)];
    assert_eq!(issue.train, Train::Open);
}

#[test]
fn the_culprit_goes_back_with_what_it_was_integrated_with() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    // 4 breaks the rest: 2 and 3 land without another word, and 4 and 5 are known to be red on top of them.
    let commands = together(&mut world, 0x20, &[], red(0x20, &[2, 3, 4, 5]));
    assert_eq!(aboard(land_of(&commands)), [piece(2), piece(3)]);
    assert_eq!(world.stage(piece(4)), StageName::Ready);
    let commands = together(&mut world, 0x20, &[], landed(0x20, &[2, 3], 0x30));
    assert_eq!(aboard(land_of(&commands)), [piece(4)]);
    let commands = world.end_landing(LandingEnd::NotGreen {
        rebased: sha(0x304),
        head: sha(0x30),
        report: checks_red("4 fails"),
    });
    assert_eq!(aboard(land_of(&commands)), [piece(5)]);
    let Some(Work::Write(WriteJob { from, because })) = world.task(piece(4)).work() else {
        panic!("{:?}", world.task(piece(4)).stage)
    };
    assert_eq!(
        from,
        StartFrom::Commit {
            commit: sha(0x304),
            base: sha(0x30)
        }
    );
    let Because::ChecksFailed { failing, beside } = because else {
        panic!("{because:?}")
    };
    assert!(matches!(&failing[0].verdict, CheckVerdict::Fail { extract } if extract == "4 fails"));
    let beside: Vec<_> = beside.iter().map(|n| n.task).collect();
    assert_eq!(beside, [piece(1), piece(2), piece(3)]);
    alone(&mut world, 0x40);
    assert_eq!(world.stage(piece(5)), StageName::Landed);
}

#[test]
fn the_last_of_a_red_batch_is_blamed_without_another_run() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    together(&mut world, 0x20, &[], red(0x20, &[2, 3, 4, 5]));
    together(&mut world, 0x20, &[], landed(0x20, &[2, 3], 0x30));
    let commands = world.end_landing(LandingEnd::Landed { commit: sha(0x40) });
    let landing = commands.iter().any(|c| matches!(c, Command::Land(_)));
    assert!(!landing, "{commands:?}");
    let Some(Work::Write(job)) = world.task(piece(5)).work() else {
        panic!("{:?}", world.task(piece(5)).stage)
    };
    // Where it stood in the batch: its tree is that of the four.
    let from = StartFrom::Commit {
        commit: sha(0x205),
        base: sha(0x204),
    };
    assert_eq!(job.from, from);
}

#[test]
fn a_conflict_goes_to_its_writer_with_the_other_side() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    together(&mut world, 0x20, &[3], landed(0x20, &[2, 4, 5], 0x30));
    let Some(Work::Write(job)) = world.task(piece(3)).work() else {
        panic!("{:?}", world.task(piece(3)).stage)
    };
    let Because::Conflict { beside, .. } = job.because else {
        panic!("{job:?}")
    };
    // 1 alone has touched that file.
    assert_eq!(beside.len(), 1);
    assert_eq!((beside[0].task, beside[0].goal.as_str()), (piece(1), "item 1"));
    assert_eq!(world.stage(piece(4)), StageName::Landed);
}

#[test]
fn a_conflict_with_what_did_not_land_is_nobodys_yet() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    together(&mut world, 0x20, &[4], red(0x20, &[2, 3, 5]));
    assert!(matches!(world.task(piece(4)).work(), Some(Work::Land(_))));
    assert_eq!(landing(&world), [piece(2)]);
}

#[test]
fn a_batch_that_comes_to_nothing_is_tried_one_by_one_and_booked_to_nobody() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    let failed = |world: &mut World| {
        let attempt = attempt(world);
        let failure = Failure::new(Cause::Workspace, "no room");
        world.take(Event::AttemptFailed { attempt, failure })
    };
    let commands = failed(&mut world);
    assert_eq!(aboard(land_of(&commands)), [piece(2)]);
    assert!((2..=5).all(|n| world.task(piece(n)).tries.is_empty()));
    // Alone it is its own.
    failed(&mut world);
    assert_eq!(world.task(piece(2)).tries.get(&Cause::Workspace), Some(&1));
    assert_eq!(landing(&world), [piece(3)]);
}

#[test]
fn a_restart_loses_every_member_and_blames_none() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    let before = attempt(&world);
    let commands = world.take(Event::Restarted {
        lost: Vec::new(),
        adopted: std::collections::BTreeSet::new(),
    });
    assert_eq!(aboard(land_of(&commands)).len(), 4);
    assert_ne!(attempt(&world), before);
    assert!((2..=5).all(|n| !world.task(piece(n)).tries.contains_key(&Cause::Lost)));
}

#[test]
fn one_that_is_discarded_is_given_up_and_the_others_land() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    let commands = world.take(Event::Discarded {
        what: Discard::Task(piece(3)),
    });
    assert!(commands.iter().any(|c| matches!(c, Command::StopAttempt { .. })));
    let attempt = attempt(&world);
    let failure = Failure::new(Cause::Stopped, "killed");
    let commands = world.take(Event::AttemptFailed { attempt, failure });
    assert_eq!(aboard(land_of(&commands)), [piece(2), piece(4), piece(5)]);
    assert_eq!(world.stage(piece(3)), StageName::Dropped);
}

#[test]
fn what_is_on_the_branch_has_landed_though_it_was_discarded() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    world.take(Event::Discarded {
        what: Discard::Task(piece(3)),
    });
    together(&mut world, 0x20, &[], landed(0x20, &[2, 3, 4, 5], 0x30));
    assert_eq!(world.stage(piece(3)), StageName::Landed);
}

#[test]
fn a_batch_that_lost_the_race_is_tried_again_on_the_new_head() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    let commands = together(&mut world, 0x20, &[], OthersEnd::Raced { head: sha(0x77) });
    let start = land_of(&commands);
    assert_eq!((aboard(start).len(), &start.head), (4, &sha(0x77)));
    assert_eq!(world.task(piece(5)).tries.get(&Cause::LandingRaced), Some(&1));
}

#[test]
fn a_batch_that_could_not_be_checked_blames_nobody() {
    let mut world = waiting();
    alone(&mut world, 0x20);
    let report = CheckReport {
        results: Vec::new(),
        ..checks_green()
    };
    let members = stands(0x20, &[2, 3, 4, 5]);
    let others = OthersEnd::NotGreen {
        red: Red { members, report },
    };
    together(&mut world, 0x20, &[], others);
    assert_eq!(landing(&world), [piece(2)]);
    assert!((2..=5).all(|n| world.task(piece(n)).tries.is_empty()));
}
