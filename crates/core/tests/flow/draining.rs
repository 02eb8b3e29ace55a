//! Shifts that drain the backlog: what joins them, in which order, and on top of what.

use std::collections::BTreeSet;

use rstest::rstest;
use turno_core::admit::{Refused, admit};
use turno_core::command::Command;
use turno_core::event::{AgentEnd, Event, StopHow};
use turno_core::failure::{Cause, Failure};
use turno_core::holding::{Brought, Leaving};
use turno_core::ids::IssueId;
use turno_core::issue::{IssueDraft, IssueStage, Priority, Split};
use turno_core::shift::{Scope, ShiftEnd};
use turno_core::units::{Span, Timestamp};
use turno_core::view::StageName;

use crate::team::{id, sha, titled};
use crate::world::{World, left};

const ALL: Scope = Scope::Backlog {
    at_most: None,
    until: None,
};

fn of(priority: Priority) -> IssueDraft {
    IssueDraft {
        priority,
        ..titled("work")
    }
}

fn after(need: u32) -> IssueDraft {
    IssueDraft {
        needs: [IssueId(need)].into(),
        ..titled("later")
    }
}

fn opening(commands: &[Command]) -> Vec<u32> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::OpenIssue { issue, .. } => Some(issue.0),
            _ => None,
        })
        .collect()
}

fn opened(world: &mut World, issue: u32) -> Vec<Command> {
    world.take(Event::IssueOpened {
        target: turno_core::following::Target::Unknown,
        issue: IssueId(issue),
        base: sha(u64::from(issue)),
    })
}

fn with_slots(slots: u16) -> World {
    World::team(|config| config.slots = slots)
}

#[test]
fn as_many_issues_join_as_there_are_slots_the_most_wanted_first() {
    let mut world = with_slots(2);
    for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Urgent] {
        world.file(of(priority));
    }
    let commands = world.drain(ALL);
    assert_eq!(opening(&commands), [4, 3]);
    opened(&mut world, 4);
    opened(&mut world, 3);
    let commands = world.completes(id("4.1"));
    assert_eq!(opening(&commands), [2]);
}

#[test]
fn a_late_urgent_one_joins_at_once_before_those_that_wait() {
    let mut world = with_slots(1);
    world.file(titled("first"));
    world.file(titled("second"));
    world.drain(ALL);
    opened(&mut world, 1);
    let commands = world.take(Event::IssueAdded {
        draft: of(Priority::Urgent),
    });
    assert_eq!(opening(&commands), [3]);
    opened(&mut world, 3);
    let commands = world.completes(id("1.1"));
    assert!(opening(&commands).is_empty(), "the slot is the urgent one's");
}

/// A need that is in review is not on the user's branch: what needs it begins on its head, also in a later shift.
#[test]
fn an_issue_begins_on_the_head_of_what_it_needs_in_a_later_shift_too() {
    let mut world = World::new();
    world.start_shift(1);
    world.completes(id("1.1"));
    world.file(IssueDraft {
        needs: [IssueId(1)].into(),
        ..titled("second")
    });
    let issue = IssueId(2);
    let base = world.state.issues[&IssueId(1)]
        .integration()
        .map(|(base, _)| base.clone())
        .unwrap();
    let commands = world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: vec![turno_core::shift::IssueAtStart {
            issue,
            base,
            target: turno_core::following::Target::Unknown,
        }],
        budget: world.budget,
        scope: Scope::Listed,
    });
    assert_eq!(opening(&commands), [2]);
}

#[test]
fn what_arrives_meanwhile_joins_at_once_where_there_is_room() {
    let mut world = with_slots(2);
    world.file(titled("first"));
    world.drain(ALL);
    opened(&mut world, 1);
    let commands = world.take(Event::IssueAdded {
        draft: titled("second"),
    });
    assert_eq!(opening(&commands), [2]);
}

/// The writer of the first is stopped for a person; from then on its slot is for others, and still is when they keep it
/// aside. Before, when nobody is attached, the one slot there is is taken.
#[rstest]
#[case::attached(None)]
#[case::kept(Some(Leaving::Kept))]
fn an_issue_that_a_person_holds_does_not_hold_back_the_others(#[case] leaving: Option<Leaving>) {
    let mut world = with_slots(1);
    world.file(titled("first"));
    world.file(titled("second"));
    world.drain(ALL);
    opened(&mut world, 1);
    let task = id("1.1");
    let commands = world.take(Event::TaskTaken { task });
    assert!(
        opening(&commands).is_empty(),
        "what runs has its slot until its end"
    );
    let running = world.task(task).run().unwrap().attempt;
    let stopped = AgentEnd::Failed(Failure::new(Cause::Stopped, "as asked"));
    let mut commands = world.end_attempt(running, stopped, left("a"));
    if let Some(leaving) = leaving {
        let visit = world.task(task).hold.visit().unwrap().attempt;
        commands.extend(world.take(Event::TaskGivenBack {
            task,
            attempt: visit,
            brought: Brought::Nothing,
            leaving,
        }));
    }
    assert_eq!(opening(&commands), [2]);
    opened(&mut world, 2);
    world.completes(id("2.1"));
    match leaving {
        None => assert_eq!(world.ended(), None, "it waits for the person"),
        Some(_) => assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson)),
    }
}

#[rstest]
#[case::of_a_list(Scope::Listed)]
#[case::of_the_backlog(ALL)]
fn what_a_person_puts_into_the_shift_is_begun_at_once(#[case] scope: Scope) {
    let mut world = with_slots(1);
    world.file(titled("first"));
    let joined = Event::IssueJoined { issue: IssueId(3) };
    assert_eq!(
        admit(&world.state, &joined),
        Err(Refused::NoSuchIssue(IssueId(3)))
    );
    world.file(titled("second"));
    world.file(titled("third"));
    assert_eq!(admit(&world.state, &joined), Err(Refused::NoShift));
    let begun = world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: match scope {
            Scope::Listed => vec![turno_core::shift::IssueAtStart {
                issue: IssueId(1),
                base: sha(1),
                target: turno_core::following::Target::Unknown,
            }],
            Scope::Backlog { .. } => Vec::new(),
        },
        budget: world.budget,
        scope,
    });
    if let Scope::Backlog { .. } = scope {
        assert_eq!(opening(&begun), [1]);
        opened(&mut world, 1);
    }
    assert_eq!(admit(&world.state, &joined), Ok(()));
    // Before the second, which was filed earlier, and though every slot has its work.
    assert_eq!(opening(&world.take(joined.clone())), [3]);
    let shift = world.state.shift().unwrap();
    assert_eq!(
        admit(&world.state, &joined),
        Err(Refused::IsInShift(IssueId(3), shift.id))
    );
    assert!(shift.issues.contains(&IssueId(3)));
    opened(&mut world, 3);
    assert!(matches!(
        world.state.issues[&IssueId(3)].stage,
        IssueStage::Working { .. }
    ));
}

#[test]
fn what_would_never_begin_is_not_put_into_a_shift() {
    let mut world = with_slots(2);
    world.start_shift(2);
    world.file(after(1));
    world.file(titled("apart"));
    world.file(after(4));
    let joined = |issue| Event::IssueJoined {
        issue: IssueId(issue),
    };
    // What it needs is in the shift.
    assert_eq!(admit(&world.state, &joined(3)), Ok(()));
    assert!(opening(&world.take(joined(3))).is_empty());
    assert_eq!(
        admit(&world.state, &joined(5)),
        Err(Refused::NeedsFirst {
            issue: IssueId(5),
            needs: vec![IssueId(4)]
        })
    );
    let shift = world.state.shift().unwrap().id;
    world.take(Event::StopAsked { how: StopHow::Drain });
    assert_eq!(
        admit(&world.state, &joined(4)),
        Err(Refused::ShiftWinds(shift, IssueId(4)))
    );
}

#[test]
fn an_issue_that_waits_for_a_person_does_not_hold_back_the_others() {
    let mut world = with_slots(1);
    world.file(titled("first"));
    world.file(titled("second"));
    world.drain(ALL);
    opened(&mut world, 1);
    let commands = world.stumbles(id("1.1"));
    assert_eq!(opening(&commands), [2]);
    opened(&mut world, 2);
    world.completes(id("2.1"));
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn an_issue_begins_on_top_of_what_it_needs() {
    let mut world = with_slots(4);
    world.file(titled("first"));
    world.file(after(1));
    let commands = world.drain(ALL);
    assert_eq!(opening(&commands), [1], "the other waits");
    opened(&mut world, 1);
    let commands = world.completes(id("1.1"));
    let IssueStage::Review { head, .. } = &world.state.issues[&IssueId(1)].stage else {
        panic!()
    };
    let Some(Command::OpenIssue { issue, on, .. }) = commands.first() else {
        panic!("{commands:?}")
    };
    assert_eq!((*issue, &on[..]), (IssueId(2), &[head.clone()][..]));
}

#[test]
fn a_listed_issue_waits_for_its_need_too() {
    let mut world = with_slots(4);
    world.file(titled("first"));
    world.file(after(1));
    let commands = world.run_again();
    assert!(opening(&commands).is_empty() && !world.state.tasks.contains_key(&id("2.1")));
    let commands = world.completes(id("1.1"));
    assert_eq!(opening(&commands), [2]);
}

#[test]
fn an_issue_whose_need_was_closed_stays_where_it_is() {
    let mut world = with_slots(4);
    world.file(titled("first"));
    world.file(after(1));
    world.take(Event::IssueClosed {
        issue: IssueId(1),
        why: "no".to_owned(),
    });
    let commands = world.drain(ALL);
    assert!(opening(&commands).is_empty());
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn an_issue_that_cannot_be_begun_is_named_and_not_tried_again() {
    let mut world = with_slots(2);
    world.file(titled("first"));
    world.file(titled("second"));
    world.drain(ALL);
    opened(&mut world, 2);
    let commands = world.take(Event::IssueNotOpened {
        issue: IssueId(1),
        why: "conflict".to_owned(),
    });
    assert!(opening(&commands).is_empty());
    world.completes(id("2.1"));
    let shift = world.state.shifts.values().next_back().unwrap();
    assert_eq!(shift.refused[&IssueId(1)], "conflict");
    assert_eq!(world.state.issues[&IssueId(1)].stage, IssueStage::Backlog);
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
}

#[test]
fn after_a_restart_a_branch_is_begun_again() {
    let mut world = with_slots(2);
    world.file(titled("first"));
    world.drain(ALL);
    let commands = world.take(Event::Restarted {
        lost: vec![],
        adopted: BTreeSet::new(),
    });
    assert_eq!(opening(&commands), [1]);
    opened(&mut world, 1);
    let before = world.state.clone();
    opened(&mut world, 1);
    assert_eq!(
        before.issues, world.state.issues,
        "the second answer says nothing new"
    );
}

#[test]
fn a_shift_takes_up_no_more_than_it_was_told() {
    let mut world = with_slots(4);
    for _ in 0..3 {
        world.file(titled("work"));
    }
    let commands = world.drain(Scope::Backlog {
        at_most: Some(2),
        until: None,
    });
    assert_eq!(opening(&commands), [1, 2]);
    opened(&mut world, 1);
    opened(&mut world, 2);
    world.completes(id("1.1"));
    world.completes(id("2.1"));
    assert_eq!(world.ended(), Some(ShiftEnd::Done), "that is what was asked for");
}

#[test]
fn when_its_time_is_up_a_shift_finishes_what_runs_and_starts_nothing() {
    let mut world = with_slots(1);
    world.file(titled("first"));
    let until = Timestamp(world.now.0 + 60_000);
    world.drain(Scope::Backlog {
        at_most: None,
        until: Some(until),
    });
    opened(&mut world, 1);
    world.spend(1);
    assert_eq!(turno_core::next_deadline(&world.state), Some(until));
    world.now = until;
    let commands = world.take(Event::TimePassed);
    assert!(commands.is_empty(), "{commands:?}");
    world.writes(id("1.1"), &["src/lib.rs"]);
    assert_eq!(world.ended(), Some(ShiftEnd::TimeUp));
    assert_eq!(world.stage(id("1.1")), StageName::Ready);
}

#[test]
fn what_an_earlier_shift_began_is_not_forgotten_at_the_end() {
    let mut world = with_slots(1);
    world.file(titled("first"));
    world.file(titled("second"));
    world.run_again();
    world.take(Event::StopAsked { how: StopHow::Now });
    let stopped = Failure::new(Cause::Stopped, "");
    world.says(id("1.1"), AgentEnd::Failed(stopped));
    world.budget = turno_core::units::MicroUsd(100_000);
    world.drain(ALL);
    let writing = world.state.running().next().unwrap().id;
    world.open_session("x");
    for _ in 0..3 {
        match world.stage(writing) {
            StageName::Writing => world.writes(writing, &["src/lib.rs"]),
            StageName::Checking => world.green(writing),
            _ => world.says(writing, crate::world::approve()),
        };
    }
    world
        .state
        .shifts
        .values_mut()
        .next_back()
        .map(std::sync::Arc::make_mut)
        .unwrap()
        .budget
        .0 = 0;
    world.lands(writing);
    assert_ne!(world.ended(), Some(ShiftEnd::Done), "the other issue is not done");
}

#[rstest]
#[case::in_the_backlog(false, "api", Split::Candidates(2))]
#[case::begun(true, "home", Split::ByPolicy)]
fn an_edit_moves_an_issue_only_before_it_begins(
    #[case] begins: bool,
    #[case] repo: &str,
    #[case] split: Split,
) {
    let mut world = with_slots(2);
    world.file(titled("first"));
    if begins {
        world.run_again();
    }
    let draft = IssueDraft {
        repo: "api".parse().unwrap(),
        split: Split::Candidates(2),
        ..titled("in other words")
    };
    world.take(Event::IssueEdited {
        issue: IssueId(1),
        draft,
    });
    let draft = &world.state.issues[&IssueId(1)].draft;
    assert_eq!((draft.repo.as_str(), &draft.split), (repo, &split));
    assert_eq!(draft.title, "in other words");
    assert!(world.now > Timestamp(0) + Span(1));
}
