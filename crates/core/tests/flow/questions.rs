//! Questions: asked in a call or with the last words, answered by a person or the policy, soon, late or never.

use std::collections::BTreeSet;

use rstest::rstest;
use turno_core::command::{Command, Session};
use turno_core::decision::{AnsweredBy, DecisionStage, Question, Reply, Told};
use turno_core::event::{AgentEnd, Discard, Event, LostAttempt};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::DecisionId;
use turno_core::policy::{DecisionRule, Nobody};
use turno_core::shift::ShiftEnd;
use turno_core::task::{Because, Park, Stage, StopWhy, Work};
use turno_core::units::Span;
use turno_core::view::StageName;

use crate::team::{id, leaving, starts};
use crate::world::World;

const FIRST: DecisionId = DecisionId(1);
const SECOND: DecisionId = DecisionId(2);

fn question(text: &str, recommended: Option<&str>) -> Question {
    Question {
        question: text.to_owned(),
        options: vec![],
        recommended: recommended.map(str::to_owned),
    }
}

/// A world in which 1.1 is written in a conversation of its own.
fn writing(nobody: Nobody) -> World {
    let mut world = World::team(|config| {
        config.policy.decisions = DecisionRule {
            nobody,
            deadline: Span::seconds(60),
        };
    });
    world.start_shift(1);
    world.open_session("conversation");
    world
}

fn asks(world: &mut World, text: &str, key: &str) -> Vec<Command> {
    let attempt = world.attempt(id("1.1"));
    world.take(Event::DecisionAsked {
        attempt,
        question: question(text, Some("left")),
        key: key.to_owned(),
    })
}

fn answers(world: &mut World, decision: DecisionId) -> Vec<Command> {
    world.take(Event::DecisionAnswered {
        decision,
        answer: "right".to_owned(),
    })
}

fn no_outcome() -> AgentEnd {
    AgentEnd::Failed(Failure::new(Cause::NoOutcome, "it waits"))
}

fn passes(world: &mut World, seconds: u64) -> Vec<Command> {
    world.now = world.now + Span::seconds(seconds);
    world.take(Event::TimePassed)
}

fn parked_on(world: &World) -> Option<DecisionId> {
    match &world.task(id("1.1")).stage {
        Stage::Parked {
            park: Park::Decision(decision),
            ..
        } => Some(*decision),
        _ => None,
    }
}

fn resumes(commands: &[Command]) {
    let [start] = starts(commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.session, Session::Resume("conversation".parse().unwrap()));
    assert_eq!(start.persona.as_str(), "engineer");
    assert!(format!("{:?}", start.brief.answers).contains("right"));
}

#[test]
fn where_nobody_waits_the_agent_is_sent_away_and_the_task_parks_without_its_slot() {
    let mut world = writing(Nobody::Park);
    let run = world.task(id("1.1")).agent_run().cloned().unwrap();
    let commands = asks(&mut world, "left or right?", "k");
    assert!(
        matches!(
            &commands[..],
            [Command::Reply {
                reply: Reply::Parked,
                ..
            }]
        ),
        "{commands:?}"
    );
    world.end(id("1.1"), no_outcome(), leaving(7, &["src/lib.rs"]));
    assert_eq!(parked_on(&world), Some(FIRST));
    assert_eq!(world.state.free_slots().len(), 4);
    assert_eq!(world.task(id("1.1")).tries.len(), 0, "to ask is no failure");
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    answers(&mut world, FIRST);
    let commands = world.run_again();
    resumes(&commands);
    let start = starts(&commands)[0];
    assert_eq!((&start.persona, &start.agent), (&run.persona, &run.agent));
    assert_eq!(start.from, crate::team::sha(7), "what it left is gone on from");
}

#[test]
fn a_task_whose_question_is_open_is_not_taken_up_by_the_next_shift() {
    let mut world = writing(Nobody::Park);
    asks(&mut world, "left or right?", "k");
    world.says(id("1.1"), no_outcome());
    let commands = world.run_again();
    assert!(starts(&commands).is_empty(), "{commands:?}");
    assert_eq!(parked_on(&world), Some(FIRST));
}

#[test]
fn an_agent_that_waits_is_told_in_its_call_and_its_time_stands_still() {
    let mut world = writing(Nobody::Wait);
    let before = world.task(id("1.1")).run().unwrap().deadline;
    assert!(asks(&mut world, "left or right?", "k").is_empty());
    assert_eq!(
        world.task(id("1.1")).run().unwrap().deadline,
        before + Span::seconds(60)
    );
    let commands = answers(&mut world, FIRST);
    assert!(
        matches!(&commands[..], [Command::Reply { key, reply: Reply::Answer(a), .. }] if key == "k" && a == "right"),
        "{commands:?}"
    );
    let stage = &world.state.decisions[&FIRST].stage;
    assert!(
        matches!(
            stage,
            DecisionStage::Answered {
                told: Told::InTheCall,
                ..
            }
        ),
        "{stage:?}"
    );
    world.completes(id("1.1"));
}

#[rstest]
#[case::recommended(Nobody::Recommended, Some("left"), true)]
#[case::nothing_recommended(Nobody::Recommended, None, false)]
#[case::only_waits(Nobody::Wait, Some("left"), false)]
fn at_the_deadline_the_policy_decides(
    #[case] nobody: Nobody,
    #[case] recommended: Option<&str>,
    #[case] answered: bool,
) {
    let mut world = writing(nobody);
    let attempt = world.attempt(id("1.1"));
    world.take(Event::DecisionAsked {
        attempt,
        question: question("left or right?", recommended),
        key: "k".to_owned(),
    });
    assert_eq!(
        turno_core::next_deadline(&world.state),
        Some(world.now + Span::seconds(60))
    );
    let commands = passes(&mut world, 60);
    let [Command::Reply { reply, .. }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(*reply == Reply::Answer("left".to_owned()), answered);
    let stage = &world.state.decisions[&FIRST].stage;
    let by_policy = matches!(
        stage,
        DecisionStage::Answered {
            by: AnsweredBy::Policy,
            ..
        }
    );
    assert_eq!(by_policy, answered);
    if !answered {
        world.says(id("1.1"), no_outcome());
        assert_eq!(parked_on(&world), Some(FIRST));
    }
}

#[test]
fn one_that_does_not_leave_is_stopped_and_its_question_stays() {
    let mut world = writing(Nobody::Park);
    asks(&mut world, "left or right?", "k");
    let commands = passes(&mut world, 121);
    assert!(
        matches!(
            commands[..],
            [Command::StopAttempt {
                why: StopWhy::WallClock,
                ..
            }]
        ),
        "{commands:?}"
    );
    world.says(id("1.1"), AgentEnd::Failed(Failure::new(Cause::Stopped, "")));
    assert_eq!(parked_on(&world), Some(FIRST));
}

#[rstest]
#[case::in_other_words(AgentEnd::Asked(question("which side?", None)))]
#[case::without_a_word(no_outcome())]
fn an_answer_that_comes_while_the_agent_leaves_is_found_at_its_end(#[case] end: AgentEnd) {
    let mut world = writing(Nobody::Park);
    asks(&mut world, "left or right?", "k");
    assert!(answers(&mut world, FIRST).is_empty());
    let commands = world.says(id("1.1"), end);
    resumes(&commands);
    assert_eq!(world.state.decisions.len(), 1);
    assert_eq!(
        world.task(id("1.1")).tries.len(),
        0,
        "to leave when told to is no failure"
    );
}

#[test]
fn a_new_question_after_an_answered_one_is_not_lost() {
    let mut world = writing(Nobody::Wait);
    asks(&mut world, "left or right?", "k");
    answers(&mut world, FIRST);
    world.says(id("1.1"), AgentEnd::Asked(question("up or down?", None)));
    assert_eq!(parked_on(&world), Some(SECOND));
}

#[test]
fn a_task_goes_on_when_all_its_questions_are_answered() {
    let mut world = writing(Nobody::Wait);
    asks(&mut world, "left or right?", "k0");
    asks(&mut world, "up or down?", "k1");
    let attempt = world.attempt(id("1.1"));
    let lost = LostAttempt {
        attempt,
        spend: crate::world::spend(1),
        left: leaving(7, &["src/lib.rs"]),
        worked: None,
    };
    world.take(Event::Restarted {
        lost: vec![lost],
        adopted: BTreeSet::new(),
    });
    assert_eq!(parked_on(&world), Some(FIRST));
    assert!(
        world
            .state
            .decisions
            .values()
            .all(|d| d.stage == DecisionStage::Open)
    );
    answers(&mut world, FIRST);
    assert_eq!(parked_on(&world), Some(SECOND));
    answers(&mut world, SECOND);
    let commands = world.run_again();
    resumes(&commands);
}

#[test]
fn a_finished_agent_needs_no_answer() {
    let mut world = writing(Nobody::Wait);
    asks(&mut world, "left or right?", "k0");
    asks(&mut world, "up or down?", "k1");
    world.writes(id("1.1"), &["src/lib.rs"]);
    assert!(
        world
            .state
            .decisions
            .values()
            .all(|d| d.stage == DecisionStage::Withdrawn)
    );
    let deadline = world.task(id("1.1")).run().unwrap().deadline;
    passes(&mut world, 60);
    assert_eq!(
        world.task(id("1.1")).run().unwrap().deadline,
        deadline,
        "its checks are not hurried"
    );
}

#[test]
fn a_discard_withdraws_the_question() {
    let mut world = writing(Nobody::Park);
    asks(&mut world, "left or right?", "k");
    world.says(id("1.1"), no_outcome());
    world.take(Event::Discarded {
        what: Discard::Task(id("1.1")),
    });
    assert_eq!(world.state.decisions[&FIRST].stage, DecisionStage::Withdrawn);
    let before = world.state.clone();
    answers(&mut world, FIRST);
    assert_eq!(before, world.state);
}

#[test]
fn a_reader_that_wrote_loses_its_question_with_its_vote() {
    let mut world = writing(Nobody::Park);
    world.writes(id("1.1"), &["src/lib.rs"]);
    world.green(id("1.1"));
    asks(&mut world, "is this so?", "k");
    let end = AgentEnd::Asked(question("is this so?", None));
    world.end(id("1.1"), end, leaving(9, &["src/lib.rs"]));
    assert_eq!(world.stage(id("1.1")), StageName::Reviewing);
    assert_eq!(world.state.decisions[&FIRST].stage, DecisionStage::Withdrawn);
}

#[test]
fn a_reviewer_goes_on_in_its_own_conversation() {
    let mut world = writing(Nobody::Park);
    world.writes(id("1.1"), &["src/lib.rs"]);
    world.green(id("1.1"));
    world.open_session("review");
    world.says(id("1.1"), AgentEnd::Asked(question("is this so?", None)));
    assert!(matches!(world.work(id("1.1")), Work::Review(_)));
    answers(&mut world, FIRST);
    let commands = world.run_again();
    let [start] = starts(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.session, Session::Resume("review".parse().unwrap()));
}

#[test]
fn what_is_still_to_be_mended_is_not_forgotten_over_a_question() {
    let mut world = writing(Nobody::Park);
    world.writes(id("1.1"), &["src/lib.rs"]);
    world.checks(id("1.1"), &crate::team::failing());
    world.says(id("1.1"), AgentEnd::Asked(question("which?", None)));
    let Work::Write(job) = world.work(id("1.1")) else {
        panic!()
    };
    assert!(matches!(job.because, Because::ChecksFailed { .. }), "{job:?}");
}
