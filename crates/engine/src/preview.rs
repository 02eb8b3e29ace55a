//! Owns previews: a task's or an issue's commit, checked out in a place of its own, with the project's own server started
//! on a free port. What is made for one is recorded, so that whoever comes after a preview that was killed finds it.
//! Nothing of it is in the journal: a preview changes nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use turno_core::check::Reach;
use turno_core::ids::{AttemptId, CommitId, RepoName, SlotId, TaskId};
use turno_core::task::StopWhy;
use uuid::Uuid;

use crate::config::PreviewSetup;
use crate::gc::remove_tree;
use crate::process::supervised::{Bell, StopForce, Supervised, end_supervisor};
use crate::process::supervisor::{After, End, files, write_whole};
use crate::process::tree::kill_marked;
use crate::regular;
use crate::run::now;
use crate::runner::mouth::Asked;
use crate::sandbox::{Lodged, Tenant};
use crate::site::{self, ALONE, Ground, Run, Site, shell};
use crate::slots::{Salvaged, SlotPlace};
use crate::transcript::end_of;
use crate::workspace::StateDir;

/// The first slot of previews: those of agents, and of people who are attached, never come so far.
const FIRST_SLOT: u16 = 900;
/// So many previews may run at once.
const MOST: u16 = 50;
/// No attempt is ever numbered so: what a preview starts is marked like an attempt's processes.
const FIRST_MARK: u64 = 1 << 48;
/// How often it is looked whether the server answers.
const LOOK: Duration = Duration::from_millis(150);
/// How long one look may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How much of the log is told when a server does not come up.
const TOLD: usize = 2000;
/// The note of a preview below its directory.
const NOTE: &str = "preview.json";
/// What says of which repository it is, and at which commit, below its directory.
const REPO: &str = "repo";
const COMMIT: &str = "commit";
/// No note of a preview is longer.
const NOTE_BYTES: u64 = 1 << 16;

/// What is to be looked at.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// In words: `1.2` or `1`.
    pub subject: String,
    /// The task it is of; an issue's own.
    pub task: TaskId,
    /// In which repository.
    pub repo: RepoName,
    /// The commit.
    pub commit: CommitId,
}

/// A preview, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Of which task or issue.
    pub subject: String,
    /// The commit that is shown.
    pub commit: CommitId,
    /// Where it answers.
    pub url: String,
    /// Whether it has answered.
    pub state: Answers,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
}

/// Whether a preview has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// Not yet.
    Starting,
    /// It has.
    Ready,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its place could not be made ready.
    #[error("the preview's worktree is not ready: {0}")]
    Place(String),
    /// It was ended before it was there.
    #[error("it was ended before it was there")]
    Stopped,
    /// Nothing is free.
    #[error("{MOST} previews run already; end one with Ctrl-C where it was started")]
    TooMany,
    /// The command ended.
    #[error("`{command}` ended before it answered ({how}). The end of what it said:\n{tail}")]
    Ended {
        /// What was started.
        command: String,
        /// How it ended.
        how: String,
        /// The end of its log.
        tail: String,
    },
    /// It did not answer in time.
    #[error(
        "`{command}` did not answer at {url} within {within}. Does it listen on $PORT at 127.0.0.1? See preview.ready \
         and preview.start_within in turno.toml. The end of what it said:\n{tail}"
    )]
    NeverReady {
        /// What was started.
        command: String,
        /// Where it was to answer.
        url: String,
        /// How long was waited.
        within: turno_core::units::Span,
        /// The end of its log.
        tail: String,
    },
}

fn place(error: impl std::fmt::Display) -> Error {
    Error::Place(error.to_string())
}

/// What came of removing previews.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What was found in their worktrees and belongs to no commit, by the names under which it is kept.
    pub kept: Vec<String>,
    /// What could not be removed, and why.
    pub stays: Vec<String>,
}

impl Removed {
    fn take_in(&mut self, other: Self) {
        self.kept.extend(other.kept);
        self.stays.extend(other.stays);
    }
}

/// How a preview came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its command ended.
    Ended,
    /// It ran as long as it may.
    TimeUp,
}

/// A preview at work.
pub struct Preview<'a> {
    site: &'a Site,
    ground: &'a Ground,
    setup: &'a PreviewSetup,
    slot: SlotPlace,
    mark: AttemptId,
    dir: PathBuf,
    lodged: Option<Lodged>,
    run: Supervised,
    shown: Shown,
    port: u16,
    read: u64,
    _seat: File,
}

/// What of previews lies where, by number.
fn dir_of(dirs: &StateDir, number: u16) -> PathBuf {
    dirs.previews().join(number.to_string())
}

/// The right to a number: `None` where somebody has it.
fn seat(dirs: &StateDir, number: u16) -> std::io::Result<Option<File>> {
    std::fs::create_dir_all(dirs.previews())?;
    let path = dirs.previews().join(format!("{number}.lock"));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a preview runs in a slot, or something is left of one that was killed: its server may still run then.
pub(crate) fn is_used(dirs: &StateDir, slot: SlotId) -> bool {
    let number = slot.0.checked_sub(FIRST_SLOT).filter(|n| *n < MOST);
    number.is_some_and(|n| dir_of(dirs, n).exists() || !matches!(seat(dirs, n), Ok(Some(_))))
}

/// Whether something is left of a preview that was killed.
pub fn is_left_over(dirs: &StateDir) -> bool {
    (0..MOST).any(|n| dir_of(dirs, n).is_dir() && matches!(seat(dirs, n), Ok(Some(_))))
}

/// What a file of a preview's says. Only a plain one is read, and not without end.
fn said(dirs: &StateDir, number: u16, name: &str) -> std::io::Result<Vec<u8>> {
    let below = Path::new(&number.to_string()).join(name);
    let mut bytes = Vec::new();
    regular::open_below(&dirs.previews(), &below)?
        .take(NOTE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn said_text(dirs: &StateDir, number: u16, name: &str) -> String {
    let bytes = said(dirs, number, name).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every preview that runs now.
pub fn running(dirs: &StateDir) -> Vec<Shown> {
    let lives = |number: &u16| dir_of(dirs, *number).is_dir() && matches!(seat(dirs, *number), Ok(None));
    let note = |number| said(dirs, number, NOTE).ok();
    (0..MOST)
        .filter(lives)
        .filter_map(|number| serde_json::from_slice(&note(number)?).ok())
        .collect()
}

/// Removes what previews have left that were killed: their processes, their worktrees, their notes.
pub async fn clear_up(site: &Site) -> Removed {
    let mut removed = Removed::default();
    for number in 0..MOST {
        let dir = dir_of(&site.dirs, number);
        if !dir.is_dir() {
            continue;
        }
        let Ok(Some(_seat)) = seat(&site.dirs, number) else {
            continue;
        };
        let ground = said_text(&site.dirs, number, REPO)
            .parse()
            .ok()
            .and_then(|name: RepoName| site.ground(&name).ok());
        end_supervisor(&dir).await;
        match ground {
            Some(ground) => removed.take_in(remove(site, ground, number).await),
            None => removed.stays.push(format!(
                "{}: its repository is not configured any more",
                dir.display()
            )),
        }
    }
    removed
}

async fn remove(site: &Site, ground: &Ground, number: u16) -> Removed {
    // Its setup has a supervisor of its own.
    let attempt = site.dirs.attempt(mark(number));
    end_supervisor(&attempt.join("setup")).await;
    kill_marked(&site.marker(mark(number))).await;
    let mut removed = Removed::default();
    let slot = SlotPlace::Slot(SlotId(FIRST_SLOT + number));
    let known = ground
        .pool
        .list()
        .is_ok_and(|all| all.iter().any(|s| s.place == slot));
    if known {
        // What it wrote is kept as ever.
        let mut retired = ground.pool.retire(slot).await;
        // A checkout that was broken off is finished first.
        if retired.is_err()
            && let Ok(commit) = said_text(&site.dirs, number, COMMIT).parse()
            && ground.pool.prepare(slot, &commit).await.is_ok()
        {
            retired = ground.pool.retire(slot).await;
        }
        match retired {
            Ok(kept) => removed.kept.extend(kept.iter().map(name_of)),
            Err(error) => {
                let why = format!("the worktree of a preview stays: {error}");
                removed.stays.push(why);
                return removed;
            }
        }
    }
    if let Err(error) = remove_tree(&attempt) {
        removed.stays.push(error.to_string());
    }
    let dir = dir_of(&site.dirs, number);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        removed.stays.push(format!("{} stays: {error}", dir.display()));
    }
    removed
}

fn name_of(kept: &Salvaged) -> String {
    match kept {
        Salvaged::Commit { refname, .. } => refname.to_string(),
        Salvaged::Aside { path } => path.display().to_string(),
    }
}

fn mark(number: u16) -> AttemptId {
    AttemptId(FIRST_MARK + u64::from(number))
}

/// Checks the commit out and starts the project's server, unless it is told to stop meanwhile: then what runs for it is
/// ended, and nothing of it is left.
///
/// # Errors
/// When no place can be made ready, or the command cannot be started. [`Error::Stopped`] when it was told to stop.
pub async fn start<'a>(
    site: &'a Site,
    setup: &'a PreviewSetup,
    wanted: &Wanted,
    stop: &CancellationToken,
) -> Result<Preview<'a>, Error> {
    let (number, held) = free(site)?;
    let dir = dir_of(&site.dirs, number);
    std::fs::create_dir_all(&dir).map_err(place)?;
    std::fs::write(dir.join(REPO), wanted.repo.to_string()).map_err(place)?;
    std::fs::write(dir.join(COMMIT), wanted.commit.as_str()).map_err(place)?;
    let begun = begin(site, setup, wanted, number, &held, stop).await;
    if begun.is_err()
        && let Ok(ground) = site.ground(&wanted.repo)
    {
        let removed = remove(site, ground, number).await;
        for note in removed.kept.iter().chain(&removed.stays) {
            tracing::warn!(note, "a preview that was not begun");
        }
    }
    begun
}

/// A number that nobody has, and that nothing is left of.
fn free(site: &Site) -> Result<(u16, File), Error> {
    for number in 0..MOST {
        if let Some(held) = seat(&site.dirs, number).map_err(place)?
            && !dir_of(&site.dirs, number).exists()
        {
            return Ok((number, held));
        }
    }
    Err(Error::TooMany)
}

async fn begin<'a>(
    site: &'a Site,
    setup: &'a PreviewSetup,
    wanted: &Wanted,
    number: u16,
    held: &File,
    stop: &CancellationToken,
) -> Result<Preview<'a>, Error> {
    let (mark, slot) = (mark(number), SlotPlace::Slot(SlotId(FIRST_SLOT + number)));
    let dir = dir_of(&site.dirs, number);
    let ground = site.ground(&wanted.repo).map_err(place)?;
    // The right to the number is held by both until this one's is dropped.
    let held = held.try_clone().map_err(place)?;
    let (tell, mut ear) = watch::channel(Asked::GoOn);
    let prepared = site.prepare(ground, mark, wanted.task, slot, &wanted.commit, &mut ear);
    let told = async {
        stop.cancelled().await;
        tell.send_replace(Asked::Stop(StopWhy::Asked));
        std::future::pending().await
    };
    let prepared = tokio::select! {
        prepared = prepared => prepared,
        never = told => never,
    };
    let path = match prepared {
        Ok(prepared) => prepared.path,
        Err(site::Error::Stopped(_)) => return Err(Error::Stopped),
        Err(error) => return Err(place(error)),
    };
    let port = free_port().map_err(place)?;
    let mut env = site.base_env(wanted.task, slot);
    env.insert("PORT".to_owned(), port.to_string());
    let tenant = Tenant {
        ground,
        place: slot,
        path: &path,
        attempt: mark,
    };
    // A port of its own loopback could not be reached from outside.
    let lodged = tenant
        .lodge(site, &dir, Reach::Open, &mut env)
        .await
        .map_err(place)?;
    let (lodged, bounds) = lodged.unzip();
    let shown = Shown {
        subject: wanted.subject.clone(),
        commit: wanted.commit.clone(),
        url: setup.url(&format!("preview-{}.localhost", Uuid::new_v4().simple()), port),
        state: Answers::Starting,
        since: now().0,
    };
    note(&dir, &shown)?;
    let run = site.supervise(Run {
        attempt: mark,
        dir: &dir,
        argv: shell(&setup.dev),
        cwd: &path,
        env,
        limit_ms: setup.stop_after.0,
        bounds,
        alone: ALONE,
        after: After::Nothing,
    });
    let mut run = run.await.map_err(place)?;
    run.close_input().await;
    Ok(Preview {
        site,
        ground,
        setup,
        slot,
        mark,
        dir,
        lodged,
        run,
        shown,
        port,
        read: 0,
        _seat: held,
    })
}

fn note(dir: &Path, shown: &Shown) -> Result<(), Error> {
    let text = serde_json::to_vec(shown).map_err(place)?;
    write_whole(&dir.join(NOTE), &text).map_err(place)
}

/// A port that nobody listens on. Somebody may take it before the server does; then that says so.
fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?.port())
}

impl Preview<'_> {
    /// Where it answers.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Waits until the server answers; what it says meanwhile is told.
    ///
    /// # Errors
    /// When it ends, or does not answer in time. The error has the end of its log.
    pub async fn ready(&mut self, mut told: impl FnMut(&str)) -> Result<(), Error> {
        let begun = Instant::now();
        let within = Duration::from_millis(self.setup.start_within.0);
        loop {
            let bell = tokio::time::timeout(LOOK, self.run.bell()).await;
            self.tell(&mut told);
            if let Ok(Bell::Over) = bell {
                return Err(Error::Ended {
                    command: self.setup.dev.clone(),
                    how: self.how(),
                    tail: self.tail(),
                });
            }
            if self.answers().await {
                self.shown.state = Answers::Ready;
                return note(&self.dir, &self.shown);
            }
            if begun.elapsed() > within {
                return Err(Error::NeverReady {
                    command: self.setup.dev.clone(),
                    url: self.shown.url.clone(),
                    within: self.setup.start_within,
                    tail: self.tail(),
                });
            }
        }
    }

    /// Tells what the server says until it is over. Safe to be dropped.
    pub async fn until_over(&mut self, mut told: impl FnMut(&str)) -> Over {
        while self.run.bell().await == Bell::More {
            self.tell(&mut told);
        }
        self.tell(&mut told);
        match crate::process::supervised::read_end(&self.dir) {
            Some(End::TimedOut) => Over::TimeUp,
            Some(_) | None => Over::Ended,
        }
    }

    /// Ends it, and removes what is left of it.
    pub async fn close(self) -> Removed {
        self.run.stop(StopForce::Ladder);
        self.run.wait().await;
        if let Some(lodged) = self.lodged {
            lodged.leave();
        }
        let SlotPlace::Slot(slot) = self.slot else {
            return Removed::default();
        };
        debug_assert_eq!(mark(slot.0 - FIRST_SLOT), self.mark);
        remove(self.site, self.ground, slot.0 - FIRST_SLOT).await
    }

    /// Whether there is an answer: a connection where only the port is waited for, an HTTP answer that is no failure
    /// where an address is.
    async fn answers(&self) -> bool {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let asked = async {
            let mut line = TcpStream::connect(at).await.ok()?;
            let Some(path) = self.setup.ready_path() else {
                return Some(());
            };
            let ask = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port);
            line.write_all(ask.as_bytes()).await.ok()?;
            let mut head = [0_u8; 12];
            line.read_exact(&mut head).await.ok()?;
            let code: u16 = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
            (200..400).contains(&code).then_some(())
        };
        matches!(tokio::time::timeout(ANSWER, asked).await, Ok(Some(())))
    }

    fn how(&self) -> String {
        crate::process::supervised::read_end(&self.dir)
            .map_or_else(|| "nobody knows how".to_owned(), |e| format!("{e:?}"))
    }

    fn tail(&self) -> String {
        end_of(&self.dir.join(files::OUT), TOLD)
    }

    fn tell(&mut self, told: &mut impl FnMut(&str)) {
        let Ok(mut file) = File::open(self.dir.join(files::OUT)) else {
            return;
        };
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(self.read))
            .and_then(|_| file.take(1 << 20).read_to_end(&mut bytes));
        if let Ok(many) = read
            && many > 0
        {
            self.read += many as u64;
            told(&String::from_utf8_lossy(&bytes));
        }
    }
}
