//! A proxy of the person's own behind Turno's: what is asked of it, what goes around it, and what is never asked.

use rstest::rstest;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use turno_sandbox::net::proxy::{Bounds, Upstream, Verdict, Way};

use crate::harness::{Names, Site, connect_to, echo, expect, head, rest, server, within};

/// A site whose way leads through a proxy at this port of loopback, with a password.
fn behind(port: u16, rules: &[&str], around: &str) -> (Site, Names) {
    let upstream: Upstream = format!("http://ann:open%20sesame@127.0.0.1:{port}")
        .parse()
        .unwrap();
    let names = Names::default().with("api.example", &["93.184.216.34"]);
    let way = Way::Through(upstream.around(around));
    (Site::by(rules, way, names.clone(), Bounds::default()), names)
}

/// Takes one connection, gives this answer, and then sends back what comes. The head that was sent to it.
async fn once(listener: TcpListener, answer: &'static str) -> String {
    let (mut near, _) = listener.accept().await.unwrap();
    let asked = head(&mut near).await;
    near.write_all(answer.as_bytes()).await.unwrap();
    tokio::spawn(async move {
        let (mut read, mut write) = near.split();
        drop(tokio::io::copy(&mut read, &mut write).await);
    });
    asked
}

#[tokio::test]
async fn a_tunnel_leads_through_it_and_the_name_is_its_to_look_up() {
    let (listener, port) = server().await;
    let (site, names) = behind(port, &["api.example"], "");
    within(async {
        let asked = tokio::spawn(once(
            listener,
            "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
        ));
        let (mut client, head) = site.tunnel("api.example:443").await;
        assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
        client.write_all(b"hello").await.unwrap();
        expect(&mut client, "hello").await;
        let asked = asked.await.unwrap();
        let lines: Vec<&str> = asked.trim_end().lines().collect();
        assert_eq!(
            lines,
            [
                "CONNECT api.example:443 HTTP/1.1",
                "Host: api.example:443",
                "Proxy-Authorization: Basic YW5uOm9wZW4gc2VzYW1l",
            ]
        );
    })
    .await;
    assert_eq!(names.asked(), 0, "no name is looked up here");
    let seen = [("api.example".to_owned(), 443, Verdict::Allowed, 1)];
    assert_eq!(site.seen(), seen);
}

#[tokio::test]
async fn a_whole_url_goes_through_a_tunnel_too() {
    let (listener, port) = server().await;
    let (site, _) = behind(port, &["api.example:80"], "");
    within(async {
        let serving = async {
            let (mut near, _) = listener.accept().await.unwrap();
            let asked = head(&mut near).await;
            near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let request = head(&mut near).await;
            near.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                .await
                .unwrap();
            (asked, request)
        };
        let ((asked, request), answer) = tokio::join!(
            serving,
            site.ask("GET http://api.example/x HTTP/1.1\r\nHost: api.example\r\n\r\n")
        );
        assert!(
            asked.starts_with("CONNECT api.example:80 HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(request.starts_with("GET /x HTTP/1.1\r\n"), "{request}");
        assert!(
            !request.to_lowercase().contains("authorization"),
            "the password is for the proxy alone: {request}"
        );
        assert!(answer.ends_with("hi"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn it_is_never_asked_for_what_is_not_allowed() {
    let (listener, port) = server().await;
    let (site, _) = behind(port, &["api.example"], "");
    for target in ["evil.example:443", "10.0.0.1:443", "api.example:8443"] {
        let answer = within(site.ask(connect_to(target))).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    drop(site);
    // Whoever connected did so before the answer came.
    let nobody = listener.into_std().unwrap().accept().unwrap_err();
    assert_eq!(
        nobody.kind(),
        std::io::ErrorKind::WouldBlock,
        "it was asked all the same"
    );
}

/// What is this machine's own, and what the person's list names, is reached without it.
#[rstest]
#[case("")]
#[case("127.0.0.0/8")]
#[tokio::test]
async fn some_hosts_are_reached_around_it(#[case] around: &str) {
    let (port, _) = echo().await;
    let (_listener, upstream) = server().await;
    let (site, _) = behind(upstream, &[&format!("127.0.0.1:{port}")], around);
    within(async {
        let (mut client, _) = site.tunnel(&format!("127.0.0.1:{port}")).await;
        client.write_all(b"hello").await.unwrap();
        expect(&mut client, "hello").await;
    })
    .await;
}

#[rstest]
#[case(
    "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    "proxy authorization required"
)]
#[case("HTTP/1.1 403 Forbidden\r\n\r\n", "unsuccessful")]
#[case("no http at all\r\n\r\n", "gave no tunnel")]
#[tokio::test]
async fn a_refusal_of_its_is_told_without_the_password(#[case] says: &'static str, #[case] words: &str) {
    let (listener, port) = server().await;
    let (site, _) = behind(port, &["api.example"], "");
    let answer = within(async {
        let asked = tokio::spawn(once(listener, says));
        let (mut client, head) = site.tunnel("api.example:443").await;
        asked.await.unwrap();
        head + &rest(&mut client).await
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(
        answer.contains(&format!("your proxy 127.0.0.1:{port} gave no tunnel")) && answer.contains(words),
        "{answer}"
    );
    assert!(!answer.contains("sesame") && !answer.contains("YW5u"), "{answer}");
    let seen = [("api.example".to_owned(), 443, Verdict::Unreachable, 1)];
    assert_eq!(site.seen(), seen);
}
