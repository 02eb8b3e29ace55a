//! The flow of one task, from ready to landed, told case by case.

use crate::world::{World, approve, checks_green, checks_red, finding, wrote};
use rstest::rstest;
use turno_core::command::{Command, Session};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, StopHow};
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::ids::{CommitId, TaskId};
use turno_core::outcome::{Outcome, Verdict};
use turno_core::persona::Role;
use turno_core::policy::{ReviewRule, UncheckedRule};
use turno_core::shift::ShiftEnd;
use turno_core::step::Waiting;
use turno_core::task::{Because, Likeness, Park, Stage, Work};
use turno_core::units::{MicroUsd, Span};
use turno_core::view::StageName;

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

#[test]
fn an_issue_goes_from_ready_to_landed() {
    let mut world = World::new();
    world.start_shift(1);
    assert_eq!(world.stage(task()), StageName::Writing);
    world.end_writer(wrote("a"));
    assert_eq!(world.stage(task()), StageName::Checking);
    world.end_checks(checks_green());
    assert_eq!(world.stage(task()), StageName::Reviewing);
    world.end_reviewer(approve());
    assert_eq!(world.stage(task()), StageName::Landing);
    let commands = world.end_landing(LandingEnd::Landed {
        commit: crate::world::commit("b"),
    });
    assert_eq!(world.stage(task()), StageName::Landed);
    assert!(
        matches!(
            commands[..],
            [Command::EndShift {
                end: ShiftEnd::Done,
                ..
            }]
        ),
        "{commands:?}"
    );
}

#[test]
fn checks_run_in_the_slot_of_the_writer() {
    let mut world = World::new();
    world.start_shift(1);
    let slot = world.task(task()).slot();
    let commands = world.end_writer(wrote("a"));
    let [Command::RunChecks(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(Some(start.slot), slot);
}

#[test]
fn a_red_check_goes_back_to_the_same_session_with_its_output() {
    let mut world = World::new();
    world.start_shift(1);
    world.open_session("conversation");
    world.end_writer(wrote("a"));
    let commands = world.end_checks(checks_red("assertion failed: 1 == 2"));
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.session, Session::Resume("conversation".parse().unwrap()));
    assert_eq!(start.from, crate::world::commit("a"));
    assert!(format!("{:?}", start.brief.ask).contains("assertion failed: 1 == 2"));
}

#[test]
fn a_reviewer_begins_afresh_and_is_played_by_another_agent() {
    let mut world = World::new();
    world.start_shift(1);
    world.open_session("conversation");
    let writer = world.task(task()).agent_run().unwrap().agent.clone();
    world.end_writer(wrote("a"));
    let commands = world.end_checks(checks_green());
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.session, Session::Fresh);
    assert_ne!(start.agent, writer);
    assert!(
        !format!("{:?}", start.brief).contains("did it"),
        "the writer's own word is not for the reviewer"
    );
}

#[test]
fn findings_go_back_and_the_next_reviewer_is_told_of_them() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    let commands = world.end_reviewer(finding("no test"));
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert!(format!("{:?}", start.brief.ask).contains("no test"));
    world.end_writer(wrote("b"));
    let commands = world.end_checks(checks_green());
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert!(
        format!("{:?}", start.brief.ask).contains("no test"),
        "earlier findings must be answered"
    );
}

#[rstest]
#[case::a_change_is_no_verdict(AgentEnd::Finished(Outcome::change("")))]
#[case::no_findings_are_no_verdict(AgentEnd::Finished(Outcome::verdict(Verdict::Findings { findings: vec![] })))]
#[case::a_failure_is_no_verdict(AgentEnd::Failed(Failure::new(Cause::Agent, "gone")))]
fn what_is_no_approval_does_not_land(#[case] end: AgentEnd) {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    let commands = world.end_reviewer(end);
    assert!(
        !commands.iter().any(|c| matches!(c, Command::Land(_))),
        "{commands:?}"
    );
}

#[test]
fn a_reviewer_that_wrote_has_no_vote() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    let commands = world.end_agent(approve(), crate::world::left("c"));
    assert!(
        !commands.iter().any(|c| matches!(c, Command::Land(_))),
        "{commands:?}"
    );
    assert_eq!(world.task(task()).tries.get(&Cause::WroteWhileReading), Some(&1));
}

#[test]
fn a_report_on_another_tree_proves_nothing() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    let mut report = checks_green();
    report.tree = crate::world::tree("f");
    world.end_checks_exactly(report);
    assert_ne!(world.stage(task()), StageName::Reviewing);
}

#[test]
fn a_writer_that_changed_nothing_has_not_finished() {
    let mut world = World::new();
    world.start_shift(1);
    let (end, _) = wrote("a");
    world.end_agent(end, LeftBehind::Nothing);
    assert_eq!(world.task(task()).tries.get(&Cause::NoChange), Some(&1));
}

#[test]
fn the_same_change_with_the_same_failure_three_times_is_parked() {
    let mut world = World::new();
    world.start_shift(1);
    for _ in 0..3 {
        world.end_writer(wrote("a"));
        world.end_checks(checks_red("same"));
    }
    let Stage::Parked {
        park: Park::NoProgress { same, alike },
        ..
    } = &world.task(task()).stage
    else {
        panic!("{:?}", world.task(task()).stage)
    };
    assert_eq!((same.failing.len(), *alike), (1, Likeness::Tree));
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn without_checks_nothing_lands_unless_the_policy_says_so() {
    let mut world = World::with(|config| config.checks.clear());
    world.start_shift(1);
    world.end_writer(wrote("a"));
    assert!(matches!(
        world.task(task()).stage,
        Stage::Parked {
            park: Park::NoChecks,
            ..
        }
    ));

    let mut world = World::with(|config| {
        config.checks.clear();
        config.policy.unchecked = UncheckedRule::LandOnReview;
    });
    world.start_shift(1);
    world.end_writer(wrote("a"));
    assert_eq!(world.stage(task()), StageName::Reviewing);
}

#[test]
fn without_review_a_proven_change_lands() {
    let mut world = World::with(|config| config.policy.review = ReviewRule::Off);
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    assert_eq!(world.stage(task()), StageName::Landing);
}

#[test]
fn a_conflict_goes_back_to_the_head_with_the_hunks() {
    let mut world = World::new();
    world.start_shift(1);
    world.bring_to_landing(task(), "a");
    let head = crate::world::commit("e");
    let hunks = vec![turno_core::task::ConflictHunk {
        file: "x.rs".to_owned(),
        text: "<<<<".to_owned(),
    }];
    let commands = world.end_landing(LandingEnd::Conflict {
        hunks,
        head: head.clone(),
    });
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.from, head);
    assert!(matches!(
        &start.brief.ask,
        turno_core::brief::Ask::Write {
            because: Because::Conflict { .. },
            ..
        }
    ));
}

#[test]
fn a_quota_waits_until_it_resets() {
    let mut world = World::with(|config| config.personas[0].agents.truncate(1));
    world.start_shift(1);
    let reset = world.now + Span(60_000);
    let failure = Failure {
        retry_after: RetryAfter::At(reset),
        luck: Luck::NONE,
        ..Failure::new(Cause::Quota, "used up")
    };
    world.end_agent(AgentEnd::Failed(failure), LeftBehind::Nothing);
    assert_eq!(turno_core::next_deadline(&world.state), Some(reset));
    assert_eq!(world.ended(), None);
    world.now = reset;
    let commands = world.take(Event::TimePassed);
    assert!(matches!(commands[..], [Command::StartAgent(_)]), "{commands:?}");
}

#[test]
fn an_agent_that_is_not_signed_in_is_not_tried_again() {
    let mut world = World::with(|config| config.personas[0].agents.truncate(1));
    world.start_shift(1);
    world.end_agent(
        AgentEnd::Failed(Failure::new(Cause::SignIn, "log in")),
        LeftBehind::Nothing,
    );
    assert!(matches!(world.task(task()).stage, Stage::Parked { .. }));
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn a_small_budget_is_shared_by_those_that_start() {
    let mut world = World::new();
    world.budget = MicroUsd(100_000);
    let commands = world.start_shift(2);
    let caps: Vec<u64> = commands
        .iter()
        .map(|c| match c {
            Command::StartAgent(start) => start.limits.cap.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(caps, [50_000, 50_000]);
}

#[test]
fn what_is_left_starts_nothing_and_says_so() {
    let mut world = World::new();
    world.budget = MicroUsd(30_000);
    world.start_shift(1);
    world.spend(15_000);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    let why = turno_core::step::waiting(&world.state, &world.task(task()));
    assert!(matches!(why, Some(Waiting::NoShift)), "{why:?}");
    assert_eq!(world.ended(), Some(ShiftEnd::Budget));
}

#[test]
fn engineers_take_turns() {
    let mut world = World::with(|config| {
        let mut second = config.personas[0].clone();
        second.name = "second".parse().unwrap();
        config.personas.insert(1, second);
    });
    let commands = world.start_shift(2);
    let names: Vec<String> = commands
        .iter()
        .map(|c| match c {
            Command::StartAgent(start) => start.persona.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["engineer", "second"]);
}

#[test]
fn a_role_that_nobody_plays_is_named() {
    let mut world = World::with(|config| config.personas.retain(|p| p.role != Role::Reviewer));
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn two_landings_never_run_at_once() {
    let mut world = World::new();
    world.start_shift(2);
    let second: TaskId = "2.1".parse().unwrap();
    world.bring_to_landing(task(), "a");
    world.bring_to_landing(second, "b");
    assert_eq!(world.stage(task()), StageName::Landing);
    assert_eq!(world.stage(second), StageName::Ready);
    let commit: CommitId = crate::world::commit("c");
    let commands = world.end_landing(LandingEnd::Landed { commit });
    assert!(
        matches!(&commands[..], [Command::Land(start)] if start.task == second),
        "{commands:?}"
    );
}

#[test]
fn a_report_that_leaves_a_check_out_proves_nothing() {
    let mut world = World::with(|config| {
        let mut second = config.checks[0].clone();
        second.name = "lint".parse().unwrap();
        config.checks.push(second);
    });
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    assert_ne!(world.stage(task()), StageName::Reviewing);
    assert_eq!(world.task(task()).tries.get(&Cause::CouldNotCheck), Some(&1));
}

#[test]
fn a_proof_by_other_checks_is_proven_again_in_the_next_shift() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    world.take(Event::StopAsked { how: StopHow::Now });
    world.end_agent(
        AgentEnd::Failed(Failure::new(Cause::Stopped, "")),
        LeftBehind::Nothing,
    );
    assert!(matches!(world.task(task()).work(), Some(Work::Review(_))));
    let mut config = turno_core::config::Config::clone(world.state.config.as_ref().unwrap());
    config.checks[0].command = "make test-all".to_owned();
    world.take(Event::ConfigLoaded {
        config: Box::new(config),
    });
    world.start_shift(0);
    assert_eq!(world.stage(task()), StageName::Checking);
}

#[test]
fn a_quota_of_one_agent_is_not_a_wait_for_another() {
    let mut world = World::new();
    world.start_shift(1);
    world.open_session("conversation");
    let first = world.task(task()).agent_run().unwrap().agent.clone();
    let failure = Failure {
        retry_after: RetryAfter::At(world.now + Span(86_400_000)),
        ..Failure::new(Cause::Quota, "used up")
    };
    let commands = world.end_agent(AgentEnd::Failed(failure), LeftBehind::Nothing);
    let [Command::StartAgent(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_ne!(start.agent, first);
    assert_eq!(start.session, Session::Fresh);
}
