//! What of a flow is worth telling, and how many notices become one message.

use turno_core::decision::{Choice, Question};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind, StopHow};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::{Seq, TargetName};
use turno_core::notice::{About, Gathered, Kind, Notice, Watch};
use turno_core::room::{Bytes, Lack, Tight};
use turno_core::state::State;
use turno_core::tampering::Tampering;
use turno_core::units::Timestamp;

use crate::team::id;
use crate::world::{World, commit, wrote};

fn told(world: &World) -> Vec<Notice> {
    let mut watch = Watch::default();
    world.journal.iter().flat_map(|r| watch.take(r)).collect()
}

fn kinds(world: &World) -> Vec<Kind> {
    told(world).iter().map(|n| n.kind).collect()
}

fn lands(world: &mut World) {
    world.bring_to_landing(id("1.1"), "a");
    world.end_landing(LandingEnd::Landed { commit: commit("a") });
}

#[test]
fn a_shift_that_lands_all_tells_of_its_end_with_what_to_type() {
    let mut world = World::new();
    world.start_shift(1);
    assert_eq!(kinds(&world), []);
    lands(&mut world);
    let told = told(&world);
    let kinds: Vec<Kind> = told.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, [Kind::Ready, Kind::Landed, Kind::Ended]);
    assert_eq!(
        told[0].detail,
        ["`turno diff 1` shows it, `turno promote 1` takes it"]
    );
    let end = &told[2];
    assert!(
        end.title
            .starts_with("shift S1 is over: all landed; $0.00 of $10.00 spent"),
        "{end:?}"
    );
    assert_eq!(
        end.detail,
        [
            "issue 1 \"issue 0\": 1 of 1 landed; ready to promote",
            "`turno report S1` tells all of it"
        ]
    );
    assert_eq!(end.seq, world.journal.last().unwrap().seq);
}

#[test]
fn a_question_is_told_once_with_its_choices_and_without_hidden_text() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    let choice = |label: &str| Choice {
        label: label.to_owned(),
        detail: String::new(),
    };
    world.take(Event::DecisionAsked {
        attempt,
        question: Question {
            question: "left\n\u{202e}or\u{200b} right?\u{7}".to_owned(),
            options: vec![choice("left"), choice("right")],
            recommended: Some("right".to_owned()),
        },
        key: "k".to_owned(),
    });
    let failure = Failure::new(Cause::NoOutcome, "it waits");
    world.end_agent(AgentEnd::Failed(failure), LeftBehind::Nothing);
    let all = told(&world);
    let asked: Vec<&Notice> = all.iter().filter(|n| n.kind == Kind::Decision).collect();
    assert_eq!(asked.len(), 1, "{all:?}");
    assert_eq!(asked[0].title, "d1, task 1.1 \"issue 0\": left or right?");
    assert_eq!(
        asked[0].detail,
        [
            "1. left",
            "2. right (recommended)",
            "answer it with `turno answer d1 LABEL|NUMBER|TEXT`"
        ]
    );
    assert!(
        !all.iter().any(|n| n.kind == Kind::Parked),
        "the question says it: {all:?}"
    );
}

#[test]
fn what_is_parked_is_told_once_and_tampering_and_room_too() {
    let mut world = World::new();
    world.start_shift(1);
    let attempt = world.last_attempt();
    let index = Tampering::Index {
        checkout: "/x".to_owned(),
    };
    world.take(Event::Tampered {
        attempt,
        what: vec![index; 20],
    });
    let tight = Tight {
        at: "/x".to_owned(),
        lack: Lack::Space {
            free: Bytes(1),
            floor: Bytes(2),
        },
    };
    for tight in [vec![tight.clone()], vec![tight.clone(), tight], vec![]] {
        world.take(Event::RoomSeen { tight });
    }
    while world.task(id("1.1")).run().is_some() {
        let refused = Failure::new(Cause::NoOutcome, "nothing");
        world.end_agent(AgentEnd::Failed(refused), LeftBehind::Nothing);
        world.now = world.now + turno_core::units::Span::seconds(3600);
        world.take(Event::TimePassed);
    }
    let all = told(&world);
    let kinds: Vec<Kind> = all.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, [Kind::Tampering, Kind::Room, Kind::Parked, Kind::Ended]);
    assert_eq!(all[0].detail.len(), 13, "{:?}", all[0]);
    assert_eq!(all[2].about, About::Task(id("1.1")));
    assert!(
        all[2].title.contains("waits for you: parked, no tries left"),
        "{:?}",
        all[2]
    );
    assert!(all[3].detail[0].contains("1 waiting for you"), "{:?}", all[3]);
}

#[test]
fn a_budget_warns_and_stops() {
    let mut world = World::new();
    world.start_shift(1);
    world.spend(9_600_000);
    world.spend(10_000_001);
    let all = told(&world);
    assert!(
        !all.is_empty() && all.iter().all(|n| n.kind == Kind::Budget),
        "{all:?}"
    );
    let last = all.last().unwrap();
    assert!(
        all.iter().any(|n| n.title.contains("what runs is stopped")) && all[0].title.contains('%'),
        "{last:?}"
    );
}

#[test]
fn it_is_the_same_from_wherever_one_begins() {
    let mut world = World::new();
    world.start_shift(2);
    lands(&mut world);
    world.take(Event::StopAsked { how: StopHow::Drain });
    let (end, left) = wrote("b");
    world.end_agent(end, left);
    let all = told(&world);
    assert!(all.len() >= 2, "{all:?}");
    for begin in 0..=world.journal.len() {
        let (before, after) = world.journal.split_at(begin);
        let mut state = State::default();
        before.iter().for_each(|r| r.redo(&mut state));
        let mut watch = Watch::from(state);
        let told: Vec<Notice> = after.iter().flat_map(|r| watch.take(r)).collect();
        let at = Seq(begin as u64);
        let expected: Vec<Notice> = all.iter().filter(|n| n.seq > at).cloned().collect();
        assert_eq!(told, expected, "from {begin}");
    }
}

fn notice(seq: u64, kind: Kind) -> Notice {
    Notice {
        seq: Seq(seq),
        at: Timestamp(0),
        kind,
        about: About::Workspace,
        title: format!("notice {seq}"),
        detail: vec![format!("detail {seq}")],
    }
}

#[test]
fn many_notices_are_one_message_of_bounded_size() {
    let target: TargetName = "phone".parse().unwrap();
    let mut one = Gathered::default();
    assert!(one.is_empty());
    one.add(notice(7, Kind::Parked));
    let message = one.message(&target, "app", "w");
    assert_eq!(
        (message.title.as_str(), message.text.as_str()),
        ("notice 7", "detail 7")
    );
    assert_eq!(message.id, "w-phone-7");

    let mut many = Gathered::default();
    for seq in 1..=100 {
        many.add(notice(seq, if seq == 60 { Kind::Decision } else { Kind::Landed }));
    }
    let message = many.message(&target, "app", "w");
    assert_eq!(message.title, "1 question, 99 tasks landed");
    assert_eq!((message.notices.len(), message.more), (12, 88));
    assert!(
        message.text.contains("• notice 60\n  detail 60"),
        "what matters is among it"
    );
    assert!(
        message
            .text
            .ends_with("and 88 more; `turno log` tells all of them"),
        "{}",
        message.text
    );
    assert!(message.notices.is_sorted_by_key(|n| n.seq));
    assert_eq!(message.counts[&Kind::Landed], 99);
    assert_eq!(message.id, "w-phone-100");
}

#[test]
fn each_kind_is_written_as_it_is_named() {
    for kind in Kind::TOLD.into_iter().chain([Kind::Test]) {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
