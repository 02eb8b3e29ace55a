//! Simulated nights, without any workspace: the built-in configuration and what is assumed.

mod calibration;

use rstest::rstest;
use turno_core::check::{Check, Reach};
use turno_core::container::Within;
use turno_core::failure::Cause;
use turno_core::ledger::{Day, Measure};
use turno_core::shift::ShiftEnd;
use turno_core::units::Span;
use turno_core::view::StageName;

use super::*;
use crate::config::{Files, Inputs, Overrides, Places, build};

fn config(policy: &str) -> Config {
    let inputs = Inputs {
        places: Places {
            repo: "/nowhere".into(),
            user: None,
        },
        files: Files::default(),
        env: crate::config::EnvMap::new(),
        flags: Overrides {
            policy: Some(policy.parse().unwrap()),
            ..Overrides::default()
        },
    };
    let mut config = build(&inputs).unwrap().core;
    config.checks = vec![Check {
        name: "test".parse().unwrap(),
        command: "true".to_owned(),
        timeout: Span::seconds(1800),
        network: Reach::None,
        within: Within::Sandbox,
    }];
    config
}

fn scope(policy: &str) -> Scope {
    if policy == "drain" {
        Scope::Backlog {
            at_most: None,
            until: None,
        }
    } else {
        Scope::Listed
    }
}

fn job_of(policy: &str, issues: u32, budget: u64) -> Job {
    let model = Model::assumed(None).unwrap();
    let terms = Terms {
        budget: MicroUsd(budget),
        scope: scope(policy),
        seed: 7,
        begins: Timestamp(1_700_000_000_000),
    };
    Job::new(config(policy), made_up_issues(issues), &model.split, terms).unwrap()
}

fn made_up_issues(issues: u32) -> Backlog {
    Backlog::MadeUp {
        issues,
        used: Vec::new(),
    }
}

/// The same for every task, and known for sure.
fn prone(mean: f64) -> Prone {
    Prone::alike(Chance { mean, worth: 1e6 })
}

fn failing(mean: f64) -> Failing {
    let chance = prone(mean);
    let course = Course::Unseen;
    Failing { chance, course }
}

fn nights(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[rstest]
#[case("drain")]
#[case("feature-dev")]
#[case("single")]
#[case("pair")]
#[case("qa-repair")]
#[case("batch")]
fn every_policy_lands_something_and_ends(#[case] policy: &str) {
    let model = Model::assumed(None).unwrap();
    let forecast = simulate(&job_of(policy, 4, 1_000_000_000), &model, nights(40)).unwrap();
    assert!(forecast.landed.p50 >= 1, "{forecast:?}");
    assert!(forecast.cost_micros.p50 > 500_000, "{forecast:?}");
    assert!(!forecast.middle.is_empty());
    assert!(forecast.nothing_starts == 0.0, "{forecast:?}");
}

#[test]
fn the_same_seed_gives_the_same_forecast_on_any_number_of_threads() {
    let model = Model::assumed(None).unwrap();
    let job = job_of("drain", 5, 20_000_000);
    let one = simulate_on(1, &job, &model, nights(25)).unwrap();
    for threads in [2, 3, 100] {
        assert_eq!(simulate_on(threads, &job, &model, nights(25)).unwrap(), one);
    }
    let other = Job { seed: 8, ..job };
    assert_ne!(
        simulate_on(1, &other, &model, nights(25)).unwrap().took_ms,
        one.took_ms
    );
}

#[test]
fn a_budget_that_starts_nothing_is_told() {
    let model = Model::assumed(None).unwrap();
    let forecast = simulate(&job_of("drain", 1, 10_000), &model, nights(20)).unwrap();
    assert_eq!((forecast.landed.p95, forecast.cost_micros.p95), (0, 0));
    assert_eq!(forecast.nothing_starts, 1.0);
    assert_eq!(forecast.held[0].why, Why::Budget);
    let lack = Lack {
        of: Purse::Shift,
        measure: Measure::Usd,
    };
    assert_eq!((&forecast.short[0].lack, forecast.short[0].share), (&lack, 1.0));
    assert_eq!(forecast.ends[0].end, ShiftEnd::Budget);
    assert!(forecast.middle.is_empty());
}

#[test]
fn a_budget_that_is_too_small_ends_the_shift_and_holds() {
    let model = Model::assumed(None).unwrap();
    let job = job_of("drain", 30, 6_000_000);
    let forecast = simulate(&job, &model, nights(120)).unwrap();
    let budget = forecast.ends.iter().find(|e| e.end == ShiftEnd::Budget).unwrap();
    assert!(budget.share > 0.9, "{forecast:?}");
    let slack = forecast.largest_message_micros * u64::from(job.config.slots);
    assert!(forecast.over_budget_micros <= slack, "{forecast:?}");
    assert!(forecast.landed.p90 < 30);
}

#[test]
fn no_budget_is_refused_as_it_would_be_for_real() {
    let model = Model::assumed(None).unwrap();
    let terms = Terms {
        budget: MicroUsd::ZERO,
        scope: Scope::Listed,
        seed: 1,
        begins: Timestamp(0),
    };
    let refused = Job::new(config("drain"), made_up_issues(1), &model.split, terms);
    assert!(matches!(refused, Err(Error::Refused(Refused::NoBudget))));
    let none = Job::new(
        config("drain"),
        made_up_issues(0),
        &model.split,
        Terms {
            budget: MicroUsd(1),
            ..terms
        },
    );
    assert!(matches!(none, Err(Error::NoIssues)));
}

#[test]
fn more_slots_make_a_night_shorter() {
    let model = Model::assumed(None).unwrap();
    let job = job_of("single", 8, 1_000_000_000);
    let took = |slots| {
        let forecast = simulate(&job.on_slots(slots), &model, nights(80)).unwrap();
        forecast.took_ms.p50
    };
    let (one, three) = (took(1), took(3));
    assert!(three * 3 < one * 2, "{one} {three}");
}

/// Agents that always fail in one way land nothing, and the way is told.
#[rstest]
#[case(Cause::Agent)]
#[case(Cause::NoChange)]
#[case(Cause::NoOutcome)]
#[case(Cause::SignIn)]
#[case(Cause::Provider)]
#[case(Cause::Stalled)]
fn what_always_happens_is_why_nothing_lands(#[case] cause: Cause) {
    let mut model = Model::assumed(None).unwrap();
    let [_, engineer, ..] = &mut model.roles;
    engineer.fails = [(cause, failing(1.0))].into();
    engineer.asks = prone(0.0);
    let forecast = simulate(&job_of("single", 2, 1_000_000_000), &model, nights(10)).unwrap();
    assert_eq!(forecast.landed.p95, 0);
    assert_eq!(
        forecast.held[0].why,
        Why::OutOfTries(cause),
        "{:?}",
        forecast.held
    );
}

#[test]
fn a_quota_holds_everybody_on_that_account_until_it_lifts() {
    let mut model = Model::assumed(None).unwrap();
    for habit in &mut model.roles {
        habit.asks = prone(0.0);
        habit.fails.clear();
    }
    let free = simulate(&job_of("single", 3, 1_000_000_000), &model, nights(50)).unwrap();
    let [_, engineer, ..] = &mut model.roles;
    engineer.fails = [(Cause::Quota, failing(0.5))].into();
    let held = simulate(&job_of("single", 3, 1_000_000_000), &model, nights(50)).unwrap();
    assert!(
        held.took_ms.p50 > free.took_ms.p50 + 1_800_000,
        "{} {}",
        held.took_ms.p50,
        free.took_ms.p50
    );
    assert!(held.landed.p50 > 0, "{:?}", held.held);
}

#[test]
fn questions_wait_for_a_person_unless_one_is_near() {
    let mut model = Model::assumed(None).unwrap();
    for habit in &mut model.roles {
        habit.fails.clear();
    }
    let [_, engineer, ..] = &mut model.roles;
    engineer.asks = prone(1.0);
    let job = job_of("single", 2, 1_000_000_000);
    let alone = simulate(&job, &model, nights(10)).unwrap();
    assert_eq!(alone.landed.p95, 0);
    assert_eq!(alone.held[0].why, Why::Question, "{:?}", alone.held);
    model.person = Person::AnswersAfter(600_000);
    // In the mode of somebody who is near an agent waits in its call; in the others a shift with nothing else to do is
    // over before the answer comes.
    let near = simulate(&job_of("pair", 2, 1_000_000_000), &model, nights(20)).unwrap();
    assert!(near.landed.p50 > 0, "{:?}", near.held);
}

#[test]
fn a_project_without_checks_lands_nothing() {
    let model = Model::assumed(None).unwrap();
    let mut config = config("single");
    config.checks.clear();
    let terms = Terms {
        budget: MicroUsd(50_000_000),
        scope: Scope::Listed,
        seed: 1,
        begins: Timestamp(0),
    };
    let job = Job::new(config, made_up_issues(2), &model.split, terms).unwrap();
    let forecast = simulate(&job, &model, nights(20)).unwrap();
    assert_eq!(forecast.landed.p95, 0);
    assert_eq!(forecast.held[0].why, Why::NoChecks, "{:?}", forecast.held);
}

#[test]
fn the_picture_is_of_one_night_and_no_slot_is_drawn_twice() {
    let model = Model::assumed(None).unwrap();
    let forecast = simulate(&job_of("feature-dev", 3, 1_000_000_000), &model, nights(50)).unwrap();
    let mut bars = forecast.middle;
    bars.sort_by_key(|b| (b.slot, b.from));
    for pair in bars.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        assert!(a.slot != b.slot || a.to <= b.from, "{a:?} {b:?}");
    }
    assert!(
        bars.iter()
            .any(|b| b.slot == Lane::Landing && b.kind == StageName::Landing)
    );
    assert!(bars.iter().any(|b| b.kind == StageName::Planning));
}

/// A job whose configuration is changed first, on what was used before.
fn job_with(change: impl FnOnce(&mut Config), used: Vec<Arc<Account>>) -> Job {
    let model = Model::assumed(None).unwrap();
    let mut config = config("single");
    change(&mut config);
    let terms = Terms {
        budget: MicroUsd(1_000_000_000),
        scope: Scope::Listed,
        seed: 7,
        begins: Timestamp(1_700_000_000_000),
    };
    Job::new(config, Backlog::MadeUp { issues: 12, used }, &model.split, terms).unwrap()
}

#[test]
fn agents_use_tokens_and_turns_and_a_budget_of_them_ends_the_night() {
    let model = Model::assumed(None).unwrap();
    let free = simulate(&job_with(|_| {}, Vec::new()), &model, nights(20)).unwrap();
    assert!(free.tokens.p50 > 5_000_000 && free.turns.p50 > 200, "{free:?}");
    assert!(free.short.is_empty(), "{:?}", free.short);

    let tokens = |c: &mut Config| c.budgets.shift.tokens = Some(4_000_000);
    let few = simulate(&job_with(tokens, Vec::new()), &model, nights(20)).unwrap();
    assert!(
        few.tokens.p90 < free.tokens.p10,
        "{:?} {:?}",
        few.tokens,
        free.tokens
    );
    let lack = Lack {
        of: Purse::Shift,
        measure: Measure::Tokens,
    };
    assert_eq!(few.short[0].lack, lack, "{:?}", few.short);
    assert!(few.short[0].share > 0.9, "{:?}", few.short);

    let turns = |c: &mut Config| c.budgets.day.turns = Some(100);
    let few = simulate(&job_with(turns, Vec::new()), &model, nights(20)).unwrap();
    assert_eq!(
        (&few.short[0].lack.of, few.short[0].lack.measure),
        (&Purse::Day, Measure::Turns)
    );
}

#[test]
fn what_the_day_has_used_already_is_not_there_for_made_up_issues_either() {
    let model = Model::assumed(None).unwrap();
    let limit = |c: &mut Config| c.budgets.day.usd = Some(MicroUsd(6_000_000));
    let fresh = simulate(&job_with(limit, Vec::new()), &model, nights(20)).unwrap();
    let mut state = State::default();
    state.desk.today = Day::of(Timestamp(1_700_000_000_000));
    let day = Level::Day(state.desk.today);
    for level in [day, Level::Issue(IssueId(1))] {
        let mut page = state.account(&level);
        page.used.usd = MicroUsd(4_500_000);
        state.put(Entity::Account(Arc::new(page)));
    }
    let used = used_by_day(&state);
    assert_eq!(used.len(), 1, "an issue of then is none of now: {used:?}");
    let later = simulate(&job_with(limit, used), &model, nights(20)).unwrap();
    assert!(later.cost_micros.p90 < 3_000_000 && fresh.cost_micros.p10 > 4_000_000);
    assert_eq!(later.short[0].lack.of, Purse::Day, "{:?}", later.short);
}
