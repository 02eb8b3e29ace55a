//! Owns telling people who do not look what happens: follows the journal beside the coordinator, and tells each target
//! of the configuration. It never holds the coordinator back: it reads what was committed, in its own time. It must
//! not decide what is worth telling, nor when; that is `turno_core::notice`.
//!
//! What was told is remembered for each target. What a coordinator that died has not told, the next one tells; a
//! message that was on its way then is told again, under the same id.

mod cursor;
mod lane;
mod means;
mod post;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use turno_core::State;
use turno_core::ids::{Seq, TargetName};
use turno_core::notice::{About, Kind, Message, Watch};
use turno_core::record::Record;

pub use self::cursor::Error;
use self::cursor::{Cursor, Cursors, Known, Patience};
use self::lane::{Lane, Waiting};
pub use self::lane::{Office, Untold, Why};
pub use self::means::Book;
use crate::run::Handle;
use crate::store::{self, Beside, Reader};
use crate::workspace::StateDir;

/// So many records are read at a time.
const TOGETHER: usize = 256;
/// After this long a shift ends, whatever hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A journal that cannot be read is looked at again after this long.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells people while a shift runs.
#[derive(Debug)]
pub struct Notifier {
    stop: CancellationToken,
    names: Vec<TargetName>,
    task: tokio::task::JoinHandle<Vec<Untold>>,
}

impl Notifier {
    /// Begins to tell the targets of a book what happens after the last record that the handle knows, and what an
    /// earlier coordinator has not told. It returns at once.
    pub fn start(book: Book, office: Office, dirs: &StateDir, handle: &Handle) -> Self {
        let stop = CancellationToken::new();
        let names = book.ready.iter().map(|r| r.target.name.clone()).collect();
        let mut head = handle.head();
        let begin = Begin {
            state: State::clone(&handle.snapshot()),
            head: *head.borrow_and_update(),
            dir: dirs.notify(),
        };
        let follower = Follower {
            source: Source::Reader(handle.reader().clone()),
            head,
            stop: stop.clone(),
        };
        let task = tokio::spawn(follower.run(begin, book, office));
        Self { stop, names, task }
    }

    /// Tells what there still is, for a short while, and ends. Gives what was not told.
    pub async fn finish(mut self) -> Vec<Untold> {
        self.stop.cancel();
        match tokio::time::timeout(PATIENCE, &mut self.task).await {
            Ok(Ok(untold)) => untold,
            Ok(Err(error)) => self.all(&format!("it broke: {error}")),
            Err(_) => {
                self.task.abort();
                self.all("it did not come to an end")
            }
        }
    }

    fn all(&self, why: &str) -> Vec<Untold> {
        let untold = |target: &TargetName| Untold {
            target: target.clone(),
            notices: 0,
            why: Why::Failed(why.to_owned()),
        };
        self.names.iter().map(untold).collect()
    }
}

/// What is known when it begins.
struct Begin {
    state: State,
    head: Seq,
    dir: PathBuf,
}

/// Where records are read.
#[derive(Debug, Clone)]
enum Source {
    /// Beside the writer, in this process.
    Reader(Reader),
    /// Where nobody writes.
    Beside(Beside),
}

impl Source {
    fn after(&self, seq: Seq, max: usize) -> Result<Vec<Record>, store::Error> {
        match self {
            Self::Reader(reader) => reader.after(seq, max),
            Self::Beside(beside) => beside.after(seq, max),
        }
    }

    /// The state after a record.
    fn state_at(&self, seq: Seq) -> Result<State, store::Error> {
        let mut state = State::default();
        self.each(Seq(0), seq, |record| record.redo(&mut state))?;
        Ok(state)
    }

    /// Shows the records after `at` and up to `to`, in order; gives the last one.
    fn each(&self, at: Seq, to: Seq, mut see: impl FnMut(&Record)) -> Result<Seq, store::Error> {
        let mut at = at;
        while at < to {
            let most = usize::try_from(to.0 - at.0).unwrap_or(TOGETHER).min(TOGETHER);
            let some = self.after(at, most)?;
            let Some(last) = some.last().map(|r| r.seq) else {
                break;
            };
            some.iter().filter(|r| r.seq <= to).for_each(&mut see);
            at = last;
        }
        Ok(at)
    }
}

/// Reads the journal and hands each target what it is told of.
struct Follower {
    source: Source,
    head: watch::Receiver<Seq>,
    stop: CancellationToken,
}

/// A target as the follower knows it.
#[derive(Debug, Clone)]
struct Listener {
    on: BTreeSet<Kind>,
    after: Seq,
    waiting: Arc<Waiting>,
}

/// How far the journal is read.
struct Reading {
    source: Source,
    watch: Watch,
    at: Seq,
    listeners: Vec<Listener>,
}

impl Reading {
    /// Reads on up to a record. It blocks.
    fn on_to(&mut self, to: Seq) -> Result<(), store::Error> {
        let (watch, listeners) = (&mut self.watch, &self.listeners);
        let mut at = self.at;
        let read = self.source.each(self.at, to, |record| {
            at = record.seq;
            let notices = watch.take(record);
            if notices.is_empty() {
                return;
            }
            for listener in listeners.iter().filter(|l| record.seq > l.after) {
                let mine = notices.iter().filter(|n| listener.on.contains(&n.kind)).cloned();
                listener.waiting.add(mine);
            }
        });
        self.at = at;
        for listener in &self.listeners {
            listener.waiting.seen(at.max(listener.after));
        }
        read.map(drop)
    }
}

/// Everything that is set up before anybody is told.
struct SetUp {
    reading: Reading,
    lanes: Vec<Lane>,
}

/// Looks up where each target is, and the state from which is read on. It blocks.
fn set_up(
    source: Source,
    begin: Begin,
    patience: Patience,
    book: Book,
    office: Office,
    stop: &CancellationToken,
) -> Result<SetUp, String> {
    let cursors = Arc::new(Cursors::open(&begin.dir, patience).map_err(|e| e.to_string())?);
    let office = Arc::new(office);
    let (mut listeners, mut lanes) = (Vec::new(), Vec::new());
    for ready in book.ready {
        let name = &ready.target.name;
        let known = cursors.read(name).unwrap_or_else(|error| {
            tracing::warn!(%error, "what a target was told is not known");
            Known::New
        });
        let cursor = match known {
            // A journal that was put back from a copy is shorter than what was told.
            Known::Cursor(cursor) if cursor.told() <= begin.head => cursor,
            Known::Cursor(_) | Known::New => Cursor::Told(begin.head),
        };
        if known != Known::Cursor(cursor) {
            cursors.write(name, cursor).map_err(|e| e.to_string())?;
        }
        let waiting = Arc::new(Waiting::after(cursor));
        listeners.push(Listener {
            on: ready.target.on.clone(),
            after: cursor.told(),
            waiting: Arc::clone(&waiting),
        });
        lanes.push(Lane {
            ready,
            office: Arc::clone(&office),
            cursors: Arc::clone(&cursors),
            waiting,
            told: cursor.told(),
            stop: stop.clone(),
        });
    }
    let first = listeners.iter().map(|l| l.after).min().unwrap_or(begin.head);
    let state = if first < begin.head {
        source.state_at(first).map_err(|e| e.to_string())?
    } else {
        begin.state
    };
    let mut reading = Reading {
        source,
        watch: Watch::from(state),
        at: first,
        listeners,
    };
    // All that was not told before is known before anything is told: a message that is told again is whole then.
    reading.on_to(begin.head).map_err(|e| e.to_string())?;
    Ok(SetUp { reading, lanes })
}

impl Follower {
    async fn run(mut self, begin: Begin, book: Book, office: Office) -> Vec<Untold> {
        let names: Vec<TargetName> = book.ready.iter().map(|r| r.target.name.clone()).collect();
        if names.is_empty() {
            return Vec::new();
        }
        let lanes_stop = CancellationToken::new();
        let (source, stop) = (self.source.clone(), lanes_stop.clone());
        let set_up = move || set_up(source, begin, Patience::Wait, book, office, &stop);
        let broken = |why: &str| {
            tracing::warn!(why, "nobody is told anything");
            let untold = |target| Untold {
                target,
                notices: 0,
                why: Why::Failed(why.to_owned()),
            };
            names.into_iter().map(untold).collect()
        };
        let SetUp { mut reading, lanes } = match tokio::task::spawn_blocking(set_up).await {
            Ok(Ok(set_up)) => set_up,
            Ok(Err(why)) => return broken(&why),
            Err(error) => return broken(&error.to_string()),
        };
        let mut running = JoinSet::new();
        for lane in lanes {
            running.spawn(lane.run());
        }
        loop {
            // First whether it is over: what was committed until then is read after that.
            let over = self.stop.is_cancelled();
            let to = *self.head.borrow_and_update();
            let (back, read) = match tokio::task::spawn_blocking(move || {
                let read = reading.on_to(to);
                (reading, read)
            })
            .await
            {
                Ok(done) => done,
                Err(error) => return broken(&error.to_string()),
            };
            reading = back;
            if let Err(error) = &read {
                tracing::warn!(%error, "the journal cannot be read, so nobody is told");
            }
            if over {
                break;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(AGAIN), if read.is_err() => {}
                changed = self.head.changed(), if read.is_ok() => {
                    if changed.is_err() {
                        self.stop.cancelled().await;
                    }
                }
            }
        }
        lanes_stop.cancel();
        gather(running).await
    }
}

/// Waits for all targets.
async fn gather(mut running: JoinSet<Option<Untold>>) -> Vec<Untold> {
    let mut untold = Vec::new();
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(one) => untold.extend(one),
            Err(error) => tracing::warn!(%error, "telling a target broke"),
        }
    }
    untold.sort_by(|a, b| a.target.cmp(&b.target));
    untold
}

/// Tells what waits from earlier shifts, where no coordinator runs. Gives how many notices each target was told, and
/// what was not told.
///
/// # Errors
/// When a coordinator tells them, or it is not known what there is.
pub async fn flush(
    book: Book,
    office: Office,
    dirs: &StateDir,
) -> Result<(BTreeMap<TargetName, u64>, Vec<Untold>), FlushError> {
    let beside = Beside::new(&dirs.store());
    let dir = dirs.notify();
    let stop = CancellationToken::new();
    stop.cancel();
    let begun = tokio::task::spawn_blocking(move || {
        let source = Source::Beside(beside);
        let mut state = State::default();
        let head = source
            .each(Seq(0), Seq(u64::MAX), |r| r.redo(&mut state))
            .map_err(|e| FlushError(e.to_string()))?;
        let begin = Begin { state, head, dir };
        set_up(source, begin, Patience::Refuse, book, office, &stop).map_err(FlushError)
    });
    let SetUp { lanes, .. } = begun.await.map_err(|e| FlushError(e.to_string()))??;
    let waited: BTreeMap<TargetName, u64> = lanes
        .iter()
        .map(|l| (l.ready.target.name.clone(), l.waiting.count()))
        .collect();
    let mut running = JoinSet::new();
    for lane in lanes {
        running.spawn(lane.run());
    }
    let Ok(untold) = tokio::time::timeout(PATIENCE, gather(running)).await else {
        return Err(FlushError("it did not come to an end".to_owned()));
    };
    let told = waited.into_iter().map(|(name, waited)| {
        let left = untold.iter().find(|u| u.target == name).map_or(0, |u| u.notices);
        (name, waited.saturating_sub(left))
    });
    Ok((told.collect(), untold))
}

/// Why what waits could not be told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FlushError(String);

/// What became of a test.
#[derive(Debug)]
pub struct Tested {
    /// Who was told.
    pub target: TargetName,
    /// By which way, for people.
    pub way: String,
    /// Whether it was.
    pub done: Result<(), String>,
}

/// Tells each target of a book a test, at once, whatever it is told of otherwise.
pub async fn test(book: &Book, office: &Office) -> Vec<Tested> {
    let mut tested = Vec::new();
    for ready in &book.ready {
        let name = &ready.target.name;
        let message = Message {
            id: format!("{}-{name}-test-{}", office.workspace, crate::run::now().0),
            project: office.project.clone(),
            title: "a test of Turno's notifications".to_owned(),
            text: "Nothing happened. Somebody typed `turno notify test`.".to_owned(),
            counts: BTreeMap::from([(Kind::Test, 1)]),
            notices: vec![turno_core::notice::Notice {
                seq: Seq(0),
                at: crate::run::now(),
                kind: Kind::Test,
                about: About::Workspace,
                title: "a test of Turno's notifications".to_owned(),
                detail: Vec::new(),
            }],
            more: 0,
        };
        let done = ready.means.tell(&message, &office.at, &office.env).await;
        tested.push(Tested {
            target: name.clone(),
            way: ready.means.phrase(),
            done: done.map_err(|failed| failed.why),
        });
    }
    tested
}
