//! What passes between the coordinator and an attempt, case by case.

use std::collections::BTreeSet;
use std::time::Duration;

use turno_core::command::{AskedBefore, AskedThen};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Luck};

use super::*;
use crate::runner::Told;

const ONE: AttemptId = AttemptId(1);

fn question() -> Question {
    Question {
        question: "Which?".to_owned(),
        options: vec![],
        recommended: None,
    }
}

fn stopped() -> Failure {
    Failure::new(Cause::Stopped, "")
}

#[tokio::test]
async fn a_reply_finds_the_call_that_waits_for_it_and_no_other() {
    let shared = Arc::new(Shared::default());
    let (mouth, _ear) = shared.begin(ONE).unwrap();
    let (replies, mut replied) = mpsc::unbounded_channel();
    mouth.ask("7".to_owned(), question(), &replies).unwrap();
    assert_eq!(
        Waiting::ask(&shared, ONE, question()).unwrap_err(),
        NotAsked::OneWaits,
        "its own protocol asks already"
    );
    shared.reply(ONE, "talk:7", &Reply::Answer("a".to_owned()));
    assert_eq!(replied.recv().await.unwrap().own_key(), "7");
    let mut waiting = Waiting::ask(&shared, ONE, question()).unwrap();
    shared.reply(ONE, "talk:1", &Reply::Answer("not its own".to_owned()));
    assert_eq!(*mouth.turn().borrow(), Turn::Its);
    shared.reply(ONE, "tool:1", &Reply::Parked);
    assert_eq!(*mouth.turn().borrow(), Turn::SentAwayInWords);
    assert_eq!(waiting.reply().await, Some(Reply::Parked));
    assert_eq!(
        Waiting::ask(&shared, ONE, question()).unwrap_err(),
        NotAsked::SentAway
    );
    let keys: Vec<u64> = shared.events(0).await.iter().map(|t| t.number).collect();
    assert_eq!(keys, [1, 2], "what was refused was not told");
}

/// Those who fail together must not try again together, so each failure has luck of its own, however it is told.
#[tokio::test]
async fn every_failure_leaves_with_luck_of_its_own() {
    let shared = Arc::new(Shared::default());
    for n in 1..=20 {
        let (mouth, _ear) = shared.begin(AttemptId(n)).unwrap();
        match n % 2 {
            0 => mouth.fail(stopped()),
            _ => mouth.end(Event::AgentEnded {
                attempt: AttemptId(n),
                end: AgentEnd::Failed(stopped()),
                spend: Spend::NOTHING,
                left: turno_core::event::LeftBehind::Nothing,
                transcript: turno_core::check::LogRef {
                    path: String::new(),
                    bytes: 0,
                },
            }),
        }
    }
    let told = shared.events(0).await;
    let luck: Vec<Luck> = told
        .iter()
        .map(|told| match &told.event {
            Event::AttemptFailed { failure, .. }
            | Event::AgentEnded {
                end: AgentEnd::Failed(failure),
                ..
            } => failure.luck,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(luck.len(), 20);
    assert!(luck.iter().all(|luck| luck.0 < Luck::NONE.0), "{luck:?}");
    let different: BTreeSet<u16> = luck.iter().map(|luck| luck.0).collect();
    // Twenty draws of 999 that give ten numbers or fewer: not in a lifetime.
    assert!(different.len() > 10, "{luck:?}");
}

#[tokio::test]
async fn whoever_goes_waits_no_more() {
    let shared = Arc::new(Shared::default());
    let (mouth, _ear) = shared.begin(ONE).unwrap();
    let open = mouth.open_questions();
    let waiting = Waiting::ask(&shared, ONE, question()).unwrap();
    assert_eq!(*open.borrow(), 1);
    drop(waiting);
    assert_eq!(*open.borrow(), 0);
    let mut last = Waiting::ask(&shared, ONE, question()).unwrap();
    mouth.fail(stopped());
    assert_eq!(last.reply().await, None, "its attempt is over");
}

#[tokio::test]
async fn what_is_told_is_committed_when_the_next_is_asked_for() {
    let shared = Arc::new(Shared::default());
    let (mouth, _ear) = shared.begin(ONE).unwrap();
    let said = || Event::AttemptFailed {
        attempt: ONE,
        failure: stopped(),
    };
    let number = shared.tell_from(ONE, said()).unwrap();
    let committed = || tokio::time::timeout(Duration::from_millis(50), shared.committed(number));
    assert_eq!(shared.events(0).await.len(), 1);
    assert!(committed().await.is_err(), "it was only handed out");
    shared.facts_after(number);
    assert!(committed().await.is_ok());
    mouth.fail(stopped());
    assert_eq!(shared.tell_from(ONE, said()), None, "nothing after the ending");
}

#[test]
fn a_token_ends_with_its_pass() {
    let shared = Arc::new(Shared::default());
    let (mouth, _ear) = shared.begin(ONE).unwrap();
    let pass = mouth.pass();
    let token = pass.token().clone();
    assert_eq!(shared.attempt_of(&token), Some(ONE));
    drop(pass);
    assert_eq!(shared.attempt_of(&token), None);
}

#[tokio::test]
async fn what_was_asked_of_a_coordinator_that_died_is_not_told_again_and_gets_its_reply() {
    let shared = Arc::new(Shared::default());
    let asked = |then| AskedBefore {
        question: question(),
        then,
    };
    let key = "tool:3".to_owned();
    let (mouth, _ear) = shared
        .begin_again(ONE, vec![asked(AskedThen::Waits { key: key.clone() })])
        .unwrap();
    assert_eq!(
        *mouth.open_questions().borrow(),
        1,
        "it waits though it has not asked again"
    );
    // Answered before it is heard again.
    shared.reply(ONE, &key, &Reply::Answer("a".to_owned()));
    assert_eq!(*mouth.open_questions().borrow(), 0);
    let mut waiting = Waiting::ask(&shared, ONE, question()).unwrap();
    assert_eq!(waiting.reply().await, Some(Reply::Answer("a".to_owned())));
    assert!(shared.facts_after(0).is_empty(), "nothing was told");
    // Another question is a new one, under a number that was never given.
    let other = Question {
        question: "And then?".to_owned(),
        ..question()
    };
    let _waiting = Waiting::ask(&shared, ONE, other).unwrap();
    let told = shared.facts_after(0);
    assert!(
        matches!(&told[..], [Told { event: Event::DecisionAsked { key, .. }, .. }] if key.as_str() > "tool:3"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_call_of_an_attempt_that_is_not_listened_to_yet_waits_until_it_is() {
    let shared = Arc::new(Shared::default());
    let token = Token::random();
    shared.expect(ONE, token.clone());
    assert_eq!(shared.attempt_of(&token), Some(ONE));
    let soon = tokio::time::timeout(Duration::from_millis(20), shared.begun(ONE));
    assert!(soon.await.is_err());
    let _begun = shared.begin_again(ONE, Vec::new()).unwrap();
    shared.begun(ONE).await;
}
