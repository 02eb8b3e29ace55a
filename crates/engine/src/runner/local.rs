//! Owns the attempts that run on this machine: one task for each, one ending for each, none left at the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;
use turno_core::event::Event;
use turno_core::failure::{Cause, Failure};
use turno_core::ids::{AttemptId, SessionId};
use turno_core::task::StopWhy;
use turno_core::units::Spend;

use super::{Observed, Runner, Submission, Submitted, Told};
use crate::attempt;
use crate::site::Site;

/// Whether an attempt was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It may go on.
    GoOn,
    /// It is to stop.
    Stop(StopWhy),
}

/// What an attempt hears.
pub(crate) type Ear = watch::Receiver<Asked>;

#[derive(Debug, Default)]
struct Facts {
    kept: VecDeque<Told>,
    last: u64,
}

#[derive(Debug, Default)]
struct Shared {
    facts: Mutex<Facts>,
    told: Notify,
    running: Mutex<BTreeMap<AttemptId, watch::Sender<Asked>>>,
    known: Mutex<BTreeSet<AttemptId>>,
}

/// A poisoned lock holds data that was whole before the panic: each change here is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn tell(&self, event: Event) {
        {
            let mut facts = locked(&self.facts);
            facts.last += 1;
            let number = facts.last;
            facts.kept.push_back(Told { number, event });
        }
        self.told.notify_waiters();
    }

    /// Tells an attempt's ending, if it was not told before.
    fn end(&self, attempt: AttemptId, event: Event) {
        if locked(&self.running).remove(&attempt).is_some() {
            self.tell(event);
        }
    }
}

/// The mouth of one attempt. Its ending is told once; whoever runs the attempt sees to it that it is told.
pub(crate) struct Mouth {
    attempt: AttemptId,
    shared: Arc<Shared>,
}

impl Mouth {
    pub(crate) fn attempt(&self) -> AttemptId {
        self.attempt
    }

    pub(crate) fn session(&self, session: SessionId) {
        self.shared.tell(Event::SessionOpened {
            attempt: self.attempt,
            session,
        });
    }

    pub(crate) fn spent(&self, spend: Spend) {
        self.shared.tell(Event::Metered {
            attempt: self.attempt,
            spend,
        });
    }

    pub(crate) fn end(self, event: Event) {
        self.shared.end(self.attempt, event);
    }

    pub(crate) fn fail(self, failure: Failure) {
        let attempt = self.attempt;
        self.end(Event::AttemptFailed { attempt, failure });
    }
}

/// Runs attempts on this machine.
#[derive(Debug)]
pub struct Local {
    site: Arc<Site>,
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

impl Local {
    /// For a site.
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            shared: Arc::new(Shared::default()),
            tasks: TaskTracker::new(),
        }
    }
}

impl Runner for Local {
    fn submit(&self, work: Submission) -> Submitted {
        let attempt = work.attempt();
        if !locked(&self.shared.known).insert(attempt) {
            return Submitted::Known;
        }
        let (stop, ear) = watch::channel(Asked::GoOn);
        locked(&self.shared.running).insert(attempt, stop);
        let shared = Arc::clone(&self.shared);
        let mouth = Mouth {
            attempt,
            shared: Arc::clone(&shared),
        };
        let site = Arc::clone(&self.site);
        self.tasks.spawn(async move {
            let at = Arc::clone(&site);
            let work = tokio::spawn(async move {
                match work {
                    Submission::Agent(start) => attempt::agent(&at, *start, mouth, ear).await,
                    Submission::Checks(start) => attempt::checks(&at, *start, mouth, ear).await,
                    Submission::Landing(start) => attempt::landing(&at, *start, mouth, ear).await,
                }
            });
            let panicked = work.await.is_err();
            let silent = locked(&shared.running).contains_key(&attempt);
            if panicked || silent {
                // Its slot is not free before nothing of it runs any more.
                attempt::clear(&site, attempt).await;
                let failure = Failure::new(Cause::Lost, "its task broke off; this is a bug in turno");
                shared.end(attempt, Event::AttemptFailed { attempt, failure });
            }
        });
        Submitted::Accepted
    }

    fn events(&self, after: u64) -> impl Future<Output = Vec<Told>> + Send {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                let told = shared.told.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                {
                    let mut facts = locked(&shared.facts);
                    while facts.kept.front().is_some_and(|t| t.number <= after) {
                        facts.kept.pop_front();
                    }
                    if !facts.kept.is_empty() {
                        return facts.kept.iter().cloned().collect();
                    }
                }
                told.await;
            }
        }
    }

    fn cancel(&self, attempt: AttemptId, why: StopWhy) {
        if let Some(stop) = locked(&self.shared.running).get(&attempt) {
            stop.send_replace(Asked::Stop(why));
        }
    }

    fn observe(&self, attempt: AttemptId) -> Observed {
        if locked(&self.shared.running).contains_key(&attempt) {
            Observed::Running
        } else if locked(&self.shared.known).contains(&attempt) {
            Observed::Ended
        } else {
            Observed::Unknown
        }
    }

    fn fence(&self, current: &BTreeSet<AttemptId>) {
        for (attempt, stop) in locked(&self.shared.running).iter() {
            if !current.contains(attempt) {
                stop.send_replace(Asked::Stop(StopWhy::Asked));
            }
        }
    }

    async fn shutdown(&self) {
        self.fence(&BTreeSet::new());
        self.tasks.close();
        self.tasks.wait().await;
    }
}
