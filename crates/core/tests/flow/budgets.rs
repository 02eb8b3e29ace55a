//! The ledger's levels: what each of them stops, what goes on, and what a person's word changes.

use turno_core::admit::{Refused, admit};
use turno_core::command::{AgentStart, Command};
use turno_core::config::Config;
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::TaskId;
use turno_core::ledger::{Allowance, Amount, Day, Level, Tariff, Used};
use turno_core::shift::{IssueAtStart, Scope, ShiftEnd};
use turno_core::step::{Waiting, waiting};
use turno_core::task::{Park, Stage, StopWhy};
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Timestamp, Tokens};

use crate::world::{World, commit, spend};

const DAY: i64 = 86_400_000;

fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

fn usd(micros: u64) -> Allowance {
    Allowance {
        usd: Some(MicroUsd(micros)),
        ..Allowance::NONE
    }
}

fn meter(world: &mut World, task: &str, spend: Spend) -> Vec<Command> {
    let attempt = world.task(id(task)).run().unwrap().attempt;
    world.take(Event::Metered { attempt, spend })
}

fn is_killed(world: &mut World, task: &str) -> Vec<Command> {
    let attempt = world.task(id(task)).run().unwrap().attempt;
    let failure = Failure::new(Cause::Stopped, "killed");
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

fn starts(commands: &[Command]) -> Vec<AgentStart> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::StartAgent(start) => Some(AgentStart::clone(start)),
            _ => None,
        })
        .collect()
}

fn warnings(commands: &[Command]) -> Vec<(Level, u64)> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::WarnOfBudget { warning } => Some((warning.level.clone(), warning.percent)),
            _ => None,
        })
        .collect()
}

fn with(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with(change);
    world.start_shift(2);
    world
}

fn parked_for(world: &World, task: &str) -> Option<Level> {
    match world.task(id(task)).stage {
        Stage::Parked {
            park: Park::Budget { level, .. },
            ..
        } => Some(level),
        _ => None,
    }
}

#[test]
fn a_spent_task_is_parked_alone_and_goes_on_when_it_is_given_more() {
    let mut world = with(|c| c.budgets.task = usd(100_000));
    let commands = meter(&mut world, "1.1", spend(100_000));
    assert_eq!(stops(&commands), [StopWhy::TaskBudget]);
    is_killed(&mut world, "1.1");
    assert_eq!(parked_for(&world, "1.1"), Some(Level::Task(id("1.1"))));
    assert!(world.task(id("2.1")).run().is_some(), "the other goes on");
    assert_eq!(world.ended(), None);

    let level = Level::Task(id("1.1"));
    let commands = world.take(Event::BudgetSet {
        level,
        allowance: usd(300_000).into(),
    });
    let start = &starts(&commands)[0];
    assert_eq!((start.task, start.limits.cap), (id("1.1"), MicroUsd(200_000)));
}

#[test]
fn a_spent_issue_stops_its_tasks_and_no_other() {
    let mut world = with(|c| c.budgets.issue = usd(100_000));
    let commands = meter(&mut world, "1.1", spend(120_000));
    assert_eq!(stops(&commands), [StopWhy::IssueBudget]);
    is_killed(&mut world, "1.1");
    let level = Level::Issue(turno_core::ids::IssueId(1));
    assert_eq!(parked_for(&world, "1.1"), Some(level));
    assert!(world.task(id("2.1")).run().is_some());
}

#[test]
fn a_spent_day_stops_everything_and_the_next_day_has_its_own() {
    let mut world = with(|c| c.budgets.day = usd(150_000));
    meter(&mut world, "1.1", spend(50_000));
    let commands = meter(&mut world, "2.1", spend(100_000));
    assert_eq!(stops(&commands), [StopWhy::DayBudget, StopWhy::DayBudget]);
    is_killed(&mut world, "1.1");
    is_killed(&mut world, "2.1");
    assert_eq!(world.ended(), Some(ShiftEnd::Budget));

    let again = |world: &mut World| {
        let issues = world.state.issues.keys().map(|issue| IssueAtStart {
            issue: *issue,
            base: commit("9"),
            target: turno_core::following::Target::Unknown,
        });
        let event = Event::ShiftStarted {
            mode: "feature-dev".parse().unwrap(),
            issues: issues.collect(),
            budget: MicroUsd(10_000_000),
            scope: Scope::Listed,
        };
        world.take(event)
    };
    assert_eq!(
        starts(&again(&mut world)),
        [],
        "another shift of the same day has nothing left"
    );
    assert_eq!(world.ended(), Some(ShiftEnd::Budget));
    world.now = Timestamp(DAY);
    assert_eq!(starts(&again(&mut world)).len(), 2);
    assert_eq!(world.state.booked(&Level::Day(Day(0))).usd, MicroUsd(150_000));
}

/// Has spent so much with so many messages.
fn said(turns: u32, micros: u64) -> Spend {
    Spend {
        turns,
        ..spend(micros)
    }
}

/// Two at work, neither cut, and 600 for both.
fn two_with_little() -> World {
    let mut world = with(|_| ());
    let level = Level::Day(world.state.desk.today);
    world.take(Event::BudgetSet {
        level,
        allowance: usd(600_000).into(),
    });
    world
}

/// Each at work may be in a message that nobody has told of: the day is used up with these, not after them.
#[test]
fn what_is_under_way_counts_before_it_is_told_of() {
    let mut world = two_with_little();
    meter(&mut world, "1.1", said(2, 200_000));
    assert_eq!(stops(&meter(&mut world, "1.1", said(3, 300_000))), []);
    // What may be a whole attempt that is over is no message.
    assert_eq!(
        stops(&meter(&mut world, "2.1", said(1, 110_000))),
        [],
        "100 of 190"
    );
    let all = stops(&meter(&mut world, "2.1", said(2, 120_000)));
    assert_eq!(all, [StopWhy::DayBudget, StopWhy::DayBudget], "210 of 180");
}

#[test]
fn of_messages_that_nobody_can_tell_apart_nothing_is_held_back() {
    let mut world = two_with_little();
    assert_eq!(stops(&meter(&mut world, "1.1", said(4, 400_000))), []);
    assert_eq!(stops(&meter(&mut world, "2.1", said(0, 100_000))), []);
    assert_eq!(stops(&meter(&mut world, "2.1", said(0, 100_001))).len(), 2);
}

#[test]
fn raising_the_day_sets_a_shift_going_again_that_is_being_stopped() {
    let mut world = with(|c| c.budgets.day = usd(100_000));
    meter(&mut world, "1.1", spend(100_000));
    is_killed(&mut world, "1.1");
    let commands = world.take(Event::BudgetSet {
        level: Level::Day(Day(0)),
        allowance: usd(900_000).into(),
    });
    assert_eq!(starts(&commands).len(), 1);
    is_killed(&mut world, "2.1");
    assert_eq!(world.ended(), None);
}

#[test]
fn raising_the_shift_raises_what_the_shift_may_spend() {
    let mut world = World::new();
    world.budget = MicroUsd(100_000);
    world.start_shift(1);
    meter(&mut world, "1.1", spend(100_000));
    let shift = world.state.shift().unwrap().id;
    world.take(Event::BudgetSet {
        level: Level::Shift(shift),
        allowance: usd(200_000).into(),
    });
    assert_eq!(world.state.shift().unwrap().budget, MicroUsd(200_000));
    let commands = is_killed(&mut world, "1.1");
    assert_eq!(starts(&commands)[0].limits.cap, MicroUsd(100_000));
}

#[test]
fn no_level_promises_more_than_it_has() {
    let mut world = with(|c| {
        c.budgets.issue = usd(900_000);
        c.budgets.task = usd(700_000);
        c.agents.values_mut().for_each(|a| a.allowance = usd(800_000));
    });
    let caps: Vec<u64> = world
        .state
        .running()
        .map(|t| t.agent_run().unwrap().cap.0)
        .collect();
    assert_eq!(caps, [400_000, 400_000], "both use the account of one agent");
    let attempt = world.task(id("1.1")).run().unwrap().attempt;
    world.end_attempt(attempt, crate::world::wrote("a").0, crate::world::wrote("a").1);
    let held: Used = world.state.promised(&Level::Issue(turno_core::ids::IssueId(1)));
    assert_eq!(held.usd, MicroUsd::ZERO);
}

#[test]
fn another_agent_takes_over_when_an_account_is_used_up() {
    let mut world = World::with(|c| {
        let claude = "claude".parse().unwrap();
        c.agents.get_mut(&claude).unwrap().allowance = usd(100_000);
    });
    world.start_shift(1);
    let commands = meter(&mut world, "1.1", spend(100_000));
    assert_eq!(stops(&commands), [StopWhy::AgentBudget]);
    let commands = is_killed(&mut world, "1.1");
    let agents: Vec<String> = starts(&commands).iter().map(|s| s.agent.to_string()).collect();
    assert_eq!(agents, ["codex"]);
}

#[test]
fn tokens_and_turns_hold_where_dollars_mean_nothing() {
    let flat = |c: &mut Config| {
        for agent in c.agents.values_mut() {
            agent.tariff = Tariff::Flat;
            agent.allowance.tokens = Some(1000);
        }
        c.budgets.task.turns = Some(3);
    };
    let told = |tokens, turns| Spend {
        cost: MicroUsd(900_000_000),
        basis: CostBasis::Reported,
        tokens: Tokens {
            cache_read: tokens,
            ..Tokens::default()
        },
        turns,
        counted: None,
    };
    let mut world = with(flat);
    assert_eq!(stops(&meter(&mut world, "1.1", told(10, 2))), []);
    assert_eq!(
        stops(&meter(&mut world, "1.1", told(20, 3))),
        [StopWhy::TaskBudget]
    );
    let commands = meter(&mut world, "2.1", told(990, 1));
    assert_eq!(stops(&commands), [StopWhy::AgentBudget], "{commands:?}");
    is_killed(&mut world, "1.1");
    let shift = world.state.shift().unwrap();
    assert_eq!(world.state.spent(shift), MicroUsd::ZERO);
    let page = &world.state.accounts[&Level::Task(id("1.1"))];
    assert_eq!((page.used.tokens, page.used.turns), (20, 3));
}

#[test]
fn time_is_cut_to_what_a_level_has_left() {
    let mut world = World::with(|c| c.budgets.task.wall = Some(Span::seconds(30)));
    let start = starts(&world.start_shift(1))[0].clone();
    assert_eq!(start.limits.wall_clock, Span::seconds(30));
    world.now = world.now + Span::seconds(31);
    assert_eq!(stops(&world.take(Event::TimePassed)), [StopWhy::TaskBudget]);
    is_killed(&mut world, "1.1");
    assert_eq!(parked_for(&world, "1.1"), Some(Level::Task(id("1.1"))));
}

#[test]
fn a_cost_that_nobody_knows_is_held_and_never_zero() {
    let mut world = World::new();
    world.budget = MicroUsd(3_000_000);
    world.start_shift(1);
    let cap = world.task(id("1.1")).agent_run().unwrap().cap;
    let unknown = Spend {
        cost: cap,
        basis: CostBasis::Unknown,
        ..spend(0)
    };
    assert_eq!(
        stops(&meter(&mut world, "1.1", unknown)),
        [],
        "a guess kills nothing"
    );
    let (_, left) = crate::world::wrote("a");
    world.end_agent(crate::world::wrote("a").0, left);
    let shift = world.state.shift().unwrap();
    let booked = world.state.booked(&Level::Shift(shift.id));
    assert_eq!((booked.usd, booked.unknown), (cap, cap));
    assert!(world.state.promised(&Level::Shift(shift.id)).usd <= shift.budget);
}

#[test]
fn each_mark_is_told_of_once_and_again_under_a_new_limit() {
    let mut world = World::with(|c| c.budgets.task = usd(1_000_000));
    world.start_shift(1);
    let task = Level::Task(id("1.1"));
    let mut told = Vec::new();
    for micros in [100_000, 500_000, 510_000, 790_000, 800_000, 960_000, 970_000] {
        told.extend(warnings(&meter(&mut world, "1.1", spend(micros))));
    }
    assert_eq!(told, [(task.clone(), 50), (task.clone(), 80), (task.clone(), 95)]);
    let commands = world.take(Event::BudgetSet {
        level: task.clone(),
        allowance: usd(1_900_000).into(),
    });
    assert_eq!(warnings(&commands), [], "half of it was told of already");
    let commands = meter(&mut world, "1.1", spend(1_600_000));
    assert_eq!(warnings(&commands), [(task, 80)]);
}

#[test]
fn what_the_agent_says_is_kept_beside_what_was_counted() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    let (end, left) = crate::world::wrote("a");
    world.take(Event::AgentEnded {
        attempt,
        end,
        spend: Spend {
            basis: CostBasis::Reported,
            counted: Some(MicroUsd(70_000)),
            ..spend(100_000)
        },
        left,
        transcript: turno_core::check::LogRef {
            path: "out".to_owned(),
            bytes: 0,
        },
    });
    let page = &world.state.accounts[&Level::Task(id("1.1"))];
    assert_eq!(page.compared.reported, MicroUsd(100_000));
    assert_eq!(page.compared.counted, MicroUsd(70_000));
    assert_eq!(page.used.usd, MicroUsd(100_000));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = with(|_| {});
    let ask = |level: &str, allowance: Allowance| {
        let (level, allowance) = (level.parse().unwrap(), allowance.into());
        admit(&world.state, &Event::BudgetSet { level, allowance })
    };
    assert_eq!(ask("task/1.1", Allowance::NONE), Err(Refused::NoAllowance));
    assert_eq!(ask("task/1.1", usd(0)), Err(Refused::NoAllowance));
    assert_eq!(ask("task/1.9", usd(1)), Err(Refused::NoSuchTask(id("1.9"))));
    assert!(matches!(ask("shift/S9", usd(1)), Err(Refused::LevelIsOver(_))));
    assert!(matches!(
        ask("day/1969-12-31", usd(1)),
        Err(Refused::LevelIsOver(_))
    ));
    assert!(matches!(
        ask("agent/nobody/1970-01-01", usd(1)),
        Err(Refused::NoSuchAgent(_))
    ));
    assert_eq!(ask("agent/claude/1970-01-01", usd(1)), Ok(()));
}

#[test]
fn what_was_spent_before_the_ledger_had_pages_still_counts() {
    let mut world = World::new();
    world.budget = MicroUsd(100_000);
    world.start_shift(1);
    meter(&mut world, "1.1", spend(60_000));
    is_killed(&mut world, "1.1");
    // As an older build wrote it down: tasks and shifts know money, and there are no pages.
    world.state.accounts.clear();
    let shift = world.state.shift().unwrap().id;
    assert_eq!(world.state.booked(&Level::Shift(shift)).usd, MicroUsd(60_000));
    let start = world.task(id("1.1")).agent_run().unwrap().cap;
    assert_eq!(start, MicroUsd(40_000));
}

#[test]
fn a_task_says_which_budget_it_waits_for() {
    let mut world = with(|c| {
        c.personas
            .iter_mut()
            .for_each(|p| p.agents = vec!["claude".parse().unwrap()]);
        let claude = "claude".parse().unwrap();
        c.agents.get_mut(&claude).unwrap().allowance = usd(100_000);
    });
    meter(&mut world, "1.1", spend(100_000));
    is_killed(&mut world, "1.1");
    let Some(Waiting::Budget(shortage)) = waiting(&world.state, &world.task(id("1.1"))) else {
        panic!("{:?}", world.task(id("1.1")).stage)
    };
    assert!(matches!(shortage.level, Level::Agent { .. }));
    assert_eq!(shortage.left, Amount::Usd(MicroUsd::ZERO));
    is_killed(&mut world, "2.1");
    assert_eq!(world.ended(), Some(ShiftEnd::Budget));
}
