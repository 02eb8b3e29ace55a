//! Owns the proxy outside the sandbox, which lets a confined program reach the hosts that are named and no others:
//! its socket, its connections and their end. The coordinator holds one for each attempt. It reads no configuration
//! and keeps nothing on disk but its socket.

#[doc(hidden)]
pub mod probe;
mod reach;
mod seen;
mod serve;
mod upstream;

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::{Mode, fchmod};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixSocket};
use tokio::select;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

pub use reach::{Addresses, Resolve, System};
pub use seen::{CONTACTS, Contact, Seen, Verdict};
pub use upstream::{BadUpstream, Upstream};

use super::allow::Allowed;

/// How many connections the kernel keeps waiting while all places are taken.
const WAITING: u32 = 256;
/// How long nothing is accepted after that failed, which it does when the machine is short of something.
const SHORT_OF: Duration = Duration::from_millis(50);

/// What a program may take up of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest head of a request, in bytes.
    pub header_bytes: usize,
    /// How many connections are served at once. More wait until one of them ends.
    pub connections: usize,
    /// How long looking up a host may take, and again connecting to it.
    pub connect: Duration,
    /// How long a program may take to say what it wants.
    pub header: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_bytes: 16 << 10,
            connections: 64,
            connect: Duration::from_secs(15),
            header: Duration::from_secs(15),
        }
    }
}

/// How the hosts that are allowed are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// At their addresses.
    Direct,
    /// Through a proxy of the person's own, which looks their names up itself.
    Through(Upstream),
}

/// What all connections of a proxy have in common.
struct Shared {
    allowed: Allowed,
    way: Way,
    resolver: Box<dyn Resolve>,
    bounds: Bounds,
    log: seen::Log,
}

/// A proxy that listens. It ends, with every connection, when it is closed or dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    socket: SocketFile,
    stop: oneshot::Sender<()>,
    serving: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Listens at `socket`, which only this user may connect to, for HTTP CONNECT and whole `http://` URLs. It must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When something is at that path already, unless it is a socket nobody listens on any more, or when the path is
    /// longer than a socket's may be (107 bytes) or cannot be written.
    pub fn open(socket: &Path, allowed: Allowed, way: Way) -> io::Result<Self> {
        Self::open_with(socket, allowed, way, Bounds::default(), System)
    }

    /// The same with other bounds and another resolver.
    ///
    /// # Errors
    /// As [`Proxy::open`].
    pub fn open_with(
        socket: &Path,
        allowed: Allowed,
        way: Way,
        bounds: Bounds,
        resolver: impl Resolve,
    ) -> io::Result<Self> {
        let (listener, socket) = listen(socket).map_err(|error| {
            let words = format!(
                "the sandbox's proxy cannot listen at {}: {error}",
                socket.display()
            );
            io::Error::new(error.kind(), words)
        })?;
        let shared = Arc::new(Shared {
            allowed,
            way,
            resolver: Box::new(resolver),
            bounds,
            log: seen::Log::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&shared), stopped)));
        Ok(Self {
            shared,
            socket,
            stop,
            serving,
        })
    }

    /// Which hosts were asked for until now, and how it went.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.shared.log.seen()
    }

    /// Ends every connection, removes the socket, and gives back what was asked for until then.
    pub async fn close(self) -> Seen {
        let Self {
            shared,
            socket,
            stop,
            serving,
        } = self;
        drop(socket);
        drop(stop);
        // It panics only with a bug of its own, and then everything has ended as well.
        drop(serving.await);
        shared.log.seen()
    }
}

/// Serves whoever connects until `stopped`, then ends them all.
async fn accept(listener: UnixListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut serving = JoinSet::new();
    loop {
        select! {
            _ = &mut stopped => break,
            Some(_) = serving.join_next() => {}
            accepted = listener.accept(), if serving.len() < shared.bounds.connections => match accepted {
                Ok((stream, _)) => {
                    serving.spawn(serve::serve(stream, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the sandbox's proxy cannot accept a connection");
                    sleep(SHORT_OF).await;
                }
            },
        }
    }
    serving.shutdown().await;
}

/// Binds a socket that nobody else can connect to at any moment.
fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Ok(there) => remove_stale(path, &there)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = UnixSocket::new_stream()?;
    // Before it has a name: the file gets the mode of the socket.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(path)?;
    let made = SocketFile {
        path: path.to_owned(),
        identity: identity(&fs::symlink_metadata(path)?),
    };
    Ok((socket.listen(WAITING)?, made))
}

/// Removes a socket that a proxy left behind which was killed. Anything else is somebody's.
fn remove_stale(path: &Path, there: &Metadata) -> io::Result<()> {
    let taken = |what| io::Error::new(io::ErrorKind::AddrInUse, what);
    if !there.file_type().is_socket() {
        return Err(taken("something that is no socket is there; it is left as it is"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(taken("another program listens there")),
        Err(error) => Err(error),
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A socket in the file system, removed when it is dropped, if it is still the same one.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| identity(&there) == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the sandbox's socket cannot be removed");
        }
    }
}
