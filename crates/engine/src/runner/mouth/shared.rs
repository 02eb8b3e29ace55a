//! Owns all lines of this machine: the facts that attempts tell, each with its number, until they are committed; who
//! runs, and whose a token is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, watch};
use turno_core::command::{AskedBefore, AskedThen};
use turno_core::decision::{Question, Reply};
use turno_core::event::{AgentEnd, Event};
use turno_core::failure::{Cause, Failure, Luck};
use turno_core::ids::AttemptId;
use turno_core::task::StopWhy;

use super::line::{AskKey, Line, TALK, TOOL};
use super::{Asked, Ear, Mouth, NotAsked, Replied, Replies, Turn, Words};
use crate::redact::Redaction;
use crate::runner::{Observed, Told};
use crate::tools::Token;

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
    pub(super) running: Mutex<BTreeMap<AttemptId, Line>>,
    known: Mutex<BTreeSet<AttemptId>>,
    begun: Notify,
    pub(super) tokens: Mutex<BTreeMap<Token, AttemptId>>,
    redaction: Arc<Redaction>,
}

/// A poisoned lock holds data that was whole before the panic: each change here is one call.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
    pub(in crate::runner) fn keeping_out(redaction: Arc<Redaction>) -> Self {
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
    pub(in crate::runner) fn begin(self: &Arc<Self>, attempt: AttemptId) -> Option<(Mouth, Ear)> {
        self.begin_again(attempt, Vec::new())
    }

    /// The same for one that an earlier coordinator began, and that had asked these questions.
    pub(in crate::runner) fn begin_again(
        self: &Arc<Self>,
        attempt: AttemptId,
        asked: Vec<AskedBefore>,
    ) -> Option<(Mouth, Ear)> {
        if !locked(&self.known).insert(attempt) {
            return None;
        }
        let (stop, ear) = watch::channel(Asked::GoOn);
        let (words, unheard) = mpsc::unbounded_channel();
        let line = Line::new(stop, words, unheard, asked);
        locked(&self.running).insert(attempt, line);
        self.begun.notify_waiters();
        let shared = Arc::clone(self);
        Some((Mouth { attempt, shared }, ear))
    }

    /// Tells a fact without the secrets in it; gives its number. All that attempts tell passes here, so here luck
    /// is drawn for what failed.
    pub(in crate::runner) fn tell(&self, event: Event) -> u64 {
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
    pub(super) fn facts_after(&self, after: u64) -> Vec<Told> {
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
    pub(in crate::runner) async fn events(&self, after: u64) -> Vec<Told> {
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
    pub(super) fn ask(
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
    pub(in crate::runner) fn reply(&self, attempt: AttemptId, key: &str, reply: &Reply) {
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
    pub(super) fn forget(&self, attempt: AttemptId, key: &str) {
        if let Some(line) = locked(&self.running).get_mut(&attempt)
            && line.waiting.remove(key).is_some()
        {
            line.count();
        }
    }

    /// Tells an attempt's ending, if it was not told before.
    pub(in crate::runner) fn end(&self, attempt: AttemptId, event: Event) {
        let mut running = locked(&self.running);
        if running.remove(&attempt).is_some() {
            self.tell(event);
        }
    }

    pub(in crate::runner) fn cancel(&self, attempt: AttemptId, why: StopWhy) {
        if let Some(line) = locked(&self.running).get(&attempt) {
            line.stop.send_replace(Asked::Stop(why));
        }
    }

    /// Asks for a reminder of an attempt. Nobody may be there any more.
    pub(in crate::runner) fn nudge(&self, attempt: AttemptId) {
        if let Some(line) = locked(&self.running).get(&attempt) {
            line.nudges.send_modify(|n| *n = n.saturating_add(1));
        }
    }

    /// Says a person's words to an attempt. Nobody may be there any more.
    pub(in crate::runner) fn say(&self, attempt: AttemptId, words: Words) {
        if let Some(line) = locked(&self.running).get(&attempt) {
            drop(line.words.send(words));
        }
    }

    pub(in crate::runner) fn observe(&self, attempt: AttemptId) -> Observed {
        if locked(&self.running).contains_key(&attempt) {
            Observed::Running
        } else if locked(&self.known).contains(&attempt) {
            Observed::Ended
        } else {
            Observed::Unknown
        }
    }

    pub(in crate::runner) fn fence(&self, current: &BTreeSet<AttemptId>) {
        for (attempt, line) in locked(&self.running).iter() {
            if !current.contains(attempt) {
                line.stop.send_replace(Asked::Stop(StopWhy::Asked));
            }
        }
    }

    /// Takes a token for one that an earlier coordinator gave to an attempt, before that is begun again.
    pub(in crate::runner) fn expect(&self, attempt: AttemptId, token: Token) {
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
