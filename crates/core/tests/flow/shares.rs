//! What attempts share of a limit, who is to blame when a share is used up, and how limits come and go.

use turno_core::admit::{Refused, admit};
use turno_core::command::Command;
use turno_core::config::{Budgets, Config};
use turno_core::event::{AgentEnd, Event, LeftBehind, LostAttempt};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::TaskId;
use turno_core::ledger::{Allowance, AllowanceChange, Bound, Compared, Day, Level, Measure, Off, ledger};
use turno_core::step::{Waiting, lacking, waiting};
use turno_core::task::{AgentRun, Park, Stage, StopWhy};
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Tokens};
use turno_core::view::waiting_phrase;

use crate::world::World;

fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

fn run(world: &World, task: &str) -> AgentRun {
    world.task(id(task)).agent_run().unwrap().clone()
}

fn tokens(n: u64) -> Allowance {
    Allowance {
        tokens: Some(n),
        ..Allowance::NONE
    }
}

fn wall(seconds: u64) -> Allowance {
    Allowance {
        wall: Some(Span::seconds(seconds)),
        ..Allowance::NONE
    }
}

fn with_day(day: Allowance, issues: u32) -> World {
    let mut world = World::with(|c: &mut Config| {
        c.slots = 4;
        c.agents.values_mut().for_each(|a| a.at_once = 4);
        c.budgets = Budgets {
            day,
            ..Budgets::default()
        };
    });
    world.start_shift(issues);
    world
}

fn told(tokens: u64) -> Spend {
    Spend {
        tokens: Tokens {
            input: tokens,
            ..Tokens::default()
        },
        ..Spend::NOTHING
    }
}

fn meter(world: &mut World, task: &str, spend: Spend) -> Vec<StopWhy> {
    let attempt = run(world, task).run.attempt;
    stops(&world.take(Event::Metered { attempt, spend }))
}

fn ends(world: &mut World, task: &str, cause: Cause) -> Vec<Command> {
    let attempt = run(world, task).run.attempt;
    let failure = Failure::new(cause, "it is over");
    world.end_attempt(attempt, AgentEnd::Failed(failure), LeftBehind::Nothing)
}

fn stops(commands: &[Command]) -> Vec<StopWhy> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::StopAttempt { why, .. } => Some(*why),
            _ => None,
        })
        .collect()
}

fn started(commands: &[Command]) -> Vec<TaskId> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::StartAgent(start) => Some(start.task),
            _ => None,
        })
        .collect()
}

#[test]
fn one_attempt_leaves_tokens_for_every_other_slot() {
    let mut world = with_day(tokens(400_000), 1);
    assert_eq!(run(&world, "1.1").within.tokens, Some(100_000));
    // Whoever comes later finds as much, and no more is promised than there is.
    world.take(Event::IssueAdded {
        draft: turno_core::issue::IssueDraft {
            title: "another".to_owned(),
            ..Default::default()
        },
    });
    assert_eq!(world.state.promised(&Level::Day(Day(0))).tokens, 100_000);
}

#[test]
fn an_attempt_gets_more_tokens_while_there_are_some() {
    let mut world = with_day(tokens(400_000), 1);
    let mut promised = Vec::new();
    for used in [100_000, 180_000, 250_000, 399_000] {
        assert_eq!(meter(&mut world, "1.1", told(used)), [], "at {used}");
        assert!(run(&world, "1.1").within.tokens > Some(used), "at {used}");
        promised.push(world.state.promised(&Level::Day(Day(0))).tokens);
    }
    assert!(
        promised.is_sorted() && promised.iter().all(|p| *p <= 400_000),
        "{promised:?}"
    );
    assert_eq!(meter(&mut world, "1.1", told(400_000)), [StopWhy::DayBudget]);
}

#[test]
fn a_limit_that_is_lifted_holds_no_attempt() {
    let mut world = with_day(tokens(400_000), 1);
    world.take(Event::BudgetSet {
        level: Level::Day(Day(0)),
        allowance: AllowanceChange {
            tokens: Some(Bound::Off(Off::NoLimit)),
            ..AllowanceChange::NOTHING
        },
    });
    assert_eq!(world.state.limit(&Level::Day(Day(0))), Allowance::NONE);
    assert_eq!(meter(&mut world, "1.1", told(900_000)), []);
    assert_eq!(run(&world, "1.1").within.tokens, None);
}

#[test]
fn tokens_that_others_hold_are_waited_for_and_are_no_failure() {
    let mut world = with_day(tokens(400_000), 4);
    assert_eq!(world.state.promised(&Level::Day(Day(0))).tokens, 400_000);
    assert_eq!(
        meter(&mut world, "1.1", told(100_000)),
        [StopWhy::DayBudget],
        "nobody else is stopped"
    );
    assert_eq!(started(&ends(&mut world, "1.1", Cause::Stopped)), []);
    let task = world.task(id("1.1"));
    assert!(task.tries.is_empty(), "{:?}", task.tries);
    assert!(matches!(waiting(&world.state, &task), Some(Waiting::Budget(_))));
    // The second ends and has used less than it held.
    let commands = ends(&mut world, "2.1", Cause::Agent);
    assert!(started(&commands).contains(&id("1.1")), "{commands:?}");
}

#[test]
fn time_is_shared_and_its_end_is_nobodys_failure() {
    let mut world = with_day(wall(120), 4);
    let deadline = run(&world, "1.1").run.deadline;
    assert_eq!(deadline.since(run(&world, "1.1").run.started), Span::seconds(30));
    // A person gives more before it is used up.
    world.take(Event::BudgetSet {
        level: Level::Day(Day(0)),
        allowance: wall(3600).into(),
    });
    world.now = deadline;
    assert_eq!(stops(&world.take(Event::TimePassed)), [StopWhy::DayBudget; 4]);
    let commands = ends(&mut world, "1.1", Cause::Stopped);
    assert_eq!(started(&commands), [id("1.1")], "it goes on at once");
    assert!(world.task(id("1.1")).tries.is_empty());
}

#[test]
fn a_task_that_is_given_more_while_it_is_stopped_is_not_parked() {
    let mut world = World::with(|c| c.budgets.task = wall(30));
    world.start_shift(1);
    world.now = world.now + Span::seconds(31);
    assert_eq!(stops(&world.take(Event::TimePassed)), [StopWhy::TaskBudget]);
    world.take(Event::BudgetSet {
        level: Level::Task(id("1.1")),
        allowance: wall(900).into(),
    });
    assert_eq!(started(&ends(&mut world, "1.1", Cause::Stopped)), [id("1.1")]);
    assert!(world.task(id("1.1")).tries.is_empty());
}

#[test]
fn its_own_time_is_still_its_own_failure() {
    let mut world = World::with(|c| c.budgets.task = wall(3600));
    world.start_shift(1);
    world.now = world.now + Span::seconds(601);
    assert_eq!(stops(&world.take(Event::TimePassed)), [StopWhy::WallClock]);
    ends(&mut world, "1.1", Cause::Stopped);
    assert_eq!(world.task(id("1.1")).tries[&Cause::WallClock], 1);
}

#[test]
fn an_agent_that_ends_by_its_cut_cap_has_not_failed() {
    let mut world = World::new();
    world.budget = MicroUsd(1_000_000);
    world.start_shift(2);
    assert_eq!(
        run(&world, "1.1").cap,
        MicroUsd(500_000),
        "less than its persona may"
    );
    ends(&mut world, "1.1", Cause::AttemptBudget);
    assert!(world.task(id("1.1")).tries.is_empty());

    let mut rich = World::new();
    rich.start_shift(2);
    ends(&mut rich, "1.1", Cause::AttemptBudget);
    assert_eq!(rich.task(id("1.1")).tries[&Cause::AttemptBudget], 1);
}

#[test]
fn what_is_short_is_named_with_the_flag_that_raises_it() {
    let mut world = World::with(|c| c.budgets.task = tokens(1000));
    world.start_shift(2);
    meter(&mut world, "1.1", told(1000));
    ends(&mut world, "1.1", Cause::Stopped);
    let task = world.task(id("1.1"));
    let Stage::Parked {
        park: Park::Budget { left, .. },
        ..
    } = &task.stage
    else {
        panic!("{:?}", task.stage)
    };
    assert_eq!(left.measure(), Measure::Tokens);
    let phrase = waiting_phrase(&waiting(&world.state, &task).unwrap());
    assert!(
        phrase.contains("turno budget set task 1.1 --tokens N"),
        "{phrase}"
    );
    // More money changes nothing, and that can be told.
    let level = Level::Task(id("1.1"));
    let set = |world: &mut World, allowance: Allowance| {
        world.take(Event::BudgetSet {
            level: Level::Task(id("1.1")),
            allowance: allowance.into(),
        })
    };
    let usd = Allowance {
        usd: Some(MicroUsd(9_000_000)),
        ..Allowance::NONE
    };
    assert_eq!(started(&set(&mut world, usd)), []);
    assert_eq!(
        lacking(&world.state, &level).unwrap().left.measure(),
        Measure::Tokens
    );
    assert_eq!(started(&set(&mut world, tokens(90_000))), [id("1.1")]);
    assert_eq!(lacking(&world.state, &level), None);
}

#[test]
fn an_old_park_for_a_budget_was_about_money() {
    let park: Park = serde_json::from_str(r#"{"budget":{"level":"task/1.1"}}"#).unwrap();
    let Park::Budget { left, .. } = park else {
        panic!("{park:?}")
    };
    assert_eq!(left.measure(), Measure::Usd);
}

#[test]
fn a_lost_attempt_is_booked_with_the_time_it_worked() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = run(&world, "1.1").run.attempt;
    world.now = world.now + Span::seconds(500);
    world.take(Event::Restarted {
        lost: vec![LostAttempt {
            attempt,
            spend: Spend::NOTHING,
            left: LeftBehind::Nothing,
            worked: Some(Span::seconds(7)),
        }],
        adopted: Default::default(),
    });
    assert_eq!(world.state.booked(&Level::Task(id("1.1"))).wall, Span::seconds(7));
}

#[test]
fn what_died_in_time_is_not_blamed_for_the_time_after() {
    let mut world = World::with(|c| c.budgets.shift = wall(3600));
    world.start_shift(1);
    let attempt = run(&world, "1.1").run.attempt;
    // The coordinator was away for hours, and takes note of the time before it takes note of the dead.
    world.now = world.now + Span::seconds(7200);
    assert_eq!(stops(&world.take(Event::TimePassed)), [StopWhy::WallClock]);
    let commands = world.take(Event::Restarted {
        lost: vec![LostAttempt {
            attempt,
            spend: Spend::NOTHING,
            left: LeftBehind::Nothing,
            worked: Some(Span::seconds(7)),
        }],
        adopted: Default::default(),
    });
    assert!(world.task(id("1.1")).tries.is_empty());
    assert_eq!(started(&commands), [id("1.1")]);
}

#[test]
fn warnings_follow_a_configuration_that_is_read_again() {
    let mut world = World::with(|c| c.budgets.task = tokens(1000));
    world.start_shift(1);
    meter(&mut world, "1.1", told(850));
    let warned = |world: &World| world.state.accounts[&Level::Task(id("1.1"))].warned.clone();
    assert_eq!(warned(&world)[&Measure::Tokens], 80);
    let reload = |world: &mut World, n| {
        let mut config = Config::clone(world.state.config.as_ref().unwrap());
        config.budgets.task = tokens(n);
        world.take(Event::ConfigLoaded {
            config: Box::new(config),
        })
    };
    reload(&mut world, 1500);
    assert_eq!(warned(&world)[&Measure::Tokens], 50);
    reload(&mut world, 100_000);
    assert_eq!(warned(&world).get(&Measure::Tokens), None);
    let commands = reload(&mut world, 880);
    assert_eq!(warned(&world)[&Measure::Tokens], 95);
    assert!(commands.iter().any(|c| matches!(c, Command::WarnOfBudget { .. })));
}

#[test]
fn what_is_over_is_warned_of_no_more() {
    let mut world = World::with(|c| c.budgets.task = tokens(1000));
    world.start_shift(1);
    meter(&mut world, "1.1", told(900));
    assert_eq!(ledger(&world.state, world.now).warnings.len(), 1);
    world.take(Event::Discarded {
        what: turno_core::event::Discard::Issue(turno_core::ids::IssueId(1)),
    });
    ends(&mut world, "1.1", Cause::Stopped);
    let seen = ledger(&world.state, world.now);
    assert_eq!(seen.warnings, []);
    let level = seen.levels.iter().find(|l| l.level == Level::Task(id("1.1")));
    assert_eq!(level.unwrap().used.tokens, 900, "it is still shown");
}

#[test]
fn a_guess_beyond_the_cap_is_a_reason_to_stop() {
    let mut world = World::new();
    world.start_shift(1);
    let unknown = |cost| Spend {
        cost,
        basis: CostBasis::Unknown,
        ..Spend::NOTHING
    };
    let cap = run(&world, "1.1").cap;
    assert_eq!(meter(&mut world, "1.1", unknown(cap)), []);
    let beyond = unknown(cap + MicroUsd(1));
    assert_eq!(meter(&mut world, "1.1", beyond), [StopWhy::AttemptBudget]);
}

#[test]
fn a_shift_keeps_a_budget_in_money() {
    let mut world = World::new();
    world.start_shift(1);
    let off = AllowanceChange {
        usd: Some(Bound::Off(Off::NoLimit)),
        ..AllowanceChange::NOTHING
    };
    let ask = |level| {
        admit(
            &world.state,
            &Event::BudgetSet {
                level,
                allowance: off,
            },
        )
    };
    let shift = world.state.shift().unwrap().id;
    assert_eq!(ask(Level::Shift(shift)), Err(Refused::ShiftNeedsMoney));
    assert_eq!(ask(Level::Task(id("1.1"))), Ok(()));
}

#[test]
fn a_difference_of_little_is_none() {
    let differ = |reported, counted| {
        Compared {
            reported: MicroUsd(reported),
            counted: MicroUsd(counted),
        }
        .differ()
    };
    assert!(!differ(1_000_000, 1_000_001));
    assert!(!differ(1_000_000, 990_001), "less than one percent");
    assert!(differ(1_000_000, 990_000));
    assert!(!differ(100, 1_000), "less than a tenth of a cent");
    assert!(differ(0, 1_000));
}
