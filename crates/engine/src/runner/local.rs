//! Owns the attempts that run on this machine: one task for each, one ending for each, none left at the end.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turno_core::State;
use turno_core::decision::Reply;
use turno_core::event::Event;
use turno_core::failure::{Cause, Failure};
use turno_core::foresight::{Found, Rival, Sight};
use turno_core::ids::{AttemptId, RemarkId};
use turno_core::step::watched;
use turno_core::task::StopWhy;

use super::mouth::{Shared, Words};
use super::{Looking, Observed, Opening, Runner, Submission, Submitted, Told};
use crate::attempt::{self, Seat, found_gone};
use crate::follow::moved;
use crate::open::{Opened, open};
use crate::room;
use crate::site::Site;
use crate::tools::Toolbox;

/// Runs attempts on this machine.
#[derive(Debug)]
pub struct Local {
    site: Arc<Site>,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    /// Held by the one look ahead that is at work.
    one_look: Arc<Mutex<()>>,
    /// Set when nothing is waited for any more that can be done again.
    over: CancellationToken,
    /// Visits of people who were found gone. Each is cleared up once.
    gone: std::sync::Mutex<BTreeSet<AttemptId>>,
}

impl Local {
    /// For a site.
    pub fn new(site: Arc<Site>) -> Self {
        let shared = Shared::keeping_out(Arc::clone(&site.redaction));
        Self {
            site,
            shared: Arc::new(shared),
            tasks: TaskTracker::new(),
            one_look: Arc::default(),
            over: CancellationToken::new(),
            gone: std::sync::Mutex::default(),
        }
    }

    /// Lets the agents that are about to be adopted use their tools: they wait in their calls until they are.
    pub fn expect(&self, adopted: &BTreeSet<AttemptId>) {
        for attempt in adopted {
            if let Some(token) = attempt::token_of(&self.site.dirs.attempt(*attempt)) {
                self.shared.expect(*attempt, token);
            }
        }
    }

    /// Clears up after people who were attached to a task and are gone without a word: its work is kept, and told.
    fn clear_up_visits(&self, state: &State) {
        for task in state.tasks.values() {
            let Some(visit) = task.hold.visit() else { continue };
            let is_known = |gone: &BTreeSet<AttemptId>| gone.contains(&visit.attempt);
            if is_known(&self.gone.lock().unwrap_or_else(PoisonError::into_inner)) {
                continue;
            }
            // Whoever is attached has it.
            let Ok(Some(seat)) = Seat::take(&self.site.dirs, task.id) else {
                continue;
            };
            self.gone
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(visit.attempt);
            let (site, shared) = (Arc::clone(&self.site), Arc::clone(&self.shared));
            let (id, visit) = (task.id, visit.clone());
            self.tasks.spawn(async move {
                let event = found_gone(&site, id, &visit).await;
                shared.tell(event);
                drop(seat);
            });
        }
    }

    /// The tools of the agents that run here.
    pub fn toolbox(&self) -> Toolbox {
        Toolbox::new(Arc::clone(&self.shared))
    }
}

impl Runner for Local {
    fn submit(&self, work: Submission) -> Submitted {
        let attempt = work.attempt();
        let begun = match &work {
            Submission::Adopted(_, asked) => self.shared.begin_again(attempt, asked.clone()),
            Submission::Agent(_)
            | Submission::Checks(_)
            | Submission::Landing(_)
            | Submission::Following(_) => self.shared.begin(attempt),
        };
        let Some((mouth, ear)) = begun else {
            return Submitted::Known;
        };
        let shared = Arc::clone(&self.shared);
        let site = Arc::clone(&self.site);
        self.tasks.spawn(async move {
            let at = Arc::clone(&site);
            let work = tokio::spawn(async move {
                match work {
                    Submission::Agent(start) => attempt::agent(&at, *start, mouth, ear).await,
                    Submission::Adopted(attempt, _) => attempt::adopted(&at, attempt, mouth, ear).await,
                    Submission::Checks(start) => attempt::checks(&at, *start, mouth, ear).await,
                    Submission::Landing(start) => attempt::landing(&at, *start, mouth, ear).await,
                    Submission::Following(start) => attempt::following(&at, *start, mouth, ear).await,
                }
            });
            let panicked = work.await.is_err();
            let silent = shared.observe(attempt) == Observed::Running;
            if panicked || silent {
                // Its slot is not free before nothing of it runs any more.
                attempt::clear(&site, attempt).await;
                let failure = Failure::new(Cause::Lost, "its task broke off; this is a bug in turno");
                shared.end(attempt, Event::AttemptFailed { attempt, failure });
            }
        });
        Submitted::Accepted
    }

    fn open(&self, opening: Opening) {
        let (site, shared) = (Arc::clone(&self.site), Arc::clone(&self.shared));
        self.tasks.spawn(async move {
            let issue = opening.issue;
            let work = tokio::spawn(async move { begin(&site, &opening).await });
            let event = work.await.unwrap_or_else(|_| Event::IssueNotOpened {
                issue,
                why: "its opening broke off; this is a bug in turno".to_owned(),
            });
            shared.tell(event);
        });
    }

    fn look(&self, state: &State) -> Vec<Event> {
        self.clear_up_visits(state);
        let seen = watched(state).filter_map(|watched| {
            let issue = watched.issue.id;
            let ground = self.site.ground(&watched.issue.draft.repo).ok()?;
            moved(ground.repo(), &watched).unwrap_or_else(|error| {
                tracing::warn!(%issue, %error, "the branch that an issue began on could not be looked at");
                None
            })
        });
        let moved: Vec<Event> = seen.collect();
        let tight = room::news(&self.site.disks(), self.site.config.disk, &state.desk.room);
        let tight = tight.map(|tight| Event::RoomSeen { tight });
        tight.into_iter().chain(moved).collect()
    }

    fn foresee(&self, looking: Looking) {
        let (site, shared) = (Arc::clone(&self.site), Arc::clone(&self.shared));
        let (one, over) = (Arc::clone(&self.one_look), self.over.clone());
        self.tasks.spawn(async move {
            let Looking { of, commit, with, .. } = looking.clone();
            let work = tokio::spawn(async move {
                // One after the other: there is one directory for it, and a hint is worth no crowd of processes.
                let _turn = one.lock().await;
                look(&site, &looking).await
            });
            let stop = work.abort_handle();
            let found = tokio::select! {
                found = work => found.unwrap_or_else(|_| unseen(&with, "the look broke off; this is a bug in turno")),
                // Nobody hears it any more. Its process ends with it.
                () = over.cancelled() => return stop.abort(),
            };
            let sight = |(rival, found)| Sight { rival, found };
            let sights = with.into_iter().zip(found).map(sight).collect();
            shared.tell(Event::Foreseen { of, commit, sights });
        });
    }

    fn events(&self, after: u64) -> impl Future<Output = Vec<Told>> + Send {
        let shared = Arc::clone(&self.shared);
        async move { shared.events(after).await }
    }

    fn cancel(&self, attempt: AttemptId, why: StopWhy) {
        self.shared.cancel(attempt, why);
    }

    fn nudge(&self, attempt: AttemptId) {
        self.shared.nudge(attempt);
    }

    fn tell(&self, attempt: AttemptId, remark: RemarkId, words: String) {
        self.shared.say(attempt, Words { remark, words });
    }

    fn reply(&self, attempt: AttemptId, key: &str, reply: &Reply) {
        self.shared.reply(attempt, key, reply);
    }

    fn observe(&self, attempt: AttemptId) -> Observed {
        self.shared.observe(attempt)
    }

    fn fence(&self, current: &BTreeSet<AttemptId>) {
        self.shared.fence(current);
    }

    async fn shutdown(&self) {
        self.over.cancel();
        self.fence(&BTreeSet::new());
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Whether changes would merge: what was found of each, in order.
async fn look(site: &Site, looking: &Looking) -> Vec<Found> {
    let ground = match site.ground(&looking.repo) {
        Ok(ground) => ground,
        Err(error) => return unseen(&looking.with, &error.to_string()),
    };
    let rivals: Vec<_> = looking.with.iter().map(|r| r.commit().clone()).collect();
    let scratch = site.dirs.preflight();
    ground.repo().preflight(&looking.commit, &rivals, &scratch).await
}

fn unseen(rivals: &[Rival], why: &str) -> Vec<Found> {
    let unseen = || Found::Unseen { why: why.to_owned() };
    rivals.iter().map(|_| unseen()).collect()
}

/// Opens an issue, and says in the core's words what became of it.
async fn begin(site: &Site, opening: &Opening) -> Event {
    let issue = opening.issue;
    let not = |why: String| Event::IssueNotOpened { issue, why };
    let ground = match site.ground(&opening.repo) {
        Ok(ground) => ground,
        Err(error) => return not(error.to_string()),
    };
    match open(ground.repo(), issue, &opening.on).await {
        Ok(Opened::At { base, target }) => Event::IssueOpened { issue, base, target },
        Ok(Opened::Conflict { head, files }) => not(format!(
            "what it needs does not merge: {} conflicts with the rest in {}; promote what it needs first",
            head.short(),
            files.join(", ")
        )),
        Err(error) => not(error.to_string()),
    }
}
