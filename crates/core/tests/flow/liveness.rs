//! What follows from what is seen of a running agent, and from a clock that jumps.

use rstest::rstest;
use turno_core::command::{Command, Session};
use turno_core::config::Config;
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::ids::{AttemptId, TaskId};
use turno_core::liveness::{Activity, Hears, JumpWhy};
use turno_core::next_deadline;
use turno_core::task::{Because, Stage, StopWhy, Work};
use turno_core::units::{Span, Timestamp};

use super::world::{World, left};

/// Reminded after a minute and stopped after two; a command has ten minutes, talk five.
fn patient(config: &mut Config) {
    let policy = &mut config.policy;
    policy.silence = Span::seconds(60);
    policy.silence_hard = Span::seconds(120);
    policy.longest_command = Span::seconds(600);
    policy.no_progress = Span::seconds(300);
    for persona in &mut config.personas {
        persona.wall_clock = Span::seconds(3600);
    }
    config.agents.get_mut(&"claude".parse().unwrap()).unwrap().hears = Hears::Nudges;
}

fn writing(change: impl FnOnce(&mut Config)) -> (World, AttemptId) {
    let mut world = World::with(|config| {
        patient(config);
        change(config);
    });
    let commands = world.start_shift(1);
    let attempt = commands.iter().find_map(Command::starts);
    let attempt = attempt.or_else(|| {
        let run = world.state.running().next()?.run()?;
        Some(run.attempt)
    });
    (world, attempt.unwrap())
}

fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

fn deaf(config: &mut Config) {
    config.agents.get_mut(&"claude".parse().unwrap()).unwrap().hears = Hears::Nothing;
}

fn seen(world: &mut World, attempt: AttemptId, activity: Activity, lasts: u64) -> Vec<Command> {
    world.take(Event::Seen {
        attempt,
        activity,
        lasts: Span::seconds(lasts),
    })
}

fn passes(world: &mut World, seconds: u64) -> Vec<Command> {
    world.now = world.now + Span::seconds(seconds);
    world.take(Event::TimePassed)
}

fn stopped(attempt: AttemptId) -> Vec<Command> {
    vec![Command::StopAttempt {
        attempt,
        why: StopWhy::Stalled,
    }]
}

fn build() -> Activity {
    Activity::LongCommand {
        tool: "cargo build".to_owned(),
    }
}

#[test]
fn a_silent_one_is_reminded_and_then_stopped() {
    let (mut world, attempt) = writing(|_| {});
    passes(&mut world, 100);
    assert_eq!(seen(&mut world, attempt, Activity::Silent, 15), []);
    let begin = Timestamp(world.now.0 - 15_000);
    assert_eq!(next_deadline(&world.state), Some(begin + Span::seconds(60)));
    assert_eq!(passes(&mut world, 44), []);
    assert_eq!(passes(&mut world, 1), [Command::Nudge { attempt }]);
    assert_eq!(next_deadline(&world.state), Some(begin + Span::seconds(120)));
    assert_eq!(passes(&mut world, 59), []);
    assert_eq!(passes(&mut world, 1), stopped(attempt));
}

#[test]
fn one_that_cannot_be_told_is_only_stopped() {
    let (mut world, attempt) = writing(deaf);
    passes(&mut world, 100);
    seen(&mut world, attempt, Activity::Silent, 15);
    assert_eq!(passes(&mut world, 104), []);
    assert_eq!(passes(&mut world, 1), stopped(attempt));
}

#[rstest]
#[case::works(Activity::Working, None)]
#[case::waits(Activity::AwaitingPerson, None)]
#[case::builds(build(), Some(600))]
#[case::computes(Activity::Computing, Some(600))]
#[case::talks(Activity::OnlyTalking, Some(300))]
#[case::provider(Activity::AwaitingProvider, Some(120))]
#[case::gone(Activity::Gone, Some(0))]
fn each_way_of_going_on_has_its_limit(#[case] activity: Activity, #[case] limit: Option<u64>) {
    let (mut world, attempt) = writing(deaf);
    let Some(limit) = limit else {
        seen(&mut world, attempt, activity, 0);
        assert_eq!(passes(&mut world, 3000), []);
        return;
    };
    let mut commands = seen(&mut world, attempt, activity, 0);
    if limit > 0 {
        assert_eq!(commands, []);
        assert_eq!(passes(&mut world, limit - 1), []);
        commands = passes(&mut world, 1);
    }
    assert_eq!(commands, stopped(attempt));
}

#[test]
fn one_that_comes_back_to_life_is_let_alone_and_reminded_twice_at_most() {
    let (mut world, attempt) = writing(|_| {});
    let mut reminded = 0;
    for _ in 0..4 {
        passes(&mut world, 100);
        seen(&mut world, attempt, Activity::Silent, 15);
        reminded += passes(&mut world, 46).len();
        seen(&mut world, attempt, Activity::Working, 0);
    }
    assert_eq!(reminded, 2);
    assert_eq!(passes(&mut world, 1000), []);
}

#[test]
fn who_was_stopped_goes_on_in_its_conversation_and_is_told_why() {
    let (mut world, attempt) = writing(|_| {});
    let session = "s1".parse().unwrap();
    world.take(Event::SessionOpened { attempt, session });
    seen(&mut world, attempt, build(), 0);
    passes(&mut world, 601);
    let commands = world.end_agent(
        AgentEnd::Failed(Failure::new(Cause::Stopped, "killed")),
        left("a"),
    );
    let Some(Command::StartAgent(start)) = commands.first() else {
        panic!("{commands:?}");
    };
    assert_eq!(start.session, Session::Resume("s1".parse().unwrap()));
    let turno_core::brief::Ask::Write {
        because: Because::Interrupted { failure },
        ..
    } = &start.brief.ask
    else {
        panic!("{:?}", start.brief.ask);
    };
    assert_eq!(failure.cause, Cause::Stalled);
    assert!(failure.detail.contains("cargo build"), "{}", failure.detail);
    assert_eq!(tries(&world, id("1.1")), Some(1));
}

fn tries(world: &World, task: TaskId) -> Option<u8> {
    world.state.tasks[&task].tries.get(&Cause::Stalled).copied()
}

#[test]
fn what_is_seen_of_one_that_is_over_or_stopped_means_nothing() {
    let (mut world, attempt) = writing(deaf);
    seen(&mut world, attempt, Activity::Silent, 0);
    passes(&mut world, 121);
    assert_eq!(seen(&mut world, attempt, Activity::Gone, 0), []);
    let stranger = AttemptId(77);
    assert_eq!(seen(&mut world, stranger, Activity::Gone, 0), []);
}

#[test]
fn a_new_coordinator_begins_to_watch_anew() {
    let (mut world, attempt) = writing(deaf);
    seen(&mut world, attempt, Activity::Silent, 0);
    world.now = world.now + Span::seconds(300);
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted: [attempt].into(),
    });
    assert!(matches!(commands[..], [Command::Adopt { .. }]), "{commands:?}");
    assert_eq!(passes(&mut world, 1000), []);
}

#[rstest]
#[case::asleep(8 * 3_600_000, JumpWhy::Slept)]
#[case::set_forward(3_600_000, JumpWhy::Set)]
#[case::set_back(-3_600_000, JumpWhy::Set)]
fn no_limit_is_over_by_a_jump_of_the_clock(#[case] by: i64, #[case] why: JumpWhy) {
    let (mut world, attempt) = writing(deaf);
    passes(&mut world, 100);
    seen(&mut world, attempt, Activity::Silent, 15);
    let before = next_deadline(&world.state).unwrap();
    world.now = world.now.moved(by);
    assert_eq!(world.take(Event::ClockJumped { by, why }), []);
    assert_eq!(
        next_deadline(&world.state),
        Some(before.moved(by)),
        "nor comes late"
    );
    let run = world.state.tasks[&id("1.1")].run().unwrap().clone();
    assert_eq!(run.deadline.since(run.started), Span::seconds(3600));
    assert_eq!(passes(&mut world, 104), []);
    assert_eq!(passes(&mut world, 1), stopped(attempt));
}

#[rstest]
#[case::by_the_policy(RetryAfter::Policy, 3_600_000)]
#[case::when_a_provider_says(RetryAfter::At(Timestamp(50_000)), 0)]
fn a_wait_is_as_long_as_it_was_and_a_time_of_day_stays(#[case] retry_after: RetryAfter, #[case] moves: i64) {
    let (mut world, _) = writing(|config| {
        let row = config.policy.rows.get_mut(&Cause::Provider).unwrap();
        row.wait = Span::seconds(40);
        for persona in &mut config.personas {
            persona.agents.truncate(1);
        }
    });
    let failure = Failure {
        retry_after,
        ..Failure::new(Cause::Provider, "overloaded")
    };
    world.end_agent(AgentEnd::Failed(failure), LeftBehind::Nothing);
    let until = |world: &World| match &world.state.tasks[&id("1.1")].stage {
        Stage::Backoff {
            until,
            work: Work::Write(_),
            ..
        } => *until,
        other => panic!("{other:?}"),
    };
    let before = until(&world);
    let by = 3_600_000;
    world.take(Event::ClockJumped {
        by,
        why: JumpWhy::Set,
    });
    assert_eq!(until(&world), before.moved(moves));
}
