//! Checks that are red without the change: whose task they are is the policy's to say.

use rstest::rstest;
use turno_core::check::CheckReport;
use turno_core::command::Command;
use turno_core::event::Event;
use turno_core::ids::TaskId;
use turno_core::policy::RedBaseRule;
use turno_core::task::{Park, Stage, Work};
use turno_core::view::StageName;

use crate::team::id;
use crate::world::{World, checks_green, checks_red, commit, tree, wrote};

fn task() -> TaskId {
    id("1.1")
}

/// A change whose check is red, and what that check shows without it.
fn red(rule: RedBaseRule, on_base: Option<CheckReport>) -> (World, Vec<Command>) {
    let mut world = World::with(|config| config.policy.red_base = rule);
    world.start_shift(1);
    let started = world.end_writer(wrote("a"));
    let base = started.iter().find_map(|c| match c {
        Command::RunChecks(start) => Some(start.base.clone()),
        _ => None,
    });
    let asked = (rule != RedBaseRule::Writer).then(|| commit("9"));
    assert_eq!(base, Some(asked));
    let mut report = checks_red("it fails");
    report.tree = tree("a");
    let commands = world.take(Event::ChecksEnded {
        attempt: world.last_attempt(),
        report,
        without: None,
        on_base,
    });
    (world, commands)
}

#[rstest]
#[case(RedBaseRule::Writer, None)]
#[case(RedBaseRule::Block, Some(checks_green()))]
#[case(RedBaseRule::Task, Some(checks_green()))]
#[case(RedBaseRule::Block, None)]
fn what_is_green_without_the_change_is_its_writers(
    #[case] rule: RedBaseRule,
    #[case] on_base: Option<CheckReport>,
) {
    let (world, _) = red(rule, on_base);
    assert!(matches!(world.task(task()).work(), Some(Work::Write(_))));
    assert_eq!(world.state.tasks.len(), 1);
}

#[test]
fn what_is_red_without_it_blocks_and_says_so() {
    let (world, _) = red(RedBaseRule::Block, Some(checks_red("it fails")));
    let stage = world.task(task()).stage;
    let Stage::Parked {
        work: Work::Check(_),
        park: Park::RedBase { checks, base },
    } = &stage
    else {
        panic!("{stage:?}")
    };
    assert_eq!((checks.len(), base), (1, &commit("9")));
    let said = turno_core::view::task_phrase(&world.task(task()));
    assert!(said.contains("`test` is red at 9999"), "{said}");
}

#[test]
fn what_is_red_without_it_becomes_a_task_and_holds_nothing_back() {
    let (world, commands) = red(RedBaseRule::Task, Some(checks_red("it fails")));
    let repair = world.task(id("1.2"));
    assert!(repair.spec.repairs.contains(&"test".parse().unwrap()));
    assert_eq!(world.stage(repair.id), StageName::Writing);
    // The change itself goes on to its review.
    assert_eq!(world.stage(task()), StageName::Reviewing);
    assert_eq!(
        commands
            .iter()
            .filter(|c| matches!(c, Command::StartAgent(_)))
            .count(),
        2
    );
}
