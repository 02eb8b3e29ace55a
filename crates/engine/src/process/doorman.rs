//! Owns a run's way to the network while its supervisor lives: the proxy that lets it reach the hosts it may. It is
//! the supervisor's and not the coordinator's, so that an agent works on when its coordinator dies.

use std::io::Error;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use turno_sandbox::net::allow::Allowed;
use turno_sandbox::net::proxy::{Proxy, Seen, Way};

use super::supervisor::{files, write_whole};

/// The way to the network that a run is given. It is handed over in no file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetOrders {
    /// Where the proxy listens.
    pub socket: PathBuf,
    /// What may be reached.
    pub allowed: Allowed,
    /// How it is reached: by itself, or through a proxy of the person's.
    pub way: Way,
}

/// What a run asked of the network, as its supervisor wrote it down; nothing when it had no way there.
pub(crate) fn seen(dir: &Path) -> Option<Seen> {
    serde_json::from_slice(&std::fs::read(dir.join(files::CONTACTS)).ok()?).ok()
}

/// The proxy at work, in a thread of its own.
#[derive(Debug)]
pub(crate) struct Doorman {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Doorman {
    /// Opens the proxy.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) fn open(orders: NetOrders) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let proxy = {
            let _inside = runtime.enter();
            Proxy::open(&orders.socket, orders.allowed, orders.way)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let seen = runtime.block_on(async {
                // A sender that is gone says the same.
                drop(stopped.await);
                proxy.close().await
            });
            // A name that is still being looked up is waited for by nobody.
            runtime.shutdown_background();
            seen
        });
        Ok(Self { stop, thread })
    }

    /// Closes it, and writes down what was asked for.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn close(self, dir: &Path) -> std::io::Result<()> {
        drop(self.stop);
        let seen = self
            .thread
            .join()
            .map_err(|_| Error::other("the proxy broke off"))?;
        write_whole(&dir.join(files::CONTACTS), &serde_json::to_vec(&seen)?)
    }
}
