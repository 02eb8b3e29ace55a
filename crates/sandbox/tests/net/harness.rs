//! What these tests share: a proxy in a directory of its own, names that stand for what a test says, and servers and
//! clients that speak plain bytes.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use turno_sandbox::net::allow::{Allowed, Name};
use turno_sandbox::net::proxy::{Addresses, Bounds, Proxy, Resolve, Seen, Verdict, Way};

/// A test that hangs has failed.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("it hangs")
}

pub(crate) fn allowed(rules: &[&str]) -> Allowed {
    rules.iter().map(|rule| rule.parse().unwrap()).collect()
}

/// A name for which no answer ever comes.
pub(crate) const SILENT: &str = "silent.example";

/// The addresses of names, and how often they were asked for.
#[derive(Default, Clone)]
pub(crate) struct Names {
    known: BTreeMap<String, Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn with(mut self, name: &str, addresses: &[&str]) -> Self {
        self.known.insert(
            name.to_owned(),
            addresses.iter().map(|address| address.parse().unwrap()).collect(),
        );
        self
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a Name) -> Addresses<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.known.get(name.as_str()).cloned();
        let silent = name.as_str() == SILENT;
        Box::pin(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            found.ok_or_else(|| io::Error::other("no such name"))
        })
    }
}

pub(crate) struct Site {
    dir: TempDir,
    pub(crate) proxy: Proxy,
}

impl Site {
    pub(crate) fn new(rules: &[&str]) -> Self {
        Self::with(rules, Names::default(), Bounds::default())
    }

    pub(crate) fn with(rules: &[&str], names: Names, bounds: Bounds) -> Self {
        Self::by(rules, Way::Direct, names, bounds)
    }

    pub(crate) fn by(rules: &[&str], way: Way, names: Names, bounds: Bounds) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("proxy");
        let proxy = Proxy::open_with(&socket, allowed(rules), way, bounds, names).unwrap();
        Self { dir, proxy }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("proxy")
    }

    /// The proxy alone, and the directory that its socket is in.
    pub(crate) fn apart(self) -> (TempDir, Proxy) {
        (self.dir, self.proxy)
    }

    pub(crate) async fn client(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    /// Sends bytes and reads all that comes back.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.client().await;
        // The proxy may answer and close before it has everything.
        drop(client.write_all(bytes.as_ref()).await);
        let mut answer = Vec::new();
        drop(client.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    }

    /// Asks for a tunnel: the client, and the head of the answer.
    pub(crate) async fn tunnel(&self, target: &str) -> (UnixStream, String) {
        let mut client = self.client().await;
        client.write_all(connect_to(target).as_bytes()).await.unwrap();
        let head = head(&mut client).await;
        (client, head)
    }

    pub(crate) fn seen(&self) -> Vec<(String, u16, Verdict, u64)> {
        flat(self.proxy.seen())
    }
}

pub(crate) fn flat(seen: Seen) -> Vec<(String, u16, Verdict, u64)> {
    assert_eq!(seen.others, 0);
    let flat = |contact: turno_sandbox::net::proxy::Contact| {
        (
            contact.host.to_string(),
            contact.port,
            contact.verdict,
            contact.times,
        )
    };
    seen.contacts.into_iter().map(flat).collect()
}

pub(crate) fn connect_to(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

/// Reads up to the empty line after a head, and nothing after it.
pub(crate) async fn head(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match from.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Reads exactly as many bytes as are expected.
pub(crate) async fn expect(from: &mut (impl AsyncRead + Unpin), expected: &str) {
    let mut bytes = vec![0; expected.len()];
    from.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

/// Reads to the end, whatever kind of end that is.
pub(crate) async fn rest(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    drop(from.read_to_end(&mut bytes).await);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A listener on loopback, and its port.
pub(crate) async fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A server that sends back what it gets, to as many clients as come; the most that it had at once.
pub(crate) async fn echo() -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = server().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
            tokio::spawn(async move {
                peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
                // Before the client can know that this connection is over.
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (port, most)
}
