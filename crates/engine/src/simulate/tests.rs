//! Simulated nights, without any workspace: the built-in configuration and what is assumed.

use rstest::rstest;
use turno_core::check::{Check, Reach};
use turno_core::container::Within;
use turno_core::failure::Cause;
use turno_core::shift::ShiftEnd;
use turno_core::units::Span;

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
    Job::new(config(policy), Backlog::MadeUp(issues), &model.split, terms).unwrap()
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
    let refused = Job::new(config("drain"), Backlog::MadeUp(1), &model.split, terms);
    assert!(matches!(refused, Err(Error::Refused(Refused::NoBudget))));
    let none = Job::new(
        config("drain"),
        Backlog::MadeUp(0),
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
    engineer.fails.mean = 1.0;
    engineer.asks.mean = 0.0;
    engineer.causes = [(cause, 1.0)].into();
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
        habit.asks.mean = 0.0;
        habit.fails.mean = 0.0;
    }
    let free = simulate(&job_of("single", 3, 1_000_000_000), &model, nights(50)).unwrap();
    let [_, engineer, ..] = &mut model.roles;
    engineer.fails.mean = 0.5;
    engineer.causes = [(Cause::Quota, 1.0)].into();
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
        habit.fails.mean = 0.0;
    }
    let [_, engineer, ..] = &mut model.roles;
    engineer.asks.mean = 1.0;
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
    let job = Job::new(config, Backlog::MadeUp(2), &model.split, terms).unwrap();
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
            .any(|b| b.slot == Lane::Landing && b.label.starts_with("land "))
    );
    assert!(bars.iter().any(|b| b.label.starts_with("plan ")));
}
