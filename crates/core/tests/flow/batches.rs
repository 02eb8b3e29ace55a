//! Batches: groups that follow each other, and the trial before the rest.

use rstest::rstest;
use turno_core::event::{Discard, Event};
use turno_core::ids::DecisionId;
use turno_core::issue::{IssueDraft, Item, Items, Split};
use turno_core::policy::{Nobody, TrialRule};
use turno_core::shift::ShiftEnd;
use turno_core::step::Waiting;
use turno_core::units::Span;
use turno_core::view::StageName;

use crate::team::{id, titled};
use crate::world::World;

fn batch(many: u16, group: u16, trial: u16, rule: TrialRule, nobody: Nobody) -> World {
    let mut world = World::team(|config| {
        config.policy.trial = rule;
        config.policy.decisions.nobody = nobody;
    });
    let items = (0..many).map(|n| Item {
        title: format!("item {n}"),
        brief: String::new(),
        acceptance: vec![],
        touches: vec![],
    });
    let items = Items {
        items: items.collect(),
        group,
        trial,
    };
    world.file(IssueDraft {
        split: Split::Items(items),
        ..titled("many")
    });
    world.run_again();
    world
}

fn is_writing(world: &World) -> Vec<String> {
    let writing = world.state.tasks.values();
    writing
        .filter(|t| StageName::of(&t.stage) == StageName::Writing)
        .map(|t| t.id.to_string())
        .collect()
}

#[test]
fn a_group_begins_when_the_one_before_it_is_over_or_parked() {
    let mut world = batch(5, 2, 0, TrialRule::Person, Nobody::Park);
    assert_eq!(is_writing(&world), ["1.1", "1.2"]);
    let waits = turno_core::step::waiting(&world.state, &world.task(id("1.3")));
    assert_eq!(waits, Some(Waiting::Group(0)));
    world.completes(id("1.1"));
    assert_eq!(is_writing(&world), ["1.2"]);
    world.stumbles(id("1.2"));
    assert_eq!(is_writing(&world), ["1.3", "1.4"]);
}

#[test]
fn a_group_that_was_given_up_does_not_hold_back_those_after_it() {
    let mut world = batch(3, 1, 0, TrialRule::Person, Nobody::Park);
    world.take(Event::Discarded {
        what: Discard::Task(id("1.2")),
    });
    world.completes(id("1.1"));
    assert_eq!(is_writing(&world), ["1.3"]);
    assert_eq!(world.ended(), None);
}

#[rstest]
#[case::all_landed(TrialRule::AllLanded, true)]
#[case::a_person_is_asked(TrialRule::Person, false)]
fn after_the_trial_group_the_policy_says_who_is_asked(#[case] rule: TrialRule, #[case] follows: bool) {
    let mut world = batch(4, 3, 1, rule, Nobody::Park);
    assert_eq!(is_writing(&world), ["1.1"]);
    world.completes(id("1.1"));
    assert_eq!(world.state.decisions.is_empty(), follows);
    assert_eq!(is_writing(&world).len(), if follows { 3 } else { 0 });
    assert_eq!(world.ended(), (!follows).then_some(ShiftEnd::NeedsPerson));
}

#[test]
fn a_trial_that_did_not_land_whole_is_a_persons_to_judge() {
    let mut world = batch(4, 3, 1, TrialRule::AllLanded, Nobody::Recommended);
    world.stumbles(id("1.1"));
    let decision = &world.state.decisions[&DecisionId(1)];
    assert!(decision.is_open());
    assert_eq!(decision.question.recommended, None, "nobody recommends to go on");
    world.now = world.now + Span::seconds(3600);
    world.take(Event::TimePassed);
    assert_eq!(is_writing(&world), [""; 0], "nor does the policy");
}

#[rstest]
#[case("go on", &["1.2", "1.3", "1.4"], StageName::Writing)]
#[case("Go On ", &["1.2", "1.3", "1.4"], StageName::Writing)]
#[case("stop", &[], StageName::Dropped)]
#[case("not like this", &[], StageName::Dropped)]
fn a_person_lets_the_rest_follow_or_gives_it_up(
    #[case] answer: &str,
    #[case] writing: &[&str],
    #[case] rest: StageName,
) {
    let mut world = batch(4, 3, 1, TrialRule::Person, Nobody::Wait);
    world.completes(id("1.1"));
    assert_eq!(world.ended(), None, "it waits for the answer");
    world.take(Event::DecisionAnswered {
        decision: DecisionId(1),
        answer: answer.to_owned(),
    });
    assert_eq!(is_writing(&world), writing);
    assert_eq!(world.stage(id("1.2")), rest);
    assert_eq!(world.ended(), writing.is_empty().then_some(ShiftEnd::Done));
}

#[test]
fn nobody_is_asked_about_a_rest_that_was_discarded() {
    let mut world = batch(2, 1, 1, TrialRule::Person, Nobody::Wait);
    world.completes(id("1.1"));
    world.take(Event::Discarded {
        what: Discard::Task(id("1.2")),
    });
    assert!(!world.state.decisions[&DecisionId(1)].is_open());
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}
