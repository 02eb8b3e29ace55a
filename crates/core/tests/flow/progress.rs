//! What is no progress: a change that comes back the same, with the same failures.

use rstest::rstest;
use turno_core::command::{Command, Session};
use turno_core::event::{AgentEnd, LeftBehind};
use turno_core::ids::TaskId;
use turno_core::progress::Essence;
use turno_core::task::{Park, Stage};
use turno_core::view::{StageName, park_phrase};

use crate::world::{World, checks_red, wrote};

fn task() -> TaskId {
    "1.1".parse().unwrap()
}

/// What a writer left whose change is, apart from white space, that of the second digit.
fn spaced(digit: &str, essence: &str) -> (AgentEnd, LeftBehind) {
    let (end, mut left) = wrote(digit);
    if let LeftBehind::Commit { essence: of, .. } = &mut left {
        *of = Essence::Known(essence.repeat(64).parse().unwrap());
    }
    (end, left)
}

#[test]
fn a_writer_that_only_moves_white_space_about_is_sent_back_afresh_and_then_parked() {
    let mut world = World::new();
    world.start_shift(1);
    let mut sessions = Vec::new();
    for digit in ["a", "b", "c"] {
        world.open_session("s");
        world.end_writer(spaced(digit, "1"));
        let commands = world.end_checks(checks_red("the same"));
        sessions.extend(commands.into_iter().filter_map(|c| match c {
            Command::StartAgent(start) => Some(start.session),
            _ => None,
        }));
    }
    assert!(
        matches!(sessions[..], [Session::Resume(_), Session::Fresh]),
        "{sessions:?}"
    );
    let Stage::Parked {
        park: park @ Park::NoProgress { .. },
        ..
    } = &world.task(task()).stage
    else {
        panic!("{:?}", world.task(task()).stage)
    };
    assert_eq!(
        park_phrase(park),
        "parked, no progress: three times the same change but for white space, with test"
    );
}

#[rstest]
#[case::another_change([spaced("a", "1"), spaced("b", "2"), spaced("c", "3")])]
#[case::nobody_knows([wrote("a"), wrote("b"), wrote("c")])]
#[case::only_one_is_known([wrote("a"), spaced("b", "1"), spaced("c", "2")])]
fn what_may_be_another_change_is_progress(#[case] rounds: [(AgentEnd, LeftBehind); 3]) {
    let mut world = World::new();
    world.start_shift(1);
    for left in rounds {
        world.end_writer(left);
        world.end_checks(checks_red("the same"));
    }
    assert_eq!(world.stage(task()), StageName::Writing);
}
