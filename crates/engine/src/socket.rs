//! Owns the coordinator's door for other processes of the same user: a Unix socket in the state directory, with
//! one JSON object a line in each direction. The words are those of the core; nothing is decided here.

mod peer;

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turno_core::State;
use turno_core::event::Event;
use turno_core::ids::Seq;
use turno_core::record::Record;

use self::peer::Peer;
use crate::live::{Live, LiveLine};
use crate::pace::Pace;
use crate::run::{Handle, RequestError};
use crate::site::marks;
use crate::tools::{Call, Given, Token, Toolbox};

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The whole state.
    State,
    /// Take this in, if it makes sense.
    Take(Box<Event>),
    /// Records after that one.
    Records {
        /// That one.
        after: Seq,
    },
    /// Records after that one, and whatever comes, until the connection ends.
    Follow {
        /// That one.
        after: Seq,
    },
    /// How quick the loop has been.
    Pace,
    /// A running agent uses one of its tools. While it waits, nothing else may be asked on the connection.
    Tool {
        /// What says whose tools they are.
        token: Token,
        /// The use.
        call: Call,
    },
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The whole state.
    State(Box<State>),
    /// It is committed as that record.
    Taken(Seq),
    /// It is refused.
    Refused(String),
    /// One record.
    Record(Box<Record>),
    /// All records that were asked for have been given.
    Done,
    /// What an attempt is doing. Only when following.
    Live(LiveLine),
    /// What the use of a tool came to.
    Tool(Given),
    /// How quick the loop has been.
    Pace(Pace),
    /// The request could not be carried out.
    Failed(String),
}

/// Why the door does not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be used.
    #[error("cannot use the coordinator's socket {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The coordinator said something that this build does not understand.
    #[error("the coordinator's answer is not understood: {0}. Is it another version of turno?")]
    Answer(String),
    /// It ended in the middle.
    #[error("the coordinator ended before it answered")]
    Gone,
}

/// The longest path that the kernel takes for a socket, with some room.
const LONGEST: usize = 100;

/// Uses a socket by a short name: a path that the kernel would refuse is reached through its directory.
///
/// # Errors
/// When its directory cannot be opened, and what `using` gives.
pub fn reach<T>(path: &Path, using: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return using(path);
    };
    if path.as_os_str().len() <= LONGEST {
        return using(path);
    }
    let dir = std::fs::File::open(dir)?;
    using(
        &Path::new("/proc/self/fd")
            .join(dir.as_raw_fd().to_string())
            .join(name),
    )
}

/// Who may come in by a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The user's own programs: everything is served. A process of an attempt is none of them.
    People,
    /// Agents: only calls of their tools, each with the token of its attempt.
    Agents,
}

/// The open door.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Opens the door. The state directory's lock must be held: an old socket is then nobody's.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(
        path: &Path,
        entrance: Entrance,
        handle: Handle,
        live: Live,
        tools: Toolbox,
    ) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = reach(path, |short| UnixListener::bind(short)).map_err(io)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (until, served) = (stop.clone(), tasks.clone());
        let marks: std::sync::Arc<str> = marks(path.parent().unwrap_or(path)).into();
        tasks.spawn(async move {
            loop {
                let stream = tokio::select! {
                    () = until.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = stream else {
                    // E.g. no file descriptors left: others need a moment to give some back.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let (handle, live, until) = (handle.clone(), live.clone(), until.clone());
                let (tools, marks) = (tools.clone(), std::sync::Arc::clone(&marks));
                served.spawn(async move {
                    let refusal = match entrance {
                        Entrance::People => Peer::of(&stream, &marks).refusal(),
                        Entrance::Agents => None,
                    };
                    tokio::select! {
                        () = until.cancelled() => {}
                        result = serve(stream, entrance, refusal, &handle, &live, &tools) => {
                            if let Err(error) = result {
                                tracing::debug!(%error, "a connection ended");
                            }
                        }
                    }
                });
            }
        });
        Ok(Self {
            path: path.to_owned(),
            stop,
            tasks,
        })
    }

    /// Closes the door.
    pub async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket was gone already");
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, answer: &Answer) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

async fn serve(
    stream: UnixStream,
    entrance: Entrance,
    refusal: Option<&'static str>,
    handle: &Handle,
    live: &Live,
    tools: &Toolbox,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(why) = refusal {
            say(&mut writer, &Answer::Refused(why.to_owned())).await?;
            continue;
        }
        match serde_json::from_str::<Ask>(&line) {
            Err(error) => say(&mut writer, &Answer::Failed(error.to_string())).await?,
            Ok(Ask::State | Ask::Take(_) | Ask::Records { .. } | Ask::Follow { .. } | Ask::Pace)
                if entrance == Entrance::Agents =>
            {
                let why = "this socket serves the tools of agents and nothing else";
                say(&mut writer, &Answer::Refused(why.to_owned())).await?;
            }
            Ok(Ask::State) => {
                let state = State::clone(&handle.snapshot());
                say(&mut writer, &Answer::State(Box::new(state))).await?;
            }
            Ok(Ask::Take(event)) => {
                let answer = match handle.request(*event).await {
                    Ok(seq) => Answer::Taken(seq),
                    Err(RequestError::Refused(refused)) => Answer::Refused(refused.to_string()),
                    Err(error @ RequestError::Gone) => Answer::Failed(error.to_string()),
                };
                say(&mut writer, &answer).await?;
            }
            Ok(Ask::Records { after }) => {
                let head = *handle.head().borrow();
                give(&mut writer, handle, after, head).await?;
                say(&mut writer, &Answer::Done).await?;
            }
            Ok(Ask::Pace) => say(&mut writer, &Answer::Pace(handle.pace())).await?,
            Ok(Ask::Follow { after }) => follow(&mut writer, handle, live, after).await?,
            Ok(Ask::Tool { token, call }) => {
                let given = tokio::select! {
                    given = tools.call(handle, &token, call) => given,
                    // Whoever asked has gone.
                    _ = lines.next_line() => return Ok(()),
                };
                say(&mut writer, &Answer::Tool(given)).await?;
            }
        }
    }
    Ok(())
}

/// Gives committed records up to `head`; returns the last one given.
async fn give(writer: &mut OwnedWriteHalf, handle: &Handle, after: Seq, head: Seq) -> std::io::Result<Seq> {
    let mut at = after;
    while at < head {
        let records = match handle
            .reader()
            .after(at, usize::try_from(head.0 - at.0).unwrap_or(500).min(500))
        {
            Ok(records) => records,
            Err(error) => {
                say(writer, &Answer::Failed(error.to_string())).await?;
                return Ok(head);
            }
        };
        let Some(last) = records.last().map(|r| r.seq) else {
            return Ok(at);
        };
        for record in records.into_iter().filter(|r| r.seq <= head) {
            say(writer, &Answer::Record(Box::new(record))).await?;
        }
        at = last.min(head);
    }
    Ok(at)
}

/// The cursor is the record's number and the journal the only source, so nothing is missed and nothing twice.
async fn follow(
    writer: &mut OwnedWriteHalf,
    handle: &Handle,
    live: &Live,
    after: Seq,
) -> std::io::Result<()> {
    let mut head = handle.head();
    let mut feed = live.watch();
    let mut at = after;
    loop {
        let now = *head.borrow_and_update();
        at = give(writer, handle, at, now).await?;
        tokio::select! {
            changed = head.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
            }
            line = feed.recv() => {
                if let Ok(line) = line {
                    say(writer, &Answer::Live(line)).await?;
                }
            }
        }
    }
}

/// A connection to a coordinator.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody is there.
    pub async fn connect(path: &Path) -> Result<Self, Error> {
        let connected =
            reach(path, |short| std::os::unix::net::UnixStream::connect(short)).and_then(|stream| {
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream)
            });
        let stream = connected.map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(reader).lines(),
            writer,
        })
    }

    /// Asks; the answers are read with [`Self::answer`].
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn ask(&mut self, ask: &Ask) -> Result<(), Error> {
        let mut line = serde_json::to_vec(ask).map_err(|e| Error::Answer(e.to_string()))?;
        line.push(b'\n');
        let path = &self.path;
        self.writer.write_all(&line).await.map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })
    }

    /// The next answer; `None` when the coordinator has ended.
    ///
    /// # Errors
    /// When it is not understood.
    pub async fn answer(&mut self) -> Result<Option<Answer>, Error> {
        let path = &self.path;
        let line = self.lines.next_line().await.map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        line.map(|line| serde_json::from_str(&line).map_err(|e| Error::Answer(e.to_string())))
            .transpose()
    }
}
