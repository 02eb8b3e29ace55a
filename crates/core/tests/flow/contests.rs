//! Contests: several writers try the same task, one change lands.

use rstest::rstest;
use turno_core::brief::Ask;
use turno_core::issue::{IssueDraft, IssueStage, Split};
use turno_core::outcome::PlannedTask;
use turno_core::policy::ReviewRule;
use turno_core::shift::ShiftEnd;
use turno_core::task::{Park, Stage, Work};
use turno_core::view::StageName;

use crate::team::{chose, failing, id, missing, plan, planned, starts, titled};
use crate::world::World;

/// Three candidates, of which the third has given up and the first two are proven.
fn contest(review: ReviewRule, paths: &[&str]) -> World {
    let mut world = three(review);
    world.stumbles(id("1.3"));
    world.writes(id("1.1"), paths);
    world.green(id("1.1"));
    assert_eq!(world.stage(id("1.1")), StageName::Entered);
    world.writes(id("1.2"), paths);
    world.green(id("1.2"));
    world
}

fn three(review: ReviewRule) -> World {
    let mut world = World::team(|config| {
        config.policy.review = review;
        config.policy.protected = vec!["ci/**".to_owned()];
    });
    world.file(IssueDraft {
        split: Split::Candidates(3),
        ..titled("hard")
    });
    let commands = world.run_again();
    let starts = starts(&commands);
    assert_eq!(starts.len(), 3);
    assert_ne!(
        starts[0].agent, starts[1].agent,
        "they begin with different agents"
    );
    world
}

#[test]
fn the_winner_of_those_that_are_proven_lands_and_the_others_are_dropped() {
    let mut world = contest(ReviewRule::Required, &["src/lib.rs"]);
    let run = world.task(id("1.1")).agent_run().cloned().unwrap();
    assert_eq!(run.persona.as_str(), "reviewer");
    assert_eq!(world.stage(id("1.1")), StageName::Comparing);
    world.says(id("1.1"), chose(Some("1.2")));
    assert_eq!(world.stage(id("1.1")), StageName::Dropped);
    assert_eq!(world.stage(id("1.3")), StageName::Dropped);
    world.lands(id("1.2"));
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn two_that_are_proven_are_compared_and_nobody_is_told_of_the_third() {
    let mut world = three(ReviewRule::Required);
    world.stumbles(id("1.3"));
    world.writes(id("1.1"), &["src/lib.rs"]);
    world.green(id("1.1"));
    world.writes(id("1.2"), &["src/lib.rs"]);
    let commands = world.green(id("1.2"));
    let Ask::Compare { candidates, .. } = &starts(&commands)[0].brief.ask else {
        panic!("{commands:?}")
    };
    let ids: Vec<_> = candidates.iter().map(|c| c.task).collect();
    assert_eq!(ids, [id("1.1"), id("1.2")]);
}

#[test]
fn a_choice_of_nobody_there_is_no_choice() {
    let mut world = contest(ReviewRule::Required, &["src/lib.rs"]);
    world.says(id("1.1"), chose(Some("1.3")));
    assert_eq!(world.stage(id("1.1")), StageName::Comparing);
    assert_eq!(world.stage(id("1.2")), StageName::Entered);
}

#[test]
fn where_none_is_good_enough_a_person_looks() {
    let mut world = contest(ReviewRule::Required, &["src/lib.rs"]);
    world.says(id("1.1"), chose(None));
    for task in ["1.1", "1.2"] {
        let stage = world.task(id(task)).stage;
        assert!(
            matches!(
                stage,
                Stage::Parked {
                    park: Park::NoCandidate { .. },
                    ..
                }
            ),
            "{stage:?}"
        );
    }
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[rstest]
#[case(ReviewRule::Required)]
#[case(ReviewRule::Off)]
fn the_only_one_that_is_proven_lands_and_ends_the_contest(#[case] review: ReviewRule) {
    let mut world = three(review);
    world.stumbles(id("1.2"));
    world.stumbles(id("1.3"));
    world.writes(id("1.1"), &["src/lib.rs"]);
    world.green(id("1.1"));
    world.completes(id("1.1"));
    assert_eq!(
        world.stage(id("1.2")),
        StageName::Dropped,
        "it would else land a second time"
    );
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
    let stage = &world.state.issues[&id("1.0").issue].stage;
    assert!(matches!(stage, IssueStage::Review { .. }), "{stage:?}");
}

#[test]
fn a_choice_is_no_word_on_protected_paths() {
    let mut world = contest(ReviewRule::Off, &["ci/run.sh"]);
    world.says(id("1.1"), chose(Some("1.2")));
    assert_eq!(world.stage(id("1.2")), StageName::Reviewing);
}

#[test]
fn the_only_one_with_a_protected_path_is_reviewed_also_without_review() {
    let mut world = three(ReviewRule::Off);
    world.stumbles(id("1.2"));
    world.stumbles(id("1.3"));
    world.writes(id("1.1"), &["ci/run.sh"]);
    world.green(id("1.1"));
    assert_eq!(world.stage(id("1.1")), StageName::Reviewing);
}

#[test]
fn a_comparison_that_waits_for_a_person_is_not_decided_without_it() {
    let mut world = contest(ReviewRule::Required, &["src/lib.rs"]);
    world.stumbles(id("1.1"));
    assert!(matches!(world.work(id("1.1")), Work::Compare(_)));
    assert_eq!(world.stage(id("1.2")), StageName::Entered);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    world.run_again();
    assert_eq!(world.stage(id("1.1")), StageName::Comparing);
}

#[test]
fn a_winner_that_stumbles_on_the_way_is_still_the_only_one() {
    let mut world = contest(ReviewRule::Required, &["src/lib.rs"]);
    world.says(id("1.1"), chose(Some("1.1")));
    let attempt = world.attempt(id("1.1"));
    let report = match &world.task(id("1.1")).stage {
        Stage::Landing { approved, .. } => match &approved.proven.proof {
            turno_core::task::Proof::Checked(report) => report.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let mut red = report;
    red.results[0].verdict = failing();
    let end = turno_core::event::LandingEnd::NotGreen {
        rebased: crate::team::sha(5),
        head: crate::team::sha(6),
        report: red,
    };
    world.take(turno_core::event::Event::LandingEnded { attempt, end });
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
    world.completes(id("1.1"));
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn what_needs_one_candidate_is_freed_by_any() {
    let mut world = World::planning(|_| {});
    world.says(
        id("1.0"),
        plan(vec![planned("a", &[], &[]), planned("b", &[], &[])]),
    );
    world.stumbles(id("1.1"));
    // The two become rivals, as the candidates of an issue are.
    for task in ["1.1", "1.2"] {
        let task = world
            .state
            .tasks
            .get_mut(&id(task))
            .map(std::sync::Arc::make_mut)
            .unwrap();
        task.spec.contest = Some(id("1.1"));
    }
    let depends = PlannedTask {
        needs: vec!["1.1".to_owned()],
        ..planned("c", &[], &[])
    };
    world.says(id("1.0"), plan(vec![depends]));
    assert_eq!(world.stage(id("1.3")), StageName::Blocked);
    world.completes(id("1.2"));
    assert_eq!(world.stage(id("1.3")), StageName::Writing);
    world.completes(id("1.3"));
    world.says(id("1.0"), missing(&[]));
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}
