//! Owns the coordinator's side of a supervised run: starting it, finding it again, hearing it, speaking to it,
//! stopping it, and the certainty that nothing of it is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;

use super::doorman::NetOrders;
use super::handed::{self, Private};
use super::limited::discard_group;
use super::supervisor::{End, Orders, Said, files, write_whole};
use super::tree::{self, Identity, MARKER};
pub use super::wire::AfterSpoken;
use super::wire::Word;
use super::{Error, wire};
use crate::redact::Redaction;

/// How long a supervisor may take to end once its program is over or was stopped: its own grace, and more.
const LAST: Duration = Duration::from_secs(30);

/// How far a stop goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopForce {
    /// Ask, wait out the grace, kill.
    Ladder,
    /// Kill the tree now.
    Kill,
}

/// A run to start.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// The `turno` binary, which is the supervisor too.
    pub turno: &'a Path,
    /// The run's own directory; it must exist.
    pub dir: &'a Path,
    /// What to run.
    pub orders: Orders,
    /// All of its environment; the marker is added.
    pub env: BTreeMap<String, String>,
    /// The attempt's marker.
    pub marker: String,
    /// What is not written down of what it says.
    pub redaction: &'a Redaction,
    /// Its way to the network, if it has one of its own.
    pub net: Option<NetOrders>,
}

/// A running supervised program.
#[derive(Debug)]
pub struct Supervised {
    supervisor: Whose,
    line: Option<UnixStream>,
    dir: PathBuf,
    marker: String,
}

/// The process that supervises.
#[derive(Debug)]
enum Whose {
    /// This coordinator started it.
    Ours(Child),
    /// An earlier one did.
    Found(Identity),
    /// It has come to its end.
    Gone,
}

/// What the bell said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bell {
    /// There is more to read in the transcript.
    More,
    /// The supervisor is gone; what it wrote is all there is.
    Over,
}

impl Supervised {
    /// Starts a run.
    ///
    /// # Errors
    /// When its files cannot be written or the supervisor cannot be started.
    pub async fn start(start: Start<'_>) -> Result<Self, Error> {
        let odd = |why: String| Error::Output {
            program: "turno supervise".to_owned(),
            why,
        };
        // An argument may hold a secret; the supervisor is handed the real ones through its input.
        let orders = Orders {
            argv: (start.orders.argv.iter())
                .map(|word| start.redaction.text(word).into_owned())
                .collect(),
            ..start.orders.clone()
        };
        let orders = serde_json::to_vec(&orders).map_err(|e| odd(e.to_string()))?;
        let path = start.dir.join(files::ORDERS);
        write_whole(&path, &orders).map_err(|e| Error::Output {
            program: path.display().to_string(),
            why: e.to_string(),
        })?;
        let mut env = start.env;
        env.insert(MARKER.to_owned(), start.marker.clone());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|e| odd(e.to_string()))?;
        let line = ours
            .set_nonblocking(true)
            .and_then(|()| UnixStream::from_std(ours));
        let line = line.map_err(|e| odd(e.to_string()))?;
        let child = super::spawn_supervisor(start.turno, start.dir, &start.orders.cwd, &env, theirs)?;
        let mut run = Self {
            supervisor: Whose::Ours(child),
            line: Some(line),
            dir: start.dir.to_owned(),
            marker: start.marker,
        };
        // In no file, and in no environment that the program could read. A supervisor that does not read them ends
        // at once, and says so in its exit file.
        let private = Private {
            argv: start.orders.argv,
            net: start.net,
        };
        let handed = handed::frames(start.redaction, &private).map_err(|e| odd(e.to_string()))?;
        run.send(&handed).await;
        Ok(run)
    }

    /// Takes over a run of an earlier coordinator: one that works on, or one whose end nobody has heard. `None` when
    /// it is neither, so that nobody can tell what became of it.
    pub async fn found(dir: &Path, marker: String) -> Option<Self> {
        let run = |supervisor, line| Self {
            supervisor,
            line,
            dir: dir.to_owned(),
            marker: marker.clone(),
        };
        let supervisor = identity_in(dir)?;
        for _ in 0..200 {
            if !supervisor.lives() {
                return read_end(dir).map(|_| run(Whose::Gone, None));
            }
            let line = wire::connect(dir)
                .and_then(|line| line.set_nonblocking(true).map(|()| line))
                .and_then(UnixStream::from_std);
            if let Ok(mut line) = line {
                // It rings when it has seen us: from then on it says nothing by itself.
                let mut rung = [0];
                let seen = tokio::time::timeout(Duration::from_secs(5), line.read_exact(&mut rung));
                if let Ok(Ok(_)) = seen.await {
                    return Some(run(Whose::Found(supervisor), Some(line)));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    /// Waits until there is more to read. Cancel-safe.
    pub async fn bell(&mut self) -> Bell {
        let Some(line) = &mut self.line else {
            return Bell::Over;
        };
        let mut rung = [0; 4096];
        match line.read(&mut rung).await {
            Ok(0) | Err(_) => Bell::Over,
            Ok(_) => Bell::More,
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        let Some(line) = &mut self.line else { return };
        let written = tokio::time::timeout(Duration::from_secs(20), line.write_all(bytes));
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(marker = self.marker, %error, "a supervisor hears nothing"),
            Err(_) => tracing::warn!(marker = self.marker, "a supervisor does not listen"),
        }
    }

    async fn word(&mut self, word: &Word) {
        match word.frame() {
            Ok(frame) => self.send(&frame).await,
            Err(error) => tracing::error!(marker = self.marker, %error, "a line is not said"),
        }
    }

    /// Writes the first lines to the program: all of them or, when the coordinator dies meanwhile, none.
    pub async fn begin(&mut self, lines: Vec<String>, then: AfterSpoken) {
        self.word(&Word::Begin { lines, then }).await;
    }

    /// Writes one line to the program. A program that has closed its input is not an error here: its end says
    /// what happened.
    pub async fn say(&mut self, line: &str) {
        self.word(&Word::Say(line.to_owned())).await;
    }

    /// Ends the program's input.
    pub async fn close_input(&mut self) {
        self.word(&Word::CloseInput).await;
    }

    /// Tells the supervisor to stop the tree.
    pub fn stop(&self, force: StopForce) {
        let signal = match force {
            StopForce::Ladder => Signal::SIGTERM,
            StopForce::Kill => Signal::SIGUSR1,
        };
        match &self.supervisor {
            Whose::Ours(child) => {
                if let Some(pid) = child.id() {
                    tree::send(pid.cast_signed(), signal);
                }
            }
            Whose::Found(identity) => identity.signal(signal),
            Whose::Gone => {}
        }
    }

    /// The process that supervises, while one does.
    pub(crate) fn supervisor(&self) -> Option<i32> {
        match &self.supervisor {
            Whose::Ours(child) => child.id().map(u32::cast_signed),
            Whose::Found(identity) => Some(identity.pid),
            Whose::Gone => None,
        }
    }

    /// Waits until the supervisor and everything below it is gone. Without an exit file the end is unknown.
    pub async fn wait(mut self) -> Option<End> {
        self.close_input().await;
        match &mut self.supervisor {
            Whose::Ours(child) => match tokio::time::timeout(LAST, child.wait()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "cannot wait for a supervisor"),
                Err(_) => {
                    tracing::error!(marker = self.marker, "a supervisor does not end; it is killed");
                    if let Err(error) = child.kill().await {
                        tracing::error!(%error, "a supervisor cannot be killed");
                    }
                }
            },
            Whose::Found(identity) => {
                if tokio::time::timeout(LAST, gone(*identity)).await.is_err() {
                    tracing::error!(marker = self.marker, "a supervisor does not end; it is killed");
                    identity.signal(Signal::SIGKILL);
                    gone(*identity).await;
                }
            }
            Whose::Gone => {}
        }
        let end = read_end(&self.dir);
        if end.is_none() {
            tree::kill_marked(&self.marker).await;
            discard_group(&self.dir).await;
        }
        end
    }
}

/// Waits until a process that is no child of ours is gone.
async fn gone(identity: Identity) {
    while identity.lives() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn identity_in(dir: &Path) -> Option<Identity> {
    serde_json::from_slice(&std::fs::read(dir.join(files::SUPERVISOR)).ok()?).ok()
}

/// Whether a run works on, or has come to an end that is written down.
pub(crate) fn is_there(dir: &Path) -> bool {
    read_end(dir).is_some() || identity_in(dir).is_some_and(Identity::lives)
}

/// Whether the supervisor of a run lives.
pub(crate) fn lives(dir: &Path) -> bool {
    identity_in(dir).is_some_and(Identity::lives)
}

/// What was said to a program until now, oldest first; nothing when it was not begun.
pub(crate) fn said_in(dir: &Path) -> Option<Vec<Said>> {
    let text = std::fs::read_to_string(dir.join(files::SAID)).ok()?;
    // Nothing was said of a line that was broken off: it is written down before.
    Some(
        text.lines()
            .map_while(|line| serde_json::from_str(line).ok())
            .collect(),
    )
}

/// The end of a run, if it was written.
pub fn read_end(dir: &Path) -> Option<End> {
    serde_json::from_slice(&std::fs::read(dir.join(files::EXIT)).ok()?).ok()
}

/// Ends a supervisor of an earlier coordinator, if it still lives, and waits until it is gone.
pub async fn end_supervisor(dir: &Path) {
    let Some(supervisor) = identity_in(dir) else {
        return;
    };
    supervisor.signal(Signal::SIGUSR1);
    for _ in 0..500 {
        if !supervisor.lives() {
            return discard_group(dir).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    supervisor.signal(Signal::SIGKILL);
    discard_group(dir).await;
}

#[cfg(test)]
mod tests {
    use super::super::supervisor::After;
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn no_argument_of_the_orders_file_holds_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let redaction = Redaction::of([Secret::new("canary-of-an-argument".to_owned())]);
        let orders = Orders {
            argv: vec!["agent".to_owned(), "--key=canary-of-an-argument".to_owned()],
            cwd: dir.path().to_owned(),
            grace_ms: 0,
            limit_ms: 1000,
            output_cap: 1,
            alone_ms: 1000,
            limits: None,
            after: After::Nothing,
        };
        let run = Supervised::start(Start {
            // It ends at once, and reads nothing.
            turno: Path::new("/bin/true"),
            dir: dir.path(),
            orders,
            env: BTreeMap::new(),
            marker: "orders-without-secrets".to_owned(),
            redaction: &redaction,
            net: None,
        });
        let run = run.await.unwrap();
        let text = std::fs::read_to_string(dir.path().join(files::ORDERS)).unwrap();
        assert!(
            text.contains("--key=[redacted]") && !text.contains("canary"),
            "{text}"
        );
        assert_eq!(run.wait().await, None);
    }
}
