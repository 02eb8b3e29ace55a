//! Owns what passes between the coordinator and the attempts on this machine: facts upward, each with its number;
//! stops and replies downward; and the tokens by which an attempt's tools are told from another's. An attempt that
//! has ended says nothing more. Here is the attempt's side of it; the coordinator's is in `shared`.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use turno_core::contact::Contact;
use turno_core::decision::{Question, Reply};
use turno_core::event::Event;
use turno_core::failure::Failure;
use turno_core::ids::{AttemptId, RemarkId, SessionId};
use turno_core::liveness::Activity;
use turno_core::quota::Quota;
use turno_core::tampering::Tampering;
use turno_core::task::StopWhy;
use turno_core::units::{Span, Spend};

use self::line::{AskKey, TALK};
use self::shared::locked;
use crate::redact::Redaction;
use crate::tools::Token;

mod line;
mod shared;
mod waiting;

pub(crate) use self::shared::Shared;
pub(crate) use self::waiting::Waiting;

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
