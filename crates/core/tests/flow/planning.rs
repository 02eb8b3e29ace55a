//! Plans: what is refused and how, what proposals and stuck tasks lead to, how an issue is accepted.

use rstest::rstest;
use turno_core::brief::Ask;
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Event};
use turno_core::issue::{IssueStage, ProposalStage};
use turno_core::outcome::{Outcome, PlannedDrop, PlannedTask, ProposalAnswer, ProposalVerdict, Verdict};
use turno_core::policy::AcceptRule;
use turno_core::shift::ShiftEnd;
use turno_core::step::Waiting;
use turno_core::task::{Park, PlanBecause, Stage, Work};
use turno_core::view::StageName;

use crate::team::{answering, id, missing, plan, planned, proposal, starts};
use crate::world::{World, approve, finding};

fn without_acceptance() -> PlannedTask {
    PlannedTask {
        acceptance: vec![" ".to_owned()],
        ..planned("a", &[], &[])
    }
}

#[rstest]
#[case::circle(vec![planned("a", &["c"], &[]), planned("b", &["a"], &[]), planned("c", &["b"], &[])], "a -> c -> b -> a")]
#[case::itself(vec![planned("a", &["a"], &[])], "a -> a")]
#[case::unknown_need(vec![planned("a", &["nobody"], &[])], "needs `nobody`")]
#[case::no_acceptance(vec![without_acceptance()], "no acceptance criterion")]
#[case::nothing(vec![], "at least one task")]
#[case::too_many((0..21).map(|n| planned(&format!("k{n}"), &[], &[])).collect(), "the issue may get 20 more")]
#[case::twice(vec![planned("a", &[], &[]), planned("a", &[], &[])], "two tasks have the key `a`")]
#[case::leads_out(vec![planned("a", &[], &["../x"])], "leads out of the repository")]
fn a_plan_that_is_not_sound_goes_back_with_what_is_wrong(
    #[case] tasks: Vec<PlannedTask>,
    #[case] wrong: &str,
) {
    let mut world = World::planning(|_| {});
    let commands = world.says(id("1.0"), plan(tasks));
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    let Ask::Plan {
        because: PlanBecause::Invalid { errors, .. },
        ..
    } = &start.brief.ask
    else {
        panic!("{:?}", start.brief.ask)
    };
    assert!(errors.iter().any(|e| e.contains(wrong)), "{errors:?}");
    assert!(
        !world.state.tasks.contains_key(&id("1.1")),
        "nothing of it is begun"
    );
}

#[test]
fn after_its_repairs_a_plan_waits_for_a_person() {
    let mut world = World::planning(|config| config.policy.caps.repairs = 2);
    for _ in 0..2 {
        world.says(id("1.0"), plan(vec![]));
        assert_eq!(world.stage(id("1.0")), StageName::Planning);
    }
    world.says(id("1.0"), plan(vec![]));
    let stage = world.task(id("1.0")).stage;
    assert!(
        matches!(&stage, Stage::Parked { park: Park::NoPlan { errors }, work: Work::Plan(PlanBecause::New) } if errors.len() == 1),
        "{stage:?}"
    );
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    world.run_again();
    assert_eq!(
        world.stage(id("1.0")),
        StageName::Planning,
        "a person asked once more"
    );
}

#[test]
fn tasks_on_the_same_paths_come_one_after_the_other() {
    let mut world = World::planning(|_| {});
    let tasks = vec![
        planned("a", &[], &["src/**"]),
        planned("b", &[], &["src/x.rs"]),
        planned("c", &[], &["docs/**"]),
    ];
    let commands = world.says(id("1.0"), plan(tasks));
    assert_eq!(starts(&commands).len(), 2, "a and c");
    assert_eq!(world.task(id("1.2")).spec.needs, [id("1.1")].into());
    assert_eq!(world.task(id("1.3")).spec.needs, [].into());
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
}

/// A world in which 1.1 is landed with a proposal, 1.2 waits for 1.3 that is written, and the author is asked.
fn with_a_proposal() -> World {
    let mut world = World::planning(|_| {});
    let tasks = vec![
        planned("a", &[], &[]),
        planned("b", &["c"], &[]),
        planned("c", &[], &[]),
    ];
    world.says(id("1.0"), plan(tasks));
    let attempt = world.attempt(id("1.1"));
    world.take(Event::TaskProposed {
        attempt,
        proposed: proposal("more"),
    });
    assert_eq!(world.work(id("1.0")), Work::Plan(PlanBecause::Proposals));
    world
}

fn answer(verdict: ProposalVerdict) -> Vec<ProposalAnswer> {
    vec![ProposalAnswer {
        proposal: "p1".parse().unwrap(),
        verdict,
        reason: "so be it".to_owned(),
    }]
}

#[test]
fn a_proposal_that_is_accepted_becomes_a_task_one_deeper() {
    let mut world = with_a_proposal();
    let accept = answer(ProposalVerdict::Accept { key: "d".to_owned() });
    world.says(id("1.0"), answering(vec![planned("d", &[], &[])], accept));
    assert_eq!(world.task(id("1.4")).spec.depth, 1);
    let stage = &world.state.issues[&id("1.0").issue].plan.proposals[0].stage;
    assert!(
        matches!(stage, ProposalStage::Accepted { task, .. } if *task == id("1.4")),
        "{stage:?}"
    );
}

#[test]
fn a_proposal_that_is_merged_is_told_to_the_writer() {
    let mut world = with_a_proposal();
    let into = id("1.2");
    world.says(
        id("1.0"),
        answering(vec![], answer(ProposalVerdict::Merge { into })),
    );
    assert!(world.task(into).spec.brief.contains("it turned out"));
}

#[rstest]
#[case::begun("1.1")]
#[case::lead("1.0")]
fn a_proposal_is_not_merged_into_what_is_under_way(#[case] into: &str) {
    let mut world = with_a_proposal();
    let into = id(into);
    world.says(
        id("1.0"),
        answering(vec![], answer(ProposalVerdict::Merge { into })),
    );
    assert!(matches!(
        world.work(id("1.0")),
        Work::Plan(PlanBecause::Invalid { .. })
    ));
}

#[test]
fn every_proposal_is_answered_and_a_declined_one_is_not_asked_again() {
    let mut world = with_a_proposal();
    world.says(id("1.0"), plan(vec![]));
    let Work::Plan(PlanBecause::Invalid { errors, .. }) = world.work(id("1.0")) else {
        panic!()
    };
    assert!(errors[0].contains("p1 is not answered"), "{errors:?}");
    world.says(id("1.0"), answering(vec![], answer(ProposalVerdict::Decline)));
    assert_eq!(world.stage(id("1.0")), StageName::Blocked);
    let attempt = world.attempt(id("1.1"));
    world.take(Event::TaskProposed {
        attempt,
        proposed: proposal("more"),
    });
    assert_eq!(world.stage(id("1.0")), StageName::Blocked);
}

#[test]
fn what_is_too_far_from_the_plan_is_declined_at_once() {
    let mut world = World::planning(|config| config.policy.caps.depth = 0);
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    let attempt = world.attempt(id("1.1"));
    world.take(Event::TaskProposed {
        attempt,
        proposed: proposal("more"),
    });
    let stage = &world.state.issues[&id("1.0").issue].plan.proposals[0].stage;
    assert!(matches!(stage, ProposalStage::Declined { .. }), "{stage:?}");
    assert_eq!(world.stage(id("1.0")), StageName::Blocked);
}

fn replacing(tasks: Vec<PlannedTask>, by: &[&str]) -> AgentEnd {
    AgentEnd::Finished(Outcome::Plan {
        tasks,
        answers: vec![],
        drops: vec![PlannedDrop {
            task: id("1.1"),
            replaced_by: by.iter().map(|k| (*k).to_owned()).collect(),
            reason: "another way".to_owned(),
        }],
    })
}

/// A world in which 1.1 is stuck, 1.2 needs it, and the author is asked what to do.
fn stuck() -> World {
    let mut world = World::planning(|_| {});
    world.says(
        id("1.0"),
        plan(vec![planned("a", &[], &[]), planned("b", &["a"], &[])]),
    );
    world.stumbles(id("1.1"));
    let tasks = [id("1.1")].into();
    assert_eq!(world.work(id("1.0")), Work::Plan(PlanBecause::Stuck { tasks }));
    world
}

#[test]
fn what_needs_a_stuck_task_needs_what_replaces_it() {
    let mut world = stuck();
    world.says(id("1.0"), replacing(vec![planned("c", &[], &[])], &["c"]));
    assert_eq!(world.stage(id("1.1")), StageName::Dropped);
    assert_eq!(world.task(id("1.2")).spec.needs, [id("1.3")].into());
    world.completes(id("1.3"));
    assert_eq!(world.stage(id("1.2")), StageName::Writing);
}

#[rstest]
#[case::over_a_task_there_is(vec![planned("c", &["1.2"], &[])], "1.2 -> c -> 1.2")]
#[case::on_what_is_given_up(vec![planned("c", &["1.1"], &[])], "needs `1.1`")]
fn a_plan_cannot_wait_for_what_it_drops(#[case] tasks: Vec<PlannedTask>, #[case] wrong: &str) {
    let mut world = stuck();
    world.says(id("1.0"), replacing(tasks, &["c"]));
    let Work::Plan(PlanBecause::Invalid { errors, .. }) = world.work(id("1.0")) else {
        panic!("{:?}", world.work(id("1.0")))
    };
    assert!(errors.iter().any(|e| e.contains(wrong)), "{errors:?}");
}

#[test]
fn a_stuck_task_that_the_author_leaves_waits_for_a_person() {
    let mut world = stuck();
    world.says(id("1.0"), plan(vec![]));
    assert_eq!(world.stage(id("1.0")), StageName::Blocked);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    let waits = turno_core::step::waiting(&world.state, &world.task(id("1.0")));
    assert_eq!(waits, Some(Waiting::Needs([id("1.1"), id("1.2")].into())));
}

#[test]
fn what_is_missing_is_planned_and_then_accepted() {
    let mut world = World::planning(|_| {});
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    let commands = world.says(id("1.0"), missing(&["the manual"]));
    assert!(format!("{:?}", starts(&commands)[0].brief.ask).contains("the manual"));
    world.says(id("1.0"), plan(vec![planned("b", &[], &[])]));
    world.completes(id("1.2"));
    assert_eq!(world.stage(id("1.0")), StageName::Accepting);
    let commands = world.says(id("1.0"), missing(&[]));
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
    let stage = &world.state.issues[&id("1.0").issue].stage;
    assert!(matches!(stage, IssueStage::Review { .. }), "{stage:?}");
}

#[test]
fn an_issue_is_planned_again_only_so_often() {
    let mut world = World::planning(|config| config.policy.caps.rounds = 1);
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    world.says(id("1.0"), missing(&["x"]));
    world.says(id("1.0"), plan(vec![planned("b", &[], &[])]));
    world.completes(id("1.2"));
    world.says(id("1.0"), missing(&["y"]));
    let stage = world.task(id("1.0")).stage;
    assert!(
        matches!(&stage, Stage::Parked { park: Park::NotAccepted { missing }, .. } if missing[..] == ["y"]),
        "{stage:?}"
    );
}

#[rstest]
#[case::found(finding("it crashes"), false)]
#[case::fine(approve(), true)]
#[case::nothing_said(AgentEnd::Finished(Outcome::verdict(Verdict::Findings { findings: vec![] })), false)]
fn an_authors_word_does_not_outweigh_a_testers_findings(#[case] verdict: AgentEnd, #[case] accepted: bool) {
    let mut world = World::planning(|config| config.policy.accept = AcceptRule::Team);
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.0")), StageName::Trying);
    world.says(id("1.0"), verdict);
    if world.stage(id("1.0")) == StageName::Accepting {
        world.says(id("1.0"), missing(&[]));
    }
    assert_eq!(world.stage(id("1.0")) == StageName::Accepted, accepted);
}

#[test]
fn what_a_tester_reports_on_the_way_counts_in_the_trial() {
    let mut world = World::planning(|config| config.policy.accept = AcceptRule::Team);
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    let AgentEnd::Finished(Outcome::Verdict {
        verdict: Verdict::Findings { findings },
        ..
    }) = finding("it crashes")
    else {
        panic!()
    };
    let attempt = world.attempt(id("1.0"));
    let said = turno_core::task::Said::Finding(findings[0].clone());
    world.take(Event::Noted { attempt, said });
    world.take(Event::TaskProposed {
        attempt,
        proposed: proposal("more"),
    });
    world.says(id("1.0"), approve());
    world.says(id("1.0"), missing(&[]));
    assert!(matches!(
        world.work(id("1.0")),
        Work::Plan(PlanBecause::Missing { .. })
    ));
}

#[test]
fn what_is_proposed_in_the_last_trial_is_declined_with_the_acceptance() {
    let mut world = World::planning(|config| config.policy.accept = AcceptRule::Team);
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    let attempt = world.attempt(id("1.0"));
    world.take(Event::TaskProposed {
        attempt,
        proposed: proposal("more"),
    });
    world.says(id("1.0"), approve());
    world.says(id("1.0"), missing(&[]));
    assert_eq!(world.stage(id("1.0")), StageName::Accepted);
    assert_eq!(world.state.issues[&id("1.0").issue].open_proposals().count(), 0);
}
