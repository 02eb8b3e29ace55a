//! Owns the listeners: a loopback port for browsers and programs, and a Unix socket for programs. A client that does
//! not read is cut off, and there are only so many at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use turno_engine::socket::reach;

use crate::auth::{self, Gate, Token};
use crate::fence::Names;
use crate::routes::{App, router};
use crate::workspace::Workspace;

/// Who takes nothing of what is sent for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many connections there are at once, to each listener.
const CONNECTIONS: usize = 512;
/// When the board ends, its clients have so long to take what is sent.
const LEAVE: Duration = Duration::from_secs(2);
/// Links that were not used are looked for this often.
const SWEEP: Duration = Duration::from_secs(60);

/// Why the board does not listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another one does.
    #[error(
        "a board of this workspace listens already at {url}; `turno board --link` prints a link to it, Ctrl-C in its \
         terminal ends it"
    )]
    Taken {
        /// Where.
        url: String,
    },
    /// The port cannot be had.
    #[error("cannot listen on port {port} of this machine: {source}; `--port 0` takes a free one")]
    Port {
        /// Which.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// A file of the board cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A board that can be reached and does not answer yet.
#[derive(Debug)]
pub struct Board {
    app: App,
    port: TcpListener,
    socket: UnixListener,
    at: Listening,
    _lock: File,
}

/// Where a board listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// For browsers and programs.
    pub url: String,
    /// For programs.
    pub socket: PathBuf,
}

impl Listening {
    /// Where the board of a workspace listens, if one does.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn of(workspace: &dyn Workspace) -> io::Result<Option<Self>> {
        let dir = workspace.dirs().board();
        match File::open(dir.join("lock")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(lock) => match lock.try_lock() {
                Ok(()) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
                Err(TryLockError::WouldBlock) => {
                    let url = std::fs::read_to_string(dir.join("address"))?;
                    Ok(Some(Self {
                        url: url.trim().to_owned(),
                        socket: dir.join("sock"),
                    }))
                }
            },
        }
    }
}

impl Board {
    /// Listens on a port of this machine, 0 for a free one, and on the socket in the state directory.
    ///
    /// # Errors
    /// When another board of the workspace does, or it cannot.
    pub async fn open(
        workspace: Arc<dyn Workspace>,
        port: u16,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let dirs = workspace.dirs().clone();
        let dir = dirs.board();
        let io = |path: PathBuf| move |source| Error::Io { path, source };
        let token = Token::keep(&dirs).map_err(io(dir.join("token")))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(dir.join("lock")).map_err(io(dir.join("lock")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let url = std::fs::read_to_string(dir.join("address")).unwrap_or_default();
                return Err(Error::Taken {
                    url: url.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(dir.join("lock"))(source)),
        }
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let tcp = tcp.await.map_err(|source| Error::Port { port, source })?;
        let port = tcp
            .local_addr()
            .map_err(|source| Error::Port { port, source })?
            .port();
        let path = dir.join("sock");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(path)(error)),
            Ok(()) | Err(_) => {}
        }
        let socket = reach(&path, |short| UnixListener::bind(short)).map_err(io(path.clone()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io(path.clone()))?;
        let url = format!("http://127.0.0.1:{port}");
        std::fs::write(dir.join("address"), &url).map_err(io(dir.join("address")))?;
        let gate = Arc::new(Gate::new(token, dirs));
        let app = App::new(gate, Names::of_port(port), workspace, stop);
        Ok(Self {
            app,
            port: tcp,
            socket,
            at: Listening { url, socket: path },
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn at(&self) -> &Listening {
        &self.at
    }

    /// Answers until it is stopped.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn serve(self) -> Result<(), Error> {
        let Self {
            app,
            port,
            socket,
            at,
            _lock,
        } = self;
        let stop = app.stop.clone();
        // Who asks first is shown what there is.
        app.mirror.begin().await;
        let mirror = tokio::spawn(app.mirror.clone().run(stop.clone()));
        let by_socket = Arc::new(app.named(Names::of_socket()));
        let app = Arc::new(app);
        let tcp = axum::serve(Patient::new(port), router(Arc::clone(&app)))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let unix = axum::serve(Patient::new(socket), router(by_socket))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let dirs = app.workspace.dirs().clone();
        let serving = async {
            tokio::select! {
                ended = async { tokio::try_join!(tcp.into_future(), unix.into_future()) } => ended.map(drop),
                () = sweeping(&dirs) => Ok(()),
                () = async { stop.cancelled().await; tokio::time::sleep(LEAVE).await } => Ok(()),
            }
        };
        let served = serving.await;
        stop.cancel();
        if let Err(error) = mirror.await {
            tracing::warn!(%error, "the board's picture came to a bad end");
        }
        if let Err(error) = std::fs::remove_file(&at.socket) {
            tracing::debug!(%error, "the board's socket was gone already");
        }
        served.map_err(|source| Error::Io {
            path: at.socket,
            source,
        })
    }
}

async fn sweeping(dirs: &turno_engine::workspace::StateDir) {
    loop {
        auth::sweep(dirs);
        tokio::time::sleep(SWEEP).await;
    }
}

/// A listener whose clients must read, and of which there are only so many.
struct Patient<L> {
    listener: L,
    places: Arc<Semaphore>,
}

impl<L> Patient<L> {
    fn new(listener: L) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}

/// A connection.
struct Held<S> {
    io: Pin<Box<TimeoutStream<S>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<S: AsyncRead + AsyncWrite> Held<S> {
    fn new(stream: S, place: Option<OwnedSemaphorePermit>, patience: Duration) -> Self {
        let mut io = TimeoutStream::new(stream);
        io.set_write_timeout(Some(patience));
        Self {
            io: Box::pin(io),
            _place: place,
        }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}

/// E.g. no file descriptors are left: others need a moment to give some back.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

impl Listener for Patient<TcpListener> {
    type Io = Held<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = self.place().await;
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => return (Held::new(stream, place, PATIENCE), from),
                Err(_) => a_moment().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Listener for Patient<UnixListener> {
    type Io = Held<UnixStream>;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = self.place().await;
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => return (Held::new(stream, place, PATIENCE), from),
                Err(_) => a_moment().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn who_does_not_read_is_cut_off_and_who_reads_is_not() {
        let (_deaf, ours) = tokio::io::duplex(16);
        let mut held = Held::new(ours, None, Duration::from_millis(20));
        let error = held.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let (mut reads, ours) = tokio::io::duplex(16);
        let mut held = Held::new(ours, None, Duration::from_secs(20));
        let mut read = vec![0; 1000];
        let (written, got) = tokio::join!(held.write_all(&[1; 1000]), reads.read_exact(&mut read));
        assert_eq!((written.unwrap(), got.unwrap()), ((), 1000));
    }
}
