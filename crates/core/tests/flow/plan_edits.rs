//! What a person changes in a plan: what is refused and how, and that no work on other words lands.

use rstest::rstest;
use turno_core::admit::{Refused, admit};
use turno_core::brief::Ask;
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Event};
use turno_core::failure::{Cause, Failure};
use turno_core::issue::IssueStage;
use turno_core::outcome::{Outcome, PlannedDrop, PlannedTask, ProposalAnswer, ProposalVerdict};
use turno_core::plan::edit::{Dependants, Origin, PlanEdit, PlanVersion, Running, TaskChange};
use turno_core::policy::AcceptRule;
use turno_core::task::{Because, PlanBecause, Stage, StartFrom, StopWhy};
use turno_core::view::StageName;

use crate::team::{answering, id, missing, plan, planned, proposal, starts};
use crate::world::{World, approve};

fn add(task: PlannedTask) -> PlanEdit {
    PlanEdit::Add(Box::new(task))
}

fn drop(task: &str, dependants: Dependants) -> PlanEdit {
    PlanEdit::Drop {
        task: id(task),
        dependants,
    }
}

fn split(task: &str, into: Vec<PlannedTask>) -> PlanEdit {
    PlanEdit::Split {
        task: id(task),
        into,
        running: Running::Finish,
    }
}

fn needs(task: &str, needs: &[&str]) -> PlanEdit {
    PlanEdit::Change {
        task: id(task),
        to: Box::new(TaskChange {
            needs: Some(needs.iter().map(|n| (*n).to_owned()).collect()),
            ..TaskChange::default()
        }),
        running: Running::Finish,
    }
}

fn words(task: &str, brief: &str, running: Running) -> PlanEdit {
    PlanEdit::Change {
        task: id(task),
        to: Box::new(TaskChange {
            brief: Some(brief.to_owned()),
            ..TaskChange::default()
        }),
        running,
    }
}

impl World {
    fn version(&self) -> PlanVersion {
        self.state.issues[&id("1.0").issue].plan.version
    }

    fn request(&self, edits: Vec<PlanEdit>) -> Event {
        Event::PlanEdited {
            issue: id("1.0").issue,
            version: self.version(),
            edits,
        }
    }

    /// What is sound is taken, and anything else is a mistake of the test.
    fn edits(&mut self, edits: Vec<PlanEdit>) -> Vec<Command> {
        let event = self.request(edits);
        assert_eq!(admit(&self.state, &event), Ok(()));
        self.take(event)
    }
}

/// 1.1 is written, 1.2 needs it, 1.3 needs that.
fn in_a_row() -> World {
    let mut world = World::planning(|_| {});
    let tasks = vec![
        planned("a", &[], &[]),
        planned("b", &["a"], &[]),
        planned("c", &["b"], &[]),
    ];
    world.says(id("1.0"), plan(tasks));
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
    world
}

#[rstest]
#[case::circle(vec![needs("1.2", &["1.3"])], "1.2 -> 1.3 -> 1.2")]
#[case::circle_over_a_key(vec![add(planned("x", &["1.3"], &[])), needs("1.2", &["x"])], "circle: 1.2 -> x -> 1.3 -> 1.2")]
#[case::unknown(vec![add(planned("x", &["1.9"], &[]))], "needs `1.9`")]
#[case::other_issue(vec![add(planned("x", &["2.1"], &[]))], "needs `2.1`")]
#[case::dropped(vec![drop("1.3", Dependants::Keep), add(planned("x", &["1.3"], &[]))], "needs `1.3`")]
#[case::dependants(vec![drop("1.1", Dependants::Keep)], "1.2 needs it")]
#[case::lead(vec![drop("1.0", Dependants::Keep)], "the issue's own task")]
#[case::begun_needs(vec![needs("1.1", &["1.3"])], "1.1 has begun")]
#[case::one_part(vec![split("1.2", vec![planned("x", &[], &[])])], "two tasks or more")]
#[case::running(vec![split("1.1", vec![planned("x", &[], &[]), planned("y", &[], &[])])], "with `--stop`")]
#[case::too_many((0..18).map(|n| add(planned(&format!("k{n}"), &[], &[]))).collect(), "may get 17")]
#[case::leads_out(vec![add(planned("x", &[], &["../x"]))], "leads out of the repository")]
#[case::no_title(vec![add(PlannedTask { title: " ".to_owned(), ..planned("x", &[], &[]) })], "needs a title")]
#[case::nul(vec![words("1.2", "a\0b", Running::Finish)], "NUL")]
#[case::long(vec![words("1.2", &"x".repeat(70_000), Running::Finish)], "bytes of text")]
#[case::nothing(vec![], "nothing of the plan changes")]
fn what_is_not_sound_is_refused_in_words_and_changes_nothing(
    #[case] edits: Vec<PlanEdit>,
    #[case] wrong: &str,
) {
    let mut world = in_a_row();
    let event = world.request(edits);
    let Err(Refused::PlanUnsound { why, .. }) = admit(&world.state, &event) else {
        panic!("it was admitted")
    };
    assert!(why.iter().any(|w| w.contains(wrong)), "{why:?}");
    let before = world.state.tasks.clone();
    let commands = world.take(event);
    assert_eq!(commands, vec![], "the step does not believe the door");
    assert_eq!(world.state.tasks, before);
}

#[test]
fn an_added_task_is_begun_and_the_issue_accepted_after_it() {
    let mut world = in_a_row();
    let commands = world.edits(vec![add(planned("x", &[], &[]))]);
    assert_eq!(starts(&commands).len(), 1);
    assert_eq!(world.task(id("1.4")).spec.by, Origin::Person);
    for task in ["1.1", "1.2", "1.3"] {
        world.completes(id(task));
    }
    assert_eq!(world.stage(id("1.0")), StageName::Blocked, "1.4 is not over");
    world.completes(id("1.4"));
    assert_eq!(world.stage(id("1.0")), StageName::Accepting);
}

#[test]
fn a_task_added_while_the_issue_is_accepted_is_judged_too() {
    let mut world = World::planning(|_| {});
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.0")), StageName::Accepting);
    world.edits(vec![add(planned("x", &["1.1"], &[]))]);
    world.says(id("1.0"), missing(&[]));
    assert_eq!(
        world.stage(id("1.0")),
        StageName::Blocked,
        "what was accepted is not all of it"
    );
    world.completes(id("1.2"));
    assert_eq!(world.stage(id("1.0")), StageName::Accepting);
    world.says(id("1.0"), missing(&[]));
    assert!(matches!(
        world.state.issues[&id("1.0").issue].stage,
        IssueStage::Review { .. }
    ));
}

#[rstest]
#[case(AcceptRule::Author)]
#[case(AcceptRule::Off)]
fn an_issue_in_review_with_a_new_task_is_worked_on_again(#[case] accept: AcceptRule) {
    let mut world = World::planning(|config| config.policy.accept = accept);
    world.says(id("1.0"), plan(vec![planned("a", &[], &[])]));
    world.completes(id("1.1"));
    if accept == AcceptRule::Author {
        world.says(id("1.0"), missing(&[]));
    }
    let stage = |world: &World| world.state.issues[&id("1.0").issue].stage.clone();
    assert!(matches!(stage(&world), IssueStage::Review { .. }));
    assert!(world.ended().is_some());
    world.edits(vec![add(planned("x", &[], &[]))]);
    assert!(matches!(stage(&world), IssueStage::Working { .. }));
    assert_ne!(world.stage(id("1.0")), StageName::Accepted);
    world.run_again();
    world.completes(id("1.2"));
    if accept == AcceptRule::Author {
        world.says(id("1.0"), missing(&[]));
    }
    assert!(matches!(stage(&world), IssueStage::Review { .. }));
}

#[test]
fn what_needed_a_split_task_needs_all_its_parts() {
    let mut world = in_a_row();
    let parts = vec![planned("x", &[], &["src/**"]), planned("y", &[], &["src/y.rs"])];
    world.edits(vec![split("1.2", parts)]);
    assert_eq!(world.stage(id("1.2")), StageName::Dropped);
    assert_eq!(world.task(id("1.3")).spec.needs, [id("1.4"), id("1.5")].into());
    assert_eq!(world.task(id("1.4")).spec.needs, [id("1.1")].into());
    assert_eq!(
        world.task(id("1.5")).spec.needs,
        [id("1.1"), id("1.4")].into(),
        "their paths overlap, so they come one after the other"
    );
    for task in ["1.1", "1.4", "1.5", "1.3"] {
        world.completes(id(task));
    }
    assert_eq!(world.stage(id("1.0")), StageName::Accepting);
}

#[test]
fn what_needed_a_dropped_task_needs_what_it_needed() {
    let mut world = in_a_row();
    world.edits(vec![drop("1.2", Dependants::Rewire)]);
    assert_eq!(world.stage(id("1.2")), StageName::Dropped);
    assert_eq!(world.task(id("1.3")).spec.needs, [id("1.1")].into());
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.3")), StageName::Writing);
}

#[test]
fn one_who_saw_another_plan_changes_nothing() {
    let mut world = in_a_row();
    let late = world.request(vec![drop("1.3", Dependants::Keep)]);
    world.edits(vec![add(planned("x", &[], &[]))]);
    let refused = admit(&world.state, &late);
    assert!(matches!(refused, Err(Refused::PlanMoved { .. })), "{refused:?}");
    world.take(late);
    assert_ne!(world.stage(id("1.3")), StageName::Dropped);
}

#[test]
fn the_order_of_a_person_comes_before_any_other() {
    let mut world = World::planning(|config| config.slots = 1);
    let tasks = vec![
        planned("a", &[], &[]),
        planned("b", &[], &[]),
        planned("c", &[], &[]),
    ];
    world.says(id("1.0"), plan(tasks));
    world.edits(vec![PlanEdit::Order(vec![id("1.3"), id("1.2")])]);
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.3")), StageName::Writing);
    assert_eq!(world.stage(id("1.2")), StageName::Ready);
}

#[test]
fn one_that_is_written_comes_to_its_end_and_is_written_again_with_the_new_words() {
    let mut world = in_a_row();
    let commands = world.edits(vec![words("1.1", "another thing", Running::Finish)]);
    assert_eq!(commands, vec![]);
    world.writes(id("1.1"), &["src/a.rs"]);
    let commands = world.green(id("1.1"));
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.brief.task.brief, "another thing");
    let Stage::Writing { job, .. } = world.task(id("1.1")).stage else {
        panic!("{:?}", world.task(id("1.1")).stage)
    };
    assert!(matches!(job.from, StartFrom::Commit { .. }), "from what is there");
    assert!(matches!(job.because, Because::Interrupted { .. }));
    world.completes(id("1.1"));
    assert_eq!(world.stage(id("1.1")), StageName::Landed);
}

#[test]
fn one_that_is_written_is_stopped_where_that_is_asked() {
    let mut world = in_a_row();
    let attempt = world.attempt(id("1.1"));
    let commands = world.edits(vec![words("1.1", "another thing", Running::Stop)]);
    let why = StopWhy::Asked;
    assert_eq!(commands, vec![Command::StopAttempt { attempt, why }]);
    // It was done before it heard of that.
    world.writes(id("1.1"), &["src/a.rs"]);
    world.green(id("1.1"));
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
}

#[test]
fn a_candidate_with_other_words_does_not_land() {
    let mut world = in_a_row();
    world.writes(id("1.1"), &["src/a.rs"]);
    world.green(id("1.1"));
    assert_eq!(world.stage(id("1.1")), StageName::Reviewing);
    world.edits(vec![words("1.1", "another thing", Running::Finish)]);
    world.says(id("1.1"), approve());
    assert_eq!(
        world.stage(id("1.1")),
        StageName::Writing,
        "it was approved by other words"
    );
}

#[test]
fn no_author_takes_back_what_is_a_persons() {
    let mut world = in_a_row();
    world.edits(vec![words("1.2", "another thing", Running::Finish)]);
    assert_eq!(world.task(id("1.1")).spec.by, Origin::Team);
    assert_eq!(world.task(id("1.2")).spec.by, Origin::Person);
    let attempt = world.attempt(id("1.1"));
    let proposed = proposal("more");
    world.take(Event::TaskProposed { attempt, proposed });
    let merge = vec![ProposalAnswer {
        proposal: "p1".parse().unwrap(),
        verdict: ProposalVerdict::Merge { into: id("1.2") },
        reason: "it belongs there".to_owned(),
    }];
    let commands = world.says(id("1.0"), answering(vec![], merge));
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    let Ask::Plan { because, tasks, .. } = &start.brief.ask else {
        panic!("{:?}", start.brief.ask)
    };
    let PlanBecause::Invalid { errors, .. } = because else {
        panic!("{because:?}")
    };
    assert!(errors[0].contains("are a person's"), "{errors:?}");
    let told: Vec<Origin> = tasks.iter().map(|t| t.by).collect();
    assert_eq!(
        told,
        [Origin::Team, Origin::Person, Origin::Team],
        "and it is told so"
    );
    assert_eq!(world.task(id("1.2")).spec.brief, "another thing");
}

#[test]
fn a_stuck_task_that_is_a_persons_is_not_given_up_by_the_author() {
    let mut world = World::planning(|_| {});
    world.says(
        id("1.0"),
        plan(vec![planned("a", &[], &[]), planned("b", &["a"], &[])]),
    );
    world.edits(vec![words("1.1", "another thing", Running::Finish)]);
    for _ in 0..20 {
        if world.stage(id("1.1")) == StageName::Parked {
            break;
        }
        let cause = Failure::new(Cause::NoOutcome, "nothing was returned");
        world.says(id("1.1"), AgentEnd::Failed(cause));
    }
    assert_eq!(
        world.stage(id("1.0")),
        StageName::Planning,
        "it is asked for a way around"
    );
    let drops = AgentEnd::Finished(Outcome::Plan {
        tasks: vec![planned("c", &[], &[])],
        answers: vec![],
        drops: vec![PlannedDrop {
            task: id("1.1"),
            replaced_by: vec!["c".to_owned()],
            reason: "another way".to_owned(),
        }],
    });
    world.says(id("1.0"), drops);
    assert_eq!(world.stage(id("1.1")), StageName::Parked);
    // The person has another word for it, and it is tried again.
    world.edits(vec![words("1.1", "a third thing", Running::Finish)]);
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
}
