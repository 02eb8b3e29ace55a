//! Owns the loop: take what has happened, decide, commit, tell, act. In that order, always.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use turno_core::admit::{Refused, admit};
use turno_core::command::Command;
use turno_core::event::Event;
use turno_core::ids::Seq;
use turno_core::record::Record;
use turno_core::room::Room;
use turno_core::shift::ShiftEnd;
use turno_core::units::Timestamp;
use turno_core::{State, next_deadline};

use crate::clock::{Clock, Machine, Source};
use crate::crash_point::{self, Deed, Moment};
use crate::pace::{Gauge, Pace};
use crate::runner::{Looking, Opening, Runner, Submission, Told};
use crate::store::{self, Reader, Store};

/// How many events are committed together at most.
const GROUP: usize = 64;
/// The clock of the machine may jump, so it is looked at again after this long at the latest.
const LONGEST_SLEEP: Duration = Duration::from_secs(20);
/// What waits for room on a disk is not kept waiting for much longer than that.
const WITHOUT_ROOM: Duration = Duration::from_secs(2);

/// The time now.
pub fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}

/// What a person asks for, and where the answer goes.
struct Request {
    event: Event,
    asked: Instant,
    answer: oneshot::Sender<Result<Seq, Refused>>,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It makes no sense now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The coordinator ended before it was committed.
    #[error("the coordinator ended before it took the request; try again")]
    Gone,
}

/// A door to the running engine. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: mpsc::UnboundedSender<Request>,
    head: watch::Receiver<Seq>,
    snapshot: watch::Receiver<Arc<State>>,
    reader: Reader,
    gauge: Gauge,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({:?})", self.event)
    }
}

impl Handle {
    /// Asks for something. The answer comes after it is committed, or says why it is refused.
    ///
    /// # Errors
    /// When it is refused or the engine has ended.
    pub async fn request(&self, event: Event) -> Result<Seq, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .send(Request {
                event,
                asked: Instant::now(),
                answer,
            })
            .map_err(|_| RequestError::Gone)?;
        Ok(answered.await.map_err(|_| RequestError::Gone)??)
    }

    /// The state after the last commit.
    pub fn snapshot(&self) -> Arc<State> {
        self.snapshot.borrow().clone()
    }

    /// The number of the last committed record, to be waited on.
    pub fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }

    /// Committed records.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How quick the loop has been.
    pub fn pace(&self) -> Pace {
        self.gauge.pace()
    }
}

/// The engine before it runs: state and store, and nobody at work.
#[derive(Debug)]
pub struct Desk {
    /// The state.
    pub state: State,
    store: Store,
}

impl Desk {
    /// From an opened store.
    pub fn new(store: Store, state: State) -> Self {
        Self { state, store }
    }

    /// Takes one event in and commits it. Nobody is at work, so nothing is started.
    ///
    /// # Errors
    /// When it cannot be committed.
    pub fn take(&mut self, event: Event) -> Result<Vec<Command>, store::Error> {
        let seq = Seq(self.store.head().0 + 1);
        let record = Record::of(&mut self.state, seq, now(), event);
        crash_point::committing(std::slice::from_ref(&record));
        self.store.commit(std::slice::from_ref(&record))?;
        crash_point::committed(std::slice::from_ref(&record));
        Ok(record.commands)
    }

    /// The same for what a person asks, which may be refused. Where the coordinator of a shift is dead, what follows
    /// for the shift is decided here and done by the one that goes on with it: to that one it looks as if the dead one
    /// had died between the record and the deed. The shift itself stays as it is.
    ///
    /// # Errors
    /// When it makes no sense now, or cannot be committed.
    pub fn request(&mut self, event: Event) -> Result<Vec<Command>, DeskError> {
        admit(&self.state, &event)?;
        Ok(self.take(event)?)
    }

    /// Committed records.
    pub fn reader(&self) -> Reader {
        self.store.reader()
    }
}

/// Why a request to a [`Desk`] was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// It makes no sense now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be committed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The engine at work.
#[derive(Debug)]
pub struct Engine<R> {
    desk: Desk,
    runner: R,
    clock: Clock,
    heard: u64,
    /// When it was last looked at what happens by itself.
    looked: Instant,
    requests: mpsc::UnboundedReceiver<Request>,
    head: watch::Sender<Seq>,
    snapshot: watch::Sender<Arc<State>>,
    gauge: Gauge,
}

/// Something to take in, and who waits for it.
struct Taken {
    event: Event,
    answer: Option<oneshot::Sender<Result<Seq, Refused>>>,
}

impl<R: Runner> Engine<R> {
    /// Puts a runner to work for a desk.
    pub fn new(desk: Desk, runner: R) -> (Self, Handle) {
        Self::by_clock(desk, runner, Box::new(Machine))
    }

    /// The same by other clocks than this machine's.
    pub fn by_clock(desk: Desk, runner: R, source: Box<dyn Source>) -> (Self, Handle) {
        let (sender, requests) = mpsc::unbounded_channel();
        let (head, head_seen) = watch::channel(desk.store.head());
        let (snapshot, snapshot_seen) = watch::channel(Arc::new(desk.state.clone()));
        let reader = desk.reader();
        let gauge = Gauge::default();
        let engine = Self {
            desk,
            runner,
            clock: Clock::new(source),
            heard: 0,
            looked: Instant::now(),
            requests,
            head,
            snapshot,
            gauge: gauge.clone(),
        };
        (
            engine,
            Handle {
                requests: sender,
                head: head_seen,
                snapshot: snapshot_seen,
                reader,
                gauge,
            },
        )
    }

    /// Runs until the shift that `first` starts has ended; everything that ran is gone then.
    ///
    /// # Errors
    /// When `first` is refused, or a record cannot be committed. What was not committed was not done.
    pub async fn run(mut self, first: Event) -> Result<ShiftEnd, DeskError> {
        let ended = match admit(&self.desk.state, &first) {
            Ok(()) => self.work(vec![first]).await,
            Err(refused) => Err(refused.into()),
        };
        self.over(ended).await
    }

    /// The same for a shift that an earlier coordinator began: these facts come first.
    ///
    /// # Errors
    /// When a record cannot be committed. What was not committed was not done.
    pub async fn go_on(mut self, facts: Vec<Event>) -> Result<ShiftEnd, DeskError> {
        let ended = self.work(facts).await;
        self.over(ended).await
    }

    /// Nothing runs any more when it is over, however it ended.
    async fn over(&self, ended: Result<ShiftEnd, DeskError>) -> Result<ShiftEnd, DeskError> {
        self.runner.shutdown().await;
        if ended.is_ok() {
            crash_point::reached(Moment::AfterEffect, Deed::EndShift);
        }
        ended
    }

    async fn work(&mut self, first: Vec<Event>) -> Result<ShiftEnd, DeskError> {
        let taken = |event| Taken { event, answer: None };
        // What an issue is taken up on is known first.
        let mut group = self.look();
        group.extend(first.into_iter().map(taken));
        loop {
            let began = Instant::now();
            let commands = self.commit(group)?;
            let ended = self.act(commands);
            self.gauge.turned(began);
            if let Some(end) = ended {
                return Ok(end);
            }
            group = self.next().await;
        }
    }

    /// Decides on each event in order and makes the records durable together.
    fn commit(&mut self, group: Vec<Taken>) -> Result<Vec<Command>, store::Error> {
        let mut seq = self.desk.store.head();
        let mut records = Vec::new();
        let mut answers = Vec::new();
        for Taken { event, answer } in group {
            if let Some(answer) = answer {
                if let Err(refused) = admit(&self.desk.state, &event) {
                    answers.push((answer, Err(refused)));
                    continue;
                }
                answers.push((answer, Ok(Seq(seq.0 + 1))));
            }
            seq = Seq(seq.0 + 1);
            let now = self.clock.now();
            records.push(Record::of(&mut self.desk.state, seq, now, event));
        }
        if !records.is_empty() {
            let store = &mut self.desk.store;
            crash_point::committing(&records);
            tokio::task::block_in_place(|| store.commit(&records))?;
            crash_point::committed(&records);
            self.snapshot.send_replace(Arc::new(self.desk.state.clone()));
            self.head.send_replace(seq);
        }
        for (answer, result) in answers {
            // Whoever asked may have gone; the record stands.
            drop(answer.send(result));
        }
        Ok(records.into_iter().flat_map(|r| r.commands).collect())
    }

    /// Carries commands out. Gives the end when the shift has one.
    fn act(&self, commands: Vec<Command>) -> Option<ShiftEnd> {
        let mut ended = None;
        for command in commands {
            crash_point::acting(&command);
            match command {
                Command::StartAgent(start) => drop(self.runner.submit(Submission::Agent(start))),
                Command::Adopt { attempt, asked } => {
                    let _known = self.runner.submit(Submission::Adopted(attempt, asked));
                }
                Command::RunChecks(start) => drop(self.runner.submit(Submission::Checks(start))),
                Command::Land(start) => drop(self.runner.submit(Submission::Landing(start))),
                Command::Follow(start) => drop(self.runner.submit(Submission::Following(start))),
                Command::StopAttempt { attempt, why } => self.runner.cancel(attempt, why),
                Command::Nudge { attempt } => self.runner.nudge(attempt),
                Command::Tell {
                    attempt,
                    remark,
                    words,
                } => self.runner.tell(attempt, remark, words),
                Command::Reply { attempt, key, reply } => self.runner.reply(attempt, &key, &reply),
                Command::OpenIssue { issue, repo, on } => self.runner.open(Opening { issue, repo, on }),
                Command::Foresee {
                    of,
                    repo,
                    commit,
                    with,
                } => {
                    self.runner.foresee(Looking {
                        of,
                        repo,
                        commit,
                        with,
                    });
                }
                Command::WarnOfBudget { warning } => {
                    tracing::warn!("{warning}");
                    crash_point::reached(Moment::AfterEffect, Deed::WarnOfBudget);
                }
                Command::EndShift { end, .. } => ended = Some(end),
            }
        }
        ended
    }

    /// Waits for the next events: whatever is there by then is taken together.
    async fn next(&mut self) -> Vec<Taken> {
        let mut group = Vec::new();
        loop {
            let deadline = next_deadline(&self.desk.state);
            let longest = self.longest_sleep();
            let wait = deadline.map_or(longest, |d| {
                Duration::from_millis(d.since(self.clock.now()).0).min(longest)
            });
            tokio::select! {
                told = self.runner.events(self.heard) => self.hear(told, &mut group),
                Some(request) = self.requests.recv() => group.push(self.heed(request)),
                () = tokio::time::sleep(wait) => {}
            }
            if deadline.is_some_and(|d| d <= self.clock.now()) {
                group.push(Taken {
                    event: Event::TimePassed,
                    answer: None,
                });
            }
            while group.len() < GROUP
                && let Ok(request) = self.requests.try_recv()
            {
                group.push(self.heed(request));
            }
            // What ends may be all that an issue waited for: what it is to follow is known before that.
            let is_due = self.looked.elapsed() >= longest;
            if is_due || group.is_empty() || group.iter().any(|t| ends_something(&t.event)) {
                group.splice(0..0, self.look());
            }
            // First of all: what is after it is dated by the new clock.
            let jumped = self.clock.look();
            group.splice(0..0, jumped.map(|event| Taken { event, answer: None }));
            if !group.is_empty() {
                return group;
            }
        }
    }

    /// How long nobody looks at what happens by itself.
    fn longest_sleep(&self) -> Duration {
        match self.desk.state.desk.room {
            Room::Enough => LONGEST_SLEEP,
            Room::Short { .. } => WITHOUT_ROOM,
        }
    }

    /// Where the branches are that issues began on, and whether disks have room, as far as that is news.
    fn look(&mut self) -> Vec<Taken> {
        self.looked = Instant::now();
        let seen = tokio::task::block_in_place(|| self.runner.look(&self.desk.state));
        let taken = |event| Taken { event, answer: None };
        seen.into_iter().map(taken).collect()
    }

    fn heed(&self, request: Request) -> Taken {
        self.gauge.taken(request.asked);
        Taken {
            event: request.event,
            answer: Some(request.answer),
        }
    }

    fn hear(&mut self, told: Vec<Told>, group: &mut Vec<Taken>) {
        for Told { number, event, at } in told {
            self.heard = number;
            self.gauge.taken(at);
            group.push(Taken { event, answer: None });
        }
    }
}

/// Whether an event is the end of an attempt or of a wait: much may follow from it.
fn ends_something(event: &Event) -> bool {
    match event {
        Event::AgentEnded { .. }
        | Event::ChecksEnded { .. }
        | Event::LandingEnded { .. }
        | Event::FollowEnded { .. }
        | Event::AttemptFailed { .. }
        | Event::IssueOpened { .. }
        | Event::DecisionAnswered { .. }
        | Event::BudgetSet { .. }
        | Event::Discarded { .. }
        | Event::PlanEdited { .. }
        | Event::TaskGivenBack { .. }
        | Event::Commented { .. }
        | Event::TimePassed => true,
        Event::ConfigLoaded { .. }
        | Event::IssueAdded { .. }
        | Event::IssueEdited { .. }
        | Event::IssueClosed { .. }
        | Event::IssueJoined { .. }
        | Event::ShiftStarted { .. }
        | Event::IssueNotOpened { .. }
        | Event::TargetMoved { .. }
        | Event::LessonAdded { .. }
        | Event::LessonEdited { .. }
        | Event::StopAsked { .. }
        | Event::TaskTaken { .. }
        | Event::TaskReleased { .. }
        | Event::PromotionBegun { .. }
        | Event::PullRequestBegun { .. }
        | Event::PullRequestOpened { .. }
        | Event::Promoted { .. }
        | Event::Reverted { .. }
        | Event::Foreseen { .. }
        | Event::Told { .. }
        | Event::Heard { .. }
        | Event::SessionOpened { .. }
        | Event::DecisionAsked { .. }
        | Event::TaskProposed { .. }
        | Event::Noted { .. }
        | Event::Metered { .. }
        | Event::QuotaSeen { .. }
        | Event::Seen { .. }
        | Event::ClockJumped { .. }
        | Event::RoomSeen { .. }
        | Event::Contacted { .. }
        | Event::Tampered { .. }
        | Event::Restarted { .. } => false,
    }
}
