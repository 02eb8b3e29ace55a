//! Owns the picture of the workspace that all clients are served from: the state after the last record, the records
//! that came last, and what agents are doing now. It follows a live coordinator through its socket, over one connection
//! however many clients there are, and reads the journal itself when there is none. It holds no lock.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;
use turno_core::State;
use turno_core::ids::{AttemptId, Seq};
use turno_core::record::Record;
use turno_engine::live::LiveLine;
use turno_engine::socket::{self, Answer, Ask, Client};
use turno_engine::store::{self, Beside};
use turno_engine::workspace::StateDir;

use crate::view::event::{Line, told};

/// The journal is looked at this often while no coordinator lives.
const LOOK: Duration = Duration::from_millis(300);
/// So many lines of the last records are kept for those who follow closely; others read the journal.
const RECENT: usize = 1024;
/// So many lines of what agents do are kept for a client that is busy.
const LIVE: usize = 256;
/// So many records are taken in before they are shown.
const TOGETHER: usize = 256;

/// Whether somebody coordinates, as far as can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Coordinator {
    /// One does.
    Works,
    /// Nobody does.
    None,
    /// What there is cannot be followed; what is shown may be old.
    Trouble(Arc<str>),
}

/// What is seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The state after `head`.
    pub(crate) state: Arc<State>,
    /// The last record that it knows of.
    pub(crate) head: Seq,
    /// Who writes.
    pub(crate) coordinator: Coordinator,
}

/// The picture. Cheap to copy.
#[derive(Debug, Clone)]
pub(crate) struct Mirror(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    beside: Beside,
    socket: PathBuf,
    seen: watch::Sender<Seen>,
    recent: Mutex<VecDeque<Arc<Line>>>,
    doing: Mutex<BTreeMap<AttemptId, String>>,
    live: broadcast::Sender<LiveLine>,
    look: Notify,
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error("the coordinator does not let the board follow it: {0}")]
    Refused(String),
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mirror {
    /// Of a state directory. It is empty until [`Self::run`] has looked.
    pub(crate) fn new(dirs: &StateDir) -> Self {
        let seen = Seen {
            state: Arc::default(),
            head: Seq(0),
            coordinator: Coordinator::None,
        };
        Self(Arc::new(Inner {
            beside: Beside::new(&dirs.store()),
            socket: dirs.socket(),
            seen: watch::channel(seen).0,
            recent: Mutex::default(),
            doing: Mutex::default(),
            live: broadcast::channel(LIVE).0,
            look: Notify::new(),
        }))
    }

    pub(crate) fn seen(&self) -> Seen {
        self.0.seen.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Seen> {
        self.0.seen.subscribe()
    }

    pub(crate) fn live(&self) -> broadcast::Receiver<LiveLine> {
        self.0.live.subscribe()
    }

    /// What each running attempt did last, in a line.
    pub(crate) fn doing(&self) -> BTreeMap<AttemptId, String> {
        held(&self.0.doing).clone()
    }

    /// Something was committed just now: it is looked for at once.
    pub(crate) fn look(&self) {
        self.0.look.notify_one();
    }

    /// Shows all records that the picture holds to `see`, in order. It may block for as long as reading takes.
    pub(crate) fn each_record(&self, see: impl FnMut(&Record)) -> Result<(), store::Error> {
        self.0.beside.each(Seq(0), self.seen().head, see)
    }

    /// The same for the records after `at` and up to `head`.
    pub(crate) fn each_between(
        &self,
        at: Seq,
        head: Seq,
        see: impl FnMut(&Record),
    ) -> Result<(), store::Error> {
        self.0.beside.each(at, head, see)
    }

    /// Up to `max` lines of the records after `at` and up to `head`, from memory or else from the journal.
    pub(crate) async fn lines(&self, at: Seq, head: Seq, max: usize) -> Result<Vec<Arc<Line>>, store::Error> {
        {
            let recent = held(&self.0.recent);
            if recent.front().is_some_and(|first| first.seq.0 <= at.0 + 1) {
                let wanted = recent.iter().filter(|l| l.seq > at && l.seq <= head);
                return Ok(wanted.take(max).cloned().collect());
            }
        }
        let beside = self.0.beside.clone();
        let read = tokio::task::spawn_blocking(move || beside.after(at, max)).await;
        let Ok(read) = read else {
            return Ok(Vec::new());
        };
        let read = read?;
        let lines = read.iter().filter(|r| r.seq <= head);
        Ok(lines.map(|record| Arc::new(Line::of(record))).collect())
    }

    /// Looks once, so that there is a picture.
    pub(crate) async fn begin(&self) {
        self.read_on().await;
    }

    /// Follows what happens until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.step() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.look.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn step(&self) {
        if let Ok(client) = Client::connect(&self.0.socket).await
            && let Err(error) = self.follow(client).await
        {
            tracing::warn!(%error, "the board does not follow the coordinator");
            self.trouble(&error.to_string());
            return;
        }
        self.read_on().await;
    }

    /// Follows a coordinator until it has ended.
    async fn follow(&self, mut client: Client) -> Result<(), Lost> {
        let Seen { state, head, .. } = self.seen();
        let mut state = State::clone(&state);
        client.ask(&Ask::Follow { after: head }).await?;
        self.0
            .seen
            .send_modify(|seen| seen.coordinator = Coordinator::Works);
        let mut records = Vec::new();
        loop {
            // What has come already is taken in together: a picture is made of all of it.
            let answer = match client.answer().now_or_never() {
                Some(answer) => answer?,
                None => {
                    self.show(&state, &mut records, &Coordinator::Works);
                    client.answer().await?
                }
            };
            match answer {
                Some(Answer::Record(record)) => {
                    record.redo(&mut state);
                    records.push(*record);
                }
                Some(Answer::Live(line)) => self.hear(line),
                Some(Answer::Failed(why) | Answer::Refused(why)) => return Err(Lost::Refused(why)),
                Some(
                    Answer::State(_) | Answer::Taken(_) | Answer::Done | Answer::Tool(_) | Answer::Pace(_),
                ) => {}
                None => {
                    self.show(&state, &mut records, &Coordinator::None);
                    return Ok(());
                }
            }
            if records.len() >= TOGETHER {
                self.show(&state, &mut records, &Coordinator::Works);
            }
        }
    }

    /// Takes in what is in the journal and not in the picture yet.
    async fn read_on(&self) {
        let Seen { state, head, .. } = self.seen();
        let beside = self.0.beside.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut state = State::clone(&state);
            let mut last = VecDeque::new();
            let mut at = head;
            loop {
                let some = beside.after(at, TOGETHER)?;
                let Some(seq) = some.last().map(|r| r.seq) else {
                    return Ok((state, last));
                };
                at = seq;
                for record in some {
                    record.redo(&mut state);
                    last.push_back(record);
                    if last.len() > RECENT {
                        last.pop_front();
                    }
                }
            }
        });
        match read.await {
            Ok(Ok((state, last))) => self.show(&state, &mut Vec::from(last), &Coordinator::None),
            Ok(Err(error)) => {
                let error: store::Error = error;
                self.trouble(&error.to_string());
            }
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    fn hear(&self, line: LiveLine) {
        held(&self.0.doing).insert(line.attempt, told(&line.doing.line()));
        // Nobody looking is no error.
        drop(self.0.live.send(line));
    }

    fn trouble(&self, why: &str) {
        self.0.seen.send_if_modified(|seen| {
            let trouble = Coordinator::Trouble(why.into());
            let news = seen.coordinator != trouble;
            seen.coordinator = trouble;
            news
        });
    }

    /// Makes a state and the records that led to it the picture.
    fn show(&self, state: &State, records: &mut Vec<Record>, coordinator: &Coordinator) {
        let last = records.last().map(|r| r.seq);
        if last.is_none() && self.0.seen.borrow().coordinator == *coordinator {
            return;
        }
        {
            let mut recent = held(&self.0.recent);
            for record in records.drain(..) {
                if recent.len() >= RECENT {
                    recent.pop_front();
                }
                recent.push_back(Arc::new(Line::of(&record)));
            }
        }
        let runs = state.attempts();
        held(&self.0.doing).retain(|attempt, _| runs.contains(attempt));
        self.0.seen.send_replace(Seen {
            state: Arc::new(state.clone()),
            head: last.unwrap_or(self.seen().head),
            coordinator: coordinator.clone(),
        });
    }
}
