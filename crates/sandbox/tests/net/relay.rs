//! Whole `http://` URLs: what the server gets, what the program gets, and that nothing waits on the way.

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turno_sandbox::net::proxy::Verdict;

use crate::harness::{Site, connect_to, expect, head, rest, server, within};

#[tokio::test]
async fn a_get_is_passed_on_without_what_is_the_proxys() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let request = format!(
        "GET http://127.0.0.1:{port}/v1/models?all=1 HTTP/1.1\r\nHost: other.example\r\nX-Api-Key: k1\r\n\
         Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nConnection: X-Hop, keep-alive\r\n\
         X-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n"
    );
    within(async {
        let serving = async {
            let (mut far, _) = listener.accept().await.unwrap();
            let head = head(&mut far).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Theirs\r\nX-Theirs: 1\r\n\
                          X-Mine: 1\r\n\r\nhello";
            far.write_all(answer.as_bytes()).await.unwrap();
            head
        };
        let (sent, answer) = tokio::join!(serving, site.ask(&request));
        let mut lines: Vec<&str> = sent.trim_end().lines().collect();
        assert_eq!(lines.remove(0), "GET /v1/models?all=1 HTTP/1.1");
        let mut lines: Vec<String> = lines.into_iter().map(str::to_lowercase).collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "connection: close",
                &format!("host: 127.0.0.1:{port}"),
                "x-api-key: k1"
            ]
        );
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"),
            "{answer}"
        );
        assert!(
            answer.contains("X-Mine: 1") && !answer.contains("X-Theirs"),
            "{answer}"
        );
    })
    .await;
    assert_eq!(site.seen(), [("127.0.0.1".to_owned(), port, Verdict::Allowed, 1)]);
}

#[rstest]
#[case::length("Content-Length: 11\r\n\r\n", "hello world", "hello world")]
#[case::chunked(
    "Transfer-Encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "hello world"
)]
#[case::waiting("Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", "hi", "hi")]
#[tokio::test]
async fn a_post_carries_its_body(#[case] framing: &str, #[case] body: &str, #[case] expected: &str) {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let request = format!("POST http://127.0.0.1:{port} HTTP/1.1\r\nHost: h\r\n{framing}{body}");
    within(async {
        let serving = async {
            let (mut far, _) = listener.accept().await.unwrap();
            let head = head(&mut far).await.to_lowercase();
            assert!(
                head.starts_with("post / http/1.1\r\n") && !head.contains("expect"),
                "{head}"
            );
            let got = if head.contains("transfer-encoding: chunked") {
                assert!(!head.contains("content-length"), "{head}");
                unchunked(&mut far).await
            } else {
                let mut got = vec![0; expected.len()];
                far.read_exact(&mut got).await.unwrap();
                String::from_utf8(got).unwrap()
            };
            assert_eq!(got, expected);
            far.write_all(
                b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n\r\n",
            )
            .await
            .unwrap();
        };
        let ((), answer) = tokio::join!(serving, site.ask(&request));
        assert!(answer.contains("HTTP/1.1 201 Created\r\n"), "{answer}");
        assert!(answer.ends_with("4\r\ndone\r\n0\r\n\r\n"), "{answer}");
    })
    .await;
}

/// Reads a body in chunks to its end.
async fn unchunked(far: &mut tokio::net::TcpStream) -> String {
    let mut body = Vec::new();
    loop {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.push(far.read_u8().await.unwrap());
        }
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        far.read_exact(&mut chunk).await.unwrap();
        if size == 0 {
            return String::from_utf8(body).unwrap();
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

#[tokio::test]
async fn a_body_of_two_lengths_is_not_passed_on_as_two_requests() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let request = format!(
        "POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET http://127.0.0.1:{port}/second HTTP/1.1\r\nHost: h\r\n\r\n"
    );
    within(async {
        let serving = async {
            let (mut far, _) = listener.accept().await.unwrap();
            let head = head(&mut far).await.to_lowercase();
            assert!(!head.contains("content-length: 5"), "{head}");
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            far.shutdown().await.unwrap();
            rest(&mut far).await
        };
        let asked = async {
            let answer = site.ask(&request).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 OK") || answer.starts_with("HTTP/1.1 400"),
                "{answer}"
            );
            answer
        };
        let (more, _) = tokio::join!(serving, asked);
        assert!(!more.contains("second"), "{more}");
    })
    .await;
}

#[tokio::test]
async fn events_flow_at_once() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let mut client = site.client().await;
        let request = format!("GET http://127.0.0.1:{port}/events HTTP/1.1\r\nHost: h\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        head(&mut far).await;
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            .await
            .unwrap();
        assert!(head(&mut client).await.contains("text/event-stream"));
        // The server waits for the program to have read one event before it sends the next.
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            far.write_all(event.as_bytes()).await.unwrap();
            expect(&mut client, &format!("9\r\n{event}\r\n")).await;
        }
        drop(far);
        assert_eq!(rest(&mut client).await, "0\r\n\r\n");
    })
    .await;
}

#[tokio::test]
async fn a_request_body_flows_at_once_too() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let mut client = site.client().await;
        let request =
            format!("POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        head(&mut far).await;
        for part in ["one", "two"] {
            client.write_all(part.as_bytes()).await.unwrap();
            expect(&mut far, part).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_program_that_goes_away_ends_the_request() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let mut client = site.client().await;
        let request = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: h\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        head(&mut far).await;
        drop(client);
        assert_eq!(rest(&mut far).await, "");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_made_whole() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let request = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: h\r\n\r\n");
    within(async {
        let serving = async {
            let (mut far, _) = listener.accept().await.unwrap();
            head(&mut far).await;
            far.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
                .await
                .unwrap();
        };
        let ((), answer) = tokio::join!(serving, site.ask(&request));
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    })
    .await;
}

#[rstest]
#[case::not_http("SSH-2.0-OpenSSH_9.2\r\n")]
#[case::a_change_nobody_asked_for(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
)]
#[case::silence("")]
#[tokio::test]
async fn an_answer_that_is_no_http_is_told(#[case] answer: &str) {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let request = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: h\r\n\r\n");
    within(async {
        let serving = async {
            let (mut far, _) = listener.accept().await.unwrap();
            head(&mut far).await;
            far.write_all(answer.as_bytes()).await.unwrap();
        };
        let ((), answer) = tokio::join!(serving, site.ask(&request));
        assert!(
            answer.starts_with("HTTP/1.1 502 ") && answer.contains("no answer that is HTTP"),
            "{answer}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_not_listed_is_refused() {
    let site = Site::new(&["api.example"]);
    let answer = within(site.ask("GET http://api.example/x HTTP/1.1\r\nHost: api.example\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("reach api.example:80; allow it"), "{answer}");
}

#[rstest]
#[case::no_url("GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")]
#[case::no_plain_http("GET https://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n")]
#[case::other_scheme("GET ftp://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n")]
#[case::user("GET http://me:secret@api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n")]
#[case::user_of_a_tunnel(&connect_to("me@api.example:443"))]
#[case::no_port(&connect_to("api.example"))]
#[case::empty_port(&connect_to("api.example:"))]
#[case::port_0(&connect_to("api.example:0"))]
#[case::odd_address(&connect_to("127.1:443"))]
#[case::number(&connect_to("2130706433:443"))]
#[case::zone(&connect_to("[fe80::1%25eth0]:443"))]
#[case::any_port(&connect_to("api.example:*"))]
#[case::empty_port_of_a_url("GET http://api.example:/ HTTP/1.1\r\nHost: h\r\n\r\n")]
#[case::huge_port("GET http://api.example:65536/ HTTP/1.1\r\nHost: h\r\n\r\n")]
#[tokio::test]
async fn what_is_odd_is_refused(#[case] request: &str) {
    let site = Site::new(&["api.example:*"]);
    let answer = within(site.ask(request)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    assert_eq!(site.seen(), []);
}
