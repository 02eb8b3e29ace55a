//! The bridge: a program in a network that is empty otherwise reaches the proxy by it, and a server on the user's own
//! loopback at its usual address.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};
use tokio::process::Command;
use turno_sandbox::net::bridge::Bridge;
use turno_sandbox::net::proxy::Verdict;

use crate::harness::{Site, connect_to, echo, expect, head, rest, server, within};

/// What the test inside a network of its own is told: the proxy's socket, and the port that is forwarded.
const SOCKET: &str = "TURNO_TEST_SOCKET";
const PORT: &str = "TURNO_TEST_PORT";

async fn client(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

#[tokio::test]
async fn a_program_reaches_the_proxy() {
    let (port, _) = echo().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let bridge = Bridge::open(&site.socket(), &[]).unwrap();
    within(async {
        let mut client = client(bridge.port()).await;
        client
            .write_all(connect_to(&format!("127.0.0.1:{port}")).as_bytes())
            .await
            .unwrap();
        assert_eq!(head(&mut client).await, "HTTP/1.1 200 OK\r\n\r\n");
        for round in ["one", "two"] {
            client.write_all(round.as_bytes()).await.unwrap();
            expect(&mut client, round).await;
        }
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "");
    })
    .await;
}

#[tokio::test]
async fn a_side_that_is_done_sending_still_gets_the_answer() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let bridge = Bridge::open(&site.socket(), &[]).unwrap();
    within(async {
        let mut client = client(bridge.port()).await;
        client
            .write_all(connect_to(&format!("127.0.0.1:{port}")).as_bytes())
            .await
            .unwrap();
        head(&mut client).await;
        let (mut far, _) = listener.accept().await.unwrap();
        client.write_all(b"all of it").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut far).await, "all of it");
        let answer = "answer".repeat(100_000);
        far.write_all(answer.as_bytes()).await.unwrap();
        drop(far);
        assert_eq!(rest(&mut client).await, answer);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_tunnel() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let bridge = Bridge::open(&site.socket(), &[]).unwrap();
    within(async {
        let mut client = client(bridge.port()).await;
        client
            .write_all(connect_to(&format!("127.0.0.1:{port}")).as_bytes())
            .await
            .unwrap();
        head(&mut client).await;
        let (mut far, _) = listener.accept().await.unwrap();
        drop(client);
        assert_eq!(rest(&mut far).await, "");
    })
    .await;
}

#[tokio::test]
async fn a_large_body_that_nobody_wants_does_not_hide_the_refusal() {
    let site = Site::new(&[]);
    let bridge = Bridge::open(&site.socket(), &[]).unwrap();
    within(async {
        let mut client = client(bridge.port()).await;
        let length = 4 << 20;
        let head =
            format!("POST http://evil.example/ HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b'x'; length]).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("reach evil.example:80"),
            "{answer}"
        );
    })
    .await;
}

/// A port that nobody listens on.
async fn free_port() -> u16 {
    server().await.1
}

#[tokio::test]
async fn a_forward_asks_for_its_port_and_copies_from_the_first_byte() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("proxy");
    let proxy = UnixListener::bind(&socket).unwrap();
    let port = free_port().await;
    let _bridge = Bridge::open(&socket, &[port, port]).unwrap();
    within(async {
        for address in ["127.0.0.1", "::1"] {
            let Ok(mut client) = TcpStream::connect((address, port)).await else {
                assert_eq!(address, "::1", "IPv4 is always there");
                println!("skipped the half about ::1: there is no IPv6 here");
                continue;
            };
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let (mut near, _) = proxy.accept().await.unwrap();
            assert_eq!(
                head(&mut near).await,
                format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
            );
            // In pieces, and with the first bytes of the server right behind.
            for piece in ["HTTP/1.1 200 O", "K\r\nX: y\r\n\r", "\nfirst"] {
                near.write_all(piece.as_bytes()).await.unwrap();
            }
            expect(&mut near, "GET / HTTP/1.1\r\n\r\n").await;
            near.write_all(b" second").await.unwrap();
            drop(near);
            assert_eq!(rest(&mut client).await, "first second");
        }
    })
    .await;
}

#[tokio::test]
async fn a_forward_that_is_not_allowed_shows_why() {
    let site = Site::new(&[]);
    let port = free_port().await;
    let _bridge = Bridge::open(&site.socket(), &[port]).unwrap();
    within(async {
        let mut client = client(port).await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains(&format!("127.0.0.1:{port}")),
            "{answer}"
        );
    })
    .await;
    assert_eq!(
        site.seen(),
        [("127.0.0.1".to_owned(), port, Verdict::NotListed, 1)]
    );
}

#[tokio::test]
async fn without_a_proxy_a_connection_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().await;
    let bridge = Bridge::open(&dir.path().join("nothing"), &[port]).unwrap();
    within(async {
        for port in [bridge.port(), port] {
            assert_eq!(rest(&mut client(port).await).await, "");
        }
    })
    .await;
}

#[tokio::test]
async fn a_port_that_cannot_be_forwarded_is_named() {
    let (_listener, port) = server().await;
    let error = Bridge::open(&PathBuf::from("/nowhere"), &[port]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("127.0.0.1:{port} cannot be forwarded")),
        "{error}"
    );
    assert!(Bridge::open(&PathBuf::from("/nowhere"), &[0]).is_err());
}

#[tokio::test]
async fn a_bridge_that_is_dropped_listens_no_more() {
    let port = free_port().await;
    let bridge = Bridge::open(&PathBuf::from("/nowhere"), &[port]).unwrap();
    let own = bridge.port();
    drop(bridge);
    within(async {
        for port in [port, own] {
            // Nobody connects, so nothing but the end of the bridge can wake it.
            while std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}

#[test]
fn a_program_is_told_of_it() {
    let bridge = Bridge::open(&PathBuf::from("/nowhere"), &[]).unwrap();
    let env: BTreeMap<String, String> = bridge.env().into_iter().collect();
    let proxy = format!("http://127.0.0.1:{}", bridge.port());
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        assert_eq!(env[name], proxy);
    }
    for name in ["NO_PROXY", "no_proxy"] {
        assert_eq!(env[name], "localhost,127.0.0.1,::1");
    }
    assert_eq!(env.len(), 8);
}

/// The whole way: a server on this loopback, a proxy, and a program in a network of its own that finds the server at
/// the same address, through a bridge that listens where the server does outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_outside_is_found_at_its_usual_address() {
    let works = Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "--unshare-net", "true"])
        .output()
        .await;
    if !works.is_ok_and(|output| output.status.success()) {
        println!("skipped: bwrap cannot make a network here");
        return;
    }
    let (port, _) = echo().await;
    let (_other, refused) = server().await;
    let site = Site::new(&[&format!("localhost:{port}")]);
    let inside = Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "bridge::inside", "--ignored", "--nocapture"])
        .env(SOCKET, site.socket())
        .env(PORT, format!("{port} {refused}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(inside).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        site.seen(),
        [
            (
                "127.0.0.1".to_owned(),
                port.min(refused),
                if port < refused {
                    Verdict::Allowed
                } else {
                    Verdict::NotListed
                },
                1
            ),
            (
                "127.0.0.1".to_owned(),
                port.max(refused),
                if port < refused {
                    Verdict::NotListed
                } else {
                    Verdict::Allowed
                },
                1
            ),
        ]
    );
}

#[tokio::test]
#[ignore = "started by another test, inside a network of its own"]
async fn inside() {
    let ports = std::env::var(PORT).unwrap();
    let (port, refused) = ports.split_once(' ').unwrap();
    let port: u16 = port.parse().unwrap();
    within(async {
        // Nothing is there before the bridge is.
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
        let bridge = Bridge::open(&PathBuf::from(std::env::var_os(SOCKET).unwrap()), &[port]).unwrap();
        let mut found = client(port).await;
        found.write_all(b"hello").await.unwrap();
        expect(&mut found, "hello").await;
        let mut other = client(bridge.port()).await;
        other
            .write_all(connect_to(&format!("127.0.0.1:{refused}")).as_bytes())
            .await
            .unwrap();
        assert!(head(&mut other).await.starts_with("HTTP/1.1 403 "));
    })
    .await;
}
