//! The proxy's own life: its socket, what it bears from a program, what it remembers, and its end.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rstest::rstest;
use tokio::io::AsyncWriteExt as _;
use turno_sandbox::net::allow::Allowed;
use turno_sandbox::net::proxy::{Bounds, CONTACTS, Proxy, Seen, Verdict, Way};

use crate::harness::{Names, Site, connect_to, echo, flat, head, rest, server, within};

#[tokio::test]
async fn only_this_user_may_connect() {
    let site = Site::new(&[]);
    assert_eq!(
        fs::metadata(site.socket()).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_anything_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    within(
        Proxy::open(&stale, Allowed::default(), Way::Direct)
            .unwrap()
            .close(),
    )
    .await;

    let live = dir.path().join("live");
    let _listener = std::os::unix::net::UnixListener::bind(&live).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&stale, &link).unwrap();
    for path in [&live, &file, &link] {
        let error = Proxy::open(path, Allowed::default(), Way::Direct).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(fs::symlink_metadata(path).is_ok(), "{} is gone", path.display());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test]
async fn only_its_own_socket_is_removed_at_the_end() {
    let site = Site::new(&[]);
    let socket = site.socket();
    // Kept, so that the file that follows cannot get the same inode.
    fs::rename(&socket, socket.with_extension("old")).unwrap();
    fs::write(&socket, "somebody else's").unwrap();
    let (dir, proxy) = site.apart();
    within(proxy.close()).await;
    assert_eq!(fs::read_to_string(&socket).unwrap(), "somebody else's");
    drop(dir);
}

#[tokio::test]
async fn closing_ends_every_tunnel_and_removes_the_socket() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let socket = site.socket();
    within(async {
        let (mut client, _) = site.tunnel(&format!("127.0.0.1:{port}")).await;
        let (mut far, _) = listener.accept().await.unwrap();
        let mut asking = site.client().await;
        asking.write_all(b"GET http://127.0.0.1").await.unwrap();
        let mut reading = site.client().await;
        let request = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: h\r\n\r\n");
        reading.write_all(request.as_bytes()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        head(&mut server).await;

        let (dir, proxy) = site.apart();
        let seen = flat(proxy.close().await);
        assert_eq!(seen, [("127.0.0.1".to_owned(), port, Verdict::Allowed, 2)]);
        for near in [&mut client, &mut asking, &mut reading] {
            assert_eq!(rest(near).await, "");
        }
        assert_eq!(rest(&mut far).await, "");
        assert_eq!(rest(&mut server).await, "");
        assert!(!socket.exists());
        drop(dir);
    })
    .await;
}

#[tokio::test]
async fn dropping_ends_every_tunnel_too() {
    let (listener, port) = server().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    let socket = site.socket();
    within(async {
        let (mut client, _) = site.tunnel(&format!("127.0.0.1:{port}")).await;
        let (mut far, _) = listener.accept().await.unwrap();
        let (dir, proxy) = site.apart();
        drop(proxy);
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(rest(&mut far).await, "");
        assert!(!socket.exists());
        drop(dir);
    })
    .await;
}

#[rstest]
#[case::tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), "HTTP/1.1 400 ")]
#[case::text(b"hello\r\n\r\n".to_vec(), "HTTP/1.1 400 ")]
#[case::zeros(vec![0; 4096], "HTTP/1.1 400 ")]
#[case::long_header(format!("GET http://a/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(16 << 10)).into_bytes(), "HTTP/1.1 431 ")]
#[case::endless_header(format!("GET http://a/ HTTP/1.1\r\nX: {}", "x".repeat(256 << 10)).into_bytes(), "HTTP/1.1 431 ")]
#[case::many_headers(format!("GET http://a/ HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(200)).into_bytes(), "HTTP/1.1 431 ")]
#[tokio::test]
async fn garbage_is_refused_and_the_proxy_goes_on(#[case] garbage: Vec<u8>, #[case] answer: &str) {
    let (port, _) = echo().await;
    let site = Site::new(&[&format!("127.0.0.1:{port}")]);
    within(async {
        let got = site.ask(&garbage).await;
        assert!(got.starts_with(answer), "{got}");
        assert_eq!(
            site.tunnel(&format!("127.0.0.1:{port}")).await.1,
            "HTTP/1.1 200 OK\r\n\r\n"
        );
    })
    .await;
}

#[tokio::test]
async fn a_head_just_below_the_bound_is_taken() {
    let site = Site::new(&[]);
    let request = format!(
        "GET http://a/ HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat((16 << 10) - 100)
    );
    let answer = within(site.ask(&request)).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[rstest]
#[case::nothing("")]
#[case::half("CONNECT api.example:443 HTTP/1.1\r\nHost:")]
#[tokio::test]
async fn who_never_says_what_it_wants_is_cut_off(#[case] said: &str) {
    let bounds = Bounds {
        header: Duration::from_millis(50),
        ..Bounds::default()
    };
    let site = Site::with(&["api.example"], Names::default(), bounds);
    within(async {
        let mut client = site.client().await;
        client.write_all(said.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    })
    .await;
}

#[tokio::test]
async fn contacts_are_counted_and_bounded() {
    let site = Site::new(&[]);
    let more = 7;
    within(async {
        for number in 0..CONTACTS + more {
            // The first is asked for again at the end, when no new one is kept any more.
            site.ask(connect_to(&format!("h{number:03}.example:443"))).await;
        }
        site.ask(connect_to("h000.example:443")).await;
    })
    .await;
    let Seen { contacts, others } = site.proxy.seen();
    assert_eq!((contacts.len(), others), (CONTACTS, more as u64));
    assert_eq!(
        (contacts[0].host.to_string().as_str(), contacts[0].times),
        ("h000.example", 2)
    );
    assert!(
        contacts[1..]
            .iter()
            .all(|contact| contact.times == 1 && contact.verdict == Verdict::NotListed)
    );
}

#[tokio::test]
async fn contacts_are_written_in_a_form_that_stays() {
    let site = Site::new(&[]);
    within(site.ask(connect_to("[::1]:443"))).await;
    let seen = site.proxy.seen();
    let json = serde_json::to_string(&seen).unwrap();
    assert_eq!(
        json,
        r#"{"contacts":[{"host":"[::1]","port":443,"verdict":"not-listed","times":1}],"others":0}"#
    );
    assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    assert_eq!(serde_json::from_str::<Seen>("{}").unwrap(), Seen::default());
}
