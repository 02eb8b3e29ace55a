//! Whatever an author plans: a plan that is called sound has no circle, knows its needs and orders its overlaps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use turno_core::State;
use turno_core::globs;
use turno_core::ids::TaskId;
use turno_core::outcome::{Outcome, PlannedDrop, PlannedTask};
use turno_core::plan::{self, Draft, Sound};
use turno_core::policy::PlanCaps;
use turno_core::task::PlanBecause;

use crate::team::{id, plan as given, planned};
use crate::world::World;

/// An issue with four tasks in a row, of which the first is parked.
fn state() -> State {
    let mut world = World::planning(|_| {});
    let tasks = vec![
        planned("a", &[], &["src/a/**"]),
        planned("b", &["a"], &["src/b/**"]),
        planned("c", &["b"], &["src/c/**"]),
        planned("d", &["c"], &["docs/**"]),
    ];
    world.says(id("1.0"), given(tasks));
    world.stumbles(id("1.1"));
    world.state
}

fn task() -> impl Strategy<Value = PlannedTask> {
    let key = prop::sample::select(vec!["k0", "k1", "k2", "k3", "k4", "1.2", ""]);
    let needs = prop::collection::vec(
        prop::sample::select(vec![
            "k0", "k1", "k2", "k3", "k4", "1.1", "1.2", "1.4", "1.0", "7.1", "?",
        ]),
        0..3,
    );
    let touches = prop::collection::vec(
        prop::sample::select(vec!["src/**", "src/a/x.rs", "docs", "**/*.md", "a.rs"]),
        0..3,
    );
    (key, needs, touches).prop_map(|(key, needs, touches)| planned(key, &needs, &touches))
}

fn drops() -> impl Strategy<Value = Vec<PlannedDrop>> {
    let by = prop::collection::vec(prop::sample::select(vec!["k0", "k1", "k2"]), 0..3);
    prop::collection::vec(by, 0..2).prop_map(|all| {
        all.into_iter()
            .map(|by| PlannedDrop {
                task: id("1.1"),
                replaced_by: by.into_iter().map(str::to_owned).collect(),
                reason: "another way".to_owned(),
            })
            .collect()
    })
}

/// What each task needs once the plan is adopted, found by adopting it.
fn adopted(outcome: Outcome) -> BTreeMap<TaskId, BTreeSet<TaskId>> {
    let mut world = World::planning(|_| {});
    world.state = state();
    let attempt = world.attempt(id("1.0"));
    let end = turno_core::event::AgentEnd::Finished(outcome);
    world.end_attempt(attempt, end, turno_core::event::LeftBehind::Nothing);
    let tasks = world.state.tasks.values();
    tasks.map(|t| (t.id, t.spec.needs.clone())).collect()
}

fn reaches(needs: &BTreeMap<TaskId, BTreeSet<TaskId>>, from: TaskId, to: TaskId) -> bool {
    let mut open: Vec<TaskId> = needs[&from].iter().copied().collect();
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(needs.get(&at).into_iter().flatten().copied());
        }
    }
    false
}

#[derive(Debug, Clone, Copy)]
enum Seen {
    Sound,
    Refused,
}

fn holds(tasks: Vec<PlannedTask>, drops: Vec<PlannedDrop>) -> Result<Seen, TestCaseError> {
    let state = state();
    let issue = &state.issues[&id("1.0").issue];
    let because = PlanBecause::Stuck {
        tasks: [id("1.1")].into(),
    };
    let draft = Draft {
        tasks: &tasks,
        answers: &[],
        drops: &drops,
        begun: turno_core::units::Timestamp(i64::MAX),
    };
    let sound: Sound = match plan::check(&state, issue, &because, PlanCaps::default(), draft) {
        Ok(sound) => sound,
        Err(errors) => {
            prop_assert!(!errors.is_empty(), "a refusal says why");
            return Ok(Seen::Refused);
        }
    };
    let specs: BTreeMap<_, _> = sound.tasks.iter().cloned().collect();
    let needs = adopted(Outcome::Plan {
        tasks,
        answers: vec![],
        drops,
    });
    for (id, spec) in &specs {
        prop_assert_eq!(&needs[id], &spec.needs);
        for need in &spec.needs {
            prop_assert!(
                needs.contains_key(need) && !need.is_lead(),
                "{} needs {}",
                id,
                need
            );
        }
    }
    for id in needs.keys() {
        prop_assert!(!reaches(&needs, *id, *id), "{} waits for itself", id);
    }
    for (a, x) in &specs {
        for (b, y) in specs.range(..a) {
            let ordered = reaches(&needs, *a, *b) || reaches(&needs, *b, *a);
            prop_assert!(
                ordered || !globs::overlap(&x.touches, &y.touches),
                "{} and {}",
                a,
                b
            );
        }
    }
    Ok(Seen::Sound)
}

#[test]
fn a_sound_plan_has_no_circle_knows_its_needs_and_orders_its_overlaps() {
    use proptest::test_runner::{Config, TestRunner};
    let config = Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    };
    let counts = std::cell::Cell::new((0_u32, 0_u32));
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(
            &(prop::collection::vec(task(), 0..5), drops()),
            |(tasks, drops)| {
                let (sound, refused) = counts.get();
                counts.set(match holds(tasks, drops)? {
                    Seen::Sound => (sound + 1, refused),
                    Seen::Refused => (sound, refused + 1),
                });
                Ok(())
            },
        )
        .unwrap();
    let (sound, refused) = counts.get();
    assert!(sound > 200 && refused > 200, "{sound} sound, {refused} refused");
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may look at the clock"
)]
#[test]
fn twenty_tasks_on_one_path_are_a_chain_and_quick_to_decide() {
    let mut world = World::planning(|_| {});
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let tasks = keys
        .iter()
        .enumerate()
        .map(|(n, key)| {
            let needs: Vec<&str> = keys[..n].iter().map(String::as_str).collect();
            planned(key, &needs, &["src/**"])
        })
        .collect();
    let begun = std::time::Instant::now();
    world.says(id("1.0"), given(tasks));
    assert_eq!(world.state.running().count(), 1);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}
