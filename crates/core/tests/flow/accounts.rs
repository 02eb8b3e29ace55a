//! Accounts of agents: told quotas and limits by the minute; and that tasks lose no try for them.

use turno_core::command::{AgentStart, Command, Session};
use turno_core::event::{AgentEnd, Event, LeftBehind};
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::gate::{Opens, Standing};
use turno_core::ids::{AgentName, AttemptId, TaskId};
use turno_core::persona::Role;
use turno_core::policy::{Charge, TryRow};
use turno_core::quota::{Quota, QuotaFill};
use turno_core::shift::{Scope, ShiftEnd};
use turno_core::step::{Waiting, waiting};
use turno_core::task::{Park, Stage};
use turno_core::units::{Span, Timestamp};
use turno_core::view::StageName;

use crate::world::{World, approve, checks_green, left, persona, wrote};

const HOUR: Span = Span::seconds(3600);
pub(crate) const MINUTE: Span = Span::seconds(60);

pub(crate) fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

pub(crate) fn agent(name: &str) -> AgentName {
    name.parse().unwrap()
}

fn told(cause: Cause, at: Timestamp) -> AgentEnd {
    AgentEnd::Failed(Failure {
        retry_after: RetryAfter::At(at),
        ..Failure::new(cause, "used up")
    })
}

pub(crate) fn failed(cause: Cause) -> AgentEnd {
    AgentEnd::Failed(Failure::new(cause, "it did not work"))
}

/// A world in which engineers and reviewers are all played by `claude`.
pub(crate) fn alone() -> World {
    with_agents(&["claude"])
}

pub(crate) fn with_agents(agents: &[&str]) -> World {
    World::with(|config| {
        config.personas = vec![
            persona("engineer", Role::Engineer, agents),
            persona("reviewer", Role::Reviewer, agents),
        ];
        config.slots = 8;
        for limits in config.agents.values_mut() {
            limits.at_once = 8;
        }
    })
}

impl World {
    pub(crate) fn standing(&self, name: &str) -> Standing {
        self.state.gates[&agent(name)].standing.clone()
    }

    pub(crate) fn wakes(&mut self) -> Vec<Command> {
        self.now = turno_core::next_deadline(&self.state).unwrap();
        self.take(Event::TimePassed)
    }

    /// A model answers every running attempt.
    pub(crate) fn all_are_answered(&mut self) {
        for attempt in self.state.attempts() {
            let spend = crate::world::spend(1);
            self.take(Event::Metered { attempt, spend });
        }
    }

    /// Every running attempt of an agent ends so.
    pub(crate) fn all_end(&mut self, end: &AgentEnd) {
        let running: Vec<AttemptId> = self.state.attempts().into_iter().collect();
        for attempt in running {
            self.end_attempt(attempt, end.clone(), LeftBehind::Nothing);
        }
    }

    fn sees(&mut self, window: &str, fill: QuotaFill, resets: Option<Timestamp>) -> Vec<Command> {
        let attempt = self.last_attempt();
        let window = window.to_owned();
        let quota = Quota { window, fill, resets };
        self.take(Event::QuotaSeen { attempt, quota })
    }

    pub(crate) fn charged(&self) -> u32 {
        let tries = self.state.tasks.values().flat_map(|t| t.tries.values());
        tries.map(|n| u32::from(*n)).sum()
    }
}

pub(crate) fn started(commands: &[Command]) -> Vec<&AgentStart> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::StartAgent(start) => Some(&**start),
            _ => None,
        })
        .collect()
}

#[test]
fn a_used_up_account_waits_and_goes_on_with_the_same_conversation() {
    let mut world = alone();
    world.start_shift(1);
    world.open_session("conversation");
    let reset = world.now + HOUR;
    world.end_agent(told(Cause::Quota, reset), left("a"));
    let task = world.task(id("1.1"));
    assert_eq!(
        waiting(&world.state, &task),
        Some(Waiting::Account {
            agent: agent("claude"),
            opens: Opens::At(reset),
            cause: Cause::Quota
        })
    );
    assert_eq!((world.charged(), world.ended()), (0, None));
    let shown = turno_core::view::status(&world.state).gates;
    assert_eq!(
        shown[0].closed_phrase().unwrap(),
        "`claude` is not started: the account's quota is used up (used up)"
    );
    // Not a moment sooner.
    world.now = Timestamp(reset.0 - 2);
    assert_eq!(world.take(Event::TimePassed), []);
    let commands = world.wakes();
    let [start] = started(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(start.session, Session::Resume("conversation".parse().unwrap()));
    assert_eq!(world.now, reset + Span(1));
}

#[test]
fn those_who_wait_for_an_account_do_not_come_back_together() {
    let opens = |luck| {
        let mut world = World::with(|config| {
            config.personas[0].agents.truncate(1);
            let row = TryRow::new(Cause::Quota, 3, Span::seconds(100));
            config.policy.rows.insert(Cause::Quota, row);
        });
        world.start_shift(1);
        let failure = Failure {
            retry_after: RetryAfter::At(Timestamp(1_000_000)),
            luck: Luck(luck),
            ..Failure::new(Cause::Quota, "used up")
        };
        world.end_agent(AgentEnd::Failed(failure), LeftBehind::Nothing);
        turno_core::next_deadline(&world.state).unwrap()
    };
    assert_eq!(opens(0), Timestamp(1_000_100));
    assert_eq!(opens(499), Timestamp(1_050_000));
    assert_eq!(opens(999), Timestamp(1_100_000));
}

#[test]
fn where_no_time_is_told_the_waits_grow_and_end_with_a_person() {
    let mut world = alone();
    world.start_shift(1);
    let mut config = world.state.config.as_ref().unwrap().as_ref().clone();
    let row = TryRow::new(Cause::Quota, 3, Span::seconds(100));
    config.policy.rows.insert(Cause::Quota, row);
    config.policy.longest_wait = Span::seconds(300);
    world.take(Event::ConfigLoaded {
        config: Box::new(config),
    });
    for wait in [100, 200, 300] {
        world.end_agent(failed(Cause::Quota), LeftBehind::Nothing);
        let closed = turno_core::next_deadline(&world.state).unwrap();
        assert_eq!(closed.since(world.now), Span::seconds(wait));
        assert_eq!(started(&world.wakes()).len(), 1);
    }
    world.end_agent(failed(Cause::Quota), LeftBehind::Nothing);
    assert!(matches!(world.standing("claude"), Standing::Shut { .. }));
    assert!(matches!(
        world.task(id("1.1")).stage,
        Stage::Parked {
            park: Park::Account { .. },
            ..
        }
    ));
    assert_eq!((world.charged(), world.ended()), (0, Some(ShiftEnd::NeedsPerson)));
}

#[test]
fn another_agent_takes_over_what_the_closed_account_held_and_keeps_it() {
    let mut world = with_agents(&["claude", "codex"]);
    world.start_shift(1);
    world.open_session("first");
    let reset = world.now + HOUR;
    let commands = world.end_agent(told(Cause::Quota, reset), left("a"));
    let [start] = started(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((&start.agent, &start.session), (&agent("codex"), &Session::Fresh));
    assert_eq!(world.charged(), 0);
    world.open_session("second");
    world.end_writer(wrote("b"));
    world.end_checks(crate::world::checks_red("no"));
    // Its own change goes back to it, also when the first account is open again.
    let attempt = world.last_attempt();
    world.now = reset + MINUTE;
    world.end_attempt(attempt, failed(Cause::Stalled), LeftBehind::Nothing);
    let run = world.task(id("1.1")).agent_run().cloned().unwrap();
    assert_eq!(run.agent, agent("codex"));
}

#[test]
fn a_reviewer_of_a_closed_account_is_not_waited_for() {
    let mut world = with_agents(&["claude", "codex"]);
    world.start_shift(1);
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    let reviewer = world.task(id("1.1")).agent_run().unwrap().agent.clone();
    assert_eq!(reviewer, agent("codex"));
    let commands = world.end_reviewer(told(Cause::Quota, world.now + HOUR));
    let [start] = started(&commands)[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((start.agent.clone(), world.charged()), (agent("claude"), 0));
    world.end_reviewer(approve());
    assert_eq!(world.stage(id("1.1")), StageName::Landing);
}

#[test]
fn a_window_that_is_full_closes_the_account_before_anything_fails() {
    let mut world = alone();
    world.start_shift(1);
    let reset = world.now + HOUR;
    world.sees("five-hour", QuotaFill::Full, Some(reset));
    // Whoever runs may finish, and what is next waits.
    world.end_writer(wrote("a"));
    world.end_checks(checks_green());
    assert_eq!(world.stage(id("1.1")), StageName::Ready);
    assert_eq!(turno_core::next_deadline(&world.state), Some(reset));
    assert_eq!(started(&world.wakes()).len(), 1);
    // A window that empties sooner than it said opens it; another window does not.
    world.sees("five-hour", QuotaFill::Full, Some(world.now + HOUR));
    world.sees("weekly", QuotaFill::Percent(3), None);
    assert!(matches!(world.standing("claude"), Standing::Closed { .. }));
    world.sees("five-hour", QuotaFill::Percent(1), None);
    assert_eq!(world.standing("claude"), Standing::Open);
    // Without a time there is nothing to wait for.
    world.sees("five-hour", QuotaFill::Full, None);
    assert_eq!(world.standing("claude"), Standing::Open);
}

#[test]
fn names_from_outside_are_kept_in_bounds() {
    let mut world = alone();
    world.start_shift(1);
    for n in 0..100 {
        let name = format!("{n}-{}", "x".repeat(500));
        world.sees(&name, QuotaFill::Near, None);
    }
    let windows = &world.state.gates[&agent("claude")].windows;
    assert_eq!(windows.len(), 16);
    assert!(windows.keys().all(|name| name.len() == 64));
    assert!(windows.keys().any(|name| name.starts_with("99-")));
}

#[test]
fn a_time_that_makes_no_sense_is_not_waited_for() {
    let mut world = alone();
    world.start_shift(1);
    world.end_agent(told(Cause::Quota, Timestamp(i64::MAX)), LeftBehind::Nothing);
    let opens = turno_core::next_deadline(&world.state).unwrap();
    assert_eq!(opens.since(world.now), Span::seconds(8 * 24 * 3600));
    world.wakes();
    world.end_agent(told(Cause::Quota, Timestamp(5)), LeftBehind::Nothing);
    let opens = turno_core::next_deadline(&world.state).unwrap();
    assert_eq!(opens.since(world.now), Span::seconds(1));
}

#[test]
fn a_shift_that_is_over_before_the_account_opens_does_not_wait_for_it() {
    for (opens, end) in [(2, Some(ShiftEnd::TimeUp)), (1, None)] {
        let mut world = alone();
        world.start_shift(0);
        let until = world.now + Span::seconds(90 * 60);
        let draft = turno_core::issue::IssueDraft {
            title: "late".to_owned(),
            ..turno_core::issue::IssueDraft::default()
        };
        world.take(Event::IssueAdded { draft });
        world.take(Event::ShiftStarted {
            mode: "drain".parse().unwrap(),
            issues: vec![],
            budget: world.budget,
            scope: Scope::Backlog {
                at_most: None,
                until: Some(until),
            },
        });
        world.take(Event::IssueOpened {
            issue: turno_core::ids::IssueId(1),
            base: crate::world::commit("9"),
            target: turno_core::following::Target::Unknown,
        });
        world.end_agent(
            told(Cause::Quota, world.now + Span(HOUR.0 * opens)),
            LeftBehind::Nothing,
        );
        assert_eq!(world.ended(), end);
    }
}

#[test]
fn a_busy_provider_slows_an_account_down_and_time_lets_it_go() {
    let mut world = alone();
    world.start_shift(4);
    let attempt = world.last_attempt();
    world.take(Event::Metered {
        attempt,
        spend: crate::world::spend(1),
    });
    let soon = world.now + Span::seconds(5);
    world.end_attempt(attempt, told(Cause::RateLimited, soon), LeftBehind::Nothing);
    assert_eq!(world.charged(), 0);
    // The others go on; what is to be started waits for the told time, and then for its turn.
    world.all_end(&failed(Cause::Stalled));
    let first = loop {
        let commands = world.wakes();
        let starts = started(&commands).len();
        assert!(starts <= 1, "{commands:?}");
        if starts == 1 {
            break world.now;
        }
    };
    assert!(first >= soon);
    let second = loop {
        if !started(&world.wakes()).is_empty() {
            break world.now;
        }
    };
    assert_eq!(second.since(first).0 / 1000, 10);
    // Once more, and the pause is twice as long.
    world.end_agent(failed(Cause::RateLimited), LeftBehind::Nothing);
    world.wakes();
    let Standing::Slowed(pace) = world.standing("claude") else {
        panic!("{:?}", world.standing("claude"))
    };
    assert_eq!(pace.every, Span::seconds(20));
    while world.standing("claude") != Standing::Open {
        assert!(world.now.since(second) < Span::seconds(3600));
        world.wakes();
    }
}

#[test]
fn a_policy_says_who_is_charged() {
    let mut world = alone();
    let mut config = world.state.config.as_ref().unwrap().as_ref().clone();
    let row = TryRow {
        charge: Charge::Account,
        ..TryRow::new(Cause::Provider, 1, MINUTE)
    };
    config.policy.rows.insert(Cause::Provider, row);
    world.take(Event::ConfigLoaded {
        config: Box::new(config),
    });
    world.start_shift(1);
    world.end_agent(failed(Cause::Provider), LeftBehind::Nothing);
    assert_eq!(world.charged(), 0);
    assert!(matches!(world.standing("claude"), Standing::Closed { .. }));
    world.wakes();
    world.end_agent(failed(Cause::Provider), LeftBehind::Nothing);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn waits_are_drawn_between_a_tenth_and_the_whole() {
    let wait = |luck, count| {
        let row = TryRow::new(Cause::Agent, 9, Span::seconds(10));
        row.backoff(count, Span::seconds(30), Luck(luck)).0
    };
    assert_eq!((wait(0, 1), wait(499, 1), wait(999, 1)), (1000, 5000, 10_000));
    assert_eq!((wait(0, 2), wait(999, 2), wait(999, 9)), (2000, 20_000, 30_000));
    let exact = TryRow {
        jitter: turno_core::policy::Jitter::None,
        ..TryRow::new(Cause::Agent, 9, Span::seconds(10))
    };
    assert_eq!(exact.backoff(1, MINUTE, Luck(0)), Span::seconds(10));
    let shortest = TryRow::new(Cause::Agent, 9, Span(1));
    assert_eq!(shortest.backoff(1, MINUTE, Luck(0)), Span(1));
}

#[test]
fn an_issue_that_fails_in_ever_new_ways_is_a_persons() {
    let mut world = World::with(|config| config.policy.caps.failures = 5);
    world.start_shift(1);
    world.spend(1);
    let causes = [Cause::Agent, Cause::Stalled, Cause::NoChange, Cause::NoOutcome];
    for cause in causes {
        world.end_agent(failed(cause), LeftBehind::Nothing);
        assert_ne!(world.stage(id("1.1")), StageName::Parked);
    }
    // What the account bears counts for nothing.
    world.end_agent(told(Cause::Quota, world.now + HOUR), LeftBehind::Nothing);
    assert_ne!(world.stage(id("1.1")), StageName::Parked);
    // A restart forgets nothing.
    let mut again = turno_core::State::default();
    for record in &world.journal {
        record.redo(&mut again);
    }
    assert_eq!(again, world.state);
    world.end_agent(failed(Cause::WroteWhileReading), LeftBehind::Nothing);
    assert!(matches!(
        world.task(id("1.1")).stage,
        Stage::Parked {
            park: Park::Ceiling { failures: 5, .. },
            ..
        }
    ));
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    // A person who runs it again gives it as much again.
    world.start_shift(0);
    world.end_agent(failed(Cause::Agent), LeftBehind::Nothing);
    assert_ne!(world.stage(id("1.1")), StageName::Parked);
}

#[test]
fn a_restart_forgets_neither_a_closed_account_nor_a_try() {
    let mut world = alone();
    world.start_shift(1);
    world.spend(1);
    world.end_agent(failed(Cause::Stalled), LeftBehind::Nothing);
    let reset = world.now + HOUR;
    world.end_agent(told(Cause::Quota, reset), LeftBehind::Nothing);
    let mut again = turno_core::State::default();
    for record in &world.journal {
        let text = serde_json::to_string(record).unwrap();
        let read: turno_core::record::Record = serde_json::from_str(&text).unwrap();
        read.redo(&mut again);
    }
    assert_eq!(again, world.state);
    world.state = again;
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted: std::collections::BTreeSet::new(),
    });
    assert_eq!(commands, []);
    assert_eq!(turno_core::next_deadline(&world.state), Some(reset));
    assert_eq!(world.task(id("1.1")).tries, [(Cause::Stalled, 1)].into());
}

#[test]
fn an_account_that_opens_again_outranks_one_that_has_no_money() {
    let mut world = with_agents(&["claude", "codex"]);
    let mut config = world.state.config.as_ref().unwrap().as_ref().clone();
    let codex = config.agents.get_mut(&agent("codex")).unwrap();
    codex.allowance.turns = Some(0);
    world.take(Event::ConfigLoaded {
        config: Box::new(config),
    });
    world.start_shift(1);
    world.end_agent(told(Cause::Quota, world.now + HOUR), LeftBehind::Nothing);
    let why = waiting(&world.state, &world.task(id("1.1")));
    assert!(matches!(why, Some(Waiting::Account { .. })), "{why:?}");
    assert_eq!(world.ended(), None);
    assert_eq!(started(&world.wakes()).len(), 1);
}
