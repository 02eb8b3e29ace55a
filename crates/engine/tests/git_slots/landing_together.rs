//! Several changes at once, in a real repository: what is on the branch afterwards, and how the one that breaks the
//! rest is found by the queue of the core, with a check that is a script.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use turno_core::check::{CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::event::{OthersEnd, TogetherEnd};
use turno_core::ids::{CommitId, TaskId, TreeId};
use turno_core::train::{Candidate, Train, Tried};
use turno_core::units::Span;
use turno_engine::git::TurnoRef;
use turno_engine::land::{Needs, Request, land_together};

use crate::world::{World, task, trailers};

/// Red where `culprit` is in a file, or where both halves of a pair are.
const CHECK: &str = "! grep -q culprit *.txt && ! { grep -q first-half *.txt && grep -q second-half *.txt; }";

fn nth(n: usize) -> TaskId {
    TaskId {
        issue: task().issue,
        number: u16::try_from(n).unwrap() + 1,
    }
}

fn request(world: &World, n: usize, change: &CommitId) -> Request {
    let mut trailers = trailers(10 + n as u64);
    trailers.task = nth(n);
    Request {
        change: change.clone(),
        change_base: world.id("main"),
        needs: Needs::PassUnless(world.repo().tree_of(change).unwrap()),
        known_red: BTreeSet::new(),
        base: world.id("main"),
        trailers,
    }
}

/// A change of its own file with that word in it.
fn changes(world: &World, words: &[&str]) -> Vec<Request> {
    let first = world.id("main");
    let mut all = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let file = format!("f{n}.txt");
        let change = world.commit_on(&first, &format!("add {n}"), &[(&file, word)]);
        all.push(request(world, n, &change));
    }
    all
}

fn checked(path: &Path, commit: &CommitId, tree: &TreeId) -> CheckReport {
    let status = Command::new("sh").args(["-c", CHECK]).current_dir(path).status();
    let verdict = if status.unwrap().success() {
        CheckVerdict::Pass
    } else {
        CheckVerdict::Fail {
            extract: "found".into(),
        }
    };
    let log = LogRef {
        path: "log".into(),
        bytes: 0,
    };
    CheckReport {
        commit: commit.clone(),
        tree: tree.clone(),
        results: vec![CheckResult {
            within: turno_core::container::Within::Sandbox,
            command: CHECK.to_owned(),
            check: "test".parse().unwrap(),
            verdict,
            took: Span(1),
            log,
            source: turno_core::check::Source::Run,
        }],
    }
}

async fn together(world: &World, requests: &[&Request]) -> (TogetherEnd, usize) {
    let runs = std::cell::Cell::new(0);
    let others: Vec<Request> = requests[1..].iter().map(|r| (*r).clone()).collect();
    let run_checks = async |path: &Path, commit: &CommitId, tree: &TreeId| {
        runs.set(runs.get() + 1);
        checked(path, commit, tree)
    };
    let end = land_together(&world.pool, requests[0], &others, run_checks).await;
    (end.unwrap(), runs.get())
}

fn head(world: &World) -> CommitId {
    world
        .at(&TurnoRef::base(task().issue))
        .unwrap_or_else(|| world.id("main"))
}

/// Lands all of them as the core would, and says which went back, and after how many runs.
async fn drain(world: &World, requests: &[Request]) -> (Vec<usize>, usize) {
    let mut waiting: Vec<Candidate> = requests
        .iter()
        .map(|r| Candidate {
            task: r.trailers.task,
            commit: r.change.clone(),
        })
        .collect();
    let (mut train, mut back, mut runs) = (Train::Open, Vec::new(), 0);
    while let Some(trial) = train.next(
        &waiting,
        &head(world),
        requests.len(),
        &turno_core::foresight::Apart::default(),
    ) {
        let tried: Vec<&Request> = trial
            .members
            .iter()
            .map(|m| requests.iter().find(|r| r.trailers.task == m.task).unwrap())
            .collect();
        let (end, ran) = together(world, &tried).await;
        runs += ran;
        assert!(end.refused.is_empty(), "{end:?}");
        let how = match end.others {
            OthersEnd::Landed { head, .. } => {
                waiting.retain(|w| !trial.members.contains(w));
                Tried::Landed { head }
            }
            OthersEnd::NotGreen { red } => Tried::Red { head: end.head, red },
            other => panic!("{other:?}"),
        };
        let (next, culprit) = train.after(&trial.members, how);
        train = next;
        if let Some(culprit) = culprit {
            waiting.retain(|w| *w != culprit.change);
            back.push(usize::from(culprit.change.task.number) - 1);
            // The writer goes on from a commit whose base is below it.
            let (base, tip) = (&culprit.stands.onto, &culprit.stands.commit);
            assert!(world.repo().is_ancestor(base, tip).unwrap());
        }
    }
    (back, runs)
}

#[tokio::test]
async fn four_changes_land_as_four_with_one_run() {
    let world = World::new();
    let all = changes(&world, &["a", "b", "c", "d"]);
    let (end, runs) = together(&world, &all.iter().collect::<Vec<_>>()).await;
    let OthersEnd::Landed { members, head: told } = &end.others else {
        panic!("{end:?}")
    };
    assert_eq!((runs, told), (1, &head(&world)));
    let names: Vec<TaskId> = members.iter().map(|m| m.task).collect();
    assert_eq!(names, [nth(0), nth(1), nth(2), nth(3)]);
    for (n, member) in members.iter().enumerate() {
        let parent = world.id(&format!("{}^", member.commit));
        assert_eq!(parent, member.onto, "{n}");
        let text = world.user(&["log", "-1", "--format=%B", member.commit.as_str()]);
        assert!(text.contains(&format!("Turno-Task: {}", nth(n))), "{text}");
    }
    assert_eq!(world.show(told, "f3.txt").as_deref(), Some("d"));
    assert_eq!(world.hooks_ran(), None);
    // Asked again, as after a crash: nothing is run, nothing moves.
    let (again, runs) = together(&world, &all.iter().collect::<Vec<_>>()).await;
    assert_eq!(runs, 0);
    let OthersEnd::Landed { members: same, .. } = &again.others else {
        panic!("{again:?}")
    };
    let commits = |of: &[turno_core::train::Stands]| of.iter().map(|m| m.commit.clone()).collect::<Vec<_>>();
    assert_eq!(commits(same), commits(members));
}

#[tokio::test]
async fn one_that_does_not_apply_is_left_out() {
    let world = World::new();
    let first = world.id("main");
    let one = world.commit_on(&first, "one", &[("a.txt", "one\nOURS\nthree\n")]);
    let two = world.commit_on(&first, "two", &[("a.txt", "one\nTHEIRS\nthree\n")]);
    let three = world.commit_on(&first, "three", &[("c.txt", "c")]);
    let all = [one, two, three];
    let all: Vec<Request> = all
        .iter()
        .enumerate()
        .map(|(n, c)| request(&world, n, c))
        .collect();
    let (end, _) = together(&world, &all.iter().collect::<Vec<_>>()).await;
    assert_eq!(end.refused.len(), 1);
    assert_eq!(
        (end.refused[0].task, end.refused[0].hunks[0].file.as_str()),
        (nth(1), "a.txt")
    );
    assert!(
        matches!(&end.others, OthersEnd::Landed { members, .. } if members.len() == 2),
        "{end:?}"
    );
    assert_eq!(
        world.show(&head(&world), "a.txt").as_deref(),
        Some("one\nOURS\nthree\n")
    );
    assert_eq!(world.show(&head(&world), "c.txt").as_deref(), Some("c"));
}

#[tokio::test]
async fn a_red_batch_moves_nothing_and_its_culprit_is_found() {
    let world = World::new();
    let all = changes(&world, &["a", "b", "culprit", "d", "e"]);
    let (end, _) = together(&world, &all.iter().collect::<Vec<_>>()).await;
    assert!(
        matches!(&end.others, OthersEnd::NotGreen { red } if red.members.len() == 5),
        "{end:?}"
    );
    assert_eq!(world.at(&TurnoRef::base(task().issue)), None);
    let (back, runs) = drain(&world, &all).await;
    assert_eq!(back, [2]);
    assert!(runs <= 6, "{runs}");
    let names = world.files_of(&head(&world));
    assert!(
        ["f0.txt", "f1.txt", "f3.txt", "f4.txt"]
            .iter()
            .all(|f| names.contains(&(*f).to_owned()))
    );
    assert!(!names.contains(&"f2.txt".to_owned()));
}

#[tokio::test]
async fn of_two_that_break_each_other_the_later_one_goes_back() {
    let world = World::new();
    let all = changes(&world, &["a", "first-half", "c", "second-half", "culprit", "f"]);
    let (back, runs) = drain(&world, &all).await;
    assert_eq!(back, [3, 4]);
    // Two culprits among six, and no rerun here: 2 * (3 + 1) + 1 at most.
    assert!(runs <= 9, "{runs}");
    let top = world
        .pool
        .prepare(crate::world::S1, &head(&world))
        .await
        .unwrap()
        .path;
    let tree = world.repo().tree_of(&head(&world)).unwrap();
    let report = checked(&top, &head(&world), &tree);
    assert_eq!(report.results[0].verdict, CheckVerdict::Pass);
    assert_eq!(world.show(&head(&world), "f5.txt").as_deref(), Some("f"));
}
