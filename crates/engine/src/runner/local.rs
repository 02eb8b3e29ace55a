//! Owns the attempts that run on this machine: one task for each, one ending for each, none left at the end.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use tokio_util::task::TaskTracker;
use turno_core::State;
use turno_core::decision::Reply;
use turno_core::event::Event;
use turno_core::failure::{Cause, Failure};
use turno_core::ids::AttemptId;
use turno_core::step::watched;
use turno_core::task::StopWhy;

use super::mouth::Shared;
use super::{Observed, Opening, Runner, Submission, Submitted, Told};
use crate::attempt;
use crate::follow::moved;
use crate::open::{Opened, open};
use crate::site::Site;
use crate::tools::Toolbox;

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
        let shared = Shared::keeping_out(Arc::clone(&site.redaction));
        Self {
            site,
            shared: Arc::new(shared),
            tasks: TaskTracker::new(),
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
        let seen = watched(state).filter_map(|watched| {
            let issue = watched.issue.id;
            let ground = self.site.ground(&watched.issue.draft.repo).ok()?;
            moved(ground.repo(), &watched).unwrap_or_else(|error| {
                tracing::warn!(%issue, %error, "the branch that an issue began on could not be looked at");
                None
            })
        });
        seen.collect()
    }

    fn events(&self, after: u64) -> impl Future<Output = Vec<Told>> + Send {
        let shared = Arc::clone(&self.shared);
        async move { shared.events(after).await }
    }

    fn cancel(&self, attempt: AttemptId, why: StopWhy) {
        self.shared.cancel(attempt, why);
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
        self.fence(&BTreeSet::new());
        self.tasks.close();
        self.tasks.wait().await;
    }
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
