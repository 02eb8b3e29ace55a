//! Owns the way into the workspace's state: through the live coordinator when there is one, else by opening the
//! store itself. Every verb but `run` goes through here, so both ways behave alike.

use std::sync::Arc;
use std::time::Duration;

use turno_core::State;
use turno_core::config::Config;
use turno_core::event::Event;
use turno_core::ids::{IssueId, RepoName, Seq};
use turno_core::issue::IssueDraft;
use turno_core::record::Record;
use turno_engine::config::Overrides;
use turno_engine::run::Desk;
use turno_engine::socket::{self, Answer, Ask, Client};
use turno_engine::store::{Error as StoreError, Reader, Store};
use turno_engine::workspace::{Error as WorkspaceError, Lock};

use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::promote;

/// The way in.
pub(crate) enum Door {
    /// A coordinator is at work.
    Live(Box<Client>),
    /// Nobody is.
    Own {
        /// State and store.
        desk: Box<Desk>,
        /// Held as long as the store is open.
        _lock: Lock,
    },
    /// Nobody is, and the state directory cannot be written: it can be looked at.
    Look {
        /// The state.
        state: Box<State>,
        /// Its records.
        reader: Reader,
        /// Why nothing can be taken.
        why: String,
    },
}

impl Door {
    /// Opens it.
    pub(crate) async fn open(scene: &Scene) -> Result<Self, Failure> {
        let mut last = None;
        // A coordinator takes the lock a moment before it opens its socket, and closes it a moment before.
        for _ in 0..50 {
            match scene.dirs.lock() {
                Ok(lock) => {
                    let (store, state) = match Store::open(&scene.dirs.store()) {
                        Err(error @ StoreError::Io { .. }) => return Self::look(scene, error.into()),
                        opened => opened?,
                    };
                    for note in store.notes() {
                        print::warning(&note.to_string());
                    }
                    let desk = Box::new(Desk::new(store, state));
                    let mut door = Self::Own { desk, _lock: lock };
                    door.settle(scene).await;
                    return Ok(door);
                }
                Err(taken @ WorkspaceError::Taken { .. }) => {
                    match Client::connect(&scene.dirs.socket()).await {
                        Ok(client) => return Ok(Self::Live(Box::new(client))),
                        Err(_) => last = Some(taken),
                    }
                }
                Err(unusable @ WorkspaceError::Unusable { .. }) => return Self::look(scene, unusable.into()),
                Err(other) => return Err(other.into()),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(last.map_or_else(|| Failure::bug("no lock and no holder"), Failure::from))
    }

    /// Opens it and looks. A coordinator that ends in that very moment is no failure: what it has left is seen then.
    pub(crate) async fn look_in(scene: &Scene) -> Result<(Self, State), Failure> {
        for _ in 0..3 {
            let mut door = Self::open(scene).await?;
            match (door.state().await, &door) {
                (Ok(state), _) => return Ok((door, state)),
                (Err(error), Self::Live(_)) => tracing::debug!(%error, "the coordinator ended meanwhile"),
                (Err(error), Self::Own { .. } | Self::Look { .. }) => return Err(error),
            }
        }
        let mut door = Self::open(scene).await?;
        let state = door.state().await?;
        Ok((door, state))
    }

    /// What was done by one that died before it could be recorded is recorded now, so that whatever is asked for is
    /// asked of things as they are.
    async fn settle(&mut self, scene: &Scene) {
        let Self::Own { desk, .. } = self else { return };
        let begun = desk.state.issues.values().filter(|i| i.promotion.is_some());
        let begun: Vec<IssueId> = begun.map(|i| i.id).collect();
        for issue in begun {
            match promote::settle(scene, self, issue).await {
                Ok(Some(done)) => print::note(&format!("issue {issue}: {}", promote::said(&done))),
                Ok(None) => {}
                // Whoever asks for something else is not kept from it; the verb itself will say it again.
                Err(error) => print::warning(&error.to_string()),
            }
        }
    }

    /// A full disk, or one that may not be written, hides nothing from those who only look.
    fn look(scene: &Scene, why: Failure) -> Result<Self, Failure> {
        let Ok((state, reader)) = Store::look(&scene.dirs.store()) else {
            return Err(why);
        };
        Ok(Self::Look {
            state: Box::new(state),
            reader,
            why: why.to_string(),
        })
    }

    pub(crate) async fn state(&mut self) -> Result<State, Failure> {
        match self {
            Self::Own { desk, .. } => Ok(desk.state.clone()),
            Self::Look { state, .. } => Ok((**state).clone()),
            Self::Live(client) => {
                client.ask(&Ask::State).await?;
                match client.answer().await? {
                    Some(Answer::State(state)) => Ok(*state),
                    other => Err(unexpected(other)),
                }
            }
        }
    }

    /// Whether anything that is done can be written down.
    pub(crate) fn can_record(&self) -> Result<(), Failure> {
        match self {
            Self::Own { .. } | Self::Live(_) => Ok(()),
            Self::Look { why, .. } => Err(Failure::cannot_start(why.clone())),
        }
    }

    /// Asks for something. It is committed when this returns.
    pub(crate) async fn take(&mut self, event: Event) -> Result<(), Failure> {
        match self {
            Self::Own { desk, .. } => {
                desk.request(event)?;
                Ok(())
            }
            Self::Look { why, .. } => Err(Failure::cannot_start(why.clone())),
            Self::Live(client) => {
                client.ask(&Ask::Take(Box::new(event))).await?;
                match client.answer().await? {
                    Some(Answer::Taken(_)) => Ok(()),
                    Some(Answer::Refused(why)) => Err(Failure::usage(why)),
                    other => Err(unexpected(other)),
                }
            }
        }
    }

    /// Takes in what has happened already. The shift of a dead coordinator stays as it is.
    pub(crate) async fn note(&mut self, fact: Event) -> Result<(), Failure> {
        match self {
            Self::Own { desk, .. } => {
                desk.take(fact)?;
                Ok(())
            }
            Self::Look { .. } | Self::Live(_) => self.take(fact).await,
        }
    }

    /// Files an issue. A repository that was configured since the last shift is made known first; that of a running
    /// shift stays as it is.
    pub(crate) async fn file(&mut self, scene: &Scene, draft: IssueDraft) -> Result<(), Failure> {
        if let Self::Own { desk, .. } = self
            && draft.repo != RepoName::default()
        {
            let config = scene.config(&Overrides::default())?;
            scene.repo_named(&config, &draft.repo)?;
            let known = |c: &Arc<Config>| c.repos.contains_key(&draft.repo);
            if !desk.state.config.as_ref().is_some_and(known) {
                let config = Box::new(config.core);
                desk.take(Event::ConfigLoaded { config })?;
            }
        }
        self.take(Event::IssueAdded { draft }).await
    }

    /// Shows every record to `see`, in order, without holding more than some of them at a time.
    pub(crate) async fn each_record(&mut self, mut see: impl FnMut(&Record)) -> Result<(), Failure> {
        let reader = match self {
            Self::Own { desk, .. } => desk.reader(),
            Self::Look { reader, .. } => reader.clone(),
            Self::Live(client) => {
                client.ask(&Ask::Records { after: Seq(0) }).await?;
                loop {
                    match client.answer().await? {
                        Some(Answer::Record(record)) => see(&record),
                        Some(Answer::Done) => return Ok(()),
                        other => return Err(unexpected(other)),
                    }
                }
            }
        };
        let mut after = Seq(0);
        loop {
            let some = reader.after(after, AT_ONCE)?;
            let Some(last) = some.last().map(|r| r.seq) else {
                return Ok(());
            };
            some.iter().for_each(&mut see);
            after = last;
        }
    }

    /// All records after one.
    pub(crate) async fn records(&mut self, after: Seq) -> Result<Vec<Record>, Failure> {
        match self {
            Self::Own { desk, .. } => Ok(desk.reader().after(after, usize::MAX)?),
            Self::Look { reader, .. } => Ok(reader.after(after, usize::MAX)?),
            Self::Live(client) => {
                client.ask(&Ask::Records { after }).await?;
                let mut records = Vec::new();
                loop {
                    match client.answer().await? {
                        Some(Answer::Record(record)) => records.push(*record),
                        Some(Answer::Done) => return Ok(records),
                        other => return Err(unexpected(other)),
                    }
                }
            }
        }
    }
}

/// So many records are held at once while all of them are looked at.
const AT_ONCE: usize = 512;

fn unexpected(answer: Option<Answer>) -> Failure {
    match answer {
        None => socket::Error::Gone.into(),
        Some(Answer::Failed(why)) => Failure::cannot_start(why),
        Some(Answer::Refused(why)) => Failure::usage(why),
        Some(other) => socket::Error::Answer(format!("{other:?}")).into(),
    }
}
