//! Live events: in order, none missed, none twice, whenever a client breaks off and comes again.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;

use super::{Asked, Fake, HOST};
use crate::routes::STREAMS;

/// The numbers of the records that a stream gives, until there are so many of them.
async fn ids(board: &Asked, after: Option<u64>, last: Option<u64>, count: usize) -> Vec<u64> {
    let path = match after {
        Some(after) => format!("/api/events?after={after}"),
        None => "/api/events".to_owned(),
    };
    let mut request = Request::get(path)
        .header("host", HOST)
        .header("authorization", board.bearer());
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = board.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body().into_data_stream();
    let (mut text, mut found) = (String::new(), Vec::new());
    while found.len() < count {
        let piece = tokio::time::timeout(Duration::from_secs(20), body.next()).await;
        let piece = piece
            .expect("an event is missing")
            .expect("the stream ended")
            .unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
        let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let events = whole.split("\n\n").filter(|e| e.contains("event: record"));
        found = events
            .map(|e| {
                e.lines()
                    .find_map(|l| l.strip_prefix("id: "))
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_and_comes_again_misses_nothing_and_has_nothing_twice() {
    let board = Asked::new(Fake::new()).await;
    let filing = {
        let fake = std::sync::Arc::clone(&board.fake);
        tokio::task::spawn_blocking(move || (0..200).for_each(|n| fake.file(&n.to_string())))
    };
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 200 {
        let last = seen.last().copied().unwrap_or(0);
        let wanted = (200 - seen.len()).min(17);
        seen.extend(ids(&board, None, Some(last), wanted).await);
    }
    filing.await.unwrap();
    assert_eq!(seen, (1..=200).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_in_memory_is_read_from_the_journal() {
    let fake = Fake::new();
    for n in 0..1500 {
        fake.file(&n.to_string());
    }
    let board = Asked::new(fake).await;
    let seen = ids(&board, Some(0), None, 1500).await;
    assert_eq!(seen, (1..=1500).collect::<Vec<u64>>());
    // What the header says wins: a browser sends both when it comes again.
    assert_eq!(
        ids(&board, Some(3), Some(1490), 10).await,
        (1491..=1500).collect::<Vec<u64>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_number_it_begins_now_and_with_one_from_another_journal_it_says_so() {
    let board = Asked::new(Fake::new()).await;
    let request = Request::get("/api/events?after=99")
        .header("host", HOST)
        .header("authorization", board.bearer());
    let answer = board.send(request.body(Body::empty()).unwrap()).await;
    let mut body = answer.into_body().into_data_stream();
    let first = body.next().await.unwrap().unwrap();
    let first = std::str::from_utf8(&first).unwrap();
    assert!(
        first.contains("event: reset") && first.contains("id: 0"),
        "{first}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_streams_and_who_leaves_makes_room() {
    let board = Asked::new(Fake::new()).await;
    let open = || async {
        let request = Request::get("/api/events")
            .header("host", HOST)
            .header("authorization", board.bearer());
        board.send(request.body(Body::empty()).unwrap()).await
    };
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let stream = open().await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    assert_eq!(open().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    streams.pop();
    assert_eq!(open().await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_when_somebody_else_coordinates_or_nobody_can_be_followed() {
    let board = Asked::new(Fake::new()).await;
    board.fake.file("One");
    let request = Request::get("/api/events?after=0")
        .header("host", HOST)
        .header("authorization", board.bearer());
    let answer = board.send(request.body(Body::empty()).unwrap()).await;
    let mut body = answer.into_body().into_data_stream();
    let coordinator = std::os::unix::net::UnixListener::bind(board.fake.dirs.socket()).unwrap();
    std::thread::spawn(move || {
        let (mut asker, _) = coordinator.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(asker.try_clone().unwrap())
            .read_line(&mut asked)
            .unwrap();
        asker.write_all(b"{\"refused\": \"not you\"}\n").unwrap();
    });
    let mut text = String::new();
    while !text.contains("event: coordinator") {
        let piece = tokio::time::timeout(Duration::from_secs(20), body.next()).await;
        text.push_str(std::str::from_utf8(&piece.unwrap().unwrap().unwrap()).unwrap());
    }
    assert!(text.contains("not you") || text.contains("works"), "{text}");
}
