//! Conflicts that are seen coming: what is looked at and when, what a stale answer is worth, and how they order the
//! landings, through the whole core.

use std::collections::BTreeSet;

use turno_core::command::{Command, LandStart};
use turno_core::event::{Event, LandingEnd, LeftBehind, OthersEnd, TogetherEnd};
use turno_core::explain::{explain, headline};
use turno_core::foresight::{Files, Found, Rival, Sight, clashes, clashes_phrase};
use turno_core::ids::{CommitId, IssueId, Seq, TaskId};
use turno_core::issue::{IssueDraft, Item, Items, Split};
use turno_core::policy::{ClashRule, ReviewRule};
use turno_core::record::Record;
use turno_core::shift::{IssueAtStart, Scope};
use turno_core::task::{Because, Work, WriteJob};
use turno_core::train::Stands;
use turno_core::units::MicroUsd;
use turno_core::view::StageName;

use crate::team::id;
use crate::world::{World, checks_green, checks_red, commit, tree, wrote};

/// Five items that are being written.
fn five(rule: ClashRule, review: ReviewRule) -> World {
    let mut world = World::with(|config| {
        config.policy.landing.batch = 4;
        config.policy.landing.clashes = rule;
        config.policy.review = review;
        config.slots = 5;
        for limits in config.agents.values_mut() {
            limits.at_once = 5;
        }
    });
    let item = |n: usize| Item {
        title: format!("item {n}"),
        brief: String::new(),
        acceptance: Vec::new(),
        touches: vec![format!("{n}.rs")],
    };
    let items = Items {
        items: (1..=5).map(item).collect(),
        group: 5,
        trial: 0,
    };
    let draft = IssueDraft {
        title: "many".to_owned(),
        split: Split::Items(items),
        ..IssueDraft::default()
    };
    world.take(Event::IssueAdded { draft });
    world.budget = MicroUsd(100_000_000);
    world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: vec![IssueAtStart {
            issue: IssueId(1),
            base: commit("9"),
            target: turno_core::following::Target::Unknown,
        }],
        budget: world.budget,
        scope: Scope::Listed,
    });
    world
}

fn piece(n: u16) -> TaskId {
    id(&format!("1.{n}"))
}

/// The commit of an item's change.
fn of(n: u16) -> CommitId {
    commit(&n.to_string())
}

fn branch(digit: &str) -> Rival {
    Rival::Branch { head: commit(digit) }
}

fn other(n: u16) -> Rival {
    Rival::Task {
        task: piece(n),
        commit: of(n),
    }
}

fn write(world: &mut World, n: u16) -> Vec<Command> {
    let attempt = world.task(piece(n)).run().unwrap().attempt;
    let (end, left) = wrote(&n.to_string());
    world.end_attempt(attempt, end, left)
}

fn check(world: &mut World, n: u16) -> Vec<Command> {
    let attempt = world.task(piece(n)).run().unwrap().attempt;
    let mut report = checks_green();
    report.tree = tree(&n.to_string());
    world.take(Event::ChecksEnded {
        attempt,
        report,
        without: None,
        on_base: None,
    })
}

/// What is asked for, by task.
fn looks(commands: &[Command]) -> Vec<(TaskId, CommitId, BTreeSet<Rival>)> {
    let look = |c: &Command| match c {
        Command::Foresee { of, commit, with, .. } => {
            Some((*of, commit.clone(), with.iter().cloned().collect()))
        }
        _ => None,
    };
    commands.iter().filter_map(look).collect()
}

fn files() -> Files {
    Files {
        named: vec!["src/a.rs".to_owned()],
        more: 0,
    }
}

/// Answers a look: with these it conflicts, with the others it merges.
fn answer(world: &mut World, look: &(TaskId, CommitId, BTreeSet<Rival>), clashing: &[Rival]) -> Vec<Command> {
    let (of, commit, with) = look.clone();
    let sight = |rival: Rival| Sight {
        found: if clashing.contains(&rival) {
            Found::Clashes(files())
        } else {
            Found::Merges
        },
        rival,
    };
    let sights = with.into_iter().map(sight).collect();
    world.take(Event::Foreseen { of, commit, sights })
}

/// Writes all five; whatever conflicts is said, pair by pair.
fn all_written(world: &mut World, pairs: &[(u16, u16)], with_branch: &[u16]) {
    for n in 1..=5 {
        let commands = write(world, n);
        let looks = looks(&commands);
        assert_eq!(looks.len(), 1, "{commands:?}");
        let others = pairs.iter().filter_map(|(a, b)| match n {
            n if n == *a => Some(other(*b)),
            n if n == *b => Some(other(*a)),
            _ => None,
        });
        let mut clashing: Vec<Rival> = others.collect();
        if with_branch.contains(&n) {
            clashing.push(branch("9"));
        }
        answer(world, &looks[0], &clashing);
    }
}

fn coming(world: &World, n: u16) -> Vec<Rival> {
    let clashes = clashes(&world.state, &world.task(piece(n)));
    clashes.into_iter().map(|c| c.with).collect()
}

fn landing(world: &World) -> Vec<TaskId> {
    let tasks = world.state.tasks.values();
    let landing = tasks.filter(|t| StageName::of(&t.stage) == StageName::Landing);
    landing.map(|t| t.id).collect()
}

fn land_of(commands: &[Command]) -> &LandStart {
    let found = commands.iter().find_map(|c| match c {
        Command::Land(start) => Some(&**start),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing is landed: {commands:?}"))
}

fn aboard(start: &LandStart) -> Vec<TaskId> {
    let others = start.with.iter().map(|p| p.task);
    std::iter::once(start.task).chain(others).collect()
}

/// The first lands, as this commit; the others waited for that.
fn first_lands(world: &mut World, digit: &str) -> Vec<Command> {
    for n in 1..=5 {
        check(world, n);
    }
    assert_eq!(landing(world), [piece(1)]);
    world.end_landing(LandingEnd::Landed {
        commit: commit(digit),
    })
}

#[test]
fn a_new_change_is_held_against_the_branch_and_what_is_under_way_once() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    let first = looks(&write(&mut world, 1));
    assert_eq!(first, [(piece(1), of(1), [branch("9")].into())]);
    // The first look is not answered yet; the second one asks about both.
    let second = looks(&write(&mut world, 2));
    assert_eq!(second, [(piece(2), of(2), [branch("9"), other(1)].into())]);
    assert_eq!(looks(&answer(&mut world, &first[0], &[])), []);
    assert_eq!(looks(&answer(&mut world, &second[0], &[])), []);
    assert_eq!(looks(&check(&mut world, 2)), []);
}

#[test]
fn nobody_looks_where_the_policy_does_not_want_it() {
    let mut world = five(ClashRule::Ignore, ReviewRule::Off);
    assert_eq!(looks(&write(&mut world, 1)), []);
    assert!(world.state.outlooks.is_empty());
}

#[test]
fn a_conflict_is_known_of_both_sides_and_in_words() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    all_written(&mut world, &[(1, 2)], &[]);
    assert_eq!(coming(&world, 1), [other(2)]);
    assert_eq!(coming(&world, 2), [other(1)]);
    assert_eq!(coming(&world, 3), []);
    let said = clashes_phrase(&clashes(&world.state, &world.task(piece(2))));
    assert_eq!(said.as_deref(), Some("will conflict with 1.1 in src/a.rs"));
}

#[test]
fn an_answer_about_another_commit_says_nothing() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    let old = looks(&write(&mut world, 1)).remove(0);
    // Its checks are red: it is written again, as another commit.
    let attempt = world.task(piece(1)).run().unwrap().attempt;
    let mut report = checks_red("no");
    report.tree = tree("1");
    world.take(Event::ChecksEnded {
        attempt,
        report,
        without: None,
        on_base: None,
    });
    let attempt = world.task(piece(1)).run().unwrap().attempt;
    let (end, left) = wrote("a");
    let new = looks(&world.end_attempt(attempt, end, left)).remove(0);
    assert_eq!(new.1, commit("a"));
    answer(&mut world, &old, &[branch("9")]);
    assert_eq!(coming(&world, 1), []);
    answer(&mut world, &new, &[branch("9")]);
    assert_eq!(coming(&world, 1), [branch("9")]);
    // The same answer once more, and one to what nobody asked.
    answer(&mut world, &new, &[]);
    assert_eq!(coming(&world, 1), [branch("9")]);
    let unasked = (piece(1), commit("a"), BTreeSet::from([other(2)]));
    answer(&mut world, &unasked, &[other(2)]);
    assert_eq!(coming(&world, 1), [branch("9")]);
}

#[test]
fn what_has_landed_is_no_rival_any_more_and_the_new_head_is_one() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    all_written(&mut world, &[(1, 2)], &[]);
    let asked = looks(&first_lands(&mut world, "b"));
    assert_eq!(coming(&world, 2), [], "{asked:?}");
    // Only the new head is looked at: what they have with each other is known.
    let expected: Vec<_> = (2..=5)
        .map(|n| (piece(n), of(n), BTreeSet::from([branch("b")])))
        .collect();
    assert_eq!(asked, expected);
    answer(&mut world, &asked[0], &[branch("b")]);
    assert_eq!(coming(&world, 2), [branch("b")]);
    assert!(
        world.state.outlooks[&IssueId(1)]
            .changes
            .keys()
            .all(|t| *t != piece(1))
    );
}

#[test]
fn what_conflicts_with_nothing_lands_first() {
    for (rule, first) in [(ClashRule::Tell, 2), (ClashRule::Order, 4)] {
        let mut world = five(rule, ReviewRule::Off);
        all_written(&mut world, &[(2, 3)], &[5]);
        let commands = first_lands(&mut world, "9");
        assert_eq!(land_of(&commands).task, piece(first), "{rule:?}");
    }
}

#[test]
fn two_that_conflict_are_in_no_batch_together_and_one_that_meets_the_branch_is_alone() {
    let mut world = five(ClashRule::Order, ReviewRule::Off);
    all_written(&mut world, &[(2, 3)], &[5]);
    // The head did not move: what was seen of it still holds.
    let commands = first_lands(&mut world, "9");
    assert_eq!(aboard(land_of(&commands)), [piece(4), piece(2)]);
    let stands = [4u16, 2].map(|n| Stands {
        task: piece(n),
        commit: commit("b"),
        onto: commit("9"),
    });
    let end = LandingEnd::Together(TogetherEnd {
        refused: vec![],
        head: commit("9"),
        others: OthersEnd::Landed {
            members: stands.to_vec(),
            head: commit("9"),
        },
    });
    let commands = world.end_landing(end);
    // The other of the two conflicts with nothing any more, and goes before the one that meets the branch.
    assert_eq!(aboard(land_of(&commands)), [piece(3)]);
    let commands = world.end_landing(LandingEnd::Landed { commit: commit("9") });
    assert_eq!(aboard(land_of(&commands)), [piece(5)]);
}

#[test]
fn a_change_that_cannot_be_merged_goes_back_unread_where_the_policy_says_so() {
    for (rule, stage) in [
        (ClashRule::Order, StageName::Reviewing),
        (ClashRule::Return, StageName::Writing),
    ] {
        let mut world = five(rule, ReviewRule::Required);
        all_written(&mut world, &[], &[1]);
        check(&mut world, 1);
        check(&mut world, 2);
        assert_eq!(world.stage(piece(1)), stage, "{rule:?}");
        assert_eq!(world.stage(piece(2)), StageName::Reviewing);
        if rule == ClashRule::Return {
            let Some(Work::Write(WriteJob { because, .. })) = world.task(piece(1)).work() else {
                panic!("{:?}", world.task(piece(1)));
            };
            let Because::Conflict { commit, hunks, .. } = because else {
                panic!("{because:?}");
            };
            assert_eq!((commit, hunks[0].file.as_str()), (of(1), "src/a.rs"));
        }
    }
}

#[test]
fn a_restart_asks_again_for_what_was_not_answered_and_forgets_nothing() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    let first = looks(&write(&mut world, 1));
    answer(&mut world, &first[0], &[branch("9")]);
    let second = looks(&write(&mut world, 2));
    let adopted = world
        .state
        .running()
        .filter_map(|t| t.run())
        .map(|r| r.attempt)
        .collect();
    let again = looks(&world.take(Event::Restarted {
        lost: vec![],
        adopted,
    }));
    assert_eq!(again, second);
    assert_eq!(coming(&world, 1), [branch("9")]);
    // Both hands answer, one late: it is one answer.
    answer(&mut world, &second[0], &[other(1)]);
    answer(&mut world, &again[0], &[]);
    assert_eq!(coming(&world, 2), [other(1)]);
}

#[test]
fn what_could_not_be_seen_holds_nothing_up_and_is_not_asked_for_again() {
    let mut world = five(ClashRule::Order, ReviewRule::Off);
    let (of, commit, with) = looks(&write(&mut world, 1)).remove(0);
    let unseen = |rival| Sight {
        rival,
        found: Found::Unseen {
            why: "it took too long".to_owned(),
        },
    };
    let sights = with.into_iter().map(unseen).collect();
    assert_eq!(looks(&world.take(Event::Foreseen { of, commit, sights })), []);
    assert_eq!(looks(&check(&mut world, 1)), []);
    assert_eq!(landing(&world), [piece(1)]);
}

#[test]
fn both_tasks_are_told_of_a_conflict_and_nobody_of_none() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    let mut records = Vec::new();
    let mut take = |world: &mut World, event: Event| {
        let record = Record::of(&mut world.state, Seq(records.len() as u64 + 1), world.now, event);
        records.push(record);
    };
    let first = looks(&write(&mut world, 1)).remove(0);
    let second = looks(&write(&mut world, 2)).remove(0);
    for ((of, commit, with), found) in [(first, Found::Merges), (second, Found::Clashes(files()))] {
        let sights = with.into_iter().filter(|r| of == piece(1) || *r == other(1));
        let sights = sights
            .map(|rival| Sight {
                rival,
                found: found.clone(),
            })
            .collect();
        take(&mut world, Event::Foreseen { of, commit, sights });
    }
    let heads: Vec<_> = records.iter().map(headline).collect();
    assert_eq!(
        heads,
        [None, Some("1.2 will conflict with 1.1 in src/a.rs".to_owned())]
    );
    for n in [1, 2] {
        let lines = explain(&records, piece(n));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].what, "1.2 will conflict with 1.1 in src/a.rs");
    }
    assert_eq!(explain(&records, piece(3)), []);
}

#[test]
fn a_change_that_was_left_unfinished_is_not_looked_at() {
    let mut world = five(ClashRule::Tell, ReviewRule::Off);
    let attempt = world.task(piece(1)).run().unwrap().attempt;
    let (_, left) = wrote("1");
    assert!(matches!(left, LeftBehind::Commit { .. }));
    let failure = turno_core::failure::Failure::new(turno_core::failure::Cause::Stalled, "silent");
    let commands = world.end_attempt(attempt, turno_core::event::AgentEnd::Failed(failure), left);
    assert_eq!(looks(&commands), []);
}
