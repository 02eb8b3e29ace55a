//! Random worlds: agents that succeed, fail, hang, return nothing, lie, spend; checks that flip; landings that
//! race; duplicate, stale and late events; crashes. After every step the invariants hold, or the world is
//! shrunk and printed. `TURNO_SIM_SHIFTS` sets how many worlds are run, `TURNO_SIM_SEED` runs one.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may panic, read its environment and look at the clock"
)]

mod cast;
mod invariants;
mod plan;
mod rng;
mod world;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use plan::{Fault, Plan, Tally};
use world::World;

fn run(plan: &Plan) -> Result<Tally, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(plan).run())).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// The smallest plan that still fails: fewer faults, fewer issues, fewer slots.
fn shrink(mut plan: Plan) -> Plan {
    loop {
        let mut smaller = Vec::new();
        for fault in plan.faults.clone() {
            let mut p = plan.clone();
            p.faults.retain(|f| *f != fault);
            smaller.push(p);
        }
        if plan.issues > 1 {
            smaller.push(Plan {
                issues: plan.issues - 1,
                ..plan.clone()
            });
        }
        if plan.slots > 1 {
            smaller.push(Plan {
                slots: plan.slots - 1,
                ..plan.clone()
            });
        }
        match smaller.into_iter().find(|p| run(p).is_err()) {
            Some(p) => plan = p,
            None => return plan,
        }
    }
}

#[test]
fn invariants_hold_in_random_worlds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seeds = match number("TURNO_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TURNO_SIM_SHIFTS").unwrap_or(10_000),
    };
    let begun = Instant::now();
    let mut total = Tally::default();
    let worlds = seeds.end - seeds.start;
    for seed in seeds {
        let plan = Plan::random(seed);
        match run(&plan) {
            Ok(tally) => total.add(&tally),
            Err(why) => {
                let small = shrink(plan.clone());
                let again = run(&small).expect_err("a shrunk plan still fails");
                panic!("{why}\n  plan: {plan:?}\n  shrunk: {small:?}\n  which fails with: {again}");
            }
        }
    }
    // A world in which nothing is tried proves nothing.
    if worlds >= 1000 {
        assert!(total.landed > worlds / 4, "too little lands: {total:?}");
        assert!(total.budget_ends > worlds / 100, "too few hard stops: {total:?}");
        assert!(total.parked > worlds / 20, "too little is parked: {total:?}");
        assert!(total.restarts > worlds / 20, "too few restarts: {total:?}");
        assert!(total.returns > worlds / 4, "too few returns: {total:?}");
    }
    // Written past the test runner's capture: the figure is to be seen in every log.
    let line = format!(
        "{worlds} simulated shifts in {:.1} s: {total:?}\n",
        begun.elapsed().as_secs_f64()
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn a_world_without_faults_lands_everything() {
    for seed in 0..50 {
        let plan = Plan {
            faults: Vec::new(),
            ..Plan::random(seed)
        };
        let tally = run(&plan).unwrap();
        assert_eq!(tally.landed, tally.tasks, "seed {seed}: {tally:?}");
    }
}

#[test]
fn shrinking_drops_what_does_not_matter() {
    let plan = Plan {
        faults: Fault::ALL.to_vec(),
        ..Plan::random(1)
    };
    assert!(run(&plan).is_ok());
}
