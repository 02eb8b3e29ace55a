//! Owns what the harness listens at during a stage: whatever is said there is kept, with the door it came by.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attack::Door;

/// How long a speaker may be silent.
const SILENCE: Duration = Duration::from_secs(2);

type Heard = Arc<Mutex<Vec<(Door, Vec<u8>)>>>;

/// The open doors of a stage.
pub(super) struct Doors {
    heard: Heard,
    closing: Arc<AtomicBool>,
    pub(super) tcp: u16,
    /// The port of the IPv6 listener; that of IPv4 where the machine has no IPv6.
    pub(super) tcp6: u16,
    pub(super) udp: u16,
    /// This machine's own address.
    pub(super) address: String,
    /// A port that nobody listens at, for a listener of the attack's.
    pub(super) back: u16,
    paths: Vec<PathBuf>,
    abstract_name: String,
}

/// Keeps what one speaker says, as it comes, and answers what a web server would.
fn listen(mut stream: impl Read + Write, door: Door, heard: &Heard) {
    let mine = {
        let mut heard = heard.lock().unwrap();
        heard.push((door, Vec::new()));
        heard.len() - 1
    };
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        heard.lock().unwrap()[mine].1.extend_from_slice(&chunk[..count]);
        if stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n").is_err() {
            return;
        }
    }
}

impl Doors {
    /// Opens all doors; those with a path at these paths, for everybody.
    pub(super) fn open(paths: Vec<PathBuf>, abstract_name: String) -> Self {
        let heard = Heard::default();
        let closing = Arc::new(AtomicBool::new(false));
        let v4 = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let tcp = v4.local_addr().unwrap().port();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        let tcp6 = v6.as_ref().map_or(tcp, |l| l.local_addr().unwrap().port());
        for listener in [Some(v4), v6].into_iter().flatten() {
            let (heard, closing) = (heard.clone(), closing.clone());
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if closing.load(Ordering::SeqCst) {
                        return;
                    }
                    stream.set_read_timeout(Some(SILENCE)).unwrap();
                    let heard = heard.clone();
                    std::thread::spawn(move || listen(stream, Door::Tcp, &heard));
                }
            });
        }
        let by_path = paths.iter().map(|path| {
            let listener = UnixListener::bind(path).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
            listener
        });
        let address = UnixAddress::from_abstract_name(&abstract_name).unwrap();
        let by_name = UnixListener::bind_addr(&address).unwrap();
        for listener in by_path.chain([by_name]) {
            let (heard, closing) = (heard.clone(), closing.clone());
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if closing.load(Ordering::SeqCst) {
                        return;
                    }
                    stream.set_read_timeout(Some(SILENCE)).unwrap();
                    let heard = heard.clone();
                    std::thread::spawn(move || listen(stream, Door::Unix, &heard));
                }
            });
        }
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        let (kept, closed) = (heard.clone(), closing.clone());
        std::thread::spawn(move || {
            let mut packet = [0; 4096];
            while let Ok(count) = udp.recv(&mut packet) {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                kept.lock().unwrap().push((Door::Udp, packet[..count].to_vec()));
            }
        });
        let back = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            heard,
            closing,
            tcp,
            tcp6,
            udp: udp_port,
            address: own_address().unwrap_or_else(|| "127.0.0.1".to_owned()),
            back: back.local_addr().unwrap().port(),
            paths,
            abstract_name,
        }
    }

    /// Whether somebody said this at such a door.
    pub(super) fn heard(&self, door: Door, words: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().any(|(at, said)| *at == door && holds(said, words))
    }

    /// Whether somebody said this at any door.
    pub(super) fn heard_anywhere(&self, words: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().any(|(_, said)| holds(said, words))
    }
}

fn holds(said: &[u8], words: &str) -> bool {
    memchr::memmem::find(said, words.as_bytes()).is_some()
}

/// The address by which this machine would speak to others. Nothing is sent.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

fn knock_tcp(port: u16) {
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ] {
        drop(TcpStream::connect_timeout(&address, SILENCE));
    }
}

fn knock(path: &Path) {
    drop(UnixStream::connect(path));
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Each listener waits for one more, and leaves.
        knock_tcp(self.tcp);
        knock_tcp(self.tcp6);
        self.paths.iter().for_each(|p| knock(p));
        if let Ok(address) = UnixAddress::from_abstract_name(&self.abstract_name) {
            drop(UnixStream::connect_addr(&address));
        }
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            drop(socket.send_to(b"", (Ipv4Addr::LOCALHOST, self.udp)));
        }
    }
}
