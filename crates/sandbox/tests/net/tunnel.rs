//! CONNECT: what gets a tunnel, what does not and why, and what a tunnel carries.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use turno_sandbox::net::proxy::{Bounds, Verdict};

use crate::harness::{Names, SILENT, Site, connect_to, echo, expect, rest, server, within};

#[tokio::test]
async fn an_allowed_host_is_reached_and_both_directions_flow() {
    let (port, _) = echo().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let (mut client, head) = site.tunnel(&format!("127.0.0.1:{port}")).await;
        assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
        for round in ["one", "two"] {
            client.write_all(round.as_bytes()).await.unwrap();
            expect(&mut client, round).await;
        }
    })
    .await;
    assert_eq!(site.seen(), [("127.0.0.1".to_owned(), port, Verdict::Allowed, 1)]);
}

#[tokio::test]
async fn what_is_sent_before_the_answer_goes_through_the_tunnel() {
    let (port, _) = echo().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let mut client = site.client().await;
        let hasty = connect_to(&format!("127.0.0.1:{port}")) + "hello";
        client.write_all(hasty.as_bytes()).await.unwrap();
        expect(&mut client, "HTTP/1.1 200 OK\r\n\r\nhello").await;
    })
    .await;
}

#[rstest]
#[case("evil.example:443")]
#[case("EVIL.example.:443")]
#[case("10.0.0.1:443")]
#[case("[::1]:443")]
#[case("localhost:443")]
#[case("api.example:8443")]
#[tokio::test]
async fn what_is_not_listed_is_refused_with_words(#[case] target: &str) {
    let names = Names::default().with("evil.example", &["93.184.216.34"]);
    let site = Site::with(
        &["api.example", "*.api.example"],
        names.clone(),
        Bounds::default(),
    );
    let answer = within(site.ask(connect_to(target))).await;
    let shown = target.to_lowercase().replace(".:", ":");
    assert!(
        answer.starts_with("HTTP/1.1 403 Refused by Turno's sandbox\r\n"),
        "{answer}"
    );
    let words = format!(
        "\r\n\r\nTurno's sandbox does not let this attempt reach {shown}; allow it with network.allow in turno.toml\n"
    );
    assert!(answer.ends_with(&words), "{answer}");
    assert_eq!(
        names.asked(),
        0,
        "a name that is not listed is not even looked up"
    );
    let (host, port) = shown.rsplit_once(':').unwrap();
    let seen = site.seen();
    assert_eq!(seen[0].0, host.trim_matches(['[', ']']).replace("::1", "[::1]"));
    assert_eq!(
        (seen[0].1, seen[0].2),
        (port.parse().unwrap(), Verdict::NotListed)
    );
}

#[rstest]
#[case("127.0.0.1")]
#[case("::1")]
#[case("::ffff:127.0.0.1")]
#[case("0.0.0.0")]
#[case("10.1.2.3")]
#[case("169.254.169.254")]
#[case("224.0.0.1")]
#[tokio::test]
async fn an_allowed_name_that_stands_for_a_private_address_is_refused(#[case] address: &str) {
    let (listener, port) = server().await;
    let names = Names::default().with("api.example", &[address]);
    let site = Site::with(&[&format!("api.example:{port}")], names, Bounds::default());
    let answer = within(site.ask(connect_to(&format!("api.example:{port}")))).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(
        answer.contains("an address of this machine or its own network"),
        "{answer}"
    );
    assert_eq!(
        site.seen(),
        [("api.example".to_owned(), port, Verdict::PrivateAddress, 1)]
    );
    assert!(nobody_connected(listener));
}

/// Whether nobody connected until now.
fn nobody_connected(listener: tokio::net::TcpListener) -> bool {
    let listener = listener.into_std().unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
        .accept()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_only_its_usable_addresses_are_tried() {
    let (port, _) = echo().await;
    let names = Names::default().with("api.example", &["127.0.0.2", "10.0.0.1", "127.0.0.1"]);
    let rules = [&*format!("api.example:{port}"), &*format!("127.0.0.1:{port}")];
    let site = Site::with(&rules, names.clone(), Bounds::default());
    within(async {
        let (mut client, head) = site.tunnel(&format!("api.example:{port}")).await;
        assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
        client.write_all(b"hello").await.unwrap();
        expect(&mut client, "hello").await;
    })
    .await;
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn localhost_needs_no_resolver_and_finds_a_server_on_either_address() {
    let (port, _) = echo().await;
    let names = Names::default();
    let site = Site::with(&[&format!("localhost:{port}")], names.clone(), Bounds::default());
    within(async {
        for target in ["localhost", "127.0.0.1"] {
            let (_, head) = site.tunnel(&format!("{target}:{port}")).await;
            assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
        }
    })
    .await;
    assert_eq!(names.asked(), 0);
    let Ok(six) = tokio::net::TcpListener::bind("[::1]:0").await else {
        println!("skipped the half about ::1: there is no IPv6 here");
        return;
    };
    let port = six.local_addr().unwrap().port();
    let site = Site::new(&[&format!("localhost:{port}")]);
    let (_, head) = within(site.tunnel(&format!("127.0.0.1:{port}"))).await;
    assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
}

#[tokio::test]
async fn what_has_no_address_or_no_answer_is_told_apart() {
    let (listener, port) = server().await;
    drop(listener);
    let names = Names::default().with("empty.example", &[]);
    let rules = ["gone.example", "empty.example", &format!("127.0.0.1:{port}")];
    let site = Site::with(&rules, names, Bounds::default());
    within(async {
        for (target, words) in [
            ("gone.example:443".to_owned(), "no such name"),
            ("empty.example:443".to_owned(), "the answer is empty"),
            (format!("127.0.0.1:{port}"), "refused"),
        ] {
            let answer = site.ask(connect_to(&target)).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
            assert!(
                answer.contains(&format!("{target} is allowed, but ")) && answer.contains(words),
                "{answer}"
            );
        }
    })
    .await;
    let verdicts: Vec<Verdict> = site.seen().into_iter().map(|contact| contact.2).collect();
    // In the order of hosts: names, then addresses.
    assert_eq!(
        verdicts,
        [Verdict::Unresolved, Verdict::Unresolved, Verdict::Unreachable]
    );
}

#[tokio::test]
async fn a_resolver_that_never_answers_is_not_waited_for_for_ever() {
    let bounds = Bounds {
        connect: Duration::from_millis(50),
        ..Bounds::default()
    };
    let site = Site::with(&[SILENT], Names::default(), bounds);
    let answer = within(site.ask(connect_to(&format!("{SILENT}:443")))).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("no answer within 0.05 s"),
        "{answer}"
    );
    assert_eq!(site.seen(), [(SILENT.to_owned(), 443, Verdict::Unresolved, 1)]);
}

#[tokio::test]
async fn a_side_that_is_done_sending_still_gets_the_answer() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let (mut client, _) = site.tunnel(&format!("127.0.0.1:{port}")).await;
        let (mut far, _) = listener.accept().await.unwrap();
        client.write_all(b"all of it").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut far).await, "all of it");
        far.write_all(b"the answer").await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "the answer");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tunnels_at_once_keep_apart_and_are_bounded() {
    let (port, most) = echo().await;
    let bounds = Bounds {
        connections: 8,
        ..Bounds::default()
    };
    let site = Site::with(&[&format!("127.0.0.1:{port}")], Names::default(), bounds);
    let socket = site.socket();
    within(async {
        let mut clients = JoinSet::new();
        for number in 0..150_u32 {
            let socket = socket.clone();
            clients.spawn(async move {
                let mut client = tokio::net::UnixStream::connect(socket).await.unwrap();
                client
                    .write_all(connect_to(&format!("127.0.0.1:{port}")).as_bytes())
                    .await
                    .unwrap();
                crate::harness::head(&mut client).await;
                let text = number.to_string().repeat(20_000);
                let (mut read, mut write) = client.split();
                let sent = text.clone();
                let (_, got) = tokio::join!(
                    async move {
                        write.write_all(sent.as_bytes()).await.unwrap();
                        write.shutdown().await.unwrap();
                    },
                    async move {
                        let mut got = String::new();
                        read.read_to_string(&mut got).await.unwrap();
                        got
                    }
                );
                assert!(got == text, "tunnel {number} got something else");
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    })
    .await;
    assert_eq!(
        site.seen(),
        [("127.0.0.1".to_owned(), port, Verdict::Allowed, 150)]
    );
    let most = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
}
