//! Testers: on each change, before the work, and what they may not do.

use rstest::rstest;
use turno_core::check::CheckVerdict;
use turno_core::command::{Command, Session};
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::Cause;
use turno_core::outcome::{Outcome, Verdict};
use turno_core::persona::{Access, Role};
use turno_core::policy::{NewTestsRule, ReviewRule, TestRule};
use turno_core::task::{Because, Bounds, ChangeKind, Park, Stage, Work};
use turno_core::view::StageName;

use crate::team::{failing, id, leaving, plan, planned, starts};
use crate::world::{World, approve, finding};

/// A world in which a tester has its turn on 1.1.
fn tested(rule: NewTestsRule) -> World {
    let mut world = World::team(|config| {
        config.policy.tests = TestRule::EachChange;
        config.policy.new_tests = rule;
    });
    world.start_shift(1);
    world.open_session("conversation");
    world.writes(id("1.1"), &["src/lib.rs"]);
    let commands = world.green(id("1.1"));
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(
        (start.persona.as_str(), &start.session),
        ("tester", &Session::Fresh)
    );
    world
}

#[test]
fn what_a_tester_adds_is_checked_and_becomes_part_of_the_change() {
    let mut world = tested(NewTestsRule::Pass);
    let commands = world.end(id("1.1"), approve(), leaving(7, &["tests/a.rs"]));
    assert!(
        matches!(&commands[..], [Command::RunChecks(start)] if start.new_tests.is_none()),
        "{commands:?}"
    );
    world.green(id("1.1"));
    let Work::Review(proven) = world.work(id("1.1")) else {
        panic!("{:?}", world.work(id("1.1")))
    };
    assert_eq!(proven.change.commit, crate::team::sha(7));
    assert_eq!(
        proven.change.paths,
        ["src/lib.rs".to_owned(), "tests/a.rs".to_owned()].into()
    );
    assert!(matches!(&proven.change.kind, ChangeKind::Tested { added, .. } if added.len() == 1));
}

#[test]
fn a_tester_that_adds_nothing_needs_no_second_check() {
    let mut world = tested(NewTestsRule::FailOnBase);
    world.says(id("1.1"), approve());
    assert_eq!(world.stage(id("1.1")), StageName::Reviewing);
}

#[test]
fn what_a_tester_finds_goes_back_to_the_writers_conversation() {
    let mut world = tested(NewTestsRule::Pass);
    let commands = world.end(id("1.1"), finding("it crashes"), leaving(7, &["tests/a.rs"]));
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.session, Session::Resume("conversation".parse().unwrap()));
    assert_eq!(start.from, crate::team::sha(7), "with the test that shows it");
}

#[rstest]
#[case::nothing_found(AgentEnd::Finished(Outcome::verdict(Verdict::Findings { findings: vec![] })))]
#[case::a_change(AgentEnd::Finished(Outcome::change("")))]
fn what_is_no_verdict_of_a_tester_lets_nothing_pass(#[case] end: AgentEnd) {
    let mut world = tested(NewTestsRule::Pass);
    world.says(id("1.1"), end);
    assert_eq!(world.stage(id("1.1")), StageName::Testing);
    assert_eq!(world.task(id("1.1")).tries.get(&Cause::NoOutcome), Some(&1));
}

#[test]
fn a_tester_that_wrote_elsewhere_has_no_vote() {
    let mut world = tested(NewTestsRule::Pass);
    world.end(id("1.1"), approve(), leaving(7, &["tests/a.rs", "src/lib.rs"]));
    assert_eq!(world.stage(id("1.1")), StageName::Testing);
    assert_eq!(world.task(id("1.1")).tries.get(&Cause::OutOfBounds), Some(&1));
    let Work::Test(proven) = world.work(id("1.1")) else {
        panic!()
    };
    assert_eq!(
        proven.change.kind,
        ChangeKind::Written,
        "what it wrote is no part of the change"
    );
}

#[rstest]
#[case::fail(failing(), StageName::Reviewing)]
#[case::pass(CheckVerdict::Pass, StageName::Testing)]
#[case::unknown(CheckVerdict::CouldNotRun { why: "gone".to_owned() }, StageName::Testing)]
fn new_tests_must_fail_without_the_change(#[case] without: CheckVerdict, #[case] next: StageName) {
    let mut world = tested(NewTestsRule::FailOnBase);
    let commands = world.end(id("1.1"), approve(), leaving(7, &["tests/a.rs"]));
    let [Command::RunChecks(start)] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(
        start.new_tests.as_ref().unwrap().paths,
        ["tests/a.rs".to_owned()].into()
    );
    world.shows(id("1.1"), |_| CheckVerdict::Pass, Some(without));
    assert_eq!(world.stage(id("1.1")), next);
}

#[test]
fn tests_that_show_nothing_do_not_pass_by_being_left_as_they_are() {
    let mut world = tested(NewTestsRule::FailOnBase);
    world.end(id("1.1"), approve(), leaving(7, &["tests/a.rs"]));
    world.shows(id("1.1"), |_| CheckVerdict::Pass, Some(CheckVerdict::Pass));
    for _ in 0..3 {
        assert_eq!(world.stage(id("1.1")), StageName::Testing);
        world.says(id("1.1"), approve());
    }
    let stage = world.task(id("1.1")).stage;
    assert!(
        matches!(&stage, Stage::Parked { park: Park::OutOfTries { failure }, .. } if failure.cause == Cause::TestsProveNothing),
        "{stage:?}"
    );
}

/// A world in which a tester writes the tests of 1.1 first.
fn tests_first() -> World {
    let mut world = World::team(|config| config.policy.tests = TestRule::First);
    let commands = world.start_shift(1);
    assert_eq!(starts(&commands)[0].persona.as_str(), "tester");
    world
}

#[test]
fn red_tests_are_frozen_and_an_engineer_makes_them_pass() {
    let mut world = tests_first();
    world.writes(id("1.1"), &["tests/a.rs"]);
    let commands = world.checks(id("1.1"), &failing());
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.persona.as_str(), "engineer");
    let frozen = world.task(id("1.1")).frozen.unwrap();
    assert_eq!(frozen.paths, ["tests/a.rs".to_owned()].into());
    assert_eq!(
        (&start.from, &start.since),
        (&frozen.commit, &Some(frozen.commit.clone()))
    );
    world.completes(id("1.1"));
}

#[test]
fn tests_that_pass_before_the_work_go_back_to_the_tester() {
    let mut world = tests_first();
    world.writes(id("1.1"), &["tests/a.rs"]);
    let commands = world.green(id("1.1"));
    assert_eq!(starts(&commands)[0].persona.as_str(), "tester");
    assert!(matches!(world.work(id("1.1")), Work::Write(job) if job.because == Because::TestsPassAlready));
    assert_eq!(world.task(id("1.1")).frozen, None);
}

#[test]
fn frozen_tests_are_nobodys_to_change() {
    let mut world = tests_first();
    world.writes(id("1.1"), &["tests/a.rs"]);
    world.checks(id("1.1"), &failing());
    let commands = world.writes(id("1.1"), &["src/lib.rs", "tests/a.rs"]);
    assert_eq!(starts(&commands)[0].persona.as_str(), "engineer");
    let Work::Write(job) = world.work(id("1.1")) else {
        panic!()
    };
    assert!(
        matches!(&job.because, Because::OutOfBounds { paths, rule: Bounds::FrozenTests } if paths.len() == 1),
        "{job:?}"
    );
}

#[test]
fn a_task_of_tests_alone_that_went_out_of_bounds_stays_that_task() {
    let mut world = World::planning(|_| {});
    let task = turno_core::outcome::PlannedTask {
        writer: Role::Tester,
        ..planned("a", &[], &[])
    };
    world.says(id("1.0"), plan(vec![task]));
    world.writes(id("1.1"), &["src/lib.rs"]);
    assert_eq!(world.task(id("1.1")).tries.get(&Cause::OutOfBounds), Some(&1));
    world.writes(id("1.1"), &["tests/a.rs"]);
    world.green(id("1.1"));
    assert_eq!(
        world.stage(id("1.1")),
        StageName::Reviewing,
        "green is what it is for"
    );
    assert_eq!(world.task(id("1.1")).frozen, None);
}

#[rstest]
#[case::unnamed(vec![], StageName::Writing)]
#[case::another(vec!["src/lib.rs"], StageName::Writing)]
#[case::named(vec!["ci/run.sh"], StageName::Landing)]
fn a_protected_path_needs_a_word_of_its_own(
    #[case] named: Vec<&str>,
    #[case] next: StageName,
    #[values(ReviewRule::Off, ReviewRule::Required)] review: ReviewRule,
) {
    let mut world = World::team(|config| {
        config.policy.review = review;
        config.policy.protected = vec!["ci".to_owned()];
    });
    world.start_shift(1);
    world.writes(id("1.1"), &["ci/run.sh", "src/lib.rs"]);
    world.green(id("1.1"));
    assert_eq!(world.stage(id("1.1")), StageName::Reviewing, "review is forced");
    let end = AgentEnd::Finished(Outcome::Verdict {
        verdict: Verdict::Approve { notes: vec![] },
        read: vec![],
        protected: named.into_iter().map(str::to_owned).collect(),
        proposals: vec![],
        lessons: vec![],
    });
    world.says(id("1.1"), end);
    assert_eq!(world.stage(id("1.1")), next);
}

#[test]
fn those_who_judge_may_not_write_and_say_so() {
    let mut world = tested(NewTestsRule::Pass);
    assert_eq!(Role::Tester.access(), Access::Tests);
    world.says(id("1.1"), approve());
    world.end(id("1.1"), approve(), leaving(8, &["tests/b.rs"]));
    assert_eq!(
        world.task(id("1.1")).tries.get(&Cause::WroteWhileReading),
        Some(&1)
    );
    let attempt = world.attempt(id("1.1"));
    let failure = turno_core::failure::Failure::new(Cause::Workspace, "no room");
    world.take(Event::AttemptFailed { attempt, failure });
    world.end(id("1.1"), approve(), LeftBehind::Nothing);
    assert_eq!(world.stage(id("1.1")), StageName::Landing);
}
