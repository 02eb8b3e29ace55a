//! Owns what passes between the coordinator and the attempts on this machine: facts upward, each with its number;
//! stops and replies downward; and the tokens by which an attempt's tools are told from another's. An attempt that
//! has ended says nothing more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, watch};
use turno_core::command::{AskedBefore, AskedThen};
use turno_core::contact::Contact;
use turno_core::decision::{Question, Reply};
use turno_core::event::{AgentEnd, Event};
use turno_core::failure::{Cause, Failure, Luck};
use turno_core::ids::{AttemptId, RemarkId, SessionId};
use turno_core::liveness::Activity;
use turno_core::quota::Quota;
use turno_core::tampering::Tampering;
use turno_core::task::StopWhy;
use turno_core::units::{Span, Spend};

use super::{Observed, Told};
use crate::redact::Redaction;
use crate::tools::Token;

mod waiting;

pub(crate) use waiting::Waiting;

/// Whether an attempt was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It may go on.
    GoOn,
    /// It is to stop.
    Stop(StopWhy),
}

/// What a person says to an agent while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// Which remark of its task that is.
    pub(crate) remark: RemarkId,
    pub(crate) words: String,
}

/// What an attempt hears.
pub(crate) type Ear = watch::Receiver<Asked>;

/// The reply to a question, under the key of the call that waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replied {
    pub(crate) key: String,
    pub(crate) reply: Reply,
}

/// Where replies are to go.
pub(crate) type Replies = mpsc::UnboundedSender<Replied>;

/// Why a question is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAsked {
    /// The attempt is over.
    #[error("the attempt is over")]
    Over,
    /// Another call of it waits.
    #[error("one question at a time: another one of yours waits for its answer")]
    OneWaits,
    /// It was told to end its turn.
    #[error("nobody answers now, and you were told so: end your turn")]
    SentAway,
}

/// Whether an attempt was told that nobody answers it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// No: it works.
    Its,
    /// In its own protocol, which ends its turn.
    SentAway,
    /// By a tool, in words. An agent that owes an outcome would rather give one without the answer than heed them.
    SentAwayInWords,
}

/// The line between the coordinator and one running attempt.
#[derive(Debug)]
struct Line {
    stop: watch::Sender<Asked>,
    /// Where the reply to each open question goes.
    waiting: BTreeMap<String, Replies>,
    /// How many questions are open.
    open: watch::Sender<usize>,
    /// How many calls of tools have asked so far.
    calls: u64,
    turn: watch::Sender<Turn>,
    /// How often it was to be reminded.
    nudges: watch::Sender<u32>,
    /// What people say to it, and where it is heard, until somebody listens there.
    words: mpsc::UnboundedSender<Words>,
    unheard: Option<mpsc::UnboundedReceiver<Words>>,
    /// What it had asked of an earlier coordinator, until it is heard to ask it again.
    asked: Vec<AskedBefore>,
}

impl Line {
    /// Whoever asked an earlier coordinator still waits, also before it is heard to ask again.
    fn count(&self) {
        let before = self
            .asked
            .iter()
            .filter(|b| matches!(b.then, AskedThen::Waits { .. }));
        self.open.send_replace(self.waiting.len() + before.count());
    }

    /// What a reply says of whose turn it is.
    fn turn_by(&self, key: &str, reply: &Reply) {
        match reply {
            Reply::Parked if key.starts_with(TOOL) => drop(self.turn.send_replace(Turn::SentAwayInWords)),
            Reply::Parked => drop(self.turn.send_replace(Turn::SentAway)),
            Reply::Answer(_) => {}
        }
    }
}

#[derive(Debug, Default)]
struct Facts {
    kept: VecDeque<Told>,
    last: u64,
}

/// All lines of this machine.
#[derive(Debug)]
pub(crate) struct Shared {
    facts: Mutex<Facts>,
    told: Notify,
    committed: watch::Sender<u64>,
    running: Mutex<BTreeMap<AttemptId, Line>>,
    known: Mutex<BTreeSet<AttemptId>>,
    begun: Notify,
    tokens: Mutex<BTreeMap<Token, AttemptId>>,
    redaction: Arc<Redaction>,
}

/// A poisoned lock holds data that was whole before the panic: each change here is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            facts: Mutex::default(),
            told: Notify::new(),
            committed: watch::channel(0).0,
            running: Mutex::default(),
            known: Mutex::default(),
            begun: Notify::new(),
            tokens: Mutex::default(),
            redaction: Arc::default(),
        }
    }
}

impl Shared {
    /// With nothing to tell of these secrets.
    pub(super) fn keeping_out(redaction: Arc<Redaction>) -> Self {
        Self {
            redaction,
            ..Self::default()
        }
    }

    /// What is not told.
    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Begins an attempt; `None` when its id was begun before.
    pub(super) fn begin(self: &Arc<Self>, attempt: AttemptId) -> Option<(Mouth, Ear)> {
        self.begin_again(attempt, Vec::new())
    }

    /// The same for one that an earlier coordinator began, and that had asked these questions.
    pub(super) fn begin_again(
        self: &Arc<Self>,
        attempt: AttemptId,
        asked: Vec<AskedBefore>,
    ) -> Option<(Mouth, Ear)> {
        if !locked(&self.known).insert(attempt) {
            return None;
        }
        let (stop, ear) = watch::channel(Asked::GoOn);
        let (words, unheard) = mpsc::unbounded_channel();
        let line = Line {
            stop,
            waiting: BTreeMap::new(),
            open: watch::channel(0).0,
            // Calls that waits are named by their number, so no new one may be taken for an old one.
            calls: last_call(&asked),
            turn: watch::channel(Turn::Its).0,
            nudges: watch::channel(0).0,
            words,
            unheard: Some(unheard),
            asked,
        };
        line.count();
        locked(&self.running).insert(attempt, line);
        self.begun.notify_waiters();
        let shared = Arc::clone(self);
        Some((Mouth { attempt, shared }, ear))
    }

    /// Tells a fact without the secrets in it; gives its number. All that attempts tell passes here, so here luck
    /// is drawn for what failed.
    pub(super) fn tell(&self, event: Event) -> u64 {
        let mut event = self.without_secrets(event);
        if let Event::AttemptFailed { failure, .. }
        | Event::AgentEnded {
            end: AgentEnd::Failed(failure),
            ..
        } = &mut event
        {
            failure.luck = Luck(fastrand::u16(..Luck::NONE.0));
        }
        let number = {
            let mut facts = locked(&self.facts);
            facts.last += 1;
            let number = facts.last;
            let at = std::time::Instant::now();
            facts.kept.push_back(Told { number, event, at });
            number
        };
        self.told.notify_waiters();
        number
    }

    /// An ending that is none without its secrets is told as a failure: an ending must come. Anything else is told
    /// as it is: a value that is also a word of Turno's own is known to everybody.
    fn without_secrets(&self, event: Event) -> Event {
        let kept = event.clone();
        let unfit = match self.redaction.record(event) {
            Ok(event) => return event,
            Err(unfit) => unfit.to_string(),
        };
        match kept {
            Event::AgentEnded { attempt, .. }
            | Event::ChecksEnded { attempt, .. }
            | Event::LandingEnded { attempt, .. }
            | Event::FollowEnded { attempt, .. }
            | Event::AttemptFailed { attempt, .. } => Event::AttemptFailed {
                attempt,
                failure: Failure::new(Cause::Workspace, unfit),
            },
            other => {
                tracing::error!(
                    unfit,
                    "a fact is told with a word in it that is also a secret's value"
                );
                other
            }
        }
    }

    /// Facts after a number, when there are any. Whoever asks has committed those up to it.
    fn facts_after(&self, after: u64) -> Vec<Told> {
        self.committed.send_if_modified(|committed| {
            let more = after > *committed;
            *committed = after.max(*committed);
            more
        });
        let mut facts = locked(&self.facts);
        while facts.kept.front().is_some_and(|t| t.number <= after) {
            facts.kept.pop_front();
        }
        facts.kept.iter().cloned().collect()
    }

    /// Waits for facts after a number.
    pub(super) async fn events(&self, after: u64) -> Vec<Told> {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let facts = self.facts_after(after);
            if !facts.is_empty() {
                return facts;
            }
            told.await;
        }
    }

    /// Waits until the fact of a number is committed.
    pub(crate) async fn committed(&self, number: u64) {
        let mut committed = self.committed.subscribe();
        if committed.wait_for(|n| *n >= number).await.is_err() {
            // It cannot be while `self` holds the sender.
            std::future::pending::<()>().await;
        }
    }

    /// Tells a fact of an attempt that has not ended; `None` when it has. What is told comes before its ending.
    pub(crate) fn tell_from(&self, attempt: AttemptId, event: Event) -> Option<u64> {
        let running = locked(&self.running);
        running.contains_key(&attempt).then(|| self.tell(event))
    }

    /// Puts a question of an attempt; the reply comes under the key that is given back.
    fn ask(
        &self,
        attempt: AttemptId,
        key: AskKey,
        question: Question,
        replies: Replies,
    ) -> Result<String, NotAsked> {
        let mut running = locked(&self.running);
        let line = running.get_mut(&attempt).ok_or(NotAsked::Over)?;
        let before = self.redaction.record(question.clone()).ok();
        let known = (line.asked.iter()).position(|b| Some(&b.question) == before.as_ref());
        let key = match key {
            AskKey::Talk(key) => format!("{TALK}{key}"),
            AskKey::Tool if *line.turn.borrow() != Turn::Its => return Err(NotAsked::SentAway),
            AskKey::Tool if !line.waiting.is_empty() => return Err(NotAsked::OneWaits),
            AskKey::Tool => {
                line.calls += 1;
                format!("{TOOL}{}", line.calls)
            }
        };
        // What is known is not told again: somebody may be about to answer it.
        let key = match known.map(|n| line.asked.remove(n).then) {
            Some(AskedThen::Told(reply)) => {
                line.turn_by(&key, &reply);
                let told = key.clone();
                drop(replies.send(Replied { key, reply }));
                return Ok(told);
            }
            Some(AskedThen::Waits { key }) => {
                line.waiting.insert(key.clone(), replies);
                line.count();
                return Ok(key);
            }
            None => key,
        };
        line.waiting.insert(key.clone(), replies);
        line.count();
        self.tell(Event::DecisionAsked {
            attempt,
            question,
            key: key.clone(),
        });
        Ok(key)
    }

    /// Gives a reply to whoever waits for it. Nobody may be there any more.
    pub(super) fn reply(&self, attempt: AttemptId, key: &str, reply: &Reply) {
        let mut running = locked(&self.running);
        let Some(line) = running.get_mut(&attempt) else {
            return;
        };
        line.turn_by(key, reply);
        if let Some(waits) = line.waiting.remove(key) {
            let (key, reply) = (key.to_owned(), reply.clone());
            drop(waits.send(Replied { key, reply }));
        } else if let Some(before) = line
            .asked
            .iter_mut()
            .find(|b| matches!(&b.then, AskedThen::Waits { key: k } if k == key))
        {
            // It has not asked again yet.
            before.then = AskedThen::Told(reply.clone());
        }
        line.count();
    }

    /// Nobody waits for that reply any more.
    fn forget(&self, attempt: AttemptId, key: &str) {
        if let Some(line) = locked(&self.running).get_mut(&attempt)
            && line.waiting.remove(key).is_some()
        {
            line.count();
        }
    }

    /// Tells an attempt's ending, if it was not told before.
    pub(super) fn end(&self, attempt: AttemptId, event: Event) {
        let mut running = locked(&self.running);
        if running.remove(&attempt).is_some() {
            self.tell(event);
        }
    }

    pub(super) fn cancel(&self, attempt: AttemptId, why: StopWhy) {
        if let Some(line) = locked(&self.running).get(&attempt) {
            line.stop.send_replace(Asked::Stop(why));
        }
    }

    /// Asks for a reminder of an attempt. Nobody may be there any more.
    pub(super) fn nudge(&self, attempt: AttemptId) {
        if let Some(line) = locked(&self.running).get(&attempt) {
            line.nudges.send_modify(|n| *n = n.saturating_add(1));
        }
    }

    /// Says a person's words to an attempt. Nobody may be there any more.
    pub(super) fn say(&self, attempt: AttemptId, words: Words) {
        if let Some(line) = locked(&self.running).get(&attempt) {
            drop(line.words.send(words));
        }
    }

    pub(super) fn observe(&self, attempt: AttemptId) -> Observed {
        if locked(&self.running).contains_key(&attempt) {
            Observed::Running
        } else if locked(&self.known).contains(&attempt) {
            Observed::Ended
        } else {
            Observed::Unknown
        }
    }

    pub(super) fn fence(&self, current: &BTreeSet<AttemptId>) {
        for (attempt, line) in locked(&self.running).iter() {
            if !current.contains(attempt) {
                line.stop.send_replace(Asked::Stop(StopWhy::Asked));
            }
        }
    }

    /// Takes a token for one that an earlier coordinator gave to an attempt, before that is begun again.
    pub(super) fn expect(&self, attempt: AttemptId, token: Token) {
        locked(&self.tokens).insert(token, attempt);
    }

    /// Waits until an attempt is begun: one that is adopted may call before it is listened to.
    pub(crate) async fn begun(&self, attempt: AttemptId) {
        loop {
            let begun = self.begun.notified();
            tokio::pin!(begun);
            begun.as_mut().enable();
            if locked(&self.known).contains(&attempt) {
                return;
            }
            begun.await;
        }
    }

    /// Whose token that is, while it is valid.
    pub(crate) fn attempt_of(&self, token: &Token) -> Option<AttemptId> {
        locked(&self.tokens).get(token).copied()
    }
}

/// The largest number that a call of a tool had which waits, or which may have had one.
fn last_call(asked: &[AskedBefore]) -> u64 {
    let numbers = asked.iter().filter_map(|before| match &before.then {
        AskedThen::Waits { key } => key.strip_prefix(TOOL)?.parse::<u64>().ok(),
        AskedThen::Told(_) => None,
    });
    numbers.max().unwrap_or(0).max(asked.len() as u64)
}

const TALK: &str = "talk:";
const TOOL: &str = "tool:";

/// In which way a question is put.
enum AskKey {
    /// In the agent's own protocol, under its own key.
    Talk(String),
    /// In a call of a tool.
    Tool,
}

/// A token that opens the tools of one attempt, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    shared: Arc<Shared>,
    token: Token,
}

impl Pass {
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        locked(&self.shared.tokens).remove(&self.token);
    }
}

/// The mouth of one attempt. Its ending is told once; whoever runs the attempt sees to it that it is told.
pub(crate) struct Mouth {
    attempt: AttemptId,
    shared: Arc<Shared>,
}

/// The mouth and ear of what no coordinator runs: nobody hears it, and nobody tells it to stop.
pub(crate) fn alone(attempt: AttemptId, redaction: &Arc<Redaction>) -> (Mouth, Ear) {
    let shared = Arc::new(Shared::keeping_out(Arc::clone(redaction)));
    let (_nobody, ear) = watch::channel(Asked::GoOn);
    (Mouth { attempt, shared }, ear)
}

impl Mouth {
    pub(crate) fn attempt(&self) -> AttemptId {
        self.attempt
    }

    pub(crate) fn session(&self, session: SessionId) {
        let attempt = self.attempt;
        self.shared.tell(Event::SessionOpened { attempt, session });
    }

    pub(crate) fn spent(&self, spend: Spend) {
        let attempt = self.attempt;
        self.shared.tell(Event::Metered { attempt, spend });
    }

    /// What it was told of its account.
    pub(crate) fn quota_seen(&self, quota: Quota) {
        let attempt = self.attempt;
        self.shared.tell(Event::QuotaSeen { attempt, quota });
    }

    /// What it asked of the network.
    pub(crate) fn contacted(&self, contacts: Vec<Contact>, others: u64) {
        let attempt = self.attempt;
        self.shared.tell(Event::Contacted {
            attempt,
            contacts,
            others,
        });
    }

    pub(crate) fn tampered(&self, what: Vec<Tampering>) {
        let attempt = self.attempt;
        self.shared.tell(Event::Tampered { attempt, what });
    }

    /// A token for its tools.
    pub(crate) fn pass(&self) -> Pass {
        self.pass_by(Token::random())
    }

    /// The same with a token that it was given before.
    pub(crate) fn pass_by(&self, token: Token) -> Pass {
        let shared = Arc::clone(&self.shared);
        locked(&shared.tokens).insert(token.clone(), self.attempt);
        Pass { shared, token }
    }

    /// Puts a question that the agent asks in its own protocol.
    pub(crate) fn ask(&self, key: String, question: Question, replies: &Replies) -> Result<(), NotAsked> {
        let asked = self
            .shared
            .ask(self.attempt, AskKey::Talk(key), question, replies.clone());
        asked.map(drop)
    }

    /// How many of its questions are open, in either way.
    pub(crate) fn open_questions(&self) -> watch::Receiver<usize> {
        let running = locked(&self.shared.running);
        running
            .get(&self.attempt)
            .map_or_else(|| watch::channel(0).1, |line| line.open.subscribe())
    }

    /// Changes each time that it is to be reminded.
    pub(crate) fn nudges(&self) -> watch::Receiver<u32> {
        let running = locked(&self.shared.running);
        running
            .get(&self.attempt)
            .map_or_else(|| watch::channel(0).1, |line| line.nudges.subscribe())
    }

    /// Where a person's words to it are heard. There is one such place: whoever asks again hears nothing.
    pub(crate) fn words(&self) -> mpsc::UnboundedReceiver<Words> {
        let mut running = locked(&self.shared.running);
        let line = running.get_mut(&self.attempt);
        line.and_then(|line| line.unheard.take())
            .unwrap_or_else(|| mpsc::unbounded_channel().1)
    }

    /// It has taken in what a person said to it.
    pub(crate) fn heard(&self, remark: RemarkId) {
        let attempt = self.attempt;
        self.shared.tell(Event::Heard { attempt, remark });
    }

    /// What it does is another thing than what was told of it last.
    pub(crate) fn seen(&self, activity: Activity, lasts: Span) {
        let attempt = self.attempt;
        self.shared.tell(Event::Seen {
            attempt,
            activity,
            lasts,
        });
    }

    /// Whether it was told that nobody answers it now.
    pub(crate) fn turn(&self) -> watch::Receiver<Turn> {
        let running = locked(&self.shared.running);
        running
            .get(&self.attempt)
            .map_or_else(|| watch::channel(Turn::Its).1, |line| line.turn.subscribe())
    }

    pub(crate) fn end(self, event: Event) {
        self.shared.end(self.attempt, event);
    }

    pub(crate) fn fail(self, failure: Failure) {
        let attempt = self.attempt;
        self.end(Event::AttemptFailed { attempt, failure });
    }
}

impl Replied {
    /// The agent's own key, when it asked in its own protocol.
    pub(crate) fn own_key(&self) -> &str {
        self.key.strip_prefix(TALK).unwrap_or(&self.key)
    }
}

#[cfg(test)]
mod tests;
