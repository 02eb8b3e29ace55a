//! Owns the listeners: a loopback port for browsers and programs, and a Unix socket for programs. A client that does
//! not read is cut off, and there are only so many at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::errno::Errno;
use nix::unistd::geteuid;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turno_engine::socket::reach;

use crate::auth::{self, Gate, Token};
use crate::fence::Names;
use crate::routes::{App, router};
use crate::workspace::Workspace;

/// Who takes nothing of what is sent for so long is cut off, and who asks for nothing.
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
    ports: Ports,
    socket: UnixListener,
    at: Listening,
    _lock: File,
}

/// Where a board listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// For programs.
    pub url: String,
    /// The same port, by the name that browsers come by.
    pub page: String,
    /// For programs.
    pub socket: PathBuf,
}

impl Listening {
    fn at(port: &str, token: &Token, socket: PathBuf) -> Self {
        // Of an address that an older build wrote, the port is what comes last.
        let port = port.rsplit(':').next().unwrap_or(port);
        Self {
            url: format!("http://127.0.0.1:{port}"),
            page: format!("http://{}:{port}", token.host()),
            socket,
        }
    }

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
                    let port = std::fs::read_to_string(dir.join("address"))?;
                    let token = Token::keep(workspace.dirs())?;
                    Ok(Some(Self::at(port.trim(), &token, dir.join("sock"))))
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
                let port = std::fs::read_to_string(dir.join("address")).unwrap_or_default();
                let at = Listening::at(port.trim(), &token, dir.join("sock"));
                return Err(Error::Taken { url: at.page });
            }
            Err(TryLockError::Error(source)) => return Err(io(dir.join("lock"))(source)),
        }
        let ports = Ports::bind(port)
            .await
            .map_err(|source| Error::Port { port, source })?;
        let port = ports.port;
        let path = dir.join("sock");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(path)(error)),
            Ok(()) | Err(_) => {}
        }
        let socket = reach(&path, |short| UnixListener::bind(short)).map_err(io(path.clone()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io(path.clone()))?;
        let at = Listening::at(&port.to_string(), &token, path);
        std::fs::write(dir.join("address"), &at.url).map_err(io(dir.join("address")))?;
        let names = Names::of_port(port, &token.host());
        let gate = Arc::new(Gate::new(token, dirs));
        let app = App::new(gate, names, workspace, stop);
        Ok(Self {
            app,
            ports,
            socket,
            at,
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
            ports,
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
        let tcp = answer(ports.four, router(Arc::clone(&app)), PATIENCE, stop.clone());
        let six = async {
            match ports.six {
                Some(six) => answer(six, router(Arc::clone(&app)), PATIENCE, stop.clone()).await,
                None => Ok(()),
            }
        };
        let unix = answer(socket, router(by_socket), PATIENCE, stop.clone());
        let dirs = app.workspace.dirs().clone();
        let serving = async {
            tokio::select! {
                ended = async { tokio::try_join!(tcp, six, unix) } => ended.map(drop),
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

/// One port of this machine under both of its addresses: a browser that is given a name takes whichever answers, so
/// nobody else may have either of them.
#[derive(Debug)]
struct Ports {
    port: u16,
    four: TcpListener,
    /// None where this machine has no such address.
    six: Option<TcpListener>,
}

impl Ports {
    /// How often another port is tried where any will do.
    const TRIES: usize = 50;

    /// That port, or for 0 one that is free under both.
    async fn bind(wanted: u16) -> io::Result<Self> {
        let mut tried = 0;
        loop {
            let four = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await?;
            let port = four.local_addr()?.port();
            let none = [Errno::EADDRNOTAVAIL as i32, Errno::EAFNOSUPPORT as i32];
            let six = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
                Ok(six) => Some(six),
                Err(error) if error.raw_os_error().is_some_and(|e| none.contains(&e)) => None,
                Err(error) if error.kind() == ErrorKind::AddrInUse && wanted == 0 && tried < Self::TRIES => {
                    tried += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            return Ok(Self { port, four, six });
        }
    }
}

/// A connection.
struct Held<S> {
    io: Pin<Box<TimeoutStream<S>>>,
    _place: OwnedSemaphorePermit,
}

impl<S: AsyncRead + AsyncWrite> Held<S> {
    fn new(stream: S, place: OwnedSemaphorePermit, patience: Duration) -> Self {
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

/// What clients come to.
trait Door: Sized + Send {
    type Io: AsyncRead + AsyncWrite + Send + 'static;

    /// The next client, if it is one that is answered at all.
    fn next(&self) -> impl Future<Output = io::Result<Option<Self::Io>>> + Send;
}

impl Door for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<Option<TcpStream>> {
        self.accept().await.map(|(stream, _)| Some(stream))
    }
}

impl Door for UnixListener {
    type Io = UnixStream;

    async fn next(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.accept().await?;
        let who = stream.peer_cred()?.uid();
        Ok(is_ours(who, geteuid().as_raw()).then_some(stream))
    }
}

/// Whether a program of that user is answered on the socket of this one. Root may do all anyway.
fn is_ours(who: u32, own: u32) -> bool {
    who == own || who == 0
}

/// Whether others may come all the same: this client is gone, or something must be given back first.
fn passes(error: &io::Error) -> bool {
    let lacks = [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENOMEM,
        Errno::EPROTO,
        Errno::EPERM,
    ];
    let gone = [
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionReset,
        ErrorKind::Interrupted,
    ];
    gone.contains(&error.kind())
        || error
            .raw_os_error()
            .is_some_and(|e| lacks.contains(&Errno::from_raw(e)))
}

/// Answers whoever comes, until it is stopped; then those who are being answered have their answer.
async fn answer(
    door: impl Door,
    router: Router,
    patience: Duration,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let clients = TaskTracker::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let came = tokio::select! {
            () = stop.cancelled() => break,
            came = door.next() => came,
        };
        match came {
            Ok(Some(stream)) => {
                let held = Held::new(stream, place, patience);
                clients.spawn(converse(held, router.clone(), patience, stop.clone()));
            }
            Ok(None) => tracing::warn!("another user of this machine came to the board's socket"),
            Err(error) if passes(&error) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error),
        }
    }
    clients.close();
    clients.wait().await;
    Ok(())
}

/// One client, from its coming to its going. Who asks nothing for so long, or takes so long to say what it asks, is cut
/// off: the clock runs from its coming and from each answer on, and not while an answer is on its way.
async fn converse<S>(held: Held<S>, router: Router, patience: Duration, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience);
    let serving = http.serve_connection(TokioIo::new(held), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a client of the board came to a bad end");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Instant;

    use axum::body::Body;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn place() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap()
    }

    #[tokio::test]
    async fn who_does_not_read_is_cut_off_and_who_reads_is_not() {
        let (_deaf, ours) = tokio::io::duplex(16);
        let mut held = Held::new(ours, place().await, Duration::from_millis(20));
        let error = held.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let (mut reads, ours) = tokio::io::duplex(16);
        let mut held = Held::new(ours, place().await, Duration::from_secs(20));
        let mut read = vec![0; 1000];
        let (written, got) = tokio::join!(held.write_all(&[1; 1000]), reads.read_exact(&mut read));
        assert_eq!((written.unwrap(), got.unwrap()), ((), 1000));
    }

    const PATIENT: Duration = Duration::from_millis(300);

    /// Asks, half or whole, and gives all that comes until the connection ends, and how long that took.
    async fn said(at: std::net::SocketAddr, asked: &str) -> (String, Duration) {
        let began = Instant::now();
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let all = tokio::time::timeout(Duration::from_secs(20), read).await;
        all.expect("it keeps its place for ever").unwrap();
        (answer, began.elapsed())
    }

    #[tokio::test]
    async fn who_asks_nothing_is_cut_off_and_who_is_being_answered_is_not() {
        // Three times as long as anybody is waited for.
        let slowly = || async {
            tokio::time::sleep(PATIENT * 3).await;
            "at last"
        };
        let streamed = || async {
            let ticks = stream::unfold(0, |n| async move {
                tokio::time::sleep(PATIENT / 3).await;
                (n < 9).then(|| (Ok::<_, Infallible>(format!("tick {n}\n")), n + 1))
            });
            Body::from_stream(ticks)
        };
        let router = Router::new()
            .route("/slow", get(slowly))
            .route("/stream", get(streamed));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(answer(listener, router, PATIENT, stop.clone()));
        let begun = "GET /slow HTTP/1.1\r\nHost: x\r\n";
        let once = format!("{begun}\r\n");
        let streams = "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let (nothing, half, kept, stream) =
            tokio::join!(said(at, ""), said(at, begun), said(at, &once), said(at, streams));
        assert!(!nothing.0.contains("200"), "{nothing:?}");
        assert!(!half.0.contains("200"), "{half:?}");
        // Answered, though that took long, and cut off only when it asked nothing more.
        assert!(kept.0.ends_with("at last") && kept.1 >= PATIENT * 4, "{kept:?}");
        assert!(stream.0.contains("tick 8"), "{stream:?}");
        stop.cancel();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn places_that_nobody_uses_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/", get(async || "here"));
        let serving = tokio::spawn(answer(listener, router, PATIENT, stop.clone()));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(TcpStream::connect(at).await.unwrap());
        }
        let (answer, _) = said(at, "GET / HTTP/1.0\r\n\r\n").await;
        assert!(answer.ends_with("here"), "{answer}");
        drop(idle);
        stop.cancel();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_listener_that_fails_ends_the_serving_at_once() {
        struct Broken;
        impl Door for Broken {
            type Io = TcpStream;
            async fn next(&self) -> io::Result<Option<TcpStream>> {
                Err(io::Error::from_raw_os_error(Errno::EBADF as i32))
            }
        }
        let error = answer(Broken, Router::new(), PATIENT, CancellationToken::new()).await;
        assert_eq!(error.unwrap_err().raw_os_error(), Some(Errno::EBADF as i32));
        assert!(passes(&io::Error::from_raw_os_error(Errno::EMFILE as i32)));
    }

    #[tokio::test]
    async fn nobody_else_answers_under_the_other_address_of_the_same_port() {
        let ours = Ports::bind(0).await.unwrap();
        let (port, has_six) = (ours.port, ours.six.is_some());
        if !has_six {
            println!("skipped: this machine has no ::1");
            return;
        }
        let theirs = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await;
        assert_eq!(theirs.unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(ours);
        // And who has it already is not listened beside.
        let theirs = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let taken = Ports::bind(theirs.local_addr().unwrap().port()).await;
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn another_users_program_is_not_answered_on_the_socket() {
        assert!(is_ours(1000, 1000) && is_ours(0, 1000));
        assert!(!is_ours(1001, 1000) && !is_ours(1000, 0));
    }
}
