//! The landing queue alone, over random batches with culprits, pairs that break each other, flaky runs, branches that
//! move and trials that come to nothing: the branch is never red, what is good lands, and the runs are counted.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use turno_core::check::CheckReport;
use turno_core::foresight::Apart;
use turno_core::ids::{CommitId, TaskId};
use turno_core::train::{Again, Candidate, Red, Stands, Train, Tried};

use crate::team::sha;

/// A repository of which only this matters: which changes are red alone, and which two are red together.
#[derive(Debug, Clone)]
struct Repo {
    changes: u16,
    culprits: BTreeSet<u16>,
    pairs: BTreeSet<(u16, u16)>,
    /// Which two are not to be tried together.
    apart: BTreeSet<(u16, u16)>,
    /// So many of a batch at most.
    batch: usize,
    /// Per cent of the runs of a batch that are red once for no reason.
    flaky: u64,
    /// Per cent of the trials that end because the branch moved, and that come to nothing.
    moved: u64,
    nothing: u64,
    seed: u64,
}

impl Repo {
    fn is_red(&self, there: &BTreeSet<u16>) -> bool {
        let both = |(a, b): &(u16, u16)| there.contains(a) && there.contains(b);
        there.iter().any(|n| self.culprits.contains(n)) || self.pairs.iter().any(both)
    }
}

#[derive(Debug, Default)]
struct Seen {
    landed: Vec<u16>,
    blamed: Vec<u16>,
    runs: usize,
}

fn task(n: u16) -> TaskId {
    format!("1.{}", n + 1).parse().unwrap()
}

fn number(task: TaskId) -> u16 {
    task.number - 1
}

/// Lands all that waits, as the core and the engine do it, and holds it against what is true.
fn land_all(repo: &Repo) -> Result<Seen, TestCaseError> {
    let mut seen = Seen::default();
    let mut train = Train::default();
    let mut waiting: Vec<Candidate> = (0..repo.changes)
        .map(|n| Candidate {
            task: task(n),
            commit: sha(u64::from(n) + 1),
        })
        .collect();
    let apart = repo.apart.iter().fold(Apart::default(), |apart, (a, b)| {
        apart.with_pair(task(*a), task(*b))
    });
    let mut head = sha(0x9000);
    let mut known: BTreeMap<BTreeSet<u16>, bool> = BTreeMap::new();
    let mut random = repo.seed;
    let mut chance = |percent: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % 100 < percent
    };
    for turn in 0.. {
        let Some(trial) = train.next(&waiting, &head, repo.batch, &apart) else {
            break;
        };
        prop_assert!(turn < 2000, "it does not come to an end: {train:?}");
        let tried = trial.members;
        prop_assert!(!tried.is_empty() && tried.iter().all(|t| waiting.contains(t)));
        for (n, one) in tried.iter().enumerate() {
            let behind = tried.iter().skip(n + 1);
            prop_assert!(
                behind.clone().all(|other| apart.lets(one.task, other.task)),
                "{tried:?}"
            );
        }
        let end = if chance(repo.moved) {
            head = sha(0xA000 + turn);
            Tried::Moved
        } else if chance(repo.nothing) {
            Tried::Nothing
        } else {
            let mut there: BTreeSet<u16> = seen.landed.iter().copied().collect();
            there.extend(tried.iter().map(|c| number(c.task)));
            let red = repo.is_red(&there);
            if known.insert(there.clone(), red).is_none() {
                seen.runs += 1;
                let again = trial.again == Again::AtLeastOnce;
                if again && (red || chance(repo.flaky)) {
                    seen.runs += 1;
                }
            }
            if red {
                Tried::Red {
                    head: head.clone(),
                    red: evidence(&tried, &head),
                }
            } else {
                seen.landed.extend(tried.iter().map(|c| number(c.task)));
                waiting.retain(|w| !tried.contains(w));
                head = sha(0xB000 + turn);
                Tried::Landed { head: head.clone() }
            }
        };
        let (next, culprit) = train.after(&tried, end);
        train = next;
        if let Some(culprit) = culprit {
            prop_assert_eq!(culprit.change.task, culprit.stands.task);
            waiting.retain(|w| *w != culprit.change);
            seen.blamed.push(number(culprit.change.task));
        }
    }
    prop_assert!(waiting.is_empty());
    Ok(seen)
}

fn evidence(tried: &[Candidate], head: &CommitId) -> Red {
    let mut onto = head.clone();
    let stands = |c: &Candidate| {
        let below = std::mem::replace(&mut onto, c.commit.clone());
        Stands {
            task: c.task,
            commit: c.commit.clone(),
            onto: below,
        }
    };
    Red {
        members: tried.iter().map(stands).collect(),
        report: CheckReport {
            commit: sha(1),
            tree: format!("{:040x}", 1).parse().unwrap(),
            results: Vec::new(),
        },
    }
}

/// The branch is never red, everything lands that is not to blame, and nobody is blamed who is not.
fn hold(repo: &Repo, seen: &Seen) -> Result<(), TestCaseError> {
    let landed: BTreeSet<u16> = seen.landed.iter().copied().collect();
    prop_assert!(!repo.is_red(&landed), "red: {:?}", landed);
    prop_assert_eq!(landed.len(), seen.landed.len());
    prop_assert_eq!(landed.len() + seen.blamed.len(), usize::from(repo.changes));
    for blamed in &seen.blamed {
        let with =
            |(a, b): &(u16, u16)| a == blamed && landed.contains(b) || b == blamed && landed.contains(a);
        let guilty = repo.culprits.contains(blamed) || repo.pairs.iter().any(with);
        prop_assert!(guilty, "{} is blamed and is not to blame", blamed);
    }
    Ok(())
}

fn repos() -> impl Strategy<Value = Repo> {
    let culprits = |n: u16| prop::collection::btree_set(0..n, 0..=usize::from(n.min(5)));
    let pairs = |n: u16| prop::collection::btree_set((0..n, 0..n), 0..=4);
    (1u16..=32)
        .prop_flat_map(move |n| (Just(n), culprits(n), pairs(n), 0u64..=60, any::<u64>()))
        .prop_map(|(changes, culprits, pairs, flaky, seed)| Repo {
            changes,
            culprits,
            pairs: pairs.into_iter().filter(|(a, b)| a < b).collect(),
            apart: BTreeSet::new(),
            batch: usize::from(changes),
            flaky,
            moved: 0,
            nothing: 0,
            seed,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_lands_what_is_good_in_a_bounded_number_of_runs(repo in repos()) {
        let seen = land_all(&repo)?;
        hold(&repo, &seen)?;
        let halvings = usize::from(repo.changes).next_power_of_two().ilog2() as usize;
        let bound = seen.blamed.len() * (halvings + 1) + 2;
        prop_assert!(seen.runs <= bound, "{} runs for {:?}", seen.runs, seen.blamed);
        // In order: of two that break each other the later one goes back.
        for (early, late) in &repo.pairs {
            let alone = |n: &u16| repo.pairs.iter().filter(|(a, b)| a == n || b == n).count() == 1;
            if alone(early) && alone(late) && !repo.culprits.contains(early) && !repo.culprits.contains(late) {
                prop_assert!(seen.landed.contains(early) && seen.blamed.contains(late));
            }
        }
    }

    #[test]
    fn small_batches_and_a_world_that_interferes_change_no_verdict(
        repo in repos(), batch in 1usize..6, moved in 0u64..30, nothing in 0u64..30,
        apart in prop::collection::btree_set((0u16..32, 0u16..32), 0..=40)
    ) {
        let apart = apart.into_iter().filter(|(a, b)| a != b).collect();
        let repo = Repo { batch, moved, nothing, apart, ..repo };
        let seen = land_all(&repo)?;
        hold(&repo, &seen)?;
    }
}

#[test]
fn one_culprit_of_eight_is_found_in_three_halvings() {
    let repo = Repo {
        changes: 8,
        culprits: [4].into(),
        pairs: BTreeSet::new(),
        apart: BTreeSet::new(),
        batch: 8,
        flaky: 0,
        moved: 0,
        nothing: 0,
        seed: 1,
    };
    let seen = land_all(&repo).unwrap();
    assert_eq!(seen.blamed, [4]);
    assert_eq!(seen.landed, [0, 1, 2, 3, 5, 6, 7]);
    // All, all again, 0-3, 4-5, 4, and 5-7 behind it.
    assert_eq!(seen.runs, 6);
}

#[test]
fn a_change_that_is_another_by_now_is_not_taken_for_the_suspect() {
    let waiting: Vec<Candidate> = (0..4)
        .map(|n| Candidate {
            task: task(n),
            commit: sha(u64::from(n)),
        })
        .collect();
    let head = sha(9);
    let red = Tried::Red {
        head: head.clone(),
        red: evidence(&waiting, &head),
    };
    let (train, _) = Train::Open.after(&waiting, red);
    assert_eq!(
        train
            .next(&waiting, &head, 4, &Apart::default())
            .unwrap()
            .members
            .len(),
        2
    );
    let mut other = waiting.clone();
    other[3].commit = sha(77);
    assert_eq!(
        train
            .next(&other, &head, 4, &Apart::default())
            .unwrap()
            .members
            .len(),
        4
    );
    assert_eq!(
        train
            .next(&waiting, &sha(10), 4, &Apart::default())
            .unwrap()
            .members
            .len(),
        4
    );
}
