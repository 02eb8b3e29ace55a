//! What a person says: a change goes back with it, a running agent is told, and nothing is lost or given twice.

use std::collections::BTreeSet;

use rstest::rstest;
use turno_core::admit::{Refused, admit};
use turno_core::brief::{Ask, Brief};
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, LostAttempt};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::{AttemptId, RemarkId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::liveness::Hears;
use turno_core::remark::{RemarkStage, Subject, Way, finding};
use turno_core::task::{Because, Stage, StopWhy, Work};
use turno_core::units::Spend;
use turno_core::view::StageName;

use super::world::{World, approve, checks_green, checks_red, commit, left, wrote};

const WORDS: &str = "say it in French";

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

fn comment(on: Subject) -> Event {
    Event::Commented {
        on,
        finding: finding("src/lib.rs", 7, WORDS),
        commit: Some(commit("a")),
    }
}

fn comments(world: &mut World) -> Vec<Command> {
    world.take(comment(Subject::Task(task())))
}

fn tells(world: &mut World, attempt: AttemptId) -> Vec<Command> {
    let words = WORDS.to_owned();
    world.take(Event::Told { attempt, words })
}

fn hearing() -> World {
    World::with(|config| {
        for agent in config.agents.values_mut() {
            agent.hears = Hears::Nudges;
        }
    })
}

fn started(commands: &[Command]) -> Option<&Brief> {
    commands.iter().find_map(|c| match c {
        Command::StartAgent(start) => Some(&start.brief),
        _ => None,
    })
}

/// The one writer that these commands start, and what it is told.
fn writer(commands: &[Command]) -> &Brief {
    let brief = started(commands).unwrap_or_else(|| panic!("nobody is started: {commands:?}"));
    assert!(matches!(brief.ask, Ask::Write { .. }), "{:?}", brief.ask);
    brief
}

fn stops(commands: &[Command]) -> bool {
    let stop = |c: &Command| matches!(c, Command::StopAttempt { why, .. } if *why == StopWhy::Remarked);
    commands.iter().any(stop)
}

fn given(brief: &Brief) -> usize {
    brief.remarks.iter().filter(|r| r.finding.what == WORDS).count()
}

fn stage(world: &World) -> RemarkStage {
    world.task(task()).remarks[0].stage.clone()
}

fn stopped() -> AgentEnd {
    AgentEnd::Failed(Failure::new(Cause::Stopped, "stopped"))
}

#[test]
fn what_is_reviewed_goes_back_with_the_words_and_the_reviewer_is_stopped() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    assert_eq!(world.stage(task()), StageName::Reviewing);
    assert!(stops(&comments(&mut world)));
    let commands = world.end_agent(stopped(), LeftBehind::Nothing);
    let brief = writer(&commands);
    assert_eq!(given(brief), 1);
    assert_eq!(brief.remarks[0].finding.line, 7);
    assert!(matches!(
        &brief.ask,
        Ask::Write {
            because: Because::Remarked,
            ..
        }
    ));
    assert!(world.task(task()).tries.is_empty(), "it is nobody's fault");
    // What comes of it is looked at with the words beside it, and they are given no more.
    let commands = world.end_writer(wrote("b"));
    assert!(started(&commands).is_none());
    assert!(matches!(
        stage(&world),
        RemarkStage::Heeded {
            way: Way::AtTheBeginning,
            ..
        }
    ));
    let commands = world.end_checks(checks_green());
    let brief = started(&commands).unwrap();
    let Ask::Review { earlier, .. } = &brief.ask else {
        panic!("{:?}", brief.ask)
    };
    assert!(earlier.iter().any(|f| f.what == WORDS), "{earlier:?}");
    assert!(brief.remarks.is_empty());
}

/// What a person said may be a question, or be heeded already.
#[test]
fn a_change_that_its_writer_leaves_as_it_is_goes_on_and_is_no_failure() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    comments(&mut world);
    writer(&world.end_agent(stopped(), LeftBehind::Nothing));
    let (end, _) = wrote("a");
    let commands = world.end_agent(end, LeftBehind::Nothing);
    let checks = |c: &Command| matches!(c, Command::RunChecks(start) if start.commit == commit("a"));
    assert!(commands.iter().any(checks), "{commands:?}");
    assert!(world.task(task()).tries.is_empty());
    assert!(matches!(stage(&world), RemarkStage::Heeded { .. }));
}

/// Evidence that is not a person's words is not answered by doing nothing.
#[test]
fn a_change_that_is_red_is_not_left_as_it_is() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    comments(&mut world);
    world.end_agent(stopped(), LeftBehind::Nothing);
    let (end, _) = wrote("a");
    world.end_agent(end.clone(), LeftBehind::Nothing);
    writer(&world.end_checks(checks_red("boom")));
    world.end_agent(end, LeftBehind::Nothing);
    assert!(world.task(task()).tries.contains_key(&Cause::NoChange));
}

#[test]
fn an_approval_that_came_at_the_same_time_does_not_land_it() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    comments(&mut world);
    let commands = world.end_reviewer(approve());
    assert_eq!(given(writer(&commands)), 1);
}

#[rstest]
#[case::green(checks_green())]
#[case::red(checks_red("it broke"))]
fn what_is_checked_goes_back_whatever_the_checks_say(#[case] report: turno_core::check::CheckReport) {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    assert!(stops(&comments(&mut world)));
    let commands = world.end_checks(report);
    assert_eq!(given(writer(&commands)), 1);
}

#[test]
fn a_landing_is_broken_off_and_the_change_goes_back() {
    let mut world = World::new();
    world.start_shift(1);
    world.bring_to_landing(task(), "a");
    assert_eq!(world.stage(task()), StageName::Landing);
    assert!(stops(&comments(&mut world)));
    let attempt = world.state.landing().unwrap().run().unwrap().attempt;
    let failure = Failure::new(Cause::Stopped, "stopped");
    let commands = world.take(Event::AttemptFailed { attempt, failure });
    assert_eq!(given(writer(&commands)), 1);
}

#[test]
fn what_landed_before_it_could_be_stopped_gets_a_task_more() {
    let mut world = World::new();
    world.start_shift(1);
    world.bring_to_landing(task(), "a");
    comments(&mut world);
    let commands = world.end_landing(LandingEnd::Landed { commit: commit("b") });
    assert_eq!(world.stage(task()), StageName::Landed);
    let next: TaskId = "1.2".parse().unwrap();
    assert_eq!(stage(&world), RemarkStage::Task { task: next });
    assert!(writer(&commands).task.brief.contains(WORDS));
    assert!(world.ended().is_none(), "the issue is not done any more");
}

#[test]
fn while_a_writer_works_its_change_is_not_sent_on_before_it_has_the_words() {
    let mut world = World::new();
    world.start_shift(1);
    let commands = comments(&mut world);
    assert!(commands.is_empty(), "it is let work: {commands:?}");
    let commands = world.end_writer(wrote("a"));
    let brief = writer(&commands);
    assert_eq!(given(brief), 1);
    assert!(!commands.iter().any(|c| matches!(c, Command::RunChecks(_))));
}

#[rstest]
#[case::failed(AgentEnd::Failed(Failure::new(Cause::Agent, "it crashed")))]
#[case::changed_nothing(wrote("a").0)]
fn a_turn_that_came_to_nothing_leaves_the_words_for_the_next(#[case] end: AgentEnd) {
    let mut world = World::new();
    world.start_shift(1);
    comments(&mut world);
    let commands = world.end_writer(wrote("a"));
    assert_eq!(given(writer(&commands)), 1);
    let commands = world.end_agent(end, LeftBehind::Nothing);
    assert_eq!(given(writer(&commands)), 1);
    let (end, left) = wrote("b");
    world.end_agent(end, left);
    assert!(matches!(stage(&world), RemarkStage::Heeded { .. }));
}

#[test]
fn a_lost_attempt_takes_no_words_with_it() {
    let mut world = World::new();
    world.start_shift(1);
    comments(&mut world);
    world.end_writer(wrote("a"));
    assert!(matches!(stage(&world), RemarkStage::Given { .. }));
    let lost = LostAttempt {
        attempt: world.last_attempt(),
        spend: Spend::NOTHING,
        left: LeftBehind::Nothing,
        worked: None,
    };
    let commands = world.take(Event::Restarted {
        lost: vec![lost],
        adopted: BTreeSet::new(),
    });
    assert_eq!(given(writer(&commands)), 1);
}

#[test]
fn one_that_is_out_of_tries_is_tried_again_because_a_person_has_looked() {
    let mut world = World::new();
    world.start_shift(1);
    while world.stage(task()) == StageName::Writing {
        let failure = Failure::new(Cause::Agent, "it crashed");
        world.end_agent(AgentEnd::Failed(failure), left("a"));
    }
    assert_eq!(world.stage(task()), StageName::Parked);
    let mut again = World::new();
    std::mem::swap(&mut again.state, &mut world.state);
    // The shift is over: the words wait for the next one.
    comments(&mut again);
    let kept = again.task(task());
    assert!(kept.tries.is_empty());
    assert!(matches!(
        kept.stage,
        Stage::Ready {
            work: Work::Write(_),
            ..
        }
    ));
    let commands = again.start_shift(0);
    assert_eq!(given(writer(&commands)), 1);
}

#[test]
fn an_issue_that_waited_to_be_promoted_is_worked_on_again() {
    let mut world = World::new();
    world.start_shift(1);
    world.bring_to_landing(task(), "a");
    world.end_landing(LandingEnd::Landed { commit: commit("b") });
    let issue = task().issue;
    assert!(matches!(
        world.state.issues[&issue].stage,
        IssueStage::Review { .. }
    ));
    assert_eq!(admit(&world.state, &comment(Subject::Issue(issue))), Ok(()));
    world.take(comment(Subject::Issue(issue)));
    assert!(matches!(
        world.state.issues[&issue].stage,
        IssueStage::Working { .. }
    ));
    let next: TaskId = "1.2".parse().unwrap();
    let spec = world.task(next).spec;
    assert_eq!(spec.title, WORDS);
    assert!(spec.brief.contains("src/lib.rs, line 7"), "{}", spec.brief);
    let commands = world.start_shift(0);
    assert!(writer(&commands).task.brief.contains(WORDS));
}

#[test]
fn words_are_said_at_once_to_one_that_can_hear_them() {
    let mut world = hearing();
    world.start_shift(1);
    let attempt = world.last_attempt();
    let commands = tells(&mut world, attempt);
    let remark = RemarkId(1);
    let words = WORDS.to_owned();
    assert_eq!(
        commands,
        [Command::Tell {
            attempt,
            remark,
            words
        }]
    );
    assert_eq!(stage(&world), RemarkStage::Saying { attempt });
    world.take(Event::Heard { attempt, remark });
    assert!(matches!(
        stage(&world),
        RemarkStage::Given {
            way: Way::WhileItRan,
            ..
        }
    ));
    // It has heard them, so its change goes on.
    let commands = world.end_writer(wrote("a"));
    assert!(commands.iter().any(|c| matches!(c, Command::RunChecks(_))));
    assert!(matches!(
        stage(&world),
        RemarkStage::Heeded {
            way: Way::WhileItRan,
            ..
        }
    ));
    // A word that is told again is no news.
    world.take(Event::Heard { attempt, remark });
    assert!(matches!(stage(&world), RemarkStage::Heeded { .. }));
}

#[test]
fn one_that_ends_before_it_has_heard_is_given_the_words_with_its_next_turn() {
    let mut world = hearing();
    world.start_shift(1);
    let attempt = world.last_attempt();
    tells(&mut world, attempt);
    let commands = world.end_writer(wrote("a"));
    assert_eq!(given(writer(&commands)), 1);
}

#[test]
fn one_that_cannot_hear_is_given_the_words_with_its_next_turn() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    assert!(tells(&mut world, attempt).is_empty());
    let commands = world.end_writer(wrote("a"));
    assert_eq!(given(writer(&commands)), 1);
}

#[test]
fn a_reviewer_that_approved_without_hearing_reviews_again() {
    let mut world = World::new();
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    let attempt = world.last_attempt();
    assert!(!stops(&tells(&mut world, attempt)), "it is let work");
    let commands = world.end_reviewer(approve());
    let brief = started(&commands).unwrap();
    assert!(matches!(brief.ask, Ask::Review { .. }), "{:?}", brief.ask);
    assert_eq!(given(brief), 1);
    world.end_reviewer(approve());
    assert_eq!(world.stage(task()), StageName::Landing);
}

#[test]
fn what_was_being_said_when_the_coordinator_died_is_said_again() {
    let mut world = hearing();
    world.start_shift(1);
    let attempt = world.last_attempt();
    tells(&mut world, attempt);
    let adopted = BTreeSet::from([attempt]);
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted: adopted.clone(),
    });
    let says = |commands: &[Command]| {
        commands
            .iter()
            .filter(|c| matches!(c, Command::Tell { .. }))
            .count()
    };
    assert_eq!(says(&commands), 1, "{commands:?}");
    world.take(Event::Heard {
        attempt,
        remark: RemarkId(1),
    });
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted,
    });
    assert_eq!(says(&commands), 0, "it has heard it: {commands:?}");
}

#[test]
fn what_nobody_would_read_is_refused() {
    let mut world = World::new();
    world.start_shift(1);
    let refused = |world: &World, event: &Event| admit(&world.state, event).unwrap_err();
    let nothing = Event::Commented {
        on: Subject::Task(task()),
        finding: finding("", 0, "  "),
        commit: None,
    };
    assert_eq!(refused(&world, &nothing), Refused::NoWords);
    let nobody = "1.9".parse().unwrap();
    assert_eq!(
        refused(&world, &comment(Subject::Task(nobody))),
        Refused::NoSuchTask(nobody)
    );
    let attempt = AttemptId(99);
    let words = WORDS.to_owned();
    assert_eq!(
        refused(&world, &Event::Told { attempt, words }),
        Refused::NotAtWork(attempt)
    );
    world.take(Event::IssueAdded {
        draft: turno_core::issue::IssueDraft::default(),
    });
    let unbegun = "2".parse().unwrap();
    assert_eq!(
        refused(&world, &comment(Subject::Issue(unbegun))),
        Refused::NotBegun(unbegun)
    );
}
