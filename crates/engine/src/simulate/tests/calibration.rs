//! Whether a forecast can be relied on: nights of a known truth are learned from one by one, and other nights of the same
//! truth are held against what is forecast. Nine of ten should lie in the range from 5 to 95.

use std::collections::BTreeMap;

use super::*;

/// How thoroughly it is looked at.
#[derive(Clone, Copy)]
struct Effort {
    /// So many times one night is learned from.
    histories: u64,
    /// So many nights make a forecast.
    nights: usize,
    /// So many other nights are held against it.
    others: u64,
}

/// Enough to see a model that is wrong.
const QUICK: Effort = Effort {
    histories: 10,
    nights: 40,
    others: 6,
};

/// What the documentation says was counted so.
const LONG: Effort = Effort {
    histories: 40,
    nights: 100,
    others: 10,
};

/// What is true: how prone tasks are, and of what attempts fail.
struct Truth {
    /// How much likelier what happened once to a task is to happen to it again.
    again: f64,
    /// How long an attempt takes in the middle, in milliseconds.
    takes: f64,
}

fn known(mean: f64, again: f64) -> Prone {
    Prone::known(Chance { mean, worth: 1e9 }, again)
}

fn exactly(typical: f64, spread: f64) -> Amount {
    Amount {
        mu: typical.ln(),
        sigma: spread.ln(),
        doubt: 0.0,
    }
}

/// An attempt may cost no more than a dollar.
fn capped(config: &mut Config) {
    for persona in &mut config.personas {
        persona.budget = MicroUsd(1_000_000);
    }
}

impl Truth {
    fn model(&self) -> Model {
        let work = |part: f64, costs: f64| Work {
            takes: exactly(self.takes * part, 1.6),
            costs: exactly(costs, 1.7),
            tokens: exactly(costs, 1.7),
            turns: exactly(20.0, 1.7),
        };
        let failing = |chance: Prone, work: Work| Failing {
            chance,
            course: Course::Seen(work),
        };
        let mut model = Model::assumed(None).unwrap();
        for habit in &mut model.roles {
            *habit = Habit {
                work: work(1.0, 300_000.0),
                fails: BTreeMap::new(),
                asks: known(0.0, 0.0),
                sends_back: known(0.0, 0.0),
            };
        }
        let [_, engineer, reviewer, _] = &mut model.roles;
        engineer.asks = known(0.06, self.again);
        engineer.fails = [
            (
                Cause::AttemptBudget,
                failing(known(0.08, self.again), work(2.0, 1_200_000.0)),
            ),
            (
                Cause::NoOutcome,
                failing(known(0.08, self.again), work(1.0, 300_000.0)),
            ),
            (
                Cause::Agent,
                failing(known(0.04, self.again), work(0.3, 50_000.0)),
            ),
            (Cause::Provider, failing(known(0.02, 0.0), work(0.1, 20_000.0))),
        ]
        .into();
        reviewer.work = work(0.5, 100_000.0);
        reviewer.sends_back = known(0.25, self.again);
        model.checks = CheckHabit {
            takes: exactly(self.takes / 3.0, 1.3),
            red: known(0.2, self.again),
        };
        model.landing = LandingTime::Whole(exactly(2000.0, 1.3));
        model
    }
}

/// How many of the truth's own nights lie within the forecasts that are learned from one night each: landed, cost, time.
fn within(truth: &Truth, effort: Effort) -> [f64; 3] {
    let (truth, assumed) = (truth.model(), Model::assumed(None).unwrap());
    let mut inside = [0_u32; 3];
    for seed in 0..effort.histories {
        let mut job = job_with(capped, Vec::new());
        job.seed = 1000 + seed;
        let past = world(&job, &truth, 0, Kept::Records(Vec::new())).unwrap();
        let Kept::Records(records) = past.kept else {
            panic!("records were asked for");
        };
        let mut learner = Learner::of(None);
        records.iter().for_each(|r| learner.take(r));
        let personas = &job.config.personas;
        let roles: Vec<_> = personas.iter().map(|p| (p.name.clone(), p.role)).collect();
        let fit = learner.fit(assumed.clone(), &roles);
        assert_eq!(fit.shifts, 1);
        let forecast = simulate(&job, &fit.model, nights(effort.nights)).unwrap();
        for other in 1..=effort.others {
            let real = night(&job, &truth, other).unwrap();
            let figures = [
                (real.landed, forecast.landed),
                (real.cost.0, forecast.cost_micros),
                (real.took.0, forecast.took_ms),
            ];
            for (count, (real, range)) in inside.iter_mut().zip(figures) {
                *count += u32::from(range.p5 <= real && real <= range.p95);
            }
        }
    }
    inside.map(|n| f64::from(n) / (effort.histories * effort.others) as f64)
}

/// The shares, told and held against what they must be.
fn held(truth: &Truth, effort: Effort) {
    let [landed, cost, took] = within(truth, effort);
    println!(
        "again {}, {} s: of {} nights there lie within 5 to 95: landed {landed:.2}, cost {cost:.2}, time {took:.2}",
        truth.again,
        truth.takes / 1000.0,
        effort.histories * effort.others,
    );
    for share in [landed, cost, took] {
        assert!(share >= 0.8, "landed {landed}, cost {cost}, time {took}");
    }
}

/// Tasks of which some fail each time, that take what is not assumed.
#[test]
fn nights_of_a_known_truth_lie_where_they_are_forecast() {
    let truth = Truth {
        again: 0.9,
        takes: 1_000.0,
    };
    held(&truth, QUICK);
}

/// Minutes, so it is run by hand: `cargo test -p turno-engine --lib calibration -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn the_same_on_many_nights() {
    for again in [0.9, 0.5, 0.01] {
        held(
            &Truth {
                again,
                takes: 90_000.0,
            },
            LONG,
        );
    }
}
