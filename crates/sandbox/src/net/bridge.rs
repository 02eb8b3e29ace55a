//! Owns the bridge inside the sandbox: it listens on the loopback of a network that is empty otherwise, and copies
//! what comes to the proxy's socket. It decides nothing and understands nothing of what it copies; what may be
//! reached is the proxy's business. Threads and no runtime: it is up before the program it serves is started.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many connections are copied at once. More are closed.
pub const CONNECTIONS: usize = 256;
/// What one thread needs: it only copies.
const STACK: usize = 128 << 10;
const CHUNK: usize = 16 << 10;
/// The longest answer of the proxy to CONNECT.
const ANSWER_CAP: usize = 16 << 10;
/// How long that answer may take: longer than the proxy looks up a host and connects to it.
const ANSWERS: Duration = Duration::from_secs(40);
/// How long a client may go on sending what nobody reads, so that it gets to read the last words sent to it.
const LINGERS: Duration = Duration::from_secs(2);
/// How long nothing is accepted after that failed.
const SHORT_OF: Duration = Duration::from_millis(50);
/// What is reached without the proxy: what is forwarded, and what the sandbox itself listens on.
const DIRECT: &str = "localhost,127.0.0.1,::1";

/// A bridge that listens. When it is dropped it accepts nothing more; what it copies goes on to its end.
#[derive(Debug)]
pub struct Bridge {
    port: u16,
    listening: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    open: AtomicUsize,
    over: AtomicBool,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// The program speaks to the proxy itself.
    Proxy,
    /// The program believes it speaks to a server on that port of its own loopback.
    Forward(u16),
}

impl Bridge {
    /// Listens on a port of 127.0.0.1 that is free, and on each of `forwards` on 127.0.0.1 and, where there is one,
    /// on ::1; the latter reach the same port of 127.0.0.1 outside, if the proxy at `socket` allows it. Forward only
    /// inside a network of its own: elsewhere the server has that port already.
    ///
    /// # Errors
    /// When a port is taken or is 0, the network has no loopback, or no thread can be started.
    pub fn open(socket: &Path, forwards: &[u16]) -> io::Result<Self> {
        let shared = Shared {
            socket: socket.to_owned(),
            open: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        };
        let mut listeners = Vec::new();
        for port in forwards.iter().copied().collect::<BTreeSet<u16>>() {
            if port == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "port 0 cannot be forwarded",
                ));
            }
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let listener = TcpListener::bind(address).map_err(|error| {
                io::Error::new(error.kind(), format!("{address} cannot be forwarded: {error}"))
            })?;
            listeners.push((listener, Purpose::Forward(port)));
            // Many sandboxes have no IPv6, and a client that finds nothing there goes to 127.0.0.1.
            if let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
                listeners.push((listener, Purpose::Forward(port)));
            }
        }
        // Last, so that it cannot take a port that is to be forwarded.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("the sandbox's bridge finds no port on 127.0.0.1: {error}"),
            )
        })?;
        let port = listener.local_addr()?.port();
        listeners.push((listener, Purpose::Proxy));

        let mut bridge = Self {
            port,
            listening: Vec::new(),
            shared: Arc::new(shared),
        };
        for (listener, purpose) in listeners {
            bridge.listening.push(listener.local_addr()?);
            let shared = Arc::clone(&bridge.shared);
            start(move || accept(&listener, purpose, &shared))?;
        }
        Ok(bridge)
    }

    /// The port on 127.0.0.1 at which a program finds its proxy.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a program is told in its environment, so that it uses the bridge.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let proxy = format!("http://127.0.0.1:{}", self.port);
        let through = [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ];
        let around = ["NO_PROXY", "no_proxy"];
        let through = through.into_iter().map(|name| (name.to_owned(), proxy.clone()));
        through
            .chain(
                around
                    .into_iter()
                    .map(|name| (name.to_owned(), DIRECT.to_owned())),
            )
            .collect()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for address in &self.listening {
            // Wakes the thread that waits there; where nothing answers it is gone already.
            drop(TcpStream::connect(address));
        }
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Nobody waits for a thread: it ends with its connection, or with the process.
    thread::Builder::new()
        .name("bridge".to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map(drop)
}

fn accept(listener: &TcpListener, purpose: Purpose, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let Ok((client, _)) = accepted else {
            thread::sleep(SHORT_OF);
            continue;
        };
        // A place that cannot be had, or a thread: the client is closed and finds out so.
        if let Some(place) = Place::take(shared) {
            drop(start(move || connect(client, purpose, place)));
        }
    }
}

/// One of the connections that there may be at once.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let free = |open: usize| (open < CONNECTIONS).then_some(open + 1);
        let taken = shared.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free);
        taken.is_ok().then(|| Self(Arc::clone(shared)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The two ends that are copied between. They are closed when both directions are done.
struct Pair {
    client: TcpStream,
    far: UnixStream,
    _place: Place,
}

fn connect(client: TcpStream, purpose: Purpose, place: Place) {
    // It carries many small pieces; it works without, too.
    drop(client.set_nodelay(true));
    let Ok(far) = UnixStream::connect(&place.0.socket) else {
        return;
    };
    let pair = Arc::new(Pair {
        client,
        far,
        _place: place,
    });
    match purpose {
        Purpose::Proxy => copy(pair),
        Purpose::Forward(port) => match ask(&pair.far, port) {
            Ok(Asked::Open { first }) => {
                if (&pair.client).write_all(&first).is_ok() {
                    copy(pair);
                }
            }
            // Most of what is forwarded to speaks HTTP, so that the client shows the words why not.
            Ok(Asked::Refused { first }) => {
                if (&pair.client).write_all(&first).is_ok() {
                    down(&pair);
                    linger(&pair.client);
                }
            }
            Err(_) => {}
        },
    }
}

/// What the proxy said to CONNECT.
enum Asked {
    /// The tunnel is open, and this came through it already.
    Open { first: Vec<u8> },
    /// It is not, and this is what came of the reason.
    Refused { first: Vec<u8> },
}

/// Asks the proxy for a tunnel to a port of the loopback outside.
fn ask(far: &UnixStream, port: u16) -> io::Result<Asked> {
    let mut far = far;
    write!(
        far,
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    )?;
    let until = Instant::now() + ANSWERS;
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    let end = loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || answer.len() > ANSWER_CAP {
            return Err(io::ErrorKind::TimedOut.into());
        }
        far.set_read_timeout(Some(left))?;
        let read = match far.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(&chunk[..read]);
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    far.set_read_timeout(None)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(Asked::Open {
            first: answer.split_off(end),
        })
    } else {
        Ok(Asked::Refused { first: answer })
    }
}

/// Copies both ways until both are done.
fn copy(pair: Arc<Pair>) {
    let other = Arc::clone(&pair);
    // Without the second thread nothing could come back: then both ends are closed.
    if start(move || down(&other)).is_ok() {
        up(&pair);
    }
}

/// From the client to the proxy.
fn up(pair: &Pair) {
    match pump(&pair.client, &pair.far) {
        Ended::Read => drop(pair.far.shutdown(Shutdown::Write)),
        // The client is gone: so is who would read the answer.
        Ended::ReadFailed => drop(pair.far.shutdown(Shutdown::Both)),
        // The proxy wants no more, but may have said why.
        Ended::WriteFailed => linger(&pair.client),
    }
}

/// From the proxy to the client.
fn down(pair: &Pair) {
    match pump(&pair.far, &pair.client) {
        // A proxy that closes with something unread in its hands makes reading fail; its last words came before.
        Ended::Read | Ended::ReadFailed => drop(pair.client.shutdown(Shutdown::Write)),
        Ended::WriteFailed => {
            drop(pair.client.shutdown(Shutdown::Both));
            drop(pair.far.shutdown(Shutdown::Both));
        }
    }
}

/// How copying one way ended.
enum Ended {
    Read,
    ReadFailed,
    WriteFailed,
}

fn pump(mut from: impl Read, mut to: impl Write) -> Ended {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ended::Read,
            Ok(read) => {
                if to.write_all(&chunk[..read]).is_err() {
                    return Ended::WriteFailed;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ended::ReadFailed,
        }
    }
}

/// Reads on for a while what the client sends: closing with something unread would take away from it what it has not
/// read itself.
fn linger(mut client: &TcpStream) {
    let until = Instant::now() + LINGERS;
    let mut chunk = vec![0; CHUNK];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || client.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let shared = Arc::new(Shared {
            socket: PathBuf::new(),
            open: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let mut taken: Vec<Place> = (0..CONNECTIONS).map(|_| Place::take(&shared).unwrap()).collect();
        assert!(Place::take(&shared).is_none());
        taken.pop();
        assert!(Place::take(&shared).is_some());
    }
}
